/* A request's head from its text, as the HTTP server would hand it over. */
#pragma once

#include <criterion/criterion.h>

#include "net/http_parser.h"

/* The caller calls head_release(). The text is a whole head; a body need not follow. */
static inline void head_read(struct http_request *request, const char *text)
{
    struct http_parser parser;
    struct http_scan scan = {0};
    struct err err = {0};
    *request = (struct http_request){.body = {.max = 1 << 20}};
    ssize_t len = http_head_length(&scan, span_of(text), &err);
    cr_assert_gt(len, 0, "%s: %s", text, err.detail);
    http_parser_init(&parser, request);
    cr_assert_eq(http_parser_head(&parser, (struct span){text, (size_t)len}, &err), 0, "%s: %s",
                 text, err.detail);
}

static inline void head_release(struct http_request *request)
{
    http_request_reset(request);
    bytes_release(&request->head);
}
