/*
 * A chat request, to the wire: its members but for the messages. They stand in an order that keeps a
 * provider's prompt cache: model and tools, then the messages, and behind them whatever may change
 * from turn to turn.
 */
#include "dialect/openai_chat.h"

#include <stdio.h>
#include <stdlib.h>

#include "dialect/openai_chat_writer.h"

#define USER_MAX 64
#define STOPS    4

#define EMPTY_SCHEMA "{\"type\":\"object\",\"properties\":{}}"

void chat_lose_word(struct chat_writer *writer, const char *prefix, struct ir_text word)
{
    char quoted[IR_LOSS_NAME + 2];
    int len = snprintf(quoted, sizeof(quoted), "\"%.*s\"",
                       (int)(word.escaped.len < IR_LOSS_NAME ? word.escaped.len : IR_LOSS_NAME - 1),
                       word.escaped.at ? word.escaped.at : "");
    ir_lose_member(writer->losses, prefix, (struct json){quoted, (size_t)len, JSON_STRING});
}

/* ---- tools ---- */

/* Strict providers want an object schema that says it is one. */
static void write_parameters(struct chat_writer *writer, struct json schema)
{
    chat_put(writer, SPAN(",\"parameters\":"));
    if (!json_is_filled(schema)) {
        chat_put(writer, SPAN(EMPTY_SCHEMA));
    } else if (json_get(schema, "type").type != JSON_ABSENT) {
        chat_put(writer, json_span(schema));
    } else {
        chat_put(writer, SPAN("{\"type\":\"object\","));
        chat_put(writer, (struct span){schema.at + 1, schema.len - 1});
    }
}

static void write_tool(struct chat_writer *writer, const struct ir_tool *tool)
{
    chat_put(writer, SPAN("{\"type\":\"function\",\"function\":{\"name\":"));
    chat_put_text(writer, tool->name);
    if (ir_text_is_filled(tool->description)) {
        chat_put(writer, SPAN(",\"description\":"));
        chat_put_text(writer, tool->description);
    }
    write_parameters(writer, tool->schema);
    if (!json_is_nothing(tool->strict)) {
        chat_put(writer, SPAN(",\"strict\":"));
        chat_put_value(writer, tool->strict);
    }
    chat_put(writer, SPAN("}}"));
    if (!json_is_nothing(tool->cache_mark))
        ir_lose(writer->losses, "tools[].cache_control");
}

/* What the other members that speak of tools need to know. */
struct written_tools {
    size_t count;
    bool has_chosen;
};

static void write_tools_of(struct chat_writer *writer, bool is_deferred,
                           struct written_tools *written)
{
    const struct ir_request *request = writer->request;
    for (const struct ir_tool *tool = request->tools; tool; tool = tool->next) {
        if (tool->is_deferred != is_deferred || !ir_tool_is_declared(tool))
            continue;
        chat_put(writer, written->count++ ? SPAN(",") : SPAN(",\"tools\":["));
        write_tool(writer, tool);
        written->has_chosen |= ir_text_equal(tool->name, request->chosen_tool);
    }
}

/* A tool that becomes known later stands behind the others, which then keep their bytes. */
static struct written_tools write_tools(struct chat_writer *writer)
{
    struct written_tools written = {0};
    for (const struct ir_tool *tool = writer->request->tools; tool; tool = tool->next)
        if (tool->is_server)
            chat_lose_word(writer, "tools[].", tool->name);
    write_tools_of(writer, false, &written);
    write_tools_of(writer, true, &written);
    if (written.count)
        chat_put(writer, SPAN("]"));
    return written;
}

