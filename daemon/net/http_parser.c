/* See http_parser.h. Order: length and prescan, then llhttp, then our own rules on the result. */
#include "net/http_parser.h"

#include <ctype.h>

#define ROOM_MAX        (2u * 1024 * 1024)
#define EMPTY_LINES_MAX 2 /* before a request line; RFC 9112 2.2 asks to bear at least one */
/* Chunk framing borne beside the data: 1-byte chunks need 5 bytes each, endless extensions more. */
#define FRAMING_MAX(body) (16384 + 8 * (body))

struct span http_request_header(const struct http_request *request, const char *name)
{
    struct span wanted = span_of(name);
    for (size_t i = 0; i < request->header_count; i++)
        if (span_equal(request->headers[i].name, wanted))
            return request->headers[i].value;
    return (struct span){NULL, 0};
}

size_t http_request_count(const struct http_request *request, const char *name)
{
    struct span wanted = span_of(name);
    size_t count = 0;
    for (size_t i = 0; i < request->header_count; i++)
        count += span_equal(request->headers[i].name, wanted);
    return count;
}

/* ---- prescan ---- */

static int bad(struct err *reterr, const char *why)
{
    return err_set(reterr, ERR_INVALID_REQUEST, "%s", why);
}

/* Characters of a header name (RFC 9110 5.6.2). */
static bool is_token_char(char c)
{
    return isalnum((unsigned char)c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

/* llhttp 8 takes spaces in and behind a name, where others would see another header. */
static int check_name(struct span line, struct err *reterr)
{
    struct span rest, name = span_cut(line, ':', &rest);
    if (!rest.at || name.len == 0)
        return bad(reterr, "a header line has no name or no colon");
    for (size_t i = 0; i < name.len; i++)
        if (!is_token_char(name.at[i]))
            return bad(reterr, "a header name has a character it may not have");
    return 0;
}

/* The bytes of a line up to `end`, those before scan->at were judged before. */
static int check_text(const struct http_scan *scan, struct span input, size_t end,
                      struct err *reterr)
{
    char first = end > scan->line ? input.at[scan->line] : 'x';
    if (scan->has_request_line && (first == ' ' || first == '\t'))
        return bad(reterr, "a header line is folded");
    if (scan->has_request_line && first == ':')
        return bad(reterr, "a header has no name");
    for (size_t i = scan->at; i < end && !scan->has_request_line; i++)
        if ((unsigned char)input.at[i] > 0x7e)
            return bad(reterr, "the request line is not ASCII");
    return 0;
}

/* The request line is judged alone as soon as it is there: junk does not get to send 32 KiB. */
static int too_long(const struct http_scan *scan, struct err *reterr)
{
    if (!scan->has_request_line)
        return err_set(reterr, ERR_URI_TOO_LONG, "it is longer than %d bytes", HTTP_TARGET_MAX);
    return err_set(reterr, ERR_HEADERS_TOO_LARGE, "the head is larger than %d bytes",
                   HTTP_HEAD_MAX);
}

static size_t text_end(struct span input, size_t at, size_t limit)
{
    for (; at < input.len && at < limit; at++) {
        unsigned char c = (unsigned char)input.at[at];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            break;
    }
    return at;
}

ssize_t http_head_length(struct http_scan *scan, struct span input, struct err *reterr)
{
    for (;;) {
        size_t limit = scan->has_request_line ? HTTP_HEAD_MAX : scan->line + HTTP_TARGET_MAX;
        size_t end = text_end(input, scan->at, limit + 1);
        int r = check_text(scan, input, end, reterr);
        if (r < 0)
            return r;
        if (end > limit)
            return too_long(scan, reterr);
        scan->at = end;
        if (end == input.len)
            return 0;
        if (input.at[end] != '\r' && input.at[end] != '\n')
            return bad(reterr, "a control character stands in the head");
        if (input.at[end] == '\r' && end + 1 == input.len)
            return 0;
        if (input.at[end] == '\n' || input.at[end + 1] != '\n')
            return bad(reterr, "a line does not end with CR LF");
        bool is_empty = end == scan->line;
        if (!is_empty && scan->has_request_line &&
            check_name((struct span){input.at + scan->line, end - scan->line}, reterr) < 0)
            return -ERR_INVALID_REQUEST;
        if (is_empty && scan->has_request_line)
            return (ssize_t)end + 2;
        if (is_empty && ++scan->empty_lines > EMPTY_LINES_MAX)
            return bad(reterr, "too many empty lines before the request line");
        scan->has_request_line = !is_empty;
        scan->at = scan->line = end + 2;
    }
}

/* ---- llhttp ---- */

static int fail(struct http_parser *parser, int kind, const char *why)
{
    parser->error = kind;
    parser->why = why;
    return HPE_USER;
}

static int on_header_field(llhttp_t *llhttp, const char *at, size_t len)
{
    struct http_parser *parser = llhttp->data;
    struct http_request *request = parser->request;
    if (parser->head_done)
        return fail(parser, ERR_INVALID_REQUEST, "trailers are not accepted");
    if (request->header_count == HTTP_HEADERS_MAX)
        return fail(parser, ERR_HEADERS_TOO_LARGE, "there are more than 100 headers");
    for (size_t i = 0; i < len; i++)
        request->head.data[(at - request->head.data) + (ptrdiff_t)i] =
            (char)tolower((unsigned char)at[i]);
    request->headers[request->header_count].name = (struct span){at, len};
    request->headers[request->header_count].value = (struct span){"", 0};
    request->header_count++;
    return 0;
}

static int on_header_value(llhttp_t *llhttp, const char *at, size_t len)
{
    struct http_parser *parser = llhttp->data;
    struct http_request *request = parser->request;
    if (parser->head_done || request->header_count == 0)
        return fail(parser, ERR_INVALID_REQUEST, "trailers are not accepted");
    request->headers[request->header_count - 1].value = span_trim((struct span){at, len});
    return 0;
}

static int on_url(llhttp_t *llhttp, const char *at, size_t len)
{
    struct http_parser *parser = llhttp->data;
    parser->request->target = (struct span){at, len};
    return 0;
}

static int on_headers_complete(llhttp_t *llhttp)
{
    struct http_parser *parser = llhttp->data;
    parser->head_done = true;
    parser->request->keep_alive = llhttp_should_keep_alive(llhttp);
    return 0;
}

static int on_body(llhttp_t *llhttp, const char *at, size_t len)
{
    struct http_parser *parser = llhttp->data;
    if (parser->may_hold && !parser->may_hold(parser, len))
        return fail(parser, ERR_BUSY, "request bodies take up bodiesMax");
    if (bytes_add(&parser->request->body, at, len) < 0)
        return fail(parser, ERR_TOO_LARGE, "the body is above bodyMax");
    return 0;
}

static int on_message_complete(llhttp_t *llhttp)
{
    struct http_parser *parser = llhttp->data;
    parser->body_done = true;
    return HPE_PAUSED; /* what follows is the next request's */
}

static const llhttp_settings_t settings = {
    .on_url = on_url,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

static int run(struct http_parser *parser, struct span data, size_t *ret_used, struct err *reterr)
{
    llhttp_errno_t e = llhttp_execute(&parser->llhttp, data.at, data.len);
    *ret_used = data.len;
    if (e == HPE_OK)
        return 0;
    if ((e == HPE_PAUSED || e == HPE_PAUSED_UPGRADE) && parser->body_done) {
        *ret_used = (size_t)(llhttp_get_error_pos(&parser->llhttp) - data.at);
        return 0;
    }
    if (parser->error)
        return err_set(reterr, parser->error, "%s", parser->why);
    const char *why = llhttp_get_error_reason(&parser->llhttp);
    return bad(reterr, why && why[0] ? why : "it is not HTTP/1.1");
}

/* ---- our own rules ---- */

/* Digits only: no sign, list, hex or space (RFC 9110 8.6). */
static bool parse_length(struct span value, int64_t *ret)
{
    int64_t n = 0;
    if (value.len == 0 || value.len > 18)
        return false;
    for (size_t i = 0; i < value.len; i++) {
        if (value.at[i] < '0' || value.at[i] > '9')
            return false;
        n = n * 10 + (value.at[i] - '0');
    }
    *ret = n;
    return true;
}

static int check_framing(struct http_request *request, struct err *reterr)
{
    size_t lengths = http_request_count(request, "content-length");
    size_t codings = http_request_count(request, "transfer-encoding");
    if (lengths + codings > 1)
        return bad(reterr, "the body's length is said more than once");
    if (codings) {
        if (request->minor == 0)
            return bad(reterr, "Transfer-Encoding in HTTP/1.0");
        if (!span_equal_nocase(http_request_header(request, "transfer-encoding"), SPAN("chunked")))
            return bad(reterr, "a Transfer-Encoding other than chunked");
        request->has_body = true;
        request->content_length = -1;
    } else if (lengths) {
        if (!parse_length(http_request_header(request, "content-length"), &request->content_length))
            return bad(reterr, "Content-Length is not a number");
        request->has_body = request->content_length > 0;
        if (request->content_length > (int64_t)request->body.max)
            return err_set(reterr, ERR_TOO_LARGE,
                           "%lld bytes are announced, at most %zu are taken (bodyMax)",
                           (long long)request->content_length, request->body.max);
    }
    return 0;
}

static int check_shape(struct http_parser *parser, struct err *reterr)
{
    struct http_request *request = parser->request;
    if (parser->llhttp.http_major != 1 || parser->llhttp.http_minor > 1)
        return err_set(reterr, ERR_HTTP_VERSION, "%u.%u was asked for", parser->llhttp.http_major,
                       parser->llhttp.http_minor);
    request->minor = parser->llhttp.http_minor;
    if (http_request_count(request, "host") != 1)
        return bad(reterr, "there must be exactly one Host header");
    if (parser->llhttp.method == HTTP_CONNECT || parser->llhttp.method == HTTP_TRACE)
        return err_set(reterr, ERR_METHOD_NOT_ALLOWED, "CONNECT and TRACE are not served");
    if (request->target.len == 0 || request->target.at[0] != '/')
        return bad(reterr, "the request target must start with /");
    if (memchr(request->target.at, '#', request->target.len))
        return bad(reterr, "the request target has a fragment");
    request->path = span_cut(request->target, '?', &request->query);
    struct span expect = http_request_header(request, "expect");
    if (expect.at && !span_equal_nocase(expect, SPAN("100-continue")))
        return bad(reterr, "only Expect: 100-continue is known");
    request->expects_continue = expect.at != NULL;
    return check_framing(request, reterr);
}

void http_parser_init(struct http_parser *parser, struct http_request *request)
{
    *parser = (struct http_parser){.request = request};
    llhttp_init(&parser->llhttp, HTTP_REQUEST, &settings);
    parser->llhttp.data = parser;
}

/* The version as written: llhttp would take a request line without one for HTTP/0.9. */
static int check_request_line(struct span head, struct err *reterr)
{
    while (span_starts(head, SPAN("\r\n"))) {
        head.at += 2;
        head.len -= 2;
    }
    struct span rest, line = span_cut(head, '\r', &rest);
    const char *space = memrchr(line.at, ' ', line.len);
    struct span version = {space ? space + 1 : line.at,
                           space ? (size_t)(line.at + line.len - space) - 1 : 0};
    if (span_equal(version, SPAN("HTTP/1.1")) || span_equal(version, SPAN("HTTP/1.0")))
        return 0;
    if (span_starts(version, SPAN("HTTP/")))
        return err_set(reterr, ERR_HTTP_VERSION, "the request names another version");
    return bad(reterr, "the request line names no HTTP version");
}

/*
 * Room for the announced body at once, so that it is not moved while it grows. Pages that are never
 * written cost nothing; what is announced above this is believed as it arrives.
 */
static void make_room(struct http_request *request)
{
    size_t announced = (size_t)request->content_length;
    (void)bytes_reserve(&request->body,
                        announced < ROOM_MAX ? announced : ROOM_MAX); /* grows later */
}

int http_parser_head(struct http_parser *parser, struct span head, struct err *reterr)
{
    struct http_request *request = parser->request;
    int r = check_request_line(head, reterr);
    if (r < 0)
        return r;
    request->head.max = HTTP_HEAD_MAX + 4 * EMPTY_LINES_MAX;
    if (bytes_add_span(&request->head, head) < 0)
        return err_set(reterr, ERR_HEADERS_TOO_LARGE, "the head is larger than %d bytes",
                       HTTP_HEAD_MAX);
    size_t used;
    r = run(parser, bytes_span(&request->head), &used, reterr);
    if (r < 0)
        return r;
    if (!parser->head_done)
        return bad(reterr, "the head is not complete");
    const char *method = llhttp_method_name(parser->llhttp.method);
    request->method = span_of(method);
    r = check_shape(parser, reterr);
    if (r == 0 && request->content_length > 0)
        make_room(request);
    return r;
}

/* llhttp 8 takes a bare LF for the empty line that ends a chunked body. */
static bool has_bare_end(const struct http_parser *parser, struct span used)
{
    char before = used.len > 1 ? used.at[used.len - 2] : parser->last;
    return parser->body_done && parser->request->content_length < 0 && before != '\r';
}

static int check_chunks(const struct http_parser *parser, struct span used, struct err *reterr)
{
    if (parser->framing > FRAMING_MAX(parser->request->body.len))
        return bad(reterr, "the body is little more than chunk framing");
    if (has_bare_end(parser, used))
        return bad(reterr, "the chunked body does not end with CR LF");
    return 0;
}

int http_parser_body(struct http_parser *parser, struct span data, size_t *ret_used, bool *ret_done,
                     struct err *reterr)
{
    const struct bytes *body = &parser->request->body;
    size_t before = body->len;
    *ret_used = 0;
    *ret_done = parser->body_done;
    if (parser->body_done || data.len == 0)
        return 0;
    int r = run(parser, data, ret_used, reterr);
    *ret_done = parser->body_done;
    if (r < 0)
        return r;
    parser->framing += *ret_used - (body->len - before);
    r = check_chunks(parser, (struct span){data.at, *ret_used}, reterr);
    if (*ret_used)
        parser->last = data.at[*ret_used - 1];
    return r;
}

void http_request_reset(struct http_request *request)
{
    size_t body_max = request->body.max;
    bytes_release(&request->body);
    bytes_clear(&request->head);
    struct bytes head = request->head;
    *request = (struct http_request){.head = head, .body = {.max = body_max}};
}
