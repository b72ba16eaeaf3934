/*
 * Answers: the neutral events read of each (neutral.txt), and what a client of every dialect is sent
 * of them, as a stream and as a whole (to-<dialect>.txt).
 *
 * A stream is fed whole, byte by byte, cut at random, and with other line ends; the events must be
 * the same each time (their deltas joined) and keep their grammar. What was written in a dialect is
 * read again, stream and whole, and must say the same (gist.h).
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/own.h"
#include "golden/gist.h"
#include "net/sse.h"
#include "support/ir_dump.h"
#include "support/lifecycle.h"

#define CASES_LEAST 25
#define RANDOM_WAYS 24
#define EVENT_MAX   ((size_t)8 << 20)

static const struct ir_reply reply = {.id = {"0123456789abcdef", 16},
                                      .model = {"a-model", 7},
                                      .created_s = 1700000000,
                                      .wants_usage = true};

/* ---- one way of reading an answer ---- */

struct reading {
    const struct golden_case *golden;
    const struct dialect *dialect;
    void *decoder;
    struct ir_writer writer;
    struct ir_losses losses;
    struct lifecycle life;
    struct ir_event_dump dump;
    struct ir_answer answer;
    int error_kind; /* of an ERROR event; 0: none came */
    int result;     /* of the decoder, then of ir_write_end() */
    /* What the events are written to as they come; NULL: nothing. */
    const struct dialect *to;
    void *encoder;
    struct bytes out;
};

static int write_on(struct reading *reading, const struct ir_event *event)
{
    if (!reading->to)
        return 0;
    if (event->kind == IR_EVENT_ERROR)
        return reading->to->write_stream_error(event->error, &reading->out);
    return reading->to->encode_event(reading->encoder, &reply, event, &reading->out);
}

static int on_event(void *ctx, const struct ir_event *event)
{
    struct reading *reading = ctx;
    if (event->kind == IR_EVENT_ERROR)
        reading->error_kind = event->error->kind;
    int r = ir_event_dump_take(&reading->dump, event);
    if (r == 0)
        r = ir_answer_take(&reading->answer, event);
    return r == 0 ? write_on(reading, event) : r;
}

/* `to`: the dialect of a client, or NULL. */
static void reading_init(struct reading *reading, const struct golden_case *golden,
                         const struct dialect *dialect, const struct dialect *to)
{
    *reading = (struct reading){
        .golden = golden, .dialect = dialect, .to = to, .out = {.max = GOLDEN_MEMORY}};
    reading->decoder = golden_state(dialect->decoder_size);
    reading->encoder = golden_state(to ? to->encoder_size : 0);
    ir_event_dump_init(&reading->dump);
    ir_answer_init(&reading->answer, GOLDEN_MEMORY);
    lifecycle_init(&reading->life, on_event, reading);
    ir_writer_init(&reading->writer, reply.id, GOLDEN_MEMORY, lifecycle_take, &reading->life);
    reading->writer.losses = &reading->losses;
}

static void reading_release(struct reading *reading)
{
    ir_writer_release(&reading->writer);
    ir_answer_release(&reading->answer);
    ir_event_dump_release(&reading->dump);
    bytes_release(&reading->out);
    free(reading->decoder);
    free(reading->encoder);
}

