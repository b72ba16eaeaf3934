/*
 * See loop.h. One turn of libuv's loop, with our two queues in it:
 *
 *     timers -> idle: later queue -> prepare: flush -> poll for I/O -> check: flush -> closing
 *
 * The idle handle runs only while the later queue has something, since it keeps poll from waiting.
 */
#include "net/loop.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

struct loop {
    uv_loop_t uv;
    uv_idle_t idle;
    uv_prepare_t prepare;
    uv_check_t check;
    struct later *later_head;
    struct later **later_tail;
    size_t later_count;
    struct dirty *dirty;
    char scratch[LOOP_SCRATCH];
};

/* Runs as many as stand in the queue now: what is queued meanwhile waits for the next turn. */
static void on_idle(uv_idle_t *idle)
{
    struct loop *loop = idle->data;
    for (size_t n = loop->later_count; n && loop->later_head; n--) {
        struct later *later = loop->later_head;
        later_cancel(later);
        later->fn(later);
    }
    if (!loop->later_head)
        uv_idle_stop(idle);
}

static void flush_all(struct loop *loop)
{
    while (loop->dirty) {
        struct dirty *dirty = loop->dirty;
        loop->dirty = dirty->next;
        dirty->queued = false;
        dirty->flush(dirty);
    }
}

static void on_prepare(uv_prepare_t *prepare)
{
    flush_all(prepare->data);
}

static void on_check(uv_check_t *check)
{
    flush_all(check->data);
}

struct loop *loop_new(void)
{
    struct loop *loop = calloc(1, sizeof(*loop));
    if (!loop || uv_loop_init(&loop->uv) < 0)
        abort();
    loop->uv.data = loop;
    loop->later_tail = &loop->later_head;
    uv_idle_init(&loop->uv, &loop->idle);
    uv_prepare_init(&loop->uv, &loop->prepare);
    uv_check_init(&loop->uv, &loop->check);
    loop->idle.data = loop->prepare.data = loop->check.data = loop;
    uv_prepare_start(&loop->prepare, on_prepare);
    uv_check_start(&loop->check, on_check);
    uv_unref((uv_handle_t *)&loop->prepare);
    uv_unref((uv_handle_t *)&loop->check);
    return loop;
}

struct loop *loop_free(struct loop *loop)
{
    if (!loop)
        return NULL;
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT); /* close callbacks of what owners have closed */
    uv_close((uv_handle_t *)&loop->idle, NULL);
    uv_close((uv_handle_t *)&loop->prepare, NULL);
    uv_close((uv_handle_t *)&loop->check, NULL);
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT); /* the three above */
    int r = uv_loop_close(&loop->uv);
    assert(r == 0);
    (void)r;
    free(loop);
    return NULL;
}

void loop_run(struct loop *loop)
{
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT); /* says only whether handles are left */
}

void loop_stop(struct loop *loop)
{
    uv_stop(&loop->uv);
}

uv_loop_t *loop_uv(struct loop *loop)
{
    return &loop->uv;
}

char *loop_scratch(struct loop *loop)
{
    return loop->scratch;
}

int64_t loop_now_ms(const struct loop *loop)
{
    return (int64_t)uv_now(&loop->uv);
}

int64_t loop_clock_us(void)
{
    return (int64_t)(uv_hrtime() / 1000);
}

int64_t loop_wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void loop_random(void *out, size_t len)
{
    char *at = out;
    while (len) {
        ssize_t n = getrandom(at, len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            abort(); /* no randomness, no tokens */
        at += n;
        len -= (size_t)n;
    }
}

void loop_later(struct loop *loop, struct later *later, void (*fn)(struct later *later))
{
    later->fn = fn;
    if (later->queued)
        return;
    later->queued = true;
    later->loop = loop;
    later->next = NULL;
    *loop->later_tail = later;
    loop->later_tail = &later->next;
    loop->later_count++;
    uv_idle_start(&loop->idle, on_idle);
}

void later_cancel(struct later *later)
{
    if (!later->queued)
        return;
    struct later **link = &later->loop->later_head;
    while (*link != later)
        link = &(*link)->next;
    *link = later->next;
    if (later->loop->later_tail == &later->next)
        later->loop->later_tail = link;
    later->loop->later_count--;
    later->queued = false;
}

void loop_dirty(struct loop *loop, struct dirty *dirty)
{
    if (dirty->queued)
        return;
    dirty->queued = true;
    dirty->loop = loop;
    dirty->next = loop->dirty;
    loop->dirty = dirty;
}

void dirty_cancel(struct dirty *dirty)
{
    if (!dirty->queued)
        return;
    struct dirty **link = &dirty->loop->dirty;
    while (*link != dirty)
        link = &(*link)->next;
    *link = dirty->next;
    dirty->queued = false;
}

static void on_timer(uv_timer_t *uv)
{
    struct timer *timer = uv->data;
    timer->fn(timer);
}

void timer_open(struct timer *timer, struct loop *loop, void (*fn)(struct timer *timer))
{
    uv_timer_init(&loop->uv, &timer->uv);
    timer->uv.data = timer;
    timer->fn = fn;
    timer->on_closed = NULL;
    timer->owner = NULL;
}

void timer_start(struct timer *timer, int64_t ms)
{
    uv_timer_start(&timer->uv, on_timer, ms > 0 ? (uint64_t)ms : 0, 0);
}

void timer_stop(struct timer *timer)
{
    uv_timer_stop(&timer->uv);
}

bool timer_is_running(const struct timer *timer)
{
    return uv_is_active((const uv_handle_t *)&timer->uv);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct timer *timer = handle->data;
    if (timer->on_closed)
        timer->on_closed(timer);
}

void timer_close(struct timer *timer, void (*on_closed)(struct timer *timer))
{
    if (uv_is_closing((uv_handle_t *)&timer->uv))
        return;
    timer->on_closed = on_closed;
    uv_close((uv_handle_t *)&timer->uv, on_timer_closed);
}
