/*
 * See fetch.h. libcurl multi, driven by the loop:
 *
 *     pool
 *      '-- share   one per share key, with its own CURLM: connections never cross keys
 *            |-- libcurl's sockets, polled by uv_poll --.
 *            |-- libcurl's one timer -------------------+--> curl_multi_socket_action
 *            '-- fetches under way <-- on_header, on_write, finish ----------'
 *
 * libcurl forbids adding and removing transfers inside any of its callbacks. So a fetch cancelled
 * there is only marked, its callbacks turn deaf, and one started there only waits; both is made up
 * for when libcurl has returned (leave_curl).
 */
#include "net/fetch.h"

#include <arpa/inet.h>
#include <assert.h>
#include <curl/curl.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/own.h"
#include "net/curl_memory.h"

#define HEADERS_MAX   128
#define IDLE_HANDLES  64    /* easy handles kept for reuse per share */
#define RESOLVING_MAX 32    /* names being resolved at a time, abandoned ones included */
#define STUCK_MS      30000 /* how long an abandoned resolver thread is taken to live */

struct share {
    struct share *next;
    struct fetch_pool *pool;
    char *key;
    CURLM *multi;
    uv_timer_t timer;
    struct fetch *active;
    struct fetch *doomed; /* cancelled inside libcurl */
    size_t waiting;       /* active ones that were started inside libcurl */
    CURL *idle[IDLE_HANDLES];
    size_t idle_count;
    unsigned depth;   /* calls into libcurl under way */
    unsigned telling; /* ends being told: the share must stay */
    bool is_stale;    /* to be closed when nothing is active */
    bool is_closed;   /* the memory goes on the loop's next turn */
};

/* One socket of libcurl's, polled for it. */
struct watch {
    uv_poll_t poll;
    struct share *share;
    curl_socket_t fd;
};

struct fetch_pool {
    struct loop *loop;
    struct share *shares;
    unsigned connections_per_target;
    int64_t idle_ms;
    unsigned resolving;
    int64_t stuck_until[RESOLVING_MAX];
};

struct fetch {
    struct fetch *next, *prev, *next_doomed;
    struct share *share;
    CURL *easy;
    CURLU *url;
    struct curl_slist *headers;
    const struct fetch_events *events;
    void *ctx;
    struct timer timer;
    struct later resume;
    struct bytes head; /* lines as they came */
    size_t head_seen;  /* bytes of all heads, interim ones too */
    size_t header_count;
    struct {
        unsigned name, name_len, value, value_len;
    } lines[HEADERS_MAX];
    int64_t started_ms, last_ms;
    int64_t first_byte_ms, idle_ms, total_ms;
    struct err err; /* why we stopped the transfer ourselves */
    unsigned sends;
    bool is_waiting; /* libcurl does not have it yet */
    bool has_name;   /* the host is to be looked up */
    bool is_resolving, is_connected, has_head, is_paused, is_cancelled;
};

/* ---- into and out of libcurl ---- */

static void on_multi_timer(uv_timer_t *timer);
static void finish(struct fetch *fetch, CURLcode code);
static void release(struct fetch *fetch);
static void share_close(struct share *share);

static void remove_from_curl(struct fetch *fetch)
{
    curl_multi_remove_handle(fetch->share->multi, fetch->easy);
}

/* A share that is to go goes when nothing of it is used any more. */
static void settle(struct share *share)
{
    if (share->is_stale && !share->is_closed && !share->active && !share->depth &&
        !share->telling && !share->doomed)
        share_close(share);
}

/* libcurl runs it from its timer, on the next turn. */
static void add_to_curl(struct fetch *fetch)
{
    struct share *share = fetch->share;
    fetch->is_waiting = share->depth > 0;
    if (fetch->is_waiting) {
        share->waiting++;
        return;
    }
    share->depth++;
    curl_multi_add_handle(share->multi, fetch->easy);
    share->depth--;
}

static void add_waiting(struct share *share)
{
    for (struct fetch *fetch = share->active; fetch && share->waiting; fetch = fetch->next) {
        if (!fetch->is_waiting)
            continue;
        share->waiting--;
        add_to_curl(fetch);
    }
}

