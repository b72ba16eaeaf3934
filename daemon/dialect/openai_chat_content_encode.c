/*
 * The content of a chat message, to the wire. Only user messages take more than text, so what a
 * block becomes is asked first (chat_say) and then written.
 */
#include "dialect/openai_chat_writer.h"

/* ---- what is said ---- */

static size_t number_of(const struct chat_writer *writer)
{
    size_t number = 0;
    const struct ir_message *message = writer->request->messages;
    for (; message && message != writer->message; message = message->next)
        number++;
    return number;
}

static enum chat_say refuse_document(struct chat_writer *writer, const struct ir_block *block)
{
    struct span type = block->media_type.escaped;
    if (writer->status == 0)
        writer->status =
            err_set(writer->reterr, ERR_INVALID_REQUEST,
                    "messages[%zu]: the model takes no documents" SPAN_FMT SPAN_FMT SPAN_FMT,
                    number_of(writer), SPAN_ARG(type.len ? SPAN(" (") : SPAN("")), SPAN_ARG(type),
                    SPAN_ARG(type.len ? SPAN(")") : SPAN("")));
    return CHAT_SAY_NOTHING;
}

static enum chat_say say_text(struct chat_writer *writer, const struct ir_block *block)
{
    (void)writer;
    return ir_text_is_filled(block->text) ? CHAT_SAY_WORDS : CHAT_SAY_NOTHING;
}

static enum chat_say say_image(struct chat_writer *writer, const struct ir_block *block)
{
    (void)block;
    if (chat_can(writer, IR_CAN_IMAGES))
        return CHAT_SAY_MEDIA;
    ir_lose(writer->losses, "messages[].content[].image");
    return CHAT_SAY_WORDS;
}

static enum chat_say say_document(struct chat_writer *writer, const struct ir_block *block)
{
    if (ir_text_is_filled(block->text))
        return CHAT_SAY_WORDS;
    if (!ir_text_is_filled(block->data) && !ir_text_is_filled(block->url))
        return CHAT_SAY_NOTHING;
    return chat_can(writer, IR_CAN_FILES) ? CHAT_SAY_MEDIA : refuse_document(writer, block);
}

static enum chat_say say_reference(struct chat_writer *writer, const struct ir_block *block)
{
    (void)writer, (void)block;
    return CHAT_SAY_WORDS;
}

static enum chat_say say_foreign(struct chat_writer *writer, const struct ir_block *block)
{
    chat_lose_word(writer, "messages[].content[].", block->name);
    return CHAT_SAY_NOTHING;
}

enum chat_say chat_say(struct chat_writer *writer, const struct ir_block *block)
{
    static enum chat_say (*const rows[])(struct chat_writer * writer,
                                         const struct ir_block *block) = {
        [IR_TEXT] = say_text,       [IR_REFUSAL] = say_text,
        [IR_IMAGE] = say_image,     [IR_DOCUMENT] = say_document,
        [IR_FOREIGN] = say_foreign, [IR_TOOL_REFERENCE] = say_reference,
        [IR_REASONING] = NULL,      [IR_CALL] = NULL,
        [IR_RESULT] = NULL,
    };
    return rows[block->kind] ? rows[block->kind](writer, block) : CHAT_SAY_NOTHING;
}

enum chat_say chat_say_words(struct chat_writer *writer, const struct ir_block *block)
{
    enum chat_say say = chat_say(writer, block);
    if (say != CHAT_SAY_MEDIA)
        return say;
    ir_lose(writer->losses, block->kind == IR_IMAGE ? "messages[].content[].image"
                                                    : "messages[].content[].document");
    return CHAT_SAY_NOTHING;
}

bool chat_keeps_mark(struct chat_writer *writer, const struct ir_block *block)
{
    if (json_is_nothing(block->cache_mark))
        return false;
    if (chat_can(writer, IR_CAN_CACHE_MARKS))
        return true;
    ir_lose(writer->losses, "messages[].content[].cache_control");
    return false;
}

/* ---- pieces ---- */

static void put_document(struct chat_writer *writer, const struct ir_block *block)
{
    if (ir_text_is_filled(block->name)) {
        chat_put(writer, block->name.escaped);
        chat_put(writer, SPAN("\\n\\n"));
    }
    chat_put(writer, block->text.escaped);
}

