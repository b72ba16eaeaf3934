/*
 * Requests to providers and their answers: every answer is sent byte for byte, and what the
 * provider saw is counted.
 */
#include "net/fetch.h"

#include "unit/net_fetch_world.h"

TestSuite(fetch, .init = fetch_world_open, .fini = fetch_world_close, .timeout = 30);

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
    cr_expect(!wire_has(&wire, "Expect") && !wire_has(&wire, "Cookie") &&
              !wire_has(&wire, "Accept-Encoding"));
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
        SPAN("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n" OK(
            10) "0123456789"),
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
        {SPAN("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"),
         302},
        {SPAN("HTTP/1.1 307 Temporary Redirect\r\nLocation: /v2\r\nContent-Length: 0\r\n\r\n"),
         307},
        {SPAN(
             "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n"),
         401},
        {SPAN("HTTP/1.1 401 No\r\nWWW-Authenticate: Negotiate\r\nContent-Length: 0\r\n\r\n"), 401},
        {SPAN("HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: "
              "0\r\n\r\n"),
         407},
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
        cr_expect(seen.status == rows[i].status && seen.err.kind == 0, "row %zu: %s", i,
                  seen.err.detail);
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
        {SPAN(CHUNKED "xyz\r\nhell\r\n"),
         ERR_PROVIDER_RESET}, /* libcurl does not tell them apart */
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
        cr_expect_eq(seen.err.kind, rows[i].kind, "row %zu: %d %s", i, seen.err.kind,
                     seen.err.detail);
        release(&seen);
        nobody_else_comes();
    }
}

Test(fetch, a_flood_of_headers_is_cut_off)
{
    static const struct {
        struct span first, again;
    } floods[] = {
        {SPAN("HTTP/1.1 200 OK\r\n"), SPAN("X-A: b\r\n")},
        {SPAN("HTTP/1.1 200 OK\r\n"), SPAN("X-A\r\n")},
        {SPAN("HTTP/1.1 200 OK\r\nX-A: "), SPAN("aaaaaaaaaaaaaaaa")},
        {SPAN(""), SPAN("HTTP/1.1 100 Continue\r\n\r\n")},
        {SPAN(""), SPAN("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")},
    };
    for (size_t i = 0; i < sizeof(floods) / sizeof(floods[0]); i++) {
        struct seen seen = {0};
        struct wire wire;
        struct bytes text = {.max = 1 << 20};
        size_t all = 0;
        post(&seen);
        take_post(&wire);
        wire_send(&wire, floods[i].first);
        while (text.len < 500000)
            cr_assert_eq(bytes_add_span(&text, floods[i].again), 0);
        WIRE_UNTIL(loop,
                   (all += wire_send_some(&wire, bytes_span(&text)), seen.dones || all > 20000000));
        cr_expect_eq(seen.err.kind, ERR_PROVIDER_ANSWER, "flood %zu: %d %s", i, seen.err.kind,
                     seen.err.detail);
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
        wire_turn(loop); /* limits count from the time of a turn */
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
    static const struct span secrets[] = {SPAN("x-api-key: a\r\nx: b"), SPAN("x-api-key: a\n"),
                                          SPAN("x-api-key: a\0b")};
    static const char *const urls[] = {"",
                                       "nonsense",
                                       "http://",
                                       "ftp://127.0.0.1/",
                                       "file:///etc/passwd",
                                       "http://127.0.0.1:99999/",
                                       "http://a b/",
                                       "http://u:p@127.0.0.1/",
                                       "gopher://127.0.0.1/",
                                       "http://127.0.0.1/\r\nX: y"};
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
