/* Who is on the other side: this process, another one, and nobody any more. */
#include "net/peer.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct pair {
    int listening, client, server;
};

static struct sockaddr_storage loopback(int family, socklen_t *len)
{
    struct sockaddr_storage name = {.ss_family = (sa_family_t)family};
    if (family == AF_INET)
        ((struct sockaddr_in *)&name)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    else
        ((struct sockaddr_in6 *)&name)->sin6_addr = in6addr_loopback;
    *len = family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    return name;
}

/* Listens; the name to connect to is in *name. */
static int listen_on(int family, struct sockaddr_storage *name, socklen_t *len)
{
    *name = loopback(family, len);
    int fd = socket(family, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)name, *len) < 0)
        return -1;
    cr_assert_eq(listen(fd, 8), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)name, len), 0);
    return fd;
}

static bool connect_pair(int family, struct pair *pair)
{
    struct sockaddr_storage name;
    socklen_t len;
    pair->listening = listen_on(family, &name, &len);
    if (pair->listening < 0)
        return false;
    pair->client = socket(family, SOCK_STREAM, 0);
    cr_assert_eq(connect(pair->client, (struct sockaddr *)&name, len), 0);
    pair->server = accept(pair->listening, NULL, NULL);
    cr_assert_geq(pair->server, 0);
    return true;
}

static void close_pair(struct pair *pair)
{
    close(pair->listening);
    close(pair->client);
    close(pair->server);
}

static unsigned long inode_of(int fd)
{
    struct stat st;
    cr_assert_eq(fstat(fd, &st), 0);
    return (unsigned long)st.st_ino;
}

Test(peer, a_tcp_client_is_known_by_uid_and_inode)
{
    static const int families[] = {AF_INET, AF_INET6};
    for (int i = 0; i < 2; i++) {
        struct pair pair;
        if (!connect_pair(families[i], &pair))
            continue; /* a machine without IPv6 */
        struct peer by_kernel = peer_of_fd(pair.server), by_proc = peer_of_fd_by_proc(pair.server);
        cr_expect(by_kernel.is_known && peer_is_own(&by_kernel), "family %d", families[i]);
        cr_expect_eq(by_kernel.uid, getuid());
        cr_expect_eq(by_kernel.inode, inode_of(pair.client));
        cr_expect_eq(by_kernel.pid, 0);
        cr_expect(by_proc.is_known, "family %d", families[i]);
        cr_expect_eq(by_proc.uid, by_kernel.uid);
        cr_expect_eq(by_proc.inode, by_kernel.inode);
        struct peer other_side = peer_of_fd(pair.client);
        cr_expect_eq(other_side.inode, inode_of(pair.server));
        close_pair(&pair);
    }
}

/* The child connects as `uid` and holds the connection until it is killed; or exits at once. */
static pid_t connect_in_child(const struct sockaddr_storage *name, socklen_t len, uid_t uid,
                              bool leaves)
{
    pid_t child = fork();
    if (child != 0)
        return child;
    if (uid != getuid() && setuid(uid) != 0)
        _exit(1);
    int fd = socket(name->ss_family, SOCK_STREAM, 0); /* belongs to whom it is made by */
    if (connect(fd, (const struct sockaddr *)name, len) != 0)
        _exit(1);
    if (!leaves)
        pause();
    _exit(0);
}

Test(peer, a_client_of_another_uid_is_not_ours, .timeout = 10)
{
    struct sockaddr_storage name;
    socklen_t len;
    if (getuid() != 0)
        cr_skip_test("only root can be somebody else");
    int listening = listen_on(AF_INET, &name, &len);
    pid_t child = connect_in_child(&name, len, 65534, false);
    int server = accept(listening, NULL, NULL);
    struct peer by_kernel = peer_of_fd(server), by_proc = peer_of_fd_by_proc(server);
    cr_expect(by_kernel.is_known && by_kernel.uid == 65534 && !peer_is_own(&by_kernel));
    cr_expect(by_proc.is_known && by_proc.uid == 65534 && by_proc.inode == by_kernel.inode);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    close(server);
    close(listening);
}

