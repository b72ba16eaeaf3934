/*
 * Reader: what the files that decode a chat request share.
 *
 *   place    where in the body the reader is, for messages ("messages[2].content[0].text must be ...")
 *   members  the values of an object by name; what nobody asked for is a loss
 *
 * The body was validated as a whole before. A member that is null counts as not sent.
 */
#pragma once

#include "dialect/openai_chat.h"

/* A list the reader is in, and the element. */
struct chat_place {
    const char *list;
    size_t index;
};

struct chat_reader {
    struct ir_builder builder;
    struct ir_losses *losses;
    struct err *reterr;
    struct chat_place places[2];
    unsigned depth;
    const char *within;       /* the object at that place, for messages: "function." or NULL */
    struct ir_block ***inner; /* blocks go into a result's content; NULL: into the message */
    /* Calls without an id, as in the legacy member function_call, get one by their number. */
    unsigned calls_made;
    unsigned calls_answered; /* by results without an id, in the same order */
};

/* -- openai_chat_request_decode.c -- */

/*
 * Values of an object's members; JSON_ABSENT for what is not there or null, the first one of two.
 * names ends with NULL. Other members are losses behind the prefix ("messages[]."), unless they are
 * null or an empty container. Anything but an object has no members.
 */
void chat_find_members(struct chat_reader *reader, struct json object, const char *const *names,
                       const char *prefix, struct json *out);
/* -ERR_INVALID_REQUEST: the member (NULL: the element itself) at this place has this problem. */
int chat_wrong(struct chat_reader *reader, const char *member, const char *problem);
/* 0 when the value is absent or of that type (JSON_TRUE: any boolean), else chat_wrong(). */
int chat_want(struct chat_reader *reader, const char *member, struct json value,
              enum json_type type);
/* chat_want() of a string, which *ret is set to; left alone when it is absent. */
int chat_want_text(struct chat_reader *reader, const char *member, struct json value,
                   struct ir_text *ret);
/* The failure of a full arena. */
int chat_no_memory(struct chat_reader *reader);

/* Enters and leaves a list; `index` of its place is the caller's to set. */
struct chat_place *chat_enter(struct chat_reader *reader, const char *list);
void chat_leave(struct chat_reader *reader);

/* -- openai_chat_wish.c -- */

/* A member that wishes for reasoning, by its name. */
int chat_read_wish(struct chat_reader *reader, const char *name, struct json value);

/* -- openai_chat_history_decode.c -- */

/* The member `messages`. */
int chat_read_messages(struct chat_reader *reader, struct json messages);

/* -- openai_chat_content_decode.c -- */

/* A new block where blocks go; NULL when the arena is full. */
struct ir_block *chat_add_block(struct chat_reader *reader, enum ir_block_kind kind);
/* A message's `content`: a string, nothing, or parts. */
int chat_read_content(struct chat_reader *reader, struct json content);
