/* See refusal.h. */
#include "gateway/refusal.h"

#include <stdio.h>

#include "base/own.h"
#include "gateway/endpoint.h"
#include "gateway/scrub.h"

#define MESSAGE_MAX 2048

/* "aictl login PROVIDER" as the user would type it. */
static struct span fill_in(struct span message, const char *provider, struct bytes *filled)
{
    static const struct span blank = {"PROVIDER", 8};
    const char *hit = provider ? memmem(message.at, message.len, blank.at, blank.len) : NULL;
    if (!hit)
        return message;
    size_t before = (size_t)(hit - message.at);
    struct span rest = {hit + blank.len, message.len - before - blank.len};
    (void)bytes_addf(filled, SPAN_FMT "%s" SPAN_FMT, (int)before, message.at, provider, SPAN_ARG(rest));
    return bytes_span(filled);
}

struct api_error refusal_error(const struct err *err, const char *provider, struct bytes *out)
{
    char message[MESSAGE_MAX];
    const struct error_row *row = error_row(err->kind);
    err_message(err, message, sizeof(message));
    CLEANUP(bytes_release) struct bytes filled = {.max = 2 * MESSAGE_MAX};
    out->max = 2 * MESSAGE_MAX;
    (void)scrub_body(fill_in(span_of(message), provider, &filled), out); /* what does not fit is cut */
    return (struct api_error){
        .kind = err->kind, .status = row->http_status, .message = bytes_span(out), .code = row->type};
}

void refuse_call(struct http_call *call, const struct dialect *surface, const struct err *err,
                 const char *provider)
{
    CLEANUP(bytes_release) struct bytes message = {0};
    CLEANUP(bytes_release) struct bytes body = {.max = 4 * MESSAGE_MAX};
    const struct error_row *row = error_row(err->kind);
    struct api_error error = refusal_error(err, provider, &message);
    const char *headers[] = {
        "Content-Type: application/json",
        row->retryable ? "x-should-retry: true" : "x-should-retry: false",
        row->http_status == 401 ? "WWW-Authenticate: Bearer realm=\"aictl\"" : NULL,
        NULL,
    };
    (void)surface->write_error(&error, &body); /* bounded by the message */
    http_answer(call, error.status, headers, bytes_span(&body));
}

void refusal_write(void *ctx, struct span path, const struct err *err, struct bytes *out)
{
    CLEANUP(bytes_release) struct bytes message = {0};
    (void)ctx;
    struct api_error error = refusal_error(err, NULL, &message);
    (void)endpoint_surface(path)->write_error(&error, out); /* bounded by the message */
}
