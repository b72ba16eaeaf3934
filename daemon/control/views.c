/* See views.h. */
#include "control/views.h"

#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/utf8.h"

/* ---- values ---- */

/* The text with U+FFFD for every byte that is no UTF-8. */
static void repair(struct span text, struct bytes *out)
{
    while (text.len) {
        size_t good = utf8_valid_length(text);
        (void)bytes_add(out, text.at, good); /* the buffer's maximum is three times the text */
        if (good == text.len)
            return;
        (void)bytes_add(out, UTF8_REPLACEMENT, strlen(UTF8_REPLACEMENT));
        text.at += good + 1;
        text.len -= good + 1;
    }
}

cJSON *view_text(const char *text)
{
    if (!text)
        return cJSON_CreateNull();
    struct span span = span_of(text);
    if (utf8_valid_length(span) == span.len)
        return cJSON_CreateString(text);
    CLEANUP(bytes_release) struct bytes repaired = {.max = span.len * 3};
    repair(span, &repaired);
    return cJSON_CreateString(repaired.data ? repaired.data : "");
}

void view_add_text(cJSON *object, const char *name, const char *text)
{
    cJSON_AddItemToObject(object, name, view_text(text));
}

void view_add_text_or_null(cJSON *object, const char *name, const char *text)
{
    view_add_text(object, name, text && text[0] ? text : NULL);
}

void view_add_count(cJSON *object, const char *name, int64_t number)
{
    if (number < 0)
        cJSON_AddNullToObject(object, name);
    else
        cJSON_AddNumberToObject(object, name, (double)number);
}

cJSON *view_texts(const char *const *texts)
{
    cJSON *array = cJSON_CreateArray();
    for (; texts && *texts; texts++)
        cJSON_AddItemToArray(array, view_text(*texts));
    return array;
}

/* ---- projects and models ---- */

int effective_of(struct gateway *gateway, const struct walk *walk, const char *override,
                 struct arena *arena, struct effective *ret, struct err *reterr)
{
    int index;
    struct name name;
    *ret = (struct effective){0};
    int r = gateway_view(gateway, gateway->config, walk, override, arena, &ret->view, &index, &name,
                         reterr);
    if (r < 0 || index < 0)
        return r;
    ret->choice = &ret->view.choices[index];
    if (name.candidate_count) {
        const struct catalogue_model *first =
            &gateway->config->catalogue.models[name.candidates[0]];
        ret->model = first->model;
        ret->provider = first->provider;
    }
    return 0;
}

cJSON *view_project(const struct project_view *project)
{
    cJSON *object = cJSON_CreateObject();
    view_add_text(object, "dir", project->dir);
    view_add_text(object, "name", project->name);
    return object;
}

/* Line 0 is "unknown". */
static void add_line(cJSON *object, const char *name, unsigned line)
{
    view_add_count(object, name, line ? (int64_t)line : -1);
}

void view_add_source(cJSON *object, const struct choice *choice)
{
    view_add_text(object, "source", choice ? choice_source_name(choice->source) : NULL);
    view_add_text(object, "source_file", choice ? choice->file : NULL);
    add_line(object, "source_line", choice ? choice->line : 0);
}

void view_add_effective(cJSON *object, const struct effective *effective)
{
    view_add_text(object, "model", effective->model);
    view_add_text(object, "provider", effective->provider);
    view_add_source(object, effective->choice);
}

static cJSON *view_choice(const struct choice *choice)
{
    cJSON *object = cJSON_CreateObject();
    view_add_text(object, "source", choice_source_name(choice->source));
    view_add_text(object, "dir", choice->dir);
    view_add_text(object, "file", choice->file);
    add_line(object, "line", choice->line);
    view_add_text(object, "model", choice->model);
    cJSON_AddBoolToObject(object, "effective", choice->effective);
    view_add_text(object, "note", choice->note);
    return object;
}

cJSON *view_chain(const struct project_view *project)
{
    cJSON *array = cJSON_CreateArray();
    for (size_t i = 0; i < project->count; i++)
        cJSON_AddItemToArray(array, view_choice(&project->choices[i]));
    return array;
}

/* ---- providers ---- */

cJSON *view_models(const struct provider *provider)
{
    cJSON *array = cJSON_CreateArray();
    for (size_t i = 0; provider && i < provider->model_count; i++)
        cJSON_AddItemToArray(array, view_text(provider->models[i]));
    return array;
}

static bool is_bound(const struct vault_record_info *info, const char *origin)
{
    for (const char *const *bound = info->origins; bound && *bound; bound++)
        if (!strcmp(*bound, origin))
            return true;
    return false;
}

const char *key_state(const struct gateway *gateway, const struct provider *provider)
{
    struct vault_record_info info;
    if (provider->key_mode == KEY_MODE_NONE)
        return "none needed";
    if (vault_is_locked(gateway->vault))
        return "locked";
    if (!vault_info(gateway->vault, provider->key_id, &info))
        return "missing";
    if (info.is_damaged)
        return "corrupt";
    return is_bound(&info, provider->origin) ? "ok" : "not bound";
}

