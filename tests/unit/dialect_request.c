/* Every dialect: the table, URLs, reading and editing requests. */
#include "dialect/dialect.h"

#include <criterion/criterion.h>
#include <stdio.h>

Test(dialects, are_found_by_type_and_name)
{
    cr_expect_str_eq(dialect_by_type(SPAN("openai"))->name, "openai_chat");
    cr_expect_str_eq(dialect_by_name(SPAN("anthropic"))->type, "anthropic");
    cr_expect_null(dialect_by_type(SPAN("openai_chat")));
    cr_expect_null(dialect_by_type(SPAN("OpenAI")));
    cr_expect_null(dialect_by_name(SPAN("")));
}

static bool is_listed(const char *const *names, const char *name)
{
    for (; names && *names; names++)
        if (!strcmp(*names, name))
            return true;
    return false;
}

Test(dialects, credentials_and_addresses_never_pass)
{
    static const char *const never[] = {
        "authorization",    "x-api-key",         "cookie",           "host",
        "set-cookie",       "location",          "www-authenticate", "content-length",
        "content-encoding", "transfer-encoding", "connection",       "*"};
    for (size_t i = 0; dialects[i]; i++) {
        cr_expect_not_null(dialects[i]->key_header);
        for (size_t n = 0; n < sizeof(never) / sizeof(never[0]); n++) {
            cr_expect_not(is_listed(dialects[i]->request_headers, never[n]), "%s", never[n]);
            cr_expect_not(is_listed(dialects[i]->answer_headers, never[n]), "%s", never[n]);
        }
    }
}

static const struct {
    const char *type;
    const char *base;
    const char *generate;
    const char *models;
} urls[] = {
    {"openai", "https://open.bigmodel.cn/api/paas/v4",
     "https://open.bigmodel.cn/api/paas/v4/chat/completions",
     "https://open.bigmodel.cn/api/paas/v4/models"},
    {"openai", "https://api.deepseek.com/v1/", "https://api.deepseek.com/v1/chat/completions",
     "https://api.deepseek.com/v1/models"},
    {"openai", "https://api.deepseek.com", "https://api.deepseek.com/chat/completions",
     "https://api.deepseek.com/models"},
    {"openai", "https://openrouter.ai/api/v1/chat/completions",
     "https://openrouter.ai/api/v1/chat/completions", "https://openrouter.ai/api/v1/models"},
    {"openai", "http://localhost:8080/v1/chat/completions/",
     "http://localhost:8080/v1/chat/completions", "http://localhost:8080/v1/models"},
    {"openai", "https://r.openai.azure.com/openai/v1?api-version=preview",
     "https://r.openai.azure.com/openai/v1/chat/completions?api-version=preview",
     "https://r.openai.azure.com/openai/v1/models?api-version=preview"},
    {"anthropic", "https://api.anthropic.com", "https://api.anthropic.com/v1/messages",
     "https://api.anthropic.com/v1/models"},
    {"anthropic", "https://api.anthropic.com/v1", "https://api.anthropic.com/v1/messages",
     "https://api.anthropic.com/v1/models"},
    {"anthropic", "https://api.anthropic.com/v1/messages", "https://api.anthropic.com/v1/messages",
     "https://api.anthropic.com/v1/models"},
    {"anthropic", "https://open.bigmodel.cn/api/anthropic/",
     "https://open.bigmodel.cn/api/anthropic/v1/messages",
     "https://open.bigmodel.cn/api/anthropic/v1/models"},
    {"anthropic", "https://api.kimi.com/coding/v1", "https://api.kimi.com/coding/v1/messages",
     "https://api.kimi.com/coding/v1/models"},
    {"anthropic", "http://localhost:9/x/messages", "http://localhost:9/x/messages",
     "http://localhost:9/x/models"},
};

Test(dialects, urls_are_built_from_any_base)
{
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        const struct dialect *dialect = dialect_by_type(span_of(urls[i].type));
        const char *wanted[] = {
            [OP_GENERATE] = urls[i].generate, [OP_LIST_MODELS] = urls[i].models};
        for (enum operation operation = OP_GENERATE; operation <= OP_LIST_MODELS; operation++) {
            struct bytes url = {.max = 500};
            cr_expect_eq(
                dialect->build_url(span_of(urls[i].base), operation, SPAN("m"), true, &url), 0);
            cr_expect_str_eq(url.data, wanted[operation]);
            bytes_release(&url);
        }
    }
}

Test(dialects, a_url_that_does_not_fit_is_refused)
{
    struct bytes url = {.max = 20};
    cr_expect_eq(
        dialects[0]->build_url(SPAN("https://x.example/v1"), OP_GENERATE, SPAN("m"), true, &url),
        -ERR_TOO_LARGE);
    cr_expect_eq(url.len, 0u);
    bytes_release(&url);
}

/* ---- reading ---- */

static struct arena arena;
static struct request_view view;

static void setup(void)
{
    arena_init(&arena, 1 << 16);
}

