/*
 * The life of fetches and connections: pausing, cancelling, starting inside callbacks, and which
 * connection carries what.
 */
#include "net/fetch.h"

#include <unistd.h>

#include "unit/net_fetch_world.h"

TestSuite(fetch_life, .init = fetch_world_open, .fini = fetch_world_close, .timeout = 30);

/* ---- back-pressure ---- */

static void pause_self(struct seen *seen)
{
    fetch_pause(seen->fetch);
}

Test(fetch_life, a_paused_answer_stops_the_provider_and_goes_on_where_it_was)
{
    struct seen seen = {.on_body = pause_self};
    struct wire wire;
    static char piece[65536];
    size_t sent = 0, total = 48 << 20;
    struct fetch_request request = request_of("POST");
    request.idle_ms = 200; /* a pause of ours is no silence of the provider */
    begin(&seen, &request);
    take_post(&wire);
    wire_send(&wire, SPAN("HTTP/1.1 200 OK\r\nContent-Length: 50331648\r\n\r\n"));
    for (int idle = 0; idle < 400; idle++) {
        size_t n = wire_send_some(&wire, (struct span){piece, sizeof(piece)});
        sent += n;
        idle = n ? 0 : idle;
        wire_turn(loop);
        cr_assert_lt(sent, total, "nothing stopped the provider");
    }
    cr_expect_eq(seen.bodies, 1);
    cr_expect_eq(seen.dones, 0, "%s", seen.err.detail);
    seen.on_body = NULL;
    fetch_resume(seen.fetch);
    cr_expect_eq(seen.bodies, 1, "data came before fetch_resume returned");
    WIRE_UNTIL(loop, (sent += wire_send_some(
                          &wire, (struct span){piece, total - sent < 65536 ? total - sent : 65536}),
                      seen.dones));
    cr_expect_eq(seen.err.kind, 0, "%s", seen.err.detail);
    cr_expect_eq(seen.body.len, total);
    wire_close(&wire);
    release(&seen);
}

Test(fetch_life, pausing_at_every_piece_loses_nothing)
{
    struct seen seen = {.on_body = pause_self};
    struct wire wire;
    post(&seen);
    take_post(&wire);
    wire_send(&wire, SPAN(CHUNKED "1\r\n0\r\n2\r\n12\r\n3\r\n345\r\n4\r\n6789\r\n0\r\n\r\n"));
    WIRE_UNTIL(loop, (seen.fetch ? fetch_resume(seen.fetch) : (void)0, seen.dones));
    cr_expect_eq(seen.err.kind, 0, "%s", seen.err.detail);
    cr_expect(span_equal(bytes_span(&seen.body), SPAN("0123456789")));
    wire_close(&wire);
    release(&seen);
}

Test(fetch_life, what_is_paused_may_be_cancelled_before_and_after_it_is_resumed)
{
    for (int resumed = 0; resumed < 2; resumed++) {
        struct seen seen = {.on_body = pause_self};
        struct wire wire;
        post(&seen);
        take_post(&wire);
        wire_send(&wire, SPAN(CHUNKED "1\r\n0\r\n2\r\n12\r\n"));
        WIRE_UNTIL(loop, seen.bodies);
        if (resumed)
            fetch_resume(seen.fetch);
        fetch_cancel(seen.fetch);
        until_hung_up(&wire);
        cr_expect(seen.bodies == 1 && seen.dones == 0);
        wire_close(&wire);
        release(&seen);
    }
}

/* ---- cancelling ---- */

Test(fetch_life, cancelling_ends_it_at_once_wherever_it_is)
{
    struct seen before = {0}, connected = {0}, in_head = {.on_head = cancel_self};
    struct seen in_body = {.on_body = cancel_self}, halfway = {0};
    struct wire wire;
    post(&before);
    fetch_cancel(before.fetch);
    nobody_else_comes();

    post(&connected);
    take_post(&wire);
    fetch_cancel(connected.fetch);
    until_hung_up(&wire);
    wire_close(&wire);

    post(&in_head);
    take_post(&wire);
    wire_send(&wire, SPAN(OK(5) "hello"));
    until_hung_up(&wire);
    wire_close(&wire);

    post(&in_body);
    take_post(&wire);
    wire_send(&wire, SPAN(CHUNKED "1\r\na\r\n1\r\nb\r\n"));
    until_hung_up(&wire);
    wire_close(&wire);

    post(&halfway);
    take_post(&wire);
    wire_send(&wire, SPAN(CHUNKED "1\r\na\r\n"));
    WIRE_UNTIL(loop, halfway.bodies);
    fetch_cancel(halfway.fetch);
    until_hung_up(&wire);
    wire_close(&wire);
    settle();
    cr_expect(!before.heads && !connected.heads && in_head.heads == 1 && in_body.bodies == 1);
    cr_expect(!before.dones && !connected.dones && !in_head.dones && !in_body.dones &&
              !halfway.dones);
    cr_expect_eq(in_head.bodies, 0);
    release(&in_head);
    release(&in_body);
    release(&halfway);
}

