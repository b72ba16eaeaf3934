/*
 * Usage in normal form: what an answer consumed, counted the same way whatever dialect told it.
 *
 *   input        fresh input tokens (neither read from nor written to a cache)
 *   cache_read   input tokens read from the provider's prompt cache
 *   cache_write  input tokens written to it, by life time (5 minutes, 1 hour)
 *   output       all generated tokens, reasoning included
 *   reasoning    the part of output that was reasoning, where the provider says so
 *
 * OpenAI counts cached tokens into its input, Anthropic leaves them out: decoders subtract, clamp
 * at 0 and never go negative.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum usage_source {
    USAGE_NONE,     /* nothing known: the counts mean nothing */
    USAGE_PROVIDER, /* told by the provider */
    USAGE_ESTIMATE, /* our own estimate, marked wherever it shows */
};

struct usage {
    enum usage_source source;
    int64_t input;
    int64_t cache_read;
    int64_t cache_write_5m;
    int64_t cache_write_1h;
    int64_t output;
    int64_t reasoning;
};

/* "none", "provider", "estimate". */
const char *usage_source_name(enum usage_source source);

/* Input of every kind together. */
int64_t usage_total_input(const struct usage *usage);

/*
 * Sets the input counts from a total that includes cached tokens (OpenAI). More cached than total
 * is clamped: fresh input is never negative.
 */
void usage_set_inclusive_input(struct usage *usage, int64_t total, int64_t cached);
