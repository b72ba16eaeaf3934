/* From a model's name to candidates, the list of models, and what a refusal says. */
#include "gateway/choice.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "base/own.h"
#include "gateway/models.h"
#include "gateway/refusal.h"
#include "unit/state_place.h"

static const char config_text[] =
    "{\"providers\": ["
    "{\"name\":\"glm\",\"type\":\"openai\",\"baseURL\":\"https://a/"
    "v4\",\"models\":[\"glm-4.6\",\"shared\"]},"
    "{\"name\":\"claude\",\"type\":\"anthropic\",\"baseURL\":\"https://"
    "b\",\"models\":[\"opus\",\"shared\"]},"
    "{\"name\":\"demo\",\"type\":\"demo\",\"models\":[\"demo\"]},"
    "{\"name\":\"second\",\"type\":\"openai\",\"baseURL\":\"https://c\",\"models\":[\"GLM-4.6\"]}],"
    "\"aliases\": {\"fast\":\"glm-4.6\",\"clever\":\"opus\"}, \"defaultModel\": \"glm-4.6\"}";

static struct place place;
static struct gateway gateway;
static struct arena arena;
static const struct dialect *chat, *messages;

static void open_gateway(void)
{
    struct err err = {0};
    struct config_problems problems = {0};
    place_init(&place);
    cr_assert_eq(mkdir(place.state, 0700), 0);
    cr_assert_eq(config_parse(span_of(config_text), "config.json", 0600, NULL, NULL,
                              &gateway.config, &problems, &err),
                 0, "%s", err.detail);
    cr_assert_eq(projects_open(place.state, &gateway.projects, &err), 0, "%s", err.detail);
    arena_init(&arena, 1 << 20);
    chat = dialect_by_type(SPAN("openai"));
    messages = dialect_by_type(SPAN("anthropic"));
}

static void close_gateway(void)
{
    arena_release(&arena);
    projects_free(gateway.projects);
    config_unref(gateway.config);
    place_release(&place);
}

TestSuite(choice, .init = open_gateway, .fini = close_gateway);

struct row {
    const char *requested;
    bool is_messages;
    int kind;           /* 0: chosen */
    const char *chosen; /* "provider/model ..." */
    bool is_alias;
};

static void describe(const struct candidates *candidates, char *out, size_t size)
{
    size_t n = 0;
    out[0] = '\0';
    for (size_t i = 0; i < candidates->count; i++)
        n += (size_t)snprintf(out + n, size - n, "%s%s/%s", i ? " " : "",
                              candidates->list[i].provider->name, candidates->list[i].model);
}

