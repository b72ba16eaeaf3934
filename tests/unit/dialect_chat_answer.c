/*
 * Answers of Chat Completions providers, read into neutral events: what was seen in real streams
 * (docs/dialects/openai_chat.md) as tables of events and what becomes of them.
 */
#include "dialect/openai_chat_usage.h"
#include "unit/dialect_chat_reading.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- streams ---- */

#define EVENTS_MAX 12

/* One answer. An event that begins with '{' and is no error body stands for what is in a choice. */
struct stream {
    const char *events[EVENTS_MAX]; /* "<" in front: the whole event, else the inside of a delta */
    const char *text;
    const char *losses; /* NULL: none */
};

static int read_short(struct reading *reading, const char *event)
{
    char data[2048];
    if (event[0] == '<')
        return reading_event(reading, NULL, span_of(event + 1));
    if (event[0] == '>') /* a finish word with nothing else */
        snprintf(data, sizeof(data),
                 "{\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"%s\"}]}", event + 1);
    else
        snprintf(data, sizeof(data),
                 "{\"choices\":[{\"index\":0,\"delta\":{%s},\"finish_reason\":null}]}", event);
    return reading_event(reading, NULL, span_of(data));
}

static void expect_stream(const struct stream *stream)
{
    struct reading reading;
    int r = 0;
    reading_init(&reading);
    for (size_t i = 0; r == 0 && i < EVENTS_MAX && stream->events[i]; i++)
        r = read_short(&reading, stream->events[i]);
    const char *text = reading_finish(&reading, r);
    cr_expect(!strcmp(text, stream->text), "%s ...\n     is %s\n not is %s", stream->events[0],
              text, stream->text);
    cr_expect(!strcmp(reading.losses_text, stream->losses ? stream->losses : ""), "%s ... loses %s",
              stream->events[0], reading.losses_text);
    reading_release(&reading);
}

static void expect_streams(const struct stream *streams, size_t count)
{
    for (size_t i = 0; i < count; i++)
        expect_stream(&streams[i]);
}

#define CALL(index, id, name, arguments)                                                           \
    "\"tool_calls\":[{\"index\":" index ",\"id\":" id ",\"type\":\"function\",\"function\":{"      \
    "\"name\":" name ",\"arguments\":" arguments "}}]"
#define MORE(index, arguments)                                                                     \
    "\"tool_calls\":[{\"index\":" index ",\"function\":{\"arguments\":" arguments "}}]"

Test(chat_stream, text_comes_from_every_place_it_stands_in)
{
    static const struct stream streams[] = {
        {{"\"role\":\"assistant\",\"content\":\"He\"",
          "<{\"choices\":[{\"delta\":{\"content\":\"llo\"},\"finish_reason\":\"stop\"}]}",
          "<[DONE]"},
         "^(t'He''llo').end",
         NULL},
        {{"\"role\":null,\"content\":null", "\"content\":\"\"", "\"content\":\"a\\u00e9\\n\"",
          ">stop"},
         "^(t'a\\u00e9\\n').end",
         NULL},
        {{"\"content\":[{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\",\"text\":\"r\"}]},"
          "{\"type\":\"text\",\"text\":\"t\"}]",
          "\"content\":[\"u\",{\"type\":\"output_text\",\"text\":\"v\"}]", ">stop"},
         "^(r'r')(t't''u''v').end",
         NULL},
        {{"\"content\":[{\"type\":\"thinking\",\"thinking\":\"r\"},{\"type\":\"reasoning\","
          "\"summary\":[{\"text\":\"s\"}],\"text\":\"t\"},{\"type\":\"reference\","
          "\"reference_ids\":[1]},{\"type\":\"image_url\"},7,null]",
          ">stop"},
         "^(r'r''s''t').end",
         "citations, content parts without text"},
        {{"\"content\":{\"a\":\"b\\n\"}", ">stop"}, "^(t'{\\\"a\\\":\\\"b\\\\n\\\"}').end", NULL},
        {{"\"content\":\"<think>a</think>b\"", ">stop"}, "^(t'<think>a</think>b').end", NULL},
        {{"\"refusal\":\"I \"", "\"refusal\":\"cannot\",\"content\":null", ">stop"},
         "^(f'I ''cannot').end",
         NULL},
        {{"\"content\":\"a\",\"annotations\":[{}],\"audio\":{\"id\":\"x\"},\"images\":[{}]",
          "<{\"choices\":[{\"delta\":{},\"logprobs\":{\"content\":[]},\"finish_reason\":"
          "\"stop\"}],\"citations\":[\"u\"],\"search_results\":[{}]}"},
         "^(t'a').end",
         "annotations, audio, images, logprobs, citations, search_results"},
    };
    expect_streams(streams, COUNT(streams));
}

