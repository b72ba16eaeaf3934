/*
 * Writing a Messages request, between anthropic_request_encode.c (the top level),
 * anthropic_history_encode.c (system and messages) and anthropic_block_encode.c (what stands in
 * them). Private to these three.
 *
 *   turn    messages in a row of one side, written as one message: this API wants the sides to
 *           alternate. Users and system messages behind the first other message are one side
 *   solid   something a turn can consist of; reasoning alone is no turn
 *   part    a block that is the same in a message and inside of a result
 *   mark    cache_control; at most four are taken
 */
#pragma once

#include "dialect/anthropic.h"

/* The mark we set where the client set none. */
#define ANTHROPIC_MARK_TEXT "{\"type\":\"ephemeral\"}"
#define ANTHROPIC_MARK                                                                             \
    ((struct json){ANTHROPIC_MARK_TEXT, sizeof(ANTHROPIC_MARK_TEXT) - 1, JSON_OBJECT})

struct anthropic_turn {
    struct anthropic_turn *next;
    bool is_assistant;
    /* Both of this side; what stands between them and says nothing is passed over. */
    const struct ir_message *first, *last;
    const struct ir_block *last_solid; /* of an assistant; reasoning behind it is left out */
};

/*
 * Calls by their id. Some providers give the same ids in every turn, and this API wants each once:
 * the second use of one gets a number, here and in its result.
 */
struct anthropic_call {
    unsigned turn; /* number of the newest turn that used it; 0: a free place in the table */
    unsigned uses;
    bool is_answered;
    struct ir_text id;
};

struct anthropic_writing {
    const struct ir_request *request;
    const struct ir_target *target;
    struct arena *arena;
    struct ir_losses *losses;
    struct bytes *out;
    int r;                  /* the first failure; then nothing more is written */
    unsigned marks_to_skip; /* of the request's, the first ones */
    bool has_static_marks;  /* ours, on the last tool and the last system block */
    size_t system_count;    /* blocks that are written as `system` */
    struct anthropic_turn *turns, *last_turn, *before_last_turn;
    struct anthropic_call *calls;
    size_t call_slots; /* a power of two, or 0 */
    unsigned turn;     /* number of the newest assistant turn */
};

/* -- anthropic_block_encode.c -- */

/* Appends, unless something failed before. */
void anthropic_put(struct anthropic_writing *writing, struct span text);
#define ANTHROPIC_PUT(writing, literal) anthropic_put((writing), SPAN(literal))
/* A comma, unless the last byte opened an array or object. */
void anthropic_put_comma(struct anthropic_writing *writing);
/* `,"name":"text"`, without the comma where none belongs. */
void anthropic_put_string(struct anthropic_writing *writing, const char *name, struct ir_text text);
/* The same with a slice. */
void anthropic_put_slice(struct anthropic_writing *writing, const char *name, struct json slice);
/* The cache mark of something, unless it is absent or too much. */
void anthropic_put_mark(struct anthropic_writing *writing, struct json mark);
/* A block of type text with its comma. */
void anthropic_put_text(struct anthropic_writing *writing, struct ir_text text, struct json mark);

/* A part says something: it is no blank text and known to this API. */
bool anthropic_is_part(const struct ir_block *block);
/* A part with its comma; what cannot be said is a loss. */
void anthropic_put_part(struct anthropic_writing *writing, const struct ir_block *block);
/* A call with its comma; use: the how manieth of its id. */
void anthropic_put_call(struct anthropic_writing *writing, const struct ir_block *block,
                        unsigned use);
/* A result with its comma. */
void anthropic_put_result(struct anthropic_writing *writing, const struct ir_block *block,
                          unsigned use);
/* A result for a call that got none. */
void anthropic_put_no_result(struct anthropic_writing *writing, struct ir_text id, unsigned use);
/* A result without its call, as text and images. */
void anthropic_put_orphan(struct anthropic_writing *writing, const struct ir_block *block);
/* Reasoning that can be sent, with its comma. */
void anthropic_put_reasoning(struct anthropic_writing *writing, const struct ir_block *block);
/* A block's mark; for a result also one of its inner blocks, which take none here. */
struct json anthropic_mark_of(const struct ir_block *block);
/* Notes a block that this API does not know. */
void anthropic_lose_block(struct anthropic_writing *writing, const struct ir_block *block);

/* -- anthropic_history_encode.c -- */

/* Reasoning whose signature the target can read. */
bool anthropic_is_signed(const struct ir_block *block);
/* Finds turns and calls. -ERR_TOO_LARGE. */
int anthropic_plan(struct anthropic_writing *writing);
/* `"system":...`, if there is one. */
void anthropic_put_system(struct anthropic_writing *writing);
/* `"messages":[...]` */
void anthropic_put_messages(struct anthropic_writing *writing);
/* The turn that reasoning would go on with begins with reasoning, or a new one begins. */
bool anthropic_may_think(const struct anthropic_writing *writing);
/* Cache marks in the messages of the request, system messages included. */
unsigned anthropic_count_marks(const struct anthropic_writing *writing);