static void cancel_other(struct seen *seen)
{
    if (seen->other->fetch)
        cancel_self(seen->other);
}

Test(fetch_life, one_may_cancel_another_in_each_callback)
{
    for (int where = 0; where < 3; where++) {
        struct seen one = {0}, other = {0};
        struct wire wire, other_wire;
        one.other = &other;
        one.on_head = where == 0 ? cancel_other : NULL;
        one.on_body = where == 1 ? cancel_other : NULL;
        one.on_done = where == 2 ? cancel_other : NULL;
        post(&other);
        take_post(&other_wire);
        wire_send(&other_wire, SPAN(CHUNKED "1\r\na\r\n"));
        WIRE_UNTIL(loop, other.bodies);
        post(&one);
        take_post(&wire);
        wire_send(&other_wire, SPAN("1\r\nb\r\n0\r\n\r\n"));
        wire_send(&wire, SPAN(OK(5) "hello"));
        until_done(&one);
        settle();
        cr_expect(one.err.kind == 0 && one.body.len == 5);
        cr_expect_leq(other.dones, 1);
        if (!other.dones)
            until_hung_up(&other_wire);
        wire_close(&wire);
        wire_close(&other_wire);
        release(&one);
        release(&other);
        fetch_pool_forget(pool);
    }
}

static void start_other(struct seen *seen)
{
    struct seen *other = seen->other;
    if (other && !other->fetch && !other->dones)
        post(other);
}

/* What a retry does: an attempt is given up in a callback, the next begins there and then. */
Test(fetch_life, a_fetch_may_be_started_in_each_callback)
{
    for (int where = 0; where < 3; where++) {
        struct seen one = {0}, other = {0};
        struct wire wire, other_wire;
        one.other = &other;
        one.on_head = where == 0 ? start_other : NULL;
        one.on_body = where == 1 ? start_other : NULL;
        one.on_done = where == 2 ? start_other : NULL;
        post(&one);
        take_post(&wire);
        wire_send(&wire,
                  SPAN("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello"));
        until_done(&one);
        take_post(&other_wire);
        wire_send(&other_wire, SPAN(OK(5) "there"));
        until_done(&other);
        cr_expect_eq(other.err.kind, 0, "%d: %s", where, other.err.detail);
        cr_expect(span_equal(bytes_span(&other.body), SPAN("there")));
        wire_close(&wire);
        wire_close(&other_wire);
        release(&one);
        release(&other);
    }
}

static void start_and_cancel_other(struct seen *seen)
{
    start_other(seen);
    cancel_other(seen);
}

Test(fetch_life, what_was_started_in_a_callback_may_be_cancelled_there)
{
    struct seen one = {.on_head = start_and_cancel_other}, other = {0};
    struct wire wire;
    one.other = &other;
    post(&one);
    take_post(&wire);
    wire_send(&wire, SPAN(OK(5) "hello"));
    until_done(&one);
    nobody_else_comes();
    cr_expect_eq(other.heads + other.dones, 0);
    wire_close(&wire);
    release(&one);
}

/* ---- connections ---- */

Test(fetch_life, connections_are_shared_between_equal_share_keys_alone)
{
    struct seen first = {0}, same = {0}, different = {0};
    struct wire wire, other;
    post(&first);
    take_post(&wire);
    wire_send(&wire, SPAN(OK(2) "ok"));
    until_done(&first);
    post(&same);
    take_another(&wire);
    wire_send(&wire, SPAN(OK(2) "ok"));
    until_done(&same);
    cr_expect_eq(same.err.kind, 0);
    struct fetch_request request = request_of("POST");
    request.share_key = "b";
    begin(&different, &request);
    take_post(&other);
    wire_send(&other, SPAN(OK(2) "ok"));
    until_done(&different);
    cr_expect_eq(different.err.kind, 0);
    wire_close(&wire);
    wire_close(&other);
    release(&first);
    release(&same);
    release(&different);
}

/* security.md, fact 3: libcurl would send the POST again by itself. */
Test(fetch_life, a_post_is_not_sent_again_when_its_connection_dies)
{
    for (int reset = 0; reset < 2; reset++) {
        struct seen first = {0}, second = {0}, third = {0};
        struct wire wire;
        post(&first);
        take_post(&wire);
        wire_send(&wire, SPAN(OK(2) "ok"));
        until_done(&first);
        post(&second);
        take_another(&wire);
        cr_expect_eq(wire_count(&wire, "POST "), 1);
        if (reset)
            wire_reset(&wire);
        else
            wire_close(&wire);
        until_done(&second);
        cr_expect_eq(second.err.kind, ERR_PROVIDER_RESET, "%d %s", second.err.kind,
                     second.err.detail);
        cr_expect_eq(second.heads, 0);
        settle();
        while (site_accept(&site, &wire)) { /* libcurl connects before it is stopped */
            WIRE_RECEIVE_UNTIL(loop, &wire, wire.has_ended);
            cr_expect_eq(wire.in.len, 0, "the POST was sent a second time");
            wire_close(&wire);
        }
        post(&third);
        take_post(&wire);
        wire_send(&wire, SPAN(OK(2) "ok"));
        until_done(&third);
        cr_expect_eq(third.err.kind, 0);
        wire_close(&wire);
        release(&first);
        release(&third);
        settle();
    }
}

