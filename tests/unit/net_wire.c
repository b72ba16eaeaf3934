/* See net_wire.h. */
#include "unit/net_wire.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

union name {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un un;
};

static socklen_t parse(const char *address, union name *name)
{
    *name = (union name){0};
    const char *colon = strrchr(address, ':');
    if (!strncmp(address, "unix:", 5)) {
        name->un.sun_family = AF_UNIX;
        snprintf(name->un.sun_path, sizeof(name->un.sun_path), "%s", address + 5);
        return sizeof(name->un);
    }
    if (address[0] == '[') {
        name->v6 =
            (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
        name->v6.sin6_port = htons((uint16_t)atoi(colon + 1));
        return sizeof(name->v6);
    }
    name->v4 = (struct sockaddr_in){.sin_family = AF_INET};
    name->v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    name->v4.sin_port = htons((uint16_t)atoi(colon + 1));
    return sizeof(name->v4);
}

static struct bytes received(void)
{
    return (struct bytes){.max = 64 * 1024 * 1024, .wipe = true};
}

void wire_open(struct wire *wire, const char *address)
{
    union name name;
    socklen_t len = parse(address, &name);
    *wire = (struct wire){.in = received()};
    wire->fd = socket(name.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_geq(wire->fd, 0);
    cr_assert_eq(connect(wire->fd, &name.any, len), 0, "%s: %s", address, strerror(errno));
    cr_assert_eq(fcntl(wire->fd, F_SETFL, O_NONBLOCK), 0);
}

void wire_close(struct wire *wire)
{
    if (wire->fd >= 0)
        close(wire->fd);
    wire->fd = -1;
    bytes_release(&wire->in);
}

void wire_reset(struct wire *wire)
{
    const struct linger at_once = {.l_onoff = 1};
    cr_assert_eq(setsockopt(wire->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
    wire_close(wire);
}

size_t wire_send_some(struct wire *wire, struct span data)
{
    ssize_t n = send(wire->fd, data.at, data.len, MSG_NOSIGNAL);
    return n > 0 ? (size_t)n : 0;
}

void wire_send(struct wire *wire, struct span data)
{
    cr_assert_eq(wire_send_some(wire, data), data.len);
}

void wire_receive(struct wire *wire)
{
    char piece[65536];
    while (!wire->has_ended) {
        ssize_t n = recv(wire->fd, piece, sizeof(piece), 0);
        if (n < 0 && errno == EAGAIN)
            break;
        wire->was_reset = n < 0;
        wire->has_ended = n <= 0;
        if (n > 0)
            cr_assert_eq(bytes_add(&wire->in, piece, (size_t)n), 0);
    }
    explicit_bzero(piece, sizeof(piece)); /* some tests look for keys in memory */
}

bool wire_has(const struct wire *wire, const char *text)
{
    return wire_count(wire, text) > 0;
}

size_t wire_count(const struct wire *wire, const char *text)
{
    struct span rest = bytes_span(&wire->in), wanted = span_of(text);
    size_t count = 0;
    for (const char *hit; (hit = memmem(rest.at, rest.len, wanted.at, wanted.len)); count++) {
        rest.len -= (size_t)(hit - rest.at) + wanted.len;
        rest.at = hit + wanted.len;
    }
    return count;
}

void site_open(struct site *site, const char *path)
{
    union name name;
    snprintf(site->address, sizeof(site->address), "%s%s", path ? "unix:" : "127.0.0.1:0",
             path ? path : "");
    socklen_t len = parse(site->address, &name);
    site->fd = socket(name.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    cr_assert_geq(site->fd, 0);
    cr_assert_eq(bind(site->fd, &name.any, len), 0, "%s", strerror(errno));
    cr_assert_eq(listen(site->fd, 64), 0);
    if (path)
        return;
    cr_assert_eq(getsockname(site->fd, &name.any, &len), 0);
    snprintf(site->address, sizeof(site->address), "127.0.0.1:%d", ntohs(name.v4.sin_port));
}

void site_close(struct site *site)
{
    close(site->fd);
    if (!strncmp(site->address, "unix:", 5))
        unlink(site->address + 5);
}

bool site_accept(struct site *site, struct wire *wire)
{
    int fd = accept4(site->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return false;
    *wire = (struct wire){.fd = fd, .in = received()};
    return true;
}
