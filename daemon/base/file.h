/*
 * Small private files, read whole and replaced atomically.
 *
 * Reading refuses symlinks, FIFOs and files of other owners; writing goes to a temporary file in
 * the same directory made with O_EXCL and the exact mode, fsync, rename, fsync of the directory, so
 * a crash leaves the old file or the new one.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"

#include <sys/stat.h>

/*
 * Reads a whole file into `ret` (which has its max). *ret_st, if wanted, is the file's stat.
 * Errors: -ERR_NOT_FOUND when there is none, -ERR_FORBIDDEN for a symlink, a special file or
 * another owner, -ERR_TOO_LARGE above ret->max, -ERR_IO.
 */
int file_read(const char *path, struct bytes *ret, struct stat *ret_st, struct err *reterr);

/*
 * Like file_read() for files a user may keep elsewhere (dotfile managers): follows symlinks; the
 * target must still be a regular file of this uid or of root.
 */
int file_read_followed(const char *path, struct bytes *ret, struct stat *ret_st,
                       struct err *reterr);

/* Replaces (or makes) `path` with `text`, mode `mode`. Errors: -ERR_IO; the old file then stays. */
int file_replace(const char *path, struct span text, mode_t mode, struct err *reterr);