Test(chat_stream, reasoning_is_counted_once)
{
    static const struct stream streams[] = {
        {{"\"reasoning_content\":\"\\n\",\"content\":\"\"", "\"reasoning_content\":\"a\"",
          "\"content\":\"t\"", ">stop"},
         "^(r'\\n''a')(t't').end",
         NULL},
        {{"\"reasoning\":\"a\",\"reasoning_details\":[{\"type\":\"reasoning.text\",\"text\":\"a\","
          "\"format\":\"unknown\"}]",
          "\"content\":\"t\"", ">stop"},
         "^(r'a')(t't').end",
         NULL},
        {{"\"reasoning_content\":\"a\",\"reasoning\":\"a\"", ">stop"}, "^(r'a').end", NULL},
        {{"\"reasoning_content\":\"\",\"reasoning\":null,\"reasoning_text\":\"a\"", ">stop"},
         "^(r'a').end",
         NULL},
        {{"\"reasoning_details\":[{\"text\":\"a\"},{\"summary\":\"b\"},7]", ">stop"},
         "^(r'a''b').end",
         NULL},
        {{"\"reasoning\":\"a\",\"content\":\"t\"", "\"reasoning\":\"b\",\"content\":\"u\"",
          ">stop"},
         "^(r'a')(t't')(r'b')(t'u').end",
         NULL},
        {{"\"reasoning_content\":\"a\"", CALL("0", "\"call_a\"", "\"f\"", "\"{}\""),
          "\"reasoning_content\":\"b\"", ">tool_calls"},
         "^(r'a')(c call_a f '{}')(r'b').calls",
         NULL},
    };
    expect_streams(streams, COUNT(streams));
}

Test(chat_stream, only_a_signature_of_claude_is_kept)
{
    static const struct stream streams[] = {
        {{"\"reasoning\":\"a\",\"reasoning_details\":[{\"text\":\"a\",\"format\":"
          "\"anthropic-claude-v1\"}]",
          "\"content\":\"\",\"reasoning\":null,\"reasoning_details\":[{\"type\":\"reasoning.text\","
          "\"signature\":\"S=\",\"format\":\"anthropic-claude-v1\",\"index\":0}]",
          "\"content\":\"t\"", ">stop"},
         "^(r'a'#S=)(t't').end",
         NULL},
        {{"\"reasoning_details\":[{\"text\":\"a\",\"signature\":\"S\",\"format\":"
          "\"anthropic-claude-v1\"},{\"text\":\"b\",\"signature\":\"T\",\"format\":"
          "\"anthropic-claude-v1\"}]",
          ">stop"},
         "^(r'a'#S)(r'b'#T).end",
         NULL},
        {{"\"reasoning\":\"ab\",\"reasoning_details\":[{\"text\":\"a\",\"signature\":\"S\","
          "\"format\":\"anthropic-claude-v1\"},{\"text\":\"b\",\"signature\":\"T\",\"format\":"
          "\"anthropic-claude-v1\"}]",
          ">stop"},
         "^(r'ab').end",
         "reasoning_details"},
        {{"\"reasoning\":\"a\",\"reasoning_details\":[{\"text\":\"a\",\"signature\":\"S\","
          "\"format\":\"google-gemini-v1\"}]",
          ">stop"},
         "^(r'a').end",
         "reasoning_details"},
        {{"\"reasoning_details\":[{\"type\":\"reasoning.encrypted\",\"data\":\"x\"}]",
          "\"content\":\"t\"", ">stop"},
         "^(t't').end",
         "reasoning_details"},
        {{"\"content\":\"t\",\"reasoning_details\":[{\"signature\":\"S\",\"format\":"
          "\"anthropic-claude-v1\"}]",
          ">stop"},
         "^(t't').end",
         "reasoning_details"},
    };
    expect_streams(streams, COUNT(streams));
}

