/*
 * The HTTP/1.1 server: connections in, one call at a time out.
 *
 *   server      limits and handler shared by all connections of a daemon
 *   connection  one accepted stream, its parser and its timer
 *   call        one request with the answer to it; belongs to its connection
 *
 * A call's way, and who is called:
 *
 *     head complete -> on_head ------(0)-----> body -> on_request -> http_answer / http_start,
 *                        |                                           http_write ..., http_finish
 *                        '-- answered: the rest of the body is not wanted, the connection closes
 *     client left at any time after on_head returned 0 -> on_gone, once; the call is over
 *
 * After http_finish(), http_answer(), http_abort() or on_gone the call must not be touched.
 * Pipelined requests wait for the answer before them, and for room when the client does not take
 * it; 64 KiB of them may come during a call, more end the connection.
 */
#pragma once

#include "net/fetch.h"
#include "net/http_parser.h"
#include "net/stream.h"

/* The head of an answer: all headers a provider may send, and 16 KiB of ours. */
#define HTTP_ANSWER_HEAD_MAX (FETCH_HEAD_MAX + 16384)

struct http_server;
struct http_call;

struct http_limits {
    int64_t header_ms, body_idle_ms, write_stall_ms, idle_ms, linger_ms;
    size_t body_max, high_mark, queue_max;
    unsigned connections_max;
};

struct http_handler {
    /*
     * The head is in. Return 0 to have the body read, or answer (http_answer) and return a negative
     * value. The call's user pointer is set here with http_set_user().
     */
    int (*on_head)(void *ctx, struct http_call *call);
    /*
     * Right before `more` bytes of the body that have come are kept; false refuses the request as
     * ERR_BUSY (after on_gone). Only says yes or no: the call must not be touched. NULL: always
     * yes.
     */
    bool (*may_hold)(void *ctx, struct http_call *call, size_t more);
    /* The request is complete. */
    void (*on_request)(void *ctx, struct http_call *call);
    /*
     * The call is over without the handler: the client left or takes nothing any more (kind
     * CLIENT_GONE), its body could not be read (REQUEST_TIMEOUT, TOO_LARGE, BUSY, INVALID_REQUEST;
     * an answer was sent), it sent too much ahead (TOO_LARGE), the answer did not fit the queue
     * (INTERNAL), or the server goes (SHUTTING_DOWN). `why` is borrowed for the call.
     */
    void (*on_gone)(void *ctx, struct http_call *call, const struct err *why);
    /* http_is_full() was true and is not any more. */
    void (*on_drain)(void *ctx, struct http_call *call);
    /*
     * The body of a refusal made here (malformed request, time-out, too many connections), JSON,
     * appended to `out`; path is absent when it is not known.
     */
    void (*write_refusal)(void *ctx, struct span path, const struct err *err, struct bytes *out);
};

/* The handler and ctx are borrowed for the server's life. */
struct http_server *http_server_new(struct loop *loop, const struct http_limits *limits,
                                    const struct http_handler *handler, void *ctx);
/*
 * In force at once, for open connections too: a time from the next start of its timer, high_mark,
 * queue_max and body_max from the next request.
 */
void http_server_set_limits(struct http_server *server, const struct http_limits *limits);
/* For listener_open(): ctx is the server. */
extern const struct listener_events http_listener_events;
/*
 * Closes idle connections now and every other after its answer; one that has asked nothing yet gets
 * linger_ms to do so, since its request may be on the way. on_empty(ctx of the handler) is
 * called once, later, when the last connection is gone; NULL: nobody asks.
 */
void http_server_drain(struct http_server *server, void (*on_empty)(void *ctx));
/* Closes every connection (on_gone for calls under way); frees with the last one. Returns NULL. */
struct http_server *http_server_free(struct http_server *server);
/* How many connections are open, in any state. */
unsigned http_server_connections(const struct http_server *server);

/* ---- a call ---- */

/* The request; its spans stay valid until the call is over. */
const struct http_request *http_call_request(const struct http_call *call);
/* The request, to take its body out (bytes moved, request->body left empty). */
struct http_request *http_call_request_mutable(struct http_call *call);
/* The process on the other side. */
const struct peer *http_call_peer(const struct http_call *call);
/* True for a call over a Unix socket. */
bool http_call_is_unix(const struct http_call *call);
/* Port of the listener the call came through; 0 for Unix sockets. */
int http_call_port(const struct http_call *call);
/* The handler's own pointer; NULL at first. */
void http_set_user(struct http_call *call, void *user);
/* What http_set_user() set. */
void *http_user(const struct http_call *call);

/* Headers to be sent: "name: value" without line end; NULL ends the list. One with CR or LF in it
 * is left out. */
typedef const char *const *http_headers;

/*
 * Starts an answer. length >= 0: Content-Length; -1: chunked (HTTP/1.0: until close). The head
 * leaves together with what is written in the same turn. A head above HTTP_ANSWER_HEAD_MAX closes
 * the connection: nothing is sent, and on_gone follows, later, unless the call is finished before.
 */
void http_start(struct http_call *call, int status, http_headers headers, int64_t length);
/* A piece of the body; ignored for HEAD. */
void http_write(struct http_call *call, struct span data);
/* True while the client has not taken enough of what was written: stop producing until on_drain. */
bool http_is_full(const struct http_call *call);
/* The answer is complete. */
void http_finish(struct http_call *call);
/* The answer cannot be completed: the connection is closed in a way the client can tell. */
void http_abort(struct http_call *call);
/* A whole answer. */
void http_answer(struct http_call *call, int status, http_headers headers, struct span body);
/* The connection will close after this answer. Before http_start(). */
void http_close_after(struct http_call *call);
