/* Commands about models: model, models, switch. */
#include "client/commands.h"

#include <stdlib.h>
#include <string.h>

#include "client/answer.h"
#include "client/ask.h"
#include "client/call.h"
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

/* What made a choice that has neither file nor directory. */
static const char *how_set(const cJSON *choice)
{
    static const char *const ways[][2] = {
        {"override", "$AICTL_OVERRIDE"},
        {"global", "aictl switch -g"},
        {"only", "no other is configured"},
    };
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
        if (!strcmp(answer_text(choice, "source"), ways[i][0]))
            return ways[i][1];
    return "";
}

static void add_choice(struct table *table, const cJSON *choice)
{
    bool is_effective = answer_is(choice, "effective");
    const char *file = answer_text(choice, "file"), *dir = answer_text(choice, "dir");
    const char *model = answer_text(choice, "model");
    int line = (int)answer_int(choice, "line", 0);
    char path[512], place[540];
    format_path(path, sizeof(path), file[0] ? file : dir[0] ? dir : how_set(choice));
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
        {"SOURCE", .drops = 1},
        {"WHERE", .least = 20, .keeps_end = true},
    };
    const cJSON *choice;
    struct table table;
    if (cJSON_GetArraySize(answer_get(result, "chain")) == 0)
        return;
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
        {"PROVIDER", .least = 12},
        {"TYPE", .drops = 1},
        {"ALIASES", .least = 12, .drops = 2},
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
        failure_say(&failure, "no model and no alias has this in its name");
        r = failure_report(&failure, false);
    } else {
        struct failure failure;
        failure_set(&failure, ERR_NO_MODEL, "%s", "");
        failure_say(&failure, "no model is configured");
        failure_try(&failure, "add a provider: aictl login PROVIDER");
        r = failure_report(&failure, false);
    }
    cJSON_Delete(result);
    return r;
}

/* ---- switch ---- */

static void print_arrow(const struct screen *screen, const cJSON *result)
{
    const char *previous = answer_text(result, "previous");
    screen_put(screen, TONE_DIM, " -> ");
    screen_put(screen, TONE_BOLD, answer_text(result, "model"));
    screen_printf(screen, TONE_PLAIN, " via %s", answer_text(result, "provider"));
    if (previous[0])
        screen_printf(screen, TONE_DIM, ", was %s", previous);
}

/* "shop: no choice of its own any more, was glm-4.6" */
static void print_taken_back(const struct screen *screen, const cJSON *result, bool is_global)
{
    const char *previous = answer_text(result, "previous");
    screen_put(screen, TONE_PLAIN,
               is_global ? ": no common choice any more" : ": no choice of its own any more");
    if (previous[0])
        screen_printf(screen, TONE_DIM, ", was %s", previous);
}

/*
 * What is effective in this directory, where that is not what was switched to: nothing was, the
 * project decides otherwise than all projects, or this shell than the project.
 */
static void print_effective(const struct screen *screen, const cJSON *result)
{
    const char *effective = answer_text(result, "effective"), *model = answer_text(result, "model");
    const char *override = getenv("AICTL_OVERRIDE");
    char reason[600], text[1024];
    if (override && override[0])
        snprintf(text, sizeof(text), "this shell stays with %s: AICTL_OVERRIDE is set", override);
    else if (model[0] && (!effective[0] || !strcmp(effective, model)))
        return;
    else if (effective[0])
        snprintf(text, sizeof(text), "effective here: %s, %s", effective,
                 view_reason(reason, sizeof(reason), result));
    else
        snprintf(text, sizeof(text), "no model is effective here: aictl switch MODEL");
    fputs("  ", screen->out);
    screen_wrap(screen, TONE_PLAIN, 2, 2, text);
    fputc('\n', screen->out);
}

/* "shop -> glm-4.6 via bigmodel, was deepseek-chat" */
static void print_change(const struct screen *screen, const cJSON *result)
{
    const char *name = answer_text(answer_get(result, "project"), "name");
    bool is_global = !strcmp(answer_text(result, "scope"), "global");
    screen_put(screen, TONE_PLAIN, is_global ? "all projects" : name);
    if (answer_text(result, "model")[0])
        print_arrow(screen, result);
    else
        print_taken_back(screen, result, is_global);
    fputc('\n', screen->out);
    print_effective(screen, result);
}

/* Going back to nothing is the one failure whose next step the daemon's row cannot know. */
static int switch_failed(const struct invocation *inv, struct failure *failure)
{
    if (failure->kind == ERR_NOT_FOUND) {
        failure_say(failure, failure->detail);
        failure->detail[0] = '\0';
        failure_try(failure, "aictl switch MODEL");
    }
    return failure_report(failure, inv->json);
}

int command_switch(struct invocation *inv)
{
    cJSON *result = NULL;
    struct failure failure;
    cJSON *params = ask_here(inv);
    if (!params)
        return EXIT_FAILED;
    cJSON_DeleteItemFromObject(params, "override"); /* what is switched is not this shell */
    cJSON_AddStringToObject(params, "model", inv->args[0]);
    if (invocation_has(inv, "global"))
        cJSON_AddTrueToObject(params, "global");
    if (call_daemon(&inv->paths, METHOD_MODEL_SWITCH, params, CALL_ANSWER_MS, &result, &failure) <
        0)
        return switch_failed(inv, &failure);
    if (!ask_printed_json(inv, result) && !inv->quiet)
        print_change(&inv->screen, result);
    cJSON_Delete(result);
    return EXIT_OK;
}
