/*
 * The server with a real socket: framing, bounds and who is let go. The client is a thread with a
 * blocking socket; it ends a test by calling daemon.stop, whose hook stops the loop.
 */
#include "unit/control_world.h"

#include "proto/wire.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define PATIENCE_MS 5000

static const char config_text[] =
    "{ \"providers\": [ { \"name\": \"local\", \"type\": \"openai\", \"models\": [\"llama\"],"
    " \"baseURL\": \"http://localhost:11434/v1\", \"apiKey\": \"\" } ],"
    " \"globalSettings\": { \"rpcIdleMs\": 150, \"rpcQueueMax\": 65536 } }";

struct server {
    struct world world;
    struct control *control;
    struct listener *listener;
    struct timer tick; /* ends probes now and then */
    bool ticks;
    char socket[100];
    void (*client)(struct server *server);
};

/* ---- the client's side, on its thread ---- */

static int dial(const struct server *server)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(name.sun_path, sizeof(name.sun_path), "%s", server->socket);
    cr_assert(fd >= 0 && connect(fd, (struct sockaddr *)&name, sizeof(name)) == 0);
    return fd;
}

static void put(int fd, const char *data, size_t len)
{
    cr_assert_eq(send(fd, data, len, MSG_NOSIGNAL), (ssize_t)len);
}

static void ask(int fd, uint32_t msgid, const char *method, const char *params)
{
    struct wire_frame frame;
    cJSON *tree = cJSON_Parse(params);
    cr_assert_eq(wire_pack_request(msgid, method, tree, &frame), 0);
    put(fd, frame.data, frame.len);
    wire_frame_release(&frame);
    wire_delete(tree);
}

/* One more byte, or false at the end of the connection. */
static bool next_byte(int fd, char *ret)
{
    struct pollfd waiting = {.fd = fd, .events = POLLIN};
    cr_assert_eq(poll(&waiting, 1, PATIENCE_MS), 1, "nothing came");
    return recv(fd, ret, 1, 0) == 1;
}

/* The next answer; false when the connection ended instead. */
static bool hear(int fd, struct wire_response *ret)
{
    static _Thread_local char frame[WIRE_FRAME_MAX];
    struct wire_scan scan = {0};
    for (size_t len = 0; next_byte(fd, frame + len);) {
        ssize_t r = wire_scan(&scan, frame, ++len);
        cr_assert_geq(r, 0);
        if (r > 0) {
            cr_assert_eq(wire_unpack_response(frame, len, ret), 0);
            return true;
        }
    }
    return false;
}

/* Hears an answer and lets go of it; returns its kind of error, or -1 at the end. */
static int hear_kind(int fd, uint32_t *ret_msgid)
{
    struct wire_response response;
    if (!hear(fd, &response))
        return -1;
    int kind = response.error.kind;
    *ret_msgid = response.msgid;
    wire_delete(response.body);
    return kind;
}

static bool is_closed(int fd)
{
    char byte;
    return !next_byte(fd, &byte);
}

/* ---- the server's side ---- */

static void on_tick(struct timer *timer)
{
    struct server *server = (struct server *)((char *)timer - offsetof(struct server, tick));
    if (server->ticks)
        world_end_probes(&server->world);
    timer_start(timer, 20);
}

static void *run_client(void *ctx)
{
    struct server *server = ctx;
    server->client(server);
    int fd = dial(server);
    uint32_t msgid;
    ask(fd, 1, "daemon.stop", "{}");
    cr_expect_eq(hear_kind(fd, &msgid), 0, "the answer comes before the end");
    close(fd);
    return NULL;
}

static void serve(struct server *server, void (*client)(struct server *server))
{
    struct err err = {0};
    char address[192];
    pthread_t thread;
    server->client = client;
    world_init(&server->world, config_text);
    snprintf(server->socket, sizeof(server->socket), "%s/rpc.sock", server->world.place.root);
    snprintf(address, sizeof(address), "unix:%s", server->socket);
    cr_assert_eq(control_open(&server->world.gateway, &server->world.hooks, &server->control, &err),
                 0);
    cr_assert_eq(listener_open(server->world.loop, address, &control_listener_events,
                               server->control, &server->listener, &err),
                 0, "%s", err.detail);
    timer_open(&server->tick, server->world.loop, on_tick);
    timer_start(&server->tick, 20);
    cr_assert_eq(pthread_create(&thread, NULL, run_client, server), 0);
    loop_run(server->world.loop);
    pthread_join(thread, NULL);
    cr_expect_eq(server->world.stop_count, 1);
    timer_close(&server->tick, NULL);
    listener_close(server->listener);
    control_close(server->control);
    unlink(server->socket);
    world_release(&server->world);
}

