/*
 * See http1.h. States of a connection, and what moves it on:
 *
 *        .----------------- answer finished, keep-alive ------------------.
 *        v                                                                |
 *      IDLE --byte--> HEAD --head ok--> BODY --complete--> CALL ----------'
 *        |              |                 |                  |
 *        |              '-----------------+------------------+-- refused: an answer is sent,
 *        |                                                   |   or the last one is finished
 *        |                                                   v
 *        '--- idle time, drain --> closed                  LINGER --FIN or time--> closed
 *
 * In LINGER our side is shut down and what still comes is thrown away: closing with unread bytes
 * would reset the connection and the client might never read why.
 */
#include "net/http1.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "base/own.h"

#define REFUSALS_MAX 16    /* connections above the maximum that are told so before they close */
#define PIPELINE_MAX 65536 /* bytes of further requests that may come while one is answered */
#define INPUT_MAX    (PIPELINE_MAX + LOOP_SCRATCH)
#define INPUT_KEPT   65536 /* room that an empty input keeps */

#define NEVER_CHECKED UINT64_MAX /* as sent_at_check: the first stall check finds progress */

enum state { IDLE, HEAD, BODY, CALL, LINGER, STATES };

struct http_call {
    struct http_request request;
    struct http_parser parser;
    void *user;
    bool is_told;    /* on_head returned 0: the handler knows the call */
    bool is_started; /* http_start() was called */
    bool is_chunked;
    bool is_bodiless; /* HEAD: the body is not sent */
    bool close_after;
};

struct connection {
    struct stream stream;
    struct timer timer;
    struct later next; /* goes on with pipelined input */
    struct http_server *server;
    struct connection *prev, *following;
    enum state state;
    struct bytes input;
    struct http_scan scan; /* of the head at the start of the input */
    struct http_call call;
    int port;
    int open_handles;
    bool had_request;
    uint64_t sent_at_check; /* stream_sent() when the stall timer was set */
};

struct http_server {
    struct loop *loop;
    struct http_limits limits;
    const struct http_handler *handler;
    void *ctx;
    struct connection *connections;
    unsigned count;
    bool is_draining, is_freed;
    void (*on_empty)(void *ctx);
    struct later empty;
    time_t date_s; /* second that `date` was made for */
    char date[48];
};

static void go_on(struct later *later);
static void on_empty(struct later *later);
static void take_input(struct connection *connection);

static struct connection *of_stream(struct stream *stream)
{
    return container_of(stream, struct connection, stream);
}

static struct connection *of_call(const struct http_call *call)
{
    return container_of(call, struct connection, call);
}

/* The limits in force: they may change while a connection lives. */
static const struct http_limits *limits_of(const struct connection *connection)
{
    return &connection->server->limits;
}

/* ---- states ---- */

static void enter(struct connection *connection, enum state state)
{
    static const bool legal[STATES][STATES] = {
        [IDLE] = {[HEAD] = true, [LINGER] = true},
        [HEAD] = {[BODY] = true, [CALL] = true, [LINGER] = true},
        [BODY] = {[CALL] = true, [LINGER] = true},
        [CALL] = {[IDLE] = true, [LINGER] = true},
    };
    assert(legal[connection->state][state]);
    connection->state = state;
}

/* The call cannot go on: the handler hears of it once. */
static void tell_gone(struct connection *connection, const struct err *why)
{
    struct http_call *call = &connection->call;
    if (!call->is_told)
        return;
    call->is_told = false;
    connection->server->handler->on_gone(connection->server->ctx, call, why);
}

static void close_connection(struct connection *connection, const struct err *why)
{
    later_cancel(&connection->next);
    tell_gone(connection, why);
    timer_stop(&connection->timer);
    stream_close(&connection->stream);
}

/* ---- answering ---- */

