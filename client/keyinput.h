/*
 * Keys on their way in: from the terminal without echo, or from standard input. Never from the
 * command line, where every program of the machine and the shell's history would see them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "client/failure.h"

#define KEY_MAX 8192 /* bytes of a key with its NUL */

/* True when an argument looks like a key: a known prefix, or long and mixed of letters and digits.
 */
bool looks_like_key(const char *text);

/*
 * Reads one line: with `prompt` from the terminal, without echo, when standard input is one, else
 * from standard input. White space around the key is removed. The caller wipes `key`. Fails
 * when there is none, or it has blanks or control characters inside, or is too long.
 */
int keyinput_read(const char *prompt, char key[KEY_MAX], struct failure *reterr);
