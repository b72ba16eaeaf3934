/*
 * Scrubbing: providers echo keys in their error texts; what we show, log or keep must not.
 */
#pragma once

#include "base/bytes.h"

/*
 * A copy of the text in which everything that looks like a key (sk-..., AIza..., xai-..., gsk_...,
 * Bearer ... and others of scrub.c, or any run of 32 and more letters and digits that is no path)
 * is replaced by "[key]". JSON stays JSON. One of 4 static buffers of 512 bytes; longer text is
 * cut.
 */
const char *scrub_text(const char *text);

/* The same for a whole body, appended to `out`. As bytes_add(). */
int scrub_body(struct span body, struct bytes *out);
