/*
 * See anthropic_blocks.h. Blocks of server tools and whatever is not known are skipped and named as
 * losses: they are the provider's own business and no client could act on them.
 */
#include "dialect/anthropic_blocks.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct ir_text unsaid;

/* ---- what is held ---- */

/* Holds a text of the event, which outlives it. An empty one is none. */
static int hold(struct ir_writer *writer, struct anthropic_open_block *block, struct ir_text text)
{
    if (!ir_text_is_filled(text))
        return 0;
    const char *copy = arena_copy(&writer->scratch, text.escaped);
    if (!copy)
        return -ERR_TOO_LARGE;
    block->held = (struct ir_text){{copy, text.escaped.len}};
    return 0;
}

bool anthropic_blocks_hold(const struct anthropic_decoder *decoder)
{
    for (unsigned i = 0; i < decoder->open_count; i++)
        if (ir_text_is_filled(decoder->open[i].held))
            return true;
    return false;
}

/* Arguments that came in no delta: those of the start, or none, which is an empty object. */
static int settle_call(struct ir_writer *writer, struct anthropic_open_block *block)
{
    if (block->has_pieces || block->is_settled)
        return 0;
    struct ir_text arguments = ir_text_is_filled(block->held) ? block->held : IR_TEXT_LITERAL("{}");
    block->held = unsaid;
    block->is_settled = true;
    return ir_write_call(writer, block->slot, unsaid, unsaid, arguments);
}

/* Writes what the block's start told, if no delta took its place. */
static int settle(struct ir_writer *writer, struct anthropic_open_block *block)
{
    if (block->kind == ANTHROPIC_CALL)
        return settle_call(writer, block);
    int r = ir_text_is_filled(block->held) ? ir_write_signature(writer, block->held) : 0;
    block->held = unsaid;
    return r;
}

int anthropic_blocks_settle(struct anthropic_decoder *decoder, struct ir_writer *writer)
{
    int r = 0;
    for (unsigned i = 0; r == 0 && i < decoder->open_count; i++)
        r = settle(writer, &decoder->open[i]);
    return r;
}

/* ---- open blocks ---- */

/* The open block of this index; the newest one when the wire tells no index. NULL: none. */
static struct anthropic_open_block *find_block(struct anthropic_decoder *decoder, int64_t index)
{
    for (unsigned i = decoder->open_count; i-- > 0;)
        if (decoder->open[i].index == index || index == ANTHROPIC_NO_INDEX)
            return &decoder->open[i];
    return NULL;
}

static int close_block(struct anthropic_decoder *decoder, struct ir_writer *writer,
                       struct anthropic_open_block *block)
{
    int r = settle(writer, block);
    if (r == 0 && block->kind == ANTHROPIC_CALL)
        r = ir_write_call_end(writer, block->slot);
    else if (r == 0 && block->kind != ANTHROPIC_SKIPPED)
        r = ir_write_stop(writer);
    const struct anthropic_open_block *end = decoder->open + decoder->open_count--;
    memmove(block, block + 1, (size_t)(end - (block + 1)) * sizeof(*block));
    return r;
}

int anthropic_blocks_end(struct anthropic_decoder *decoder, struct ir_writer *writer)
{
    int r = 0;
    while (r == 0 && decoder->open_count > 0)
        r = close_block(decoder, writer, decoder->open);
    return r;
}

/* A place for a new block: an older one of its index has ended without saying so. */
static int make_block(struct anthropic_decoder *decoder, struct ir_writer *writer, int64_t index,
                      struct anthropic_open_block **ret)
{
    struct anthropic_open_block *old = find_block(decoder, index);
    if (!old && decoder->open_count == COUNT(decoder->open))
        old = decoder->open;
    int r = old ? close_block(decoder, writer, old) : 0;
    *ret = &decoder->open[decoder->open_count++];
    **ret = (struct anthropic_open_block){.index = index};
    return r;
}

/* ---- starts of blocks ---- */

static int start_text(struct anthropic_decoder *decoder, struct ir_writer *writer,
                      struct anthropic_open_block *block, struct json content)
{
    (void)decoder, (void)block;
    static const char *const names[] = {"text", "citations", NULL};
    struct json found[2];
    json_find(content, names, found);
    if (json_is_filled(found[1]))
        ir_lose(writer->losses, "content[].citations");
    return ir_write_text(writer, IR_TEXT, ir_text_of(found[0]));
}