Test(chat_stream, calls_are_told_apart_as_providers_mean_them)
{
    static const struct stream streams[] = {
        /* interleaved */
        {{CALL("0", "\"call_a\"", "\"f\"", "\"\""), CALL("1", "\"call_b\"", "\"g\"", "\"\""),
          MORE("0", "\"{\\\"x\\\":\""), MORE("1", "\"{\\\"y\\\":2}\""), MORE("0", "\"1}\""),
          ">tool_calls"},
         "^(c call_a f '{\\\"x\\\":''1}')(c call_b g '{\\\"y\\\":2}').calls",
         NULL},
        /* continuations that repeat or blank the identity */
        {{CALL("0", "\"call_a\"", "\"f\"", "null"), CALL("0", "\"\"", "\"\"", "\"{\""),
          CALL("0", "\"call_a\"", "\"f\"", "\"}\""), CALL("0", "null", "null", "null"),
          ">tool_calls"},
         "^(c call_a f '{''}').calls",
         NULL},
        /* one index for all, told apart by id */
        {{CALL("0", "\"call_a\"", "\"f\"", "\"{}\""), ">tool_calls",
          CALL("0", "\"call_b\"", "\"f\"", "\"{\\\"a\\\":1}\""), ">tool_calls", "<[DONE]"},
         "^(c call_a f '{}')(c call_b f '{\\\"a\\\":1}').calls",
         NULL},
        /* an id that changes without a name is the same call */
        {{CALL("0", "\"call_a\"", "\"f\"", "\"{\""), CALL("0", "\"call_b\"", "\"\"", "\"}\""),
          ">tool_calls"},
         "^(c call_a f '{''}').calls",
         NULL},
        /* no index */
        {{"\"tool_calls\":[{\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{\"}}]",
          "\"tool_calls\":[{\"id\":\"\",\"function\":{\"name\":\"\",\"arguments\":\"}\"}}]",
          "\"tool_calls\":[{\"id\":\"b\",\"function\":{\"name\":\"g\",\"arguments\":\"{\"}}]",
          "\"tool_calls\":[{\"id\":\"b\",\"function\":{\"arguments\":\"}\"}}]", ">tool_calls"},
         "^(c a f '{''}')(c b g '{''}').calls",
         NULL},
        {{"\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}},"
          "{\"function\":{\"name\":\"g\",\"arguments\":\"{}\"}}]",
          ">tool_calls"},
         "^(c call_id1_0 f '{}')(c call_id1_1 g '{}').calls",
         NULL},
        /* the id behind the first arguments */
        {{"\"tool_calls\":[{\"index\":0,\"function\":{\"name\":\"f\",\"arguments\":\"{\"}}]",
          "\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"arguments\":\"}\"}}]",
          ">tool_calls"},
         "^(c a f '{}').calls",
         NULL},
        /* text behind a call, white space between calls */
        {{CALL("0", "\"a\"", "\"f\"", "\"{}\""), "\"content\":\"\\n\"",
          CALL("1", "\"b\"", "\"f\"", "\"{}\""), "\"content\":\"done\"", ">stop"},
         "^(c a f '{}')(c b f '{}')(t'\\n''done').calls",
         NULL},
    };
    expect_streams(streams, COUNT(streams));
}

Test(chat_stream, arguments_are_taken_as_they_come)
{
    static const struct stream streams[] = {
        {{"<{\"choices\":[{\"delta\":{\"content\":\"\",\"tool_calls\":[{\"id\":\"a\",\"function\":{"
          "\"name\":\"f\",\"arguments\":{\"x\":\"\\\"\"}}}]},\"finish_reason\":\"tool_calls\"}]}"},
         "^(c a f '{\\\"x\\\":\\\"\\\\\\\"\\\"}').calls",
         NULL},
        {{CALL("0", "\"a\"", "\"f\"", "\"null\""), ">tool_calls"}, "^(c a f ).calls", NULL},
        {{CALL("0", "\"a\"", "\"f\"", "\"\""), ">tool_calls"}, "^(c a f ).calls", NULL},
        {{CALL("0", "\"a\"", "\"f\"", "\"{\\\"x\""), ">length"}, "^(c a f '{\\\"x').length", NULL},
        {{"\"function_call\":{\"name\":\"f\",\"arguments\":\"\"}",
          "\"function_call\":{\"arguments\":\"{}\"}", ">function_call"},
         "^(c call_id1_0 f '{}').calls",
         NULL},
        {{CALL("0", "\"a\"", "\"f\"", "\"{}\"") ",\"function_call\":{\"name\":\"\",\"arguments\":"
                                                "\"\"}",
          ">tool_calls"},
         "^(c a f '{}').calls",
         NULL},
        {{"\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"type\":\"custom\",\"custom\":{\"name\":"
          "\"f\",\"input\":\"x\"}}]",
          ">tool_calls"},
         "^(c a f 'x').calls",
         NULL},
        {{"\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\","
          "\"arguments\":\"{}\"}},{\"index\":1},7]",
          ">tool_calls"},
         "^(c a f '{}').calls",
         NULL},
    };
    expect_streams(streams, COUNT(streams));
}

