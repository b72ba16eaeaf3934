/* See exchange.h. Functions stand in the order in which they happen. */
#include "gateway/exchange.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/own.h"
#include "gateway/attempt.h"
#include "gateway/choice.h"
#include "gateway/endpoint.h"
#include "gateway/failure.h"
#include "gateway/guard.h"
#include "gateway/models.h"
#include "gateway/refusal.h"
#include "gateway/scrub.h"
#include "ir/estimate.h"
#include "policy/retry.h"

#define ARENA_MAX   (256 * 1024)
#define ANSWER_HEAD 56   /* header lines of an answer */
#define LOSS_BYTES  1536 /* of the header that names them */

enum state { READING, CHOOSING, TRYING, ANSWERING, OVER, STATES };

struct exchange {
    uint64_t id;
    struct exchange *next, *prev; /* in gateway->exchanges */
    enum state state;
    struct gateway *gateway;
    struct http_call *call; /* NULL once it is answered or gone */
    const struct dialect *surface;
    enum endpoint_kind endpoint;
    struct config *config;
    struct arena arena;
    const char *token_dir; /* NULL: the global token, or none */
    const char *override;
    int64_t body_held; /* of gateway->bodies_held */
    struct bytes body;
    struct request_view view;
    struct neutral neutral; /* once a candidate speaks another dialect; points into the body */
    bool has_neutral;
    struct walk_request *walk_request;
    struct candidates candidates;
    size_t candidate;
    unsigned retries;
    struct attempt *attempt;
    struct ir_losses losses; /* of the request on its way to the last attempt */
    struct bytes held;       /* output that waits for the first content */
    bool has_content;        /* the client saw some: no other attempt */
    struct failure first;    /* of the candidates that failed, the first one's; kind 0: none yet */
    size_t first_candidate;
    struct ir_losses first_losses;
    struct timer timer; /* TRYING: the silence before the head; ANSWERING: keep-alive */
    struct timer pause; /* before another attempt at the same provider */
    unsigned open_timers;
    bool is_gone;                 /* the client left */
    struct attempt_record record; /* what every attempt's record starts with */
    int64_t started_us;
};

static void exchange_start(struct exchange *exchange);
static void on_walk(void *ctx, struct walk *walk, const struct err *err);
static void choose_model(struct exchange *exchange, const struct walk *walk);
static void try_candidate(struct exchange *exchange);
static void on_output(void *ctx, struct span bytes, bool has_content);
static void on_attempt_end(void *ctx, const struct attempt_result *result);
static void on_silence(struct timer *timer);
static void on_pause_over(struct timer *timer);
static void close_exchange(struct exchange *exchange, const char *outcome);

static const struct attempt_events attempt_events = {on_output, on_attempt_end};

/* The candidate that is tried. */
static const struct candidate *current(const struct exchange *exchange)
{
    return &exchange->candidates.list[exchange->candidate];
}

static void enter(struct exchange *exchange, enum state state)
{
    static const bool legal[STATES][STATES] = {
        [READING] = {[CHOOSING] = true, [OVER] = true},
        [CHOOSING] = {[TRYING] = true, [OVER] = true},
        [TRYING] = {[ANSWERING] = true, [OVER] = true},
        [ANSWERING] = {[OVER] = true},
    };
    assert(legal[exchange->state][state]);
    exchange->state = state;
}

/* ---- the head: guard, endpoint, token ---- */

static void answer_open(struct http_call *call, enum endpoint_kind kind)
{
    static const char *const headers[] = {"Content-Type: application/json", NULL};
    http_answer(call, 200, headers,
                kind == ENDPOINT_HEALTH ? SPAN("{\"status\":\"ok\"}") : SPAN(""));
}

static int check_route(const struct endpoint *endpoint, const struct http_request *request,
                       struct err *reterr)
{
    if (endpoint->kind == ENDPOINT_NONE)
        return err_set(reterr, ERR_NOT_FOUND, "%s %s", log_quote(request->method, 16),
                       log_quote(request->path, 100));
    if (endpoint->kind == ENDPOINT_WRONG_METHOD)
        return err_set(reterr, ERR_METHOD_NOT_ALLOWED, "%s %s", log_quote(request->method, 16),
                       log_quote(request->path, 100));
    return 0;
}

