/*
 * See control.h: connections, from accept to close.
 *
 *     on_accept -> on_data -> read_frames -> start_request ...> on_call_done -> answer
 *                                 |  full: not read on   <---------'
 *                                 '- bad frame: refuse (answer, then close)
 *
 * A connection owns a stream and a timer; it is freed when both are closed. Whatever the reason,
 * it ends in leave(), which cancels its calls.
 */
#include "control/control.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/own.h"
#include "control/call.h"
#include "control/views.h"
#include "proto/wire.h"

/* A largest frame but for its last byte, and what one more read may bring. */
#define INPUT_MAX (WIRE_FRAME_MAX + LOOP_SCRATCH)

struct connection;

/* One unanswered request. */
struct request {
    struct connection *connection;
    struct call *call; /* NULL: the place is free */
    uint32_t msgid;
};

struct connection {
    struct stream stream;
    struct timer idle; /* runs while a message is unfinished, or while we wait to be rid of it */
    struct control *control;
    struct connection *next, **link; /* in the control's list */
    struct bytes input;
    struct wire_scan scan; /* of the frame at the start of input */
    unsigned open_handles;
    unsigned request_count;
    struct request requests[CONTROL_CALLS];
    bool is_leaving;
    bool is_extra; /* one too many: it gets an answer, but not what it asks for */
};

struct control {
    struct call_env env;
    struct connection *connections;
    unsigned connection_count;
    struct later stopping;
    bool is_closing;
};

static void read_frames(struct connection *connection);

/* ---- the end of a connection ---- */

static void free_control_when_done(struct control *control)
{
    if (control->is_closing && control->connection_count == 0)
        free(control);
}

/* The stream or the timer is closed. */
static void on_handle_closed(struct connection *connection)
{
    if (--connection->open_handles)
        return;
    struct control *control = connection->control;
    *connection->link = connection->next;
    if (connection->next)
        connection->next->link = connection->link;
    control->connection_count--;
    bytes_release(&connection->input);
    free(connection);
    free_control_when_done(control);
}

static struct connection *connection_of_stream(struct stream *stream)
{
    return container_of(stream, struct connection, stream);
}

static struct connection *connection_of_timer(struct timer *timer)
{
    return container_of(timer, struct connection, idle);
}

static void on_idle_closed(struct timer *timer)
{
    on_handle_closed(connection_of_timer(timer));
}

static void cancel_requests(struct connection *connection)
{
    for (size_t i = 0; i < CONTROL_CALLS; i++) {
        struct request *request = &connection->requests[i];
        if (request->call)
            call_cancel(request->call);
        request->call = NULL;
    }
    connection->request_count = 0;
}

/* Its calls are cancelled and it closes. Idempotent. */
static void leave(struct connection *connection)
{
    if (connection->is_leaving)
        return;
    connection->is_leaving = true;
    cancel_requests(connection);
    stream_close(&connection->stream);
    timer_close(&connection->idle, on_idle_closed);
}

static void on_stream_closed(struct stream *stream)
{
    leave(
        connection_of_stream(stream)); /* the stream closes itself when its queue is full or sent */
    on_handle_closed(connection_of_stream(stream));
}

static void on_end(struct stream *stream)
{
    leave(connection_of_stream(stream));
}

static void on_idle(struct timer *timer)
{
    struct connection *connection = connection_of_timer(timer);
    log_info("control", 0, "pid %d did not finish a message in time: closed",
             (int)connection->stream.peer.pid);
    leave(connection);
}

/* ---- answers ---- */

/* True when it was queued; else the connection is on its way out. */
static bool send_frame(struct connection *connection, struct wire_frame *frame)
{
    int r = stream_write(&connection->stream, (struct span){frame->data, frame->len});
    wire_frame_release(frame);
    if (r == -ERR_TOO_LARGE)
        log_warn("control", 0, "pid %d does not read its answers: dropped",
                 (int)connection->stream.peer.pid);
    if (r < 0)
        leave(connection);
    return r == 0;
}

/* Packs a failure; its detail may quote bytes from outside. */
static int pack_failure(uint32_t msgid, const struct err *err, struct wire_frame *ret)
{
    cJSON *detail = view_text(err->detail[0] ? err->detail : NULL);
    struct wire_error error = {.kind = err->kind, .detail = cJSON_GetStringValue(detail)};
    int r = wire_pack_response(msgid, &error, NULL, ret);
    cJSON_Delete(detail);
    return r;
}

