/* See attempt.h: the record, the request, the end. The answer is in attempt_answer.c. */
#include "gateway/attempt_parts.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/own.h"
#include "gateway/headers.h"
#include "gateway/scrub.h"

#define ARENA_MAX  (256 * 1024)
#define URL_BYTES  4096
#define BODY_SLACK 4096 /* what edits may add to a body */

static void copy_name(char out[LEDGER_NAME], struct span name)
{
    (void)snprintf(out, LEDGER_NAME, SPAN_FMT, SPAN_ARG(name)); /* cut is fine: for display */
}

/* ---- the record ---- */

static struct attempt *attempt_new(struct gateway *gateway, const struct attempt_plan *plan,
                                   const struct attempt_events *events, void *ctx)
{
    struct attempt *attempt = calloc(1, sizeof(*attempt));
    if (!attempt)
        abort();
    const struct options *options = &plan->config->options;
    attempt->gateway = gateway;
    attempt->config = config_ref(plan->config);
    attempt->provider = plan->provider;
    attempt->dialect = plan->dialect;
    attempt->surface = plan->surface;
    attempt->view = plan->view;
    attempt->model = plan->model;
    attempt->neutral = plan->neutral;
    attempt->events = events;
    attempt->ctx = ctx;
    attempt->request_body.max = 2 * (size_t)options->bodyMax + BODY_SLACK;
    attempt->body.max = (size_t)options->answerMax;
    attempt->record = plan->record;
    attempt->started_us = loop_clock_us();
    arena_init(&attempt->arena,
               ARENA_MAX + plan->view->body.len / 4); /* splices of a long history */
    sse_init(&attempt->sse, (size_t)options->eventMax);
    copy_name(attempt->record.provider, span_of(plan->provider->name));
    copy_name(attempt->record.model, plan->model);
    if (plan->provider->key_mode == KEY_MODE_VAULT)
        copy_name(attempt->record.key_id, span_of(plan->provider->key_id));
    attempt->record.stream = plan->view->stream;
    attempt->record.started_ms = loop_wall_ms();
    attempt->record.first_byte_ms = attempt->record.content_ms = attempt->record.total_ms = -1;
    attempt->record.id = ledger_start(gateway->ledger, &attempt->record);
    gateway_health(gateway, plan->provider->name)->in_flight++;
    return attempt;
}

static void note_health(struct attempt *attempt, const struct err *err)
{
    struct health *health = gateway_health(attempt->gateway, attempt->provider->name);
    health->in_flight--;
    if (attempt->record.end == END_DONE) {
        health->last_ok_ms = loop_now_ms(attempt->gateway->loop);
        health->last_error_kind = 0;
        health->last_error[0] = '\0';
    } else if (err->kind && attempt->record.end != END_CLIENT_GONE &&
               attempt->record.end != END_SHUTDOWN) {
        health->last_error_ms = loop_now_ms(attempt->gateway->loop);
        health->last_error_kind = err->kind;
        (void)snprintf(health->last_error, sizeof(health->last_error), "%s", attempt->record.error);
    }
}

/* What is known of the answer, whichever way it goes. */
const struct tap *attempt_tap(const struct attempt *attempt)
{
    return attempt->conversion ? conversion_tap(attempt->conversion) : &attempt->tap;
}

static void note_losses(const struct attempt *attempt, struct attempt_record *record)
{
    struct bytes text = {.max = sizeof(record->losses) - 1};
    struct ir_losses losses = attempt->losses;
    if (attempt->neutral)
        ir_losses_join(&losses, &attempt->neutral->losses);
    if (attempt->conversion)
        ir_losses_join(&losses, conversion_losses(attempt->conversion));
    if (ir_losses_write(&losses, &text) < 0)
        (void)snprintf(record->losses, sizeof(record->losses), "%u", losses.count); /* fits */
    else
        memcpy(record->losses, text.len ? text.data : "", text.len + 1);
    bytes_release(&text);
}

/* Who signed the reasoning that was passed on: others cannot read it. */
static void note_signers(struct attempt *attempt)
{
    const struct tap *tap = &attempt->tap;
    for (unsigned i = 0; i < tap->signature_count; i++)
        memory_note_signer(attempt->gateway->memory, tap->signatures[i], attempt->provider->origin);
}

/* Closes the record: every attempt comes by here exactly once. */
static void close_record(struct attempt *attempt, enum end_reason end, const struct err *err)
{
    struct attempt_record *record = &attempt->record;
    record->end = end;
    record->error_kind = err->kind;
    (void)snprintf(record->error, sizeof(record->error), "%.*s", (int)sizeof(record->error) - 1,
                   err->detail);
    record->total_ms = attempt_elapsed_ms(attempt);
    record->usage = attempt_tap(attempt)->usage;
    note_losses(attempt, record);
    note_signers(attempt);
    ledger_end(attempt->gateway->ledger, record->id, record);
    note_health(attempt, err);
}

