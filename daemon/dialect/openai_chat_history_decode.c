/*
 * The messages of a chat request, from the wire. A `tool` message becomes a user message with one
 * result; reasoning comes first in a message, calls come last, as the model made them.
 */
#include "dialect/openai_chat_reader.h"

#include <stdio.h>

/* ---- what a message may have ---- */

static const char *const names[] = {"role",
                                    "content",
                                    "name",
                                    "tool_calls",
                                    "tool_call_id",
                                    "function_call",
                                    "reasoning_content",
                                    "reasoning",
                                    "reasoning_details",
                                    "refusal",
                                    "cache_control",
                                    NULL};
enum {
    ROLE,
    CONTENT,
    NAME,
    TOOL_CALLS,
    TOOL_CALL_ID,
    FUNCTION_CALL,
    REASONING_CONTENT,
    REASONING,
    REASONING_DETAILS,
    REFUSAL,
    CACHE_CONTROL,
    NAMES
};

#define HAS(name) (1u << (name))

/* ---- reasoning ---- */

/*
 * A signature is good only where it was made. OpenRouter says so in `format`; a detail without one
 * is taken at its word.
 */
static bool is_anthropic_format(struct json format)
{
    return json_is_nothing(format) || span_starts(json_raw_text(format), SPAN("anthropic"));
}

/* One of reasoning_details; those without text or a usable signature say nothing. */
static int read_detail(struct chat_reader *reader, struct json detail)
{
    static const char *const members[] = {"text", "summary", "data", "signature", "format", NULL};
    struct json found[5];
    json_find(detail, members, found);
    struct json text = json_is_filled(found[0]) ? found[0] : found[1];
    bool is_signed = is_anthropic_format(found[4]);
    bool is_redacted = !json_is_filled(text) && json_is_filled(found[2]) && is_signed;
    if (json_is_filled(found[2]) && !is_redacted)
        ir_lose(reader->losses, "messages[].reasoning_details");
    if (!is_redacted && text.type != JSON_STRING)
        return 0;
    struct ir_block *block = chat_add_block(reader, IR_REASONING);
    if (!block)
        return chat_no_memory(reader);
    block->is_redacted = is_redacted;
    block->text = is_redacted ? (struct ir_text){0} : ir_text_of(text);
    block->signature = ir_text_of(is_redacted ? found[2] : found[3]);
    if (!is_signed)
        block->signature = (struct ir_text){0};
    block->raw = detail;
    return 0;
}

static bool has_text(struct json details)
{
    struct json detail;
    struct json_iter iter = json_iter(details);
    while (details.type == JSON_ARRAY && json_next(&iter, &detail))
        if (json_is_filled(json_get(detail, "text")) || json_is_filled(json_get(detail, "summary")))
            return true;
    return false;
}

/* The same reasoning may stand in three members: the details have it with its signatures. */
static int read_reasoning(struct chat_reader *reader, const struct json found[NAMES])
{
    struct json plain = found[REASONING_CONTENT], details = found[REASONING_DETAILS], detail;
    int r = chat_want(reader, names[REASONING_CONTENT], plain, JSON_STRING);
    if (r == 0)
        r = chat_want(reader, names[REASONING], found[REASONING], JSON_STRING);
    if (r == 0)
        r = chat_want(reader, names[REASONING_DETAILS], details, JSON_ARRAY);
    if (!json_is_filled(plain))
        plain = found[REASONING];
    if (r == 0 && json_is_filled(plain) && !has_text(details)) {
        struct ir_block *block = chat_add_block(reader, IR_REASONING);
        if (!block)
            return chat_no_memory(reader);
        block->text = ir_text_of(plain);
    }
    struct json_iter iter = json_iter(details);
    while (r == 0 && json_next(&iter, &detail))
        r = read_detail(reader, detail);
    return r;
}

/* ---- calls ---- */

/*
 * The JSON inside of a string is decoded into the arena, so that it is a slice as any other. "" and
 * "null" are what providers give for a call without arguments; what is no object stays as it came.
 */
static int read_arguments(struct chat_reader *reader, struct json arguments, struct ir_block *block)
{
    struct span text;
    struct json value = {0};
    if (arguments.type == JSON_OBJECT)
        value = arguments;
    else if (chat_want(reader, "arguments", arguments, JSON_STRING) < 0)
        return -ERR_INVALID_REQUEST;
    struct ir_text escaped = ir_text_of(arguments);
    if (value.type == JSON_OBJECT || ir_text_is_blank(escaped)) {
        block->arguments = value;
        return 0;
    }
    if (ir_text_plain(escaped, reader->builder.arena, &text) < 0)
        return chat_no_memory(reader);
    if (json_validate(text, &value, NULL) == 0 && value.type == JSON_OBJECT)
        block->arguments = value;
    else if (value.type != JSON_NULL)
        block->torn = escaped;
    return 0;
}

