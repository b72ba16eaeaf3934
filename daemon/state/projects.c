/*
 * See projects.h. Pins are an array sorted by directory; each change writes the whole file, which
 * is small and changes only when a person types `aictl switch`.
 */
#include "state/projects.h"

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/own.h"
#include "base/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define PINS_BYTES (8 * 1024 * 1024)

struct pin {
    char *dir;      /* NULL: the global pin */
    char *model;    /* NULL: taken away */
    char *previous; /* NULL: none */
};

struct projects {
    char *path;
    struct pin global;
    struct pin pins[PROJECTS_MAX]; /* sorted by dir */
    size_t count;
    uint64_t generation;
};

DEFINE_CLEANUP(projects_cleanup, struct projects, projects_free)

static char *dup_or_null(const char *text)
{
    return text ? span_dup(span_of(text)) : NULL;
}

static void release_pin(struct pin *pin)
{
    free(pin->dir);
    free(pin->model);
    free(pin->previous);
    *pin = (struct pin){0};
}

/* ---- the array ---- */

/* Where a directory's pin is, or is to be put. */
static size_t pin_index(const struct projects *projects, const char *dir, bool *ret_found)
{
    size_t low = 0, high = projects->count;
    *ret_found = false;
    while (low < high && !*ret_found) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(dir, projects->pins[middle].dir);
        *ret_found = order == 0;
        if (order < 0)
            high = middle;
        else
            low = order == 0 ? middle : middle + 1;
    }
    return low;
}

/* The pin of a directory (NULL: the global one), or NULL. */
static const struct pin *find_pin(const struct projects *projects, const char *dir)
{
    if (!dir)
        return &projects->global;
    bool found;
    size_t at = pin_index(projects, dir, &found);
    return found ? &projects->pins[at] : NULL;
}

static struct pin *insert_pin(struct projects *projects, size_t at, const char *dir)
{
    memmove(&projects->pins[at + 1], &projects->pins[at],
            (projects->count - at) * sizeof(projects->pins[0]));
    projects->count++;
    projects->pins[at] = (struct pin){.dir = span_dup(span_of(dir))};
    return &projects->pins[at];
}

static void remove_pin(struct projects *projects, size_t at)
{
    release_pin(&projects->pins[at]);
    projects->count--;
    memmove(&projects->pins[at], &projects->pins[at + 1],
            (projects->count - at) * sizeof(projects->pins[0]));
}

/* ---- reading pins.json ---- */

/* The file being read. */
struct reader {
    const char *path;
    struct span text;
    struct arena scratch;
    struct err *reterr;
};

static int wrong(const struct reader *reader, struct json at, const char *what)
{
    struct json_place place = json_place(reader->text, (size_t)(at.at - reader->text.at));
    return err_set(reader->reterr, ERR_CONFIG_INVALID, "%s:%u:%u: %s", reader->path, place.line,
                   place.column, what);
}

static int wrong_text(const struct reader *reader, const struct err *err)
{
    return err_set(reader->reterr, ERR_CONFIG_INVALID, "%s: %s", reader->path, err->detail);
}

/* Picks the named members of an object that may have no others. */
static int pick_all(struct reader *reader, struct json object, const char *const *names,
                    struct json *out)
{
    struct err err = {0};
    if (object.type != JSON_OBJECT)
        return wrong(reader, object, "an object is expected here");
    if (json_pick(object, names, out, &err) < 0)
        return wrong_text(reader, &err);
    struct json_iter iter = json_iter(object);
    struct json key, value;
    while (json_next_member(&iter, &key, &value)) {
        bool is_known = false;
        for (size_t i = 0; names[i]; i++)
            is_known = is_known || json_is(key, names[i]);
        if (!is_known)
            return wrong(reader, key, "unknown member");
    }
    return 0;
}

/* A C string in the reader's scratch arena. */
static int read_text(struct reader *reader, struct json value, const char **ret)
{
    struct span text;
    if (value.type != JSON_STRING || json_text(value, &reader->scratch, &text) < 0 ||
        memchr(text.at, '\0', text.len))
        return wrong(reader, value, "a text is expected here");
    *ret = arena_copy(&reader->scratch, text);
    return *ret ? 0 : wrong(reader, value, "the file is too large");
}