Test(fetch_life, a_connection_closed_while_idle_is_replaced)
{
    struct seen first = {0}, second = {0};
    struct wire wire;
    post(&first);
    take_post(&wire);
    wire_send(&wire, SPAN(OK(2) "ok"));
    until_done(&first);
    wire_close(&wire);
    settle();
    post(&second);
    take_post(&wire);
    cr_expect_eq(wire_count(&wire, "POST "), 1);
    wire_send(&wire, SPAN(OK(2) "ok"));
    until_done(&second);
    cr_expect_eq(second.err.kind, 0, "%s", second.err.detail);
    wire_close(&wire);
    release(&first);
    release(&second);
}

static void forget_now(struct seen *seen)
{
    (void)seen;
    fetch_pool_forget(pool);
}

Test(fetch_life, forgotten_connections_close_and_those_in_use_after_their_answer)
{
    for (int in_callback = 0; in_callback < 2; in_callback++) {
        struct seen active = {0}, idle = {0}, next = {0};
        struct wire wire, idle_wire, next_wire;
        struct fetch_request request = request_of("POST");
        request.share_key = "idle";
        begin(&idle, &request);
        take_post(&idle_wire);
        wire_send(&idle_wire, SPAN(OK(2) "ok"));
        until_done(&idle);
        active.on_done = in_callback ? forget_now : NULL;
        post(&active);
        take_post(&wire);
        wire_send(&wire, SPAN(CHUNKED "1\r\na\r\n"));
        WIRE_UNTIL(loop, active.bodies);
        if (!in_callback) {
            fetch_pool_forget(pool);
            until_hung_up(&idle_wire);
        }
        wire_send(&wire, SPAN("1\r\nb\r\n0\r\n\r\n"));
        until_done(&active);
        cr_expect(active.err.kind == 0 && active.body.len == 2);
        until_hung_up(&wire);
        until_hung_up(&idle_wire);
        post(&next);
        take_post(&next_wire);
        wire_send(&next_wire, SPAN(OK(2) "ok"));
        until_done(&next);
        cr_expect_eq(next.err.kind, 0);
        wire_close(&wire);
        wire_close(&idle_wire);
        wire_close(&next_wire);
        release(&active);
        release(&idle);
        release(&next);
        fetch_pool_forget(pool);
    }
}

Test(fetch_life, requests_above_the_connections_of_a_target_wait_their_turn)
{
    struct seen seen[3] = {0};
    struct wire wire;
    fetch_pool_free(pool);
    pool = fetch_pool_new(loop, 1, 55000);
    for (int i = 0; i < 3; i++)
        post(&seen[i]);
    take_post(&wire);
    nobody_else_comes();
    for (int i = 0; i < 3; i++) {
        if (i)
            take_another(&wire);
        wire_send(&wire, SPAN(OK(2) "ok"));
        WIRE_UNTIL(loop, seen[0].dones + seen[1].dones + seen[2].dones > (unsigned)i);
    }
    for (int i = 0; i < 3; i++) {
        cr_expect(seen[i].dones == 1 && seen[i].err.kind == 0, "%d: %s", i, seen[i].err.detail);
        release(&seen[i]);
    }
    wire_close(&wire);
}

Test(fetch_life, a_unix_socket_may_be_the_target)
{
    struct seen seen = {0};
    struct wire wire;
    struct site tcp = site;
    char path[64];
    snprintf(path, sizeof(path), "/tmp/aictl-fetch-%d.sock", (int)getpid());
    site_open(&site, path);
    struct fetch_request request = request_of("POST");
    request.url = "http://localhost/v1/x";
    request.unix_path = path;
    begin(&seen, &request);
    take_post(&wire);
    wire_send(&wire, SPAN(OK(2) "ok"));
    until_done(&seen);
    cr_expect(seen.err.kind == 0 && seen.body.len == 2);
    wire_close(&wire);
    release(&seen);
    site_close(&site);
    struct seen gone = {0};
    request.share_key = "gone";
    begin(&gone, &request);
    until_done(&gone);
    cr_expect_eq(gone.err.kind, ERR_PROVIDER_CONNECT);
    site = tcp;
}

Test(fetch_life, a_proxy_in_the_environment_is_not_used)
{
    struct seen seen = {0};
    struct wire wire;
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("ALL_PROXY", "socks5://127.0.0.1:1", 1);
    post(&seen);
    take_post(&wire);
    wire_send(&wire, SPAN(OK(2) "ok"));
    until_done(&seen);
    cr_expect_eq(seen.err.kind, 0, "%s", seen.err.detail);
    wire_close(&wire);
    release(&seen);
}
