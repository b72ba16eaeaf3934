/* Listeners and streams over real TCP and Unix sockets. */
#include "net/stream.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit/net_wire.h"

#define HIGH  65536
#define MOST  (8 * 1024 * 1024)
#define LARGE (4 * 1024 * 1024)

/* One accepted connection. */
struct side {
    struct stream stream;
    struct bytes in;
    unsigned ends, drains, closes;
    bool is_open;
};

static struct loop *loop;
static struct listener *listener;
static struct side sides[8];
static size_t accepted;
static bool refuses;
static char path[64], unix_address[80];

static struct side *side_of(struct stream *stream)
{
    return (struct side *)stream;
}

static void on_data(struct stream *stream, struct span data)
{
    cr_expect_eq(side_of(stream)->ends, 0);
    cr_expect_eq(bytes_add_span(&side_of(stream)->in, data), 0);
}

static void on_end(struct stream *stream)
{
    side_of(stream)->ends++;
    stream_close(stream);
}

static void on_drain(struct stream *stream)
{
    side_of(stream)->drains++;
}

static void on_closed(struct stream *stream)
{
    side_of(stream)->closes++;
    side_of(stream)->is_open = false;
    bytes_release(&side_of(stream)->in);
}

static const struct stream_events events = {on_data, on_end, on_drain, on_closed};

static void on_accept(struct listener *from, void *ctx)
{
    (void)ctx;
    if (refuses)
        return;
    struct side *side = &sides[accepted % 8];
    accepted++;
    side->in = (struct bytes){.max = 1 << 24};
    side->is_open = true;
    cr_expect_eq(stream_open(&side->stream, from, &events, HIGH, MOST), 0);
}

static const struct listener_events listener_events = {on_accept};

static void listen_on(const char *address)
{
    struct err err = {0};
    cr_assert_eq(listener_open(loop, address, &listener_events, NULL, &listener, &err), 0, "%s",
                 err.detail);
}

static void open_loop(void)
{
    loop = loop_new();
    snprintf(path, sizeof(path), "/tmp/aictl-stream-%d.sock", (int)getpid());
    snprintf(unix_address, sizeof(unix_address), "unix:%s", path);
}

static void close_loop(void)
{
    listener_close(listener);
    for (size_t i = 0; i < 8; i++)
        if (sides[i].is_open)
            stream_close(&sides[i].stream);
    loop_free(loop);
    for (size_t i = 0; i < 8; i++)
        cr_expect_leq(sides[i].closes, 1);
}

TestSuite(stream, .init = open_loop, .fini = close_loop, .timeout = 30);
TestSuite(listener, .init = open_loop, .fini = close_loop, .timeout = 30);

/* Stands before libuv's: it has nothing to fail with, but might one day. */
static int write_fails_with;

int uv_write(uv_write_t *request, uv_stream_t *uv, const uv_buf_t buffers[], unsigned count,
             uv_write_cb done)
{
    return write_fails_with ? write_fails_with : uv_write2(request, uv, buffers, count, NULL, done);
}

static struct side *connect_one(struct wire *wire)
{
    size_t before = accepted;
    wire_open(wire, listener_address(listener));
    WIRE_UNTIL(loop, accepted > before);
    cr_assert_eq(accepted, before + 1);
    return &sides[before % 8];
}

static void write_zeros(struct side *side, size_t len)
{
    char *zeros = calloc(1, len);
    cr_expect_eq(stream_write(&side->stream, (struct span){zeros, len}), 0);
    free(zeros);
}

/* ---- streams ---- */

static void exchange_on(const char *address)
{
    struct wire wire;
    listen_on(address);
    struct side *side = connect_one(&wire);
    cr_expect(side->stream.peer.is_known && peer_is_own(&side->stream.peer));
    cr_expect_eq(side->stream.is_unix, listener_is_unix(listener));
    wire_send(&wire, SPAN("question"));
    WIRE_UNTIL(loop, side->in.len == 8);
    cr_expect(span_equal(bytes_span(&side->in), SPAN("question")));
    cr_expect_eq(stream_write(&side->stream, SPAN("answer")), 0);
    WIRE_RECEIVE_UNTIL(loop, &wire, wire.in.len);
    cr_expect(wire_has(&wire, "answer"));
    wire_close(&wire);
    WIRE_UNTIL(loop, side->closes);
    cr_expect(side->ends == 1 && side->closes == 1);
}

Test(stream, bytes_go_both_ways_over_tcp)
{
    exchange_on("127.0.0.1:0");
}

