/* Commands about models: model, models, switch. */
#include "client/commands.h"

#include <string.h>

#include "client/answer.h"
#include "client/ask.h"
#include "client/failure.h"
#include "client/views.h"

/* ---- model ---- */

/* Why a choice does not count: on a line of its own, so that neither it nor the place is cut. */
static void add_note(struct table *table, const char *note)
{
    for (int column = 0; column < 3; column++)
        table_add(table, TONE_PLAIN, "");
    table_add(table, TONE_WARN, note);
}

static void add_choice(struct table *table, const cJSON *choice)
{
    bool is_effective = answer_is(choice, "effective");
    const char *file = answer_text(choice, "file"), *dir = answer_text(choice, "dir");
    const char *model = answer_text(choice, "model");
    int line = (int)answer_int(choice, "line", 0);
    char path[512], place[540];
    format_path(path, sizeof(path), file[0] ? file : dir);
    if (file[0] && line > 0)
        snprintf(place, sizeof(place), "%s:%d", path, line);
    else
        snprintf(place, sizeof(place), "%s", path);
    table_add(table, TONE_GOOD, is_effective ? "=>" : "");
    table_add(table, is_effective ? TONE_BOLD : TONE_PLAIN, model[0] ? model : "-");
    table_add(table, TONE_PLAIN, answer_text(choice, "source"));
    table_add(table, TONE_DIM, place);
    if (answer_text(choice, "note")[0])
        add_note(table, answer_text(choice, "note"));
}

static void print_chain(const struct screen *screen, const cJSON *result)
{
    static const struct column columns[] = {
        {""},
        {"MODEL", .least = 12},
        {"SOURCE"},
        {"WHERE", .least = 20, .keeps_end = true},
    };
    const cJSON *choice;
    struct table table;
    table_init(&table, columns, sizeof(columns) / sizeof(columns[0]), 0);
    cJSON_ArrayForEach(choice, answer_get(result, "chain")) add_choice(&table, choice);
    table_print(&table, screen);
    table_release(&table);
}

static int no_model(const struct invocation *inv)
{
    struct failure failure;
    failure_set(&failure, ERR_NO_MODEL, "%s", "");
    return failure_report(&failure, inv->json);
}

int command_model(struct invocation *inv)
{
    cJSON *result = NULL;
    bool explain = invocation_has(inv, "explain");
    cJSON *params = ask_here(inv);
    if (!params)
        return EXIT_FAILED;
    if (explain)
        cJSON_AddTrueToObject(params, "explain");
    int r = ask_daemon(inv, METHOD_MODEL_GET, params, &result);
    if (r)
        return r;
    const char *model = answer_text(result, "model");
    if (ask_printed_json(inv, result))
        ;
    else if (explain)
        print_chain(&inv->screen, result);
    else if (model[0]) {
        screen_put(&inv->screen, TONE_PLAIN, model);
        fputc('\n', inv->screen.out);
    }
    r = model[0] || inv->json ? EXIT_OK : no_model(inv);
    cJSON_Delete(result);
    return r;
}

/* ---- models ---- */

static void print_models(const struct screen *screen, const cJSON *result)
{
    static const struct column columns[] = {
        {"MODEL", .least = 20},
        {"PROVIDER", .least = 16},
        {"TYPE"},
        {"ALIASES", .least = 12},
    };
    const cJSON *model;
    struct table table;
    char text[512];
    table_init(&table, columns, sizeof(columns) / sizeof(columns[0]), 0);
    cJSON_ArrayForEach(model, answer_get(result, "models"))
    {
        table_add(&table, TONE_BOLD, answer_text(model, "id"));
        table_add(&table, TONE_PLAIN,
                  answer_join(text, sizeof(text), answer_get(model, "providers")));
        table_add(&table, TONE_DIM, answer_join(text, sizeof(text), answer_get(model, "types")));
        table_add(&table, TONE_ACCENT,
                  answer_join(text, sizeof(text), answer_get(model, "aliases")));
    }
    table_print(&table, screen);
    table_release(&table);
}

int command_models(struct invocation *inv)
{
    cJSON *result = NULL;
    const char *pattern = inv->args[0];
    cJSON *params = cJSON_CreateObject();
    if (pattern)
        cJSON_AddStringToObject(params, "pattern", pattern);
    int r = ask_daemon(inv, METHOD_MODEL_LIST, params, &result);
    if (r)
        return r;
    bool is_empty = cJSON_GetArraySize(answer_get(result, "models")) == 0;
    if (ask_printed_json(inv, result))
        ;
    else if (!is_empty)
        print_models(&inv->screen, result);
    else if (pattern) {
        struct failure failure;
        failure_set(&failure, ERR_MODEL_NOT_FOUND, "%s", pattern);
        r = failure_report(&failure, false);
    } else {
        r = no_model(inv);
    }
    cJSON_Delete(result);
    return r;
}

/* ---- switch ---- */

/* "shop -> glm-4.6 (bigmodel), was deepseek-chat" */
static void print_change(const struct screen *screen, const cJSON *result)
{
    const char *previous = answer_text(result, "previous");
    const char *name = answer_text(answer_get(result, "project"), "name");
    bool is_global = !strcmp(answer_text(result, "scope"), "global");
    screen_put(screen, TONE_PLAIN, is_global ? "all projects" : name);
    screen_put(screen, TONE_DIM, " -> ");
    screen_put(screen, TONE_BOLD, answer_text(result, "model"));
    screen_printf(screen, TONE_PLAIN, " via %s", answer_text(result, "provider"));
    if (previous[0])
        screen_printf(screen, TONE_DIM, ", was %s", previous);
    fputc('\n', screen->out);
}

int command_switch(struct invocation *inv)
{
    cJSON *result = NULL;
    cJSON *params = ask_here(inv);
    if (!params)
        return EXIT_FAILED;
    cJSON_DeleteItemFromObject(params, "override"); /* what is switched is not this shell */
    cJSON_AddStringToObject(params, "model", inv->args[0]);
    if (invocation_has(inv, "global"))
        cJSON_AddTrueToObject(params, "global");
    int r = ask_daemon(inv, METHOD_MODEL_SWITCH, params, &result);
    if (r)
        return r;
    if (!ask_printed_json(inv, result) && !inv->quiet)
        print_change(&inv->screen, result);
    cJSON_Delete(result);
    return EXIT_OK;
}
