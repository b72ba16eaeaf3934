/*
 * Losses: what one dialect said and the other cannot say. Nothing is dropped in silence: whoever
 * leaves something out names it here, in the client's words ("top_k", "tools[].cache_control",
 * "messages[].content[].citations"). Each name counts once, in order of appearance.
 */
#pragma once

#include "base/bytes.h"
#include "base/json.h"

#define IR_LOSS_NAME  48
#define IR_LOSSES_MAX 24

struct ir_losses {
    unsigned count;
    bool has_more; /* more than fit */
    char names[IR_LOSSES_MAX][IR_LOSS_NAME];
};

/* Notes one loss. losses NULL: nobody asks. A longer name is cut. */
void ir_lose(struct ir_losses *losses, const char *name);
/*
 * The same for a member's key as the client spelled it, behind a prefix ("", "tools[]."). Bytes that
 * do not belong into a header become '?'.
 */
void ir_lose_member(struct ir_losses *losses, const char *prefix, struct json key);
/* Those of `from` as well. */
void ir_losses_join(struct ir_losses *losses, const struct ir_losses *from);
/* "a, b, c" or "a, b, more"; nothing when there are none. Fit for a header. As bytes_add(). */
int ir_losses_write(const struct ir_losses *losses, struct bytes *out);
