/*
 * See secret.h. The whole struct lives in one sodium_malloc() allocation: locked into memory,
 * between guard pages, and without any access right except while it is being copied in or out.
 *
 * Such an allocation costs some ten system calls, and a key is lent for every request. So one that
 * is freed is wiped and kept for the next secret (measured: 36 us of CPU to lend and free a key
 * without, 12 us with). It is the only state of this file, and there is never more than one.
 */
#include "state/secret.h"

#include "proto/errors.h"

#include <assert.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>

#define LAST4_MIN_LENGTH 12  /* of a shorter key, 4 characters would be too large a part */
#define MASK_MIN_LENGTH  8   /* a shorter one stands in ordinary text too */
#define USUAL_SIZE       512 /* of an allocation that is kept; longer keys get their own */

struct secret {
    size_t size; /* of the allocation */
    size_t len;
    char text[];
};

static _Atomic(struct secret *) spare; /* wiped, without access rights; or NULL */

/* The const of the callers is about the key, not about the page's access rights. A failure can only
 * be a wrong pointer, or a kernel that refuses its own memory; using the page would fault anyway.
 */

static struct secret *make_writable(const struct secret *secret)
{
    struct secret *writable = (struct secret *)(uintptr_t)secret;
    if (sodium_mprotect_readwrite(writable) < 0)
        abort();
    return writable;
}

static const struct secret *show(const struct secret *secret)
{
    if (sodium_mprotect_readonly((void *)(uintptr_t)secret) < 0)
        abort();
    return secret;
}

static void hide(const struct secret *secret)
{
    (void)sodium_mprotect_noaccess((void *)(uintptr_t)secret); /* defence in depth: works without */
}

/* sodium_malloc() puts the end of an allocation at the guard page: only a size that is a multiple
 * of the alignment leaves its beginning aligned. */
static size_t size_for(size_t len)
{
    const size_t alignment = _Alignof(max_align_t);
    size_t size = (sizeof(struct secret) + len + alignment - 1) & ~(alignment - 1);
    return size < USUAL_SIZE ? USUAL_SIZE : size;
}

static struct secret *acquire(size_t size)
{
    struct secret *secret = size == USUAL_SIZE ? atomic_exchange(&spare, NULL) : NULL;
    if (secret)
        return make_writable(secret);
    secret = sodium_malloc(size);
    if (secret)
        secret->size = size;
    return secret;
}

struct secret *secret_new(struct span text)
{
    if (sodium_init() < 0)
        return NULL;
    struct secret *secret = acquire(size_for(text.len));
    if (!secret)
        return NULL;
    secret->len = text.len;
    if (text.len)
        memcpy(secret->text, text.at, text.len);
    hide(secret);
    return secret;
}

struct secret *secret_free(struct secret *secret)
{
    if (!secret)
        return NULL;
    make_writable(secret);
    if (secret->size == USUAL_SIZE) {
        sodium_memzero(secret->text, secret->len);
        hide(secret);
        secret = atomic_exchange(&spare, secret);
    }
    sodium_free(secret); /* wipes; NULL is fine */
    return NULL;
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

int secret_mask(const struct secret *secret, struct span text, struct bytes *out)
{
    const struct secret *shown = show(secret);
    int r = 0;
    while (text.len && r == 0) {
        const char *hit = shown->len < MASK_MIN_LENGTH
                              ? NULL
                              : memmem(text.at, text.len, shown->text, shown->len);
        size_t before = hit ? (size_t)(hit - text.at) : text.len;
        size_t taken = before + (hit ? shown->len : 0);
        r = bytes_add(out, text.at, before);
        if (r == 0 && hit)
            r = bytes_add_span(out, SPAN("[key]"));
        text = (struct span){text.at + taken, text.len - taken};
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