/* Whose request it is. On our own Unix socket the peer's uid is credential enough. */
static int check_token(struct gateway *gateway, struct http_call *call, bool is_open,
                       const struct token_info **ret, struct err *reterr)
{
    *ret = NULL;
    if (is_open)
        return 0;
    int r = guard_token(http_call_request(call), gateway->tokens, gateway->vault,
                        loop_wall_ms() / 1000, ret, reterr);
    return r == -ERR_UNAUTHORIZED && http_call_is_unix(call) ? 0 : r;
}

static int check_head(struct gateway *gateway, struct http_call *call,
                      const struct endpoint *endpoint, const struct token_info **ret_token,
                      struct err *reterr)
{
    const struct http_request *request = http_call_request(call);
    int r = guard_head(request, http_call_port(call), reterr);
    if (r == 0)
        r = check_token(gateway, call, endpoint->is_open, ret_token, reterr);
    if (r == 0)
        r = check_route(endpoint, request, reterr);
    return r;
}

static void note_client(struct attempt_record *record, const struct http_request *request)
{
    struct span rest, agent = http_request_header(request, "user-agent");
    agent = span_cut(agent, ' ', &rest);
    (void)snprintf(record->client, sizeof(record->client), SPAN_FMT,
                   SPAN_ARG(agent)); /* for display */
}

static struct exchange *exchange_new(struct gateway *gateway, struct http_call *call,
                                     const struct endpoint *endpoint,
                                     const struct token_info *token)
{
    struct exchange *exchange = calloc(1, sizeof(*exchange));
    if (!exchange)
        abort();
    const struct http_request *request = http_call_request(call);
    exchange->id = ++gateway->next_exchange;
    exchange->gateway = gateway;
    exchange->call = call;
    exchange->surface = endpoint->surface;
    exchange->endpoint = endpoint->kind;
    exchange->config = config_ref(gateway->config);
    exchange->held.max = (size_t)exchange->config->options.streamBuffer + LOOP_SCRATCH;
    exchange->started_us = loop_clock_us();
    arena_init(&exchange->arena, ARENA_MAX);
    if (token && token->dir)
        exchange->token_dir = arena_copy(&exchange->arena, span_of(token->dir));
    if (token && token->override)
        exchange->override = arena_copy(&exchange->arena, span_of(token->override));
    exchange->record.exchange = exchange->id;
    note_client(&exchange->record, request);
    (void)snprintf(exchange->record.surface, LEDGER_NAME, "%s", endpoint->surface->name);
    timer_open(&exchange->timer, gateway->loop, on_silence);
    timer_open(&exchange->pause, gateway->loop, on_pause_over);
    exchange->open_timers = 2;
    gateway->exchanges_total++;
    gateway->exchanges_active++;
    exchange->next = gateway->exchanges;
    if (exchange->next)
        exchange->next->prev = exchange;
    gateway->exchanges = exchange;
    return exchange;
}

static int on_head(void *ctx, struct http_call *call)
{
    struct gateway *gateway = ctx;
    struct endpoint endpoint = endpoint_of(http_call_request(call));
    const struct token_info *token = NULL;
    struct err err = {0};
    int r = check_head(gateway, call, &endpoint, &token, &err);
    if (r < 0) {
        http_close_after(call); /* what follows on such a connection is not looked at */
        refuse_call(call, endpoint.surface, &err, NULL);
        return r;
    }
    if (endpoint.is_open) {
        answer_open(call, endpoint.kind);
        return -1;
    }
    http_set_user(call, exchange_new(gateway, call, &endpoint, token));
    return 0;
}

/* Bytes of the body come: they count until they are released. */
static bool may_hold(void *ctx, struct http_call *call, size_t more)
{
    struct gateway *gateway = ctx;
    struct exchange *exchange = http_user(call);
    if (gateway->bodies_held + (int64_t)more > exchange->config->options.bodiesMax)
        return false;
    gateway->bodies_held += (int64_t)more;
    exchange->body_held += (int64_t)more;
    return true;
}

/* What was made of the body counts with it. */
static void hold_more(struct exchange *exchange, int64_t more)
{
    exchange->gateway->bodies_held += more;
    exchange->body_held += more;
}

