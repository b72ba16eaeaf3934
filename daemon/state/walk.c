/*
 * See walk.h. Runs on worker threads: nothing here touches anything but its arguments.
 *
 * A walk of a usual depth costs three lstat() a level; a file is opened only when it is there.
 */
#include "state/walk.h"

#include "base/file.h"
#include "base/json.h"
#include "base/own.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ARENA_MAX  (1024 * 1024) /* 64 levels of the longest paths fit */
#define NOTE_MAX   400
#define SHOWN_MAX  4  /* names of ignored members in a note */
#define SHOWN_NAME 32 /* bytes of each */

static const struct file_kind {
    enum choice_source source;
    const char *name;
} file_kinds[WALK_FILES] = {
    {CHOICE_LOCAL_FILE, ".aictl.local.json"},
    {CHOICE_PROJECT_FILE, ".aictl.json"},
};

DEFINE_CLEANUP(walk_cleanup, struct walk, walk_unref)

static void free_text(char **text)
{
    free(*text);
}

/* ---- paths ---- */

static struct span next_part(const char **at)
{
    *at += strspn(*at, "/");
    struct span part = {*at, strcspn(*at, "/")};
    *at += part.len;
    return part;
}

static int check_path(const char *dir, struct err *reterr)
{
    if (dir[0] != '/')
        return err_set(reterr, ERR_INVALID_REQUEST, "the directory is not an absolute path");
    if (strlen(dir) >= PATH_MAX)
        return err_set(reterr, ERR_INVALID_REQUEST, "the directory's path is too long");
    for (struct span part = next_part(&dir); part.len; part = next_part(&dir))
        if (span_equal(part, SPAN("..")))
            return err_set(reterr, ERR_INVALID_REQUEST, "the directory's path has a \"..\" in it");
    return 0;
}

/* Removes empty and "." parts in place; what is written never overtakes what is read. */
static void normalise(char *path)
{
    const char *from = path;
    char *to = path;
    for (struct span part = next_part(&from); part.len; part = next_part(&from)) {
        if (span_equal(part, SPAN(".")))
            continue;
        *to++ = '/';
        memmove(to, part.at, part.len);
        to += part.len;
    }
    if (to == path)
        *to++ = '/';
    *to = '\0';
}

bool walk_is_canonical(const char *dir)
{
    if (check_path(dir, NULL) < 0)
        return false;
    char copy[PATH_MAX];
    memcpy(copy, dir, strlen(dir) + 1);
    normalise(copy);
    return !strcmp(copy, dir);
}

static char *join(const char *dir, const char *rest)
{
    char *joined;
    if (asprintf(&joined, "%s%s", !strcmp(dir, "/") && rest[0] ? "" : dir, rest) < 0)
        abort();
    return joined;
}

/*
 * The canonical form, so that a link and its target are one project. Where the path does not exist
 * (a directory deleted or not made yet) as much of it as exists is resolved. The caller frees.
 */
static char *canonical(const char *dir)
{
    char *path = span_dup(span_of(dir));
    normalise(path);
    char *real = realpath(path, NULL);
    for (size_t end = strlen(path); !real && end > 1;) {
        while (end > 0 && path[end - 1] != '/')
            end--;
        CLEANUP(free_text) char *parent = span_dup((struct span){path, end});
        CLEANUP(free_text) char *real_parent = realpath(parent, NULL);
        end--; /* the slash belongs to what is left */
        if (real_parent)
            real = join(real_parent, path + end);
    }
    if (!real)
        return path;
    free(path);
    return real;
}

/* Length of the parent's path; "/" is its own. */
static size_t parent_len(const char *path, size_t len)
{
    while (len > 1 && path[len - 1] != '/')
        len--;
    return len > 1 ? len - 1 : 1;
}

/* ---- one file ---- */

/* A note under way: what a person may read of a file that is not trusted. */
static void add_ignored(struct bytes *note, unsigned shown, struct span name)
{
    const char *before = shown ? ", " : note->len ? "; ignored: " : "ignored: ";
    (void)bytes_addf(note, "%s", before); /* a note may be cut */
    for (size_t i = 0; i < name.len && i < SHOWN_NAME; i++)
        (void)bytes_addf(note, "%c", name.at[i] > ' ' && name.at[i] < 127 ? name.at[i] : '?');
}

static void note_ignored(struct json root, struct bytes *note)
{
    struct json_iter iter = json_iter(root);
    struct json key, value;
    unsigned ignored = 0;
    while (json_next_member(&iter, &key, &value)) {
        if (json_is(key, "model") || json_is(key, "$schema"))
            continue;
        if (ignored < SHOWN_MAX)
            add_ignored(note, ignored, json_raw_text(key));
        ignored++;
    }
    if (ignored)
        (void)bytes_addf(note, "%s (a project file can only choose a model)",
                         ignored > SHOWN_MAX ? ", ..." : "");
}

static int take_model(struct walk *walk, struct span text, struct json value,
                      struct walk_file *file, struct bytes *note)
{
    struct json_place place = json_place(text, (size_t)(value.at - text.at));
    struct arena scratch;
    struct span name = {NULL, 0};
    int r = 0;
    arena_init(&scratch, WALK_FILE_BYTES * 2);
    if (json_text(value, &scratch, &name) == 0 && name_is_well_formed(name)) {
        file->line = place.line;
        file->model = arena_copy(&walk->arena, name);
        r = file->model ? 0 : -ERR_TOO_LARGE;
    } else {
        (void)bytes_addf(note, "line %u, column %u: \"model\" must be a model's name", place.line,
                         place.column);
    }
    arena_release(&scratch);
    return r;
}

