/* See url.h. One pass per part: characters, scheme, authority, host, port. */
#include "state/url.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>

#define HOST_MAX  253
#define LABEL_MAX 63

/* A base URL taken apart; slices of it. */
struct url {
    bool is_https;
    bool is_ipv6;
    struct span host; /* without brackets */
    struct span port; /* absent when it is not there */
};

static int refuse(struct err *reterr, const char *why)
{
    return err_set(reterr, ERR_CONFIG_INVALID, "%s", why);
}

/* Why a character may not stand in a base URL, or NULL. */
static const char *fault_of(unsigned char c)
{
    if (c <= ' ' || c == 0x7f)
        return "a base URL has no spaces or control characters";
    if (c >= 0x80)
        return "a base URL is ASCII only; write an international name as xn--...";
    switch (c) {
    case '#':
    case '?':
        return "a base URL has no '?' or '#' part; the operation's path is appended to it";
    case '\\':
        return "a base URL has no '\\'";
    case '%':
        return "a base URL has no percent-escapes";
    case '<':
    case '>':
    case '{':
    case '}':
        return "a placeholder is left in this URL; put the real value there";
    case '"':
    case '^':
    case '`':
    case '|':
        return "this character does not belong in a URL";
    default:
        return NULL;
    }
}

static int check_characters(struct span url, struct err *reterr)
{
    if (url.len == 0)
        return refuse(reterr, "the URL is empty");
    if (url.len > URL_MAX)
        return err_set(reterr, ERR_CONFIG_INVALID, "longer than %d bytes", URL_MAX);
    for (size_t i = 0; i < url.len; i++) {
        const char *fault = fault_of((unsigned char)url.at[i]);
        if (fault)
            return refuse(reterr, fault);
    }
    return 0;
}

static struct span drop(struct span text, size_t len)
{
    return (struct span){text.at + len, text.len - len};
}

/* Cuts the authority out and takes host and port apart. */
static int take_apart(struct span url, struct url *ret, struct err *reterr)
{
    *ret = (struct url){.is_https = span_starts_nocase(url, SPAN("https://"))};
    if (!ret->is_https && !span_starts_nocase(url, SPAN("http://")))
        return refuse(reterr, "must start with https:// (or http:// for this machine)");
    struct span rest;
    struct span authority = span_cut(drop(url, ret->is_https ? 8 : 7), '/', &rest);
    if (authority.len && memchr(authority.at, '@', authority.len))
        return refuse(reterr, "no user name or password ('@') in a URL; keys go to the vault");

    if (authority.len && authority.at[0] == '[') {
        ret->is_ipv6 = true;
        ret->host = span_cut(drop(authority, 1), ']', &rest);
        if (!rest.at)
            return refuse(reterr, "the ']' of the IPv6 address is missing");
        if (rest.len && rest.at[0] != ':')
            return refuse(reterr, "only a port may follow the ']' of an IPv6 address");
        ret->port = rest.len ? drop(rest, 1) : (struct span){NULL, 0};
        return 0;
    }
    ret->host = span_cut(authority, ':', &ret->port);
    if (ret->port.at && ret->port.len && memchr(ret->port.at, ':', ret->port.len))
        return refuse(reterr, "an IPv6 address stands in brackets: [::1]");
    return 0;
}

static int check_label(struct span label, struct err *reterr)
{
    if (label.len == 0)
        return refuse(reterr, "the host has an empty part (two dots, or one at its start)");
    if (label.len > LABEL_MAX)
        return refuse(reterr, "a part of the host is longer than 63 bytes");
    if (label.at[0] == '-' || label.at[label.len - 1] == '-')
        return refuse(reterr, "a part of the host starts or ends with '-'");
    for (size_t i = 0; i < label.len; i++)
        if (!isalnum((unsigned char)label.at[i]) && label.at[i] != '-' && label.at[i] != '_')
            return refuse(reterr, "the host has a character no host name has");
    return 0;
}

/* What some resolvers take for a number: 127, 0x7f, 0177. */
static bool is_number(struct span label)
{
    size_t start = span_starts_nocase(label, SPAN("0x")) ? 2 : 0;
    for (size_t i = start; i < label.len; i++)
        if (start ? !isxdigit((unsigned char)label.at[i]) : !isdigit((unsigned char)label.at[i]))
            return false;
    return label.len > 0;
}

