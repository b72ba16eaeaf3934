/* Methods about providers: provider.list, provider.test. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "control/call.h"
#include "control/views.h"

/* ---- provider.list ---- */

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
    cJSON_AddItemToObject(call->result, "known", view_texts(known_provider_names()));
    return 0;
}

/* ---- provider.test ---- */

/* Who is asked for what. */
struct target {
    const struct provider *provider;
    const char *model;
};

/* One test under way. Freed when its timer is closed. */
struct test {
    struct call *call;
    struct gateway_probe *probe;
    struct timer deadline; /* a provider may stay silent for minutes: nobody waits that long */
    const char *provider,
        *model; /* in the call's arena: the snapshot may go before the test does */
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

static int find_named(const struct call *call, const char *provider, struct target *ret,
                      struct err *reterr)
{
    const char *model = call_text(call, "model");
    ret->provider = config_provider(call->gateway->config, span_of(provider));
    if (!ret->provider)
        return err_set(reterr, ERR_PROVIDER_NOT_FOUND, "%s", log_quote(span_of(provider), 64));
    if (!model && ret->provider->model_count == 0)
        return err_set(reterr, ERR_BAD_PARAMS,
                       "provider %s lists no models: name a model to ask for",
                       log_quote(span_of(provider), 64));
    ret->model = model ? model : ret->provider->models[0];
    return 0;
}

static int find_target(struct call *call, struct target *ret, struct err *reterr)
{
    const char *provider = call_text(call, "provider"), *model = call_text(call, "model");
    if (provider)
        return find_named(call, provider, ret, reterr);
    return model ? find_by_model(call, span_of(model), ret, reterr)
                 : find_effective(call, ret, reterr);
}

static void on_timer_closed(struct timer *timer)
{
    free(timer->owner);
}

static void test_close(struct test *test)
{
    if (test->probe)
        gateway_probe_cancel(test->probe);
    test->probe = NULL;
    timer_close(&test->deadline, on_timer_closed);
}

/* The step to try, for this provider: "enter a valid one: aictl login glm". */
static void add_next(cJSON *result, const char *next, const char *provider)
{
    static const char place[] = "PROVIDER";
    const char *at = next ? strstr(next, place) : NULL;
    char text[512];
    if (at)
        (void)snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - next), next, provider,
                       at + sizeof(place) - 1); /* cut is fine */
    view_add_text(result, "next", at ? text : next);
}

/* The end of the call; the test is closed. */
static void tell(struct test *test, const struct probe_result *found)
{
    struct call *call = test->call;
    const struct err *err = &found->err;
    const struct error_row *row = err->kind ? error_row(err->kind) : NULL;
    char text[ERR_DETAIL * 2] = "";
    if (row)
        (void)snprintf(text, sizeof(text), "%s%s%s", row->text, err->detail[0] ? ": " : "",
                       err->detail);
    cJSON *result = call->result = cJSON_CreateObject();
    view_add_text(result, "provider", test->provider);
    view_add_text(result, "model", test->model);
    cJSON_AddBoolToObject(result, "ok", !row);
    view_add_count(result, "latency_ms", found->latency_ms);
    view_add_count(result, "status", found->status ? found->status : -1);
    view_add_text(result, "kind", row ? row->name : NULL);
    view_add_text_or_null(result, "error", text);
    add_next(result, row ? row->next : NULL, test->provider);
    test_close(test);
    call_finish(call, 0, NULL);
}

static void on_probe(void *ctx, const struct probe_result *found)
{
    struct test *test = ctx;
    test->probe = NULL;
    tell(test, found);
}

static void on_deadline(struct timer *timer)
{
    struct test *test = timer->owner;
    int64_t ms = test->call->test_ms;
    struct probe_result found = {.latency_ms = ms};
    (void)err_set(&found.err, ERR_PROVIDER_TIMEOUT, "%s has not answered within %lld s",
                  test->provider, (long long)(ms + 999) / 1000);
    tell(test, &found);
}

static void cancel_test(struct call *call)
{
    test_close(call->pending);
}

int method_PROVIDER_TEST(struct call *call, struct err *reterr)
{
    struct target target = {0};
    int r = find_target(call, &target, reterr);
    if (r < 0)
        return r;
    struct test *test = calloc(1, sizeof(*test));
    if (!test)
        abort();
    test->call = call;
    test->provider = arena_copy(&call->arena, span_of(target.provider->name));
    test->model = arena_copy(&call->arena, span_of(target.model));
    timer_open(&test->deadline, call->gateway->loop, on_deadline);
    test->deadline.owner = test;
    timer_start(&test->deadline, call->test_ms);
    test->probe = gateway_probe(call->gateway, target.provider, target.model, on_probe, test);
    call->pending = test;
    call->on_cancel = cancel_test;
    return CALL_PENDING;
}
