/* What the taps of all dialects share; struct tap itself is the dialect interface's. */
#pragma once

#include "dialect/dialect.h"

/* Notes an error inside a good answer; `body` is the whole event or answer. The first counts. */
void tap_error(struct tap *tap, struct span body);

/* Notes an answer that is no answer, in our own words. */
void tap_nonsense(struct tap *tap, const char *problem);

/* Notes the finish word; anything but a filled string is none. */
void tap_finish(struct tap *tap, struct json word);

/* A count of tokens: a whole number, not negative. False leaves *ret as it is. */
bool tap_count(struct json value, int64_t *ret);
