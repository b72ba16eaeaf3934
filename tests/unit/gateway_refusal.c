/* refusal.h: what a client is told, and what of it is filled in. */
#include "gateway/refusal.h"

#include <criterion/criterion.h>

#include "base/own.h"

/* The message for an error of this kind; the caller releases. */
static struct bytes message_of(int kind, const char *detail, const char *provider)
{
    struct bytes out = {0};
    struct err err = {0};
    err_set(&err, kind, "%s", detail);
    struct api_error error = refusal_error(&err, provider, &out);
    const struct error_row *row = error_row(kind);
    cr_expect_eq(error.kind, kind);
    cr_expect_eq(error.status, row->http_status);
    cr_expect_str_eq(error.code, row->type);
    cr_expect(span_equal(error.message, bytes_span(&out)));
    return out;
}

static void expect_message(int kind, const char *detail, const char *provider, const char *expected)
{
    CLEANUP(bytes_release) struct bytes message = message_of(kind, detail, provider);
    cr_expect(span_equal(bytes_span(&message), span_of(expected)), "%.*s", (int)message.len,
              message.data);
}

Test(refusal, the_next_step_names_the_provider)
{
    expect_message(ERR_NO_KEY, "", "deepseek",
                   "the provider has no key (add one: aictl login deepseek)");
    expect_message(ERR_PROVIDER_AUTH, "deepseek answered 401: no", "deepseek",
                   "the provider refused the key: deepseek answered 401: no (enter a valid one: "
                   "aictl login deepseek)");
}

Test(refusal, without_a_provider_the_step_stays_general)
{
    expect_message(ERR_NO_KEY, "", NULL, "the provider has no key (add one: aictl login PROVIDER)");
}

Test(refusal, words_of_the_provider_are_its_own)
{
    expect_message(
        ERR_NO_KEY, "PROVIDER said PROVIDER", "deepseek",
        "the provider has no key: PROVIDER said PROVIDER (add one: aictl login deepseek)");
    expect_message(ERR_PROVIDER_REFUSED, "set PROVIDER to x", "deepseek",
                   "the provider refused the request: set PROVIDER to x (see: aictl status "
                   "--recent)");
    expect_message(ERR_INVALID_REQUEST, "PROVIDER", "deepseek",
                   "the request is not valid: PROVIDER");
}

Test(refusal, a_provider_may_be_called_anything)
{
    expect_message(ERR_NO_KEY, "", "PROVIDER",
                   "the provider has no key (add one: aictl login PROVIDER)");
    expect_message(ERR_NO_KEY, "%s %n", "%s",
                   "the provider has no key: %s %n (add one: aictl login %s)");
}

Test(refusal, every_kind_has_its_text_and_no_gap)
{
    for (int kind = 1; kind < ERR_COUNT; kind++) {
        const struct error_row *row = error_row(kind);
        CLEANUP(bytes_release) struct bytes message = message_of(kind, "because", "deepseek");
        cr_expect(span_starts(bytes_span(&message), span_of(row->text)), "%s", row->text);
        cr_expect(memmem(message.data, message.len, "because", 7), "%s", row->text);
        cr_expect(!memmem(message.data, message.len, "PROVIDER", 8), "%.*s", (int)message.len,
                  message.data);
    }
}

Test(refusal, what_looks_like_a_key_is_not_told)
{
    CLEANUP(bytes_release)
    struct bytes message =
        message_of(ERR_PROVIDER_REFUSED, "bad key sk-abcdefghijklmnopqrstuvwxyz012345", NULL);
    cr_expect(memmem(message.data, message.len, "[key]", 5));
    cr_expect(!memmem(message.data, message.len, "sk-abc", 6));
}

Test(refusal, the_longest_detail_leaves_room_for_the_next_step)
{
    char detail[ERR_DETAIL];
    memset(detail, '.', sizeof(detail) - 1);
    detail[sizeof(detail) - 1] = '\0';
    CLEANUP(bytes_release) struct bytes message = message_of(ERR_NO_KEY, detail, "deepseek");
    cr_expect(memmem(message.data, message.len, "aictl login deepseek)", 21), "%.*s",
              (int)message.len, message.data);
}

Test(refusal, a_body_is_json_in_the_shape_of_the_path)
{
    static const char *const paths[] = {"/v1/chat/completions", "/v1/messages", "/nowhere", ""};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        CLEANUP(bytes_release) struct bytes body = {.max = 8192};
        struct err err = {0};
        err_set(&err, ERR_BUSY, "too \"many\"\n");
        refusal_write(NULL, span_of(paths[i]), &err, &body);
        bool is_anthropic = i == 1;
        cr_expect(span_starts(bytes_span(&body), SPAN("{")), "%s", paths[i]);
        cr_expect_eq(memmem(body.data, body.len, "\"type\":\"error\"", 14) != NULL, is_anthropic,
                     "%s: %.*s", paths[i], (int)body.len, body.data);
    }
}
