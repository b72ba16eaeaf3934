/* Taps: what is read of answers that are passed on unchanged. */
#include "dialect/dialect.h"

#include <criterion/criterion.h>
#include <stdio.h>

struct step {
    const char *name;
    const char *data;
};

static struct tap tapped(const char *type, const struct step *steps, size_t count)
{
    const struct dialect *dialect = dialect_by_type(span_of(type));
    const struct request_view view = {.stream = true};
    struct tap tap = {0};
    for (size_t i = 0; i < count; i++)
        (void)dialect->tap_event(&tap, &view, span_of(steps[i].name), span_of(steps[i].data));
    return tap;
}

static struct tap chat_event(const char *data)
{
    return tapped("openai", &(struct step){NULL, data}, 1);
}

static struct tap messages_event(const char *data)
{
    return tapped("anthropic", &(struct step){NULL, data}, 1);
}

static struct tap answered(const char *type, const char *body)
{
    struct tap tap = {0};
    dialect_by_type(span_of(type))->tap_answer(&tap, span_of(body));
    return tap;
}

/* ---- chat ---- */

Test(chat_tap, productive_deltas_are_content)
{
    static const char *const deltas[] = {
        "\"content\":\" \"",
        "\"content\":[{\"type\":\"text\",\"text\":\"a\"}]",
        "\"content\":{\"a\":1}",
        "\"reasoning_content\":\"\\n\"",
        "\"reasoning\":\"r\"",
        "\"reasoning_details\":[{}]",
        "\"tool_calls\":[{\"index\":0}]",
        "\"refusal\":\"no\"",
        "\"function_call\":{\"name\":\"f\"}",
        "\"function_call\":{\"arguments\":\"{\"}",
        "\"audio\":{\"id\":\"x\"}",
    };
    for (size_t i = 0; i < sizeof(deltas) / sizeof(deltas[0]); i++) {
        char data[256];
        snprintf(data, sizeof(data), "{\"choices\":[{\"index\":0,\"delta\":{%s}}]}", deltas[i]);
        cr_expect(chat_event(data).has_content, "%s", deltas[i]);
    }
}

Test(chat_tap, empty_deltas_are_no_content)
{
    static const char *const events[] = {
        "{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}",
        "{\"choices\":[{\"delta\":{\"content\":null,\"refusal\":null,\"tool_calls\":[]}}]}",
        "{\"choices\":[{\"delta\":{\"function_call\":{}}}]}",
        "{\"choices\":[{\"delta\":{\"function_call\":{\"name\":\"\",\"arguments\":\"\"}}}]}",
        "{\"choices\":[{\"delta\":{},\"message\":{\"content\":\"repeated\"}}]}",
        "{\"choices\":[],\"prompt_filter_results\":[{}]}",
        "{\"choices\":null}",
        "{\"choices\":{}}",
        "{\"choices\":[7]}",
        "{}",
        "[]",
        "",
        "null",
        "{\"choices\":[{\"delta\":{\"content\":\"x\"",
    };
    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
        struct tap tap = chat_event(events[i]);
        cr_expect(!tap.has_content && !tap.has_finish && !tap.error_kind, "%s", events[i]);
    }
}

Test(chat_tap, the_finish_word_and_the_end_are_seen)
{
    static const struct step steps[] = {
        {NULL, "{\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"\"}]}"},
        {NULL, "{\"choices\":[{\"delta\":{\"content\":\"b\"},\"finish_reason\":\"length\"}]}"},
        {NULL, "{\"choices\":[{\"delta\":{},\"finish_reason\":null}]}"},
        {NULL, " [DONE]"},
        {NULL, "{\"error\":{\"message\":\"too late\"}}"},
    };
    cr_expect_not(tapped("openai", steps, 1).has_finish);
    cr_expect_not(tapped("openai", steps, 3).has_end);
    struct tap tap = tapped("openai", steps, 5);
    cr_expect(tap.has_finish && tap.has_end && tap.has_content && !tap.error_kind);
    cr_expect_str_eq(tap.stop, "length");
}