Test(chat_stream, every_finish_word_has_a_meaning)
{
    static const struct stream streams[] = {
        {{"\"content\":\"a\"", ">stop", ">stop"}, "^(t'a').end", NULL},
        {{"\"content\":\"a\"", ">"}, "^(t'a' -provider_error", NULL},
        {{"\"content\":\"a\"", ">", "<[DONE]"}, "^(t'a').end", NULL},
        {{"\"content\":\"a\"", ">STOP"}, "^(t'a').end", NULL},
        {{"\"content\":\"a\"", ">eos"}, "^(t'a').end", NULL},
        {{"\"content\":\"a\"", ">a word of tomorrow"}, "^(t'a').end", NULL},
        {{"\"content\":\"a\"", ">tool_calls"}, "^(t'a').end", NULL},
        {{"\"content\":\"a\"", ">max_tokens"}, "^(t'a').length", NULL},
        {{"\"content\":\"a\"", ">model_length"}, "^(t'a').length", NULL},
        {{"\"content\":\"a\"", ">model_context_window_exceeded"}, "^(t'a').context", NULL},
        {{"\"content\":\"a\"", ">stop_sequence"}, "^(t'a').sequence", NULL},
        {{"\"content\":\"a\"", ">sensitive"}, "^(t'a').refusal", NULL},
        {{">content_filter"}, "^.refusal", NULL},
        {{CALL("0", "\"a\"", "\"f\"", "\"{}\""), ">tool_calls", ">stop"},
         "^(c a f '{}').calls",
         NULL},
        {{CALL("0", "\"a\"", "\"f\"", "\"{}\""), ">stop"}, "^(c a f '{}').calls", NULL},
        {{CALL("0", "\"a\"", "\"f\"", "\"{}\""), ">stop_sequence"}, "^(c a f '{}').calls", NULL},
        {{"\"role\":\"assistant\",\"content\":\"\"", "<[DONE]"}, "^ -provider_error", NULL},
        {{"\"content\":\"a\""}, "^(t'a' -provider_error", NULL},
        {{"\"content\":\"a\"", ">network_error"}, "^(t'a').length", "finish_reason of a failure"},
        {{">insufficient_system_resource", "<[DONE]"},
         "^!39: the provider ended its answer with \"insufficient_system_resource\"",
         NULL},
    };
    expect_streams(streams, COUNT(streams));
}

#define U(members) "\"usage\":{" members "}"
#define PLAIN      U("\"prompt_tokens\":10,\"completion_tokens\":5,\"total_tokens\":15")

Test(chat_stream, usage_is_waited_for_wherever_it_stands)
{
    static const struct stream streams[] = {
        {{">stop", "<{\"choices\":[]," PLAIN "}", "<[DONE]"}, "^.end 10+0+0/5(0)", NULL},
        {{">stop", "<{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\"}}]," PLAIN "}"},
         "^.end 10+0+0/5(0)",
         NULL},
        {{"<{\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]," PLAIN "}"},
         "^.end 10+0+0/5(0)",
         NULL},
        {{"<{" PLAIN ",\"choices\":[{\"delta\":{}}]}",
          "<{" U("\"prompt_tokens\":10,\"completion_tokens\":9") ",\"choices\":[{\"delta\":{}}]}",
          "<{\"usage\":null,\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}"},
         "^.end 10+0+0/9(0)",
         NULL},
        {{"<{\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"," PLAIN "}]}"},
         "^.end 10+0+0/5(0)",
         NULL},
        {{"<{\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"x_groq\":{" PLAIN "}}"},
         "^.end 10+0+0/5(0)",
         NULL},
        {{">stop", "<{" PLAIN ",\"choices\":[]}",
          "<{\"choices\":[],\"x_groq\":{" U("\"prompt_tokens\":1") "}}"},
         "^.end 10+0+0/5(0)",
         NULL},
        {{">stop", "<[DONE]", "<{\"choices\":[]," PLAIN "}"}, "^.end 10+0+0/5(0)", NULL},
    };
    expect_streams(streams, COUNT(streams));
}

