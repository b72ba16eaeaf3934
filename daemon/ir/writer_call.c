/*
 * The calls of an answer: see writer.h.
 *
 *     FREE --told of--> WAITING --its turn--> OPEN --ended, or others come--> CLOSED
 */
#include "ir/writer_parts.h"

#include <stdlib.h>

#include "base/own.h"
#include "ir/call_id.h"
#include "ir/losses.h"

#define SALT 8 /* letters of the answer's id that tell equal call ids of two answers apart */

struct ir_slot *writer_open_call(struct ir_writer *writer)
{
    bool is_call = writer->is_open && writer->open_kind == IR_CALL;
    return is_call ? &writer->slots[writer->open_slot] : NULL;
}

/* ---- what is kept of a call ---- */

static int keep(struct ir_writer *writer, struct bytes *bytes, struct span piece)
{
    if (piece.len > writer->kept_max || writer->kept > writer->kept_max - piece.len)
        return -ERR_TOO_LARGE;
    bytes->max = writer->kept_max;
    int r = bytes_add_span(bytes, piece);
    if (r == 0)
        writer->kept += piece.len;
    return r;
}

static void let_go(struct ir_writer *writer, struct bytes *bytes)
{
    writer->kept -= bytes->len;
    bytes_release(bytes);
}

static void close_slot(struct ir_writer *writer, struct ir_slot *slot)
{
    let_go(writer, &slot->id);
    let_go(writer, &slot->name);
    let_go(writer, &slot->kept);
    slot->state = IR_SLOT_CLOSED;
}

/* An id or name; the first that says something counts. */
static int remember(struct ir_writer *writer, struct bytes *bytes, struct ir_text text)
{
    if (bytes->len > 0 || ir_text_is_blank(text))
        return 0;
    return keep(writer, bytes, text.escaped);
}

/* ---- the open call ---- */

static int write_arguments(struct ir_writer *writer, struct ir_slot *slot, struct ir_text piece)
{
    struct ir_text part = ir_arguments_follow(&slot->arguments, piece);
    struct span rest = {piece.escaped.at + part.escaped.len, piece.escaped.len - part.escaped.len};
    if (!ir_text_is_blank((struct ir_text){rest}))
        ir_lose(writer->losses, "text behind a call's arguments");
    return writer_delta(writer, part);
}

/*
 * A piece of the open call's arguments; their beginning is kept as long as they may be none. White
 * space means nothing there and is dropped, so that what is kept stays short: models loop on it.
 */
static int add_piece(struct ir_writer *writer, struct ir_slot *slot, struct ir_text piece)
{
    bool is_none = slot->kept.len == 0 || ir_arguments_are_none(writer_text(&slot->kept));
    if (!slot->arguments.has_begun && !slot->arguments.is_odd && is_none && ir_text_is_blank(piece))
        return 0;
    if (slot->arguments.has_begun || slot->arguments.is_odd ||
        (slot->kept.len == 0 && !ir_arguments_may_be_none(piece)))
        return write_arguments(writer, slot, piece);
    int r = keep(writer, &slot->kept, piece.escaped);
    if (r < 0 || ir_arguments_may_be_none(writer_text(&slot->kept)))
        return r;
    r = write_arguments(writer, slot, writer_text(&slot->kept));
    let_go(writer, &slot->kept);
    return r;
}

int writer_close_call(struct ir_writer *writer, struct ir_slot *slot)
{
    int r = 0;
    if (!ir_arguments_are_none(writer_text(&slot->kept)))
        r = write_arguments(writer, slot, writer_text(&slot->kept)); /* torn: "nu" */
    close_slot(writer, slot);
    return r == 0 ? writer_stop_block(writer, false) : r;
}

/* ---- waiting calls ---- */

static bool is_shown_already(const struct ir_writer *writer, struct span id)
{
    for (unsigned i = 0; i < writer->slot_count; i++)
        if (span_equal(bytes_span(&writer->slots[i].shown), id))
            return true;
    return false;
}