static bool answer(struct connection *connection, uint32_t msgid, const struct err *err,
                   const cJSON *result)
{
    struct wire_frame frame = {0};
    struct err failure = *err;
    int r = 0;
    if (failure.kind == 0)
        r = wire_pack_response(msgid, NULL, result, &frame);
    if (r < 0)
        (void)err_set(&failure, -r, "the answer does not fit in one message");
    if (failure.kind)
        r = pack_failure(msgid, &failure, &frame);
    if (r == 0)
        return send_frame(connection, &frame);
    leave(connection); /* not even that could be packed: memory is out */
    return false;
}

static void start_idle_timer(struct connection *connection)
{
    timer_start(&connection->idle, connection->control->env.gateway->config->options.rpcIdleMs);
}

/* The last answer of a connection. */
static void answer_and_close(struct connection *connection, uint32_t msgid, const struct err *err)
{
    cancel_requests(connection);
    if (!answer(connection, msgid, err, NULL))
        return;
    stream_close_when_sent(&connection->stream);
    start_idle_timer(connection);
}

/* What follows on this stream cannot be trusted: say why, then close. */
static void refuse(struct connection *connection, uint32_t msgid, int kind)
{
    struct err err = {.kind = kind};
    log_info("control", 0, "pid %d sent what is no message: %s", (int)connection->stream.peer.pid,
             error_row(kind)->name);
    answer_and_close(connection, msgid, &err);
}

static void turn_away(struct connection *connection, uint32_t msgid)
{
    struct err err = {0};
    (void)err_set(&err, ERR_BUSY, "%d clients are connected to the control socket",
                  CONTROL_CONNECTIONS);
    answer_and_close(connection, msgid, &err);
}

/* ---- requests ---- */

static void on_stopping(struct later *later)
{
    struct control *control = container_of(later, struct control, stopping);
    const struct control_hooks *hooks = control->env.hooks;
    hooks->stop(hooks->ctx);
}

static void on_call_done(void *ctx, struct call *call)
{
    struct request *request = ctx;
    struct connection *connection = request->connection;
    struct control *control = connection->control;
    request->call = NULL;
    connection->request_count--;
    bool is_sent = answer(connection, request->msgid, &call->err, call->result);
    if (call->stops_daemon && call->err.kind == 0)
        loop_later(control->env.gateway->loop, &control->stopping, on_stopping);
    if (is_sent)
        read_frames(connection); /* it may have waited for a free place */
}

/* A free place, or NULL when the msgid is in use: the answers could not be told apart. */
static struct request *find_place(struct connection *connection, uint32_t msgid)
{
    struct request *place = NULL;
    for (size_t i = 0; i < CONTROL_CALLS; i++) {
        struct request *request = &connection->requests[i];
        if (request->call && request->msgid == msgid)
            return NULL;
        if (!request->call)
            place = request;
    }
    return place;
}

static void start_request(struct connection *connection, struct wire_request *message)
{
    struct err err = {0};
    struct request *request = find_place(connection, message->msgid);
    if (!request) {
        message->params = wire_delete(message->params);
        (void)err_set(&err, ERR_BAD_FRAME, "msgid %u is still in use", (unsigned)message->msgid);
        (void)answer(connection, message->msgid, &err, NULL); /* leaving when that fails */
        return;
    }
    request->connection = connection;
    request->msgid = message->msgid;
    connection->request_count++;
    request->call = call_start(&connection->control->env, message->method, message->params,
                               on_call_done, request);
}

/* False when the connection is not to be read any more. */
static bool take_frame(struct connection *connection, const char *frame, size_t len)
{
    struct wire_request message;
    struct err err = {0};
    int r = wire_unpack_request(frame, len, &message);
    if (r == -ERR_BAD_FRAME) {
        refuse(connection, message.msgid, ERR_BAD_FRAME);
        return false;
    }
    if (connection->is_extra) {
        message.params = r == 0 ? wire_delete(message.params) : NULL;
        turn_away(connection, message.msgid);
        return false;
    }
    if (r == 0) {
        start_request(connection, &message);
    } else {
        (void)err_set(&err, ERR_BAD_PARAMS,
                      "%s: params are an array of one map with names; text is UTF-8 without NUL, "
                      "integers are within 2^53",
                      message.refused[0] ? message.refused : message.method);
        (void)answer(connection, message.msgid, &err, NULL); /* leaving when that fails */
    }
    return !connection->is_leaving;
}

