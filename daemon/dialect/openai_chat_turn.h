/*
 * Turns of a history, as chat sees them.
 *
 *   turn    an assistant message and what follows it up to the next one
 *   call    a call of that message, found by its id
 *   answer  the result that is sent for a call: the first with its id within the turn
 */
#pragma once

#include "dialect/openai_chat_writer.h"

struct chat_call {
    struct ir_text id;
    size_t position; /* among the calls of the turn */
    const struct ir_block *block;
    const struct ir_block *answer; /* NULL: none yet */
};

struct chat_turn {
    const struct ir_message
        *first;                    /* the assistant's; `rest` is behind it and what belongs to it */
    const struct ir_message *rest; /* what follows it */
    const struct ir_message *end;  /* the next assistant message, or NULL */
    struct chat_call *calls;       /* sorted by id, each id once */
    size_t count;
    size_t media; /* in answers, as far as they were written */
};

/*
 * The turn that begins with an assistant message. Assistant messages behind one with calls belong to
 * it, since nothing may stand between calls and their answers; other neighbours stay apart. A call
 * whose id stands twice is a loss. A full arena is left in the writer.
 */
struct chat_turn chat_turn_of(struct chat_writer *writer, const struct ir_message *first);
/* The call of that id, or NULL. */
struct chat_call *chat_find_call(const struct chat_turn *turn, struct ir_text id);
/* Blocks of a kind in the messages up to `end`. */
size_t chat_count_blocks(const struct ir_message *message, const struct ir_message *end,
                         enum ir_block_kind kind);
