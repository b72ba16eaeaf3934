/* Refusals: an error as an answer in the shape of the caller's dialect. */
#pragma once

#include "dialect/dialect.h"
#include "net/http1.h"

/*
 * What a client is told of an error: text, detail and next step in one line (keys scrubbed), with
 * the provider's name, if known, in the command to try. `out` is what the message's span points to.
 */
struct api_error refusal_error(const struct err *err, const char *provider, struct bytes *out);

/* Answers a call with an error that arose here, with x-should-retry. The call is over then. */
void refuse_call(struct http_call *call, const struct dialect *surface, const struct err *err,
                 const char *provider);

/* Body of a refusal of the HTTP server, for http_handler.write_refusal. */
void refusal_write(void *ctx, struct span path, const struct err *err, struct bytes *out);
