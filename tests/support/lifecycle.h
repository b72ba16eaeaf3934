/*
 * Lifecycle: the grammar of neutral events (ir/event.h), asserted on every stream a test makes. It
 * stands between who makes events and who takes them:
 *
 *     struct lifecycle life;
 *     lifecycle_init(&life, ir_answer_take, &answer);
 *     ir_writer_init(&writer, id, max, lifecycle_take, &life);
 *     ...
 *     cr_expect_null(lifecycle_problem(&life), "%s", lifecycle_problem(&life));
 *
 * The first violation is kept as text. Events are passed on all the same, so that what comes of
 * them can be looked at. No test library is needed: fuzzers use it too.
 */
#pragma once

#include "ir/event.h"

#define LIFECYCLE_CALLS 128

struct lifecycle {
    ir_event_fn fn; /* NULL: nobody else takes them */
    void *ctx;
    char problem[256]; /* the first violation, or "" */
    bool has_started, is_over, is_failed;
    bool is_open, has_signature, is_redacted;
    unsigned blocks; /* begun so far; the open one is the last of them */
    enum ir_block_kind kind;
    unsigned calls;
    char ids[LIFECYCLE_CALLS][65];
    enum ir_stop stop;
};

void lifecycle_init(struct lifecycle *life, ir_event_fn fn, void *ctx);
/* An ir_event_fn; ctx is the lifecycle. Returns what the taker returns, 0 without one. */
int lifecycle_take(void *ctx, const struct ir_event *event);
/* The first violation of what came so far; NULL: none. */
const char *lifecycle_problem(const struct lifecycle *life);
/* The same for a stream that is to be over: it has a FINISH or an ERROR. */
const char *lifecycle_end(struct lifecycle *life);
