/*
 * Model names: what a name in a request, a pin or a file means.
 *
 *   catalogue  every (provider, model) pair that is configured, and the user's aliases
 *   standing   `aictl`, `claude-aictl` and `aictl/current`: "whatever is effective for this project
 *              now"
 *   tool name  a name that tools use by default (claude-*, gpt-*, codex-*, gemini-*, o3...): when
 * no provider has it, it means the project's model as well
 *
 * Names compare without regard to ASCII case. The first of these that fits decides:
 *
 *   1. a configured model's own name, with slashes or not
 *   2. a user's alias
 *   3. `provider/model` or `provider,model`: one provider's model
 *   4. 1 to 3 without a suffix in square brackets, as Claude Code's "[1m]"
 *   5. a standing alias; `aictl:NAME` and `claude-aictl:NAME` mean NAME (tools that list only ids
 *      with "claude" in them are shown models that way)
 *   6. a tool name
 *
 * so what the user configured always beats the names built in here. An alias, and a NAME behind
 * `aictl:`, were chosen by somebody: they have to be configured or standing, and are never taken
 * for a tool name.
 *
 * To add a tool's default name: one row in tool_names[] of names.c.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"

/* Longest name that is looked up, in bytes; a longer one is unknown. */
#define NAME_MAX_LEN 256

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
    NAME_CONCRETE,     /* a configured model */
    NAME_STANDING,     /* the project's model */
    NAME_TOOL_DEFAULT, /* not configured, but in the closed table: the project's model */
};

struct name {
    enum name_kind kind;
    /*
     * NAME_CONCRETE: indexes into catalogue.models, in the catalogue's order; one for each provider
     * that has the model, at most 8.
     */
    size_t candidate_count;
    unsigned candidates[8];
};

/*
 * True for a text that may be a name at all: 1 to NAME_MAX_LEN bytes of UTF-8 without control
 * characters. For those who store one.
 */
bool name_is_well_formed(struct span text);

/* What a name means. Aliases are followed at most 8 deep; a loop is NAME_UNKNOWN. */
struct name name_resolve(const struct catalogue *catalogue, struct span text);

/*
 * Up to `max` configured names nearest to an unknown one, best first (edit distance, then prefix
 * and part-of-name matches). Returns how many.
 */
size_t name_near(const struct catalogue *catalogue, struct span text, const char **ret, size_t max);

/*
 * "did you mean X, Y or Z?" or the list of the first configured names, for an error's detail. A
 * buffer that is full cuts it.
 */
void name_suggest(const struct catalogue *catalogue, struct span text, struct bytes *out);
