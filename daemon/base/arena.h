/*
 * Arena: memory that goes away all at once, for what lives exactly as long as one request.
 *
 * Small pieces come from chunks; nothing is freed singly. The maximum bounds what one request can
 * make us hold: an allocation above it returns NULL, which the caller reports as -ERR_TOO_LARGE.
 */
#pragma once

#include "base/bytes.h"

struct arena_chunk;

struct arena {
    struct arena_chunk *chunks; /* newest first */
    size_t used;                /* of the newest chunk */
    size_t total;               /* bytes handed out */
    size_t max;
};

/* Empty arena with a maximum; allocates nothing yet. */
void arena_init(struct arena *arena, size_t max);
/* Frees everything that came from the arena. */
void arena_release(struct arena *arena);
/* Empty again, with the newest chunk kept for what comes next. */
void arena_reset(struct arena *arena);
/* Zeroed, aligned for any type; NULL above the maximum or when memory is out. */
void *arena_alloc(struct arena *arena, size_t size);
/* NUL-terminated copy; NULL as for arena_alloc. */
char *arena_copy(struct arena *arena, struct span text);
/* printf into the arena; NULL as for arena_alloc. */
char *arena_printf(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