static void cleanup(void)
{
    arena_release(&arena);
}

static int read_body(const struct dialect *dialect, struct span body, struct err *err)
{
    return dialect->read_request(body, &arena, &view, err);
}

TestSuite(requests, .init = setup, .fini = cleanup);

Test(requests, the_view_says_model_and_stream)
{
    for (size_t i = 0; dialects[i]; i++) {
        struct span body = SPAN(" {\"messages\":[{\"model\":\"no\"}], \"stream\" : true,\n"
                                "\"model\":\"gl\\u006d-\xc3\xa9\"} ");
        cr_assert_eq(read_body(dialects[i], body, NULL), 0);
        cr_expect(span_equal(view.model_text, SPAN("glm-\xc3\xa9")));
        cr_expect(view.stream);
        cr_expect_eq(view.body.at, body.at);
        cr_assert_eq(read_body(dialects[i], SPAN("{\"model\":\"m\",\"stream\":null}"), NULL), 0);
        cr_expect_not(view.stream);
        cr_assert_eq(read_body(dialects[i], SPAN("{\"model\":\"m\",\"stream\":false}"), NULL), 0);
        cr_expect_not(view.stream);
    }
}

static const struct {
    struct span body;
    const char *says;
} bad[] = {
    {SPAN("{}"), "\"model\" is missing"},
    {SPAN("{\"model\":7}"), "\"model\" must be a string"},
    {SPAN("{\"model\":\"\"}"), "\"model\" is empty"},
    {SPAN("{\"model\":\"gpt\\u0000x\"}"), "control character"},
    {SPAN("{\"model\":\"gpt\\n\"}"), "control character"},
    {SPAN("{\"model\":\"gpt\0x\"}"), "control character"},
    {SPAN("{\"model\":\"cheap\",\"model\":\"dear\"}"), "\"model\" stands twice"},
    {SPAN("{\"MODEL\":\"dear\",\"model\":\"cheap\"}"), "must be spelled \"model\""},
    {SPAN("{\"\\u006dodel\":\"dear\",\"model\":\"cheap\"}"), "\"model\" stands twice"},
    {SPAN("{\"MODEL\":\"m\"}"), "must be spelled \"model\""},
    {SPAN("{\"model\":\"m\",\"stream\":true,\"streAm_options\":{}}"), "must be spelled"},
    {SPAN("{\"model\":\"m\",\"stream\":1}"), "\"stream\" must be true or false"},
    {SPAN("{\"model\":\"m\",\"stream\":\"true\"}"), "\"stream\" must be true or false"},
    {SPAN("{\"model\":\"m\",\"stream\":true,\"Stream\":false}"), "\"stream\" stands twice"},
    {SPAN("[]"), "object is expected"},
    {SPAN(""), "there is no value"},
    {SPAN("{\"model\":\"m\"} x"), "something stands behind"},
    {SPAN("{\"model\":\"m\"}{}"), "line 1, column 13: this bracket"},
    {SPAN("\xef\xbb\xbf{\"model\":\"m\"}"), "byte order mark"},
    {SPAN("{\n\"model\":\"m\",\n\"x\":01}"), "line 3, column 5: a number"},
};

Test(requests, what_is_wrong_is_refused_by_name)
{
    for (size_t d = 0; dialects[d]; d++) {
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
            struct err err = {0};
            cr_expect_eq(read_body(dialects[d], bad[i].body, &err), -ERR_INVALID_REQUEST, "%s",
                         bad[i].body.at);
            cr_expect(strstr(err.detail, bad[i].says), "\"%s\" in \"%s\"", bad[i].says, err.detail);
        }
    }
}

Test(requests, a_model_name_is_bounded)
{
    char body[400];
    for (int len = 256; len <= 257; len++) {
        int n = snprintf(body, sizeof(body), "{\"model\":\"%0*d\"}", len, 7);
        cr_expect_eq(read_body(dialects[0], (struct span){body, (size_t)n}, NULL),
                     len > 256 ? -ERR_INVALID_REQUEST : 0);
    }
}

/* ---- editing ---- */

/* The body after the edits of a dialect, in the arena. */
static const char *edited(const char *type, const char *body, const char *model)
{
    const struct dialect *dialect = dialect_by_type(span_of(type));
    const struct ir_target target = {span_of(model), ir_capabilities_default(), 0};
    struct splices splices;
    struct bytes out = {.max = 4096};
    struct err err = {0};
    splices_init(&splices, &arena);
    cr_assert_eq(read_body(dialect, span_of(body), &err), 0, "%s: %s", body, err.detail);
    cr_assert_eq(dialect->edit_request(&view, &target, &arena, &splices, NULL), 0);
    cr_assert_eq(splices_apply(&splices, span_of(body), &out), 0);
    const char *copy = arena_copy(&arena, bytes_span(&out));
    bytes_release(&out);
    return copy;
}

