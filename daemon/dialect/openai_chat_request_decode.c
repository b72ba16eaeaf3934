/*
 * A chat request, from the wire: its members but for the messages. Every member is a row of one
 * table; what has no row is a loss. The rows stand in the order they are read in: of two members
 * that mean the same, the later row counts.
 */
#include "dialect/openai_chat.h"

#include <stdio.h>

#include "dialect/openai_chat_reader.h"

/* ---- members ---- */

static bool says_nothing(struct json value)
{
    bool is_container = value.type == JSON_ARRAY || value.type == JSON_OBJECT;
    return json_is_nothing(value) || (is_container && !json_is_filled(value));
}

static int find_name(struct json key, const char *const *names)
{
    for (int i = 0; names[i]; i++)
        if (json_is(key, names[i]))
            return i;
    return -1;
}

void chat_find_members(struct chat_reader *reader, struct json object, const char *const *names,
                       const char *prefix, struct json *out)
{
    struct json key, value;
    for (size_t i = 0; names[i]; i++)
        out[i] = (struct json){0};
    if (object.type != JSON_OBJECT)
        return;
    struct json_iter iter = json_iter(object);
    while (json_next_member(&iter, &key, &value)) {
        int i = find_name(key, names);
        if (i < 0 && !says_nothing(value))
            ir_lose_member(reader->losses, prefix, key);
        else if (i >= 0 && out[i].type == JSON_ABSENT && value.type != JSON_NULL)
            out[i] = value;
    }
}

struct chat_place *chat_enter(struct chat_reader *reader, const char *list)
{
    struct chat_place *place = &reader->places[reader->depth++];
    *place = (struct chat_place){list, 0};
    return place;
}

void chat_leave(struct chat_reader *reader)
{
    reader->depth--;
}

int chat_wrong(struct chat_reader *reader, const char *member, const char *problem)
{
    char place[96] = "";
    size_t len = 0;
    for (unsigned i = 0; i < reader->depth; i++)
        len += (size_t)snprintf(place + len, sizeof(place) - len, "%s%s[%zu]", i ? "." : "",
                                reader->places[i].list, reader->places[i].index);
    return err_set(reader->reterr, ERR_INVALID_REQUEST, "%s%s%s%s %s", place,
                   len && member ? "." : "", member && reader->within ? reader->within : "",
                   member ? member : "", problem);
}

int chat_want(struct chat_reader *reader, const char *member, struct json value,
              enum json_type type)
{
    static const char *const problems[] = {
        [JSON_TRUE] = "must be true or false",   [JSON_NUMBER] = "must be a number",
        [JSON_STRING] = "must be a string",      [JSON_ARRAY] = "must be an array",
        [JSON_OBJECT] = "must be a JSON object",
    };
    if (value.type == type || json_is_nothing(value) ||
        (type == JSON_TRUE && value.type == JSON_FALSE))
        return 0;
    return chat_wrong(reader, member, problems[type]);
}

int chat_want_text(struct chat_reader *reader, const char *member, struct json value,
                   struct ir_text *ret)
{
    int r = chat_want(reader, member, value, JSON_STRING);
    if (r == 0 && value.type == JSON_STRING)
        *ret = ir_text_of(value);
    return r;
}

int chat_no_memory(struct chat_reader *reader)
{
    return err_set(reader->reterr, ERR_TOO_LARGE, "the request does not fit in memory");
}

/* A row of the table of members; `read` runs only for a member that was sent. */
struct member {
    const char *name;
    int (*read)(struct chat_reader *reader, const struct member *member, struct json value);
    size_t offset; /* of what it fills in struct ir_request */
};

static void *filled(struct chat_reader *reader, const struct member *member)
{
    return (char *)reader->builder.request + member->offset;
}

/* ---- simple members ---- */

static int read_elsewhere(struct chat_reader *reader, const struct member *member,
                          struct json value)
{
    (void)reader, (void)member, (void)value; /* the view has it */
    return 0;
}

static int read_number(struct chat_reader *reader, const struct member *member, struct json value)
{
    *(struct json *)filled(reader, member) = value;
    return chat_want(reader, member->name, value, JSON_NUMBER);
}

/* A number of tokens; -1 is how some clients say "as many as you like". */
static int read_limit(struct chat_reader *reader, const struct member *member, struct json value)
{
    int64_t limit;
    if (!json_int(value, &limit) || limit == 0)
        return chat_wrong(reader, member->name, "must be a whole number above 0");
    if (limit > 0)
        *(struct json *)filled(reader, member) = value;
    return 0;
}