static void release_body(struct exchange *exchange)
{
    exchange->gateway->bodies_held -= exchange->body_held;
    exchange->body_held = 0;
    bytes_release(&exchange->body);
}

/* ---- the request is complete: project and model ---- */

static void refuse(struct exchange *exchange, const struct err *err)
{
    const struct provider *provider =
        exchange->candidates.count ? current(exchange)->provider : NULL;
    struct http_call *call = exchange->call;
    exchange->call = NULL;
    refuse_call(call, exchange->surface, err, provider ? provider->name : NULL);
    close_exchange(exchange, err->detail);
}

static void on_request(void *ctx, struct http_call *call)
{
    struct exchange *exchange = http_user(call);
    struct http_request *request = http_call_request_mutable(call);
    (void)ctx;
    exchange->body = request->body;
    request->body = (struct bytes){.max = exchange->body.max};
    exchange_start(exchange);
}

static void answer_models(struct exchange *exchange)
{
    struct bytes body = {.max = (size_t)exchange->config->options.answerMax};
    struct http_call *call = exchange->call;
    static const char *const headers[] = {"Content-Type: application/json", NULL};
    struct err err = {0};
    if (models_write(exchange->config, exchange->surface, &exchange->arena, &body) < 0) {
        err_set(&err, ERR_INTERNAL, "the list of models does not fit");
        bytes_release(&body);
        refuse(exchange, &err);
        return;
    }
    exchange->call = NULL;
    http_answer(call, 200, headers, bytes_span(&body));
    bytes_release(&body);
    close_exchange(exchange, NULL);
}

/* The directory of the request: the token's, else that of the process on our Unix socket. */
static const char *request_dir(struct exchange *exchange)
{
    char cwd[4096];
    if (exchange->token_dir || !http_call_is_unix(exchange->call))
        return exchange->token_dir;
    if (!peer_cwd(http_call_peer(exchange->call)->pid, cwd, sizeof(cwd)))
        return NULL;
    return arena_copy(&exchange->arena, span_of(cwd));
}

/* Counting is ours: a request that cannot be counted exactly is better than one that fails. */
static void answer_count(struct exchange *exchange)
{
    static const char *const headers[] = {"Content-Type: application/json",
                                          "x-aictl-estimate: input_tokens", NULL};
    struct bytes body = {.max = 256};
    struct http_call *call = exchange->call;
    struct err err = {0};
    exchange->has_neutral = true;
    if (neutral_decode(&exchange->neutral, exchange->surface, bytes_span(&exchange->body), &err) <
        0) {
        refuse(exchange, &err);
        return;
    }
    (void)exchange->surface->write_count(ir_estimate_input(&exchange->neutral.request),
                                         &body); /* fits */
    exchange->call = NULL;
    http_answer(call, 200, headers, bytes_span(&body));
    bytes_release(&body);
    close_exchange(exchange, NULL);
}

static void exchange_start(struct exchange *exchange)
{
    struct err err = {0};
    enter(exchange, CHOOSING);
    if (exchange->endpoint == ENDPOINT_MODELS) {
        answer_models(exchange);
        return;
    }
    if (exchange->endpoint == ENDPOINT_COUNT) {
        answer_count(exchange);
        return;
    }
    if (exchange->surface->read_request(bytes_span(&exchange->body), &exchange->arena,
                                        &exchange->view, &err) < 0) {
        refuse(exchange, &err);
        return;
    }
    (void)snprintf(exchange->record.requested, LEDGER_NAME, SPAN_FMT,
                   SPAN_ARG(exchange->view.model_text)); /* for display */
    const char *dir = request_dir(exchange);
    if (dir)
        exchange->walk_request =
            project_cache_get(exchange->gateway->project_cache, dir, on_walk, exchange);
    else
        choose_model(exchange, NULL);
}

static void on_walk(void *ctx, struct walk *walk, const struct err *err)
{
    struct exchange *exchange = ctx;
    exchange->walk_request = NULL;
    if (err)
        refuse(exchange, err);
    else
        choose_model(exchange, walk);
}

/* A stream's head goes out after so much silence. */
static void arm_silence(struct exchange *exchange)
{
    if (exchange->view.stream && exchange->surface->keepalive)
        timer_start(&exchange->timer, exchange->config->options.silenceCommitMs);
}

