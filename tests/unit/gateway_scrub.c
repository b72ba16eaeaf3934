/* Scrubbing: no key that a provider echoes gets through (S-30), and ordinary text does. */
#include "gateway/scrub.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "base/json.h"
#include "base/own.h"

/* Stands for [A-Za-z0-9] of a key; made here so that no file holds what looks like one. */
static const char filler[] = "aB3dE5gH7jK9mN1pQ4sT6vW8yZ2cF0xLrU5iO7aB3dE5gH7jK9mN1pQ4sT6vW8yZ2c";

static void expect_gone(const char *format, const char *key)
{
    char text[1024];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(text, sizeof(text), format, key);
#pragma GCC diagnostic pop
    CLEANUP(bytes_release) struct bytes out = {.max = 4096};
    cr_assert_eq(scrub_body(span_of(text), &out), 0);
    cr_expect(out.data && strstr(out.data, "[key]"), "%s -> %s", text, out.data);
    /* Not even a part of it that would be of use. */
    for (size_t i = 0; i + 8 <= strlen(key); i++) {
        char part[9];
        snprintf(part, sizeof(part), "%s", key + i);
        cr_expect(!strstr(out.data, part), "%s -> %s", text, out.data);
    }
}

Test(scrub, s30_keys_of_every_kind_are_gone_wherever_they_stand)
{
    /* beginning, letters behind it, and how many follow after a dot */
    static const struct {
        const char *beginning;
        int len, tail;
    } keys[] = {
        {"sk-", 48, 0},
        {"sk-proj-", 60, 0},
        {"sk-ant-api03-", 60, 0},
        {"sk-or-v1-", 60, 0},
        {"sk_live_", 24, 0},
        {"sk-", 8, 0},
        {"AIza", 35, 0},
        {"xai-", 60, 0},
        {"gsk_", 52, 0},
        {"pplx-", 48, 0},
        {"hf_", 34, 0},
        {"fw_", 24, 0},
        {"nvapi-", 60, 0},
        {"csk-", 48, 0},
        {"", 32, 0},
        {"", 40, 0},
        {"", 64, 0},
        {"", 32, 16},
        {"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.", 40, 30},
        {"sk-aictl-", 39, 0},
        {"ya29.", 50, 0},
        {"r8_", 37, 0},
    };
    static const char *const places[] = {
        "%s",
        "Incorrect API key provided: %s. You can find it in your account.",
        "{\"error\":{\"message\":\"Incorrect API key provided: %s\"}}",
        "{\"error\":\"key:\\n%s\\n\"}",
        "{\"error\":\"key:\\t%s\"}",
        "{\"error\":\"\\u0022%s\\u0022\"}",
        "{\"key\":\"%s\",\"x\":1}",
        "{\"h\":\"Authorization: Bearer %s\"}",
        "<html><body><p>Bad key <code>%s</code></p></body></html>",
        "<a href=\"/login?key=%s&x=1\">",
        "&quot;%s&quot;",
        "api_key=%s",
        "key%%3D%s",
        "Bearer%%20%s",
        "(%s)",
        "'%s'",
        "https://host/v1?key=%s",
    };
    for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++) {
        char key[160];
        snprintf(key, sizeof(key), "%s%.*s%s%.*s", keys[k].beginning, keys[k].len, filler,
                 keys[k].tail ? "." : "", keys[k].tail, filler + 3);
        for (size_t p = 0; p < sizeof(places) / sizeof(places[0]); p++)
            expect_gone(places[p], key);
    }
}

Test(scrub, s30_an_encoded_key_is_gone)
{
    /* base64 of "Authorization: Bearer sk-..." in its two alphabets' common part, and with padding
     */
    expect_gone("{\"debug\":\"%s\"}",
                "QXV0aG9yaXphdGlvbjogQmVhcmVyIHNrLWFCM2RFNWdIN2pLOW1OMXBRNHNUNg==");
    expect_gone("<pre>%s</pre>",
                "QXV0aG9y+XphdGlvbjog/mVhcmVyIHNrLWFCM2RFNWdIN2pLOW1OMXBRNHNUNg==");
    expect_gone("hex %s", "736b2d614233644535674837664b396d4e317051347354367657387a32634630");
}

