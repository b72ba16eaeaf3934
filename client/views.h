/*
 * Phrases and tables that several commands show alike: where a model comes from, how providers are.
 */
#pragma once

#include <cjson/cJSON.h>
#include <stddef.h>

#include "client/render.h"

/*
 * Why a model is effective, from the members source, source_file and source_line of an answer:
 * "chosen for this project with aictl switch", "set in ~/src/shop/.aictl.json:2".
 * A source that a newer daemon has is called by its name. Returns out.
 */
char *view_reason(char *out, size_t size, const cJSON *answer);

/* The table of providers, for status: name, type, state, last answer; below it why some fail. */
void view_providers(const struct screen *screen, const cJSON *providers);
/* The same with models, key and address instead of the last answer. */
void view_provider_details(const struct screen *screen, const cJSON *providers);
