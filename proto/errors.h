/*
 * The kinds of failure, as rows of errors.def. Shared by daemon and client.
 *
 * To add a kind: one row in errors.def. Functions return 0 or the negative of a kind.
 */
#pragma once

#include <stdbool.h>

enum error_kind {
    ERR_NONE,
#define ERROR(name, ...) ERR_##name,
#include "proto/errors.def"
#undef ERROR
    ERR_COUNT
};

struct error_row {
    const char *name; /* "MODEL_NOT_FOUND" */
    int rpc_code;
    int http_status;
    bool retryable;
    int exit_code;
    const char *type;
    const char *text;
    const char *next; /* what to try next, or NULL */
};

/* The row of a kind. Takes a kind or its negative; anything unknown is the INTERNAL row. */
const struct error_row *error_row(int kind);

/* The kind that has this code on the control socket; ERR_INTERNAL when none has. */
int error_kind_of_code(long rpc_code);
