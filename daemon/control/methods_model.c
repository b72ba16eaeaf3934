/* Methods about models: model.get, model.list, model.switch. */
#include <stdlib.h>
#include <strings.h>

#include "base/log.h"
#include "base/own.h"
#include "control/call.h"
#include "control/views.h"

/* ---- model.get ---- */

int method_MODEL_GET(struct call *call, struct err *reterr)
{
    struct effective effective;
    int r = effective_of(call->gateway, call->walk, call_text(call, "override"), &call->arena,
                         &effective, reterr);
    if (r < 0)
        return r;
    call->result = cJSON_CreateObject();
    view_add_effective(call->result, &effective);
    cJSON_AddItemToObject(call->result, "project", view_project(&effective.view));
    if (call_flag(call, "explain"))
        cJSON_AddItemToObject(call->result, "chain", view_chain(&effective.view));
    return 0;
}

/* ---- model.list: one entry for each name, with the providers that have it ---- */

static int compare_models(const void *a, const void *b)
{
    const struct catalogue_model *const *left = a, *const *right = b;
    int order = strcasecmp((*left)->model, (*right)->model);
    if (order)
        return order;
    return (*left)->provider_index < (*right)->provider_index ? -1 : 1;
}

/* The catalogue by name; NULL when it is empty or the arena is full. */
static const struct catalogue_model **sort_models(const struct catalogue *catalogue,
                                                  struct arena *arena)
{
    size_t count = catalogue->model_count;
    const struct catalogue_model **sorted = arena_alloc(arena, count * sizeof(*sorted));
    for (size_t i = 0; sorted && i < count; i++)
        sorted[i] = &catalogue->models[i];
    if (sorted)
        qsort(sorted, count, sizeof(*sorted), compare_models);
    return sorted;
}

/* Aliases that come to this model, with or without a provider. */
static cJSON *aliases_of(const struct catalogue *catalogue, const char *model)
{
    cJSON *array = cJSON_CreateArray();
    for (size_t i = 0; i < catalogue->alias_count; i++) {
        struct name name = name_resolve(catalogue, span_of(catalogue->aliases[i].name));
        if (name.kind == NAME_CONCRETE &&
            !strcasecmp(catalogue->models[name.candidates[0]].model, model))
            cJSON_AddItemToArray(array, view_text(catalogue->aliases[i].name));
    }
    return array;
}

static bool has_match(const cJSON *texts, const char *pattern)
{
    const cJSON *text;
    cJSON_ArrayForEach(text, texts) if (strcasestr(text->valuestring, pattern)) return true;
    return false;
}

/* The entry of `count` rows that have the same name. */
static cJSON *view_model(const struct config *config, const struct catalogue_model *const *rows,
                         size_t count)
{
    cJSON *object = cJSON_CreateObject();
    view_add_text(object, "id", rows[0]->model);
    cJSON *providers = cJSON_AddArrayToObject(object, "providers");
    cJSON *types = cJSON_AddArrayToObject(object, "types");
    for (size_t i = 0; i < count; i++) {
        const struct provider *provider = &config->providers[rows[i]->provider_index];
        const char *type = provider->is_demo ? "demo" : provider->dialect->type;
        cJSON_AddItemToArray(providers, view_text(provider->name));
        if (!has_match(types, type))
            cJSON_AddItemToArray(types, view_text(type));
    }
    cJSON_AddItemToObject(object, "aliases", aliases_of(&config->catalogue, rows[0]->model));
    return object;
}

int method_MODEL_LIST(struct call *call, struct err *reterr)
{
    const struct config *config = call->gateway->config;
    const struct catalogue *catalogue = &config->catalogue;
    const char *pattern = call_text(call, "pattern");
    const struct catalogue_model **rows = sort_models(catalogue, &call->arena);
    if (!rows && catalogue->model_count)
        return err_set(reterr, ERR_TOO_LARGE, "%zu models", catalogue->model_count);
    call->result = cJSON_CreateObject();
    cJSON *models = cJSON_AddArrayToObject(call->result, "models");
    for (size_t i = 0, n; i < catalogue->model_count; i += n) {
        for (n = 1; i + n < catalogue->model_count; n++)
            if (strcasecmp(rows[i]->model, rows[i + n]->model))
                break;
        cJSON *entry = view_model(config, rows + i, n);
        bool is_wanted = !pattern || strcasestr(rows[i]->model, pattern) ||
                         has_match(cJSON_GetObjectItemCaseSensitive(entry, "aliases"), pattern);
        if (is_wanted)
            cJSON_AddItemToArray(models, entry);
        else
            cJSON_Delete(entry);
    }
    return 0;
}

/* ---- model.switch ---- */

/* What is pinned where. */
struct change {
    const char *dir;                     /* NULL: the global pin */
    const char *asked;                   /* the name as written, or the pin before; NULL: no pin */
    const struct catalogue_model *model; /* NULL: no pin */
};

static bool is_remembered(const struct projects *projects, const char *dir)
{
    return projects_pinned(projects, dir) || projects_previous(projects, dir);
}

