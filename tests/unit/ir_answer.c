/* Whole answers, collected from what a writer makes. */
#include "ir/answer.h"

#include <criterion/criterion.h>

#include "ir/arguments.h"
#include "ir/writer.h"
#include "support/lifecycle.h"

#define NONE ((struct ir_text){{NULL, 0}})

struct fixture {
    struct ir_answer answer;
    struct lifecycle life;
    struct ir_writer writer;
};

static void begin(struct fixture *f, size_t max)
{
    ir_answer_init(&f->answer, max);
    lifecycle_init(&f->life, ir_answer_take, &f->answer);
    ir_writer_init(&f->writer, SPAN("Abcd1234"), 1 << 20, lifecycle_take, &f->life);
}

static void end(struct fixture *f)
{
    cr_expect_null(lifecycle_problem(&f->life), "%s", f->life.problem);
    ir_writer_release(&f->writer);
    ir_answer_release(&f->answer);
    cr_expect_null(f->answer.blocks);
}

static struct ir_text escaped(const char *text)
{
    return (struct ir_text){span_of(text)};
}

static void expect_text(struct ir_text text, const char *expected)
{
    if (!expected)
        cr_expect_null(text.escaped.at, SPAN_FMT, SPAN_ARG(text.escaped));
    else
        cr_expect(span_equal(text.escaped, span_of(expected)), SPAN_FMT " is not %s",
                  SPAN_ARG(text.escaped), expected);
}

Test(answer, blocks_are_collected_in_their_order)
{
    struct fixture f;
    begin(&f, 1 << 16);
    struct ir_writer *w = &f.writer;
    cr_expect_eq(ir_write_text(w, IR_REASONING, escaped("th")), 0);
    cr_expect_eq(ir_write_text(w, IR_REASONING, escaped("ink\\n")), 0);
    cr_expect_eq(ir_write_signature(w, escaped("sig")), 0);
    cr_expect_eq(ir_write_redacted(w, escaped("data")), 0);
    cr_expect_eq(ir_write_text(w, IR_TEXT, escaped("Hello")), 0);
    cr_expect_eq(ir_write_call(w, 0, escaped("c1"), escaped("f"), escaped("{\\\"a\\\":")), 0);
    cr_expect_eq(ir_write_call(w, 0, NONE, NONE, escaped("1.0}")), 0);
    cr_expect_eq(ir_write_text(w, IR_REFUSAL, escaped("no")), 0);
    ir_write_usage(w, &(struct usage){.source = USAGE_PROVIDER, .input = 3, .output = 4});
    cr_expect_eq(ir_write_finish(w, IR_STOP_END, NONE), 0);
    cr_expect_not(f.answer.has_finish);
    cr_expect_eq(ir_write_end(w), 0);

    struct ir_block *block = f.answer.blocks;
    cr_assert_eq(block->kind, IR_REASONING);
    expect_text(block->text, "think\\n");
    expect_text(block->signature, "sig");
    cr_expect_not(block->is_redacted);
    block = block->next;
    cr_assert_eq(block->kind, IR_REASONING);
    cr_expect(block->is_redacted);
    expect_text(block->signature, "data");
    block = block->next;
    cr_assert_eq(block->kind, IR_TEXT);
    expect_text(block->text, "Hello");
    expect_text(block->signature, NULL);
    block = block->next;
    cr_assert_eq(block->kind, IR_CALL);
    expect_text(block->id, "c1");
    expect_text(block->name, "f");
    cr_expect_eq(block->arguments.type, JSON_OBJECT);
    cr_expect(span_equal(json_span(block->arguments), SPAN("{\"a\":1.0}")));
    expect_text(block->torn, NULL);
    block = block->next;
    cr_assert_eq(block->kind, IR_REFUSAL);
    expect_text(block->text, "no");
    cr_expect_null(block->next);
    cr_expect(f.answer.has_finish);
    cr_expect_eq(f.answer.stop, IR_STOP_CALLS);
    cr_expect_eq(f.answer.usage.input, 3);
    cr_expect_eq(f.answer.usage.output, 4);
    expect_text(f.answer.stop_sequence, NULL);
    end(&f);
}

