/*
 * Failure with its detail. Functions return 0 or the negative of a kind of proto/errors.def; what
 * exactly happened goes to the `struct err *reterr` that comes last in their arguments.
 */
#pragma once

#include "proto/errors.h"

#include <stddef.h>

#define ERR_DETAIL 640 /* bytes of detail kept, with the NUL; longer text is cut */

struct err {
    int kind; /* 0 as long as nothing failed */
    char detail[ERR_DETAIL];
};

/*
 * Records a failure and returns the negative of its kind, so that `return err_set(...)` is the way
 * out of a function. reterr may be NULL. The detail names the thing at fault (file, line, field,
 * provider); strings from outside are to be passed through log_quote() first.
 */
int err_set(struct err *reterr, int kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "prefix: " before the detail that is there; returns the negative of the kind. */
int err_prefix(struct err *reterr, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Like err_set(), with ": " and strerror(error_number) after the detail. */
int err_errno(struct err *reterr, int kind, int error_number, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/*
 * "text: detail (next)" of a failure in one line, into a caller's buffer; always terminated.
 * Returns `out`.
 */
const char *err_message(const struct err *err, char *out, size_t size);
