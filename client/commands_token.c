/* Commands for tools: token, env. */
#include "client/commands.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/answer.h"
#include "client/ask.h"
#include "client/call.h"
#include "client/failure.h"
#include "client/shell.h"

#define EXPIRES_MAX (10LL * 365 * 24 * 3600) /* seconds */

/* ---- token ---- */

/* Seconds of "90", "30m", "8h", "7d"; -1 when it is none of these. */
static int64_t parse_time(const char *text)
{
    static const struct {
        char unit;
        int seconds;
    } units[] = {{'\0', 1}, {'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    char *end;
    long long n = strtoll(text, &end, 10);
    if (end == text || n <= 0 || n > EXPIRES_MAX || (end[0] && end[1]))
        return -1;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (units[i].unit == end[0])
            return n * units[i].seconds <= EXPIRES_MAX ? n * units[i].seconds : -1;
    return -1;
}

/* A day and a minute, or what it means that there is none. */
static const char *format_time(char *out, size_t size, int64_t unix_s, const char *none)
{
    time_t then = (time_t)unix_s;
    struct tm local;
    if (unix_s <= 0 || !localtime_r(&then, &local) ||
        strftime(out, size, "%Y-%m-%d %H:%M", &local) == 0)
        snprintf(out, size, "%s", none);
    return out;
}

static void add_token(struct table *table, const cJSON *token)
{
    char path[512], text[64];
    const char *dir = answer_text(token, "dir");
    int64_t expires = answer_int(token, "expires", 0);
    bool is_over = expires > 0 && expires <= (int64_t)time(NULL);
    table_add(table, TONE_BOLD, answer_text(token, "id"));
    table_add(table, TONE_PLAIN, dir[0] ? format_path(path, sizeof(path), dir) : "global");
    table_add(table, TONE_PLAIN, answer_text(token, "client"));
    table_add(table, TONE_DIM,
              format_time(text, sizeof(text), answer_int(token, "created", 0), "-"));
    if (answer_is(token, "revoked"))
        table_add(table, TONE_WARN, "revoked");
    else if (is_over)
        table_add(table, TONE_WARN, "expired");
    else
        table_add(table, TONE_PLAIN, format_time(text, sizeof(text), expires, "lasting"));
}

static int list_tokens(struct invocation *inv)
{
    static const struct column columns[] = {
        {"ID"},
        {"DIRECTORY", .least = 16, .keeps_end = true},
        {"CLIENT", .least = 8, .drops = 1},
        {"MADE", .drops = 2},
        {"UNTIL"},
    };
    cJSON *result = NULL;
    const cJSON *token;
    struct table table;
    int r = ask_daemon(inv, METHOD_TOKEN_LIST, NULL, &result);
    if (r)
        return r;
    if (!ask_printed_json(inv, result)) {
        table_init(&table, columns, sizeof(columns) / sizeof(columns[0]), 0);
        cJSON_ArrayForEach(token, answer_get(result, "tokens")) add_token(&table, token);
        table_print(&table, &inv->screen);
        table_release(&table);
    }
    cJSON_Delete(result);
    return EXIT_OK;
}

/* The id in a whole token "sk-aictl-ID-MAC", or the text itself. */
static cJSON *id_of_token(const char *text)
{
    static const char prefix[] = "sk-aictl-";
    char id[32];
    if (strncmp(text, prefix, sizeof(prefix) - 1))
        return cJSON_CreateString(text);
    text += sizeof(prefix) - 1;
    snprintf(id, sizeof(id), "%.*s", (int)strcspn(text, "-"), text);
    return cJSON_CreateString(id);
}

static int revoke_token(struct invocation *inv, const char *id)
{
    cJSON *result = NULL;
    struct failure failure;
    cJSON *params = cJSON_CreateObject();
    cJSON_AddItemToObject(params, "id", id_of_token(id));
    if (call_daemon(&inv->paths, METHOD_TOKEN_REVOKE, params, CALL_ANSWER_MS, &result, &failure) <
        0) {
        if (failure.kind == ERR_NOT_FOUND)
            failure_try(&failure, "aictl token --list");
        return failure_report(&failure, inv->json);
    }
    if (!ask_printed_json(inv, result) && !inv->quiet) {
        screen_printf(&inv->screen, TONE_PLAIN, "%s is revoked", answer_text(result, "id"));
        fputc('\n', inv->screen.out);
    }
    cJSON_Delete(result);
    return EXIT_OK;
}

static cJSON *token_params(const struct invocation *inv, int64_t expires_s)
{
    const char *client = invocation_value(inv, "client");
    cJSON *params = ask_here(inv);
    if (params && invocation_has(inv, "global"))
        cJSON_DeleteItemFromObject(params, "dir");
    if (params && client)
        cJSON_AddStringToObject(params, "client", client);
    if (params && expires_s > 0)
        cJSON_AddNumberToObject(params, "expires_s", (double)expires_s);
    return params;
}

static int print_token(struct invocation *inv)
{
    cJSON *result = NULL;
    const char *expires = invocation_value(inv, "expires");
    int64_t expires_s = expires ? parse_time(expires) : 0;
    if (expires_s < 0)
        return usage_error("aictl token --expires 8h",
                           "--expires takes a time such as 30m, 8h, 7d");
    cJSON *params = token_params(inv, expires_s);
    if (!params)
        return EXIT_FAILED;
    int r = ask_daemon(inv, METHOD_TOKEN_GET, params, &result);
    if (r)
        return r;
    if (!ask_printed_json(inv, result)) {
        screen_put(&inv->screen, TONE_PLAIN, answer_text(result, "token"));
        fputc('\n', inv->screen.out);
    }
    cJSON_Delete(result);
    return EXIT_OK;
}

int command_token(struct invocation *inv)
{
    const char *id = invocation_value(inv, "revoke");
    if (invocation_has(inv, "list"))
        return list_tokens(inv);
    return id ? revoke_token(inv, id) : print_token(inv);
}

/* ---- env ---- */

static void print_variables_json(FILE *out, const cJSON *vars)
{
    cJSON *object = cJSON_CreateObject();
    const cJSON *var;
    cJSON_ArrayForEach(var, vars)
        cJSON_AddStringToObject(object, answer_text(var, "name"), answer_text(var, "value"));
    answer_print_json(out, object);
    cJSON_Delete(object);
}

int command_env(struct invocation *inv)
{
    cJSON *result = NULL;
    const cJSON *var;
    const char *shell = invocation_value(inv, "shell");
    if (inv->json)
        shell = "json";
    else if (!shell)
        shell = shell_of_user();
    cJSON *params = ask_here(inv);
    if (!params)
        return EXIT_FAILED;
    int r = ask_daemon(inv, METHOD_ENV_GET, params, &result);
    if (r)
        return r;
    const cJSON *vars = answer_get(result, "vars");
    if (!strcmp(shell, "json"))
        print_variables_json(inv->screen.out, vars);
    else
        cJSON_ArrayForEach(var, vars) shell_print_variable(
            inv->screen.out, shell, answer_text(var, "name"), answer_text(var, "value"));
    cJSON_Delete(result);
    return EXIT_OK;
}
