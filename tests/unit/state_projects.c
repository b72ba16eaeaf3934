/* projects.h: pins, and the view of a directory. */
#include "state/projects.h"

#include "support/tree.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* A tree with the state directory "state" and the home directory "home". */
struct fixture {
    struct tree tree;
    struct projects *projects;
    struct arena arena;
    struct project_view view;
};

static void fixture_open(struct fixture *fixture)
{
    struct err err = {0};
    int r = projects_open(tree_path(&fixture->tree, "state"), &fixture->projects, &err);
    cr_assert_eq(r, 0, "%s", err.detail);
}

static void fixture_init(struct fixture *fixture)
{
    tree_init(&fixture->tree);
    tree_mkdir(&fixture->tree, "state");
    tree_mkdir(&fixture->tree, "home");
    fixture_open(fixture);
    arena_init(&fixture->arena, 1 << 20);
}

static void fixture_reopen(struct fixture *fixture)
{
    projects_free(fixture->projects);
    fixture_open(fixture);
}

static void fixture_release(struct fixture *fixture)
{
    projects_free(fixture->projects);
    arena_release(&fixture->arena);
    tree_release(&fixture->tree);
}

static void pin(struct fixture *fixture, const char *name, const char *model)
{
    struct err err = {0};
    const char *dir = name ? tree_path(&fixture->tree, name) : NULL;
    int r = projects_pin(fixture->projects, dir, model, &err);
    cr_assert_eq(r, 0, "%s: %s", name ? name : "global", err.detail);
}

static const char *previous(struct fixture *fixture, const char *name)
{
    return projects_previous(fixture->projects, name ? tree_path(&fixture->tree, name) : NULL);
}

/* Takes the view of a directory (NULL: the global project) with everything configured. */
static void look(struct fixture *fixture, const char *name)
{
    struct walk *walk = NULL;
    if (name)
        cr_assert_eq(walk_new(tree_path(&fixture->tree, name), tree_path(&fixture->tree, "home"),
                              &walk, NULL),
                     0);
    int r = projects_view(fixture->projects, walk, "over", "def", "config.json", 7, "only",
                          &fixture->arena, &fixture->view, NULL);
    cr_assert_eq(r, 0);
    walk_unref(walk);
}

/* The view in one line: "pin=a project file=b ...". */
static const char *chain(const struct fixture *fixture)
{
    static char text[1024];
    size_t used = 0;
    for (size_t i = 0; i < fixture->view.count; i++) {
        const struct choice *choice = &fixture->view.choices[i];
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s=%s", i ? " " : "",
                                 choice_source_name(choice->source),
                                 choice->model ? choice->model : "?");
    }
    return text;
}

static void expect_view(struct fixture *fixture, const char *name, const char *project,
                        const char *choices)
{
    char expected[1024];
    look(fixture, name);
    snprintf(expected, sizeof(expected), "override=over %s%sconfig=def only=only", choices,
             choices[0] ? " " : "");
    cr_expect_str_eq(chain(fixture), expected, "%s: %s", name ? name : "global", chain(fixture));
    if (project)
        cr_expect_str_eq(fixture->view.dir, tree_path(&fixture->tree, project), "%s: %s", name,
                         fixture->view.dir);
    else
        cr_expect_null(fixture->view.dir);
}

static void write_model(struct fixture *fixture, const char *name, const char *model)
{
    char text[100];
    snprintf(text, sizeof(text), "{\"model\": \"%s\"}\n", model);
    tree_write(&fixture->tree, name, text);
}

/* ---- views ---- */

