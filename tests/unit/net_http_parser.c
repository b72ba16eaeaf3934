/*
 * The front door of HTTP: which bytes are a request. Vectors are named after the catalogue of bad
 * input (B-01 to B-09); each is judged whole, byte by byte and in odd pieces.
 */
#include "net/http_parser.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/own.h"

#define BODY_MAX 64
#define GET      "GET / HTTP/1.1\r\n"
#define POST     "POST /v1/messages HTTP/1.1\r\n"
#define HOST     "Host: localhost:3000\r\n"
#define CHUNKED  POST HOST "Transfer-Encoding: chunked\r\n\r\n"
#define TEXT(literal)                                                                              \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }

enum { INCOMPLETE = -1, TAKEN = 0 };

struct vector {
    const char *name;
    struct span bytes;
    int verdict;      /* TAKEN, INCOMPLETE or the kind of the error */
    const char *body; /* NULL: none */
};

/* What became of the first request in some bytes. */
struct judged {
    int verdict;
    size_t used; /* bytes of the request, when it was taken */
    struct http_request request;
    struct http_parser parser;
    struct err err;
};

static void release(struct judged *judged)
{
    http_request_reset(&judged->request);
    bytes_release(&judged->request.head);
}

/* Feeds `text` as a connection would, `step` bytes at a time. */
static void judge(struct judged *judged, struct span text, size_t step)
{
    *judged = (struct judged){.verdict = INCOMPLETE, .request = {.body = {.max = BODY_MAX}}};
    struct http_scan scan = {0};
    size_t have = 0;
    ssize_t head = 0;
    while (head == 0 && have < text.len) {
        have = have + step < text.len ? have + step : text.len;
        char *exact = malloc(have); /* a sanitizer sees reads beyond it */
        memcpy(exact, text.at, have);
        head = http_head_length(&scan, (struct span){exact, have}, &judged->err);
        free(exact);
    }
    int r = head < 0 ? (int)head : 0;
    if (head > 0) {
        http_parser_init(&judged->parser, &judged->request);
        r = http_parser_head(&judged->parser, (struct span){text.at, (size_t)head}, &judged->err);
        judged->used = (size_t)head;
    }
    bool done = head > 0 && r == 0 && !judged->request.has_body;
    while (head > 0 && r == 0 && !done && judged->used < text.len) {
        size_t left = text.len - judged->used, used;
        struct span piece = {text.at + judged->used, step < left ? step : left};
        r = http_parser_body(&judged->parser, piece, &used, &done, &judged->err);
        judged->used += used;
    }
    if (r < 0)
        judged->verdict = -r;
    else if (done)
        judged->verdict = TAKEN;
}

static void check(const struct vector *vector)
{
    static const size_t steps[] = {1 << 20, 1, 2, 3, 7};
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        struct judged judged;
        judge(&judged, vector->bytes, steps[i]);
        cr_expect_eq(judged.verdict, vector->verdict,
                     "%s, %zu bytes at a time: %d (%s) instead of %d", vector->name, steps[i],
                     judged.verdict, judged.err.detail, vector->verdict);
        if (judged.verdict == TAKEN)
            cr_expect(span_equal(bytes_span(&judged.request.body),
                                 span_of(vector->body ? vector->body : "")),
                      "%s: body " SPAN_FMT, vector->name,
                      SPAN_ARG(bytes_span(&judged.request.body)));
        release(&judged);
    }
}

#define CHECK_ALL(vectors)                                                                         \
    for (size_t row = 0; row < sizeof(vectors) / sizeof((vectors)[0]); row++)                      \
    check(&(vectors)[row])

#define BAD ERR_INVALID_REQUEST

