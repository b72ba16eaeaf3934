/*
 * See request.h. Effort and budget are one wish in two languages: no provider says how many tokens
 * its words mean, so these are our choice. Budgets in use: Claude Code 4000, 10000 and 31999 for its
 * three words, others 1024 (the least Anthropic takes), 16000 for "high".
 */
#include "ir/request.h"

#include <stdlib.h>

#include "proto/errors.h"

/* ---- building ---- */

struct ir_builder ir_builder(struct ir_request *request, struct arena *arena)
{
    *request = (struct ir_request){0};
    return (struct ir_builder){
        .arena = arena,
        .request = request,
        .next_message = &request->messages,
        .next_tool = &request->tools,
    };
}

struct ir_message *ir_add_message(struct ir_builder *builder, enum ir_role role)
{
    struct ir_message *message = arena_alloc(builder->arena, sizeof(*message));
    if (!message)
        return NULL;
    message->role = role;
    *builder->next_message = message;
    builder->next_message = &message->next;
    builder->next_block = &message->blocks;
    return message;
}

struct ir_block *ir_add_inner(struct ir_builder *builder, struct ir_block ***next,
                              enum ir_block_kind kind)
{
    struct ir_block *block = arena_alloc(builder->arena, sizeof(*block));
    if (!block)
        return NULL;
    block->kind = kind;
    **next = block;
    *next = &block->next;
    return block;
}

struct ir_block *ir_add_block(struct ir_builder *builder, enum ir_block_kind kind)
{
    return ir_add_inner(builder, &builder->next_block, kind);
}

struct ir_tool *ir_add_tool(struct ir_builder *builder)
{
    struct ir_tool *tool = arena_alloc(builder->arena, sizeof(*tool));
    if (!tool)
        return NULL;
    *builder->next_tool = tool;
    builder->next_tool = &tool->next;
    return tool;
}

/* ---- deferred tools ---- */

/* Names that references made known: sorted, since tools times references may be a large product. */
struct known_names {
    struct ir_text *list; /* NULL: they are only counted */
    size_t count;
};

static void add_references(const struct ir_block *block, struct known_names *names)
{
    for (; block; block = block->next) {
        if (block->kind == IR_TOOL_REFERENCE) {
            if (names->list)
                names->list[names->count] = block->name;
            names->count++;
        }
        add_references(block->content, names);
    }
}

static void collect_references(const struct ir_request *request, struct known_names *names)
{
    names->count = 0;
    for (const struct ir_message *message = request->messages; message; message = message->next)
        add_references(message->blocks, names);
}

static int compare_names(const void *a, const void *b)
{
    return ir_text_compare(*(const struct ir_text *)a, *(const struct ir_text *)b);
}

static bool has_deferred(const struct ir_request *request)
{
    const struct ir_tool *tool = request->tools;
    while (tool && !tool->is_deferred)
        tool = tool->next;
    return tool;
}

int ir_mark_referenced(struct ir_request *request, struct arena *arena)
{
    struct known_names names = {0};
    if (!has_deferred(request))
        return 0;
    collect_references(request, &names);
    if (names.count == 0)
        return 0;
    names.list = arena_alloc(arena, names.count * sizeof(*names.list));
    if (!names.list)
        return -ERR_TOO_LARGE;
    collect_references(request, &names);
    qsort(names.list, names.count, sizeof(*names.list), compare_names);
    for (struct ir_tool *tool = request->tools; tool; tool = tool->next)
        tool->is_referenced = bsearch(&tool->name, names.list, names.count, sizeof(*names.list),
                                      compare_names) != NULL;
    return 0;
}

/* ---- the form of the answer ---- */

