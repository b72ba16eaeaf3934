/*
 * Content blocks of a Messages answer while they are read. A decoder knows which are open; this
 * writes what they hold. Results are the writer's, and -ERR_PROVIDER_ANSWER for arguments that
 * belong to no call.
 */
#pragma once

#include "dialect/anthropic.h"

#define ANTHROPIC_NO_INDEX (-1) /* the wire tells none: its newest block is meant */

/* A block begins, with what it holds already. */
int anthropic_blocks_start(struct anthropic_decoder *decoder, struct ir_writer *writer,
                           int64_t index, struct json block);
/* A delta for a block. */
int anthropic_blocks_add(struct anthropic_decoder *decoder, struct ir_writer *writer, int64_t index,
                         struct json delta);
/* A block ends; one that is not open is none of ours. */
int anthropic_blocks_stop(struct anthropic_decoder *decoder, struct ir_writer *writer,
                          int64_t index);
/* Blocks that came whole, one after the other. Anything but an array has none. */
int anthropic_blocks_read(struct anthropic_decoder *decoder, struct ir_writer *writer,
                          struct json content);
/* Writes what is held of open blocks: no more deltas are to be expected. */
int anthropic_blocks_settle(struct anthropic_decoder *decoder, struct ir_writer *writer);
/* Ends every open block. */
int anthropic_blocks_end(struct anthropic_decoder *decoder, struct ir_writer *writer);
/* Something is held, so the writer's scratch arena may not be reset. */
bool anthropic_blocks_hold(const struct anthropic_decoder *decoder);
