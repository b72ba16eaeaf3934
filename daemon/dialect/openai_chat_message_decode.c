/*
 * See openai_chat.h. What a delta or a message says, in this order: reasoning, content, refusal,
 * calls. Each provider has its own way to say it; docs/dialects/openai_chat.md lists them.
 */
#include "dialect/openai_chat.h"

/* ---- pieces ---- */

static int write_piece(struct ir_writer *writer, enum ir_block_kind kind, struct json text)
{
    struct ir_text piece = ir_text_of(text);
    return ir_text_is_filled(piece) ? ir_write_text(writer, kind, piece) : 0;
}

static void lose_if_filled(struct ir_writer *writer, struct json value, const char *name)
{
    if (json_is_filled(value))
        ir_lose(writer->losses, name);
}

/* A value that is no text, as the text of its JSON. */
static int serialise(struct ir_writer *writer, struct json value, struct ir_text *ret)
{
    return ir_text_escape(json_span(value), &writer->scratch, ret);
}

/* ---- content: a string, an array of parts, or an object ---- */

enum {
    PART_TYPE,
    PART_TEXT,
    PART_THINKING,
    PART_SUMMARY,
    PART_REFUSAL,
    PART_SIGNATURE,
    PART_MEMBERS
};

/* Thinking of a part: a string, or a list of objects with `text`. */
static int write_thoughts(struct ir_writer *writer, struct json thoughts)
{
    int r = write_piece(writer, IR_REASONING, thoughts);
    struct json_iter iter = json_iter(thoughts);
    for (struct json thought; r == 0 && thoughts.type == JSON_ARRAY && json_next(&iter, &thought);)
        r = write_piece(writer, IR_REASONING, json_get(thought, "text"));
    return r;
}

/* Mistral */
static int take_thinking_part(struct ir_writer *writer, const struct json *found)
{
    lose_if_filled(writer, found[PART_SIGNATURE], "reasoning signature");
    return write_thoughts(writer, found[PART_THINKING]);
}

/* Databricks */
static int take_reasoning_part(struct ir_writer *writer, const struct json *found)
{
    int r = write_thoughts(writer, found[PART_SUMMARY]);
    return r == 0 ? write_piece(writer, IR_REASONING, found[PART_TEXT]) : r;
}

static int take_refusal_part(struct ir_writer *writer, const struct json *found)
{
    return write_piece(writer, IR_REFUSAL, found[PART_REFUSAL]);
}

static int lose_reference(struct ir_writer *writer, const struct json *found)
{
    (void)found;
    ir_lose(writer->losses, "citations");
    return 0;
}

static const struct {
    const char *type;
    int (*take)(struct ir_writer *writer, const struct json *found);
} parts[] = {
    {"thinking", take_thinking_part},
    {"reasoning", take_reasoning_part},
    {"refusal", take_refusal_part},
    {"reference", lose_reference},
};

static int take_part(struct ir_writer *writer, struct json part)
{
    static const char *const names[] = {"type",    "text",      "thinking", "summary",
                                        "refusal", "signature", NULL};
    struct json found[PART_MEMBERS];
    if (part.type == JSON_STRING)
        return write_piece(writer, IR_TEXT, part);
    json_find(part, names, found);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (json_is(found[PART_TYPE], parts[i].type))
            return parts[i].take(writer, found);
    if (found[PART_TEXT].type != JSON_STRING)
        ir_lose(writer->losses, "content parts without text");
    return write_piece(writer, IR_TEXT, found[PART_TEXT]);
}

static int take_content(struct ir_writer *writer, struct json content)
{
    struct ir_text text;
    int r = 0;
    if (content.type == JSON_OBJECT) { /* Cloudflare, when a JSON schema was asked for */
        r = serialise(writer, content, &text);
        return r == 0 ? ir_write_text(writer, IR_TEXT, text) : r;
    }
    if (content.type != JSON_ARRAY)
        return write_piece(writer, IR_TEXT, content);
    struct json_iter iter = json_iter(content);
    for (struct json part; r == 0 && json_next(&iter, &part);)
        r = take_part(writer, part);
    return r;
}

/* ---- reasoning: one text under several names, and its details ---- */

static bool is_single(struct json array)
{
    struct json_iter iter = json_iter(array);
    struct json element;
    return json_next(&iter, &element) && !json_next(&iter, &element);
}

/* Claude's own signature, which counts for the block that was just written. */
static bool is_of_open_block(const struct ir_writer *writer, struct json format)
{
    return json_is(format, "anthropic-claude-v1") && writer->is_open &&
           writer->open_kind == IR_REASONING;
}

