/* The table behind errors.h. */
#include "proto/errors.h"

#include <stddef.h>

static const struct error_row rows[ERR_COUNT] = {
    [ERR_NONE] = {"NONE", 0, 200, false, 0, "none", "no error", NULL},
#define ERROR(name, code, status, retry, exit, type, text, next)                                   \
    [ERR_##name] = {#name, code, status, retry, exit, type, text, next},
#include "proto/errors.def"
#undef ERROR
};

const struct error_row *error_row(int kind)
{
    if (kind < 0)
        kind = -kind;
    return kind < ERR_COUNT ? &rows[kind] : &rows[ERR_INTERNAL];
}

int error_kind_of_code(long rpc_code)
{
    for (int kind = 1; kind < ERR_COUNT; kind++)
        if (rows[kind].rpc_code == rpc_code)
            return kind;
    return ERR_INTERNAL;
}
