/*
 * Dump: the neutral forms as readable text, one fact a line, for golden files. Texts are shown as
 * they are kept, escaped and between quotes; slices as they were spelled. What is absent is not
 * shown. Aborts when memory is out.
 */
#pragma once

#include "base/bytes.h"
#include "ir/event.h"

void ir_dump_request(struct bytes *out, const struct ir_request *request);

/* "losses: a, b" or "losses: none". */
void ir_dump_losses(struct bytes *out, const struct ir_losses *losses);

/* Events as they come; deltas of one block are shown joined, so it does not show how they were cut. */
struct ir_event_dump {
    struct bytes out;
    bool is_open; /* a block's text is being written */
};

void ir_event_dump_init(struct ir_event_dump *dump);
void ir_event_dump_release(struct ir_event_dump *dump);
/* An ir_event_fn; ctx is the dump. Never fails. */
int ir_event_dump_take(void *ctx, const struct ir_event *event);
/* Nothing more comes: `result` is what ir_write_end() or the decoder gave. */
void ir_event_dump_end(struct ir_event_dump *dump, int result);