/* `has_text`: the text was there under another name. `is_sure`: a signature is that of this text. */
static int take_detail(struct ir_writer *writer, struct json detail, bool has_text, bool is_sure)
{
    static const char *const names[] = {"text", "summary", "signature", "format", "data", NULL};
    struct json found[5];
    int r = 0;
    json_find(detail, names, found);
    if (!has_text)
        r = write_piece(writer, IR_REASONING, found[0].type == JSON_STRING ? found[0] : found[1]);
    lose_if_filled(writer, found[4], "reasoning_details");
    if (r < 0 || !json_is_filled(found[2]))
        return r;
    if (is_sure && is_of_open_block(writer, found[3]))
        return ir_write_signature(writer, ir_text_of(found[2]));
    ir_lose(writer->losses, "reasoning_details");
    return 0;
}

/* The first name with something in it counts; the details only when no name has. */
static int take_reasoning(struct ir_writer *writer, const struct json *synonyms, size_t count,
                          struct json details)
{
    bool has_text = false;
    int r = 0;
    for (size_t i = 0; i < count && !has_text; i++) {
        has_text = ir_text_is_filled(ir_text_of(synonyms[i]));
        r = write_piece(writer, IR_REASONING, synonyms[i]);
    }
    if (details.type != JSON_ARRAY)
        return r;
    bool is_sure = !has_text || is_single(details);
    struct json_iter iter = json_iter(details);
    for (struct json detail; r == 0 && json_next(&iter, &detail);)
        r = take_detail(writer, detail, has_text, is_sure);
    return r;
}

/* ---- calls ---- */

/* What one element of tool_calls says. */
struct saying {
    int64_t index; /* -1: nothing */
    uint64_t id_hash;
    struct ir_text id, name, piece;
};

/* 0 for no text. Ids are told apart by it: the decoder owns no memory to keep them in. */
static uint64_t hash_of(struct ir_text text)
{
    return ir_text_is_filled(text) ? ir_text_hash(text) : 0;
}

/* Arguments are a string; an object is what the string should have held. */
static int read_arguments(struct ir_writer *writer, struct json arguments, struct ir_text *ret)
{
    *ret = ir_text_of(arguments);
    bool is_value = arguments.type == JSON_OBJECT || arguments.type == JSON_ARRAY;
    return is_value ? serialise(writer, arguments, ret) : 0;
}

static int read_function(struct ir_writer *writer, struct json function, struct saying *ret)
{
    static const char *const names[] = {"name", "arguments", "input", NULL};
    struct json found[3];
    json_find(function, names, found);
    ret->name = ir_text_of(found[0]);
    return read_arguments(writer, json_is_nothing(found[1]) ? found[2] : found[1], &ret->piece);
}

static int read_saying(struct ir_writer *writer, struct json call, struct saying *ret)
{
    static const char *const names[] = {"index", "id", "function", "custom", NULL};
    struct json found[4];
    json_find(call, names, found);
    *ret = (struct saying){.index = -1, .id = ir_text_of(found[1])};
    if (!json_int(found[0], &ret->index) || ret->index < 0)
        ret->index = -1;
    ret->id_hash = hash_of(ret->id);
    return read_function(writer, json_is_nothing(found[2]) ? found[3] : found[2], ret);
}

static bool is_silent(const struct saying *saying)
{
    return !ir_text_is_filled(saying->id) && !ir_text_is_filled(saying->name) &&
           !ir_text_is_filled(saying->piece);
}

static bool find_by_index(const struct openai_chat_decoder *decoder, int64_t index, unsigned *ret)
{
    for (unsigned slot = decoder->calls; slot-- > 0;) {
        if (decoder->list[slot].index == index) {
            *ret = slot;
            return true;
        }
    }
    return false;
}

static bool find_by_id(const struct openai_chat_decoder *decoder, uint64_t id_hash, unsigned *ret)
{
    for (unsigned slot = 0; slot < decoder->calls; slot++) {
        if (decoder->list[slot].id == id_hash) {
            *ret = slot;
            return true;
        }
    }
    return false;
}

/*
 * The call that is spoken of. By its index; but a new id with a name is a new call even under an
 * old index, which providers were seen to give to every call. Without an index by its id, and what
 * names nothing goes on with the newest.
 */
