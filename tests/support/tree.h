/*
 * Tree: a directory of files for one test, made below /tmp and removed with everything in it.
 *
 *     struct tree tree;
 *     tree_init(&tree);
 *     tree_write(&tree, "shop/.aictl.json", "{}");
 *     ... tree_path(&tree, "shop") ...
 *     tree_release(&tree);
 *
 * Every step asserts that it worked.
 */
#pragma once

#include <limits.h>

struct tree {
    char root[64]; /* canonical */
    char paths[4][PATH_MAX];
    unsigned next_path;
};

void tree_init(struct tree *tree);
void tree_release(struct tree *tree);
/* The absolute path of something in the tree ("" is its root); one of 4 buffers. */
const char *tree_path(struct tree *tree, const char *name);
/* Makes a directory with its parents. */
void tree_mkdir(struct tree *tree, const char *name);
/* Makes a file with its parents, mode 0644. */
void tree_write(struct tree *tree, const char *name, const char *text);
