/*
 * UTF-8, strictly as RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
 */
#pragma once

#include "base/bytes.h"

/* U+FFFD, what stands in for bytes that are no UTF-8. */
#define UTF8_REPLACEMENT "\xef\xbf\xbd"

/* Length (1 to 4) of the well-formed sequence at `at`; 0 when there is none or at == end. */
size_t utf8_sequence(const char *at, const char *end);

/* How many bytes from the start are well-formed; text.len when all are. */
size_t utf8_valid_length(struct span text);

/* Writes a code point (no surrogate, at most 0x10ffff); returns the number of bytes, 1 to 4. */
size_t utf8_encode(uint32_t code, char out[4]);

/* At most max bytes of a text, not cut inside a sequence; for messages that are shortened. */
struct span utf8_cut(struct span text, size_t max);
