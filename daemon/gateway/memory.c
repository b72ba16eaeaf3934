/*
 * See memory.h. Notes stand in a hash table of lists by their call, and in one list by age:
 *
 *     buckets[hash]  ->  note -> note -> ...        (collided)
 *     newest  <->  note  <->  note  <->  oldest
 */
#include "gateway/memory.h"

#include <stdlib.h>

#include "base/own.h"

#define BUCKETS 1024 /* a power of two */
#define SIGNERS 4096 /* a power of two: 64 KiB */

/* One block's bytes stand behind the note: text, then signature. */
struct kept_block {
    size_t text, signature; /* their lengths */
    bool has_signature, is_redacted;
};

struct note {
    struct note *collided;
    struct note *newer, *older;
    uint64_t hash;
    size_t size; /* of everything */
    size_t id_len;
    unsigned count;
    struct kept_block blocks[];
};

struct signer {
    uint64_t signature, origin;
};

struct memory {
    size_t max, held;
    struct note *newest, *oldest;
    struct note *buckets[BUCKETS];
    struct signer signers[SIGNERS];
};

struct memory *memory_new(size_t max)
{
    struct memory *memory = calloc(1, sizeof(*memory));
    if (!memory)
        abort();
    memory->max = max;
    return memory;
}

/* ---- notes ---- */

static const char *id_of(const struct note *note)
{
    return (const char *)(note->blocks + note->count);
}

static struct note **find_place(struct memory *memory, uint64_t hash, struct ir_text id)
{
    struct note **place = &memory->buckets[hash % BUCKETS];
    for (; *place; place = &(*place)->collided)
        if ((*place)->hash == hash &&
            span_equal((struct span){id_of(*place), (*place)->id_len}, id.escaped))
            break;
    return place;
}

static void forget(struct memory *memory, struct note **place)
{
    struct note *note = *place;
    *place = note->collided;
    *(note->newer ? &note->newer->older : &memory->newest) = note->older;
    *(note->older ? &note->older->newer : &memory->oldest) = note->newer;
    memory->held -= note->size;
    free(note);
}

static void forget_oldest(struct memory *memory)
{
    struct note **place = &memory->buckets[memory->oldest->hash % BUCKETS];
    while (*place != memory->oldest)
        place = &(*place)->collided;
    forget(memory, place);
}

struct memory *memory_free(struct memory *memory)
{
    while (memory && memory->oldest)
        forget_oldest(memory);
    free(memory);
    return NULL;
}

static size_t measure(const struct ir_block *blocks, unsigned *ret_count)
{
    size_t size = 0;
    *ret_count = 0;
    for (const struct ir_block *block = blocks; block; block = block->next) {
        if (block->kind != IR_REASONING)
            continue;
        size += sizeof(struct kept_block) + block->text.escaped.len + block->signature.escaped.len;
        ++*ret_count;
    }
    return size;
}

static char *append(char *at, struct span text)
{
    if (text.len)
        memcpy(at, text.at, text.len);
    return at + text.len;
}

static void fill(struct note *note, struct ir_text id, const struct ir_block *blocks)
{
    struct kept_block *kept = note->blocks;
    char *at = append((char *)(note->blocks + note->count), id.escaped);
    for (const struct ir_block *block = blocks; block; block = block->next) {
        if (block->kind != IR_REASONING)
            continue;
        *kept++ = (struct kept_block){
            .text = block->text.escaped.len,
            .signature = block->signature.escaped.len,
            .has_signature = block->signature.escaped.at != NULL,
            .is_redacted = block->is_redacted,
        };
        at = append(append(at, block->text.escaped), block->signature.escaped);
    }
}

void memory_keep(struct memory *memory, struct ir_text call_id, const struct ir_block *blocks)
{
    unsigned count;
    uint64_t hash = ir_text_hash(call_id);
    struct note **place = find_place(memory, hash, call_id);
    size_t size = sizeof(struct note) + measure(blocks, &count) + call_id.escaped.len;
    if (*place)
        forget(memory, place);
    if (count == 0 || size > memory->max / 8)
        return;
    struct note *note = malloc(size);
    if (!note)
        return; /* as if it had been forgotten */
    *note = (struct note){.hash = hash, .size = size, .count = count};
    note->id_len = call_id.escaped.len;
    fill(note, call_id, blocks);
    note->collided = *place;
    *place = note;
    note->older = memory->newest;
    *(note->older ? &note->older->newer : &memory->oldest) = note;
    memory->newest = note;
    memory->held += size;
    while (memory->held > memory->max)
        forget_oldest(memory);
}

static bool copy_text(struct arena *arena, const char **at, size_t len, struct ir_text *ret)
{
    ret->escaped = (struct span){arena_copy(arena, (struct span){*at, len}), len};
    *at += len;
    return ret->escaped.at != NULL;
}

struct ir_block *memory_find(struct memory *memory, struct ir_text call_id, struct arena *arena)
{
    const struct note *note = *find_place(memory, ir_text_hash(call_id), call_id);
    struct ir_block *first = NULL, **next = &first;
    if (!note)
        return NULL;
    const char *at = id_of(note) + note->id_len;
    for (unsigned i = 0; i < note->count; i++) {
        const struct kept_block *kept = &note->blocks[i];
        struct ir_block *block = arena_alloc(arena, sizeof(*block));
        if (!block || !copy_text(arena, &at, kept->text, &block->text) ||
            !copy_text(arena, &at, kept->signature, &block->signature))
            return NULL;
        block->kind = IR_REASONING;
        block->is_redacted = kept->is_redacted;
        if (!kept->has_signature)
            block->signature = (struct ir_text){0};
        *next = block;
        next = &block->next;
    }
    return first;
}

/* ---- signers ---- */

static uint64_t origin_hash(const char *origin)
{
    return ir_text_hash((struct ir_text){span_of(origin)});
}

void memory_note_signer(struct memory *memory, uint64_t signature_hash, const char *origin)
{
    memory->signers[signature_hash % SIGNERS] =
        (struct signer){signature_hash, origin_hash(origin)};
}

bool memory_is_foreign(const struct memory *memory, uint64_t signature_hash, const char *origin)
{
    const struct signer *signer = &memory->signers[signature_hash % SIGNERS];
    return signer->origin && signer->signature == signature_hash &&
           signer->origin != origin_hash(origin);
}
