/* The guard's judgements, row by row of docs/SECURITY.md (S-01 to S-14). */
#include "gateway/guard.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "unit/gateway_head.h"
#include "unit/state_place.h"

#define NOW  1767225600
#define PORT 3000

struct row {
    const char *headers;
    int kind; /* 0: passes */
};

static int judge(const char *request_line, const char *headers, int port, struct err *err)
{
    char text[2048];
    struct http_request request;
    snprintf(text, sizeof(text), "%s HTTP/1.1\r\n%s\r\n", request_line, headers);
    head_read(&request, text);
    int r = guard_head(&request, port, err);
    head_release(&request);
    return -r;
}

static void check(const char *request_line, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct err err = {0};
        int kind = judge(request_line, rows[i].headers, PORT, &err);
        cr_expect_eq(kind, rows[i].kind, "%s: %d %s", rows[i].headers, kind, err.detail);
        cr_expect_eq(err.kind, rows[i].kind, "%s", rows[i].headers);
    }
}

#define CHECK(line, rows) check(line, rows, sizeof(rows) / sizeof((rows)[0]))
#define HOST              "Host: localhost:3000\r\n"
#define JSON              "Content-Type: application/json\r\nContent-Length: 2\r\n"

Test(guard, s01_s02_only_our_own_names_with_our_own_port_are_ours)
{
    static const struct row rows[] = {
        {"Host: localhost:3000\r\n", 0},
        {"Host: LOCALHOST:3000\r\n", 0},
        {"Host: LocalHost:3000\r\n", 0},
        {"Host: 127.0.0.1:3000\r\n", 0},
        {"Host: [::1]:3000\r\n", 0},
        {"Host: evil.example:3000\r\n", ERR_MISDIRECTED},
        {"Host:\r\n", ERR_MISDIRECTED},
        {"Host: :3000\r\n", ERR_MISDIRECTED},
        {"Host: localhost\r\n", ERR_MISDIRECTED},
        {"Host: localhost:\r\n", ERR_MISDIRECTED},
        {"Host: localhost:3001\r\n", ERR_MISDIRECTED},
        {"Host: localhost:30000\r\n", ERR_MISDIRECTED},
        {"Host: localhost:03000\r\n", ERR_MISDIRECTED},
        {"Host: localhost.evil.com\r\n", ERR_MISDIRECTED},
        {"Host: localhost.evil.com:3000\r\n", ERR_MISDIRECTED},
        {"Host: localhost.:3000\r\n", ERR_MISDIRECTED},
        {"Host: evillocalhost:3000\r\n", ERR_MISDIRECTED},
        {"Host: 127.0.0.1.nip.io:3000\r\n", ERR_MISDIRECTED},
        {"Host: 127.1:3000\r\n", ERR_MISDIRECTED},
        {"Host: 127.0.0.2:3000\r\n", ERR_MISDIRECTED},
        {"Host: 0.0.0.0:3000\r\n", ERR_MISDIRECTED},
        {"Host: 2130706433:3000\r\n", ERR_MISDIRECTED},
        {"Host: ::1:3000\r\n", ERR_MISDIRECTED},
        {"Host: [::ffff:127.0.0.1]:3000\r\n", ERR_MISDIRECTED},
        {"Host: user@localhost:3000\r\n", ERR_MISDIRECTED},
        {"Host: localhost:3000, evil\r\n", ERR_MISDIRECTED},
        {"Host: localhost :3000\r\n", ERR_MISDIRECTED},
    };
    CHECK("GET /v1/models", rows);
}

Test(guard, s04_a_host_with_a_tail_is_not_ours)
{
    static const struct row rows[] = {
        {"Host: localhost:3000/#@x\r\n", ERR_MISDIRECTED},
        {"Host: localhost:3000?/healthz\r\n", ERR_MISDIRECTED},
        {"Host: localhost:3000/\r\n", ERR_MISDIRECTED},
        {"Host: localhost:3000#\r\n", ERR_MISDIRECTED},
        {"Host: localhost:3000\\x\r\n", ERR_MISDIRECTED},
        {"Host: localhost:3000%00\r\n", ERR_MISDIRECTED},
    };
    CHECK("GET /v1/models", rows);
}

