/*
 * Conversion between every two dialects on any bytes, over the table. The low half of the first byte
 * is the dialect the rest is read in, the high half what it is: a request, the events of a stream
 * (one line each: `data`, or `!name data`) or a whole answer. What is read is written in every
 * dialect; what was written must read back without an error, with a legal life-cycle, and say the
 * same. New dialects are tried without a change here.
 */
#include "dialect/dialect.h"

#include <stdio.h>
#include <stdlib.h>

#include "support/lifecycle.h"

#define SIDES_MAX 8
#define MEMORY    ((size_t)1 << 24)

static void require(bool is_true, const char *what, const struct dialect *dialect, struct span text)
{
    if (is_true)
        return;
    (void)fprintf(stderr, "%s (%s):\n" SPAN_FMT "\n", what, dialect->name, SPAN_ARG(text));
    abort();
}

static void *state_of(size_t size)
{
    void *state = calloc(1, size ? size : 1);
    if (!state)
        abort();
    return state;
}

/* ---- requests ---- */

static void check_request(const struct dialect *to, struct span body)
{
    struct arena arena;
    struct ir_request request = {0};
    struct ir_losses losses = {0};
    struct err err = {0};
    arena_init(&arena, MEMORY);
    int r = to->decode_request(body, &arena, &request, &losses, &err);
    require(r == 0, err.detail, to, body);
    arena_release(&arena);
}

static void write_request(const struct dialect *to, const struct ir_request *request,
                          const struct ir_target *target, struct bytes *out)
{
    struct arena arena;
    struct ir_losses losses = {0};
    struct err err = {0};
    arena_init(&arena, MEMORY);
    int r = to->encode_request(request, target, &arena, &losses, out, &err);
    require(r == 0 || err.detail[0], "an error without a message", to, bytes_span(out));
    require(r == 0 || r == -ERR_INVALID_REQUEST, "an error of an unlikely kind", to,
            bytes_span(out));
    if (r < 0)
        bytes_clear(out);
    arena_release(&arena);
}

static void convert_request(const struct dialect *to, const struct ir_request *request)
{
    const struct ir_target targets[] = {
        {.model = SPAN("m\"1"), .capabilities = ~(ir_capability_set)0},
        {.model = SPAN("m"), .capabilities = 0, .max_output = 500},
        {.model = SPAN("m"), .capabilities = ir_capabilities_default(), .max_output = 100000},
    };
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        struct bytes once = {.max = MEMORY}, again = {.max = MEMORY};
        write_request(to, request, &targets[i], &once);
        write_request(to, request, &targets[i], &again);
        require(span_equal(bytes_span(&once), bytes_span(&again)), "written differently", to,
                bytes_span(&again));
        if (once.len > 0)
            check_request(to, bytes_span(&once));
        bytes_release(&once);
        bytes_release(&again);
    }
}

static void try_request(const struct dialect *from, struct span body)
{
    struct arena arena;
    struct ir_request request = {0};
    struct ir_losses losses = {0};
    struct err err = {0};
    arena_init(&arena, MEMORY);
    int r = from->decode_request(body, &arena, &request, &losses, &err);
    require(r == 0 || err.detail[0], "an error without a message", from, body);
    for (size_t i = 0; r == 0 && dialects[i]; i++)
        convert_request(dialects[i], &request);
    arena_release(&arena);
}

/* ---- answers ---- */

static const struct ir_reply reply = {
    .id = {"f1", 2}, .model = {"m\"", 2}, .created_s = 7, .wants_usage = true};

/* An answer being read, what it said, and the same written in every dialect. */
struct reading {
    const struct dialect *dialect;
    void *decoder;
    struct ir_writer writer;
    struct lifecycle life;
    struct ir_answer answer;
    struct ir_losses losses;
    struct bytes words; /* of text and refusals */
    bool has_refusal;
    bool is_written; /* sides are kept */
    void *encoders[SIDES_MAX];
    struct bytes wires[SIDES_MAX];
    int result;
};

static int take(void *ctx, const struct ir_event *event)
{
    struct reading *reading = ctx;
    if (event->kind == IR_EVENT_ERROR)
        return 0; /* the core's business */
    int r = ir_answer_take(&reading->answer, event);
    if (r == 0 && event->kind == IR_EVENT_DELTA &&
        (event->block_kind == IR_TEXT || event->block_kind == IR_REFUSAL))
        r = bytes_add_span(&reading->words, event->text.escaped);
    reading->has_refusal |= event->block_kind == IR_REFUSAL;
    for (size_t i = 0; r == 0 && reading->is_written && dialects[i]; i++)
        r = dialects[i]->encode_event(reading->encoders[i], &reply, event, &reading->wires[i]);
    return r;
}

static void reading_init(struct reading *reading, const struct dialect *dialect, bool is_written)
{
    *reading =
        (struct reading){.dialect = dialect, .words = {.max = MEMORY}, .is_written = is_written};
    reading->decoder = state_of(dialect->decoder_size);
    for (size_t i = 0; dialects[i]; i++) {
        require(i < SIDES_MAX, "SIDES_MAX is too small", dialects[i], SPAN(""));
        reading->encoders[i] = state_of(dialects[i]->encoder_size);
        reading->wires[i].max = MEMORY;
    }
    ir_answer_init(&reading->answer, MEMORY);
    lifecycle_init(&reading->life, take, reading);
    ir_writer_init(&reading->writer, reply.id, MEMORY, lifecycle_take, &reading->life);
    reading->writer.losses = &reading->losses;
}