static void write_chosen_tool(struct chat_writer *writer)
{
    chat_put(writer, SPAN(",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":"));
    chat_put_text(writer, writer->request->chosen_tool);
    chat_put(writer, SPAN("}}"));
}

static void write_tool_choice(struct chat_writer *writer, const struct written_tools *tools)
{
    static const struct span words[] = {
        [IR_CHOICE_AUTO] = SPAN(",\"tool_choice\":\"auto\""),
        [IR_CHOICE_NONE] = SPAN(",\"tool_choice\":\"none\""),
        [IR_CHOICE_REQUIRED] = SPAN(",\"tool_choice\":\"required\""),
    };
    enum ir_tool_choice choice = writer->request->tool_choice;
    bool is_forced = choice == IR_CHOICE_REQUIRED || choice == IR_CHOICE_TOOL;
    bool is_sayable = choice == IR_CHOICE_AUTO || chat_can(writer, IR_CAN_TOOL_CHOICE);
    if (choice == IR_CHOICE_UNSET || (tools->count == 0 && !is_forced))
        return;
    if (tools->count == 0 || !is_sayable || (choice == IR_CHOICE_TOOL && !tools->has_chosen))
        ir_lose(writer->losses, "tool_choice");
    else if (choice == IR_CHOICE_TOOL)
        write_chosen_tool(writer);
    else
        chat_put(writer, words[choice]);
}

static void write_parallel_calls(struct chat_writer *writer, const struct written_tools *tools)
{
    struct json parallel = writer->request->parallel_calls;
    if (json_is_nothing(parallel) || tools->count == 0)
        return;
    if (chat_can(writer, IR_CAN_PARALLEL_CALLS)) {
        chat_put(writer, SPAN(",\"parallel_tool_calls\":"));
        chat_put_value(writer, parallel);
    } else if (!json_is_true(parallel)) {
        ir_lose(writer->losses, "parallel_tool_calls");
    }
}

/* ---- the form of the answer ---- */

static void write_schema(struct chat_writer *writer)
{
    const struct ir_request *request = writer->request;
    chat_put(writer,
             SPAN(",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":"));
    chat_put_text(writer, ir_text_is_filled(request->format_name) ? request->format_name
                                                                  : IR_TEXT_LITERAL("answer"));
    chat_put(writer, SPAN(",\"schema\":"));
    chat_put_value(writer, request->format_schema);
    if (!json_is_nothing(request->format_strict)) {
        chat_put(writer, SPAN(",\"strict\":"));
        chat_put_value(writer, request->format_strict);
    }
    chat_put(writer, SPAN("}}"));
}

static void write_format(struct chat_writer *writer)
{
    enum ir_format format = writer->request->format;
    bool has_schema = format == IR_FORMAT_SCHEMA && chat_can(writer, IR_CAN_JSON_SCHEMA);
    if (format == IR_FORMAT_TEXT)
        return;
    if (has_schema) {
        write_schema(writer);
        return;
    }
    chat_put(writer, SPAN(",\"response_format\":{\"type\":\"json_object\"}"));
    if (format == IR_FORMAT_SCHEMA)
        ir_lose(writer->losses, "response_format.json_schema");
}

/* ---- numbers ---- */

void chat_put_number(struct chat_writer *writer, int64_t number)
{
    if (writer->status == 0)
        writer->status = bytes_addf(writer->out, "%lld", (long long)number);
}

static void write_max_tokens(struct chat_writer *writer)
{
    struct json wanted = writer->request->max_tokens;
    int64_t limit = writer->target->max_output, count;
    if (json_is_nothing(wanted))
        return;
    chat_put(writer, chat_can(writer, IR_CAN_MAX_COMPLETION_TOKENS)
                         ? SPAN(",\"max_completion_tokens\":")
                         : SPAN(",\"max_tokens\":"));
    if (limit > 0 && json_int(wanted, &count) && count > limit) {
        chat_put_number(writer, limit);
        ir_lose(writer->losses, "max_tokens");
    } else {
        chat_put_value(writer, wanted);
    }
}

#define ALWAYS IR_CAPABILITIES

/* Numbers that go as they came, where the target takes them. */
static const struct number {
    const char *name;
    size_t offset;
    enum ir_capability needs;
} numbers[] = {
    {"temperature", offsetof(struct ir_request, temperature), IR_CAN_SAMPLING},
    {"top_p", offsetof(struct ir_request, top_p), IR_CAN_SAMPLING},
    {"top_k", offsetof(struct ir_request, top_k), IR_CAN_TOP_K},
    {"seed", offsetof(struct ir_request, seed), ALWAYS},
    {"frequency_penalty", offsetof(struct ir_request, frequency_penalty), ALWAYS},
    {"presence_penalty", offsetof(struct ir_request, presence_penalty), ALWAYS},
    {"n", offsetof(struct ir_request, choices), ALWAYS},
};

/* A member whose name needs no escapes. */
static void begin_member(struct chat_writer *writer, const char *name)
{
    chat_put(writer, SPAN(",\""));
    chat_put(writer, span_of(name));
    chat_put(writer, SPAN("\":"));
}

static void write_numbers(struct chat_writer *writer)
{
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        const struct number *number = &numbers[i];
        const struct json *value = (const void *)((const char *)writer->request + number->offset);
        if (json_is_nothing(*value))
            continue;
        if (number->needs == ALWAYS || chat_can(writer, number->needs)) {
            begin_member(writer, number->name);
            chat_put_value(writer, *value);
        } else {
            ir_lose(writer->losses, number->name);
        }
    }
}

/* ---- stop sequences ---- */

/* Four are what OpenAI and most others take. */
static void write_first_stops(struct chat_writer *writer, struct json stops)
{
    struct json stop;
    size_t count = 0;
    struct json_iter iter = json_iter(stops);
    chat_put(writer, SPAN("["));
    for (; count < STOPS && json_next(&iter, &stop); count++) {
        chat_put(writer, count ? SPAN(",") : SPAN(""));
        chat_put_value(writer, stop);
    }
    chat_put(writer, SPAN("]"));
    if (json_next(&iter, &stop))
        ir_lose(writer->losses, "stop");
}

static void write_stop(struct chat_writer *writer)
{
    struct json stop = writer->request->stop;
    if (!json_is_filled(stop))
        return;
    if (!chat_can(writer, IR_CAN_STOP)) {
        ir_lose(writer->losses, "stop");
        return;
    }
    chat_put(writer, SPAN(",\"stop\":"));
    if (stop.type == JSON_ARRAY)
        write_first_stops(writer, stop);
    else
        chat_put_value(writer, stop);
}

/* ---- who asks ---- */

/*
 * Some clients put a JSON text with ids of the machine and the account there: such a one is for the
 * provider that the client was made for.
 */
static bool is_plain_word(struct ir_text text)
{
    struct span word = text.escaped;
    if (word.len > USER_MAX)
        return false;
    for (size_t i = 0; i < word.len; i++) {
        char c = word.at[i], letter = (char)(c | 0x20);
        if (!(letter >= 'a' && letter <= 'z') && !(c >= '0' && c <= '9') &&
            !(c && strchr("_-.", c)))
            return false;
    }
    return true;
}

static void write_optional(struct chat_writer *writer, const char *name, struct ir_text text,
                           bool is_sent)
{
    if (!ir_text_is_filled(text))
        return;
    if (!is_sent) {
        ir_lose(writer->losses, name);
        return;
    }
    begin_member(writer, name);
    chat_put_text(writer, text);
}

static void write_stream(struct chat_writer *writer)
{
    if (!writer->request->stream)
        return; /* some refuse stream_options then */
    chat_put(writer, SPAN(",\"stream\":true"));
    if (chat_can(writer, IR_CAN_STREAM_USAGE))
        chat_put(writer, SPAN(",\"stream_options\":{\"include_usage\":true}"));
}

/*
 * The client's own, or one made of who asks: Claude Code tells its session there, and a session's
 * requests belong into one cache.
 */
static void write_cache_key(struct chat_writer *writer)
{
    const struct ir_request *request = writer->request;
    const bool is_taken = chat_can(writer, IR_CAN_CACHE_KEY);
    char made[32];
    if (ir_text_is_filled(request->cache_key) || !is_taken || !ir_text_is_filled(request->user)) {
        write_optional(writer, "prompt_cache_key", request->cache_key, is_taken);
        return;
    }
    (void)snprintf(made, sizeof(made), "aictl-%016llx",
                   (unsigned long long)ir_text_hash(request->user)); /* fits */
    write_optional(writer, "prompt_cache_key", (struct ir_text){span_of(made)}, true);
}

/* ---- the whole ---- */

static void write_body(struct chat_writer *writer)
{
    const struct ir_request *request = writer->request;
    chat_put(writer, SPAN("{\"model\":"));
    if (writer->status == 0)
        writer->status = json_add_string(writer->out, writer->target->model);
    struct written_tools tools = write_tools(writer);
    chat_put(writer, SPAN(",\"messages\":["));
    chat_write_messages(writer);
    chat_put(writer, SPAN("]"));
    write_tool_choice(writer, &tools);
    write_parallel_calls(writer, &tools);
    write_format(writer);
    write_max_tokens(writer);
    write_numbers(writer);
    write_stop(writer);
    chat_write_wish(writer);
    write_optional(writer, "user", request->user, is_plain_word(request->user));
    write_cache_key(writer);
    write_stream(writer);
    chat_put(writer, SPAN("}"));
}

int openai_chat_encode_request(const struct ir_request *request, const struct ir_target *target,
                               struct arena *arena, struct ir_losses *losses, struct bytes *out,
                               struct err *reterr)
{
    struct chat_writer writer = {.request = request,
                                 .target = target,
                                 .arena = arena,
                                 .losses = losses,
                                 .out = out,
                                 .reterr = reterr};
    struct ir_request asking;
    if (request->format == IR_FORMAT_SCHEMA && !ir_can(target, IR_CAN_JSON_SCHEMA)) {
        writer.status = ir_ask_for_json(request, arena, &asking);
        writer.request = &asking;
    }
    if (writer.status == 0)
        write_body(&writer);
    if (writer.status == -ERR_TOO_LARGE)
        return err_set(reterr, ERR_TOO_LARGE, "the converted request does not fit in memory");
    return writer.status;
}