static int start_thinking(struct anthropic_decoder *decoder, struct ir_writer *writer,
                          struct anthropic_open_block *block, struct json content)
{
    (void)decoder;
    static const char *const names[] = {"thinking", "signature", NULL};
    struct json found[2];
    json_find(content, names, found);
    int r = ir_write_text(writer, IR_REASONING, ir_text_of(found[0]));
    return r == 0 ? hold(writer, block, ir_text_of(found[1])) : r;
}

static int start_redacted(struct anthropic_decoder *decoder, struct ir_writer *writer,
                          struct anthropic_open_block *block, struct json content)
{
    (void)decoder;
    block->kind = ANTHROPIC_SKIPPED; /* it is whole already */
    return ir_write_redacted(writer, ir_text_of(json_get(content, "data")));
}

/* An object, or (a gateway's slip) its text. An empty one says nothing yet. */
static int hold_input(struct ir_writer *writer, struct anthropic_open_block *block,
                      struct json input)
{
    if (input.type == JSON_OBJECT && json_is_filled(input))
        return ir_text_escape(json_span(input), &writer->scratch, &block->held);
    return hold(writer, block, ir_text_of(input));
}

static int start_call(struct anthropic_decoder *decoder, struct ir_writer *writer,
                      struct anthropic_open_block *block, struct json content)
{
    static const char *const names[] = {"id", "name", "input", NULL};
    struct json found[3];
    json_find(content, names, found);
    block->slot = decoder->calls++;
    int r = ir_write_call(writer, block->slot, ir_text_of(found[0]), ir_text_of(found[1]), unsaid);
    return r == 0 ? hold_input(writer, block, found[2]) : r;
}

static const struct block_type {
    const char *type;
    enum anthropic_block_kind kind;
    int (*start)(struct anthropic_decoder *decoder, struct ir_writer *writer,
                 struct anthropic_open_block *block, struct json content);
} block_types[] = {
    {"text", ANTHROPIC_TEXT, start_text},
    {"thinking", ANTHROPIC_THINKING, start_thinking},
    {"tool_use", ANTHROPIC_CALL, start_call},
    {"redacted_thinking", ANTHROPIC_THINKING, start_redacted},
};

static const struct block_type *find_block_type(struct json type)
{
    for (size_t i = 0; i < COUNT(block_types); i++)
        if (json_is(type, block_types[i].type))
            return &block_types[i];
    return NULL;
}

/*
 * Only calls may stand open side by side. A block of any other kind ends when the next one begins,
 * whether the wire says so or not, and so do the calls before it. Skipped ones are not in the way.
 */
static int make_room(struct anthropic_decoder *decoder, struct ir_writer *writer,
                     enum anthropic_block_kind kind)
{
    int r = 0;
    for (unsigned i = 0; r == 0 && kind != ANTHROPIC_SKIPPED && i < decoder->open_count;) {
        enum anthropic_block_kind other = decoder->open[i].kind;
        if (other == ANTHROPIC_SKIPPED || (other == ANTHROPIC_CALL && kind == ANTHROPIC_CALL))
            i++;
        else
            r = close_block(decoder, writer, &decoder->open[i]);
    }
    return r == 0 && kind != ANTHROPIC_SKIPPED ? ir_write_stop(writer) : r;
}

int anthropic_blocks_start(struct anthropic_decoder *decoder, struct ir_writer *writer,
                           int64_t index, struct json content)
{
    struct anthropic_open_block *block = NULL;
    struct json type = json_get(content, "type");
    const struct block_type *known = find_block_type(type);
    int r = make_room(decoder, writer, known ? known->kind : ANTHROPIC_SKIPPED);
    if (r == 0)
        r = make_block(decoder, writer, index, &block);
    if (r < 0)
        return r;
    if (known) {
        block->kind = known->kind;
        return known->start(decoder, writer, block, content);
    }
    if (type.type == JSON_STRING)
        ir_lose_member(writer->losses, "content[].", type);
    else
        ir_lose(writer->losses, "content[]");
    return 0;
}

