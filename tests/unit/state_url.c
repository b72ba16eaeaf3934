/* url_origin(): what a base URL may look like, and where its key goes. */
#include <criterion/criterion.h>

#include "state/url.h"

struct vector {
    const char *url;
    const char *origin; /* NULL: refused */
    const char *why;    /* part of the refusal */
};

static void check(const struct vector *vector, bool has_key)
{
    char origin[URL_ORIGIN_MAX] = "";
    struct err err = {0};
    int r = url_origin(span_of(vector->url), has_key, origin, sizeof(origin), &err);
    if (vector->origin) {
        cr_expect_eq(r, 0, "%s: %s", vector->url, err.detail);
        cr_expect_str_eq(origin, vector->origin, "%s", vector->url);
        return;
    }
    cr_expect_eq(r, -ERR_CONFIG_INVALID, "%s is accepted as %s", vector->url, origin);
    cr_expect(strstr(err.detail, vector->why), "%s: %s", vector->url, err.detail);
}

static const struct vector good[] = {
    {"https://api.deepseek.com/v1", "https://api.deepseek.com:443", NULL},
    {"https://api.deepseek.com", "https://api.deepseek.com:443", NULL},
    {"https://api.deepseek.com/", "https://api.deepseek.com:443", NULL},
    {"HTTPS://API.DeepSeek.COM/V1", "https://api.deepseek.com:443", NULL},
    {"https://api.example.com:8443/v1", "https://api.example.com:8443", NULL},
    {"https://api.example.com:0443/v1", "https://api.example.com:443", NULL},
    {"https://open.bigmodel.cn/api/paas/v4", "https://open.bigmodel.cn:443", NULL},
    {"https://host/@user/v1", "https://host:443", NULL},
    {"https://xn--bcher-kva.example/v1", "https://xn--bcher-kva.example:443", NULL},
    {"https://my_host.internal/v1", "https://my_host.internal:443", NULL},
    {"https://1password.com/v1", "https://1password.com:443", NULL},
    {"https://10.0.0.7/v1", "https://10.0.0.7:443", NULL},
    {"http://localhost:11434/v1", "http://localhost:11434", NULL},
    {"http://LocalHost/v1", "http://localhost:80", NULL},
    {"http://127.0.0.1:1234/v1", "http://127.0.0.1:1234", NULL},
    {"http://127.0.0.2", "http://127.0.0.2:80", NULL},
    {"http://[::1]:8080/v1", "http://[::1]:8080", NULL},
    {"http://[0:0:0:0:0:0:0:1]/v1", "http://[::1]:80", NULL},
    {"https://[2001:DB8::7]/v1", "https://[2001:db8::7]:443", NULL},
};

Test(url, an_origin_has_scheme_host_and_port_in_one_spelling)
{
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        check(&good[i], true);
}

static const struct vector bad[] = {
    {"", NULL, "empty"},
    {"api.deepseek.com/v1", NULL, "must start with https://"},
    {"ftp://host/v1", NULL, "must start with https://"},
    {"file:///etc/passwd", NULL, "must start with https://"},
    {"https:/host/v1", NULL, "must start with https://"},
    {"https:host", NULL, "must start with https://"},
    {" https://host", NULL, "spaces"},
    {"https://host /v1", NULL, "spaces"},
    {"https://host/v1\r\nx-evil: 1", NULL, "control"},
    {"https://host/v1\n", NULL, "control"},
    {"https://host/\x7f", NULL, "control"},
    {"https://", NULL, "host is empty"},
    {"https:///v1", NULL, "host is empty"},
    {"https://:443/v1", NULL, "host is empty"},
    {"https://user@host/v1", NULL, "'@'"},
    {"https://user:secret@host/v1", NULL, "'@'"},
    {"https://api.openai.com@evil.example/v1", NULL, "'@'"},
    {"https://host/v1?key=1", NULL, "'?'"},
    {"https://host#@evil.example/", NULL, "'#'"},
    {"https://host?@evil.example/", NULL, "'?'"},
    {"https://host\\@evil.example/v1", NULL, "'\\'"},
    {"https://host/v1\\..", NULL, "'\\'"},
    {"https://%65vil.example/v1", NULL, "percent"},
    {"https://host/v1%0d%0ax", NULL, "percent"},
    {"https://host/v1%2f", NULL, "percent"},
    {"https://b\xc3\xbc"
     "cher.example/v1",
     NULL, "ASCII"},
    {"https://\xef\xbd\x81.example/v1", NULL, "ASCII"},
    {"https://host./v1", NULL, "dot"},
    {"https://a..b/v1", NULL, "empty part"},
    {"https://.host/v1", NULL, "empty part"},
    {"https://-host/v1", NULL, "'-'"},
    {"https://ho!st/v1", NULL, "character no host"},
    {"https://{resource}.openai.azure.com/openai/v1", NULL, "placeholder"},
    {"https://<your-host>/v1", NULL, "placeholder"},
    {"http://127.1/v1", NULL, "number in disguise"},
    {"http://2130706433/v1", NULL, "number in disguise"},
    {"http://0x7f.1/v1", NULL, "number in disguise"},
    {"http://0x7f000001/v1", NULL, "number in disguise"},
    {"http://0X7F.0.0.1/v1", NULL, "number in disguise"},
    {"http://0177.0.0.1/v1", NULL, "number in disguise"},
    {"http://127.0.0.01/v1", NULL, "number in disguise"},
    {"http://256.1.1.1/v1", NULL, "number in disguise"},
    {"http://evil.0x/v1", NULL, "number in disguise"},
    {"https://host:/v1", NULL, "port"},
    {"https://host:0/v1", NULL, "port"},
    {"https://host:65536/v1", NULL, "port"},
    {"https://host:99999999999999999999/v1", NULL, "port"},
    {"https://host:44x/v1", NULL, "port"},
    {"https://host:443:80/v1", NULL, "brackets"},
    {"https://::1/v1", NULL, "brackets"},
    {"https://[::1/v1", NULL, "']'"},
    {"https://[::1]x/v1", NULL, "']'"},
    {"https://[fe80::1%25eth0]/v1", NULL, "percent"},
    {"https://[host]/v1", NULL, "no IPv6"},
    {"https://[]/v1", NULL, "no IPv6"},
    {"http://api.deepseek.com/v1", NULL, "unencrypted"},
    {"http://10.0.0.7:8000/v1", NULL, "unencrypted"},
    {"http://localhost.evil.example/v1", NULL, "unencrypted"},
    {"http://127.0.0.1.evil.example/v1", NULL, "unencrypted"},
    {"http://[::ffff:127.0.0.1]/v1", NULL, "unencrypted"},
    {"http://[::]/v1", NULL, "unencrypted"},
    {"http://0.0.0.0/v1", NULL, "unencrypted"},
};

