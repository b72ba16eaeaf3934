/* Reading keys; see keyinput.h. */
#include "client/keyinput.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define CTRL_C    3
#define LONG_WORD 20 /* keys are longer, names of providers are not */

bool looks_like_key(const char *text)
{
    static const char *const prefixes[] = {"sk-",  "sk_",   "AIza",   "gsk_",
                                           "xai-", "pplx-", "Bearer "};
    size_t letters = 0, digits = 0;
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
        if (strncmp(text, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    for (const char *p = text; *p; p++) {
        letters += isalpha((unsigned char)*p) != 0;
        digits += isdigit((unsigned char)*p) != 0;
    }
    return strlen(text) >= LONG_WORD && letters >= 4 && digits >= 4 && !strstr(text, "://");
}

/* Reads up to a newline, Ctrl-C or the end, a byte at a time: what follows belongs to somebody
 * else. */
static ssize_t read_line(int fd, char *out, size_t size)
{
    size_t n = 0;
    while (n + 1 < size) {
        ssize_t r = read(fd, out + n, 1);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return -1;
        if (r == 0 || out[n] == '\n')
            break;
        if (out[n++] == CTRL_C)
            break;
    }
    out[n] = '\0';
    return (ssize_t)n;
}

/*
 * Signals that would end us are held back while echo is off, so that the terminal is never left
 * without it; they take effect once it is on again.
 */
static ssize_t read_hidden(int fd, const char *prompt, char *out, size_t size)
{
    struct termios old, hidden;
    sigset_t held, before;
    if (tcgetattr(fd, &old) < 0)
        return -1;
    hidden = old;
    /* Ctrl-C ends the line (as an empty one) instead of the program */
    hidden.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ISIG);
    hidden.c_cc[VEOL] = CTRL_C;
    sigemptyset(&held);
    sigaddset(&held, SIGINT);
    sigaddset(&held, SIGTERM);
    sigaddset(&held, SIGHUP);
    sigprocmask(SIG_BLOCK, &held, &before);
    tcsetattr(fd, TCSAFLUSH, &hidden);
    fputs(prompt, stderr); /* only now: what is typed before is thrown away */
    ssize_t n = read_line(fd, out, size);
    tcsetattr(fd, TCSAFLUSH, &old);
    fputc('\n', stderr);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return n;
}

static void trim(char *text)
{
    size_t start = strspn(text, " \t\r\n");
    size_t len = strlen(text);
    while (len > start && strchr(" \t\r\n", text[len - 1]))
        len--;
    memmove(text, text + start, len - start);
    explicit_bzero(text + (len - start), start);
    text[len - start] = '\0';
}

static int check(const char *key, ssize_t len, struct failure *reterr)
{
    if (len < 0)
        return failure_set(reterr, ERR_IO, "standard input: %s", strerror(errno));
    if (len == KEY_MAX - 1)
        return failure_set(reterr, ERR_TOO_LARGE, "no key has %d bytes", KEY_MAX);
    if (!key[0]) {
        failure_set(reterr, ERR_INVALID_REQUEST, "%s", "");
        failure_say(reterr, "no key was entered, nothing is stored");
        return -ERR_INVALID_REQUEST;
    }
    for (const char *p = key; *p; p++)
        if (*p <= ' ' || *p >= 0x7f) {
            failure_set(reterr, ERR_INVALID_REQUEST,
                        "it has blanks or other odd characters inside");
            failure_say(reterr, "this is no key");
            failure_try(reterr, "copy the key alone: one line of letters, digits and signs");
            return -ERR_INVALID_REQUEST;
        }
    return 0;
}

int keyinput_read(const char *prompt, char key[KEY_MAX], struct failure *reterr)
{
    ssize_t len = isatty(STDIN_FILENO) ? read_hidden(STDIN_FILENO, prompt, key, KEY_MAX)
                                       : read_line(STDIN_FILENO, key, KEY_MAX);
    bool is_cancelled = len > 0 && key[len - 1] == CTRL_C;
    if (is_cancelled)
        key[0] = '\0';
    if (len > 0)
        trim(key);
    int r = check(key, len, reterr);
    if (r < 0)
        explicit_bzero(key, KEY_MAX);
    return r;
}