int anthropic_blocks_read(struct anthropic_decoder *decoder, struct ir_writer *writer,
                          struct json content)
{
    int r = 0;
    struct json block;
    struct json_iter iter = json_iter(content);
    while (r == 0 && content.type == JSON_ARRAY && json_next(&iter, &block)) {
        r = anthropic_blocks_start(decoder, writer, ANTHROPIC_NO_INDEX, block);
        if (r == 0)
            r = anthropic_blocks_end(decoder, writer);
        if (r == 0)
            arena_reset(&writer->scratch); /* nothing is open, so nothing is held */
    }
    return r;
}

/* ---- deltas ---- */

/* `block` is NULL when none of the event's index is open: the words themselves are still good. */
static int add_text(struct anthropic_decoder *decoder, struct ir_writer *writer,
                    struct anthropic_open_block *block, struct ir_text piece)
{
    (void)decoder, (void)block;
    return ir_write_text(writer, IR_TEXT, piece);
}

static int add_thinking(struct anthropic_decoder *decoder, struct ir_writer *writer,
                        struct anthropic_open_block *block, struct ir_text piece)
{
    (void)decoder, (void)block;
    return ir_write_text(writer, IR_REASONING, piece);
}

static int add_signature(struct anthropic_decoder *decoder, struct ir_writer *writer,
                         struct anthropic_open_block *block, struct ir_text piece)
{
    (void)decoder;
    if (block && span_starts(piece.escaped, block->held.escaped))
        block->held = unsaid; /* the same signature, told at the start */
    int r = block && ir_text_is_filled(piece) ? settle(writer, block) : 0;
    return r == 0 ? ir_write_signature(writer, piece) : r;
}

/* Arguments without a call, or behind its end, would be lost in silence: a tool would run wrong. */
static int add_input(struct anthropic_decoder *decoder, struct ir_writer *writer,
                     struct anthropic_open_block *block, struct ir_text piece)
{
    (void)decoder;
    if (!ir_text_is_filled(piece))
        return 0;
    if (!block || block->is_settled)
        return -ERR_PROVIDER_ANSWER;
    block->held = unsaid; /* the same arguments, told at the start */
    block->has_pieces = true;
    return ir_write_call(writer, block->slot, unsaid, unsaid, piece);
}

static int lose_citation(struct anthropic_decoder *decoder, struct ir_writer *writer,
                         struct anthropic_open_block *block, struct ir_text piece)
{
    (void)decoder, (void)block, (void)piece;
    ir_lose(writer->losses, "content[].citations");
    return 0;
}

/* A delta that is not of its block's kind is left out: it would end the block. */
static const struct delta_type {
    const char *type;
    const char *member;
    enum anthropic_block_kind kind; /* of its block */
    int (*add)(struct anthropic_decoder *decoder, struct ir_writer *writer,
               struct anthropic_open_block *block, struct ir_text piece);
} delta_types[] = {
    {"text_delta", "text", ANTHROPIC_TEXT, add_text},
    {"thinking_delta", "thinking", ANTHROPIC_THINKING, add_thinking},
    {"input_json_delta", "partial_json", ANTHROPIC_CALL, add_input},
    {"signature_delta", "signature", ANTHROPIC_THINKING, add_signature},
    {"citations_delta", "citation", ANTHROPIC_TEXT, lose_citation},
};

/* By its type; one without a type is known by its member. */
static const struct delta_type *find_delta(struct json delta, struct json type)
{
    for (size_t i = 0; i < COUNT(delta_types); i++) {
        if (type.type == JSON_STRING ? json_is(type, delta_types[i].type)
                                     : json_is_filled(json_get(delta, delta_types[i].member)))
            return &delta_types[i];
    }
    return NULL;
}

int anthropic_blocks_add(struct anthropic_decoder *decoder, struct ir_writer *writer, int64_t index,
                         struct json delta)
{
    struct anthropic_open_block *block = find_block(decoder, index);
    struct json type = json_get(delta, "type");
    const struct delta_type *known = find_delta(delta, type);
    if (block && block->kind == ANTHROPIC_SKIPPED)
        return 0;
    if (known && (!block || block->kind == known->kind))
        return known->add(decoder, writer, block, ir_text_of(json_get(delta, known->member)));
    if (type.type == JSON_STRING)
        ir_lose_member(writer->losses, "delta.", type);
    return 0;
}

int anthropic_blocks_stop(struct anthropic_decoder *decoder, struct ir_writer *writer,
                          int64_t index)
{
    struct anthropic_open_block *block = find_block(decoder, index);
    return block ? close_block(decoder, writer, block) : 0;
}