/* ---- framing ---- */

static void pipeline(struct server *server)
{
    int fd = dial(server);
    bool heard[20] = {false};
    for (uint32_t i = 0; i < 20; i++)
        ask(fd, i, i % 2 ? "model.list" : "nonsense", "{}");
    for (uint32_t i = 0, msgid; i < 20; i++) {
        int kind = hear_kind(fd, &msgid);
        cr_assert_lt(msgid, 20);
        cr_expect_eq(kind, msgid % 2 ? 0 : ERR_NO_SUCH_METHOD);
        cr_expect_not(heard[msgid]);
        heard[msgid] = true;
    }
    close(fd);
}

Test(server, pipelined_requests_are_answered_by_number)
{
    static struct server server;
    serve(&server, pipeline);
}

static void by_bytes(struct server *server)
{
    struct wire_frame frame;
    uint32_t msgid;
    int fd = dial(server);
    cr_assert_eq(wire_pack_request(7, "model.list", NULL, &frame), 0);
    for (size_t i = 0; i < frame.len; i++)
        put(fd, frame.data + i, 1);
    cr_expect_eq(hear_kind(fd, &msgid), 0);
    cr_expect_eq(msgid, 7);
    wire_frame_release(&frame);
    close(fd);
}

Test(server, a_request_may_come_byte_by_byte)
{
    static struct server server;
    serve(&server, by_bytes);
}

static void good_and_bad_params(struct server *server)
{
    static const char bad[] = "\x94\x00\x03\xa6status\x91\x81\xa3"
                              "dir\xa2/\xff";
    struct wire_response response;
    uint32_t msgid;
    int fd = dial(server);
    put(fd, bad, sizeof(bad) - 1);
    cr_assert(hear(fd, &response));
    cr_expect_eq(response.error.kind, ERR_BAD_PARAMS);
    cr_expect_eq(response.msgid, 3);
    cr_expect(strstr(response.error.detail, "dir"));
    wire_delete(response.body);
    ask(fd, 4, "model.list", "{}");
    cr_expect_eq(hear_kind(fd, &msgid), 0, "the connection goes on");
    close(fd);
}

Test(server, params_that_are_no_json_cost_only_their_call)
{
    static struct server server;
    serve(&server, good_and_bad_params);
}

/* ---- bad frames ---- */

static long vm_bytes(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    cr_assert(file && fscanf(file, "%ld", &pages) == 1);
    fclose(file);
    return pages * 4096;
}

static void bombs(struct server *server)
{
    static const struct {
        const char *data;
        size_t len;
    } list[] = {
#define BOMB(literal) {literal, sizeof(literal) - 1}
        BOMB("\xdd\x05\xf5\xe1\x00"),
        BOMB("\xdf\xff\xff\xff\xff"),
        BOMB("\xdb\xff\xff\xff\xff"),
        BOMB("\xc1"),
        BOMB("\xc7\x01\x01x"),
        BOMB("\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91"),
        BOMB("\x93\x00\x05\xa1m"),
        BOMB("\x94\x00\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xa1m\x90"),
        BOMB("GET / HTTP/1.1\r\n\r\n"),
#undef BOMB
    };
    long before = vm_bytes();
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        uint32_t msgid;
        int fd = dial(server);
        put(fd, list[i].data, list[i].len);
        int kind = hear_kind(fd, &msgid);
        cr_expect(kind == ERR_BAD_FRAME || kind == ERR_TOO_LARGE, "bomb %zu: %d", i, kind);
        cr_expect(is_closed(fd), "bomb %zu", i);
        close(fd);
    }
    cr_expect_lt(vm_bytes() - before, 1024 * 1024);
}

Test(server, a_bad_frame_gets_an_error_and_the_end)
{
    static struct server server;
    serve(&server, bombs);
}

static void never_finishes(struct server *server)
{
    int fd = dial(server);
    put(fd, "\x94\x00\x01", 3);
    cr_expect(is_closed(fd), "rpcIdleMs is over");
    close(fd);
}

Test(server, an_unfinished_message_is_not_waited_for_forever)
{
    static struct server server;
    serve(&server, never_finishes);
}

static void idles(struct server *server)
{
    uint32_t msgid;
    int fd = dial(server);
    ask(fd, 1, "model.list", "{}");
    cr_expect_eq(hear_kind(fd, &msgid), 0);
    cr_expect_eq(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 400), 0,
                 "between messages there is no limit");
    ask(fd, 2, "model.list", "{}");
    cr_expect_eq(hear_kind(fd, &msgid), 0);
    close(fd);
}

Test(server, a_silent_client_without_a_message_may_stay)
{
    static struct server server;
    serve(&server, idles);
}

