/*
 * Neutral events: an answer as it comes. Whole answers are decoded into the same events, so there is
 * one conversion to get right.
 *
 *     START (BLOCK_START DELTA* SIGNATURE? BLOCK_STOP)* (FINISH | ERROR)
 *
 * That is the whole grammar (ERROR may come at any place). Writer (writer.h) is the one who makes
 * events and it keeps the grammar, so encoders need no checks: one start, one block open at a time,
 * deltas only to it, one end.
 */
#pragma once

#include "ir/request.h"
#include "ir/usage.h"

struct api_error; /* dialect/dialect.h */

enum ir_event_kind {
    IR_EVENT_START,
    IR_EVENT_BLOCK_START,
    IR_EVENT_DELTA,     /* a piece of the block; never empty */
    IR_EVENT_SIGNATURE, /* of a reasoning block, whole, behind its deltas */
    IR_EVENT_BLOCK_STOP,
    IR_EVENT_FINISH,
    IR_EVENT_ERROR,
};

/* Why the model stopped. */
enum ir_stop {
    IR_STOP_END,
    IR_STOP_LENGTH,   /* max_tokens */
    IR_STOP_CALLS,    /* there is at least one call */
    IR_STOP_REFUSAL,  /* content filter, refusal */
    IR_STOP_SEQUENCE, /* a stop sequence, given in stop_sequence where the wire tells it */
    IR_STOP_PAUSE,    /* a long turn of server tools was paused */
    IR_STOP_CONTEXT,  /* the context window is full */
};

struct ir_event {
    enum ir_event_kind kind;
    unsigned block;                /* BLOCK_*, DELTA, SIGNATURE: from 0, dense */
    enum ir_block_kind block_kind; /* IR_TEXT, IR_REASONING, IR_REFUSAL or IR_CALL */
    struct ir_text text;           /* DELTA: of a call a piece of its arguments' JSON; SIGNATURE */
    struct ir_text id, name;       /* BLOCK_START of a call: both filled; id is fit to be shown */
    bool is_redacted;              /* reasoning: no text, the signature is the redacted data */
    enum ir_stop stop;             /* FINISH */
    struct ir_text stop_sequence;  /* FINISH */
    const struct usage *usage;     /* START (what is known) and FINISH */
    const struct api_error *error; /* ERROR */
};

/* Takes one event; its texts are good for this call only. A negative result stops the answer. */
typedef int (*ir_event_fn)(void *ctx, const struct ir_event *event);

/* What the client's request said about the answer, and what the exchange decided. */
struct ir_reply {
    struct span id; /* of the answer, letters and digits, without prefix */
    /* The id that a stream of the client's own dialect began with, plain text; or absent. */
    struct span begun_id;
    struct span model; /* to be shown, plain text */
    int64_t created_s; /* seconds since 1970 */
    bool wants_usage;  /* a chat stream: the usage chunk was asked for */
};
