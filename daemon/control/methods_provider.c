/* Methods about providers: provider.list, provider.test. */
#include <stdio.h>

#include "base/log.h"
#include "control/call.h"
#include "control/views.h"

/* ---- provider.list ---- */

static cJSON *view_models(const struct provider *provider)
{
    cJSON *array = cJSON_CreateArray();
    for (size_t i = 0; i < provider->model_count; i++)
        cJSON_AddItemToArray(array, view_text(provider->models[i]));
    return array;
}

int method_PROVIDER_LIST(struct call *call, struct err *reterr)
{
    (void)reterr; /* cannot fail */
    const struct config *config = call->gateway->config;
    call->result = cJSON_CreateObject();
    cJSON *array = cJSON_AddArrayToObject(call->result, "providers");
    for (size_t i = 0; i < config->provider_count; i++) {
        const struct provider *provider = &config->providers[i];
        cJSON *object = cJSON_CreateObject();
        view_add_provider(object, call->gateway, provider);
        view_add_text(object, "origin", provider->origin);
        cJSON_AddItemToObject(object, "key", view_key(call->gateway, provider));
        cJSON_AddItemToObject(object, "models", view_models(provider));
        view_add_text_or_null(object, "description", provider->description);
        cJSON_AddItemToArray(array, object);
    }
    return 0;
}

/* ---- provider.test ---- */

/* Who is asked for what; model NULL is the provider's first. */
struct target {
    const struct provider *provider;
    const char *model;
};

/* The first provider that has a model of this name. */
static int find_by_model(const struct call *call, struct span text, struct target *ret,
                         struct err *reterr)
{
    const struct config *config = call->gateway->config;
    struct name name = name_resolve(&config->catalogue, text);
    if (name.kind != NAME_CONCRETE)
        return err_set(reterr, ERR_MODEL_NOT_FOUND, "%s", log_quote(text, 64));
    const struct catalogue_model *model = &config->catalogue.models[name.candidates[0]];
    *ret = (struct target){&config->providers[model->provider_index], model->model};
    return 0;
}

static int find_effective(struct call *call, struct target *ret, struct err *reterr)
{
    struct effective effective;
    int r = effective_of(call->gateway, call->walk, NULL, &call->arena, &effective, reterr);
    if (r < 0)
        return r;
    if (!effective.model)
        return err_set(reterr, ERR_NO_MODEL, "%s", effective.view.name);
    ret->provider = config_provider(call->gateway->config, span_of(effective.provider));
    ret->model = effective.model;
    return ret->provider ? 0 : err_set(reterr, ERR_INTERNAL, "no provider of %s", ret->model);
}

static int find_target(struct call *call, struct target *ret, struct err *reterr)
{
    const char *provider = call_text(call, "provider"), *model = call_text(call, "model");
    if (!provider && model)
        return find_by_model(call, span_of(model), ret, reterr);
    if (!provider)
        return find_effective(call, ret, reterr);
    *ret = (struct target){config_provider(call->gateway->config, span_of(provider)), model};
    return ret->provider ? 0
                         : err_set(reterr, ERR_PROVIDER_NOT_FOUND,
                                   "no provider %s is configured; see: aictl providers",
                                   log_quote(span_of(provider), 64));
}

static void on_probe(void *ctx, const struct probe_result *result)
{
    struct call *call = ctx;
    const struct err *err = &result->err;
    char text[ERR_DETAIL * 2];
    bool is_ok = err->kind == 0;
    const struct error_row *row = error_row(err->kind);
    (void)snprintf(text, sizeof(text), "%s%s%s", row->text, err->detail[0] ? ": " : "",
                   err->detail);
    call->result = cJSON_CreateObject();
    view_add_text(call->result, "provider", result->provider);
    view_add_text(call->result, "model", result->model);
    cJSON_AddBoolToObject(call->result, "ok", is_ok);
    view_add_count(call->result, "latency_ms", result->latency_ms);
    view_add_count(call->result, "status", result->status ? result->status : -1);
    view_add_text(call->result, "error", is_ok ? NULL : text);
    view_add_text(call->result, "next", is_ok ? NULL : row->next);
    call_finish(call, 0, NULL);
}

static void cancel_probe(struct call *call)
{
    gateway_probe_cancel(call->pending);
}

int method_PROVIDER_TEST(struct call *call, struct err *reterr)
{
    struct target target = {0};
    int r = find_target(call, &target, reterr);
    if (r < 0)
        return r;
    call->pending = gateway_probe(call->gateway, target.provider, target.model, on_probe, call);
    call->on_cancel = cancel_probe;
    return CALL_PENDING;
}