cJSON *view_key(const struct gateway *gateway, const struct provider *provider)
{
    cJSON *object = cJSON_CreateObject();
    struct vault_record_info info = {0};
    bool is_wanted = provider->key_mode == KEY_MODE_VAULT;
    bool is_known = is_wanted && vault_info(gateway->vault, provider->key_id, &info);
    view_add_text(object, "state", key_state(gateway, provider));
    view_add_text(object, "id", is_wanted ? provider->key_id : NULL);
    view_add_text_or_null(object, "last4", is_known ? info.last4 : NULL);
    cJSON_AddItemToObject(object, "origins", view_texts(is_known ? info.origins : NULL));
    return object;
}

/* What is remembered of a provider; unlike gateway_health() it makes no entry. */
static const struct health *find_health(const struct gateway *gateway, const char *provider)
{
    for (size_t i = 0; i < gateway->health_count; i++)
        if (!strncmp(gateway->health[i].name, provider, LEDGER_NAME - 1)) /* longer ones are cut */
            return &gateway->health[i];
    return NULL;
}

static const char *provider_state(const struct health *health)
{
    if (!health || (health->last_ok_ms < 0 && health->last_error_ms < 0))
        return "unknown";
    return health->last_error_kind ? "failing" : "ok";
}

static int64_t ms_ago(const struct gateway *gateway, int64_t then_ms)
{
    return then_ms < 0 ? -1 : loop_now_ms(gateway->loop) - then_ms;
}

void view_add_provider(cJSON *object, const struct gateway *gateway,
                       const struct provider *provider)
{
    const struct health *health = find_health(gateway, provider->name);
    bool is_failing = health && health->last_error_kind;
    view_add_text(object, "name", provider->name);
    view_add_text(object, "type", provider->is_demo ? "demo" : provider->dialect->type);
    view_add_text(object, "url", provider->base_url);
    view_add_text(object, "state", provider_state(health));
    view_add_text_or_null(object, "error", is_failing ? health->last_error : NULL);
    view_add_count(object, "error_ms_ago",
                   is_failing ? ms_ago(gateway, health->last_error_ms) : -1);
    view_add_count(object, "in_flight", health ? health->in_flight : 0);
    view_add_count(object, "last_ok_ms_ago", health ? ms_ago(gateway, health->last_ok_ms) : -1);
}

/* ---- the rest ---- */

static cJSON *view_usage(const struct usage *usage)
{
    cJSON *object = cJSON_CreateObject();
    view_add_text(object, "source", usage_source_name(usage->source));
    view_add_count(object, "input", usage->input);
    view_add_count(object, "cache_read", usage->cache_read);
    view_add_count(object, "cache_write_5m", usage->cache_write_5m);
    view_add_count(object, "cache_write_1h", usage->cache_write_1h);
    view_add_count(object, "output", usage->output);
    view_add_count(object, "reasoning", usage->reasoning);
    return object;
}

cJSON *view_attempt(const struct attempt_record *record)
{
    cJSON *object = cJSON_CreateObject();
    view_add_count(object, "id", (int64_t)record->id);
    view_add_count(object, "exchange", (int64_t)record->exchange);
    view_add_text(object, "provider", record->provider);
    view_add_text_or_null(object, "key_id", record->key_id);
    view_add_text(object, "model", record->model);
    view_add_text(object, "requested", record->requested);
    view_add_text(object, "surface", record->surface);
    view_add_text(object, "project", record->project);
    view_add_text(object, "client", record->client);
    cJSON_AddBoolToObject(object, "stream", record->stream);
    view_add_count(object, "status", record->status);
    view_add_text(object, "end", end_reason_name(record->end));
    view_add_text(object, "error_kind",
                  record->error_kind ? error_row(record->error_kind)->name : NULL);
    view_add_text_or_null(object, "error", record->error);
    view_add_text_or_null(object, "losses", record->losses);
    view_add_count(object, "started_ms", record->started_ms);
    view_add_count(object, "first_byte_ms", record->first_byte_ms);
    view_add_count(object, "content_ms", record->content_ms);
    view_add_count(object, "total_ms", record->total_ms);
    cJSON_AddItemToObject(object, "usage", view_usage(&record->usage));
    return object;
}

cJSON *view_token(const struct token_info *info)
{
    cJSON *object = cJSON_CreateObject();
    view_add_text(object, "id", info->id);
    view_add_text(object, "dir", info->dir);
    view_add_text(object, "override", info->override);
    view_add_text(object, "client", info->client);
    view_add_count(object, "created", info->created_s);
    view_add_count(object, "expires", info->expires_s);
    cJSON_AddBoolToObject(object, "revoked", info->revoked);
    return object;
}

cJSON *view_problem(const struct config_problem *problem)
{
    cJSON *object = cJSON_CreateObject();
    add_line(object, "line", problem->line);
    add_line(object, "column", problem->column);
    view_add_text_or_null(object, "path", problem->path);
    view_add_text(object, "message", problem->message);
    return object;
}
