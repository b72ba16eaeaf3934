/* Failures with their detail, and text from outside in log lines. */
#include "base/err.h"
#include "base/log.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

Test(err, a_failure_carries_kind_and_detail)
{
    struct err err = {0};
    cr_expect_eq(err_set(&err, ERR_NO_KEY, "provider %s", "\"x\""), -ERR_NO_KEY);
    cr_expect_eq(err.kind, ERR_NO_KEY);
    cr_expect_eq(err_prefix(&err, "line %d", 3), -ERR_NO_KEY);
    cr_expect_str_eq(err.detail, "line 3: provider \"x\"");
    char message[256];
    cr_expect_str_eq(
        err_message(&err, message, sizeof(message)),
        "the provider has no key: line 3: provider \"x\" (add one: aictl login PROVIDER)");
    cr_expect_eq(err_set(NULL, ERR_IO, "nobody asks"), -ERR_IO);
    cr_expect_eq(err_errno(&err, ERR_IO, ENOENT, "cannot open %s", "f"), -ERR_IO);
    cr_expect_str_eq(err.detail, "cannot open f: No such file or directory");
}

Test(err, long_details_are_cut)
{
    struct err err = {0};
    char text[2000];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    (void)err_set(&err, ERR_IO, "%s", text);
    cr_expect_eq(strlen(err.detail), ERR_DETAIL - 1u);
    (void)err_prefix(&err, "%s", text);
    cr_expect_lt(strlen(err.detail), (size_t)ERR_DETAIL);
    char small[16];
    cr_expect_lt(strlen(err_message(&err, small, sizeof(small))), sizeof(small));
}

Test(log, text_from_outside_is_quoted_escaped_and_cut)
{
    cr_expect_str_eq(log_quote(SPAN("a\"b\\c\n\x1b[31m\xc3"), 64),
                     "\"a\\\"b\\\\c\\x0a\\x1b[31m\\xc3\"");
    cr_expect_str_eq(log_quote(SPAN("abcdef"), 3), "\"abc...\"");
    cr_expect_str_eq(log_quote((struct span){NULL, 0}, 3), "\"\"");
    char text[1000];
    memset(text, '\n', sizeof(text));
    const char *quoted = log_quote((struct span){text, sizeof(text)}, sizeof(text));
    cr_expect_lt(strlen(quoted), 264u);
    cr_expect_str_eq(quoted + strlen(quoted) - 4, "...\"");
}

/* What one call writes to standard error. */
static char *line_of(const char *text)
{
    static char line[4096];
    int pipes[2], saved = dup(STDERR_FILENO);
    cr_assert_eq(pipe(pipes), 0);
    dup2(pipes[1], STDERR_FILENO);
    log_line(LOG_INFO, "test", 42, "%s", text);
    dup2(saved, STDERR_FILENO);
    close(pipes[1]);
    ssize_t n = read(pipes[0], line, sizeof(line) - 1);
    line[n > 0 ? n : 0] = '\0';
    close(pipes[0]);
    close(saved);
    return line;
}

Test(log, a_line_stays_one_line_and_is_bounded)
{
    setenv("JOURNAL_STREAM", "8:1", 1);
    cr_expect_str_eq(line_of("one\ntwo\x1b"), "<6>info test[42]: one?two?\n");
    char text[4000];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    char *line = line_of(text);
    cr_expect_leq(strlen(line), 2048u);
    cr_expect_eq(strchr(line, '\n'), line + strlen(line) - 1);
    log_set_level(LOG_ERROR);
    cr_expect_str_eq(line_of("dropped"), "");
}
