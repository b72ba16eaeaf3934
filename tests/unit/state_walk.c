/* walk.h: markers and files of a directory and its ancestors. */
#include "state/walk.h"

#include "support/tree.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* The walk of a directory of the tree, whose root is HOME. */
static struct walk *walk_of(struct tree *tree, const char *name)
{
    struct walk *walk = NULL;
    struct err err = {0};
    int r = walk_new(tree_path(tree, name), tree->root, &walk, &err);
    cr_assert_eq(r, 0, "%s: %s", name, err.detail);
    return walk;
}

/* The only file of the tree's "p". */
static const struct walk_file *only_file(const struct walk *walk)
{
    cr_assert_eq(walk->dirs[0].file_count, 1);
    return &walk->dirs[0].files[0];
}

/* ---- the way up ---- */

Test(walk, the_directory_comes_first_and_home_last)
{
    struct tree tree;
    tree_init(&tree);
    tree_mkdir(&tree, "a/b");
    struct walk *walk = walk_of(&tree, "a/b");
    cr_assert_eq(walk->dir_count, 3);
    cr_expect_str_eq(walk->dir, tree_path(&tree, "a/b"));
    cr_expect_str_eq(walk->dirs[0].path, tree_path(&tree, "a/b"));
    cr_expect_str_eq(walk->dirs[1].path, tree_path(&tree, "a"));
    cr_expect_str_eq(walk->dirs[2].path, tree.root);
    walk_unref(walk);
    tree_release(&tree);
}

Test(walk, outside_of_home_it_ends_at_the_root)
{
    struct tree tree;
    struct walk *walk = NULL;
    tree_init(&tree);
    tree_mkdir(&tree, "home");
    tree_mkdir(&tree, "homely"); /* begins like HOME and is another directory */
    cr_assert_eq(walk_new(tree_path(&tree, "homely"), tree_path(&tree, "home"), &walk, NULL), 0);
    cr_expect_str_eq(walk->dirs[walk->dir_count - 1].path, "/");
    walk_unref(walk);
    cr_assert_eq(walk_new("/", NULL, &walk, NULL), 0);
    cr_expect_eq(walk->dir_count, 1);
    cr_expect_str_eq(walk->dir, "/");
    walk_unref(walk);
    tree_release(&tree);
}

Test(walk, a_path_is_brought_into_canonical_form)
{
    struct tree tree;
    char link[PATH_MAX];
    tree_init(&tree);
    tree_mkdir(&tree, "real/sub");
    strcpy(link, tree_path(&tree, "link"));
    cr_assert_eq(symlink(tree_path(&tree, "real"), link), 0);
    static const char *const names[][2] = {
        {"real/sub", "real/sub"},
        {"link/sub", "real/sub"},
        {"link", "real"},
        {"real//./sub///", "real/sub"},
        {"link/gone/deeper", "real/gone/deeper"},
        {"gone/./there/", "gone/there"},
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct walk *walk = walk_of(&tree, names[i][0]);
        cr_expect_str_eq(walk->dir, tree_path(&tree, names[i][1]), "%s: %s", names[i][0],
                         walk->dir);
        cr_expect(walk_is_canonical(walk->dir));
        walk_unref(walk);
    }
    tree_release(&tree);
}

Test(walk, home_may_be_a_link)
{
    struct tree tree;
    char link[PATH_MAX];
    struct walk *walk = NULL;
    tree_init(&tree);
    tree_mkdir(&tree, "real/p");
    strcpy(link, tree_path(&tree, "home"));
    cr_assert_eq(symlink("real", link), 0);
    cr_assert_eq(walk_new(tree_path(&tree, "home/p"), link, &walk, NULL), 0);
    cr_expect_eq(walk->dir_count, 2);
    walk_unref(walk);
    tree_release(&tree);
}