static void choose_model(struct exchange *exchange, const struct walk *walk)
{
    struct err err = {0};
    if (choose(exchange->gateway, exchange->config, exchange->surface, exchange->view.model_text,
               walk, exchange->override, &exchange->arena, &exchange->candidates, &err) < 0) {
        refuse(exchange, &err);
        return;
    }
    (void)snprintf(exchange->record.project, LEDGER_NAME, "%s", exchange->candidates.project);
    enter(exchange, TRYING);
    arm_silence(exchange);
    try_candidate(exchange);
}

/* ---- attempts ---- */

static void fail(struct exchange *exchange, const struct err *err,
                 const struct attempt_result *result);
static void give_up(struct exchange *exchange, const struct err *err,
                    const struct attempt_result *result);

/* The neutral form of the request, decoded when the first candidate needs it. */
static int need_neutral(struct exchange *exchange, struct neutral **ret, struct err *reterr)
{
    *ret = &exchange->neutral;
    if (exchange->has_neutral)
        return 0;
    exchange->has_neutral = true;
    int r =
        neutral_decode(&exchange->neutral, exchange->surface, bytes_span(&exchange->body), reterr);
    hold_more(exchange, (int64_t)exchange->neutral.arena.total);
    if (r == 0 && exchange->gateway->bodies_held > exchange->config->options.bodiesMax)
        r = err_set(reterr, ERR_BUSY, "the bodies of all requests together are above bodiesMax");
    return r;
}

static void try_candidate(struct exchange *exchange)
{
    const struct candidate *candidate = current(exchange);
    const struct dialect *dialect =
        candidate->provider->is_demo ? exchange->surface : candidate->provider->dialect;
    struct err err = {0};
    struct attempt_plan plan = {
        .config = exchange->config,
        .provider = candidate->provider,
        .dialect = dialect,
        .surface = exchange->surface,
        .model = span_of(candidate->model),
        .view = &exchange->view,
        .client = http_call_request(exchange->call),
        .record = exchange->record,
    };
    bytes_clear(&exchange->held);
    if (dialect != exchange->surface && need_neutral(exchange, &plan.neutral, &err) < 0) {
        give_up(exchange, &err, NULL);
        return;
    }
    exchange->attempt = attempt_start(exchange->gateway, &plan, &attempt_events, exchange, &err);
    if (exchange->attempt)
        exchange->losses = *attempt_losses(exchange->attempt);
    else
        fail(exchange, &err, NULL);
}

static const char *const stream_headers[] = {"cache-control: no-cache", NULL};
static const char *const own_stream_headers[] = {"content-type: text/event-stream",
                                                 "cache-control: no-cache", NULL};
static const char *const own_whole_headers[] = {"content-type: application/json", NULL};

/* "x-aictl-loss: a, b, c", or NULL: nothing is left out in silence. */
static const char *loss_header(struct exchange *exchange)
{
    CLEANUP(bytes_release) struct bytes names = {.max = LOSS_BYTES};
    if (ir_losses_write(&exchange->losses, &names) < 0 || names.len == 0)
        return NULL;
    return arena_printf(&exchange->arena, "x-aictl-loss: " SPAN_FMT, SPAN_ARG(bytes_span(&names)));
}

/* True when one of `count` header lines has the name of `line`. */
static bool is_named(const char *const *headers, size_t count, const char *line)
{
    struct span rest, name = span_cut(span_of(line), ':', &rest);
    for (size_t i = 0; i < count; i++) {
        struct span other = span_cut(span_of(headers[i]), ':', &rest);
        if (span_equal_nocase(name, other))
            return true;
    }
    return false;
}

/*
 * Answer headers: the provider's that may be passed on, each name once, `own` (NULL or ended by
 * NULL) instead of those of the same name, and what is ours always.
 */
