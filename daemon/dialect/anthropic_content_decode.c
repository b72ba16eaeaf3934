/*
 * System text, messages and their blocks. A block of a type that is not known here, or that does not
 * belong where it stands, is kept as IR_FOREIGN under its type, so that the encoder can say what it
 * leaves out; calls, results and reasoning in the wrong place are refused, as this API does.
 */
#include "dialect/anthropic_request_decode.h"

enum place {
    IN_SYSTEM = 1 << 0,
    IN_USER = 1 << 1,
    IN_ASSISTANT = 1 << 2,
    IN_RESULT = 1 << 3,
    IN_DOCUMENT = 1 << 4,
};

/* A list of blocks being read. */
struct content {
    struct anthropic_reading *in;
    enum place place;
    const char *prefix;     /* of losses */
    struct ir_block **next; /* where the list goes on */
};

#define NAMES_MAX 7
enum { TYPE, CACHE, FIRST, SECOND, THIRD, FOURTH };

struct block_type {
    const char *type;
    enum ir_block_kind kind;
    unsigned places;
    /* Reads the members found; a negative result is an error already set. */
    int (*read)(struct content *content, const struct json *found, struct ir_block *block);
    const char *names[NAMES_MAX]; /* in the order of the enumeration above */
};

static int read_blocks(struct content *content, const char *list, struct json blocks);

/* A string or a list of blocks, put into `content`. */
static int read_content(struct content *content, const char *list, struct json json)
{
    struct ir_block *block;
    if (json.type == JSON_ARRAY)
        return read_blocks(content, list, json);
    if (json.type != JSON_STRING)
        return anthropic_wrong(content->in, list, "must be a string or an array");
    block = ir_add_inner(&content->in->builder, &content->next, IR_TEXT);
    if (!block)
        return anthropic_no_room(content->in);
    block->text = ir_text_of(json);
    return 0;
}

/* The blocks inside of a block. */
static int read_inner(const struct content *outer, enum place place, const char *list,
                      struct json json, struct ir_block **ret)
{
    struct content inner = {outer->in, place, "messages[].content[].content[].", ret};
    return read_content(&inner, list, json);
}

/* The texts of a list with a new line between them. */
static int join_texts(struct content *content, const struct ir_block *list, struct ir_text *ret)
{
    const struct span newline = SPAN("\\n"); /* escaped */
    const struct ir_block *block;
    size_t len = 0, at = 0;
    unsigned count = 0;
    *ret = IR_TEXT_LITERAL("");
    for (block = list; block; block = block->next) {
        if (block->kind != IR_TEXT || !ir_text_is_filled(block->text))
            continue;
        len += block->text.escaped.len + newline.len;
        count++;
        *ret = block->text;
    }
    if (count <= 1)
        return 0;
    char *text = arena_alloc(content->in->builder.arena, len);
    if (!text)
        return anthropic_no_room(content->in);
    for (block = list; block; block = block->next) {
        if (block->kind != IR_TEXT || !ir_text_is_filled(block->text))
            continue;
        memcpy(text + at, block->text.escaped.at, block->text.escaped.len);
        at += block->text.escaped.len;
        memcpy(text + at, newline.at, newline.len);
        at += newline.len;
    }
    *ret = (struct ir_text){{text, len - newline.len}};
    return 0;
}

static void lose(const struct content *content, const char *member)
{
    struct ir_losses *losses = content->in->losses;
    char name[IR_LOSS_NAME];
    struct bytes text = {.max = sizeof(name)};
    if (losses && bytes_addf(&text, "%s%s", content->prefix, member) == 0)
        ir_lose(losses, text.data);
    bytes_release(&text);
}

/* Citations are switched on by an object; in a text they are a list of what was cited. */
static void lose_citations(const struct content *content, struct json citations)
{
    bool is_on = citations.type == JSON_OBJECT ? json_is_true(json_get(citations, "enabled"))
                                               : json_is_filled(citations);
    if (is_on)
        lose(content, "citations");
}

/* ---- text and reasoning ---- */

