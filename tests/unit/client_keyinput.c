/* Reading keys: client/keyinput.h. */
#include "client/keyinput.h"

#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

/* Reads a key from standard input that holds `text`. */
static int read_key(const char *text, char key[KEY_MAX], struct failure *failure)
{
    int pipes[2];
    cr_assert_eq(pipe(pipes), 0);
    cr_assert_eq(write(pipes[1], text, strlen(text)), (ssize_t)strlen(text));
    close(pipes[1]);
    dup2(pipes[0], STDIN_FILENO);
    close(pipes[0]);
    return keyinput_read("Key: ", key, failure);
}

Test(keyinput, one_line_is_read_and_blanks_around_it_go)
{
    static const char *const inputs[] = {"sk-1", "sk-1\n", "  sk-1 \r\n", "\tsk-1\nsecond line\n"};
    char key[KEY_MAX];
    struct failure failure;
    for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++) {
        cr_expect_eq(read_key(inputs[i], key, &failure), 0, "%s", inputs[i]);
        cr_expect_str_eq(key, "sk-1");
    }
}

Test(keyinput, what_cannot_be_a_key_is_refused_and_wiped)
{
    static const char *const inputs[] = {"",           "\n", "   \n", "two words\n", "sk-\x1b[A\n",
                                         "sk-\xc3\xa9"};
    char key[KEY_MAX];
    struct failure failure;
    for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++) {
        cr_expect_lt(read_key(inputs[i], key, &failure), 0, "%s", inputs[i]);
        cr_expect_eq(key[0], '\0');
        cr_expect_not(strstr(failure.detail, "sk-"));
    }
}

Test(keyinput, a_key_that_is_too_long_is_refused)
{
    char text[KEY_MAX + 10], key[KEY_MAX];
    struct failure failure;
    memset(text, 'k', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    cr_assert_eq(read_key(text, key, &failure), -ERR_TOO_LARGE);
}

Test(keyinput, keys_are_told_from_names)
{
    static const char *const keys[] = {"sk-x", "AIzaSyD", "gsk_x", "Bearer x",
                                       "0123456789abcdef0123456789abcdef.AbCdEfGh"};
    static const char *const names[] = {"deepseek", "bigmodel", "my-own-provider", "-",
                                        "https://api.example.com/v1/2024/abc123"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        cr_expect(looks_like_key(keys[i]), "%s", keys[i]);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        cr_expect_not(looks_like_key(names[i]), "%s", names[i]);
}
