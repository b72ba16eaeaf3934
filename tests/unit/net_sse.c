/* Server-sent events, cut anywhere. */
#include "net/sse.h"

#include <criterion/criterion.h>
#include <stdlib.h>

/* What the events of a feed looked like: "name|data;" each, and their raw bytes together. */
struct seen {
    struct bytes events;
    struct bytes raw;
    size_t count;
};

static int note(void *ctx, const struct sse_event *event)
{
    struct seen *seen = ctx;
    seen->count++;
    cr_assert_eq(bytes_add_span(&seen->raw, event->raw), 0);
    if (!event->name.at && !event->data.at)
        return 0;
    cr_assert_eq(bytes_addf(&seen->events, SPAN_FMT "|", SPAN_ARG(event->name)), 0);
    cr_assert_eq(bytes_add_span(&seen->events, event->data.at ? event->data : SPAN("absent")), 0);
    cr_assert_eq(bytes_add(&seen->events, ";", 1), 0);
    return 0;
}

/* Feeds a text in pieces of `step` bytes, each in memory of its own. */
static void feed(struct seen *seen, struct span text, size_t step)
{
    struct sse sse;
    sse_init(&sse, 1 << 20);
    for (size_t at = 0; at < text.len; at += step) {
        size_t len = text.len - at < step ? text.len - at : step;
        char *piece = malloc(len);
        memcpy(piece, text.at + at, len);
        cr_expect_eq(sse_feed(&sse, (struct span){piece, len}, note, seen), 0);
        free(piece);
    }
    cr_expect_eq(sse_finish(&sse, note, seen), 0);
    sse_release(&sse);
}

static const struct {
    const char *text;
    const char *events;
} cases[] = {
    {"data: a\n\n", "|a;"},
    {"data:a\n\ndata:  b\n\n", "|a;| b;"},
    {"event: x\ndata: a\n\n", "x|a;"},
    {"data: a\ndata\ndata: b\n\n", "|a\n\nb;"},
    {"event: x\r\ndata: a\r\n\r\ndata: b\r\n\r\n", "x|a;|b;"},
    {"event: x\rdata: a\r\rdata: b\r\r", "x|a;|b;"},
    {"data: a\r\n\ndata: b\n\r\ndata: c\r\r\ndata: d\n\n", "|a;|b;|c;|d;"},
    {": comment\n\n: another\ndata: a\n\n", "|a;"},
    {"\n\n\ndata: a\n\n\n", "|a;"},
    {"\xef\xbb\xbf"
     "data: a\n\n\xef\xbb\xbf"
     "data: b\n\n",
     "|a;"},
    {"data: a", "|a;"},
    {"data: a\n\ndata: b\n", "|a;|b;"},
    {"event: x\n\n", "x|absent;"},
    {"id: 7\nretry: 10\ndata: a\nunknown: z\n\n", "|a;"},
    {"data:\n\n", "|;"},
    {"event: a\nevent: b\ndata: {\"x\":\"\xf0\x9f\x98\x80\"}\n\n",
     "b|{\"x\":\"\xf0\x9f\x98\x80\"};"},
    {"error: {\"code\":500}\n\ndata: a\nerror: b\n\n", "error|{\"code\":500};|a;"},
};

Test(sse, events_are_the_same_however_the_bytes_are_cut)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct span text = span_of(cases[i].text);
        for (size_t step = 1; step <= text.len; step++) {
            struct seen seen = {.events = {.max = 4096}, .raw = {.max = 4096}};
            feed(&seen, text, step);
            cr_expect(span_equal(bytes_span(&seen.events), span_of(cases[i].events)),
                      "case %zu in steps of %zu: %s", i, step, seen.events.data);
            cr_expect(span_equal(bytes_span(&seen.raw), text), "raw of case %zu, %zu", i, step);
            bytes_release(&seen.events);
            bytes_release(&seen.raw);
        }
    }
}

Test(sse, a_blank_line_ends_the_event_at_once)
{
    static const char *const chunks[] = {"data: a\n\n", "data: a\r\n\r\n", "data: a\r\r"};
    for (size_t i = 0; i < 3; i++) {
        struct seen seen = {.events = {.max = 4096}, .raw = {.max = 4096}};
        struct sse sse;
        sse_init(&sse, 100);
        cr_expect_eq(sse_feed(&sse, span_of(chunks[i]), note, &seen), 0);
        cr_expect_eq(seen.count, 1u, "chunk %zu waits for nothing", i);
        cr_expect_null(sse.pending.data, "chunk %zu is not copied", i);
        sse_release(&sse);
        bytes_release(&seen.events);
        bytes_release(&seen.raw);
    }
}

static const char *where;

static int remember(void *ctx, const struct sse_event *event)
{
    (void)ctx;
    where = event->data.at;
    return 0;
}

Test(sse, an_event_inside_one_chunk_is_borrowed_from_it)
{
    struct sse sse;
    const char *chunk = "data: abc\n\n";
    sse_init(&sse, 100);
    cr_expect_eq(sse_feed(&sse, span_of(chunk), remember, NULL), 0);
    cr_expect_eq(where, chunk + 6);
    sse_release(&sse);
}

Test(sse, an_event_is_bounded_whole_or_in_pieces)
{
    static const char line[] = "data: 0123456789\n\n";
    for (size_t step = 1; step <= sizeof(line) - 1; step += sizeof(line) - 2) {
        for (size_t max = sizeof(line) - 2; max < sizeof(line); max++) {
            struct seen seen = {.events = {.max = 4096}, .raw = {.max = 4096}};
            struct sse sse;
            sse_init(&sse, max);
            int r = 0;
            for (size_t at = 0; r == 0 && at < sizeof(line) - 1; at += step)
                r = sse_feed(&sse, (struct span){line + at, step}, note, &seen);
            cr_expect_eq(r, max < sizeof(line) - 1 ? -ERR_TOO_LARGE : 0, "%zu of %zu", step, max);
            sse_release(&sse);
            bytes_release(&seen.events);
            bytes_release(&seen.raw);
        }
    }
}

Test(sse, a_large_event_gives_its_memory_back)
{
    struct seen seen = {.events = {.max = 1 << 20}, .raw = {.max = 1 << 20}};
    struct sse sse;
    char *text = malloc(100000);
    memset(text, 'x', 100000);
    memcpy(text, "data: ", 6);
    sse_init(&sse, 1 << 20);
    cr_expect_eq(sse_feed(&sse, (struct span){text, 100000}, note, &seen), 0);
    cr_expect_eq(sse_feed(&sse, SPAN("\n\n"), note, &seen), 0);
    cr_expect_eq(seen.raw.len, 100002u);
    cr_expect_null(sse.pending.data);
    sse_release(&sse);
    bytes_release(&seen.events);
    bytes_release(&seen.raw);
    free(text);
}

static int refuse(void *ctx, const struct sse_event *event)
{
    (void)event;
    ++*(int *)ctx;
    return -ERR_CLIENT_GONE;
}

Test(sse, what_the_callback_returns_stops_the_feed)
{
    struct sse sse;
    int calls = 0;
    sse_init(&sse, 100);
    cr_expect_eq(sse_feed(&sse, SPAN("data: a\n\ndata: b\n\n"), refuse, &calls), -ERR_CLIENT_GONE);
    cr_expect_eq(calls, 1);
    sse_release(&sse);
}
