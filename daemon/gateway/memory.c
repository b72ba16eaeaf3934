/*
 * See memory.h. Notes stand in a hash table of lists by their key, and in one list by their last use:
 *
 *     buckets[key]  ->  note -> note -> ...        (collided)
 *     newest  <->  note  <->  note  <->  oldest
 *
 * Signers stand in sets of eight, the one used last in front.
 */
#include "gateway/memory.h"

#include <stdlib.h>

#include "base/own.h"

#define BUCKETS 1024 /* a power of two */
#define SETS    8192 /* a power of two: with WAYS signers each 1 MiB, touched as it fills */
#define WAYS    8

/* One block's bytes stand behind the note: text, then signature. */
struct kept_block {
    size_t text, signature; /* their lengths */
    bool has_signature, is_redacted;
};

struct note {
    struct note *collided;
    struct note *newer, *older;
    struct memory_key key;
    size_t size; /* of everything */
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
    struct signer signers[SETS][WAYS];
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

static struct note **bucket_of(struct memory *memory, uint64_t call)
{
    return &memory->buckets[call & (BUCKETS - 1)];
}

static struct note **find_exact(struct memory *memory, struct memory_key key)
{
    struct note **at = bucket_of(memory, key.call);
    while (*at && ((*at)->key.call != key.call || (*at)->key.place != key.place))
        at = &(*at)->collided;
    return at;
}

/* The note of the place, else the only one of the call, else none. */
static struct note *find_note(struct memory *memory, struct memory_key key)
{
    struct note *found = NULL;
    unsigned count = 0;
    for (struct note *note = *bucket_of(memory, key.call); note; note = note->collided) {
        if (note->key.call != key.call)
            continue;
        if (note->key.place == key.place)
            return note;
        found = note;
        count++;
    }
    return count == 1 ? found : NULL;
}

static void put_in_front(struct memory *memory, struct note *note)
{
    note->newer = NULL;
    note->older = memory->newest;
    *(note->older ? &note->older->newer : &memory->oldest) = note;
    memory->newest = note;
}

static void take_out(struct memory *memory, struct note *note)
{
    *(note->newer ? &note->newer->older : &memory->newest) = note->older;
    *(note->older ? &note->older->newer : &memory->oldest) = note->newer;
}

static void forget(struct memory *memory, struct note **place)
{
    struct note *note = *place;
    *place = note->collided;
    take_out(memory, note);
    memory->held -= note->size;
    free(note);
}

static void forget_oldest(struct memory *memory)
{
    forget(memory, find_exact(memory, memory->oldest->key));
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

static void fill(struct note *note, const struct ir_block *blocks)
{
    struct kept_block *kept = note->blocks;
    char *at = (char *)(note->blocks + note->count);
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

void memory_keep(struct memory *memory, struct memory_key key, const struct ir_block *blocks)
{
    unsigned count;
    struct note **place = find_exact(memory, key);
    size_t size = sizeof(struct note) + measure(blocks, &count);
    if (*place)
        forget(memory, place);
    if (count == 0 || size > memory->max / 8)
        return;
    struct note *note = malloc(size);
    if (!note)
        return; /* as if it had been forgotten */
    *note = (struct note){.key = key, .size = size, .count = count};
    fill(note, blocks);
    note->collided = *place;
    *place = note;
    put_in_front(memory, note);
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

struct ir_block *memory_find(struct memory *memory, struct memory_key key, struct arena *arena)
{
    struct note *note = find_note(memory, key);
    struct ir_block *first = NULL, **next = &first;
    if (!note)
        return NULL;
    take_out(memory, note);
    put_in_front(memory, note); /* a long conversation asks for its first notes every turn */
    const char *at = (const char *)(note->blocks + note->count);
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

/* Puts a signer in front of its set; the last one of a full set goes. */
static void use_signer(struct signer set[WAYS], struct signer signer)
{
    size_t at = 0;
    while (at < WAYS - 1 && set[at].signature != signer.signature)
        at++;
    memmove(set + 1, set, at * sizeof(*set));
    set[0] = signer;
}

void memory_note_signer(struct memory *memory, uint64_t signature_hash, const char *origin)
{
    use_signer(memory->signers[signature_hash & (SETS - 1)],
               (struct signer){signature_hash, origin_hash(origin)});
}

bool memory_is_foreign(struct memory *memory, uint64_t signature_hash, const char *origin)
{
    struct signer *set = memory->signers[signature_hash & (SETS - 1)];
    for (size_t i = 0; i < WAYS; i++) {
        struct signer signer = set[i];
        if (signer.signature != signature_hash)
            continue;
        use_signer(set, signer);
        return signer.origin != origin_hash(origin);
    }
    return false;
}
