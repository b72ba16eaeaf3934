/* A place for the state of a test: a state directory and a keyfile directory that go away again. */
#pragma once

#include "base/bytes.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct place {
    char root[64], state[96], kek[96];
    char vault[128], backup[128], keyfile[128], tokens[128];
};

static inline void place_init(struct place *place)
{
    snprintf(place->root, sizeof(place->root), "/tmp/aictl-test-XXXXXX");
    cr_assert(mkdtemp(place->root));
    snprintf(place->state, sizeof(place->state), "%s/state", place->root);
    snprintf(place->kek, sizeof(place->kek), "%s/kek", place->root);
    snprintf(place->vault, sizeof(place->vault), "%s/vault.aiv", place->state);
    snprintf(place->backup, sizeof(place->backup), "%s/vault.aiv.bak", place->state);
    snprintf(place->keyfile, sizeof(place->keyfile), "%s/kek", place->kek);
    snprintf(place->tokens, sizeof(place->tokens), "%s/tokens.json", place->state);
}

static inline int place_remove_entry(const char *path, const struct stat *st, int type,
                                     struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static inline void place_release(struct place *place)
{
    cr_expect(nftw(place->root, place_remove_entry, 16, FTW_DEPTH | FTW_PHYS) == 0);
}

/* The bytes of a file; the caller releases. */
static inline struct bytes place_read(const char *path)
{
    struct bytes text = {.max = 64 * 1024 * 1024};
    FILE *file = fopen(path, "rb");
    cr_assert(file, "%s", path);
    char piece[4096];
    for (size_t n; (n = fread(piece, 1, sizeof(piece), file)) > 0;)
        cr_assert(bytes_add(&text, piece, n) == 0);
    fclose(file);
    return text;
}

static inline void place_write(const char *path, struct span text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    cr_assert(fd >= 0, "%s", path);
    cr_assert(write(fd, text.at, text.len) == (ssize_t)text.len);
    close(fd);
}

static inline unsigned place_mode(const char *path)
{
    struct stat st;
    cr_assert(lstat(path, &st) == 0, "%s", path);
    return st.st_mode & 07777;
}