/* The text of a block, without quotes. */
static void put_words(struct chat_writer *writer, const struct ir_block *block)
{
    switch (block->kind) {
    case IR_TOOL_REFERENCE:
        chat_put(writer, SPAN("Tool "));
        chat_put(writer, block->name.escaped);
        chat_put(writer, SPAN(" is available now."));
        return;
    case IR_IMAGE:
        chat_put(writer, SPAN("[image omitted: the model takes none]"));
        return;
    case IR_DOCUMENT:
        put_document(writer, block);
        return;
    default:
        chat_put(writer, block->text.escaped);
    }
}

/* A web address, or the data as one; without quotes. */
static void put_url(struct chat_writer *writer, const struct ir_block *block)
{
    if (!ir_text_is_filled(block->data)) {
        chat_put(writer, block->url.escaped);
        return;
    }
    chat_put(writer, SPAN("data:"));
    chat_put(writer, block->media_type.escaped);
    chat_put(writer, SPAN(";base64,"));
    chat_put(writer, block->data.escaped);
}

static void put_image(struct chat_writer *writer, const struct ir_block *block)
{
    chat_put(writer, SPAN("{\"type\":\"image_url\",\"image_url\":{\"url\":\""));
    put_url(writer, block);
    chat_put(writer, SPAN("\""));
    if (ir_text_is_filled(block->detail)) {
        chat_put(writer, SPAN(",\"detail\":"));
        chat_put_text(writer, block->detail);
    }
    chat_put(writer, SPAN("}}"));
}

static void put_file(struct chat_writer *writer, const struct ir_block *block)
{
    chat_put(writer, SPAN("{\"type\":\"file\",\"file\":{\"filename\":"));
    chat_put_text(writer,
                  ir_text_is_filled(block->name) ? block->name : IR_TEXT_LITERAL("document.pdf"));
    chat_put(writer, SPAN(",\"file_data\":\""));
    put_url(writer, block);
    chat_put(writer, SPAN("\"}}"));
}

/* ---- the value ---- */

void chat_content_begin(struct chat_writer *writer, const struct chat_content *content)
{
    chat_put(writer, content->is_array ? SPAN("[") : SPAN("\""));
}

void chat_content_end(struct chat_writer *writer, const struct chat_content *content)
{
    chat_put(writer, content->is_array ? SPAN("]") : SPAN("\""));
}

void chat_content_open(struct chat_writer *writer, struct chat_content *content)
{
    if (content->count++)
        chat_put(writer, content->is_array ? SPAN(",") : content->join);
    if (content->is_array)
        chat_put(writer, SPAN("{\"type\":\"text\",\"text\":\""));
}

void chat_content_close(struct chat_writer *writer, struct chat_content *content,
                        const struct ir_block *marked)
{
    if (!content->is_array)
        return;
    chat_put(writer, SPAN("\""));
    if (marked && chat_keeps_mark(writer, marked)) {
        chat_put(writer, SPAN(",\"cache_control\":"));
        chat_put_value(writer, marked->cache_mark);
    }
    chat_put(writer, SPAN("}"));
}

void chat_content_words(struct chat_writer *writer, struct chat_content *content,
                        const struct ir_block *block)
{
    chat_content_open(writer, content);
    put_words(writer, block);
    chat_content_close(writer, content, block);
}

void chat_content_media(struct chat_writer *writer, struct chat_content *content,
                        const struct ir_block *block)
{
    if (content->count++)
        chat_put(writer, SPAN(","));
    if (block->kind == IR_IMAGE)
        put_image(writer, block);
    else
        put_file(writer, block);
    if (!json_is_nothing(block->cache_mark)) /* of texts alone it is known to be taken */
        ir_lose(writer->losses, "messages[].content[].cache_control");
}

/* ---- results ---- */

static void put_pointer(struct chat_writer *writer, const struct ir_block *media, struct span where)
{
    chat_put(writer, media->kind == IR_IMAGE ? SPAN("[image: ") : SPAN("[document: "));
    chat_put(writer, where);
    chat_put(writer, SPAN("]"));
}

size_t chat_put_result(struct chat_writer *writer, const struct ir_block *result, struct span where)
{
    size_t pieces = 0, media = 0;
    if (result->is_error)
        chat_put(writer, SPAN("Error: "));
    for (const struct ir_block *block = result->content; block; block = block->next) {
        enum chat_say say = chat_say(writer, block);
        if (say == CHAT_SAY_NOTHING)
            continue;
        if (pieces++)
            chat_put(writer, SPAN("\\n"));
        if (say == CHAT_SAY_WORDS)
            put_words(writer, block);
        else
            put_pointer(writer, block, where);
        media += say == CHAT_SAY_MEDIA;
    }
    if (pieces == 0)
        chat_put(writer, SPAN("(empty)"));
    return media;
}