/* security.md, fact 9: the kernel reports the orphan as uid 0, which must not pass for root. */
Test(peer, a_client_that_has_exited_is_unknown, .timeout = 10)
{
    static const int families[] = {AF_INET, AF_INET6};
    for (int i = 0; i < 2; i++) {
        struct sockaddr_storage name;
        socklen_t len;
        int listening = listen_on(families[i], &name, &len);
        if (listening < 0)
            continue;
        pid_t child = connect_in_child(&name, len, getuid(), true);
        int server = accept(listening, NULL, NULL);
        int status = 1;
        waitpid(child, &status, 0);
        cr_expect_eq(status, 0);
        struct peer by_kernel = peer_of_fd(server), by_proc = peer_of_fd_by_proc(server);
        cr_expect(!by_kernel.is_known && !peer_is_own(&by_kernel), "uid %u",
                  (unsigned)by_kernel.uid);
        cr_expect(!by_proc.is_known && !peer_is_own(&by_proc), "uid %u", (unsigned)by_proc.uid);
        close(server);
        close(listening);
    }
}

/* Everything written to standard error while peers are asked for without a spare descriptor. */
static void log_without_descriptors(int server, int times, char *log, size_t size)
{
    int ends[2], old = dup(STDERR_FILENO);
    struct rlimit usual, none;
    cr_assert(pipe(ends) == 0 && dup2(ends[1], STDERR_FILENO) == STDERR_FILENO);
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &usual), 0);
    none = (struct rlimit){0, usual.rlim_max};
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    for (int i = 0; i < times; i++)
        cr_expect(!peer_of_fd(server).is_known);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &usual), 0);
    cr_assert_eq(dup2(old, STDERR_FILENO), STDERR_FILENO);
    close(ends[1]);
    ssize_t n = read(ends[0], log, size - 1);
    log[n > 0 ? n : 0] = '\0';
    close(ends[0]);
    close(old);
}

Test(peer, a_system_that_tells_nothing_is_warned_of_once)
{
    struct pair pair;
    char log[4096];
    cr_assert(connect_pair(AF_INET, &pair));
    log_without_descriptors(pair.server, 3, log, sizeof(log));
    const char *warning = strstr(log, "sock_diag");
    cr_assert(warning, "%s", log);
    cr_expect(!strstr(warning + 1, "sock_diag"), "%s", log);
    cr_expect(peer_of_fd(pair.server).is_known, "it is not for ever");
    close_pair(&pair);
}

Test(peer, a_unix_client_is_known_by_uid_and_pid)
{
    int ends[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    struct peer peer = peer_of_fd(ends[0]);
    cr_expect(peer.is_known && peer_is_own(&peer));
    cr_expect_eq(peer.pid, getpid());
    close(ends[0]);
    close(ends[1]);
}

Test(peer, what_is_no_connection_is_unknown)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0), ends[2];
    cr_assert_eq(pipe(ends), 0);
    const int fds[] = {-1, 9999, fd, ends[0]};
    for (int i = 0; i < 4; i++) {
        struct peer peer = peer_of_fd(fds[i]), by_proc = peer_of_fd_by_proc(fds[i]);
        cr_expect(!peer.is_known && !by_proc.is_known && !peer_is_own(&peer), "fd %d", fds[i]);
    }
    close(fd);
    close(ends[0]);
    close(ends[1]);
}

Test(peer, the_directory_of_a_process_is_found_while_it_lives)
{
    char made[] = "/tmp/aictl-peer-XXXXXX", cwd[256], found[256], small[8];
    cr_assert(mkdtemp(made) && chdir(made) == 0 && getcwd(cwd, sizeof(cwd)));
    cr_expect(peer_cwd(getpid(), found, sizeof(found)));
    cr_expect_str_eq(found, cwd);
    cr_expect(!peer_cwd(getpid(), small, sizeof(small)), "a path that was cut is none");
    cr_assert_eq(rmdir(made), 0);
    cr_expect(peer_cwd(getpid(), found, sizeof(found)));
    cr_expect_str_eq(found, cwd, "removed: %s", found);
    cr_expect(!peer_cwd(0, found, sizeof(found)));
    cr_expect(!peer_cwd(-1, found, sizeof(found)));
}
