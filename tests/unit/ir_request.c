/* Neutral requests: how they are built, which tools are declared, what a wish comes to. */
#include "ir/request.h"

#include <criterion/criterion.h>

Test(ir_request, a_builder_keeps_everything_in_order)
{
    struct arena arena;
    struct ir_request request = {.stream = true};
    arena_init(&arena, 1 << 16);
    struct ir_builder builder = ir_builder(&request, &arena);
    cr_expect_not(request.stream);
    for (int i = 0; i < 3; i++) {
        cr_assert_not_null(ir_add_message(&builder, (enum ir_role)i));
        for (int k = 0; k <= i; k++)
            cr_assert_not_null(ir_add_block(&builder, (enum ir_block_kind)k));
        ir_add_tool(&builder)->is_server = i == 1;
    }
    const struct ir_message *message = request.messages;
    for (int i = 0; i < 3; i++, message = message->next) {
        cr_assert_not_null(message);
        cr_expect_eq(message->role, (enum ir_role)i);
        const struct ir_block *block = message->blocks;
        for (int k = 0; k <= i; k++, block = block->next) {
            cr_assert_not_null(block);
            cr_expect_eq(block->kind, (enum ir_block_kind)k);
        }
        cr_expect_null(block);
    }
    cr_expect_null(message);
    cr_expect_not(request.tools->is_server);
    cr_expect(request.tools->next->is_server);
    cr_expect_null(request.tools->next->next->next);
    arena_release(&arena);
}

Test(ir_request, a_result_has_blocks_of_its_own)
{
    struct arena arena;
    struct ir_request request;
    arena_init(&arena, 1 << 16);
    struct ir_builder builder = ir_builder(&request, &arena);
    cr_assert_not_null(ir_add_message(&builder, IR_ROLE_USER));
    struct ir_block *result = ir_add_block(&builder, IR_RESULT), **next = &result->content;
    cr_assert_not_null(ir_add_inner(&builder, &next, IR_TEXT));
    cr_assert_not_null(ir_add_inner(&builder, &next, IR_IMAGE));
    cr_assert_not_null(ir_add_block(&builder, IR_REFUSAL));
    cr_expect_eq(result->content->kind, IR_TEXT);
    cr_expect_eq(result->content->next->kind, IR_IMAGE);
    cr_expect_null(result->content->next->next);
    cr_expect_eq(result->next->kind, IR_REFUSAL);
    arena_release(&arena);
}

Test(ir_request, a_full_arena_gives_nothing_and_leaves_the_request_whole)
{
    struct arena arena;
    struct ir_request request;
    arena_init(&arena, sizeof(struct ir_message) + sizeof(struct ir_block) + 16); /* one of each */
    struct ir_builder builder = ir_builder(&request, &arena);
    cr_assert_not_null(ir_add_message(&builder, IR_ROLE_USER));
    cr_assert_not_null(ir_add_block(&builder, IR_RESULT));
    struct ir_block **next = &request.messages->blocks->content;
    cr_expect_null(ir_add_inner(&builder, &next, IR_TEXT));
    cr_expect_null(ir_add_block(&builder, IR_TEXT));
    cr_expect_null(ir_add_message(&builder, IR_ROLE_USER));
    cr_expect_null(ir_add_tool(&builder));
    cr_expect_null(request.messages->next);
    cr_expect_null(request.messages->blocks->next);
    cr_expect_null(request.messages->blocks->content);
    cr_expect_null(request.tools);
    arena_release(&arena);
}

Test(ir_request, a_deferred_tool_is_declared_once_a_result_names_it)
{
    struct ir_block reference = {.kind = IR_TOOL_REFERENCE, .name = IR_TEXT_LITERAL("deploy")};
    struct ir_block call = {.kind = IR_CALL, .name = IR_TEXT_LITERAL("unseen")};
    struct ir_block text = {.kind = IR_TEXT, .text = IR_TEXT_LITERAL("unseen"), .next = &reference};
    struct ir_block result = {.kind = IR_RESULT, .content = &text};
    struct ir_message user = {.role = IR_ROLE_USER, .blocks = &result};
    struct ir_message assistant = {.role = IR_ROLE_ASSISTANT, .blocks = &call, .next = &user};
    struct ir_tool server = {
        .name = IR_TEXT_LITERAL("deploy"), .is_server = true, .is_deferred = true};
    struct ir_tool unseen = {
        .name = IR_TEXT_LITERAL("unseen"), .is_deferred = true, .next = &server};
    struct ir_tool named = {
        .name = IR_TEXT_LITERAL("deploy"), .is_deferred = true, .next = &unseen};
    struct ir_tool plain = {.name = IR_TEXT_LITERAL("read"), .next = &named};
    struct ir_request request = {.messages = &assistant, .tools = &plain};
    struct arena arena;
    arena_init(&arena, 4096);
    cr_expect(ir_tool_is_declared(&plain));
    cr_expect_not(ir_tool_is_declared(&named));
    cr_assert_eq(ir_mark_referenced(&request, &arena), 0);
    cr_expect(ir_tool_is_declared(&plain));
    cr_expect(ir_tool_is_declared(&named));
    cr_expect_not(ir_tool_is_declared(&unseen));
    cr_expect_not(ir_tool_is_declared(&server));
    user.blocks = &reference; /* outside of any result */
    named.is_referenced = false;
    cr_assert_eq(ir_mark_referenced(&request, &arena), 0);
    cr_expect(ir_tool_is_declared(&named));
    arena_release(&arena);
}