static const struct {
    const char *usage;
    int64_t input, read, write, output, reasoning;
} usages[] = {
    {"{\"prompt_tokens\":11649,\"completion_tokens\":5,\"prompt_tokens_details\":{"
     "\"cached_tokens\":11584}}",
     65, 11584, 0, 5, 0},
    {"{\"prompt_tokens\":100,\"prompt_cache_hit_tokens\":64,\"prompt_cache_miss_tokens\":36}", 36,
     64, 0, 0, 0},
    {"{\"prompt_tokens\":100,\"cached_tokens\":64}", 36, 64, 0, 0, 0},
    {"{\"prompt_tokens\":100,\"num_cached_tokens\":64}", 36, 64, 0, 0, 0},
    {"{\"prompt_tokens\":100,\"prompt_tokens_details\":{\"cached_tokens\":0},\"cached_tokens\":9}",
     100, 0, 0, 0, 0},
    {"{\"prompt_tokens\":100,\"prompt_tokens_details\":null,\"cached_tokens\":9}", 91, 9, 0, 0, 0},
    {"{\"input_tokens\":100,\"output_tokens\":7,\"input_tokens_details\":{\"cached_tokens\":64},"
     "\"output_tokens_details\":{\"reasoning_tokens\":3}}",
     36, 64, 0, 7, 3},
    {"{\"prompt_tokens\":100,\"completion_tokens\":1,\"prompt_tokens_details\":{\"cached_tokens\":"
     "60,\"cache_write_tokens\":30}}",
     10, 60, 30, 1, 0},
    {"{\"prompt_tokens\":100,\"completion_tokens\":1,\"cache_creation_input_tokens\":30}", 70, 0,
     30, 1, 0},
    {"{\"prompt_tokens\":10,\"completion_tokens\":1,\"cached_tokens\":20,"
     "\"cache_creation_input_tokens\":5}",
     0, 10, 0, 1, 0},
    {"{\"prompt_tokens\":702,\"completion_tokens\":17,\"total_tokens\":839,"
     "\"completion_tokens_details\":{\"reasoning_tokens\":120}}",
     702, 0, 0, 137, 120},
    {"{\"prompt_tokens\":10,\"completion_tokens\":50,\"total_tokens\":60,"
     "\"completion_tokens_details\":{\"reasoning_tokens\":70}}",
     10, 0, 0, 50, 70},
    {"{\"prompt_tokens\":9223372036854775807,\"completion_tokens\":3,\"total_tokens\":-1}", 0, 0, 0,
     3, 0},
};

Test(chat_usage, counts_have_many_names)
{
    for (size_t i = 0; i < COUNT(usages); i++) {
        struct usage usage = {0};
        cr_expect(openai_chat_read_usage(json_peek(span_of(usages[i].usage)), &usage));
        cr_expect(usage.source == USAGE_PROVIDER && usage.input == usages[i].input &&
                      usage.cache_read == usages[i].read &&
                      usage.cache_write_5m == usages[i].write && usage.cache_write_1h == 0 &&
                      usage.output == usages[i].output && usage.reasoning == usages[i].reasoning,
                  "%s", usages[i].usage);
    }
    struct usage usage = {.input = 7};
    cr_expect_not(openai_chat_read_usage(json_peek(SPAN("{}")), &usage));
    cr_expect_not(openai_chat_read_usage(json_peek(SPAN("{\"prompt_tokens\":null}")), &usage));
    cr_expect_not(openai_chat_read_usage((struct json){0}, &usage));
    cr_expect_eq(usage.input, 7);
}