/* {"name", "arguments"} of a call. */
static int read_named(struct chat_reader *reader, struct json function, struct ir_block *block)
{
    static const char *const members[] = {"name", "arguments", NULL};
    struct json found[2];
    chat_find_members(reader, function, members, "messages[].tool_calls[].function.", found);
    int r = chat_want_text(reader, "name", found[0], &block->name);
    if (r == 0 && !ir_text_is_filled(block->name))
        r = chat_wrong(reader, "name", "is missing");
    return r == 0 ? read_arguments(reader, found[1], block) : r;
}

/* A call of a tool that takes free text: no dialect but this one has it. */
static int read_custom(struct chat_reader *reader, struct json custom, struct ir_block *block)
{
    int r = chat_want_text(reader, "name", json_get(custom, "name"), &block->name);
    if (r == 0 && !ir_text_is_filled(block->name))
        r = chat_wrong(reader, "name", "is missing");
    return r == 0 ? chat_want_text(reader, "input", json_get(custom, "input"), &block->torn) : r;
}

/* By position, so that it is the same every turn. */
static int make_id(struct chat_reader *reader, unsigned *number, struct ir_text *ret)
{
    const char *id = arena_printf(reader->builder.arena, "call_unnamed_%u", (*number)++);
    *ret = (struct ir_text){span_of(id)};
    return id ? 0 : chat_no_memory(reader);
}

static int read_call(struct chat_reader *reader, struct json call)
{
    static const char *const members[] = {"id", "type", "index", "function", "custom", NULL};
    struct json found[5];
    if (call.type != JSON_OBJECT)
        return chat_wrong(reader, NULL, "must be a JSON object");
    struct ir_block *block = chat_add_block(reader, IR_CALL);
    if (!block)
        return chat_no_memory(reader);
    block->raw = call;
    chat_find_members(reader, call, members, "messages[].tool_calls[].", found);
    int r = chat_want_text(reader, "id", found[0], &block->id);
    if (r < 0)
        return r;
    bool is_custom = found[4].type == JSON_OBJECT;
    if (!is_custom && found[3].type != JSON_OBJECT)
        return chat_wrong(reader, "function", "must be a JSON object");
    reader->within = is_custom ? "custom." : "function.";
    r = is_custom ? read_custom(reader, found[4], block) : read_named(reader, found[3], block);
    reader->within = NULL;
    if (r == 0 && !ir_text_is_filled(block->id))
        r = make_id(reader, &reader->calls_made, &block->id);
    return r;
}

static int read_calls(struct chat_reader *reader, struct json calls)
{
    struct json call;
    int r = chat_want(reader, names[TOOL_CALLS], calls, JSON_ARRAY);
    if (r < 0)
        return r;
    struct chat_place *place = chat_enter(reader, names[TOOL_CALLS]);
    struct json_iter iter = json_iter(calls);
    for (; r == 0 && json_next(&iter, &call); place->index++)
        r = read_call(reader, call);
    chat_leave(reader);
    return r;
}

/* The legacy form; beside tool_calls it may be there and empty. */
static int read_function_call(struct chat_reader *reader, struct json function)
{
    if (!json_is_filled(json_get(function, "name")))
        return chat_want(reader, names[FUNCTION_CALL], function, JSON_OBJECT);
    struct ir_block *block = chat_add_block(reader, IR_CALL);
    if (!block)
        return chat_no_memory(reader);
    block->raw = function;
    reader->within = "function_call.";
    int r = read_named(reader, function, block);
    reader->within = NULL;
    return r == 0 ? make_id(reader, &reader->calls_made, &block->id) : r;
}

/* ---- roles ---- */

static int read_plain(struct chat_reader *reader, const struct json found[NAMES])
{
    return chat_read_content(reader, found[CONTENT]);
}

