/* See attempt.h. Functions stand in the order in which they happen. */
#include "gateway/attempt.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/own.h"
#include "base/utf8.h"
#include "gateway/conversion.h"
#include "gateway/form.h"
#include "gateway/headers.h"
#include "gateway/scrub.h"
#include "net/sse.h"

#define ARENA_MAX      (256 * 1024)
#define ERROR_BODY_MAX (1024 * 1024)
#define URL_BYTES      4096
#define BODY_SLACK     4096 /* what edits may add to a body */

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

static void on_head(void *ctx, int status, const struct fetch_header *headers, size_t count);
static void on_body(void *ctx, struct span data);
static void on_done(void *ctx, const struct err *err);

static const struct fetch_events fetch_events = {on_head, on_body, on_done};

static int64_t elapsed_ms(const struct attempt *attempt)
{
    return (loop_clock_us() - attempt->started_us) / 1000;
}

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
static const struct tap *tap_of(const struct attempt *attempt)
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
    record->total_ms = elapsed_ms(attempt);
    record->usage = tap_of(attempt)->usage;
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
static void mask_key(struct attempt *attempt, struct span text, struct bytes *out)
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
static void mask_body(struct attempt *attempt)
{
    struct bytes masked = {.max = 2 * ERROR_BODY_MAX};
    mask_key(attempt, bytes_span(&attempt->body), &masked);
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
    attempt->fetch = fetch_start(attempt->gateway->fetch, &request, &fetch_events, attempt, reterr);
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
static void end_with(struct attempt *attempt, enum end_reason reason, struct span body,
                     const struct err *err, const struct api_error *error)
{
    struct attempt_result result = {
        .end = reason,
        .err = *err,
        .status = attempt->record.status,
        .is_stream = attempt->conversion ? attempt->view->stream : attempt->form == FORM_STREAM,
        .is_converted = attempt->conversion != NULL,
        .body = body,
        .tap = tap_of(attempt),
        .losses = attempt->conversion ? conversion_losses(attempt->conversion) : NULL,
        .headers = attempt->headers.lines,
    };
    if (error)
        result.error = *error;
    close_record(attempt, reason, err);
    attempt->events->on_end(attempt->ctx, &result);
    attempt_free(attempt);
}

static void end(struct attempt *attempt, enum end_reason reason, const struct err *err)
{
    end_with(attempt, reason, (struct span){NULL, 0}, err, NULL);
}

/* What is wrong with the provider's answer, with its name. */
static void find_fault(const struct attempt *attempt, struct err *err, int kind, const char *what)
{
    err_set(err, kind, "%s: %s", attempt->provider->name, scrub_text(what));
}

/* Stops the transfer because of what the provider sent. */
static void break_off(struct attempt *attempt, enum end_reason reason, const struct err *err)
{
    fetch_cancel(attempt->fetch);
    end(attempt, reason, err);
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

/* ---- the answer's head ---- */

static void on_head(void *ctx, int status, const struct fetch_header *headers, size_t count)
{
    struct attempt *attempt = ctx;
    attempt->record.status = status;
    attempt->record.first_byte_ms = elapsed_ms(attempt);
    headers_to_client(attempt->dialect, headers, count, &attempt->arena, &attempt->headers,
                      &attempt->says_stream);
    if (status != 200) {
        attempt->form = FORM_ERROR;
        attempt->body.max = ERROR_BODY_MAX;
    }
}

/*
 * From here on the answer is converted. The beginning may have been passed on: then event is the next
 * one, else NULL.
 */
static void begin_conversion(struct attempt *attempt, const struct sse_event *event)
{
    struct ir_reply begun = {0};
    if (event)
        attempt->dialect->read_reply(event->data, &attempt->arena, &begun);
    const struct conversion_plan plan = {
        .from = attempt->dialect,
        .to = attempt->surface,
        .to_stream = attempt->view->stream,
        .wants_usage = attempt->view->wants_usage,
        .model = attempt->model,
        .answer_max = (size_t)attempt->config->options.answerMax,
        .so_far = event ? &attempt->tap : NULL,
        .begun = event ? &begun : NULL,
        .memory = attempt->gateway->memory,
        .place = attempt->neutral ? attempt->neutral->place : 0,
        .origin = attempt->provider->origin,
    };
    attempt->conversion = conversion_new(&plan);
}

/* The first bytes tell the form: another one than the client asked for is converted. */
static void enter_form(struct attempt *attempt, enum form form)
{
    attempt->form = form;
    if (attempt->neutral || (form == FORM_STREAM) != attempt->view->stream)
        begin_conversion(attempt, NULL);
}

/* An answer of the client's own dialect that it could not use as it is. */
static bool needs_mending(const struct attempt *attempt)
{
    return attempt->tap.lacks_ids && !attempt->view->is_legacy;
}

/* ---- the answer's body ---- */

static void flush_run(struct attempt *attempt)
{
    struct span run = attempt->run;
    attempt->run = (struct span){NULL, 0};
    if (run.len)
        attempt->events->on_output(attempt->ctx, run, attempt->tap.has_content);
}

/* Passes on an event's bytes; neighbours among the bytes being read go out together. */
static void pass_on(struct attempt *attempt, struct span raw)
{
    bool stays =
        attempt->fed.at && raw.at >= attempt->fed.at && raw.at < attempt->fed.at + attempt->fed.len;
    if (attempt->run.at + attempt->run.len != raw.at)
        flush_run(attempt);
    attempt->run =
        attempt->run.len ? (struct span){attempt->run.at, attempt->run.len + raw.len} : raw;
    if (!stays)
        flush_run(attempt); /* it was put together from pieces: good for this call only */
}

/*
 * The words of an error inside a 200 again, without the key: they were cut before it could be looked
 * for.
 */
static void read_masked(struct attempt *attempt, struct span text)
{
    CLEANUP(bytes_release) struct bytes masked = {.max = 2 * ERROR_BODY_MAX};
    struct api_error error = {0};
    mask_key(attempt, text, &masked);
    attempt->dialect->read_error(200, bytes_span(&masked), &attempt->arena, &error);
    struct span words = utf8_cut(error.message, sizeof(attempt->tap.error_text) - 1);
    memcpy(attempt->tap.error_text, words.at ? words.at : "", words.len);
    attempt->tap.error_text[words.len] = '\0';
}

static void note_content(struct attempt *attempt)
{
    if (attempt->record.content_ms < 0 && tap_of(attempt)->has_content)
        attempt->record.content_ms = elapsed_ms(attempt);
}

static int convert_event(struct attempt *attempt, const struct sse_event *event)
{
    int r = conversion_event(attempt->conversion, event->name, event->data);
    note_content(attempt);
    if (conversion_tap(attempt->conversion)->error_kind) {
        attempt->tap.error_kind = conversion_tap(attempt->conversion)->error_kind;
        read_masked(attempt, event->data);
    }
    return r;
}

static int tap_event(struct attempt *attempt, const struct sse_event *event)
{
    enum tap_verdict verdict =
        attempt->dialect->tap_event(&attempt->tap, attempt->view, event->name, event->data);
    if (attempt->tap.error_kind) {
        read_masked(attempt, event->data);
        return -attempt->tap.error_kind;
    }
    if (needs_mending(attempt)) {
        flush_run(attempt);
        begin_conversion(attempt, attempt->has_begun ? event : NULL);
        return convert_event(attempt, event);
    }
    note_content(attempt);
    if (verdict == TAP_PASS)
        pass_on(attempt, event->raw);
    attempt->has_begun = true;
    return 0;
}

static int on_event(void *ctx, const struct sse_event *event)
{
    struct attempt *attempt = ctx;
    bool says_nothing = !event->data.at && !event->name.at; /* a comment, a blank line */
    if (attempt->conversion)
        return says_nothing ? 0 : convert_event(attempt, event);
    if (!says_nothing)
        return tap_event(attempt, event);
    pass_on(attempt, event->raw);
    return 0;
}

/* What was made of the bytes being read goes out in one piece. */
static void flush_output(struct attempt *attempt)
{
    struct conversion *conversion = attempt->conversion;
    if (!conversion) {
        flush_run(attempt);
        return;
    }
    struct span output = conversion_output(conversion);
    if (output.len == 0 || !attempt->view->stream)
        return;
    attempt->events->on_output(attempt->ctx, output, conversion_tap(conversion)->has_content);
    conversion_taken(conversion);
}

/* The words for what is wrong with an answer, from the negative result that stopped it. */
static void name_fault(const struct attempt *attempt, int r, struct err *err)
{
    if (attempt->tap.error_kind)
        find_fault(attempt, err, attempt->tap.error_kind, attempt->tap.error_text);
    else if (r == -ERR_TOO_LARGE)
        find_fault(attempt, err, ERR_PROVIDER_ANSWER,
                   "an event is above eventMax, or the answer above answerMax");
    else if (r == -ERR_PROVIDER_RESET)
        find_fault(attempt, err, ERR_PROVIDER_RESET, "the stream ended without a finish");
    else
        find_fault(attempt, err, ERR_PROVIDER_ANSWER, "its answer cannot be understood");
}

static void feed(struct attempt *attempt, struct span data)
{
    struct err err = {0};
    attempt->fed = data;
    int r = sse_feed(&attempt->sse, data, on_event, attempt);
    flush_output(attempt);
    if (r == 0)
        return;
    name_fault(attempt, r, &err);
    break_off(attempt, END_PROVIDER_ERROR, &err);
}

/* Bytes of an answer that is not read event by event. */
static bool collect(struct attempt *attempt, struct span data)
{
    struct err err = {0};
    if (bytes_add_span(&attempt->body, data) == 0 || attempt->form == FORM_ERROR)
        return true; /* of an error's body the beginning is enough */
    find_fault(attempt, &err, ERR_PROVIDER_ANSWER, "the answer is above answerMax");
    break_off(attempt, END_PROVIDER_ERROR, &err);
    return false;
}

static void on_body(void *ctx, struct span data)
{
    struct attempt *attempt = ctx;
    if (attempt->form == FORM_STREAM) {
        feed(attempt, data);
        return;
    }
    if (!collect(attempt, data) || attempt->form != FORM_UNKNOWN)
        return;
    enum form form = form_sniff(bytes_span(&attempt->body), attempt->says_stream);
    if (form_is_blank(bytes_span(&attempt->body)))
        bytes_clear(&attempt->body); /* signs of life; not to be looked at again */
    if (form != FORM_UNKNOWN)
        enter_form(attempt, form);
    if (form == FORM_STREAM) {
        struct bytes first = attempt->body;
        attempt->body = (struct bytes){.max = first.max};
        feed(attempt, bytes_span(&first));
        bytes_release(&first);
    }
}

/* ---- the transfer is over ---- */

static enum end_reason reason_of(const struct err *err)
{
    switch (err->kind) {
    case ERR_PROVIDER_DNS:
    case ERR_PROVIDER_CONNECT:
    case ERR_PROVIDER_TLS:
        return END_UNREACHABLE;
    case ERR_PROVIDER_TIMEOUT:
        return END_TIMEOUT;
    case ERR_PROVIDER_RESET:
        return END_PROVIDER_RESET;
    case ERR_PROVIDER_ANSWER:
        return END_PROVIDER_ERROR;
    default:
        return END_INTERNAL;
    }
}

static void end_error_answer(struct attempt *attempt)
{
    struct err err = {0};
    mask_body(attempt);
    struct api_error error = {0};
    int status = attempt->record.status;
    if (status >= 200 && status < 400) {
        int kind = status < 300 ? ERR_PROVIDER_ANSWER : ERR_PROVIDER_REDIRECT;
        err_set(&err, kind, "%s answered with status %d", attempt->provider->name, status);
        end(attempt, END_PROVIDER_ERROR, &err);
        return;
    }
    attempt->dialect->read_error(status, bytes_span(&attempt->body), &attempt->arena, &error);
    const char *text = arena_copy(&attempt->arena, error.message);
    err_set(&err, error.kind, "%s answered %d: %.300s", attempt->provider->name, status,
            scrub_text(text ? text : ""));
    end_with(attempt, END_PROVIDER_ERROR, bytes_span(&attempt->body), &err, &error);
}

/* 0 and what the client gets, or what is wrong with the answer. */
static int read_whole(struct attempt *attempt, struct span *ret)
{
    *ret = bytes_span(&attempt->body);
    if (!attempt->conversion) {
        attempt->dialect->tap_answer(&attempt->tap, *ret);
        if (attempt->tap.error_kind || !needs_mending(attempt))
            return -attempt->tap.error_kind;
        begin_conversion(attempt, NULL);
    }
    int r = conversion_answer(attempt->conversion, *ret);
    attempt->tap.error_kind = conversion_tap(attempt->conversion)->error_kind;
    *ret = conversion_output(attempt->conversion);
    return r;
}

static void end_whole_answer(struct attempt *attempt)
{
    struct err err = {0};
    struct span answer = {NULL, 0};
    int r = -ERR_PROVIDER_ANSWER;
    attempt->record.content_ms = attempt->record.first_byte_ms;
    if (span_trim(bytes_span(&attempt->body)).len == 0)
        find_fault(attempt, &err, ERR_PROVIDER_ANSWER, "the answer is empty");
    else if ((r = read_whole(attempt, &answer)) < 0) {
        answer = (struct span){NULL, 0};
        if (attempt->tap.error_kind)
            read_masked(attempt, bytes_span(&attempt->body));
        name_fault(attempt, r, &err);
    }
    if (r == 0)
        flush_output(attempt); /* a stream was asked for */
    end_with(attempt, r < 0 ? END_PROVIDER_ERROR : END_DONE, answer, &err, NULL);
}

/*
 * An event that the end of the stream cut off: one that only lacks its blank line (some providers')
 * is passed on with it, a torn one is dropped.
 */
static int on_last_event(void *ctx, const struct sse_event *event)
{
    struct attempt *attempt = ctx;
    struct json value;
    bool is_whole =
        span_equal(event->data, SPAN("[DONE]")) || json_skim(event->data, &value, NULL) == 0;
    if (!is_whole)
        return 0;
    int r = on_event(attempt, event);
    if (r == 0 && !attempt->conversion)
        attempt->events->on_output(attempt->ctx, SPAN("\n\n"), attempt->tap.has_content);
    return r;
}

/* The end of a stream's bytes is a good end only after the model's turn was finished. */
static int finish_stream(struct attempt *attempt)
{
    const struct tap *tap = &attempt->tap;
    if (attempt->conversion)
        return conversion_end(attempt->conversion);
    return tap->has_finish || (tap->has_content && tap->has_end) ? 0 : -ERR_PROVIDER_RESET;
}

static void end_stream(struct attempt *attempt)
{
    struct err err = {0};
    struct span answer = {NULL, 0};
    attempt->fed = (struct span){NULL, 0};
    int r = sse_finish(&attempt->sse, on_last_event, attempt);
    if (r == 0)
        r = finish_stream(attempt);
    flush_output(attempt);
    if (r < 0)
        name_fault(attempt, r, &err);
    else if (attempt->conversion)
        answer = conversion_output(attempt->conversion); /* a whole answer was asked for */
    enum end_reason reason = r == 0                     ? END_DONE
                             : r == -ERR_PROVIDER_RESET ? END_PROVIDER_RESET
                                                        : END_PROVIDER_ERROR;
    end_with(attempt, reason, answer, &err, NULL);
}

/* Failures of the connection name the provider and its address. */
static void end_broken(struct attempt *attempt, const struct err *err)
{
    struct err named = *err;
    err_prefix(&named, "%s at %s", attempt->provider->name, attempt->provider->base_url);
    end(attempt, reason_of(err), &named);
}

static void on_done(void *ctx, const struct err *err)
{
    struct attempt *attempt = ctx;
    attempt->fetch = NULL;
    if (!err && attempt->form == FORM_UNKNOWN) /* empty, or too short to tell */
        enter_form(attempt, attempt->says_stream ? FORM_STREAM : FORM_WHOLE);
    if (err)
        end_broken(attempt, err);
    else if (attempt->form == FORM_ERROR)
        end_error_answer(attempt);
    else if (attempt->form == FORM_STREAM)
        end_stream(attempt);
    else
        end_whole_answer(attempt);
}
