/*
 * Requests to providers, against servers that a test plays by hand: every answer is sent byte for
 * byte, and what the provider saw is counted.
 */
#include "net/fetch.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "unit/net_wire.h"

#define OK(body_len) "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: " #body_len "\r\n\r\n"
#define CHUNKED      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

/* What came of one fetch, and what it does when something comes. */
struct seen {
    unsigned heads, bodies, dones;
    int status;
    size_t header_count;
    struct bytes headers; /* "name=value\n" each */
    struct bytes body;
    struct err err;
    struct fetch *fetch;
    void (*on_head)(struct seen *seen);
    void (*on_body)(struct seen *seen);
    void (*on_done)(struct seen *seen);
    struct seen *other; /* for these */
};

static struct loop *loop;
static struct fetch_pool *pool;
static struct site site;
static char url[160];

static void start(void)
{
    loop = loop_new();
    pool = fetch_pool_new(loop, 8);
    site_open(&site, NULL);
    snprintf(url, sizeof(url), "http://%s/v1/x", site.address);
}

static void stop(void)
{
    fetch_pool_free(pool);
    site_close(&site);
    loop_free(loop);
}

TestSuite(fetch, .init = start, .fini = stop, .timeout = 30);

static void on_head(void *ctx, int status, const struct fetch_header *headers, size_t count)
{
    struct seen *seen = ctx;
    cr_expect_eq(seen->bodies + seen->dones, 0);
    seen->heads++;
    seen->status = status;
    seen->header_count = count;
    for (size_t i = 0; i < count; i++)
        cr_expect_eq(bytes_addf(&seen->headers, SPAN_FMT "=" SPAN_FMT "\n", SPAN_ARG(headers[i].name),
                                SPAN_ARG(headers[i].value)), 0);
    if (seen->on_head)
        seen->on_head(seen);
}

static void on_body(void *ctx, struct span data)
{
    struct seen *seen = ctx;
    cr_expect_eq(seen->heads, 1, "a body without a head");
    cr_expect_eq(seen->dones, 0);
    seen->bodies++;
    cr_expect_eq(bytes_add_span(&seen->body, data), 0);
    if (seen->on_body)
        seen->on_body(seen);
}

static void on_done(void *ctx, const struct err *err)
{
    struct seen *seen = ctx;
    seen->dones++;
    seen->fetch = NULL;
    if (err)
        seen->err = *err;
    if (seen->on_done)
        seen->on_done(seen);
}

static const struct fetch_events events = {on_head, on_body, on_done};

static struct fetch_request request_of(const char *method)
{
    static const char *const headers[] = {"content-type: application/json", NULL};
    struct fetch_request request = {
        .method = method,
        .url = url,
        .share_key = "a",
        .headers = headers,
        .connect_ms = 5000,
        .first_byte_ms = 9000,
    };
    if (!strcmp(method, "POST"))
        request.body = SPAN("{\"a\":1}");
    return request;
}

static void begin(struct seen *seen, const struct fetch_request *request)
{
    struct err err = {0};
    seen->headers.max = 1 << 20;
    seen->body.max = 1 << 26;
    seen->fetch = fetch_start(pool, request, &events, seen, &err);
    cr_assert(seen->fetch, "%s", err.detail);
    cr_expect_eq(seen->heads + seen->bodies + seen->dones, 0, "a callback before fetch_start returned");
}

static void release(struct seen *seen)
{
    bytes_release(&seen->headers);
    bytes_release(&seen->body);
}

static void post(struct seen *seen)
{
    struct fetch_request request = request_of("POST");
    begin(seen, &request);
}

/* The server's side: takes the connection and the whole request. */
static void take(struct wire *wire, const char *last)
{
    bool accepted = false;
    WIRE_UNTIL(loop, (accepted = site_accept(&site, wire)));
    cr_assert(accepted, "no connection came");
    WIRE_RECEIVE_UNTIL(loop, wire, wire_has(wire, last));
    cr_assert(wire_has(wire, last), SPAN_FMT, SPAN_ARG(bytes_span(&wire->in)));
}