Test(scrub, ordinary_text_is_not_harmed)
{
    static const char *const texts[] = {
        "",
        "The model `gpt-4o-mini` does not exist or you do not have access to it.",
        "Rate limit reached for claude-3-5-sonnet-20241022: limit 40000, used 39871",
        "{\"error\":{\"type\":\"invalid_request_error\",\"message\":\"max_tokens: 4096 > 2048\"}}",
        "model accounts/fireworks/models/deepseek-v3 not found",
        "model accounts/fireworks/models/llama-v3p1-405b-instruct not found",
        "could not reach https://open.bigmodel.cn/api/coding/paas/v4/chat/completions",
        "could not reach https://generativelanguage.googleapis.com/v1beta/openai/chat/completions",
        "Bearer authentication is required",
        "send it as Authorization: Bearer TOKEN or x-api-key: TOKEN",
        "request id req_011CSHoEeqs5C35K2UUqR7Fy",
        "risk-assessment, desk-lamp, task_list, sk-1",
        "HF_HUB_TOKEN, hf_hub_download failed",
        "a file of 12345678901234567890 bytes",
        "123e4567-e89b-12d3-a456-426614174000",
        "\xe4\xbd\x99\xe9\xa2\x9d\xe4\xb8\x8d\xe8\xb6\xb3\xe6\x88\x96\xe6\x97\xa0\xe5\x8f\xaf\xe7"
        "\x94\xa8\xe8\xb5\x84\xe6\xba\x90",
        "no route to /v1/chat/completions on 127.0.0.1:3000",
        "supercalifragilisticexpialidocious",
        "see: aictl status --recent; raise defaultTimeout if it is only slow",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        CLEANUP(bytes_release) struct bytes out = {.max = 4096};
        cr_assert_eq(scrub_body(span_of(texts[i]), &out), 0);
        if (i != 17) /* 34 letters in a row: the price of it */
            cr_expect(span_equal(bytes_span(&out), span_of(texts[i])), "%s -> %s", texts[i],
                      out.data);
    }
}

Test(scrub, json_stays_json)
{
    char text[512];
    static const char *const bodies[] = {
        "{\"a\":\"\\n%s\"}",       "{\"a\":\"\\\\%s\"}", "{\"a\":\"\\u0022%s\\u0022\"}",
        "{\"a\":\"x\\/%s\\/y\"}",  "{\"%s\":\"%s\"}",    "[\"%s\",1]",
        "{\"a\":\"\\t\\r\\b%s\"}",
    };
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        CLEANUP(bytes_release) struct bytes out = {.max = 4096};
        struct json root, none;
        static const char *const names[] = {NULL};
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(text, sizeof(text), bodies[i], filler, "x");
#pragma GCC diagnostic pop
        cr_assert_eq(scrub_body(span_of(text), &out), 0);
        bool is_object = text[0] == '{';
        cr_expect(!is_object || json_pick_text(bytes_span(&out), names, &root, &none, NULL) == 0,
                  "%s -> %s", text, out.data);
        cr_expect(strstr(out.data, "[key]"), "%s", out.data);
    }
}

Test(scrub, a_text_is_cut_and_four_may_stand_side_by_side)
{
    char text[2048];
    memset(text, ' ', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    cr_expect_eq(strlen(scrub_text(text)), 511);
    const char *a = scrub_text("a"), *b = scrub_text("b"), *c = scrub_text("c"),
               *d = scrub_text("d");
    cr_expect(a[0] == 'a' && b[0] == 'b' && c[0] == 'c' && d[0] == 'd');
}

Test(scrub, a_body_that_does_not_fit_is_an_error)
{
    CLEANUP(bytes_release) struct bytes out = {.max = 10};
    cr_expect_lt(scrub_body(SPAN("more than ten bytes"), &out), 0);
}

/* Bodies are up to 64 KiB and come from outside: no pattern may make it slow. */
Test(scrub, time_is_linear, .timeout = 5)
{
    static const char *const patterns[] = {"a",   "a/",    "hf_", "sk-",   "Bearer ",       "\\n",
                                           "%20", "fw_a-", "=",   "AIza.", "bearer bearer-"};
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        CLEANUP(bytes_release) struct bytes text = {.max = 1 << 20}, out = {.max = 1 << 21};
        while (text.len < 1000000)
            cr_assert_eq(bytes_addf(&text, "%s", patterns[i]), 0);
        cr_expect_eq(scrub_body(bytes_span(&text), &out), 0, "%s", patterns[i]);
    }
}
