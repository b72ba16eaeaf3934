/*
 * Projects: what a directory is part of, and what each source says about its model.
 *
 *   project  the nearest ancestor that has a pin, .aictl.json, .aictl.local.json or .git; else the
 *            directory itself
 *   pin      a project's model chosen by `aictl switch`, kept in state_dir/pins.json
 *   walk     what the file system says about a directory and its ancestors (walk.h)
 *   view     project and choices of one directory, combined from walk, pins and configuration
 *
 * Pins are kept by canonical path, as in walk.dir. A pin whose directory was renamed stays under
 * the old name. pins.json is private to the daemon:
 *
 *     {
 *       "version": 1,
 *       "global": {"model": "glm-4.6"},
 *       "pins": {
 *         "/home/me/shop": {"model": "kimi-k2", "previous": "glm-4.6"}
 *       }
 *     }
 */
#pragma once

#include "state/walk.h"

#define PROJECTS_MAX 4096 /* pins kept */

struct projects;

/* Reads state_dir/pins.json; no file is no pins; a damaged one is an error naming it. */
int projects_open(const char *state_dir, struct projects **ret, struct err *reterr);
struct projects *projects_free(struct projects *projects);

/* A directory seen from outside: its project and every source's say, strongest first. */
struct project_view {
    const char *dir;  /* the project's root; NULL for the global project */
    const char *name; /* last part of the path ("/" for the root); "global" */
    size_t count;
    struct choice *choices;
};

/*
 * Combines walk, pins and configuration. walk NULL: the global project. override NULL: none.
 * config_default NULL: none; only_model: the one model there is, or NULL. Everything lives in the
 * arena; -ERR_TOO_LARGE when it is full. Order: override; then for the project's directory and each
 * ancestor: pin, local file, project file; then the global pin, config, the only model.
 */
int projects_view(const struct projects *projects, const struct walk *walk, const char *override,
                  const char *config_default, const char *config_file, unsigned config_line,
                  const char *only_model, struct arena *arena, struct project_view *ret,
                  struct err *reterr);

/*
 * Sets the pin of a directory (NULL: the global pin) and writes the file; model NULL takes the pin
 * away. The model that was set before is remembered as the previous one. Errors:
 * -ERR_INVALID_REQUEST for a path that is not canonical or not UTF-8, or a text that cannot be a
 * model's name (whether it is configured is not looked at), -ERR_TOO_LARGE above PROJECTS_MAX pins,
 * -ERR_IO; nothing is changed then.
 */
int projects_pin(struct projects *projects, const char *dir, const char *model, struct err *reterr);
/* The model pinned at a directory (NULL: the global pin), or NULL. Valid until the next
 * projects_pin(). */
const char *projects_pinned(const struct projects *projects, const char *dir);
/*
 * The model this pin had before its last change, or NULL: what `switch -` goes back to. After a pin
 * was taken away it is the model it had. Valid until the next projects_pin().
 */
const char *projects_previous(const struct projects *projects, const char *dir);
/* Raised by every change of a pin; starts at a value that differs between runs of the daemon. */
uint64_t projects_generation(const struct projects *projects);