static void take_post(struct wire *wire)
{
    take(wire, "{\"a\":1}");
}

/* The next request on a connection that is kept. */
static void take_another(struct wire *wire)
{
    bytes_clear(&wire->in);
    WIRE_RECEIVE_UNTIL(loop, wire, wire_has(wire, "{\"a\":1}") || wire->has_ended);
    cr_expect(wire_has(wire, "{\"a\":1}"), "the connection was not used again");
}

static void until_done(struct seen *seen)
{
    WIRE_UNTIL(loop, seen->dones);
    cr_expect_eq(seen->dones, 1);
}

/* A few turns in which nothing more may happen. */
static void settle(void)
{
    for (int i = 0; i < 20; i++)
        wire_turn(loop);
}

static void nobody_else_comes(void)
{
    struct wire other;
    settle();
    cr_expect(!site_accept(&site, &other), "another connection was made");
}

static void until_hung_up(struct wire *wire)
{
    WIRE_RECEIVE_UNTIL(loop, wire, wire->has_ended);
    cr_expect(wire->has_ended, "the connection is still open");
}

/* ---- answers ---- */

Test(fetch, a_plain_answer_comes_whole_and_once)
{
    struct seen seen = {0};
    struct wire wire;
    struct fetch_request request = request_of("POST");
    request.secret_header = SPAN("authorization: Bearer abc");
    begin(&seen, &request);
    take_post(&wire);
    cr_expect(wire_has(&wire, "POST /v1/x HTTP/1.1\r\n"));
    cr_expect(wire_has(&wire, site.address) && wire_count(&wire, "Host: ") == 1);
    cr_expect(wire_has(&wire, "\r\ncontent-type: application/json\r\n"));
    cr_expect(wire_has(&wire, "\r\nauthorization: Bearer abc\r\n"));
    cr_expect(wire_has(&wire, "\r\nContent-Length: 7\r\n"));
    cr_expect(!wire_has(&wire, "Expect") && !wire_has(&wire, "Cookie") && !wire_has(&wire, "Accept-Encoding"));
    wire_send(&wire, SPAN(OK(5) "hello"));
    until_done(&seen);
    cr_expect_eq(seen.err.kind, 0, "%s", seen.err.detail);
    cr_expect_eq(seen.heads, 1);
    cr_expect_eq(seen.status, 200);
    cr_expect_str_eq(seen.headers.data, "Content-Type=text/plain\nContent-Length=5\n");
    cr_expect(span_equal(bytes_span(&seen.body), SPAN("hello")));
    settle();
    cr_expect_eq(seen.dones, 1);
    wire_close(&wire);
    release(&seen);
}

Test(fetch, a_get_has_no_body)
{
    struct seen seen = {0};
    struct wire wire;
    struct fetch_request request = request_of("GET");
    begin(&seen, &request);
    take(&wire, "\r\n\r\n");
    cr_expect(wire_has(&wire, "GET /v1/x HTTP/1.1\r\n") && !wire_has(&wire, "Content-Length"));
    wire_send(&wire, SPAN("HTTP/1.1 204 No Content\r\n\r\n"));
    until_done(&seen);
    cr_expect(seen.err.kind == 0 && seen.status == 204);
    wire_close(&wire);
    release(&seen);
}