static int read_text(struct content *content, const struct json *found, struct ir_block *block)
{
    block->text = ir_text_of(found[FIRST]);
    lose_citations(content, found[SECOND]);
    return anthropic_need(content->in, found[FIRST], JSON_STRING, "text");
}

static int read_thinking(struct content *content, const struct json *found, struct ir_block *block)
{
    block->text = ir_text_of(found[FIRST]);
    block->signature = ir_text_of(found[SECOND]);
    int r = anthropic_need(content->in, found[FIRST], JSON_STRING, "thinking");
    return r == 0 ? anthropic_want(content->in, found[SECOND], JSON_STRING, "signature") : r;
}

static int read_redacted(struct content *content, const struct json *found, struct ir_block *block)
{
    block->is_redacted = true;
    block->signature = ir_text_of(found[FIRST]);
    return anthropic_need(content->in, found[FIRST], JSON_STRING, "data");
}

/* ---- images and documents ---- */

/* Files that lie at the provider, and what may come, are known to this API alone. */
static void make_foreign(struct ir_block *block)
{
    block->kind = IR_FOREIGN;
    block->name = ir_text_of(json_get(block->raw, "type"));
}

static int read_base64(struct content *content, const struct json *source, struct ir_block *block)
{
    block->media_type = ir_text_of(source[1]);
    block->data = ir_text_of(source[2]);
    int r = anthropic_need(content->in, source[1], JSON_STRING, "source.media_type");
    if (r == 0 && !ir_text_is_media_type(block->media_type))
        r = anthropic_wrong(content->in, "source.media_type", "must be a media type");
    return r == 0 ? anthropic_need(content->in, source[2], JSON_STRING, "source.data") : r;
}

static int read_url(struct content *content, const struct json *source, struct ir_block *block)
{
    block->url = ir_text_of(source[3]);
    return anthropic_need(content->in, source[3], JSON_STRING, "source.url");
}

static int read_plain(struct content *content, const struct json *source, struct ir_block *block)
{
    block->media_type = ir_text_of(source[1]);
    block->text = ir_text_of(source[2]);
    return anthropic_need(content->in, source[2], JSON_STRING, "source.data");
}

/* A document made of blocks: its texts are the document, its images follow it. */
static int read_parts(struct content *content, const struct json *source, struct ir_block *block)
{
    struct ir_block *parts = NULL;
    int r = read_inner(content, IN_DOCUMENT, "source.content", source[4], &parts);
    if (r == 0)
        r = join_texts(content, parts, &block->text);
    for (struct ir_block *part = parts, *next; r == 0 && part; part = next) {
        next = part->next;
        part->next = NULL;
        if (part->kind == IR_TEXT)
            continue;
        *content->next = part;
        content->next = &part->next;
    }
    return r;
}

static const struct source_type {
    const char *type;
    bool is_for_images, is_for_documents;
    int (*read)(struct content *content, const struct json *source, struct ir_block *block);
} source_types[] = {
    {"base64", true, true, read_base64},
    {"url", true, true, read_url},
    {"text", false, true, read_plain},
    {"content", false, true, read_parts},
};

static int read_source(struct content *content, struct json json, struct ir_block *block)
{
    static const char *const names[] = {"type", "media_type", "data", "url", "content", NULL};
    struct json source[5];
    int r = anthropic_need(content->in, json, JSON_OBJECT, "source");
    if (r < 0)
        return r;
    json_find(json, names, source);
    for (size_t i = 0; i < sizeof(source_types) / sizeof(source_types[0]); i++) {
        const struct source_type *type = &source_types[i];
        bool is_for = block->kind == IR_IMAGE ? type->is_for_images : type->is_for_documents;
        if (is_for && json_is(source[0], type->type))
            return type->read(content, source, block);
    }
    make_foreign(block);
    return 0;
}

static int read_image(struct content *content, const struct json *found, struct ir_block *block)
{
    return read_source(content, found[FIRST], block);
}