Test(projects, the_project_is_the_nearest_marked_directory_or_the_directory_itself)
{
    struct fixture fixture;
    fixture_init(&fixture);
    tree_mkdir(&fixture.tree, "home/repository/.git");
    tree_mkdir(&fixture.tree, "home/repository/src/deep");
    write_model(&fixture, "home/repository/part/.aictl.json", "part");
    tree_mkdir(&fixture.tree, "home/plain/sub");
    expect_view(&fixture, "home/repository/src/deep", "home/repository", "");
    expect_view(&fixture, "home/repository/part", "home/repository/part", "project file=part");
    expect_view(&fixture, "home/plain/sub", "home/plain/sub", "");
    expect_view(&fixture, "home/gone", "home/gone", "");
    pin(&fixture, "home/plain", "pinned");
    expect_view(&fixture, "home/plain/sub", "home/plain", "pin=pinned");
    cr_expect_str_eq(fixture.view.name, "plain");
    pin(&fixture, "home/plain", NULL);
    expect_view(&fixture, "home/plain/sub", "home/plain/sub", "");
    fixture_release(&fixture);
}

Test(projects, pin_local_file_and_project_file_count_in_this_order_then_the_parents)
{
    struct fixture fixture;
    fixture_init(&fixture);
    write_model(&fixture, "home/.aictl.json", "top");
    write_model(&fixture, "home/team/.aictl.json", "team");
    tree_mkdir(&fixture.tree, "home/team/shop/.git");
    write_model(&fixture, "home/team/shop/.aictl.json", "shared");
    write_model(&fixture, "home/team/shop/.aictl.local.json", "mine");
    pin(&fixture, "home/team/shop", "pinned");
    pin(&fixture, "home/team", "team-pin");
    pin(&fixture, NULL, "everywhere");
    expect_view(&fixture, "home/team/shop/src", "home/team/shop",
                "pin=pinned local file=mine project file=shared pin=team-pin project file=team "
                "project file=top global=everywhere");
    expect_view(&fixture, "home", "home", "project file=top global=everywhere");
    fixture_release(&fixture);
}

Test(projects, homes_own_git_counts_and_what_is_above_home_does_not)
{
    struct fixture fixture;
    fixture_init(&fixture);
    write_model(&fixture, ".aictl.json", "above");
    pin(&fixture, "", "pinned-above");
    expect_view(&fixture, "home/p", "home/p", "");
    tree_mkdir(&fixture.tree, "home/.git");
    expect_view(&fixture, "home/p", "home", "");
    expect_view(&fixture, "elsewhere", "", "pin=pinned-above project file=above");
    fixture_release(&fixture);
}

Test(projects, a_link_and_its_target_are_one_project)
{
    struct fixture fixture;
    char link[PATH_MAX];
    fixture_init(&fixture);
    tree_mkdir(&fixture.tree, "home/target/sub");
    strcpy(link, tree_path(&fixture.tree, "home/link"));
    cr_assert_eq(symlink("target", link), 0);
    pin(&fixture, "home/target", "pinned");
    expect_view(&fixture, "home/link/sub", "home/target", "pin=pinned");
    fixture_release(&fixture);
}

Test(projects, a_broken_file_is_in_the_chain_with_its_note_and_not_passed_over)
{
    struct fixture fixture;
    struct catalogue_model model = {"p", "team", 0};
    struct catalogue catalogue = {&model, 1, NULL, 0};
    struct name name;
    fixture_init(&fixture);
    write_model(&fixture, "home/team/.aictl.json", "team");
    tree_write(&fixture.tree, "home/team/shop/.aictl.json", "{\n  model: 1\n}");
    expect_view(&fixture, "home/team/shop", "home/team/shop", "project file=? project file=team");
    const struct choice *broken = &fixture.view.choices[1];
    cr_expect_not_null(strstr(broken->note, "line 2, column 3"), "%s", broken->note);
    cr_expect_str_eq(broken->file, tree_path(&fixture.tree, "home/team/shop/.aictl.json"));
    int effective = precedence_decide(&catalogue, fixture.view.choices, fixture.view.count, &name);
    cr_expect_eq(effective, 2);
    cr_expect_not_null(broken->note, "the decision keeps it");
    fixture_release(&fixture);
}

