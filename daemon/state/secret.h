/*
 * A provider key in memory: locked, guarded, wiped when released, impossible to print.
 *
 * Its one way out is secret_append_header(), called right before a transfer starts.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"

struct secret;

/* Copies `text` into guarded memory (sodium_malloc). NULL when memory cannot be had. */
struct secret *secret_new(struct span text);
/* Wipes and frees; NULL is fine. Returns NULL. */
struct secret *secret_free(struct secret *secret);

/* Appends "name: prefix" and the key to `out`, whose `wipe` must be set. As bytes_add(). */
int secret_append_header(const struct secret *secret, const char *name, const char *prefix,
                         struct bytes *out);

/*
 * Appends `text` with every occurrence of the key replaced by "[key]": providers echo keys in their
 * errors. As bytes_add(). A key below 8 characters is not looked for.
 */
int secret_mask(const struct secret *secret, struct span text, struct bytes *out);

/* The last 4 characters (fewer for short keys: none below 12 characters), for display. */
void secret_last4(const struct secret *secret, char out[5]);
