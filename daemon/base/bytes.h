/*
 * Bytes: a borrowed run of them (span) and a growing buffer with a maximum (bytes).
 *
 * Every buffer is told its maximum when it is made, so nothing a peer sends grows without a bound.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A borrowed run of bytes, not terminated. {NULL, 0} means absent; at != NULL, len 0 is empty. */
struct span {
    const char *at;
    size_t len;
};

#define SPAN(literal)   ((struct span){(literal), sizeof(literal) - 1})
#define SPAN_FMT        "%.*s"
#define SPAN_ARG(span_) (int)(span_).len, (span_).at

static inline struct span span_of(const char *text)
{
    return (struct span){text, text ? strlen(text) : 0};
}

static inline bool span_equal(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || !memcmp(a.at, b.at, a.len));
}

/* Equal but for the case of ASCII letters. */
bool span_equal_nocase(struct span a, struct span b);
/* True when text begins with prefix. */
bool span_starts(struct span text, struct span prefix);
/* The same but for the case of ASCII letters. */
bool span_starts_nocase(struct span text, struct span prefix);
/* Without spaces and tabs at both ends. */
struct span span_trim(struct span text);
/* The part before the first `separator`; *rest is what follows it, absent when there was none. */
struct span span_cut(struct span text, char separator, struct span *rest);
/* strndup of a span; the caller frees. Aborts when memory is out (for small, bounded spans). */
char *span_dup(struct span text);

/*
 * A growing buffer. Zero-initialise with the maximum: struct bytes b = {.max = 4096}. `data` is
 * always followed by a NUL once something was added, for printing only.
 */
struct bytes {
    char *data;
    size_t len;
    size_t cap;
    size_t max;
    bool wipe; /* zero the memory when it is released or moved */
};

/* Frees the memory; the buffer is empty and can be used again with the same maximum. */
void bytes_release(struct bytes *bytes);
/* len = 0, memory kept. */
void bytes_clear(struct bytes *bytes);
/* Room for `more` further bytes; -ERR_TOO_LARGE above max or when memory is out. */
int bytes_reserve(struct bytes *bytes, size_t more);
/* Appends; -ERR_TOO_LARGE leaves the buffer as it was. */
int bytes_add(struct bytes *bytes, const void *data, size_t len);
/* bytes_add() of a span. */
int bytes_add_span(struct bytes *bytes, struct span span);
/* bytes_add() of formatted text. */
int bytes_addf(struct bytes *bytes, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Removes the first `len` bytes; len <= bytes->len. */
void bytes_drop_front(struct bytes *bytes, size_t len);
static inline struct span bytes_span(const struct bytes *bytes)
{
    return (struct span){bytes->data ? bytes->data : "", bytes->len};
}
