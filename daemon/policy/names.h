/*
 * Model names: what a name in a request, a pin or a file means.
 *
 *   catalogue  every (provider, model) pair that is configured, and the user's aliases
 *   standing   `aictl` and `claude-aictl`: "whatever is effective for this project now"
 *   tool name  a name that tools use by default (claude-*, gpt-*, codex-*, gemini-*, o3...): when no
 *              provider has it, it means the project's model as well
 *
 * Names compare without regard to ASCII case. `provider/model` and `provider,model` select one
 * provider; a model whose own name has a slash is found first. A suffix in square brackets, as
 * Claude Code's "[1m]", is ignored when the name with it is not configured.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"

struct catalogue_model {
    const char *provider;
    const char *model;
    unsigned provider_index; /* in the order of the configuration */
};

struct catalogue_alias {
    const char *name;
    const char *target; /* a model name, provider/model, or another alias */
};

struct catalogue {
    const struct catalogue_model *models;
    size_t model_count;
    const struct catalogue_alias *aliases;
    size_t alias_count;
};

enum name_kind {
    NAME_UNKNOWN,
    NAME_CONCRETE,  /* a configured model */
    NAME_STANDING,  /* the project's model */
    NAME_TOOL_DEFAULT, /* not configured, but in the closed table: the project's model */
};

struct name {
    enum name_kind kind;
    /* NAME_CONCRETE: indexes into catalogue.models, in the catalogue's order; at most 8. */
    size_t candidate_count;
    unsigned candidates[8];
};

/* What a name means. Aliases are followed at most 8 deep; a loop is NAME_UNKNOWN. */
struct name name_resolve(const struct catalogue *catalogue, struct span text);

/*
 * Up to `max` configured names nearest to an unknown one, best first (edit distance, then prefix and
 * part-of-name matches). Returns how many.
 */
size_t name_near(const struct catalogue *catalogue, struct span text, const char **ret, size_t max);

/* "did you mean X, Y or Z?" or the list of the first configured names, for an error's detail. */
void name_suggest(const struct catalogue *catalogue, struct span text, struct bytes *out);
