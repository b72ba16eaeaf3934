/*
 * How a configuration text is laid out, so that what is added looks like what is there.
 *
 *   unit     one step of indentation: what the first indented member of the file has, else 2 spaces
 *   item     the text of a member ("name": value) or of an array's element
 *   anchor   the member or element an item goes behind; its place says whether items stand on lines
 *            of their own or behind one another
 *   edits    splices on the original text, which keep every byte they do not name
 *
 * An item goes behind the anchor's own comments: a comment at the end of a line belongs to what it
 * follows. Private to the configuration editor.
 */
#pragma once

#include "dialect/dialect.h"
#include "state/config_text.h"

struct config_layout {
    const struct config_text *text;
    const char *eol; /* "\n" or "\r\n" */
    struct span unit;
    bool is_one_line;   /* the whole value stands on one line */
    struct arena arena; /* of the edits' texts */
    struct splices edits;
};

/* text stays with the caller and must outlive the layout. */
void config_layout_init(struct config_layout *layout, const struct config_text *text);
void config_layout_release(struct config_layout *layout);

/* White space before a slice when nothing else stands before it on its line, else absent. */
struct span config_own_indent(const struct config_layout *layout, struct json slice);
/* White space at the start of the line a byte stands on. */
struct span config_line_indent(const struct config_layout *layout, const char *at);
/* The slice goes over more than one line. */
bool config_is_spread(struct json slice);

/* Replaces a slice. The three editing functions: -ERR_TOO_LARGE when there are too many edits. */
int config_replace(struct config_layout *layout, struct json slice, struct span text);
/*
 * Puts items behind an anchor: `start` is its first part (a member's name, or the element itself),
 * `value` its last.
 */
int config_insert_behind(struct config_layout *layout, struct json start, struct json value,
                         const struct span *items, size_t count);
/* Puts the first item into an empty array or object. */
int config_insert_first(struct config_layout *layout, struct json container, struct span item);