static void start_answer(struct exchange *exchange, int status, const char *const *provider_headers,
                         const char *const *own, int64_t length)
{
    const struct candidate *candidate = current(exchange);
    const char *headers[ANSWER_HEAD + 1];
    size_t count = 0;
    for (; own && *own; own++)
        headers[count++] = *own;
    for (; provider_headers && *provider_headers && count < ANSWER_HEAD - 3; provider_headers++)
        if (!is_named(headers, count, *provider_headers))
            headers[count++] = *provider_headers;
    const char *id = arena_printf(&exchange->arena, "x-aictl-request-id: %llu",
                                  (unsigned long long)exchange->id);
    const char *model = arena_printf(&exchange->arena, "x-aictl-model: %s/%s",
                                     candidate->provider->name, candidate->model);
    if (id)
        headers[count++] = id;
    const char *loss = loss_header(exchange);
    if (model)
        headers[count++] = model;
    if (loss)
        headers[count++] = loss;
    headers[count] = NULL;
    enter(exchange, ANSWERING);
    http_start(exchange->call, status, headers, length);
}

/* ---- output: held until content, then passed on as it comes ---- */

static void arm_keepalive(struct exchange *exchange)
{
    if (exchange->surface->keepalive)
        timer_start(&exchange->timer, exchange->config->options.keepAliveEveryMs);
}

/* From here on the client sees a stream, and errors are events. */
static void commit_head(struct exchange *exchange)
{
    const struct attempt *attempt = exchange->attempt;
    const char *const *headers = attempt ? attempt_headers(attempt) : NULL;
    bool is_passed = attempt && attempt_passes_stream(attempt);
    start_answer(exchange, 200, headers, is_passed ? stream_headers : own_stream_headers, -1);
    arm_keepalive(exchange);
}

/* Content came, so nothing is sent again: of two copies of the request the client's can go. */
static void let_go_of_body(struct exchange *exchange)
{
    if (!exchange->body.data || !attempt_has_own_body(exchange->attempt))
        return;
    if (exchange->has_neutral)
        neutral_release(&exchange->neutral);
    exchange->view.body = (struct span){NULL, 0};
    exchange->view.root = exchange->view.model = exchange->view.stream_options = (struct json){0};
    exchange->view.model_text = (struct span){NULL, 0};
    release_body(exchange);
}

/* The first content: from here on there is no other attempt. */
static void commit_content(struct exchange *exchange)
{
    exchange->has_content = true;
    if (exchange->state == TRYING)
        commit_head(exchange);
    http_write(exchange->call, bytes_span(&exchange->held));
    bytes_release(&exchange->held);
    let_go_of_body(exchange);
}

static void on_output(void *ctx, struct span bytes, bool has_content)
{
    struct exchange *exchange = ctx;
    if (!exchange->has_content) {
        size_t len = exchange->held.len + bytes.len;
        bool fits = len <= (size_t)exchange->config->options.streamBuffer;
        if (!has_content && fits && bytes_add_span(&exchange->held, bytes) == 0)
            return;
        commit_content(exchange);
    }
    http_write(exchange->call, bytes);
    arm_keepalive(exchange);
    if (http_is_full(exchange->call))
        attempt_pause(exchange->attempt);
}

static void on_drain(void *ctx, struct http_call *call)
{
    struct exchange *exchange = http_user(call);
    (void)ctx;
    if (exchange->attempt)
        attempt_resume(exchange->attempt);
}

/* Too long without a byte for the client: the head goes out, or a sign of life. */
static void on_silence(struct timer *timer)
{
    struct exchange *exchange = container_of(timer, struct exchange, timer);
    if (exchange->state == TRYING && exchange->attempt && !attempt_may_stream(exchange->attempt)) {
        arm_keepalive(exchange); /* its answer is no stream: what it is shows at its end */
        return;
    }
    if (exchange->state == TRYING)
        commit_head(exchange);
    if (!http_is_full(exchange->call))
        http_write(exchange->call, span_of(exchange->surface->keepalive));
    arm_keepalive(exchange);
}

/* ---- the end of an attempt ---- */

static void finish(struct exchange *exchange, const char *outcome)
{
    struct http_call *call = exchange->call;
    exchange->call = NULL;
    http_finish(call);
    close_exchange(exchange, outcome);
}

static void finish_stream(struct exchange *exchange, const struct attempt_result *result)
{
    if (exchange->state == TRYING)
        start_answer(exchange, 200, result->headers,
                     result->is_converted ? own_stream_headers : stream_headers, -1);
    http_write(exchange->call, bytes_span(&exchange->held)); /* an answer without content */
    if (!result->tap->has_end)
        http_write(exchange->call, span_of(exchange->surface->stream_end));
    finish(exchange, NULL);
}

