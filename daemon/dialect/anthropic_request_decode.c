/* See anthropic.h: the top level of a request. What has no place in the neutral form is a loss. */
#include "dialect/anthropic_request_decode.h"

#include <assert.h>

/* ---- what is wrong, and where ---- */

void anthropic_enter(struct anthropic_reading *reading, const char *list, unsigned index)
{
    assert(reading->depth < ANTHROPIC_PATH_MAX);
    reading->path[reading->depth].name = list;
    reading->path[reading->depth++].index = index;
}

void anthropic_leave(struct anthropic_reading *reading)
{
    reading->depth--;
}

int anthropic_wrong(struct anthropic_reading *reading, const char *member, const char *must)
{
    struct bytes path = {.max = 256};
    for (unsigned i = 0; i < reading->depth; i++)
        (void)bytes_addf(&path, "%s%s[%u]", i ? "." : "", reading->path[i].name,
                         reading->path[i].index); /* names are ours: they fit */
    int r = err_set(reading->reterr, ERR_INVALID_REQUEST, "%s%s%s %s", path.len ? path.data : "",
                    path.len && member[0] ? "." : "", member, must);
    bytes_release(&path);
    return r;
}

static bool is_of(struct json value, enum json_type type)
{
    return value.type == type || (type == JSON_TRUE && value.type == JSON_FALSE);
}

int anthropic_need(struct anthropic_reading *reading, struct json value, enum json_type type,
                   const char *member)
{
    static const char *const must[] = {
        [JSON_TRUE] = "must be true or false", [JSON_NUMBER] = "must be a number",
        [JSON_STRING] = "must be a string",    [JSON_ARRAY] = "must be an array",
        [JSON_OBJECT] = "must be an object",
    };
    return is_of(value, type) ? 0 : anthropic_wrong(reading, member, must[type]);
}

int anthropic_need_filled(struct anthropic_reading *reading, struct json value, const char *member)
{
    int r = anthropic_need(reading, value, JSON_STRING, member);
    return r < 0 || json_is_filled(value) ? r
                                          : anthropic_wrong(reading, member, "must not be empty");
}

int anthropic_want(struct anthropic_reading *reading, struct json value, enum json_type type,
                   const char *member)
{
    return value.type == JSON_ABSENT ? 0 : anthropic_need(reading, value, type, member);
}

int anthropic_no_room(struct anthropic_reading *reading)
{
    return err_set(reading->reterr, ERR_TOO_LARGE, "the request has too many parts");
}

/* ---- members ---- */

static bool is_named(struct json key, struct span raw, bool is_escaped, const char *name)
{
    return is_escaped ? json_is(key, name) : span_equal(raw, span_of(name));
}

/* The place of a key in a list of names; -1: it is none of them. */
static int find_name(struct json key, const char *const *names)
{
    struct span raw = json_raw_text(key);
    bool is_escaped = raw.len > 0 && memchr(raw.at, '\\', raw.len);
    for (int i = 0; names[i]; i++)
        if (is_named(key, raw, is_escaped, names[i]))
            return i;
    return -1;
}

void anthropic_members(struct anthropic_reading *reading, struct json object,
                       const char *const *names, struct json *out, const char *prefix)
{
    struct json_iter iter = json_iter(object);
    struct json key, value;
    for (size_t i = 0; names[i]; i++)
        out[i] = (struct json){0};
    while (object.type == JSON_OBJECT && json_next_member(&iter, &key, &value)) {
        if (value.type == JSON_NULL)
            continue;
        int i = find_name(key, names);
        if (i < 0)
            ir_lose_member(reading->losses, prefix, key);
        else if (out[i].type == JSON_ABSENT)
            out[i] = value;
    }
}

/* ---- tools ---- */