static void attempt_free(struct attempt *attempt)
{
    conversion_free(attempt->conversion);
    sse_release(&attempt->sse);
    attempt->gateway->bodies_held -= attempt->held;
    bytes_release(&attempt->request_body);
    bytes_release(&attempt->body);
    arena_release(&attempt->arena);
    config_unref(attempt->config);
    free(attempt);
}

/* ---- building the request ---- */

static bool is_foreign(void *ctx, struct ir_text signature)
{
    const struct attempt *attempt = ctx;
    return memory_is_foreign(attempt->gateway->memory, ir_text_hash(signature),
                             attempt->provider->origin);
}

/* The client's body with the permitted edits, or itself when there are none. */
static int edit_body(struct attempt *attempt, const struct ir_target *target, struct span *ret,
                     struct err *reterr)
{
    const struct dialect *dialect = attempt->dialect;
    struct splices splices;
    unsigned removed = 0;
    splices_init(&splices, &attempt->arena);
    int r = dialect->edit_request(attempt->view, target, &attempt->arena, &splices, reterr);
    if (r == 0 && dialect->strip_reasoning)
        r = dialect->strip_reasoning(attempt->view->body, is_foreign, attempt, &attempt->arena,
                                     &splices, &removed);
    if (r < 0)
        return reterr->kind ? r : err_set(reterr, -r, "the edits of the request do not fit");
    if (removed)
        ir_lose(&attempt->losses, "messages[].reasoning");
    *ret = attempt->view->body;
    if (splices.count == 0)
        return 0;
    r = splices_apply(&splices, attempt->view->body, &attempt->request_body);
    *ret = bytes_span(&attempt->request_body);
    return r < 0 ? err_set(reterr, -r, "the request grew above bodyMax") : 0;
}

static int convert_body(struct attempt *attempt, const struct ir_target *target, struct span *ret,
                        struct err *reterr)
{
    const struct neutral_target to = {attempt->dialect, *target, attempt->provider->origin};
    int r = bytes_reserve(&attempt->request_body, attempt->view->body.len + BODY_SLACK);
    if (r == 0)
        r = neutral_encode(attempt->neutral, &to, attempt->gateway->memory, &attempt->request_body,
                           reterr);
    *ret = bytes_span(&attempt->request_body);
    return r < 0 && !reterr->kind ? err_set(reterr, -r, "the converted request is too large") : r;
}

static int build_body(struct attempt *attempt, struct span model, struct span *ret,
                      struct err *reterr)
{
    const struct ir_target target = config_target(attempt->config, attempt->provider, model);
    int r = attempt->neutral ? convert_body(attempt, &target, ret, reterr)
                             : edit_body(attempt, &target, ret, reterr);
    attempt->held = (int64_t)attempt->request_body.cap;
    attempt->gateway->bodies_held += attempt->held;
    bool is_too_much = attempt->gateway->bodies_held > attempt->config->options.bodiesMax;
    if (r == 0 && attempt->neutral && is_too_much) /* an edited copy is as large as what came */
        r = err_set(reterr, ERR_BUSY, "the bodies of all requests together are above bodiesMax");
    return r;
}

/* The key, as a header line in memory that is wiped. */
static int borrow_key(struct attempt *attempt, struct bytes *line, struct err *reterr)
{
    const struct provider *provider = attempt->provider;
    struct secret *secret = NULL;
    if (provider->key_mode == KEY_MODE_NONE)
        return 0;
    int r =
        vault_lend(attempt->gateway->vault, provider->key_id, provider->origin, &secret, reterr);
    if (r < 0)
        return err_prefix(reterr, "%s", provider->name);
    r = secret_append_header(secret, attempt->dialect->key_header, attempt->dialect->key_prefix,
                             line);
    secret_free(secret);
    return r < 0 ? err_set(reterr, ERR_INTERNAL, "the key does not fit into a header") : 0;
}

/* `text` without the key that was sent; whole when there is none to look for. */
void attempt_mask_key(struct attempt *attempt, struct span text, struct bytes *out)
{
    const struct provider *provider = attempt->provider;
    struct secret *secret = NULL;
    int r = -ERR_NO_KEY;
    if (provider->key_mode == KEY_MODE_VAULT)
        r = vault_lend(attempt->gateway->vault, provider->key_id, provider->origin, &secret, NULL);
    if (r == 0)
        (void)secret_mask(secret, text, out); /* what does not fit is cut */
    else
        (void)bytes_add_span(out, text); /* as above */
    secret_free(secret);
}

