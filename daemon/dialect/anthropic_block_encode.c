/* See anthropic_request_encode.h: what stands in a message. */
#include "dialect/anthropic_request_encode.h"

#include "ir/call_id.h"

#define EMPTY     "(empty)"
#define NO_RESULT "(no result)"

/* ---- the pen ---- */

void anthropic_put(struct anthropic_writing *writing, struct span text)
{
    if (writing->r == 0)
        writing->r = bytes_add_span(writing->out, text);
}

void anthropic_put_comma(struct anthropic_writing *writing)
{
    const struct bytes *out = writing->out;
    char last = out->len ? out->data[out->len - 1] : '{';
    if (last != '{' && last != '[')
        ANTHROPIC_PUT(writing, ",");
}

static void put_name(struct anthropic_writing *writing, const char *name)
{
    anthropic_put_comma(writing);
    ANTHROPIC_PUT(writing, "\"");
    anthropic_put(writing, span_of(name));
    ANTHROPIC_PUT(writing, "\":");
}

void anthropic_put_string(struct anthropic_writing *writing, const char *name, struct ir_text text)
{
    put_name(writing, name);
    if (writing->r == 0)
        writing->r = ir_text_add(writing->out, text);
}

void anthropic_put_slice(struct anthropic_writing *writing, const char *name, struct json slice)
{
    put_name(writing, name);
    anthropic_put(writing, json_span(slice));
}

void anthropic_put_mark(struct anthropic_writing *writing, struct json mark)
{
    if (mark.type == JSON_ABSENT)
        return;
    if (writing->marks_to_skip > 0) {
        writing->marks_to_skip--;
        ir_lose(writing->losses, "cache_control");
    } else {
        anthropic_put_slice(writing, "cache_control", mark);
    }
}

static void open_block(struct anthropic_writing *writing, const char *type)
{
    anthropic_put_comma(writing);
    ANTHROPIC_PUT(writing, "{\"type\":\"");
    anthropic_put(writing, span_of(type));
    ANTHROPIC_PUT(writing, "\"");
}

static void close_block(struct anthropic_writing *writing, struct json mark)
{
    anthropic_put_mark(writing, mark);
    ANTHROPIC_PUT(writing, "}");
}

void anthropic_put_text(struct anthropic_writing *writing, struct ir_text text, struct json mark)
{
    open_block(writing, "text");
    anthropic_put_string(writing, "text", text);
    close_block(writing, mark);
}

/* ---- parts ---- */

void anthropic_lose_block(struct anthropic_writing *writing, const struct ir_block *block)
{
    static const char *const kinds[] = {
        [IR_TEXT] = "text",       [IR_REASONING] = "reasoning",
        [IR_CALL] = "tool_use",   [IR_RESULT] = "tool_result",
        [IR_IMAGE] = "image",     [IR_DOCUMENT] = "document",
        [IR_REFUSAL] = "refusal", [IR_TOOL_REFERENCE] = "tool_reference",
    };
    char name[IR_LOSS_NAME + 1] = "messages[].content[].";
    struct span kind =
        block->kind == IR_FOREIGN ? block->name.escaped : span_of(kinds[block->kind]);
    size_t len = strlen(name), room = sizeof(name) - 1 - len;
    if (kind.len > 0)
        memcpy(name + len, kind.at, kind.len < room ? kind.len : room);
    ir_lose(writing->losses, name);
}

bool anthropic_is_part(const struct ir_block *block)
{
    switch (block->kind) {
    case IR_TEXT:
    case IR_REFUSAL:
        return !ir_text_is_blank(block->text);
    case IR_IMAGE:
    case IR_DOCUMENT:
    case IR_TOOL_REFERENCE:
        return true;
    default:
        return false;
    }
}

/* What stands in the place of something that cannot be sent. */
static void put_left_out(struct anthropic_writing *writing, const struct ir_block *block,
                         struct json mark)
{
    bool is_image = block->kind == IR_IMAGE;
    anthropic_lose_block(writing, block);
    anthropic_put_text(writing,
                       is_image ? IR_TEXT_LITERAL("[image left out]")
                                : IR_TEXT_LITERAL("[document left out]"),
                       mark);
}

/* `,"source":{...}` of data at hand or of an address. */
static void put_source(struct anthropic_writing *writing, const struct ir_block *block,
                       struct ir_text media_type)
{
    bool is_url = ir_text_is_filled(block->url);
    put_name(writing, "source");
    ANTHROPIC_PUT(writing, "{");
    if (is_url) {
        anthropic_put_string(writing, "type", IR_TEXT_LITERAL("url"));
        anthropic_put_string(writing, "url", block->url);
    } else {
        anthropic_put_string(writing, "type", IR_TEXT_LITERAL("base64"));
        anthropic_put_string(writing, "media_type",
                             ir_text_is_filled(block->media_type) ? block->media_type : media_type);
        anthropic_put_string(writing, "data", block->data);
    }
    ANTHROPIC_PUT(writing, "}");
}

