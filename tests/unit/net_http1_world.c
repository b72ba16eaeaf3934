/* See net_http1_world.h. */
#include "unit/net_http1_world.h"

#include <stdlib.h>

struct loop *loop;
struct http_server *server;
struct listener *listener;

struct seen seen;

static const struct http_limits ordinary = {
    .header_ms = 5000,
    .body_idle_ms = 5000,
    .write_stall_ms = 5000,
    .idle_ms = 5000,
    .linger_ms = 2000,
    .body_max = 4 * 1024 * 1024,
    .high_mark = 65536,
    .queue_max = 16 * 1024 * 1024,
    .connections_max = 100,
};

static const char *const text_headers[] = {"Content-Type: text/plain", NULL};

static bool is_path(const struct http_call *call, const char *path)
{
    return span_equal(http_call_request(call)->path, span_of(path));
}

static int on_head(void *ctx, struct http_call *call)
{
    (void)ctx;
    seen.heads++;
    cr_expect(http_user(call) == NULL, "the user pointer of the call before is still there");
    if (is_path(call, "/refused")) {
        http_answer(call, 413, text_headers, SPAN("refused"));
        return -ERR_TOO_LARGE;
    }
    http_set_user(call, &seen);
    return 0;
}

void write_big(struct http_call *call)
{
    char *piece = calloc(1, 65536);
    for (size_t left = BIG; left; left -= 65536)
        http_write(call, (struct span){piece, 65536});
    free(piece);
}

/* A head of `?N` times 1,000 bytes. */
static void answer_with_heads(struct http_call *call)
{
    static char line[1000] = "X-Pad: ";
    const char *lines[101] = {NULL};
    size_t count = (size_t)atoi(http_call_request(call)->query.at);
    memset(line + 7, 'a', sizeof(line) - 10); /* with CR LF it is 1,000 bytes long */
    for (size_t i = 0; i < count; i++)
        lines[i] = line;
    http_answer(call, 200, lines, SPAN("the body"));
}

static void on_request(void *ctx, struct http_call *call)
{
    static const char *const tricky[] = {"X-Good: 1", "X-Bad: 1\r\nX-Evil: 2", NULL};
    (void)ctx;
    seen.requests++;
    if (is_path(call, "/held")) {
        seen.held = call;
    } else if (is_path(call, "/echo")) {
        http_answer(call, 200, text_headers, bytes_span(&http_call_request(call)->body));
    } else if (is_path(call, "/chunked")) {
        http_start(call, 200, text_headers, -1);
        http_write(call, SPAN("a"));
        http_write(call, SPAN(""));
        http_write(call, SPAN("0123456789abcdef"));
        http_finish(call);
    } else if (is_path(call, "/big")) {
        http_start(call, 200, text_headers, BIG);
        write_big(call);
        http_finish(call);
    } else if (is_path(call, "/abort")) {
        http_start(call, 200, text_headers, -1);
        http_write(call, SPAN("half"));
        seen.held = call;
    } else if (is_path(call, "/tricky")) {
        http_answer(call, 200, tricky, SPAN("ok"));
    } else if (is_path(call, "/heads")) {
        answer_with_heads(call);
    } else {
        http_answer(call, 200, text_headers, http_call_request(call)->path);
    }
}

/* As the exchange does: counts what is held, up to a budget. */
static bool may_hold(void *ctx, struct http_call *call, size_t more)
{
    (void)ctx;
    cr_expect(http_user(call) == &seen);
    if (seen.budget && seen.body_held + more > seen.budget)
        return false;
    seen.body_held += more;
    return true;
}

static void on_gone(void *ctx, struct http_call *call, const struct err *why)
{
    (void)ctx;
    cr_expect(http_user(call) == &seen);
    seen.gone++;
    seen.why = *why;
    if (seen.held == call)
        seen.held = NULL;
}

static void on_drain(void *ctx, struct http_call *call)
{
    (void)ctx;
    (void)call;
    seen.drains++;
}

static void write_refusal(void *ctx, struct span path, const struct err *err, struct bytes *out)
{
    (void)ctx;
    (void)path;
    cr_expect_eq(bytes_addf(out, "refused: %s", err->detail), 0);
}

static const struct http_handler handler = {
    .on_head = on_head,
    .may_hold = may_hold,
    .on_request = on_request,
    .on_gone = on_gone,
    .on_drain = on_drain,
    .write_refusal = write_refusal,
};

void http1_world_open(void)
{
    struct err err = {0};
    loop = loop_new();
    server = http_server_new(loop, &ordinary, &handler, NULL);
    cr_assert_eq(listener_open(loop, "127.0.0.1:0", &http_listener_events, server, &listener, &err),
                 0, "%s", err.detail);
}

void http1_world_close(void)
{
    listener_close(listener);
    http_server_free(server);
    loop_free(loop);
}

void expect_gone(unsigned count, int kind, const char *detail)
{
    cr_expect_eq(seen.gone, count, "%u", seen.gone);
    cr_expect_eq(seen.why.kind, kind, "%s", seen.why.detail);
    cr_expect(strstr(seen.why.detail, detail), "%s", seen.why.detail);
}

void limit(void (*change)(struct http_limits *limits))
{
    struct http_limits limits = ordinary;
    change(&limits);
    http_server_set_limits(server, &limits);
}

void open_wire(struct wire *wire)
{
    wire_open(wire, listener_address(listener));
}

void ask(struct wire *wire, struct span request, const char *wanted, size_t count)
{
    wire_send(wire, request);
    WIRE_RECEIVE_UNTIL(loop, wire, wire_count(wire, wanted) >= count || wire->has_ended);
    cr_expect_eq(wire_count(wire, wanted), count, "%s: " SPAN_FMT, wanted,
                 SPAN_ARG(bytes_span(&wire->in)));
}

void until_hung_up(struct wire *wire)
{
    WIRE_RECEIVE_UNTIL(loop, wire, wire->has_ended);
    cr_expect(wire->has_ended);
}

void until_none_is_left(void)
{
    WIRE_UNTIL(loop, http_server_connections(server) == 0);
    cr_expect_eq(http_server_connections(server), 0);
}
