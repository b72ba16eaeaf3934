/* See ir_dump.h. */
#include "support/ir_dump.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "dialect/dialect.h"

#define DUMP_MAX ((size_t)64 << 20)

/* ---- writing ---- */

static void put(struct bytes *out, struct span text)
{
    if (bytes_add_span(out, text) < 0)
        abort();
}

static void __attribute__((format(printf, 2, 3))) putf(struct bytes *out, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (len < 0 || (size_t)len >= sizeof(text))
        abort();
    put(out, (struct span){text, (size_t)len});
}

/* ` name "text"`, when there is such a text. */
static void put_text(struct bytes *out, const char *name, struct ir_text text)
{
    if (!text.escaped.at)
        return;
    putf(out, " %s%s\"", name, *name ? " " : "");
    put(out, text.escaped);
    put(out, SPAN("\""));
}

static void put_slice(struct bytes *out, const char *name, struct json slice)
{
    if (slice.type == JSON_ABSENT)
        return;
    putf(out, " %s%s", name, *name ? " " : "");
    put(out, json_span(slice));
}

static void put_flag(struct bytes *out, const char *name, bool is_so)
{
    if (is_so)
        putf(out, " %s", name);
}

static void put_line_end(struct bytes *out)
{
    put(out, SPAN("\n"));
}

/* ---- requests ---- */

static const char *const block_kinds[] = {
    [IR_TEXT] = "text",       [IR_REASONING] = "reasoning",
    [IR_CALL] = "call",       [IR_RESULT] = "result",
    [IR_IMAGE] = "image",     [IR_DOCUMENT] = "document",
    [IR_REFUSAL] = "refusal", [IR_TOOL_REFERENCE] = "tool reference",
    [IR_FOREIGN] = "foreign",
};

static void dump_block(struct bytes *out, const struct ir_block *block)
{
    put(out, span_of(block_kinds[block->kind]));
    put_flag(out, "redacted", block->is_redacted);
    put_flag(out, "foreign", block->is_foreign);
    put_flag(out, "error", block->is_error);
    put_text(out, "id", block->id);
    put_text(out, "name", block->name);
    put_text(out, "", block->text);
    put_slice(out, "", block->arguments);
    put_text(out, "torn", block->torn);
    put_text(out, "media type", block->media_type);
    put_text(out, "data", block->data);
    put_text(out, "url", block->url);
    put_text(out, "detail", block->detail);
    put_text(out, "signature", block->signature);
    put_slice(out, "cache mark", block->cache_mark);
    put_line_end(out);
}

static void dump_message(struct bytes *out, const struct ir_message *message)
{
    static const char *const roles[] = {
        [IR_ROLE_SYSTEM] = "system", [IR_ROLE_USER] = "user", [IR_ROLE_ASSISTANT] = "assistant"};
    putf(out, "%s\n", roles[message->role]);
    for (const struct ir_block *block = message->blocks; block; block = block->next) {
        put(out, SPAN("  "));
        dump_block(out, block);
        for (const struct ir_block *inner = block->content; inner; inner = inner->next) {
            put(out, SPAN("    "));
            dump_block(out, inner);
        }
    }
}

static void dump_tool(struct bytes *out, const struct ir_tool *tool)
{
    put(out, SPAN("tool"));
    put_flag(out, "server", tool->is_server);
    put_flag(out, "deferred", tool->is_deferred);
    put_text(out, "", tool->name);
    put_slice(out, "strict", tool->strict);
    put_slice(out, "cache mark", tool->cache_mark);
    put_line_end(out);
    if (tool->description.escaped.at) {
        put(out, SPAN("  description"));
        put_text(out, "", tool->description);
        put_line_end(out);
    }
    if (tool->schema.type != JSON_ABSENT) {
        put(out, SPAN("  schema"));
        put_slice(out, "", tool->schema);
        put_line_end(out);
    }
}