static void finish_whole(struct exchange *exchange, int status, struct span body,
                         const char *const *headers, const char *const *own, const char *outcome)
{
    start_answer(exchange, status, headers, own, (int64_t)body.len);
    http_write(exchange->call, body);
    finish(exchange, outcome);
}

/* After the head: the dialect's own error event, and no clean ending. */
static void finish_broken(struct exchange *exchange, const struct err *err)
{
    CLEANUP(bytes_release) struct bytes message = {0};
    CLEANUP(bytes_release) struct bytes event = {.max = 16384};
    const char *name = current(exchange)->provider->name;
    struct api_error error = refusal_error(err, name, &message);
    (void)exchange->surface->write_stream_error(&error, &event); /* bounded by the message */
    http_write(exchange->call, bytes_span(&event));
    finish(exchange, err->detail);
}

/*
 * The provider's own error answer with its status. A refused key is not the client's fault: it gets
 * our words with the step that mends it (refuse()).
 */
static void pass_error(struct exchange *exchange, const struct failure *failure)
{
    static const char *const headers[] = {"content-type: application/json", "x-should-retry: false",
                                          NULL};
    const bool is_retryable = error_row(failure->error.kind)->retryable;
    CLEANUP(bytes_release) struct bytes body = {.max = 4 * 1024 * 1024};
    if (failure_write(failure, exchange->surface, &body) < 0) {
        refuse(exchange, &failure->err);
        return;
    }
    finish_whole(exchange, failure->status, bytes_span(&body), failure->headers,
                 is_retryable ? own_whole_headers : headers, failure->err.detail);
}

/* The key itself, whatever the status; a 403 may also be about a model or a project. */
static bool is_key_refused(const struct failure *failure)
{
    return failure->err.kind == ERR_PROVIDER_AUTH && failure->status != 403;
}

/* Nothing is tried any more: the first failure becomes the answer. */
static void give_up(struct exchange *exchange, const struct err *err,
                    const struct attempt_result *result)
{
    struct failure failure = failure_of(current(exchange)->provider, err, result);
    if (exchange->first.err.kind) { /* the later candidates are only stand-ins */
        failure = exchange->first;
        exchange->candidate = exchange->first_candidate;
        exchange->losses = exchange->first_losses;
    }
    if (exchange->state == ANSWERING) /* the silence has sent the head meanwhile */
        finish_broken(exchange, &failure.err);
    else if (failure.error.kind && !is_key_refused(&failure))
        pass_error(exchange, &failure);
    else
        refuse(exchange, &failure.err);
}

static void keep_first(struct exchange *exchange, const struct err *err,
                       const struct attempt_result *result)
{
    if (exchange->first.err.kind)
        return;
    struct failure failure = failure_of(current(exchange)->provider, err, result);
    failure_keep(&failure, &exchange->arena, &exchange->first);
    exchange->first_candidate = exchange->candidate;
    exchange->first_losses = exchange->losses;
}

/* Another attempt, as long as the client has seen no content; else the error as an answer. */
static void fail(struct exchange *exchange, const struct err *err,
                 const struct attempt_result *result)
{
    const bool has_next = exchange->candidate + 1 < exchange->candidates.count;
    const bool was_sent = result != NULL; /* without a key it was not: that is no try */
    const int64_t max = exchange->config->options.maxRetries + !was_sent;
    enum retry_step step = retry_decide(err->kind, exchange->retries, max, has_next);
    uint32_t random;
    if (exchange->has_content) {
        finish_broken(exchange, err);
        return;
    }
    if (step == RETRY_NO || exchange->gateway->is_draining) {
        give_up(exchange, err, result);
        return;
    }
    exchange->retries += was_sent;
    if (step == RETRY_NEXT) {
        keep_first(exchange, err, result);
        exchange->candidate++;
        try_candidate(exchange);
        return;
    }
    loop_random(&random, sizeof(random));
    timer_start(&exchange->pause, retry_pause_ms(exchange->retries - 1, random));
}

static void on_pause_over(struct timer *timer)
{
    try_candidate(container_of(timer, struct exchange, pause));
}

