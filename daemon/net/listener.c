/*
 * Listening sockets: made here or inherited from systemd. The listening descriptor is polled and
 * accepted by hand, so that the peer is judged before a stream exists, and running out of
 * descriptors neither spins nor loses the connection in silence.
 */
#include "net/stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "base/own.h"
#include "net/stream_start.h"

#define BACKLOG         511
#define ACCEPT_PER_TURN 64  /* others get their turn too */
#define REST_MS         100 /* without accepting, when even the reserve is gone */

struct listener {
    uv_poll_t poll;
    struct timer rest;
    struct loop *loop;
    const struct listener_events *events;
    void *ctx;
    int fd;
    int reserve_fd; /* given up for a moment when descriptors run out */
    bool is_unix;
    bool is_ours; /* the path of a Unix socket is removed on close */
    int port;
    char address[sizeof(((struct sockaddr_un *)0)->sun_path) + 8];
    int waiting_fd; /* during on_accept */
    struct peer waiting_peer;
};

const char *listener_address(const struct listener *listener)
{
    return listener->address;
}

int listener_port(const struct listener *listener)
{
    return listener->port;
}

bool listener_is_unix(const struct listener *listener)
{
    return listener->is_unix;
}

/* ---- accepting ---- */

int stream_open(struct stream *stream, struct listener *listener,
                const struct stream_events *events, size_t high_mark, size_t max)
{
    int fd = listener->waiting_fd;
    listener->waiting_fd = -1;
    return stream_start(stream, listener->loop, fd, listener->is_unix, &listener->waiting_peer,
                        events, high_mark, max);
}

static void on_readable(uv_poll_t *poll, int status, int events);

static void listen_again(struct timer *rest)
{
    struct listener *listener = container_of(rest, struct listener, rest);
    uv_poll_start(&listener->poll, UV_READABLE, on_readable);
}

/*
 * Descriptors are used up: take the connection with the reserve and close it, so nobody waits. When
 * another thread took the reserve's place, the connection has to wait: polling on would only spin.
 */
static bool turn_away(struct listener *listener)
{
    if (listener->reserve_fd >= 0)
        close(listener->reserve_fd);
    int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
    int error = errno;
    if (fd >= 0) {
        close(fd);
        log_warn("net", 0, "no file descriptor left: a connection to %s was closed",
                 listener->address);
    }
    listener->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (fd < 0 && (error == EMFILE || error == ENFILE)) {
        log_warn("net", 0, "no file descriptor left: connections to %s wait", listener->address);
        uv_poll_stop(&listener->poll);
        timer_start(&listener->rest, REST_MS);
    }
    return fd >= 0;
}

static void hand_over(struct listener *listener, int fd)
{
    listener->waiting_fd = fd;
    listener->waiting_peer = peer_of_fd(fd);
    if (peer_is_own(&listener->waiting_peer))
        listener->events->on_accept(listener, listener->ctx);
    else if (listener->waiting_peer.is_known)
        log_warn("net", 0, "refused a connection of uid %u to %s",
                 (unsigned)listener->waiting_peer.uid, listener->address);
    if (listener->waiting_fd >= 0)
        close(listener->waiting_fd);
    listener->waiting_fd = -1;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct listener *listener = poll->data;
    (void)events;
    if (status < 0)
        return;
    for (int i = 0; i < ACCEPT_PER_TURN && !uv_is_closing((uv_handle_t *)poll); i++) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0)
            hand_over(listener, fd);
        else if (errno == EMFILE || errno == ENFILE) {
            if (!turn_away(listener))
                return;
        } else if (errno != ECONNABORTED && errno != EINTR)
            return; /* EAGAIN: none waits; anything else comes again with the next poll */
    }
}

/* ---- making ---- */

static void describe(struct listener *listener)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un un;
    } name = {0};
    socklen_t len = sizeof(name);
    (void)getsockname(listener->fd, &name.any, &len); /* a listening socket has a name */
    char host[INET6_ADDRSTRLEN] = "";
    if (name.any.sa_family == AF_UNIX) {
        listener->is_unix = true;
        (void)snprintf(listener->address, sizeof(listener->address), "unix:%s", name.un.sun_path);
    } else if (name.any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &name.v6.sin6_addr, host, sizeof(host));
        listener->port = ntohs(name.v6.sin6_port);
        (void)snprintf(listener->address, sizeof(listener->address), "[%s]:%d", host,
                       listener->port);
    } else {
        inet_ntop(AF_INET, &name.v4.sin_addr, host, sizeof(host));
        listener->port = ntohs(name.v4.sin_port);
        (void)snprintf(listener->address, sizeof(listener->address), "%s:%d", host, listener->port);
    }
}

static int start(struct loop *loop, int fd, bool is_ours, const struct listener_events *events,
                 void *ctx, struct listener **ret, struct err *reterr)
{
    struct listener *listener = calloc(1, sizeof(*listener));
    if (!listener)
        abort();
    *listener = (struct listener){
        .loop = loop, .events = events, .ctx = ctx, .fd = fd, .is_ours = is_ours, .waiting_fd = -1};
    describe(listener);
    listener->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int r = uv_poll_init(loop_uv(loop), &listener->poll, fd);
    if (r < 0) {
        close(listener->reserve_fd);
        free(listener);
        close(fd);
        return err_set(reterr, ERR_INTERNAL, "cannot poll a listening socket: %s", uv_strerror(r));
    }
    listener->poll.data = listener;
    uv_poll_start(&listener->poll, UV_READABLE, on_readable);
    timer_open(&listener->rest, loop, listen_again);
    *ret = listener;
    return 0;
}

