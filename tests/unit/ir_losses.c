/* Losses: named once, in order, fit for a header; and the capabilities of a target. */
#include "ir/losses.h"
#include "ir/target.h"

#include <criterion/criterion.h>
#include <stdio.h>

static void expect_written(const struct ir_losses *losses, const char *wanted)
{
    struct bytes out = {.max = 4096};
    cr_expect_eq(ir_losses_write(losses, &out), 0);
    cr_expect(span_equal(bytes_span(&out), span_of(wanted)), SPAN_FMT " instead of %s",
              SPAN_ARG(bytes_span(&out)), wanted);
    bytes_release(&out);
}

static struct json key_of(const char *raw)
{
    return (struct json){raw, strlen(raw), JSON_STRING};
}

Test(ir_losses, each_name_counts_once_in_order_of_appearance)
{
    struct ir_losses losses = {0};
    expect_written(&losses, "");
    ir_lose(&losses, "top_k");
    ir_lose(&losses, "tools[].cache_control");
    ir_lose(&losses, "top_k");
    ir_lose_member(&losses, "", key_of("\"top_k\""));
    cr_expect_eq(losses.count, 2u);
    expect_written(&losses, "top_k, tools[].cache_control");
    ir_lose(NULL, "nobody asks");
    ir_lose_member(NULL, "", key_of("\"x\""));
    ir_losses_join(NULL, &losses);
}

static const struct {
    const char *prefix, *key, *wanted;
} members[] = {
    {"", "\"logit_bias\"", "logit_bias"},
    {"tools[].", "\"my key\"", "tools[].my key"},
    {"", "\"a\\r\\nSet-Cookie: x\"", "a\\r\\nSet-Cookie: x"},
    {"", "\"a\r\nb\"", "a??b"},
    {"", "\"\xc3\xa9,\x7f\"", "????"},
    {"messages[].", "\"0123456789012345678901234567890123456789\"",
     "messages[].012345678901234567890123456789012345"},
    {"0123456789012345678901234567890123456789012345678", "\"x\"",
     "01234567890123456789012345678901234567890123456"},
    {"x.", "17", "x.?"},
};

Test(ir_losses, a_key_is_cut_and_made_fit_for_a_header)
{
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        struct ir_losses losses = {0};
        struct json key = key_of(members[i].key);
        if (members[i].key[0] != '"')
            key.type = JSON_NUMBER;
        ir_lose_member(&losses, members[i].prefix, key);
        expect_written(&losses, members[i].wanted);
    }
}

Test(ir_losses, more_than_fit_are_said_to_be_more)
{
    struct ir_losses losses = {0}, other = {0};
    char name[16];
    for (unsigned i = 0; i < IR_LOSSES_MAX; i++) {
        (void)snprintf(name, sizeof(name), "n%u", i);
        ir_lose(&losses, name);
    }
    cr_expect_not(losses.has_more);
    ir_lose(&losses, "n3");
    cr_expect_not(losses.has_more);
    ir_lose(&losses, "one more");
    cr_expect(losses.has_more);
    cr_expect_eq(losses.count, (unsigned)IR_LOSSES_MAX);
    ir_lose(&other, "first");
    ir_losses_join(&other, &losses);
    cr_expect(other.has_more);
    cr_expect_str_eq(other.names[0], "first");
    cr_expect_str_eq(other.names[IR_LOSSES_MAX - 1], "n22");
}

Test(ir_losses, joining_keeps_names_single)
{
    struct ir_losses a = {0}, b = {0};
    ir_lose(&a, "x");
    ir_lose(&b, "x");
    ir_lose(&b, "y");
    ir_losses_join(&a, &b);
    expect_written(&a, "x, y");
    b.has_more = true;
    expect_written(&b, "x, y, more");
}

Test(ir_losses, are_written_whole_or_not_at_all)
{
    struct ir_losses losses = {0};
    struct bytes out = {.max = 8};
    ir_lose(&losses, "abc");
    ir_lose(&losses, "defghi");
    cr_expect_eq(bytes_add(&out, "=", 1), 0);
    cr_expect_eq(ir_losses_write(&losses, &out), -ERR_TOO_LARGE);
    cr_expect(span_equal(bytes_span(&out), SPAN("=")));
    bytes_release(&out);
}

Test(ir_target, every_capability_is_found_by_its_word)
{
    for (unsigned i = 0; i < IR_CAPABILITIES; i++) {
        const char *name = ir_capability_name((enum ir_capability)i);
        cr_assert_not_null(name);
        cr_expect_eq(ir_capability_find(span_of(name)), (enum ir_capability)i, "%s", name);
        cr_expect_not_null(ir_capability_help((enum ir_capability)i));
    }
    cr_expect_eq(ir_capability_find(SPAN("reasoningback")), IR_CAPABILITIES);
    cr_expect_eq(ir_capability_find(SPAN("")), IR_CAPABILITIES);
    cr_expect_str_eq(ir_capability_name(IR_CAN_REASONING_BACK), "reasoningBack");
}

Test(ir_target, an_unknown_provider_has_the_defaults_of_the_rows)
{
    struct ir_target target = {.capabilities = ir_capabilities_default()};
    cr_expect(ir_can(&target, IR_CAN_STREAM_USAGE));
    cr_expect(ir_can(&target, IR_CAN_OUTPUT_FORMAT));
    cr_expect_not(ir_can(&target, IR_CAN_SHORT_CALL_IDS));
    cr_expect_not(ir_can(&target, IR_CAN_CACHE_MARKS));
}