static int parse(struct walk *walk, struct bytes *bytes, struct walk_file *file, struct bytes *note)
{
    static const char *const names[] = {"model", NULL};
    struct err err = {0};
    struct json root, model = {0};
    struct span text = bytes_span(bytes);
    if ((bytes->len && json_blank_comments(bytes->data, bytes->len, &err) < 0) ||
        json_validate(text, &root, &err) < 0 || json_pick(root, names, &model, &err) < 0)
        return bytes_addf(note, "%.200s", err.detail);
    int r = 0;
    if (json_is_nothing(model))
        (void)bytes_add_span(note, SPAN("names no model"));
    else
        r = take_model(walk, text, model, file, note);
    note_ignored(root, note);
    return r;
}

/* Why a file is not read, or NULL. */
static const char *refusal(const struct stat *st)
{
    if (S_ISLNK(st->st_mode))
        return "is a symbolic link, which is not followed";
    if (!S_ISREG(st->st_mode))
        return "is not a regular file";
    if (st->st_uid != getuid() && st->st_uid != 0)
        return "belongs to another user";
    if (st->st_mode & S_IWOTH)
        return "may be written by everybody: chmod o-w it";
    if (st->st_size > WALK_FILE_BYTES)
        return "is larger than 64 KiB";
    return NULL;
}

/*
 * Between lstat() and the opening the file may be exchanged. Opening checks again that it is a
 * regular file of this user or of root, and neither blocks on a FIFO; a link put there at that very
 * moment is followed, to choose one of the user's models.
 */
static int read_choice(struct walk *walk, const struct stat *st, struct walk_file *file)
{
    struct err err = {0};
    CLEANUP(bytes_release) struct bytes text = {.max = WALK_FILE_BYTES};
    CLEANUP(bytes_release) struct bytes note = {.max = NOTE_MAX};
    const char *refused = refusal(st);
    int r = 0;
    if (refused)
        (void)bytes_addf(&note, "%s", refused);
    else if (file_read_followed(file->path, &text, NULL, &err) < 0)
        (void)bytes_addf(&note, "%.200s", err.detail);
    else
        r = parse(walk, &text, file, &note);
    if (note.len)
        file->note = arena_copy(&walk->arena, bytes_span(&note));
    return r < 0 || (note.len && !file->note) ? -ERR_TOO_LARGE : 0;
}

/* ---- one directory ---- */

static bool look(const char *dir, const char *name, char path[PATH_MAX + 32], struct stat *st)
{
    (void)snprintf(path, PATH_MAX + 32, "%s/%s", strcmp(dir, "/") ? dir : "", name); /* fits */
    return lstat(path, st) == 0; /* what cannot be seen is not there */
}

static int look_into(struct walk *walk, struct walk_dir *dir)
{
    char path[PATH_MAX + 32];
    struct stat st;
    dir->is_marked = look(dir->path, ".git", path, &st);
    for (size_t i = 0; i < WALK_FILES; i++) {
        if (!look(dir->path, file_kinds[i].name, path, &st))
            continue;
        struct walk_file *file = &dir->files[dir->file_count++];
        dir->is_marked = true;
        file->source = file_kinds[i].source;
        file->path = arena_copy(&walk->arena, span_of(path));
        if (!file->path || read_choice(walk, &st, file) < 0)
            return -ERR_TOO_LARGE;
    }
    return 0;
}

/* ---- the walk ---- */

/* The lengths of the paths to look into, the directory's own first. */
static size_t list_levels(const char *dir, const char *home, size_t lens[WALK_LEVELS])
{
    size_t home_len = home ? strlen(home) : 0, count = 0;
    for (size_t len = strlen(dir); count < WALK_LEVELS; len = parent_len(dir, len)) {
        lens[count++] = len;
        if (len == 1 || (len == home_len && !memcmp(dir, home, len)))
            break;
    }
    return count;
}

static int fill(struct walk *walk, const char *dir, const char *home)
{
    size_t lens[WALK_LEVELS];
    size_t count = list_levels(dir, home, lens);
    walk->dirs = arena_alloc(&walk->arena, count * sizeof(*walk->dirs));
    if (!walk->dirs)
        return -ERR_TOO_LARGE;
    for (; walk->dir_count < count; walk->dir_count++) {
        struct walk_dir *level = &walk->dirs[walk->dir_count];
        level->path = arena_copy(&walk->arena, (struct span){dir, lens[walk->dir_count]});
        if (!level->path || look_into(walk, level) < 0)
            return -ERR_TOO_LARGE;
    }
    walk->dir = walk->dirs[0].path;
    return 0;
}

int walk_new(const char *dir, const char *home, struct walk **ret, struct err *reterr)
{
    int r = check_path(dir, reterr);
    if (r < 0)
        return r;
    CLEANUP(free_text) char *real_dir = canonical(dir);
    if (strlen(real_dir) >= PATH_MAX)
        return err_set(reterr, ERR_INVALID_REQUEST, "the directory's path is too long");
    CLEANUP(free_text) char *real_home = home && home[0] == '/' ? canonical(home) : NULL;
    CLEANUP(walk_cleanup) struct walk *walk = calloc(1, sizeof(*walk));
    if (!walk)
        abort();
    walk->refs = 1;
    arena_init(&walk->arena, ARENA_MAX);
    if (fill(walk, real_dir, real_home) < 0)
        return err_set(reterr, ERR_TOO_LARGE, "the directory's paths do not fit");
    *ret = TAKE(walk);
    return 0;
}

struct walk *walk_ref(struct walk *walk)
{
    walk->refs++;
    return walk;
}

struct walk *walk_unref(struct walk *walk)
{
    if (walk && --walk->refs == 0) {
        arena_release(&walk->arena);
        free(walk);
    }
    return NULL;
}