Test(stream, bytes_go_both_ways_over_a_unix_socket)
{
    exchange_on(unix_address);
}

Test(stream, what_is_written_in_one_turn_leaves_together_at_its_end)
{
    struct wire wire;
    listen_on("127.0.0.1:0");
    struct side *side = connect_one(&wire);
    for (int i = 0; i < 100; i++)
        cr_expect_eq(stream_write(&side->stream, SPAN("piece")), 0);
    cr_expect_eq(stream_queued(&side->stream), 500);
    cr_expect_eq(stream_sent(&side->stream), 0, "nothing leaves before the turn ends");
    wire_turn(loop);
    cr_expect_eq(stream_queued(&side->stream), 0);
    cr_expect_eq(stream_sent(&side->stream), 500);
    WIRE_RECEIVE_UNTIL(loop, &wire, wire.in.len == 500);
    cr_expect_eq(wire.in.len, 500);
    wire_close(&wire);
}

Test(stream, a_full_queue_drains_once_and_nothing_is_lost)
{
    struct wire wire;
    listen_on(unix_address);
    struct side *side = connect_one(&wire);
    cr_expect(!stream_is_full(&side->stream));
    write_zeros(side, HIGH);
    cr_expect(!stream_is_full(&side->stream));
    write_zeros(side, LARGE);
    cr_expect(stream_is_full(&side->stream));
    wire_turn(loop);
    cr_expect(stream_is_full(&side->stream) && side->drains == 0);
    uint64_t sent = stream_sent(&side->stream);
    cr_expect(sent > 0 && sent + stream_queued(&side->stream) == HIGH + LARGE);
    write_zeros(side, 1);
    WIRE_RECEIVE_UNTIL(loop, &wire, wire.in.len == HIGH + LARGE + 1);
    cr_expect_eq(wire.in.len, HIGH + LARGE + 1);
    WIRE_UNTIL(loop, side->drains);
    cr_expect_eq(side->drains, 1);
    cr_expect_eq(stream_sent(&side->stream), HIGH + LARGE + 1);
    wire_close(&wire);
}

Test(stream, a_queue_above_its_maximum_closes_the_stream)
{
    struct wire wire;
    listen_on(unix_address);
    struct side *side = connect_one(&wire);
    write_zeros(side, MOST);
    cr_expect_eq(stream_write(&side->stream, SPAN("x")), -ERR_TOO_LARGE);
    cr_expect_eq(side->closes, 0, "before stream_write returned");
    cr_expect_eq(stream_write(&side->stream, SPAN("x")), -ERR_CLIENT_GONE);
    WIRE_UNTIL(loop, side->closes);
    cr_expect(side->closes == 1 && side->ends == 0);
    wire_close(&wire);
}

Test(stream, closing_while_writing_is_final)
{
    struct wire wire;
    listen_on("127.0.0.1:0");
    struct side *side = connect_one(&wire);
    write_zeros(side, LARGE);
    wire_turn(loop);
    write_zeros(side, 10);
    stream_close(&side->stream);
    stream_close(&side->stream);
    cr_expect_eq(side->closes, 0);
    WIRE_RECEIVE_UNTIL(loop, &wire, side->closes && wire.has_ended);
    cr_expect(side->closes == 1 && side->ends == 0 && side->drains == 0);
    cr_expect_lt(wire.in.len, LARGE);
    wire_close(&wire);
}

Test(stream, closing_when_sent_sends_it_all_first)
{
    struct wire wire;
    listen_on("127.0.0.1:0");
    struct side *side = connect_one(&wire);
    write_zeros(side, LARGE);
    stream_close_when_sent(&side->stream);
    WIRE_RECEIVE_UNTIL(loop, &wire, wire.has_ended);
    cr_expect_eq(wire.in.len, LARGE);
    cr_expect(!wire.was_reset);
    WIRE_UNTIL(loop, side->closes);
    cr_expect_eq(side->closes, 1);
    wire_close(&wire);
}

Test(stream, shutting_down_when_sent_still_reads)
{
    struct wire wire;
    listen_on("127.0.0.1:0");
    struct side *side = connect_one(&wire);
    write_zeros(side, LARGE);
    stream_shutdown_when_sent(&side->stream);
    WIRE_RECEIVE_UNTIL(loop, &wire, wire.has_ended);
    cr_expect_eq(wire.in.len, LARGE);
    cr_expect_eq(side->closes + side->ends, 0);
    wire_send(&wire, SPAN("still here"));
    WIRE_UNTIL(loop, side->in.len == 10);
    cr_expect_eq(side->in.len, 10);
    wire_close(&wire);
    WIRE_UNTIL(loop, side->closes);
    cr_expect(side->ends == 1 && side->closes == 1);
}

