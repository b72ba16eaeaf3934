/*
 * aictl, the client: commands as rows, and what the user typed as an invocation.
 *
 * The client asks the daemon over the control socket (call.h), shows the answer (render.h), and
 * does by itself only what must happen on its side: shell code, the terminal, starting the daemon.
 * It includes nothing of the daemon but proto/.
 *
 *   command     a row of the table in commands.c: its words, options and function
 *   invocation  one command line, parsed against its row
 *   word        what may stand as an argument, for completion (enum word_kind)
 *
 * To add a command, start here: one row and one function in commands.c (or the commands_<noun>.c it
 * belongs to). Help, completions and the man page are made from the row.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "client/render.h"
#include "proto/rendezvous.h"

#define INVOCATION_MAX 64 /* arguments, and options, of one command line */

/* Exit statuses that are not a row of proto/errors.def. */
enum exit_status { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

enum word_kind {
    WORD_NONE,
    WORD_FILE,
    WORD_DIRECTORY,
    WORD_MODEL,    /* asked from the daemon */
    WORD_PROVIDER, /* asked from the daemon */
    WORD_KNOWN,    /* the same with those that only lack a key */
    WORD_CHOICE,   /* one of `choices` */
    WORD_COMMAND,  /* a command's name */
};

struct option_row {
    const char *name;  /* without dashes; NULL ends a list */
    char letter;       /* 0: none */
    const char *value; /* how help calls its value; NULL: takes none */
    bool is_optional;  /* the value may be missing, and is then a number when present */
    enum word_kind word;
    const char *choices; /* "bash|zsh|fish" */
    const char *help;
};

struct invocation;

struct command {
    const char *group;   /* heading in help above this row; NULL: the one before */
    const char *name;    /* NULL ends the table */
    const char *summary; /* one line, without full stop */
    const char *usage;   /* arguments, "MODEL|-" */
    int min_args, max_args;
    enum word_kind word;              /* of the first argument */
    const char *choices;              /* for WORD_CHOICE; checked before the function runs */
    const struct option_row *options; /* NULL: none */
    const char *details;              /* paragraphs for help and manual; NULL: none */
    bool is_hidden;
    bool takes_key; /* arguments are looked at for keys typed by mistake (keyinput.h) */
    int (*run)(struct invocation *inv); /* returns the exit status */
};

struct given_option {
    const struct option_row *row;
    const char *value; /* NULL: none given */
};

struct invocation {
    const struct command *command;
    const char *program;
    const char *args[INVOCATION_MAX + 1]; /* ends with NULL */
    int arg_count;
    struct given_option options[INVOCATION_MAX];
    size_t option_count;
    /* of the global options */
    bool json, quiet, no_color, help, version;
    const char *directory; /* -C, or NULL */
    /* set by main() before the command runs */
    struct screen screen;
    struct rendezvous paths;
};

/* Every command, ended by a row without name; and the options that any command takes. */
extern const struct command commands[];
extern const struct option_row global_options[];

/* The command of this name, or NULL. */
const struct command *command_find(const char *name);

/* Reports that there is no such command, with the nearest there is. Returns EXIT_USAGE. */
int command_unknown(const char *typed);

/*
 * Reads a command line. Returns 0, or EXIT_USAGE after one line on standard error about what is
 * wrong and one about what to try. Arguments that look like a key are never repeated there. With
 * no command the one called "status" is taken.
 */
int invocation_parse(struct invocation *inv, int argc, char *const argv[]);

/* True when the option was given. */
bool invocation_has(const struct invocation *inv, const char *option);
/* The value of an option as last given, or NULL. */
const char *invocation_value(const struct invocation *inv, const char *option);

/*
 * The candidate nearest to what was typed, or NULL when none is near (more than a third of it
 * differs). `candidates` ends with NULL.
 */
const char *nearest_word(const char *typed, const char *const *candidates);
/* True when `word` is one of "a|b|c". */
bool is_choice(const char *choices, const char *word);
