/*
 * Quirks: what is known of providers beyond their dialect. The rows of quirks.def are shipped with
 * the program; `capabilities` of a provider in config.json goes over them (config_target() puts it
 * together).
 *
 *   quirk    a change to what is known of a target: capabilities that are on, others that are off,
 *            the most output tokens; what it does not name stays
 *   pattern  a name in which * stands for anything, also for nothing; case does not count.
 *            A list of patterns has spaces between them; the empty list matches everything.
 *
 * A provider is known by where it is (its origin's host), not by its name, which is the user's.
 * To add one: rows in quirks.def, a line in tests/support/provider_notes.def.
 */
#pragma once

#include "ir/target.h"

#define QUIRK_OUTPUT_MAX (16 * 1024 * 1024) /* tokens; far above any model's */

struct quirk {
    ir_capability_set on, off; /* no capability is in both */
    int64_t max_output;        /* 0: stays */
};

/* A quirk of some of a provider's models, from config.json. */
struct model_quirk {
    const char *models; /* one pattern */
    struct quirk quirk;
};

/* Changes the target as the quirk says. */
void quirk_apply(const struct quirk *quirk, struct ir_target *target);

/* The name is what the pattern says. */
bool quirk_matches(struct span pattern, struct span name);

#define QUIRK_ROWS_MAX 32

/* The built-in rows that are meant for one provider, whatever the model. */
struct quirk_rows {
    unsigned char count;
    unsigned char list[QUIRK_ROWS_MAX];
};

/*
 * Finds the built-in rows for a provider at this origin and base URL (both as in struct provider);
 * returns how many. For once, when a provider is configured.
 */
size_t quirks_find(struct span origin, struct span base_url, struct quirk_rows *ret);
/*
 * Applies those of them that are meant for target->model. In order, so of two that disagree the later
 * one, which is the more specific, counts.
 */
void quirks_apply(const struct quirk_rows *found, struct ir_target *target);
