/* Usage in normal form. */
#include "ir/usage.h"

#include <criterion/criterion.h>

Test(usage, cached_tokens_are_taken_out_of_an_inclusive_total)
{
    struct usage usage = {0};
    usage_set_inclusive_input(&usage, 11649, 11584);
    cr_expect_eq(usage.input, 65);
    cr_expect_eq(usage.cache_read, 11584);
    cr_expect_eq(usage_total_input(&usage), 11649);
}

Test(usage, fresh_input_is_never_negative)
{
    struct usage usage = {0};
    usage_set_inclusive_input(&usage, 56322, 72960);
    cr_expect_eq(usage.input, 0);
    usage_set_inclusive_input(&usage, 10, -5);
    cr_expect_eq(usage.input, 10);
    cr_expect_eq(usage.cache_read, 0);
}

Test(usage, total_input_counts_every_kind)
{
    struct usage usage = {
        .input = 13, .cache_read = 22000, .cache_write_5m = 30, .cache_write_1h = 1};
    cr_expect_eq(usage_total_input(&usage), 22044);
    cr_expect_str_eq(usage_source_name(USAGE_NONE), "none");
    cr_expect_str_eq(usage_source_name(USAGE_ESTIMATE), "estimate");
}