Test(fetch, an_answer_may_be_cut_anywhere)
{
    static const struct span answers[] = {
        SPAN(OK(10) "0123456789"),
        SPAN(CHUNKED "4\r\n0123\r\n6;x=y\r\n456789\r\n0\r\n\r\n"),
        SPAN(CHUNKED "A\r\n0123456789\r\n0\r\nX-Trailer: 1\r\n\r\n"),
        SPAN("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n" OK(10) "0123456789"),
        SPAN("HTTP/1.0 200 OK\r\n\r\n0123456789"),
    };
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        struct seen seen = {0};
        struct wire wire;
        struct fetch_request request = request_of("POST");
        request.share_key = answers[i].at; /* a connection each */
        begin(&seen, &request);
        take_post(&wire);
        for (size_t k = 0; k < answers[i].len; k++) {
            wire_send(&wire, (struct span){answers[i].at + k, 1});
            wire_turn(loop);
        }
        wire_close(&wire);
        until_done(&seen);
        cr_expect_eq(seen.err.kind, 0, "row %zu: %s", i, seen.err.detail);
        cr_expect(seen.heads == 1 && seen.status == 200, "row %zu", i);
        cr_expect(span_equal(bytes_span(&seen.body), SPAN("0123456789")), "row %zu", i);
        cr_expect(!seen.headers.data || !strstr(seen.headers.data, "Link"), "row %zu", i);
        release(&seen);
    }
}

Test(fetch, an_error_status_and_a_redirect_are_answers_like_any_other)
{
    static const struct {
        struct span text;
        int status;
    } rows[] = {
        {SPAN("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"), 302},
        {SPAN("HTTP/1.1 307 Temporary Redirect\r\nLocation: /v2\r\nContent-Length: 0\r\n\r\n"), 307},
        {SPAN("HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n"), 401},
        {SPAN("HTTP/1.1 401 No\r\nWWW-Authenticate: Negotiate\r\nContent-Length: 0\r\n\r\n"), 401},
        {SPAN("HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n"), 407},
        {SPAN("HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n"), 417},
        {SPAN("HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"), 200},
        {SPAN("HTTP/1.1 503 Busy\r\nRetry-After: 2\r\nContent-Length: 0\r\n\r\n"), 503},
    };
    struct wire wire;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct seen seen = {0};
        post(&seen);
        if (i == 0)
            take_post(&wire);
        else
            take_another(&wire);
        cr_expect(!wire_has(&wire, "Cookie"), "row %zu", i);
        wire_send(&wire, rows[i].text);
        until_done(&seen);
        cr_expect(seen.status == rows[i].status && seen.err.kind == 0, "row %zu: %s", i, seen.err.detail);
        nobody_else_comes();
        bytes_clear(&wire.in);
        wire_receive(&wire);
        cr_expect_eq(wire.in.len, 0, "row %zu: a second request", i);
        release(&seen);
    }
    wire_close(&wire);
}

Test(fetch, an_answer_that_is_none_is_a_failure)
{
    static const struct {
        struct span text;
        int kind;
    } rows[] = {
        {SPAN(""), ERR_PROVIDER_RESET},
        {SPAN("HTTP/1.1 200 OK\r\nContent-Len"), ERR_PROVIDER_RESET},
        {SPAN("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"), ERR_PROVIDER_RESET},
        {SPAN(OK(5) "hell"), ERR_PROVIDER_RESET},
        {SPAN(CHUNKED "4\r\nhell"), ERR_PROVIDER_RESET},
        {SPAN(CHUNKED "4\r\nhell\r\n"), ERR_PROVIDER_RESET},
        {SPAN(CHUNKED "xyz\r\nhell\r\n"), ERR_PROVIDER_ANSWER},
        {SPAN("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"), ERR_PROVIDER_ANSWER},
        {SPAN("hello, I am no HTTP server\r\n"), ERR_PROVIDER_ANSWER},
        {SPAN("HTTP/1.1 100 Continue\r\n\r\n"), ERR_PROVIDER_RESET},
        {SPAN("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nbytes"), ERR_PROVIDER_ANSWER},
        {SPAN("HTTP/1.1 200 OK\r\nX-A: a\0b\r\nContent-Length: 0\r\n\r\n"), ERR_PROVIDER_ANSWER},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct seen seen = {0};
        struct wire wire;
        post(&seen);
        take_post(&wire);
        wire_send(&wire, rows[i].text);
        wire_close(&wire);
        until_done(&seen);
        cr_expect_eq(seen.err.kind, rows[i].kind, "row %zu: %d %s", i, seen.err.kind, seen.err.detail);
        release(&seen);
        nobody_else_comes();
    }
}