static const struct slice_row {
    const char *name;
    size_t offset;
} slices[] = {
    {"parallel calls", offsetof(struct ir_request, parallel_calls)},
    {"max tokens", offsetof(struct ir_request, max_tokens)},
    {"temperature", offsetof(struct ir_request, temperature)},
    {"top_p", offsetof(struct ir_request, top_p)},
    {"top_k", offsetof(struct ir_request, top_k)},
    {"seed", offsetof(struct ir_request, seed)},
    {"frequency penalty", offsetof(struct ir_request, frequency_penalty)},
    {"presence penalty", offsetof(struct ir_request, presence_penalty)},
    {"choices", offsetof(struct ir_request, choices)},
    {"stop", offsetof(struct ir_request, stop)},
};

static void dump_slices(struct bytes *out, const struct ir_request *request)
{
    for (size_t i = 0; i < sizeof(slices) / sizeof(slices[0]); i++) {
        const struct json *slice = (const void *)((const char *)request + slices[i].offset);
        if (slice->type == JSON_ABSENT)
            continue;
        put(out, span_of(slices[i].name));
        put_slice(out, "", *slice);
        put_line_end(out);
    }
}

static void dump_choice(struct bytes *out, const struct ir_request *request)
{
    static const char *const choices[] = {[IR_CHOICE_AUTO] = "auto",
                                          [IR_CHOICE_NONE] = "none",
                                          [IR_CHOICE_REQUIRED] = "required",
                                          [IR_CHOICE_TOOL] = "tool"};
    if (request->tool_choice == IR_CHOICE_UNSET)
        return;
    putf(out, "tool choice %s", choices[request->tool_choice]);
    put_text(out, "", request->chosen_tool);
    put_line_end(out);
}

static void dump_wish(struct bytes *out, const struct ir_wish *wish)
{
    if (wish->effort == IR_EFFORT_UNSET && wish->budget == 0 && !wish->is_adaptive)
        return;
    put(out, SPAN("reasoning wished"));
    if (wish->effort != IR_EFFORT_UNSET)
        putf(out, " effort %s", ir_effort_name(wish->effort));
    if (wish->budget)
        putf(out, " budget %lld", (long long)wish->budget);
    put_flag(out, "adaptive", wish->is_adaptive);
    put_line_end(out);
}

static void dump_format(struct bytes *out, const struct ir_request *request)
{
    if (request->format == IR_FORMAT_TEXT)
        return;
    put(out, request->format == IR_FORMAT_JSON ? SPAN("format json") : SPAN("format schema"));
    put_text(out, "name", request->format_name);
    put_slice(out, "strict", request->format_strict);
    put_slice(out, "schema", request->format_schema);
    put_line_end(out);
}

static void dump_line(struct bytes *out, const char *name, struct ir_text text)
{
    if (!text.escaped.at)
        return;
    put(out, span_of(name));
    put_text(out, "", text);
    put_line_end(out);
}

void ir_dump_request(struct bytes *out, const struct ir_request *request)
{
    for (const struct ir_tool *tool = request->tools; tool; tool = tool->next)
        dump_tool(out, tool);
    for (const struct ir_message *message = request->messages; message; message = message->next)
        dump_message(out, message);
    dump_choice(out, request);
    dump_slices(out, request);
    dump_wish(out, &request->wish);
    dump_format(out, request);
    dump_line(out, "user", request->user);
    dump_line(out, "cache key", request->cache_key);
    if (request->stream)
        putf(out, "stream%s\n", request->wants_usage ? " with usage" : "");
}

void ir_dump_losses(struct bytes *out, const struct ir_losses *losses)
{
    put(out, SPAN("losses: "));
    if (losses->count == 0)
        put(out, SPAN("none"));
    if (ir_losses_write(losses, out) < 0)
        abort();
    put_line_end(out);
}

/* ---- events ---- */