Test(stream, a_paused_stream_reads_nothing)
{
    struct wire wire;
    listen_on("127.0.0.1:0");
    struct side *side = connect_one(&wire);
    stream_pause(&side->stream);
    wire_send(&wire, SPAN("early"));
    for (int i = 0; i < 20; i++)
        wire_turn(loop);
    cr_expect_eq(side->in.len, 0);
    stream_resume(&side->stream);
    WIRE_UNTIL(loop, side->in.len == 5);
    cr_expect_eq(side->in.len, 5);
    wire_close(&wire);
}

Test(stream, a_reset_while_writing_ends_it_once)
{
    struct wire wire;
    listen_on("127.0.0.1:0");
    struct side *side = connect_one(&wire);
    write_zeros(side, LARGE);
    wire_turn(loop);
    wire_reset(&wire);
    WIRE_UNTIL(loop, side->closes);
    cr_expect(side->ends == 1 && side->closes == 1);
}

Test(stream, a_write_that_fails_at_once_ends_it)
{
    struct wire wire;
    listen_on("127.0.0.1:0");
    struct side *side = connect_one(&wire);
    write_fails_with = UV_ENOMEM;
    write_zeros(side, LARGE);
    WIRE_UNTIL(loop, side->closes);
    cr_expect(side->ends == 1 && side->closes == 1, "%u ends", side->ends);
    wire_close(&wire);
}

Test(stream, buffers_at_rest_do_not_keep_the_room_of_their_peak)
{
    struct wire wire;
    listen_on(unix_address);
    struct side *side = connect_one(&wire);
    write_zeros(side, LARGE);
    wire_turn(loop);
    write_zeros(side, LARGE);
    WIRE_RECEIVE_UNTIL(loop, &wire, wire.in.len == 2 * LARGE);
    WIRE_UNTIL(loop, stream_queued(&side->stream) == 0);
    cr_expect_gt(side->stream.queue.cap, 65536, "there may be more to write");
    stream_rest(&side->stream);
    wire_turn(loop);
    cr_expect_leq(side->stream.queue.cap, 65536, "%zu", side->stream.queue.cap);
    cr_expect_leq(side->stream.sending.cap, 65536, "%zu", side->stream.sending.cap);
    write_zeros(side, LARGE);
    stream_rest(&side->stream);
    WIRE_RECEIVE_UNTIL(loop, &wire, side->stream.sending.cap + side->stream.queue.cap <= 131072);
    cr_expect_eq(stream_queued(&side->stream), 0);
    cr_expect_leq(side->stream.sending.cap, 65536, "%zu", side->stream.sending.cap);
    wire_close(&wire);
}

Test(stream, other_marks_hold_for_what_is_queued_already)
{
    struct wire wire;
    listen_on(unix_address);
    struct side *side = connect_one(&wire);
    write_zeros(side, 2000);
    stream_set_marks(&side->stream, 1000, 3000);
    cr_expect(stream_is_full(&side->stream));
    WIRE_UNTIL(loop, side->drains);
    cr_expect_eq(side->drains, 1);
    write_zeros(side, 3000);
    cr_expect_eq(stream_write(&side->stream, SPAN("x")), -ERR_TOO_LARGE);
    WIRE_UNTIL(loop, side->closes);
    wire_close(&wire);
}

/* ---- listeners ---- */

Test(listener, addresses_are_told_as_they_are)
{
    struct err err = {0};
    struct listener *six = NULL;
    listen_on("127.0.0.1:0");
    char wanted[32];
    snprintf(wanted, sizeof(wanted), "127.0.0.1:%d", listener_port(listener));
    cr_expect(listener_port(listener) > 0);
    cr_expect_str_eq(listener_address(listener), wanted);
    cr_expect(!listener_is_unix(listener));
    if (listener_open(loop, "[::1]:0", &listener_events, NULL, &six, &err) == 0) {
        cr_expect(!strncmp(listener_address(six), "[::1]:", 6) && listener_port(six) > 0);
        struct listener *four = listener;
        struct wire wire;
        listener = six;
        struct side *side = connect_one(&wire);
        cr_expect(peer_is_own(&side->stream.peer));
        wire_close(&wire);
        listener = four;
        listener_close(six);
    }
}

