/*
 * Golden cases: a folder for each, with an input named by its dialect (anthropic.json,
 * openai_chat.sse) and files of what must come of it. AICTL_UPDATE_GOLDEN=1 writes those anew; they
 * are then to be read as a reviewer would.
 *
 * Nothing here knows a dialect by name: what is written for each is to-<dialect>.txt.
 */
#pragma once

#include "base/bytes.h"
#include "dialect/dialect.h"

#define GOLDEN_MEMORY ((size_t)64 << 20)

struct golden_case {
    const char *folder;            /* its path */
    const struct dialect *dialect; /* of the input */
    bool is_stream;
    struct span input;
};

/*
 * Calls `try` for each case below tests/golden/<kind>; returns the exit status of main(). Fewer
 * than `least` cases are a failure.
 */
int golden_try(const char *kind, unsigned least, void (*try)(const struct golden_case *golden));

/* Reports a failure, with its case, unless is_so. */
void golden_expect(const struct golden_case *golden, bool is_so, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The file of the case must be this text: says the first line that differs, or writes it anew. */
void golden_compare(const struct golden_case *golden, const char *file, struct span text);
/* Two texts that should be the same: says where they begin to differ. */
void golden_expect_same(const struct golden_case *golden, const char *what, struct span is,
                        struct span wanted);
/* Calls `fn` for each file of the case whose name begins with `prefix`. */
void golden_each_file(const struct golden_case *golden, const char *prefix,
                      void (*fn)(void *ctx, const char *file), void *ctx);

/*
 * Appends a JSON text laid out in lines for readers: white space is added between its tokens and
 * nothing else changes; what fits a line stays as it is. A text that is no JSON is a failure.
 */
void golden_lay_out(const struct golden_case *golden, struct span text, struct bytes *out);

/* Appends text; aborts when memory is out. */
void golden_add(struct bytes *out, struct span text);

/* Memory for a dialect's state, zeroed; to be freed. */
void *golden_state(size_t size);
