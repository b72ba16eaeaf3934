/*
 * The form of an answer: a stream of events or one whole body. Content types lie in both directions,
 * so the first bytes decide.
 */
#pragma once

#include "base/bytes.h"

enum form {
    FORM_UNKNOWN,
    FORM_STREAM,
    FORM_WHOLE,
    FORM_ERROR, /* any body of an error status */
};

/*
 * From the beginning of a body. says_stream: its content type is that of a stream. FORM_UNKNOWN:
 * more bytes are needed.
 */
enum form form_sniff(struct span body, bool says_stream);
/* There is something, and it is white space alone. */
bool form_is_blank(struct span body);