static void reading_end(struct reading *reading, const char *way)
{
    if (reading->result == 0)
        reading->result = ir_write_end(&reading->writer);
    ir_event_dump_end(&reading->dump, reading->result);
    const char *problem =
        reading->result == 0 ? lifecycle_end(&reading->life) : lifecycle_problem(&reading->life);
    golden_expect(reading->golden, !problem, "%s: %s", way, problem);
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

static void read_whole(struct reading *reading, struct span body)
{
    reading->result = reading->dialect->decode_answer(body, &reading->writer);
    reading_end(reading, "whole answer");
}

/* ---- cutting streams ---- */

/* How long the next piece is: a way of cutting. */
struct cutting {
    const char *name; /* for messages */
    size_t step;      /* always this long; 0: at random */
    uint32_t random;
};

/* Mostly short pieces, some long ones; the same for the same seed on every machine. */
static size_t next_piece(struct cutting *cutting)
{
    if (cutting->step)
        return cutting->step;
    cutting->random = cutting->random * 1664525 + 1013904223;
    uint32_t bits = cutting->random >> 8;
    return 1 + (bits & 3 ? bits >> 4 & 31 : bits >> 4 & 511);
}

static void read_stream(struct reading *reading, struct span body, struct cutting cutting)
{
    struct sse sse;
    int r = 0;
    sse_init(&sse, EVENT_MAX);
    while (r == 0 && body.len > 0) {
        size_t len = next_piece(&cutting);
        len = len < body.len ? len : body.len;
        /* A copy of just these bytes, so that a look beyond them is seen. */
        char *piece = span_dup((struct span){body.at, len});
        r = sse_feed(&sse, (struct span){piece, len}, on_sse, reading);
        free(piece);
        body = (struct span){body.at + len, body.len - len};
    }
    reading->result = r == 0 ? sse_finish(&sse, on_sse, reading) : r;
    sse_release(&sse);
    reading_end(reading, cutting.name);
}

static void expect_same_events(const struct reading *first, struct span body,
                               struct cutting cutting)
{
    struct reading reading;
    char what[64];
    reading_init(&reading, first->golden, first->dialect, NULL);
    read_stream(&reading, body, cutting);
    (void)snprintf(what, sizeof(what), "%s, seed %u", cutting.name, cutting.random); /* short */
    golden_expect_same(first->golden, what, bytes_span(&reading.dump.out),
                       bytes_span(&first->dump.out));
    reading_release(&reading);
}

/* The same stream with its lines ended by CRLF and without the space behind `data:`. */
static void reframe(struct span body, struct bytes *out)
{
    while (body.at) {
        struct span line = span_cut(body, '\n', &body);
        if (span_starts(line, SPAN("data: "))) {
            golden_add(out, SPAN("data:"));
            line = (struct span){line.at + 6, line.len - 6};
        }
        golden_add(out, line);
        if (body.at)
            golden_add(out, SPAN("\r\n"));
    }
}

static void expect_same_cut(const struct reading *first)
{
    CLEANUP(bytes_release) struct bytes other = {.max = GOLDEN_MEMORY};
    struct span input = first->golden->input;
    reframe(input, &other);
    expect_same_events(first, input, (struct cutting){"byte by byte", 1, 0});
    expect_same_events(first, bytes_span(&other), (struct cutting){"with CRLF", 1, 0});
    for (uint32_t seed = 1; seed <= RANDOM_WAYS; seed++)
        expect_same_events(first, input, (struct cutting){"cut at random", 0, seed});
}

/* ---- what comes back of what was written ---- */

/* Stops that a dialect tells by another's word. */
static const struct {
    const char *dialect;
    enum ir_stop stop, told;
} told_stops[] = {
    {"openai_chat", IR_STOP_SEQUENCE, IR_STOP_END},
    {"openai_chat", IR_STOP_PAUSE, IR_STOP_END},
    {"openai_chat", IR_STOP_CONTEXT, IR_STOP_LENGTH},
};

static enum ir_stop told_stop(const struct dialect *dialect, enum ir_stop stop)
{
    for (size_t i = 0; i < sizeof(told_stops) / sizeof(told_stops[0]); i++)
        if (told_stops[i].stop == stop && !strcmp(told_stops[i].dialect, dialect->name))
            return told_stops[i].told;
    return stop;
}

static void expect_usage(const struct reading *again, const char *what, const struct usage *wanted)
{
    const struct usage *is = &again->answer.usage;
    int64_t is_written = is->cache_write_5m + is->cache_write_1h;
    int64_t wanted_written = wanted->cache_write_5m + wanted->cache_write_1h;
    golden_expect(again->golden,
                  is->input == wanted->input && is->cache_read == wanted->cache_read &&
                      is_written == wanted_written && is->output == wanted->output,
                  "%s: usage input %lld, read %lld, written %lld, output %lld", what,
                  (long long)is->input, (long long)is->cache_read, (long long)is_written,
                  (long long)is->output);
}

static void expect_again(const struct reading *again, const char *what,
                         const struct ir_answer *answer, const struct ir_losses *losses)
{
    enum ir_stop wanted = told_stop(again->dialect, answer->stop);
    struct gist before, after;
    golden_expect(again->golden, again->result == 0 && !again->error_kind,
                  "%s: cannot be read again: %d", what, again->result);
    golden_expect(again->golden, again->answer.stop == wanted, "%s: stop %d, not %d", what,
                  again->answer.stop, wanted);
    expect_usage(again, what, &answer->usage);
    gist_of_answer(&before, answer);
    gist_of_answer(&after, &again->answer);
    gist_expect(again->golden, what, &before, &after, losses);
    gist_release(&before);
    gist_release(&after);
}

static void expect_stream_back(const struct reading *sent, const struct ir_answer *answer)
{
    static const struct ir_losses none;
    struct reading again;
    reading_init(&again, sent->golden, sent->to, NULL);
    read_stream(&again, bytes_span(&sent->out), (struct cutting){"read again", 7, 0});
    expect_again(&again, sent->to->name, answer, &none);
    reading_release(&again);
}

static void expect_whole_back(const struct golden_case *golden, const struct dialect *to,
                              struct span body, const struct ir_answer *answer,
                              const struct ir_losses *losses)
{
    struct reading again;
    reading_init(&again, golden, to, NULL);
    read_whole(&again, body);
    expect_again(&again, to->name, answer, losses);
    reading_release(&again);
}

/* ---- written in a dialect ---- */

static void read_input(struct reading *reading)
{
    struct span input = reading->golden->input;
    if (reading->golden->is_stream)
        read_stream(reading, input, (struct cutting){"in one piece", input.len + 1, 0});
    else
        read_whole(reading, input);
}

static void add_stream(const struct reading *reading, struct bytes *text)
{
    golden_add(text, bytes_span(&reading->out));
    if (reading->result == 0)
        return;
    if (bytes_addf(text, "failed %s\n", error_row(reading->result)->name) < 0)
        abort();
}

static void add_whole(const struct reading *reading, struct bytes *text)
{
    CLEANUP(bytes_release) struct bytes body = {.max = GOLDEN_MEMORY};
    struct ir_losses losses = {0};
    int r = reading->to->encode_answer(&reading->answer, &reply, &losses, &body);
    golden_expect(reading->golden, r == 0, "whole in %s: %d", reading->to->name, r);
    if (r < 0)
        return;
    golden_add(text, SPAN("---- whole ----\n"));
    ir_dump_losses(text, &losses);
    golden_lay_out(reading->golden, bytes_span(&body), text);
    expect_whole_back(reading->golden, reading->to, bytes_span(&body), &reading->answer, &losses);
}

static void try_dialect(const struct golden_case *golden, const struct dialect *to)
{
    CLEANUP(bytes_release) struct bytes text = {.max = GOLDEN_MEMORY};
    struct reading reading;
    char file[256];
    reading_init(&reading, golden, golden->dialect, to);
    read_input(&reading);
    add_stream(&reading, &text);
    if (reading.answer.has_finish) {
        add_whole(&reading, &text);
        expect_stream_back(&reading, &reading.answer);
    }
    (void)snprintf(file, sizeof(file), "to-%s.txt", to->name); /* names are short */
    golden_compare(golden, file, bytes_span(&text));
    reading_release(&reading);
}

/* ---- each case ---- */

static void compare_neutral(const struct reading *reading)
{
    CLEANUP(bytes_release) struct bytes text = {.max = GOLDEN_MEMORY};
    golden_add(&text, bytes_span(&reading->dump.out));
    ir_dump_losses(&text, &reading->losses);
    golden_compare(reading->golden, "neutral.txt", bytes_span(&text));
}

static void expect_dialect(void *ctx, const char *file)
{
    struct span name = {file + strlen("to-"), strcspn(file, ".") - strlen("to-")};
    golden_expect(ctx, dialect_by_name(name) != NULL, "%s: no such dialect", file);
}

static void try_case(const struct golden_case *golden)
{
    struct reading reading;
    reading_init(&reading, golden, golden->dialect, NULL);
    read_input(&reading);
    compare_neutral(&reading);
    if (golden->is_stream)
        expect_same_cut(&reading);
    reading_release(&reading);
    for (const struct dialect *const *dialect = dialects; *dialect; dialect++)
        if ((*dialect)->encode_event && (*dialect)->encode_answer)
            try_dialect(golden, *dialect);
    golden_each_file(golden, "to-", expect_dialect, (void *)golden);
}

int main(void)
{
    return golden_try("answers", CASES_LEAST, try_case);
}
