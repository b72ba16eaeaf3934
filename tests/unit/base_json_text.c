/* Single JSON values: strings decoded and written, numbers. */
#include "base/json.h"
#include "base/utf8.h"

#include <criterion/criterion.h>
#include <math.h>

static struct json value_of(const char *text)
{
    struct json value;
    cr_assert_eq(json_skim(span_of(text), &value, NULL), 0, "skim of %s", text);
    return value;
}

static const struct {
    const char *raw;
    struct span text;
} strings[] = {
    {"\"\"", {"", 0}},
    {"\"plain \xc3\xa9\"", {"plain \xc3\xa9", 8}},
    {"\"a\\n\\t\\\"\\\\\\/\\b\\f\\r\"", {"a\n\t\"\\/\b\f\r", 9}},
    {"\"\\u0041\\u00e9\\u20AC\"", {"A\xc3\xa9\xe2\x82\xac", 6}},
    {"\"\\ud83d\\ude00\"", {"\xf0\x9f\x98\x80", 4}},
    {"\"gpt\\u0000x\"", {"gpt\0x", 5}},
    {"\"\\ud83d!\"", {UTF8_REPLACEMENT "!", 4}},
    {"\"\\ude00\\ud83d\"", {UTF8_REPLACEMENT UTF8_REPLACEMENT, 6}},
    {"\"\\ud83d\\u0041\"", {UTF8_REPLACEMENT "A", 4}},
    {"\"\xff\xc3\"", {UTF8_REPLACEMENT UTF8_REPLACEMENT, 6}},
    {"\"\\x\\u12\"", {UTF8_REPLACEMENT "x" UTF8_REPLACEMENT "u12", 10}},
};

Test(json_text, strings_are_decoded)
{
    struct arena arena;
    arena_init(&arena, 4096);
    for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
        struct span text;
        cr_expect_eq(json_text(value_of(strings[i].raw), &arena, &text), 0);
        cr_expect(span_equal(text, strings[i].text), "%s", strings[i].raw);
    }
    arena_release(&arena);
}

Test(json_text, a_plain_string_is_borrowed_and_a_large_one_bounded)
{
    struct arena arena;
    struct span text;
    arena_init(&arena, 4);
    struct json plain = value_of("\"abcdefgh\"");
    cr_expect_eq(json_text(plain, &arena, &text), 0);
    cr_expect_eq(text.at, plain.at + 1);
    cr_expect_eq(json_text(value_of("\"abcdefg\\n\""), &arena, &text), -ERR_TOO_LARGE);
    cr_expect_eq(json_text(value_of("17"), &arena, &text), -ERR_INVALID_REQUEST);
    arena_release(&arena);
}

Test(json_text, a_string_is_compared_decoded)
{
    cr_expect(json_is(value_of("\"m\\u006fdel\""), "model"));
    cr_expect_not(json_is(value_of("\"models\""), "model"));
    cr_expect_not(json_is(value_of("\"mode\""), "model"));
    cr_expect_not(json_is(value_of("\"model\\u0000\""), "model"));
    cr_expect_not(json_is(value_of("null"), "null"));
    cr_expect(json_is(value_of("\"\""), ""));
}

Test(json_text, whole_numbers_are_exact)
{
    static const struct {
        const char *raw;
        bool is_whole;
        int64_t number;
    } cases[] = {
        {"0", true, 0},
        {"-0", true, 0},
        {"-0.0e5", true, 0},
        {"1.0", true, 1},
        {"1e3", true, 1000},
        {"120e-1", true, 12},
        {"1.50e1", true, 15},
        {"0.001e3", true, 1},
        {"1.5", false, 0},
        {"9007199254740993", true, 9007199254740993},
        {"1e-1", false, 0},
        {"1e19", false, 0},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"1e99999999999999999999", false, 0},
        {"0e99999999999999999999", true, 0},
        {"100000000000000000000000e-20", true, 1000},
        {"12345678901234567890", false, 0},
        {"1000000000000000001", true, 1000000000000000001},
        {"\"1\"", false, 0},
        {"true", false, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t number = 0;
        cr_expect_eq(json_int(value_of(cases[i].raw), &number), cases[i].is_whole, "%s",
                     cases[i].raw);
        cr_expect_eq(number, cases[i].number, "%s", cases[i].raw);
    }
}

Test(json_text, doubles_are_read_and_long_ones_refused)
{
    double number = 0;
    cr_expect(json_double(value_of("-1.25e2"), &number));
    cr_expect_float_eq(number, -125.0, 1e-9);
    cr_expect(json_double(value_of("1e999"), &number) && isinf(number));
    char text[200] = {'1'};
    memset(text + 1, '0', 150);
    cr_expect_not(json_double(value_of(text), &number));
    cr_expect_not(json_double(value_of("\"1\""), &number));
}