Test(guard, the_port_may_be_left_out_on_port_80_alone)
{
    struct err err = {0};
    cr_expect_eq(judge("GET /", "Host: localhost\r\n", 80, &err), 0);
    cr_expect_eq(judge("GET /", "Host: localhost:80\r\n", 80, &err), 0);
    cr_expect_eq(judge("GET /", "Host: localhost:3000\r\n", 80, &err), ERR_MISDIRECTED);
    cr_expect_eq(judge("GET /", "Host: localhost:80\r\n", PORT, &err), ERR_MISDIRECTED);
}

Test(guard, a_unix_socket_has_no_host_and_no_web_pages)
{
    struct err err = {0};
    cr_expect_eq(judge("GET /", "Host: anything\r\n", 0, &err), 0);
    cr_expect_eq(judge("GET /", "Host: localhost\r\nOrigin: http://localhost\r\n", 0, &err),
                 ERR_FORBIDDEN);
    cr_expect_eq(judge("GET /", "Host: localhost\r\nOrigin: http://localhost:0\r\n", 0, &err),
                 ERR_FORBIDDEN);
    cr_expect_eq(judge("GET /", "Host: localhost\r\nSec-Fetch-Site: cross-site\r\n", 0, &err),
                 ERR_FORBIDDEN);
}

Test(guard, s05_simple_requests_of_web_pages_are_refused)
{
    static const char *const types[] = {"text/plain", "application/x-www-form-urlencoded",
                                        "multipart/form-data; boundary=x"};
    for (size_t i = 0; i < 3; i++) {
        struct err err = {0};
        char headers[256];
        snprintf(headers, sizeof(headers), HOST "Content-Length: 2\r\nContent-Type: %s\r\n",
                 types[i]);
        cr_expect_eq(judge("POST /v1/messages", headers, PORT, &err), ERR_UNSUPPORTED_MEDIA, "%s",
                     types[i]);
        snprintf(headers, sizeof(headers),
                 HOST "Origin: https://evil\r\nContent-Length: 2\r\nContent-Type: %s\r\n",
                 types[i]);
        cr_expect_eq(judge("POST /v1/messages", headers, PORT, &err), ERR_FORBIDDEN, "%s",
                     types[i]);
    }
}

Test(guard, s06_only_our_own_origin_may_ask)
{
    static const struct row rows[] = {
        {HOST JSON "Origin: http://localhost:3000\r\n", 0},
        {HOST JSON "Origin: http://127.0.0.1:3000\r\n", 0},
        {HOST JSON "Origin: http://[::1]:3000\r\n", 0},
        {HOST JSON "Origin: https://evil.example\r\n", ERR_FORBIDDEN},
        {HOST JSON "Origin: null\r\n", ERR_FORBIDDEN},
        {HOST JSON "Origin:\r\n", ERR_FORBIDDEN},
        {HOST JSON "Origin: https://localhost:3000\r\n", ERR_FORBIDDEN},
        {HOST JSON "Origin: http://localhost:3001\r\n", ERR_FORBIDDEN},
        {HOST JSON "Origin: http://localhost\r\n", ERR_FORBIDDEN},
        {HOST JSON "Origin: localhost:3000\r\n", ERR_FORBIDDEN},
        {HOST JSON "Origin: http://localhost:3000.evil.example\r\n", ERR_FORBIDDEN},
        {HOST JSON "Origin: http://localhost:3000/x\r\n", ERR_FORBIDDEN},
        {HOST JSON "Origin: chrome-extension://abc\r\n", ERR_FORBIDDEN},
        {HOST JSON "Origin: http://localhost:3000\r\nOrigin: https://evil\r\n", ERR_FORBIDDEN},
    };
    CHECK("POST /v1/messages", rows);
    static const struct row preflight[] = {
        {HOST "Origin: https://evil\r\nAccess-Control-Request-Method: POST\r\n", ERR_FORBIDDEN},
        {HOST "Origin: null\r\nAccess-Control-Request-Private-Network: true\r\n", ERR_FORBIDDEN},
    };
    CHECK("OPTIONS /v1/messages", preflight);
}

