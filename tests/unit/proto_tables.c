/* The tables behind methods.h and errors.h: what their users rely on. */
#include "proto/errors.h"
#include "proto/methods.h"
#include "proto/wire.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <string.h>

Test(tables, codes_and_names_of_errors_are_unique)
{
    for (int kind = 1; kind < ERR_COUNT; kind++) {
        const struct error_row *row = error_row(kind);
        cr_expect_eq(error_kind_of_code(row->rpc_code), kind, "%s", row->name);
        cr_expect(row->rpc_code > 0 && row->http_status >= 400 && row->http_status < 600);
        cr_expect(row->exit_code >= 1 && row->exit_code <= 4, "%s", row->name);
        cr_expect(row->text[0] && row->type[0], "%s", row->name);
        for (int other = 1; other < kind; other++)
            cr_expect_str_neq(row->name, error_row(other)->name);
    }
}

Test(tables, an_unknown_kind_or_code_is_an_internal_error)
{
    cr_expect_eq(error_row(ERR_COUNT), error_row(ERR_INTERNAL));
    cr_expect_eq(error_row(-ERR_NO_KEY), error_row(ERR_NO_KEY));
    cr_expect_eq(error_kind_of_code(-1), ERR_INTERNAL);
    cr_expect_eq(error_kind_of_code(99999), ERR_INTERNAL);
}

Test(tables, a_method_is_found_by_its_whole_name_only)
{
    for (int id = 0; id < METHOD_COUNT; id++) {
        const char *name = method_row((enum method_id)id)->name;
        cr_expect_eq(method_by_name(name, strlen(name)), id);
        cr_expect_lt(strlen(name), WIRE_METHOD_MAX);
    }
    cr_expect_eq(method_by_name("status", 5), -1);
    cr_expect_eq(method_by_name("", 0), -1);
    cr_expect_eq(method_by_name("STATUS", 6), -1);
}

Test(tables, rows_of_methods_are_complete)
{
    for (int id = 0; id < METHOD_COUNT; id++) {
        const struct method_row *row = method_row((enum method_id)id);
        cr_expect(row->help[strlen(row->help) - 1] == '.', "%s: help is a sentence", row->name);
        cr_expect_eq(row->result[0], '{', "%s: a result is a map", row->name);
        for (const struct method_param *param = row->params; param->name; param++) {
            cr_expect(islower((unsigned char)param->name[0]), "%s", row->name);
            cr_expect_lt(strlen(param->name), WIRE_METHOD_MAX);
            for (const struct method_param *other = row->params; other < param; other++)
                cr_expect_str_neq(param->name, other->name, "%s", row->name);
        }
    }
}