Test(http_parser, ordinary_requests_are_taken)
{
    static const struct vector vectors[] = {
        {"a GET", TEXT(GET HOST "\r\n"), TAKEN, NULL},
        {"HTTP/1.0", TEXT("GET /healthz HTTP/1.0\r\n" HOST "\r\n"), TAKEN, NULL},
        {"an empty line first", TEXT("\r\n" GET HOST "\r\n"), TAKEN, NULL},
        {"two empty lines first", TEXT("\r\n\r\n" GET HOST "\r\n"), TAKEN, NULL},
        {"a query", TEXT("GET /v1/models?limit=1 HTTP/1.1\r\n" HOST "\r\n"), TAKEN, NULL},
        {"a tab in a value", TEXT(GET HOST "X-A: a\tb\r\n\r\n"), TAKEN, NULL},
        {"Latin-1 in a value", TEXT(GET HOST "X-A: \xe9\r\n\r\n"), TAKEN, NULL},
        {"an empty value", TEXT(GET HOST "X-A:\r\n\r\n"), TAKEN, NULL},
        {"a body", TEXT(POST HOST "Content-Length: 2\r\n\r\n{}"), TAKEN, "{}"},
        {"an empty body", TEXT(POST HOST "Content-Length: 0\r\n\r\n"), TAKEN, NULL},
        {"length in capitals", TEXT(POST HOST "CONTENT-LENGTH: 2\r\n\r\n{}"), TAKEN, "{}"},
        {"a chunked body", TEXT(CHUNKED "2\r\n{}\r\n0\r\n\r\n"), TAKEN, "{}"},
        {"chunks", TEXT(CHUNKED "1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"), TAKEN, "{}"},
        {"chunk sizes in hex", TEXT(CHUNKED "A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n"),
         TAKEN, "01234567890123456789"},
        {"a chunk extension", TEXT(CHUNKED "2;a=b\r\n{}\r\n0\r\n\r\n"), TAKEN, "{}"},
        {"an empty chunked body", TEXT(CHUNKED "0\r\n\r\n"), TAKEN, NULL},
        {"Chunked in capitals", TEXT(POST HOST "Transfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n"),
         TAKEN, NULL},
    };
    CHECK_ALL(vectors);
}

Test(http_parser, what_has_not_ended_is_waited_for)
{
    static const struct vector vectors[] = {
        {"half a request line", TEXT("GET / HT"), INCOMPLETE, NULL},
        {"no empty line", TEXT(GET HOST), INCOMPLETE, NULL},
        {"half an empty line", TEXT(GET HOST "\r"), INCOMPLETE, NULL},
        {"half a body", TEXT(POST HOST "Content-Length: 4\r\n\r\n{}"), INCOMPLETE, NULL},
        {"no last chunk", TEXT(CHUNKED "2\r\n{}\r\n"), INCOMPLETE, NULL},
        {"no end of chunks", TEXT(CHUNKED "2\r\n{}\r\n0\r\n"), INCOMPLETE, NULL},
    };
    CHECK_ALL(vectors);
}

Test(http_parser, b01_a_bare_cr_hides_no_header)
{
    static const struct vector vectors[] = {
        {"in a value", TEXT(GET HOST "X-A: \rTransfer-Encoding: chunked\r\n\r\n"), BAD, NULL},
        {"before a name", TEXT(GET HOST "\rX-A: b\r\n\r\n"), BAD, NULL},
        {"in the request line", TEXT("GET /\rX HTTP/1.1\r\n" HOST "\r\n"), BAD, NULL},
        {"at the end of a value", TEXT(GET HOST "X-A: b\r\r\n\r\n"), BAD, NULL},
        {"instead of a line end", TEXT(GET HOST "X-A: b\rX-B: c\r\n\r\n"), BAD, NULL},
        {"before the method", TEXT("\rGET / HTTP/1.1\r\n" HOST "\r\n"), BAD, NULL},
    };
    CHECK_ALL(vectors);
}

