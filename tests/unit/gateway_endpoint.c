/* Which path is which endpoint: every route, the forgiven slips, and what must not be one (S-19).
 */
#include "gateway/endpoint.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "unit/gateway_head.h"

static struct endpoint find(const char *method, const char *path, const char *header)
{
    char text[1024];
    struct http_request request;
    snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\nHost: a\r\n%s\r\n", method, path, header);
    head_read(&request, text);
    struct endpoint endpoint = endpoint_of(&request);
    head_release(&request);
    return endpoint;
}

struct row {
    const char *method, *path;
    enum endpoint_kind kind;
    const char *surface;
};

static void check(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct endpoint endpoint = find(rows[i].method, rows[i].path, "");
        cr_expect_eq(endpoint.kind, rows[i].kind, "%s %s: %d", rows[i].method, rows[i].path,
                     endpoint.kind);
        cr_expect_str_eq(endpoint.surface->type, rows[i].surface, "%s %s", rows[i].method,
                         rows[i].path);
    }
}

#define CHECK(rows) check(rows, sizeof(rows) / sizeof((rows)[0]))

Test(endpoint, every_route_of_every_dialect_is_found_with_its_slips)
{
    static const char *const slips[] = {"%s", "/v1%s", "/v1/v1%s", "%s/", "/v1%s/"};
    for (const struct dialect *const *dialect = dialects; *dialect; dialect++) {
        for (const struct dialect_route *route = (*dialect)->routes; route->method; route++) {
            bool is_models = route->operation == OP_LIST_MODELS;
            enum endpoint_kind kind = is_models                             ? ENDPOINT_MODELS
                                      : route->operation == OP_COUNT_TOKENS ? ENDPOINT_COUNT
                                                                            : ENDPOINT_GENERATE;
            cr_assert(!strncmp(route->path, "/v1/", 4));
            for (size_t i = 0; i < 2 * sizeof(slips) / sizeof(slips[0]); i++) {
                char path[128];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
                snprintf(path, sizeof(path), slips[i / 2],
                         route->path + (i % 2 ? strlen("/v1") : 0));
#pragma GCC diagnostic pop
                struct endpoint endpoint = find(route->method, path, "");
                cr_expect_eq(endpoint.kind, kind, "%s: %d", path, endpoint.kind);
                cr_expect(!endpoint.is_open, "%s needs a token", path);
                cr_expect(is_models || endpoint.surface == *dialect, "%s", path);
                cr_expect_eq(find("DELETE", path, "").kind, ENDPOINT_WRONG_METHOD, "%s", path);
            }
        }
    }
}

Test(endpoint, models_are_listed_in_the_shape_the_headers_ask_for)
{
    cr_expect_str_eq(find("GET", "/v1/models", "").surface->type, "openai");
    cr_expect_str_eq(find("GET", "/v1/models", "anthropic-version: 2023-06-01\r\n").surface->type,
                     "anthropic");
    cr_expect_str_eq(find("GET", "/models/", "Anthropic-Version: x\r\n").surface->type,
                     "anthropic");
    cr_expect_str_eq(find("GET", "/v1/models", "x-api-key: x\r\n").surface->type, "openai");
}

Test(endpoint, only_these_are_answered_without_a_token)
{
    static const struct row open[] = {
        {"GET", "/healthz", ENDPOINT_HEALTH, "openai"},
        {"HEAD", "/healthz", ENDPOINT_HEALTH, "openai"},
        {"GET", "/healthz/", ENDPOINT_HEALTH, "openai"},
        {"HEAD", "/api/hello", ENDPOINT_HELLO, "openai"},
    };
    static const struct row closed[] = {
        {"POST", "/healthz", ENDPOINT_WRONG_METHOD, "openai"},
        {"GET", "/api/hello", ENDPOINT_WRONG_METHOD, "openai"},
        {"OPTIONS", "/v1/messages", ENDPOINT_WRONG_METHOD, "anthropic"},
        {"OPTIONS", "/v1/models", ENDPOINT_WRONG_METHOD, "openai"},
        {"GET", "/v1/healthz", ENDPOINT_NONE, "openai"},
        {"GET", "/", ENDPOINT_NONE, "openai"},
    };
    CHECK(open);
    CHECK(closed);
    for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++)
        cr_expect(find(open[i].method, open[i].path, "").is_open, "%s", open[i].path);
    for (size_t i = 0; i < sizeof(closed) / sizeof(closed[0]); i++)
        cr_expect(!find(closed[i].method, closed[i].path, "").is_open, "%s", closed[i].path);
}