Test(fetch, a_flood_of_headers_is_cut_off)
{
    static const char *const floods[] = {"X-%zu: b\r\n", "HTTP/1.1 100 Continue\r\n\r\n", "no colon %zu\r\n",
                                         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa%zu"};
    for (size_t i = 0; i < sizeof(floods) / sizeof(floods[0]); i++) {
        struct seen seen = {0};
        struct wire wire;
        struct bytes text = {.max = 1 << 20};
        size_t sent = 0, all = 0;
        post(&seen);
        take_post(&wire);
        wire_send(&wire, SPAN("HTTP/1.1 200 OK\r\nX-A: "));
        if (i < 3)
            wire_send(&wire, SPAN("b\r\n"));
        for (size_t k = 0; text.len < 500000; k++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-extra-args"
            cr_assert_eq(bytes_addf(&text, floods[i], k), 0);
#pragma GCC diagnostic pop
        }
        WIRE_UNTIL(loop, (sent = wire_send_some(&wire, bytes_span(&text)), all += sent,
                          seen.dones || all > 20000000));
        cr_expect_eq(seen.err.kind, ERR_PROVIDER_ANSWER, "flood %zu: %d %s", i, seen.err.kind, seen.err.detail);
        cr_expect_eq(seen.heads, 0);
        bytes_release(&text);
        if (!seen.dones)
            fetch_cancel(seen.fetch);
        wire_close(&wire);
        release(&seen);
    }
}

/* ---- the body of the request ---- */

Test(fetch, a_large_body_goes_out_whole_to_a_slow_reader)
{
    struct seen seen = {0};
    struct wire wire;
    struct fetch_request request = request_of("POST");
    size_t size = 8 << 20;
    char *body = calloc(1, size);
    body[size - 1] = 'Z';
    request.body = (struct span){body, size};
    begin(&seen, &request);
    take(&wire, "\r\n\r\n");
    settle();
    WIRE_RECEIVE_UNTIL(loop, &wire, wire_has(&wire, "Z"));
    cr_expect(wire_has(&wire, "Content-Length: 8388608\r\n"));
    wire_send(&wire, SPAN(OK(0)));
    until_done(&seen);
    cr_expect_eq(seen.err.kind, 0, "%s", seen.err.detail);
    free(body);
    wire_close(&wire);
    release(&seen);
}

static void cancel_self(struct seen *seen)
{
    fetch_cancel(seen->fetch);
    seen->fetch = NULL;
}

static char *large_body;

static void cancel_and_free_body(struct seen *seen)
{
    cancel_self(seen);
    free(large_body);
}

Test(fetch, an_early_answer_may_be_the_end_of_a_body_half_sent)
{
    struct seen seen = {.on_head = cancel_and_free_body};
    struct wire wire;
    struct fetch_request request = request_of("POST");
    large_body = calloc(1, 32 << 20);
    request.body = (struct span){large_body, 32 << 20};
    begin(&seen, &request);
    take(&wire, "\r\n\r\n");
    wire_send(&wire, SPAN("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"));
    WIRE_UNTIL(loop, seen.heads);
    cr_expect_eq(seen.status, 413);
    until_hung_up(&wire);
    cr_expect_eq(seen.dones, 0);
    wire_close(&wire);
    release(&seen);
}

/* ---- back-pressure ---- */

static void pause_self(struct seen *seen)
{
    fetch_pause(seen->fetch);
}

Test(fetch, a_paused_answer_stops_the_provider_and_goes_on_where_it_was)
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
    WIRE_UNTIL(loop, (sent += wire_send_some(&wire, (struct span){piece, total - sent < 65536 ? total - sent : 65536}),
                      seen.dones));
    cr_expect_eq(seen.err.kind, 0, "%s", seen.err.detail);
    cr_expect_eq(seen.body.len, total);
    wire_close(&wire);
    release(&seen);
}