Test(walk, what_is_no_absolute_directory_is_refused)
{
    char long_path[PATH_MAX + 2];
    memset(long_path, 'a', sizeof(long_path));
    long_path[0] = '/';
    long_path[sizeof(long_path) - 1] = '\0';
    const char *paths[] = {
        "", "a", "a/b", ".", "..", "/..", "/a/../b", "/a/..", "../../etc/passwd", long_path};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        struct walk *walk = NULL;
        struct err err = {0};
        cr_expect_eq(walk_new(paths[i], NULL, &walk, &err), -ERR_INVALID_REQUEST, "%zu", i);
        cr_expect_null(walk);
        cr_expect_neq(err.detail[0], '\0');
        cr_expect(!walk_is_canonical(paths[i]), "%zu", i);
    }
    cr_expect(walk_is_canonical("/") && walk_is_canonical("/a/..b/c."));
    cr_expect(!walk_is_canonical("/a/") && !walk_is_canonical("//a") && !walk_is_canonical("/./a"));
}

Test(walk, a_link_may_not_lead_to_a_path_that_is_too_long)
{
    struct tree tree;
    char link[PATH_MAX], path[PATH_MAX], name[200];
    struct walk *walk = NULL;
    tree_init(&tree);
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    tree_mkdir(&tree, name);
    strcpy(link, tree_path(&tree, "l"));
    cr_assert_eq(symlink(name, link), 0);
    int n = snprintf(path, sizeof(path), "%s/", link);
    memset(path + n, 'x', sizeof(path) - (size_t)n - 1);
    path[sizeof(path) - 1] = '\0';
    cr_expect_eq(walk_new(path, NULL, &walk, NULL), -ERR_INVALID_REQUEST);
    tree_release(&tree);
}

Test(walk, it_looks_at_64_levels_and_no_more)
{
    struct tree tree;
    char deep[PATH_MAX] = "";
    tree_init(&tree);
    for (int i = 0; i < 80; i++)
        strcat(deep, i ? "/a-directory-with-a-name-of-middle-length" : "top");
    tree_mkdir(&tree, deep);
    tree_write(&tree, "top/.aictl.json", "{\"model\": \"glm-4.6\"}");
    struct walk *walk = walk_of(&tree, deep);
    cr_expect_eq(walk->dir_count, WALK_LEVELS);
    for (size_t i = 0; i < walk->dir_count; i++)
        cr_expect(!walk->dirs[i].is_marked);
    walk_unref(walk);
    tree_release(&tree);
}

Test(walk, a_file_in_every_one_of_64_long_levels_fits)
{
    struct tree tree;
    char deep[PATH_MAX] = "", name[PATH_MAX];
    tree_init(&tree);
    for (int i = 0; i < 63; i++) {
        strcat(deep, i ? "/a-directory-with-a-name-of-sixty-bytes-or-so-to-fill-the-path" : "top");
        snprintf(name, sizeof(name), "%.4000s/.aictl.json", deep);
        tree_write(&tree, name, "{\"abcdefghijklmnopqrstuvwxyz-abcdefghi\":1, \"b\":2, \"c\":3}");
        snprintf(name, sizeof(name), "%.4000s/.aictl.local.json", deep);
        tree_write(&tree, name, "no json");
    }
    struct walk *walk = walk_of(&tree, deep);
    cr_expect_eq(walk->dir_count, WALK_LEVELS);
    cr_expect_eq(walk->dirs[62].file_count, 2);
    walk_unref(walk);
    tree_release(&tree);
}

/* ---- markers ---- */

Test(walk, git_and_aictl_files_mark_a_directory)
{
    struct tree tree;
    tree_init(&tree);
    tree_mkdir(&tree, "repository/.git");
    tree_write(&tree, "worktree/.git", "gitdir: /elsewhere");
    tree_write(&tree, "shared/.aictl.json", "{}");
    tree_write(&tree, "own/.aictl.local.json", "broken");
    tree_write(&tree, "plain/README", "");
    static const char *const names[] = {"repository", "worktree", "shared", "own", "plain"};
    for (size_t i = 0; i < 5; i++) {
        struct walk *walk = walk_of(&tree, names[i]);
        cr_expect_eq(walk->dirs[0].is_marked, i < 4, "%s", names[i]);
        cr_expect(!walk->dirs[1].is_marked);
        walk_unref(walk);
    }
    tree_release(&tree);
}

