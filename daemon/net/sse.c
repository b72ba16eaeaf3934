/*
 * See sse.h. Two steps: find_end() follows the line ends to the blank line that closes an event,
 * keeping its state from chunk to chunk, so no byte is searched twice; parse() then reads the
 * fields of the whole event.
 */
#include "net/sse.h"

#define BYTE_ORDER_MARK "\xef\xbb\xbf"
#define KEEP_PENDING    16384u /* a larger buffer is given back after its event */

void sse_init(struct sse *sse, size_t max_event)
{
    *sse = (struct sse){.pending = {.max = max_event}, .data = {.max = max_event}};
}

void sse_release(struct sse *sse)
{
    bytes_release(&sse->pending);
    bytes_release(&sse->data);
}

static const char *line_end(const char *at, const char *end)
{
    const char *newline = memchr(at, '\n', (size_t)(end - at));
    if (newline)
        end = newline;
    const char *cr = at < end ? memchr(at, '\r', (size_t)(end - at)) : NULL;
    return cr ? cr : newline;
}

/* The byte behind the event's blank line; NULL when it is not in [at, end). */
static const char *find_end(struct sse *sse, const char *at, const char *end)
{
    while (at < end) {
        bool was_cr = sse->after_cr;
        sse->after_cr = false;
        if (was_cr && *at == '\n') {
            at++;
            continue;
        }
        const char *stop = line_end(at, end);
        if (!stop) {
            sse->in_line = true;
            return NULL;
        }
        bool is_blank = stop == at && !sse->in_line;
        sse->in_line = false;
        sse->after_cr = *stop == '\r';
        at = stop + 1;
        if (!is_blank)
            continue;
        if (sse->after_cr && at < end && *at == '\n') {
            sse->after_cr = false;
            at++;
        }
        return at;
    }
    return NULL;
}

/* Fields of one event while its lines are read. */
struct fields {
    struct span name;
    struct span data;
    struct span error;
    bool is_joined; /* data stands in sse->data */
};

static int add_data(struct sse *sse, struct fields *fields, struct span value)
{
    if (!fields->data.at) {
        fields->data = value;
        return 0;
    }
    int r = 0;
    if (!fields->is_joined) {
        bytes_clear(&sse->data);
        r = bytes_add_span(&sse->data, fields->data);
        fields->is_joined = true;
    }
    if (r == 0)
        r = bytes_add(&sse->data, "\n", 1);
    if (r == 0)
        r = bytes_add_span(&sse->data, value);
    fields->data = bytes_span(&sse->data);
    return r;
}

static int read_line(struct sse *sse, struct fields *fields, struct span line)
{
    struct span value, field = span_cut(line, ':', &value);
    if (!value.at)
        value = (struct span){line.at + line.len, 0};
    else if (value.len && value.at[0] == ' ')
        value.at++, value.len--;
    if (span_equal(field, SPAN("data")))
        return add_data(sse, fields, value);
    if (span_equal(field, SPAN("event")))
        fields->name = value;
    else if (span_equal(field, SPAN("error")))
        fields->error = value;
    return 0;
}

static struct span without_mark(struct sse *sse, struct span raw)
{
    if (!sse->started && span_starts(raw, SPAN(BYTE_ORDER_MARK))) {
        raw.at += sizeof(BYTE_ORDER_MARK) - 1;
        raw.len -= sizeof(BYTE_ORDER_MARK) - 1;
    }
    sse->started = true;
    return raw;
}

static int hand_out(struct sse *sse, struct span raw, sse_event_fn on_event, void *ctx)
{
    struct fields fields = {0};
    struct span text = without_mark(sse, raw);
    const char *at = text.at, *end = text.at + text.len;
    int r = 0;
    while (r == 0 && at < end) {
        const char *stop = line_end(at, end);
        if (!stop)
            stop = end;
        if (stop > at)
            r = read_line(sse, &fields, (struct span){at, (size_t)(stop - at)});
        at = stop + 1; /* a CRLF's LF makes one more empty line, which means nothing here */
    }
    if (r < 0)
        return r;
    if (fields.error.at && !fields.data.at) {
        fields.name = SPAN("error");
        fields.data = fields.error;
    }
    struct sse_event event = {.name = fields.name, .data = fields.data, .raw = raw};
    return on_event(ctx, &event);
}

static void drop_pending(struct sse *sse)
{
    if (sse->pending.cap > KEEP_PENDING)
        bytes_release(&sse->pending);
    else
        bytes_clear(&sse->pending);
    if (sse->data.cap > KEEP_PENDING)
        bytes_release(&sse->data);
}

/* The event that ends with `piece`: a part of the chunk, or what is pending with it. */
static int complete(struct sse *sse, struct span piece, sse_event_fn on_event, void *ctx)
{
    if (sse->pending.len == 0)
        return piece.len > sse->pending.max ? -ERR_TOO_LARGE : hand_out(sse, piece, on_event, ctx);
    int r = bytes_add_span(&sse->pending, piece);
    if (r == 0)
        r = hand_out(sse, bytes_span(&sse->pending), on_event, ctx);
    drop_pending(sse);
    return r;
}

int sse_feed(struct sse *sse, struct span bytes, sse_event_fn on_event, void *ctx)
{
    const char *at = bytes.at, *end = bytes.at + bytes.len;
    for (const char *stop; at < end && (stop = find_end(sse, at, end)); at = stop) {
        int r = complete(sse, (struct span){at, (size_t)(stop - at)}, on_event, ctx);
        if (r < 0)
            return r;
    }
    return at < end ? bytes_add(&sse->pending, at, (size_t)(end - at)) : 0;
}

int sse_finish(struct sse *sse, sse_event_fn on_event, void *ctx)
{
    if (sse->pending.len == 0)
        return 0;
    int r = hand_out(sse, bytes_span(&sse->pending), on_event, ctx);
    drop_pending(sse);
    return r;
}