Test(json_text, written_strings_read_back_the_same)
{
    char every[256];
    for (int i = 0; i < 128; i++)
        every[i] = (char)i;
    struct bytes out = {.max = 4096};
    struct arena arena;
    struct span text;
    struct json value;
    arena_init(&arena, 4096);
    cr_assert_eq(json_add_string(&out, (struct span){every, 128}), 0);
    cr_assert_eq(json_validate(bytes_span(&out), &value, NULL), 0);
    cr_assert_eq(json_text(value, &arena, &text), 0);
    cr_expect(span_equal(text, (struct span){every, 128}));
    bytes_clear(&out);
    cr_assert_eq(json_add_string(&out, SPAN("\xc3\xa9\xff\"\\\n\x01")), 0);
    cr_expect_str_eq(out.data, "\"\xc3\xa9" UTF8_REPLACEMENT "\\\"\\\\\\n\\u0001\"");
    bytes_release(&out);
    arena_release(&arena);
}

Test(json_text, pieces_make_one_string_and_a_full_buffer_stays_as_it_was)
{
    struct bytes out = {.max = 8};
    cr_assert_eq(bytes_add(&out, "\"", 1), 0);
    cr_expect_eq(json_add_escaped(&out, SPAN("a\n")), 0);
    cr_expect_eq(json_add_escaped(&out, SPAN("b")), 0);
    cr_expect_eq(json_add_escaped(&out, SPAN("cd\n\n")), -ERR_TOO_LARGE);
    cr_expect(span_equal(bytes_span(&out), SPAN("\"a\\nb")));
    cr_expect_eq(json_add_string(&out, SPAN("cd")), -ERR_TOO_LARGE);
    cr_expect(span_equal(bytes_span(&out), SPAN("\"a\\nb")));
    bytes_release(&out);
}

Test(json_text, a_value_is_filled_when_something_is_in_it)
{
    static const char *const filled[] = {"\" \"", "[0]", "{\"a\":1}"};
    static const char *const empty[] = {"\"\"", "[ ]", "{\n}", "0", "true", "null"};
    for (size_t i = 0; i < 3; i++)
        cr_expect(json_is_filled(value_of(filled[i])), "%s", filled[i]);
    for (size_t i = 0; i < 6; i++)
        cr_expect_not(json_is_filled(value_of(empty[i])), "%s", empty[i]);
    cr_expect_not(json_is_filled((struct json){0}));
}

Test(utf8, sequences_are_strict)
{
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {
        {"a", 1},
        {"\xc2\x80", 2},
        {"\xc1\xbf", 0},
        {"\xe0\xa0\x80", 3},
        {"\xe0\x9f\xbf", 0},
        {"\xed\x9f\xbf", 3},
        {"\xed\xa0\x80", 0},
        {"\xf0\x90\x80\x80", 4},
        {"\xf0\x8f\xbf\xbf", 0},
        {"\xf4\x8f\xbf\xbf", 4},
        {"\xf4\x90\x80\x80", 0},
        {"\x80", 0},
        {"\xe2\x82", 0},
        {"", 0},
        {"\xe2\x28\xa1", 0},
        {"\xe2\x82\x28", 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        cr_expect_eq(utf8_sequence(cases[i].bytes, cases[i].bytes + strlen(cases[i].bytes)),
                     cases[i].len, "case %zu", i);
}

Test(utf8, code_points_are_written_as_they_are_read)
{
    static const uint32_t codes[] = {0, 0x7f, 0x80, 0x7ff, 0x800, 0xfffd, 0x10000, 0x10ffff};
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        char out[4];
        size_t len = utf8_encode(codes[i], out);
        cr_expect_eq(utf8_sequence(out, out + len), len, "U+%04X", codes[i]);
    }
}

Test(utf8, a_cut_text_stays_well_formed)
{
    struct span text = SPAN("ab\xf0\x9f\x98\x80z");
    cr_expect_eq(utf8_cut(text, 7).len, 7u);
    for (size_t max = 2; max < 6; max++)
        cr_expect_eq(utf8_cut(text, max).len, 2u, "max %zu", max);
    cr_expect_eq(utf8_cut(text, 6).len, 6u);
    cr_expect_eq(utf8_valid_length(SPAN("12345678\xc3\xa9"
                                        "1234567\xff")),
                 17u);
}