Test(guard, s07_requests_a_browser_makes_for_another_site_are_refused)
{
    static const struct row rows[] = {
        {HOST "Sec-Fetch-Site: none\r\n", 0},
        {HOST "Sec-Fetch-Site: same-origin\r\n", 0},
        {HOST "Sec-Fetch-Site: Same-Origin\r\n", 0},
        {HOST "Sec-Fetch-Site: cross-site\r\n", ERR_FORBIDDEN},
        {HOST "Sec-Fetch-Site: same-site\r\n", ERR_FORBIDDEN},
        {HOST "Sec-Fetch-Site: something-new\r\n", ERR_FORBIDDEN},
        {HOST "Sec-Fetch-Site:\r\n", ERR_FORBIDDEN},
        {HOST "Sec-Fetch-Site: none\r\nSec-Fetch-Site: cross-site\r\n", ERR_FORBIDDEN},
    };
    CHECK("GET /v1/models", rows);
}

Test(guard, a_body_is_json_and_not_encoded)
{
    static const struct row rows[] = {
        {HOST JSON, 0},
        {HOST "Content-Type: application/json; charset=utf-8\r\nContent-Length: 2\r\n", 0},
        {HOST "Content-Type: Application/JSON ;charset=utf-8\r\nContent-Length: 2\r\n", 0},
        {HOST "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n", 0},
        {HOST JSON "Content-Encoding: identity\r\n", 0},
        {HOST "Content-Length: 2\r\n", ERR_UNSUPPORTED_MEDIA},
        {HOST "", ERR_UNSUPPORTED_MEDIA},
        {HOST "Content-Type:\r\nContent-Length: 2\r\n", ERR_UNSUPPORTED_MEDIA},
        {HOST "Content-Type: application/jsonp\r\nContent-Length: 2\r\n", ERR_UNSUPPORTED_MEDIA},
        {HOST "Content-Type: text/plain; application/json\r\nContent-Length: 2\r\n",
         ERR_UNSUPPORTED_MEDIA},
        {HOST "Content-Type: application/json, text/plain\r\nContent-Length: 2\r\n",
         ERR_UNSUPPORTED_MEDIA},
        {HOST JSON "Content-Type: text/plain\r\n", ERR_UNSUPPORTED_MEDIA},
        {HOST JSON "Content-Encoding: gzip\r\n", ERR_UNSUPPORTED_MEDIA},
        {HOST JSON "Content-Encoding: zstd\r\n", ERR_UNSUPPORTED_MEDIA},
        {HOST JSON "Content-Encoding: identity\r\nContent-Encoding: gzip\r\n",
         ERR_UNSUPPORTED_MEDIA},
        {HOST JSON "Upgrade: h2c\r\nConnection: upgrade\r\n", ERR_NOT_IMPLEMENTED},
        {HOST JSON "Upgrade: websocket\r\n", ERR_NOT_IMPLEMENTED},
    };
    CHECK("POST /v1/messages", rows);
    static const struct row plain[] = {
        {HOST, 0},
        {HOST "Content-Type: text/plain\r\n", 0},
        {HOST "Content-Length: 2\r\n", ERR_UNSUPPORTED_MEDIA},
    };
    CHECK("GET /v1/models", plain);
}

Test(guard, what_a_header_said_is_quoted_and_cut_in_the_error)
{
    struct err err = {0};
    char headers[700];
    snprintf(headers, sizeof(headers), "Host: \xff%0500d\r\n", 0);
    cr_expect_eq(judge("GET /", headers, PORT, &err), ERR_MISDIRECTED);
    cr_expect_lt(strlen(err.detail), 120);
    cr_expect(!strchr(err.detail, '\xff'));
}

/* ---- tokens ---- */

static struct place place;
static struct vault *vault;
static struct tokens *tokens;
static char shop[TOKEN_TEXT], blog[TOKEN_TEXT];

