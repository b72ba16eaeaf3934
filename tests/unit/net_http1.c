/*
 * The HTTP server against real sockets: a handler that answers by path, and clients that behave and
 * that do not.
 */
#include "net/http1.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "unit/net_wire.h"

#define HOST        "Host: localhost\r\n"
#define GET(path)   "GET " path " HTTP/1.1\r\n" HOST "\r\n"
#define GET10(path) "GET " path " HTTP/1.0\r\n" HOST "\r\n"
#define BIG         (4 * 1024 * 1024)

static struct loop *loop;
static struct http_server *server;
static struct listener *listener;

/* What the handler has seen, and the call it holds. */
static struct {
    unsigned heads, requests, gone, drains;
    struct err why; /* the last call went */
    size_t body_held, budget;
    struct http_call *held;
} seen;

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

static void write_big(struct http_call *call)
{
    char *piece = calloc(1, 65536);
    for (size_t left = BIG; left; left -= 65536)
        http_write(call, (struct span){piece, 65536});
    free(piece);
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

static void start(void)
{
    struct err err = {0};
    loop = loop_new();
    server = http_server_new(loop, &ordinary, &handler, NULL);
    cr_assert_eq(listener_open(loop, "127.0.0.1:0", &http_listener_events, server, &listener, &err),
                 0, "%s", err.detail);
}

static void stop(void)
{
    listener_close(listener);
    http_server_free(server);
    loop_free(loop);
}

TestSuite(http1, .init = start, .fini = stop, .timeout = 30);

static void limit(void (*change)(struct http_limits *limits))
{
    struct http_limits limits = ordinary;
    change(&limits);
    http_server_set_limits(server, &limits);
}

static void open_wire(struct wire *wire)
{
    wire_open(wire, listener_address(listener));
}

/* Sends and receives until `wanted` came `count` times or the server hung up. */
static void ask(struct wire *wire, struct span request, const char *wanted, size_t count)
{
    wire_send(wire, request);
    WIRE_RECEIVE_UNTIL(loop, wire, wire_count(wire, wanted) >= count || wire->has_ended);
    cr_expect_eq(wire_count(wire, wanted), count, "%s: " SPAN_FMT, wanted,
                 SPAN_ARG(bytes_span(&wire->in)));
}

static void until_hung_up(struct wire *wire)
{
    WIRE_RECEIVE_UNTIL(loop, wire, wire->has_ended);
    cr_expect(wire->has_ended);
}

static void until_none_is_left(void)
{
    WIRE_UNTIL(loop, http_server_connections(server) == 0);
    cr_expect_eq(http_server_connections(server), 0);
}

/* ---- answers ---- */

Test(http1, a_connection_serves_one_request_after_another)
{
    struct wire wire;
    open_wire(&wire);
    ask(&wire, SPAN(GET("/a")), "\r\n\r\n/a", 1);
    ask(&wire, SPAN("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc"), "\r\n\r\nabc",
        1);
    ask(&wire, SPAN(GET("/b")), "\r\n\r\n/b", 1);
    cr_expect_eq(wire_count(&wire, "HTTP/1.1 200 OK\r\n"), 3);
    cr_expect_eq(wire_count(&wire, "X-Content-Type-Options: nosniff\r\n"), 3);
    cr_expect_eq(wire_count(&wire, "Date: "), 3);
    cr_expect(!wire_has(&wire, "Connection:"));
    cr_expect(!wire_has(&wire, "Access-Control")); /* S-06 */
    cr_expect(!wire.has_ended);
    cr_expect_eq(http_server_connections(server), 1);
    wire_close(&wire);
    until_none_is_left();
    cr_expect_eq(seen.gone, 0);
}

Test(http1, pipelined_requests_are_answered_in_order)
{
    struct wire wire;
    open_wire(&wire);
    wire_send(&wire, SPAN(GET("/a") GET("/held")
                              GET("/b") "POST /echo HTTP/1.1\r\n" HOST
                                        "Content-Length: 17\r\n\r\nGET /x HTTP/1.1\r\n" GET("/c")));
    WIRE_RECEIVE_UNTIL(loop, &wire, seen.held);
    cr_assert(seen.held);
    cr_expect_eq(seen.requests, 2, "a request overtook the one before it");
    http_answer(seen.held, 200, NULL, SPAN("held"));
    WIRE_RECEIVE_UNTIL(loop, &wire, wire_has(&wire, "\r\n\r\n/c"));
    static const char *const order[] = {"\r\n\r\n/a", "\r\n\r\nheld", "\r\n\r\n/b",
                                        "\r\n\r\nGET /x", "\r\n\r\n/c"};
    const char *at = wire.in.data;
    for (size_t i = 0; i < 5 && at; i++) {
        at = strstr(at, order[i]);
        cr_expect(at, "%s", order[i]);
    }
    cr_expect_eq(seen.requests, 5);
    wire_close(&wire);
}

Test(http1, nothing_is_served_after_connection_close)
{
    struct wire wire;
    open_wire(&wire);
    wire_send(&wire, SPAN("GET /a HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n" GET("/b")));
    until_hung_up(&wire);
    cr_expect(wire_has(&wire, "Connection: close\r\n"));
    cr_expect(!wire_has(&wire, "/b"));
    cr_expect(!wire.was_reset);
    cr_expect_eq(seen.requests, 1);
    wire_close(&wire);
}

Test(http1, requests_far_ahead_wait_in_the_kernel)
{
    struct wire wire;
    struct bytes many = {.max = 1 << 21};
    static const size_t count = 200;
    for (size_t i = 0; i < count; i++)
        cr_assert_eq(bytes_addf(&many, "GET /a HTTP/1.1\r\n" HOST "X-Pad: %02000d\r\n\r\n", 0), 0);
    cr_assert_eq(
        bytes_addf(&many, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 200000\r\n\r\n%0200000d",
                   7),
        0);
    open_wire(&wire);
    size_t sent = 0;
    WIRE_RECEIVE_UNTIL(
        loop, &wire,
        (sent += wire_send_some(&wire, (struct span){many.data + sent, many.len - sent}),
         wire_has(&wire, "00007") || wire.has_ended));
    cr_expect_eq(seen.requests, count + 1);
    cr_expect_eq(wire_count(&wire, "200 OK"), count + 1);
    wire_close(&wire);
    bytes_release(&many);
}

Test(http1, head_gets_the_head_alone)
{
    struct wire wire;
    open_wire(&wire);
    ask(&wire, SPAN("HEAD /abc HTTP/1.1\r\n" HOST "\r\n"), "Content-Length: 4\r\n", 1);
    ask(&wire, SPAN("HEAD /chunked HTTP/1.1\r\n" HOST "\r\n"), "Transfer-Encoding: chunked\r\n", 1);
    ask(&wire, SPAN(GET("/x")), "\r\n\r\n/x", 1);
    cr_expect(!wire_has(&wire, "/abc"));
    cr_expect(!wire_has(&wire, "0123456789abcdef"));
    wire_close(&wire);
}

Test(http1, an_answer_without_length_is_chunked_or_ends_with_the_connection)
{
    struct wire wire;
    open_wire(&wire);
    ask(&wire, SPAN(GET("/chunked")), "\r\n\r\n1\r\na\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n", 1);
    cr_expect(!wire.has_ended);
    wire_close(&wire);

    open_wire(&wire);
    wire_send(&wire, SPAN("GET /chunked HTTP/1.0\r\n" HOST "Connection: keep-alive\r\n\r\n"));
    until_hung_up(&wire);
    cr_expect(wire_has(&wire, "\r\n\r\na0123456789abcdef"));
    cr_expect(!wire_has(&wire, "Transfer-Encoding"));
    cr_expect(wire_has(&wire, "Connection: close\r\n"));
    wire_close(&wire);
}

Test(http1, http_1_0_closes_unless_it_asked_otherwise)
{
    struct wire wire;
    open_wire(&wire);
    wire_send(&wire, SPAN(GET10("/a")));
    until_hung_up(&wire);
    cr_expect(wire_has(&wire, "\r\n\r\n/a"));
    wire_close(&wire);

    open_wire(&wire);
    ask(&wire, SPAN("GET /a HTTP/1.0\r\n" HOST "Connection: keep-alive\r\n\r\n"), "\r\n\r\n/a", 1);
    cr_expect(wire_has(&wire, "Connection: keep-alive\r\n"));
    ask(&wire, SPAN(GET("/b")), "\r\n\r\n/b", 1);
    wire_close(&wire);
}

Test(http1, continue_is_sent_when_the_client_waits_for_it)
{
    struct wire wire;
    open_wire(&wire);
    ask(&wire,
        SPAN("POST /echo HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"),
        "HTTP/1.1 100 Continue\r\n\r\n", 1);
    ask(&wire, SPAN("{}"), "\r\n\r\n{}", 1);
    wire_close(&wire);
    static const struct span rows[] = {
        SPAN("POST /echo HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}"),
        SPAN("POST /echo HTTP/1.0\r\n" HOST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}"),
        SPAN("GET /echo HTTP/1.1\r\n" HOST "Expect: 100-continue\r\n\r\n"),
        SPAN("POST /refused HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"),
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        open_wire(&wire);
        ask(&wire, rows[i], "HTTP/1.1 100", 0);
        WIRE_RECEIVE_UNTIL(loop, &wire, wire_has(&wire, "Content-Length"));
        cr_expect(!wire_has(&wire, "HTTP/1.1 100"), "row %zu", i);
        wire_close(&wire);
    }
}

Test(http1, a_request_may_come_in_single_bytes)
{
    static const struct span text =
        SPAN("\r\nPOST /echo HTTP/1.1\r\n" HOST
             "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n1;x=y\r\n \r\n0\r\n\r\n");
    struct wire wire;
    open_wire(&wire);
    for (size_t i = 0; i < text.len; i++) {
        wire_send(&wire, (struct span){text.at + i, 1});
        wire_turn(loop);
    }
    WIRE_RECEIVE_UNTIL(loop, &wire, wire_has(&wire, "\r\n\r\n{} "));
    cr_expect(wire_has(&wire, "\r\n\r\n{} "));
    cr_expect_eq(seen.requests, 1);
    wire_close(&wire);
}

Test(http1, a_header_with_a_line_break_is_left_out)
{
    struct wire wire;
    open_wire(&wire);
    ask(&wire, SPAN(GET("/tricky")), "X-Good: 1\r\n", 1);
    cr_expect(!wire_has(&wire, "Evil") && !wire_has(&wire, "X-Bad"));
    wire_close(&wire);
}

/* ---- refusals ---- */

Test(http1, a_malformed_request_is_told_why_and_the_connection_ends)
{
    static const struct {
        struct span text;
        const char *status;
    } rows[] = {
        {SPAN("GET / HTTP/1.1\r\n\r\n"), "HTTP/1.1 400 Bad Request\r\n"},
        {SPAN("GET / HTTP/2.0\r\n" HOST "\r\n"), "HTTP/1.1 505 "},
        {SPAN("CONNECT a:1 HTTP/1.1\r\n" HOST "\r\n"), "HTTP/1.1 405 "},
        {SPAN("\x16\x03\x01\x02"), "HTTP/1.1 400 "},
        {SPAN("POST / HTTP/1.1\r\n" HOST "Content-Length: 5000000\r\n\r\n"), "HTTP/1.1 413 "},
        {SPAN("POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nxyz\r\n"),
         "HTTP/1.1 400 "},
        {SPAN("POST /echo HTTP/1.1\r\n" HOST
              "Transfer-Encoding: chunked\r\n\r\n0\r\nHost: x\r\n\r\n"),
         "HTTP/1.1 400 "},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct wire wire;
        open_wire(&wire);
        wire_send(&wire, rows[i].text);
        until_hung_up(&wire);
        cr_expect(wire_has(&wire, rows[i].status), "row %zu: " SPAN_FMT, i,
                  SPAN_ARG(bytes_span(&wire.in)));
        cr_expect(wire_has(&wire, "refused: ") && wire_has(&wire, "Connection: close\r\n"),
                  "row %zu", i);
        cr_expect(!wire.was_reset, "row %zu", i);
        wire_close(&wire);
    }
    cr_expect_eq(seen.requests, 0);
    cr_expect_eq(seen.gone, 2, "the handler hears of bodies that could not be read");
    until_none_is_left();
}

/* The call's state of the request before must not leak into the refusal. */
Test(http1, a_malformed_request_after_a_good_one_is_refused_too)
{
    static const struct span good[] = {SPAN(GET("/a")), SPAN(GET("/chunked")),
                                       SPAN("HEAD /a HTTP/1.1\r\n" HOST "\r\n")};
    static const struct span bad[] = {SPAN("GET / HTTP/1.1\nX"), SPAN("\x16\x03\x01"),
                                      SPAN("GET / HTTP/3\r\n" HOST "\r\n")};
    for (size_t i = 0; i < 9; i++) {
        struct wire wire;
        open_wire(&wire);
        ask(&wire, good[i / 3], "200 OK", 1);
        wire_send(&wire, bad[i % 3]);
        until_hung_up(&wire);
        cr_expect(wire_has(&wire, i % 3 == 2 ? "HTTP/1.1 505 " : "HTTP/1.1 400 "), "row %zu", i);
        cr_expect(wire_has(&wire, "refused: "), "row %zu", i);
        wire_close(&wire);
    }
}

Test(http1, a_client_that_still_sends_can_read_why_it_is_refused)
{
    struct wire wire;
    static char body[65536];
    size_t sent = 0;
    open_wire(&wire);
    wire_send(&wire, SPAN("POST /refused HTTP/1.1\r\n" HOST "Content-Length: 3000000\r\n\r\n"));
    WIRE_RECEIVE_UNTIL(
        loop, &wire,
        (sent += wire_send_some(&wire, (struct span){body, sizeof(body)}), sent >= 2000000));
    cr_expect_geq(sent, 2000000);
    wire_receive(&wire);
    cr_expect(wire_has(&wire, "HTTP/1.1 413 ") && wire_has(&wire, "\r\n\r\nrefused"));
    cr_expect(!wire.was_reset);
    cr_expect_eq(seen.gone, 0, "a call refused by the handler is not its any more");
    wire_close(&wire);
    until_none_is_left();
}

static void two_connections(struct http_limits *limits)
{
    limits->connections_max = 2;
}

Test(http1, connections_above_the_limit_are_told_so)
{
    struct wire wires[3];
    limit(two_connections);
    for (size_t i = 0; i < 3; i++)
        open_wire(&wires[i]);
    until_hung_up(&wires[2]);
    cr_expect(wire_has(&wires[2], "HTTP/1.1 503 ") && wire_has(&wires[2], "connectionsMax"));
    wire_close(&wires[2]);
    ask(&wires[0], SPAN(GET("/a")), "\r\n\r\n/a", 1);
    WIRE_UNTIL(loop, http_server_connections(server) == 2);
    wire_close(&wires[0]);
    WIRE_UNTIL(loop, http_server_connections(server) == 1);
    open_wire(&wires[0]);
    ask(&wires[0], SPAN(GET("/a")), "\r\n\r\n/a", 1);
    wire_close(&wires[0]);
    wire_close(&wires[1]);
}

/* ---- time ---- */

static void short_head(struct http_limits *limits)
{
    limits->header_ms = 50;
}

Test(http1, a_head_that_does_not_come_is_a_time_out)
{
    struct wire fresh, half, second;
    limit(short_head);
    open_wire(&fresh);
    open_wire(&half);
    open_wire(&second);
    ask(&second, SPAN(GET("/a")), "200 OK", 1);
    wire_send(&second, SPAN("GET /b"));
    wire_send(&half, SPAN("GET / HTTP/1.1\r\nHo"));
    until_hung_up(&half);
    until_hung_up(&fresh);
    until_hung_up(&second);
    cr_expect(wire_has(&half, "HTTP/1.1 408 ") && wire_has(&half, "clientHeaderMs"));
    cr_expect(wire_has(&second, "HTTP/1.1 408 "));
    cr_expect_eq(fresh.in.len, 0, "one that has sent nothing is closed without a word");
    wire_close(&fresh);
    wire_close(&half);
    wire_close(&second);
}

static void short_body(struct http_limits *limits)
{
    limits->body_idle_ms = 50;
}

Test(http1, a_body_that_pauses_is_a_time_out)
{
    struct wire wire;
    limit(short_body);
    open_wire(&wire);
    wire_send(&wire, SPAN("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\nabc"));
    until_hung_up(&wire);
    cr_expect(wire_has(&wire, "HTTP/1.1 408 ") && wire_has(&wire, "clientBodyIdleMs"));
    cr_expect_eq(seen.gone, 1);
    wire_close(&wire);
}

static void short_idle(struct http_limits *limits)
{
    limits->idle_ms = 50;
}

Test(http1, an_idle_connection_is_closed_without_a_word)
{
    struct wire wire;
    limit(short_idle);
    open_wire(&wire);
    ask(&wire, SPAN(GET("/a")), "\r\n\r\n/a", 1);
    until_hung_up(&wire);
    cr_expect_eq(wire_count(&wire, "HTTP/1.1"), 1);
    cr_expect(!wire.was_reset);
    wire_close(&wire);
    until_none_is_left();
}

static void short_stall(struct http_limits *limits)
{
    limits->write_stall_ms = 100;
}

Test(http1, a_client_that_does_not_read_is_cut_off)
{
    struct wire wire;
    limit(short_stall);
    open_wire(&wire);
    wire_send(&wire, SPAN(GET("/abort")));
    WIRE_UNTIL(loop, seen.held);
    cr_assert(seen.held);
    write_big(seen.held);
    write_big(seen.held);
    until_none_is_left();
    cr_expect_eq(seen.gone, 1);
    wire_close(&wire);
}

Test(http1, a_client_that_reads_slowly_gets_all_of_its_last_answer)
{
    struct wire wire;
    open_wire(&wire);
    wire_send(&wire, SPAN("GET /big HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n"));
    int64_t until = loop_clock_us() + 2500000; /* longer than the server lingers */
    WIRE_UNTIL(loop, loop_clock_us() > until);
    WIRE_RECEIVE_UNTIL(loop, &wire, wire.has_ended);
    cr_expect_gt(wire.in.len, BIG, "%zu", wire.in.len);
    wire_close(&wire);
}

Test(http1, an_idle_connection_still_sending_its_answer_is_not_cut)
{
    struct wire wire;
    limit(short_idle);
    open_wire(&wire);
    wire_send(&wire, SPAN(GET("/big")));
    int64_t until = loop_clock_us() + 300000;
    WIRE_UNTIL(loop, loop_clock_us() > until);
    WIRE_RECEIVE_UNTIL(loop, &wire, wire.in.len > BIG);
    cr_expect_gt(wire.in.len, BIG, "%zu", wire.in.len);
    wire_close(&wire);
}

/* ---- leaving ---- */

static void leave_during(const char *request, unsigned requests, unsigned gone)
{
    struct wire wire;
    seen.heads = seen.requests = seen.gone = 0;
    for (int reset = 0; reset < 2; reset++) {
        open_wire(&wire);
        wire_send(&wire, span_of(request));
        WIRE_UNTIL(loop, http_server_connections(server) == 1 &&
                             seen.requests == requests * (unsigned)(reset + 1));
        if (reset)
            wire_reset(&wire);
        else
            wire_close(&wire);
        until_none_is_left();
        wire_turn(loop);
    }
    cr_expect_eq(seen.requests, 2 * requests, "%s", request);
    cr_expect_eq(seen.gone, 2 * gone, "%s: %u", request, seen.gone);
}

Test(http1, a_client_that_leaves_is_told_of_exactly_once)
{
    leave_during("", 0, 0);
    leave_during("GET /a HTT", 0, 0);
    leave_during(GET("/held"), 1, 1);
    leave_during(GET("/abort"), 1, 1);
    leave_during(GET("/a"), 1, 0);
    leave_during(GET("/held") GET("/held"), 1, 1);
}

Test(http1, a_client_that_leaves_during_its_body_is_told_of_once)
{
    struct wire wire;
    open_wire(&wire);
    wire_send(&wire, SPAN("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\nabc"));
    WIRE_UNTIL(loop, seen.heads == 1);
    wire_close(&wire);
    until_none_is_left();
    cr_expect_eq(seen.gone, 1);
}

Test(http1, the_server_goes_with_calls_under_way)
{
    struct wire wires[3];
    for (size_t i = 0; i < 3; i++)
        open_wire(&wires[i]);
    wire_send(&wires[0], SPAN(GET("/held")));
    wire_send(&wires[1], SPAN("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\nabc"));
    WIRE_UNTIL(loop, seen.heads == 2 && http_server_connections(server) == 3);
    server = http_server_free(server);
    for (size_t i = 0; i < 3; i++)
        until_hung_up(&wires[i]);
    cr_expect_eq(seen.gone, 2);
    for (size_t i = 0; i < 3; i++)
        wire_close(&wires[i]);
}

Test(http1, an_aborted_answer_cannot_be_taken_for_a_whole_one)
{
    struct wire wire;
    open_wire(&wire);
    ask(&wire, SPAN(GET("/abort")), "\r\n\r\n4\r\nhalf\r\n", 1);
    http_abort(seen.held);
    until_hung_up(&wire);
    cr_expect(!wire_has(&wire, "0\r\n\r\n"));
    cr_expect_eq(seen.gone, 0);
    wire_close(&wire);
}

/* ---- full queues ---- */

static void small_marks(struct http_limits *limits)
{
    limits->high_mark = 1000;
    limits->queue_max = 8 * 1024 * 1024;
}

Test(http1, a_full_queue_says_so_and_says_when_it_has_room)
{
    struct wire wire;
    limit(small_marks);
    open_wire(&wire);
    wire_send(&wire, SPAN(GET("/abort")));
    WIRE_UNTIL(loop, seen.held);
    cr_assert(seen.held);
    wire_turn(loop);
    cr_expect(!http_is_full(seen.held));
    write_big(seen.held);
    cr_expect(http_is_full(seen.held));
    wire_turn(loop);
    cr_expect_eq(seen.drains, 0);
    WIRE_RECEIVE_UNTIL(loop, &wire, seen.drains > 0);
    cr_expect_eq(seen.drains, 1);
    cr_expect(!http_is_full(seen.held));
    http_finish(seen.held);
    WIRE_RECEIVE_UNTIL(loop, &wire, wire_has(&wire, "\r\n0\r\n\r\n"));
    cr_expect_eq(seen.drains, 1);
    wire_close(&wire);
}

Test(http1, an_overflowing_queue_ends_the_connection_once)
{
    struct wire wire;
    limit(small_marks);
    open_wire(&wire);
    wire_send(&wire, SPAN(GET("/abort")));
    WIRE_UNTIL(loop, seen.held);
    for (int i = 0; i < 4; i++)
        write_big(seen.held);
    cr_expect_eq(seen.gone, 0, "not before the call that wrote returns");
    until_none_is_left();
    cr_expect_eq(seen.gone, 1);
    wire_close(&wire);
}

/* ---- draining ---- */

static unsigned emptied;

static void on_empty(void *ctx)
{
    (void)ctx;
    emptied++;
}

Test(http1, draining_ends_idle_connections_now_and_others_after_their_answer)
{
    struct wire idle, busy, fresh;
    open_wire(&fresh);
    open_wire(&idle);
    ask(&idle, SPAN(GET("/a")), "\r\n\r\n/a", 1);
    open_wire(&busy);
    wire_send(&busy, SPAN(GET("/held") GET("/b")));
    WIRE_UNTIL(loop, seen.held);
    http_server_drain(server, on_empty);
    until_hung_up(&idle);
    until_hung_up(&fresh);
    wire_receive(&busy);
    cr_expect(!busy.has_ended);
    http_answer(seen.held, 200, NULL, SPAN("held"));
    until_hung_up(&busy);
    cr_expect(wire_has(&busy, "Connection: close\r\n") && wire_has(&busy, "\r\n\r\nheld"));
    cr_expect_eq(seen.gone, 0);
    wire_close(&idle);
    wire_close(&busy);
    wire_close(&fresh);
    until_none_is_left();
    WIRE_UNTIL(loop, emptied);
    cr_expect_eq(emptied, 1);
}

Test(http1, draining_a_server_without_connections_is_over_on_the_next_turn)
{
    http_server_drain(server, on_empty);
    cr_expect_eq(emptied, 0);
    wire_turn(loop);
    cr_expect_eq(emptied, 1);
}

Test(http1, draining_does_not_cut_an_answer_that_is_still_being_sent)
{
    struct wire wire;
    open_wire(&wire);
    wire_send(&wire, SPAN(GET("/big")));
    WIRE_UNTIL(loop, seen.requests == 1);
    http_server_drain(server, on_empty);
    until_hung_up(&wire);
    cr_expect_gt(wire.in.len, BIG, "%zu", wire.in.len);
    wire_close(&wire);
}
