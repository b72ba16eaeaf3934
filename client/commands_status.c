/* `aictl status`: what is effective here and why, how the providers are, and the last attempts. */
#include "client/commands.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/answer.h"
#include "client/ask.h"
#include "client/failure.h"
#include "client/views.h"

#define RECENT_DEFAULT 10
#define LABEL_WIDTH    11
#define VALUE_COLUMN   (2 + LABEL_WIDTH)
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

/* A value that may be long, broken between words. */
static void paragraph(const struct screen *screen, const char *name, enum tone tone,
                      const char *text)
{
    label(screen, name);
    screen_wrap(screen, tone, VALUE_COLUMN, VALUE_COLUMN, text);
    end_line(screen);
}

/* ---- what is effective ---- */

static void print_model(const struct screen *screen, const cJSON *status)
{
    const char *model = answer_text(status, "model");
    char reason[512];
    label(screen, "Model");
    if (!model[0]) {
        bool has_providers = cJSON_GetArraySize(answer_get(status, "providers")) > 0;
        screen_put(screen, TONE_WARN, "none chosen");
        end_line(screen);
        if (has_providers)
            paragraph(screen, "", TONE_DIM, "aictl switch MODEL (see: aictl models)");
        return;
    }
    screen_put(screen, TONE_BOLD, model);
    screen_printf(screen, TONE_PLAIN, "  via %s", answer_text(status, "provider"));
    end_line(screen);
    paragraph(screen, "", TONE_DIM, view_reason(reason, sizeof(reason), status));
}

/* A path that does not fit stands on a line of its own. */
static void print_project(const struct screen *screen, const cJSON *status)
{
    const cJSON *project = answer_get(status, "project");
    const char *dir = answer_text(project, "dir"), *name = answer_text(project, "name");
    char path[512];
    format_path(path, sizeof(path), dir);
    int width = VALUE_COLUMN + display_width(name) + 2 + display_width(path);
    label(screen, "Project");
    screen_put(screen, TONE_PLAIN, name);
    if (dir[0] && screen->width > 0 && width > screen->width) {
        end_line(screen);
        label(screen, "");
        screen_put(screen, TONE_DIM, path);
    } else if (dir[0]) {
        screen_printf(screen, TONE_DIM, "  %s", path);
    }
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
    bool is_locked = !strcmp(answer_text(status, "vault"), "locked");
    char masked[128];
    label(screen, "Token");
    if (token[0])
        screen_put(screen, TONE_PLAIN, format_masked(masked, sizeof(masked), token));
    else
        screen_put(screen, TONE_DIM,
                   is_locked ? "none without the vault" : "none made yet; aictl token prints one");
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
        paragraph(screen, "", TONE_BAD, error);
        paragraph(screen, "", TONE_DIM,
                  "not used; the last good one still is. See: aictl config check");
    }
}

/* Only a vault that cannot be used is worth a line. */
static void print_vault(const struct screen *screen, const cJSON *status)
{
    const char *vault = answer_text(status, "vault");
    const char *reason = answer_text(status, "vault_reason");
    const char *kind = answer_text(status, "vault_error");
    char text[1024];
    if (!vault[0] || !strcmp(vault, "unlocked"))
        return;
    snprintf(text, sizeof(text), "%s%s%s", vault, reason[0] ? ": " : "", reason);
    paragraph(screen, "Vault", TONE_BAD, text);
    if (kind[0] && error_row(failure_kind(kind))->next)
        paragraph(screen, "", TONE_DIM, error_row(failure_kind(kind))->next);
}

static void print_demo_note(const struct screen *screen, const cJSON *status)
{
    if (!answer_is(status, "demo"))
        return;
    static const char title[] = "  Demo only: ";
    end_line(screen);
    screen_put(screen, TONE_WARN, title);
    screen_wrap(screen, TONE_PLAIN, sizeof(title) - 1, 2,
                "answers are made up on this machine, no provider is asked.");
    fputs("\n  ", screen->out);
    screen_wrap(screen, TONE_DIM, 2, 2,
                "Add a provider: aictl login PROVIDER, or aictl import FILE");
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
        {"provider reset", "reset", TONE_BAD}, {"unreachable", "no link", TONE_BAD},
        {"internal error", "bug", TONE_BAD},
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
    bool is_test = !strcmp(answer_text(attempt, "surface"), "test");
    table_add(table, is_test ? TONE_DIM : TONE_PLAIN,
              is_test ? "(test)" : answer_text(attempt, "project"));
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
        {"PROVIDER", .least = 7, .drops = 1},
        {"PROJECT", .least = 6, .drops = 3},
        {"END", .least = 7},
        {"IN", true},
        {"CACHE", true, .drops = 4},
        {"OUT", true},
        {"FIRST", true, .drops = 2},
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
