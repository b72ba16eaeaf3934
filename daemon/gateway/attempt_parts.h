/*
 * An attempt from within: what attempt.c (its record, its request, its end) and attempt_answer.c (what
 * comes back) share. Private to these two.
 */
#pragma once

#include "gateway/attempt.h"
#include "gateway/conversion.h"
#include "gateway/form.h"
#include "gateway/headers.h"
#include "net/sse.h"

#define ERROR_BODY_MAX (1024 * 1024)

struct attempt {
    struct gateway *gateway;
    struct config *config;
    const struct provider *provider;
    const struct dialect *dialect; /* the provider's */
    const struct dialect *surface; /* the client's */
    const struct request_view *view;
    struct span model;       /* as the provider knows it; the configuration's */
    struct neutral *neutral; /* NULL: the body is passed on */
    const struct attempt_events *events;
    void *ctx;
    struct fetch *fetch;
    struct attempt_record record;
    struct arena arena;
    struct bytes request_body; /* edited or converted; empty when the client's goes out as it is */
    int64_t held;              /* bytes of it, counted in gateway->bodies_held */
    struct ir_losses losses;   /* of the pass-through */
    bool says_stream;          /* the answer's content type */
    enum form form;
    bool has_begun;                /* an event was passed on */
    struct conversion *conversion; /* NULL: the answer is passed on */
    struct sse sse;
    struct span fed; /* the bytes being read */
    struct span run; /* the events among them that go out next, as one run of bytes */
    struct tap tap;
    struct bytes body;           /* a whole answer or an error's */
    struct header_lines headers; /* for the client */
    int64_t started_us;
};

/* -- attempt_answer.c -- */
extern const struct fetch_events attempt_answer_events;

/* -- attempt.c -- */
static inline int64_t attempt_elapsed_ms(const struct attempt *attempt)
{
    return (loop_clock_us() - attempt->started_us) / 1000;
}
/* What is known of the answer, whichever way it goes. */
const struct tap *attempt_tap(const struct attempt *attempt);
/* `text` without the key that was sent; whole when there is none to look for. */
void attempt_mask_key(struct attempt *attempt, struct span text, struct bytes *out);
/* The same with what was collected of the answer: providers echo keys in their error answers. */
void attempt_mask_body(struct attempt *attempt);
/* What is wrong with the provider's answer, with its name. */
void attempt_find_fault(const struct attempt *attempt, struct err *err, int kind, const char *what);
/* Stops the transfer because of what the provider sent; the attempt is freed. */
void attempt_break_off(struct attempt *attempt, enum end_reason reason, const struct err *err);
/*
 * Frees the attempt after its owner was told. The fetch is over or gone. body: a whole answer for
 * the client, or an error's; error: the provider's own, or NULL.
 */
void attempt_end_with(struct attempt *attempt, enum end_reason reason, struct span body,
                      const struct err *err, const struct api_error *error);
/* The same without a body. */
void attempt_end(struct attempt *attempt, enum end_reason reason, const struct err *err);