/* Everything libcurl has finished, and everything cancelled or started inside it. */
static void leave_curl(struct share *share)
{
    if (share->depth)
        return;
    while (share->doomed) {
        struct fetch *fetch = share->doomed;
        share->doomed = fetch->next_doomed;
        remove_from_curl(fetch);
        release(fetch);
    }
    add_waiting(share);
    int left;
    for (CURLMsg *message; (message = curl_multi_info_read(share->multi, &left));) {
        struct fetch *fetch;
        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &fetch);
        CURLcode code = message->data.result;
        remove_from_curl(fetch);
        share->telling++;
        finish(fetch, code);
        share->telling--;
    }
    settle(share);
}

static void drive(struct share *share, curl_socket_t fd, int mask)
{
    int running;
    share->depth++;
    curl_multi_socket_action(share->multi, fd, mask, &running);
    share->depth--;
    leave_curl(share);
}

static void on_multi_timer(uv_timer_t *timer)
{
    drive(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct watch *watch = poll->data;
    int mask = status < 0 ? CURL_CSELECT_ERR : 0;
    if (events & UV_READABLE)
        mask |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        mask |= CURL_CSELECT_OUT;
    drive(watch->share, watch->fd, mask);
}

static void on_watch_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *socket_ctx)
{
    struct share *share = ctx;
    struct watch *watch = socket_ctx;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (watch) {
            uv_poll_stop(&watch->poll);
            uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
        }
        return 0;
    }
    if (!watch) {
        watch = calloc(1, sizeof(*watch));
        if (!watch || uv_poll_init_socket(loop_uv(share->pool->loop), &watch->poll, fd) < 0)
            abort();
        watch->poll.data = watch;
        watch->share = share;
        watch->fd = fd;
        curl_multi_assign(share->multi, fd, watch);
    }
    int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    uv_poll_start(&watch->poll, events, on_poll);
    return 0;
}

static int on_timer_wanted(CURLM *multi, long ms, void *ctx)
{
    struct share *share = ctx;
    (void)multi;
    if (ms < 0)
        uv_timer_stop(&share->timer);
    else
        uv_timer_start(&share->timer, on_multi_timer, (uint64_t)ms, 0);
    return 0;
}

/* ---- shares ---- */