Test(chat_stream, failures_in_a_good_answer_become_errors)
{
    static const struct stream streams[] = {
        {{"<{\"error\":{\"message\":\"no\",\"code\":502}}", "<[DONE]"}, "^!35: no", NULL},
        {{"\"content\":\"a\"",
          "<{\"error\":{\"message\":\"no\",\"code\":429},\"choices\":[{\"index\":0,\"delta\":{"
          "\"content\":\"b\"},\"finish_reason\":\"error\"}]}",
          "\"content\":\"c\"", "<[DONE]"},
         "^(t'a''b'!39: no",
         NULL},
        {{"<{\"choices\":[{\"delta\":{},\"error\":{\"message\":\"no\",\"code\":\"x\"}}]}"},
         "^!35: no",
         NULL},
        {{"<{\"object\":\"error\",\"message\":\"no\",\"code\":400}"}, "^!38: no", NULL},
        {{"<{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"no\"}}"},
         "^!39: no",
         NULL},
        {{"<{\"detail\":\"no\"}"}, "^!35: no", NULL},
        {{"<{\"error\":\"no\"}"}, "^!35: no", NULL},
        {{"<[{\"error\":{\"message\":\"no\"}}]"}, "^!35: no", NULL},
        {{"<{\"error\":null,\"choices\":[{\"delta\":{\"content\":\"a\"}}]}", ">stop"},
         "^(t'a').end",
         NULL},
        {{"<{\"error\":{},\"detail\":\"d\",\"choices\":[{\"delta\":{\"content\":\"a\"}}]}",
          ">stop"},
         "^(t'a').end",
         NULL},
    };
    expect_streams(streams, COUNT(streams));
}

Test(chat_stream, an_event_may_be_called_an_error)
{
    static const struct {
        const char *data, *text;
    } events[] = {
        {"{\"error\":{\"message\":\"no\",\"status_code\":400}}", "^!38: no"},
        {"{\"message\":\"no\"}", "^!35: no"},
        {"overloaded, go away", "^!35: overloaded, go away"},
    };
    for (size_t i = 0; i < COUNT(events); i++) {
        struct reading reading;
        reading_init(&reading);
        int r = reading_event(&reading, "error", span_of(events[i].data));
        cr_expect_str_eq(reading_finish(&reading, r), events[i].text);
        reading_release(&reading);
    }
}

Test(chat_stream, what_is_no_chunk_is_skipped_and_what_is_no_json_fails)
{
    static const struct stream streams[] = {
        {{"<", "< ", "<null", "<7", "<[]", "<{}", "<{\"choices\":[]}", "<{\"choices\":null}",
          "<{\"choices\":[],\"prompt_filter_results\":[{}]}", "\"content\":\"a\"", ">stop",
          "< [DONE] "},
         "^(t'a').end",
         NULL},
        {{"<{\"choices\":[{\"index\":1,\"delta\":{\"content\":\"other\"}},{\"index\":0,\"delta\":{"
          "\"content\":\"a\"}},7]}",
          ">stop"},
         "^(t'a').end",
         "choices"},
        {{"<{\"choices\":[{\"delta\":{\"content\":\"a\"},\"message\":{\"content\":\"a\"}}]}",
          "<{\"choices\":[{\"message\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}"},
         "^(t'a').end",
         NULL},
        {{"<{\"object\":\"chat.completion\",\"choices\":[{\"message\":{\"content\":\"a\"},"
          "\"finish_reason\":\"stop\"}]}",
          "<[DONE]"},
         "^(t'a').end",
         NULL},
        {{"\"content\":\"a\"", "<{\"choices\":"}, "^(t'a' -provider_error", NULL},
        {{"\"content\":\"a\"", "<OK"}, "^(t'a' -provider_error", NULL},
        {{"\"content\":\"\x01\""}, " -provider_error", NULL},
        {{"\"content\":\"\xff\""}, " -provider_error", NULL},
    };
    expect_streams(streams, COUNT(streams));
}

Test(chat_stream, more_calls_than_anyone_means_are_refused)
{
    struct reading reading;
    int r = 0;
    reading_init(&reading);
    for (int i = 0; r == 0 && i <= IR_SLOTS_MAX; i++) {
        char event[256];
        snprintf(event, sizeof(event), CALL("%d", "\"c%d\"", "\"f\"", "\"{}\""), i, i);
        r = read_short(&reading, event);
        cr_expect_eq(r, i < IR_SLOTS_MAX ? 0 : -ERR_PROVIDER_ANSWER);
    }
    reading_release(&reading);
}

/* ---- whole answers ---- */

