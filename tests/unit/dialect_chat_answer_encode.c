/* Neutral answers for Chat Completions clients, what is read of them again, and the tap of events. */
#include "dialect/tap.h"
#include "unit/dialect_chat_reading.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct ir_reply reply = {
    .id = {"id1", 3}, .model = {"glm \"4\"", 7}, .created_s = 1700000000, .wants_usage = true};

/* ---- towards the client ---- */

static int encode(struct openai_chat_encoder *encoder, const struct ir_event *event,
                  struct bytes *out)
{
    return openai_chat_encode_event(encoder, &reply, event, out);
}

#define TEXT(literal) IR_TEXT_LITERAL(literal)
#define HEAD                                                                                       \
    "{\"id\":\"chatcmpl-id1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"        \
    "\"model\":\"glm \\\"4\\\"\",\"choices\":["
#define CHUNK(delta)                                                                               \
    "data: " HEAD "{\"index\":0,\"delta\":{" delta "},\"finish_reason\":null}]}\n\n"
#define LAST(word) "data: " HEAD "{\"index\":0,\"delta\":{},\"finish_reason\":\"" word "\"}]}\n\n"

static const struct usage some_usage = {.source = USAGE_PROVIDER,
                                        .input = 13,
                                        .cache_read = 22000,
                                        .cache_write_5m = 30,
                                        .cache_write_1h = 1,
                                        .output = 4,
                                        .reasoning = 2};

#define USAGE_TEXT                                                                                 \
    "\"usage\":{\"prompt_tokens\":22044,\"completion_tokens\":4,\"total_tokens\":22048,"           \
    "\"prompt_tokens_details\":{\"cached_tokens\":22000,\"cache_write_tokens\":31},"               \
    "\"completion_tokens_details\":{\"reasoning_tokens\":2}}"

Test(chat_encoder, each_event_is_one_chunk)
{
    static const struct {
        struct ir_event event;
        const char *text;
    } steps[] = {
        {{.kind = IR_EVENT_START}, CHUNK("\"role\":\"assistant\",\"content\":\"\"")},
        {{.kind = IR_EVENT_BLOCK_START, .block_kind = IR_REASONING}, ""},
        {{.kind = IR_EVENT_DELTA, .block_kind = IR_REASONING, .text = TEXT("r\\n")},
         CHUNK("\"reasoning_content\":\"r\\n\"")},
        {{.kind = IR_EVENT_SIGNATURE, .block_kind = IR_REASONING, .text = TEXT("S")}, ""},
        {{.kind = IR_EVENT_BLOCK_STOP, .block_kind = IR_REASONING}, ""},
        {{.kind = IR_EVENT_BLOCK_START, .block_kind = IR_TEXT}, ""},
        {{.kind = IR_EVENT_DELTA, .block_kind = IR_TEXT, .text = TEXT("t\\u0000")},
         CHUNK("\"content\":\"t\\u0000\"")},
        {{.kind = IR_EVENT_BLOCK_STOP, .block_kind = IR_TEXT}, ""},
        {{.kind = IR_EVENT_BLOCK_START, .block_kind = IR_REFUSAL}, ""},
        {{.kind = IR_EVENT_DELTA, .block_kind = IR_REFUSAL, .text = TEXT("no")},
         CHUNK("\"refusal\":\"no\"")},
        {{.kind = IR_EVENT_BLOCK_STOP, .block_kind = IR_REFUSAL}, ""},
        {{.kind = IR_EVENT_BLOCK_START, .block_kind = IR_CALL, .id = TEXT("a"), .name = TEXT("f")},
         CHUNK("\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"type\":\"function\",\"function\":{"
               "\"name\":\"f\",\"arguments\":\"\"}}]")},
        {{.kind = IR_EVENT_BLOCK_STOP, .block_kind = IR_CALL}, ""},
        {{.kind = IR_EVENT_BLOCK_START, .block_kind = IR_CALL, .id = TEXT("b"), .name = TEXT("g")},
         CHUNK("\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{}\"}}]")
             CHUNK("\"tool_calls\":[{\"index\":1,\"id\":\"b\",\"type\":\"function\",\"function\":{"
                   "\"name\":\"g\",\"arguments\":\"\"}}]")},
        {{.kind = IR_EVENT_DELTA, .block_kind = IR_CALL, .text = TEXT("{\\\"x\\\":")},
         CHUNK("\"tool_calls\":[{\"index\":1,\"function\":{\"arguments\":\"{\\\"x\\\":\"}}]")},
        {{.kind = IR_EVENT_BLOCK_STOP, .block_kind = IR_CALL}, ""},
        {{.kind = IR_EVENT_FINISH, .stop = IR_STOP_CALLS, .usage = &some_usage},
         LAST("tool_calls") "data: " HEAD "]," USAGE_TEXT "}\n\ndata: [DONE]\n\n"},
    };
    struct openai_chat_encoder encoder = {0};
    struct bytes out = {.max = 1 << 16};
    for (size_t i = 0; i < COUNT(steps); i++) {
        bytes_clear(&out);
        cr_assert_eq(encode(&encoder, &steps[i].event, &out), 0);
        cr_expect(span_equal(bytes_span(&out), span_of(steps[i].text)), "step %zu: " SPAN_FMT, i,
                  SPAN_ARG(bytes_span(&out)));
    }
    bytes_release(&out);
}

