/*
 * Views: JSON objects made from the daemon's state, for answers. No view can hold a key: what they
 * are made from does not.
 *
 * The callers own what is returned. Texts may come from files and directory names: bytes that are
 * not UTF-8 become U+FFFD.
 */
#pragma once

#include "gateway/gateway.h"

#include <cjson/cJSON.h>

/* Adds a text; NULL and, for _or_null, "" become null. */
void view_add_text(cJSON *object, const char *name, const char *text);
void view_add_text_or_null(cJSON *object, const char *name, const char *text);
/* Adds a number, or null when it is negative ("never", "not reached"). */
void view_add_count(cJSON *object, const char *name, int64_t number);
/* A text as a value of its own. */
cJSON *view_text(const char *text);
/* An array of texts, ending with NULL. */
cJSON *view_texts(const char *const *texts);

/* ---- projects and models ---- */

/* A directory's project, its choices and what they come to. */
struct effective {
    struct project_view view;
    const struct choice *choice; /* the effective one, or NULL */
    const char *model;           /* as configured; NULL when nothing is effective */
    const char *provider;        /* the first that has it */
};

/* gateway_view() and the names behind its answer. */
int effective_of(struct gateway *gateway, const struct walk *walk, const char *override,
                 struct arena *arena, struct effective *ret, struct err *reterr);

/* {dir, name} */
cJSON *view_project(const struct project_view *project);
/* Adds source, source_file, source_line: null without a choice. */
void view_add_source(cJSON *object, const struct choice *choice);
/* The same, and model and provider. */
void view_add_effective(cJSON *object, const struct effective *effective);
/* [{source, dir, file, line, model, effective, note}] */
cJSON *view_chain(const struct project_view *project);

/* ---- providers ---- */

/* "none needed", "ok", "missing", "not bound", "locked" or "corrupt". */
const char *key_state(const struct gateway *gateway, const struct provider *provider);
/* The names of a provider's models; none when it is NULL. */
cJSON *view_models(const struct provider *provider);
/* {state, id, last4, origins} */
cJSON *view_key(const struct gateway *gateway, const struct provider *provider);
/* Adds name, type, url, state, error, error_ms_ago, in_flight, last_ok_ms_ago. */
void view_add_provider(cJSON *object, const struct gateway *gateway,
                       const struct provider *provider);

/* ---- the rest ---- */

/* One attempt of the ledger. */
cJSON *view_attempt(const struct attempt_record *record);
/* {id, dir, override, client, created, expires, revoked} */
cJSON *view_token(const struct token_info *info);
/* {line, column, path, message} */
cJSON *view_problem(const struct config_problem *problem);
