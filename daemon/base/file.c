/* See file.h. */
#include "base/file.h"

#include "base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void close_fd(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static int check_kind(const char *path, const struct stat *st, bool root_too, struct err *reterr)
{
    if (!S_ISREG(st->st_mode))
        return err_set(reterr, ERR_FORBIDDEN, "%s is not a regular file", path);
    if (st->st_uid != getuid() && !(root_too && st->st_uid == 0))
        return err_set(reterr, ERR_FORBIDDEN, "%s belongs to another user", path);
    return 0;
}

static int read_all(int fd, const char *path, struct bytes *ret, struct err *reterr)
{
    for (;;) {
        size_t room = ret->max - ret->len < 65536 ? ret->max - ret->len : 65536;
        char probe;
        if (room == 0) /* full: only the end of the file is fine now */
            return read(fd, &probe, 1) == 0
                       ? 0
                       : err_set(reterr, ERR_TOO_LARGE, "%s is larger than %zu bytes", path,
                                 ret->max);
        if (bytes_reserve(ret, room) < 0)
            return err_set(reterr, ERR_TOO_LARGE, "%s does not fit in memory", path);
        ssize_t n = read(fd, ret->data + ret->len, room);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(reterr, ERR_IO, errno, "cannot read %s", path);
        ret->len += (size_t)n;
        ret->data[ret->len] = '\0';
        if (n == 0)
            return 0;
    }
}

static int read_file(const char *path, int flags, struct bytes *ret, struct stat *ret_st,
                     struct err *reterr)
{
    CLEANUP(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | flags);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return err_set(reterr, ERR_NOT_FOUND, "%s does not exist", path);
    if (fd < 0 && errno == ELOOP)
        return err_set(reterr, ERR_FORBIDDEN, "%s is a symbolic link", path);
    if (fd < 0)
        return err_errno(reterr, ERR_IO, errno, "cannot open %s", path);
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_errno(reterr, ERR_IO, errno, "cannot stat %s", path);
    int r = check_kind(path, &st, !(flags & O_NOFOLLOW), reterr);
    if (r == 0)
        r = read_all(fd, path, ret, reterr);
    if (r == 0 && ret_st)
        *ret_st = st;
    return r;
}

int file_read(const char *path, struct bytes *ret, struct stat *ret_st, struct err *reterr)
{
    return read_file(path, O_NOFOLLOW, ret, ret_st, reterr);
}

int file_read_followed(const char *path, struct bytes *ret, struct stat *ret_st, struct err *reterr)
{
    return read_file(path, 0, ret, ret_st, reterr);
}

static int write_all(int fd, struct span text)
{
    while (text.len) {
        ssize_t n = write(fd, text.at, text.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        text.at += n;
        text.len -= (size_t)n;
    }
    return fsync(fd) < 0 ? -errno : 0;
}

static int sync_directory(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *dir = span_dup((struct span){path, slash ? (size_t)(slash - path) : 0});
    CLEANUP(close_fd)
    int fd = open(dir[0] ? dir : slash ? "/" : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(dir);
    return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

int file_replace(const char *path, struct span text, mode_t mode, struct err *reterr)
{
    char temporary[4096];
    if (snprintf(temporary, sizeof(temporary), "%s.tmp.%d", path, (int)getpid()) >=
        (int)sizeof(temporary))
        return err_set(reterr, ERR_IO, "path too long: %s", path);
    (void)unlink(temporary); /* left by a crashed process of the same pid */
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0)
        return err_errno(reterr, ERR_IO, errno, "cannot create %s", temporary);
    int r = fchmod(fd, mode) < 0 ? -errno : write_all(fd, text);
    if (close(fd) < 0 && r == 0)
        r = -errno;
    if (r == 0 && rename(temporary, path) < 0)
        r = -errno;
    if (r < 0) {
        (void)unlink(temporary); /* the error to report is the first one */
        return err_errno(reterr, ERR_IO, -r, "cannot write %s", path);
    }
    r = sync_directory(path);
    return r < 0 ? err_errno(reterr, ERR_IO, -r, "cannot sync the directory of %s", path) : 0;
}