static int read_client_tool(struct anthropic_reading *reading, struct json json,
                            struct ir_tool *tool)
{
    static const char *const names[] = {
        "type",   "name",          "description",   "input_schema",
        "strict", "defer_loading", "cache_control", NULL,
    };
    enum { TYPE, NAME, DESCRIPTION, SCHEMA, STRICT, DEFER, CACHE, COUNT };
    struct json found[COUNT];
    anthropic_members(reading, json, names, found, "tools[].");
    int r = anthropic_need_filled(reading, found[NAME], "name");
    if (r == 0)
        r = anthropic_want(reading, found[DESCRIPTION], JSON_STRING, "description");
    if (r == 0)
        r = anthropic_want(reading, found[SCHEMA], JSON_OBJECT, "input_schema");
    if (r == 0)
        r = anthropic_want(reading, found[STRICT], JSON_TRUE, "strict");
    if (r == 0)
        r = anthropic_want(reading, found[DEFER], JSON_TRUE, "defer_loading");
    if (r == 0)
        r = anthropic_want(reading, found[CACHE], JSON_OBJECT, "cache_control");
    if (r < 0)
        return r;
    tool->name = ir_text_of(found[NAME]);
    tool->description = ir_text_of(found[DESCRIPTION]);
    tool->schema = found[SCHEMA];
    tool->strict = found[STRICT];
    tool->is_deferred = json_is_true(found[DEFER]);
    tool->cache_mark = found[CACHE];
    return 0;
}

/* A tool of a type other than "custom" is the provider's own: the type says which. */
static int read_tool(struct anthropic_reading *reading, struct json json)
{
    int r = anthropic_need(reading, json, JSON_OBJECT, "");
    if (r < 0)
        return r;
    struct json type = json_get(json, "type");
    struct ir_tool *tool = ir_add_tool(&reading->builder);
    if (!tool)
        return anthropic_no_room(reading);
    tool->raw = json;
    if (json_is_nothing(type) || json_is(type, "custom"))
        return read_client_tool(reading, json, tool);
    r = anthropic_need(reading, type, JSON_STRING, "type");
    tool->is_server = true;
    tool->name = ir_text_of(type);
    return r;
}

static int read_tools(struct anthropic_reading *reading, struct json tools)
{
    int r = anthropic_want(reading, tools, JSON_ARRAY, "tools");
    struct json_iter iter = json_iter(tools);
    struct json tool;
    for (unsigned i = 0; r == 0 && json_next(&iter, &tool); i++) {
        anthropic_enter(reading, "tools", i);
        r = read_tool(reading, tool);
        anthropic_leave(reading);
    }
    return r;
}

/*
 * A choice names a tool of the provider by the tool's name, the neutral form by its type: the first
 * server tool of that name, unless the client has a tool of the same name.
 */
static struct ir_text chosen_tool(const struct ir_request *request, struct ir_text name)
{
    const struct ir_tool *server = NULL;
    for (const struct ir_tool *tool = request->tools; tool; tool = tool->next) {
        if (!tool->is_server && ir_text_equal(tool->name, name))
            return name;
        if (tool->is_server && !server &&
            ir_text_equal(ir_text_of(json_get(tool->raw, "name")), name))
            server = tool;
    }
    return server ? server->name : name;
}

static const struct {
    const char *type;
    enum ir_tool_choice choice;
} choices[] = {
    {"auto", IR_CHOICE_AUTO},
    {"any", IR_CHOICE_REQUIRED},
    {"tool", IR_CHOICE_TOOL},
    {"none", IR_CHOICE_NONE},
};

static int read_choice(struct anthropic_reading *reading, struct json json)
{
    static const char *const names[] = {"type", "name", "disable_parallel_tool_use", NULL};
    enum { TYPE, NAME, DISABLE, COUNT };
    struct json found[COUNT];
    struct ir_request *request = reading->builder.request;
    int r = anthropic_want(reading, json, JSON_OBJECT, "tool_choice");
    if (r < 0 || json.type == JSON_ABSENT)
        return r;
    anthropic_members(reading, json, names, found, "tool_choice.");
    for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++)
        if (json_is(found[TYPE], choices[i].type))
            request->tool_choice = choices[i].choice;
    if (request->tool_choice == IR_CHOICE_UNSET)
        return anthropic_wrong(reading, "tool_choice.type", "must be auto, any, tool or none");
    if (request->tool_choice == IR_CHOICE_TOOL) {
        r = anthropic_need(reading, found[NAME], JSON_STRING, "tool_choice.name");
        request->chosen_tool = chosen_tool(request, ir_text_of(found[NAME]));
    }
    if (r == 0)
        r = anthropic_want(reading, found[DISABLE], JSON_TRUE,
                           "tool_choice.disable_parallel_tool_use");
    if (json_is_true(found[DISABLE]))
        request->parallel_calls = (struct json){"false", 5, JSON_FALSE};
    return r;
}