static int read_model(struct reader *reader, struct json value, char **ret)
{
    const char *model = NULL;
    if (json_is_nothing(value))
        return 0;
    int r = read_text(reader, value, &model);
    if (r < 0)
        return r;
    if (!name_is_well_formed(span_of(model)))
        return wrong(reader, value, "a model's name is expected here");
    *ret = span_dup(span_of(model));
    return 0;
}

static int read_pin(struct reader *reader, struct json value, struct pin *pin)
{
    static const char *const names[] = {"model", "previous", NULL};
    struct json members[2];
    int r = pick_all(reader, value, names, members);
    if (r == 0)
        r = read_model(reader, members[0], &pin->model);
    if (r == 0)
        r = read_model(reader, members[1], &pin->previous);
    return r;
}

static int read_dir_pin(struct reader *reader, struct projects *projects, struct json key,
                        struct json value)
{
    const char *dir;
    bool found;
    int r = read_text(reader, key, &dir);
    if (r < 0)
        return r;
    if (!walk_is_canonical(dir))
        return wrong(reader, key, "not the path of a directory");
    size_t at = pin_index(projects, dir, &found);
    if (found)
        return wrong(reader, key, "this directory has a pin already");
    if (projects->count == PROJECTS_MAX)
        return wrong(reader, key, "too many pins");
    return read_pin(reader, value, insert_pin(projects, at, dir));
}

static int read_pins(struct reader *reader, struct projects *projects)
{
    static const char *const names[] = {"version", "global", "pins", NULL};
    struct json root, members[3], key, value;
    struct err err = {0};
    int64_t version;
    if (json_validate(reader->text, &root, &err) < 0)
        return wrong_text(reader, &err);
    int r = pick_all(reader, root, names, members);
    if (r < 0)
        return r;
    if (!json_int(members[0], &version) || version != 1)
        return wrong(reader, root, "this aictld reads \"version\" 1 only");
    if (!json_is_nothing(members[1]))
        r = read_pin(reader, members[1], &projects->global);
    if (r == 0 && !json_is_nothing(members[2]) && members[2].type != JSON_OBJECT)
        r = wrong(reader, members[2], "an object is expected here");
    struct json_iter iter = json_iter(members[2]);
    while (r == 0 && json_next_member(&iter, &key, &value))
        r = read_dir_pin(reader, projects, key, value);
    return r;
}

static int load(struct projects *projects, struct err *reterr)
{
    struct err err = {0};
    CLEANUP(bytes_release) struct bytes text = {.max = PINS_BYTES};
    int r = file_read(projects->path, &text, NULL, &err);
    if (r == -ERR_NOT_FOUND)
        return 0;
    if (r < 0) {
        if (reterr)
            *reterr = err;
        return r;
    }
    struct reader reader = {projects->path, bytes_span(&text), {0}, reterr};
    arena_init(&reader.scratch, 4 * PINS_BYTES);
    r = read_pins(&reader, projects);
    arena_release(&reader.scratch);
    return r;
}

/* Generations count up from the time of the start, so a run never repeats those of the one before.
 */
