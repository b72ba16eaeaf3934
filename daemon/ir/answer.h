/*
 * A whole answer, collected from neutral events, for clients that asked for no stream.
 *
 * Blocks are struct ir_block of the kinds IR_TEXT, IR_REASONING, IR_REFUSAL and IR_CALL. A call's
 * arguments are read back: an object, or `torn` when they are no object (a length stop cuts them);
 * neither when there are none (nothing, white space, null).
 */
#pragma once

#include "ir/event.h"

struct ir_answer {
    struct ir_block *blocks;
    enum ir_stop stop;
    struct ir_text stop_sequence;
    struct usage usage;
    bool has_finish;
    /* -- of the collector -- */
    struct arena arena;
    struct ir_block **next;
    struct ir_block *open;
    struct bytes pieces; /* of the open block */
};

/* Holds at most `max` bytes; while a block is open its pieces as well, with the same maximum. */
void ir_answer_init(struct ir_answer *answer, size_t max);
void ir_answer_release(struct ir_answer *answer);
/* An ir_event_fn; ctx is the answer. -ERR_TOO_LARGE. ERROR events are its caller's business. */
int ir_answer_take(void *ctx, const struct ir_event *event);
