/*
 * Configuration: an immutable, ref-counted snapshot of config.json, and how it is read.
 *
 *   snapshot  everything in use; a reload makes a new one, running requests keep theirs
 *   option    a number or switch of `globalSettings`, one row of options.def
 *   quirk     what a provider takes or wants beyond its dialect; shipped (quirks.def), and
 *             overridden by `capabilities` in the file
 *   known     a provider whose address is shipped with the program (known.def), so that
 *             `aictl login deepseek` works without a configuration row
 *   place     file, line and column, in every error
 *
 * A snapshot holds no key. `apiKey` is "vault:NAME" (a vault record), "" or absent (no key wanted),
 * or a plain key, which the reader hands to its caller once (config_key_fn) and forgets.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "dialect/dialect.h"
#include "policy/names.h"
#include "state/quirks.h"
#include "state/url.h"

#define CONFIG_MAX_BYTES (1024 * 1024) /* of a file */

/* The options, as fields: from options.def. Times in ms, sizes in bytes. */
struct options {
#define OPTION(name, type, unit, def, min, max, help) int64_t name;
#include "state/options.def"
#undef OPTION
};

enum key_mode {
    KEY_MODE_NONE,  /* the provider takes no key */
    KEY_MODE_VAULT, /* key_id names a vault record */
};

struct provider {
    const char *name;
    const char *description; /* "" when absent */
    const struct dialect *dialect;
    bool is_demo;
    const char *base_url; /* as configured, without a trailing slash */
    const char *origin;   /* "https://api.deepseek.com:443"; for demo "unix:demo" */
    enum key_mode key_mode;
    const char *key_id; /* vault record; the provider's name unless "vault:OTHER" */
    size_t model_count;
    const char *const *models;
    struct quirk_rows quirk_rows; /* the built-in ones */
    struct quirk quirk;           /* what the file says of all its models */
    size_t model_quirk_count;
    const struct model_quirk *model_quirks; /* and of some, later ones counting */
};

struct config {
    unsigned refs;
    struct arena arena;
    const char *path; /* of the file; "" for the built-in demo configuration */
    size_t provider_count;
    struct provider *providers;
    struct catalogue catalogue;
    const char *default_model; /* NULL: none */
    unsigned default_model_line;
    const char *only_model; /* when exactly one model is configured */
    size_t listen_count;
    const char *const *listen; /* "127.0.0.1:3000", "[::1]:3000" */
    bool is_built_in;          /* the text names no providers: the demo stands in */
    bool has_demo_only;        /* nothing is configured but the demo provider */
    struct options options;
    size_t warning_count;
    const char *const *warnings;
};

/* A plain key met while reading: provider's name, its origin, the key (borrowed, then wiped). */
typedef void (*config_key_fn)(void *ctx, const char *provider, const char *origin, struct span key);

/* One problem of a text. */
struct config_problem {
    unsigned line, column;
    char path[128]; /* "providers[2].baseURL" */
    char message[256];
    bool is_warning;
};

struct config_problems {
    size_t count;
    struct config_problem list[32];
};

/*
 * Reads a configuration text. `file` names it in messages; `mode` is the file's permission bits
 * (plain keys in a file readable by others are refused with an error, as ssh does). Every problem
 * found is listed in *problems; the first error also fills reterr as "FILE:LINE:COLUMN: PATH:
 * message". key_fn NULL: keys are checked only. The text is wiped where keys stood only by the
 * caller (bytes.wipe).
 */
int config_parse(struct span text, const char *file, unsigned mode, config_key_fn key_fn, void *ctx,
                 struct config **ret, struct config_problems *problems, struct err *reterr);

/*
 * Reads the file; one that does not exist gives the built-in configuration: the demo provider,
 * plainly labelled, and its models.
 */
int config_load(const char *path, config_key_fn key_fn, void *ctx, struct config **ret,
                struct config_problems *problems, struct err *reterr);

struct config *config_ref(struct config *config);
struct config *config_unref(struct config *config);

/* By name, without regard to case; NULL when there is none. */
const struct provider *config_provider(const struct config *config, struct span name);
/*
 * What is known of a model of one of the snapshot's providers: the defaults, the built-in quirks
 * (state/quirks.h), what the file says of the provider, what it says of the model; later ones count.
 * The target's name is `model` itself, borrowed.
 */
struct ir_target config_target(const struct config *config, const struct provider *provider,
                               struct span model);
/* May be a provider's (and a vault record's) name: 1 to 63 of A-Z a-z 0-9 . _ - */
bool config_is_provider_name(struct span name);

/* ---- changing the file; comments and everything else in it are kept ---- */

/*
 * Both edit functions replace what is in `out`. Indentation and line ends follow what is there. The
 * result is checked to be JSON again. -ERR_CONFIG_INVALID with line and column when the text is
 * not; -ERR_TOO_LARGE above CONFIG_MAX_BYTES or out->max.
 */

/*
 * Returns in `out` the text with `apiKey` of a provider set to "vault:NAME". -ERR_NOT_FOUND when
 * the text has no such provider.
 */
int config_edit_key(struct span text, const char *provider, struct bytes *out, struct err *reterr);

/* A provider row to be written. base_url and description may be NULL. */
struct provider_row {
    const char *name, *type, *base_url, *description;
    const char *const *models;
    size_t model_count;
    bool has_key;
};

/*
 * Returns in `out` the text with a provider row added. An empty text, or one of comments only,
 * becomes a whole file with the row's first model as defaultModel. A provider of that name: its
 * baseURL, type and models (unless there are none in the row) are replaced, the rest of its row
 * stays; members that are equal already are not touched.
 */
int config_edit_provider(struct span text, const struct provider_row *row, struct bytes *out,
                         struct err *reterr);

/* A provider known to the program, or NULL; see known.def. */
const struct provider_row *known_provider(struct span name);
/* The known providers' names, for messages; ends with NULL. */
const char *const *known_provider_names(void);