Test(walk, the_local_file_comes_before_the_shared_one)
{
    struct tree tree;
    tree_init(&tree);
    tree_write(&tree, "p/.aictl.json", "{\"model\": \"shared\"}");
    tree_write(&tree, "p/.aictl.local.json", "{\n  \"model\": \"local\"\n}\n");
    struct walk *walk = walk_of(&tree, "p");
    cr_assert_eq(walk->dirs[0].file_count, 2);
    const struct walk_file *files = walk->dirs[0].files;
    cr_expect_eq(files[0].source, CHOICE_LOCAL_FILE);
    cr_expect_str_eq(files[0].model, "local");
    cr_expect_eq(files[0].line, 2);
    cr_expect_str_eq(files[0].path, tree_path(&tree, "p/.aictl.local.json"));
    cr_expect_eq(files[1].source, CHOICE_PROJECT_FILE);
    cr_expect_str_eq(files[1].model, "shared");
    cr_expect_null(files[1].note);
    walk_unref(walk);
    tree_release(&tree);
}

/* ---- what a file says ---- */

struct saying {
    const char *text;
    const char *model; /* NULL: none */
    unsigned line;
    const char *note; /* part of it; NULL: there is none */
};

static void expect_saying(struct tree *tree, const struct saying *row)
{
    tree_write(tree, "p/.aictl.json", row->text);
    struct walk *walk = walk_of(tree, "p");
    const struct walk_file *file = only_file(walk);
    if (row->model)
        cr_expect(file->model && !strcmp(file->model, row->model), "%s: %s", row->text,
                  file->model ? file->model : "no model");
    else
        cr_expect_null(file->model, "%s", row->text);
    if (row->note)
        cr_expect(file->note && strstr(file->note, row->note), "%s: %s", row->text,
                  file->note ? file->note : "no note");
    else
        cr_expect_null(file->note, "%s", row->text);
    cr_expect_eq(file->line, row->line, "%s: line %u", row->text, file->line);
    walk_unref(walk);
}

Test(walk, a_file_can_choose_a_model_and_nothing_else)
{
    static const struct saying rows[] = {
        {"{\"model\": \"glm-4.6\"}", "glm-4.6", 1, NULL},
        {"{\n \"$schema\": \"x\",\n\n \"model\": \"zhipu/GLM\"}", "zhipu/GLM", 4, NULL},
        {"// why\n{\"model\": /* this */ \"a\",}\n", "a", 2, NULL},
        {"{\"mo\\u0064el\": \"gl\\u006d\"}", "glm", 1, NULL},
        {"{\"model\": \"aictl\"}", "aictl", 1, NULL},
        {"{\"model\": \"a\", \"baseURL\": \"https://evil.test\"}", "a", 1,
         "ignored: baseURL (a project file can only choose a model)"},
        {"{\"apiKey\": \"sk-x\", \"headers\": {\"model\": \"b\"}, \"command\": [\"rm\"],"
         " \"proxy\": 1, \"cert\": 2, \"model\": \"a\"}",
         "a", 1, "ignored: apiKey, headers, command, proxy, ... (a project"},
        {"{\"\\u001b[31mred\\n\": 1, \"model\": \"a\"}", "a", 1, "ignored: \\u001b[31mred\\n ("},
        {"{\"\xc3\xa9 \": 1, \"model\": \"a\"}", "a", 1, "ignored: \?\?\? ("},
        {"{}", NULL, 0, "names no model"},
        {"{\"model\": null}", NULL, 0, "names no model"},
        {"{\"Model\": \"a\"}", NULL, 0, "names no model; ignored: Model ("},
        {"{\"models\": [\"a\"]}", NULL, 0, "names no model; ignored: models ("},
    };
    struct tree tree;
    tree_init(&tree);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        expect_saying(&tree, &rows[i]);
    tree_release(&tree);
}