Test(projects, a_choice_says_where_it_stands)
{
    struct fixture fixture;
    fixture_init(&fixture);
    tree_write(&fixture.tree, "home/p/.aictl.json", "{\n\n\"model\": \"m\", \"baseURL\": \"x\"}");
    expect_view(&fixture, "home/p", "home/p", "project file=m");
    const struct choice *file = &fixture.view.choices[1];
    const struct choice *config = &fixture.view.choices[2];
    cr_expect_str_eq(file->dir, tree_path(&fixture.tree, "home/p"));
    cr_expect_eq(file->line, 3);
    cr_expect_str_eq(file->note, "ignored: baseURL (a project file can only choose a model)");
    cr_expect_str_eq(config->file, "config.json");
    cr_expect_eq(config->line, 7);
    cr_expect_null(config->dir);
    fixture_release(&fixture);
}

Test(projects, the_global_project_has_the_global_choices_only)
{
    struct fixture fixture;
    fixture_init(&fixture);
    pin(&fixture, "home", "pinned");
    expect_view(&fixture, NULL, NULL, "");
    cr_expect_str_eq(fixture.view.name, "global");
    pin(&fixture, NULL, "everywhere");
    expect_view(&fixture, NULL, NULL, "global=everywhere");
    fixture_release(&fixture);
}

Test(projects, absent_sources_are_left_out)
{
    struct fixture fixture;
    struct project_view view;
    struct walk *walk;
    fixture_init(&fixture);
    cr_assert_eq(projects_view(fixture.projects, NULL, NULL, NULL, NULL, 0, NULL, &fixture.arena,
                               &view, NULL),
                 0);
    cr_expect_eq(view.count, 0);
    cr_assert_eq(walk_new("/", NULL, &walk, NULL), 0);
    cr_assert_eq(projects_view(fixture.projects, walk, NULL, NULL, NULL, 0, NULL, &fixture.arena,
                               &view, NULL),
                 0);
    cr_expect_str_eq(view.name, "/");
    walk_unref(walk);
    fixture_release(&fixture);
}

Test(projects, a_view_outlives_the_walk_and_the_pins_it_came_from)
{
    struct fixture fixture;
    fixture_init(&fixture);
    pin(&fixture, "home/p", "before");
    look(&fixture, "home/p");
    pin(&fixture, "home/p", "after");
    cr_expect_str_eq(fixture.view.choices[1].model, "before");
    fixture_release(&fixture);
}

Test(projects, a_view_that_does_not_fit_the_arena_is_an_error)
{
    struct fixture fixture;
    fixture_init(&fixture);
    pin(&fixture, "home/p", "model");
    struct walk *walk;
    cr_assert_eq(walk_new(tree_path(&fixture.tree, "home/p"), NULL, &walk, NULL), 0);
    for (size_t max = 0; max < 4000; max += 50) {
        struct arena small;
        struct project_view view = {.name = "untouched"};
        struct err err = {0};
        arena_init(&small, max);
        int r = projects_view(fixture.projects, walk, "over", "def", "config.json", 1, "only",
                              &small, &view, &err);
        cr_expect(r == 0 || (r == -ERR_TOO_LARGE && !strcmp(view.name, "untouched")), "%zu", max);
        arena_release(&small);
    }
    walk_unref(walk);
    fixture_release(&fixture);
}

/* ---- pins ---- */

Test(projects, pins_survive_a_restart)
{
    struct fixture fixture;
    struct stat st;
    fixture_init(&fixture);
    pin(&fixture, "home/b", "glm-4.6");
    pin(&fixture, "home/b", "kimi-k2");
    pin(&fixture, "home/a with \"quotes\" and \xc3\xa9", "a/b,c[1m]");
    pin(&fixture, NULL, "everywhere");
    fixture_reopen(&fixture);
    expect_view(&fixture, "home/b", "home/b", "pin=kimi-k2 global=everywhere");
    expect_view(&fixture, "home/a with \"quotes\" and \xc3\xa9",
                "home/a with \"quotes\" and \xc3\xa9", "pin=a/b,c[1m] global=everywhere");
    cr_expect_str_eq(previous(&fixture, "home/b"), "glm-4.6");
    cr_expect_null(previous(&fixture, NULL));
    cr_assert_eq(stat(tree_path(&fixture.tree, "state/pins.json"), &st), 0);
    cr_expect_eq(st.st_mode & 07777, 0600);
    fixture_release(&fixture);
}