/* The end of a stream whose last block is a call without arguments. */
static void expect_end(enum ir_stop stop, bool wants_usage, const struct usage *usage,
                       const char *wanted)
{
    struct openai_chat_encoder encoder = {.calls = 1, .owes_arguments = true};
    struct ir_reply other = reply;
    struct bytes out = {.max = 1 << 16};
    other.wants_usage = wants_usage;
    struct ir_event event = {.kind = IR_EVENT_FINISH, .stop = stop, .usage = usage};
    cr_expect_eq(openai_chat_encode_event(&encoder, &other, &event, &out), 0);
    cr_expect_str_eq(bytes_span(&out).at, wanted);
    bytes_release(&out);
}

Test(chat_encoder, a_call_without_arguments_has_empty_ones_unless_it_was_cut)
{
    static const struct usage unknown = {0};
    expect_end(IR_STOP_CALLS, false, &some_usage,
               CHUNK("\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{}\"}}]")
                   LAST("tool_calls") "data: [DONE]\n\n");
    expect_end(IR_STOP_LENGTH, true, &unknown, LAST("length") "data: [DONE]\n\n");
    expect_end(IR_STOP_CONTEXT, true, NULL, LAST("length") "data: [DONE]\n\n");
}

static const char *const rounds[] = {
    "^(r'a''b')(t'x\\u00e9''y')(f'no').end 10+0+0/5(0)",
    "^(t'x')(c a f '{}')(c b g '{\\\"x\\\":''1}')(t'y').calls 3+4+5/6(2)",
    "^(r'a')(c a f '{\\\"x\\\":1}')(r'b')(t'c').calls",
    "^(t'x').length",
    "^.refusal",
};

/* Encodes what it is told and decodes that at once. */
struct loop {
    struct openai_chat_encoder encoder;
    struct reading *reading;
};

static int go_round(void *ctx, const struct ir_event *event)
{
    struct loop *loop = ctx;
    struct bytes out = {.max = 1 << 16};
    int r = encode(&loop->encoder, event, &out);
    struct span rest = bytes_span(&out);
    while (r == 0 && rest.len) {
        struct span data = span_cut(rest, '\n', &rest);
        rest.at++, rest.len--; /* the blank line */
        r = reading_event(loop->reading, NULL, (struct span){data.at + 6, data.len - 6});
    }
    bytes_release(&out);
    return r;
}

static enum ir_block_kind kind_of(char letter)
{
    return letter == 't'   ? IR_TEXT
           : letter == 'r' ? IR_REASONING
           : letter == 'f' ? IR_REFUSAL
                           : IR_CALL;
}

/* Writes the blocks of a dump. Ids and names are one letter. */
static int write_blocks(struct ir_writer *writer, const char *text)
{
    const struct ir_text none = {0};
    enum ir_block_kind kind = IR_TEXT;
    unsigned slot = 0;
    int r = ir_write_start(writer);
    for (const char *at = text; r == 0 && *at != '.'; at++) {
        if (*at == '(') {
            kind = kind_of(at[1]);
            if (kind == IR_CALL)
                r = ir_write_call(writer, slot, (struct ir_text){{at + 3, 1}},
                                  (struct ir_text){{at + 5, 1}}, none);
        } else if (*at == '\'') {
            const char *end = strchr(at + 1, '\'');
            struct ir_text piece = {{at + 1, (size_t)(end - at - 1)}};
            r = kind == IR_CALL ? ir_write_call(writer, slot, none, none, piece)
                                : ir_write_text(writer, kind, piece);
            at = end;
        } else if (*at == ')') {
            r = kind == IR_CALL ? ir_write_call_end(writer, slot++) : ir_write_stop(writer);
        }
    }
    return r;
}