static bool is_dotted_quad(struct span host)
{
    char text[16];
    struct in_addr address;
    if (host.len >= sizeof(text))
        return false;
    memcpy(text, host.at, host.len);
    text[host.len] = '\0';
    return inet_pton(AF_INET, text, &address) == 1;
}

static int check_name(struct span host, struct err *reterr)
{
    if (host.len == 0)
        return refuse(reterr, "the host is empty");
    if (host.len > HOST_MAX)
        return refuse(reterr, "the host is longer than 253 bytes");
    if (host.at[host.len - 1] == '.')
        return refuse(reterr, "the host ends with a dot");
    struct span label, rest = host;
    do {
        label = span_cut(rest, '.', &rest);
        int r = check_label(label, reterr);
        if (r < 0)
            return r;
    } while (rest.at);
    if (is_number(label) && !is_dotted_quad(host))
        return refuse(reterr, "the host is a number in disguise; write the address as 127.0.0.1");
    return 0;
}

/* Writes the host as it stands in an origin: lower case, an IPv6 address in its one spelling. */
static int write_host(const struct url *url, char *out, size_t size, struct err *reterr)
{
    if (url->is_ipv6) {
        char text[INET6_ADDRSTRLEN] = "", canonical[INET6_ADDRSTRLEN];
        struct in6_addr address;
        if (url->host.len < sizeof(text))
            memcpy(text, url->host.at, url->host.len);
        if (inet_pton(AF_INET6, text, &address) != 1)
            return refuse(reterr, "what stands in brackets is no IPv6 address");
        (void)inet_ntop(AF_INET6, &address, canonical, sizeof(canonical)); /* fits by its type */
        (void)snprintf(out, size, "[%s]", canonical);
        return 0;
    }
    int r = check_name(url->host, reterr);
    if (r < 0)
        return r;
    (void)snprintf(out, size, SPAN_FMT, SPAN_ARG(url->host)); /* HOST_MAX was checked */
    for (char *c = out; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return 0;
}

static int read_port(const struct url *url, unsigned *ret, struct err *reterr)
{
    *ret = url->is_https ? 443 : 80;
    if (!url->port.at)
        return 0;
    unsigned value = 0;
    for (size_t i = 0; i < url->port.len && value <= 65535; i++) {
        if (!isdigit((unsigned char)url->port.at[i]))
            return refuse(reterr, "the port is not a number");
        value = value * 10 + (unsigned)(url->port.at[i] - '0');
    }
    if (value < 1 || value > 65535)
        return refuse(reterr, "the port is not in 1..65535");
    *ret = value;
    return 0;
}

int url_origin(struct span url, bool has_key, char *out, size_t size, struct err *reterr)
{
    struct url parts;
    char host[HOST_MAX + 3], origin[URL_ORIGIN_MAX];
    unsigned port = 0;
    int r = check_characters(url, reterr);
    if (r == 0)
        r = take_apart(url, &parts, reterr);
    if (r == 0)
        r = write_host(&parts, host, sizeof(host), reterr);
    if (r == 0)
        r = read_port(&parts, &port, reterr);
    if (r < 0)
        return r;
    (void)snprintf(origin, sizeof(origin), "%s://%s:%u", parts.is_https ? "https" : "http", host,
                   port); /* URL_ORIGIN_MAX has room for the longest parts */
    if (has_key && !parts.is_https && !url_is_loopback(span_of(origin)))
        return refuse(reterr, "a key would travel unencrypted: use https, or \"apiKey\": \"\" when "
                              "this provider takes none");
    size_t len = strlen(origin);
    if (len >= size)
        return refuse(reterr, "the origin is too long");
    memcpy(out, origin, len + 1);
    return 0;
}

bool url_is_loopback(struct span origin)
{
    size_t scheme = span_starts(origin, SPAN("https://")) ? 8 : 7;
    if (origin.len < scheme)
        return false;
    struct span host = drop(origin, scheme), port;
    if (span_starts(host, SPAN("[::1]:")))
        return true;
    host = span_cut(host, ':', &port);
    return span_equal(host, SPAN("localhost")) ||
           (span_starts(host, SPAN("127.")) && is_dotted_quad(host));
}
