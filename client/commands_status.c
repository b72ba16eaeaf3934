/* `aictl status`: what is effective here and why, how the providers are, and the last attempts. */
#include "client/commands.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/answer.h"
#include "client/ask.h"
#include "client/views.h"

#define RECENT_DEFAULT 10
#define LABEL_WIDTH    11
#define MS_PER_DAY     (24LL * 3600 * 1000)

/* Starts a line: indented label, then the value in columns of its own. */
static void label(const struct screen *screen, const char *text)
{
    fputs("  ", screen->out);
    screen_put(screen, TONE_DIM, text);
    fprintf(screen->out, "%*s", (int)(LABEL_WIDTH - strlen(text)), "");
}

static void end_line(const struct screen *screen)
{
    fputc('\n', screen->out);
}

/* ---- what is effective ---- */

static void print_model(const struct screen *screen, const cJSON *status)
{
    const char *model = answer_text(status, "model");
    char reason[512];
    label(screen, "Model");
    if (!model[0]) {
        screen_put(screen, TONE_WARN, "none chosen");
        screen_put(screen, TONE_DIM, "  aictl switch MODEL (see: aictl models)");
        end_line(screen);
        return;
    }
    screen_put(screen, TONE_BOLD, model);
    screen_printf(screen, TONE_PLAIN, "  via %s", answer_text(status, "provider"));
    end_line(screen);
    label(screen, "");
    screen_put(screen, TONE_DIM, view_reason(reason, sizeof(reason), status));
    end_line(screen);
}

static void print_project(const struct screen *screen, const cJSON *status)
{
    const cJSON *project = answer_get(status, "project");
    const char *dir = answer_text(project, "dir");
    char path[512];
    label(screen, "Project");
    screen_put(screen, TONE_PLAIN, answer_text(project, "name"));
    if (dir[0])
        screen_printf(screen, TONE_DIM, "  %s", format_path(path, sizeof(path), dir));
    end_line(screen);
}

static void print_addresses(const struct screen *screen, const cJSON *status)
{
    const char *url = answer_text(status, "url");
    const cJSON *other;
    label(screen, "URL");
    screen_put(screen, TONE_ACCENT, url[0] ? url : "none");
    cJSON_ArrayForEach(other, answer_get(status, "urls"))
    {
        const char *text = cJSON_GetStringValue(other);
        if (text && strcmp(text, url))
            screen_printf(screen, TONE_DIM, "  %s", text);
    }
    end_line(screen);
}

static void print_token(const struct screen *screen, const cJSON *status)
{
    const char *token = answer_text(status, "token_masked");
    char masked[128];
    label(screen, "Token");
    if (token[0])
        screen_put(screen, TONE_PLAIN, format_masked(masked, sizeof(masked), token));
    else
        screen_put(screen, TONE_DIM, "none made yet; aictl token prints one");
    end_line(screen);
}

/* ---- the daemon ---- */

static void print_daemon(const struct screen *screen, const cJSON *status)
{
    const cJSON *requests = answer_get(status, "requests");
    char up[32];
    label(screen, "Daemon");
    screen_printf(screen, TONE_PLAIN, "aictld %s, pid %d, up %s", answer_text(status, "version"),
                  (int)answer_int(status, "pid", 0),
                  format_span(up, sizeof(up), answer_int(status, "uptime_s", 0) * 1000));
    end_line(screen);
    int64_t total = answer_int(requests, "total", 0);
    int64_t active = answer_int(requests, "active", 0);
    int64_t failed = answer_int(requests, "failed", 0);
    label(screen, "Requests");
    screen_printf(screen, TONE_PLAIN, "%lld", (long long)total);
    if (active > 0)
        screen_printf(screen, TONE_GOOD, ", %lld running", (long long)active);
    if (failed > 0)
        screen_printf(screen, TONE_WARN, ", %lld failed", (long long)failed);
    end_line(screen);
}

static void print_config(const struct screen *screen, const cJSON *status)
{
    const cJSON *config = answer_get(status, "config");
    const char *error = answer_text(config, "error");
    char path[512];
    label(screen, "Config");
    screen_put(screen, TONE_PLAIN, format_path(path, sizeof(path), answer_text(config, "path")));
    end_line(screen);
    if (error[0]) {
        label(screen, "");
        screen_put(screen, TONE_BAD, error);
        end_line(screen);
        label(screen, "");
        screen_put(screen, TONE_DIM,
                   "not used; the last good one still is. See: aictl config check");
        end_line(screen);
    }
}

/* Only a vault that cannot be used is worth a line. */
static void print_vault(const struct screen *screen, const cJSON *status)
{
    const char *vault = answer_text(status, "vault");
    const char *reason = answer_text(status, "vault_reason");
    if (!vault[0] || !strcmp(vault, "unlocked"))
        return;
    label(screen, "Vault");
    screen_printf(screen, TONE_BAD, "%s%s%s", vault, reason[0] ? ": " : "", reason);
    end_line(screen);
}

static void print_demo_note(const struct screen *screen, const cJSON *status)
{
    if (!answer_is(status, "demo"))
        return;
    end_line(screen);
    screen_put(screen, TONE_WARN, "  Demo only: ");
    screen_put(screen, TONE_PLAIN, "answers are made up on this machine, no provider is asked.");
    end_line(screen);
    screen_put(screen, TONE_DIM, "  Add a provider: aictl login PROVIDER, or aictl import FILE");
    end_line(screen);
}

/* ---- attempts ---- */

