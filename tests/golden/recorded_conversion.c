/*
 * Conversion against recorded answers: each is decoded into neutral events (streams whole, byte by
 * byte, and cut off), compared with what it is known to say, written in every dialect, stream and
 * not, read again and compared again. Every stream of events is held against their grammar.
 */
#include "base/own.h"
#include "golden/recording.h"
#include "net/sse.h"
#include "support/lifecycle.h"

#include <ctype.h>
#include <stdlib.h>

#define MEMORY (64u << 20)

static const struct ir_reply reply = {
    .id = {"0123abcd", 8}, .model = {"a model", 7}, .created_s = 1700000000, .wants_usage = true};

/* ---- one way of reading an answer ---- */

struct reading {
    const struct recording *recording;
    const struct dialect *dialect;
    const char *way; /* for messages */
    void *decoder;
    struct ir_writer writer;
    struct lifecycle life;
    struct ir_answer answer;
    struct tap tap; /* of the streams that are cut */
    int error_kind;
    int result; /* of the decoder, then of ir_write_end() */
};

static int on_event(void *ctx, const struct ir_event *event)
{
    struct reading *reading = ctx;
    if (event->kind == IR_EVENT_ERROR)
        reading->error_kind = event->error->kind;
    return ir_answer_take(&reading->answer, event);
}

static void reading_init(struct reading *reading, const struct recording *recording,
                         const struct dialect *dialect, const char *way)
{
    *reading = (struct reading){.recording = recording, .dialect = dialect, .way = way};
    reading->decoder = calloc(1, dialect->decoder_size ? dialect->decoder_size : 1);
    if (!reading->decoder)
        abort();
    ir_answer_init(&reading->answer, MEMORY);
    lifecycle_init(&reading->life, on_event, reading);
    ir_writer_init(&reading->writer, reply.id, MEMORY, lifecycle_take, &reading->life);
}

static void reading_release(struct reading *reading)
{
    ir_writer_release(&reading->writer);
    ir_answer_release(&reading->answer);
    free(reading->decoder);
}

static int on_sse(void *ctx, const struct sse_event *event)
{
    struct reading *reading = ctx;
    int r = 0;
    if (event->data.at)
        r = reading->dialect->decode_event(reading->decoder, &reading->writer, event->name,
                                           event->data);
    arena_reset(&reading->writer.scratch);
    return r;
}

static void reading_end(struct reading *reading)
{
    if (reading->result == 0)
        reading->result = ir_write_end(&reading->writer);
    const char *problem =
        reading->result == 0 ? lifecycle_end(&reading->life) : lifecycle_problem(&reading->life);
    recording_expect(reading->recording, !problem, "%s: %s", reading->way, problem);
}

static void read_stream(struct reading *reading, struct span body, size_t step)
{
    struct sse sse;
    int r = 0;
    sse_init(&sse, 8 << 20);
    for (size_t at = 0; r == 0 && at < body.len; at += step) {
        size_t len = body.len - at < step ? body.len - at : step;
        r = sse_feed(&sse, (struct span){body.at + at, len}, on_sse, reading);
    }
    reading->result = r == 0 ? sse_finish(&sse, on_sse, reading) : r;
    sse_release(&sse);
    reading_end(reading);
}

static void read_whole(struct reading *reading, struct span body)
{
    reading->result = reading->dialect->decode_answer(body, &reading->writer);
    reading_end(reading);
}

/* ---- what an answer says ---- */

static void join(const struct ir_answer *answer, enum ir_block_kind kind, struct bytes *out)
{
    struct arena arena;
    struct span plain;
    for (const struct ir_block *block = answer->blocks; block; block = block->next) {
        arena_init(&arena, MEMORY);
        if (block->kind == kind && ir_text_plain(block->text, &arena, &plain) == 0)
            (void)bytes_add_span(out, plain); /* too little is found by the comparison */
        arena_release(&arena);
    }
}

/* Without white space. */
static void squash(struct bytes *text)
{
    size_t len = 0;
    for (size_t i = 0; i < text->len; i++)
        if (!isspace((unsigned char)text->data[i]))
            text->data[len++] = text->data[i];
    text->len = len;
}

/* `is_loose`: white space does not count. */
static void expect_text(struct reading *reading, const char *what, struct bytes *is,
                        const char *text, const char *more, bool is_loose)
{
    CLEANUP(bytes_release) struct bytes wanted = {.max = MEMORY};
    if (bytes_addf(&wanted, "%s%s", text, more) < 0)
        abort();
    if (is_loose) {
        squash(is);
        squash(&wanted);
    }
    recording_expect(reading->recording, span_equal(bytes_span(is), bytes_span(&wanted)),
                     "%s: %s is '" SPAN_FMT "'", reading->way, what, SPAN_ARG(bytes_span(is)));
}