static void put_image(struct anthropic_writing *writing, const struct ir_block *block,
                      struct json mark)
{
    bool has_source = ir_text_is_filled(block->url) || ir_text_is_filled(block->data);
    if (!has_source || !ir_can(writing->target, IR_CAN_IMAGES)) {
        put_left_out(writing, block, mark);
        return;
    }
    if (ir_text_is_filled(block->detail))
        ir_lose(writing->losses, "messages[].content[].image_url.detail");
    open_block(writing, "image");
    put_source(writing, block, IR_TEXT_LITERAL("image/png"));
    close_block(writing, mark);
}

static bool is_pdf(struct ir_text media_type)
{
    return !ir_text_is_filled(media_type) ||
           ir_text_equal(media_type, IR_TEXT_LITERAL("application/pdf")) ||
           ir_text_equal(media_type, IR_TEXT_LITERAL("application\\/pdf"));
}

/* Documents are PDF, plain text, or an address. */
static void put_document(struct anthropic_writing *writing, const struct ir_block *block,
                         struct json mark)
{
    bool is_text = ir_text_is_filled(block->text);
    bool is_file = ir_text_is_filled(block->data) && is_pdf(block->media_type);
    if (!is_text && !is_file && !ir_text_is_filled(block->url)) {
        put_left_out(writing, block, mark);
        return;
    }
    open_block(writing, "document");
    if (is_text) {
        ANTHROPIC_PUT(writing, ",\"source\":{\"type\":\"text\",\"media_type\":\"text/plain\"");
        anthropic_put_string(writing, "data", block->text);
        ANTHROPIC_PUT(writing, "}");
    } else {
        put_source(writing, block, IR_TEXT_LITERAL("application/pdf"));
    }
    if (ir_text_is_filled(block->name))
        anthropic_put_string(writing, "title", block->name);
    close_block(writing, mark);
}

static void put_reference_words(struct anthropic_writing *writing, const struct ir_block *block)
{
    ANTHROPIC_PUT(writing, "Tool ");
    anthropic_put(writing, block->name.escaped);
    ANTHROPIC_PUT(writing, " is available now.");
}

static void put_reference(struct anthropic_writing *writing, const struct ir_block *block,
                          struct json mark)
{
    open_block(writing, "text");
    ANTHROPIC_PUT(writing, ",\"text\":\"");
    put_reference_words(writing, block);
    ANTHROPIC_PUT(writing, "\"");
    close_block(writing, mark);
}

static void put_part(struct anthropic_writing *writing, const struct ir_block *block,
                     struct json mark)
{
    switch (block->kind) {
    case IR_TEXT:
    case IR_REFUSAL:
        anthropic_put_text(writing, block->text, mark);
        break;
    case IR_IMAGE:
        put_image(writing, block, mark);
        break;
    case IR_DOCUMENT:
        put_document(writing, block, mark);
        break;
    case IR_TOOL_REFERENCE:
        put_reference(writing, block, mark);
        break;
    default:
        anthropic_lose_block(writing, block);
        break;
    }
}

void anthropic_put_part(struct anthropic_writing *writing, const struct ir_block *block)
{
    if (anthropic_is_part(block))
        put_part(writing, block, block->cache_mark);
}

/* ---- reasoning and calls ---- */

void anthropic_put_reasoning(struct anthropic_writing *writing, const struct ir_block *block)
{
    open_block(writing, block->is_redacted ? "redacted_thinking" : "thinking");
    if (!block->is_redacted)
        anthropic_put_string(writing, "thinking", block->text);
    if (anthropic_is_signed(block))
        anthropic_put_string(writing, block->is_redacted ? "data" : "signature", block->signature);
    ANTHROPIC_PUT(writing, "}");
}

static void put_id(struct anthropic_writing *writing, const char *name, struct ir_text id,
                   unsigned use)
{
    struct ir_text safe = IR_TEXT_LITERAL("call"); /* an empty one is refused */
    if (writing->r == 0 && ir_text_is_filled(id))
        writing->r = ir_call_id_safe(id, writing->arena, &safe);
    if (use > 1) {
        const char *numbered =
            arena_printf(writing->arena, SPAN_FMT "_%u", SPAN_ARG(safe.escaped), use);
        safe.escaped = span_of(numbered);
        writing->r = writing->r < 0 || numbered ? writing->r : -ERR_TOO_LARGE;
    }
    anthropic_put_string(writing, name, safe);
}

