/* Escaped text: taken from JSON, made of plain text, decoded, looked at, written. */
#include "ir/text.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static struct ir_text text_of(const char *escaped)
{
    return (struct ir_text){span_of(escaped)};
}

Test(ir_text, is_the_inside_of_a_json_string)
{
    struct json string = {"\"a\\n\"", 5, JSON_STRING}, empty = {"\"\"", 2, JSON_STRING};
    cr_expect(span_equal(ir_text_of(string).escaped, SPAN("a\\n")));
    cr_expect_not_null(ir_text_of(empty).escaped.at);
    cr_expect_not(ir_text_is_filled(ir_text_of(empty)));
    static const struct json others[] = {{NULL, 0, JSON_ABSENT},
                                         {"null", 4, JSON_NULL},
                                         {"17", 2, JSON_NUMBER},
                                         {"[]", 2, JSON_ARRAY}};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        cr_expect_null(ir_text_of(others[i]).escaped.at, "case %zu", i);
}

static const struct {
    struct span plain, escaped;
} pairs[] = {
    {{"", 0}, {"", 0}},
    {{"plain \xc3\xa9 /", 10}, {"plain \xc3\xa9 /", 10}},
    {{"a\n\t\"\\\b\f\rz", 9}, {"a\\n\\t\\\"\\\\\\b\\f\\rz", 16}},
    {{"\0\x1f", 2}, {"\\u0000\\u001f", 12}},
    {{"\x7f\xf0\x9f\x98\x80", 5}, {"\x7f\xf0\x9f\x98\x80", 5}},
    {{"{\"city\":\"\xe6\x9d\xad\"}", 14}, {"{\\\"city\\\":\\\"\xe6\x9d\xad\\\"}", 18}},
};

Test(ir_text, plain_text_is_escaped_and_comes_back)
{
    struct arena arena;
    arena_init(&arena, 4096);
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        struct ir_text text = {{NULL, 0}};
        struct span plain = {NULL, 0};
        cr_expect_eq(ir_text_escape(pairs[i].plain, &arena, &text), 0, "case %zu", i);
        cr_expect(span_equal(text.escaped, pairs[i].escaped), "case %zu: " SPAN_FMT, i,
                  SPAN_ARG(text.escaped));
        cr_expect_eq(text.escaped.at == pairs[i].plain.at,
                     span_equal(pairs[i].plain, pairs[i].escaped), "case %zu borrows", i);
        cr_expect_eq(ir_text_plain(text, &arena, &plain), 0, "case %zu", i);
        cr_expect(span_equal(plain, pairs[i].plain), "case %zu", i);
    }
    arena_release(&arena);
}

Test(ir_text, bytes_that_are_no_utf8_are_replaced_when_escaped)
{
    struct arena arena;
    struct ir_text text;
    arena_init(&arena, 4096);
    cr_expect_eq(ir_text_escape(SPAN("a\xff\xc3"), &arena, &text), 0);
    cr_expect(span_equal(text.escaped, SPAN("a\xef\xbf\xbd\xef\xbf\xbd")));
    arena_release(&arena);
}

static const struct {
    const char *escaped, *plain;
} decoded[] = {
    {"\\u0041\\u00e9\\u20AC", "A\xc3\xa9\xe2\x82\xac"},
    {"x\\ud83d\\ude00y", "x\xf0\x9f\x98\x80y"},
    {"\\ud83d!", "\xef\xbf\xbd!"},
    {"a\\/b", "a/b"},
    {"\\x\\u12", "\xef\xbf\xbdx\xef\xbf\xbdu12"}, /* longer than what stood there */
    {"\\", "\xef\xbf\xbd"},
};