Test(listener, what_is_no_address_is_not_listened_on)
{
    static const char *const addresses[] = {
        "",
        "nonsense",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:abc",
        ":3000",
        "127.0.0.1:70000",
        "127.0.0.1:-1",
        "localhost:3000",
        "[::1:3000",
        "::1:3000",
        "[::1]3000",
        "127.0.0.1:3000 ",
        "127.0.0.1: 3000",
        "[127.0.0.1]:3000",
        "127.0.0.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1:1",
    };
    for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        struct listener *none = NULL;
        struct err err = {0};
        cr_expect_eq(listener_open(loop, addresses[i], &listener_events, NULL, &none, &err),
                     -ERR_CONFIG_INVALID, "%s", addresses[i]);
        cr_expect(none == NULL && strstr(err.detail, addresses[i]));
    }
}

Test(listener, an_address_in_use_is_named)
{
    struct listener *second = NULL;
    struct err err = {0};
    listen_on("127.0.0.1:0");
    cr_expect_eq(
        listener_open(loop, listener_address(listener), &listener_events, NULL, &second, &err),
        -ERR_IN_USE);
    cr_expect(strstr(err.detail, listener_address(listener)), "%s", err.detail);
}

Test(listener, a_unix_socket_is_private_and_goes_when_closed)
{
    struct stat st;
    umask(0);
    listen_on(unix_address);
    cr_assert_eq(lstat(path, &st), 0);
    cr_expect(S_ISSOCK(st.st_mode));
    cr_expect_eq(st.st_mode & 0777, 0600, "%o", st.st_mode);
    cr_expect_eq(umask(022), 0, "the mask of the process is as it was");
    cr_expect_str_eq(listener_address(listener), unix_address);
    cr_expect_eq(listener_port(listener), 0);
    listener_close(listener);
    listener = NULL;
    cr_expect_lt(lstat(path, &st), 0);
}

Test(listener, a_socket_left_by_a_dead_process_is_replaced_and_a_live_one_is_not)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    struct listener *second = NULL;
    struct err err = {0};
    snprintf(name.sun_path, sizeof(name.sun_path), "%s", path);
    int dead = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert_eq(bind(dead, (struct sockaddr *)&name, sizeof(name)), 0);
    close(dead);
    listen_on(unix_address);
    cr_expect_eq(listener_open(loop, unix_address, &listener_events, NULL, &second, &err),
                 -ERR_IN_USE);
    struct wire wire;
    WIRE_UNTIL(loop, sides[0].closes); /* asking whether somebody answers is a connection too */
    (void)connect_one(&wire);
    wire_close(&wire);
}

Test(listener, a_file_that_is_no_socket_is_left_alone)
{
    struct listener *none = NULL;
    struct err err = {0};
    struct stat st;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    cr_assert_geq(fd, 0);
    close(fd);
    cr_expect_lt(listener_open(loop, unix_address, &listener_events, NULL, &none, &err), 0);
    cr_expect(lstat(path, &st) == 0 && S_ISREG(st.st_mode), "a file of the user was removed");
    unlink(path);
}

Test(listener, an_inherited_socket_keeps_its_path)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    struct err err = {0};
    struct stat st;
    struct wire wire;
    snprintf(name.sun_path, sizeof(name.sun_path), "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert(bind(fd, (struct sockaddr *)&name, sizeof(name)) == 0 && listen(fd, 8) == 0);
    cr_assert_eq(listener_adopt(loop, fd, &listener_events, NULL, &listener, &err), 0, "%s",
                 err.detail);
    cr_expect_str_eq(listener_address(listener), unix_address);
    cr_expect(listener_is_unix(listener));
    (void)connect_one(&wire);
    wire_close(&wire);
    listener_close(listener);
    listener = NULL;
    cr_expect_eq(lstat(path, &st), 0, "systemd's socket was removed");
    unlink(path);
}

Test(listener, a_connection_nobody_takes_is_closed)
{
    struct wire wire;
    refuses = true;
    listen_on("127.0.0.1:0");
    wire_open(&wire, listener_address(listener));
    WIRE_RECEIVE_UNTIL(loop, &wire, wire.has_ended);
    cr_expect(wire.has_ended);
    wire_close(&wire);
}

