/*
 * Event framing on any bytes: the same events whether fed whole, byte by byte or in odd pieces, and
 * raw bytes that add up to the input.
 */
#include "net/sse.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#define MAX_EVENT 4096

struct seen {
    struct bytes events;
    struct bytes raw;
};

static void add_field(struct bytes *out, struct span field)
{
    char mark = field.at ? '+' : '-';
    assert(bytes_add(out, &mark, 1) == 0 && bytes_add(out, &field.len, sizeof(field.len)) == 0);
    assert(bytes_add_span(out, field) == 0);
}

static int note(void *ctx, const struct sse_event *event)
{
    struct seen *seen = ctx;
    assert(event->raw.len > 0 && event->raw.len <= MAX_EVENT);
    assert(bytes_add_span(&seen->raw, event->raw) == 0);
    if (event->name.at || event->data.at) {
        add_field(&seen->events, event->name);
        add_field(&seen->events, event->data);
    }
    return 0;
}

/* step 0: pieces whose sizes come from the bytes themselves. */
static int feed(struct seen *seen, struct span text, size_t step)
{
    struct sse sse;
    int r = 0;
    *seen = (struct seen){.events = {.max = 1 << 26}, .raw = {.max = 1 << 24}};
    sse_init(&sse, MAX_EVENT);
    for (size_t at = 0; r == 0 && at < text.len;) {
        size_t len = step ? step : 1u + (unsigned char)text.at[at] % 7;
        len = text.len - at < len ? text.len - at : len;
        char *piece = malloc(len);
        assert(piece);
        memcpy(piece, text.at + at, len);
        r = sse_feed(&sse, (struct span){piece, len}, note, seen);
        free(piece);
        at += len;
    }
    if (r == 0)
        r = sse_finish(&sse, note, seen);
    sse_release(&sse);
    return r;
}

static void release(struct seen *seen)
{
    bytes_release(&seen->events);
    bytes_release(&seen->raw);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = {(const char *)data, size};
    struct seen whole, cut;
    if (size == 0)
        return 0;
    int r = feed(&whole, text, size);
    assert(r < 0 || span_equal(bytes_span(&whole.raw), text));
    for (size_t step = 0; step < 2; step++) {
        /* A CR ends an event before its LF, so at the bound a cut may pass where the whole does
         * not. */
        int cut_r = feed(&cut, text, step);
        if (r == 0 && cut_r == 0) {
            assert(span_equal(bytes_span(&cut.raw), text));
            assert(span_equal(bytes_span(&cut.events), bytes_span(&whole.events)));
        }
        release(&cut);
    }
    release(&whole);
    return 0;
}
