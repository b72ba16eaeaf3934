/* See params.h. Values are never put into messages: one of them is a provider key. */
#include "control/params.h"

#include <math.h>
#include <string.h>

#include "base/log.h"

#define PARAMS_MAX  16   /* parameters of one method */
#define STRINGS_MAX 4096 /* texts of one list */

static int find_param(const struct method_row *row, const char *name)
{
    for (int i = 0; row->params[i].name; i++)
        if (name && !strcmp(row->params[i].name, name))
            return i;
    return -1;
}

static bool is_whole(const cJSON *item)
{
    double value = item->valuedouble; /* within +-2^53 or a fraction: the wire saw to it */
    return cJSON_IsNumber(item) && fabs(value) <= 9007199254740992.0 &&
           value == (double)(int64_t)value;
}

static bool is_strings(const cJSON *item)
{
    const cJSON *text;
    size_t count = 0;
    cJSON_ArrayForEach(text, item) if (!cJSON_IsString(text) || ++count > STRINGS_MAX) return false;
    return cJSON_IsArray(item);
}

static bool has_type(const cJSON *item, enum param_type type)
{
    switch (type) {
    case PARAM_STRING:
        return cJSON_IsString(item);
    case PARAM_INT:
        return is_whole(item);
    case PARAM_BOOL:
        return cJSON_IsBool(item);
    case PARAM_STRINGS:
        return is_strings(item);
    }
    return false;
}

/* The longest text in a parameter: its own, or one of its list. */
static size_t longest_text(const cJSON *item)
{
    size_t longest = cJSON_IsString(item) ? strlen(item->valuestring) : 0;
    for (const cJSON *text = item->child; text; text = text->next) {
        size_t len = strlen(text->valuestring);
        longest = len > longest ? len : longest;
    }
    return longest;
}

static int check_value(const struct method_row *row, const struct method_param *param,
                       const cJSON *item, struct err *reterr)
{
    if (!has_type(item, param->type))
        return err_set(reterr, ERR_BAD_PARAMS, "%s: %s must be %s", row->name, param->name,
                       param_type_name(param->type));
    if (longest_text(item) > param->max)
        return err_set(reterr, ERR_BAD_PARAMS, "%s: %s is longer than %zu bytes", row->name,
                       param->name, param->max);
    return 0;
}

int params_check(const struct method_row *row, const cJSON *params, struct err *reterr)
{
    bool given[PARAMS_MAX] = {false};
    const cJSON *item;
    cJSON_ArrayForEach(item, params)
    {
        int i = find_param(row, item->string);
        if (i < 0)
            return err_set(reterr, ERR_BAD_PARAMS, "%s has no parameter %s", row->name,
                           log_quote(span_of(item->string), 32));
        if (i >= PARAMS_MAX || given[i])
            return err_set(reterr, ERR_BAD_PARAMS, "%s: %s stands twice", row->name, item->string);
        given[i] = true;
        int r = check_value(row, &row->params[i], item, reterr);
        if (r < 0)
            return r;
    }
    for (int i = 0; row->params[i].name; i++)
        if (row->params[i].required && !given[i])
            return err_set(reterr, ERR_BAD_PARAMS, "%s: %s is missing", row->name,
                           row->params[i].name);
    return 0;
}