/* ---- bounds ---- */

static void same_number_twice(struct server *server)
{
    uint32_t msgid;
    int fd = dial(server);
    ask(fd, 5, "provider.test", "{}");
    ask(fd, 5, "model.list", "{}");
    cr_expect_eq(hear_kind(fd, &msgid), ERR_BAD_FRAME);
    server->ticks = true;
    cr_expect_eq(hear_kind(fd, &msgid), 0, "the first call is answered all the same");
    cr_expect_eq(msgid, 5);
    close(fd);
}

Test(server, a_number_in_use_is_refused)
{
    static struct server server;
    serve(&server, same_number_twice);
}

static void many_calls(struct server *server)
{
    int fd = dial(server);
    for (uint32_t i = 0; i < 100; i++)
        ask(fd, i, "provider.test", "{}");
    poll(NULL, 0, 100);
    server->ticks = true;
    for (uint32_t i = 0, msgid; i < 100; i++)
        cr_expect_eq(hear_kind(fd, &msgid), 0);
    close(fd);
}

Test(server, a_client_has_so_many_calls_and_then_is_not_read)
{
    static struct server server;
    serve(&server, many_calls);
    cr_expect_eq(server.world.most_probes, CONTROL_CALLS);
}

static void walks_away(struct server *server)
{
    int fd = dial(server);
    uint32_t msgid;
    ask(fd, 1, "provider.test", "{}");
    ask(fd, 2, "provider.test", "{}");
    ask(fd, 3, "model.list", "{}");
    cr_expect_eq(hear_kind(fd, &msgid), 0);
    close(fd);
}

Test(server, a_client_that_leaves_takes_its_calls_back)
{
    static struct server server;
    serve(&server, walks_away);
    cr_expect_eq(server.world.cancel_count, 2);
    cr_expect_eq(server.world.probe_count, 0);
}

static void reads_nothing(struct server *server)
{
    struct wire_frame frame;
    int fd = dial(server);
    struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
    cr_assert_eq(wire_pack_request(1, "rpc.describe", NULL, &frame), 0);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    bool is_dropped = false;
    for (int i = 0; i < 100000 && !is_dropped; i++)
        is_dropped = send(fd, frame.data, frame.len, MSG_NOSIGNAL) < 0 && errno == EPIPE;
    cr_expect(is_dropped, "more answers than rpcQueueMax");
    wire_frame_release(&frame);
    close(fd);
}

Test(server, a_client_that_reads_nothing_is_dropped)
{
    static struct server server;
    serve(&server, reads_nothing);
}

static void crowd(struct server *server)
{
    int fds[CONTROL_CONNECTIONS];
    uint32_t msgid;
    for (size_t i = 0; i < CONTROL_CONNECTIONS; i++) {
        fds[i] = dial(server);
        ask(fds[i], 1, "model.list", "{}");
        cr_expect_eq(hear_kind(fds[i], &msgid), 0, "client %zu", i);
    }
    int late[CONTROL_REFUSED + 1];
    for (size_t i = 0; i <= CONTROL_REFUSED; i++)
        late[i] = dial(server);
    cr_expect(is_closed(late[CONTROL_REFUSED]), "far too many");
    ask(late[0], 7, "model.list", "{}");
    cr_expect_eq(hear_kind(late[0], &msgid), ERR_BUSY, "one too many is told so");
    cr_expect_eq(msgid, 7);
    for (size_t i = 0; i < CONTROL_REFUSED; i++)
        cr_expect(is_closed(late[i]), "and may not wait");
    for (size_t i = 0; i <= CONTROL_REFUSED; i++)
        close(late[i]);
    close(fds[0]);
    poll(NULL, 0, 50);
    fds[0] = dial(server);
    ask(fds[0], 1, "model.list", "{}");
    cr_expect_eq(hear_kind(fds[0], &msgid), 0, "a place was free again");
    for (size_t i = 0; i < CONTROL_CONNECTIONS; i++)
        close(fds[i]);
    poll(NULL, 0, 50);
}

Test(server, more_clients_than_places_are_turned_away)
{
    static struct server server;
    serve(&server, crowd);
}

static void stays_connected(struct server *server)
{
    int fd = dial(server);
    ask(fd, 1, "provider.test", "{}");
    ask(fd, 2, "status", "{}");
    uint32_t msgid;
    cr_expect_eq(hear_kind(fd, &msgid), 0);
    /* left open: control_close() has to end it */
}

Test(server, closing_ends_connections_and_calls)
{
    static struct server server;
    serve(&server, stays_connected);
    cr_expect_eq(server.world.cancel_count, 1);
}
