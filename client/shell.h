/*
 * Code for other programs to evaluate: variables in each shell's way of writing them.
 *
 *   dialect of quoting   how a shell writes a word in which nothing has a meaning
 *
 * Values come from the daemon and from the file system; none of them may become code.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

/* "bash|zsh|fish|nu|sh|json|dotenv" */
#define SHELL_CHOICES "bash|zsh|fish|nu|sh|json|dotenv"

/* Writes text as one quoted word of the shell ("bash", "zsh", "sh", "fish", "nu", "dotenv"). */
void shell_quote(FILE *out, const char *shell, const char *text);

/* True for names every shell takes: letters, digits and '_', not starting with a digit. */
bool shell_is_name(const char *name);

/* Prints one exported variable, as a line. Names that are none are left out. */
void shell_print_variable(FILE *out, const char *shell, const char *name, const char *value);

/* The shell of the user by $SHELL; "sh" when it is none of those known. */
const char *shell_of_user(void);

/*
 * Prints the init script of a shell (bash, zsh), with the path of aictl-shim and of the file that
 * tells of changes filled in. False when there is none for this shell.
 */
bool shell_print_init(FILE *out, const char *shell, const char *shim, const char *gen_file,
                      bool has_prompt);
