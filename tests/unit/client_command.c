/* Parsing of command lines: client/command.h. */
#include "client/command.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <string.h>

#define WORDS 8

/* Parses "a b c" as typed behind `aictl`. The words live until the next call. */
static int parse(struct invocation *inv, const char *line)
{
    char *argv[WORDS + 2] = {(char *)"aictl"};
    int argc = 1;
    static char text[256];
    char *save = NULL;
    snprintf(text, sizeof(text), "%s", line);
    for (char *word = strtok_r(text, " ", &save); word && argc <= WORDS;
         word = strtok_r(NULL, " ", &save))
        argv[argc++] = word;
    return invocation_parse(inv, argc, argv);
}

/* Everything that was written to standard error. */
static const char *complaint(void)
{
    static char text[2048];
    fflush(stderr);
    FILE *in = cr_get_redirected_stderr();
    size_t n = fread(text, 1, sizeof(text) - 1, in);
    text[n] = '\0';
    return text;
}

static void assert_refused(const char *line, const char *said)
{
    struct invocation inv;
    cr_redirect_stderr();
    cr_assert_eq(parse(&inv, line), EXIT_USAGE, "%s was accepted", line);
    const char *text = complaint();
    cr_assert(strstr(text, said), "%s: expected \"%s\" in: %s", line, said, text);
    cr_assert(strstr(text, "\n  "), "%s: nothing to try in: %s", line, text);
}

Test(command, no_command_is_status)
{
    struct invocation inv;
    cr_assert_eq(parse(&inv, ""), 0);
    cr_assert_str_eq(inv.command->name, "status");
}

Test(command, options_stand_anywhere)
{
    static const char *const lines[] = {
        "--json switch -g glm-4.6",
        "switch glm-4.6 --global --json",
        "switch -g --json -- glm-4.6",
        "switch --json glm-4.6 -qg",
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct invocation inv;
        cr_expect_eq(parse(&inv, lines[i]), 0, "%s", lines[i]);
        cr_expect(inv.json && invocation_has(&inv, "global"), "%s", lines[i]);
        cr_expect_eq(inv.arg_count, 1, "%s", lines[i]);
        cr_expect_str_eq(inv.args[0], "glm-4.6", "%s", lines[i]);
    }
}

Test(command, values_come_attached_or_as_the_next_word)
{
    static const char *const lines[] = {
        "-C /tmp model",
        "-C/tmp model",
        "--directory=/tmp model",
        "model --directory /tmp",
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct invocation inv;
        cr_expect_eq(parse(&inv, lines[i]), 0, "%s", lines[i]);
        cr_expect_str_eq(inv.directory, "/tmp", "%s", lines[i]);
        cr_expect_str_eq(inv.command->name, "model", "%s", lines[i]);
    }
}

Test(command, an_optional_number_is_taken_only_when_there_is_one)
{
    struct invocation inv;
    cr_assert_eq(parse(&inv, "status --recent"), 0);
    cr_assert(invocation_has(&inv, "recent") && !invocation_value(&inv, "recent"));
    cr_assert_eq(parse(&inv, "status --recent 5"), 0);
    cr_assert_str_eq(invocation_value(&inv, "recent"), "5");
    cr_assert_eq(parse(&inv, "status -r --json"), 0);
    cr_assert(!invocation_value(&inv, "recent") && inv.json);
}

Test(command, a_dash_alone_is_an_argument)
{
    struct invocation inv;
    cr_assert_eq(parse(&inv, "switch -"), 0);
    cr_assert_str_eq(inv.args[0], "-");
}

Test(command, repeated_options_are_all_kept_and_the_last_counts)
{
    struct invocation inv;
    cr_assert_eq(parse(&inv, "login p --model a --model b -m c"), 0);
    cr_assert_eq(inv.option_count, 3);
    cr_assert_str_eq(invocation_value(&inv, "model"), "c");
}

Test(command, help_needs_no_valid_arguments)
{
    struct invocation inv;
    cr_assert_eq(parse(&inv, "login --help"), 0);
    cr_assert(inv.help);
    cr_assert_eq(parse(&inv, "--version"), 0);
    cr_assert(inv.version);
}

Test(command, an_unknown_command_names_the_nearest)
{
    assert_refused("swich glm", "try: aictl switch");
}

Test(command, an_unknown_option_names_the_nearest)
{
    assert_refused("model --explian", "try: --explain");
}

Test(command, an_unknown_letter_is_refused)
{
    assert_refused("model -x", "no option -x");
}

Test(command, an_option_of_another_command_is_refused)
{
    assert_refused("model --global", "no option --global");
}

Test(command, a_missing_value_is_named)
{
    assert_refused("token --expires", "--expires needs a value: TIME");
}

Test(command, a_value_nobody_asked_for_is_refused)
{
    assert_refused("model --json=yes", "--json takes no value");
}

Test(command, choices_are_checked)
{
    assert_refused("env -s tcsh", "bash|zsh|fish|nu|sh|json|dotenv");
}

Test(command, verbs_are_checked)
{
    assert_refused("daemon restart", "run|start|stop|status|reload");
}

Test(command, too_few_arguments_show_the_usage)
{
    assert_refused("switch", "usage: aictl switch MODEL|-");
}

Test(command, too_many_arguments_show_the_usage)
{
    assert_refused("switch a b", "usage: aictl switch MODEL|-");
}

/* The key must not be repeated: terminals are recorded, too. */
Test(command, keys_on_the_command_line_are_refused_and_not_repeated)
{
    static const char *const lines[] = {
        "login sk-abcdefgh",
        "login deepseek sk-abcdefgh",
        "login deepseek 0123456789abcdefabcdefgh.XYZabcdefgh",
        "login deepseek --key=sk-abcdefgh",
        "login deepseek --api-key sk-abcdefgh",
        "login deepseek -k sk-abcdefgh",
        "login deepseek -ksk-abcdefgh",
        "sk-abcdefgh",
    };
    cr_redirect_stderr();
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct invocation inv;
        cr_expect_eq(parse(&inv, lines[i]), EXIT_USAGE, "%s", lines[i]);
    }
    const char *text = complaint();
    cr_assert(strstr(text, "does not belong on the command line"), "%s", text);
    cr_assert_not(strstr(text, "abcdefgh"), "%s", text);
}

Test(command, the_nearest_word_allows_for_typing_errors_only)
{
    static const char *const words[] = {"status", "switch", "model", "models", NULL};
    cr_expect_str_eq(nearest_word("swtich", words), "switch");
    cr_expect_str_eq(nearest_word("modle", words), "model");
    cr_expect_str_eq(nearest_word("stats", words), "status");
    cr_expect_null(nearest_word("banana", words));
    cr_expect_null(nearest_word("a-word-that-is-longer-than-any-command-could-be", words));
}

Test(command, every_row_is_complete)
{
    for (const struct command *c = commands; c->name; c++) {
        cr_expect(c->summary || c->is_hidden, "%s has no summary", c->name);
        cr_expect(c->run, "%s has no function", c->name);
        cr_expect(c->max_args == 0 || c->usage, "%s takes arguments and has no usage", c->name);
        for (const struct option_row *o = c->options; o && o->name; o++)
            cr_expect(o->help, "%s --%s has no help", c->name, o->name);
    }
}
