/*
 * Failures as the user meets them: one line that says what and where, one with what to try next.
 *
 *     aictl: the provider has no key: deepseek
 *       try: aictl login deepseek
 *
 * Text and exit status come from the row of the kind in proto/errors.def, or from the daemon.
 */
#pragma once

#include <stdbool.h>

#include "proto/errors.h"

struct failure {
    int kind;
    char message[256]; /* what happened */
    char detail[768];  /* the thing at fault; "" when there is none */
    char next[256];    /* "" when there is nothing to try */
};

/* Fills in a failure of this kind with the row's text and a formatted detail; returns -kind. */
int failure_set(struct failure *failure, int kind, const char *detail, ...)
    __attribute__((format(printf, 3, 4)));
/* The kind of this name; ERR_INTERNAL when there is none: a newer daemon has kinds we do not know.
 */
int failure_kind(const char *name);
/* Replaces what happened, where the row's text says less than is known. */
void failure_say(struct failure *failure, const char *message);
/* Replaces what to try next; "" is nothing. */
void failure_try(struct failure *failure, const char *next, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Says it on standard error, and with `as_json` as an object {"error": ...} on standard output too.
 * Returns the exit status of the kind.
 */
int failure_report(const struct failure *failure, bool as_json);

/* One line on standard error about a wrong command line, and `next` to try. Returns EXIT_USAGE. */
int usage_error(const char *next, const char *format, ...) __attribute__((format(printf, 2, 3)));
