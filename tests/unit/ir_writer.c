/* Writer: text, reasoning and the end of an answer, whatever a decoder tells it. */
#include "ir_trace.h"

#include <criterion/criterion.h>

#include "dialect/dialect.h"

/* ---- text, reasoning, refusal ---- */

Test(writer, pieces_of_one_kind_are_one_block)
{
    struct trace f;
    trace_begin(&f);
    trace_text(&f, "He");
    trace_text(&f, "");
    trace_text(&f, NULL);
    trace_text(&f, "llo");
    trace_text(&f, "\\n");
    trace_finish(&f, IR_STOP_END);
    trace_expect(&f, "^ text(He|llo|\\n) =end");
}

Test(writer, an_empty_piece_opens_nothing)
{
    struct trace f;
    trace_begin(&f);
    trace_text(&f, "");
    trace_reasoning(&f, NULL);
    trace_signature(&f, "");
    cr_expect_eq(ir_write_redacted(&f.writer, NONE), 0);
    trace_call(&f, 0, "", NULL, "");
    trace_call_end(&f, 0);
    trace_call_end(&f, 77);
    trace_finish(&f, IR_STOP_END);
    trace_expect(&f, "^ =end");
}

Test(writer, each_change_of_kind_is_a_new_block)
{
    struct trace f;
    trace_begin(&f);
    trace_reasoning(&f, "a");
    trace_text(&f, "b");
    trace_reasoning(&f, "c");
    cr_expect_eq(ir_write_text(&f.writer, IR_REFUSAL, escaped("no")), 0);
    trace_finish(&f, IR_STOP_END);
    trace_expect(&f, "^ reasoning(a) text(b) reasoning(c) refusal(no) =end");
}

Test(writer, reasoning_may_come_again_behind_a_call)
{
    struct trace f;
    trace_begin(&f);
    trace_reasoning(&f, "a");
    trace_call(&f, 0, "c1", "f", "{}");
    trace_reasoning(&f, "b");
    trace_finish(&f, IR_STOP_CALLS);
    trace_expect(&f, "^ reasoning(a) call:c1:f({}) reasoning(b) =calls");
}

Test(writer, a_stop_divides_blocks_of_one_kind)
{
    struct trace f;
    trace_begin(&f);
    trace_text(&f, "a");
    cr_expect_eq(ir_write_stop(&f.writer), 0);
    cr_expect_eq(ir_write_stop(&f.writer), 0);
    trace_text(&f, "b");
    trace_finish(&f, IR_STOP_END);
    trace_expect(&f, "^ text(a) text(b) =end");
}

Test(writer, a_stop_does_not_close_a_call)
{
    struct trace f;
    trace_begin(&f);
    trace_call(&f, 0, "c1", "f", "{\\\"a\\\"");
    cr_expect_eq(ir_write_stop(&f.writer), 0);
    trace_call(&f, 0, "", "", ":1}");
    trace_finish(&f, IR_STOP_CALLS);
    trace_expect(&f, "^ call:c1:f({\\\"a\\\"|:1}) =calls");
}

Test(writer, the_start_tells_the_usage_known_by_then)
{
    struct trace f;
    trace_begin(&f);
    ir_write_usage(&f.writer, &(struct usage){.source = USAGE_PROVIDER, .input = 7});
    cr_expect_eq(ir_write_start(&f.writer), 0);
    cr_expect_eq(ir_write_start(&f.writer), 0);
    trace_finish(&f, IR_STOP_END);
    trace_expect(&f, "^ =end");
}

/* ---- white space ---- */

Test(writer, white_space_before_a_call_opens_no_block)
{
    struct trace f;
    trace_begin(&f);
    trace_text(&f, "\\n");
    trace_reasoning(&f, "\\n");
    trace_call(&f, 0, "c1", "f", "{}");
    trace_finish(&f, IR_STOP_CALLS);
    trace_expect(&f, "^ call:c1:f({}) =calls");
}

Test(writer, white_space_inside_of_text_is_exact)
{
    struct trace f;
    trace_begin(&f);
    trace_text(&f, "\\n\\n");
    trace_text(&f, " ");
    trace_text(&f, "a");
    trace_text(&f, " ");
    trace_reasoning(&f, " r");
    trace_text(&f, "\\n");
    trace_text(&f, "b");
    trace_finish(&f, IR_STOP_END);
    trace_expect(&f, "^ text(\\n\\n |a| ) reasoning( r) text(\\n|b) =end");
}

Test(writer, white_space_between_pieces_of_a_call_does_not_close_it)
{
    struct trace f;
    trace_begin(&f);
    trace_text(&f, "Hi");
    trace_call(&f, 0, "c1", "f", "{\\\"a\\\"");
    trace_text(&f, "\\n");
    trace_reasoning(&f, " ");
    trace_call(&f, 0, "", "", ":1}");
    trace_finish(&f, IR_STOP_CALLS);
    trace_expect(&f, "^ text(Hi) call:c1:f({\\\"a\\\"|:1}) text(\\n) =calls");
}