Test(endpoint, s19_nothing_else_is_a_route)
{
    static const struct row rows[] = {
        {"GET", "/v1/proxy/x", ENDPOINT_NONE, "openai"},
        {"GET", "//v1/models", ENDPOINT_NONE, "openai"},
        {"GET", "/v1//models", ENDPOINT_NONE, "openai"},
        {"GET", "/v1/models//", ENDPOINT_NONE, "openai"},
        {"GET", "/v1/../admin", ENDPOINT_NONE, "openai"},
        {"GET", "/v1/./models", ENDPOINT_NONE, "openai"},
        {"GET", "/x/../v1/models", ENDPOINT_NONE, "openai"},
        {"GET", "/v1%2fmodels", ENDPOINT_NONE, "openai"},
        {"GET", "/v1/model%73", ENDPOINT_NONE, "openai"},
        {"GET", "/v1/models%00", ENDPOINT_NONE, "openai"},
        {"GET", "/v1/models%2f", ENDPOINT_NONE, "openai"},
        {"GET", "/V1/models", ENDPOINT_NONE, "openai"},
        {"GET", "/v1/Models", ENDPOINT_NONE, "openai"},
        {"GET", "/v1/models;x", ENDPOINT_NONE, "openai"},
        {"GET", "/v1/models.json", ENDPOINT_NONE, "openai"},
        {"GET", "/v1/models/x", ENDPOINT_NONE, "openai"},
        {"GET", "/v2/models", ENDPOINT_NONE, "openai"},
        {"GET", "/v1", ENDPOINT_NONE, "openai"},
        {"GET", "/v1/", ENDPOINT_NONE, "openai"},
        {"GET", "/v1/v1", ENDPOINT_NONE, "openai"},
        {"GET", "/v1/v1/", ENDPOINT_NONE, "openai"},
        {"GET", "/v1models", ENDPOINT_NONE, "openai"},
        {"GET", "/healthz;x", ENDPOINT_NONE, "openai"},
        {"GET", "/healthz%2f", ENDPOINT_NONE, "openai"},
        {"GET", "/HEALTHZ", ENDPOINT_NONE, "openai"},
        {"GET", "/healthz/../v1/models", ENDPOINT_NONE, "openai"},
        {"HEAD", "/api/hello/x", ENDPOINT_NONE, "openai"},
        {"POST", "/chat", ENDPOINT_NONE, "openai"},
        {"POST", "/v1/messages/x", ENDPOINT_NONE, "anthropic"},
        {"POST", "/v1/messages/batches", ENDPOINT_NONE, "anthropic"},
    };
    CHECK(rows);
}

Test(endpoint, the_query_does_not_choose_the_route)
{
    cr_expect_eq(find("GET", "/v1/models?x=/healthz", "").kind, ENDPOINT_MODELS);
    cr_expect(!find("GET", "/v1/models?/healthz", "").is_open);
    cr_expect_eq(find("POST", "/v1/messages?beta=true", "").kind, ENDPOINT_GENERATE);
    cr_expect_eq(find("GET", "/healthz?/v1/models", "").kind, ENDPOINT_HEALTH);
}

Test(endpoint, a_long_path_is_nothing)
{
    char path[600] = "/";
    memset(path + 1, 'a', 500);
    cr_expect_eq(find("GET", path, "").kind, ENDPOINT_NONE);
    for (size_t i = 0; i + 3 < 500; i += 3)
        memcpy(path + i, "/v1", 3);
    strcpy(path + 498, "/models");
    cr_expect_eq(find("GET", path, "").kind, ENDPOINT_MODELS, "however often /v1 is said");
}

Test(endpoint, an_error_for_no_path_has_a_shape_too)
{
    cr_expect_str_eq(endpoint_surface((struct span){NULL, 0})->type, "openai");
    cr_expect_str_eq(endpoint_surface(SPAN(""))->type, "openai");
    cr_expect_str_eq(endpoint_surface(SPAN("/v1/messages/count_tokens"))->type, "anthropic");
    cr_expect_str_eq(endpoint_surface(SPAN("/v1/v1/messages"))->type, "anthropic");
}
