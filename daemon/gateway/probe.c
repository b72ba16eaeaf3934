/* `aictl test`: one small completion, as an attempt like any other; see gateway.h. */
#include <stdio.h>
#include <stdlib.h>

#include "base/own.h"
#include "gateway/attempt.h"

struct gateway_probe {
    struct gateway *gateway;
    struct config *config;
    struct arena arena;
    struct bytes body;
    struct request_view view;
    struct attempt *attempt;
    struct later failed; /* it could not even start: told on the next turn */
    struct err err;
    const struct provider *provider;
    const char *model;
    int64_t started_us;
    void (*fn)(void *ctx, const struct probe_result *result);
    void *ctx;
};

static void probe_free(struct gateway_probe *probe)
{
    later_cancel(&probe->failed);
    bytes_release(&probe->body);
    arena_release(&probe->arena);
    config_unref(probe->config);
    free(probe);
}

static void tell(struct gateway_probe *probe, int status, const struct err *err)
{
    struct probe_result result = {
        .provider = probe->provider->name,
        .model = probe->model,
        .status = status,
        .latency_ms = (loop_clock_us() - probe->started_us) / 1000,
        .err = *err,
    };
    probe->fn(probe->ctx, &result);
    probe_free(probe);
}

static void on_output(void *ctx, struct span bytes, bool has_content)
{
    (void)ctx; /* no stream was asked for: none comes */
    (void)bytes;
    (void)has_content;
}

static void on_end(void *ctx, const struct attempt_result *result)
{
    struct gateway_probe *probe = ctx;
    probe->attempt = NULL;
    tell(probe, result->status, &result->err);
}

static void on_failed(struct later *later)
{
    struct gateway_probe *probe = container_of(later, struct gateway_probe, failed);
    struct err err = probe->err;
    tell(probe, 0, &err);
}

/* The same fields are understood by both dialects' whole requests. */
static int write_body(struct gateway_probe *probe)
{
    int r = bytes_addf(&probe->body, "{\"model\":");
    if (r == 0)
        r = json_add_string(&probe->body, span_of(probe->model));
    return r < 0 ? r
                 : bytes_addf(&probe->body, ",\"max_tokens\":16,\"messages\":[{\"role\":\"user\","
                                            "\"content\":\"Say ok.\"}]}");
}

static int start(struct gateway_probe *probe)
{
    static const struct attempt_events events = {on_output, on_end};
    const struct dialect *dialect = probe->provider->dialect;
    struct attempt_plan plan = {
        .config = probe->config,
        .provider = probe->provider,
        .dialect = dialect,
        .surface = dialect,
        .model = span_of(probe->model),
        .view = &probe->view,
        .record = {.exchange = ++probe->gateway->next_exchange,
                   .surface = "test",
                   .client = "aictl"},
    };
    int r = write_body(probe);
    if (r == 0)
        r = dialect->read_request(bytes_span(&probe->body), &probe->arena, &probe->view,
                                  &probe->err);
    if (r < 0)
        return r;
    probe->attempt = attempt_start(probe->gateway, &plan, &events, probe, &probe->err);
    return probe->attempt ? 0 : -probe->err.kind;
}

struct gateway_probe *gateway_probe(struct gateway *gateway, const struct provider *provider,
                                    const char *model,
                                    void (*fn)(void *ctx, const struct probe_result *result),
                                    void *ctx)
{
    struct gateway_probe *probe = calloc(1, sizeof(*probe));
    if (!probe)
        abort();
    probe->gateway = gateway;
    probe->config = config_ref(gateway->config);
    probe->provider = provider;
    probe->body.max = 4096;
    probe->started_us = loop_clock_us();
    probe->fn = fn;
    probe->ctx = ctx;
    arena_init(&probe->arena, 65536);
    const char *first = provider->model_count ? provider->models[0] : "";
    probe->model = arena_copy(&probe->arena, span_of(model ? model : first));
    if (start(probe) < 0)
        loop_later(gateway->loop, &probe->failed, on_failed);
    return probe;
}

void gateway_probe_cancel(struct gateway_probe *probe)
{
    if (probe->attempt)
        attempt_cancel(TAKE(probe->attempt), END_CLIENT_GONE);
    probe_free(probe);
}