Test(writer, white_space_that_is_the_whole_answer_is_kept)
{
    struct trace f;
    trace_begin(&f);
    trace_reasoning(&f, "hm");
    trace_text(&f, "\\n");
    trace_finish(&f, IR_STOP_END);
    trace_expect(&f, "^ reasoning(hm) text(\\n) =end");
}

Test(writer, white_space_before_reasoning_belongs_to_it)
{
    struct trace f;
    trace_begin(&f);
    trace_reasoning(&f, "\\n");
    trace_text(&f, "");
    trace_reasoning(&f, "hm");
    trace_text(&f, "x");
    trace_reasoning(&f, "\\n");
    trace_finish(&f, IR_STOP_END);
    trace_expect(&f, "^ reasoning(\\n|hm) text(x) =end");
}

/* ---- signatures ---- */

Test(writer, a_signature_comes_whole_behind_the_deltas)
{
    struct trace f;
    trace_begin(&f);
    trace_reasoning(&f, "a");
    trace_signature(&f, "si");
    trace_signature(&f, "g1");
    cr_expect_eq(ir_write_stop(&f.writer), 0);
    trace_signature(&f, "sig2");
    trace_reasoning(&f, "b");
    trace_signature(&f, "sig3");
    trace_text(&f, "t");
    trace_finish(&f, IR_STOP_END);
    trace_expect(&f, "^ reasoning(a!sig1) reasoning(!sig2) reasoning(b!sig3) text(t) =end");
}

Test(writer, white_space_does_not_part_a_signature)
{
    struct trace f;
    trace_begin(&f);
    trace_reasoning(&f, "a");
    trace_signature(&f, "si");
    trace_reasoning(&f, "\\n");
    trace_signature(&f, "g");
    trace_finish(&f, IR_STOP_END);
    trace_expect(&f, "^ reasoning(a!sig) =end");
}

Test(writer, a_signature_closes_what_else_is_open)
{
    struct trace f;
    trace_begin(&f);
    trace_text(&f, "a");
    trace_signature(&f, "sig");
    trace_finish(&f, IR_STOP_LENGTH);
    trace_expect(&f, "^ text(a) reasoning(!sig) =length");
}

Test(writer, redacted_reasoning_is_a_block_of_its_own)
{
    struct trace f;
    trace_begin(&f);
    trace_reasoning(&f, "a");
    cr_expect_eq(ir_write_redacted(&f.writer, escaped("data")), 0);
    cr_expect_eq(ir_write_redacted(&f.writer, escaped("more")), 0);
    trace_reasoning(&f, "b");
    trace_finish(&f, IR_STOP_END);
    trace_expect(&f, "^ reasoning(a) redacted(!data) redacted(!more) reasoning(b) =end");
}

/* ---- the end ---- */

