/*
 * The other side of a connection under test: a client or a scripted server on plain sockets, and
 * waiting for what must happen while the loop of the code under test runs. All in one thread.
 */
#pragma once

#include <poll.h>

#include "base/bytes.h"
#include "net/loop.h"

#define WIRE_DEADLINE_US 10000000

struct wire {
    int fd;
    struct bytes in; /* all that came */
    bool has_ended;  /* FIN or reset */
    bool was_reset;
};

/* Connects to "127.0.0.1:PORT", "[::1]:PORT" or "unix:PATH"; asserts that it works. */
void wire_open(struct wire *wire, const char *address);
void wire_close(struct wire *wire);
/* Closes so that the other side sees a reset. */
void wire_reset(struct wire *wire);
/* Sends it all; asserts that the kernel takes it. */
void wire_send(struct wire *wire, struct span data);
/* Sends what the kernel takes. Returns how much. */
size_t wire_send_some(struct wire *wire, struct span data);
/* Takes what is there. */
void wire_receive(struct wire *wire);
/* True when `text` is in what came. */
bool wire_has(const struct wire *wire, const char *text);
/* How often `text` is in what came. */
size_t wire_count(const struct wire *wire, const char *text);

/* A listening socket: the server that a test plays. */
struct site {
    int fd;
    char address[128]; /* "127.0.0.1:PORT" or "unix:PATH" */
};

/* path NULL: a free TCP port. */
void site_open(struct site *site, const char *path);
void site_close(struct site *site);
/* True when a connection waited; `wire` is it then. */
bool site_accept(struct site *site, struct wire *wire);

/* One turn of the loop, and a moment for the other side. */
static inline void wire_turn(struct loop *loop)
{
    (void)uv_run(loop_uv(loop), UV_RUN_NOWAIT); /* says only whether handles are left */
    (void)poll(NULL, 0, 1);
}

/* Runs the loop until the condition holds; the caller asserts it again. */
#define WIRE_UNTIL(loop, condition)                                                                \
    for (int64_t until_ = loop_clock_us() + WIRE_DEADLINE_US;                                      \
         !(condition) && loop_clock_us() < until_;)                                                \
    wire_turn(loop)

/* The same while a wire receives. */
#define WIRE_RECEIVE_UNTIL(loop, wire, condition)                                                  \
    WIRE_UNTIL(loop, (wire_receive(wire), (condition)))