static void reading_release(struct reading *reading)
{
    for (size_t i = 0; dialects[i]; i++) {
        free(reading->encoders[i]);
        bytes_release(&reading->wires[i]);
    }
    free(reading->decoder);
    bytes_release(&reading->words);
    ir_writer_release(&reading->writer);
    ir_answer_release(&reading->answer);
}

static void read_event(struct reading *reading, struct span name, struct span data)
{
    if (reading->result == 0)
        reading->result =
            reading->dialect->decode_event(reading->decoder, &reading->writer, name, data);
}

/* Whether the answer came to a good end; `text` is what was read. */
static bool read_end(struct reading *reading, struct span text)
{
    if (reading->result == 0)
        reading->result = ir_write_end(&reading->writer);
    const char *problem = lifecycle_problem(&reading->life);
    require(!problem, problem, reading->dialect, text);
    bool is_good = reading->result == 0 && !reading->life.is_failed;
    require(!is_good || !lifecycle_end(&reading->life), "no end", reading->dialect, text);
    return is_good;
}

/* What an encoder wrote: blocks of lines, of which `event:` and `data:` mean something. */
static void read_wire(struct reading *reading, struct span wire)
{
    struct span name = {0}, data = {0};
    while (wire.len > 0) {
        struct span line = span_cut(wire, '\n', &wire);
        if (span_starts(line, SPAN("event: "))) {
            name = (struct span){line.at + 7, line.len - 7};
        } else if (span_starts(line, SPAN("data: "))) {
            data = (struct span){line.at + 6, line.len - 6};
        } else {
            require(line.len == 0, "a line that is none", reading->dialect, line);
            read_event(reading, name, data);
            name = data = (struct span){0};
        }
    }
    require(!data.at, "an event that is not ended", reading->dialect, data);
}

/* A whole answer leaves out calls with torn arguments where they have no place. */
static unsigned count_whole_calls(const struct ir_answer *answer)
{
    unsigned count = 0;
    for (const struct ir_block *block = answer->blocks; block; block = block->next)
        count += block->kind == IR_CALL && block->arguments.type == JSON_OBJECT;
    return count;
}

static void check_same(const struct reading *before, const struct reading *after, struct span text)
{
    struct span said = bytes_span(&before->words), read = bytes_span(&after->words);
    /* A whole chat answer has refusals behind all text, wherever they stood. */
    bool is_same = before->has_refusal ? said.len == read.len : span_equal(said, read);
    require(is_same, "other words", after->dialect, text);
    require(count_whole_calls(&before->answer) <= count_whole_calls(&after->answer), "lost calls",
            after->dialect, text);
}

static void check_stream(const struct reading *before, size_t side, bool is_good)
{
    struct reading after;
    struct span wire = bytes_span(&before->wires[side]);
    reading_init(&after, dialects[side], false);
    read_wire(&after, wire);
    require(after.result == 0, "an event cannot be read back", dialects[side], wire);
    bool is_good_after = read_end(&after, wire);
    require(is_good_after || !is_good, "the end cannot be read back", dialects[side], wire);
    if (is_good)
        check_same(before, &after, wire);
    reading_release(&after);
}

static void check_whole(const struct reading *before, const struct dialect *to)
{
    struct reading after;
    struct ir_losses losses = {0};
    struct bytes body = {.max = MEMORY};
    int r = to->encode_answer(&before->answer, &reply, &losses, &body);
    require(r == 0, "the answer cannot be written", to, bytes_span(&body));
    reading_init(&after, to, false);
    after.result = to->decode_answer(bytes_span(&body), &after.writer);
    require(read_end(&after, bytes_span(&body)), "the answer cannot be read back", to,
            bytes_span(&body));
    check_same(before, &after, bytes_span(&body));
    reading_release(&after);
    bytes_release(&body);
}

static void check_answer(struct reading *reading, struct span text)
{
    bool is_good = read_end(reading, text);
    for (size_t i = 0; dialects[i]; i++) {
        check_stream(reading, i, is_good);
        if (is_good)
            check_whole(reading, dialects[i]);
    }
    reading_release(reading);
}

static void try_stream(const struct dialect *from, struct span text)
{
    struct reading reading;
    struct span rest = text;
    reading_init(&reading, from, true);
    while (rest.at) {
        struct span line = span_cut(rest, '\n', &rest), name = {0};
        if (span_starts(line, SPAN("!")))
            name = span_cut((struct span){line.at + 1, line.len - 1}, ' ', &line);
        read_event(&reading, name, line);
    }
    check_answer(&reading, text);
}

static void try_answer(const struct dialect *from, struct span text)
{
    struct reading reading;
    reading_init(&reading, from, true);
    reading.result = from->decode_answer(text, &reading.writer);
    check_answer(&reading, text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const tries[])(const struct dialect *from,
                                 struct span text) = {try_request, try_stream, try_answer};
    size_t count = 0;
    while (dialects[count])
        count++;
    if (size == 0)
        return 0;
    const struct dialect *from = dialects[(data[0] & 15) % count];
    tries[(data[0] >> 4) % 3](from, (struct span){(const char *)data + 1, size - 1});
    return 0;
}
