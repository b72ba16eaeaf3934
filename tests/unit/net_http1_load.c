/*
 * The HTTP server under load: requests sent ahead, bodies and answers that take room, limits that
 * change, and draining.
 */
#include "net/http1.h"

#include <malloc.h>
#include <stdlib.h>

#include "base/own.h"
#include "unit/net_http1_world.h"

TestSuite(http1_load, .init = http1_world_open, .fini = http1_world_close, .timeout = 30);

/* ---- far ahead ---- */

static void send_ahead(struct wire *wire, size_t count)
{
    CLEANUP(bytes_release) struct bytes many = {.max = 1 << 21};
    for (size_t i = 0; i < count; i++)
        cr_assert_eq(bytes_addf(&many, "GET /a HTTP/1.1\r\n" HOST "X-Pad: %01000d\r\n\r\n", 0), 0);
    wire_send(wire, bytes_span(&many));
}

Test(http1_load, requests_may_come_some_way_ahead_of_an_answer)
{
    struct wire wire;
    open_wire(&wire);
    wire_send(&wire, SPAN(GET("/held")));
    send_ahead(&wire, 60);
    WIRE_UNTIL(loop, seen.held);
    for (int i = 0; i < 20; i++)
        wire_turn(loop);
    cr_expect_eq(seen.requests, 1);
    http_answer(seen.held, 200, NULL, SPAN("held"));
    WIRE_RECEIVE_UNTIL(loop, &wire, wire_count(&wire, "200 OK") == 61);
    cr_expect_eq(wire_count(&wire, "200 OK"), 61);
    cr_expect_eq(seen.gone, 0);
    wire_close(&wire);
}

/* Reading on is how we notice that the client has left; what comes meanwhile is bounded. */
Test(http1_load, requests_too_far_ahead_of_an_answer_end_the_connection)
{
    struct wire wire;
    open_wire(&wire);
    wire_send(&wire, SPAN(GET("/held")));
    send_ahead(&wire, 100);
    WIRE_UNTIL(loop, seen.gone);
    until_none_is_left();
    expect_gone(1, ERR_TOO_LARGE, "ahead of the answer");
    wire_close(&wire);
}

Test(http1_load, a_client_that_leaves_is_noticed_at_once_behind_requests_sent_ahead)
{
    for (size_t ahead = 1; ahead <= 60; ahead += 59) {
        struct wire wire;
        open_wire(&wire);
        wire_send(&wire, SPAN(GET("/held")));
        send_ahead(&wire, ahead);
        WIRE_UNTIL(loop, seen.held);
        seen.gone = 0;
        wire_close(&wire);
        int64_t until = loop_clock_us() + 100000;
        WIRE_UNTIL(loop, seen.gone || loop_clock_us() > until);
        expect_gone(1, ERR_CLIENT_GONE, "hung up");
        until_none_is_left();
    }
}

Test(http1_load, requests_far_ahead_wait_in_the_kernel)
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

/* ---- the budget for bodies ---- */

Test(http1_load, the_handler_is_asked_for_every_byte_of_a_body_and_no_other)
{
    struct wire wire;
    open_wire(&wire);
    ask(&wire, SPAN("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n12345" GET("/a")),
        "200 OK", 2);
    cr_expect_eq(seen.body_held, 5);
    ask(&wire,
        SPAN("POST /echo HTTP/1.1\r\n" HOST
             "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1;x=y\r\nd\r\n0\r\n\r\n"),
        "\r\n\r\nabcd", 1);
    cr_expect_eq(seen.body_held, 9);
    wire_close(&wire);
}

Test(http1_load, a_body_that_may_not_be_held_is_refused_as_busy)
{
    static const struct span heads[] = {
        SPAN("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 1000\r\n\r\n"),
        SPAN("POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3E8\r\n"),
    };
    char body[60];
    memset(body, 'b', sizeof(body));
    seen.budget = 100;
    for (unsigned i = 0; i < 2; i++) {
        struct wire wire;
        seen.body_held = 0;
        open_wire(&wire);
        wire_send(&wire, heads[i]);
        wire_send(&wire, (struct span){body, sizeof(body)});
        WIRE_UNTIL(loop, seen.body_held);
        cr_expect_eq(seen.body_held, sizeof(body), "what is only announced does not count");
        wire_send(&wire, (struct span){body, sizeof(body)});
        until_hung_up(&wire);
        cr_expect(wire_has(&wire, "HTTP/1.1 503 ") && wire_has(&wire, "x-should-retry: true"));
        expect_gone(i + 1, ERR_BUSY, "bodiesMax");
        wire_close(&wire);
    }
    cr_expect_eq(seen.requests, 0);
}