static void open_tokens(void)
{
    struct err err = {0};
    const struct token_info *info;
    place_init(&place);
    cr_assert_eq(vault_open(place.state, place.kek, &vault, &err), 0, "%s", err.detail);
    cr_assert_eq(tokens_open(place.state, &tokens, &err), 0, "%s", err.detail);
    cr_assert_eq(tokens_get(tokens, vault, "/shop", NULL, NULL, NOW, 0, shop, &info, &err), 0);
    cr_assert_eq(tokens_get(tokens, vault, "/blog", NULL, NULL, NOW, 0, blog, &info, &err), 0);
}

static void close_tokens(void)
{
    tokens = tokens_free(tokens);
    vault = vault_free(vault);
    place_release(&place);
}

TestSuite(guard_token, .init = open_tokens, .fini = close_tokens);

static int judge_token(const char *format, const char *one, const char *two,
                       const struct token_info **info)
{
    char text[1024];
    struct http_request request;
    struct err err = {0};
    size_t n =
        (size_t)snprintf(text, sizeof(text), "GET /v1/models?key=%s HTTP/1.1\r\nHost: a\r\n", shop);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    n += (size_t)snprintf(text + n, sizeof(text) - n, format, one, two);
#pragma GCC diagnostic pop
    snprintf(text + n, sizeof(text) - n, "\r\n");
    head_read(&request, text);
    int r = guard_token(&request, tokens, vault, NOW, info, &err);
    head_release(&request);
    cr_expect(!strstr(err.detail, one + 9) || r == 0, "the token is in the error");
    return -r;
}

Test(guard_token, a_valid_token_is_taken_from_any_of_its_headers)
{
    static const char *const headers[] = {
        "Authorization: Bearer %s\r\n",
        "authorization: bearer %s\r\n",
        "Authorization: Bearer   %s \r\n",
        "x-api-key: %s\r\n",
        "X-Api-Key: %s\r\n",
        "api-key: %s\r\n",
        "x-goog-api-key: %s\r\n",
        "x-aictl-token: %s\r\n",
    };
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        const struct token_info *info = NULL;
        cr_expect_eq(judge_token(headers[i], blog, "", &info), 0, "%s", headers[i]);
        cr_expect(info && !strcmp(info->dir, "/blog"), "%s", headers[i]);
    }
}

Test(guard_token, s14_two_credentials_are_judged_one_by_one)
{
    static const struct {
        const char *headers;
        bool is_other; /* the second one is another valid token */
        int kind;
    } rows[] = {
        {"Authorization: Bearer %s\r\nx-api-key: %s\r\n", true, ERR_INVALID_REQUEST},
        {"x-api-key: %s\r\nx-goog-api-key: %s\r\n", true, ERR_INVALID_REQUEST},
        {"x-api-key: %s\r\nx-api-key: %s\r\n", true, ERR_INVALID_REQUEST},
        {"Authorization: Bearer %s\r\nx-api-key: %s\r\n", false, 0},
        {"Authorization: Bearer %s\r\nx-api-key: sk-ant-stale\r\n", true, 0},
        {"x-api-key: sk-ant-stale\r\nAuthorization: Bearer %s\r\n", true, 0},
        {"Authorization: Basic YTpi\r\nx-api-key: %s\r\n", true, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct token_info *info = NULL;
        int kind = judge_token(rows[i].headers, shop, rows[i].is_other ? blog : shop, &info);
        cr_expect_eq(kind, rows[i].kind, "row %zu: %d", i, kind);
        cr_expect(kind || !strcmp(info->dir, "/shop"), "row %zu", i);
    }
}

Test(guard_token, s14_none_is_taken_from_the_query_or_another_header)
{
    static const char *const headers[] = {
        "",
        "Cookie: token=%s\r\n",
        "Proxy-Authorization: Bearer %s\r\n",
        "Authorization: %s\r\n",
        "Authorization: Basic %s\r\n",
        "x-api-key: Bearer %s\r\n",
        "x-api-key: x%s\r\n",
        "x-api-key: %sx\r\n",
        "x-api-key:\r\n",
        "Authorization: Bearer\r\n",
        "Authorization: Bearer \r\n",
        "x-api-keys: %s\r\n",
    };
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        const struct token_info *info = NULL;
        cr_expect_eq(judge_token(headers[i], shop, "", &info), ERR_UNAUTHORIZED, "%s", headers[i]);
        cr_expect(info == NULL);
    }
}
