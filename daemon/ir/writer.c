/* See writer.h: the life of an answer, and its blocks. Calls are in writer_call.c. */
#include <assert.h>

#include "ir/writer_parts.h"

/* ---- events ---- */

static int emit(struct ir_writer *writer, const struct ir_event *event)
{
    int r = writer->fn(writer->ctx, event);
    writer->has_failed |= r < 0;
    return r;
}

/* Anything can still be written. */
static bool is_live(const struct ir_writer *writer)
{
    return !writer->failure && !writer->has_failed && !writer->has_ended;
}

/* The end of every function of the header: a failure stays. */
static int settle(struct ir_writer *writer, int r)
{
    if (r < 0 && !writer->failure)
        writer->failure = r;
    return r;
}

/* An event of the newest block. */
static struct ir_event event_of(const struct ir_writer *writer, enum ir_event_kind kind)
{
    return (struct ir_event){
        .kind = kind, .block = writer->blocks - 1, .block_kind = writer->open_kind};
}

int writer_delta(struct ir_writer *writer, struct ir_text piece)
{
    if (!ir_text_is_filled(piece))
        return 0;
    struct ir_event event = event_of(writer, IR_EVENT_DELTA);
    event.text = piece;
    return emit(writer, &event);
}

static int emit_signature(struct ir_writer *writer, struct ir_text signature, bool is_redacted)
{
    struct ir_event event = event_of(writer, IR_EVENT_SIGNATURE);
    event.text = signature;
    event.is_redacted = is_redacted;
    return emit(writer, &event);
}

int writer_stop_block(struct ir_writer *writer, bool is_redacted)
{
    struct ir_event event = event_of(writer, IR_EVENT_BLOCK_STOP);
    event.is_redacted = is_redacted;
    writer->is_open = false;
    return emit(writer, &event);
}

int writer_begin_block(struct ir_writer *writer, enum ir_block_kind kind, struct ir_event about)
{
    writer->blocks++;
    writer->is_open = true;
    writer->open_kind = kind;
    about.kind = IR_EVENT_BLOCK_START;
    about.block = writer->blocks - 1;
    about.block_kind = kind;
    return emit(writer, &about);
}

/* ---- blocks ---- */

int writer_close_open(struct ir_writer *writer)
{
    if (!writer->is_open)
        return 0;
    struct ir_slot *call = writer_open_call(writer);
    if (call)
        return writer_close_call(writer, call);
    int r = 0;
    if (writer->signature.len > 0)
        r = emit_signature(writer, writer_text(&writer->signature), false);
    bytes_clear(&writer->signature);
    return r == 0 ? writer_stop_block(writer, false) : r;
}

/* White space that opens no block waits here; a refusal's is none of ours. */
static struct bytes *held_of(struct ir_writer *writer, enum ir_block_kind kind)
{
    if (kind == IR_TEXT)
        return &writer->held_text;
    return kind == IR_REASONING ? &writer->held_reasoning : NULL;
}

/* A block of text, reasoning or refusal; nothing else is open or ready when it begins. */
static int open_plain(struct ir_writer *writer, enum ir_block_kind kind)
{
    int r = writer_close_open(writer);
    if (r == 0)
        r = writer_flush_calls(writer, false);
    if (r == 0)
        r = writer_begin_block(writer, kind, (struct ir_event){0});
    struct bytes *held = held_of(writer, kind);
    if (r == 0 && held) {
        r = writer_delta(writer, writer_text(held));
        bytes_clear(held);
    }
    return r;
}

/* ---- life ---- */

void ir_writer_init(struct ir_writer *writer, struct span answer_id, size_t max, ir_event_fn fn,
                    void *ctx)
{
    *writer = (struct ir_writer){.fn = fn, .ctx = ctx, .answer_id = answer_id, .kept_max = max};
    arena_init(&writer->scratch, max);
    writer->stop_sequence.max = max;
    writer->signature.max = max;
    writer->held_text.max = max;
    writer->held_reasoning.max = max;
}

void ir_writer_release(struct ir_writer *writer)
{
    writer_release_calls(writer);
    arena_release(&writer->scratch);
    bytes_release(&writer->stop_sequence);
    bytes_release(&writer->signature);
    bytes_release(&writer->held_text);
    bytes_release(&writer->held_reasoning);
}

/* ---- what decoders write ---- */

int ir_write_start(struct ir_writer *writer)
{
    if (!is_live(writer) || writer->has_started)
        return writer->failure;
    writer->has_started = true;
    return settle(
        writer, emit(writer, &(struct ir_event){.kind = IR_EVENT_START, .usage = &writer->usage}));
}

/* White space alone neither begins nor ends a block. */
static int write_plain(struct ir_writer *writer, enum ir_block_kind kind, struct ir_text piece)
{
    struct bytes *held = held_of(writer, kind);
    bool goes_on = writer->is_open && writer->open_kind == kind && writer->signature.len == 0;
    int r = 0;
    if (!goes_on && held && ir_text_is_blank(piece))
        return bytes_add_span(held, piece.escaped);
    if (!goes_on)
        r = open_plain(writer, kind);
    writer->has_text |= kind == IR_TEXT;
    return r == 0 ? writer_delta(writer, piece) : r;
}