Test(answer, arguments_are_an_object_or_torn_or_none)
{
    static const struct {
        const char *pieces[3];
        const char *object; /* NULL: none */
        const char *torn;
    } rows[] = {
        {{"{}"}, "{}", NULL},
        {{""}, NULL, NULL},
        {{"null"}, NULL, NULL},
        {{" nu", "ll\\n"}, NULL, NULL},
        {{" \\n", "{\\\"a\\\"", ":1}"}, "{\"a\":1}", NULL},
        {{"{\\\"a\\\":\\\"\\\\n\\u00e9\\\"}"}, "{\"a\":\"\\n\xc3\xa9\"}", NULL},
        {{"{\\\"a\\\":\\\"\\\\\\\"}\\\"", "}"}, "{\"a\":\"\\\"}\"}", NULL},
        {{"{\\\"a\\\":1}", "}"}, "{\"a\":1}", NULL},
        {{"{\\\"a\\\":", "\\\"x"}, NULL, "{\\\"a\\\":\\\"x"},
        {{"{"}, NULL, "{"},
        {{"nul"}, NULL, "nul"},
        {{"[1]"}, NULL, "[1]"},
        {{"12"}, NULL, "12"},
        {{"\\\"text\\\""}, NULL, "\\\"text\\\""},
        {{"{a:1}"}, NULL, "{a:1}"},
        {{"{\\\"a\\\":1]"}, NULL, "{\\\"a\\\":1]"},
        {{"city"}, NULL, "city"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct fixture f;
        begin(&f, 1 << 16);
        for (size_t j = 0; j < 3 && rows[i].pieces[j]; j++)
            cr_expect_eq(
                ir_write_call(&f.writer, 0, escaped("c"), escaped("f"), escaped(rows[i].pieces[j])),
                0);
        cr_expect_eq(ir_write_finish(&f.writer, IR_STOP_LENGTH, NONE), 0);
        cr_expect_eq(ir_write_end(&f.writer), 0);
        struct ir_block *block = f.answer.blocks;
        cr_assert_not_null(block);
        cr_expect_eq(block->arguments.type, rows[i].object ? JSON_OBJECT : JSON_ABSENT, "%zu", i);
        if (rows[i].object)
            cr_expect(span_equal(json_span(block->arguments), span_of(rows[i].object)),
                      SPAN_FMT " is not %s", SPAN_ARG(block->arguments), rows[i].object);
        expect_text(block->torn, rows[i].torn);
        cr_expect_eq(f.answer.stop, IR_STOP_LENGTH);
        end(&f);
    }
}

Test(answer, several_calls_keep_their_own_arguments)
{
    struct fixture f;
    begin(&f, 1 << 16);
    static const char *const pieces[] = {"{\\\"n\\\":0}", "{}", "{\\\"n\\\":", "",
                                         "{\\\"n\\\":44444}"};
    for (unsigned i = 0; i < 5; i++)
        cr_expect_eq(ir_write_call(&f.writer, i, NONE, escaped("f"), escaped(pieces[i])), 0);
    cr_expect_eq(ir_write_finish(&f.writer, IR_STOP_SEQUENCE, escaped("END")), 0);
    cr_expect_eq(ir_write_end(&f.writer), 0);
    static const char *const objects[] = {"{\"n\":0}", "{}", "", "", "{\"n\":44444}"};
    unsigned i = 0;
    for (struct ir_block *block = f.answer.blocks; block; block = block->next, i++)
        cr_expect(span_equal(json_span(block->arguments), span_of(objects[i])), "%u", i);
    cr_expect_eq(i, 5);
    expect_text(f.answer.stop_sequence, "END");
    end(&f);
}

Test(answer, what_it_holds_is_bounded)
{
    struct fixture f;
    begin(&f, 4096);
    int r = 0;
    unsigned pieces = 0;
    for (; r == 0 && pieces < 1000; pieces++)
        r = ir_write_text(&f.writer, IR_TEXT, escaped("0123456789abcdef"));
    cr_expect_eq(r, -ERR_TOO_LARGE);
    cr_expect_lt(pieces, 256);
    cr_expect_gt(pieces, 200);
    end(&f);

    begin(&f, 4096);
    for (r = 0; r == 0 && pieces < 2000; pieces++) {
        r = ir_write_text(&f.writer, pieces % 2 ? IR_TEXT : IR_REASONING, escaped("a"));
        cr_expect_leq(f.answer.arena.total, 4096 + 16);
    }
    cr_expect_eq(r, -ERR_TOO_LARGE, "blocks count as well");
    end(&f);
}

Test(answer, every_maximum_fails_cleanly)
{
    for (size_t max = 0; max < 2600; max += 7) {
        struct fixture f;
        begin(&f, max);
        struct ir_writer *w = &f.writer;
        (void)ir_write_text(w, IR_TEXT, escaped("Hello"));
        (void)ir_write_signature(w, escaped("sig"));
        for (unsigned i = 0; i < 4; i++)
            (void)ir_write_call(w, i, escaped("c"), escaped("f"), escaped("{\\\"a\\\":1,}"));
        (void)ir_write_finish(w, IR_STOP_SEQUENCE, escaped("END"));
        int r = ir_write_end(w);
        cr_expect(r == 0 || r == -ERR_TOO_LARGE, "%zu: %d", max, r);
        cr_expect(max < 2500 || r == 0, "%zu", max);
        cr_expect_eq(f.answer.has_finish && r == 0, r == 0);
        end(&f);
    }
}

Test(answer, a_large_answer_costs_about_its_bytes)
{
    struct fixture f;
    const size_t count = 100000, len = 50;
    begin(&f, 3 * count * len);
    char piece[51];
    memset(piece, 'x', len);
    piece[len] = '\0';
    for (size_t i = 0; i < count; i++)
        cr_assert_eq(ir_write_text(&f.writer, IR_TEXT, escaped(piece)), 0);
    cr_expect_eq(ir_write_finish(&f.writer, IR_STOP_END, NONE), 0);
    cr_expect_eq(ir_write_end(&f.writer), 0);
    cr_expect_eq(f.answer.blocks->text.escaped.len, count * len);
    cr_expect_lt(f.answer.arena.total, count * len + 4096);
    end(&f);
}

/* ---- arguments ---- */

Test(arguments, are_none_when_blank_or_null)
{
    static const struct {
        const char *text;
        bool may_be, are;
    } rows[] = {
        {NULL, true, true},        {"", true, true},          {"  ", true, true},
        {"\\n\\t\\r", true, true}, {"n", true, false},        {" nul", true, false},
        {"null", true, true},      {" null \\n", true, true}, {"nulll", false, false},
        {"null{", false, false},   {"{", false, false},       {"N", false, false},
        {"\\", false, false},      {"\\u0020", false, false}, {"0", false, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct ir_text text = escaped(rows[i].text);
        cr_expect_eq(ir_arguments_may_be_none(text), rows[i].may_be, "%s", rows[i].text);
        cr_expect_eq(ir_arguments_are_none(text), rows[i].are, "%s", rows[i].text);
    }
}

Test(arguments, end_at_the_last_bracket_however_they_are_cut)
{
    static const struct {
        const char *text;
        size_t len; /* of the part that belongs to them */
        bool is_whole;
    } rows[] = {
        {"{}", 2, true},
        {"{}}", 2, true},
        {" {} ", 3, true},
        {"{\\\"}\\\":[{},[]]}x", 15, true},
        {"{\\\"a\\\\\\\"}\\\":1}", 14, true},
        {"{\\u0022}\\u0022:1}{", 17, true},
        {"{\\\"\xc3\xa9\\ud83d\\ude00\\\":1}", 22, true},
        {"{\\\"a", 4, false},
        {"[]{}", 4, false},
        {"null{}", 6, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct span text = span_of(rows[i].text);
        struct ir_arguments whole = {0};
        struct ir_text part = ir_arguments_follow(&whole, (struct ir_text){text});
        cr_expect_eq(part.escaped.len, rows[i].len, "%s: %zu", rows[i].text, part.escaped.len);
        cr_expect_eq(whole.is_whole, rows[i].is_whole, "%s", rows[i].text);
        cr_expect_eq(ir_arguments_follow(&whole, escaped("z")).escaped.len, !rows[i].is_whole);
    }
}