/* Bytes that were read are not needed any more; they may have held a key. */
static void drop_input(struct connection *connection, size_t len)
{
    struct bytes *input = &connection->input;
    if (len == 0)
        return;
    bytes_drop_front(input, len);
    explicit_bzero(input->data + input->len, len);
}

/* Reads on unless every place is taken; the timer runs while a message is unfinished. */
static void wait_for_more(struct connection *connection, bool has_progress)
{
    if (connection->request_count == CONTROL_CALLS)
        stream_pause(&connection->stream);
    else
        stream_resume(&connection->stream);
    bool is_unfinished = connection->input.len && connection->request_count < CONTROL_CALLS;
    if (!is_unfinished)
        timer_stop(&connection->idle);
    else if (has_progress || !timer_is_running(&connection->idle))
        start_idle_timer(connection);
}

static void read_frames(struct connection *connection)
{
    const struct bytes *input = &connection->input;
    size_t done = 0;
    ssize_t len = 0;
    bool goes_on = true;
    while (goes_on && connection->request_count < CONTROL_CALLS) {
        len = wire_scan(&connection->scan, input->data + done, input->len - done);
        if (len <= 0)
            break;
        goes_on = take_frame(connection, input->data + done, (size_t)len);
        done += (size_t)len;
        connection->scan = (struct wire_scan){0};
    }
    drop_input(connection, done);
    if (len < 0)
        refuse(connection, 0, (int)-len);
    else if (goes_on)
        wait_for_more(connection, done > 0);
}

static void on_data(struct stream *stream, struct span data)
{
    struct connection *connection = connection_of_stream(stream);
    int r = bytes_add_span(&connection->input, data);
    /* the buffer all streams read into would keep a key until somebody reads as much again */
    explicit_bzero(loop_scratch(stream->loop), data.len <= LOOP_SCRATCH ? data.len : LOOP_SCRATCH);
    if (r < 0)
        leave(connection);
    else
        read_frames(connection);
}

/* ---- the server ---- */

static const struct stream_events stream_events = {
    .on_data = on_data,
    .on_end = on_end,
    .on_closed = on_stream_closed,
};

static void link_connection(struct control *control, struct connection *connection)
{
    connection->next = control->connections;
    connection->link = &control->connections;
    if (connection->next)
        connection->next->link = &connection->next;
    control->connections = connection;
    control->connection_count++;
}

static void on_accept(struct listener *listener, void *ctx)
{
    struct control *control = ctx;
    const struct gateway *gateway = control->env.gateway;
    size_t queue_max = (size_t)gateway->config->options.rpcQueueMax;
    bool is_extra = control->connection_count >= CONTROL_CONNECTIONS;
    if (is_extra)
        log_warn("control", 0, "more than %d clients: one is turned away", CONTROL_CONNECTIONS);
    if (control->connection_count >= CONTROL_CONNECTIONS + CONTROL_REFUSED)
        return;
    struct connection *connection = calloc(1, sizeof(*connection));
    if (!connection)
        abort();
    connection->control = control;
    connection->is_extra = is_extra;
    connection->input = (struct bytes){.max = INPUT_MAX, .wipe = true};
    if (stream_open(&connection->stream, listener, &stream_events, queue_max / 2, queue_max) < 0) {
        free(connection);
        return;
    }
    timer_open(&connection->idle, gateway->loop, on_idle);
    connection->open_handles = 2;
    link_connection(control, connection);
    if (is_extra)
        start_idle_timer(connection);           /* it may not sit in the waiting room */
    if (!peer_is_own(&connection->stream.peer)) /* the listener looked already */
        leave(connection);
}

const struct listener_events control_listener_events = {.on_accept = on_accept};

int control_open(struct gateway *gateway, const struct control_hooks *hooks, struct control **ret,
                 struct err *reterr)
{
    if (!hooks->reload || !hooks->stop || !hooks->config_file)
        return err_set(reterr, ERR_INTERNAL, "the control server lacks a hook");
    struct control *control = calloc(1, sizeof(*control));
    if (!control)
        abort();
    control->env = (struct call_env){
        .gateway = gateway,
        .hooks = hooks,
        .opened_ms = loop_now_ms(gateway->loop),
        .test_ms = CONTROL_TEST_MS,
    };
    *ret = control;
    return 0;
}

void control_close(struct control *control)
{
    if (!control || control->is_closing)
        return;
    control->is_closing = true;
    later_cancel(&control->stopping);
    for (struct connection *connection = control->connections; connection;
         connection = connection->next)
        leave(connection); /* frees nothing before the next turn */
    free_control_when_done(control);
}
