/*
 * What the user sees: cleaned text, colour, aligned tables, friendly numbers.
 *
 *   screen  where output goes and what it can show (colour, UTF-8, columns)
 *   tone    why a piece of text stands out; the screen turns it into a colour or into nothing
 *   table   rows of cells, aligned when printed and fitted to the screen's width
 *
 * Everything printed from outside (answers of the daemon, file contents, arguments) goes through
 * clean_text(): a name must not be able to move the cursor or retitle the terminal.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum tone { TONE_PLAIN, TONE_BOLD, TONE_DIM, TONE_GOOD, TONE_WARN, TONE_BAD, TONE_ACCENT };

struct screen {
    FILE *out;
    bool has_colour;
    bool has_utf8;
    int width; /* columns; 0: not a terminal, nothing is cut */
};

/*
 * What `out` can show. Colour: a terminal, NO_COLOR unset or empty, TERM not "dumb", and not
 * `no_colour`. UTF-8: by LC_ALL, LC_CTYPE, LANG.
 */
struct screen screen_of(FILE *out, bool no_colour);

/* Prints text in a tone. The text is cleaned. */
void screen_put(const struct screen *screen, enum tone tone, const char *text);
/* The same for formatted text, cut at 1 KiB. */
void screen_printf(const struct screen *screen, enum tone tone, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * Copies text for display: control characters (C0, DEL, C1), bidirectional overrides and broken
 * UTF-8 become '?'; tab and newline become a space. Always NUL-terminated; cut at a whole
 * character. Returns out.
 */
char *clean_text(char *out, size_t size, const char *text);

/* Columns that cleaned UTF-8 text takes: wide characters two, combining ones none. */
int display_width(const char *text);

/*
 * Prints text in a tone, broken between words so that no line passes the screen's width; further
 * lines begin at column `indent`. The cursor is at column `from`. Not on a terminal: one line.
 */
void screen_wrap(const struct screen *screen, enum tone tone, int from, int indent,
                 const char *text);

/* ---- tables ---- */

#define TABLE_COLUMNS 10

struct cell {
    char *text; /* owned, cleaned */
    enum tone tone;
};

struct column {
    const char *title; /* NULL for all: no heading is printed */
    bool is_right;     /* aligned to the right: numbers */
    int least;         /* may be cut down to so many columns to fit; 0: never cut */
    int drops;         /* left out when cutting is not enough, the highest first; 0: never */
    bool keeps_end;    /* cut at its start: paths, whose end says most */
};

struct table {
    const struct column *columns;
    size_t column_count, row_count, capacity, filled;
    int indent;
    struct cell *cells;
};

/* An empty table. `columns` is borrowed until release. */
void table_init(struct table *table, const struct column *columns, size_t count, int indent);
void table_release(struct table *table);
/* Appends the next cell; after as many as there are columns a new row has begun. NULL is "". */
void table_add(struct table *table, enum tone tone, const char *text);
/* Prints the table; too wide for the screen, columns are left out or cut that may be. */
void table_print(const struct table *table, const struct screen *screen);

/* ---- friendly spellings; each writes into out and returns it ---- */

/* "just now", "42 s ago", "5 min ago", "3 h ago", "12 d ago". */
char *format_ago(char *out, size_t size, int64_t ms);
/* "850 ms", "4.2 s", "12 s", "3 min 10 s", "2 h 5 min", "4 d 3 h". */
char *format_span(char *out, size_t size, int64_t ms);
/* "0", "9500", "12.3k", "120k", "4.1M": five columns at most up to 999M. */
char *format_count(char *out, size_t size, int64_t count);
/* A path with the home directory as "~". */
char *format_path(char *out, size_t size, const char *path);
/* A token or key with its middle hidden: "sk-aictl-3f...9c". Already masked text stays. */
char *format_masked(char *out, size_t size, const char *text);