/* The provider's own id in its safe form; leaves `shown` empty when it is another call's. */
static int show_own_id(struct ir_writer *writer, struct ir_slot *slot)
{
    char salt[SALT + 1] = "";
    for (size_t i = 0; i < SALT && i < writer->answer_id.len; i++)
        salt[i] = writer->answer_id.at[i];
    CLEANUP(arena_release) struct arena arena;
    arena_init(&arena, 4096 + 4 * slot->id.len); /* the id decoded, and its other spelling */
    struct ir_text shown;
    int r = ir_call_id_show(writer_text(&slot->id), salt, &arena, &shown);
    if (r == 0 && !is_shown_already(writer, shown.escaped))
        r = bytes_add_span(&slot->shown, shown.escaped);
    return r;
}

/* An id of our own that no other call has: by the slot's number, or one far above. */
static int make_id(struct ir_writer *writer, struct ir_slot *slot)
{
    int r;
    unsigned n = (unsigned)(slot - writer->slots);
    CLEANUP(bytes_release) struct bytes made = {.max = slot->shown.max};
    do {
        bytes_clear(&made);
        r = bytes_addf(&made, "call_" SPAN_FMT "_%u", SPAN_ARG(writer->answer_id), n);
        n += IR_SLOTS_MAX;
    } while (r == 0 && is_shown_already(writer, bytes_span(&made)));
    return r == 0 ? bytes_add_span(&slot->shown, bytes_span(&made)) : r;
}

static int show_id(struct ir_writer *writer, struct ir_slot *slot)
{
    int r = 0;
    slot->shown.max = 256 + writer->answer_id.len;
    if (slot->id.len > 0)
        r = show_own_id(writer, slot);
    if (r == 0 && slot->shown.len == 0)
        r = make_id(writer, slot);
    return r;
}

/* Opens a waiting call and writes what was kept of it. */
static int begin_call(struct ir_writer *writer, struct ir_slot *slot)
{
    int r = writer_close_open(writer);
    if (r == 0)
        r = show_id(writer, slot);
    if (r < 0)
        return r;
    slot->state = IR_SLOT_OPEN;
    writer->open_slot = (unsigned)(slot - writer->slots);
    writer->has_calls = true;
    r = writer_begin_block(
        writer, IR_CALL,
        (struct ir_event){.id = writer_text(&slot->shown), .name = writer_text(&slot->name)});
    if (r < 0 || ir_arguments_may_be_none(writer_text(&slot->kept)))
        return r;
    r = write_arguments(writer, slot, writer_text(&slot->kept));
    let_go(writer, &slot->kept);
    return r;
}

static void drop_call(struct ir_writer *writer, struct ir_slot *slot)
{
    ir_lose(writer->losses, "call without a name");
    close_slot(writer, slot);
}

static struct ir_slot *first_waiting(struct ir_writer *writer)
{
    for (unsigned i = 0; i < writer->slot_count; i++)
        if (writer->slots[i].state == IR_SLOT_WAITING)
            return &writer->slots[i];
    return NULL;
}

/* Opens the calls whose turn it is: those that ended whole, the next one so that it streams on. */
static int advance(struct ir_writer *writer)
{
    struct ir_slot *open = writer_open_call(writer), *slot;
    int r = 0;
    while (r == 0 && (slot = first_waiting(writer))) {
        if (open && !open->is_complete && !open->arguments.is_whole)
            break;
        if (slot->is_complete && slot->name.len == 0) {
            drop_call(writer, slot);
            continue;
        }
        if (slot->name.len == 0 || (slot->id.len == 0 && !slot->is_complete))
            break;
        r = begin_call(writer, slot);
        open = slot;
    }
    if (r == 0 && open && open->is_complete)
        r = writer_close_open(writer);
    return r;
}