/* Reason phrases of RFC 9110 for what is sent here; clients must not look at them. */
static const char *reason(int status)
{
    static const struct {
        int status;
        const char *phrase;
    } phrases[] = {
        {200, "OK"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {421, "Misdirected Request"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++)
        if (phrases[i].status == status)
            return phrases[i].phrase;
    return "Status";
}

static const char *date_of(struct http_server *server)
{
    time_t now = (time_t)(loop_wall_ms() / 1000);
    if (now != server->date_s) {
        struct tm utc;
        gmtime_r(&now, &utc);
        strftime(server->date, sizeof(server->date), "%a, %d %b %Y %H:%M:%S GMT", &utc);
        server->date_s = now;
    }
    return server->date;
}

static bool is_sendable(const char *header)
{
    return !strpbrk(header, "\r\n");
}

static int build_head(struct connection *connection, int status, http_headers headers,
                      int64_t length, struct bytes *out)
{
    const struct http_call *call = &connection->call;
    int r = bytes_addf(out, "HTTP/1.1 %d %s\r\nDate: %s\r\nX-Content-Type-Options: nosniff\r\n",
                       status, reason(status), date_of(connection->server));
    for (; headers && *headers; headers++)
        if (is_sendable(*headers))
            r |= bytes_addf(out, "%s\r\n", *headers);
    if (length >= 0)
        r |= bytes_addf(out, "Content-Length: %lld\r\n", (long long)length);
    else if (call->is_chunked)
        r |= bytes_addf(out, "Transfer-Encoding: chunked\r\n");
    if (call->close_after)
        r |= bytes_addf(out, "Connection: close\r\n");
    else if (call->request.minor == 0)
        r |= bytes_addf(out, "Connection: keep-alive\r\n");
    return r | bytes_addf(out, "\r\n");
}

/* A head that does not leave whole ends the connection: its body must not go out alone. */
static void write_head(struct connection *connection, int status, http_headers headers,
                       int64_t length)
{
    CLEANUP(bytes_release) struct bytes head = {.max = HTTP_ANSWER_HEAD_MAX};
    if (build_head(connection, status, headers, length, &head) == 0) {
        (void)stream_write(&connection->stream, bytes_span(&head)); /* failing, it closes or ends */
        return;
    }
    log_warn("net", 0, "an answer's head is above %d bytes: the connection is closed",
             HTTP_ANSWER_HEAD_MAX);
    stream_close(&connection->stream);
}

void http_start(struct http_call *call, int status, http_headers headers, int64_t length)
{
    struct connection *connection = of_call(call);
    assert(!call->is_started);
    call->is_started = true;
    call->is_bodiless = span_equal(call->request.method, SPAN("HEAD"));
    call->is_chunked = length < 0 && call->request.minor >= 1;
    if (length < 0 && !call->is_chunked)
        call->close_after = true;
    if (!call->request.keep_alive || connection->server->is_draining)
        call->close_after = true;
    write_head(connection, status, headers, length);
}

void http_write(struct http_call *call, struct span data)
{
    struct stream *stream = &of_call(call)->stream;
    char size[24];
    if (call->is_bodiless || data.len == 0)
        return;
    if (!call->is_chunked) {
        (void)stream_write(stream, data); /* a gone client is told of by on_end */
        return;
    }
    int n = snprintf(size, sizeof(size), "%zx\r\n", data.len);
    if (stream_write(stream, (struct span){size, (size_t)n}) == 0 &&
        stream_write(stream, data) == 0)
        (void)stream_write(stream, SPAN("\r\n")); /* as above */
}

bool http_is_full(const struct http_call *call)
{
    return stream_is_full(&of_call(call)->stream);
}

/*
 * Between two calls requests far ahead stay with the kernel. Never during a call: a paused stream
 * does not notice that the client has left, and the provider would go on working for nobody.
 */
static void regulate_reading(struct connection *connection)
{
    if (connection->state != CALL && connection->input.len > PIPELINE_MAX)
        stream_pause(&connection->stream);
    else
        stream_resume(&connection->stream);
}

/* Pipelining does not outrun back-pressure: what is full has to drain before the next request. */
static void take_input_later(struct connection *connection)
{
    if (connection->input.len && !stream_is_full(&connection->stream))
        loop_later(connection->server->loop, &connection->next, go_on);
}

static void reset_call(struct http_call *call)
{
    http_request_reset(&call->request);
    call->user = NULL;
    call->is_started = call->is_chunked = call->is_bodiless = call->close_after = false;
}

static void linger(struct connection *connection)
{
    enter(connection, LINGER);
    connection->sent_at_check = NEVER_CHECKED;
    stream_shutdown_when_sent(&connection->stream);
    stream_resume(&connection->stream);
    timer_start(&connection->timer, limits_of(connection)->linger_ms);
}

void http_finish(struct http_call *call)
{
    struct connection *connection = of_call(call);
    assert(call->is_started);
    call->is_told = false;
    if (call->is_chunked && !call->is_bodiless)
        (void)stream_write(&connection->stream, SPAN("0\r\n\r\n")); /* as in http_write */
    bool has_unread = connection->state == HEAD || connection->state == BODY;
    if (has_unread || call->close_after) {
        linger(connection);
        return;
    }
    enter(connection, IDLE);
    reset_call(call);
    stream_rest(&connection->stream);
    connection->sent_at_check = NEVER_CHECKED;
    timer_start(&connection->timer, limits_of(connection)->idle_ms);
    take_input_later(connection);
    regulate_reading(connection);
}

void http_abort(struct http_call *call)
{
    call->is_told = false;
    close_connection(of_call(call), NULL);
}

void http_close_after(struct http_call *call)
{
    call->close_after = true;
}

void http_answer(struct http_call *call, int status, http_headers headers, struct span body)
{
    http_start(call, status, headers, (int64_t)body.len);
    http_write(call, body);
    http_finish(call);
}

/* An answer to a request that never became a call of the handler's, or has just stopped being one.
 */
static void refuse(struct connection *connection, const struct err *err)
{
    const struct error_row *row = error_row(err->kind);
    const char *const headers[] = {
        "Content-Type: application/json",
        row->retryable ? "x-should-retry: true" : "x-should-retry: false",
        NULL,
    };
    struct http_server *server = connection->server;
    struct http_call *call = &connection->call;
    struct bytes body = {.max = 8192};
    tell_gone(connection, err);
    if (call->is_started) { /* an answer is on its way: it cannot be taken back */
        close_connection(connection, err);
        return;
    }
    server->handler->write_refusal(server->ctx, call->request.path, err, &body);
    call->close_after = true;
    if (connection->state == IDLE)
        enter(connection, HEAD);
    http_answer(call, row->http_status, headers, bytes_span(&body));
    bytes_release(&body);
}

/* ---- reading ---- */

static bool may_hold(struct http_parser *parser, size_t more)
{
    struct http_call *call = container_of(parser, struct http_call, parser);
    const struct http_server *server = of_call(call)->server;
    return !server->handler->may_hold || server->handler->may_hold(server->ctx, call, more);
}

static void hand_over(struct connection *connection)
{
    if (connection->input.len == 0 && connection->input.cap > INPUT_KEPT)
        bytes_release(&connection->input); /* a large request came in large pieces */
    connection->sent_at_check = stream_sent(&connection->stream);
    timer_start(&connection->timer, limits_of(connection)->write_stall_ms);
    connection->server->handler->on_request(connection->server->ctx, &connection->call);
}

static void take_body(struct connection *connection)
{
    size_t used;
    bool done;
    struct err err = {0};
    int r = http_parser_body(&connection->call.parser, bytes_span(&connection->input), &used, &done,
                             &err);
    if (r < 0) {
        refuse(connection, &err);
        return;
    }
    bytes_drop_front(&connection->input, used);
    if (!done) {
        timer_start(&connection->timer, limits_of(connection)->body_idle_ms);
        return;
    }
    enter(connection, CALL);
    hand_over(connection);
}

static int parse_head(struct connection *connection, struct err *err)
{
    struct http_call *call = &connection->call;
    const struct http_limits *limits = limits_of(connection);
    ssize_t len = http_head_length(&connection->scan, bytes_span(&connection->input), err);
    if (len <= 0)
        return (int)len;
    connection->scan = (struct http_scan){0};
    stream_set_marks(&connection->stream, limits->high_mark, limits->queue_max);
    call->request.body.max = limits->body_max;
    http_parser_init(&call->parser, &call->request);
    call->parser.may_hold = may_hold;
    int r =
        http_parser_head(&call->parser, (struct span){connection->input.data, (size_t)len}, err);
    bytes_drop_front(&connection->input, (size_t)len);
    return r < 0 ? r : 1;
}

static void take_head(struct connection *connection)
{
    struct http_server *server = connection->server;
    struct http_call *call = &connection->call;
    struct err err = {0};
    int r = parse_head(connection, &err);
    if (r < 0)
        refuse(connection, &err);
    if (r <= 0)
        return;
    bool has_body = call->request.has_body;
    connection->had_request = true;
    if (!has_body)
        enter(connection, CALL);
    if (server->handler->on_head(server->ctx, call) < 0)
        return;
    call->is_told = true;
    if (!has_body) {
        hand_over(connection);
        return;
    }
    if (call->request.expects_continue && call->request.minor >= 1 && connection->input.len == 0)
        (void)stream_write(&connection->stream,
                           SPAN("HTTP/1.1 100 Continue\r\n\r\n")); /* as in http_write */
    enter(connection, BODY);
    timer_start(&connection->timer, limits_of(connection)->body_idle_ms);
    if (connection->input.len)
        take_body(connection);
}

/* Judges what has been gathered; at most one request is taken. */
static void take_input(struct connection *connection)
{
    if (connection->input.len == 0)
        return;
    if (connection->state == IDLE) {
        enter(connection, HEAD);
        timer_start(&connection->timer, limits_of(connection)->header_ms);
    }
    if (connection->state == HEAD)
        take_head(connection);
    else if (connection->state == BODY)
        take_body(connection);
}

static void go_on(struct later *later)
{
    struct connection *connection = container_of(later, struct connection, next);
    take_input(connection);
    regulate_reading(connection); /* closing frees later: the connection is still there */
}

static bool is_too_far_ahead(const struct connection *connection)
{
    return connection->state == CALL && connection->input.len > PIPELINE_MAX;
}

static void on_data(struct stream *stream, struct span data)
{
    struct connection *connection = of_stream(stream);
    struct err err = {0};
    if (connection->state == LINGER)
        return;
    if (bytes_add_span(&connection->input, data) < 0 || is_too_far_ahead(connection)) {
        err_set(&err, ERR_TOO_LARGE, "more than %d bytes came ahead of the answer", PIPELINE_MAX);
        close_connection(connection, &err);
        return;
    }
    bool has_room = connection->state == BODY || !stream_is_full(stream);
    if (!connection->next.queued && has_room)
        take_input(connection);
    regulate_reading(connection);
}

static void on_end(struct stream *stream)
{
    struct err err = {0};
    err_set(&err, ERR_CLIENT_GONE, "it hung up");
    close_connection(of_stream(stream), &err);
}

static void on_drain(struct stream *stream)
{
    struct connection *connection = of_stream(stream);
    struct http_server *server = connection->server;
    if (connection->state == CALL && connection->call.is_told)
        server->handler->on_drain(server->ctx, &connection->call);
    else if (connection->state != CALL)
        take_input_later(connection);
}

/* ---- time ---- */

static void on_stall_check(struct connection *connection)
{
    uint64_t sent = stream_sent(&connection->stream);
    int64_t stall_ms = limits_of(connection)->write_stall_ms;
    struct err err = {0};
    if (stream_queued(&connection->stream) && sent == connection->sent_at_check) {
        err_set(&err, ERR_CLIENT_GONE, "it took nothing for %lld ms (clientWriteStallMs)",
                (long long)stall_ms);
        close_connection(connection, &err);
        return;
    }
    connection->sent_at_check = sent;
    timer_start(&connection->timer, stall_ms);
}

static void on_timer(struct timer *timer)
{
    struct connection *connection = container_of(timer, struct connection, timer);
    const struct http_limits *limits = limits_of(connection);
    struct err err = {0};
    switch (connection->state) {
    case HEAD:
        err_set(&err, ERR_REQUEST_TIMEOUT,
                "the head was not complete after %lld ms (clientHeaderMs)",
                (long long)limits->header_ms);
        refuse(connection, &err);
        return;
    case BODY:
        err_set(&err, ERR_REQUEST_TIMEOUT, "the body paused for %lld ms (clientBodyIdleMs)",
                (long long)limits->body_idle_ms);
        refuse(connection, &err);
        return;
    case CALL:
        on_stall_check(connection);
        return;
    default:
        if (stream_queued(&connection->stream)) /* a slow reader still takes the last answer */
            on_stall_check(connection);
        else
            close_connection(connection, NULL);
    }
}

/* ---- life ---- */

static void forget(struct connection *connection)
{
    struct http_server *server = connection->server;
    if (--connection->open_handles)
        return;
    if (connection->prev)
        connection->prev->following = connection->following;
    else
        server->connections = connection->following;
    if (connection->following)
        connection->following->prev = connection->prev;
    server->count--;
    bytes_release(&connection->input);
    http_request_reset(&connection->call.request);
    bytes_release(&connection->call.request.head);
    free(connection);
    if (server->count == 0 && server->is_freed)
        free(server);
    else if (server->count == 0 && server->on_empty)
        loop_later(server->loop, &server->empty, on_empty);
}

static void on_timer_closed(struct timer *timer)
{
    forget(container_of(timer, struct connection, timer));
}

static void on_closed(struct stream *stream)
{
    struct connection *connection = of_stream(stream);
    struct err err = {0};
    later_cancel(&connection->next);
    /* A call that is still there lost its stream while it was answering. */
    err_set(&err, ERR_INTERNAL, "the answer did not fit the connection's queue");
    tell_gone(connection, &err);
    timer_close(&connection->timer, on_timer_closed);
    forget(connection);
}

static const struct stream_events stream_events = {
    .on_data = on_data,
    .on_end = on_end,
    .on_drain = on_drain,
    .on_closed = on_closed,
};

static void link_connection(struct http_server *server, struct connection *connection)
{
    connection->following = server->connections;
    if (server->connections)
        server->connections->prev = connection;
    server->connections = connection;
    server->count++;
}

static void on_accept(struct listener *listener, void *ctx)
{
    struct http_server *server = ctx;
    bool is_flood = server->count >= server->limits.connections_max + REFUSALS_MAX;
    struct connection *connection = is_flood ? NULL : calloc(1, sizeof(*connection));
    if (!connection)
        return; /* closed by the listener */
    connection->server = server;
    connection->port = listener_port(listener);
    connection->input.max = INPUT_MAX;
    connection->open_handles = 2;
    link_connection(server, connection);
    timer_open(&connection->timer, server->loop, on_timer);
    timer_start(&connection->timer, server->limits.header_ms);
    if (stream_open(&connection->stream, listener, &stream_events, server->limits.high_mark,
                    server->limits.queue_max) < 0) {
        stream_close(&connection->stream);
        return;
    }
    if (server->count > server->limits.connections_max) {
        struct err err = {0};
        err_set(&err, ERR_BUSY, "%u connections are open (connectionsMax)", server->count);
        refuse(connection, &err);
    }
}

const struct listener_events http_listener_events = {.on_accept = on_accept};

struct http_server *http_server_new(struct loop *loop, const struct http_limits *limits,
                                    const struct http_handler *handler, void *ctx)
{
    struct http_server *server = calloc(1, sizeof(*server));
    if (!server)
        abort();
    *server = (struct http_server){.loop = loop, .limits = *limits, .handler = handler, .ctx = ctx};
    return server;
}

void http_server_set_limits(struct http_server *server, const struct http_limits *limits)
{
    server->limits = *limits;
}

static void on_empty(struct later *later)
{
    struct http_server *server = container_of(later, struct http_server, empty);
    server->on_empty(server->ctx);
}

void http_server_drain(struct http_server *server, void (*fn)(void *ctx))
{
    server->is_draining = true;
    server->on_empty = fn;
    if (server->count == 0 && fn)
        loop_later(server->loop, &server->empty, on_empty);
    for (struct connection *c = server->connections; c; c = c->following) {
        if (c->state != IDLE)
            continue;
        if (!c->had_request)
            timer_start(&c->timer, server->limits.linger_ms);
        else if (stream_queued(&c->stream))
            linger(c);
        else
            close_connection(c, NULL);
    }
}

struct http_server *http_server_free(struct http_server *server)
{
    struct err err = {0};
    if (!server)
        return NULL;
    err_set(&err, ERR_SHUTTING_DOWN, "its answer was not complete");
    for (struct connection *c = server->connections; c; c = c->following)
        close_connection(c, &err);
    later_cancel(&server->empty);
    server->is_freed = true;
    if (server->count == 0)
        free(server);
    return NULL;
}

unsigned http_server_connections(const struct http_server *server)
{
    return server->count;
}

/* ---- the call, from outside ---- */

const struct http_request *http_call_request(const struct http_call *call)
{
    return &call->request;
}

struct http_request *http_call_request_mutable(struct http_call *call)
{
    return &call->request;
}

const struct peer *http_call_peer(const struct http_call *call)
{
    return &of_call(call)->stream.peer;
}

bool http_call_is_unix(const struct http_call *call)
{
    return of_call(call)->stream.is_unix;
}

int http_call_port(const struct http_call *call)
{
    return of_call(call)->port;
}

void http_set_user(struct http_call *call, void *user)
{
    call->user = user;
}

void *http_user(const struct http_call *call)
{
    return call->user;
}