Test(requests, only_the_model_is_replaced)
{
    static const char *const types[] = {"openai", "anthropic"};
    for (size_t i = 0; i < 2; i++) {
        cr_expect_str_eq(
            edited(types[i], "{ \"n\":1.0, \"model\" : \"a\" ,\"x\":\"\\u00e9\"}", "b\"c"),
            "{ \"n\":1.0, \"model\" : \"b\\\"c\" ,\"x\":\"\\u00e9\"}");
        cr_expect_str_eq(edited(types[i], "{\"model\":\"\\u0061\",\"n\":1e0}", "a"),
                         "{\"model\":\"\\u0061\",\"n\":1e0}");
    }
    cr_expect_str_eq(edited("anthropic", "{\"model\":\"a\",\"stream\":true}", "a"),
                     "{\"model\":\"a\",\"stream\":true}");
}

static const struct {
    const char *body;
    const char *edited;
} usage_edits[] = {
    {"{\"model\":\"a\",\"stream\":true}",
     "{\"stream_options\":{\"include_usage\":true},\"model\":\"b\",\"stream\":true}"},
    {" { \"stream\":true,\"model\":\"a\"}",
     " {\"stream_options\":{\"include_usage\":true}, \"stream\":true,\"model\":\"b\"}"},
    {"{\"model\":\"a\",\"stream_options\":null,\"stream\":true}",
     "{\"model\":\"b\",\"stream_options\":{\"include_usage\":true},\"stream\":true}"},
    {"{\"stream_options\":{},\"model\":\"a\",\"stream\":true}",
     "{\"stream_options\":{\"include_usage\":true},\"model\":\"b\",\"stream\":true}"},
    {"{\"model\":\"a\",\"stream_options\":{ \"x\":1},\"stream\":true}",
     "{\"model\":\"b\",\"stream_options\":{\"include_usage\":true, \"x\":1},\"stream\":true}"},
    {"{\"model\":\"a\",\"stream_options\":{\"include_usage\": false },\"stream\":true}",
     "{\"model\":\"b\",\"stream_options\":{\"include_usage\": true },\"stream\":true}"},
    {"{\"model\":\"a\",\"stream_options\":{\"include_usage\":null},\"stream\":true}",
     "{\"model\":\"b\",\"stream_options\":{\"include_usage\":true},\"stream\":true}"},
    {"{\"model\":\"a\",\"stream_options\":{\"include_usage\":true},\"stream\":true}",
     "{\"model\":\"b\",\"stream_options\":{\"include_usage\":true},\"stream\":true}"},
    {"{\"model\":\"a\",\"stream\":false}", "{\"model\":\"b\",\"stream\":false}"},
    {"{\"model\":\"a\",\"stream_options\":{\"include_usage\":false}}",
     "{\"model\":\"b\",\"stream_options\":{\"include_usage\":false}}"},
};

Test(requests, a_chat_stream_is_made_to_tell_its_usage)
{
    for (size_t i = 0; i < sizeof(usage_edits) / sizeof(usage_edits[0]); i++)
        cr_expect_str_eq(edited("openai", usage_edits[i].body, "b"), usage_edits[i].edited);
}

Test(requests, the_view_knows_whether_the_client_wants_usage)
{
    const struct dialect *chat = dialect_by_type(SPAN("openai"));
    cr_assert_eq(read_body(chat,
                           SPAN("{\"model\":\"a\",\"stream_options\":{\"include_usage\":true}}"),
                           NULL),
                 0);
    cr_expect(view.wants_usage);
    cr_assert_eq(read_body(chat, SPAN("{\"model\":\"a\",\"stream_options\":{}}"), NULL), 0);
    cr_expect_not(view.wants_usage);
    struct err err = {0};
    cr_expect_lt(read_body(chat,
                           SPAN("{\"model\":\"a\",\"stream_options\":{\"Include_usage\":true}}"),
                           NULL),
                 0);
    cr_expect_lt(read_body(chat, SPAN("{\"model\":\"a\",\"stream_options\":[]}"), &err), 0);
    cr_expect(strstr(err.detail, "stream_options"), "%s", err.detail);
}

Test(requests, splices_stand_in_order_however_they_are_added)
{
    struct splices splices;
    struct bytes out = {.max = 100};
    splices_init(&splices, &arena);
    cr_assert_eq(splices_add(&splices, 4, 1, SPAN("E")), 0);
    cr_assert_eq(splices_add(&splices, 0, 0, SPAN("<")), 0);
    cr_assert_eq(splices_add(&splices, 2, 2, SPAN("--")), 0);
    cr_assert_eq(splices_add(&splices, 0, 1, SPAN("A")), 0);
    cr_assert_eq(splices_apply(&splices, SPAN("abcde"), &out), 0);
    cr_expect_str_eq(out.data, "<Ab--E");
    struct bytes small = {.max = 3};
    cr_expect_eq(splices_apply(&splices, SPAN("abcde"), &small), -ERR_TOO_LARGE);
    cr_expect_eq(small.len, 0u);
    bytes_release(&out);
    bytes_release(&small);
}
