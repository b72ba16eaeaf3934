/*
 * A local estimate of tokens, where no provider tells: by bytes and the kind of script. No tokenizer
 * and no download; marked as an estimate wherever it shows.
 */
#pragma once

#include "ir/request.h"

/* Tokens of one text (escapes count as what they stand for). */
int64_t ir_estimate_text(struct ir_text text);
/* Input tokens of a whole request: messages, tools, images and documents. At least 1. */
int64_t ir_estimate_input(const struct ir_request *request);
