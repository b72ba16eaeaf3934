/*
 * Who is on the other side of a local connection.
 *
 * Unix sockets: SO_PEERCRED. Loopback TCP: NETLINK_SOCK_DIAG asked at accept, for the peer's own
 * socket; only an ESTABLISHED one with an inode counts. A client that has already exited leaves an
 * orphan which the kernel reports as uid 0 and inode 0: that is unknown, never root.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

struct peer {
    bool is_known; /* uid is what the kernel says of a living socket */
    uid_t uid;
    pid_t pid;           /* Unix sockets only; 0 otherwise */
    unsigned long inode; /* TCP only */
};

/*
 * The peer of a connected socket. Never blocks; what cannot be known gives is_known false. A system
 * that can say nothing about any TCP connection is warned of once in the log.
 */
struct peer peer_of_fd(int fd);
/*
 * The same for a TCP socket by /proc/net/tcp alone: what peer_of_fd() does where the kernel has no
 * sock_diag for TCP, some milliseconds slower.
 */
struct peer peer_of_fd_by_proc(int fd);

/*
 * True when the peer may talk to us: known, and our own uid (the uid of the daemon's user manager,
 * root, is not a friend by itself: only our uid counts).
 */
bool peer_is_own(const struct peer *peer);

/*
 * Working directory of a process of ours, absolute; false when it cannot be read. One readlink of
 * /proc, which the kernel answers from memory.
 */
bool peer_cwd(pid_t pid, char *out, size_t size);
