/*
 * The list of models in a dialect's shape: the standing alias first, then every configured model.
 */
#pragma once

#include "dialect/dialect.h"
#include "state/config.h"

/*
 * Appends the list for a surface. Names are given once, also when several providers have the model.
 * -ERR_TOO_LARGE when `out` or the arena is full.
 */
int models_write(const struct config *config, const struct dialect *surface, struct arena *arena,
                 struct bytes *out);