static const struct {
    const char *event;
    int64_t input, cached, output, reasoning;
} chat_usages[] = {
    {"{\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":5}}", 10, 0, 5, 0},
    {"{\"choices\":[],\"usage\":{\"prompt_tokens\":11649,\"completion_tokens\":5,"
     "\"prompt_tokens_details\":{\"cached_tokens\":11584}}}",
     65, 11584, 5, 0},
    {"{\"choices\":[],\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":5,"
     "\"prompt_cache_hit_tokens\":64,\"prompt_cache_miss_tokens\":36}}",
     36, 64, 5, 0},
    {"{\"choices\":[{\"delta\":{},\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3}}]}", 7, 0,
     3, 0},
    {"{\"choices\":[{\"delta\":{}}],\"x_groq\":{\"usage\":{\"prompt_tokens\":7,"
     "\"completion_tokens\":3}}}",
     7, 0, 3, 0},
    {"{\"choices\":[],\"usage\":{\"prompt_tokens\":702,\"completion_tokens\":17,\"total_tokens\":"
     "839,"
     "\"completion_tokens_details\":{\"reasoning_tokens\":120}}}",
     702, 0, 137, 120},
    {"{\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":50,\"total_tokens\":60,"
     "\"completion_tokens_details\":{\"reasoning_tokens\":70}}}",
     10, 0, 50, 70},
    {"{\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":50,\"total_tokens\":99,"
     "\"completion_tokens_details\":{\"reasoning_tokens\":20}}}",
     10, 0, 50, 20},
    {"{\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":5,"
     "\"prompt_tokens_details\":{\"cached_tokens\":20}}}",
     0, 10, 5, 0},
    {"{\"choices\":[],\"usage\":{\"prompt_tokens\":-3,\"completion_tokens\":5}}", 0, 0, 5, 0},
};

Test(chat_tap, usage_is_read_wherever_it_stands)
{
    for (size_t i = 0; i < sizeof(chat_usages) / sizeof(chat_usages[0]); i++) {
        struct tap tap = chat_event(chat_usages[i].event);
        cr_expect_eq(tap.usage.source, USAGE_PROVIDER);
        cr_expect(tap.usage.input == chat_usages[i].input &&
                      tap.usage.cache_read == chat_usages[i].cached &&
                      tap.usage.output == chat_usages[i].output &&
                      tap.usage.reasoning == chat_usages[i].reasoning,
                  "%s", chat_usages[i].event);
    }
    cr_expect_eq(chat_event("{\"choices\":[],\"usage\":{}}").usage.source, USAGE_NONE);
    cr_expect_eq(chat_event("{\"choices\":[],\"usage\":null}").usage.source, USAGE_NONE);
}

Test(chat_tap, the_last_usage_that_is_not_null_wins)
{
    static const struct step steps[] = {
        {NULL, "{\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":1}}"},
        {NULL, "{\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":9}}"},
        {NULL, "{\"choices\":[],\"usage\":null}"},
    };
    cr_expect_eq(tapped("openai", steps, 3).usage.output, 9);
}

Test(chat_tap, only_a_usage_chunk_nobody_asked_for_is_hidden)
{
    static const struct {
        const char *data;
        bool is_hidden;
    } cases[] = {
        {"{\"choices\":[],\"usage\":{\"prompt_tokens\":1}}", true},
        {"{\"choices\":[],\"usage\":null}", false},
        {"{\"choices\":[{\"delta\":{}}],\"usage\":{\"prompt_tokens\":1}}", false},
        {"{\"choices\":[],\"usage\":{\"prompt_tokens\":1},\"error\":{\"message\":\"x\"}}", false},
        {"{\"usage\":{\"prompt_tokens\":1}}", false},
        {"[DONE]", false},
    };
    const struct dialect *chat = dialect_by_type(SPAN("openai"));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct request_view view = {.stream = true};
        struct tap tap = {0};
        cr_expect_eq(chat->tap_event(&tap, &view, (struct span){0}, span_of(cases[i].data)),
                     cases[i].is_hidden ? TAP_HIDE : TAP_PASS, "%s", cases[i].data);
        view.wants_usage = true;
        cr_expect_eq(chat->tap_event(&tap, &view, (struct span){0}, span_of(cases[i].data)),
                     TAP_PASS);
    }
}

static const struct {
    struct step step;
    int kind;
    const char *text;
} chat_errors[] = {
    {{"error",
      "{\"error\":{\"message\":\"m\",\"type\":\"invalid_request_error\",\"status_code\":400}}"},
     ERR_PROVIDER_REFUSED,
     "m"},
    {{NULL, "{\"error\":{\"code\":502,\"message\":\"Provider returned error\"}}"},
     ERR_PROVIDER_ANSWER,
     "Provider returned error"},
    {{NULL,
      "{\"error\":{\"code\":429,\"message\":\"m\"},\"choices\":[{\"delta\":{\"content\":\"\"},"
      "\"finish_reason\":\"error\"}]}"},
     ERR_PROVIDER_OVERLOADED,
     "m"},
    {{NULL, "{\"choices\":[{\"delta\":{},\"error\":{\"code\":502,\"message\":\"m\"}}]}"},
     ERR_PROVIDER_ANSWER,
     "m"},
    {{NULL, "{\"error\":{\"message\":\"m\",\"type\":\"tokens\",\"code\":\"rate_limit_exceeded\"}}"},
     ERR_PROVIDER_OVERLOADED,
     "m"},
    {{NULL, "{\"error\":\"plain\"}"}, ERR_PROVIDER_ANSWER, "plain"},
    {{"error", "{\"code\":500,\"message\":\"m\"}"}, ERR_PROVIDER_ANSWER, "m"},
    {{"error", "gone"}, ERR_PROVIDER_ANSWER, "gone"},
    {{NULL, "{\"object\":\"error\",\"message\":\"m\",\"code\":400}"}, ERR_PROVIDER_REFUSED, "m"},
    {{NULL, "{\"error\":{}, \"choices\":[]}"}, 0, ""},
    {{NULL, "{\"error\":null}"}, 0, ""},
};

