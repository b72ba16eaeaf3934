/*
 * What a provider answers to an attempt; see attempt.h. Functions stand in the order in which they
 * happen:
 *
 *     on_head ─> on_body: the form is found ─> events or a whole body ─> on_done
 */
#include "gateway/attempt_parts.h"

#include "base/own.h"
#include "base/utf8.h"
#include "gateway/scrub.h"

/* ---- the answer's head ---- */

static void on_head(void *ctx, int status, const struct fetch_header *headers, size_t count)
{
    struct attempt *attempt = ctx;
    attempt->record.status = status;
    attempt->record.first_byte_ms = attempt_elapsed_ms(attempt);
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

/* An answer of the client's own dialect that it could not use as it is, and that can be mended. */
static bool needs_mending(const struct attempt *attempt)
{
    bool can_go_on = !attempt->has_begun || attempt->dialect->read_reply;
    return attempt->tap.is_unfit && !attempt->view->is_legacy && can_go_on;
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
    attempt_mask_key(attempt, text, &masked);
    attempt->dialect->read_error(200, bytes_span(&masked), &attempt->arena, &error);
    struct span words = utf8_cut(error.message, sizeof(attempt->tap.error_text) - 1);
    memcpy(attempt->tap.error_text, words.at ? words.at : "", words.len);
    attempt->tap.error_text[words.len] = '\0';
}

static void note_content(struct attempt *attempt)
{
    if (attempt->record.content_ms < 0 && attempt_tap(attempt)->has_content)
        attempt->record.content_ms = attempt_elapsed_ms(attempt);
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
        attempt_find_fault(attempt, err, attempt->tap.error_kind, attempt->tap.error_text);
    else if (r == -ERR_TOO_LARGE)
        attempt_find_fault(attempt, err, ERR_PROVIDER_ANSWER,
                           "an event is above eventMax, or the answer above answerMax");
    else if (r == -ERR_PROVIDER_RESET)
        attempt_find_fault(attempt, err, ERR_PROVIDER_RESET, "the stream ended without a finish");
    else
        attempt_find_fault(attempt, err, ERR_PROVIDER_ANSWER, "its answer cannot be understood");
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
    attempt_break_off(attempt, END_PROVIDER_ERROR, &err);
}

/* Bytes of an answer that is not read event by event. */
static bool collect(struct attempt *attempt, struct span data)
{
    struct err err = {0};
    if (bytes_add_span(&attempt->body, data) == 0 || attempt->form == FORM_ERROR)
        return true; /* of an error's body the beginning is enough */
    attempt_find_fault(attempt, &err, ERR_PROVIDER_ANSWER, "the answer is above answerMax");
    attempt_break_off(attempt, END_PROVIDER_ERROR, &err);
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
    attempt_mask_body(attempt);
    struct api_error error = {0};
    int status = attempt->record.status;
    if (status >= 200 && status < 400) {
        int kind = status < 300 ? ERR_PROVIDER_ANSWER : ERR_PROVIDER_REDIRECT;
        err_set(&err, kind, "%s answered with status %d", attempt->provider->name, status);
        attempt_end(attempt, END_PROVIDER_ERROR, &err);
        return;
    }
    attempt->dialect->read_error(status, bytes_span(&attempt->body), &attempt->arena, &error);
    const char *text = arena_copy(&attempt->arena, error.message);
    err_set(&err, error.kind, "%s answered %d: %.300s", attempt->provider->name, status,
            scrub_text(text ? text : ""));
    attempt_end_with(attempt, END_PROVIDER_ERROR, bytes_span(&attempt->body), &err, &error);
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
        attempt_find_fault(attempt, &err, ERR_PROVIDER_ANSWER, "the answer is empty");
    else if ((r = read_whole(attempt, &answer)) < 0) {
        answer = (struct span){NULL, 0};
        if (attempt->tap.error_kind)
            read_masked(attempt, bytes_span(&attempt->body));
        name_fault(attempt, r, &err);
    }
    if (r == 0)
        flush_output(attempt); /* a stream was asked for */
    attempt_end_with(attempt, r < 0 ? END_PROVIDER_ERROR : END_DONE, answer, &err, NULL);
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
    attempt_end_with(attempt, reason, answer, &err, NULL);
}

/* Failures of the connection name the provider and its address. */
static void end_broken(struct attempt *attempt, const struct err *err)
{
    struct err named = *err;
    err_prefix(&named, "%s at %s", attempt->provider->name, attempt->provider->base_url);
    attempt_end(attempt, reason_of(err), &named);
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

const struct fetch_events attempt_answer_events = {on_head, on_body, on_done};
