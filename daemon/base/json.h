/*
 * JSON scanner over the original bytes: no tree, no copies.
 *
 * A `struct json` is the raw slice of one value inside a text that stays where it is. What nobody
 * interprets is carried on as that slice, so numbers like 1.0 or 9007199254740993 and escapes like
 * \u0000 survive unchanged; what is interpreted is decoded on demand. Edits are splices: positions
 * of slices say where.
 *
 *   text      the bytes, kept by the caller as long as any slice of it is used
 *   value     struct json: type + raw bytes, for a string with its quotes
 *   skim      structure only (strings, brackets): what a pass-through needs, near memchr speed
 *   validate  everything RFC 8259 asks: literals, numbers, escapes, UTF-8
 *   find      one pass over an object that finds several members
 *   pick      the same for what we answer for: a name given twice is refused
 *
 * Every function is safe on any bytes: what is not well formed ends an iteration or gives an error,
 * never a read outside the text. Nesting is bounded by JSON_DEPTH.
 *
 * To use it for a pass-through: json_pick_text() the body. For a conversion: json_validate() the
 * text once, then json_pick() what the dialect knows, iterate arrays, keep strings and the rest as
 * slices (a string's slice is already escaped for any other JSON text), decode only what is looked
 * at.
 */
#pragma once

#include "base/arena.h"
#include "base/bytes.h"
#include "base/err.h"

#define JSON_DEPTH 256

enum json_type {
    JSON_ABSENT,
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT,
};

struct json {
    const char *at;
    size_t len;
    enum json_type type;
};

/* Where a text is wrong, for messages. Line and column start at 1; columns count bytes. */
struct json_place {
    size_t offset;
    unsigned line;
    unsigned column;
};

/* The place of an offset in a text. */
struct json_place json_place(struct span text, size_t offset);

/* ---- whole texts ---- */

/*
 * The one value of a text, skimmed: brackets and strings balance and nothing but white space stands
 * behind it. Literals and numbers inside containers are not looked at. A leading byte order mark is
 * an error. Returns 0 or -ERR_INVALID_REQUEST with line and column in the detail.
 */
int json_skim(struct span text, struct json *ret, struct err *reterr);

/*
 * The same, fully checked: literals, number grammar, escapes (a lone surrogate escape is accepted,
 * as JavaScript's JSON.stringify writes them), control characters, UTF-8, depth. Duplicate names
 * are not looked for here (json_pick does).
 */
int json_validate(struct span text, struct json *ret, struct err *reterr);

/*
 * Overwrites // and block comments, and commas before a closing bracket, with spaces, outside of
 * strings, so that offsets, lines and columns stay true; for configuration files. Fails with
 * -ERR_INVALID_REQUEST on an unterminated comment.
 */
int json_blank_comments(char *text, size_t len, struct err *reterr);

/*
 * json_skim() and json_pick_exact() in one pass over the bytes: the members of the object that is
 * the whole text. Errors are theirs.
 */
int json_pick_text(struct span text, const char *const *names, struct json *ret_root,
                   struct json *out, struct err *reterr);

/*
 * ---- walking ----
 *
 * Scalars on the walked level are fully checked, containers on it for balance. A walk that meets
 * something malformed ends there; json_pick() says so, the others are for texts already checked or
 * for reading what can be read.
 */

struct json_iter {
    const char *at;
    const char *end;
};

/* Start of an array or object; any other value gives an iterator that is at its end. */
struct json_iter json_iter(struct json container);
/* The next element of an array; false at the end. */
bool json_next(struct json_iter *iter, struct json *ret_value);
/* The next member of an object; *ret_key is the raw string with its quotes. False at the end. */
bool json_next_member(struct json_iter *iter, struct json *ret_key, struct json *ret_value);

/* The member of this name, JSON_ABSENT when there is none (the first one when given twice). */
struct json json_get(struct json object, const char *name);
/* json_get() along a path of names, e.g. json_path(v, "usage", "prompt_tokens_details", NULL). */
struct json json_path(struct json value, ...) __attribute__((sentinel));

/*
 * A text taken for an object or array by its first and last byte, nothing checked; JSON_ABSENT for
 * any other text. For reading what can be read of an answer that is passed on anyway.
 */
struct json json_peek(struct span text);

/*
 * Finds several members of an object in one pass. names ends with NULL; out[i] is the value of
 * names[i] (the first one when given twice) or JSON_ABSENT. Anything but an object has no members.
 */
void json_find(struct json object, const char *const *names, struct json *out);
/*
 * The same with a check; at most 32 names. A listed name that stands twice (also when spelled with
 * escapes, or differing only in the case of letters) is -ERR_INVALID_REQUEST: what we check must be
 * what others read, and parsers differ on duplicates. Not an object, or malformed on its own level:
 * -ERR_INVALID_REQUEST (line and column count from the object's first byte).
 */
int json_pick(struct json object, const char *const *names, struct json *out, struct err *reterr);
/*
 * The same for request bodies: a listed name in another case is refused even when it stands alone.
 * An edit that adds the exact name would make two of it for a parser that ignores case.
 */
int json_pick_exact(struct json object, const char *const *names, struct json *out,
                    struct err *reterr);

/* ---- single values ---- */

/*
 * The characters of a string one after the other, escapes decoded, without memory. Invalid UTF-8
 * and lone surrogate escapes come as U+FFFD.
 *
 *     struct json_reader reader = json_reader(string);
 *     for (struct span character; json_read(&reader, &character);)
 */
struct json_reader {
    const char *at;
    const char *end;
    char decoded[4];
};

/* Anything but a string has no characters. */
struct json_reader json_reader(struct json string);
/* The next character in UTF-8, 1 to 4 bytes, valid until the next call; false at the end. */
bool json_read(struct json_reader *reader, struct span *ret_character);

/* A string's text is exactly this (escapes decoded). */
bool json_is(struct json string, const char *text);
/*
 * The decoded text of a string. Without escapes it borrows the original bytes; else it is a copy in
 * the arena. Invalid UTF-8 or lone surrogate escapes become U+FFFD. -ERR_INVALID_REQUEST when the
 * value is no string, -ERR_TOO_LARGE when the arena is full.
 */
int json_text(struct json string, struct arena *arena, struct span *ret);
/* A string, array or object with something in it. */
bool json_is_filled(struct json value);
/* The raw bytes between a string's quotes; empty for anything else. */
struct span json_raw_text(struct json string);
/* A whole number within the range of int64; false for anything else (1.0 and 1e3 count as whole).
 */
bool json_int(struct json number, int64_t *ret);
/* False for anything but a number, and for one of more than 127 characters. */
bool json_double(struct json number, double *ret);
static inline bool json_is_true(struct json value)
{
    return value.type == JSON_TRUE;
}
/* Absent or null. */
static inline bool json_is_nothing(struct json value)
{
    return value.type == JSON_ABSENT || value.type == JSON_NULL;
}
static inline struct span json_span(struct json value)
{
    return (struct span){value.at, value.len};
}

/* ---- writing ---- */

/* Appends a text as a JSON string with quotes; invalid UTF-8 becomes U+FFFD. As bytes_add(). */
int json_add_string(struct bytes *out, struct span text);
/* The same without the quotes, for a string that is put together from several pieces. */
int json_add_escaped(struct bytes *out, struct span text);