Test(walk, a_wrong_file_chooses_nothing_and_says_where_it_is_wrong)
{
    static const struct saying rows[] = {
        {"", NULL, 0, "line 1"},
        {"  \n", NULL, 0, "line 2"},
        {"glm-4.6", NULL, 0, "line 1, column 1"},
        {"{\"model\": \"a\"", NULL, 0, "line 1"},
        {"{\n\"model\": glm\n}", NULL, 0, "line 2, column 10"},
        {"{\"model\": \"a\"} x", NULL, 0, "line 1"},
        {"[\"a\"]", NULL, 0, "object"},
        {"\"a\"", NULL, 0, "object"},
        {"{\"model\": \"a\", \"model\": \"b\"}", NULL, 0, "model"},
        {"{\"model\": \"a\", \"MODEL\": \"b\"}", NULL, 0, "model"},
        {"{\n \"model\": 5}", NULL, 0, "line 2, column 11: \"model\" must be a model's name"},
        {"{\"model\": [\"a\"]}", NULL, 0, "must be a model's name"},
        {"{\"model\": \"\"}", NULL, 0, "must be a model's name"},
        {"{\"model\": \"a\\nb\"}", NULL, 0, "must be a model's name"},
        {"{\"model\": \"a\\u0000b\"}", NULL, 0, "must be a model's name"},
        {"{\"model\": \"a\xff\"}", NULL, 0, "line 1"},
        {"/* {\"model\": \"a\"}", NULL, 0, "line 1"},
        {"\xef\xbb\xbf{\"model\": \"a\"}", NULL, 0, "line 1"},
    };
    struct tree tree;
    tree_init(&tree);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        expect_saying(&tree, &rows[i]);
    tree_release(&tree);
}

Test(walk, a_name_of_256_bytes_is_taken_and_one_of_257_is_not)
{
    struct tree tree;
    char text[400];
    tree_init(&tree);
    for (int len = NAME_MAX_LEN; len <= NAME_MAX_LEN + 1; len++) {
        char name[300];
        memset(name, 'm', sizeof(name));
        name[len] = '\0';
        snprintf(text, sizeof(text), "{\"model\": \"%s\"}", name);
        const struct saying row = {text, len > NAME_MAX_LEN ? NULL : name, len <= NAME_MAX_LEN,
                                   len > NAME_MAX_LEN ? "must be a model's name" : NULL};
        expect_saying(&tree, &row);
    }
    tree_release(&tree);
}

Test(walk, a_file_of_64_kib_is_read_and_a_larger_one_is_not)
{
    struct tree tree;
    char *text = malloc(WALK_FILE_BYTES + 2);
    tree_init(&tree);
    memset(text, ' ', WALK_FILE_BYTES + 1);
    memcpy(text, "{\"model\": \"a\"}", 14);
    text[WALK_FILE_BYTES] = '\0';
    expect_saying(&tree, &(struct saying){text, "a", 1, NULL});
    text[WALK_FILE_BYTES] = ' ';
    text[WALK_FILE_BYTES + 1] = '\0';
    expect_saying(&tree, &(struct saying){text, NULL, 0, "is larger than 64 KiB"});
    free(text);
    tree_release(&tree);
}

Test(walk, deep_nesting_in_a_file_is_an_error)
{
    struct tree tree;
    char text[3000] = "{\"x\": ";
    tree_init(&tree);
    memset(text + strlen(text), '[', 2000);
    expect_saying(&tree, &(struct saying){text, NULL, 0, "line 1"});
    tree_release(&tree);
}

/* ---- files that are not read ---- */

static void expect_refused(struct tree *tree, const char *note)
{
    struct walk *walk = walk_of(tree, "p");
    const struct walk_file *file = only_file(walk);
    cr_expect(walk->dirs[0].is_marked);
    cr_expect_null(file->model);
    cr_expect(file->note && strstr(file->note, note), "%s: %s", note,
              file->note ? file->note : "no note");
    walk_unref(walk);
}

