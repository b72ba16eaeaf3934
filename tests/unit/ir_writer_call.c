/* Writer: calls, alone and in parallel, as providers send them. */
#include "ir_trace.h"

#include <criterion/criterion.h>

/* ---- calls ---- */

Test(writer, text_behind_a_call_is_a_new_block)
{
    struct trace f;
    trace_begin(&f);
    trace_text(&f, "a");
    trace_call(&f, 0, "c1", "f", "{\\\"a\\\":1}");
    trace_text(&f, "done");
    trace_finish(&f, IR_STOP_END);
    trace_expect(&f, "^ text(a) call:c1:f({\\\"a\\\":1}) text(done) =calls");
}

Test(writer, interleaved_calls_come_one_after_the_other)
{
    struct trace f;
    trace_begin(&f);
    trace_call(&f, 0, "a", "f", "");
    trace_call(&f, 1, "b", "g", "");
    trace_call(&f, 0, "", "", "{\\\"x\\\"");
    trace_call(&f, 1, "", "", "{\\\"y\\\"");
    trace_call(&f, 2, "c", "h", "{");
    trace_call(&f, 0, "", "", ":1");
    trace_call(&f, 1, "", "", ":2}");
    trace_call(&f, 0, "", "", "}");
    trace_call(&f, 2, "", "", "}");
    trace_finish(&f, IR_STOP_CALLS);
    trace_expect(&f, "^ call:a:f({\\\"x\\\"|:1|}) call:b:g({\\\"y\\\":2}) call:c:h({|}) =calls");
}

Test(writer, text_closes_the_open_call_and_writes_those_that_wait)
{
    struct trace f;
    trace_begin(&f);
    trace_call(&f, 0, "a", "f", "{\\\"x\\\"");
    trace_call(&f, 2, "c", "h", "{}");
    trace_call(&f, 1, "b", "g", "{\\\"y\\\":2}");
    trace_text(&f, "t");
    trace_finish(&f, IR_STOP_CALLS);
    trace_expect(&f, "^ call:a:f({\\\"x\\\") call:b:g({\\\"y\\\":2}) call:c:h({}) text(t) =calls");
}

Test(writer, the_next_call_streams_on_when_the_open_one_ends)
{
    struct trace f;
    trace_begin(&f);
    trace_call(&f, 0, "a", "f", "[");
    trace_call(&f, 1, "b", "g", "[1");
    trace_call(&f, 2, "c", "h", "[2]");
    trace_call_end(&f, 2);
    cr_expect_str_eq(f.line.data, "^ call:a:f([");
    trace_call_end(&f, 0);
    cr_expect_str_eq(f.line.data, "^ call:a:f([) call:b:g([1");
    trace_call(&f, 1, "", "", ",2]");
    cr_expect_str_eq(f.line.data, "^ call:a:f([) call:b:g([1|,2]");
    trace_call_end(&f, 1);
    cr_expect_str_eq(f.line.data, "^ call:a:f([) call:b:g([1|,2]) call:c:h([2])");
    trace_finish(&f, IR_STOP_CALLS);
    trace_expect(&f, "^ call:a:f([) call:b:g([1|,2]) call:c:h([2]) =calls");
}

Test(writer, the_next_call_streams_on_when_the_open_one_is_whole)
{
    struct trace f;
    trace_begin(&f);
    trace_call(&f, 0, "a", "f", "{\\\"x\\\":\\\"}\\\\\\\"}\\\"");
    trace_call(&f, 1, "b", "g", "{");
    cr_expect_str_eq(f.line.data, "^ call:a:f({\\\"x\\\":\\\"}\\\\\\\"}\\\"");
    trace_call(&f, 0, "", "", "}");
    cr_expect_str_eq(f.line.data, "^ call:a:f({\\\"x\\\":\\\"}\\\\\\\"}\\\"|}) call:b:g({");
    trace_call(&f, 0, "", "", " ");
    trace_call(&f, 1, "", "", "}");
    trace_call(&f, 2, "c", "h", "{}");
    trace_finish(&f, IR_STOP_CALLS);
    trace_expect(&f,
                 "^ call:a:f({\\\"x\\\":\\\"}\\\\\\\"}\\\"|}) call:b:g({|}) call:c:h({}) =calls");
}

Test(writer, id_and_name_may_come_late)
{
    struct trace f;
    trace_begin(&f);
    trace_text(&f, "t");
    trace_call(&f, 0, "", "", "{\\\"a\\\"");
    trace_call(&f, 0, "", "f", ":");
    trace_text(&f, "u");
    trace_call(&f, 0, "c1", NULL, "1");
    trace_call(&f, 0, "", "", "}");
    trace_finish(&f, IR_STOP_CALLS);
    trace_expect(&f, "^ text(t|u) call:c1:f({\\\"a\\\":1|}) =calls");
}