static int write_dump(struct ir_writer *writer, const char *text)
{
    long long in, read, written, out, reasoning;
    int r = write_blocks(writer, text);
    const char *end = strstr(text, ").");
    enum ir_stop stop = strstr(text, ".length")    ? IR_STOP_LENGTH
                        : strstr(text, ".refusal") ? IR_STOP_REFUSAL
                                                   : IR_STOP_END;
    if (end &&
        sscanf(end, ").%*s %lld+%lld+%lld/%lld(%lld)", &in, &read, &written, &out, &reasoning) == 5)
        ir_write_usage(writer, &(struct usage){.source = USAGE_PROVIDER,
                                               .input = in,
                                               .cache_read = read,
                                               .cache_write_5m = written,
                                               .output = out,
                                               .reasoning = reasoning});
    if (r == 0)
        r = ir_write_finish(writer, stop, (struct ir_text){0});
    return r == 0 ? ir_write_end(writer) : r;
}

Test(chat_encoder, what_it_writes_is_read_as_the_same_events)
{
    for (size_t i = 0; i < COUNT(rounds); i++) {
        struct reading reading;
        reading_init(&reading);
        struct loop loop = {.reading = &reading};
        struct ir_writer writer;
        ir_writer_init(&writer, SPAN("id1"), 1 << 20, go_round, &loop);
        cr_expect_eq(write_dump(&writer, rounds[i]), 0);
        cr_expect_str_eq(reading_finish(&reading, 0), rounds[i]);
        ir_writer_release(&writer);
        reading_release(&reading);
    }
}

static void encode_whole(const char *dump_text, struct ir_losses *losses, struct bytes *out)
{
    struct ir_answer answer;
    struct ir_writer writer;
    ir_answer_init(&answer, 1 << 20);
    ir_writer_init(&writer, SPAN("id1"), 1 << 20, ir_answer_take, &answer);
    cr_assert_eq(write_dump(&writer, dump_text), 0);
    cr_assert_eq(openai_chat_encode_answer(&answer, &reply, losses, out), 0);
    ir_writer_release(&writer);
    ir_answer_release(&answer);
}

#define WHOLE(message, finish)                                                                     \
    "{\"id\":\"chatcmpl-id1\",\"object\":\"chat.completion\",\"created\":1700000000,"              \
    "\"model\":\"glm "                                                                             \
    "\\\"4\\\"\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\"," message           \
    "},\"finish_reason\":\"" finish "\"}]"

Test(chat_encoder, whole_answers_have_one_message)
{
    static const struct {
        const char *events, *text;
    } answers[] = {
        {"^(r'a')(t'x\\n')(r'b')(t'y').end",
         WHOLE("\"content\":\"x\\ny\",\"reasoning_content\":\"ab\",\"refusal\":null", "stop") "}"},
        {"^(f'no').end", WHOLE("\"content\":null,\"refusal\":\"no\"", "stop") "}"},
        {"^(c a f '{\\\"x\\\":\\\"\\\\u00e9\\\"}')(c b g ).calls 3+4+5/6(2)",
         WHOLE("\"content\":null,\"refusal\":null,\"tool_calls\":[{\"id\":\"a\",\"type\":"
               "\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"x\\\":\\\"\\\\u00e9"
               "\\\"}\"}},{\"id\":\"b\",\"type\":\"function\",\"function\":{\"name\":\"g\","
               "\"arguments\":\"{}\"}}]",
               "tool_calls") ",\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":6,"
                             "\"total_tokens\":18,\"prompt_tokens_details\":{\"cached_tokens\":4,"
                             "\"cache_write_tokens\":5},\"completion_tokens_details\":{"
                             "\"reasoning_tokens\":2}}}"},
        {"^(c a f '{\\\"x')(c b g ).length",
         WHOLE("\"content\":null,\"refusal\":null,\"tool_calls\":[{\"id\":\"a\",\"type\":"
               "\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"x\"}},{\"id\":\"b\","
               "\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":\"\"}}]",
               "length") "}"},
    };
    for (size_t i = 0; i < COUNT(answers); i++) {
        struct bytes out = {.max = 1 << 16};
        struct ir_losses losses = {0};
        encode_whole(answers[i].events, &losses, &out);
        cr_expect_str_eq(bytes_span(&out).at, answers[i].text);
        cr_expect_eq(losses.count, 0);
        bytes_release(&out);
    }
}

