/*
 * The world of the fetch tests: a loop, a pool, a server that a test plays by hand, and what came
 * of each fetch.
 */
#pragma once

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "net/fetch.h"
#include "unit/net_wire.h"

#define OK(body_len)                                                                               \
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: " #body_len "\r\n\r\n"
#define CHUNKED "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

/* What came of one fetch, and what it does when something comes. */
struct seen {
    unsigned heads, bodies, dones;
    int status;
    size_t header_count;
    struct bytes headers; /* "name=value\n" each */
    struct bytes body;
    struct err err;
    struct fetch *fetch;
    void (*on_head)(struct seen *seen);
    void (*on_body)(struct seen *seen);
    void (*on_done)(struct seen *seen);
    struct seen *other; /* for these */
};

extern struct loop *loop;
extern struct fetch_pool *pool;
extern struct site site;
extern char url[160]; /* of the site */
extern const struct fetch_events events;

/* For TestSuite(). */
void fetch_world_open(void);
void fetch_world_close(void);

/* An ordinary request to the site; a POST has the body {"a":1}. */
struct fetch_request request_of(const char *method);
void begin(struct seen *seen, const struct fetch_request *request);
void post(struct seen *seen);
void release(struct seen *seen);

/* The server's side: takes the connection and a request that ends with `last`. */
void take(struct wire *wire, const char *last);
void take_post(struct wire *wire);
/* The next POST on a connection that is kept. */
void take_another(struct wire *wire);

void until_done(struct seen *seen);
void until_hung_up(struct wire *wire);
/* A few turns in which nothing more may happen. */
void settle(void);
void nobody_else_comes(void);
/* For seen->on_...: gives the fetch up. */
void cancel_self(struct seen *seen);