Test(writer, repeated_blank_and_null_identities_say_nothing)
{
    struct trace f;
    trace_begin(&f);
    trace_call(&f, 0, "c1", "f", "");
    trace_call(&f, 0, "c1", "f", "{");
    trace_call(&f, 0, "other", "g", "\\\"a\\\"");
    trace_call(&f, 0, "", " ", ":1");
    trace_call(&f, 0, NULL, NULL, "}");
    trace_call(&f, 0, NULL, NULL, NULL);
    trace_finish(&f, IR_STOP_CALLS);
    trace_expect(&f, "^ call:c1:f({|\\\"a\\\"|:1|}) =calls");
}

Test(writer, calls_without_an_id_get_one_of_the_answer)
{
    struct trace f;
    trace_begin(&f);
    trace_call(&f, 0, "", "f", "{\\\"a\\\":1}");
    trace_call(&f, 1, NULL, "f", "{\\\"a\\\":2}");
    trace_call(&f, 2, " ", "f", "");
    trace_finish(&f, IR_STOP_END);
    trace_expect(&f, "^ call:" MADE("0") ":f({\\\"a\\\":1}) call:" MADE(
                         "1") ":f({\\\"a\\\":2}) call:" MADE("2") ":f() =calls");
}

Test(writer, a_call_that_ended_waits_for_no_id)
{
    struct trace f;
    trace_begin(&f);
    trace_call(&f, 0, "", "f", "{\\\"a\\\":1}");
    cr_expect_str_eq(f.line.data, "^");
    trace_call_end(&f, 0);
    cr_expect_str_eq(f.line.data, "^ call:" MADE("0") ":f({\\\"a\\\":1})");
    trace_call(&f, 1, "b", "g", "{}");
    trace_finish(&f, IR_STOP_CALLS);
    trace_expect(&f, "^ call:" MADE("0") ":f({\\\"a\\\":1}) call:b:g({}) =calls");
}

Test(writer, ids_of_one_answer_are_all_different)
{
    struct trace f;
    trace_begin(&f);
    for (unsigned i = 0; i < 3; i++) {
        trace_call(&f, i, i < 2 ? "same" : MADE("0"), "f", "{}");
        trace_call_end(&f, i);
    }
    for (unsigned i = 3; i < 6; i++)
        trace_call(&f, i, "functions.f:0", "f", "{}");
    trace_finish(&f, IR_STOP_CALLS);
    cr_expect_eq(ir_write_end(&f.writer), 0);
    cr_expect_null(lifecycle_end(&f.life), "%s", f.life.problem);
    cr_expect_eq(f.life.calls, 6);
    cr_expect_str_eq(f.life.ids[0], "same");
    cr_expect_str_eq(f.life.ids[1], MADE("1"));
    cr_expect(!strncmp(f.life.ids[3], "aictl_", 6), "%s", f.life.ids[3]);
    cr_expect_str_eq(f.life.ids[4], MADE("4"));
    trace_release(&f);
}

Test(writer, an_id_that_looks_made_does_not_meet_a_made_one)
{
    struct trace f;
    trace_begin(&f);
    trace_call(&f, 0, MADE("1"), "f", "{}");
    trace_call(&f, 1, "", "f", "{}");
    trace_call(&f, 2, "", "f", "{}");
    trace_finish(&f, IR_STOP_CALLS);
    cr_expect_eq(ir_write_end(&f.writer), 0);
    cr_expect_null(lifecycle_end(&f.life), "%s", f.life.problem);
    trace_release(&f);
}

Test(writer, a_call_never_given_a_name_is_lost)
{
    struct trace f;
    trace_begin(&f);
    trace_call(&f, 0, "a", "", "{}");
    trace_call(&f, 1, "b", "g", "{}");
    trace_finish(&f, IR_STOP_CALLS);
    cr_expect_eq(ir_write_end(&f.writer), 0);
    cr_expect(trace_has_loss(&f, "call without a name"));
    trace_expect(&f, "^ call:b:g({}) =calls");

    trace_begin(&f);
    trace_call(&f, 0, "a", " ", "{}");
    trace_text(&f, "t");
    trace_call_end(&f, 0);
    cr_expect(trace_has_loss(&f, "call without a name"));
    trace_finish(&f, IR_STOP_CALLS);
    trace_expect(&f, "^ text(t) =end");
}

Test(writer, null_and_empty_arguments_are_none)
{
    static const char *const none[][4] = {
        {""}, {" "}, {"null"}, {"nu", "ll"}, {"\\n", "n", "ull", " "}};
    for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++) {
        struct trace f;
        trace_begin(&f);
        trace_call(&f, 0, "a", "f", "");
        trace_call(&f, 1, "b", "g", "");
        for (size_t j = 0; j < 4 && none[i][j]; j++) {
            trace_call(&f, 0, "", "", none[i][j]);
            trace_call(&f, 1, "", "", none[i][j]);
        }
        trace_finish(&f, IR_STOP_CALLS);
        trace_expect(&f, "^ call:a:f() call:b:g() =calls");
    }
}

