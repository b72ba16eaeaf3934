/*
 * What the request bodies of every dialect with `model` and `stream` at their top level have in
 * common: reading the view, and replacing the model.
 */
#pragma once

#include "dialect/dialect.h"

#define MODEL_NAME_MAX 256 /* bytes of a model's name, decoded */

/*
 * Fills everything of a view but wants_usage; stream_options is found, not checked. Errors:
 * -ERR_INVALID_REQUEST naming the field, -ERR_TOO_LARGE when the arena is full.
 */
int request_read(struct span body, struct arena *arena, struct request_view *ret,
                 struct err *reterr);

/* The splice that replaces the model, unless it is that model already. -ERR_TOO_LARGE as above. */
int request_replace_model(const struct request_view *view, struct span model, struct arena *arena,
                          struct splices *ret, struct err *reterr);
