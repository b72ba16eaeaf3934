/*
 * A failure: why an attempt at one provider came to nothing, and how a client is told.
 */
#pragma once

#include "gateway/attempt.h"

struct failure {
    struct err err;
    const struct provider *provider;
    struct api_error error; /* kind 0: the provider sent none */
    int status;             /* of its error answer */
    struct span body;       /* the same */
    const char *const *headers;
};

/* Borrows from the result, which may be NULL: nothing was sent. */
struct failure failure_of(const struct provider *provider, const struct err *err,
                          const struct attempt_result *result);
/*
 * A copy that lives as long as the arena. The body of a large error answer is left out, its words
 * stand in err.
 */
void failure_keep(const struct failure *failure, struct arena *arena, struct failure *ret);
/*
 * Appends the error body for a client: the provider's bytes, without keys, where they have the
 * dialect's own shape; else its words, with the provider's name and the next step. As bytes_add().
 */
int failure_write(const struct failure *failure, const struct dialect *surface, struct bytes *out);
