/* The loop: in which order things are called, and how often. */
#include "net/loop.h"

#include <criterion/criterion.h>

#include <string.h>

static struct loop *loop;
static char order[64];

static void open_loop(void)
{
    loop = loop_new();
}

static void close_loop(void)
{
    loop_free(loop);
}

TestSuite(loop, .init = open_loop, .fini = close_loop, .timeout = 10);

static void note(char what)
{
    order[strlen(order)] = what;
}

struct named {
    struct later later;
    struct dirty dirty;
    char name;
};

static void on_later(struct later *later)
{
    note(((struct named *)later)->name);
}

static void on_later_twice(struct later *later)
{
    note(((struct named *)later)->name);
    loop_later(loop, later, on_later);
}

static void on_other(struct later *later)
{
    (void)later;
    note('X');
}

static void turn(void)
{
    (void)uv_run(loop_uv(loop), UV_RUN_NOWAIT); /* says only whether handles are left */
}

Test(loop, later_calls_come_in_their_order_on_the_next_turn)
{
    struct named all[3] = {{.name = 'a'}, {.name = 'b'}, {.name = 'c'}};
    for (int i = 0; i < 3; i++)
        loop_later(loop, &all[i].later, on_later);
    loop_later(loop, &all[0].later, on_later);
    cr_expect_str_eq(order, "");
    turn();
    cr_expect_str_eq(order, "abc", "%s", order);
    turn();
    cr_expect_str_eq(order, "abc", "once each");
}

Test(loop, what_a_later_call_queues_waits_for_the_next_turn)
{
    struct named one = {.name = 'a'}, two = {.name = 'b'};
    loop_later(loop, &one.later, on_later_twice);
    loop_later(loop, &two.later, on_later);
    turn();
    cr_expect_str_eq(order, "ab", "%s", order);
    turn();
    cr_expect_str_eq(order, "aba", "%s", order);
}

Test(loop, a_later_call_can_be_taken_back_from_anywhere_in_the_queue)
{
    for (int gone = 0; gone < 3; gone++) {
        static const char *const left[] = {"bcd", "acd", "abd"};
        struct named all[4] = {{.name = 'a'}, {.name = 'b'}, {.name = 'c'}, {.name = 'd'}};
        memset(order, 0, sizeof(order));
        for (int i = 0; i < 3; i++)
            loop_later(loop, &all[i].later, on_later);
        later_cancel(&all[gone].later);
        later_cancel(&all[gone].later);
        loop_later(loop, &all[3].later, on_later);
        turn();
        cr_expect_str_eq(order, left[gone], "%s", order);
    }
}

static struct named victim = {.name = 'v'};

static void on_later_cancelling(struct later *later)
{
    note(((struct named *)later)->name);
    later_cancel(&victim.later);
}

Test(loop, a_later_call_may_take_back_the_next_one)
{
    struct named one = {.name = 'a'}, last = {.name = 'z'};
    loop_later(loop, &one.later, on_later_cancelling);
    loop_later(loop, &victim.later, on_later);
    loop_later(loop, &last.later, on_later);
    turn();
    cr_expect_str_eq(order, "az", "%s", order);
}

Test(loop, queued_again_the_new_function_counts)
{
    struct named one = {.name = 'a'};
    loop_later(loop, &one.later, on_later);
    loop_later(loop, &one.later, on_other);
    turn();
    cr_expect_str_eq(order, "X", "%s", order);
}

/* A stream is an active handle; without one a turn does nothing. */
static struct timer active;

static void never(struct timer *timer)
{
    (void)timer;
}

static void hold_open(void)
{
    timer_open(&active, loop, never);
    timer_start(&active, 60000);
}

static void on_flush(struct dirty *dirty)
{
    note(((struct named *)((char *)dirty - offsetof(struct named, dirty)))->name);
}

static void on_later_dirtying(struct later *later)
{
    struct named *named = (struct named *)later;
    note('l');
    loop_dirty(loop, &named->dirty);
    loop_dirty(loop, &named->dirty);
}

