/*
 * The neutral request: what a client asks of a model, in no dialect.
 *
 *   message  one turn of one role; neighbours of one role are not merged
 *   block    a piece of a message: text, image, call, result, reasoning, ...
 *   call     the model asks for a tool;  result  what the tool gave, in a user message
 *   slice    a struct json that nobody interpreted: schemas, arguments, numbers, as they were spelled
 *   wish     how much reasoning is asked for, in whatever words
 *
 * Everything points into the client's body or into one arena; there is nothing to release. Text is
 * kept escaped (text.h). The order of everything is the client's.
 *
 * To add a member: here, in decode_request of every dialect that has it, in encode_request of every
 * dialect that can say it; the others report a loss.
 */
#pragma once

#include "ir/losses.h"
#include "ir/text.h"

enum ir_role { IR_ROLE_SYSTEM, IR_ROLE_USER, IR_ROLE_ASSISTANT };

enum ir_block_kind {
    IR_TEXT,
    IR_REASONING,
    IR_CALL,
    IR_RESULT,
    IR_IMAGE,
    IR_DOCUMENT,
    IR_REFUSAL,
    IR_TOOL_REFERENCE, /* a tool that was found by a search and may be called from now on */
    IR_FOREIGN,        /* known to the client's dialect alone; `name` is its type */
};

struct ir_block {
    struct ir_block *next;
    enum ir_block_kind kind;
    struct ir_text text;   /* text, reasoning, refusal; a document that is plain text */
    struct ir_text id;     /* call, result: as the client knows it */
    struct ir_text name;   /* call, tool reference: the tool; document: its title; foreign: type */
    struct json arguments; /* call: an object; absent when they were torn or none */
    struct ir_text torn;   /* call: arguments that are no JSON object, as they came */
    struct ir_text media_type, data; /* image, document: base64 */
    struct ir_text url;              /* image, document: instead of data */
    struct ir_text detail;           /* image: "low", "high" */
    struct ir_text signature;        /* reasoning: opaque to us; redacted: the redacted data */
    bool is_redacted;                /* reasoning without text */
    bool is_foreign;                 /* reasoning: the target cannot read its signature */
    bool is_error;                   /* result: the tool failed */
    struct ir_block *content;        /* result: its blocks */
    struct json cache_mark;          /* cache_control as sent; absent: none */
    struct json raw;                 /* the block on its own wire */
};

struct ir_message {
    struct ir_message *next;
    enum ir_role role;
    struct ir_block *blocks;
};

struct ir_tool {
    struct ir_tool *next;
    struct ir_text name, description;
    struct json schema; /* an object; absent: no parameters */
    struct json strict; /* true, false or absent */
    struct json cache_mark;
    bool is_server;     /* run by the provider; `name` is its type */
    bool is_deferred;   /* declared only once a tool reference names it */
    bool is_referenced; /* one does */
    struct json raw;
};

enum ir_tool_choice {
    IR_CHOICE_UNSET,
    IR_CHOICE_AUTO,
    IR_CHOICE_NONE,
    IR_CHOICE_REQUIRED,
    IR_CHOICE_TOOL
};

enum ir_effort {
    IR_EFFORT_UNSET,
    IR_EFFORT_NONE, /* no reasoning, said expressly */
    IR_EFFORT_MINIMAL,
    IR_EFFORT_LOW,
    IR_EFFORT_MEDIUM,
    IR_EFFORT_HIGH,
    IR_EFFORT_XHIGH,
    IR_EFFORT_MAX,
};

struct ir_wish {
    enum ir_effort effort;
    int64_t budget;   /* reasoning tokens; 0: not said */
    bool is_adaptive; /* reasoning on, its amount left to the model (and to effort) */
};

enum ir_format { IR_FORMAT_TEXT, IR_FORMAT_JSON, IR_FORMAT_SCHEMA };

struct ir_request {
    struct ir_message *messages; /* system messages stay where they stood */
    struct ir_tool *tools;
    enum ir_tool_choice tool_choice;
    struct ir_text chosen_tool;
    struct json parallel_calls;                        /* true, false or absent */
    struct json max_tokens, temperature, top_p, top_k; /* numbers; absent when not sent or null */
    struct json seed, frequency_penalty, presence_penalty;
    struct json choices; /* how many answers, a number above 1; absent: one */
    struct json stop;    /* a string or an array of strings; absent: none */
    struct ir_wish wish;
    enum ir_format format;
    struct ir_text format_name;
    struct json format_schema, format_strict;
    struct ir_text user;      /* who asks, for the provider's abuse checks */
    struct ir_text cache_key; /* which prompt cache to look in */
    bool stream, wants_usage;
};

/* ---- building (decoders) and changing (gateway) ---- */

/* What a list is appended with: the place of its last `next`. */
struct ir_builder {
    struct arena *arena;
    struct ir_request *request;
    struct ir_message **next_message;
    struct ir_tool **next_tool;
    struct ir_block **next_block; /* of the newest message */
};

/* Builds into *request, which is zeroed. */
struct ir_builder ir_builder(struct ir_request *request, struct arena *arena);
/* A new message at the end, without blocks; NULL when the arena is full. */
struct ir_message *ir_add_message(struct ir_builder *builder, enum ir_role role);
/* A new block at the end of the newest message; NULL when the arena is full. */
struct ir_block *ir_add_block(struct ir_builder *builder, enum ir_block_kind kind);
/* A new block at the end of a result's content; *next is the place of its last `next`. */
struct ir_block *ir_add_inner(struct ir_builder *builder, struct ir_block ***next,
                              enum ir_block_kind kind);
/* A new tool at the end; NULL when the arena is full. */
struct ir_tool *ir_add_tool(struct ir_builder *builder);

/*
 * Marks the deferred tools that some result refers to. Decoders of dialects that know references
 * call it when everything is read. -ERR_TOO_LARGE when the arena is full.
 */
int ir_mark_referenced(struct ir_request *request, struct arena *arena);
/* A tool is to be declared: it is no server tool and, when deferred, some result refers to it. */
static inline bool ir_tool_is_declared(const struct ir_tool *tool)
{
    return !tool->is_server && (!tool->is_deferred || tool->is_referenced);
}

/*
 * A copy that also asks for JSON (by its schema, when it has one) in a system message behind the
 * leading ones: for targets that cannot be told in another way. -ERR_TOO_LARGE.
 */
int ir_ask_for_json(const struct ir_request *request, struct arena *arena, struct ir_request *ret);

/* ---- wishes ---- */

/* "low" and so on; NULL for IR_EFFORT_UNSET. */
const char *ir_effort_name(enum ir_effort effort);
/* By name, any case; IR_EFFORT_UNSET when it is none. */
enum ir_effort ir_effort_find(struct span name);
/* The effort a wish comes to: its own, else by its budget; UNSET when nothing was wished. */
enum ir_effort ir_wish_effort(const struct ir_wish *wish);
/* The budget a wish comes to, in tokens: its own, else by its effort; 0: none. */
int64_t ir_wish_budget(const struct ir_wish *wish);