/* "85ms", "4.2s", "75s", "12m": five columns at most. */
static const char *format_brief(char *out, size_t size, int64_t ms)
{
    if (ms < 0)
        snprintf(out, size, "-");
    else if (ms < 1000)
        snprintf(out, size, "%dms", (int)ms);
    else if (ms < 10000)
        snprintf(out, size, "%d.%ds", (int)(ms / 1000), (int)(ms % 1000 / 100));
    else if (ms < 600000)
        snprintf(out, size, "%ds", (int)(ms / 1000));
    else
        snprintf(out, size, "%lldm", (long long)(ms / 60000));
    return out;
}

/* The time of day, or the date of what is older than a day. */
static const char *format_when(char *out, size_t size, int64_t unix_ms)
{
    time_t then = (time_t)(unix_ms / 1000);
    bool is_recent = (int64_t)time(NULL) * 1000 - unix_ms < MS_PER_DAY;
    struct tm local;
    if (!localtime_r(&then, &local) ||
        strftime(out, size, is_recent ? "%H:%M:%S" : "%b %d", &local) == 0)
        snprintf(out, size, "-");
    return out;
}

/* How an attempt ended, in a word: the protocol's reason, or the provider's error status. */
static void add_end(struct table *table, const cJSON *attempt)
{
    static const struct {
        const char *end, *word;
        enum tone tone;
    } words[] = {
        {"done", "done", TONE_GOOD},           {"open", "running", TONE_ACCENT},
        {"client gone", "gone", TONE_WARN},    {"provider error", "error", TONE_BAD},
        {"provider reset", "reset", TONE_BAD},
    };
    const char *end = answer_text(attempt, "end"), *word = end;
    int64_t status = answer_int(attempt, "status", 0);
    enum tone tone = TONE_BAD;
    char text[32];
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (!strcmp(words[i].end, end)) {
            word = words[i].word;
            tone = words[i].tone;
        }
    snprintf(text, sizeof(text), "%d", (int)status);
    table_add(table, tone, status >= 400 ? text : word);
}

static void add_count(struct table *table, const cJSON *usage, int64_t count)
{
    const char *source = answer_text(usage, "source");
    bool is_estimate = !strcmp(source, "estimate");
    char number[32] = "-", text[40];
    if (source[0] && strcmp(source, "none"))
        format_count(number, sizeof(number), count);
    snprintf(text, sizeof(text), "%s%s", is_estimate ? "~" : "", number);
    table_add(table, TONE_PLAIN, text);
}

static void add_attempt(struct table *table, const cJSON *attempt)
{
    const cJSON *usage = answer_get(attempt, "usage");
    int64_t cached = answer_int(usage, "cache_read", 0);
    int64_t input = answer_int(usage, "input", 0) + cached +
                    answer_int(usage, "cache_write_5m", 0) + answer_int(usage, "cache_write_1h", 0);
    char text[32];
    table_add(table, TONE_DIM,
              format_when(text, sizeof(text), answer_int(attempt, "started_ms", 0)));
    table_add(table, TONE_BOLD, answer_text(attempt, "model"));
    table_add(table, TONE_PLAIN, answer_text(attempt, "provider"));
    table_add(table, TONE_PLAIN, answer_text(attempt, "project"));
    add_end(table, attempt);
    add_count(table, usage, input);
    add_count(table, usage, cached);
    add_count(table, usage, answer_int(usage, "output", 0));
    table_add(table, TONE_PLAIN,
              format_brief(text, sizeof(text), answer_int(attempt, "content_ms", -1)));
    table_add(table, TONE_PLAIN,
              format_brief(text, sizeof(text), answer_int(attempt, "total_ms", -1)));
}

static void print_recent(const struct screen *screen, const cJSON *status)
{
    static const struct column columns[] = {
        {"WHEN"},
        {"MODEL", .least = 9},
        {"PROVIDER", .least = 7},
        {"PROJECT", .least = 6},
        {"END", .least = 7},
        {"IN", true},
        {"CACHE", true},
        {"OUT", true},
        {"FIRST", true},
        {"TOTAL", true},
    };
    const cJSON *recent = answer_get(status, "recent"), *attempt;
    struct table table;
    if (cJSON_GetArraySize(recent) == 0) {
        screen_put(screen, TONE_DIM, "  No attempt has been made since the daemon started.");
        end_line(screen);
        return;
    }
    table_init(&table, columns, sizeof(columns) / sizeof(columns[0]), 0);
    cJSON_ArrayForEach(attempt, recent) add_attempt(&table, attempt);
    table_print(&table, screen);
    table_release(&table);
}

/* ---- the command ---- */

static void print_status(const struct screen *screen, const cJSON *status)
{
    print_model(screen, status);
    print_project(screen, status);
    print_addresses(screen, status);
    print_token(screen, status);
    print_daemon(screen, status);
    print_config(screen, status);
    print_vault(screen, status);
    end_line(screen);
    view_providers(screen, answer_get(status, "providers"));
    print_demo_note(screen, status);
}

int command_status(struct invocation *inv)
{
    cJSON *status = NULL;
    bool wants_recent = invocation_has(inv, "recent");
    const char *count = invocation_value(inv, "recent");
    cJSON *params = ask_here(inv);
    if (!params)
        return EXIT_FAILED;
    if (wants_recent)
        cJSON_AddNumberToObject(params, "recent", count ? atoi(count) : RECENT_DEFAULT);
    int r = ask_daemon(inv, METHOD_STATUS, params, &status);
    if (r)
        return r;
    if (ask_printed_json(inv, status))
        ;
    else if (wants_recent)
        print_recent(&inv->screen, status);
    else
        print_status(&inv->screen, status);
    cJSON_Delete(status);
    return EXIT_OK;
}
