/*
 * Trace: a writer whose events are kept as one line to be compared, and whose grammar is checked.
 * ^ is START; then comes each block's kind with its deltas in brackets, | between them, ! before a
 * signature; then = and the stop, or # for ERROR:
 *
 *     ^ reasoning(a|b!sig) text(Hi) call:id:name({"a"|:1}) =calls
 *
 * Texts are given escaped; NULL is absent. Every step asserts that it worked.
 */
#pragma once

#include "ir/writer.h"

#include "support/lifecycle.h"

#define NONE        ((struct ir_text){{NULL, 0}})
#define ANSWER      "Abcd1234"
#define MADE(slot_) "call_" ANSWER "_" slot_ /* the id of a call that has none */

struct trace {
    struct ir_writer writer;
    struct lifecycle life;
    struct ir_losses losses;
    struct bytes line;
    bool has_delta;
    int answer;    /* what the event function returns ... */
    int countdown; /* ... from the event of this number on (0: the first) */
};

static inline struct ir_text escaped(const char *text)
{
    return (struct ir_text){span_of(text)};
}

void trace_begin(struct trace *trace);
/* With a maximum of bytes kept. */
void trace_begin_with(struct trace *trace, size_t max);
void trace_release(struct trace *trace);
/* The events so far are these, and the grammar was kept; releases everything. */
void trace_expect_line(struct trace *trace, const char *expected);
/* The answer ends well with these events; releases everything. */
void trace_expect(struct trace *trace, const char *expected);

void trace_text(struct trace *trace, const char *piece);
void trace_reasoning(struct trace *trace, const char *piece);
void trace_signature(struct trace *trace, const char *piece);
void trace_call(struct trace *trace, unsigned slot, const char *id, const char *name,
                const char *piece);
/* The same without asserting. */
int trace_try_call(struct trace *trace, unsigned slot, const char *id, const char *name,
                   const char *piece);
void trace_call_end(struct trace *trace, unsigned slot);
void trace_finish(struct trace *trace, enum ir_stop stop);
bool trace_has_loss(const struct trace *trace, const char *name);