/* ---- reasoning and the answer's form ---- */

static int read_thinking(struct anthropic_reading *reading, struct json json)
{
    static const char *const names[] = {"type", "budget_tokens", NULL};
    struct json found[2];
    struct ir_wish *wish = &reading->builder.request->wish;
    int r = anthropic_want(reading, json, JSON_OBJECT, "thinking");
    if (r < 0 || json.type == JSON_ABSENT)
        return r;
    anthropic_members(reading, json, names, found, "thinking.");
    r = anthropic_need(reading, found[0], JSON_STRING, "thinking.type");
    if (r == 0)
        r = anthropic_want(reading, found[1], JSON_NUMBER, "thinking.budget_tokens");
    if (json_is(found[0], "disabled"))
        wish->effort = IR_EFFORT_NONE;
    else if (json_is(found[0], "adaptive"))
        wish->is_adaptive = true;
    else if (!json_is(found[0], "enabled"))
        ir_lose(reading->losses, "thinking.type");
    else if (!json_int(found[1], &wish->budget) || wish->budget <= 0)
        *wish = (struct ir_wish){.is_adaptive = true}; /* on, but how much is not said */
    return r;
}

/* Reasoning that is switched off stays so: an effort beside it means the answer's length. */
static int read_effort(struct anthropic_reading *reading, struct json effort)
{
    struct ir_wish *wish = &reading->builder.request->wish;
    struct span word = {0};
    int r = anthropic_want(reading, effort, JSON_STRING, "output_config.effort");
    if (r < 0 || effort.type == JSON_ABSENT)
        return r;
    if (json_text(effort, reading->builder.arena, &word) < 0)
        return anthropic_no_room(reading);
    enum ir_effort found = ir_effort_find(word);
    if (found == IR_EFFORT_UNSET || wish->effort == IR_EFFORT_NONE)
        ir_lose(reading->losses, "output_config.effort");
    else
        wish->effort = found;
    return 0;
}

static int read_format(struct anthropic_reading *reading, struct json format, const char *member)
{
    static const char *const names[] = {"type", "schema", NULL};
    struct json found[2];
    struct ir_request *request = reading->builder.request;
    int r = anthropic_want(reading, format, JSON_OBJECT, member);
    if (r < 0 || format.type == JSON_ABSENT)
        return r;
    anthropic_members(reading, format, names, found, "output_config.format.");
    if (!json_is(found[0], "json_schema") || found[1].type != JSON_OBJECT) {
        ir_lose(reading->losses, member);
        return 0;
    }
    request->format = IR_FORMAT_SCHEMA;
    request->format_schema = found[1];
    return 0;
}

static int read_output_config(struct anthropic_reading *reading, struct json json)
{
    static const char *const names[] = {"effort", "format", NULL};
    struct json found[2];
    int r = anthropic_want(reading, json, JSON_OBJECT, "output_config");
    anthropic_members(reading, json, names, found, "output_config.");
    if (r == 0)
        r = read_effort(reading, found[0]);
    return r == 0 ? read_format(reading, found[1], "output_config.format") : r;
}

/* ---- the rest ---- */

static int read_metadata(struct anthropic_reading *reading, struct json json)
{
    static const char *const names[] = {"user_id", NULL};
    struct json user;
    int r = anthropic_want(reading, json, JSON_OBJECT, "metadata");
    anthropic_members(reading, json, names, &user, "metadata.");
    if (r == 0)
        r = anthropic_want(reading, user, JSON_STRING, "metadata.user_id");
    reading->builder.request->user = ir_text_of(user);
    return r;
}