Test(projects, what_is_pinned_can_be_asked)
{
    struct fixture fixture;
    fixture_init(&fixture);
    cr_expect_null(projects_pinned(fixture.projects, NULL));
    cr_expect_null(projects_pinned(fixture.projects, tree_path(&fixture.tree, "home/p")));
    pin(&fixture, "home/p", "a");
    cr_expect_str_eq(projects_pinned(fixture.projects, tree_path(&fixture.tree, "home/p")), "a");
    cr_expect_null(projects_pinned(fixture.projects, NULL), "each place has its own");
    pin(&fixture, "home/p", NULL);
    cr_expect_null(projects_pinned(fixture.projects, tree_path(&fixture.tree, "home/p")));
    cr_expect_str_eq(previous(&fixture, "home/p"), "a", "taken away is not forgotten");
    fixture_release(&fixture);
}

Test(projects, the_previous_model_swaps_back_and_forth)
{
    struct fixture fixture;
    fixture_init(&fixture);
    const char *const names[] = {"home/p", NULL};
    for (size_t i = 0; i < 2; i++) {
        cr_expect_null(previous(&fixture, names[i]));
        pin(&fixture, names[i], "a");
        cr_expect_null(previous(&fixture, names[i]));
        pin(&fixture, names[i], "b");
        for (int swap = 0; swap < 3; swap++) {
            cr_expect_str_eq(previous(&fixture, names[i]), swap % 2 ? "b" : "a");
            pin(&fixture, names[i], previous(&fixture, names[i]));
        }
    }
    fixture_release(&fixture);
}

Test(projects, a_pin_that_was_taken_away_can_come_back)
{
    struct fixture fixture;
    fixture_init(&fixture);
    pin(&fixture, "home/p", "a");
    pin(&fixture, "home/p", NULL);
    expect_view(&fixture, "home/p/sub", "home/p/sub", "");
    fixture_reopen(&fixture);
    cr_expect_str_eq(previous(&fixture, "home/p"), "a");
    pin(&fixture, "home/p", "a");
    cr_expect_null(previous(&fixture, "home/p"), "going back to a from a is no step");
    pin(&fixture, "home/p", NULL);
    pin(&fixture, "home/p", "b");
    cr_expect_str_eq(previous(&fixture, "home/p"), "a");
    fixture_release(&fixture);
}

Test(projects, the_generation_rises_with_every_change_and_differs_between_runs)
{
    struct fixture fixture;
    fixture_init(&fixture);
    uint64_t first = projects_generation(fixture.projects);
    pin(&fixture, "home/p", "a");
    cr_expect_eq(projects_generation(fixture.projects), first + 1);
    pin(&fixture, "home/p", "a");
    pin(&fixture, "home/q", NULL);
    cr_expect_eq(projects_generation(fixture.projects), first + 1, "nothing changed");
    pin(&fixture, NULL, "a");
    cr_expect_eq(projects_generation(fixture.projects), first + 2);
    usleep(10);
    fixture_reopen(&fixture);
    cr_expect_gt(projects_generation(fixture.projects), first + 2);
    fixture_release(&fixture);
}