static int read_document(struct content *content, const struct json *found, struct ir_block *block)
{
    int r = anthropic_want(content->in, found[SECOND], JSON_STRING, "title");
    if (json_is_filled(found[THIRD]))
        lose(content, "context");
    lose_citations(content, found[FOURTH]);
    block->name = ir_text_of(found[SECOND]);
    return r == 0 ? read_source(content, found[FIRST], block) : r;
}

/* As a text: the title, where it was found, what was found. */
static int read_search_result(struct content *content, const struct json *found,
                              struct ir_block *block)
{
    struct ir_block title = {.kind = IR_TEXT, .text = ir_text_of(found[SECOND])};
    struct ir_block source = {.kind = IR_TEXT, .text = ir_text_of(found[FIRST])};
    title.next = &source;
    lose_citations(content, found[FOURTH]);
    int r = read_inner(content, IN_DOCUMENT, "content", found[THIRD], &source.next);
    return r == 0 ? join_texts(content, &title, &block->text) : r;
}

/* ---- tools ---- */

static int read_tool_use(struct content *content, const struct json *found, struct ir_block *block)
{
    int r = anthropic_need(content->in, found[FIRST], JSON_STRING, "id");
    if (r == 0)
        r = anthropic_need_filled(content->in, found[SECOND], "name");
    if (r == 0)
        r = anthropic_want(content->in, found[THIRD], JSON_OBJECT, "input");
    block->id = ir_text_of(found[FIRST]);
    block->name = ir_text_of(found[SECOND]);
    block->arguments = found[THIRD];
    return r;
}

static int read_tool_result(struct content *content, const struct json *found,
                            struct ir_block *block)
{
    int r = anthropic_need(content->in, found[FIRST], JSON_STRING, "tool_use_id");
    if (r == 0)
        r = anthropic_want(content->in, found[THIRD], JSON_TRUE, "is_error");
    if (r == 0 && found[SECOND].type != JSON_ABSENT)
        r = read_inner(content, IN_RESULT, "content", found[SECOND], &block->content);
    block->id = ir_text_of(found[FIRST]);
    block->is_error = json_is_true(found[THIRD]);
    return r;
}

static int read_reference(struct content *content, const struct json *found, struct ir_block *block)
{
    block->name = ir_text_of(found[FIRST]);
    return anthropic_need(content->in, found[FIRST], JSON_STRING, "tool_name");
}

/* ---- blocks ---- */

#define EVERYWHERE (IN_SYSTEM | IN_USER | IN_ASSISTANT | IN_RESULT | IN_DOCUMENT)
#define ALWAYS     "type", "cache_control"

static const struct block_type block_types[] = {
    {"text", IR_TEXT, EVERYWHERE, read_text, {ALWAYS, "text", "citations"}},
    {"tool_use", IR_CALL, IN_ASSISTANT, read_tool_use, {ALWAYS, "id", "name", "input"}},
    {"tool_result",
     IR_RESULT,
     IN_USER,
     read_tool_result,
     {ALWAYS, "tool_use_id", "content", "is_error"}},
    {"thinking", IR_REASONING, IN_ASSISTANT, read_thinking, {ALWAYS, "thinking", "signature"}},
    {"redacted_thinking", IR_REASONING, IN_ASSISTANT, read_redacted, {ALWAYS, "data"}},
    {"image", IR_IMAGE, IN_USER | IN_RESULT | IN_DOCUMENT, read_image, {ALWAYS, "source"}},
    {"document",
     IR_DOCUMENT,
     IN_USER | IN_RESULT,
     read_document,
     {ALWAYS, "source", "title", "context", "citations"}},
    {"search_result",
     IR_TEXT,
     IN_USER | IN_RESULT,
     read_search_result,
     {ALWAYS, "source", "title", "content", "citations"}},
    {"tool_reference",
     IR_TOOL_REFERENCE,
     IN_SYSTEM | IN_USER | IN_RESULT,
     read_reference,
     {ALWAYS, "tool_name"}},
};

static const struct block_type *find_type(struct json type)
{
    for (size_t i = 0; i < sizeof(block_types) / sizeof(block_types[0]); i++)
        if (json_is(type, block_types[i].type))
            return &block_types[i];
    return NULL;
}