int writer_flush_calls(struct ir_writer *writer, bool is_end)
{
    int r = 0;
    for (unsigned i = 0; r == 0 && i < writer->slot_count; i++) {
        struct ir_slot *slot = &writer->slots[i];
        if (slot->state != IR_SLOT_WAITING)
            continue;
        if (slot->name.len > 0 && (is_end || slot->id.len > 0 || slot->kept.len > 0)) {
            r = begin_call(writer, slot);
            if (r == 0)
                r = writer_close_open(writer);
        } else if (is_end) {
            drop_call(writer, slot);
        }
    }
    return r;
}

static int grow_slots(struct ir_writer *writer, unsigned index)
{
    if (index >= IR_SLOTS_MAX)
        return -ERR_PROVIDER_ANSWER;
    if (index < writer->slot_count)
        return 0;
    unsigned count = writer->slot_count * 2;
    if (count <= index)
        count = index + 1;
    if (count > IR_SLOTS_MAX)
        count = IR_SLOTS_MAX;
    struct ir_slot *slots = realloc(writer->slots, count * sizeof(*slots));
    if (!slots)
        return -ERR_TOO_LARGE;
    memset(slots + writer->slot_count, 0, (count - writer->slot_count) * sizeof(*slots));
    writer->slots = slots;
    writer->slot_count = count;
    return 0;
}

/* ---- what is told of a call ---- */

/* A call that was closed takes nothing more, unless it was whole anyway. */
static int take_late_piece(struct ir_writer *writer, struct ir_slot *slot, struct ir_text piece)
{
    if (ir_text_is_blank(piece))
        return 0;
    if (!slot->arguments.is_whole)
        return -ERR_PROVIDER_ANSWER;
    ir_lose(writer->losses, "text behind a call's arguments");
    return 0;
}

/* A piece of the open call; when that makes it whole, one that waits need not wait any more. */
static int take_piece(struct ir_writer *writer, struct ir_slot *slot, struct ir_text piece)
{
    if (!ir_text_is_filled(piece))
        return 0;
    int r = add_piece(writer, slot, piece);
    return r == 0 && slot->arguments.is_whole ? advance(writer) : r;
}

static int write_call(struct ir_writer *writer, struct ir_slot *slot, struct ir_text id,
                      struct ir_text name, struct ir_text piece)
{
    if (slot->state == IR_SLOT_CLOSED)
        return take_late_piece(writer, slot, piece);
    if (slot->state == IR_SLOT_OPEN)
        return take_piece(writer, slot, piece);
    if (slot->state == IR_SLOT_FREE && ir_text_is_blank(id) && ir_text_is_blank(name) &&
        ir_text_is_blank(piece))
        return 0;
    slot->state = IR_SLOT_WAITING;
    int r = remember(writer, &slot->id, id);
    if (r == 0)
        r = remember(writer, &slot->name, name);
    if (r == 0)
        r = keep(writer, &slot->kept, piece.escaped);
    return r == 0 ? advance(writer) : r;
}

int writer_take_call(struct ir_writer *writer, unsigned index, struct ir_text id,
                     struct ir_text name, struct ir_text piece)
{
    int r = grow_slots(writer, index);
    return r == 0 ? write_call(writer, &writer->slots[index], id, name, piece) : r;
}

int writer_end_call(struct ir_writer *writer, unsigned index)
{
    struct ir_slot *slot = index < writer->slot_count ? &writer->slots[index] : NULL;
    if (!slot || (slot->state != IR_SLOT_WAITING && slot->state != IR_SLOT_OPEN))
        return 0;
    slot->is_complete = true;
    return advance(writer);
}

void writer_release_calls(struct ir_writer *writer)
{
    for (unsigned i = 0; i < writer->slot_count; i++) {
        close_slot(writer, &writer->slots[i]);
        bytes_release(&writer->slots[i].shown);
    }
    free(writer->slots);
    writer->slots = NULL;
    writer->slot_count = 0;
}