Test(http_parser, b02_a_length_is_said_once_and_in_digits)
{
    static const struct vector vectors[] = {
        {"length and coding",
         TEXT(POST HOST "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), BAD,
         NULL},
        {"coding and length",
         TEXT(POST HOST "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n"), BAD,
         NULL},
        {"two lengths", TEXT(POST HOST "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"), BAD,
         NULL},
        {"the same twice", TEXT(POST HOST "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}"), BAD,
         NULL},
        {"plus", TEXT(POST HOST "Content-Length: +2\r\n\r\n{}"), BAD, NULL},
        {"minus", TEXT(POST HOST "Content-Length: -1\r\n\r\n"), BAD, NULL},
        {"hex", TEXT(POST HOST "Content-Length: 0x4\r\n\r\nabcd"), BAD, NULL},
        {"a list", TEXT(POST HOST "Content-Length: 2, 2\r\n\r\n{}"), BAD, NULL},
        {"two numbers", TEXT(POST HOST "Content-Length: 2 2\r\n\r\n{}"), BAD, NULL},
        {"overflow", TEXT(POST HOST "Content-Length: 18446744073709551618\r\n\r\n{}"), BAD, NULL},
        {"above int64", TEXT(POST HOST "Content-Length: 9223372036854775808\r\n\r\n{}"), BAD, NULL},
        {"empty", TEXT(POST HOST "Content-Length:\r\n\r\n{}"), BAD, NULL},
        {"a word", TEXT(POST HOST "Content-Length: two\r\n\r\n{}"), BAD, NULL},
        {"a fraction", TEXT(POST HOST "Content-Length: 2.0\r\n\r\n{}"), BAD, NULL},
        {"a space in the name", TEXT(POST HOST "Content-Length : 2\r\n\r\n{}"), BAD, NULL},
        {"above the maximum", TEXT(POST HOST "Content-Length: 65\r\n\r\n"), ERR_TOO_LARGE, NULL},
        {"far above it", TEXT(POST HOST "Content-Length: 100000000000000000\r\n\r\n"),
         ERR_TOO_LARGE, NULL},
    };
    CHECK_ALL(vectors);
}

Test(http_parser, b03_the_only_coding_is_chunked)
{
    static const struct vector vectors[] = {
        {"xchunked", TEXT(POST HOST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"), BAD, NULL},
        {"chunked, identity",
         TEXT(POST HOST "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"), BAD, NULL},
        {"identity, chunked",
         TEXT(POST HOST "Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n"), BAD, NULL},
        {"gzip", TEXT(POST HOST "Transfer-Encoding: gzip\r\n\r\n"), BAD, NULL},
        {"twice",
         TEXT(POST HOST
              "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
         BAD, NULL},
        {"a vertical tab",
         TEXT(POST HOST "Transfer-Encoding: \x0b"
                        "chunked\r\n\r\n0\r\n\r\n"),
         BAD, NULL},
        {"quoted", TEXT(POST HOST "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n"), BAD, NULL},
        {"empty", TEXT(POST HOST "Transfer-Encoding:\r\n\r\n"), BAD, NULL},
        {"in HTTP/1.0",
         TEXT("POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), BAD, NULL},
        {"a space in the name", TEXT(POST HOST "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"), BAD,
         NULL},
    };
    CHECK_ALL(vectors);
}

Test(http_parser, b04_lines_and_names_are_as_they_must_be)
{
    static const struct vector vectors[] = {
        {"a folded line", TEXT(GET HOST "X-A: b\r\n c\r\n\r\n"), BAD, NULL},
        {"folded with a tab", TEXT(GET HOST "X-A: b\r\n\tc\r\n\r\n"), BAD, NULL},
        {"a folded Host", TEXT(GET "Host:\r\n localhost:3000\r\n\r\n"), BAD, NULL},
        {"LF alone", TEXT("GET / HTTP/1.1\nHost: localhost:3000\n\n"), BAD, NULL},
        {"one LF alone", TEXT(GET "Host: localhost:3000\n\r\n"), BAD, NULL},
        {"LF as the empty line", TEXT(GET HOST "\n"), BAD, NULL},
        {"CR CR X", TEXT(GET HOST "\r\rX"), BAD, NULL},
        {"a space before the first name", TEXT(GET " " HOST "\r\n"), BAD, NULL},
        {"no colon", TEXT(GET HOST "X-A\r\n\r\n"), BAD, NULL},
        {"an empty name", TEXT(GET HOST ": b\r\n\r\n"), BAD, NULL},
        {"a space in a name", TEXT(GET HOST "X A: b\r\n\r\n"), BAD, NULL},
        {"a name in brackets", TEXT(GET HOST "X(A): b\r\n\r\n"), BAD, NULL},
        {"Latin-1 in a name", TEXT(GET HOST "X-\xe9: b\r\n\r\n"), BAD, NULL},
        {"NUL in a value", TEXT(GET HOST "X-A: a\0b\r\n\r\n"), BAD, NULL},
        {"NUL in a name", TEXT(GET HOST "X\0A: b\r\n\r\n"), BAD, NULL},
        {"NUL in the target", TEXT("GET /\0 HTTP/1.1\r\n" HOST "\r\n"), BAD, NULL},
        {"DEL in a value", TEXT(GET HOST "X-A: \x7f\r\n\r\n"), BAD, NULL},
        {"ESC in a value", TEXT(GET HOST "X-A: \x1b[2J\r\n\r\n"), BAD, NULL},
        {"UTF-8 in the target", TEXT("GET /\xc3\xa9 HTTP/1.1\r\n" HOST "\r\n"), BAD, NULL},
        {"no Host", TEXT(GET "\r\n"), BAD, NULL},
        {"two Hosts", TEXT(GET HOST HOST "\r\n"), BAD, NULL},
        {"no Host in HTTP/1.0", TEXT("GET / HTTP/1.0\r\n\r\n"), BAD, NULL},
        {"a fragment", TEXT("GET /#x HTTP/1.1\r\n" HOST "\r\n"), BAD, NULL},
        {"a lower-case method", TEXT("get / HTTP/1.1\r\n" HOST "\r\n"), BAD, NULL},
        {"two spaces", TEXT("GET  / HTTP/1.1\r\n" HOST "\r\n"), TAKEN, NULL},
        {"another expectation", TEXT(POST HOST "Expect: 200-ok\r\nContent-Length: 2\r\n\r\n{}"),
         BAD, NULL},
    };
    CHECK_ALL(vectors);
}

Test(http_parser, b05_chunks_are_framed_as_they_must_be)
{
    static const struct vector vectors[] = {
        {"LF in an extension", TEXT(CHUNKED "2;a\nb\r\n{}\r\n0\r\n\r\n"), BAD, NULL},
        {"a size ended by LF", TEXT(CHUNKED "2\n{}\r\n0\r\n\r\n"), BAD, NULL},
        {"overflow", TEXT(CHUNKED "11111111111111111\r\n{}\r\n0\r\n\r\n"), BAD, NULL},
        {"minus", TEXT(CHUNKED "-1\r\n{}\r\n0\r\n\r\n"), BAD, NULL},
        {"0x", TEXT(CHUNKED "0x2\r\n{}\r\n0\r\n\r\n"), BAD, NULL},
        {"a space first", TEXT(CHUNKED " 2\r\n{}\r\n0\r\n\r\n"), BAD, NULL},
        {"no size", TEXT(CHUNKED "\r\n{}\r\n0\r\n\r\n"), BAD, NULL},
        {"no CRLF behind the data", TEXT(CHUNKED "2\r\n{}0\r\n\r\n"), BAD, NULL},
        {"LF behind the data", TEXT(CHUNKED "2\r\n{}\n0\r\n\r\n"), BAD, NULL},
        {"more data than said", TEXT(CHUNKED "1\r\n{}\r\n0\r\n\r\n"), BAD, NULL},
        {"two letters for CR LF", TEXT(CHUNKED "5\r\nhelloXX0\r\n\r\n"), BAD, NULL},
        {"NULs for CR LF",
         TEXT(CHUNKED "5\r\nhello\0\0"
                      "0\r\n\r\n"),
         BAD, NULL},
        {"LF CR behind the data", TEXT(CHUNKED "5\r\nhello\n\r0\r\n\r\n"), BAD, NULL},
        {"CR X behind the data", TEXT(CHUNKED "5\r\nhello\rX0\r\n\r\n"), BAD, NULL},
        {"X LF behind the data", TEXT(CHUNKED "5\r\nhelloX\n0\r\n\r\n"), BAD, NULL},
        {"CR CR behind the data", TEXT(CHUNKED "5\r\nhello\r\r0\r\n\r\n"), BAD, NULL},
        {"CR X behind a size", TEXT(CHUNKED "5\rXhello\r\n0\r\n\r\n"), BAD, NULL},
        {"CR NUL behind a size", TEXT(CHUNKED "5\r\0hello\r\n0\r\n\r\n"), BAD, NULL},
        {"CR X behind an extension", TEXT(CHUNKED "5;a\rXhello\r\n0\r\n\r\n"), BAD, NULL},
        {"CR X behind the last size", TEXT(CHUNKED "0\rX\r\n"), BAD, NULL},
        {"CR X as the end", TEXT(CHUNKED "5\r\nhello\r\n0\r\n\rX"), BAD, NULL},
        {"LF as the end", TEXT(CHUNKED "5\r\nhello\r\n0\r\n\n"), BAD, NULL},
        {"NULs as the end", TEXT(CHUNKED "5\r\nhello\r\n0\r\n\0\0"), BAD, NULL},
        {"a space behind a size", TEXT(CHUNKED "5 \r\nhello\r\n0\r\n\r\n"), BAD, NULL},
        {"a NUL in an extension", TEXT(CHUNKED "5;a\0\r\nhello\r\n0\r\n\r\n"), BAD, NULL},
        {"above the maximum",
         TEXT(CHUNKED "30\r\n012345678901234567890123456789012345678901234567\r\n"
                      "30\r\n012345678901234567890123456789012345678901234567\r\n0\r\n\r\n"),
         ERR_TOO_LARGE, NULL},
    };
    CHECK_ALL(vectors);
}

Test(http_parser, b06_trailers_are_refused)
{
    static const struct vector vectors[] = {
        {"Authorization", TEXT(CHUNKED "2\r\n{}\r\n0\r\nAuthorization: Bearer x\r\n\r\n"), BAD,
         NULL},
        {"Host", TEXT(CHUNKED "0\r\nHost: evil\r\n\r\n"), BAD, NULL},
        {"x-api-key", TEXT(CHUNKED "0\r\nx-api-key: y\r\n\r\n"), BAD, NULL},
        {"announced",
         TEXT(POST HOST "Trailer: X-A\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-A: b\r\n\r\n"),
         BAD, NULL},
        {"garbage", TEXT(CHUNKED "0\r\nx\r\n\r\n"), BAD, NULL},
    };
    CHECK_ALL(vectors);
}

Test(http_parser, b08_the_head_is_bounded_before_it_is_complete)
{
    CLEANUP(bytes_release) struct bytes line = {.max = 1 << 21}, many = {.max = 1 << 21};
    CLEANUP(bytes_release) struct bytes most = {.max = 1 << 21}, target = {.max = 1 << 21};
    CLEANUP(bytes_release) struct bytes empty = {.max = 1 << 21}, fill = {.max = 1 << 21};
    for (size_t i = 0; i < 65536; i++)
        cr_assert_eq(bytes_addf(&fill, "a"), 0);
    cr_assert_eq(bytes_addf(&line, GET HOST "X-A: %s", fill.data), 0);
    cr_assert_eq(bytes_addf(&target, "GET /%s", fill.data), 0);
    cr_assert_eq(bytes_addf(&many, GET HOST), 0);
    cr_assert_eq(bytes_addf(&most, GET HOST), 0);
    for (size_t i = 0; i < 1000; i++)
        cr_assert_eq(bytes_addf(&many, "X-%zu: b\r\n", i), 0);
    for (size_t i = 0; i < HTTP_HEADERS_MAX - 1; i++)
        cr_assert_eq(bytes_addf(&most, "X-%zu: b\r\n", i), 0);
    for (size_t i = 0; i < 5000; i++)
        cr_assert_eq(bytes_addf(&empty, "\r\n"), 0);
    cr_assert_eq(bytes_addf(&many, "\r\n"), 0);
    cr_assert_eq(bytes_addf(&most, "\r\n"), 0);
    const struct vector vectors[] = {
        {"a line of 64 KiB", bytes_span(&line), ERR_HEADERS_TOO_LARGE, NULL},
        {"a target of 64 KiB", bytes_span(&target), ERR_URI_TOO_LONG, NULL},
        {"5,000 empty lines", bytes_span(&empty), BAD, NULL},
        {"100 headers", bytes_span(&most), TAKEN, NULL},
        {"1,000 headers", bytes_span(&many), ERR_HEADERS_TOO_LARGE, NULL},
        {"a request line of 8,193 bytes",
         {target.data, HTTP_TARGET_MAX + 1},
         ERR_URI_TOO_LONG,
         NULL},
        {"a request line of 8,192 bytes", {target.data, HTTP_TARGET_MAX}, INCOMPLETE, NULL},
        {"32 KiB of head", {line.data, HTTP_HEAD_MAX}, INCOMPLETE, NULL},
        {"32 KiB and one", {line.data, HTTP_HEAD_MAX + 1}, ERR_HEADERS_TOO_LARGE, NULL},
    };
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        struct judged whole, bytewise;
        judge(&whole, vectors[i].bytes, vectors[i].bytes.len);
        judge(&bytewise, vectors[i].bytes, 101);
        cr_expect_eq(whole.verdict, vectors[i].verdict, "%s: %d", vectors[i].name, whole.verdict);
        cr_expect_eq(bytewise.verdict, vectors[i].verdict, "%s: %d", vectors[i].name,
                     bytewise.verdict);
        release(&whole);
        release(&bytewise);
    }
}

Test(http_parser, b09_other_protocols_are_turned_away)
{
    static const struct vector vectors[] = {
        {"HTTP/0.9", TEXT("GET /\r\n\r\n"), BAD, NULL},
        {"HTTP/0.9 with headers", TEXT("GET /\r\n" HOST "\r\n"), BAD, NULL},
        {"HTTP/0.9 by name", TEXT("GET / HTTP/0.9\r\n" HOST "\r\n"), ERR_HTTP_VERSION, NULL},
        {"HTTP/2 preface", TEXT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), ERR_HTTP_VERSION, NULL},
        {"HTTP/2.0", TEXT("GET / HTTP/2.0\r\n" HOST "\r\n"), ERR_HTTP_VERSION, NULL},
        {"HTTP/1.2", TEXT("GET / HTTP/1.2\r\n" HOST "\r\n"), ERR_HTTP_VERSION, NULL},
        {"HTTP/1.10", TEXT("GET / HTTP/1.10\r\n" HOST "\r\n"), ERR_HTTP_VERSION, NULL},
        {"http/1.1", TEXT("GET / http/1.1\r\n" HOST "\r\n"), BAD, NULL},
        {"a space behind the version", TEXT("GET / HTTP/1.1 \r\n" HOST "\r\n"), BAD, NULL},
        {"a TLS hello", TEXT("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), BAD, NULL},
        {"absolute form", TEXT("GET http://localhost:3000/ HTTP/1.1\r\n" HOST "\r\n"), BAD, NULL},
        {"no slash", TEXT("GET v1/models HTTP/1.1\r\n" HOST "\r\n"), BAD, NULL},
        {"asterisk", TEXT("OPTIONS * HTTP/1.1\r\n" HOST "\r\n"), BAD, NULL},
        {"CONNECT", TEXT("CONNECT localhost:443 HTTP/1.1\r\n" HOST "\r\n"), ERR_METHOD_NOT_ALLOWED,
         NULL},
        {"TRACE", TEXT("TRACE / HTTP/1.1\r\n" HOST "\r\n"), ERR_METHOD_NOT_ALLOWED, NULL},
        {"RTSP", TEXT("DESCRIBE / RTSP/1.0\r\n" HOST "\r\n"), BAD, NULL},
        {"ICE", TEXT("SOURCE / ICE/1.0\r\n" HOST "\r\n"), BAD, NULL},
        {"an unknown method", TEXT("BREW / HTTP/1.1\r\n" HOST "\r\n"), BAD, NULL},
        {"SSH", TEXT("SSH-2.0-OpenSSH_9.2\r\n\r\n"), BAD, NULL},
    };
    CHECK_ALL(vectors);
}

Test(http_parser, b07_what_follows_a_request_is_left_for_the_next)
{
    static const struct span rows[][2] = {
        {TEXT(GET HOST "\r\n"), TEXT(GET HOST "\r\n")},
        {TEXT(POST HOST "Content-Length: 2\r\n\r\n{}"),
         TEXT("GET /admin HTTP/1.1\r\n" HOST "\r\n")},
        {TEXT(CHUNKED "2\r\n{}\r\n0\r\n\r\n"), TEXT(GET HOST "\r\n")},
        {TEXT(GET HOST "Connection: close\r\n\r\n"), TEXT(GET HOST "\r\n")},
        {TEXT(GET HOST "Upgrade: h2c\r\nConnection: upgrade\r\n\r\n"), TEXT("PRI")},
        {TEXT(POST HOST
              "Content-Length: 43\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"),
         TEXT("x")},
        {TEXT(POST HOST "Upgrade: x\r\nConnection: upgrade\r\nContent-Length: 2\r\n\r\n{}"),
         TEXT("y")},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        CLEANUP(bytes_release) struct bytes both = {.max = 4096};
        cr_assert_eq(bytes_add_span(&both, rows[i][0]), 0);
        cr_assert_eq(bytes_add_span(&both, rows[i][1]), 0);
        for (size_t step = 1; step < 200; step++) {
            struct judged judged;
            judge(&judged, bytes_span(&both), step);
            cr_expect_eq(judged.verdict, TAKEN, "row %zu, step %zu: %s", i, step,
                         judged.err.detail);
            cr_expect_eq(judged.used, rows[i][0].len, "row %zu, step %zu: %zu", i, step,
                         judged.used);
            release(&judged);
        }
    }
}

Test(http_parser, the_parts_of_a_request_are_given_as_they_were_sent)
{
    struct judged judged;
    judge(&judged,
          SPAN("POST /v1/x?a=/b HTTP/1.1\r\nHOST: localhost:3000\r\nX-Key:  a b \r\nx-key: c\r\n"
               "Expect: 100-Continue\r\nContent-Length: 2\r\n\r\n{}"),
          5);
    const struct http_request *request = &judged.request;
    cr_assert_eq(judged.verdict, TAKEN, "%s", judged.err.detail);
    cr_expect(span_equal(request->method, SPAN("POST")));
    cr_expect(span_equal(request->target, SPAN("/v1/x?a=/b")));
    cr_expect(span_equal(request->path, SPAN("/v1/x")));
    cr_expect(span_equal(request->query, SPAN("a=/b")));
    cr_expect(span_equal(http_request_header(request, "host"), SPAN("localhost:3000")));
    cr_expect(span_equal(http_request_header(request, "x-key"), SPAN("a b")));
    cr_expect_eq(http_request_count(request, "x-key"), 2);
    cr_expect(http_request_header(request, "x-none").at == NULL);
    cr_expect_eq(request->header_count, 5);
    cr_expect_eq(request->minor, 1);
    cr_expect_eq(request->content_length, 2);
    cr_expect(request->keep_alive && request->expects_continue && request->has_body);
    release(&judged);
}

Test(http_parser, keep_alive_follows_version_and_connection)
{
    static const struct {
        struct span text;
        bool keep_alive;
    } rows[] = {
        {TEXT(GET HOST "\r\n"), true},
        {TEXT(GET HOST "Connection: close\r\n\r\n"), false},
        {TEXT(GET HOST "Connection: x, Close\r\n\r\n"), false},
        {TEXT("GET / HTTP/1.0\r\n" HOST "\r\n"), false},
        {TEXT("GET / HTTP/1.0\r\n" HOST "Connection: keep-alive\r\n\r\n"), true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct judged judged;
        judge(&judged, rows[i].text, 1 << 20);
        cr_expect_eq(judged.verdict, TAKEN);
        cr_expect_eq(judged.request.keep_alive, rows[i].keep_alive, "row %zu", i);
        release(&judged);
    }
}

/* B-05: a million chunks of one byte are borne, an extension without end and empty promises are
 * not. */
Test(http_parser, chunk_framing_is_bounded_by_the_data)
{
    CLEANUP(bytes_release) struct bytes ones = {.max = 1 << 23}, extension = {.max = 1 << 23};
    cr_assert_eq(bytes_addf(&ones, CHUNKED), 0);
    cr_assert_eq(bytes_addf(&extension, CHUNKED "1;"), 0);
    for (size_t i = 0; i < 1000000; i++)
        cr_assert_eq(bytes_addf(&ones, "1\r\nx\r\n") | bytes_addf(&extension, "e"), 0);
    cr_assert_eq(bytes_addf(&ones, "0\r\n\r\n"), 0);
    struct http_request request = {.body = {.max = 1000000}};
    struct http_parser parser;
    struct http_scan scan = {0};
    struct err err = {0};
    size_t used;
    bool done;
    ssize_t head = http_head_length(&scan, bytes_span(&ones), &err);
    cr_assert_gt(head, 0);
    http_parser_init(&parser, &request);
    cr_assert_eq(http_parser_head(&parser, (struct span){ones.data, (size_t)head}, &err), 0);
    struct span rest = {ones.data + head, ones.len - (size_t)head};
    cr_expect_eq(http_parser_body(&parser, rest, &used, &done, &err), 0, "%s", err.detail);
    cr_expect(done && request.body.len == 1000000);
    http_request_reset(&request);
    bytes_release(&request.head);

    struct judged judged;
    judge(&judged, bytes_span(&extension), 1000);
    cr_expect_eq(judged.verdict, BAD);
    cr_expect_lt(judged.used, 20000, "%zu", judged.used);
    release(&judged);
}

/* The bytes already judged are not looked at again: else 32 KiB in single bytes were 512 MiB of
 * work. */
Test(http_parser, a_head_in_single_bytes_is_read_once)
{
    CLEANUP(bytes_release) struct bytes head = {.max = 1 << 16};
    struct http_scan scan = {0};
    cr_assert_eq(bytes_addf(&head, GET HOST "X-A: "), 0);
    while (head.len < HTTP_HEAD_MAX)
        cr_assert_eq(bytes_addf(&head, "a"), 0);
    for (size_t len = 1; len <= head.len; len++) {
        size_t before = scan.at;
        cr_assert_eq(http_head_length(&scan, (struct span){head.data, len}, NULL), 0);
        cr_assert_leq(len - before, 2, "%zu bytes are judged again", len - before);
    }
}