static void on_attempt_end(void *ctx, const struct attempt_result *result)
{
    struct exchange *exchange = ctx;
    exchange->attempt = NULL;
    if (result->losses)
        ir_losses_join(&exchange->losses, result->losses);
    if (result->end != END_DONE)
        fail(exchange, &result->err, result);
    else if (result->is_stream)
        finish_stream(exchange, result);
    else
        finish_whole(exchange, 200, result->body, result->headers, own_whole_headers, NULL);
}

/* ---- over ---- */

/* The client left, or its body could not be taken (an answer was sent), or the server closes. */
static void on_gone(void *ctx, struct http_call *call, const struct err *why)
{
    struct exchange *exchange = http_user(call);
    (void)ctx;
    exchange->call = NULL;
    exchange->is_gone = why->kind == ERR_CLIENT_GONE;
    if (exchange->attempt)
        attempt_cancel(TAKE(exchange->attempt),
                       why->kind == ERR_SHUTTING_DOWN ? END_SHUTDOWN : END_CLIENT_GONE);
    close_exchange(exchange, exchange->is_gone ? "the client left" : why->detail);
}

static void close_timer(struct exchange *exchange)
{
    if (--exchange->open_timers == 0)
        free(exchange);
}

static void on_timer_closed(struct timer *timer)
{
    close_timer(container_of(timer, struct exchange, timer));
}

static void on_pause_closed(struct timer *timer)
{
    close_timer(container_of(timer, struct exchange, pause));
}

static void log_end(const struct exchange *exchange, const char *outcome)
{
    CLEANUP(bytes_release) struct bytes losses = {.max = LOSS_BYTES};
    if (!exchange->config->options.enableLogging)
        return;
    const struct candidate *candidate = current(exchange);
    bool is_chosen = exchange->candidates.count > 0;
    (void)ir_losses_write(&exchange->losses, &losses); /* all of them fit */
    log_info("request", exchange->id, "%s %s -> %s%s%s in %lld ms: %s%s" SPAN_FMT,
             exchange->surface->name, log_quote(span_of(exchange->record.requested), LEDGER_NAME),
             is_chosen ? candidate->provider->name : "-", is_chosen ? "/" : "",
             is_chosen ? candidate->model : "",
             (long long)((loop_clock_us() - exchange->started_us) / 1000),
             outcome ? scrub_text(outcome) : "ok", losses.len ? "; lost: " : "",
             SPAN_ARG(bytes_span(&losses)));
}

/* The one way out. outcome NULL: it went well. */
static void close_exchange(struct exchange *exchange, const char *outcome)
{
    struct gateway *gateway = exchange->gateway;
    enter(exchange, OVER);
    log_end(exchange, outcome);
    if (exchange->walk_request)
        project_cache_cancel(exchange->walk_request);
    gateway->exchanges_failed += outcome && !exchange->is_gone;
    release_body(exchange);
    gateway->exchanges_active--;
    if (exchange->prev)
        exchange->prev->next = exchange->next;
    else
        gateway->exchanges = exchange->next;
    if (exchange->next)
        exchange->next->prev = exchange->prev;
    bytes_release(&exchange->held);
    if (exchange->has_neutral)
        neutral_release(&exchange->neutral);
    arena_release(&exchange->arena);
    config_unref(exchange->config);
    timer_close(&exchange->timer, on_timer_closed);
    timer_close(&exchange->pause, on_pause_closed);
}

void exchange_end_all(struct gateway *gateway)
{
    struct err err = {0};
    err_set(&err, ERR_SHUTTING_DOWN, "the request had not ended after drainMs");
    while (gateway->exchanges) {
        struct exchange *exchange = gateway->exchanges;
        if (exchange->attempt)
            attempt_cancel(TAKE(exchange->attempt), END_SHUTDOWN);
        if (exchange->state == ANSWERING)
            finish_broken(exchange, &err);
        else
            refuse(exchange, &err);
    }
}

const struct http_handler exchange_http_handler = {
    .on_head = on_head,
    .may_hold = may_hold,
    .on_request = on_request,
    .on_gone = on_gone,
    .on_drain = on_drain,
    .write_refusal = refusal_write,
};