static int read_choices(struct chat_reader *reader, const struct member *member, struct json value)
{
    int64_t count;
    if (!json_int(value, &count) || count < 1)
        return chat_wrong(reader, member->name, "must be a whole number above 0");
    if (count > 1)
        reader->builder.request->choices = value;
    return 0;
}

static int read_boolean(struct chat_reader *reader, const struct member *member, struct json value)
{
    *(struct json *)filled(reader, member) = value;
    return chat_want(reader, member->name, value, JSON_TRUE);
}

static int read_text(struct chat_reader *reader, const struct member *member, struct json value)
{
    return chat_want_text(reader, member->name, value, filled(reader, member));
}

static int read_stream(struct chat_reader *reader, const struct member *member, struct json value)
{
    reader->builder.request->stream = json_is_true(value);
    return chat_want(reader, member->name, value, JSON_TRUE);
}

static int read_stream_options(struct chat_reader *reader, const struct member *member,
                               struct json value)
{
    static const char *const names[] = {"include_usage", NULL};
    struct json include_usage;
    int r = chat_want(reader, member->name, value, JSON_OBJECT);
    chat_find_members(reader, value, names, "stream_options.", &include_usage);
    if (r == 0)
        r = chat_want(reader, "stream_options.include_usage", include_usage, JSON_TRUE);
    reader->builder.request->wants_usage = json_is_true(include_usage);
    return r;
}

static int read_stop(struct chat_reader *reader, const struct member *member, struct json value)
{
    struct json element;
    if (value.type != JSON_ARRAY && value.type != JSON_STRING)
        return chat_wrong(reader, member->name, "must be a string or an array of strings");
    struct json_iter iter = json_iter(value); /* a string has no elements */
    while (json_next(&iter, &element))
        if (element.type != JSON_STRING)
            return chat_wrong(reader, member->name, "must be a string or an array of strings");
    if (json_is_filled(value))
        reader->builder.request->stop = value;
    return 0;
}

/* ---- tools ---- */

/* The definition of a function; also an element of the legacy member `functions`. */
static int read_function(struct chat_reader *reader, struct json function, const char *prefix,
                         struct ir_tool *tool)
{
    static const char *const names[] = {"name", "description", "parameters", "strict", NULL};
    struct json found[4];
    chat_find_members(reader, function, names, prefix, found);
    int r = chat_want_text(reader, "name", found[0], &tool->name);
    if (r == 0 && !ir_text_is_filled(tool->name))
        r = chat_wrong(reader, "name", "is missing");
    if (r == 0)
        r = chat_want_text(reader, "description", found[1], &tool->description);
    if (r == 0)
        r = chat_want(reader, "parameters", found[2], JSON_OBJECT);
    if (r == 0)
        r = chat_want(reader, "strict", found[3], JSON_TRUE);
    tool->schema = found[2];
    tool->strict = found[3];
    return r;
}

static int read_function_tool(struct chat_reader *reader, struct json element, struct ir_tool *tool)
{
    static const char *const names[] = {"type", "function", "cache_control", NULL};
    struct json found[3];
    chat_find_members(reader, element, names, "tools[].", found);
    if (found[1].type != JSON_OBJECT)
        return chat_wrong(reader, "function", "must be a JSON object");
    int r = chat_want(reader, "cache_control", found[2], JSON_OBJECT);
    tool->cache_mark = found[2];
    reader->within = "function.";
    if (r == 0)
        r = read_function(reader, found[1], "tools[].function.", tool);
    reader->within = NULL;
    return r;
}

static int read_tool(struct chat_reader *reader, struct json element)
{
    struct json type = json_get(element, "type");
    if (element.type != JSON_OBJECT)
        return chat_wrong(reader, NULL, "must be a JSON object");
    struct ir_tool *tool = ir_add_tool(&reader->builder);
    if (!tool)
        return chat_no_memory(reader);
    tool->raw = element;
    if (json_is_nothing(type) || json_is(type, "function"))
        return read_function_tool(reader, element, tool);
    tool->is_server = true; /* also "custom": free text in, which no other dialect has */
    return chat_want_text(reader, "type", type, &tool->name);
}

static int read_legacy_function(struct chat_reader *reader, struct json element)
{
    if (element.type != JSON_OBJECT)
        return chat_wrong(reader, NULL, "must be a JSON object");
    struct ir_tool *tool = ir_add_tool(&reader->builder);
    if (!tool)
        return chat_no_memory(reader);
    tool->raw = element;
    return read_function(reader, element, "functions[].", tool);
}