static int read_stop(struct anthropic_reading *reading, struct json stop)
{
    int r = anthropic_want(reading, stop, JSON_ARRAY, "stop_sequences");
    struct json_iter iter = json_iter(stop);
    struct json sequence;
    for (unsigned i = 0; r == 0 && json_next(&iter, &sequence); i++) {
        anthropic_enter(reading, "stop_sequences", i);
        r = anthropic_need(reading, sequence, JSON_STRING, "");
        anthropic_leave(reading);
    }
    if (json_is_filled(stop))
        reading->builder.request->stop = stop;
    return r;
}

static int read_output_format(struct anthropic_reading *reading, struct json json)
{
    return read_format(reading, json, "output_format");
}

static int read_stream(struct anthropic_reading *reading, struct json json)
{
    reading->builder.request->stream = json_is_true(json); /* its type was checked before */
    return 0;
}

/* The model is known to whoever routes the request. */
static int read_max_tokens(struct anthropic_reading *reading, struct json json)
{
    int64_t count;
    reading->builder.request->max_tokens = json;
    if (json.type == JSON_ABSENT || (json_int(json, &count) && count > 0))
        return 0;
    return anthropic_wrong(reading, "max_tokens", "must be a whole number above 0");
}

static int skip(struct anthropic_reading *reading, struct json json)
{
    (void)reading, (void)json;
    return 0;
}

/* In the order they are read: a choice looks at the tools, an effort at thinking. */
static const struct {
    const char *name;
    int (*read)(struct anthropic_reading *reading, struct json value); /* NULL: a number */
    size_t offset;                                                     /* of the number's slice */
} members[] = {
    {"model", skip, 0},
    {"stream", read_stream, 0},
    {"system", anthropic_read_system, 0},
    {"messages", anthropic_read_messages, 0},
    {"tools", read_tools, 0},
    {"tool_choice", read_choice, 0},
    {"max_tokens", read_max_tokens, 0},
    {"temperature", NULL, offsetof(struct ir_request, temperature)},
    {"top_p", NULL, offsetof(struct ir_request, top_p)},
    {"top_k", NULL, offsetof(struct ir_request, top_k)},
    {"stop_sequences", read_stop, 0},
    {"thinking", read_thinking, 0},
    {"output_config", read_output_config, 0},
    {"output_format", read_output_format, 0},
    {"metadata", read_metadata, 0},
};

#define MEMBERS (sizeof(members) / sizeof(members[0]))

static int read_member(struct anthropic_reading *reading, size_t i, struct json value)
{
    if (members[i].read)
        return members[i].read(reading, value);
    char *request = (char *)reading->builder.request;
    *(struct json *)(void *)(request + members[i].offset) = value;
    return anthropic_want(reading, value, JSON_NUMBER, members[i].name);
}

int anthropic_decode_request(struct span body, struct arena *arena, struct ir_request *ret,
                             struct ir_losses *losses, struct err *reterr)
{
    const char *names[MEMBERS + 1] = {0};
    struct json root, found[MEMBERS];
    struct anthropic_reading reading = {
        .builder = ir_builder(ret, arena), .losses = losses, .reterr = reterr};
    for (size_t i = 0; i < MEMBERS; i++)
        names[i] = members[i].name;
    int r = json_validate(body, &root, reterr);
    if (r == 0)
        r = anthropic_need(&reading, root, JSON_OBJECT, "the request");
    if (r < 0)
        return r;
    anthropic_members(&reading, root, names, found, "");
    ret->wants_usage = true; /* this API's streams always tell it */
    for (size_t i = 0; r == 0 && i < MEMBERS; i++)
        r = read_member(&reading, i, found[i]);
    if (r == 0 && ir_mark_referenced(ret, arena) < 0)
        r = err_set(reterr, ERR_TOO_LARGE, "the request does not fit in memory");
    return r;
}