Test(choice, a_name_leads_to_its_providers_those_of_the_callers_dialect_first)
{
    static const struct row rows[] = {
        {"glm-4.6", false, 0, "glm/glm-4.6 second/GLM-4.6", false},
        {"GLM-4.6", false, 0, "glm/glm-4.6 second/GLM-4.6", false},
        {"second/glm-4.6", false, 0, "second/GLM-4.6", false},
        {"second,glm-4.6", false, 0, "second/GLM-4.6", false},
        {"shared", false, 0, "glm/shared claude/shared", false},
        {"shared", true, 0, "claude/shared glm/shared", false},
        {"opus", true, 0, "claude/opus", false},
        {"demo", false, 0, "demo/demo", false},
        {"demo", true, 0, "demo/demo", false},
        {"aictl", false, 0, "glm/glm-4.6 second/GLM-4.6", true},
        {"opus", false, 0, "claude/opus", false},
        {"glm-4.6", true, 0, "glm/glm-4.6 second/GLM-4.6", false},
        {"claude-aictl", true, 0, "glm/glm-4.6 second/GLM-4.6", true},
        {"nothing-like-it", false, ERR_MODEL_NOT_FOUND, "", false},
        {"", false, ERR_MODEL_NOT_FOUND, "", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct candidates candidates = {0};
        struct err err = {0};
        char chosen[256];
        int r = choose(&gateway, gateway.config, rows[i].is_messages ? messages : chat,
                       span_of(rows[i].requested), NULL, NULL, &arena, &candidates, &err);
        describe(&candidates, chosen, sizeof(chosen));
        cr_expect_eq(-r, rows[i].kind, "%s: %d %s", rows[i].requested, r, err.detail);
        cr_expect_str_eq(chosen, rows[i].chosen, "%s", rows[i].requested);
        cr_expect_eq(candidates.is_alias, rows[i].is_alias, "%s", rows[i].requested);
    }
}

Test(choice, the_override_and_the_pin_move_the_alias)
{
    struct candidates candidates = {0};
    struct err err = {0};
    char chosen[256];
    cr_expect_eq(choose(&gateway, gateway.config, messages, SPAN("claude-aictl"), NULL, "opus",
                        &arena, &candidates, &err),
                 0, "%s", err.detail);
    describe(&candidates, chosen, sizeof(chosen));
    cr_expect_str_eq(chosen, "claude/opus");
    cr_assert_eq(projects_pin(gateway.projects, NULL, "demo", &err), 0);
    cr_expect_eq(choose(&gateway, gateway.config, chat, SPAN("aictl"), NULL, NULL, &arena,
                        &candidates, &err),
                 0);
    describe(&candidates, chosen, sizeof(chosen));
    cr_expect_str_eq(chosen, "demo/demo");
    cr_expect_str_eq(candidates.project, "global");
}

Test(choice, an_error_names_what_the_user_can_do)
{
    struct candidates candidates;
    struct err err = {0};
    cr_expect_lt(choose(&gateway, gateway.config, chat, SPAN("glm-4.7"), NULL, NULL, &arena,
                        &candidates, &err),
                 0);
    cr_expect(strstr(err.detail, "glm-4.7") && strstr(err.detail, "glm-4.6"), "%s", err.detail);
}

Test(choice, models_are_listed_once_with_the_standing_alias_first)
{
    static const char *const ids[] = {"aictl",  "fast", "clever", "glm-4.6",
                                      "shared", "opus", "demo"};
    CLEANUP(bytes_release) struct bytes out = {.max = 65536};
    cr_assert_eq(models_write(gateway.config, chat, &arena, &out), 0);
    const char *at = out.data;
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]) && at; i++) {
        char id[64];
        snprintf(id, sizeof(id), "\"id\":\"%s\"", ids[i]);
        at = strstr(at, id);
        cr_expect(at, "%s in %s", id, out.data);
    }
    cr_expect(!strstr(out.data, "GLM-4.6"), "%s", out.data);
    bytes_clear(&out);
    cr_assert_eq(models_write(gateway.config, messages, &arena, &out), 0);
    cr_expect(strstr(out.data, "\"id\":\"claude-aictl\""), "%s", out.data);
    struct bytes small = {.max = 20};
    cr_expect_eq(models_write(gateway.config, chat, &arena, &small), -ERR_TOO_LARGE);
    bytes_release(&small);
}

Test(refusal, a_message_says_what_why_and_what_next_without_the_key)
{
    CLEANUP(bytes_release) struct bytes out = {0};
    struct err err = {0};
    err_set(&err, ERR_NO_KEY, "provider %s", "deepseek");
    struct api_error error = refusal_error(&err, "deepseek", &out);
    cr_expect_eq(error.status, 503);
    cr_expect(strstr(out.data,
                     "the provider has no key: provider deepseek (add one: aictl login deepseek)"),
              "%s", out.data);
    bytes_release(&out);
    err_set(&err, ERR_PROVIDER_AUTH, "Incorrect API key: sk-%s", "abcdefgh12345678");
    error = refusal_error(&err, NULL, &out);
    cr_expect_eq(error.status, 401);
    cr_expect(!strstr(out.data, "abcdefgh") && strstr(out.data, "[key]"), "%s", out.data);
}

Test(refusal, the_shape_follows_the_path)
{
    CLEANUP(bytes_release) struct bytes out = {.max = 8192};
    struct err err = {0};
    err_set(&err, ERR_TOO_LARGE, "%s", "\"quoted\"");
    refusal_write(NULL, SPAN("/v1/messages"), &err, &out);
    cr_expect(strstr(out.data, "\"type\":\"error\"") && strstr(out.data, "\\\"quoted\\\""), "%s",
              out.data);
    bytes_clear(&out);
    refusal_write(NULL, (struct span){NULL, 0}, &err, &out);
    cr_expect(!strstr(out.data, "\"type\":\"error\"") && strstr(out.data, "\"error\":{"), "%s",
              out.data);
}