static int read_list(struct chat_reader *reader, const char *name, struct json value,
                     int (*read)(struct chat_reader *reader, struct json element))
{
    struct json element;
    int r = chat_want(reader, name, value, JSON_ARRAY);
    if (r < 0)
        return r;
    struct chat_place *place = chat_enter(reader, name);
    struct json_iter iter = json_iter(value);
    for (; r == 0 && json_next(&iter, &element); place->index++)
        r = read(reader, element);
    chat_leave(reader);
    return r;
}

static int read_tools(struct chat_reader *reader, const struct member *member, struct json value)
{
    return read_list(reader, member->name, value, read_tool);
}

static int read_functions(struct chat_reader *reader, const struct member *member,
                          struct json value)
{
    return read_list(reader, member->name, value, read_legacy_function);
}

static int choose_tool(struct chat_reader *reader, const char *name_of, struct json name)
{
    struct ir_request *request = reader->builder.request;
    if (!json_is_filled(name))
        return chat_wrong(reader, name_of, "is missing");
    request->tool_choice = IR_CHOICE_TOOL;
    return chat_want_text(reader, name_of, name, &request->chosen_tool);
}

/* The words of a choice, bare or as the type of an object; "any" is Mistral's. */
static bool read_choice_word(struct chat_reader *reader, struct json word)
{
    static const struct {
        const char *word;
        enum ir_tool_choice choice;
    } words[] = {{"auto", IR_CHOICE_AUTO},
                 {"none", IR_CHOICE_NONE},
                 {"required", IR_CHOICE_REQUIRED},
                 {"any", IR_CHOICE_REQUIRED}};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (json_is(word, words[i].word)) {
            reader->builder.request->tool_choice = words[i].choice;
            return true;
        }
    }
    return false;
}

/*
 * {"mode", "tools"}: the other tools stay declared, so that a prompt cache is not lost; only when
 * exactly one may be called and one must be, that is said.
 */
static int read_allowed_tools(struct chat_reader *reader, struct json allowed)
{
    struct json tool, more;
    struct json_iter iter = json_iter(json_get(allowed, "tools"));
    bool is_one = json_next(&iter, &tool) && !json_next(&iter, &more);
    if (is_one && json_is(json_get(allowed, "mode"), "required"))
        return choose_tool(reader, "tool_choice.allowed_tools.tools",
                           json_path(tool, "function", "name", NULL));
    ir_lose(reader->losses, "tool_choice.allowed_tools");
    if (!read_choice_word(reader, json_get(allowed, "mode")))
        return chat_wrong(reader, "tool_choice.allowed_tools.mode", "must be auto or required");
    return 0;
}

static int read_tool_choice(struct chat_reader *reader, const struct member *member,
                            struct json value)
{
    struct json type = json_get(value, "type");
    if (read_choice_word(reader, value.type == JSON_STRING ? value : type))
        return 0;
    if (json_is(type, "function") || json_get(value, "function").type == JSON_OBJECT)
        return choose_tool(reader, "tool_choice.function.name",
                           json_path(value, "function", "name", NULL));
    if (json_is(type, "allowed_tools"))
        return read_allowed_tools(reader, json_get(value, "allowed_tools"));
    if (!json_is_filled(type))
        return chat_wrong(reader, member->name, "must be auto, none, required or name a tool");
    ir_lose(reader->losses, "tool_choice"); /* of a tool that is not declared either */
    return 0;
}

static int read_function_call(struct chat_reader *reader, const struct member *member,
                              struct json value)
{
    if (reader->builder.request->tool_choice != IR_CHOICE_UNSET || read_choice_word(reader, value))
        return 0;
    if (value.type != JSON_OBJECT)
        return chat_wrong(reader, member->name, "must be auto, none or name a function");
    return choose_tool(reader, "function_call.name", json_get(value, "name"));
}

/* ---- the form of the answer ---- */

static int read_schema(struct chat_reader *reader, struct json json_schema)
{
    static const char *const names[] = {"name", "schema", "strict", NULL};
    struct ir_request *request = reader->builder.request;
    struct json found[3];
    chat_find_members(reader, json_schema, names, "response_format.json_schema.", found);
    int r =
        chat_want_text(reader, "response_format.json_schema.name", found[0], &request->format_name);
    if (r == 0)
        r = chat_want(reader, "response_format.json_schema.schema", found[1], JSON_OBJECT);
    if (r == 0)
        r = chat_want(reader, "response_format.json_schema.strict", found[2], JSON_TRUE);
    request->format = found[1].type == JSON_OBJECT ? IR_FORMAT_SCHEMA : IR_FORMAT_JSON;
    request->format_schema = found[1];
    request->format_strict = found[2];
    return r;
}

