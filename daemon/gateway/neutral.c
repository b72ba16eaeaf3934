/* See neutral.h. */
#include "gateway/neutral.h"

/*
 * An ordinary conversation takes half of its size. One of nothing but tiny blocks grows by the size
 * of struct ir_block for each; what needs more than this is refused as too large.
 */
#define ARENA_MIN    ((size_t)16 << 20)
#define ARENA_FACTOR 2

#define DIGEST_BYTES  512 /* of a text */
#define DIGEST_BLOCKS 16  /* of a message */

/* How far a conversation has been walked. */
struct neutral_place {
    const struct ir_message *opening, *last; /* the first and the newest message of a user */
    size_t messages;
};

/* The beginning is enough to know a text by, and a message. */
static uint64_t digest_text(struct ir_text text)
{
    if (text.escaped.len > DIGEST_BYTES)
        text.escaped.len = DIGEST_BYTES;
    return ir_text_hash(text);
}

static uint64_t digest_blocks(const struct ir_block *block)
{
    uint64_t digest = 0;
    for (unsigned i = 0; block && i < DIGEST_BLOCKS; block = block->next, i++)
        digest = (digest ^ digest_text(block->text) ^ digest_text(block->id)) * 31 +
                 digest_blocks(block->content);
    return digest;
}

/*
 * Where in which conversation an answer stands: how the conversation begins, how far it has come, and
 * what the user or a tool said last. Not what stands in system messages (dates) and answers (the
 * reasoning that clients leave out).
 */
static void pass(struct neutral_place *place, const struct ir_message *message)
{
    place->messages++;
    if (message->role != IR_ROLE_USER)
        return;
    place->last = message;
    if (!place->opening)
        place->opening = message;
}

static uint64_t place_hash(const struct neutral_place *place)
{
    uint64_t opening = place->opening ? digest_blocks(place->opening->blocks) : 0;
    uint64_t last = place->last ? digest_blocks(place->last->blocks) : 0;
    return (opening * 31 ^ last) * 31 ^ place->messages;
}

int neutral_decode(struct neutral *ret, const struct dialect *surface, struct span body,
                   struct err *reterr)
{
    *ret = (struct neutral){0};
    arena_init(&ret->arena, ARENA_MIN + ARENA_FACTOR * body.len);
    int r = surface->decode_request(body, &ret->arena, &ret->request, &ret->decoding, reterr);
    struct neutral_place place = {0};
    for (const struct ir_message *message = ret->request.messages; message; message = message->next)
        pass(&place, message);
    ret->place = place_hash(&place);
    return r;
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

uint64_t neutral_call_hash(struct ir_text id, struct ir_text name)
{
    return ir_text_hash(id) * 31 ^ ir_text_hash(name);
}

/* Escapes are white space in one spelling and letters in another: their letters do not count. */
uint64_t neutral_call_more(uint64_t hash, struct span arguments)
{
    for (size_t i = 0; i < arguments.len; i++) {
        char c = arguments.at[i];
        bool counts = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
                      (c >= 'a' && c <= 'z' && c != 'n' && c != 't' && c != 'r');
        if (counts)
            hash = (hash ^ (unsigned char)c) * 0x100000001b3u;
    }
    return hash;
}

static struct memory_key key_of(const struct ir_block *call, uint64_t place)
{
    uint64_t hash = neutral_call_hash(call->id, call->name);
    struct span arguments =
        call->arguments.type == JSON_ABSENT ? call->torn.escaped : json_span(call->arguments);
    return (struct memory_key){neutral_call_more(hash, arguments), place};
}

static bool is_signed(const struct ir_block *block)
{
    return block->kind == IR_REASONING && ir_text_is_filled(block->signature);
}

static bool has_signed(const struct ir_block *block)
{
    while (block && !is_signed(block))
        block = block->next;
    return block;
}

/* Reasoning whose client lost the signature: what is put back says the same. */
static void drop_reasoning(struct ir_message *message)
{
    for (struct ir_block **next = &message->blocks; *next;) {
        if ((*next)->kind == IR_REASONING)
            *next = (*next)->next;
        else
            next = &(*next)->next;
    }
}

/* Puts back the reasoning that led to a message's calls, where the client left it out. */
static void put_back(struct neutral *neutral, struct ir_message *message,
                     const struct neutral_place *place, bool wants_signed, struct memory *memory)
{
    struct ir_block *kept = NULL;
    if (!has_kind(message, IR_CALL) ||
        (wants_signed ? has_signed(message->blocks) : has_kind(message, IR_REASONING)))
        return;
    const uint64_t hash = place_hash(place);
    for (struct ir_block *block = message->blocks; block && !kept; block = block->next)
        if (block->kind == IR_CALL)
            kept = memory_find(memory, key_of(block, hash), &neutral->arena);
    if (!kept || (wants_signed && !has_signed(kept)))
        return;
    struct ir_block *last = kept;
    while (last->next)
        last = last->next;
    drop_reasoning(message);
    last->next = message->blocks;
    message->blocks = kept;
}

static void mark_foreign(struct ir_message *message, struct memory *memory, const char *origin)
{
    for (struct ir_block *block = message->blocks; block; block = block->next)
        if (block->kind == IR_REASONING && ir_text_is_filled(block->signature))
            block->is_foreign = memory_is_foreign(memory, ir_text_hash(block->signature), origin);
}

int neutral_encode(struct neutral *neutral, const struct neutral_target *target,
                   struct memory *memory, struct bytes *out, struct err *reterr)
{
    const bool wants_signed = target->dialect->strip_reasoning != NULL;
    const bool wants_plain = ir_can(&target->model, IR_CAN_REASONING_BACK);
    struct neutral_place place = {0};
    for (struct ir_message *message = neutral->request.messages; message;
         pass(&place, message), message = message->next) {
        if (message->role != IR_ROLE_ASSISTANT)
            continue;
        if (wants_signed || wants_plain)
            put_back(neutral, message, &place, !wants_plain, memory);
        mark_foreign(message, memory, target->origin);
    }
    neutral->losses = neutral->decoding;
    return target->dialect->encode_request(&neutral->request, &target->model, &neutral->arena,
                                           &neutral->losses, out, reterr);
}