/* ---- full queues ---- */

static void small_marks(struct http_limits *limits)
{
    limits->high_mark = 1000;
    limits->queue_max = 8 * 1024 * 1024;
}

Test(http1_load, a_full_queue_says_so_and_says_when_it_has_room)
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

Test(http1_load, an_overflowing_queue_ends_the_connection_once)
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
    expect_gone(1, ERR_INTERNAL, "queue");
    wire_close(&wire);
}

Test(http1_load, pipelined_requests_wait_until_answers_are_taken)
{
    struct wire wire;
    open_wire(&wire);
    for (int i = 0; i < 6; i++) /* more than the queue may hold */
        wire_send(&wire, SPAN(GET("/big")));
    for (int i = 0; i < 50; i++)
        wire_turn(loop);
    cr_expect_eq(seen.requests, 1, "%u", seen.requests);
    WIRE_RECEIVE_UNTIL(loop, &wire, wire.in.len > 6 * (size_t)BIG || wire.has_ended);
    cr_expect_eq(wire_count(&wire, "200 OK"), 6);
    cr_expect_gt(wire.in.len, 6 * (size_t)BIG);
    wire_close(&wire);
}

static size_t memory_in_use(void)
{
    struct mallinfo2 info = mallinfo2(); /* says nothing under a sanitizer, which is fine */
    return info.uordblks + info.hblkhd;
}

Test(http1_load, an_idle_connection_does_not_keep_the_room_of_its_largest_request)
{
    enum { LARGE = 1 << 20 };
    struct wire wire;
    open_wire(&wire);
    ask(&wire, SPAN(GET("/a")), "200 OK", 1);
    bytes_release(&wire.in);
    size_t before = memory_in_use(), sent = 0;
    char *body = calloc(1, LARGE);
    wire_send(&wire, SPAN("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 1048576\r\n\r\n"));
    WIRE_RECEIVE_UNTIL(loop, &wire,
                       (sent += wire_send_some(&wire, (struct span){body + sent, LARGE - sent}),
                        wire.in.len > LARGE));
    cr_expect_gt(wire.in.len, LARGE);
    free(body);
    bytes_release(&wire.in);
    wire_turn(loop);
    size_t after = memory_in_use();
    cr_expect_lt(after, before + 65536, "%zu bytes more", after - before);
    wire_close(&wire);
}

/* ---- limits that change ---- */

static void other_limits(struct http_limits *limits)
{
    small_marks(limits);
    limits->body_max = 10;
    limits->idle_ms = 50;
}

Test(http1_load, open_connections_follow_new_limits)
{
    static const struct span large =
        SPAN("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 11\r\n\r\n01234567890");
    struct wire marks, body, idle;
    open_wire(&marks);
    open_wire(&body);
    open_wire(&idle);
    ask(&marks, SPAN(GET("/a")), "200 OK", 1);
    ask(&body, large, "200 OK", 1);
    limit(other_limits);
    wire_send(&marks, SPAN(GET("/abort")));
    WIRE_UNTIL(loop, seen.held);
    for (int i = 0; i < 2000; i++)
        http_write(seen.held, SPAN("x"));
    cr_expect(http_is_full(seen.held));
    ask(&body, large, "HTTP/1.1 413 ", 1);
    ask(&idle, SPAN(GET("/a")), "200 OK", 1);
    until_hung_up(&idle);
    wire_close(&marks);
    wire_close(&body);
    wire_close(&idle);
}

/* ---- draining ---- */

static unsigned emptied;

static void on_empty(void *ctx)
{
    (void)ctx;
    emptied++;
}

Test(http1_load, draining_ends_idle_connections_now_and_others_after_their_answer)
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

Test(http1_load, draining_a_server_without_connections_is_over_on_the_next_turn)
{
    http_server_drain(server, on_empty);
    cr_expect_eq(emptied, 0);
    wire_turn(loop);
    cr_expect_eq(emptied, 1);
}

Test(http1_load, draining_does_not_cut_an_answer_that_is_still_being_sent)
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
