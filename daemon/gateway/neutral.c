/* See neutral.h. */
#include "gateway/neutral.h"

/*
 * An ordinary conversation takes half of its size. One of nothing but tiny blocks grows by the size
 * of struct ir_block for each; what needs more than this is refused as too large.
 */
#define ARENA_MIN    ((size_t)16 << 20)
#define ARENA_FACTOR 2

int neutral_decode(struct neutral *ret, const struct dialect *surface, struct span body,
                   struct err *reterr)
{
    *ret = (struct neutral){0};
    arena_init(&ret->arena, ARENA_MIN + ARENA_FACTOR * body.len);
    return surface->decode_request(body, &ret->arena, &ret->request, &ret->decoding, reterr);
}

void neutral_release(struct neutral *neutral)
{
    arena_release(&neutral->arena);
}

static bool has_kind(const struct ir_message *message, enum ir_block_kind kind)
{
    for (const struct ir_block *block = message->blocks; block; block = block->next)
        if (block->kind == kind)
            return true;
    return false;
}

/* Puts back the reasoning that led to a message's calls, where the client left it out. */
static void put_back(struct ir_message *message, struct memory *memory, struct arena *arena)
{
    struct ir_block *kept = NULL;
    for (struct ir_block *block = message->blocks; block && !kept; block = block->next)
        if (block->kind == IR_CALL)
            kept = memory_find(memory, block->id, arena);
    if (!kept)
        return;
    struct ir_block *last = kept;
    while (last->next)
        last = last->next;
    last->next = message->blocks;
    message->blocks = kept;
}

static void mark_foreign(struct ir_message *message, const struct memory *memory,
                         const char *origin)
{
    for (struct ir_block *block = message->blocks; block; block = block->next)
        if (block->kind == IR_REASONING && ir_text_is_filled(block->signature))
            block->is_foreign = memory_is_foreign(memory, ir_text_hash(block->signature), origin);
}

int neutral_encode(struct neutral *neutral, const struct neutral_target *target,
                   struct memory *memory, struct bytes *out, struct err *reterr)
{
    for (struct ir_message *message = neutral->request.messages; message; message = message->next) {
        if (message->role != IR_ROLE_ASSISTANT)
            continue;
        if (!has_kind(message, IR_REASONING))
            put_back(message, memory, &neutral->arena);
        mark_foreign(message, memory, target->origin);
    }
    neutral->losses = neutral->decoding;
    return target->dialect->encode_request(&neutral->request, &target->model, &neutral->arena,
                                           &neutral->losses, out, reterr);
}
