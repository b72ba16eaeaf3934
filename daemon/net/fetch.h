/*
 * Fetch: HTTP requests to providers. libcurl multi on the loop; nothing of libcurl shows here.
 *
 *   pool    connections and handles shared by all requests
 *   fetch   one request and its answer
 *   target  scheme://host:port or a Unix socket; connections are shared per target and key id
 *
 * Promises: a request is sent at most once (libcurl's silent re-send on a stale connection is
 * stopped: -ERR_PROVIDER_RESET instead, nothing was answered); redirects are never followed; no
 * authentication negotiation, netrc, cookies, or proxy from the environment; TLS >= 1.2 and
 * verified; cancelling never blocks on a name that does not resolve.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"
#include "net/loop.h"

#define FETCH_HEAD_MAX 65536 /* bytes of an answer's head, interim ones included */

struct fetch_pool;
struct fetch;

struct fetch_header {
    struct span name; /* as the provider wrote it */
    struct span value;
};

struct fetch_events {
    /*
     * The final status and headers came. Borrowed for the call. May call fetch_cancel().
     */
    void (*on_head)(void *ctx, int status, const struct fetch_header *headers, size_t count);
    /* A piece of the body. While fetch_pause() is in force it does not come. */
    void (*on_body)(void *ctx, struct span data);
    /*
     * The end, exactly once unless cancelled: err NULL when the answer is complete. Kinds:
     * PROVIDER_DNS, _CONNECT, _TLS, _TIMEOUT, _RESET, _ANSWER, INTERNAL. The fetch is gone.
     */
    void (*on_done)(void *ctx, const struct err *err);
};

struct fetch_request {
    const char *method;         /* "GET" or "POST" */
    const char *url;            /* full; the host part is ignored when unix_path is set */
    const char *unix_path;      /* connect here instead, or NULL */
    const char *share_key;      /* connections are only shared between equal share keys (key id) */
    const char *const *headers; /* "name: value", ends with NULL; copied */
    struct span secret_header;  /* "name: value" or absent; copied, wiped after the transfer */
    struct span body;           /* borrowed until on_done or fetch_cancel(); see there */
    int64_t connect_ms, first_byte_ms, idle_ms, total_ms; /* 0: no such limit */
};

/* idle_ms: how long an unused connection may be kept and used again (whole seconds count). */
struct fetch_pool *fetch_pool_new(struct loop *loop, unsigned connections_per_target,
                                  int64_t idle_ms);
/* All fetches must be over. Closes every connection; frees later, on the loop. Returns NULL. */
struct fetch_pool *fetch_pool_free(struct fetch_pool *pool);
/* Closes connections that nobody uses: keys or addresses changed. */
void fetch_pool_forget(struct fetch_pool *pool);

/*
 * Starts. No callback runs before this returns. Returns NULL with an error only when the request
 * cannot be built (-ERR_INVALID_REQUEST: a header with CR, LF or NUL, a bad URL).
 */
struct fetch *fetch_start(struct fetch_pool *pool, const struct fetch_request *request,
                          const struct fetch_events *events, void *ctx, struct err *reterr);
/*
 * Closes the connection at once; no further callback. May be called from a callback.
 *
 * The request's body is not read any more when this returns, with one exception: called inside
 * on_head or on_body of another fetch of the same pool, libcurl is at work and may read on until it
 * returns to the loop. A body must then stay until the loop's next turn (loop_later()). on_done is
 * called when libcurl is not at work, so there is no such wait in it.
 */
void fetch_cancel(struct fetch *fetch);
/* Stops and goes on reading the answer; the provider is slowed down by TCP. */
void fetch_pause(struct fetch *fetch);
/* Undoes fetch_pause(); the body goes on coming on a later turn. */
void fetch_resume(struct fetch *fetch);
