/*
 * The methods of the control socket, as rows of methods.def. Shared by daemon and client.
 *
 * To add a method: one row in methods.def and one handler method_<ID>() in daemon/control.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum method_id {
#define NONE
#define PARAM(...)
#define METHOD(id, ...) METHOD_##id,
#include "proto/methods.def"
#undef METHOD
    METHOD_COUNT
};

enum param_type { PARAM_STRING, PARAM_INT, PARAM_BOOL, PARAM_STRINGS };

struct method_param {
    const char *name; /* NULL ends the list */
    enum param_type type;
    size_t max; /* bytes of a text, or of each text of a list; else 0 */
    bool required;
    const char *help;
};

struct method_row {
    const char *name;
    bool changes; /* something, here or at a provider */
    const char *help;
    const char *result;
    const struct method_param *params;
};

/* The row of a method; id must be below METHOD_COUNT. */
const struct method_row *method_row(enum method_id id);

/* The method of this name (not NUL-terminated), or -1. */
int method_by_name(const char *name, size_t len);

/* "string", "int", "bool", "strings". */
const char *param_type_name(enum param_type type);
#undef NONE
#undef PARAM