static struct share *share_new(struct fetch_pool *pool, const char *key)
{
    struct share *share = calloc(1, sizeof(*share));
    if (!share || !(share->multi = curl_multi_init()))
        abort();
    share->pool = pool;
    share->key = span_dup(span_of(key));
    uv_timer_init(loop_uv(pool->loop), &share->timer);
    uv_unref((uv_handle_t *)&share->timer); /* idle connections keep nothing alive */
    share->timer.data = share;
    curl_multi_setopt(share->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(share->multi, CURLMOPT_SOCKETDATA, share);
    curl_multi_setopt(share->multi, CURLMOPT_TIMERFUNCTION, on_timer_wanted);
    curl_multi_setopt(share->multi, CURLMOPT_TIMERDATA, share);
    curl_multi_setopt(share->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
    curl_multi_setopt(share->multi, CURLMOPT_MAXCONNECTS, (long)pool->connections_per_target);
    curl_multi_setopt(share->multi, CURLMOPT_MAX_HOST_CONNECTIONS,
                      (long)pool->connections_per_target);
    share->next = pool->shares;
    pool->shares = share;
    return share;
}

static void on_share_closed(uv_handle_t *handle)
{
    struct share *share = handle->data;
    free(share->key);
    free(share);
}

static void share_close(struct share *share)
{
    share->is_closed = true;
    struct share **link = &share->pool->shares;
    while (*link != share)
        link = &(*link)->next;
    *link = share->next;
    while (share->idle_count)
        curl_easy_cleanup(share->idle[--share->idle_count]);
    curl_multi_cleanup(share->multi); /* closes its connections; on_socket says REMOVE for each */
    uv_close((uv_handle_t *)&share->timer, on_share_closed);
}

static struct share *share_of(struct fetch_pool *pool, const char *key)
{
    for (struct share *share = pool->shares; share; share = share->next)
        if (!share->is_stale && !strcmp(share->key, key))
            return share;
    return share_new(pool, key);
}

struct fetch_pool *fetch_pool_new(struct loop *loop, unsigned connections_per_target,
                                  int64_t idle_ms)
{
    curl_memory_init();
    struct fetch_pool *pool = calloc(1, sizeof(*pool));
    if (!pool)
        abort();
    pool->loop = loop;
    pool->connections_per_target = connections_per_target;
    pool->idle_ms = idle_ms;
    return pool;
}

struct fetch_pool *fetch_pool_free(struct fetch_pool *pool)
{
    if (!pool)
        return NULL;
    while (pool->shares) {
        assert(!pool->shares->active);
        share_close(pool->shares);
    }
    free(pool);
    return NULL;
}

void fetch_pool_forget(struct fetch_pool *pool)
{
    for (struct share *share = pool->shares, *next; share; share = next) {
        next = share->next;
        share->is_stale = true;
        settle(share);
    }
}

/* ---- names that do not resolve ---- */

static unsigned stuck_count(const struct fetch_pool *pool)
{
    unsigned count = 0;
    for (size_t i = 0; i < RESOLVING_MAX; i++)
        count += pool->stuck_until[i] > loop_now_ms(pool->loop);
    return count;
}

/* libcurl left its resolver thread behind (CURLOPT_QUICK_EXIT): it is counted for a while. */
static void note_stuck(struct fetch_pool *pool)
{
    size_t oldest = 0;
    for (size_t i = 1; i < RESOLVING_MAX; i++)
        if (pool->stuck_until[i] < pool->stuck_until[oldest])
            oldest = i;
    pool->stuck_until[oldest] = loop_now_ms(pool->loop) + STUCK_MS;
}

static int on_resolve(void *resolver, void *reserved, void *ctx)
{
    struct fetch *fetch = ctx;
    struct fetch_pool *pool = fetch->share->pool;
    (void)resolver;
    (void)reserved;
    if (!fetch->has_name)
        return 0; /* called for addresses too */
    if (pool->resolving + stuck_count(pool) >= RESOLVING_MAX) {
        err_set(&fetch->err, ERR_PROVIDER_DNS, "%d names are being resolved already",
                RESOLVING_MAX);
        return 1;
    }
    if (!fetch->is_resolving)
        pool->resolving++;
    fetch->is_resolving = true;
    return 0;
}

static void resolved(struct fetch *fetch)
{
    if (fetch->is_resolving)
        fetch->share->pool->resolving--;
    fetch->is_resolving = false;
}

static curl_socket_t on_open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
    (void)purpose;
    resolved(ctx);
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* ---- one transfer: libcurl's callbacks ---- */

/* Before the request is written. A second time in one transfer would be a silent re-send. */
static int on_request(void *ctx, char *ip, char *local_ip, int port, int local_port)
{
    struct fetch *fetch = ctx;
    (void)ip;
    (void)local_ip;
    (void)port;
    (void)local_port;
    fetch->is_connected = true;
    if (fetch->sends++ == 0)
        return CURL_PREREQFUNC_OK;
    err_set(&fetch->err, ERR_PROVIDER_RESET,
            "the connection died before an answer came; not sent twice");
    return CURL_PREREQFUNC_ABORT;
}

static void head_complete(struct fetch *fetch)
{
    struct fetch_header headers[HEADERS_MAX];
    long status = 0;
    curl_easy_getinfo(fetch->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status < 200)
        return; /* an interim answer; the next status line starts over */
    fetch->has_head = true;
    for (size_t i = 0; i < fetch->header_count; i++)
        headers[i] = (struct fetch_header){
            {fetch->head.data + fetch->lines[i].name, fetch->lines[i].name_len},
            {fetch->head.data + fetch->lines[i].value, fetch->lines[i].value_len}};
    fetch->events->on_head(fetch->ctx, (int)status, headers, fetch->header_count);
}

static int keep_line(struct fetch *fetch, struct span line)
{
    struct span value, name = span_cut(line, ':', &value);
    if (!value.at)
        return 0; /* the status line, or no header at all */
    value = span_trim(value);
    size_t start = fetch->head.len;
    if (fetch->header_count == HEADERS_MAX || bytes_add_span(&fetch->head, line) < 0)
        return -1;
    fetch->lines[fetch->header_count].name = (unsigned)start;
    fetch->lines[fetch->header_count].name_len = (unsigned)name.len;
    fetch->lines[fetch->header_count].value = (unsigned)(start + (size_t)(value.at - line.at));
    fetch->lines[fetch->header_count].value_len = (unsigned)value.len;
    fetch->header_count++;
    return 0;
}

static size_t on_header(char *data, size_t size, size_t count, void *ctx)
{
    struct fetch *fetch = ctx;
    struct span line = {data, size * count};
    if (fetch->is_cancelled)
        return 0;
    if (fetch->has_head)
        return size * count; /* trailers are of no use to us */
    fetch->last_ms = loop_now_ms(fetch->share->pool->loop);
    fetch->head_seen += line.len;
    while (line.len && (line.at[line.len - 1] == '\n' || line.at[line.len - 1] == '\r'))
        line.len--;
    if (line.len == 0) {
        head_complete(fetch);
        return fetch->is_cancelled ? 0 : size * count;
    }
    if (span_starts(line, SPAN("HTTP/"))) {
        bytes_clear(&fetch->head);
        fetch->header_count = 0;
    }
    if (fetch->head_seen > FETCH_HEAD_MAX || keep_line(fetch, line) < 0) {
        err_set(&fetch->err, ERR_PROVIDER_ANSWER, "its head is above %d bytes or %d headers",
                FETCH_HEAD_MAX, HEADERS_MAX);
        return 0;
    }
    return size * count;
}

static size_t on_write(char *data, size_t size, size_t count, void *ctx)
{
    struct fetch *fetch = ctx;
    if (fetch->is_cancelled)
        return 0;
    if (!fetch->has_head) { /* behind a 101 */
        err_set(&fetch->err, ERR_PROVIDER_ANSWER, "bytes without a final status came");
        return 0;
    }
    if (fetch->is_paused)
        return CURL_WRITEFUNC_PAUSE;
    fetch->last_ms = loop_now_ms(fetch->share->pool->loop);
    fetch->events->on_body(fetch->ctx, (struct span){data, size * count});
    return fetch->is_cancelled ? 0 : size * count;
}

/* ---- the end ---- */

static void unlink_fetch(struct fetch *fetch)
{
    if (fetch->prev)
        fetch->prev->next = fetch->next;
    else
        fetch->share->active = fetch->next;
    if (fetch->next)
        fetch->next->prev = fetch->prev;
}

static void on_timer_closed(struct timer *timer)
{
    free(container_of(timer, struct fetch, timer));
}

/* The handle goes back, the secret is wiped (curl_memory.h), the memory goes with the timer. */
static void release(struct fetch *fetch)
{
    struct share *share = fetch->share;
    if (fetch->is_resolving) {
        resolved(fetch);
        note_stuck(share->pool);
    }
    share->waiting -= fetch->is_waiting;
    curl_easy_setopt(fetch->easy, CURLOPT_HTTPHEADER, NULL);
    curl_easy_setopt(fetch->easy, CURLOPT_POSTFIELDS, NULL);
    curl_easy_setopt(fetch->easy, CURLOPT_CURLU, NULL);
    curl_slist_free_all(fetch->headers);
    curl_url_cleanup(fetch->url);
    if (share->idle_count < IDLE_HANDLES)
        share->idle[share->idle_count++] = fetch->easy;
    else
        curl_easy_cleanup(fetch->easy);
    later_cancel(&fetch->resume);
    bytes_release(&fetch->head);
    unlink_fetch(fetch);
    timer_close(&fetch->timer, on_timer_closed);
}

static int kind_of(const struct fetch *fetch, CURLcode code)
{
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
        return ERR_PROVIDER_DNS;
    case CURLE_COULDNT_CONNECT:
        return ERR_PROVIDER_CONNECT;
    case CURLE_OPERATION_TIMEDOUT:
        return fetch->is_resolving   ? ERR_PROVIDER_DNS
               : fetch->is_connected ? ERR_PROVIDER_TIMEOUT
                                     : ERR_PROVIDER_CONNECT;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
        return ERR_PROVIDER_TLS;
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_PARTIAL_FILE:
        return ERR_PROVIDER_RESET;
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_HTTP2:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return ERR_PROVIDER_ANSWER;
    default:
        return fetch->is_connected ? ERR_PROVIDER_ANSWER : ERR_INTERNAL;
    }
}

/* The caller is told last; nothing of the fetch is left then. */
static void finish(struct fetch *fetch, CURLcode code)
{
    const struct fetch_events *events = fetch->events;
    void *ctx = fetch->ctx;
    bool is_cancelled = fetch->is_cancelled;
    struct err err = fetch->err;
    if (!err.kind && code != CURLE_OK)
        err_set(&err, kind_of(fetch, code), "%s", curl_easy_strerror(code));
    else if (!err.kind && !fetch->has_head)
        err_set(&err, ERR_PROVIDER_RESET, "the connection ended before the answer's head did");
    if (code == CURLE_COULDNT_RESOLVE_HOST)
        resolved(fetch); /* its thread has ended */
    release(fetch);
    if (!is_cancelled)
        events->on_done(ctx, err.kind ? &err : NULL);
}

/* Stops a transfer with an error of our own; libcurl must not be running. */
static void stop(struct fetch *fetch, int kind, const char *what, int64_t limit)
{
    err_set(&fetch->err, kind, "%s within %lld ms", what, (long long)limit);
    struct share *share = fetch->share;
    remove_from_curl(fetch);
    finish(fetch, CURLE_OK);
    settle(share);
}

/* ---- time ---- */

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Time left until the nearest limit that is in force. */
static int64_t time_left(const struct fetch *fetch, int64_t now)
{
    int64_t left = INT64_MAX;
    if (fetch->total_ms)
        left = least(left, fetch->started_ms + fetch->total_ms - now);
    if (fetch->first_byte_ms && !fetch->has_head)
        left = least(left, fetch->started_ms + fetch->first_byte_ms - now);
    if (fetch->idle_ms && fetch->has_head && !fetch->is_paused)
        left = least(left, fetch->last_ms + fetch->idle_ms - now);
    return left;
}

static void arm(struct fetch *fetch)
{
    int64_t left = time_left(fetch, loop_now_ms(fetch->share->pool->loop));
    int64_t limit = least(fetch->first_byte_ms ? fetch->first_byte_ms : INT64_MAX,
                          fetch->idle_ms ? fetch->idle_ms : INT64_MAX);
    left = least(left, limit); /* the phase may change before then: look again */
    if (left != INT64_MAX)
        timer_start(&fetch->timer, left > 0 ? left : 1);
}

static void on_limit(struct timer *timer)
{
    struct fetch *fetch = container_of(timer, struct fetch, timer);
    int64_t now = loop_now_ms(fetch->share->pool->loop);
    if (time_left(fetch, now) > 0)
        arm(fetch);
    else if (!fetch->has_head)
        stop(fetch, ERR_PROVIDER_TIMEOUT, "no first byte", now - fetch->started_ms);
    else if (fetch->total_ms && fetch->started_ms + fetch->total_ms <= now)
        stop(fetch, ERR_PROVIDER_TIMEOUT, "the answer was not complete", fetch->total_ms);
    else
        stop(fetch, ERR_PROVIDER_TIMEOUT, "nothing more came", fetch->idle_ms);
}

/* ---- starting ---- */

static bool has_line_break(struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] == '\r' || text.at[i] == '\n' || text.at[i] == '\0')
            return true;
    return false;
}

