/* The HTTP server against real sockets: clients that behave, and clients that do not. */
#include "net/http1.h"

#include "unit/net_http1_world.h"

TestSuite(http1, .init = http1_world_open, .fini = http1_world_close, .timeout = 30);

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

/* A provider may send 64 KiB of head, and some lines are ours. */
Test(http1, an_answer_has_a_whole_head_or_nothing_is_sent)
{
    struct wire wire;
    open_wire(&wire);
    ask(&wire, SPAN(GET("/heads?75")), "\r\n\r\nthe body", 1);
    cr_expect_eq(wire_count(&wire, "X-Pad"), 75);
    wire_send(&wire, SPAN(GET("/heads?90")));
    until_hung_up(&wire);
    cr_expect_eq(wire_count(&wire, "the body"), 1, "a body without its head");
    cr_expect_eq(wire_count(&wire, "X-Pad"), 75);
    wire_close(&wire);
    until_none_is_left();
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
    expect_gone(2, ERR_INVALID_REQUEST, ""); /* it hears of bodies that could not be read */
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
    expect_gone(1, ERR_REQUEST_TIMEOUT, "clientBodyIdleMs");
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
    expect_gone(1, ERR_CLIENT_GONE, "clientWriteStallMs");
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
    expect_gone(2, ERR_SHUTTING_DOWN, "");
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
