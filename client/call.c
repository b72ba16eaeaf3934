/* One request and its answer; see call.h. */
#include "client/call.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "proto/wire.h"

#define READ_STEP 16384

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool peer_is_ours(int fd)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && peer.uid == getuid();
}

/* Returns the connected socket, or -1 with errno. */
static int connect_socket(const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    /* bounds connect() on a full backlog, too */
    struct timeval timeout = {CALL_CONNECT_MS / 1000, CALL_CONNECT_MS % 1000 * 1000};
    if (strlen(path) >= sizeof(to.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(to.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) == 0 &&
        connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static int open_connection(const struct rendezvous *paths, int *ret_fd, struct failure *reterr)
{
    int fd = connect_socket(paths->rpc_socket);
    if (fd < 0 && (errno == ENOENT || errno == ECONNREFUSED))
        return failure_set(reterr, ERR_DAEMON_DOWN, "%s", "");
    if (fd < 0)
        return failure_set(reterr, ERR_DAEMON_DOWN, "%s: %s", paths->rpc_socket, strerror(errno));
    if (!peer_is_ours(fd)) {
        close(fd);
        failure_set(reterr, ERR_FORBIDDEN, "another user listens on %s", paths->rpc_socket);
        failure_try(reterr, "see who: ss -xlp");
        return -ERR_FORBIDDEN;
    }
    *ret_fd = fd;
    return 0;
}

/* It is there, but something is wrong with it: its log says more than we can. */
static int no_answer(struct failure *reterr, const char *detail)
{
    failure_set(reterr, ERR_DAEMON_DOWN, "%s", detail);
    failure_say(reterr, "aictld does not answer");
    failure_try(reterr, "%s", error_row(ERR_INTERNAL)->next);
    return -ERR_DAEMON_DOWN;
}

static int send_frame(int fd, const struct wire_frame *frame, struct failure *reterr)
{
    for (size_t sent = 0; sent < frame->len;) {
        ssize_t n = send(fd, frame->data + sent, frame->len - sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return no_answer(reterr, strerror(errno));
        sent += (size_t)n;
    }
    return 0;
}

struct incoming {
    char *data;
    size_t len, cap;
};

static int read_some(int fd, struct incoming *in, int64_t deadline, struct failure *reterr)
{
    struct pollfd poller = {.fd = fd, .events = POLLIN};
    int64_t left = deadline - now_ms();
    int ready = left > 0 ? poll(&poller, 1, (int)left) : 0;
    if (ready < 0 && errno == EINTR)
        return 0;
    if (ready <= 0)
        return no_answer(reterr, "it took too long");
    if (in->cap - in->len < READ_STEP) {
        in->cap = in->cap + READ_STEP * 2; /* the scan bounds the sum at a frame */
        in->data = realloc(in->data, in->cap);
        if (!in->data)
            abort();
    }
    ssize_t n = recv(fd, in->data + in->len, in->cap - in->len, 0);
    if (n < 0 && errno != EINTR)
        return no_answer(reterr, strerror(errno));
    if (n == 0)
        return no_answer(reterr, "it closed the connection");
    in->len += n > 0 ? (size_t)n : 0;
    return 0;
}

/* Reads one frame. Returns its length or a negative kind. */
static ssize_t read_frame(int fd, struct incoming *in, int timeout_ms, struct failure *reterr)
{
    struct wire_scan scan = {0};
    int64_t deadline = now_ms() + timeout_ms;
    for (;;) {
        int r = read_some(fd, in, deadline, reterr);
        if (r < 0)
            return r;
        ssize_t len = wire_scan(&scan, in->data, in->len);
        if (len < 0)
            return failure_set(reterr, (int)len, "the daemon's answer");
        if (len > 0)
            return len;
    }
}

/* What the daemon says is taken as it is: its rows may be newer than ours. */
static int take_error(const struct wire_error *error, struct failure *reterr)
{
    failure_set(reterr, error->kind, "%s", error->detail ? error->detail : "");
    if (error->message)
        snprintf(reterr->message, sizeof(reterr->message), "%s", error->message);
    failure_try(reterr, "%s", error->next ? error->next : "");
    return -reterr->kind;
}

static int unpack(const struct incoming *in, size_t len, cJSON **ret_result, struct failure *reterr)
{
    struct wire_response response = {0};
    int r = wire_unpack_response(in->data, len, &response);
    if (r < 0)
        return failure_set(reterr, r, "the daemon's answer");
    if (response.error.kind)
        r = take_error(&response.error, reterr);
    else if (!response.result)
        *ret_result = cJSON_CreateNull();
    else
        *ret_result = cJSON_DetachItemViaPointer(response.body, response.result);
    wire_delete(response.body);
    return r;
}

static int exchange(int fd, const struct wire_frame *request, int timeout_ms, cJSON **ret_result,
                    struct failure *reterr)
{
    struct incoming in = {0};
    int r = send_frame(fd, request, reterr);
    if (r == 0) {
        ssize_t len = read_frame(fd, &in, timeout_ms, reterr);
        r = len < 0 ? (int)len : unpack(&in, (size_t)len, ret_result, reterr);
    }
    free(in.data);
    return r;
}

int call_daemon(const struct rendezvous *paths, enum method_id method, cJSON *params,
                int timeout_ms, cJSON **ret_result, struct failure *reterr)
{
    struct wire_frame request = {0};
    int fd = -1;
    int r = wire_pack_request(1, method_row(method)->name, params, &request);
    wire_delete(params);
    if (r < 0)
        failure_set(reterr, r, "%s", method_row(method)->name);
    else
        r = open_connection(paths, &fd, reterr);
    if (r == 0)
        r = exchange(fd, &request, timeout_ms, ret_result, reterr);
    if (fd >= 0)
        close(fd);
    wire_frame_release(&request);
    return r;
}
