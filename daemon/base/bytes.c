/* See bytes.h. Growth doubles; memory that may hold a secret is moved by hand and wiped. */
#include "base/bytes.h"

#include "proto/errors.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

bool span_equal_nocase(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || !strncasecmp(a.at, b.at, a.len));
}

bool span_starts(struct span text, struct span prefix)
{
    return text.len >= prefix.len && (prefix.len == 0 || !memcmp(text.at, prefix.at, prefix.len));
}

bool span_starts_nocase(struct span text, struct span prefix)
{
    return text.len >= prefix.len && !strncasecmp(text.at, prefix.at, prefix.len);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct span span_trim(struct span text)
{
    while (text.len && is_blank(text.at[0]))
        text.at++, text.len--;
    while (text.len && is_blank(text.at[text.len - 1]))
        text.len--;
    return text;
}

struct span span_cut(struct span text, char separator, struct span *rest)
{
    const char *hit = text.len ? memchr(text.at, separator, text.len) : NULL;
    if (!hit) {
        *rest = (struct span){NULL, 0};
        return text;
    }
    size_t before = (size_t)(hit - text.at);
    *rest = (struct span){hit + 1, text.len - before - 1};
    return (struct span){text.at, before};
}

char *span_dup(struct span text)
{
    char *copy = strndup(text.at ? text.at : "", text.len);
    if (!copy)
        abort();
    return copy;
}

void bytes_release(struct bytes *bytes)
{
    if (bytes->wipe && bytes->data)
        explicit_bzero(bytes->data, bytes->cap);
    free(bytes->data);
    *bytes = (struct bytes){.max = bytes->max, .wipe = bytes->wipe};
}

void bytes_clear(struct bytes *bytes)
{
    if (bytes->wipe && bytes->data)
        explicit_bzero(bytes->data, bytes->len);
    bytes->len = 0;
}

static char *grow(struct bytes *bytes, size_t cap)
{
    if (!bytes->wipe)
        return realloc(bytes->data, cap);
    char *moved = malloc(cap);
    if (!moved)
        return NULL;
    if (bytes->data) {
        memcpy(moved, bytes->data, bytes->len);
        explicit_bzero(bytes->data, bytes->cap);
        free(bytes->data);
    }
    return moved;
}

int bytes_reserve(struct bytes *bytes, size_t more)
{
    if (more > bytes->max || bytes->len > bytes->max - more)
        return -ERR_TOO_LARGE;
    size_t need = bytes->len + more + 1;
    if (need <= bytes->cap)
        return 0;
    size_t cap = bytes->cap ? bytes->cap * 2 : 256;
    if (cap > bytes->max + 1)
        cap = bytes->max + 1;
    if (cap < need)
        cap = need;
    char *data = grow(bytes, cap);
    if (!data)
        return -ERR_TOO_LARGE;
    bytes->data = data;
    bytes->cap = cap;
    return 0;
}

int bytes_add(struct bytes *bytes, const void *data, size_t len)
{
    int r = bytes_reserve(bytes, len);
    if (r < 0)
        return r;
    if (len)
        memcpy(bytes->data + bytes->len, data, len);
    bytes->len += len;
    bytes->data[bytes->len] = '\0';
    return 0;
}

int bytes_add_span(struct bytes *bytes, struct span span)
{
    return bytes_add(bytes, span.at, span.len);
}

int bytes_addf(struct bytes *bytes, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    int r = n < 0 ? -ERR_INTERNAL : bytes_reserve(bytes, (size_t)n);
    if (r == 0) {
        (void)vsnprintf(bytes->data + bytes->len, (size_t)n + 1, format,
                        again); /* measured above */
        bytes->len += (size_t)n;
    }
    va_end(again);
    return r;
}

void bytes_drop_front(struct bytes *bytes, size_t len)
{
    if (len == 0)
        return;
    memmove(bytes->data, bytes->data + len, bytes->len - len);
    bytes->len -= len;
}
