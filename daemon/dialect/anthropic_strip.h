/*
 * Reasoning that another provider signed, taken out of a body that is otherwise passed on: after a
 * switch of the model the new provider cannot read it and refuses the whole request.
 */
#pragma once

#include "dialect/dialect.h"

/*
 * Finds the thinking and redacted_thinking blocks of a Messages body whose signature (or redacted
 * data) is_foreign says yes to, and adds the splices that take them out with their commas; a message
 * of nothing else goes as a whole. ANTHROPIC_OWN_SIGNATURE is foreign everywhere and not asked
 * about. A block without a signature stays: some providers sign nothing and take it back so.
 *
 * *ret is initialised with the arena if it is zeroed. *ret_count is the number of blocks.
 * -ERR_TOO_LARGE when the arena is full.
 */
int anthropic_strip_reasoning(struct span body,
                              bool (*is_foreign)(void *ctx, struct ir_text signature), void *ctx,
                              struct arena *arena, struct splices *ret, unsigned *ret_count);
