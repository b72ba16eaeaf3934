/*
 * Methods about config.json: config.check, config.import.
 *
 * An import parses its text three times: to check it and see whose keys stand in it, to check what
 * config.json becomes, and to put the keys into the vault. So no key is ever copied to a list, and
 * nothing is stored of a text that turns out to be wrong.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/own.h"
#include "control/call.h"
#include "control/config_change.h"
#include "control/views.h"

#define TEXT_MODE 0600 /* a text that came over the socket is readable by nobody else */

DEFINE_CLEANUP(unref_config, struct config, config_unref)

/* ---- config.check ---- */

static void add_problems(cJSON *result, const struct config_problems *problems)
{
    cJSON *errors = cJSON_AddArrayToObject(result, "errors");
    cJSON *warnings = cJSON_AddArrayToObject(result, "warnings");
    for (size_t i = 0; i < problems->count; i++) {
        const struct config_problem *problem = &problems->list[i];
        cJSON_AddItemToArray(problem->is_warning ? warnings : errors, view_problem(problem));
    }
}

int method_CONFIG_CHECK(struct call *call, struct err *reterr)
{
    CLEANUP(unref_config) struct config *config = NULL;
    struct config_problems problems = {0};
    const char *text = call_text(call, "text"), *file = call_text(call, "file");
    int r = text ? config_parse(span_of(text), file ? file : "config.json", TEXT_MODE, NULL, NULL,
                                &config, &problems, reterr)
                 : config_load(call->hooks->config_file, NULL, NULL, &config, &problems, reterr);
    if (r < 0 && problems.count == 0)
        return r; /* it could not even be read */
    call->result = cJSON_CreateObject();
    cJSON_AddBoolToObject(call->result, "ok", r == 0);
    add_problems(call->result, &problems);
    view_add_count(call->result, "providers", config ? (int64_t)config->provider_count : 0);
    view_add_count(call->result, "models", config ? (int64_t)config->catalogue.model_count : 0);
    return 0;
}

/* ---- config.import ---- */

struct import {
    struct call *call;
    struct span text;
    const char *file;
    struct config *config;           /* of the imported text */
    struct config_problems problems; /* of the last parse */
    struct config_change change;
    cJSON *added, *updated, *keys, *warnings; /* lists of the result */
    struct err err;                           /* of the first key that could not be stored */
};

static void import_release(struct import *import)
{
    config_change_release(&import->change);
    import->config = config_unref(import->config);
}

static int parse(struct import *import, config_key_fn key_fn, struct config **ret,
                 struct err *reterr)
{
    import->problems = (struct config_problems){0};
    return config_parse(import->text, import->file, TEXT_MODE, key_fn, import, ret,
                        &import->problems, reterr);
}

/* A key stands in the text: only whose it is gets noted here. */
static void on_key_found(void *ctx, const char *provider, const char *origin, struct span key)
{
    struct import *import = ctx;
    (void)origin;
    (void)key;
    cJSON_AddItemToArray(import->keys, view_text(provider));
}

/* True when the vault has this key already, for this origin. */
static bool is_stored(const struct vault *vault, const char *id, const char *origin,
                      struct span key)
{
    struct vault_record_info info;
    if (!vault_holds(vault, id, key) || !vault_info(vault, id, &info))
        return false;
    for (const char *const *bound = info.origins; bound && *bound; bound++)
        if (!strcmp(*bound, origin))
            return true;
    return false;
}

static void on_key_to_store(void *ctx, const char *provider, const char *origin, struct span key)
{
    struct import *import = ctx;
    struct vault *vault = import->call->gateway->vault;
    if (import->err.kind == 0 && !is_stored(vault, provider, origin, key))
        (void)vault_put(vault, provider, key, &origin, 1, loop_wall_ms() / 1000,
                        &import->err); /* looked at when the parse is over */
}

__attribute__((format(printf, 2, 3))) static void warn(struct import *import, const char *format,
                                                       ...)
{
    char text[ERR_DETAIL];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args); /* cut is fine */
    va_end(args);
    cJSON_AddItemToArray(import->warnings, view_text(text));
}

static struct provider_row row_of(const struct provider *provider)
{
    return (struct provider_row){
        .name = provider->name,
        .type = provider->is_demo ? "demo" : provider->dialect->type,
        .base_url = provider->is_demo ? NULL : provider->base_url, /* inside the daemon */
        .description = provider->description,
        .models = provider->models,
        .model_count = provider->model_count,
        .has_key = provider->key_mode == KEY_MODE_VAULT,
    };
}

static bool is_listed(const char *const *models, size_t count, const char *model)
{
    for (size_t i = 0; i < count; i++)
        if (!strcasecmp(models[i], model))
            return true;
    return false;
}

