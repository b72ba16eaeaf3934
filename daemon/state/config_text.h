/*
 * A configuration text opened for reading: checked, comments blanked, with places.
 *
 *   blanked  a copy in which comments and commas before a closing bracket are spaces, so offsets
 * are those of the original; every `struct json` of the reader points into it place    where a
 * slice stands, as line and column and as "providers[2].baseURL"
 *
 * Private to the configuration reader and editor. The copy may hold plain keys: it is wiped.
 */
#pragma once

#include "base/json.h"
#include "state/config.h"

struct config_text {
    struct span original; /* borrowed */
    struct bytes blanked;
    struct json root;
};

/* Where and why a text is not JSON. */
struct config_fault {
    struct json_place place;
    char why[160];
};

/*
 * Copies, blanks and validates a text, which is borrowed until release. -ERR_CONFIG_INVALID with
 * *ret_fault filled; release is needed all the same. root has any type.
 */
int config_text_init(struct config_text *text, struct span original,
                     struct config_fault *ret_fault);
void config_text_release(struct config_text *text);

/* Line and column of a byte of the blanked copy. */
struct json_place config_text_place(const struct config_text *text, const char *at);
/*
 * The path of the innermost value or member that contains this byte: "globalSettings.maxRetries",
 * "providers[2]", "" for the root. Cut to `size`.
 */
void config_text_path(const struct config_text *text, const char *at, char *out, size_t size);
/* The byte of the original that a byte of the blanked copy stands for. */
static inline size_t config_text_offset(const struct config_text *text, const char *at)
{
    return (size_t)(at - text->blanked.data);
}
