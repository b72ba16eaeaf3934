/* Between listener.c and stream.c: how an accepted descriptor becomes a stream. */
#pragma once

#include "net/stream.h"

/* Takes fd. Returns 0, or a negative libuv error after which stream_close() must still be called.
 */
int stream_start(struct stream *stream, struct loop *loop, int fd, bool is_unix,
                 const struct peer *peer, const struct stream_events *events, size_t high_mark,
                 size_t max);
