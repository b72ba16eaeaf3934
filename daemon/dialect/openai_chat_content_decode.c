/*
 * The content of a chat message, from the wire: a string or parts. Files and images stand in `data:`
 * URLs, which are cut into media type and base64 without a copy; a URL with escapes in it
 * ("image\/png") is decoded first.
 */
#include "dialect/openai_chat_reader.h"

struct ir_block *chat_add_block(struct chat_reader *reader, enum ir_block_kind kind)
{
    return reader->inner ? ir_add_inner(&reader->builder, reader->inner, kind)
                         : ir_add_block(&reader->builder, kind);
}

/* ---- data URLs ---- */

/* The inside of a URL without escapes; text that needs some gets them back. */
static int without_escapes(struct chat_reader *reader, struct ir_text *url)
{
    struct span plain, raw = url->escaped;
    if (!memchr(raw.at, '\\', raw.len))
        return 0;
    int r = ir_text_plain(*url, reader->builder.arena, &plain);
    if (r == 0)
        r = ir_text_escape(plain, reader->builder.arena, url);
    return r == 0 ? 0 : chat_no_memory(reader);
}

/* The part behind the last ';' of a data URL's head. */
static bool is_base64(struct span head)
{
    const char *last = memrchr(head.at, ';', head.len);
    size_t skip = last ? (size_t)(last - head.at) + 1 : head.len;
    return span_equal_nocase((struct span){head.at + skip, head.len - skip}, SPAN("base64"));
}

static int cut_data_url(struct chat_reader *reader, const char *member, struct span url,
                        struct ir_block *block)
{
    struct span data, ignored, head = span_cut(url, ',', &data);
    if (!data.at || !is_base64(head))
        return chat_wrong(reader, member, "must be a web address or hold base64 data");
    block->data = (struct ir_text){data};
    block->media_type = (struct ir_text){span_cut(head, ';', &ignored)};
    if (!ir_text_is_media_type(block->media_type))
        return chat_wrong(reader, member, "names no media type");
    return 0;
}

/* Any other URL stays one. */
static int read_url(struct chat_reader *reader, const char *member, struct json value,
                    struct ir_block *block)
{
    const struct span scheme = SPAN("data:");
    struct ir_text url = {0};
    int r = chat_want_text(reader, member, value, &url);
    if (r == 0 && !ir_text_is_filled(url))
        r = chat_wrong(reader, member, "is missing");
    if (r == 0)
        r = without_escapes(reader, &url);
    if (r < 0)
        return r;
    struct span text = url.escaped;
    if (span_starts_nocase(text, scheme))
        return cut_data_url(reader, member,
                            (struct span){text.at + scheme.len, text.len - scheme.len}, block);
    block->url = url;
    return 0;
}

/* ---- plain text in base64 ---- */

/* The value of a base64 digit of either alphabet; -1 for anything else. */
static int digit_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+' || c == '-')
        return 62;
    return c == '/' || c == '_' ? 63 : -1;
}

/* Decodes up to the padding into `out`, which has room; returns the length. */
static size_t decode_base64(struct span data, char *out)
{
    uint32_t bits = 0;
    unsigned count = 0;
    size_t len = 0;
    for (size_t i = 0; i < data.len && data.at[i] != '='; i++) {
        int value = digit_value(data.at[i]);
        if (value < 0)
            continue; /* a line break */
        bits = bits << 6 | (uint32_t)value;
        count += 6;
        if (count >= 8)
            out[len++] = (char)(bits >> (count -= 8));
    }
    return len;
}

/* A document of plain text: others take such a one as text only. */
static int decode_text(struct chat_reader *reader, struct ir_block *block)
{
    struct span data = block->data.escaped;
    char *plain = arena_alloc(reader->builder.arena, data.len / 4 * 3 + 4);
    if (!plain)
        return chat_no_memory(reader);
    size_t len = decode_base64(data, plain);
    if (ir_text_escape((struct span){plain, len}, reader->builder.arena, &block->text) < 0)
        return chat_no_memory(reader);
    block->data = (struct ir_text){0};
    return 0;
}

/* ---- parts ---- */

static int read_text(struct chat_reader *reader, struct json value, struct ir_block *block)
{
    if (value.type == JSON_ABSENT)
        return chat_wrong(reader, "text", "is missing");
    return chat_want_text(reader, "text", value, &block->text);
}

static int read_refusal(struct chat_reader *reader, struct json value, struct ir_block *block)
{
    return chat_want_text(reader, "refusal", value, &block->text);
}

/* {"url", "detail"}, or the URL alone as some clients send it. */
static int read_image(struct chat_reader *reader, struct json value, struct ir_block *block)
{
    static const char *const names[] = {"url", "detail", NULL};
    struct json found[2];
    if (value.type == JSON_STRING)
        return read_url(reader, "image_url", value, block);
    if (value.type != JSON_OBJECT)
        return chat_wrong(reader, "image_url", "must be a JSON object");
    chat_find_members(reader, value, names, "messages[].content[].image_url.", found);
    int r = chat_want_text(reader, "image_url.detail", found[1], &block->detail);
    return r == 0 ? read_url(reader, "image_url.url", found[0], block) : r;
}

/* The data of a file: a URL, or base64 alone, which is a PDF. */
static int read_file_data(struct chat_reader *reader, struct json data, struct ir_block *block)
{
    int r = read_url(reader, "file.file_data", data, block);
    struct span url = block->url.escaped;
    if (r == 0 && url.len && !memchr(url.at, ':', url.len)) {
        block->media_type = IR_TEXT_LITERAL("application/pdf");
        block->data = block->url;
        block->url = (struct ir_text){0};
    }
    return r;
}