int ir_write_text(struct ir_writer *writer, enum ir_block_kind kind, struct ir_text piece)
{
    assert(kind == IR_TEXT || kind == IR_REASONING || kind == IR_REFUSAL);
    int r = ir_write_start(writer);
    if (r < 0 || !is_live(writer) || !ir_text_is_filled(piece))
        return r;
    return settle(writer, write_plain(writer, kind, piece));
}

int ir_write_signature(struct ir_writer *writer, struct ir_text piece)
{
    int r = ir_write_start(writer);
    if (r < 0 || !is_live(writer) || !ir_text_is_filled(piece))
        return r;
    if (!writer->is_open || writer->open_kind != IR_REASONING)
        r = open_plain(writer, IR_REASONING);
    if (r == 0)
        r = bytes_add_span(&writer->signature, piece.escaped);
    return settle(writer, r);
}

int ir_write_redacted(struct ir_writer *writer, struct ir_text data)
{
    int r = ir_write_start(writer);
    if (r < 0 || !is_live(writer) || !ir_text_is_filled(data))
        return r;
    r = writer_close_open(writer);
    if (r == 0)
        r = writer_flush_calls(writer, false);
    if (r == 0)
        r = writer_begin_block(writer, IR_REASONING, (struct ir_event){.is_redacted = true});
    if (r == 0)
        r = emit_signature(writer, data, true);
    if (r == 0)
        r = writer_stop_block(writer, true);
    return settle(writer, r);
}

int ir_write_stop(struct ir_writer *writer)
{
    int r = ir_write_start(writer);
    if (r < 0 || !is_live(writer) || writer_open_call(writer))
        return r;
    return settle(writer, writer_close_open(writer));
}

int ir_write_call(struct ir_writer *writer, unsigned slot, struct ir_text id, struct ir_text name,
                  struct ir_text piece)
{
    int r = ir_write_start(writer);
    if (r < 0 || !is_live(writer))
        return r;
    return settle(writer, writer_take_call(writer, slot, id, name, piece));
}

int ir_write_call_end(struct ir_writer *writer, unsigned slot)
{
    int r = ir_write_start(writer);
    if (r < 0 || !is_live(writer))
        return r;
    return settle(writer, writer_end_call(writer, slot));
}

void ir_write_usage(struct ir_writer *writer, const struct usage *usage)
{
    writer->usage = *usage;
}

/* The last word counts, but one that is said out of habit does not hide a cut. */
static bool hides_cut(enum ir_stop stop, enum ir_stop by)
{
    bool is_cut = stop == IR_STOP_LENGTH || stop == IR_STOP_CONTEXT || stop == IR_STOP_REFUSAL;
    return is_cut && (by == IR_STOP_END || by == IR_STOP_CALLS);
}

int ir_write_finish(struct ir_writer *writer, enum ir_stop stop, struct ir_text sequence)
{
    int r = ir_write_start(writer);
    if (r < 0 || !is_live(writer) || (writer->has_finish && hides_cut(writer->stop, stop)))
        return r;
    writer->has_finish = true;
    writer->stop = stop;
    bytes_clear(&writer->stop_sequence);
    return settle(writer, bytes_add_span(&writer->stop_sequence, sequence.escaped));
}

int ir_write_error(struct ir_writer *writer, const struct api_error *error)
{
    if (writer->has_failed || writer->has_ended)
        return writer->failure;
    int r = 0;
    if (!writer->has_started) {
        writer->has_started = true;
        r = emit(writer, &(struct ir_event){.kind = IR_EVENT_START, .usage = &writer->usage});
    }
    writer->has_failed = true;
    if (r == 0)
        r = emit(writer, &(struct ir_event){.kind = IR_EVENT_ERROR, .error = error});
    return settle(writer, r);
}

/* White space held to the end: the end of some text, or all there is; beside calls nothing. */
static int write_held(struct ir_writer *writer)
{
    if (writer->held_text.len == 0 || (writer->has_calls && !writer->has_text))
        return 0;
    int r = open_plain(writer, IR_TEXT);
    return r == 0 ? writer_close_open(writer) : r;
}

static int write_finish(struct ir_writer *writer)
{
    struct ir_event event = {
        .kind = IR_EVENT_FINISH, .stop = writer->stop, .usage = &writer->usage};
    bool is_end = writer->stop == IR_STOP_END || writer->stop == IR_STOP_SEQUENCE ||
                  writer->stop == IR_STOP_PAUSE;
    if (is_end && writer->has_calls) /* calls want an answer, whatever the word */
        event.stop = IR_STOP_CALLS;
    if (writer->stop == IR_STOP_CALLS && !writer->has_calls)
        event.stop = IR_STOP_END;
    if (writer->stop_sequence.len > 0)
        event.stop_sequence = writer_text(&writer->stop_sequence);
    writer->has_ended = true;
    return emit(writer, &event);
}

int ir_write_end(struct ir_writer *writer)
{
    if (!is_live(writer))
        return writer->failure;
    if (!writer->has_finish)
        return settle(writer, -ERR_PROVIDER_RESET);
    int r = writer_close_open(writer);
    if (r == 0)
        r = writer_flush_calls(writer, true);
    if (r == 0)
        r = write_held(writer);
    if (r == 0)
        r = write_finish(writer);
    return settle(writer, r);
}
