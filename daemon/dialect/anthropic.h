/*
 * Anthropic Messages, by direction; the dialect's table is in anthropic.c. Contracts are those of the
 * members of struct dialect. Facts and losses: docs/dialects/anthropic.md.
 */
#pragma once

#include "dialect/dialect.h"

/*
 * The signature of reasoning that no provider signed: clients want one and send it back. No
 * Anthropic provider is ever sent it.
 */
#define ANTHROPIC_OWN_SIGNATURE "YWljdGw6dW5zaWduZWQ="

/* -- anthropic_request_decode.c -- */
int anthropic_decode_request(struct span body, struct arena *arena, struct ir_request *ret,
                             struct ir_losses *losses, struct err *reterr);

/* -- anthropic_request_encode.c -- */
int anthropic_encode_request(const struct ir_request *request, const struct ir_target *target,
                             struct arena *arena, struct ir_losses *losses, struct bytes *out,
                             struct err *reterr);

/* -- anthropic_answer_decode.c -- */
enum anthropic_block_kind {
    ANTHROPIC_SKIPPED, /* of a type we do not know */
    ANTHROPIC_TEXT,
    ANTHROPIC_THINKING,
    ANTHROPIC_CALL,
};

/* A content block of the wire that is open. */
struct anthropic_open_block {
    int64_t index;
    enum anthropic_block_kind kind;
    unsigned slot; /* of a call */
    /*
     * Told at the block's start, but its deltas may still replace it (a call's input) or belong
     * before it (a signature). In the writer's scratch arena, which is not reset meanwhile.
     */
    struct ir_text held;
    bool has_pieces; /* call: arguments came in deltas */
    bool is_settled; /* call: its arguments were written without any */
};

struct anthropic_decoder {
    unsigned calls;          /* slots given out */
    bool has_end;            /* message_stop came: what follows is noise */
    enum ir_stop first_stop; /* of message_start, for a stream that tells none later */
    unsigned open_count;
    struct anthropic_open_block open[8]; /* oldest first */
};

int anthropic_decode_event(void *decoder, struct ir_writer *writer, struct span event_name,
                           struct span data);
int anthropic_decode_answer(struct span body, struct ir_writer *writer);

/* -- anthropic_answer_encode.c -- */
struct anthropic_encoder {
    bool is_redacted;   /* the open reasoning block has no words; it begins with its data */
    bool has_signature; /* the open reasoning block has one */
};

int anthropic_encode_event(void *encoder, const struct ir_reply *reply,
                           const struct ir_event *event, struct bytes *out);
int anthropic_encode_answer(const struct ir_answer *answer, const struct ir_reply *reply,
                            struct ir_losses *losses, struct bytes *out);
/* {"input_tokens":N} */
int anthropic_write_count(int64_t input_tokens, struct bytes *out);