static int read_file(struct chat_reader *reader, struct json value, struct ir_block *block)
{
    static const char *const names[] = {"file_data", "filename", "file_id", NULL};
    struct json found[3];
    if (value.type != JSON_OBJECT)
        return chat_wrong(reader, "file", "must be a JSON object");
    chat_find_members(reader, value, names, "messages[].content[].file.", found);
    if (found[0].type == JSON_ABSENT) { /* an id means something to its provider only */
        block->kind = IR_FOREIGN;
        block->name = IR_TEXT_LITERAL("file");
        return 0;
    }
    int r = chat_want_text(reader, "file.filename", found[1], &block->name);
    if (r == 0)
        r = read_file_data(reader, found[0], block);
    if (r < 0)
        return r;
    if (span_starts_nocase(block->media_type.escaped, SPAN("text/")))
        return decode_text(reader, block);
    if (span_starts_nocase(block->media_type.escaped, SPAN("image/")))
        block->kind = IR_IMAGE;
    return 0;
}

/* Mistral's reasoning: an array of text parts, or a string. */
static int read_thinking(struct chat_reader *reader, struct json value, struct ir_block *block)
{
    struct json part;
    bool is_first = true;
    if (value.type != JSON_ARRAY)
        return chat_want_text(reader, "thinking", value, &block->text);
    struct json_iter iter = json_iter(value);
    while (json_next(&iter, &part)) {
        struct ir_text text = ir_text_of(json_get(part, "text"));
        if (!is_first && ir_text_is_filled(text))
            block = chat_add_block(reader, IR_REASONING);
        if (!block)
            return chat_no_memory(reader);
        if (ir_text_is_filled(text)) {
            block->text = text;
            is_first = false;
        }
    }
    return 0;
}

static const char *const members[] = {"type",    "text",     "image_url",     "file",
                                      "refusal", "thinking", "cache_control", NULL};
enum { TYPE, TEXT, IMAGE_URL, FILE_, REFUSAL, THINKING, CACHE_CONTROL, MEMBERS };

static const struct part {
    const char *type;
    enum ir_block_kind kind;
    unsigned member; /* that holds what the part is about */
    int (*read)(struct chat_reader *reader, struct json value, struct ir_block *block);
} parts[] = {
    {"text", IR_TEXT, TEXT, read_text},
    {"input_text", IR_TEXT, TEXT, read_text},  /* spelled as in Responses */
    {"output_text", IR_TEXT, TEXT, read_text}, /* the same */
    {"image_url", IR_IMAGE, IMAGE_URL, read_image},
    {"file", IR_DOCUMENT, FILE_, read_file},
    {"refusal", IR_REFUSAL, REFUSAL, read_refusal},
    {"thinking", IR_REASONING, THINKING, read_thinking},
};

static const struct part *find_part(struct json type)
{
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (json_is(type, parts[i].type))
            return &parts[i];
    return NULL;
}

static int read_typed_part(struct chat_reader *reader, struct json json, const struct part *part)
{
    struct json found[MEMBERS];
    chat_find_members(reader, json, members, "messages[].content[].", found);
    int r = chat_want(reader, "cache_control", found[CACHE_CONTROL], JSON_OBJECT);
    if (r < 0)
        return r;
    struct ir_block *block = chat_add_block(reader, part->kind);
    if (!block)
        return chat_no_memory(reader);
    block->raw = json;
    block->cache_mark = found[CACHE_CONTROL];
    return part->read(reader, found[part->member], block);
}

/* input_audio, video_url and whatever comes: encoders name it as a loss. */
static int read_foreign_part(struct chat_reader *reader, struct json json, struct json type)
{
    struct ir_block *block = chat_add_block(reader, IR_FOREIGN);
    if (!block)
        return chat_no_memory(reader);
    block->raw = json;
    block->name = ir_text_of(type);
    return 0;
}

static int read_string(struct chat_reader *reader, struct json string)
{
    struct ir_block *block = json_is_filled(string) ? chat_add_block(reader, IR_TEXT) : NULL;
    if (json_is_filled(string) && !block)
        return chat_no_memory(reader);
    if (block)
        block->text = ir_text_of(string);
    return 0;
}

static int read_part(struct chat_reader *reader, struct json json)
{
    struct json type = json_get(json, "type");
    if (json.type == JSON_STRING)
        return read_string(reader, json);
    if (json.type != JSON_OBJECT)
        return chat_wrong(reader, NULL, "must be a JSON object");
    if (type.type != JSON_STRING)
        return chat_wrong(reader, "type", "must be a string");
    const struct part *part = find_part(type);
    return part ? read_typed_part(reader, json, part) : read_foreign_part(reader, json, type);
}

int chat_read_content(struct chat_reader *reader, struct json content)
{
    struct json part;
    if (content.type == JSON_STRING || json_is_nothing(content))
        return read_string(reader, content);
    if (content.type != JSON_ARRAY)
        return chat_wrong(reader, "content", "must be a string or an array");
    struct chat_place *place = chat_enter(reader, "content");
    int r = 0;
    struct json_iter iter = json_iter(content);
    for (; r == 0 && json_next(&iter, &part); place->index++)
        r = read_part(reader, part);
    chat_leave(reader);
    return r;
}