Test(chat_encoder, whole_answers_are_read_as_the_same_events)
{
    static const char *const answers[] = {
        "^(r'a')(t'x\\u00e9')(f'no').end 10+0+0/5(0)",
        "^(t'x')(c a f '{}')(c b g '{\\\"x\\\":1.0}').calls 3+4+5/6(2)",
    };
    for (size_t i = 0; i < COUNT(answers); i++) {
        struct bytes out = {.max = 1 << 16};
        encode_whole(answers[i], NULL, &out);
        expect_whole(bytes_span(&out).at, answers[i], NULL);
        bytes_release(&out);
    }
}

Test(chat_encoder, signatures_of_a_whole_answer_are_losses)
{
    struct ir_block redacted = {
        .kind = IR_REASONING, .is_redacted = true, .signature = TEXT("data")};
    struct ir_block signed_block = {
        .next = &redacted, .kind = IR_REASONING, .text = TEXT("r"), .signature = TEXT("S")};
    struct ir_answer answer = {.blocks = &signed_block};
    struct ir_losses losses = {0};
    struct bytes out = {.max = 1 << 16}, names = {.max = 256};
    cr_expect_eq(openai_chat_encode_answer(&answer, &reply, &losses, &out), 0);
    cr_expect_str_eq(
        bytes_span(&out).at,
        WHOLE("\"content\":null,\"reasoning_content\":\"r\",\"refusal\":null", "stop") "}");
    cr_expect_eq(ir_losses_write(&losses, &names), 0);
    cr_expect_str_eq(bytes_span(&names).at, "reasoning signature, redacted reasoning");
    bytes_release(&out);
    bytes_release(&names);
}

Test(chat_encoder, a_full_buffer_is_told)
{
    for (size_t max = 1; max < 160; max += 7) {
        struct openai_chat_encoder encoder = {0};
        struct bytes out = {.max = max};
        struct ir_event event = {.kind = IR_EVENT_FINISH, .usage = &some_usage};
        cr_expect_eq(encode(&encoder, &event, &out), -ERR_TOO_LARGE);
        bytes_release(&out);
    }
}

/* ---- the tap of neutral events ---- */

Test(ir_tap, events_tell_the_exchange_the_same_facts)
{
    static const struct api_error error = {.kind = ERR_PROVIDER_OVERLOADED, .message = {"busy", 4}};
    struct tap tap = {0};
    tap_ir_event(&tap, &(struct ir_event){.kind = IR_EVENT_START, .usage = &(struct usage){0}});
    tap_ir_event(&tap,
                 &(struct ir_event){.kind = IR_EVENT_BLOCK_START, .block_kind = IR_REASONING});
    tap_ir_event(&tap, &(struct ir_event){.kind = IR_EVENT_SIGNATURE, .text = TEXT("S")});
    tap_ir_event(&tap, &(struct ir_event){.kind = IR_EVENT_BLOCK_STOP});
    cr_expect(!tap.has_content && !tap.has_finish && tap.usage.source == USAGE_NONE);
    struct tap copy = tap;
    tap_ir_event(&copy, &(struct ir_event){.kind = IR_EVENT_BLOCK_START, .block_kind = IR_CALL});
    cr_expect(copy.has_content);
    copy = tap;
    tap_ir_event(&copy, &(struct ir_event){.kind = IR_EVENT_SIGNATURE, .is_redacted = true});
    cr_expect(copy.has_content);
    tap_ir_event(&tap, &(struct ir_event){.kind = IR_EVENT_DELTA, .text = TEXT("a")});
    cr_expect(tap.has_content && !tap.has_end);
    tap_ir_event(&tap, &(struct ir_event){
                           .kind = IR_EVENT_FINISH, .stop = IR_STOP_CALLS, .usage = &some_usage});
    cr_expect(tap.has_finish && tap.has_end && tap.usage.output == 4 && !tap.error_kind);
    cr_expect_str_eq(tap.stop, "calls");
    tap_ir_event(&tap, &(struct ir_event){.kind = IR_EVENT_ERROR, .error = &error});
    cr_expect_eq(tap.error_kind, ERR_PROVIDER_OVERLOADED);
    cr_expect_str_eq(tap.error_text, "busy");
}