/* A client of another uid: exits with 0 when it was cut off without a byte, 2 when it got one. */
static pid_t stranger(const char *address)
{
    char byte;
    int port = listener_port(listener);
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
    bool is_unix = !strncmp(address, "unix:", 5);
    pid_t child = fork();
    if (child != 0)
        return child;
    if (setuid(65534) != 0)
        _exit(1);
    int fd =
        socket(is_unix ? AF_UNIX : AF_INET, SOCK_STREAM, 0); /* belongs to whom it is made by */
    if (connect(fd, is_unix ? (struct sockaddr *)&un : (struct sockaddr *)&in,
                is_unix ? sizeof(un) : sizeof(in)) != 0)
        _exit(1);
    (void)send(fd, "hello", 5, MSG_NOSIGNAL); /* may be cut off already */
    _exit(recv(fd, &byte, 1, 0) > 0 ? 2 : 0);
}

/* S-08 and S-12: even when the socket's mode lets everybody in. */
Test(listener, a_peer_of_another_uid_is_cut_off_unheard)
{
    if (getuid() != 0)
        cr_skip_test("only root can be somebody else");
    const char *const addresses[] = {unix_address, "127.0.0.1:0"};
    for (int i = 0; i < 2; i++) {
        int status = -1;
        listen_on(addresses[i]);
        if (i == 0)
            cr_assert_eq(chmod(path, 0666), 0);
        pid_t child = stranger(addresses[i]);
        WIRE_UNTIL(loop, waitpid(child, &status, WNOHANG) == child);
        cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s: %x", addresses[i],
                  (unsigned)status);
        cr_expect_eq(accepted, 0);
        listener_close(listener);
        listener = NULL;
    }
}

/* F-23 */
Test(listener, without_descriptors_old_connections_live_and_nothing_spins)
{
    struct wire old, next;
    struct rlimit few;
    listen_on("127.0.0.1:0");
    struct side *side = connect_one(&old);

    /* All descriptors but those of the clients are used up. */
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &few), 0);
    few.rlim_cur = 64;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    int fillers[64], filled = 0, fds[3];
    for (int i = 0; i < 3; i++)
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    while ((fillers[filled] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
        filled++;
    struct sockaddr_in name = {.sin_family = AF_INET,
                               .sin_port = htons((uint16_t)listener_port(listener))};
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(connect(fds[i], (struct sockaddr *)&name, sizeof(name)), 0);
    clock_t before = clock();
    int64_t until = loop_clock_us() + 300000;
    WIRE_UNTIL(loop, loop_clock_us() > until);
    cr_expect_lt(clock() - before, CLOCKS_PER_SEC / 10);
    for (int i = 0; i < 3; i++) {
        char byte;
        cr_expect_eq(recv(fds[i], &byte, 1, MSG_DONTWAIT), 0, "it was left waiting");
        close(fds[i]);
    }
    cr_expect_eq(accepted, 1, "a connection without a descriptor");
    wire_send(&old, SPAN("still"));
    WIRE_UNTIL(loop, side->in.len == 5);
    cr_expect_eq(side->in.len, 5);
    while (filled)
        close(fillers[--filled]);
    (void)connect_one(&next);
    wire_close(&next);
    wire_close(&old);
}

/* Another thread may take the reserve's place between closing it and accepting. */
Test(listener, without_even_the_reserve_connections_wait_and_nothing_spins)
{
    struct wire wire;
    struct rlimit usual, none;
    listen_on("127.0.0.1:0");
    wire_open(&wire, listener_address(listener));
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &usual), 0);
    none = usual;
    none.rlim_cur = 3; /* the reserve has a higher number: giving it up helps nothing */
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    clock_t before = clock();
    int64_t until = loop_clock_us() + 250000;
    WIRE_UNTIL(loop, loop_clock_us() > until);
    cr_expect_lt(clock() - before, CLOCKS_PER_SEC / 10);
    cr_expect_eq(accepted, 0);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &usual), 0);
    WIRE_UNTIL(loop, accepted);
    cr_expect_eq(accepted, 1);
    wire_close(&wire);
}

/* Its time is over in the same turn in which the listener is closed. */
Test(listener, one_that_rests_from_accepting_can_be_closed)
{
    struct wire wire;
    struct rlimit usual, none;
    listen_on("127.0.0.1:0");
    wire_open(&wire, listener_address(listener));
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &usual), 0);
    none = usual;
    none.rlim_cur = 3;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    for (int i = 0; i < 5; i++)
        wire_turn(loop);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &usual), 0);
    (void)poll(NULL, 0, 150); /* longer than it rests */
    listener_close(listener);
    listener = NULL;
    for (int i = 0; i < 5; i++)
        wire_turn(loop);
    cr_expect_eq(accepted, 0);
    wire_close(&wire);
}