static uint64_t first_generation(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

int projects_open(const char *state_dir, struct projects **ret, struct err *reterr)
{
    CLEANUP(projects_cleanup) struct projects *projects = calloc(1, sizeof(*projects));
    if (!projects || asprintf(&projects->path, "%s/pins.json", state_dir) < 0)
        abort();
    projects->generation = first_generation();
    int r = load(projects, reterr);
    if (r < 0)
        return r;
    *ret = TAKE(projects);
    return 0;
}

struct projects *projects_free(struct projects *projects)
{
    if (!projects)
        return NULL;
    release_pin(&projects->global);
    for (size_t i = 0; i < projects->count; i++)
        release_pin(&projects->pins[i]);
    free(projects->path);
    free(projects);
    return NULL;
}

/* ---- writing pins.json ---- */

static int add_member(struct bytes *out, const char *before, const char *text)
{
    int r = bytes_add_span(out, span_of(before));
    return r < 0 ? r : json_add_string(out, span_of(text));
}

static int add_pin(struct bytes *out, const struct pin *pin)
{
    int r = 0;
    if (pin->model)
        r = add_member(out, "{\"model\": ", pin->model);
    if (r == 0 && pin->previous)
        r = add_member(out, pin->model ? ", \"previous\": " : "{\"previous\": ", pin->previous);
    if (r == 0)
        r = bytes_add_span(out, pin->model || pin->previous ? SPAN("}") : SPAN("{}"));
    return r;
}

static int render(const struct projects *projects, struct bytes *out)
{
    int r = bytes_add_span(out, SPAN("{\n  \"version\": 1,\n  \"global\": "));
    if (r == 0)
        r = add_pin(out, &projects->global);
    if (r == 0)
        r = bytes_add_span(out, SPAN(",\n  \"pins\": {"));
    for (size_t i = 0; r == 0 && i < projects->count; i++) {
        r = add_member(out, i ? ",\n    " : "\n    ", projects->pins[i].dir);
        if (r == 0)
            r = bytes_add_span(out, SPAN(": "));
        if (r == 0)
            r = add_pin(out, &projects->pins[i]);
    }
    return r < 0 ? r : bytes_add_span(out, SPAN("\n  }\n}\n"));
}

static int save(const struct projects *projects, struct err *reterr)
{
    CLEANUP(bytes_release) struct bytes text = {.max = PINS_BYTES};
    if (render(projects, &text) < 0)
        return err_set(reterr, ERR_TOO_LARGE, "%s would be too large", projects->path);
    return file_replace(projects->path, bytes_span(&text), 0600, reterr);
}

/* ---- changing a pin ---- */

static int check_pin(const char *dir, const char *model, struct err *reterr)
{
    if (dir && !walk_is_canonical(dir))
        return err_set(reterr, ERR_INVALID_REQUEST, "not a directory's canonical path: %s",
                       log_quote(span_of(dir), 200));
    if (dir && utf8_valid_length(span_of(dir)) < strlen(dir))
        return err_set(reterr, ERR_INVALID_REQUEST,
                       "the path of this directory is not UTF-8 and cannot be pinned: %s",
                       log_quote(span_of(dir), 200));
    if (model && !name_is_well_formed(span_of(model)))
        return err_set(reterr, ERR_INVALID_REQUEST, "not a model's name: %s",
                       log_quote(span_of(model), 80));
    return 0;
}

/* When the array is full, forgets a pin that was taken away. False when all are in use. */
static bool make_room(struct projects *projects)
{
    if (projects->count < PROJECTS_MAX)
        return true;
    for (size_t i = 0; i < projects->count; i++) {
        if (projects->pins[i].model)
            continue;
        remove_pin(projects, i);
        return true;
    }
    return false;
}

/* The pin after a change; the texts it takes over from `old` are copied. */
static struct pin changed_pin(const struct pin *old, const char *model)
{
    const char *previous = old->model ? old->model : old->previous;
    bool is_back = model && previous && !strcmp(model, previous);
    return (struct pin){.dir = dup_or_null(old->dir),
                        .model = dup_or_null(model),
                        .previous = is_back ? NULL : dup_or_null(previous)};
}

/* Puts the new pin in its place and writes the file; what was there comes back when that fails. */
static int replace_pin(struct projects *projects, struct pin *pin, const char *model,
                       struct err *reterr)
{
    struct pin old = *pin;
    *pin = changed_pin(&old, model);
    int r = save(projects, reterr);
    if (r < 0) {
        release_pin(pin);
        *pin = old;
        return r;
    }
    release_pin(&old);
    projects->generation++;
    return 0;
}

static bool is_same(const char *a, const char *b)
{
    return a && b ? !strcmp(a, b) : a == b;
}

int projects_pin(struct projects *projects, const char *dir, const char *model, struct err *reterr)
{
    int r = check_pin(dir, model, reterr);
    if (r < 0)
        return r;
    const struct pin *known = find_pin(projects, dir);
    if (is_same(known ? known->model : NULL, model))
        return 0;
    if (!dir)
        return replace_pin(projects, &projects->global, model, reterr);
    if (!known && !make_room(projects))
        return err_set(reterr, ERR_TOO_LARGE, "%d directories are pinned already", PROJECTS_MAX);
    bool found;
    size_t at = pin_index(projects, dir, &found);
    if (!found)
        (void)insert_pin(projects, at, dir);
    r = replace_pin(projects, &projects->pins[at], model, reterr);
    if (r < 0 && !found)
        remove_pin(projects, at);
    return r;
}

const char *projects_pinned(const struct projects *projects, const char *dir)
{
    const struct pin *pin = find_pin(projects, dir);
    return pin ? pin->model : NULL;
}

const char *projects_previous(const struct projects *projects, const char *dir)
{
    const struct pin *pin = find_pin(projects, dir);
    return pin ? pin->previous : NULL;
}

uint64_t projects_generation(const struct projects *projects)
{
    return projects->generation;
}

/* ---- the view of a directory ---- */

/* Index of the project's root among the walk's directories. */
static size_t find_root(const struct projects *projects, const struct walk *walk)
{
    for (size_t i = 0; i < walk->dir_count; i++)
        if (walk->dirs[i].is_marked || projects_pinned(projects, walk->dirs[i].path))
            return i;
    return 0;
}

/* A copy in the arena; false when that is full. NULL stays NULL. */
static bool keep(struct arena *arena, const char **text)
{
    if (*text)
        *text = arena_copy(arena, span_of(*text));
    return *text;
}

/* Adds a choice, whose texts are copied into the arena: pins and walk may change before it is used.
 */
static int add_choice(struct project_view *view, struct arena *arena, struct choice choice)
{
    const char **texts[] = {&choice.dir, &choice.file, &choice.model, &choice.note};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (*texts[i] && !keep(arena, texts[i]))
            return -ERR_TOO_LARGE;
    view->choices[view->count++] = choice;
    return 0;
}

/* What is said for one directory of the walk. */
static int add_dir(const struct projects *projects, const struct walk_dir *dir,
                   struct project_view *view, struct arena *arena)
{
    int r = 0;
    const char *pinned = projects_pinned(projects, dir->path);
    if (pinned)
        r = add_choice(view, arena,
                       (struct choice){.source = CHOICE_PIN, .dir = dir->path, .model = pinned});
    for (size_t i = 0; r == 0 && i < dir->file_count; i++) {
        const struct walk_file *file = &dir->files[i];
        r = add_choice(view, arena,
                       (struct choice){.source = file->source,
                                       .dir = dir->path,
                                       .file = file->path,
                                       .line = file->line,
                                       .model = file->model,
                                       .note = file->note});
    }
    return r;
}

static int add_project(const struct projects *projects, const struct walk *walk,
                       struct project_view *view, struct arena *arena)
{
    int r = 0;
    for (size_t i = find_root(projects, walk); r == 0 && i < walk->dir_count; i++)
        r = add_dir(projects, &walk->dirs[i], view, arena);
    return r;
}

static int add_global(const struct projects *projects, struct choice config, const char *only_model,
                      struct project_view *view, struct arena *arena)
{
    int r = 0;
    if (projects->global.model)
        r = add_choice(
            view, arena,
            (struct choice){.source = CHOICE_GLOBAL_PIN, .model = projects->global.model});
    if (r == 0 && config.model)
        r = add_choice(view, arena, config);
    if (r == 0 && only_model)
        r = add_choice(view, arena, (struct choice){.source = CHOICE_ONLY, .model = only_model});
    return r;
}

static int name_project(const struct projects *projects, const struct walk *walk,
                        struct project_view *view, struct arena *arena)
{
    view->name = "global";
    if (!walk)
        return 0;
    view->dir = walk->dirs[find_root(projects, walk)].path;
    if (!keep(arena, &view->dir))
        return -ERR_TOO_LARGE;
    const char *slash = strrchr(view->dir, '/');
    view->name = slash[1] ? slash + 1 : view->dir;
    return 0;
}

int projects_view(const struct projects *projects, const struct walk *walk, const char *override,
                  const char *config_default, const char *config_file, unsigned config_line,
                  const char *only_model, struct arena *arena, struct project_view *ret,
                  struct err *reterr)
{
    const size_t most = 4 + (walk ? walk->dir_count * (1 + WALK_FILES) : 0);
    const struct choice config = {
        .source = CHOICE_CONFIG, .file = config_file, .line = config_line, .model = config_default};
    struct project_view view = {.choices = arena_alloc(arena, most * sizeof(struct choice))};
    int r = view.choices ? name_project(projects, walk, &view, arena) : -ERR_TOO_LARGE;
    if (r == 0 && override)
        r = add_choice(&view, arena, (struct choice){.source = CHOICE_OVERRIDE, .model = override});
    if (r == 0 && walk)
        r = add_project(projects, walk, &view, arena);
    if (r == 0)
        r = add_global(projects, config, only_model, &view, arena);
    if (r < 0)
        return err_set(reterr, ERR_TOO_LARGE, "the project's choices do not fit in memory");
    *ret = view;
    return 0;
}