Test(url, what_two_parsers_could_read_differently_is_refused)
{
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        check(&bad[i], true);
}

Test(url, http_is_for_this_machine_unless_no_key_travels)
{
    check(&(struct vector){"http://10.0.0.7:8000/v1", "http://10.0.0.7:8000", NULL}, false);
    check(&(struct vector){"http://gpu-box/v1", "http://gpu-box:80", NULL}, false);
    check(&(struct vector){"http://0x7f.1/v1", NULL, "number in disguise"}, false);
}

Test(url, a_refusal_does_not_repeat_the_url)
{
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char origin[URL_ORIGIN_MAX];
        struct err err = {0};
        (void)url_origin(span_of(bad[i].url), true, origin, sizeof(origin), &err);
        cr_expect(!strstr(err.detail, "secret") && !strstr(err.detail, "evil"), "%s", err.detail);
    }
}

Test(url, long_parts_are_refused_and_a_small_buffer_is_not_overrun)
{
    char url[URL_MAX + 16], origin[URL_ORIGIN_MAX];
    struct err err = {0};
    memcpy(url, "https://", 8);
    memset(url + 8, 'a', sizeof(url) - 8);
    cr_expect_lt(url_origin((struct span){url, URL_MAX + 1}, true, origin, sizeof(origin), &err),
                 0);
    cr_expect_lt(url_origin((struct span){url, 8 + 64}, true, origin, sizeof(origin), &err), 0);
    cr_expect_eq(url_origin((struct span){url, 8 + 63}, true, origin, sizeof(origin), &err), 0);
    for (size_t i = 8 + 63; i < sizeof(url); i += 64)
        url[i] = '.';
    cr_expect_lt(url_origin((struct span){url, 8 + 254}, true, origin, sizeof(origin), &err), 0);
    cr_expect_eq(url_origin((struct span){url, 8 + 253}, true, origin, sizeof(origin), &err), 0,
                 "%s", err.detail);
    char small[8] = "guard";
    cr_expect_eq(url_origin(SPAN("https://host"), true, small, sizeof(small), &err),
                 -ERR_CONFIG_INVALID);
    cr_expect_str_eq(small, "guard");
}

Test(url, loopback_is_judged_by_the_address_and_not_by_the_name)
{
    cr_expect(url_is_loopback(SPAN("http://localhost:80")));
    cr_expect(url_is_loopback(SPAN("http://127.9.9.9:80")));
    cr_expect(url_is_loopback(SPAN("https://[::1]:443")));
    cr_expect_not(url_is_loopback(SPAN("http://127.evil.example:80")));
    cr_expect_not(url_is_loopback(SPAN("http://localhost.evil.example:80")));
    cr_expect_not(url_is_loopback(SPAN("https://api.openai.com:443")));
    cr_expect_not(url_is_loopback(SPAN("unix:demo")));
    cr_expect_not(url_is_loopback(SPAN("")));
}