Test(writer, the_stop_says_calls_when_there_are_some_and_only_then)
{
    static const struct {
        enum ir_stop told;
        bool has_call;
        const char *line;
    } rows[] = {
        {IR_STOP_END, false, "^ =end"},
        {IR_STOP_END, true, "^ call:a:f() =calls"},
        {IR_STOP_CALLS, false, "^ =end"},
        {IR_STOP_CALLS, true, "^ call:a:f() =calls"},
        {IR_STOP_LENGTH, true, "^ call:a:f() =length"},
        {IR_STOP_REFUSAL, true, "^ call:a:f() =refusal"},
        {IR_STOP_CONTEXT, false, "^ =context"},
        {IR_STOP_PAUSE, false, "^ =pause"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct trace f;
        trace_begin(&f);
        if (rows[i].has_call)
            trace_call(&f, 0, "a", "f", "");
        trace_finish(&f, rows[i].told);
        trace_expect(&f, rows[i].line);
    }
}

Test(writer, of_several_finishes_the_last_counts_unless_it_hides_a_cut)
{
    static const struct {
        enum ir_stop first, second;
        const char *line;
    } rows[] = {
        {IR_STOP_CALLS, IR_STOP_END, "^ call:a:f({}) =calls"},
        {IR_STOP_END, IR_STOP_CALLS, "^ call:a:f({}) =calls"},
        {IR_STOP_END, IR_STOP_LENGTH, "^ call:a:f({}) =length"},
        {IR_STOP_CALLS, IR_STOP_LENGTH, "^ call:a:f({}) =length"},
        {IR_STOP_END, IR_STOP_REFUSAL, "^ call:a:f({}) =refusal"},
        {IR_STOP_LENGTH, IR_STOP_END, "^ call:a:f({}) =length"},
        {IR_STOP_REFUSAL, IR_STOP_LENGTH, "^ call:a:f({}) =length"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct trace f;
        trace_begin(&f);
        trace_finish(&f, rows[i].first);
        trace_call(&f, 0, "a", "f", "{}");
        trace_finish(&f, rows[i].second);
        trace_expect(&f, rows[i].line);
    }
}

Test(writer, a_stop_sequence_is_told)
{
    struct trace f;
    trace_begin(&f);
    trace_text(&f, "a");
    cr_expect_eq(ir_write_finish(&f.writer, IR_STOP_SEQUENCE, escaped("\\n\\n")), 0);
    trace_expect(&f, "^ text(a) =seq:\\n\\n");
}

Test(writer, an_end_without_a_finish_is_a_broken_answer)
{
    struct trace f;
    trace_begin(&f);
    trace_text(&f, "a");
    trace_call(&f, 0, "a", "f", "{\\\"a");
    cr_expect_eq(ir_write_end(&f.writer), -ERR_PROVIDER_RESET);
    cr_expect_eq(ir_write_end(&f.writer), -ERR_PROVIDER_RESET);
    struct api_error error = {.kind = ERR_PROVIDER_RESET, .message = SPAN("broken")};
    cr_expect_eq(ir_write_error(&f.writer, &error), 0, "the failure may be told as an event");
    cr_expect_eq(ir_write_error(&f.writer, &error), -ERR_PROVIDER_RESET);
    trace_expect_line(&f, "^ text(a) call:a:f({\\\"a #broken");
}

Test(writer, behind_an_error_everything_is_ignored)
{
    struct trace f;
    trace_begin(&f);
    trace_text(&f, "a");
    struct api_error error = {.kind = ERR_PROVIDER_OVERLOADED, .message = SPAN("busy")};
    cr_expect_eq(ir_write_error(&f.writer, &error), 0);
    cr_expect_eq(ir_write_error(&f.writer, &error), 0);
    trace_text(&f, "b");
    trace_reasoning(&f, "c");
    trace_signature(&f, "s");
    cr_expect_eq(ir_write_redacted(&f.writer, escaped("d")), 0);
    cr_expect_eq(ir_write_stop(&f.writer), 0);
    trace_call(&f, 0, "a", "f", "{}");
    trace_call(&f, 999, "a", "f", "{}");
    trace_call_end(&f, 0);
    trace_finish(&f, IR_STOP_END);
    cr_expect_eq(ir_write_end(&f.writer), 0);
    trace_expect_line(&f, "^ text(a #busy");
}

Test(writer, an_error_may_be_all_there_is)
{
    struct trace f;
    trace_begin(&f);
    struct api_error error = {.kind = ERR_PROVIDER_OVERLOADED, .message = SPAN("busy")};
    cr_expect_eq(ir_write_error(&f.writer, &error), 0);
    cr_expect_null(lifecycle_end(&f.life), "%s", f.life.problem);
    trace_expect_line(&f, "^ #busy");
}

Test(writer, behind_the_end_everything_is_ignored)
{
    struct trace f;
    trace_begin(&f);
    trace_finish(&f, IR_STOP_END);
    cr_expect_eq(ir_write_end(&f.writer), 0);
    cr_expect_eq(ir_write_end(&f.writer), 0);
    trace_text(&f, "a");
    trace_call(&f, 0, "a", "f", "{}");
    cr_expect_eq(ir_write_error(&f.writer, &(struct api_error){0}), 0);
    trace_expect_line(&f, "^ =end");
}

/* Every kind of block; the first failure, with every later one being the same. */
static int write_much(struct trace *f)
{
    struct ir_writer *w = &f->writer;
    int r[] = {
        ir_write_text(w, IR_REASONING, escaped("a")),
        ir_write_signature(w, escaped("s")),
        ir_write_redacted(w, escaped("d")),
        ir_write_text(w, IR_TEXT, escaped("b")),
        trace_try_call(f, 0, "a", "f", "{"),
        trace_try_call(f, 1, "b", "g", "{}"),
        ir_write_call_end(w, 0),
        trace_try_call(f, 2, "", "h", "{}"),
        ir_write_finish(w, IR_STOP_END, NONE),
        ir_write_end(w),
    };
    int first = 0;
    for (size_t i = 0; i < sizeof(r) / sizeof(*r); i++) {
        cr_expect(first == 0 || r[i] == first, "%d after %d", r[i], first);
        first = first ? first : r[i];
    }
    return first;
}

Test(writer, a_failure_of_the_event_function_stops_everything)
{
    struct trace f;
    int events = 0;
    trace_begin(&f);
    f.countdown = 1000;
    cr_expect_eq(write_much(&f), 0);
    events = 1000 - f.countdown;
    cr_expect_gt(events, 20);
    trace_expect_line(&f,
                      "^ reasoning(a!s) redacted(!d) text(b) call:a:f({) call:b:g({}) call:" MADE(
                          "2") ":h({}) =calls");
    for (int i = 0; i < events; i++) {
        trace_begin(&f);
        f.countdown = i;
        f.answer = -ERR_CLIENT_GONE;
        cr_expect_eq(write_much(&f), -ERR_CLIENT_GONE);
        cr_expect_eq(ir_write_error(&f.writer, &(struct api_error){0}), -ERR_CLIENT_GONE);
        cr_expect_eq(f.countdown, -1, "event %d was not the last", i);
        trace_release(&f);
    }
}
