/*
 * See stream.h. Bytes on their way out:
 *
 *     stream_write -> queue --(end of turn: try_write)--> kernel
 *                       '-- what the kernel refused --> sending --(uv_write)--> kernel
 *
 * While `sending` is under way, `queue` only gathers; the write callback starts the next round.
 */
#include "net/stream.h"

#include <assert.h>
#include <netinet/tcp.h>
#include <stdlib.h>

#include "base/own.h"
#include "net/stream_start.h"

#define KEPT_MAX 65536 /* room that an empty buffer keeps at rest */

static void flush(struct stream *stream);

size_t stream_queued(const struct stream *stream)
{
    return stream->queue.len + uv_stream_get_write_queue_size(&stream->uv);
}

uint64_t stream_sent(const struct stream *stream)
{
    return stream->written - stream_queued(stream);
}

bool stream_is_full(const struct stream *stream)
{
    return stream_queued(stream) > stream->high_mark;
}

/* The peer has gone: said once, and nothing is read or written any more. */
static void end(struct stream *stream)
{
    if (stream->is_ended || stream->is_closing)
        return;
    stream->is_ended = true;
    if (stream->is_reading)
        uv_read_stop(&stream->uv);
    stream->is_reading = false;
    stream->events->on_end(stream);
}

/* ---- reading ---- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct stream *stream = handle->data;
    (void)suggested;
    *buf = uv_buf_init(loop_scratch(stream->loop), LOOP_SCRATCH);
}

static void on_read(uv_stream_t *uv, ssize_t n, const uv_buf_t *buf)
{
    struct stream *stream = uv->data;
    if (n > 0)
        stream->events->on_data(stream, (struct span){buf->base, (size_t)n});
    else if (n < 0)
        end(stream);
}

void stream_pause(struct stream *stream)
{
    if (!stream->is_reading)
        return;
    stream->is_reading = false;
    uv_read_stop(&stream->uv);
}

void stream_resume(struct stream *stream)
{
    if (stream->is_reading || stream->is_closing || stream->is_ended)
        return;
    stream->is_reading = uv_read_start(&stream->uv, on_alloc, on_read) == 0;
}

/* ---- writing ---- */

static void on_shut_down(uv_shutdown_t *request, int status)
{
    (void)request;
    (void)status; /* a peer that is gone is noticed by reading */
}

static void give_back(struct bytes *empty)
{
    if (empty->cap > KEPT_MAX)
        bytes_release(empty);
}

/* Everything has left: what was to happen then happens, and a waiting producer goes on. */
static void after_progress(struct stream *stream)
{
    bool is_empty = !stream->is_writing && !stream->queue.len;
    if (is_empty && stream->is_resting) {
        give_back(&stream->queue);
        give_back(&stream->sending);
    }
    if (is_empty && stream->when_sent == STREAM_CLOSES_WHEN_SENT) {
        stream_close(stream);
        return;
    }
    if (is_empty && stream->when_sent == STREAM_SHUTS_WHEN_SENT && !stream->was_shut_down) {
        stream->was_shut_down = true;
        (void)uv_shutdown(&stream->shutdown_request, &stream->uv,
                          on_shut_down); /* peer may be gone */
    }
    if (stream->is_full && stream_queued(stream) <= stream->high_mark / 2) {
        stream->is_full = false;
        if (stream->events->on_drain)
            stream->events->on_drain(stream);
    }
}

static void on_written(uv_write_t *request, int status)
{
    struct stream *stream = request->data;
    stream->is_writing = false;
    bytes_clear(&stream->sending);
    if (stream->is_closing)
        return;
    if (status < 0) {
        end(stream);
        return;
    }
    flush(stream);
}

/* The rest of the queue, behind what the kernel has taken, is sent as it finds room. */
static int send_rest(struct stream *stream, size_t done)
{
    struct bytes rest = stream->queue;
    stream->queue = stream->sending;
    stream->sending = rest;
    uv_buf_t buf = uv_buf_init(rest.data + done, (unsigned)(rest.len - done));
    stream->write_request.data = stream;
    int r = uv_write(&stream->write_request, &stream->uv, &buf, 1, on_written);
    stream->is_writing = r == 0;
    return r;
}

