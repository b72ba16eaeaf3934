/*
 * Walk: what the file system says about a directory and its ancestors: project markers and files.
 *
 *   marker  .git (a directory, or a file in a worktree or submodule), or an .aictl file
 *   file    .aictl.local.json (kept out of git by its owner) or .aictl.json (shared)
 *
 * A repository's file can only choose a model by name: {"model": "glm-4.6"}; every other member but
 * "$schema" is ignored and reported in a note. Comments are allowed. A file that cannot be read or
 * parsed is there all the same, with model NULL and a note, never silently the parent's choice.
 *
 * Whose file counts (facts: a repository is not trusted): a regular file of at most 64 KiB, of this
 * user or of root, that not everybody may write. So a file that somebody left in /tmp chooses
 * nothing; one that a group may write does, since that is how a umask of 002 makes them.
 *
 * To add a kind of file: a row in file_kinds[] of walk.c, its source in policy/precedence.h.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "policy/precedence.h"

#define WALK_LEVELS     64 /* directories looked at */
#define WALK_FILES      2  /* kinds of file in each */
#define WALK_FILE_BYTES (64 * 1024)

struct walk_file {
    enum choice_source source; /* CHOICE_LOCAL_FILE or CHOICE_PROJECT_FILE */
    const char *path;
    unsigned line;     /* of the model's value; 0: none */
    const char *model; /* NULL when the file is wrong or names none: see note */
    const char *note;  /* what is wrong, or what was ignored; NULL: nothing */
};

struct walk_dir {
    const char *path;
    bool is_marked; /* has .git or an .aictl file */
    size_t file_count;
    struct walk_file files[WALK_FILES]; /* local file first */
};

/* Immutable, ref-counted, safe to make on any thread. dirs[0] is the directory itself. */
struct walk {
    unsigned refs;
    struct arena arena;
    const char *dir; /* canonical: symlinks resolved as far as the path exists */
    size_t dir_count;
    struct walk_dir *dirs;
};

/*
 * Walks from an absolute directory up to the file system's root (64 levels at most; parents of HOME
 * are not looked into when the walk passes HOME). A directory that does not exist is walked by its
 * name all the same. home may be NULL. Path with ".." or not absolute: -ERR_INVALID_REQUEST. Blocks
 * on the file system. The caller unrefs.
 */
int walk_new(const char *dir, const char *home, struct walk **ret, struct err *reterr);
struct walk *walk_ref(struct walk *walk);
struct walk *walk_unref(struct walk *walk);

/* Absolute, shorter than PATH_MAX, without empty, "." and ".." parts: what walk.dir looks like. */
bool walk_is_canonical(const char *dir);