Test(projects, what_cannot_be_pinned_is_refused_and_changes_nothing)
{
    static const char *const dirs[] = {"",    "relative", "../etc", "/a/../b",
                                       "/a/", "//a",      "/a/.",   "/caf\xe9"};
    static const char *const models[] = {"", "a\nb", "a\x01", "\xff", "\x7f"};
    struct fixture fixture;
    char long_model[NAME_MAX_LEN + 2];
    fixture_init(&fixture);
    uint64_t generation = projects_generation(fixture.projects);
    for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
        cr_expect_eq(projects_pin(fixture.projects, dirs[i], "a", NULL), -ERR_INVALID_REQUEST, "%s",
                     dirs[i]);
    for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++)
        cr_expect_eq(projects_pin(fixture.projects, "/a", models[i], NULL), -ERR_INVALID_REQUEST,
                     "%s", models[i]);
    memset(long_model, 'a', sizeof(long_model) - 1);
    long_model[sizeof(long_model) - 1] = '\0';
    cr_expect_eq(projects_pin(fixture.projects, "/a", long_model, NULL), -ERR_INVALID_REQUEST);
    cr_expect_eq(projects_generation(fixture.projects), generation);
    cr_expect_neq(access(tree_path(&fixture.tree, "state/pins.json"), F_OK), 0);
    fixture_release(&fixture);
}

Test(projects, a_pin_that_cannot_be_written_is_not_there)
{
    struct fixture fixture;
    struct err err = {0};
    fixture_init(&fixture);
    pin(&fixture, "home/p", "a");
    unlink(tree_path(&fixture.tree, "state/pins.json"));
    rmdir(tree_path(&fixture.tree, "state"));
    uint64_t generation = projects_generation(fixture.projects);
    const char *dir = tree_path(&fixture.tree, "home/p");
    cr_expect_eq(projects_pin(fixture.projects, dir, "b", &err), -ERR_IO);
    cr_expect_eq(projects_pin(fixture.projects, "/new", "b", &err), -ERR_IO);
    cr_expect_eq(projects_pin(fixture.projects, NULL, "b", &err), -ERR_IO);
    cr_expect_not_null(strstr(err.detail, "pins.json"), "%s", err.detail);
    cr_expect_eq(projects_generation(fixture.projects), generation);
    expect_view(&fixture, "home/p", "home/p", "pin=a");
    cr_expect_null(previous(&fixture, "home/p"));
    tree_mkdir(&fixture.tree, "state");
    pin(&fixture, "home/p", "b");
    fixture_release(&fixture);
}

/* Writes a file of `count` pins by hand, of which `gone` have been taken away. */
static void write_pins(struct fixture *fixture, int count, int gone)
{
    char *text = malloc((size_t)count * 64 + 100);
    size_t used = (size_t)sprintf(text, "{\"version\": 1, \"pins\": {");
    for (int i = 0; i < count; i++)
        used += (size_t)sprintf(text + used, "%s\"/d/%05d\": {\"%s\": \"m\"}", i ? ", " : "", i,
                                i < gone ? "previous" : "model");
    strcpy(text + used, "}}");
    tree_write(&fixture->tree, "state/pins.json", text);
    free(text);
}

Test(projects, the_number_of_pins_is_bounded_and_those_taken_away_make_room)
{
    struct fixture fixture;
    struct err err = {0};
    fixture_init(&fixture);
    write_pins(&fixture, PROJECTS_MAX, 1);
    fixture_reopen(&fixture);
    pin(&fixture, "home/p", "a");
    const char *dir = tree_path(&fixture.tree, "home/q");
    cr_expect_eq(projects_pin(fixture.projects, dir, "a", &err), -ERR_TOO_LARGE);
    cr_expect_not_null(strstr(err.detail, "4096"), "%s", err.detail);
    cr_expect_null(projects_previous(fixture.projects, "/d/00000"));
    pin(&fixture, "home/p", NULL);
    pin(&fixture, "home/q", "a");
    fixture_reopen(&fixture);
    expect_view(&fixture, "home/q", "home/q", "pin=a");
    fixture_release(&fixture);
}

/* ---- damaged files ---- */

struct damage {
    const char *text;
    const char *message; /* part of the error */
};

