/* Keys do not stay behind in memory: the whole process is searched for one (security.md, fact 6).
 */
#include "net/fetch.h"

#include <fcntl.h>
#include <unistd.h>

#include "unit/net_fetch_world.h"

#define KEY_LEN    48
#define REGION_MAX (256L << 20) /* larger ones are a sanitizer's own */
#define PIECE      65536

TestSuite(fetch_memory, .init = fetch_world_open, .fini = fetch_world_close, .timeout = 120);

/* The key as it is kept here: every bit turned over, so that it cannot be found. */
static char turned_key[KEY_LEN];

static void make_key(void)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ+/";
    loop_random(turned_key, KEY_LEN);
    for (size_t i = 0; i < KEY_LEN; i++)
        turned_key[i] = (char)~letters[(unsigned char)turned_key[i] % (sizeof(letters) - 1)];
}

static bool is_key(const char *at)
{
    for (size_t i = 0; i < KEY_LEN; i++)
        if (at[i] != (char)~turned_key[i])
            return false;
    return true;
}

/* Pieces overlap by a key's length less one, so that none is cut. */
static size_t count_in(int mem, long from, long to)
{
    static char piece[PIECE];
    size_t count = 0;
    for (long at = from; at < to; at += PIECE - KEY_LEN + 1) {
        ssize_t n = pread(mem, piece, to - at < PIECE ? (size_t)(to - at) : PIECE, at);
        for (ssize_t i = 0; i + KEY_LEN <= n; i++)
            count += is_key(piece + i);
        explicit_bzero(piece, sizeof(piece));
    }
    return count;
}

static size_t copies_in_memory(void)
{
    size_t count = 0;
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "re");
    int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    cr_assert(maps && mem >= 0);
    while (fgets(line, sizeof(line), maps)) {
        long from, to;
        char mode[8];
        if (sscanf(line, "%lx-%lx %7s", (unsigned long *)&from, (unsigned long *)&to, mode) == 3 &&
            mode[0] == 'r' && mode[1] == 'w' && to - from <= REGION_MAX)
            count += count_in(mem, from, to);
    }
    fclose(maps);
    close(mem);
    return count;
}

static void begin_with_key(struct seen *seen)
{
    struct fetch_request request = request_of("POST");
    struct bytes line = {.max = 256, .wipe = true};
    cr_assert_eq(bytes_addf(&line, "authorization: Bearer "), 0);
    for (size_t i = 0; i < KEY_LEN; i++) {
        char c = (char)~turned_key[i];
        cr_assert_eq(bytes_add(&line, &c, 1), 0);
    }
    request.secret_header = bytes_span(&line);
    begin(seen, &request);
    bytes_release(&line);
}

/* Takes a request with the key in it and forgets what was received. */
static void take_and_answer(struct wire *wire, bool is_first, struct span answer)
{
    if (is_first)
        take_post(wire);
    else
        take_another(wire);
    bool found = false;
    for (size_t i = 0; i + KEY_LEN <= wire->in.len; i++)
        found |= is_key(wire->in.data + i);
    cr_expect(found, "the key was not sent");
    bytes_clear(&wire->in);
    wire_send(wire, answer);
}

Test(fetch_memory, no_copy_of_a_key_is_left_when_the_pool_is_forgotten)
{
    struct wire wire;
    make_key();
    for (int i = 0; i < 3; i++) {
        struct seen seen = {0};
        begin_with_key(&seen);
        cr_expect_gt(copies_in_memory(), 0, "the search finds nothing");
        take_and_answer(&wire, i == 0, SPAN(OK(2) "ok"));
        until_done(&seen);
        release(&seen);
    }
    settle();
    cr_expect_leq(copies_in_memory(), 1, "more than the idle handle's own");
    fetch_pool_forget(pool);
    settle();
    cr_expect_eq(copies_in_memory(), 0);
    wire_close(&wire);
}

Test(fetch_memory, nor_when_fetches_were_cancelled_or_failed)
{
    struct wire wire;
    make_key();
    struct seen before = {0}, cancelled = {.on_head = cancel_self}, broken = {0};
    begin_with_key(&before);
    fetch_cancel(before.fetch);
    begin_with_key(&cancelled);
    take_and_answer(&wire, true, SPAN(OK(2) "ok"));
    until_hung_up(&wire);
    wire_close(&wire);
    begin_with_key(&broken);
    take_and_answer(&wire, true, SPAN("HTTP/1.1 200 OK\r\n"));
    wire_close(&wire);
    until_done(&broken);
    fetch_pool_forget(pool);
    settle();
    cr_expect_eq(copies_in_memory(), 0);
    release(&cancelled);
}
