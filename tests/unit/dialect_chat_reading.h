/*
 * Answers of Chat Completions read into events, and those as a text that can be compared:
 *
 *     ^ start  (t (r (f (c block of text, reasoning, refusal, call: id and name)  'piece'
 *     #signature  ) stop  .word finish with usage in+read+write/out(reasoning)  !kind: error
 *     and behind it how the decoder and ir_write_end() ended, when not with 0
 *
 * Every stream is held against the grammar of events.
 */
#pragma once

#include "dialect/openai_chat.h"
#include "support/lifecycle.h"

struct reading {
    struct openai_chat_decoder decoder;
    struct ir_writer writer;
    struct ir_losses losses;
    struct lifecycle life;
    struct bytes text;
    char losses_text[256];
};

void reading_init(struct reading *reading);
void reading_release(struct reading *reading);
/* One event; `name` may be NULL. What the decoder returned. */
int reading_event(struct reading *reading, const char *name, struct span data);
/* The end of an answer whose decoder returned r: the events as text; losses_text is filled too. */
const char *reading_finish(struct reading *reading, int r);
/* A whole answer is read as these events with these losses (NULL: none). */
void expect_whole(const char *body, const char *wanted, const char *losses);