Test(chat_tap, an_error_inside_a_good_answer_is_seen)
{
    for (size_t i = 0; i < sizeof(chat_errors) / sizeof(chat_errors[0]); i++) {
        struct tap tap = tapped("openai", &chat_errors[i].step, 1);
        cr_expect_eq(tap.error_kind, chat_errors[i].kind, "%s: %d", chat_errors[i].step.data,
                     tap.error_kind);
        cr_expect_str_eq(tap.error_text, chat_errors[i].text);
    }
}

Test(chat_tap, a_whole_answer_is_read)
{
    struct tap tap =
        answered("openai", "\n\n {\"choices\":[{\"message\":{\"content\":\"a\"},"
                           "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3,"
                           "\"completion_tokens\":4}}");
    cr_expect(tap.has_content && tap.has_finish && tap.has_end && !tap.error_kind);
    cr_expect(tap.usage.input == 3 && tap.usage.output == 4);
    tap = answered("openai", "{\"choices\":[{\"message\":{\"content\":\"\"},"
                             "\"error\":{\"code\":502,\"message\":\"m\"}}]}");
    cr_expect_eq(tap.error_kind, ERR_PROVIDER_ANSWER);
    cr_expect_eq(answered("openai", "{\"error\":{\"code\":429}}").error_kind,
                 ERR_PROVIDER_OVERLOADED);
    cr_expect_eq(answered("openai", "<html>").error_kind, ERR_PROVIDER_ANSWER);
    cr_expect_eq(answered("openai", "").error_kind, ERR_PROVIDER_ANSWER);
    cr_expect_str_eq(answered("openai", "{\"ok\":1}").error_text, "the answer has no choices");
}

/* ---- Messages ---- */

Test(messages_tap, productive_blocks_and_deltas_are_content)
{
    static const char *const events[] = {
        "{\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"}}",
        "{\"type\":\"content_block_delta\",\"delta\":{\"type\":\"thinking_delta\",\"thinking\":"
        "\"a\"}}",
        "{\"type\":\"content_block_delta\",\"delta\":{\"type\":\"input_json_delta\","
        "\"partial_json\":\"{\"}}",
        "{\"type\":\"content_block_start\",\"content_block\":{\"type\":\"tool_use\",\"input\":{}}}",
        "{\"type\":\"content_block_start\",\"content_block\":{\"type\":\"server_tool_use\"}}",
        "{\"type\":\"content_block_start\",\"content_block\":{\"type\":\"redacted_thinking\"}}",
        "{\"type\":\"content_block_start\",\"content_block\":{\"type\":\"text\",\"text\":\"a\"}}",
    };
    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
        cr_expect(messages_event(events[i]).has_content, "%s", events[i]);
}

Test(messages_tap, everything_else_is_no_content)
{
    static const char *const events[] = {
        "{\"type\":\"ping\"}",
        "{\"type\":\"message_start\",\"message\":{\"content\":[]}}",
        "{\"type\":\"content_block_start\",\"content_block\":{\"type\":\"text\",\"text\":\"\"}}",
        "{\"type\":\"content_block_start\",\"content_block\":{\"type\":\"thinking\",\"thinking\":"
        "\"\"}}",
        "{\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"\"}}",
        "{\"type\":\"content_block_delta\",\"delta\":{\"type\":\"signature_delta\",\"signature\":"
        "\"s\"}}",
        "{\"type\":\"content_block_stop\"}",
        "{\"type\":\"novelty\"}",
        "{}",
        "[DONE]",
        "",
    };
    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
        struct tap tap = messages_event(events[i]);
        cr_expect(!tap.has_content && !tap.has_end && !tap.error_kind, "%s", events[i]);
    }
}

