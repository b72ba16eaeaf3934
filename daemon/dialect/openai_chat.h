/*
 * OpenAI Chat Completions, by direction; the dialect's table is in openai_chat.c. Contracts are those
 * of the members of struct dialect. Facts and losses: docs/dialects/openai_chat.md.
 */
#pragma once

#include "dialect/dialect.h"

/* -- openai_chat_request_decode.c -- */
int openai_chat_decode_request(struct span body, struct arena *arena, struct ir_request *ret,
                               struct ir_losses *losses, struct err *reterr);

/* -- openai_chat_request_encode.c -- */
int openai_chat_encode_request(const struct ir_request *request, const struct ir_target *target,
                               struct arena *arena, struct ir_losses *losses, struct bytes *out,
                               struct err *reterr);

/* -- openai_chat_answer_decode.c -- */
/* What is known of a call of the answer; its place in the list is its slot in the writer. */
struct openai_chat_call {
    int64_t index; /* its number on the wire; -1: none was told */
    uint64_t id;   /* hash of its id; 0: none yet */
};

struct openai_chat_decoder {
    unsigned calls;  /* begun so far */
    unsigned newest; /* the call that was told of last */
    unsigned legacy; /* the call that is a `function_call`, plus 1; 0: none */
    struct openai_chat_call list[IR_SLOTS_MAX];
};

int openai_chat_decode_event(void *decoder, struct ir_writer *writer, struct span event_name,
                             struct span data);
int openai_chat_decode_answer(struct span body, struct ir_writer *writer);

/* -- openai_chat_message_decode.c -- */
/* A delta, or a whole message: then each of its calls is complete. Errors as decode_event. */
int openai_chat_decode_message(struct openai_chat_decoder *decoder, struct ir_writer *writer,
                               struct json message, bool is_whole);

/* -- openai_chat_answer_encode.c -- */
struct openai_chat_encoder {
    unsigned calls;      /* opened so far; their index on the wire, plus 1 */
    bool owes_arguments; /* a call closed without any; "{}" is due unless a limit stopped it */
};

int openai_chat_encode_event(void *encoder, const struct ir_reply *reply,
                             const struct ir_event *event, struct bytes *out);
int openai_chat_encode_answer(const struct ir_answer *answer, const struct ir_reply *reply,
                              struct ir_losses *losses, struct bytes *out);
