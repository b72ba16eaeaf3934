/* The JSON scanner: whole texts, walking, members by name, configuration comments. */
#include "base/json.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static int skim(const char *text)
{
    struct json value;
    return json_skim(span_of(text), &value, NULL);
}

static int validate(const char *text)
{
    struct json value;
    return json_validate(span_of(text), &value, NULL);
}

Test(json, well_formed_texts_pass_both_checks)
{
    static const char *const texts[] = {
        "null",
        "true",
        " false ",
        "0",
        "-0",
        "-0.5e+10",
        "1E3",
        "12345678901234567890123",
        "\"\"",
        "\"\\u00e9\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
        "\"\\ud800\"",
        "\"\xf0\x9f\x98\x80\"",
        "[]",
        "{}",
        "\r\n\t [1, [2, {\"a\": [], \"b\": {}}], \"]\"]\n",
        "{\"a\\\\\":\"{\\\"\"}",
        "{\"a\":1,\"a\":2}",
        "[1e999]",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        cr_expect_eq(skim(texts[i]), 0, "skim of %s", texts[i]);
        cr_expect_eq(validate(texts[i]), 0, "validate of %s", texts[i]);
    }
}

Test(json, broken_structure_fails_both_checks)
{
    static const char *const texts[] = {
        "",          "  ",   "{",         "[",    "\"",  "\"\\\"",         "{\"a\":1", "[1}",
        "{]",        "[1]]", "{} {}",     "[\"]", "nul", "True",           "01",       "1.",
        ".5",        "-",    "+1",        "1e",   "NaN", "\xef\xbb\xbf{}", "[\x01]",   "[\xc3\xa9]",
        "// no\n{}", "'a'",  "truefalse", "1 2",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        cr_expect_eq(skim(texts[i]), -ERR_INVALID_REQUEST, "skim of %s", texts[i]);
        cr_expect_eq(validate(texts[i]), -ERR_INVALID_REQUEST, "validate of %s", texts[i]);
    }
}

Test(json, only_the_full_check_looks_into_containers)
{
    static const char *const texts[] = {
        "[1 2]",
        "[1,]",
        "[,1]",
        "{\"a\" 1}",
        "{\"a\":1,}",
        "{a:1}",
        "{1:2}",
        "[nul]",
        "[01]",
        "[\"\\x\"]",
        "[\"\\u12g4\"]",
        "[\"\\u12\"]",
        "[\"a\nb\"]",
        "[\"\xc0\xaf\"]",
        "[\"\xed\xa0\x80\"]",
        "[\"\xf4\x90\x80\x80\"]",
        "[\"12345678\xff\"]",
        "[\"1234567\x1f\"]",
        "{\"a\":}",
        "[:]",
        "[\"\xc3\"]",
        "{\"\xff\":1}",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        cr_expect_eq(skim(texts[i]), 0, "skim of %s", texts[i]);
        cr_expect_eq(validate(texts[i]), -ERR_INVALID_REQUEST, "validate of %s", texts[i]);
    }
}

static char *nested(size_t depth, char open, char close)
{
    char *text = malloc(2 * depth + 1);
    memset(text, open, depth);
    memset(text + depth, close, depth);
    text[2 * depth] = '\0';
    return text;
}

Test(json, nesting_is_bounded)
{
    static const struct {
        size_t depth;
        int result;
    } cases[] = {
        {JSON_DEPTH, 0}, {JSON_DEPTH + 1, -ERR_INVALID_REQUEST}, {100000, -ERR_INVALID_REQUEST}};
    for (size_t i = 0; i < 3; i++) {
        char *text = nested(cases[i].depth, '[', ']');
        cr_expect_eq(skim(text), cases[i].result, "skim at depth %zu", cases[i].depth);
        cr_expect_eq(validate(text), cases[i].result, "validate at depth %zu", cases[i].depth);
        free(text);
    }
}

Test(json, every_prefix_of_a_text_is_refused)
{
    static const char text[] = "{\"a\":[1,true,null,\"x\\\"\\u00e9\"],\"b\":{\"c\":-1.5e3}}";
    for (size_t len = 0; len < sizeof(text) - 1; len++) {
        struct json value;
        char *copy = malloc(len ? len : 1); /* exact, so that reading further is found */
        memcpy(copy, text, len);
        cr_expect_lt(json_skim((struct span){copy, len}, &value, NULL), 0, "skim of %zu", len);
        cr_expect_lt(json_validate((struct span){copy, len}, &value, NULL), 0, "of %zu", len);
        free(copy);
    }
}

