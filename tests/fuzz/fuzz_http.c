/*
 * The HTTP front door on any bytes: the same requests and the same verdict whether they come whole,
 * byte by byte or in odd pieces; then the endpoint table and the guard on every head that passed.
 */
#include "net/http_parser.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "gateway/endpoint.h"
#include "gateway/guard.h"

#define BODY_MAX 512

/* A connection being read, and what was understood. */
struct reading {
    struct span text;
    size_t at, step; /* step 0: pieces whose sizes come from the bytes themselves */
    struct http_request request;
    struct http_parser parser;
    struct bytes input; /* bytes that came and were not used yet */
    struct bytes seen;
    int verdict;
};

/* The next piece; false when there is none. */
static bool receive(struct reading *reading)
{
    size_t left = reading->text.len - reading->at;
    if (left == 0)
        return false;
    size_t size =
        reading->step ? reading->step : 1u + (unsigned char)reading->text.at[reading->at] % 9;
    if (size > left)
        size = left;
    assert(bytes_add(&reading->input, reading->text.at + reading->at, size) == 0);
    reading->at += size;
    return true;
}

static void note(struct reading *reading, struct span part)
{
    assert(bytes_add(&reading->seen, &part.len, sizeof(part.len)) == 0);
    assert(bytes_add_span(&reading->seen, part) == 0);
}

/* What the rest of the daemon builds on. */
static void check_head(struct reading *reading)
{
    const struct http_request *request = &reading->request;
    struct err err = {0};
    assert(request->header_count <= HTTP_HEADERS_MAX && request->minor <= 1);
    assert(request->target.len > 0 && request->target.at[0] == '/');
    assert(http_request_count(request, "host") == 1);
    assert(http_request_count(request, "content-length") +
               http_request_count(request, "transfer-encoding") <=
           1);
    note(reading, request->method);
    note(reading, request->target);
    for (size_t i = 0; i < request->header_count; i++) {
        const struct http_header *header = &request->headers[i];
        for (size_t k = 0; k < header->value.len; k++)
            assert((unsigned char)header->value.at[k] >= 0x20 || header->value.at[k] == '\t');
        note(reading, header->name);
        note(reading, header->value);
    }
    struct endpoint endpoint = endpoint_of(request);
    int r = guard_head(request, 3000, &err);
    assert(endpoint.surface);
    assert(!endpoint.is_open || endpoint.kind == ENDPOINT_HEALTH ||
           endpoint.kind == ENDPOINT_HELLO);
    assert(r == -err.kind);
    note(reading, (struct span){err.detail, strlen(err.detail)});
}

static int read_body(struct reading *reading)
{
    bool done = !reading->request.has_body;
    while (!done) {
        size_t used = 0;
        struct err err = {0};
        if (reading->input.len == 0 && !receive(reading))
            return -1;
        int r = http_parser_body(&reading->parser, bytes_span(&reading->input), &used, &done, &err);
        if (r < 0) {
            reading->verdict = err.kind;
            return -1;
        }
        assert(used <= reading->input.len && (done || used == reading->input.len));
        bytes_drop_front(&reading->input, used);
    }
    assert(reading->request.body.len <= BODY_MAX);
    assert(reading->request.content_length <= 0 ||
           (size_t)reading->request.content_length == reading->request.body.len);
    note(reading, bytes_span(&reading->request.body));
    return 0;
}

static int read_request(struct reading *reading)
{
    struct http_scan scan = {0};
    struct err err = {0};
    ssize_t len = 0;
    while (len == 0) {
        if (reading->input.len)
            len = http_head_length(&scan, bytes_span(&reading->input), &err);
        if (len == 0 && !receive(reading))
            return -1;
    }
    int r = len < 0 ? (int)len : 0;
    if (r == 0) {
        reading->request.body.max = BODY_MAX;
        http_parser_init(&reading->parser, &reading->request);
        r = http_parser_head(&reading->parser, (struct span){reading->input.data, (size_t)len},
                             &err);
    }
    reading->verdict = err.kind;
    assert(r == -err.kind);
    if (r < 0)
        return -1;
    bytes_drop_front(&reading->input, (size_t)len);
    check_head(reading);
    return read_body(reading);
}

static void read_all(struct reading *reading, struct span text, size_t step)
{
    *reading = (struct reading){
        .text = text, .step = step, .input = {.max = 1 << 20}, .seen = {.max = 1 << 24}};
    while (read_request(reading) == 0)
        http_request_reset(&reading->request);
    http_request_reset(&reading->request);
    bytes_release(&reading->request.head);
    bytes_release(&reading->input);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = {(const char *)data, size};
    struct reading whole, cut;
    if (size == 0 || size > 16384)
        return 0;
    read_all(&whole, text, size);
    for (size_t step = 0; step < 2; step++) {
        read_all(&cut, text, step);
        assert(cut.verdict == whole.verdict);
        assert(span_equal(bytes_span(&cut.seen), bytes_span(&whole.seen)));
        bytes_release(&cut.seen);
    }
    bytes_release(&whole.seen);
    return 0;
}
