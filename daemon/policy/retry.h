/*
 * Retry: what follows a failed attempt of which the client has seen nothing.
 *
 * What one provider could not do another may: a request moves on when the connection, the key, the
 * load or the answer of a provider failed, and is tried again at the same one only for what the
 * connection did. What is wrong with the request itself is the client's to see. The whole table of
 * docs/ARCHITECTURE.md has its place here.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum retry_step {
    RETRY_NO,
    RETRY_NEXT, /* the next candidate, at once */
    RETRY_SAME, /* the same candidate, after retry_pause_ms() */
};

/*
 * kind: of the failure; retries: further attempts made so far; max: option maxRetries; has_next: a
 * candidate is left that was not tried.
 */
enum retry_step retry_decide(int kind, unsigned retries, int64_t max, bool has_next);

/*
 * Pause before further attempt number `retries` + 1: full jitter below 250 ms * 2^n, at most 8 s.
 */
int64_t retry_pause_ms(unsigned retries, uint32_t random);