/*
 * Where "-" acts: at the project; but when that is only the directory we stand in, at the pin that
 * made a directory above it the project until "-" took the pin away.
 */
static void find_place(const struct call *call, struct change *change)
{
    const struct projects *projects = call->gateway->projects;
    const struct walk *walk = call->walk;
    if (!change->dir || is_remembered(projects, change->dir))
        return;
    for (size_t i = 0; i < walk->dir_count && !walk->dirs[i].is_marked; i++)
        if (is_remembered(projects, walk->dirs[i].path)) {
            change->dir = walk->dirs[i].path;
            return;
        }
}

/* "-" is what was before: another model, or no choice at all. */
static int go_back(struct call *call, struct change *change, struct err *reterr)
{
    const struct projects *projects = call->gateway->projects;
    find_place(call, change);
    const char *previous = projects_previous(projects, change->dir);
    if (!previous && !projects_pinned(projects, change->dir))
        return err_set(reterr, ERR_NOT_FOUND, "there is no earlier choice to go back to");
    change->asked = previous ? arena_copy(&call->arena, span_of(previous)) : NULL;
    return previous && !change->asked ? -ERR_TOO_LARGE : 0;
}

static int suggest(const struct catalogue *catalogue, struct span asked, struct err *reterr)
{
    CLEANUP(bytes_release) struct bytes suggestion = {.max = 512};
    if (catalogue->model_count == 0)
        return err_set(reterr, ERR_MODEL_NOT_FOUND,
                       "%s: there are no models yet; add a provider: aictl login PROVIDER",
                       log_quote(asked, 64));
    name_suggest(catalogue, asked, &suggestion);
    return err_set(reterr, ERR_MODEL_NOT_FOUND, "%s: %s", log_quote(asked, 64),
                   suggestion.data ? suggestion.data : "");
}

static int find_model(const struct call *call, struct change *change, struct err *reterr)
{
    const struct catalogue *catalogue = &call->gateway->config->catalogue;
    struct span asked = span_of(change->asked);
    struct name name = name_resolve(catalogue, asked);
    if (name.kind == NAME_CONCRETE) {
        change->model = &catalogue->models[name.candidates[0]];
        return 0;
    }
    if (name.kind == NAME_STANDING)
        return err_set(reterr, ERR_MODEL_NOT_FOUND, "%s stands for the model chosen here; name one",
                       log_quote(asked, 64));
    return suggest(catalogue, asked, reterr);
}

/*
 * The name to be kept: as it is configured, so that a pin reads the same whoever wrote it; but a
 * provider/model or an alias stays as it was asked for, since it says more. NULL: no pin.
 */
static const char *spelling(const struct change *change)
{
    if (!change->asked)
        return NULL;
    return strcasecmp(change->asked, change->model->model) ? change->asked : change->model->model;
}

static int decide(struct call *call, const struct effective *before, struct change *change,
                  struct err *reterr)
{
    bool is_global = call_flag(call, "global");
    int r = 0;
    if (!is_global && !call->walk)
        return err_set(reterr, ERR_BAD_PARAMS, "model.switch: dir is needed unless global is true");
    change->dir = is_global ? NULL : before->view.dir;
    change->asked = call_text(call, "model");
    if (!strcmp(change->asked, "-"))
        r = go_back(call, change, reterr);
    return r < 0 || !change->asked ? r : find_model(call, change, reterr);
}

static void add_change(cJSON *result, const struct change *change, const struct effective *before,
                       const struct effective *after)
{
    static const struct project_view global = {.name = "global"};
    /* a project that is one by its pin only is none any more without it */
    const struct project_view *project = change->model ? &after->view : &before->view;
    view_add_text(result, "model", change->model ? change->model->model : NULL);
    view_add_text(result, "provider", change->model ? change->model->provider : NULL);
    view_add_text(result, "previous", before->model);
    view_add_text(result, "scope", change->dir ? "project" : "global");
    cJSON_AddItemToObject(result, "project", view_project(change->dir ? project : &global));
    view_add_text(result, "effective", after->model);
    view_add_source(result, after->choice);
}

int method_MODEL_SWITCH(struct call *call, struct err *reterr)
{
    struct gateway *gateway = call->gateway;
    struct effective before, after;
    struct change change = {0};
    const struct walk *scope = call_flag(call, "global") ? NULL : call->walk;
    int r = effective_of(gateway, scope, NULL, &call->arena, &before, reterr);
    if (r == 0)
        r = decide(call, &before, &change, reterr);
    if (r == 0)
        r = projects_pin(gateway->projects, change.dir, spelling(&change), reterr);
    if (r < 0)
        return r;
    project_cache_forget(gateway->project_cache, change.dir);
    gateway_announce(gateway);
    r = effective_of(gateway, call->walk, NULL, &call->arena, &after, reterr);
    if (r < 0)
        return r;
    call->result = cJSON_CreateObject();
    add_change(call->result, &change, &before, &after);
    return 0;
}