static bool find_call(const struct openai_chat_decoder *decoder, const struct saying *saying,
                      unsigned *ret)
{
    if (saying->index >= 0) {
        if (!find_by_index(decoder, saying->index, ret))
            return false;
        uint64_t id = decoder->list[*ret].id;
        bool is_other = id && saying->id_hash && id != saying->id_hash;
        return !is_other || !ir_text_is_filled(saying->name);
    }
    if (saying->id_hash)
        return find_by_id(decoder, saying->id_hash, ret);
    *ret = decoder->newest;
    return decoder->calls > 0 && !ir_text_is_filled(saying->name);
}

/* The call that cannot be spoken of any more when a new one begins: it is complete. */
static bool find_former(const struct openai_chat_decoder *decoder, int64_t index, unsigned *ret)
{
    if (index >= 0)
        return find_by_index(decoder, index, ret);
    *ret = decoder->newest;
    return decoder->calls > 0 && decoder->list[*ret].index < 0 && !decoder->list[*ret].id;
}

static int begin_call(struct openai_chat_decoder *decoder, struct ir_writer *writer, int64_t index,
                      unsigned *ret)
{
    unsigned former;
    int r = 0;
    if (decoder->calls == IR_SLOTS_MAX)
        return -ERR_PROVIDER_ANSWER;
    if (find_former(decoder, index, &former))
        r = ir_write_call_end(writer, former);
    *ret = decoder->calls++;
    decoder->list[*ret] = (struct openai_chat_call){.index = index};
    return r;
}

static int tell_call(struct openai_chat_decoder *decoder, struct ir_writer *writer, unsigned slot,
                     const struct saying *saying)
{
    struct openai_chat_call *call = &decoder->list[slot];
    if (!call->id)
        call->id = saying->id_hash;
    decoder->newest = slot;
    return ir_write_call(writer, slot, saying->id, saying->name, saying->piece);
}

static int take_call(struct openai_chat_decoder *decoder, struct ir_writer *writer,
                     struct json call, bool is_whole)
{
    struct saying saying;
    unsigned slot;
    int r = read_saying(writer, call, &saying);
    if (r < 0 || is_silent(&saying))
        return r;
    if (is_whole || !find_call(decoder, &saying, &slot))
        r = begin_call(decoder, writer, is_whole ? -1 : saying.index, &slot);
    if (r == 0)
        r = tell_call(decoder, writer, slot, &saying);
    return r == 0 && is_whole ? ir_write_call_end(writer, slot) : r;
}

static int take_calls(struct openai_chat_decoder *decoder, struct ir_writer *writer,
                      struct json calls, bool is_whole)
{
    int r = 0;
    struct json_iter iter = json_iter(calls);
    for (struct json call; r == 0 && calls.type == JSON_ARRAY && json_next(&iter, &call);)
        r = take_call(decoder, writer, call, is_whole);
    return r;
}

/* The call of the time before tool_calls: one, without index and id. An empty one is nothing. */
static int take_legacy_call(struct openai_chat_decoder *decoder, struct ir_writer *writer,
                            struct json function)
{
    struct saying saying = {.index = -1};
    unsigned slot = decoder->legacy - 1;
    int r = read_function(writer, function, &saying);
    if (r < 0 || is_silent(&saying))
        return r;
    if (decoder->legacy == 0) {
        r = begin_call(decoder, writer, -1, &slot);
        decoder->legacy = slot + 1;
    }
    return r == 0 ? tell_call(decoder, writer, slot, &saying) : r;
}

/* ---- delta or message ---- */

int openai_chat_decode_message(struct openai_chat_decoder *decoder, struct ir_writer *writer,
                               struct json message, bool is_whole)
{
    enum { REASONINGS = 3, DETAILS = 3, CONTENT, REFUSAL, CALLS, FUNCTION, LOST };
    static const char *const names[] = {
        "reasoning_content", "reasoning", "reasoning_text", "reasoning_details",
        "content",           "refusal",   "tool_calls",     "function_call",
        "annotations",       "audio",     "images",         NULL};
    struct json found[LOST + 3];
    json_find(message, names, found);
    for (size_t i = LOST; names[i]; i++)
        lose_if_filled(writer, found[i], names[i]);
    int r = take_reasoning(writer, found, REASONINGS, found[DETAILS]);
    if (r == 0)
        r = take_content(writer, found[CONTENT]);
    if (r == 0)
        r = write_piece(writer, IR_REFUSAL, found[REFUSAL]);
    if (r == 0)
        r = take_calls(decoder, writer, found[CALLS], is_whole);
    return r == 0 ? take_legacy_call(decoder, writer, found[FUNCTION]) : r;
}
