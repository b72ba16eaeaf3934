/* See tree.h. */
#include "support/tree.h"

#include <assert.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void tree_init(struct tree *tree)
{
    char template[] = "/tmp/aictl-test-XXXXXX";
    tree->next_path = 0;
    char *made = mkdtemp(template);
    assert(made);
    char *real = realpath(made, NULL);
    assert(real && strlen(real) < sizeof(tree->root));
    strcpy(tree->root, real);
    free(real);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

void tree_release(struct tree *tree)
{
    int r = nftw(tree->root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    assert(r == 0);
    (void)r;
}

const char *tree_path(struct tree *tree, const char *name)
{
    char *path = tree->paths[tree->next_path++ % 4];
    assert(strlen(tree->root) + 1 + strlen(name) < PATH_MAX);
    char *end = stpcpy(path, tree->root);
    if (name[0])
        *end++ = '/';
    strcpy(end, name);
    return path;
}

/* Makes the directories that a path of the tree goes through. */
static void make_parents(struct tree *tree, char *path)
{
    for (char *at = path + strlen(tree->root) + 1; (at = strchr(at, '/')); at++) {
        *at = '\0';
        int r = mkdir(path, 0755);
        assert(r == 0 || errno == EEXIST);
        (void)r;
        *at = '/';
    }
}

void tree_mkdir(struct tree *tree, const char *name)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s/%s/", tree->root, name);
    assert(n > 0 && n < (int)sizeof(path));
    (void)n;
    make_parents(tree, path);
}

void tree_write(struct tree *tree, const char *name, const char *text)
{
    char path[PATH_MAX];
    strcpy(path, tree_path(tree, name));
    make_parents(tree, path);
    FILE *file = fopen(path, "w");
    assert(file);
    (void)fchmod(fileno(file), 0644); /* whatever the umask */
    size_t written = fwrite(text, 1, strlen(text), file);
    assert(written == strlen(text));
    (void)written;
    int r = fclose(file);
    assert(r == 0);
    (void)r;
}