Test(chat_answer, whole_answers_give_the_same_events)
{
    static const struct {
        const char *message, *finish, *text, *losses;
    } answers[] = {
        {"\"content\":\"a\",\"reasoning_content\":\"r\"", "\"stop\"",
         "^(r'r')(t'a').end 10+0+0/5(0)"},
        {"\"content\":null,\"refusal\":\"no\"", "\"stop\"", "^(f'no').end 10+0+0/5(0)"},
        {"\"content\":\"\",\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\","
         "\"arguments\":\"{\\\"x\\\":1.0}\"}},{\"index\":0,\"id\":\"b\",\"function\":{\"name\":"
         "\"g\",\"arguments\":{\"y\":2}}}]",
         "\"stop\"", "^(c a f '{\\\"x\\\":1.0}')(c b g '{\\\"y\\\":2}').calls 10+0+0/5(0)"},
        {"\"tool_calls\":[{\"id\":\"\",\"function\":{\"name\":\"f\",\"arguments\":null}},"
         "{\"id\":\"\",\"function\":{\"name\":\"f\",\"arguments\":\"null\"}}]",
         "\"tool_calls\"", "^(c call_id1_0 f )(c call_id1_1 f ).calls 10+0+0/5(0)"},
        {"\"function_call\":{\"name\":\"f\",\"arguments\":\"{}\"}", "\"function_call\"",
         "^(c call_id1_0 f '{}').calls 10+0+0/5(0)"},
        {"\"content\":{\"a\":1}", "null", "^(t'{\\\"a\\\":1}').end 10+0+0/5(0)"},
        {"\"content\":\"\"", "null", "^ -provider_error"},
        {"\"content\":\"a\"", "\"abort\"", "^(t'a').length 10+0+0/5(0)",
         "finish_reason of a failure"},
        {"\"content\":null", "\"abort\"", "^!35: the provider ended its answer with \"abort\""},
    };
    for (size_t i = 0; i < COUNT(answers); i++) {
        char body[1024];
        snprintf(body, sizeof(body),
                 "\n  {\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",%s},"
                 "\"finish_reason\":%s}]," PLAIN "}\n",
                 answers[i].message, answers[i].finish);
        expect_whole(body, answers[i].text, answers[i].losses);
    }
}

Test(chat_answer, whole_answers_that_are_none_fail)
{
    static const struct {
        const char *body, *text;
    } answers[] = {
        {"{\"error\":{\"message\":\"no\",\"code\":502}}", "^!35: no"},
        {"{\"choices\":[{\"message\":{\"content\":\"a\"},\"error\":{\"message\":\"no\",\"code\":"
         "429}}]}",
         "^!39: no"},
        {"{\"error\":{\"message\":\"no\"},\"choices\":[{\"message\":{\"content\":\"a\"}}]}",
         "^!35: no"},
        {"{\"message\":\"no\",\"code\":\"x\"}", "^!35: no"},
        {"[{\"error\":{\"message\":\"no\",\"code\":503}}]", "^!39: no"},
        {"{\"choices\":[]}", " -provider_error"},
        {"{\"choices\":{\"a\":1}}", " -provider_error"},
        {"{}", " -provider_error"},
        {"[]", " -provider_error"},
        {"7", " -provider_error"},
        {"", " -provider_error"},
        {"<html>", " -provider_error"},
    };
    for (size_t i = 0; i < COUNT(answers); i++) {
        struct reading reading;
        reading_init(&reading);
        int r = openai_chat_decode_answer(span_of(answers[i].body), &reading.writer);
        const char *text = reading_finish(&reading, r);
        cr_expect(!strncmp(text, answers[i].text, strlen(answers[i].text)), "%s: %s",
                  answers[i].body, text);
        reading_release(&reading);
    }
}

Test(chat_answer, what_has_no_place_is_a_loss)
{
    expect_whole("{\"choices\":[{\"index\":3,\"message\":{\"content\":\"a\"},\"finish_reason\":"
                 "\"stop\"},{\"index\":1,\"message\":{\"content\":\"b\"}}]}",
                 "^(t'a').end", "choices");
    expect_whole("{\"choices\":[{\"message\":{\"content\":\"a\"},\"finish_reason\":\"length\","
                 "\"logprobs\":{\"content\":[{}]}}]}",
                 "^(t'a').length", "logprobs");
}
