/* The table behind methods.h. */
#include "proto/methods.h"

#include <string.h>

#include "proto/wire.h"

#define REQUIRED        true
#define OPTIONAL        false
#define TYPE_INT        PARAM_INT, 0
#define TYPE_BOOL       PARAM_BOOL, 0
#define TYPE_STRING(n)  PARAM_STRING, (n)
#define TYPE_STRINGS(n) PARAM_STRINGS, (n)
#define NONE
#define PARAM(name, type, required, help) {#name, TYPE_##type, required, help},
#define METHOD(id, name, effect, help, result, params)                                             \
    static const struct method_param params_##id[] = {params{NULL, PARAM_STRING, 0, false, NULL}};
#include "proto/methods.def"
#undef METHOD

#define READS   false
#define CHANGES true

static const struct method_row rows[METHOD_COUNT] = {
#define METHOD(id, name, effect, help, result, params)                                             \
    [METHOD_##id] = {name, effect, help, result, params_##id},
#include "proto/methods.def"
#undef METHOD
};

const struct method_row *method_row(enum method_id id)
{
    return &rows[id];
}

int method_by_name(const char *name, size_t len)
{
    for (int id = 0; id < METHOD_COUNT; id++)
        if (strlen(rows[id].name) == len && !memcmp(rows[id].name, name, len))
            return id;
    return -1;
}

const char *param_type_name(enum param_type type)
{
    static const char *const names[] = {
        [PARAM_STRING] = "string",
        [PARAM_INT] = "int",
        [PARAM_BOOL] = "bool",
        [PARAM_STRINGS] = "strings",
    };
    return names[type];
}
