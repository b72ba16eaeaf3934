/*
 * Conversion: an answer on its way from the provider's dialect to the client's, and from the form it
 * came in (stream or whole) to the form that was asked for.
 *
 *     event ─┐                      ┌─> encode_event ──> output, piece by piece
 *            ├─> decoder ─> writer ─┤
 *     body ──┘                      └─> answer ─> encode_answer ──> output, at the end
 *
 * It also tells what the tap tells of an answer that is passed on, and keeps in the memory what a
 * later turn needs. An error of the provider inside the answer is told (tap->error_kind), not
 * written: its words are to be masked first.
 */
#pragma once

#include "dialect/dialect.h"
#include "dialect/tap.h"
#include "gateway/memory.h"

struct conversion_plan {
    const struct dialect *from, *to;
    bool to_stream;    /* the form the client asked for */
    bool wants_usage;  /* struct ir_reply */
    struct span model; /* to be shown; copied */
    size_t answer_max; /* bytes of a collected answer, and of calls that wait for their turn */
    /* The beginning was passed on; this is known of it, and what it says of the answer. Or NULL. */
    const struct tap *so_far;
    const struct ir_reply *begun;
    struct memory *memory;
    uint64_t place;     /* of the answer in its conversation; 0: the request was passed on */
    const char *origin; /* the provider's; borrowed for the conversion's life */
};

struct conversion;

struct conversion *conversion_new(const struct conversion_plan *plan);
struct conversion *conversion_free(struct conversion *conversion);

/*
 * One event of a stream. 0, or a negative kind: what came cannot be understood, or is too much;
 * that of the provider's own error is in the tap.
 */
int conversion_event(struct conversion *conversion, struct span name, struct span data);
/* A whole answer, and its end. As conversion_event(). */
int conversion_answer(struct conversion *conversion, struct span body);
/* The stream ended: -ERR_PROVIDER_RESET when the model's turn did not. */
int conversion_end(struct conversion *conversion);

/* What was written for the client since conversion_taken(); good until the next call. */
struct span conversion_output(const struct conversion *conversion);
void conversion_taken(struct conversion *conversion);

const struct tap *conversion_tap(const struct conversion *conversion);
/* What the answer lost. */
const struct ir_losses *conversion_losses(const struct conversion *conversion);
