/* See refusal.h. */
#include "gateway/refusal.h"

#include "base/own.h"
#include "gateway/endpoint.h"
#include "gateway/scrub.h"

#define MESSAGE_MAX 2048

/* The next step as the user would type it: "aictl login PROVIDER" with the provider's name. */
static void add_next(const char *next, const char *provider, struct bytes *out)
{
    static const char blank[] = "PROVIDER";
    const char *hit = provider ? strstr(next, blank) : NULL;
    if (hit) /* what does not fit is cut */
        (void)bytes_addf(out, " (%.*s%s%s)", (int)(hit - next), next, provider,
                         hit + strlen(blank));
    else
        (void)bytes_addf(out, " (%s)", next);
}

struct api_error refusal_error(const struct err *err, const char *provider, struct bytes *out)
{
    const struct error_row *row = error_row(err->kind);
    out->max = MESSAGE_MAX;
    (void)bytes_addf(out, "%s%s", row->text, err->detail[0] ? ": " : ""); /* fits */
    (void)scrub_body(span_of(err->detail), out); /* what does not fit is cut */
    if (row->next)
        add_next(row->next, provider, out);
    return (struct api_error){.kind = err->kind,
                              .status = row->http_status,
                              .message = bytes_span(out),
                              .code = row->type};
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