Test(ir_wish, efforts_are_found_by_name_in_any_case)
{
    for (unsigned i = IR_EFFORT_NONE; i <= IR_EFFORT_MAX; i++) {
        const char *name = ir_effort_name((enum ir_effort)i);
        cr_expect_eq(ir_effort_find(span_of(name)), (enum ir_effort)i, "%s", name);
    }
    cr_expect_null(ir_effort_name(IR_EFFORT_UNSET));
    cr_expect_eq(ir_effort_find(SPAN("XHigh")), IR_EFFORT_XHIGH);
    cr_expect_eq(ir_effort_find(SPAN("")), IR_EFFORT_UNSET);
    cr_expect_eq(ir_effort_find(SPAN("highest")), IR_EFFORT_UNSET);
    cr_expect_eq(ir_effort_find((struct span){NULL, 0}), IR_EFFORT_UNSET);
}

static const struct {
    struct ir_wish wish;
    enum ir_effort effort;
    int64_t budget;
} wishes[] = {
    {{0}, IR_EFFORT_UNSET, 0},
    {{.budget = -5}, IR_EFFORT_UNSET, 0},
    {{.effort = IR_EFFORT_NONE}, IR_EFFORT_NONE, 0},
    {{.effort = IR_EFFORT_NONE, .budget = 5000, .is_adaptive = true}, IR_EFFORT_NONE, 0},
    {{.effort = IR_EFFORT_MINIMAL}, IR_EFFORT_MINIMAL, 1024},
    {{.effort = IR_EFFORT_LOW, .is_adaptive = true}, IR_EFFORT_LOW, 4096},
    {{.effort = IR_EFFORT_MEDIUM}, IR_EFFORT_MEDIUM, 10000},
    {{.effort = IR_EFFORT_HIGH}, IR_EFFORT_HIGH, 24000},
    {{.effort = IR_EFFORT_XHIGH}, IR_EFFORT_XHIGH, 32000},
    {{.effort = IR_EFFORT_MAX}, IR_EFFORT_MAX, 32000},
    {{.effort = IR_EFFORT_LOW, .budget = 40000}, IR_EFFORT_LOW, 40000},
    {{.is_adaptive = true}, IR_EFFORT_HIGH, 24000},
    {{.budget = 1}, IR_EFFORT_LOW, 1},
    {{.budget = 1024}, IR_EFFORT_LOW, 1024},
    {{.budget = 4000}, IR_EFFORT_LOW, 4000},
    {{.budget = 10000}, IR_EFFORT_MEDIUM, 10000},
    {{.budget = 16000}, IR_EFFORT_HIGH, 16000},
    {{.budget = 31999}, IR_EFFORT_HIGH, 31999},
    {{.budget = 32000, .is_adaptive = true}, IR_EFFORT_HIGH, 32000},
    {{.budget = INT64_MAX}, IR_EFFORT_XHIGH, INT64_MAX},
};

Test(ir_wish, effort_and_budget_come_from_each_other)
{
    for (size_t i = 0; i < sizeof(wishes) / sizeof(wishes[0]); i++) {
        cr_expect_eq(ir_wish_effort(&wishes[i].wish), wishes[i].effort, "case %zu", i);
        cr_expect_eq(ir_wish_budget(&wishes[i].wish), wishes[i].budget, "case %zu", i);
    }
}

Test(ir_wish, more_budget_is_never_less_effort)
{
    enum ir_effort last = IR_EFFORT_UNSET;
    for (int64_t budget = 0; budget < 100000; budget += 250) {
        enum ir_effort effort = ir_wish_effort(&(struct ir_wish){.budget = budget});
        cr_expect_geq(effort, last, "budget %lld", (long long)budget);
        last = effort;
    }
    for (unsigned i = IR_EFFORT_NONE; i < IR_EFFORT_MAX; i++) {
        struct ir_wish less = {.effort = (enum ir_effort)i}, more = {.effort = i + 1};
        cr_expect_leq(ir_wish_budget(&less), ir_wish_budget(&more), "effort %u", i);
    }
}
