/*
 * Precedence: which model is effective for a directory, and why.
 *
 * Somebody else gathers what each source says (choices, in the order of docs/ARCHITECTURE.md
 * "Precedence", strongest first); the decision is made here from that list alone.
 *
 *   choice  one source's say: a model name and where it stands
 *   chain   the list with the effective choice marked and a note on each that does not count
 *
 * To add a source: a row in enum choice_source at its place in the order, its name in precedence.c,
 * and whoever gathers the choices puts it into the list. Nothing else here knows the sources, but
 * for is_from_files(), which knows those that stand in a file of the project.
 */
#pragma once

#include "policy/names.h"

enum choice_source {
    CHOICE_REQUEST,      /* a concrete model named in the request */
    CHOICE_SESSION,      /* a session pin */
    CHOICE_OVERRIDE,     /* the shell's AICTL_MODEL, carried in the token */
    CHOICE_PIN,          /* `aictl switch`, kept by the daemon */
    CHOICE_LOCAL_FILE,   /* .aictl.local.json */
    CHOICE_PROJECT_FILE, /* .aictl.json */
    CHOICE_GLOBAL_PIN,   /* `aictl switch -g` */
    CHOICE_CONFIG,       /* defaultModel of config.json */
    CHOICE_ONLY,         /* nothing chosen, but only one model is configured */
};

struct choice {
    enum choice_source source;
    const char *dir;   /* directory it is said for; NULL for global sources */
    const char *file;  /* NULL when no file says it */
    unsigned line;     /* 0: unknown */
    const char *model; /* NULL: the file is wrong or names none; the note says why */
    bool effective;    /* set by precedence_decide() */
    /*
     * What is to be said of it, or NULL. It may come with the choice (what is wrong with a file, or
     * what of it was ignored); precedence_decide() puts in why the name does not count, as static
     * text. A choice that is only outranked gets none.
     */
    const char *note;
};

/* "request", "session", "override", "pin", "local file", "project file", "global",
 * "config", "only". */
const char *choice_source_name(enum choice_source source);

/*
 * Marks the first choice whose name is concrete as effective, and notes why others do not count
 * ("no configured provider has this model"). A standing alias or a tool's default name chooses
 * nothing: the next one decides. Returns its index or -1, with the name's candidates in *ret_name
 * (kind NAME_UNKNOWN for -1).
 */
int precedence_decide(const struct catalogue *catalogue, struct choice *choices, size_t count,
                      struct name *ret_name);

/*
 * True when a concrete name in a request is no more than what the project's own files supply (a
 * tool started with the model those files name): it counts as the alias, so that `switch` moves it.
 * What the files supply is the first of their choices that is concrete; a name that selects one of
 * several providers is not the same as one that leaves it open.
 */
bool precedence_is_from_files(const struct catalogue *catalogue, const struct choice *choices,
                              size_t count, struct span requested);
