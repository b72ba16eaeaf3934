/*
 * Choosing: from a request's model name and its project to the providers that may serve it.
 */
#pragma once

#include "gateway/gateway.h"

#define CANDIDATES_MAX 8

struct candidate {
    const struct provider *provider;
    const char *model; /* as the provider spells it */
};

struct candidates {
    size_t count;
    struct candidate list[CANDIDATES_MAX];
    const char *project; /* its name, for the record */
    bool is_alias;       /* the project's model was meant, not the one named */
};

/*
 * The candidates for a request that names `requested`, made on surface `surface` from the directory
 * of `walk` (NULL: the global project) with the shell's override (or NULL). In the order of the
 * configuration, but those that speak the surface's dialect first. Errors: -ERR_MODEL_NOT_FOUND
 * with near names, -ERR_NO_MODEL.
 */
int choose(struct gateway *gateway, const struct config *config, const struct dialect *surface,
           struct span requested, const struct walk *walk, const char *override,
           struct arena *arena, struct candidates *ret, struct err *reterr);
