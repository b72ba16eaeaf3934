/*
 * See peer.h. For TCP the kernel is asked for the socket on the other side (our addresses swapped).
 * Where the kernel has no sock_diag for TCP, /proc/net/tcp says the same, slower.
 */
#include "net/peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"

#define STATE_ESTABLISHED 1 /* TCP_ESTABLISHED of the kernel */

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

struct question {
    struct nlmsghdr head;
    struct inet_diag_req_v2 body;
};

static void fill_end(const union address *address, uint16_t *port, uint32_t words[4])
{
    if (address->any.sa_family == AF_INET) {
        *port = address->v4.sin_port;
        words[0] = address->v4.sin_addr.s_addr;
    } else {
        *port = address->v6.sin6_port;
        memcpy(words, &address->v6.sin6_addr, 16);
    }
}

/* Opened once: asking costs microseconds then. Only the loop's thread asks. */
static int netlink_socket(void)
{
    static int fd = -1;
    if (fd < 0)
        fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);
    return fd;
}

/* Fills in `ret` from an answer; returns -ENOENT when there is no such socket. */
static int read_answer(const char *buffer, size_t len, struct peer *ret)
{
    const struct nlmsghdr *head = (const void *)buffer;
    if (!NLMSG_OK(head, len))
        return -EPROTO;
    if (head->nlmsg_type == NLMSG_ERROR)
        return ((const struct nlmsgerr *)NLMSG_DATA(head))->error;
    if (head->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
        head->nlmsg_len < NLMSG_LENGTH(sizeof(struct inet_diag_msg)))
        return -EPROTO;
    const struct inet_diag_msg *message = NLMSG_DATA(head);
    ret->uid = message->idiag_uid;
    ret->inode = message->idiag_inode;
    ret->is_known = message->idiag_state == STATE_ESTABLISHED && message->idiag_inode != 0;
    return 0;
}

static int ask_kernel(const union address *theirs, const union address *ours, struct peer *ret)
{
    struct question question = {
        .head = {.nlmsg_len = sizeof(question),
                 .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                 .nlmsg_flags = NLM_F_REQUEST},
        .body = {.sdiag_family = (uint8_t)theirs->any.sa_family,
                 .sdiag_protocol = IPPROTO_TCP,
                 .idiag_states = ~0u,
                 .id = {.idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE}}},
    };
    fill_end(theirs, &question.body.id.idiag_sport, question.body.id.idiag_src);
    fill_end(ours, &question.body.id.idiag_dport, question.body.id.idiag_dst);
    _Alignas(struct nlmsghdr) char answer[2048];
    int fd = netlink_socket();
    if (fd < 0)
        return -errno;
    while (recv(fd, answer, sizeof(answer), 0) > 0) /* nothing old may be taken for our answer */
        ;
    if (send(fd, &question, sizeof(question), 0) < 0)
        return -errno;
    ssize_t n = recv(fd, answer, sizeof(answer), 0);
    return n < 0 ? -errno : read_answer(answer, (size_t)n, ret);
}

/* One line of /proc/net/tcp: addresses are printed as words in host order, ports in hex. */
static void expected_ends(const union address *theirs, const union address *ours, char *out,
                          size_t size)
{
    const union address *ends[2] = {theirs, ours};
    size_t n = 0;
    for (int i = 0; i < 2; i++) {
        uint16_t port;
        uint32_t words[4];
        fill_end(ends[i], &port, words);
        int count = ends[i]->any.sa_family == AF_INET ? 1 : 4;
        for (int w = 0; w < count; w++)
            n += (size_t)snprintf(out + n, size - n, "%08X", words[w]);
        n += (size_t)snprintf(out + n, size - n, ":%04X ", ntohs(port));
    }
}

/* False when /proc says nothing at all. */
static bool read_proc(const union address *theirs, const union address *ours, struct peer *ret)
{
    char wanted[128], line[512];
    expected_ends(theirs, ours, wanted, sizeof(wanted));
    FILE *file = fopen(theirs->any.sa_family == AF_INET ? "/proc/net/tcp" : "/proc/net/tcp6", "re");
    if (!file)
        return false;
    while (fgets(line, sizeof(line), file)) {
        const char *ends = strchr(line, ':');
        unsigned state, uid;
        unsigned long inode;
        if (!ends || strncmp(ends + 2, wanted, strlen(wanted)) != 0)
            continue;
        if (sscanf(ends + 2 + strlen(wanted), "%x %*s %*s %*s %u %*s %lu", &state, &uid, &inode) ==
            3) {
            ret->uid = uid;
            ret->inode = inode;
            ret->is_known = state == STATE_ESTABLISHED && inode != 0;
        }
        break;
    }
    fclose(file);
    return true;
}

/* Said once: it stays so, and every connection would repeat it. */
static void warn_blind(int error)
{
    static bool was_said;
    if (!was_said)
        log_warn("net", 0,
                 "cannot tell whose TCP connections are, so all are refused: sock_diag says \"%s\" "
                 "and /proc/net/tcp cannot be read",
                 strerror(error));
    was_said = true;
}

static struct peer tcp_peer(const union address *theirs, const union address *ours)
{
    static bool kernel_answers; /* sock_diag knows TCP: "no such socket" can be believed */
    struct peer peer = {0};
    int r = ask_kernel(theirs, ours, &peer);
    if (r == 0)
        kernel_answers = true;
    else if (!kernel_answers && !read_proc(theirs, ours, &peer))
        warn_blind(-r);
    return peer;
}

static bool get_ends(int fd, union address *theirs, union address *ours)
{
    socklen_t their_len = sizeof(*theirs), our_len = sizeof(*ours);
    *theirs = *ours = (union address){0};
    return getpeername(fd, &theirs->any, &their_len) == 0 &&
           getsockname(fd, &ours->any, &our_len) == 0;
}

static struct peer unix_peer(int fd)
{
    struct peer peer = {0};
    struct ucred cred;
    socklen_t len = sizeof(cred);
    peer.is_known = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0;
    if (peer.is_known) {
        peer.uid = cred.uid;
        peer.pid = cred.pid;
    }
    return peer;
}

struct peer peer_of_fd(int fd)
{
    union address theirs, ours;
    int domain = 0;
    socklen_t len = sizeof(domain);
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_UNIX)
        return unix_peer(fd);
    return get_ends(fd, &theirs, &ours) ? tcp_peer(&theirs, &ours) : (struct peer){0};
}

struct peer peer_of_fd_by_proc(int fd)
{
    union address theirs, ours;
    struct peer peer = {0};
    if (get_ends(fd, &theirs, &ours))
        (void)read_proc(&theirs, &ours, &peer); /* saying nothing is "unknown" */
    return peer;
}

bool peer_is_own(const struct peer *peer)
{
    return peer->is_known && peer->uid == getuid();
}

bool peer_cwd(pid_t pid, char *out, size_t size)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/cwd", (int)pid);
    ssize_t n = readlink(path, out, size - 1);
    if (n <= 0 || (size_t)n >= size - 1 || out[0] != '/')
        return false;
    out[n] = '\0';
    static const char deleted[] = " (deleted)";
    size_t tail = sizeof(deleted) - 1;
    if ((size_t)n > tail && !strcmp(out + n - tail, deleted))
        out[(size_t)n - tail] = '\0';
    return true;
}