Test(projects, a_damaged_file_is_an_error_that_says_where)
{
    static const struct damage rows[] = {
        {"", "pins.json: JSON, line 1"},
        {"{\"version\": 1", "line 1"},
        {"[]", "pins.json:1:1: an object"},
        {"{}", "\"version\" 1 only"},
        {"{\"version\": 2}", "\"version\" 1 only"},
        {"{\"version\": \"1\"}", "\"version\" 1 only"},
        {"{\"version\": 1, \"version\": 1}", "stands twice"},
        {"{\"version\": 1,\n \"extra\": 1}", "pins.json:2:2: unknown member"},
        {"{\"version\": 1,\n \"pins\": []}", "pins.json:2:10: an object"},
        {"{\"version\": 1, \"global\": \"m\"}", "an object"},
        {"{\"version\": 1, \"global\": {\"model\": 1}}", "a text"},
        {"{\"version\": 1, \"global\": {\"model\": \"\"}}", "a model's name"},
        {"{\"version\": 1, \"global\": {\"model\": \"a\\u0000b\"}}", "a text"},
        {"{\"version\": 1, \"pins\": {\"/a\": {\"previous\": [1]}}}", "a text"},
        {"{\"version\": 1, \"pins\": {\"/a\": {\"baseURL\": \"x\"}}}", "unknown member"},
        {"{\"version\": 1, \"pins\": {\"/a\": \"m\"}}", "an object"},
        {"{\"version\": 1, \"pins\": {\"a\": {}}}", "not the path"},
        {"{\"version\": 1, \"pins\": {\"/a/../b\": {}}}", "not the path"},
        {"{\"version\": 1, \"pins\": {\"/a\\u0000\": {}}}", "a text"},
        {"{\"version\": 1, \"pins\": {\"/a\": {},\n  \"/\\u0061\": {}}}",
         "pins.json:2:3: this directory has a pin already"},
    };
    struct fixture fixture;
    fixture_init(&fixture);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct projects *projects = NULL;
        struct err err = {0};
        tree_write(&fixture.tree, "state/pins.json", rows[i].text);
        int r = projects_open(tree_path(&fixture.tree, "state"), &projects, &err);
        cr_expect_eq(r, -ERR_CONFIG_INVALID, "%s: %d", rows[i].text, r);
        cr_expect_null(projects);
        cr_expect(strstr(err.detail, rows[i].message), "%s: %s", rows[i].text, err.detail);
    }
    fixture_release(&fixture);
}

Test(projects, a_file_cut_anywhere_or_with_too_many_pins_is_an_error)
{
    static const char whole[] = "{\"version\": 1, \"global\": {\"model\": \"a\"}, \"pins\": "
                                "{\"/a\": {\"model\": \"b\", \"previous\": \"c\"}}}";
    struct fixture fixture;
    char cut[sizeof(whole)];
    fixture_init(&fixture);
    for (size_t len = 0; len < sizeof(whole); len++) {
        struct projects *projects = NULL;
        memcpy(cut, whole, len);
        cut[len] = '\0';
        tree_write(&fixture.tree, "state/pins.json", cut);
        int r = projects_open(tree_path(&fixture.tree, "state"), &projects, NULL);
        cr_expect_eq(r == 0, len == sizeof(whole) - 1, "%zu bytes", len);
        projects_free(projects);
    }
    struct projects *projects = NULL;
    write_pins(&fixture, PROJECTS_MAX + 1, 0);
    cr_expect_eq(projects_open(tree_path(&fixture.tree, "state"), &projects, NULL),
                 -ERR_CONFIG_INVALID);
    fixture_release(&fixture);
}

Test(projects, a_link_in_the_place_of_the_file_is_refused)
{
    struct fixture fixture;
    struct projects *projects = NULL;
    struct err err = {0};
    char link[PATH_MAX];
    fixture_init(&fixture);
    strcpy(link, tree_path(&fixture.tree, "state/pins.json"));
    cr_assert_eq(symlink("/etc/passwd", link), 0);
    cr_expect_eq(projects_open(tree_path(&fixture.tree, "state"), &projects, &err), -ERR_FORBIDDEN);
    cr_expect_not_null(strstr(err.detail, "pins.json"));
    fixture_release(&fixture);
}
