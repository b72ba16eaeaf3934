/*
 * See secret.h. The whole struct lives in one sodium_malloc() allocation: locked into memory,
 * between guard pages, and without any access right except while it is being copied out.
 */
#include "state/secret.h"

#include "proto/errors.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>

#define LAST4_MIN_LENGTH 12 /* of a shorter key, 4 characters would be too large a part */

struct secret {
    size_t len;
    char text[];
};

struct secret *secret_new(struct span text)
{
    if (sodium_init() < 0)
        return NULL;
    /* sodium_malloc() puts the end of the allocation at the guard page: only a rounded size keeps
     * `len` aligned. */
    const size_t alignment = _Alignof(max_align_t);
    size_t size = (sizeof(struct secret) + text.len + alignment - 1) & ~(alignment - 1);
    struct secret *secret = sodium_malloc(size);
    if (!secret)
        return NULL;
    secret->len = text.len;
    if (text.len)
        memcpy(secret->text, text.at, text.len);
    (void)sodium_mprotect_noaccess(secret); /* defence in depth: the key is usable without it */
    return secret;
}

struct secret *secret_free(struct secret *secret)
{
    sodium_free(secret);
    return NULL;
}

/* The const of the callers is about the key, not about the page's access rights. */
static const struct secret *show(const struct secret *secret)
{
    if (sodium_mprotect_readonly((void *)(uintptr_t)secret) < 0)
        abort(); /* reading it would fault anyway, with a less clear message */
    return secret;
}

static void hide(const struct secret *secret)
{
    (void)sodium_mprotect_noaccess((void *)(uintptr_t)secret); /* as in secret_new() */
}

int secret_append_header(const struct secret *secret, const char *name, const char *prefix,
                         struct bytes *out)
{
    assert(out->wipe);
    const struct secret *shown = show(secret);
    int r = bytes_reserve(out, strlen(name) + 2 + strlen(prefix) + shown->len);
    if (r == 0) { /* none of these can fail now: there is room */
        (void)bytes_add_span(out, span_of(name));
        (void)bytes_add_span(out, SPAN(": "));
        (void)bytes_add_span(out, span_of(prefix));
        (void)bytes_add(out, shown->text, shown->len);
    }
    hide(secret);
    return r;
}

void secret_last4(const struct secret *secret, char out[5])
{
    const struct secret *shown = show(secret);
    size_t n = shown->len < LAST4_MIN_LENGTH ? 0 : 4;
    memcpy(out, shown->text + shown->len - n, n);
    out[n] = '\0';
    hide(secret);
}