Test(messages_tap, later_usage_overwrites_and_keeps_the_split_of_cache_writes)
{
    static const struct step steps[] = {
        {"message_start",
         "{\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":2068,"
         "\"cache_creation_input_tokens\":100,\"cache_read_input_tokens\":7,\"output_tokens\":1,"
         "\"cache_creation\":{\"ephemeral_5m_input_tokens\":40,\"ephemeral_1h_input_tokens\":60}}}"
         "}"},
        {"message_delta", "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},"
                          "\"usage\":{\"input_tokens\":22397,\"cache_creation_input_tokens\":100,"
                          "\"cache_read_input_tokens\":8,\"output_tokens\":50}}"},
        {"message_delta", "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":null},"
                          "\"usage\":{\"input_tokens\":0,\"output_tokens\":51}}"},
        {"message_stop", "{\"type\":\"message_stop\"}"},
        {"data", "[DONE]"},
    };
    struct tap tap = tapped("anthropic", steps, 1);
    cr_expect(tap.usage.input == 2068 && tap.usage.output == 1 &&
              tap.usage.source == USAGE_PROVIDER);
    tap = tapped("anthropic", steps, 5);
    cr_expect(tap.usage.cache_write_5m == 40 && tap.usage.cache_write_1h == 60);
    cr_expect(tap.usage.cache_read == 8 && tap.usage.output == 51);
    cr_expect(tap.has_finish && tap.has_end && !tap.error_kind);
    cr_expect_str_eq(tap.stop, "end_turn");
    cr_expect(tap.usage.input == 0 || tap.usage.input == 22397);
}

Test(messages_tap, cache_writes_without_a_split_last_five_minutes)
{
    struct tap tap = messages_event("{\"type\":\"message_delta\",\"usage\":{\"input_tokens\":3,"
                                    "\"cache_creation_input_tokens\":12,\"output_tokens\":4}}");
    cr_expect(tap.usage.cache_write_5m == 12 && tap.usage.cache_write_1h == 0);
}

Test(messages_tap, zero_input_at_the_end_does_not_undo_the_start)
{
    static const struct step steps[] = {
        {NULL, "{\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":9,"
               "\"output_tokens\":0}}}"},
        {NULL, "{\"type\":\"message_delta\",\"usage\":{\"input_tokens\":0,\"output_tokens\":5}}"},
    };
    struct tap tap = tapped("anthropic", steps, 2);
    cr_expect(tap.usage.input == 9 && tap.usage.output == 5);
}

static const struct {
    struct step step;
    int kind;
} messages_errors[] = {
    {{"error", "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"m\"}}"},
     ERR_PROVIDER_OVERLOADED},
    {{"error", "{\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"m\"}}"},
     ERR_PROVIDER_ANSWER},
    {{NULL, "{\"type\":\"error\",\"error\":{\"type\":\"authentication_error\",\"message\":\"m\"}}"},
     ERR_PROVIDER_AUTH},
    {{NULL, "{\"error\":{\"code\":\"1305\",\"message\":\"m\"},\"request_id\":\"x\"}"},
     ERR_PROVIDER_OVERLOADED},
    {{"error", "{\"message\":\"m\"}"}, ERR_PROVIDER_ANSWER},
};

Test(messages_tap, an_error_event_is_seen_in_any_shape)
{
    for (size_t i = 0; i < sizeof(messages_errors) / sizeof(messages_errors[0]); i++) {
        struct tap tap = tapped("anthropic", &messages_errors[i].step, 1);
        cr_expect_eq(tap.error_kind, messages_errors[i].kind, "%s", messages_errors[i].step.data);
        cr_expect_str_eq(tap.error_text, "m");
    }
}

Test(messages_tap, a_whole_answer_is_read)
{
    struct tap tap = answered(
        "anthropic",
        "{\"type\":\"message\",\"content\":[{\"type\":\"tool_use\",\"input\":{}}],"
        "\"stop_reason\":\"tool_use\",\"usage\":{\"input_tokens\":3,\"output_tokens\":4}}");
    cr_expect(tap.has_content && tap.has_finish && tap.has_end && !tap.error_kind);
    cr_expect(tap.usage.input == 3 && tap.usage.output == 4);
    cr_expect_eq(answered("anthropic", "{\"error\":{\"code\":\"1302\"}}").error_kind,
                 ERR_PROVIDER_OVERLOADED);
    cr_expect_eq(answered("anthropic", "{}").error_kind, ERR_PROVIDER_ANSWER);
}

Test(taps, a_long_error_message_is_cut_between_characters)
{
    char data[2000] = "{\"error\":{\"message\":\"x";
    size_t used = strlen(data);
    for (int i = 0; i < 300; i++, used += 2)
        memcpy(data + used, "\xc3\xa9", 2);
    memcpy(data + used, "\"}}", 4);
    struct tap tap = chat_event(data);
    cr_expect_eq(strlen(tap.error_text), 255u);
    memmove(data + 21, data + 22, strlen(data + 21)); /* one byte earlier */
    tap = chat_event(data);
    cr_expect_eq(strlen(tap.error_text), 254u);
}
