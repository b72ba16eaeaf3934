/*
 * The event loop: one thread, libuv below, time and randomness for everyone above.
 *
 *   later    a call made on the next turn: nothing that starts calls back before it returns
 *   timer    embedded one-shot timer on the monotonic clock
 *   dirty    a stream with something to send; all are flushed once, at the end of the turn
 *   scratch  the one buffer that all reads go through
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct loop;

/* A loop with nothing on it; aborts when it cannot be made. */
struct loop *loop_new(void);
/* Runs what is left (close callbacks), then frees. Returns NULL. */
struct loop *loop_free(struct loop *loop);
/* Runs until loop_stop() or until no handle is active. */
void loop_run(struct loop *loop);
/* loop_run() returns at the end of this turn. */
void loop_stop(struct loop *loop);
/* libuv's loop, for handles that have no wrapper here. */
uv_loop_t *loop_uv(struct loop *loop);

#define LOOP_SCRATCH 65536
/* One buffer of LOOP_SCRATCH bytes for all reads: valid until the current callback ends. */
char *loop_scratch(struct loop *loop);

/* Monotonic time of this turn, in ms. */
int64_t loop_now_ms(const struct loop *loop);
/* Monotonic time right now, in microseconds. */
int64_t loop_clock_us(void);
/* Unix time, in ms. */
int64_t loop_wall_ms(void);
/* Random bytes from the kernel. */
void loop_random(void *out, size_t len);

/* ---- later ---- */

struct later {
    struct later *next;
    void (*fn)(struct later *later);
    bool queued;
    struct loop *loop;
};

/* Calls fn(later) on the next turn. Already queued: the new fn replaces the old one. */
void loop_later(struct loop *loop, struct later *later, void (*fn)(struct later *later));
/* Takes it back; fine when it is not queued. */
void later_cancel(struct later *later);

/* ---- flush: streams put themselves here; see stream.h ---- */

struct dirty {
    struct dirty *next;
    void (*flush)(struct dirty *dirty);
    bool queued;
    struct loop *loop;
};

/* Calls flush(dirty) once at the end of this turn, after all events of the turn. */
void loop_dirty(struct loop *loop, struct dirty *dirty);
/* Takes it back; fine when it is not queued. */
void dirty_cancel(struct dirty *dirty);

/* ---- timers ---- */

struct timer {
    uv_timer_t uv;
    void (*fn)(struct timer *timer);
    void (*on_closed)(struct timer *timer);
    void *owner; /* the opener's, for when the timer is not embedded next to what it needs */
};

/* Embeds. fn runs each time it expires. */
void timer_open(struct timer *timer, struct loop *loop, void (*fn)(struct timer *timer));
/* (Re)starts: one shot after ms. */
void timer_start(struct timer *timer, int64_t ms);
/* fn will not run until the next timer_start(). */
void timer_stop(struct timer *timer);
/* True from timer_start() until it expires or is stopped. */
bool timer_is_running(const struct timer *timer);
/* on_closed may be NULL; it runs later, and only then may the memory go. Idempotent. */
void timer_close(struct timer *timer, void (*on_closed)(struct timer *timer));