/* "127.0.0.1:3000" or "[::1]:3000"; the length of the name, 0 when it is neither. */
static socklen_t parse_tcp(const char *address, struct sockaddr_storage *name)
{
    const char *colon = strrchr(address, ':');
    char host[INET6_ADDRSTRLEN + 2], *end = NULL;
    size_t len = colon ? (size_t)(colon - address) : 0;
    if (len == 0 || len >= sizeof(host) || colon[1] < '0' || colon[1] > '9')
        return 0;
    long port = strtol(colon + 1, &end, 10);
    if (*end || port > UINT16_MAX)
        return 0;
    (void)snprintf(host, sizeof(host), "%.*s", (int)len, address); /* fits */
    if (uv_ip4_addr(host, (int)port, (struct sockaddr_in *)name) == 0)
        return sizeof(struct sockaddr_in);
    if (host[0] != '[' || host[len - 1] != ']')
        return 0;
    host[len - 1] = '\0';
    return uv_ip6_addr(host + 1, (int)port, (struct sockaddr_in6 *)name) == 0
               ? sizeof(struct sockaddr_in6)
               : 0;
}

static int bind_tcp(const char *address, int *ret_fd, struct err *reterr)
{
    struct sockaddr_storage name = {0};
    socklen_t len = parse_tcp(address, &name);
    if (!len)
        return err_set(reterr, ERR_CONFIG_INVALID, "listen: %s is no address", address);
    const int on = 1;
    int fd = socket(name.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_errno(reterr, ERR_IO, errno, "cannot make a socket for %s", address);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)); /* bind says what is wrong */
    if (name.ss_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on,
                         sizeof(on)); /* the default on loopback */
    if (bind(fd, (struct sockaddr *)&name, len) < 0) {
        int error = errno;
        close(fd);
        return err_errno(reterr, error == EADDRINUSE ? ERR_IN_USE : ERR_IO, error, "%s", address);
    }
    *ret_fd = fd;
    return 0;
}

/* True for a socket that nobody listens on: its process has died. Any other file is left alone. */
static bool is_left_over(const struct sockaddr_un *name)
{
    struct stat st;
    if (lstat(name->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
        return false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool is_refused = fd >= 0 && connect(fd, (const struct sockaddr *)name, sizeof(*name)) < 0 &&
                      errno == ECONNREFUSED;
    if (fd >= 0)
        close(fd);
    return is_refused;
}

static int bind_unix(const char *path, int *ret_fd, struct err *reterr)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(name.sun_path))
        return err_set(reterr, ERR_IO, "socket path too long: %s", path);
    memcpy(name.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_errno(reterr, ERR_IO, errno, "cannot make a socket for %s", path);
    mode_t old = umask(0177);
    int r = bind(fd, (struct sockaddr *)&name, sizeof(name));
    int error = errno;
    if (r < 0 && error == EADDRINUSE && is_left_over(&name)) {
        (void)unlink(path); /* bind says what is wrong */
        r = bind(fd, (struct sockaddr *)&name, sizeof(name));
        error = errno;
    }
    umask(old);
    if (r < 0) {
        close(fd);
        return err_errno(reterr, error == EADDRINUSE ? ERR_IN_USE : ERR_IO, error, "%s", path);
    }
    *ret_fd = fd;
    return 0;
}

int listener_open(struct loop *loop, const char *address, const struct listener_events *events,
                  void *ctx, struct listener **ret, struct err *reterr)
{
    int fd = -1;
    bool is_unix = !strncmp(address, "unix:", 5);
    int r = is_unix ? bind_unix(address + 5, &fd, reterr) : bind_tcp(address, &fd, reterr);
    if (r < 0)
        return r;
    if (listen(fd, BACKLOG) < 0) {
        int error = errno;
        close(fd);
        return err_errno(reterr, error == EADDRINUSE ? ERR_IN_USE : ERR_IO, error, "%s", address);
    }
    return start(loop, fd, is_unix, events, ctx, ret, reterr);
}

int listener_adopt(struct loop *loop, int fd, const struct listener_events *events, void *ctx,
                   struct listener **ret, struct err *reterr)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return err_errno(reterr, ERR_IO, errno, "inherited socket %d", fd);
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC); /* we start no programs */
    return start(loop, fd, false, events, ctx, ret, reterr);
}

static void on_rest_closed(struct timer *rest)
{
    free(container_of(rest, struct listener, rest));
}

static void on_poll_closed(uv_handle_t *handle)
{
    struct listener *listener = handle->data;
    close(listener->fd);
    if (listener->reserve_fd >= 0)
        close(listener->reserve_fd);
    timer_close(&listener->rest, on_rest_closed);
}

void listener_close(struct listener *listener)
{
    if (!listener)
        return;
    uv_poll_stop(&listener->poll);
    timer_stop(&listener->rest); /* or it would poll again */
    if (listener->is_ours)
        (void)unlink(listener->address + strlen("unix:")); /* gone already is fine */
    uv_close((uv_handle_t *)&listener->poll, on_poll_closed);
}
