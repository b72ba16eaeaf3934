/*
 * Reading HTTP/1.x requests: a prescan of the head, llhttp, and the rules llhttp leaves to us.
 *
 * No llhttp refuses two Host headers or an absolute target, and Debian 12's 8.1.0 takes folded
 * lines; built without LLHTTP_STRICT_MODE it also takes `X-Abc: \rxTransfer-Encoding: chunked` for
 * a Transfer-Encoding header (CVE-2023-30589). So the prescan judges every byte of a head before
 * llhttp sees it, and the rules on the result follow RFC 9112 where it lets a server refuse.
 *
 * Chunks are framed by llhttp alone. Version 8 looks at the CR LF behind a size and behind data
 * only in strict mode (CMakeLists.txt sets it; 9 always looks), and takes a bare LF for the last
 * empty line even then: that one is checked here.
 *
 *   head   request line and header lines up to and with the empty line
 *   body   bytes by Content-Length or chunked; trailers are refused
 *
 * Pure: bytes in, request out. net/http1.c owns sockets and time.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"

#include <llhttp.h>
#include <sys/types.h>

#define HTTP_HEAD_MAX    32768
#define HTTP_HEADERS_MAX 100
#define HTTP_TARGET_MAX  8192

struct http_header {
    struct span name; /* lower case */
    struct span value;
};

struct http_request {
    struct bytes head; /* the bytes all spans point into */
    struct span method;
    struct span target; /* path and query as sent */
    struct span path;
    struct span query; /* absent when there is no '?' */
    unsigned minor;    /* HTTP/1.minor */
    size_t header_count;
    struct http_header headers[HTTP_HEADERS_MAX];
    bool keep_alive;
    bool has_body;          /* a body follows, maybe an empty chunked one */
    bool expects_continue;  /* Expect: 100-continue */
    int64_t content_length; /* -1: chunked */
    struct bytes body;
};

/* The value of a header (lower-case name); absent when there is none. The first of several. */
struct span http_request_header(const struct http_request *request, const char *name);
/* How often a header stands in the request. */
size_t http_request_count(const struct http_request *request, const char *name);

/* How far a head that is coming has been judged: no byte is judged twice. Zero-initialise. */
struct http_scan {
    size_t at, line; /* the next byte, and the first of its line */
    unsigned empty_lines;
    bool has_request_line;
};

/*
 * Length of the head at the start of `input`, with its empty line: 0 when it is not complete yet
 * (call again with more behind the same bytes), or an error: -ERR_INVALID_REQUEST (a bare CR or LF,
 * a control character, a folded line, too many empty lines before the request line, a TLS hello),
 * -ERR_URI_TOO_LONG, -ERR_HEADERS_TOO_LARGE. The answer does not depend on how the bytes were cut.
 */
ssize_t http_head_length(struct http_scan *scan, struct span input, struct err *reterr);

struct http_parser {
    llhttp_t llhttp;
    struct http_request *request;
    /* Asked before so many bytes of the body are kept; false: -ERR_BUSY. NULL: always yes. */
    bool (*may_hold)(struct http_parser *parser, size_t more);
    bool head_done, body_done;
    size_t framing; /* bytes of chunk sizes, extensions and line ends */
    char last;      /* of the body bytes parsed before */
    int error;      /* a kind, set in a callback */
    const char *why;
};

/* Embeds. `request` is borrowed while the parser is used; its body.max bounds the body. */
void http_parser_init(struct http_parser *parser, struct http_request *request);

/*
 * Parses a complete head (as measured by http_head_length), copied into request->head. Errors:
 * -ERR_INVALID_REQUEST (also a transfer coding but chunked), _HTTP_VERSION, _METHOD_NOT_ALLOWED
 * (CONNECT, TRACE), _HEADERS_TOO_LARGE, _TOO_LARGE (Content-Length above body.max).
 */
int http_parser_head(struct http_parser *parser, struct span head, struct err *reterr);

/*
 * Takes body bytes; *ret_used says how many belonged to this request. When *ret_done, the body is
 * complete and the rest belongs to the next request. Errors: -ERR_INVALID_REQUEST, -ERR_TOO_LARGE,
 * -ERR_BUSY.
 */
int http_parser_body(struct http_parser *parser, struct span data, size_t *ret_used, bool *ret_done,
                     struct err *reterr);

/* Frees what the request holds, so that the next one can use it. */
void http_request_reset(struct http_request *request);
