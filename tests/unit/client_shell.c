/* Quoting for shells, and the init scripts: client/shell.h. */
#include "client/shell.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const hostile[] = {
    "plain",       "",          "it's",        "''quoted''",   "a'$(touch pwned)'b",
    "`id`",        "$HOME",     "${IFS}",      "\\",           "\\'",
    "\"; id; \"",  "a b  c",    "-n",          "!!",           "*",
    "~",           "a&b|c;d>e", "#no comment", "\xe6\xa8\xa1", "%n%(!.a.b)",
    "x\\\\'\"$`!", "$'\\x41'",  "{a,b}[c]?",   "=ls",          "ends with quote'",
};

/* What quoting makes of a text. The caller frees it. */
static char *quoted(const char *shell, const char *text)
{
    char *out = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&out, &size);
    shell_quote(stream, shell, text);
    fclose(stream);
    return out;
}

/* Has a shell print a word; the caller frees what it wrote. */
static char *printed_by(const char *program, const char *word)
{
    char *line, *out = calloc(1, 4096);
    cr_assert(asprintf(&line, "printf '%%s' %s", word) > 0);
    int pipes[2];
    cr_assert_eq(pipe(pipes), 0);
    if (fork() == 0) {
        dup2(pipes[1], 1);
        close(pipes[0]);
        close(pipes[1]);
        execlp(program, program, "-c", line, (char *)NULL);
        _exit(127);
    }
    close(pipes[1]);
    for (size_t n = 0; n < 4095;) {
        ssize_t r = read(pipes[0], out + n, 4095 - n);
        if (r <= 0)
            break;
        n += (size_t)r;
    }
    close(pipes[0]);
    free(line);
    return out;
}

static bool is_installed(const char *program)
{
    char line[64];
    snprintf(line, sizeof(line), "command -v %s >/dev/null 2>&1", program);
    return system(line) == 0;
}

Test(shell, every_shell_reads_back_what_was_quoted)
{
    static const char *const shells[] = {"sh", "bash", "zsh", "fish"};
    for (size_t s = 0; s < sizeof(shells) / sizeof(shells[0]); s++) {
        if (!is_installed(shells[s]))
            continue;
        for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
            char *word = quoted(shells[s], hostile[i]);
            char *back = printed_by(shells[s], word);
            cr_expect_str_eq(back, hostile[i], "%s read %s", shells[s], word);
            free(word);
            free(back);
        }
    }
}

Test(shell, quoting_has_one_form_for_each_shell)
{
    static const struct {
        const char *shell, *text, *quoted;
    } cases[] = {
        {"bash", "it's", "'it'\\''s'"},
        {"fish", "it's \\", "'it\\'s \\\\'"},
        {"nu", "say \"$x\" \\", "\"say \\\"$x\\\" \\\\\""},
        {"sh", "a\nb\x1b", "'a b?'"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *word = quoted(cases[i].shell, cases[i].text);
        cr_expect_str_eq(word, cases[i].quoted);
        free(word);
    }
}

Test(shell, a_name_that_is_none_is_left_out)
{
    static const char *const bad[] = {"", "1A", "A-B", "A=B", "A;id", "A B", "\xc3\xa9"};
    char *out = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&out, &size);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_expect_not(shell_is_name(bad[i]), "%s", bad[i]);
        shell_print_variable(stream, "bash", bad[i], "x");
    }
    shell_print_variable(stream, "bash", "_A1", "x y");
    shell_print_variable(stream, "fish", "A", "x");
    shell_print_variable(stream, "nu", "A", "x");
    shell_print_variable(stream, "dotenv", "A", "x");
    fclose(stream);
    cr_expect_str_eq(out, "export _A1='x y'\nset -gx A 'x'\n$env.A = \"x\"\nA='x'\n");
    free(out);
}

static char *init_script(const char *shell, const char *shim, bool has_prompt)
{
    char *out = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&out, &size);
    cr_assert(shell_print_init(stream, shell, shim, "/run/gen file", has_prompt));
    fclose(stream);
    return out;
}

Test(shell, init_scripts_have_their_paths_quoted_and_no_placeholder_left)
{
    static const char *const shells[] = {"bash", "zsh"};
    for (size_t i = 0; i < 2; i++) {
        char *with = init_script(shells[i], "/opt/it's/aictl-shim", true);
        char *without = init_script(shells[i], "/bin/aictl-shim", false);
        cr_expect(strstr(with, "__aictl_shim='/opt/it'\\''s/aictl-shim'\n"), "%s", with);
        cr_expect(strstr(with, "__aictl_genfile='/run/gen file'\n"));
        cr_expect_not(strchr(with, '@') && strstr(with, "@S"), "%s", with);
        cr_expect_not(strstr(with, "#@PROMPT"));
        cr_expect(strstr(with, shells[i][0] == 'b' ? "PS1=" : "PROMPT="));
        cr_expect_not(strstr(without, shells[i][0] == 'b' ? "PS1=" : "PROMPT="));
        free(with);
        free(without);
    }
    cr_expect_not(shell_print_init(stdout, "tcsh", "", "", true));
}
