/* The parameter check: every row of proto/methods.def against what clients may send. */
#include "control/params.h"

#include "proto/wire.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static int check(enum method_id id, const char *text, struct err *reterr)
{
    cJSON *params = cJSON_Parse(text);
    cr_assert(params, "%s", text);
    int r = params_check(method_row(id), params, reterr);
    cJSON_Delete(params);
    return r;
}

static const struct {
    enum method_id id;
    const char *params;
    const char *why; /* NULL: fine; else part of the detail */
} cases[] = {
    {METHOD_STATUS, "{}", NULL},
    {METHOD_STATUS, "{\"dir\": \"/x\", \"override\": \"glm\", \"recent\": 3}", NULL},
    {METHOD_STATUS, "{\"dirs\": \"/x\"}", "\"dirs\""},
    {METHOD_STATUS, "{\"Dir\": \"/x\"}", "\"Dir\""},
    {METHOD_STATUS, "{\"recent\": \"3\"}", "recent must be int"},
    {METHOD_STATUS, "{\"recent\": 0.5}", "recent must be int"},
    {METHOD_STATUS, "{\"recent\": 1e300}", "recent must be int"},
    {METHOD_STATUS, "{\"recent\": null}", "recent must be int"},
    {METHOD_STATUS, "{\"dir\": 1}", "dir must be string"},
    {METHOD_STATUS, "{\"dir\": [\"/x\"]}", "dir must be string"},
    {METHOD_STATUS, "{\"dir\": \"/x\", \"dir\": \"/y\"}", "dir stands twice"},
    {METHOD_MODEL_GET, "{}", "dir is missing"},
    {METHOD_MODEL_GET, "{\"dir\": \"/x\", \"explain\": true}", NULL},
    {METHOD_MODEL_GET, "{\"dir\": \"/x\", \"explain\": 1}", "explain must be bool"},
    {METHOD_KEY_SET, "{\"provider\": \"a\"}", "key is missing"},
    {METHOD_KEY_SET, "{\"provider\": \"a\", \"key\": \"k\", \"models\": [\"m\", \"n\"]}", NULL},
    {METHOD_KEY_SET, "{\"provider\": \"a\", \"key\": \"k\", \"models\": []}", NULL},
    {METHOD_KEY_SET, "{\"provider\": \"a\", \"key\": \"k\", \"models\": [1]}",
     "models must be strings"},
    {METHOD_KEY_SET, "{\"provider\": \"a\", \"key\": \"k\", \"models\": \"m\"}",
     "models must be strings"},
    {METHOD_KEY_SET, "{\"provider\": \"a\", \"key\": \"k\", \"models\": {\"a\": \"m\"}}",
     "models must be strings"},
};

Test(params, each_is_judged_by_its_row)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err = {0};
        int r = check(cases[i].id, cases[i].params, &err);
        cr_expect_eq(r, cases[i].why ? -ERR_BAD_PARAMS : 0, "%s: %s", cases[i].params, err.detail);
        if (cases[i].why)
            cr_expect(strstr(err.detail, cases[i].why), "%s: %s", cases[i].params, err.detail);
    }
}

Test(params, a_value_never_gets_into_a_message)
{
    struct err err = {0};
    cr_expect_eq(check(METHOD_KEY_SET, "{\"provider\": \"a\", \"key\": [\"sk-canary\"]}", &err),
                 -ERR_BAD_PARAMS);
    cr_expect_null(strstr(err.detail, "canary"));
}

Test(params, every_text_has_a_limit)
{
    for (int id = 0; id < METHOD_COUNT; id++) {
        const struct method_row *row = method_row((enum method_id)id);
        for (const struct method_param *param = row->params; param->name; param++) {
            size_t max = param->max;
            if (param->type != PARAM_STRING)
                continue;
            cr_expect(max > 0 && max <= WIRE_FRAME_MAX, "%s.%s", row->name, param->name);
            for (size_t more = 0; more < 2; more++) {
                char *text = calloc(1, max + 2);
                memset(text, 'x', max + more);
                cJSON *params = cJSON_CreateObject();
                cJSON_AddStringToObject(params, param->name, text);
                struct err err = {0};
                (void)params_check(row, params, &err); /* others may be missing */
                bool is_too_long = strstr(err.detail, "is longer than") != NULL;
                cr_expect_eq(is_too_long, more == 1, "%s.%s: %s", row->name, param->name,
                             err.detail);
                cJSON_Delete(params);
                free(text);
            }
        }
    }
}

Test(params, an_endless_list_is_refused)
{
    cJSON *params = cJSON_Parse("{\"provider\": \"a\", \"key\": \"k\"}");
    cJSON *models = cJSON_AddArrayToObject(params, "models");
    for (int i = 0; i < 5000; i++)
        cJSON_AddItemToArray(models, cJSON_CreateString("m"));
    cr_expect_eq(params_check(method_row(METHOD_KEY_SET), params, NULL), -ERR_BAD_PARAMS);
    cJSON_Delete(params);
}
