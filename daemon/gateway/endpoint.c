/* See endpoint.h. */
#include "gateway/endpoint.h"

#define PATH_MAX_BYTES 256 /* no path of ours is longer */

/* Paths that belong to no dialect. */
static const struct {
    const char *method;
    const char *path;
    enum endpoint_kind kind;
} own[] = {
    {"GET", "/healthz", ENDPOINT_HEALTH},
    {"HEAD", "/healthz", ENDPOINT_HEALTH},
    {"HEAD", "/api/hello", ENDPOINT_HELLO},
};

static const enum endpoint_kind kinds[] = {
    [OP_GENERATE] = ENDPOINT_GENERATE,
    [OP_LIST_MODELS] = ENDPOINT_MODELS,
    [OP_COUNT_TOKENS] = ENDPOINT_COUNT,
};

/* The path without slips, in `out`. False when it is too long to be one of ours. */
static bool mend(struct span path, char out[PATH_MAX_BYTES])
{
    static const struct span v1 = {"/v1/", 4};
    if (path.len > 1 && path.at[path.len - 1] == '/')
        path.len--;
    while (span_starts(path, SPAN("/v1/v1/"))) {
        path.at += 3;
        path.len -= 3;
    }
    if (path.len + v1.len >= PATH_MAX_BYTES)
        return false;
    memcpy(out, path.at, path.len);
    out[path.len] = '\0';
    return true;
}

/* With or without the leading /v1. */
static bool is_at(const struct dialect_route *route, const char *path)
{
    return !strcmp(route->path, path) || !strcmp(route->path + strlen("/v1"), path);
}

/* /v1/models is shared: the caller's headers say which shape it knows. */
static const struct dialect *models_surface(const struct http_request *request,
                                            const struct dialect *found)
{
    const struct dialect *anthropic = dialect_by_type(SPAN("anthropic"));
    if (http_request_header(request, "anthropic-version").at)
        return anthropic;
    return found == anthropic ? dialect_by_type(SPAN("openai")) : found;
}

const struct dialect *endpoint_surface(struct span path)
{
    bool is_messages = span_starts(path, SPAN("/v1/messages")) ||
                       span_starts(path, SPAN("/messages")) ||
                       span_starts(path, SPAN("/v1/v1/messages"));
    return dialect_by_type(is_messages ? SPAN("anthropic") : SPAN("openai"));
}

static bool find_route(const struct http_request *request, const char *path,
                       struct endpoint *endpoint)
{
    for (const struct dialect *const *dialect = dialects; *dialect; dialect++) {
        for (const struct dialect_route *route = (*dialect)->routes; route->method; route++) {
            if (!is_at(route, path))
                continue;
            bool is_models = route->operation == OP_LIST_MODELS;
            endpoint->surface = is_models ? models_surface(request, *dialect) : *dialect;
            endpoint->kind = ENDPOINT_WRONG_METHOD;
            if (!span_equal(request->method, span_of(route->method)))
                continue;
            endpoint->kind = kinds[route->operation];
            return true;
        }
    }
    return false;
}

struct endpoint endpoint_of(const struct http_request *request)
{
    struct endpoint endpoint = {ENDPOINT_NONE, endpoint_surface(request->path), false};
    char path[PATH_MAX_BYTES];
    if (!mend(request->path, path) || find_route(request, path, &endpoint))
        return endpoint;
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        if (strcmp(own[i].path, path) != 0)
            continue;
        if (!span_equal(request->method, span_of(own[i].method))) {
            endpoint.kind = ENDPOINT_WRONG_METHOD;
            continue;
        }
        endpoint.kind = own[i].kind;
        endpoint.is_open = true;
        break;
    }
    return endpoint;
}