/* Refusals are text where a dialect has no other place for them. */
static void expect_texts(struct reading *reading)
{
    const cJSON *wanted = reading->recording->wanted;
    CLEANUP(bytes_release) struct bytes text = {.max = MEMORY};
    CLEANUP(bytes_release) struct bytes reasoning = {.max = MEMORY};
    CLEANUP(bytes_release) struct bytes refusal = {.max = MEMORY};
    join(&reading->answer, IR_TEXT, &text);
    join(&reading->answer, IR_REASONING, &reasoning);
    join(&reading->answer, IR_REFUSAL, &refusal);
    const char *words = recording_text(wanted, "refusal");
    bool is_in_text = *words && refusal.len == 0;
    const char *wanted_text = recording_text(wanted, "text");
    bool is_blank = wanted_text[strspn(wanted_text, " \t\r\n")] == '\0';
    expect_text(reading, "text", &text, wanted_text, is_in_text ? words : "", is_blank);
    expect_text(reading, "refusal", &refusal, is_in_text ? "" : words, "", false);
    expect_text(reading, "reasoning", &reasoning, recording_text(wanted, "reasoning"), "", true);
}

static bool is_same_arguments(const struct ir_block *call, const cJSON *wanted)
{
    const cJSON *arguments = recording_member(wanted, "args");
    struct span text =
        call->arguments.type == JSON_OBJECT ? json_span(call->arguments) : SPAN("{}");
    if (cJSON_IsTrue(recording_member(wanted, "args_invalid")))
        return ir_text_is_filled(call->torn);
    cJSON *is = cJSON_ParseWithLength(text.at, text.len);
    bool is_same = !ir_text_is_filled(call->torn) && cJSON_Compare(is, arguments, true);
    cJSON_Delete(is);
    return is_same;
}

static bool is_torn(const cJSON *call)
{
    return cJSON_IsTrue(recording_member(call, "args_invalid")) ||
           !*recording_text(call, "args_raw");
}

/* A call that a limit tore may be left out by a dialect that has no place for it. */
static void expect_calls(struct reading *reading)
{
    const cJSON *wanted = recording_member(reading->recording->wanted, "tool_calls");
    const cJSON *next = wanted ? wanted->child : NULL;
    unsigned count = 0;
    for (const struct ir_block *block = reading->answer.blocks; block; block = block->next) {
        if (block->kind != IR_CALL)
            continue;
        recording_expect(reading->recording, next != NULL, "%s: one more call", reading->way);
        if (!next)
            return;
        recording_expect(reading->recording,
                         span_equal(block->name.escaped, span_of(recording_text(next, "name"))),
                         "%s: call %u is of " SPAN_FMT, reading->way, count,
                         SPAN_ARG(block->name.escaped));
        recording_expect(reading->recording, is_same_arguments(block, next),
                         "%s: arguments of call %u: " SPAN_FMT, reading->way, count,
                         SPAN_ARG(json_span(block->arguments)));
        next = next->next;
        count++;
    }
    recording_expect(reading->recording, !next || is_torn(next), "%s: only %u calls", reading->way,
                     count);
}

static void expect_stop(struct reading *reading)
{
    static const char *const words[] = {
        [IR_STOP_END] = "stop",        [IR_STOP_LENGTH] = "length", [IR_STOP_CALLS] = "tool",
        [IR_STOP_REFUSAL] = "refusal", [IR_STOP_SEQUENCE] = "stop", [IR_STOP_PAUSE] = "pause",
        [IR_STOP_CONTEXT] = "length",
    };
    const char *is = words[reading->answer.stop];
    const char *wanted = recording_text(reading->recording->wanted, "finish");
    bool is_soft = !strcmp(wanted, "none") || !strcmp(wanted, "pause"); /* some have no word */
    recording_expect(reading->recording, is_soft || !strcmp(is, wanted), "%s: finish is %s, not %s",
                     reading->way, is, wanted);
}

static void expect_usage(struct reading *reading)
{
    const cJSON *wanted = recording_member(reading->recording->wanted, "usage");
    const struct usage *usage = &reading->answer.usage;
    if (!cJSON_IsObject(wanted))
        return;
    recording_expect(reading->recording, usage_total_input(usage) == recording_count(wanted, "in"),
                     "%s: in %lld", reading->way, (long long)usage_total_input(usage));
    recording_expect(reading->recording, usage->output == recording_count(wanted, "out"),
                     "%s: out %lld", reading->way, (long long)usage->output);
    recording_expect(reading->recording, usage->cache_read == recording_count(wanted, "cached"),
                     "%s: cached %lld", reading->way, (long long)usage->cache_read);
}

static void expect_answer(struct reading *reading)
{
    const cJSON *wanted = reading->recording->wanted;
    bool has_error = cJSON_IsObject(recording_member(wanted, "error"));
    recording_expect(reading->recording, (reading->error_kind != 0) == has_error,
                     "%s: error kind %d", reading->way, reading->error_kind);
    if (has_error)
        return;
    bool may_fail = !strcmp(recording_text(wanted, "finish"), "none"); /* an empty stream */
    recording_expect(reading->recording, reading->result == 0 || may_fail, "%s: %d", reading->way,
                     reading->result);
    if (reading->result < 0)
        return;
    expect_texts(reading);
    expect_calls(reading);
    expect_stop(reading);
    expect_usage(reading);
}

