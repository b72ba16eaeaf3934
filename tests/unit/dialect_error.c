/* Errors and lists: read from providers in every shape, written for clients in their own. */
#include "dialect/dialect.h"

#include <criterion/criterion.h>
#include <stdio.h>

static const struct {
    int status;
    const char *body;
    int kind;
    const char *message; /* NULL: none */
    const char *type;
    const char *code;
} answers[] = {
    /* OpenAI and those who do as it does */
    {401,
     "{\"error\":{\"message\":\"m\",\"type\":\"invalid_request_error\",\"param\":null,\"code\":"
     "\"invalid_api_key\"}}",
     ERR_PROVIDER_AUTH, "m", "invalid_request_error", "invalid_api_key"},
    {403,
     "{\"error\":{\"message\":\"m\",\"type\":\"invalid_request_error\",\"code\":\"model_not_"
     "found\"}}",
     ERR_PROVIDER_AUTH, "m", "invalid_request_error", "model_not_found"},
    {404,
     "{\"error\":{\"message\":\"m\",\"type\":\"invalid_request_error\",\"code\":\"model_not_"
     "found\"}}",
     ERR_PROVIDER_REFUSED, "m", "invalid_request_error", "model_not_found"},
    {429,
     "{\"error\":{\"message\":\"m\",\"type\":\"insufficient_quota\",\"code\":\"insufficient_"
     "quota\"}}",
     ERR_PROVIDER_OVERLOADED, "m", "insufficient_quota", "insufficient_quota"},
    {400,
     "{\"error\":{\"message\":\"m\",\"type\":\"invalid_request_error\",\"code\":\"context_length_"
     "exceeded\"}}",
     ERR_PROVIDER_REFUSED, "m", "invalid_request_error", "context_length_exceeded"},
    {402,
     "{\"error\":{\"message\":\"Insufficient "
     "Balance\",\"type\":\"unknown_error\",\"code\":\"invalid_request_error\"}}",
     ERR_PROVIDER_OVERLOADED, "Insufficient Balance", "unknown_error", "invalid_request_error"},
    /* OpenRouter and Perplexity: a number as code */
    {401, "{\"error\":{\"message\":\"m\",\"code\":401}}", ERR_PROVIDER_AUTH, "m", NULL, "401"},
    {200, "{\"error\":{\"message\":\"m\",\"code\":502},\"user_id\":\"u\"}", ERR_PROVIDER_ANSWER,
     "m", NULL, "502"},
    /* xAI */
    {400,
     "{\"code\":\"Client specified an invalid argument\",\"error\":\"Incorrect API key provided: "
     "x\"}",
     ERR_PROVIDER_AUTH, "Incorrect API key provided: x", NULL, NULL},
    {404, "{\"code\":\"not-found\",\"error\":\"m\"}", ERR_PROVIDER_REFUSED, "m", NULL, "not-found"},
    /* Mistral */
    {401, "{\"detail\":\"Invalid API Key\"}\n", ERR_PROVIDER_AUTH, "Invalid API Key", NULL, NULL},
    {422, "{\"detail\":[{\"loc\":[\"body\"],\"msg\":\"m\"}]}", ERR_PROVIDER_REFUSED, "m", NULL,
     NULL},
    {400,
     "{\"object\":\"error\",\"message\":\"m\",\"type\":\"invalid_model\",\"code\":\"1500\",\"raw_"
     "status_code\":400}",
     ERR_PROVIDER_REFUSED, "m", "invalid_model", "1500"},
    /* Gemini */
    {400,
     "{\"error\":{\"code\":400,\"message\":\"API key not valid. "
     "Please\",\"status\":\"INVALID_ARGUMENT\","
     "\"details\":[{\"reason\":\"API_KEY_INVALID\"}]}}",
     ERR_PROVIDER_AUTH, "API key not valid. Please", NULL, "400"},
    {429, "[{\"error\":{\"code\":429,\"message\":\"m\",\"status\":\"RESOURCE_EXHAUSTED\"}}]",
     ERR_PROVIDER_OVERLOADED, "m", NULL, "429"},
    /* Anthropic */
    {529,
     "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"},"
     "\"request_id\":\"r\"}",
     ERR_PROVIDER_OVERLOADED, "Overloaded", "overloaded_error", NULL},
    {400,
     "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"prompt is "
     "too long\"}}",
     ERR_PROVIDER_REFUSED, "prompt is too long", "invalid_request_error", NULL},
    /* GLM */
    {429, "{\"error\":{\"code\":\"1302\",\"message\":\"\xe6\x82\xa8\"}}", ERR_PROVIDER_OVERLOADED,
     "\xe6\x82\xa8", NULL, "1302"},
    {429, "{\"error\":{\"code\":\"1308\",\"message\":\"m\"}}", ERR_PROVIDER_OVERLOADED, "m", NULL,
     "1308"},
    {401, "{\"error\":{\"code\":\"1000\",\"message\":\"m\"}}", ERR_PROVIDER_AUTH, "m", NULL,
     "1000"},
    /* no JSON, or nothing in it */
    {502, "<html><body>Bad Gateway</body></html>", ERR_PROVIDER_ANSWER, NULL, NULL, NULL},
    {503, "upstream connect error", ERR_PROVIDER_OVERLOADED, "upstream connect error", NULL, NULL},
    {500, "", ERR_PROVIDER_ANSWER, NULL, NULL, NULL},
    {504, "{}", ERR_PROVIDER_TIMEOUT, NULL, NULL, NULL},
    {302, "", ERR_PROVIDER_REDIRECT, NULL, NULL, NULL},
    {413, "{\"error\":\"m\"}", ERR_TOO_LARGE, "m", NULL, NULL},
    {400, "{\"error\":{\"message\":7,\"type\":\"a b\",\"code\":{}}}", ERR_PROVIDER_REFUSED, NULL,
     NULL, NULL},
};

