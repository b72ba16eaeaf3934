/* See net_fetch_world.h. */
#include "unit/net_fetch_world.h"

struct loop *loop;
struct fetch_pool *pool;
struct site site;
char url[160];

void fetch_world_open(void)
{
    loop = loop_new();
    pool = fetch_pool_new(loop, 8, 55000);
    site_open(&site, NULL);
    snprintf(url, sizeof(url), "http://%s/v1/x", site.address);
}

void fetch_world_close(void)
{
    fetch_pool_free(pool);
    site_close(&site);
    loop_free(loop);
}

static void on_head(void *ctx, int status, const struct fetch_header *headers, size_t count)
{
    struct seen *seen = ctx;
    cr_expect_eq(seen->bodies + seen->dones, 0);
    seen->heads++;
    seen->status = status;
    seen->header_count = count;
    for (size_t i = 0; i < count; i++)
        cr_expect_eq(bytes_addf(&seen->headers, SPAN_FMT "=" SPAN_FMT "\n",
                                SPAN_ARG(headers[i].name), SPAN_ARG(headers[i].value)),
                     0);
    if (seen->on_head)
        seen->on_head(seen);
}

static void on_body(void *ctx, struct span data)
{
    struct seen *seen = ctx;
    cr_expect_eq(seen->heads, 1, "a body without a head");
    cr_expect_eq(seen->dones, 0);
    seen->bodies++;
    cr_expect_eq(bytes_add_span(&seen->body, data), 0);
    if (seen->on_body)
        seen->on_body(seen);
}

static void on_done(void *ctx, const struct err *err)
{
    struct seen *seen = ctx;
    seen->dones++;
    seen->fetch = NULL;
    if (err)
        seen->err = *err;
    if (seen->on_done)
        seen->on_done(seen);
}

const struct fetch_events events = {on_head, on_body, on_done};

struct fetch_request request_of(const char *method)
{
    static const char *const headers[] = {"content-type: application/json", NULL};
    struct fetch_request request = {
        .method = method,
        .url = url,
        .share_key = "a",
        .headers = headers,
        .connect_ms = 5000,
        .first_byte_ms = 9000,
    };
    if (!strcmp(method, "POST"))
        request.body = SPAN("{\"a\":1}");
    return request;
}

void begin(struct seen *seen, const struct fetch_request *request)
{
    struct err err = {0};
    seen->headers.max = 1 << 20;
    seen->body.max = 1 << 26;
    seen->fetch = fetch_start(pool, request, &events, seen, &err);
    cr_assert(seen->fetch, "%s", err.detail);
    cr_expect_eq(seen->heads + seen->bodies + seen->dones, 0,
                 "a callback before fetch_start returned");
}

void release(struct seen *seen)
{
    bytes_release(&seen->headers);
    bytes_release(&seen->body);
}

void post(struct seen *seen)
{
    struct fetch_request request = request_of("POST");
    begin(seen, &request);
}

void take(struct wire *wire, const char *last)
{
    bool accepted = false;
    WIRE_UNTIL(loop, (accepted = site_accept(&site, wire)));
    cr_assert(accepted, "no connection came");
    WIRE_RECEIVE_UNTIL(loop, wire, wire_has(wire, last));
    cr_assert(wire_has(wire, last), SPAN_FMT, SPAN_ARG(bytes_span(&wire->in)));
}

void take_post(struct wire *wire)
{
    take(wire, "{\"a\":1}");
}

void take_another(struct wire *wire)
{
    bytes_clear(&wire->in);
    WIRE_RECEIVE_UNTIL(loop, wire, wire_has(wire, "{\"a\":1}") || wire->has_ended);
    cr_expect(wire_has(wire, "{\"a\":1}"), "the connection was not used again");
}

void until_done(struct seen *seen)
{
    WIRE_UNTIL(loop, seen->dones);
    cr_expect_eq(seen->dones, 1);
}

void settle(void)
{
    for (int i = 0; i < 20; i++)
        wire_turn(loop);
}

void nobody_else_comes(void)
{
    struct wire other;
    settle();
    cr_expect(!site_accept(&site, &other), "another connection was made");
}

void until_hung_up(struct wire *wire)
{
    WIRE_RECEIVE_UNTIL(loop, wire, wire->has_ended);
    cr_expect(wire->has_ended, "the connection is still open");
}

void cancel_self(struct seen *seen)
{
    fetch_cancel(seen->fetch);
    seen->fetch = NULL;
}
