/*
 * Help, manual page and shell completions, all made from the rows of the command table.
 */
#pragma once

#include <stdio.h>

#include "client/command.h"

/* Every command with its summary, by group. */
void manual_overview(const struct screen *whole);
/* One command: usage, arguments, options, details. */
void manual_command(const struct screen *whole, const struct command *command);
/* The manual page aictl(1), in roff. */
void manual_roff(FILE *out);

/* A completion script; false when the shell ("bash", "zsh", "fish") is not known. */
bool completion_print(FILE *out, const char *shell);
