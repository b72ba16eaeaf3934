/*
 * An attempt: one try of one request at one provider with one key.
 *
 *   plan     what is tried: provider, model, the client's request
 *   output   bytes for the client, whole events only, so that an error can be put between them
 *   content  the first productive event: from then on there is no second attempt
 *   result   how it ended; exactly one, unless the attempt was cancelled by its owner
 *
 * The attempt opens and closes its ledger record, borrows the key from the vault right before the
 * transfer starts, and edits the body as the dialect permits, or converts it (a copy, counted like
 * the client's body). The answer is passed on and tapped; when its dialect or its form is not what
 * the client asked for, it is converted.
 */
#pragma once

#include "gateway/gateway.h"
#include "gateway/neutral.h"
#include "net/http_parser.h"

struct attempt;

struct attempt_plan {
    struct config *config; /* a reference is kept */
    const struct provider *provider;
    const struct dialect *dialect; /* spoken with the provider (a demo provider speaks every one) */
    const struct dialect *surface; /* spoken with the client */
    struct span model;             /* to be sent */
    const struct request_view *view;   /* borrowed for the attempt's life */
    struct neutral *neutral;           /* the same request, when the dialects differ; borrowed */
    const struct http_request *client; /* whose headers may be passed on; NULL: none */
    struct attempt_record record;      /* exchange, requested, surface, project, client filled in */
};

struct attempt_result {
    enum end_reason end;
    struct err err; /* kind 0 when end is END_DONE */
    int status;     /* the provider's; 0 when none came */
    bool is_stream; /* the client's answer is a stream: its bytes came as output */
    bool is_converted;
    /* A whole answer (not a stream), or the body of an error answer; else empty. Borrowed. */
    struct span body;
    /* The provider's error, when it sent one. */
    struct api_error error;
    const struct tap *tap;
    const struct ir_losses *losses; /* of a converted answer, else NULL */
    const char *const *headers;     /* the answer's, fit for the client; ends with NULL */
};

struct attempt_events {
    /*
     * Bytes of a stream for the client. has_content: a productive event is among these or came
     * before. May pause the attempt, not cancel it.
     */
    void (*on_output)(void *ctx, struct span bytes, bool has_content);
    /* The end. The attempt is freed when this returns. */
    void (*on_end)(void *ctx, const struct attempt_result *result);
};

/*
 * Starts. Never calls back before it returns. NULL with an error when nothing was sent: no key, the
 * key not bound to the provider's origin, vault locked, URL or headers unfit; that too is recorded.
 */
struct attempt *attempt_start(struct gateway *gateway, const struct attempt_plan *plan,
                              const struct attempt_events *events, void *ctx, struct err *reterr);
/* Ends it with a reason of the owner's (END_CLIENT_GONE, END_SHUTDOWN); no further callback. */
void attempt_cancel(struct attempt *attempt, enum end_reason end);
/*
 * Stops reading the answer: the client does not keep up. The provider's idle limit rests meanwhile.
 */
void attempt_pause(struct attempt *attempt);
/* Undoes attempt_pause(). */
void attempt_resume(struct attempt *attempt);
/* True when an edited copy of the request is sent: the view's body is not needed after content. */
bool attempt_has_own_body(const struct attempt *attempt);
/* False once the answer is known to be an error: its end is to be waited for. */
bool attempt_may_stream(const struct attempt *attempt);
/* A stream is passed on as it comes, so that its content type is the client's as well. */
bool attempt_passes_stream(const struct attempt *attempt);
/* What the request lost on its way. */
const struct ir_losses *attempt_losses(const struct attempt *attempt);
/* The answer's headers, once output came; see attempt_result. */
const char *const *attempt_headers(const struct attempt *attempt);
