/*
 * Problems of a configuration text while it is read: each with its place, errors before warnings
 * when the list is full. Private to the configuration reader.
 */
#pragma once

#include "state/config.h"
#include "state/config_text.h"

struct config_report {
    const struct config_text *text;
    struct config_problems *problems;
    size_t error_count; /* all of them, also those the list had no room for */
};

/* An error or a warning about a value or a member's name; `where` points into the text. */
void config_error(struct config_report *report, struct json where, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void config_warn(struct config_report *report, struct json where, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/*
 * True when the list still takes an error or a warning. A problem is counted in any case; this is
 * for callers whose hint costs more than a moment, such as a search for near names.
 */
bool config_report_has_room(const struct config_report *report, bool is_warning);
/* The error that the text is not JSON at all. */
void config_fault(struct config_report *report, const struct config_fault *fault);

/* Sorts the list by place. */
void config_report_sort(struct config_report *report);
/* "FILE:LINE:COLUMN: PATH: message" */
void config_problem_text(const struct config_problem *problem, const char *file, char *out,
                         size_t size);

/*
 * "did you mean X? " for a word that is none of `known` (a list that ends with NULL), or "". In
 * `out`, which is returned.
 */
const char *config_did_you_mean(struct span word, const char *const *known, char *out, size_t size);