Test(loop, a_flush_comes_once_after_what_made_it_dirty)
{
    struct named all[2] = {{.name = 'a', .dirty = {.flush = on_flush}},
                           {.name = 'b', .dirty = {.flush = on_flush}}};
    hold_open();
    loop_later(loop, &all[0].later, on_later_dirtying);
    loop_later(loop, &all[1].later, on_later_dirtying);
    turn();
    cr_expect(!strcmp(order, "llab") || !strcmp(order, "llba"), "%s", order);
    turn();
    cr_expect_eq(strlen(order), 4, "%s", order);
    loop_dirty(loop, &all[0].dirty);
    loop_dirty(loop, &all[1].dirty);
    dirty_cancel(&all[0].dirty);
    dirty_cancel(&all[0].dirty);
    turn();
    cr_expect_str_eq(order + 4, "b", "%s", order);
    timer_close(&active, NULL);
}

static struct named second = {.name = 's', .dirty = {.flush = on_flush}};

static void flush_and_dirty(struct dirty *dirty)
{
    (void)dirty;
    note('f');
    loop_dirty(loop, &second.dirty);
}

Test(loop, what_a_flush_makes_dirty_is_flushed_in_the_same_turn)
{
    struct dirty first = {.flush = flush_and_dirty};
    hold_open();
    loop_dirty(loop, &first);
    turn();
    cr_expect_str_eq(order, "fs", "%s", order);
    timer_close(&active, NULL);
}

static void on_timer(struct timer *timer)
{
    (void)timer;
    note('t');
}

static void on_timer_again(struct timer *timer)
{
    note('r');
    if (strlen(order) < 3)
        timer_start(timer, 1);
}

static void on_timer_closed(struct timer *timer)
{
    (void)timer;
    note('c');
}

Test(loop, a_timer_runs_once_and_again_when_restarted)
{
    struct timer once, again, stopped;
    timer_open(&once, loop, on_timer);
    timer_open(&again, loop, on_timer_again);
    timer_open(&stopped, loop, on_timer);
    turn(); /* the time of a turn is that of its start */
    int64_t before = loop_clock_us();
    timer_start(&once, 1000);
    timer_start(&once, 30); /* the later time counts */
    timer_start(&stopped, 5);
    cr_expect(timer_is_running(&once) && timer_is_running(&stopped));
    timer_stop(&stopped);
    cr_expect(!timer_is_running(&stopped));
    loop_run(loop);
    cr_expect_str_eq(order, "t");
    cr_expect_geq(loop_clock_us() - before, 25000);
    cr_expect_lt(loop_clock_us() - before, 900000);
    timer_start(&again, -5);
    loop_run(loop);
    cr_expect_str_eq(order, "trr", "%s", order);
    timer_close(&once, on_timer_closed);
    timer_close(&once, on_timer_closed);
    timer_close(&again, NULL);
    timer_close(&stopped, NULL);
    cr_expect_str_eq(order, "trr", "closing calls back later");
    loop_run(loop);
    cr_expect_str_eq(order, "trrc", "%s", order);
}

static void on_timer_stopping(struct timer *timer)
{
    (void)timer;
    loop_stop(loop);
}

Test(loop, stopping_returns_although_handles_are_active)
{
    static struct timer timer, far; /* closed for good by loop_free() */
    timer_open(&timer, loop, on_timer_stopping);
    timer_open(&far, loop, on_timer);
    timer_start(&timer, 1);
    timer_start(&far, 60000);
    loop_run(loop);
    cr_expect_str_eq(order, "");
    timer_close(&timer, NULL);
    timer_close(&far, NULL);
}

Test(loop, randomness_fills_every_byte)
{
    unsigned char seen[40] = {0};
    for (int i = 0; i < 64; i++) {
        unsigned char bytes[40];
        loop_random(bytes, sizeof(bytes));
        for (size_t k = 0; k < sizeof(bytes); k++)
            seen[k] |= bytes[k];
    }
    for (size_t k = 0; k < sizeof(seen); k++)
        cr_expect_eq(seen[k], 0xff, "byte %zu", k);
}

Test(loop, times_are_of_now)
{
    int64_t wall = loop_wall_ms(), clock = loop_clock_us();
    cr_expect_gt(wall, 1700000000000);
    cr_expect_leq(clock, loop_clock_us());
    cr_expect_lt(loop_clock_us() / 1000 - loop_now_ms(loop), 5000);
}
