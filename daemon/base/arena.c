/* See arena.h. A chunk is 4 KiB; a piece above 1 KiB gets a chunk of its own behind the newest. */
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define CHUNK 4096u
#define LARGE 1024u

struct arena_chunk {
    struct arena_chunk *next;
    size_t size;
    _Alignas(max_align_t) char data[];
};

void arena_init(struct arena *arena, size_t max)
{
    *arena = (struct arena){.max = max};
}

void arena_release(struct arena *arena)
{
    for (struct arena_chunk *chunk = arena->chunks, *next; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    *arena = (struct arena){.max = arena->max};
}

void arena_reset(struct arena *arena)
{
    struct arena_chunk *kept = arena->chunks;
    if (!kept || kept->size > CHUNK) { /* a large piece is not worth keeping */
        arena_release(arena);
        return;
    }
    for (struct arena_chunk *chunk = kept->next, *next; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    kept->next = NULL;
    arena->used = arena->total = 0;
}

static struct arena_chunk *new_chunk(size_t size)
{
    struct arena_chunk *chunk = malloc(sizeof(*chunk) + size);
    if (chunk)
        *chunk = (struct arena_chunk){.next = NULL, .size = size};
    return chunk;
}

/* A large piece goes behind the newest chunk, which keeps its free room. */
static void *alloc_large(struct arena *arena, size_t size)
{
    struct arena_chunk *chunk = new_chunk(size);
    if (!chunk)
        return NULL;
    if (arena->chunks) {
        chunk->next = arena->chunks->next;
        arena->chunks->next = chunk;
    } else {
        arena->chunks = chunk;
        arena->used = size;
    }
    return memset(chunk->data, 0, size);
}

void *arena_alloc(struct arena *arena, size_t size)
{
    const size_t align = _Alignof(max_align_t);
    if (size > arena->max || arena->total > arena->max - size || size > SIZE_MAX - align)
        return NULL;
    size = (size + align - 1) & ~(align - 1);
    if (size == 0)
        size = align;
    arena->total += size;
    if (size > LARGE)
        return alloc_large(arena, size);
    if (!arena->chunks || arena->chunks->size - arena->used < size) {
        struct arena_chunk *chunk = new_chunk(CHUNK);
        if (!chunk)
            return NULL;
        chunk->next = arena->chunks;
        arena->chunks = chunk;
        arena->used = 0;
    }
    void *piece = arena->chunks->data + arena->used;
    arena->used += size;
    return memset(piece, 0, size);
}

char *arena_copy(struct arena *arena, struct span text)
{
    char *copy = arena_alloc(arena, text.len + 1);
    if (copy && text.len)
        memcpy(copy, text.at, text.len);
    return copy;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = n < 0 ? NULL : arena_alloc(arena, (size_t)n + 1);
    if (text)
        (void)vsnprintf(text, (size_t)n + 1, format, again); /* measured above */
    va_end(again);
    return text;
}
