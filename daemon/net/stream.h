/*
 * Streams: listening sockets and accepted connections, TCP and Unix, with bounded queues.
 *
 *   listener  a bound socket; made here or adopted from systemd (LISTEN_FDS)
 *   stream    one accepted connection; writes are gathered and sent once per turn of the loop
 *   full      more than the high mark is queued: stop producing until on_drain
 *   peer      whose process is on the other side (peer.h); checked before the first byte is read
 *
 *      accept -> peer check -> on_accept -> stream_open -> on_data ... on_end
 *                                              |  stream_write -> queue -> flush per turn
 *                                              '- stream_close -> on_closed (memory goes there)
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"
#include "net/loop.h"
#include "net/peer.h"

struct stream;

struct stream_events {
    /* Bytes came; borrowed for the call. Not called while reading is paused. */
    void (*on_data)(struct stream *stream, struct span data);
    /* The peer has gone (FIN, reset, error): reading and writing are over; close the stream. */
    void (*on_end)(struct stream *stream);
    /* The queue fell to the low mark after stream_is_full() was true. May be NULL. */
    void (*on_drain)(struct stream *stream);
    /* Everything is closed: the last call about this stream; its memory may go. */
    void (*on_closed)(struct stream *stream);
};

/* Embed it. Fields are the stream's own. */
struct stream {
    union {
        uv_handle_t handle;
        uv_stream_t uv;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    };
    const struct stream_events *events;
    struct loop *loop;
    struct peer peer;
    struct bytes queue;   /* gathered this turn */
    struct bytes sending; /* with the kernel refusing: handed to uv_write */
    uv_write_t write_request;
    struct dirty dirty;
    size_t high_mark;
    uv_shutdown_t shutdown_request;
    uint64_t written; /* bytes ever queued */
    bool is_unix, is_reading, is_writing, is_full, is_closing, is_ended, was_shut_down;
    bool is_resting; /* since stream_rest() nothing was written */
    enum { STREAM_STAYS, STREAM_SHUTS_WHEN_SENT, STREAM_CLOSES_WHEN_SENT } when_sent;
};

struct listener;

struct listener_events {
    /*
     * A connection waits and its peer is our own uid (peer.h): accept it with stream_open(), or do
     * nothing to have it closed. Others are closed before anything of theirs is read.
     */
    void (*on_accept)(struct listener *listener, void *ctx);
};

/*
 * Binds "127.0.0.1:3000", "[::1]:3000" or "unix:/path" and listens. A Unix socket is made with mode
 * 0600 by umask; one left by a dead process is replaced, one that is answered is -ERR_IN_USE.
 * -ERR_IN_USE names the address. The caller closes.
 */
int listener_open(struct loop *loop, const char *address, const struct listener_events *events,
                  void *ctx, struct listener **ret, struct err *reterr);
/* The same for a socket that already listens (socket activation). Takes fd. */
int listener_adopt(struct loop *loop, int fd, const struct listener_events *events, void *ctx,
                   struct listener **ret, struct err *reterr);
/* "127.0.0.1:3000" or "unix:/path": where it listens. Port 0 is replaced by the real one. */
const char *listener_address(const struct listener *listener);
/* 0 for Unix sockets. */
int listener_port(const struct listener *listener);
/* True for a Unix socket. */
bool listener_is_unix(const struct listener *listener);
/* Stops and frees later; the path of a Unix socket we made is removed. NULL is fine. */
void listener_close(struct listener *listener);

/*
 * Accepts the waiting connection into an embedded stream and starts reading. high_mark bounds the
 * queue for stream_is_full(); max is what the queue may ever hold. A negative
 * result means the connection is of no use: call stream_close(), on_closed follows as always.
 */
int stream_open(struct stream *stream, struct listener *listener,
                const struct stream_events *events, size_t high_mark, size_t max);

/*
 * Queues bytes; they leave at the end of this turn. -ERR_TOO_LARGE when the queue's maximum would
 * be passed (the stream is then closed), -ERR_CLIENT_GONE when it has ended.
 */
int stream_write(struct stream *stream, struct span data);
/*
 * Nothing more is to be written for a while: when all is sent, the room of large buffers is given
 * back. Between the pieces of one answer that would only make the heap fragment.
 */
void stream_rest(struct stream *stream);
/* Other bounds than those of stream_open(), from now on. */
void stream_set_marks(struct stream *stream, size_t high_mark, size_t max);
/* True while more than the high mark is queued. */
bool stream_is_full(const struct stream *stream);
/* Bytes queued and not yet taken by the kernel. */
size_t stream_queued(const struct stream *stream);

/* Bytes that have left towards the kernel so far: what does not grow is a stalled peer. */
uint64_t stream_sent(const struct stream *stream);

/* Reading off. Until it is on again, the peer's leaving is not noticed. */
void stream_pause(struct stream *stream);
/* Undoes stream_pause(); nothing happens when the stream is over. */
void stream_resume(struct stream *stream);

/* Closes at once; what is queued is lost. on_closed follows, later. Idempotent. */
void stream_close(struct stream *stream);
/* Closes when the queue is sent. Reading stops. */
void stream_close_when_sent(struct stream *stream);
/*
 * Sends FIN when the queue is sent; reading goes on, so that a peer still sending can read our
 * answer before the connection goes (closing with unread data would reset it).
 */
void stream_shutdown_when_sent(struct stream *stream);