/* ---- cut off ---- */

/* What the tap of the dialect reads of the same bytes says whether the model's turn was over. */
static int tap_sse(void *ctx, const struct sse_event *event)
{
    static const struct request_view view = {.stream = true, .wants_usage = true};
    struct reading *reading = ctx;
    (void)reading->dialect->tap_event(&reading->tap, &view, event->name, event->data);
    return event->data.at ? on_sse(ctx, event) : 0;
}

/* A stream that was cut ends well only when its finish had come, and then has one. */
static void try_cut(const struct recording *recording, size_t len)
{
    struct reading reading;
    struct sse sse;
    reading_init(&reading, recording, recording->dialect, "cut");
    sse_init(&sse, 8 << 20);
    reading.result = sse_feed(&sse, (struct span){recording->body.at, len}, tap_sse, &reading);
    reading_end(&reading);
    bool is_over = reading.tap.has_finish || (reading.tap.has_end && reading.tap.has_content);
    recording_expect(recording, reading.error_kind || (reading.result == 0) == is_over,
                     "cut at %zu of %zu: %d", len, recording->body.len, reading.result);
    recording_expect(recording, reading.answer.has_finish == (is_over && !reading.error_kind),
                     "cut at %zu of %zu: finish", len, recording->body.len);
    sse_release(&sse);
    reading_release(&reading);
}

static void try_cuts(const struct recording *recording)
{
    for (size_t part = 0; part <= 32; part++)
        try_cut(recording, recording->body.len * part / 32);
}

/* ---- written in every dialect ---- */

struct writing {
    const struct dialect *dialect;
    void *encoder;
    struct bytes out;
};

static int write_event(void *ctx, const struct ir_event *event)
{
    struct writing *writing = ctx;
    if (event->kind == IR_EVENT_ERROR)
        return writing->dialect->write_stream_error(event->error, &writing->out);
    return writing->dialect->encode_event(writing->encoder, &reply, event, &writing->out);
}

/* The recording as a stream of another dialect. */
static int convert(const struct recording *recording, struct writing *writing)
{
    struct reading reading;
    reading_init(&reading, recording, recording->dialect, "stream");
    lifecycle_init(&reading.life, write_event, writing);
    if (recording->is_stream)
        read_stream(&reading, recording->body, recording->body.len);
    else
        read_whole(&reading, recording->body);
    int r = reading.result;
    reading_release(&reading);
    return r;
}

static void try_stream_in(const struct recording *recording, const struct dialect *dialect)
{
    struct writing writing = {.dialect = dialect, .out = {.max = MEMORY}};
    struct reading again;
    writing.encoder = calloc(1, dialect->encoder_size ? dialect->encoder_size : 1);
    if (!writing.encoder)
        abort();
    int r = convert(recording, &writing);
    if (r == 0) {
        reading_init(&again, recording, dialect, dialect->name);
        read_stream(&again, bytes_span(&writing.out), 7);
        expect_answer(&again);
        reading_release(&again);
    }
    bytes_release(&writing.out);
    free(writing.encoder);
}

static void try_whole_in(const struct recording *recording, const struct dialect *dialect,
                         const struct ir_answer *answer)
{
    struct bytes out = {.max = MEMORY};
    struct reading again;
    int r = dialect->encode_answer(answer, &reply, NULL, &out);
    recording_expect(recording, r == 0, "whole in %s: %d", dialect->name, r);
    if (r == 0) {
        reading_init(&again, recording, dialect, dialect->name);
        read_whole(&again, bytes_span(&out));
        expect_answer(&again);
        reading_release(&again);
    }
    bytes_release(&out);
}

static bool is_built(const struct dialect *dialect)
{
    return dialect->decode_event && dialect->decode_answer && dialect->encode_event &&
           dialect->encode_answer;
}

static void try_dialects(const struct recording *recording, const struct ir_answer *answer)
{
    for (const struct dialect *const *dialect = dialects; *dialect; dialect++) {
        if (!is_built(*dialect))
            continue;
        try_stream_in(recording, *dialect);
        if (answer->has_finish)
            try_whole_in(recording, *dialect, answer);
    }
}

/* ---- each recording ---- */

static void try_recording(const struct recording *recording)
{
    struct reading reading;
    if (recording->status >= 400 || !is_built(recording->dialect))
        return;
    reading_init(&reading, recording, recording->dialect, "whole");
    if (recording->is_stream)
        read_stream(&reading, recording->body, recording->body.len);
    else
        read_whole(&reading, recording->body);
    expect_answer(&reading);
    if (!reading.error_kind)
        try_dialects(recording, &reading.answer);
    reading_release(&reading);
    if (!recording->is_stream)
        return;
    reading_init(&reading, recording, recording->dialect, "byte by byte");
    read_stream(&reading, recording->body, 1);
    expect_answer(&reading);
    reading_release(&reading);
    try_cuts(recording);
}

int main(void)
{
    return recordings_try(try_recording);
}
