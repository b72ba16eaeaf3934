/* See demo.h. */
#include "demo/demo.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/own.h"
#include "demo/script.h"

#define WORD_MS     40 /* between two words of a stream */
#define BODY_MAX    (64 * 1024 * 1024)
#define STALL_MS    60000
#define CONNECTIONS 256

struct demo {
    struct loop *loop;
    struct http_server *server;
    struct listener *listener;
};

/* One answer under way; a whole answer needs none. */
struct performance {
    struct http_call *call;
    struct script script;
    struct timer timer;
    bool is_fast;
};

static void on_timer_closed(struct timer *timer)
{
    free(container_of(timer, struct performance, timer));
}

static void perform(struct timer *timer)
{
    struct performance *performance = container_of(timer, struct performance, timer);
    CLEANUP(bytes_release) struct bytes out = {.max = 65536};
    bool more = script_next(&performance->script, &out);
    while (more && performance->is_fast)
        more = script_next(&performance->script, &out);
    http_write(performance->call, bytes_span(&out));
    if (more) {
        timer_start(&performance->timer, WORD_MS);
        return;
    }
    http_finish(performance->call);
    timer_close(&performance->timer, on_timer_closed);
}

static void answer_stream(struct demo *demo, struct http_call *call, const struct script *script,
                          bool is_fast)
{
    static const char *const headers[] = {"content-type: text/event-stream", NULL};
    struct performance *performance = calloc(1, sizeof(*performance));
    if (!performance)
        abort();
    *performance = (struct performance){.call = call, .script = *script, .is_fast = is_fast};
    timer_open(&performance->timer, demo->loop, perform);
    http_set_user(call, performance);
    http_start(call, 200, headers, -1);
    timer_start(&performance->timer, 0);
}

static void answer_error(struct http_call *call, int status, const char *message)
{
    static const char *const headers[] = {"content-type: application/json", NULL};
    char body[256];
    int n = snprintf(
        body, sizeof(body),
        "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"%s\"}}",
        message);
    http_answer(call, status, headers, (struct span){body, (size_t)n});
}

static void answer_whole(struct http_call *call, struct script *script)
{
    static const char *const headers[] = {"content-type: application/json", NULL};
    CLEANUP(bytes_release) struct bytes out = {.max = 65536};
    script_whole(script, &out);
    http_answer(call, 200, headers, bytes_span(&out));
}

static bool ends_with(struct span text, const char *end)
{
    struct span tail = span_of(end);
    return text.len >= tail.len && !memcmp(text.at + text.len - tail.len, tail.at, tail.len);
}

static int on_head(void *ctx, struct http_call *call)
{
    (void)ctx;
    http_set_user(call, NULL);
    return 0;
}

static void on_request(void *ctx, struct http_call *call)
{
    static const char *const names[] = {"model", "stream", "stream_options", NULL};
    enum { MODEL, STREAM, OPTIONS, COUNT };
    struct demo *demo = ctx;
    const struct http_request *request = http_call_request(call);
    bool is_messages = ends_with(request->path, "/messages");
    struct json root, picked[COUNT];
    if (!is_messages && !ends_with(request->path, "/chat/completions")) {
        answer_error(call, 404, "the demo provider knows chat/completions and messages");
        return;
    }
    if (json_pick_text(bytes_span(&request->body), names, &root, picked, NULL) < 0) {
        answer_error(call, 400, "the body is no JSON object");
        return;
    }
    struct script script = {
        .is_messages = is_messages,
        .has_usage_event = json_is_true(json_get(picked[OPTIONS], "include_usage")),
        .input_tokens = (int64_t)(request->body.len / 4),
    };
    struct span model = json_raw_text(picked[MODEL]);
    if (model.len >= sizeof(script.model))
        model = SPAN("demo"); /* never cut in the middle of an escape */
    (void)snprintf(script.model, sizeof(script.model), SPAN_FMT, SPAN_ARG(model)); /* fits */
    if (json_is_true(picked[STREAM]))
        answer_stream(demo, call, &script, json_is(picked[MODEL], "demo-fast"));
    else
        answer_whole(call, &script);
}

static void on_gone(void *ctx, struct http_call *call, const struct err *why)
{
    struct performance *performance = http_user(call);
    (void)ctx;
    (void)why;
    if (performance)
        timer_close(&performance->timer, on_timer_closed);
}

static void on_drain(void *ctx, struct http_call *call)
{
    (void)ctx; /* an answer is a few kilobytes: it never waits */
    (void)call;
}

static void write_refusal(void *ctx, struct span path, const struct err *err, struct bytes *out)
{
    (void)ctx;
    (void)path;
    (void)bytes_addf(out, "{\"error\":{\"message\":\"%s\"}}",
                     error_row(err->kind)->text); /* fits */
}

static const struct http_handler handler = {
    .on_head = on_head,
    .on_request = on_request,
    .on_gone = on_gone,
    .on_drain = on_drain,
    .write_refusal = write_refusal,
};

int demo_open(struct loop *loop, const char *socket_path, struct demo **ret, struct err *reterr)
{
    static const struct http_limits limits = {
        .header_ms = STALL_MS,
        .body_idle_ms = STALL_MS,
        .write_stall_ms = STALL_MS,
        .idle_ms = STALL_MS,
        .linger_ms = STALL_MS,
        .body_max = BODY_MAX,
        .high_mark = 65536,
        .queue_max = 1024 * 1024,
        .connections_max = CONNECTIONS,
    };
    char address[512];
    struct demo *demo = calloc(1, sizeof(*demo));
    if (!demo)
        abort();
    demo->loop = loop;
    demo->server = http_server_new(loop, &limits, &handler, demo);
    (void)snprintf(address, sizeof(address), "unix:%s", socket_path); /* rendezvous bounds it */
    int r =
        listener_open(loop, address, &http_listener_events, demo->server, &demo->listener, reterr);
    if (r < 0) {
        demo_close(demo);
        return r;
    }
    *ret = demo;
    return 0;
}

void demo_close(struct demo *demo)
{
    if (!demo)
        return;
    listener_close(demo->listener);
    http_server_free(demo->server);
    free(demo);
}