static const char *const stops[] = {
    [IR_STOP_END] = "end",         [IR_STOP_LENGTH] = "length",     [IR_STOP_CALLS] = "calls",
    [IR_STOP_REFUSAL] = "refusal", [IR_STOP_SEQUENCE] = "sequence", [IR_STOP_PAUSE] = "pause",
    [IR_STOP_CONTEXT] = "context",
};

static void dump_usage(struct bytes *out, const struct usage *usage)
{
    const struct {
        const char *name;
        int64_t count;
    } counts[] = {{"input", usage->input},
                  {"cache read", usage->cache_read},
                  {"cache write 5m", usage->cache_write_5m},
                  {"cache write 1h", usage->cache_write_1h},
                  {"output", usage->output},
                  {"reasoning", usage->reasoning}};
    if (usage->source == USAGE_NONE)
        return;
    putf(out, "  usage of %s:", usage_source_name(usage->source));
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
        if (counts[i].count)
            putf(out, " %s %lld", counts[i].name, (long long)counts[i].count);
    put_line_end(out);
}

static void dump_block_start(struct ir_event_dump *dump, const struct ir_event *event)
{
    struct bytes *out = &dump->out;
    putf(out, "block %u %s", event->block, block_kinds[event->block_kind]);
    put_flag(out, "redacted", event->is_redacted);
    put_text(out, "id", event->id);
    put_text(out, "name", event->name);
    put(out, SPAN(" \""));
    dump->is_open = true;
}

/* The end of a block's text. */
static void close_text(struct ir_event_dump *dump)
{
    if (dump->is_open)
        put(&dump->out, SPAN("\""));
    dump->is_open = false;
}

static void dump_finish(struct bytes *out, const struct ir_event *event)
{
    putf(out, "finish %s", stops[event->stop]);
    put_text(out, "", event->stop_sequence);
    put_line_end(out);
    dump_usage(out, event->usage);
}

static void dump_error(struct bytes *out, const struct api_error *error)
{
    putf(out, "error %s", error_row(error->kind)->name);
    if (error->status)
        putf(out, " status %d", error->status);
    if (error->type)
        putf(out, " type %s", error->type);
    if (error->code)
        putf(out, " code %s", error->code);
    put(out, SPAN(": "));
    put(out, error->message);
    put_line_end(out);
}

void ir_event_dump_init(struct ir_event_dump *dump)
{
    *dump = (struct ir_event_dump){.out = {.max = DUMP_MAX}};
}

void ir_event_dump_release(struct ir_event_dump *dump)
{
    bytes_release(&dump->out);
}

int ir_event_dump_take(void *ctx, const struct ir_event *event)
{
    struct ir_event_dump *dump = ctx;
    struct bytes *out = &dump->out;
    switch (event->kind) {
    case IR_EVENT_START:
        put(out, SPAN("start\n"));
        dump_usage(out, event->usage);
        break;
    case IR_EVENT_BLOCK_START:
        dump_block_start(dump, event);
        break;
    case IR_EVENT_DELTA:
        put(out, event->text.escaped);
        break;
    case IR_EVENT_SIGNATURE:
        close_text(dump);
        put_text(out, "signature", event->text);
        break;
    case IR_EVENT_BLOCK_STOP:
        close_text(dump);
        put_line_end(out);
        break;
    case IR_EVENT_FINISH:
        dump_finish(out, event);
        break;
    case IR_EVENT_ERROR:
        put(out, dump->is_open ? SPAN("... (open)\n") : SPAN(""));
        dump->is_open = false;
        dump_error(out, event->error);
        break;
    }
    return 0;
}

void ir_event_dump_end(struct ir_event_dump *dump, int result)
{
    put(&dump->out, dump->is_open ? SPAN("... (open)\n") : SPAN(""));
    dump->is_open = false;
    if (result < 0)
        putf(&dump->out, "failed %s\n", error_row(result)->name);
}
