/* Usage as Messages spells it, read and written; for the tap and for both directions of answers. */
#pragma once

#include "base/bytes.h"
#include "base/json.h"
#include "ir/usage.h"

/*
 * Reads a `usage` object over what is known already: a count that is told overwrites the earlier
 * one. Input counts that are all zero say nothing: some providers count input only at the start.
 * Anything but an object with a count leaves *usage as it is.
 */
void anthropic_usage_read(struct json json, struct usage *usage);

/*
 * Appends the object. The four counts are always there, since clients take those of the last event
 * for the whole answer's; the split of cache writes only when there were any. NULL: zeros. As
 * bytes_add().
 */
int anthropic_usage_write(const struct usage *usage, struct bytes *out);
