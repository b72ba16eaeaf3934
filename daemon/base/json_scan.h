/*
 * The cursor behind json.h: a position in a text, its end, and what was wrong there. Private to
 * json*.c; everybody else uses json.h.
 */
#pragma once

#include "base/json.h"

struct json_scan {
    const char *start; /* of the text, for line and column */
    const char *at;
    const char *end;
    const char *problem; /* a sentence's end: "a string is not closed"; NULL: all is well */
};

/* The cursor at the start of a text. */
struct json_scan json_scan_of(struct span text);

/* Notes the first problem at `at`; returns false. */
bool json_scan_fail(struct json_scan *scan, const char *at, const char *problem);

/* The noted problem as an error with line and column; 0 when there is none. */
int json_scan_error(const struct json_scan *scan, struct err *reterr);

/* The next byte that is no white space stands at scan->at; false at the end. */
bool json_scan_space(struct json_scan *scan);

/* The first byte of the text's value stands at scan->at; a byte order mark is a problem. */
bool json_scan_open(struct json_scan *scan);

/* A literal or number is taken and exactly checked. */
bool json_scan_scalar(struct json_scan *scan, struct json *ret);

/* A string is taken, its contents not looked at. */
bool json_scan_string(struct json_scan *scan, struct json *ret);

/*
 * A whole value is taken: scalars checked, containers only for balance. depth is the number of
 * containers around it.
 */
bool json_scan_value(struct json_scan *scan, unsigned depth, struct json *ret);

/* White space up to the end of the text; anything else is a problem. */
bool json_scan_end(struct json_scan *scan);