static int add_header(struct fetch *fetch, const char *line)
{
    struct curl_slist *grown = curl_slist_append(fetch->headers, line);
    if (!grown)
        return -ERR_TOO_LARGE;
    fetch->headers = grown;
    return 0;
}

static int add_headers(struct fetch *fetch, const struct fetch_request *request, struct err *reterr)
{
    int r = add_header(fetch, "Expect:"); /* no 100-continue: it costs a round trip */
    for (const char *const *line = request->headers; line && *line && r == 0; line++) {
        if (has_line_break(span_of(*line)))
            return err_set(reterr, ERR_INVALID_REQUEST, "a header has a line break");
        r = add_header(fetch, *line);
    }
    if (r == 0 && request->secret_header.at) {
        if (has_line_break(request->secret_header))
            return err_set(reterr, ERR_INVALID_REQUEST, "the key has a line break");
        struct bytes line = {.max = request->secret_header.len + 1, .wipe = true};
        r = bytes_add_span(&line, request->secret_header);
        if (r == 0)
            r = add_header(fetch, line.data);
        bytes_release(&line);
    }
    return r < 0 ? err_set(reterr, ERR_BUSY, "out of memory") : 0;
}

/* What is the same for every request of a handle. */
static CURL *easy_new(const struct fetch_pool *pool)
{
    CURL *easy = curl_easy_init();
    if (!easy)
        abort();
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_NONE);
    curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(easy, CURLOPT_UNRESTRICTED_AUTH, 0L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, (long)(pool->idle_ms / 1000));
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_write);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_request);
    curl_easy_setopt(easy, CURLOPT_RESOLVER_START_FUNCTION, on_resolve);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    return easy;
}