static bool is_same(const char *a, const char *b)
{
    return a && b ? !strcmp(a, b) : a == b;
}

Test(errors, every_shape_of_error_is_read_and_classified)
{
    for (size_t d = 0; dialects[d]; d++) {
        for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
            struct api_error error;
            struct arena arena;
            arena_init(&arena, 4096);
            dialects[d]->read_error(answers[i].status, span_of(answers[i].body), &arena, &error);
            cr_expect_eq(error.kind, answers[i].kind, "%s: %d", answers[i].body, error.kind);
            cr_expect(span_equal(error.message, span_of(answers[i].message)), "%s",
                      answers[i].body);
            cr_expect(is_same(error.type, answers[i].type), "%s", answers[i].body);
            cr_expect(is_same(error.code, answers[i].code), "%s", answers[i].body);
            arena_release(&arena);
        }
    }
}

Test(errors, the_status_is_kept_or_taken_from_the_body)
{
    struct api_error error;
    struct arena arena;
    arena_init(&arena, 4096);
    dialects[0]->read_error(422, SPAN("{}"), &arena, &error);
    cr_expect_eq(error.status, 422);
    dialects[0]->read_error(200, SPAN("{\"error\":{\"code\":502}}"), &arena, &error);
    cr_expect_eq(error.status, 502);
    dialects[0]->read_error(200, SPAN("{\"error\":{\"code\":7}}"), &arena, &error);
    cr_expect_eq(error.status, 0, "that of the kind's row");
    arena_release(&arena);
}

static const char *written(int (*write)(const struct api_error *, struct bytes *),
                           struct api_error error)
{
    static char text[1000];
    struct bytes out = {.max = sizeof(text) - 1};
    cr_assert_eq(write(&error, &out), 0);
    memcpy(text, out.data, out.len + 1);
    bytes_release(&out);
    return text;
}

Test(errors, are_written_in_the_shape_of_the_client)
{
    const struct dialect *chat = dialect_by_type(SPAN("openai"));
    const struct dialect *messages = dialect_by_type(SPAN("anthropic"));
    struct api_error error = {.kind = ERR_MODEL_NOT_FOUND, .message = SPAN("no \"x\"")};
    cr_expect_str_eq(written(chat->write_error, error),
                     "{\"error\":{\"message\":\"no \\\"x\\\"\",\"type\":\"not_found_error\","
                     "\"param\":null,\"code\":null}}");
    cr_expect_str_eq(written(messages->write_error, error),
                     "{\"type\":\"error\",\"error\":{\"type\":\"not_found_error\",\"message\":"
                     "\"no \\\"x\\\"\"}}");
    error = (struct api_error){.kind = ERR_PROVIDER_RESET, .type = "server_error", .code = "c"};
    cr_expect_str_eq(written(chat->write_stream_error, error),
                     "data: {\"error\":{\"message\":\"the provider broke off its answer\",\"type\":"
                     "\"server_error\",\"param\":null,\"code\":\"c\"}}\n\n");
    cr_expect_str_eq(written(messages->write_stream_error, error),
                     "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\","
                     "\"message\":\"the provider broke off its answer\"}}\n\n");
}