/* Providers echo keys in their error answers. */
void attempt_mask_body(struct attempt *attempt)
{
    struct bytes masked = {.max = 2 * ERROR_BODY_MAX};
    attempt_mask_key(attempt, bytes_span(&attempt->body), &masked);
    bytes_release(&attempt->body);
    attempt->body = masked;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int start_fetch(struct attempt *attempt, const struct attempt_plan *plan, struct err *reterr)
{
    const struct provider *provider = attempt->provider;
    const struct options *options = &attempt->config->options;
    struct header_lines headers;
    CLEANUP(bytes_release) struct bytes url = {.max = URL_BYTES};
    CLEANUP(bytes_release) struct bytes key = {.max = 8192, .wipe = true};
    struct fetch_request request = {
        .method = "POST",
        .unix_path = provider->is_demo ? attempt->gateway->demo_socket : NULL,
        .share_key = provider->key_mode == KEY_MODE_VAULT ? provider->key_id : "",
        .headers = headers.lines,
        .connect_ms = least(options->connectTimeout, options->defaultTimeout),
        .first_byte_ms = most(options->firstByteTimeout, options->defaultTimeout),
        .idle_ms = options->defaultTimeout,
        .total_ms =
            attempt->view->stream ? 0 : most(options->plainAnswerTimeout, options->defaultTimeout),
    };
    int r = attempt->dialect->build_url(span_of(provider->base_url), OP_GENERATE, plan->model,
                                        attempt->view->stream, &url);
    if (r < 0)
        return err_set(reterr, -r, "%s: the URL is too long", provider->name);
    r = build_body(attempt, plan->model, &request.body, reterr);
    if (r < 0)
        return r;
    headers_to_provider(attempt->dialect, plan->client, attempt->view->stream, &attempt->arena,
                        &headers);
    r = borrow_key(attempt, &key, reterr);
    if (r < 0)
        return r;
    request.url = url.data;
    if (key.len)
        request.secret_header = bytes_span(&key);
    attempt->fetch =
        fetch_start(attempt->gateway->fetch, &request, &attempt_answer_events, attempt, reterr);
    return attempt->fetch ? 0 : -reterr->kind;
}

struct attempt *attempt_start(struct gateway *gateway, const struct attempt_plan *plan,
                              const struct attempt_events *events, void *ctx, struct err *reterr)
{
    struct attempt *attempt = attempt_new(gateway, plan, events, ctx);
    if (start_fetch(attempt, plan, reterr) < 0) {
        close_record(attempt, END_REFUSED, reterr);
        attempt_free(attempt);
        return NULL;
    }
    return attempt;
}

/* ---- the end ---- */

/*
 * Frees the attempt after its owner was told. The fetch is over or gone. body: a whole answer for
 * the client, or an error's.
 */
void attempt_end_with(struct attempt *attempt, enum end_reason reason, struct span body,
                      const struct err *err, const struct api_error *error)
{
    struct attempt_result result = {
        .end = reason,
        .err = *err,
        .status = attempt->record.status,
        .is_stream = attempt->conversion ? attempt->view->stream : attempt->form == FORM_STREAM,
        .is_converted = attempt->conversion != NULL,
        .body = body,
        .tap = attempt_tap(attempt),
        .losses = attempt->conversion ? conversion_losses(attempt->conversion) : NULL,
        .headers = attempt->headers.lines,
    };
    if (error)
        result.error = *error;
    close_record(attempt, reason, err);
    attempt->events->on_end(attempt->ctx, &result);
    attempt_free(attempt);
}

void attempt_end(struct attempt *attempt, enum end_reason reason, const struct err *err)
{
    attempt_end_with(attempt, reason, (struct span){NULL, 0}, err, NULL);
}

/* What is wrong with the provider's answer, with its name. */
void attempt_find_fault(const struct attempt *attempt, struct err *err, int kind, const char *what)
{
    err_set(err, kind, "%s: %s", attempt->provider->name, scrub_text(what));
}

/* Stops the transfer because of what the provider sent. */
void attempt_break_off(struct attempt *attempt, enum end_reason reason, const struct err *err)
{
    fetch_cancel(attempt->fetch);
    attempt_end(attempt, reason, err);
}

void attempt_cancel(struct attempt *attempt, enum end_reason reason)
{
    struct err err = {0};
    err_set(&err, reason == END_CLIENT_GONE ? ERR_CLIENT_GONE : ERR_SHUTTING_DOWN, "%s", "");
    fetch_cancel(attempt->fetch);
    close_record(attempt, reason, &err);
    attempt_free(attempt);
}

void attempt_pause(struct attempt *attempt)
{
    if (attempt->fetch) /* else this is its end */
        fetch_pause(attempt->fetch);
}

void attempt_resume(struct attempt *attempt)
{
    if (attempt->fetch)
        fetch_resume(attempt->fetch);
}

const char *const *attempt_headers(const struct attempt *attempt)
{
    return attempt->headers.lines;
}

bool attempt_has_own_body(const struct attempt *attempt)
{
    return attempt->request_body.len > 0;
}

bool attempt_passes_stream(const struct attempt *attempt)
{
    return attempt->form == FORM_STREAM && !attempt->conversion && attempt->says_stream;
}

const struct ir_losses *attempt_losses(const struct attempt *attempt)
{
    return attempt->neutral ? &attempt->neutral->losses : &attempt->losses;
}

bool attempt_may_stream(const struct attempt *attempt)
{
    return attempt->form != FORM_ERROR;
}