Test(writer, arguments_that_only_begin_like_none_are_exact)
{
    struct trace f;
    trace_begin(&f);
    trace_call(&f, 0, "a", "f", " ");
    trace_call(&f, 0, "", "", "{}");
    trace_call_end(&f, 0);
    trace_call(&f, 1, "b", "f", "nu");
    trace_call(&f, 1, "", "", "mber");
    trace_call_end(&f, 1);
    trace_call(&f, 2, "c", "f", "nul");
    trace_finish(&f, IR_STOP_LENGTH);
    trace_expect(&f, "^ call:a:f( {}) call:b:f(number) call:c:f(nul) =length");
}

Test(writer, what_comes_behind_the_end_of_the_arguments_is_lost)
{
    struct trace f;
    trace_begin(&f);
    trace_call(&f, 0, "a", "f", "{\\\"a\\\":");
    trace_call(&f, 0, "", "", "1} \\n");
    cr_expect_eq(f.losses.count, 0);
    trace_call(&f, 0, "", "", "{\\\"a\\\":1}");
    cr_expect(trace_has_loss(&f, "text behind a call's arguments"));
    trace_call_end(&f, 0);
    trace_call(&f, 0, "", "", "{\\\"a\\\":1}");
    trace_call(&f, 1, "b", "g", "{\\\"b\\\":{}}}");
    trace_finish(&f, IR_STOP_CALLS);
    trace_expect(&f, "^ call:a:f({\\\"a\\\":|1}) call:b:g({\\\"b\\\":{}}) =calls");
}

Test(writer, a_piece_for_a_closed_call_is_nonsense_unless_it_is_blank)
{
    struct trace f;
    trace_begin(&f);
    trace_call(&f, 0, "a", "f", "{\\\"a\\\"");
    trace_text(&f, "t");
    trace_call(&f, 0, "a", "f", "");
    trace_call(&f, 0, "", "", " \\n");
    cr_expect_eq(trace_try_call(&f, 0, "", "", ":1}"), -ERR_PROVIDER_ANSWER);
    cr_expect_eq(ir_write_text(&f.writer, IR_TEXT, escaped("x")), -ERR_PROVIDER_ANSWER);
    cr_expect_eq(ir_write_end(&f.writer), -ERR_PROVIDER_ANSWER, "a failure stays");
    trace_expect_line(&f, "^ call:a:f({\\\"a\\\") text(t");
}

Test(writer, too_many_calls_are_refused)
{
    struct trace f;
    trace_begin(&f);
    for (unsigned i = 0; i < IR_SLOTS_MAX; i++)
        trace_call(&f, i, "", "f", "{}");
    cr_expect_eq(trace_try_call(&f, IR_SLOTS_MAX, "x", "f", "{}"), -ERR_PROVIDER_ANSWER);
    trace_expect_line(&f, "^");
    trace_begin(&f);
    cr_expect_eq(trace_try_call(&f, UINT32_MAX, "x", "f", "{}"), -ERR_PROVIDER_ANSWER);
    trace_expect_line(&f, "^");
}

Test(writer, what_is_kept_is_bounded)
{
    struct trace f;
    trace_begin_with(&f, 64);
    trace_call(&f, 0, "a", "f", "{\\\"a\\\":\\\"");
    for (int i = 0; i < 100; i++)
        trace_call(&f, 0, "", "", "0123456789"); /* the open one streams */
    trace_call(&f, 1, "b", "g", "0123456789");
    int r = 0;
    for (int i = 0; i < 10 && r == 0; i++)
        r = trace_try_call(&f, 1 + (unsigned)i % 3, "", "", "0123456789");
    cr_expect_eq(r, -ERR_TOO_LARGE);
    cr_expect_leq(f.writer.kept, 64);
    trace_release(&f);
}

Test(writer, names_signatures_and_white_space_are_bounded)
{
    for (int what = 0; what < 4; what++) {
        struct trace f;
        int r = 0;
        trace_begin_with(&f, 32);
        for (unsigned i = 0; i < 40 && r == 0; i++) {
            if (what == 0)
                r = trace_try_call(&f, i, "0123", "", "");
            else if (what == 1)
                r = trace_try_call(&f, i, "", "0123", "");
            else if (what == 2)
                r = ir_write_signature(&f.writer, escaped("0123"));
            else
                r = ir_write_text(&f.writer, IR_TEXT, escaped("  "));
        }
        cr_expect_eq(r, -ERR_TOO_LARGE, "%d", what);
        trace_release(&f);
    }
}