Test(fetch, pausing_at_every_piece_loses_nothing)
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

Test(fetch, what_is_paused_may_be_cancelled_before_and_after_it_is_resumed)
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

Test(fetch, cancelling_ends_it_at_once_wherever_it_is)
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
    cr_expect(!before.dones && !connected.dones && !in_head.dones && !in_body.dones && !halfway.dones);
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

Test(fetch, one_may_cancel_another_in_each_callback)
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
Test(fetch, a_fetch_may_be_started_in_each_callback)
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
        wire_send(&wire, SPAN("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello"));
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

Test(fetch, what_was_started_in_a_callback_may_be_cancelled_there)
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

Test(fetch, connections_are_shared_between_equal_share_keys_alone)
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
Test(fetch, a_post_is_not_sent_again_when_its_connection_dies)
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
        cr_expect_eq(second.err.kind, ERR_PROVIDER_RESET, "%d %s", second.err.kind, second.err.detail);
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

Test(fetch, a_connection_closed_while_idle_is_replaced)
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

Test(fetch, forgotten_connections_close_and_those_in_use_after_their_answer)
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

Test(fetch, requests_above_the_connections_of_a_target_wait_their_turn)
{
    struct seen seen[3] = {0};
    struct wire wire;
    fetch_pool_free(pool);
    pool = fetch_pool_new(loop, 1);
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

Test(fetch, a_unix_socket_may_be_the_target)
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

Test(fetch, a_proxy_in_the_environment_is_not_used)
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

/* ---- failures ---- */

Test(fetch, nobody_listening_is_a_failure_to_connect)
{
    struct seen seen = {0};
    struct site gone;
    char nowhere[160];
    site_open(&gone, NULL);
    site_close(&gone);
    snprintf(nowhere, sizeof(nowhere), "http://%s/", gone.address);
    struct fetch_request request = request_of("POST");
    request.url = nowhere;
    begin(&seen, &request);
    until_done(&seen);
    cr_expect_eq(seen.err.kind, ERR_PROVIDER_CONNECT, "%s", seen.err.detail);
}

Test(fetch, tls_with_something_that_speaks_none_is_a_tls_failure)
{
    struct seen seen = {0};
    struct wire wire;
    char secure[160];
    snprintf(secure, sizeof(secure), "https://%s/", site.address);
    struct fetch_request request = request_of("POST");
    request.url = secure;
    request.secret_header = SPAN("x-api-key: SECRET");
    begin(&seen, &request);
    take(&wire, "\x16\x03");
    cr_expect(!wire_has(&wire, "SECRET"));
    wire_send(&wire, SPAN("HTTP/1.1 400 Bad Request\r\n\r\n"));
    until_done(&seen);
    cr_expect_eq(seen.err.kind, ERR_PROVIDER_TLS, "%s", seen.err.detail);
    wire_close(&wire);
}

Test(fetch, names_that_do_not_resolve_do_not_use_up_the_resolver)
{
    struct fetch_request request = request_of("POST");
    /* A label of 64 letters: refused by the resolver itself, nobody is asked. */
    request.url = "http://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/";
    for (int i = 0; i < 40; i++) {
        struct seen seen = {0};
        begin(&seen, &request);
        until_done(&seen);
        cr_expect_eq(seen.err.kind, ERR_PROVIDER_DNS, "%s", seen.err.detail);
        cr_expect(!strstr(seen.err.detail, "already"), "try %d: %s", i, seen.err.detail);
    }
    struct seen seen = {0};
    struct wire wire;
    post(&seen);
    take_post(&wire);
    fetch_cancel(seen.fetch);
    wire_close(&wire);
}

Test(fetch, silence_is_a_time_out_of_its_phase)
{
    static const struct {
        int64_t first_byte_ms, idle_ms, total_ms;
        struct span sent;
        const char *text;
    } rows[] = {
        {50, 0, 0, SPAN(""), "no first byte"},
        {50, 0, 0, SPAN("HTTP/1.1 200 OK\r\nX-A: b\r\n"), "no first byte"},
        {50, 0, 0, SPAN("HTTP/1.1 100 Continue\r\n\r\n"), "no first byte"},
        {0, 0, 50, SPAN(""), "no first byte"},
        {5000, 50, 0, SPAN(CHUNKED), "nothing more came"},
        {5000, 50, 0, SPAN(CHUNKED "1\r\na\r\n"), "nothing more came"},
        {5000, 5000, 60, SPAN(CHUNKED "1\r\na\r\n"), "the answer was not complete"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct seen seen = {0};
        struct wire wire;
        struct fetch_request request = request_of("POST");
        request.first_byte_ms = rows[i].first_byte_ms;
        request.idle_ms = rows[i].idle_ms;
        request.total_ms = rows[i].total_ms;
        int64_t began = loop_clock_us();
        begin(&seen, &request);
        take_post(&wire);
        wire_send(&wire, rows[i].sent);
        until_done(&seen);
        cr_expect_eq(seen.err.kind, ERR_PROVIDER_TIMEOUT, "row %zu: %s", i, seen.err.detail);
        cr_expect(strstr(seen.err.detail, rows[i].text), "row %zu: %s", i, seen.err.detail);
        cr_expect_geq(loop_clock_us() - began, 45000, "row %zu", i);
        cr_expect_lt(loop_clock_us() - began, 2000000, "row %zu", i);
        until_hung_up(&wire);
        wire_close(&wire);
        release(&seen);
    }
}

Test(fetch, an_answer_that_keeps_coming_is_not_timed_out)
{
    struct seen seen = {0};
    struct wire wire;
    struct fetch_request request = request_of("POST");
    request.idle_ms = 150;
    begin(&seen, &request);
    take_post(&wire);
    wire_send(&wire, SPAN(CHUNKED));
    for (int i = 0; i < 10; i++) {
        int64_t until = loop_clock_us() + 50000;
        wire_send(&wire, SPAN("1\r\na\r\n"));
        WIRE_UNTIL(loop, loop_clock_us() > until);
    }
    wire_send(&wire, SPAN("0\r\n\r\n"));
    until_done(&seen);
    cr_expect(seen.err.kind == 0 && seen.body.len == 10, "%s", seen.err.detail);
    wire_close(&wire);
    release(&seen);
}

Test(fetch, a_request_that_cannot_be_written_is_refused_before_anything_is_sent)
{
    static const char *const header_rows[][2] = {
        {"x-a: b\r\nx-evil: c", NULL},
        {"x-a: b\nx-evil: c", NULL},
        {"x-a: b\r", NULL},
    };
    static const struct span secrets[] = {SPAN("x-api-key: a\r\nx: b"), SPAN("x-api-key: a\n"), SPAN("x-api-key: a\0b")};
    static const char *const urls[] = {"", "nonsense", "http://", "ftp://127.0.0.1/", "file:///etc/passwd",
                                       "http://127.0.0.1:99999/", "http://a b/", "http://u:p@127.0.0.1/",
                                       "gopher://127.0.0.1/", "http://127.0.0.1/\r\nX: y"};
    for (size_t i = 0; i < 3 + 3 + sizeof(urls) / sizeof(urls[0]); i++) {
        struct fetch_request request = request_of("POST");
        struct seen seen = {0};
        struct err err = {0};
        if (i < 3)
            request.headers = header_rows[i];
        else if (i < 6)
            request.secret_header = secrets[i - 3];
        else
            request.url = urls[i - 6];
        struct fetch *fetch = fetch_start(pool, &request, &events, &seen, &err);
        cr_expect(fetch == NULL, "row %zu", i);
        cr_expect_eq(err.kind, ERR_INVALID_REQUEST, "row %zu", i);
        cr_expect(!strstr(err.detail, "x-api-key"), "row %zu", i);
        if (fetch)
            fetch_cancel(fetch);
        cr_expect_eq(seen.dones, 0);
    }
    nobody_else_comes();
}