static bool is_of_a_turn(enum ir_block_kind kind)
{
    return kind == IR_CALL || kind == IR_RESULT || kind == IR_REASONING;
}

static int read_known(struct content *content, const struct block_type *type, struct json json)
{
    struct json found[NAMES_MAX];
    anthropic_members(content->in, json, type->names, found, content->prefix);
    int r = anthropic_want(content->in, found[CACHE], JSON_OBJECT, "cache_control");
    struct ir_block *block = ir_add_inner(&content->in->builder, &content->next, type->kind);
    if (!block)
        return anthropic_no_room(content->in);
    block->raw = json;
    block->cache_mark = found[CACHE];
    return r == 0 ? type->read(content, found, block) : r;
}

static int read_block(struct content *content, struct json json)
{
    int r = anthropic_need(content->in, json, JSON_OBJECT, "");
    struct json type = json_get(json, "type");
    if (r == 0)
        r = anthropic_need(content->in, type, JSON_STRING, "type");
    if (r < 0)
        return r;
    const struct block_type *known = find_type(type);
    if (known && known->places & content->place)
        return read_known(content, known, json);
    if (known && is_of_a_turn(known->kind))
        return anthropic_wrong(content->in, "type", "is of a block that cannot stand here");
    struct ir_block *block = ir_add_inner(&content->in->builder, &content->next, IR_FOREIGN);
    if (!block)
        return anthropic_no_room(content->in);
    block->raw = json;
    make_foreign(block);
    return 0;
}

static int read_blocks(struct content *content, const char *list, struct json blocks)
{
    struct json_iter iter = json_iter(blocks);
    struct json block;
    int r = 0;
    for (unsigned i = 0; r == 0 && json_next(&iter, &block); i++) {
        anthropic_enter(content->in, list, i);
        r = read_block(content, block);
        anthropic_leave(content->in);
    }
    return r;
}

/* ---- messages ---- */

int anthropic_read_system(struct anthropic_reading *reading, struct json system)
{
    bool is_list = system.type == JSON_STRING || system.type == JSON_ARRAY;
    if (system.type == JSON_ABSENT || (is_list && !json_is_filled(system)))
        return 0;
    struct ir_message *message = ir_add_message(&reading->builder, IR_ROLE_SYSTEM);
    if (!message)
        return anthropic_no_room(reading);
    struct content content = {reading, IN_SYSTEM, "system[].", &message->blocks};
    return read_content(&content, "system", system);
}

static const struct {
    const char *name;
    enum ir_role role;
    enum place place;
} roles[] = {
    {"user", IR_ROLE_USER, IN_USER},
    {"assistant", IR_ROLE_ASSISTANT, IN_ASSISTANT},
    {"system", IR_ROLE_SYSTEM, IN_SYSTEM},
};

static int read_message(struct anthropic_reading *reading, struct json json)
{
    static const char *const names[] = {"role", "content", NULL};
    struct json found[2];
    int r = anthropic_need(reading, json, JSON_OBJECT, "");
    if (r < 0)
        return r;
    anthropic_members(reading, json, names, found, "messages[].");
    for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
        if (!json_is(found[0], roles[i].name))
            continue;
        struct ir_message *message = ir_add_message(&reading->builder, roles[i].role);
        if (!message)
            return anthropic_no_room(reading);
        struct content content = {reading, roles[i].place, "messages[].content[].",
                                  &message->blocks};
        return read_content(&content, "content", found[1]);
    }
    return anthropic_wrong(reading, "role", "must be user, assistant or system");
}

int anthropic_read_messages(struct anthropic_reading *reading, struct json messages)
{
    int r = anthropic_need(reading, messages, JSON_ARRAY, "messages");
    struct json_iter iter = json_iter(messages);
    struct json message;
    for (unsigned i = 0; r == 0 && json_next(&iter, &message); i++) {
        anthropic_enter(reading, "messages", i);
        r = read_message(reading, message);
        anthropic_leave(reading);
    }
    return r;
}