/* An IPv4 address, or an IPv6 address in brackets. */
static bool is_address(const char *host)
{
    struct in_addr v4;
    return host[0] == '[' || inet_pton(AF_INET, host, &v4) == 1;
}

/* Parsed once, and libcurl is given the result. */
static int set_url(struct fetch *fetch, const char *url, struct err *reterr)
{
    char *scheme = NULL, *host = NULL;
    fetch->url = curl_url();
    bool is_good = fetch->url &&
                   curl_url_set(fetch->url, CURLUPART_URL, url, CURLU_DISALLOW_USER) == CURLUE_OK &&
                   curl_url_get(fetch->url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                   curl_url_get(fetch->url, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
                   (!strcmp(scheme, "http") || !strcmp(scheme, "https"));
    fetch->has_name = is_good && !is_address(host);
    curl_free(scheme);
    curl_free(host);
    if (!is_good)
        return err_set(reterr, ERR_INVALID_REQUEST, "the URL cannot be used");
    curl_easy_setopt(fetch->easy, CURLOPT_CURLU, fetch->url);
    return 0;
}

static int set_up(struct fetch *fetch, const struct fetch_request *request, struct err *reterr)
{
    CURL *easy = fetch->easy;
    int r = set_url(fetch, request->url, reterr);
    if (r < 0)
        return r;
    curl_easy_setopt(easy, CURLOPT_PRIVATE, fetch);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, fetch);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, fetch);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, fetch);
    curl_easy_setopt(easy, CURLOPT_RESOLVER_START_DATA, fetch);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, fetch);
    curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, request->unix_path);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)request->connect_ms);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, fetch->headers);
    if (!strcmp(request->method, "POST")) {
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body.at ? request->body.at : "");
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len);
    } else {
        curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    }
    return 0;
}