static int read_assistant(struct chat_reader *reader, const struct json found[NAMES])
{
    struct ir_text refusal = {0};
    reader->calls_answered = reader->calls_made; /* of earlier turns none is open any more */
    int r = read_reasoning(reader, found);
    if (r == 0)
        r = chat_read_content(reader, found[CONTENT]);
    if (r == 0)
        r = chat_want_text(reader, names[REFUSAL], found[REFUSAL], &refusal);
    if (r == 0 && ir_text_is_filled(refusal)) {
        struct ir_block *block = chat_add_block(reader, IR_REFUSAL);
        if (!block)
            return chat_no_memory(reader);
        block->text = refusal;
    }
    if (r == 0)
        r = read_calls(reader, found[TOOL_CALLS]);
    return r == 0 ? read_function_call(reader, found[FUNCTION_CALL]) : r;
}

static int read_tool(struct chat_reader *reader, const struct json found[NAMES])
{
    struct ir_block *block = chat_add_block(reader, IR_RESULT);
    if (!block)
        return chat_no_memory(reader);
    struct ir_block **next = &block->content;
    int r = chat_want_text(reader, names[TOOL_CALL_ID], found[TOOL_CALL_ID], &block->id);
    if (r == 0 && !ir_text_is_filled(block->id))
        r = make_id(reader, &reader->calls_answered, &block->id);
    reader->inner = &next;
    if (r == 0)
        r = chat_read_content(reader, found[CONTENT]);
    reader->inner = NULL;
    return r;
}

static const struct role {
    const char *name;
    enum ir_role role;
    int (*read)(struct chat_reader *reader, const struct json found[NAMES]);
    unsigned uses; /* members that mean something here */
} roles[] = {
    {"system", IR_ROLE_SYSTEM, read_plain, 0},
    {"developer", IR_ROLE_SYSTEM, read_plain, 0},
    {"user", IR_ROLE_USER, read_plain, 0},
    {"assistant", IR_ROLE_ASSISTANT, read_assistant,
     HAS(TOOL_CALLS) | HAS(FUNCTION_CALL) | HAS(REASONING_CONTENT) | HAS(REASONING) |
         HAS(REASONING_DETAILS) | HAS(REFUSAL)},
    {"tool", IR_ROLE_USER, read_tool, HAS(TOOL_CALL_ID) | HAS(NAME)},
    {"function", IR_ROLE_USER, read_tool, HAS(NAME)},
};

#define EVERY_ROLE (HAS(ROLE) | HAS(CONTENT) | HAS(CACHE_CONTROL))

static const struct role *find_role(struct json name)
{
    for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
        if (json_is(name, roles[i].name))
            return &roles[i];
    return NULL;
}

/* ---- messages ---- */

static void lose_unused(struct chat_reader *reader, const struct json found[NAMES],
                        const struct role *role)
{
    for (unsigned i = 0; i < NAMES; i++) {
        if (json_is_nothing(found[i]) || (EVERY_ROLE | role->uses) & HAS(i))
            continue;
        char loss[IR_LOSS_NAME];
        (void)snprintf(loss, sizeof(loss), "messages[].%s", names[i]);
        ir_lose(reader->losses, loss);
    }
}

/* A mark on the message itself is one behind its last block. */
static int mark_last(struct chat_reader *reader, struct ir_message *message, struct json mark)
{
    struct ir_block *last = message->blocks;
    int r = chat_want(reader, names[CACHE_CONTROL], mark, JSON_OBJECT);
    while (last && last->next)
        last = last->next;
    if (last && mark.type == JSON_OBJECT)
        last->cache_mark = mark;
    return r;
}

static int read_message(struct chat_reader *reader, struct json json)
{
    struct json found[NAMES];
    if (json.type != JSON_OBJECT)
        return chat_wrong(reader, NULL, "must be a JSON object");
    chat_find_members(reader, json, names, "messages[].", found);
    const struct role *role = find_role(found[ROLE]);
    if (!role)
        return chat_wrong(reader, names[ROLE],
                          "must be system, developer, user, assistant, tool or function");
    struct ir_message *message = ir_add_message(&reader->builder, role->role);
    if (!message)
        return chat_no_memory(reader);
    lose_unused(reader, found, role);
    int r = role->read(reader, found);
    return r == 0 ? mark_last(reader, message, found[CACHE_CONTROL]) : r;
}

int chat_read_messages(struct chat_reader *reader, struct json messages)
{
    struct json message;
    if (messages.type != JSON_ARRAY)
        return chat_wrong(reader, "messages", "must be an array");
    if (!json_is_filled(messages))
        return chat_wrong(reader, "messages", "must not be empty");
    struct chat_place *place = chat_enter(reader, "messages");
    int r = 0;
    struct json_iter iter = json_iter(messages);
    for (; r == 0 && json_next(&iter, &message); place->index++)
        r = read_message(reader, message);
    chat_leave(reader);
    return r;
}
