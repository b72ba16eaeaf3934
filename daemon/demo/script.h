/*
 * What the demo provider says: a fixed text, word by word, in either dialect. Pure.
 */
#pragma once

#include "base/bytes.h"

struct script {
    bool is_messages;     /* Anthropic Messages; else OpenAI chat */
    bool has_usage_event; /* chat: a usage chunk was asked for */
    int64_t input_tokens; /* an estimate, as the whole answer is one */
    char model[128];      /* as it stood in the request's JSON, escapes and all */
    unsigned step;        /* next piece of the stream */
};

/* Appends the next event of the stream; false when it was the last one. */
bool script_next(struct script *script, struct bytes *out);
/* Appends the whole answer. */
void script_whole(const struct script *script, struct bytes *out);