static void on_resume(struct later *later);

struct fetch *fetch_start(struct fetch_pool *pool, const struct fetch_request *request,
                          const struct fetch_events *events, void *ctx, struct err *reterr)
{
    struct fetch *fetch = calloc(1, sizeof(*fetch));
    if (!fetch)
        abort();
    struct share *share = share_of(pool, request->share_key ? request->share_key : "");
    fetch->share = share;
    fetch->events = events;
    fetch->ctx = ctx;
    fetch->head.max = FETCH_HEAD_MAX;
    fetch->first_byte_ms = request->first_byte_ms;
    fetch->idle_ms = request->idle_ms;
    fetch->total_ms = request->total_ms;
    fetch->started_ms = fetch->last_ms = loop_now_ms(pool->loop);
    fetch->easy = share->idle_count ? share->idle[--share->idle_count] : easy_new(pool);
    fetch->next = share->active;
    if (share->active)
        share->active->prev = fetch;
    share->active = fetch;
    timer_open(&fetch->timer, pool->loop, on_limit);
    if (add_headers(fetch, request, reterr) < 0 || set_up(fetch, request, reterr) < 0) {
        release(fetch);
        return NULL;
    }
    add_to_curl(fetch);
    arm(fetch);
    return fetch;
}

void fetch_cancel(struct fetch *fetch)
{
    struct share *share = fetch->share;
    if (fetch->is_cancelled)
        return;
    fetch->is_cancelled = true;
    timer_stop(&fetch->timer);
    later_cancel(&fetch->resume);
    if (share->depth) {
        fetch->next_doomed = share->doomed;
        share->doomed = fetch;
        return;
    }
    remove_from_curl(fetch);
    release(fetch);
    settle(share);
}

void fetch_pause(struct fetch *fetch)
{
    fetch->is_paused = true;
    later_cancel(&fetch->resume);
}

static void on_resume(struct later *later)
{
    struct fetch *fetch = container_of(later, struct fetch, resume);
    struct share *share = fetch->share;
    fetch->is_paused = false;
    fetch->last_ms = loop_now_ms(share->pool->loop);
    arm(fetch);
    share->depth++;
    curl_easy_pause(fetch->easy, CURLPAUSE_CONT); /* may hand out what it kept */
    share->depth--;
    leave_curl(share);
}

void fetch_resume(struct fetch *fetch)
{
    if (fetch->is_paused && !fetch->is_cancelled)
        loop_later(fetch->share->pool->loop, &fetch->resume, on_resume);
}