/* The models the row has already stay, since aliases and pins may name them; new ones follow. */
static int add_models(struct import *import, const struct provider *existing,
                      struct provider_row *row, struct err *reterr)
{
    size_t count = 0, most = existing->model_count + row->model_count;
    const char **models = arena_alloc(&import->call->arena, (most + 1) * sizeof(*models));
    if (!models)
        return err_set(reterr, ERR_TOO_LARGE, "%s: %zu models", row->name, most);
    for (; count < existing->model_count; count++)
        models[count] = existing->models[count];
    for (size_t i = 0; i < row->model_count; i++)
        if (!is_listed(models, count, row->models[i]))
            models[count++] = row->models[i];
    row->models = models;
    row->model_count = count;
    return 0;
}

/* One provider into the config.json there is. */
static int merge_provider(struct import *import, const struct provider *provider,
                          struct err *reterr)
{
    struct provider_row row = row_of(provider);
    bool has_key = provider->key_mode == KEY_MODE_VAULT;
    const struct provider *existing =
        config_provider(import->call->gateway->config, span_of(provider->name));
    int r = existing ? add_models(import, existing, &row, reterr) : 0;
    if (r == 0)
        r = config_change_provider(&import->change, &row, reterr);
    if (r == 0 && has_key)
        r = config_change_key(&import->change, provider->name, reterr);
    if (r < 0)
        return r;
    cJSON_AddItemToArray(existing ? import->updated : import->added, view_text(provider->name));
    if (has_key && strcasecmp(provider->key_id, provider->name))
        warn(import, "%s: its key is now looked for under its own name in the vault",
             provider->name);
    return 0;
}

static int merge(struct import *import, struct err *reterr)
{
    for (size_t i = 0; i < import->config->provider_count; i++) {
        int r = merge_provider(import, &import->config->providers[i], reterr);
        if (r < 0)
            return r;
    }
    if (import->config->default_model)
        warn(import,
             "defaultModel, aliases and globalSettings were not taken over, config.json keeps its "
             "own; for the same default: aictl switch -g %s",
             import->config->default_model);
    return 0;
}

/* There is no config.json yet: the text becomes it, with references instead of keys. */
static int adopt(struct import *import, struct err *reterr)
{
    int r = config_change_set(&import->change, import->text, reterr);
    const cJSON *name;
    cJSON_ArrayForEach(name, import->keys)
    {
        if (r == 0)
            r = config_change_key(&import->change, name->valuestring, reterr);
    }
    for (size_t i = 0; i < import->config->provider_count; i++)
        cJSON_AddItemToArray(import->added, view_text(import->config->providers[i].name));
    return r;
}

static int store_keys(struct import *import, struct err *reterr)
{
    CLEANUP(unref_config) struct config *again = NULL;
    if (cJSON_GetArraySize(import->keys) == 0)
        return 0;
    int r = parse(import, on_key_to_store, &again, reterr);
    if (r == 0 && import->err.kind)
        r = err_set(reterr, import->err.kind, "%s", import->err.detail);
    return r;
}

/* What is odd about the text, but for its plain keys: an import is what moves them. */
static void add_warnings(struct import *import)
{
    for (size_t i = 0; i < import->problems.count; i++) {
        const struct config_problem *problem = &import->problems.list[i];
        const char *member = strrchr(problem->path, '.');
        if (problem->is_warning && !(member && !strcmp(member, ".apiKey")))
            warn(import, "%s:%u:%u: %s%s%s", import->file, problem->line, problem->column,
                 problem->path, problem->path[0] ? ": " : "", problem->message);
    }
}

static int run(struct import *import, struct err *reterr)
{
    int r = parse(import, on_key_found, &import->config, reterr);
    if (r < 0)
        return r;
    if (import->config->is_built_in)
        return err_set(reterr, ERR_CONFIG_INVALID, "%s: there is no provider in it", import->file);
    add_warnings(import);
    r = config_change_open(&import->change, import->call->hooks, reterr);
    if (r == 0)
        r = import->change.exists ? merge(import, reterr) : adopt(import, reterr);
    if (r == 0)
        r = config_change_check(&import->change, reterr);
    if (r == 0)
        r = store_keys(import, reterr);
    if (r == 0)
        r = config_change_commit(&import->change, reterr);
    return r;
}

int method_CONFIG_IMPORT(struct call *call, struct err *reterr)
{
    cJSON *result = call->result = cJSON_CreateObject();
    CLEANUP(import_release)
    struct import import = {
        .call = call,
        .text = span_of(call_text(call, "text")),
        .file = call_text(call, "file"),
        .added = cJSON_AddArrayToObject(result, "added"),
        .updated = cJSON_AddArrayToObject(result, "updated"),
        .keys = cJSON_AddArrayToObject(result, "keys"),
        .warnings = cJSON_AddArrayToObject(result, "warnings"),
    };
    int r = run(&import, reterr);
    if (r < 0)
        return r;
    view_add_text(result, "config", import.change.path);
    fetch_pool_forget(call->gateway->fetch);
    return 0;
}
