/* See attempt.h. Functions stand in the order in which they happen. */
#include "gateway/attempt.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/own.h"
#include "gateway/scrub.h"
#include "net/sse.h"

#define ARENA_MAX      (256 * 1024)
#define ERROR_BODY_MAX (1024 * 1024)
#define URL_BYTES      4096
#define HEADERS_MAX    48

enum form { FORM_UNKNOWN, FORM_STREAM, FORM_WHOLE, FORM_ERROR };

struct attempt {
    struct gateway *gateway;
    struct config *config;
    const struct provider *provider;
    const struct dialect *dialect;
    const struct request_view *view;
    const struct attempt_events *events;
    void *ctx;
    struct fetch *fetch;
    struct attempt_record record;
    struct arena arena;
    struct bytes request_body; /* the edited body; empty when the client's goes out unchanged */
    enum form form;
    struct sse sse;
    struct span fed; /* the bytes being read */
    struct span run; /* the events among them that go out next, as one run of bytes */
    struct tap tap;
    struct bytes body; /* a whole answer or an error's */
    const char *headers[HEADERS_MAX + 1];
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
    attempt->view = plan->view;
    attempt->events = events;
    attempt->ctx = ctx;
    attempt->request_body.max = (size_t)options->bodyMax + 4096;
    attempt->body.max = (size_t)options->answerMax;
    attempt->record = plan->record;
    attempt->started_us = loop_clock_us();
    arena_init(&attempt->arena, ARENA_MAX);
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

/* Closes the record: every attempt comes by here exactly once. */
static void close_record(struct attempt *attempt, enum end_reason end, const struct err *err)
{
    struct attempt_record *record = &attempt->record;
    record->end = end;
    record->error_kind = err->kind;
    (void)snprintf(record->error, sizeof(record->error), "%.*s", (int)sizeof(record->error) - 1,
                   err->detail);
    record->total_ms = elapsed_ms(attempt);
    record->usage = attempt->tap.usage;
    ledger_end(attempt->gateway->ledger, record->id, record);
    note_health(attempt, err);
}

static void attempt_free(struct attempt *attempt)
{
    sse_release(&attempt->sse);
    attempt->gateway->bodies_held -= (int64_t)attempt->request_body.len;
    bytes_release(&attempt->request_body);
    bytes_release(&attempt->body);
    arena_release(&attempt->arena);
    config_unref(attempt->config);
    free(attempt);
}

/* ---- building the request ---- */

static int build_body(struct attempt *attempt, struct span model, struct span *ret,
                      struct err *reterr)
{
    struct splices splices = {0};
    int r = attempt->dialect->edit_request(attempt->view, model, &attempt->arena, &splices, reterr);
    if (r < 0)
        return r;
    *ret = attempt->view->body;
    if (splices.count == 0)
        return 0;
    r = splices_apply(&splices, attempt->view->body, &attempt->request_body);
    *ret = bytes_span(&attempt->request_body);
    attempt->gateway->bodies_held += (int64_t)attempt->request_body.len;
    return r < 0 ? err_set(reterr, -r, "the request grew above bodyMax") : 0;
}

/* True when a lower-case name is in a list whose entries may end in '*'. */
static bool is_listed(struct span name, const char *const *list)
{
    for (; list && *list; list++) {
        struct span entry = span_of(*list);
        bool is_prefix = entry.len && entry.at[entry.len - 1] == '*';
        if (is_prefix ? span_starts(name, (struct span){entry.at, entry.len - 1})
                      : span_equal(name, entry))
            return true;
    }
    return false;
}

static void add_line(const char **list, size_t *count, const char *line)
{
    if (line && *count < HEADERS_MAX)
        list[(*count)++] = line;
}

/*
 * The client's first header of a name that says something: libcurl would take an empty one for
 * none.
 */
static const struct http_header *client_header(const struct http_request *client, struct span name)
{
    for (size_t i = 0; client && i < client->header_count; i++)
        if (span_equal(client->headers[i].name, name) && client->headers[i].value.len)
            return &client->headers[i];
    return NULL;
}

static bool client_sent(const struct http_request *client, const char *line)
{
    struct span rest;
    return client_header(client, span_cut(span_of(line), ':', &rest)) != NULL;
}

/* Headers to the provider: an allow-list of the client's, then what the dialect always sends. */
static void build_headers(struct attempt *attempt, const struct http_request *client,
                          const char *lines[HEADERS_MAX + 1])
{
    static const char own_agent[] = "user-agent: aictl/" AICTL_VERSION;
    const struct dialect *dialect = attempt->dialect;
    size_t count = 0;
    add_line(lines, &count, "content-type: application/json");
    if (!client_sent(client, own_agent))
        add_line(lines, &count, own_agent);
    add_line(lines, &count,
             attempt->view->stream ? "accept: text/event-stream" : "accept: application/json");
    for (size_t i = 0; client && i < client->header_count; i++)
        if (is_listed(client->headers[i].name, dialect->request_headers) &&
            client_header(client, client->headers[i].name) == &client->headers[i])
            add_line(lines, &count,
                     arena_printf(&attempt->arena, SPAN_FMT ": " SPAN_FMT,
                                  SPAN_ARG(client->headers[i].name),
                                  SPAN_ARG(client->headers[i].value)));
    for (const char *const *line = dialect->default_headers; line && *line; line++)
        if (!client_sent(client, *line))
            add_line(lines, &count, *line);
    lines[count] = NULL;
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
    const char *headers[HEADERS_MAX + 1];
    CLEANUP(bytes_release) struct bytes url = {.max = URL_BYTES};
    CLEANUP(bytes_release) struct bytes key = {.max = 8192, .wipe = true};
    struct fetch_request request = {
        .method = "POST",
        .unix_path = provider->is_demo ? attempt->gateway->demo_socket : NULL,
        .share_key = provider->key_mode == KEY_MODE_VAULT ? provider->key_id : "",
        .headers = headers,
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
    build_headers(attempt, plan->client, headers);
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

/* Frees the attempt after its owner was told. The fetch is over or gone. */
static void end(struct attempt *attempt, enum end_reason reason, const struct err *err,
                const struct api_error *error)
{
    struct attempt_result result = {
        .end = reason,
        .err = *err,
        .status = attempt->record.status,
        .is_stream = attempt->form == FORM_STREAM,
        .body = bytes_span(&attempt->body),
        .tap = &attempt->tap,
        .headers = attempt->headers,
    };
    if (error)
        result.error = *error;
    close_record(attempt, reason, err);
    attempt->events->on_end(attempt->ctx, &result);
    attempt_free(attempt);
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
    end(attempt, reason, err, NULL);
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
    fetch_pause(attempt->fetch);
}

void attempt_resume(struct attempt *attempt)
{
    fetch_resume(attempt->fetch);
}

const char *const *attempt_headers(const struct attempt *attempt)
{
    return attempt->headers;
}

bool attempt_has_own_body(const struct attempt *attempt)
{
    return attempt->request_body.len > 0;
}

bool attempt_may_stream(const struct attempt *attempt)
{
    return attempt->form == FORM_UNKNOWN || attempt->form == FORM_STREAM;
}

/* ---- the answer's head ---- */

static const char *lower_line(struct arena *arena, const struct fetch_header *header)
{
    char *line = arena_printf(arena, SPAN_FMT ": " SPAN_FMT, SPAN_ARG(header->name),
                              SPAN_ARG(header->value));
    for (size_t i = 0; line && i < header->name.len; i++)
        if (line[i] >= 'A' && line[i] <= 'Z')
            line[i] = (char)(line[i] - 'A' + 'a');
    return line;
}

static void on_head(void *ctx, int status, const struct fetch_header *headers, size_t count)
{
    struct attempt *attempt = ctx;
    const struct dialect *dialect = attempt->dialect;
    size_t kept = 0;
    bool is_stream = false;
    attempt->record.status = status;
    attempt->record.first_byte_ms = elapsed_ms(attempt);
    for (size_t i = 0; i < count; i++) {
        const char *line = lower_line(&attempt->arena, &headers[i]);
        if (!line)
            break;
        struct span name = {line, headers[i].name.len};
        if (span_equal(name, SPAN("content-type")))
            is_stream = span_starts_nocase(headers[i].value, SPAN("text/event-stream"));
        if (span_equal(name, SPAN("content-type")) || is_listed(name, dialect->answer_headers))
            add_line(attempt->headers, &kept, line);
    }
    attempt->headers[kept] = NULL;
    attempt->form = status != 200 ? FORM_ERROR : is_stream ? FORM_STREAM : FORM_WHOLE;
    if (attempt->form == FORM_ERROR)
        attempt->body.max = ERROR_BODY_MAX;
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

/* An error's words again, without the key: they were cut before it could be looked for. */
static void tap_masked_event(struct attempt *attempt, const struct sse_event *event)
{
    CLEANUP(bytes_release) struct bytes masked = {.max = 2 * ERROR_BODY_MAX};
    struct tap tap = {0};
    mask_key(attempt, event->data, &masked);
    (void)attempt->dialect->tap_event(&tap, attempt->view, event->name, bytes_span(&masked));
    memcpy(attempt->tap.error_text, tap.error_text, sizeof(tap.error_text));
}

static int on_event(void *ctx, const struct sse_event *event)
{
    struct attempt *attempt = ctx;
    bool had_content = attempt->tap.has_content;
    enum tap_verdict verdict = TAP_PASS;
    if (event->data.at || event->name.at)
        verdict =
            attempt->dialect->tap_event(&attempt->tap, attempt->view, event->name, event->data);
    if (attempt->tap.error_kind) {
        tap_masked_event(attempt, event);
        return -attempt->tap.error_kind;
    }
    if (attempt->tap.has_content && !had_content)
        attempt->record.content_ms = elapsed_ms(attempt);
    if (verdict == TAP_PASS)
        pass_on(attempt, event->raw);
    return 0;
}

/* An error event inside a 200, or an event above eventMax. */
static void break_stream(struct attempt *attempt, int kind)
{
    struct err err = {0};
    if (attempt->tap.error_kind)
        find_fault(attempt, &err, kind, attempt->tap.error_text);
    else
        find_fault(attempt, &err, ERR_PROVIDER_ANSWER, "an event is above eventMax");
    break_off(attempt, END_PROVIDER_ERROR, &err);
}

static void on_body(void *ctx, struct span data)
{
    struct attempt *attempt = ctx;
    struct err err = {0};
    if (attempt->form == FORM_STREAM) {
        attempt->fed = data;
        int r = sse_feed(&attempt->sse, data, on_event, attempt);
        flush_run(attempt);
        if (r < 0)
            break_stream(attempt, -r);
        return;
    }
    if (bytes_add_span(&attempt->body, data) == 0 || attempt->form == FORM_ERROR)
        return; /* of an error's body the beginning is enough */
    find_fault(attempt, &err, ERR_PROVIDER_ANSWER, "the answer is above answerMax");
    break_off(attempt, END_PROVIDER_ERROR, &err);
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
        end(attempt, END_PROVIDER_ERROR, &err, NULL);
        return;
    }
    attempt->dialect->read_error(status, bytes_span(&attempt->body), &attempt->arena, &error);
    const char *text = arena_copy(&attempt->arena, error.message);
    err_set(&err, error.kind, "%s answered %d: %.300s", attempt->provider->name, status,
            scrub_text(text ? text : ""));
    end(attempt, END_PROVIDER_ERROR, &err, &error);
}

static void end_whole_answer(struct attempt *attempt)
{
    struct err err = {0};
    attempt->dialect->tap_answer(&attempt->tap, bytes_span(&attempt->body));
    attempt->record.content_ms = attempt->record.first_byte_ms;
    if (attempt->tap.error_kind) { /* its words again, without the key */
        struct tap masked = {0};
        mask_body(attempt);
        attempt->dialect->tap_answer(&masked, bytes_span(&attempt->body));
        memcpy(attempt->tap.error_text, masked.error_text, sizeof(masked.error_text));
        find_fault(attempt, &err, attempt->tap.error_kind, attempt->tap.error_text);
    } else if (span_trim(bytes_span(&attempt->body)).len == 0) {
        find_fault(attempt, &err, ERR_PROVIDER_ANSWER, "the answer is empty");
    }
    end(attempt, err.kind ? END_PROVIDER_ERROR : END_DONE, &err, NULL);
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
    if (r == 0)
        attempt->events->on_output(attempt->ctx, SPAN("\n\n"), attempt->tap.has_content);
    return r;
}

/* The end of a stream's bytes is a good end only after the model's turn was finished. */
static void end_stream(struct attempt *attempt)
{
    struct err err = {0};
    attempt->fed = (struct span){NULL, 0};
    int r = sse_finish(&attempt->sse, on_last_event, attempt);
    flush_run(attempt);
    if (r < 0 && attempt->tap.error_kind)
        find_fault(attempt, &err, -r, attempt->tap.error_text);
    else if (!attempt->tap.has_finish && !(attempt->tap.has_content && attempt->tap.has_end))
        find_fault(attempt, &err, ERR_PROVIDER_RESET, "the stream ended without a finish");
    end(attempt, err.kind ? (r < 0 ? END_PROVIDER_ERROR : END_PROVIDER_RESET) : END_DONE, &err,
        NULL);
}

/* Failures of the connection name the provider and its address. */
static void end_broken(struct attempt *attempt, const struct err *err)
{
    struct err named = *err;
    err_prefix(&named, "%s at %s", attempt->provider->name, attempt->provider->base_url);
    end(attempt, reason_of(err), &named, NULL);
}

static void on_done(void *ctx, const struct err *err)
{
    struct attempt *attempt = ctx;
    if (err)
        end_broken(attempt, err);
    else if (attempt->form == FORM_ERROR)
        end_error_answer(attempt);
    else if (attempt->form == FORM_STREAM)
        end_stream(attempt);
    else
        end_whole_answer(attempt);
}
