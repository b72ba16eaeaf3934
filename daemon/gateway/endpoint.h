/*
 * Endpoints: which operation of which dialect a path asks for.
 *
 * The table is built from the dialects' routes and a few paths of our own. Matching is exact on the
 * path as sent: no percent-decoding, no "..", no doubled slashes; what is not in the table is 404.
 * Forgiven slips: a trailing slash, /v1 twice, /v1 missing.
 */
#pragma once

#include "dialect/dialect.h"
#include "net/http_parser.h"

enum endpoint_kind {
    ENDPOINT_NONE,         /* 404 */
    ENDPOINT_WRONG_METHOD, /* 405 */
    ENDPOINT_HEALTH,       /* GET or HEAD /healthz: no token */
    ENDPOINT_HELLO,        /* HEAD /api/hello: no token (Claude Code asks before it starts) */
    ENDPOINT_MODELS,
    ENDPOINT_GENERATE,
    ENDPOINT_COUNT, /* the input tokens of a request */
};

struct endpoint {
    enum endpoint_kind kind;
    const struct dialect *surface; /* shape of the answer, errors included; never NULL */
    bool is_open;                  /* answered without a token */
};

/* The endpoint of a request. */
struct endpoint endpoint_of(const struct http_request *request);
/* The surface whose error shape fits a path nobody serves; path may be absent. */
const struct dialect *endpoint_surface(struct span path);
