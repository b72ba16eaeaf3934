/*
 * Server-sent events, parsed from chunks that cut anywhere (WHATWG HTML, 9.2 "Server-sent events").
 *
 * An event is given with its decoded fields and with its raw bytes (from the end of the event
 * before it to the end of its blank line), so that a pass-through can leave one event out and keep
 * every other byte. Accepts LF, CRLF and CR line ends, `data:` without the space, comments, several
 * data lines, a leading byte order mark. A blank line ended by CR ends the event at once; the LF
 * that may follow begins the raw bytes of the next one.
 *
 * One thing beyond the standard: llama.cpp reports a failure in a field named `error:`. An event
 * without data lines that has one is given as if it were `event: error` with that text as data.
 *
 * An event that lies whole inside one chunk is not copied; only what a chunk leaves over is.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"

struct sse_event {
    struct span name; /* of `event:`; absent when the event has none */
    struct span data; /* data lines joined by LF; absent when there was no data line */
    struct span raw;  /* all bytes of the event with its blank line; borrowed, for this call only */
};

/*
 * One event is complete. Comments alone and blank lines alone also arrive, without name and data,
 * so that raw bytes of all calls together are exactly the bytes fed. A negative result stops the
 * feed and is returned from it.
 */
typedef int (*sse_event_fn)(void *ctx, const struct sse_event *event);

struct sse {
    struct bytes pending; /* raw bytes of the unfinished event */
    struct bytes data;    /* data lines, when an event has several */
    bool in_line;         /* the unfinished line has bytes */
    bool after_cr;        /* the last byte was a CR: an LF now belongs to it */
    bool started;         /* the byte order mark was looked for */
};

/* To be embedded; max_event bounds one event's bytes. */
void sse_init(struct sse *sse, size_t max_event);
void sse_release(struct sse *sse);

/*
 * Feeds bytes; calls on_event for each event completed by them, before it returns. Errors: what
 * on_event returned, or -ERR_TOO_LARGE when an event exceeds its maximum. After an error the parser
 * is only to be released.
 */
int sse_feed(struct sse *sse, struct span bytes, sse_event_fn on_event, void *ctx);

/* The stream ended: an event without its closing blank line is handed out (providers do that). */
int sse_finish(struct sse *sse, sse_event_fn on_event, void *ctx);