/* A schema beside "json_object" is how Together and llama.cpp take one. */
static int read_response_format(struct chat_reader *reader, const struct member *member,
                                struct json value)
{
    static const char *const names[] = {"type", "json_schema", "schema", NULL};
    struct ir_request *request = reader->builder.request;
    struct json found[3];
    int r = chat_want(reader, member->name, value, JSON_OBJECT);
    chat_find_members(reader, value, names, "response_format.", found);
    if (r < 0)
        return r;
    if (json_is(found[0], "json_schema") && found[1].type == JSON_OBJECT)
        return read_schema(reader, found[1]);
    if (json_is(found[0], "json_schema"))
        return chat_wrong(reader, "response_format.json_schema", "must be a JSON object");
    if (json_is(found[0], "json_object")) {
        request->format = found[2].type == JSON_OBJECT ? IR_FORMAT_SCHEMA : IR_FORMAT_JSON;
        request->format_schema = found[2];
    } else if (found[0].type != JSON_STRING) {
        return chat_wrong(reader, "response_format.type", "must be a string");
    } else if (!json_is(found[0], "text")) {
        ir_lose_member(reader->losses, "response_format.", found[0]);
    }
    return 0;
}

/* ---- the whole ---- */

static int read_messages(struct chat_reader *reader, const struct member *member, struct json value)
{
    (void)member;
    return chat_read_messages(reader, value);
}

static int read_wish(struct chat_reader *reader, const struct member *member, struct json value)
{
    return chat_read_wish(reader, member->name, value);
}

#define FILLS(member_) offsetof(struct ir_request, member_)

static const struct member members[] = {
    {"messages", read_messages, 0},
    {"model", read_elsewhere, 0},
    {"tools", read_tools, 0},
    {"functions", read_functions, 0},
    {"tool_choice", read_tool_choice, 0},
    {"function_call", read_function_call, 0},
    {"parallel_tool_calls", read_boolean, FILLS(parallel_calls)},
    {"max_tokens", read_limit, FILLS(max_tokens)},
    {"max_completion_tokens", read_limit, FILLS(max_tokens)},
    {"temperature", read_number, FILLS(temperature)},
    {"top_p", read_number, FILLS(top_p)},
    {"top_k", read_number, FILLS(top_k)},
    {"seed", read_number, FILLS(seed)},
    {"frequency_penalty", read_number, FILLS(frequency_penalty)},
    {"presence_penalty", read_number, FILLS(presence_penalty)},
    {"n", read_choices, 0},
    {"stop", read_stop, 0},
    {"response_format", read_response_format, 0},
    {"reasoning_effort", read_wish, 0},
    {"reasoning", read_wish, 0},
    {"thinking_budget", read_wish, 0},
    {"thinking", read_wish, 0},
    {"enable_thinking", read_wish, 0},
    {"safety_identifier", read_text, FILLS(user)},
    {"user", read_text, FILLS(user)},
    {"prompt_cache_key", read_text, FILLS(cache_key)},
    {"stream", read_stream, 0},
    {"stream_options", read_stream_options, 0},
};

#define MEMBERS (sizeof(members) / sizeof(members[0]))

static int read_members(struct chat_reader *reader, struct json root)
{
    const char *names[MEMBERS + 1] = {0};
    struct json found[MEMBERS];
    for (size_t i = 0; i < MEMBERS; i++)
        names[i] = members[i].name;
    chat_find_members(reader, root, names, "", found);
    if (found[0].type == JSON_ABSENT)
        return chat_wrong(reader, members[0].name, "is missing");
    int r = 0;
    for (size_t i = 0; r == 0 && i < MEMBERS; i++)
        if (found[i].type != JSON_ABSENT)
            r = members[i].read(reader, &members[i], found[i]);
    return r;
}

int openai_chat_decode_request(struct span body, struct arena *arena, struct ir_request *ret,
                               struct ir_losses *losses, struct err *reterr)
{
    struct chat_reader reader = {
        .builder = ir_builder(ret, arena), .losses = losses, .reterr = reterr};
    struct json root;
    int r = json_validate(body, &root, reterr);
    if (r == 0 && root.type != JSON_OBJECT)
        r = err_set(reterr, ERR_INVALID_REQUEST, "the body must be a JSON object");
    return r == 0 ? read_members(&reader, root) : r;
}