void anthropic_put_call(struct anthropic_writing *writing, const struct ir_block *block,
                        unsigned use)
{
    open_block(writing, "tool_use");
    put_id(writing, "id", block->id, use);
    anthropic_put_string(writing, "name", block->name);
    if (block->arguments.type == JSON_OBJECT) {
        anthropic_put_slice(writing, "input", block->arguments);
    } else if (ir_text_is_blank(block->torn)) {
        ANTHROPIC_PUT(writing, ",\"input\":{}");
    } else {
        ir_lose(writing->losses, "torn arguments");
        ANTHROPIC_PUT(writing, ",\"input\":{");
        anthropic_put_string(writing, "raw", block->torn);
        ANTHROPIC_PUT(writing, "}");
    }
    close_block(writing, block->cache_mark);
}

/* ---- results ---- */

struct json anthropic_mark_of(const struct ir_block *block)
{
    struct json mark = block->cache_mark;
    if (block->kind != IR_RESULT || mark.type != JSON_ABSENT)
        return mark;
    for (const struct ir_block *inner = block->content; inner; inner = inner->next)
        if (inner->cache_mark.type != JSON_ABSENT)
            mark = inner->cache_mark;
    return mark;
}

static bool is_text(const struct ir_block *block)
{
    return block->kind == IR_TEXT || block->kind == IR_REFUSAL;
}

static void put_content(struct anthropic_writing *writing, const struct ir_block *content)
{
    const struct ir_block *only = NULL;
    unsigned count = 0;
    for (const struct ir_block *block = content; block; block = block->next) {
        if (anthropic_is_part(block)) {
            only = block;
            count++;
        } else if (!is_text(block)) {
            anthropic_lose_block(writing, block);
        }
    }
    if (count == 0 || (count == 1 && is_text(only))) {
        anthropic_put_string(writing, "content", count ? only->text : IR_TEXT_LITERAL(EMPTY));
        return;
    }
    put_name(writing, "content");
    if (count == 1 && only->kind == IR_TOOL_REFERENCE) {
        ANTHROPIC_PUT(writing, "\"");
        put_reference_words(writing, only);
        ANTHROPIC_PUT(writing, "\"");
        return;
    }
    ANTHROPIC_PUT(writing, "[");
    for (const struct ir_block *block = content; block; block = block->next)
        if (anthropic_is_part(block))
            put_part(writing, block, (struct json){0});
    ANTHROPIC_PUT(writing, "]");
}

void anthropic_put_result(struct anthropic_writing *writing, const struct ir_block *block,
                          unsigned use)
{
    open_block(writing, "tool_result");
    put_id(writing, "tool_use_id", block->id, use);
    put_content(writing, block->content);
    if (block->is_error)
        ANTHROPIC_PUT(writing, ",\"is_error\":true");
    close_block(writing, anthropic_mark_of(block));
}

void anthropic_put_no_result(struct anthropic_writing *writing, struct ir_text id, unsigned use)
{
    open_block(writing, "tool_result");
    put_id(writing, "tool_use_id", id, use);
    anthropic_put_string(writing, "content", IR_TEXT_LITERAL(NO_RESULT));
    ANTHROPIC_PUT(writing, ",\"is_error\":true}");
}

void anthropic_put_orphan(struct anthropic_writing *writing, const struct ir_block *block)
{
    bool has_words = false;
    const struct ir_block *inner;
    ir_lose(writing->losses, "tool result without its call");
    open_block(writing, "text");
    ANTHROPIC_PUT(writing, ",\"text\":\"[result of an unknown tool call]");
    if (block->is_error)
        ANTHROPIC_PUT(writing, "\\nError: ");
    for (inner = block->content; inner; inner = inner->next) {
        bool is_reference = inner->kind == IR_TOOL_REFERENCE;
        if (!is_reference && !(is_text(inner) && anthropic_is_part(inner)))
            continue;
        if (has_words || !block->is_error)
            ANTHROPIC_PUT(writing, "\\n");
        has_words = true;
        if (is_reference)
            put_reference_words(writing, inner);
        else
            anthropic_put(writing, inner->text.escaped);
    }
    if (!has_words)
        anthropic_put(writing, block->is_error ? SPAN(EMPTY) : SPAN("\\n" EMPTY));
    ANTHROPIC_PUT(writing, "\"");
    close_block(writing, anthropic_mark_of(block));
    for (inner = block->content; inner; inner = inner->next)
        if (!is_text(inner) && inner->kind != IR_TOOL_REFERENCE)
            put_part(writing, inner, (struct json){0});
}
