/* What the taps of all dialects share; struct tap itself is the dialect interface's. */
#pragma once

#include "dialect/dialect.h"

/* Notes an error inside a good answer; `body` is the whole event or answer. The first counts. */
void tap_error(struct tap *tap, struct span body);

/* Notes an answer that is no answer, in our own words. */
void tap_nonsense(struct tap *tap, const char *problem);

/* Notes the finish word; anything but a filled string is none. */
void tap_finish(struct tap *tap, struct json word);

/* A count of tokens: a whole number, not negative, below 2^53. False leaves *ret as it is. */
bool tap_count(struct json value, int64_t *ret);

/*
 * The same facts from neutral events, for answers that are converted: the exchange looks at one
 * place whatever way an answer takes. The finish word is ours, since events have none.
 */
void tap_ir_event(struct tap *tap, const struct ir_event *event);
