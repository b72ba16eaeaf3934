/* See views.h. */
#include "client/views.h"

#include <string.h>

#include "client/answer.h"

/* What a source is called: as it is, and when the file that says it is known. */
static const struct {
    const char *name, *alone, *with_file;
} sources[] = {
    {"override", "set in this shell by AICTL_OVERRIDE", NULL},
    {"pin", "chosen for this project with aictl switch", NULL},
    {"local file", "set in a local file", "set in"},
    {"project file", "set in a project file", "set in"},
    {"global", "chosen for all projects with aictl switch -g", NULL},
    {"config", "defaultModel of the configuration", "defaultModel in"},
    {"only", "the only model that is configured", NULL},
};

char *view_reason(char *out, size_t size, const cJSON *answer)
{
    const char *name = answer_text(answer, "source"), *file = answer_text(answer, "source_file");
    const char *alone = name, *with_file = name;
    int line = (int)answer_int(answer, "source_line", 0);
    char path[512];
    for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++)
        if (!strcmp(sources[i].name, name)) {
            alone = sources[i].alone;
            with_file = sources[i].with_file;
        }
    format_path(path, sizeof(path), file);
    if (!file[0] || !with_file)
        snprintf(out, size, "%s", alone);
    else if (line > 0)
        snprintf(out, size, "%s %s:%d", with_file, path, line);
    else
        snprintf(out, size, "%s %s", with_file, path);
    return out;
}

/* The state of its key: a member of its own in provider.list, a text in status. */
static const char *key_state(const cJSON *provider)
{
    const cJSON *key = answer_get(provider, "key");
    return cJSON_IsObject(key) ? answer_text(key, "state") : answer_text(provider, "key");
}

static bool has_key(const cJSON *provider)
{
    const char *key = key_state(provider);
    return !key[0] || !strcmp(key, "ok") || !strcmp(key, "none needed");
}

/* Its last answer was a failure, and not for want of a key: then the key is what matters. */
static bool is_failing(const cJSON *provider)
{
    return !strcmp(answer_text(provider, "state"), "failing") && has_key(provider);
}

static void add_key_problem(struct table *table, const cJSON *provider)
{
    const char *key = key_state(provider), *name = answer_text(provider, "name");
    bool is_missing = !strcmp(key, "missing");
    char text[512];
    snprintf(text, sizeof(text), "%s%s: aictl login %s", is_missing ? "no key" : "key ",
             is_missing ? "" : key, name);
    if (!strcmp(key, "locked"))
        table_add(table, TONE_BAD, "vault is locked");
    else
        table_add(table, is_missing ? TONE_WARN : TONE_BAD, text);
}

static void add_failure(struct table *table, const cJSON *provider)
{
    int64_t ms = answer_int(provider, "error_ms_ago", -1);
    char text[64], ago[32];
    snprintf(text, sizeof(text), "failed %s", ms < 0 ? "" : format_ago(ago, sizeof(ago), ms));
    table_add(table, TONE_BAD, text);
}

/* What stands between the provider and an answer, most urgent first. */
static void add_state(struct table *table, const cJSON *provider)
{
    const char *state = answer_text(provider, "state");
    if (!strcmp(answer_text(provider, "type"), "demo"))
        table_add(table, TONE_WARN, "offline: answers are made up");
    else if (!has_key(provider))
        add_key_problem(table, provider);
    else if (is_failing(provider))
        add_failure(table, provider);
    else
        table_add(table, TONE_GOOD, !strcmp(state, "unknown") ? "ready" : state);
}

static void add_last_answer(struct table *table, const cJSON *provider)
{
    char text[64];
    int64_t in_flight = answer_int(provider, "in_flight", 0);
    int64_t ago = answer_int(provider, "last_ok_ms_ago", -1);
    if (in_flight > 0) {
        snprintf(text, sizeof(text), "%lld running", (long long)in_flight);
        table_add(table, TONE_ACCENT, text);
    } else {
        table_add(table, TONE_DIM, ago < 0 ? "" : format_ago(text, sizeof(text), ago));
    }
}

/* The reasons, too long for a table: each as a paragraph of its own. */
static void print_failures(const struct screen *screen, const cJSON *providers)
{
    const cJSON *provider;
    bool is_first = true;
    char text[1024];
    cJSON_ArrayForEach(provider, providers)
    {
        const char *name = answer_text(provider, "name"), *error = answer_text(provider, "error");
        if (!is_failing(provider) || !error[0])
            continue;
        bool is_named = !strncmp(error, name, strlen(name));
        snprintf(text, sizeof(text), "%s%s%s", is_named ? "" : name, is_named ? "" : ": ", error);
        fputs(is_first ? "\n  " : "  ", screen->out);
        screen_wrap(screen, TONE_BAD, 2, 4, text);
        fputc('\n', screen->out);
        is_first = false;
    }
}

static bool has_none(const struct screen *screen, const cJSON *providers)
{
    if (cJSON_GetArraySize(providers) > 0)
        return false;
    screen_put(screen, TONE_WARN, "  No provider is configured. ");
    screen_put(screen, TONE_DIM, "Add one: aictl login PROVIDER");
    fputc('\n', screen->out);
    return true;
}

void view_providers(const struct screen *screen, const cJSON *providers)
{
    static const struct column columns[] = {
        {"PROVIDER", .least = 12},
        {"TYPE", .drops = 1},
        {"STATE"},
        {"LAST ANSWER", .drops = 2},
    };
    const cJSON *provider;
    struct table table;
    if (has_none(screen, providers))
        return;
    table_init(&table, columns, sizeof(columns) / sizeof(columns[0]), 2);
    cJSON_ArrayForEach(provider, providers)
    {
        table_add(&table, TONE_BOLD, answer_text(provider, "name"));
        table_add(&table, TONE_PLAIN, answer_text(provider, "type"));
        add_state(&table, provider);
        add_last_answer(&table, provider);
    }
    table_print(&table, screen);
    table_release(&table);
    print_failures(screen, providers);
}

static void add_details(struct table *table, const cJSON *provider)
{
    const char *last4 = answer_text(answer_get(provider, "key"), "last4");
    char text[64];
    table_add(table, TONE_BOLD, answer_text(provider, "name"));
    table_add(table, TONE_PLAIN, answer_text(provider, "type"));
    snprintf(text, sizeof(text), "%d", cJSON_GetArraySize(answer_get(provider, "models")));
    table_add(table, TONE_PLAIN, text);
    snprintf(text, sizeof(text), "%s%s", last4[0] ? "..." : "-", last4);
    table_add(table, TONE_PLAIN, text);
    add_state(table, provider);
    bool is_demo = !strcmp(answer_text(provider, "type"), "demo");
    table_add(table, TONE_DIM, is_demo ? "-" : answer_text(provider, "url"));
}

void view_provider_details(const struct screen *screen, const cJSON *providers)
{
    static const struct column columns[] = {
        {"PROVIDER", .least = 12},
        {"TYPE", .drops = 4},
        {"MODELS", .is_right = true, .drops = 3},
        {"KEY", .drops = 2},
        {"STATE"},
        {"URL", .least = 16, .drops = 1},
    };
    const cJSON *provider;
    struct table table;
    if (has_none(screen, providers))
        return;
    table_init(&table, columns, sizeof(columns) / sizeof(columns[0]), 2);
    cJSON_ArrayForEach(provider, providers) add_details(&table, provider);
    table_print(&table, screen);
    table_release(&table);
    print_failures(screen, providers);
}