/* The kernel takes what it can at once; the rest goes to uv_write with the buffers swapped. */
static int send_queue(struct stream *stream)
{
    uv_buf_t buf = uv_buf_init(stream->queue.data, (unsigned)stream->queue.len);
    int n = uv_try_write(&stream->uv, &buf, 1);
    if (n < 0 && n != UV_EAGAIN)
        return n;
    size_t done = n > 0 ? (size_t)n : 0;
    if (done < stream->queue.len)
        return send_rest(stream, done);
    bytes_clear(&stream->queue);
    return 0;
}

static void flush(struct stream *stream)
{
    if (stream->is_writing || stream->is_closing || stream->is_ended)
        return;
    if (stream->queue.len && send_queue(stream) < 0)
        end(stream);
    else
        after_progress(stream);
}

static void on_flush(struct dirty *dirty)
{
    flush(container_of(dirty, struct stream, dirty));
}

int stream_write(struct stream *stream, struct span data)
{
    if (stream->is_ended || stream->is_closing)
        return -ERR_CLIENT_GONE;
    if (bytes_add_span(&stream->queue, data) < 0) {
        stream_close(stream);
        return -ERR_TOO_LARGE;
    }
    stream->written += data.len;
    stream->is_resting = false;
    if (stream_is_full(stream))
        stream->is_full = true;
    loop_dirty(stream->loop, &stream->dirty);
    return 0;
}

void stream_rest(struct stream *stream)
{
    if (stream->is_closing)
        return;
    stream->is_resting = true;
    loop_dirty(stream->loop, &stream->dirty);
}

void stream_set_marks(struct stream *stream, size_t high_mark, size_t max)
{
    stream->high_mark = high_mark;
    stream->queue.max = stream->sending.max = max;
    if (stream_is_full(stream))
        stream->is_full = true; /* on_drain will be owed */
}

/* ---- life ---- */

int stream_start(struct stream *stream, struct loop *loop, int fd, bool is_unix,
                 const struct peer *peer, const struct stream_events *events, size_t high_mark,
                 size_t max)
{
    *stream = (struct stream){
        .events = events,
        .loop = loop,
        .peer = *peer,
        .queue = {.max = max},
        .sending = {.max = max},
        .dirty = {.flush = on_flush},
        .high_mark = high_mark,
        .is_unix = is_unix,
    };
    int r = is_unix ? uv_pipe_init(loop_uv(loop), &stream->pipe, 0)
                    : uv_tcp_init(loop_uv(loop), &stream->tcp);
    assert(r == 0);
    stream->handle.data = stream;
    r = is_unix ? uv_pipe_open(&stream->pipe, fd) : uv_tcp_open(&stream->tcp, fd);
    if (r == 0 && !is_unix)
        (void)uv_tcp_nodelay(&stream->tcp, 1); /* slower without it, not wrong */
    if (r == 0)
        stream_resume(stream);
    return r;
}

static void on_closed(uv_handle_t *handle)
{
    struct stream *stream = handle->data;
    bytes_release(&stream->queue);
    bytes_release(&stream->sending);
    stream->events->on_closed(stream);
}

void stream_close(struct stream *stream)
{
    if (stream->is_closing)
        return;
    stream->is_closing = true;
    stream->is_reading = false;
    dirty_cancel(&stream->dirty);
    uv_close(&stream->handle, on_closed);
}

static void when_sent(struct stream *stream, int what)
{
    if (stream->is_closing)
        return;
    stream->when_sent = what;
    loop_dirty(stream->loop, &stream->dirty);
}

void stream_close_when_sent(struct stream *stream)
{
    stream_pause(stream);
    if (stream->is_ended)
        stream_close(stream);
    else
        when_sent(stream, STREAM_CLOSES_WHEN_SENT);
}

void stream_shutdown_when_sent(struct stream *stream)
{
    when_sent(stream, STREAM_SHUTS_WHEN_SENT);
}
