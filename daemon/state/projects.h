/*
 * Projects: what a directory is part of, and what each source says about its model.
 *
 *   project  the nearest ancestor that has a pin, .aictl.json, .aictl.local.json or .git; else the
 *            directory itself
 *   pin      a project's model chosen by `aictl switch`, kept in state_dir/pins.json
 *   walk     what the file system says about a directory and its ancestors: files and markers.
 *            Blocking, so it runs on a worker thread (project_cache.h) or in a test
 *   view     project and choices of one directory, combined from walk, pins and configuration
 *
 * A repository's file can only choose a model by name: {"model": "glm-4.6"}; every other member is
 * ignored and reported in the walk's notes. A file that cannot be read or parsed is a choice with
 * model NULL and a note, never silently the parent's choice.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "policy/precedence.h"

struct walk_file {
    enum choice_source source; /* CHOICE_LOCAL_FILE or CHOICE_PROJECT_FILE */
    const char *path;
    unsigned line;       /* of the model's value */
    const char *model;   /* NULL when the file is wrong: see note */
    const char *note;
};

struct walk_dir {
    const char *path;
    bool is_marked; /* has .git or an .aictl file */
    size_t file_count;
    struct walk_file files[2]; /* local file first */
};

/* Immutable, ref-counted, safe to make on any thread. dirs[0] is the directory itself. */
struct walk {
    unsigned refs;
    struct arena arena;
    const char *dir;
    size_t dir_count;
    struct walk_dir *dirs;
};

/*
 * Walks from an absolute directory up to the file system's root (64 levels at most; parents of HOME
 * are not looked into when the walk passes HOME). A directory that does not exist is walked by its
 * name all the same. Path with "..", NUL or not absolute: -ERR_INVALID_REQUEST. The caller unrefs.
 */
int walk_new(const char *dir, const char *home, struct walk **ret, struct err *reterr);
struct walk *walk_ref(struct walk *walk);
struct walk *walk_unref(struct walk *walk);

struct projects;

/* Reads state_dir/pins.json; no file is no pins; a damaged one is an error naming it. */
int projects_open(const char *state_dir, struct projects **ret, struct err *reterr);
struct projects *projects_free(struct projects *projects);

/* A directory seen from outside: its project and every source's say, strongest first. */
struct project_view {
    const char *dir;  /* the project's root; NULL for the global project */
    const char *name; /* last part of the path; "global" */
    size_t count;
    struct choice *choices;
};

/*
 * Combines walk, pins and configuration. walk NULL: the global project. override NULL: none.
 * config_default NULL: none; only_model: the one model there is, or NULL. Everything lives in the
 * arena. Order: override; then for the project's directory and each ancestor: pin, local file,
 * project file; then the global pin, config, the only model.
 */
int projects_view(const struct projects *projects, const struct walk *walk, const char *override,
                  const char *config_default, const char *config_file, unsigned config_line,
                  const char *only_model, struct arena *arena, struct project_view *ret,
                  struct err *reterr);

/* Sets the pin of a directory (NULL: the global pin) and writes the file. */
int projects_pin(struct projects *projects, const char *dir, const char *model,
                 struct err *reterr);
/* The model this pin had before its last change, or NULL: what `switch -` goes back to. */
const char *projects_previous(const struct projects *projects, const char *dir);
/* Raised by every change of a pin; starts at a value that differs between runs of the daemon. */
uint64_t projects_generation(const struct projects *projects);
