/*
 * Reading a Messages request, between anthropic_request_decode.c (the top level) and
 * anthropic_content_decode.c (system, messages, blocks). Private to these two.
 */
#pragma once

#include "dialect/anthropic.h"

/* A document in a result: messages, content, content, source.content. */
#define ANTHROPIC_PATH_MAX 4

/* One request being read: what is built, and the way to the value at hand, for messages. */
struct anthropic_reading {
    struct ir_builder builder;
    struct ir_losses *losses;
    struct err *reterr;
    unsigned depth;
    struct {
        const char *name;
        unsigned index;
    } path[ANTHROPIC_PATH_MAX]; /* "messages", 2; "content", 0; ... */
};

/* The next values stand in this element of a list, until anthropic_leave(). */
void anthropic_enter(struct anthropic_reading *reading, const char *list, unsigned index);
void anthropic_leave(struct anthropic_reading *reading);

/*
 * -ERR_INVALID_REQUEST: "messages[2].content[0].text must be a string", from the path, a member ("":
 * the value itself) and the rest of the sentence.
 */
int anthropic_wrong(struct anthropic_reading *reading, const char *member, const char *must);
/* An absent value, or one of this type (JSON_TRUE: true or false); else the error, as above. */
int anthropic_want(struct anthropic_reading *reading, struct json value, enum json_type type,
                   const char *member);
/* The same, and the value must be there. */
int anthropic_need(struct anthropic_reading *reading, struct json value, enum json_type type,
                   const char *member);
/* A string with something in it. */
int anthropic_need_filled(struct anthropic_reading *reading, struct json value, const char *member);
/* -ERR_TOO_LARGE. */
int anthropic_no_room(struct anthropic_reading *reading);

/*
 * Finds the members of an object in one pass: names ends with NULL, null counts as absent, of two the
 * first is taken. Every other member that is not null is a loss behind the prefix.
 */
void anthropic_members(struct anthropic_reading *reading, struct json object,
                       const char *const *names, struct json *out, const char *prefix);

/* -- anthropic_content_decode.c -- */
int anthropic_read_system(struct anthropic_reading *reading, struct json system);
int anthropic_read_messages(struct anthropic_reading *reading, struct json messages);
