/* Cleaned text, tables, numbers: client/render.h; and JSON on the terminal: client/answer.h. */
#include "client/render.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "client/answer.h"

/* Prints a table of 3 columns with the cells given, on a screen of some width. */
static char *print(const struct column *columns, int width, const char *const *cells)
{
    char *text = NULL;
    size_t size = 0;
    struct screen screen = {.out = open_memstream(&text, &size), .width = width};
    struct table table;
    table_init(&table, columns, 3, 0);
    for (; *cells; cells++)
        table_add(&table, TONE_GOOD, *cells);
    table_print(&table, &screen);
    table_release(&table);
    fclose(screen.out);
    return text;
}

Test(render, nothing_from_outside_acts_on_the_terminal)
{
    static const struct {
        const char *text, *clean;
    } cases[] = {
        {"plain", "plain"},
        {"\x1b[31mred\x1b[0m", "?[31mred?[0m"},
        {"\x1b]0;title\x07", "?]0;title?"},
        {"a\rb\bc\x7f", "a?b?c?"},
        {"two\nlines\tand", "two lines and"},
        {"\xc2\x9b"
         "31m",
         "?31m"}, /* C1: CSI in one character */
        {"\x9b"
         "31m",
         "?31m"}, /* and as a bare byte */
        {"\xe2\x80\xae"
         "abc",
         "?abc"}, /* right-to-left override */
        {"\xe2\x81\xa6"
         "abc",
         "?abc"}, /* isolate */
        {"\xc3\xa9\xe6\xa8\xa1", "\xc3\xa9\xe6\xa8\xa1"},
        {"\xc0\x9b", "??"},      /* overlong ESC */
        {"\xed\xa0\x80", "???"}, /* surrogate */
        {"cut\xe6\xa8", "cut??"},
        {"\xf4\x90\x80\x80", "????"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char out[64];
        cr_expect_str_eq(clean_text(out, sizeof(out), cases[i].text), cases[i].clean);
    }
}

Test(render, cleaned_text_is_cut_at_a_whole_character)
{
    char out[5];
    cr_expect_str_eq(clean_text(out, sizeof(out), "ab\xe6\xa8\xa1"), "ab");
    cr_expect_str_eq(clean_text(out, sizeof(out), "a\xe6\xa8\xa1"), "a\xe6\xa8\xa1");
    cr_expect_str_eq(clean_text(out, 1, "a"), "");
}

Test(render, widths_are_columns_not_bytes)
{
    cr_expect_eq(display_width("abc"), 3);
    cr_expect_eq(display_width("\xe6\xa8\xa1\xe5\x9e\x8b"), 4); /* two wide characters */
    cr_expect_eq(display_width("e\xcc\x81"), 1);                /* combining accent */
}

Test(render, columns_are_aligned_and_lines_have_no_trailing_blanks)
{
    static const struct column columns[] = {{"NAME"}, {"COUNT", .is_right = true}, {"NOTE"}};
    char *text =
        print(columns, 0, (const char *const[]){"a", "1", "x", "\xe6\xa8\xa1", "1000", "", NULL});
    cr_assert_str_eq(text, "NAME  COUNT  NOTE\n"
                           "a         1  x\n"
                           "\xe6\xa8\xa1     1000\n");
    free(text);
}

Test(render, a_table_is_fitted_to_the_screen)
{
    static const struct column columns[] = {
        {"A", .least = 4}, {"B"}, {"PATH", .least = 8, .keeps_end = true}};
    const char *const cells[] = {"abcdefghijklmnop", "bbbb", "/home/user/project/file:12", NULL};
    for (int width = 22; width < 60; width++) {
        char *text = print(columns, width, cells);
        for (char *save = NULL, *line = strtok_r(text, "\n", &save); line;
             line = strtok_r(NULL, "\n", &save))
            cr_expect_leq(display_width(line), width, "%d columns: %s", width, line);
        free(text);
    }
    char *text = print(columns, 30, cells);
    cr_expect(strstr(text, "file:12\n"), "%s", text);
    cr_expect(strstr(text, "abcdefghij~"), "%s", text);
    free(text);
}

Test(render, columns_that_may_go_make_room)
{
    static const struct column columns[] = {
        {"NAME", .least = 4}, {"SECOND", .drops = 1}, {"FIRST", .drops = 2}};
    const char *const cells[] = {"abcdefgh", "22", "11", NULL};
    static const struct {
        int width;
        const char *shown;
    } cases[] = {
        {40, "NAME      SECOND  FIRST\nabcdefgh  22      11\n"},
        {19, "NAME  SECOND  FIRST\nabc~  22      11\n"},
        {18, "NAME      SECOND\nabcdefgh  22\n"},
        {12, "NAME  SECOND\nabc~  22\n"},
        {11, "NAME\nabcdefgh\n"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *text = print(columns, cases[i].width, cells);
        cr_expect_str_eq(text, cases[i].shown, "%d columns", cases[i].width);
        free(text);
    }
}

static char *wrap(int width, int from, int indent, const char *words)
{
    char *text = NULL;
    size_t size = 0;
    struct screen screen = {.out = open_memstream(&text, &size), .width = width};
    screen_wrap(&screen, TONE_PLAIN, from, indent, words);
    fclose(screen.out);
    return text;
}

Test(render, long_lines_are_broken_between_words)
{
    static const struct {
        int width, from, indent;
        const char *text, *shown;
    } cases[] = {
        {12, 0, 2, "one two three four", "one two\n  three four"},
        {12, 7, 2, "one two three", "one\n  two three"},
        {12, 8, 2, "eleven", "\n  eleven"},
        {10, 0, 2, "a /much/too/long/path b", "a\n  /much/too/long/path\n  b"},
        {10, 2, 2, "/much/too/long/path", "/much/too/long/path"},
        {0, 7, 2, "no terminal: one line, however long", "no terminal: one line, however long"},
        {20, 0, 0, "x\x1b\ty", "x? y"},
        {20, 0, 0, "", ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *text = wrap(cases[i].width, cases[i].from, cases[i].indent, cases[i].text);
        cr_expect_str_eq(text, cases[i].shown);
        free(text);
    }
}

Test(render, without_a_terminal_nothing_is_cut_or_coloured)
{
    static const struct column columns[] = {
        {"A", .least = 2}, {"B", .least = 2}, {"C", .least = 2}};
    char long_text[300];
    memset(long_text, 'x', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    char *text = print(columns, 0, (const char *const[]){long_text, long_text, "end", NULL});
    cr_expect(strstr(text, "end\n"));
    cr_expect_not(strchr(text, '\033'));
    free(text);
}

Test(render, a_column_without_content_takes_no_room)
{
    static const struct column columns[] = {{""}, {"B"}, {"C"}};
    char *text = print(columns, 0, (const char *const[]){"", "b", "c", NULL});
    cr_expect_str_eq(text, "B  C\nb  c\n");
    free(text);
}

Test(render, numbers_are_friendly)
{
    char out[64];
    cr_expect_str_eq(format_span(out, sizeof(out), 850), "850 ms");
    cr_expect_str_eq(format_span(out, sizeof(out), 4250), "4.2 s");
    cr_expect_str_eq(format_span(out, sizeof(out), 12000), "12 s");
    cr_expect_str_eq(format_span(out, sizeof(out), 0), "0 s");
    cr_expect_str_eq(format_span(out, sizeof(out), 190000), "3 min 10 s");
    cr_expect_str_eq(format_span(out, sizeof(out), 7500000), "2 h 5 min");
    cr_expect_str_eq(format_span(out, sizeof(out), 356400000), "4 d 3 h");
    cr_expect_str_eq(format_span(out, sizeof(out), -1), "-");
    cr_expect_str_eq(format_ago(out, sizeof(out), 100), "just now");
    cr_expect_str_eq(format_ago(out, sizeof(out), 300000), "5 min ago");
    cr_expect_str_eq(format_count(out, sizeof(out), 9999), "9999");
    cr_expect_str_eq(format_count(out, sizeof(out), 12345), "12.3k");
    cr_expect_str_eq(format_count(out, sizeof(out), 120034), "120k");
    cr_expect_str_eq(format_count(out, sizeof(out), 4100000), "4.1M");
}

Test(render, secrets_are_masked)
{
    char out[64];
    cr_expect_str_eq(format_masked(out, sizeof(out), "sk-aictl-3fa9c2d17b-77aa99bb"),
                     "sk-aictl-3f...bb");
    cr_expect_str_eq(format_masked(out, sizeof(out), "sk-aictl-3f...bb"), "sk-aictl-3f...bb");
    cr_expect_str_eq(format_masked(out, sizeof(out), "short"), "...");
}

Test(render, the_home_directory_is_a_tilde)
{
    char out[64];
    setenv("HOME", "/home/me/", 1);
    cr_expect_str_eq(format_path(out, sizeof(out), "/home/me/src"), "~/src");
    cr_expect_str_eq(format_path(out, sizeof(out), "/home/me"), "~");
    cr_expect_str_eq(format_path(out, sizeof(out), "/home/mean"), "/home/mean");
}

Test(render, json_has_no_control_characters)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    cJSON *tree = cJSON_CreateObject();
    cJSON_AddStringToObject(tree, "a\x1b", "x\x7f\xc2\x9b\x1b\"y");
    cJSON_AddItemToObject(tree, "list", cJSON_CreateArray());
    cJSON_AddNullToObject(tree, "none");
    answer_print_json(out, tree);
    fclose(out);
    cr_expect_str_eq(text, "{\n  \"a\\u001b\": \"x\\u007f\\u009b\\u001b\\\"y\",\n  \"list\": [],\n "
                           " \"none\": null\n}\n");
    cJSON *again = cJSON_Parse(text);
    cr_expect(cJSON_Compare(tree, again, true));
    cJSON_Delete(again);
    cJSON_Delete(tree);
    free(text);
}