Test(ir_text, every_escape_is_decoded_and_broken_ones_do_no_harm)
{
    struct arena arena;
    struct span plain;
    arena_init(&arena, 4096);
    for (size_t i = 0; i < sizeof(decoded) / sizeof(decoded[0]); i++) {
        cr_expect_eq(ir_text_plain(text_of(decoded[i].escaped), &arena, &plain), 0);
        cr_expect(span_equal(plain, span_of(decoded[i].plain)), "case %zu: " SPAN_FMT, i,
                  SPAN_ARG(plain));
    }
    arena_release(&arena);
}

Test(ir_text, nothing_stays_nothing_and_a_plain_text_is_borrowed)
{
    struct arena arena;
    struct span plain = SPAN("x");
    struct ir_text text = text_of("x");
    arena_init(&arena, 0);
    cr_expect_eq(ir_text_plain((struct ir_text){{NULL, 0}}, &arena, &plain), 0);
    cr_expect_null(plain.at);
    cr_expect_eq(ir_text_escape((struct span){NULL, 0}, &arena, &text), 0);
    cr_expect_null(text.escaped.at);
    text = text_of("plain");
    cr_expect_eq(ir_text_plain(text, &arena, &plain), 0);
    cr_expect_eq(plain.at, text.escaped.at);
    arena_release(&arena);
}

Test(ir_text, a_full_arena_is_too_large)
{
    struct arena arena;
    struct span plain = SPAN("kept");
    struct ir_text text = text_of("kept");
    arena_init(&arena, 4);
    cr_expect_eq(ir_text_plain(text_of("abcdef\\n"), &arena, &plain), -ERR_TOO_LARGE);
    cr_expect_eq(ir_text_escape(SPAN("abcdef\n"), &arena, &text), -ERR_TOO_LARGE);
    cr_expect(span_equal(plain, SPAN("kept")));
    cr_expect(ir_text_equal(text, text_of("kept")));
    arena_release(&arena);
}

Test(ir_text, blank_is_white_space_in_any_spelling)
{
    static const char *const blank[] = {"", " \t", "\\n\\t\\r ", "\\u0020\\u000A\\u000d\\u0009"};
    static const char *const filled[] = {"x",   " \\n.",    "\\u0000", "\\u00a0",
                                         "\\f", "\xc2\xa0", "\\"};
    for (size_t i = 0; i < sizeof(blank) / sizeof(blank[0]); i++)
        cr_expect(ir_text_is_blank(text_of(blank[i])), "%s", blank[i]);
    for (size_t i = 0; i < sizeof(filled) / sizeof(filled[0]); i++)
        cr_expect_not(ir_text_is_blank(text_of(filled[i])), "%s", filled[i]);
    cr_expect(ir_text_is_blank((struct ir_text){{NULL, 0}}));
}

Test(ir_text, is_written_with_its_quotes_or_not_at_all)
{
    struct bytes out = {.max = 9};
    cr_expect_eq(ir_text_add(&out, text_of("a\\n")), 0);
    cr_expect_eq(ir_text_add(&out, (struct ir_text){{NULL, 0}}), 0);
    cr_expect_eq(ir_text_add(&out, text_of("b")), -ERR_TOO_LARGE);
    cr_expect(span_equal(bytes_span(&out), SPAN("\"a\\n\"\"\"")));
    bytes_release(&out);
}

Test(ir_text, megabytes_are_decoded_by_runs)
{
    enum { SIZE = 5 << 20, LINE = 80 };
    char *raw = malloc(SIZE);
    struct arena arena;
    struct span plain;
    cr_assert_not_null(raw);
    memset(raw, 'a', SIZE);
    for (size_t i = LINE; i + 2 < SIZE; i += LINE)
        memcpy(raw + i, "\\n", 2);
    arena_init(&arena, SIZE);
    cr_expect_eq(ir_text_plain((struct ir_text){{raw, SIZE}}, &arena, &plain), 0);
    cr_expect_eq(plain.len, SIZE - (SIZE - 3) / LINE);
    cr_expect_eq(plain.at[LINE], '\n');
    arena_release(&arena);
    free(raw);
}