static int write_wish_for_json(const struct ir_request *request, struct arena *arena,
                               struct ir_text *ret)
{
    struct bytes text = {.max = 2 * request->format_schema.len + 1024};
    int r = bytes_add_span(&text, SPAN("Answer with one JSON object and nothing else."));
    if (r == 0 && json_is_filled(request->format_schema)) {
        r = bytes_add_span(&text, SPAN(" It has to fit this JSON schema:\\n"));
        if (r == 0)
            r = json_add_escaped(&text, json_span(request->format_schema));
    }
    const char *copy = r == 0 ? arena_copy(arena, bytes_span(&text)) : NULL;
    *ret = (struct ir_text){{copy, text.len}};
    bytes_release(&text);
    return copy ? 0 : -ERR_TOO_LARGE;
}

/* The leading system messages copied, since the last one's successor changes. */
static struct ir_message **copy_leading(struct arena *arena, struct ir_message **next)
{
    while (*next && (*next)->role == IR_ROLE_SYSTEM) {
        struct ir_message *copy = arena_alloc(arena, sizeof(*copy));
        if (!copy)
            return NULL;
        *copy = **next;
        *next = copy;
        next = &copy->next;
    }
    return next;
}

int ir_ask_for_json(const struct ir_request *request, struct arena *arena, struct ir_request *ret)
{
    struct ir_message *message = arena_alloc(arena, sizeof(*message));
    struct ir_block *block = arena_alloc(arena, sizeof(*block));
    *ret = *request;
    struct ir_message **next = copy_leading(arena, &ret->messages);
    if (!message || !block || !next || write_wish_for_json(request, arena, &block->text) < 0)
        return -ERR_TOO_LARGE;
    block->kind = IR_TEXT;
    *message = (struct ir_message){.next = *next, .role = IR_ROLE_SYSTEM, .blocks = block};
    *next = message;
    return 0;
}

/* ---- wishes ---- */

static const struct effort {
    const char *name;
    int64_t budget; /* what the word comes to */
    int64_t from;   /* the least budget that comes to this word; 0: none does */
} efforts[] = {
    [IR_EFFORT_UNSET] = {NULL, 0, 0},
    [IR_EFFORT_NONE] = {"none", 0, 0},
    [IR_EFFORT_MINIMAL] = {"minimal", 1024, 0}, /* few providers know the word */
    [IR_EFFORT_LOW] = {"low", 4096, 1},
    [IR_EFFORT_MEDIUM] = {"medium", 10000, 6000},
    [IR_EFFORT_HIGH] = {"high", 24000, 16000},
    [IR_EFFORT_XHIGH] = {"xhigh", 32000, 48000}, /* 31999 is the most that clients ask for */
    [IR_EFFORT_MAX] = {"max", 32000, 0},
};

#define EFFORTS (sizeof(efforts) / sizeof(efforts[0]))

const char *ir_effort_name(enum ir_effort effort)
{
    return efforts[effort].name;
}

enum ir_effort ir_effort_find(struct span name)
{
    for (size_t i = IR_EFFORT_NONE; i < EFFORTS; i++)
        if (span_equal_nocase(name, span_of(efforts[i].name)))
            return (enum ir_effort)i;
    return IR_EFFORT_UNSET;
}

static enum ir_effort effort_of_budget(int64_t budget)
{
    enum ir_effort effort = IR_EFFORT_UNSET;
    for (size_t i = 0; i < EFFORTS; i++)
        if (efforts[i].from > 0 && budget >= efforts[i].from)
            effort = (enum ir_effort)i;
    return effort;
}

enum ir_effort ir_wish_effort(const struct ir_wish *wish)
{
    if (wish->effort != IR_EFFORT_UNSET)
        return wish->effort;
    if (wish->budget > 0)
        return effort_of_budget(wish->budget);
    return wish->is_adaptive ? IR_EFFORT_HIGH : IR_EFFORT_UNSET; /* what Anthropic takes it for */
}

int64_t ir_wish_budget(const struct ir_wish *wish)
{
    if (wish->budget > 0 && wish->effort != IR_EFFORT_NONE)
        return wish->budget;
    return efforts[ir_wish_effort(wish)].budget;
}