Test(json, errors_name_line_and_column)
{
    static const struct {
        const char *text;
        const char *where;
    } cases[] = {
        {"{\n  \"a\": 01\n}", "line 2, column 8: a number"},
        {"{\"a\":1,\n \"b\":\"x}", "line 2, column 6: a string is not closed"},
        {"\n\n[1}", "line 3, column 3: the bracket does not match"},
        {"{} x", "line 1, column 4: something stands behind"},
        {"{\"a\":1", "line 1, column 1: an array or object is not closed"},
        {"", "line 1, column 1: there is no value"},
        {"[\"a\\q\"]", "line 1, column 4: an escape"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err = {0};
        struct json value;
        cr_expect_eq(json_validate(span_of(cases[i].text), &value, &err), -ERR_INVALID_REQUEST);
        cr_expect(strstr(err.detail, cases[i].where), "\"%s\" in \"%s\"", cases[i].where,
                  err.detail);
    }
}

Test(json, a_place_counts_lines_and_bytes)
{
    struct json_place place = json_place(SPAN("ab\ncd\n"), 4);
    cr_expect(place.line == 2 && place.column == 2 && place.offset == 4);
    place = json_place(SPAN("ab\ncd\n"), 99);
    cr_expect(place.line == 3 && place.column == 1 && place.offset == 6);
}

static struct json parsed(const char *text)
{
    struct json value;
    cr_assert_eq(json_skim(span_of(text), &value, NULL), 0, "skim of %s", text);
    return value;
}

Test(json, walking_gives_each_element_with_its_raw_bytes)
{
    struct json value, key;
    struct json_iter iter =
        json_iter(parsed(" [ 1.0 , \"a,]\\\"\" , [1,2] , {\"b\":{}} , null ] "));
    static const char *const elements[] = {"1.0", "\"a,]\\\"\"", "[1,2]", "{\"b\":{}}", "null"};
    for (size_t i = 0; i < 5; i++) {
        cr_assert(json_next(&iter, &value));
        cr_expect(span_equal(json_span(value), span_of(elements[i])), "element %zu", i);
    }
    cr_expect_not(json_next(&iter, &value));
    iter = json_iter(parsed("{ \"a\" : 9007199254740993 , \"\" : false }"));
    cr_assert(json_next_member(&iter, &key, &value));
    cr_expect(json_is(key, "a") && span_equal(json_span(value), SPAN("9007199254740993")));
    cr_assert(json_next_member(&iter, &key, &value));
    cr_expect(json_is(key, "") && value.type == JSON_FALSE);
    cr_expect_not(json_next_member(&iter, &key, &value));
    iter = json_iter(parsed("17"));
    cr_expect_not(json_next(&iter, &value));
}

Test(json, a_malformed_level_ends_the_walk)
{
    static const struct {
        const char *text;
        size_t count;
    } cases[] = {{"[1 2]", 0},   {"[1,2,]", 1},   {"[1,,2]", 1},
                 {"[1,nul]", 1}, {"[1,2 ,x]", 2}, {"[]", 0}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct json_iter iter = json_iter(json_peek(span_of(cases[i].text)));
        struct json value;
        size_t count = 0;
        while (json_next(&iter, &value))
            count++;
        cr_expect_eq(count, cases[i].count, "%s: %zu", cases[i].text, count);
        cr_expect_not(json_next(&iter, &value));
    }
}

Test(json, members_are_found_by_name_and_path)
{
    struct json root = parsed("{\"a\":{\"b\":{\"c\":5}},\"\\u0061\":1,\"x\":[1]}");
    int64_t number = 0;
    cr_expect(json_int(json_path(root, "a", "b", "c", NULL), &number));
    cr_expect_eq(number, 5);
    cr_expect_eq(json_path(root, "a", "z", "c", NULL).type, JSON_ABSENT);
    cr_expect_eq(json_get(root, "A").type, JSON_ABSENT, "names are exact");
    cr_expect_eq(json_get(parsed("{\"\\u0061\":1}"), "a").type, JSON_NUMBER, "escapes are read");
    cr_expect_eq(json_get(json_get(root, "x"), "a").type, JSON_ABSENT);
    static const char *const names[] = {"x", "nothing", "a", NULL};
    struct json found[3];
    json_find(root, names, found);
    cr_expect(found[0].type == JSON_ARRAY && found[1].type == JSON_ABSENT);
    cr_expect_eq(found[2].type, JSON_OBJECT, "the first of two counts");
    json_find(parsed("[1]"), names, found);
    cr_expect(found[0].type == JSON_ABSENT && found[2].type == JSON_ABSENT);
}

static const char *const request_names[] = {"model", "stream", NULL};

Test(json, a_picked_name_that_stands_twice_is_refused)
{
    static const char *const texts[] = {
        "{\"model\":\"cheap\",\"model\":\"dear\"}",
        "{\"model\":\"cheap\",\"MODEL\":\"dear\"}",
        "{\"model\":\"cheap\",\"\\u006dodel\":\"dear\"}",
        "{\"\\u004dodel\":\"cheap\",\"mode\\u006c\":\"dear\"}",
        "{\"stream\":true,\"\xc5\xbftream\":false}",
        "{\"stream\":true,\"\\u017Ftream\":false}",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct json root, found[2];
        struct err err = {0};
        cr_expect_eq(json_pick_text(span_of(texts[i]), request_names, &root, found, &err),
                     -ERR_INVALID_REQUEST, "%s", texts[i]);
        cr_expect(err.detail[0]);
        cr_expect_eq(json_pick(parsed(texts[i]), request_names, found, NULL), -ERR_INVALID_REQUEST);
    }
}

Test(json, an_exact_pick_refuses_another_case_even_alone)
{
    static const char *const texts[] = {"{\"MODEL\":1}", "{\"strea\\u004d\":1}",
                                        "{\"\xc5\xbftream\":true}"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct json root, found[2];
        struct err err = {0};
        cr_expect_eq(json_pick_text(span_of(texts[i]), request_names, &root, found, &err),
                     -ERR_INVALID_REQUEST, "%s", texts[i]);
        cr_expect(strstr(err.detail, "must be spelled"), "%s", err.detail);
        cr_expect_eq(json_pick_exact(parsed(texts[i]), request_names, found, NULL),
                     -ERR_INVALID_REQUEST);
        cr_expect_eq(json_pick(parsed(texts[i]), request_names, found, NULL), 0);
        cr_expect(found[0].type == JSON_ABSENT && found[1].type == JSON_ABSENT);
    }
}

Test(json, picking_takes_exact_names_and_lets_others_repeat)
{
    struct json root, found[2];
    const char *text = " {\"x\":1,\"x\":2,\"streams\":3,\"models\":4,\"mode\":5,\"model\\u0000\":6,"
                       "\"model\":{\"model\":7,\"model\":8}}\n";
    cr_assert_eq(json_pick_text(span_of(text), request_names, &root, found, NULL), 0);
    cr_expect(span_equal(json_span(found[0]), SPAN("{\"model\":7,\"model\":8}")));
    cr_expect_eq(found[1].type, JSON_ABSENT);
    cr_expect(root.at == text + 1 && root.at[root.len - 1] == '}');
}

Test(json, picking_refuses_what_is_malformed_on_its_level)
{
    static const char *const texts[] = {
        "",
        "[]",
        "\"model\"",
        "{\"model\":\"a\" \"model\":\"b\"}",
        "{\"model\":\"a\",}",
        "{} {}",
        "{\"model\":\"a\"}}",
        "{\"model\":\"a\"}{\"model\":\"b\"}",
        "{\"model\":\"a\"",
        "{model:1}",
        "{\"model\":\"a\",'model':\"b\"}",
        "{\"a\":[}",
        "{\"a\":[1}]}",
        "{\"a\":0x1}",
        "{,}",
        "{\"a\"}",
        "\xef\xbb\xbf{}",
        "{\"a\":1}x",
        "{\"a\":1/*}*/}",
        "{\"a\":NaN}",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct json root, found[2];
        cr_expect_eq(json_pick_text(span_of(texts[i]), request_names, &root, found, NULL),
                     -ERR_INVALID_REQUEST, "%s", texts[i]);
    }
}

Test(json, a_million_members_are_picked_in_one_pass)
{
    struct bytes text = {.max = 64 << 20};
    cr_assert_eq(bytes_add(&text, "{", 1), 0);
    for (int i = 0; i < 1000000; i++)
        cr_assert_eq(bytes_add_span(&text, SPAN("\"k\":0,")), 0);
    cr_assert_eq(bytes_add_span(&text, SPAN("\"model\":\"m\"}")), 0);
    struct json root, found[2];
    cr_expect_eq(json_pick_text(bytes_span(&text), request_names, &root, found, NULL), 0);
    cr_expect(json_is(found[0], "m"));
    bytes_release(&text);
}

Test(json, comments_and_trailing_commas_become_spaces)
{
    static const struct {
        const char *text;
        const char *blanked;
    } cases[] = {
        {"{ // a \"b\n\"u\":\"http://x/*y*/\" /* \n */ }",
         "{        \n\"u\":\"http://x/*y*/\"    \n    }"},
        {"[1,2, /* x */ ]", "[1,2          ]"},
        {"{\"a\":\",]\\\",}\",}", "{\"a\":\",]\\\",}\" }"},
        {"[,]", "[,]"},
        {"[1,,]", "[1,,]"},
        {"1 //", "1   "},
        {"/", "/"},
        {"\"//", "\"//"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *text = strdup(cases[i].text);
        cr_expect_eq(json_blank_comments(text, strlen(text), NULL), 0);
        cr_expect_str_eq(text, cases[i].blanked);
        free(text);
    }
}

Test(json, an_open_comment_is_refused_with_its_place)
{
    static const char *const texts[] = {"{}\n /* x", "\n /*/"};
    for (size_t i = 0; i < 2; i++) {
        struct err err = {0};
        char *text = strdup(texts[i]);
        cr_expect_eq(json_blank_comments(text, strlen(text), &err), -ERR_INVALID_REQUEST);
        cr_expect(strstr(err.detail, "line 2, column 2: a comment is not closed"), "%s",
                  err.detail);
        free(text);
    }
}