Test(errors, the_words_of_messages_follow_the_status)
{
    static const struct {
        struct api_error error;
        const char *type;
    } cases[] = {
        {{.kind = ERR_INVALID_REQUEST}, "invalid_request_error"},
        {{.kind = ERR_UNAUTHORIZED}, "authentication_error"},
        {{.kind = ERR_FORBIDDEN}, "permission_error"},
        {{.kind = ERR_TOO_LARGE}, "request_too_large"},
        {{.kind = ERR_PROVIDER_OVERLOADED}, "overloaded_error"},
        {{.kind = ERR_PROVIDER_OVERLOADED, .status = 429}, "rate_limit_error"},
        {{.kind = ERR_PROVIDER_OVERLOADED, .status = 529}, "overloaded_error"},
        {{.kind = ERR_PROVIDER_REFUSED, .status = 422}, "invalid_request_error"},
        {{.kind = ERR_PROVIDER_REFUSED, .status = 400, .type = "not_found_error"},
         "not_found_error"},
        {{.kind = ERR_PROVIDER_REFUSED, .status = 400, .type = "tokens"}, "invalid_request_error"},
        {{.kind = ERR_NO_KEY}, "api_error"},
        {{.kind = ERR_BUSY}, "overloaded_error"},
        {{.kind = ERR_INTERNAL}, "api_error"},
    };
    const struct dialect *messages = dialect_by_type(SPAN("anthropic"));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char wanted[100];
        snprintf(wanted, sizeof(wanted), "\"error\":{\"type\":\"%s\"", cases[i].type);
        cr_expect(strstr(written(messages->write_error, cases[i].error), wanted), "%s", wanted);
    }
}

Test(errors, the_kind_of_a_bare_status)
{
    static const int cases[][2] = {
        {301, ERR_PROVIDER_REDIRECT},   {400, ERR_PROVIDER_REFUSED},
        {401, ERR_PROVIDER_AUTH},       {403, ERR_PROVIDER_AUTH},
        {408, ERR_PROVIDER_TIMEOUT},    {413, ERR_TOO_LARGE},
        {429, ERR_PROVIDER_OVERLOADED}, {500, ERR_PROVIDER_ANSWER},
        {503, ERR_PROVIDER_OVERLOADED}, {504, ERR_PROVIDER_TIMEOUT},
        {529, ERR_PROVIDER_OVERLOADED}, {999, ERR_PROVIDER_ANSWER},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        cr_expect_eq(dialect_kind_of_status(cases[i][0]), cases[i][1], "%d", cases[i][0]);
}

static void expect_models(const char *type, const struct model_entry *models, size_t count,
                          const char *wanted)
{
    struct bytes out = {.max = 1000};
    cr_assert_eq(dialect_by_type(span_of(type))->write_models(models, count, &out), 0);
    cr_expect_str_eq(out.data, wanted);
    bytes_release(&out);
}

Test(models, are_listed_in_the_shape_of_the_client)
{
    static const struct model_entry models[] = {{"a\"", NULL, "p"}, {"b", "Bee", NULL}};
    expect_models(
        "openai", models, 2,
        "{\"object\":\"list\",\"data\":[{\"id\":\"a\\\"\",\"object\":\"model\",\"created\":0,"
        "\"owned_by\":\"p\"},{\"id\":\"b\",\"object\":\"model\",\"created\":0,"
        "\"owned_by\":\"aictl\"}]}");
    expect_models("openai", NULL, 0, "{\"object\":\"list\",\"data\":[]}");
    expect_models("anthropic", models, 2,
                  "{\"data\":[{\"type\":\"model\",\"id\":\"a\\\"\",\"display_name\":\"a\\\"\","
                  "\"created_at\":\"1970-01-01T00:00:00Z\"},{\"type\":\"model\",\"id\":\"b\","
                  "\"display_name\":\"Bee\",\"created_at\":\"1970-01-01T00:00:00Z\"}],"
                  "\"has_more\":false,\"first_id\":\"a\\\"\",\"last_id\":\"b\"}");
    expect_models("anthropic", NULL, 0,
                  "{\"data\":[],\"has_more\":false,\"first_id\":null,\"last_id\":null}");
}