Test(walk, what_is_no_regular_file_is_refused_without_waiting, .timeout = 10)
{
    struct tree tree;
    char path[PATH_MAX];
    tree_init(&tree);
    tree_write(&tree, "elsewhere", "{\"model\": \"a\"}");
    tree_mkdir(&tree, "p");
    strcpy(path, tree_path(&tree, "p/.aictl.json"));

    cr_assert_eq(mkfifo(path, 0600), 0);
    expect_refused(&tree, "is not a regular file");
    unlink(path);
    cr_assert_eq(mkdir(path, 0700), 0);
    expect_refused(&tree, "is not a regular file");
    rmdir(path);
    cr_assert_eq(symlink("../elsewhere", path), 0);
    expect_refused(&tree, "is a symbolic link");
    unlink(path);
    cr_assert_eq(symlink("nowhere", path), 0);
    expect_refused(&tree, "is a symbolic link");
    tree_release(&tree);
}

Test(walk, a_file_that_everybody_may_write_is_refused)
{
    struct tree tree;
    tree_init(&tree);
    tree_write(&tree, "p/.aictl.json", "{\"model\": \"a\"}");
    cr_assert_eq(chmod(tree_path(&tree, "p/.aictl.json"), 0666), 0);
    expect_refused(&tree, "may be written by everybody");
    cr_assert_eq(chmod(tree_path(&tree, "p/.aictl.json"), 0664), 0);
    struct walk *walk = walk_of(&tree, "p");
    cr_expect_str_eq(only_file(walk)->model, "a", "a group may, as a umask of 002 makes files");
    walk_unref(walk);
    tree_release(&tree);
}

/* Gives the tree to another user and becomes that user, for this test's process. */
static void become_nobody(struct tree *tree, const char *const *names)
{
    const uid_t nobody = 65534;
    for (size_t i = 0; names[i]; i++)
        cr_assert_eq(chown(tree_path(tree, names[i]), nobody, nobody), 0);
    cr_assert_eq(setresgid(nobody, nobody, nobody), 0);
    cr_assert_eq(setresuid(nobody, nobody, nobody), 0);
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* or the leak check of the sanitizer fails */
}

Test(walk, a_file_of_another_user_is_refused_and_one_of_root_is_read)
{
    if (getuid() != 0)
        cr_skip_test("needs root");
    struct tree tree;
    tree_init(&tree);
    tree_write(&tree, "p/.aictl.json", "{\"model\": \"a\"}");
    cr_assert_eq(chown(tree_path(&tree, "p/.aictl.json"), 12345, 12345), 0);
    expect_refused(&tree, "belongs to another user");
    cr_assert_eq(chown(tree_path(&tree, "p/.aictl.json"), 0, 0), 0);
    become_nobody(&tree, (const char *const[]){"", "p", NULL});
    struct walk *walk = walk_of(&tree, "p");
    cr_expect_str_eq(only_file(walk)->model, "a");
    walk_unref(walk);
    cr_assert_eq(chmod(tree_path(&tree, "p"), 0700), 0);
    tree_release(&tree);
}

Test(walk, an_unreadable_file_is_reported_and_an_unreadable_directory_has_none)
{
    struct tree tree;
    tree_init(&tree);
    tree_write(&tree, "p/.aictl.json", "{\"model\": \"a\"}");
    if (getuid() == 0) /* nothing is unreadable to root */
        become_nobody(&tree, (const char *const[]){"", "p", "p/.aictl.json", NULL});
    cr_assert_eq(chmod(tree_path(&tree, "p/.aictl.json"), 0), 0);
    expect_refused(&tree, "cannot open");
    cr_assert_eq(chmod(tree_path(&tree, "p"), 0), 0);
    struct walk *walk = walk_of(&tree, "p/sub");
    cr_expect(!walk->dirs[0].is_marked && !walk->dirs[1].is_marked);
    walk_unref(walk);
    cr_assert_eq(chmod(tree_path(&tree, "p"), 0700), 0);
    tree_release(&tree);
}
