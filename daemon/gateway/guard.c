/* See guard.h. */
#include "gateway/guard.h"

#include <stdio.h>

#include "base/log.h"

/* Names by which the daemon may be called; compared with ":PORT" behind. */
static const char *const host_names[] = {"127.0.0.1", "localhost", "[::1]"};

#define HOST_NAMES (sizeof(host_names) / sizeof(host_names[0]))

/* "name:port", and just "name" on port 80, as clients write it. */
static bool is_own_host(struct span host, int port)
{
    char digits[16];
    int n = snprintf(digits, sizeof(digits), ":%d", port);
    struct span behind = {digits, (size_t)n};
    for (size_t i = 0; i < HOST_NAMES; i++) {
        struct span name = span_of(host_names[i]);
        if (!span_starts_nocase(host, name))
            continue;
        struct span rest = {host.at + name.len, host.len - name.len};
        if (span_equal(rest, behind) || (port == 80 && rest.len == 0))
            return true;
    }
    return false;
}

static bool is_own_origin(struct span origin, int port)
{
    static const struct span scheme = {"http://", 7};
    return port && span_starts_nocase(origin, scheme) &&
           is_own_host((struct span){origin.at + scheme.len, origin.len - scheme.len}, port);
}

static int check_browser(const struct http_request *request, int port, struct err *reterr)
{
    struct span origin = http_request_header(request, "origin");
    struct span site = http_request_header(request, "sec-fetch-site");
    if (http_request_count(request, "origin") > 1 ||
        http_request_count(request, "sec-fetch-site") > 1)
        return err_set(reterr, ERR_FORBIDDEN, "Origin or Sec-Fetch-Site is given twice");
    if (origin.at && !is_own_origin(origin, port))
        return err_set(reterr, ERR_FORBIDDEN, "requests of web pages are not served (Origin %s)",
                       log_quote(origin, 80));
    if (site.at && !span_equal_nocase(site, SPAN("none")) &&
        !span_equal_nocase(site, SPAN("same-origin")))
        return err_set(reterr, ERR_FORBIDDEN,
                       "requests of web pages are not served (Sec-Fetch-Site %s)",
                       log_quote(site, 40));
    return 0;
}

static int check_body_type(const struct http_request *request, struct err *reterr)
{
    struct span rest;
    struct span type =
        span_trim(span_cut(http_request_header(request, "content-type"), ';', &rest));
    struct span encoding = http_request_header(request, "content-encoding");
    if (!request->has_body && !span_equal(request->method, SPAN("POST")))
        return 0;
    if (http_request_count(request, "content-type") > 1 ||
        !span_equal_nocase(type, SPAN("application/json")))
        return err_set(reterr, ERR_UNSUPPORTED_MEDIA, "Content-Type is %s", log_quote(type, 80));
    if (http_request_count(request, "content-encoding") > 1 ||
        (encoding.at && !span_equal_nocase(encoding, SPAN("identity"))))
        return err_set(reterr, ERR_UNSUPPORTED_MEDIA, "Content-Encoding %s is not taken yet",
                       log_quote(encoding, 40));
    return 0;
}

int guard_head(const struct http_request *request, int port, struct err *reterr)
{
    struct span host = http_request_header(request, "host");
    if (port && !is_own_host(host, port))
        return err_set(reterr, ERR_MISDIRECTED, "Host is %s", log_quote(host, 80));
    int r = check_browser(request, port, reterr);
    if (r < 0)
        return r;
    if (http_request_header(request, "upgrade").at)
        return err_set(reterr, ERR_NOT_IMPLEMENTED, "protocol upgrades are not served");
    return check_body_type(request, reterr);
}

/* ---- credentials ---- */

/* The token text of a credential header; absent when the header is none or is of another scheme. */
static struct span credential(const struct http_header *header)
{
    static const char *const plain[] = {"x-api-key", "api-key", "x-goog-api-key", "x-aictl-token"};
    static const struct span bearer = {"Bearer ", 7};
    if (span_equal(header->name, SPAN("authorization")) &&
        span_starts_nocase(header->value, bearer))
        return span_trim(
            (struct span){header->value.at + bearer.len, header->value.len - bearer.len});
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
        if (span_equal(header->name, span_of(plain[i])))
            return header->value;
    return (struct span){NULL, 0};
}

int guard_token(const struct http_request *request, const struct tokens *tokens,
                const struct vault *vault, int64_t now_s, const struct token_info **ret,
                struct err *reterr)
{
    const struct token_info *found = NULL;
    for (size_t i = 0; i < request->header_count; i++) {
        struct span text = credential(&request->headers[i]);
        const struct token_info *info;
        if (!text.at)
            continue;
        int r = tokens_verify(tokens, vault, text, now_s, &info);
        if (r == -ERR_KEYSTORE_LOCKED || r == -ERR_VAULT_CORRUPT)
            return err_set(reterr, -r, "%s", vault_lock_reason(vault));
        if (r < 0)
            continue;
        if (found && found != info)
            return err_set(reterr, ERR_INVALID_REQUEST,
                           "two different aictl tokens in one request");
        found = info;
    }
    if (!found)
        return err_set(reterr, ERR_UNAUTHORIZED,
                       "send it as Authorization: Bearer TOKEN or x-api-key: TOKEN");
    *ret = found;
    return 0;
}
