/*
 * The world of the HTTP server's tests: a loop, a server on a free port, and a handler that answers
 * by path and counts what it is told:
 *
 *   /held     nothing yet: the call is seen.held
 *   /abort    an answer is begun with "half"; the call is seen.held
 *   /echo     the body
 *   /chunked  "a" and "0123456789abcdef" as chunks
 *   /big      BIG bytes
 *   /heads?N  N header lines of 1,000 bytes
 *   /tricky   a header with a line break
 *   /refused  413 to the head
 *   others    the path
 */
#pragma once

#include <criterion/criterion.h>

#include "net/http1.h"
#include "unit/net_wire.h"

#define HOST        "Host: localhost\r\n"
#define GET(path)   "GET " path " HTTP/1.1\r\n" HOST "\r\n"
#define GET10(path) "GET " path " HTTP/1.0\r\n" HOST "\r\n"
#define BIG         (4 * 1024 * 1024)

/* What the handler has seen, and the call it holds. */
struct seen {
    unsigned heads, requests, gone, drains;
    struct err why; /* the last call went */
    size_t body_held, budget;
    struct http_call *held;
};

extern struct loop *loop;
extern struct http_server *server;
extern struct listener *listener;
extern struct seen seen;

/* For TestSuite(). */
void http1_world_open(void);
void http1_world_close(void);

/* Other limits than the ordinary ones, which no test reaches by accident. */
void limit(void (*change)(struct http_limits *limits));
void open_wire(struct wire *wire);
/* Sends and receives until `wanted` came `count` times or the server hung up. */
void ask(struct wire *wire, struct span request, const char *wanted, size_t count);
void until_hung_up(struct wire *wire);
void until_none_is_left(void);
/* So many calls went, the last one for this reason. */
void expect_gone(unsigned count, int kind, const char *detail);
/* BIG bytes of an answer. */
void write_big(struct http_call *call);
