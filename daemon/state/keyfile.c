/* See keyfile.h. The bytes never pass through ordinary memory. */
#include "state/keyfile.h"

#include "base/own.h"
#include "proto/rendezvous.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void close_fd(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static int check(int fd, const char *path, struct err *reterr)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_errno(reterr, ERR_IO, errno, "cannot stat the keyfile %s", path);
    if (!S_ISREG(st.st_mode))
        return err_set(reterr, ERR_FORBIDDEN, "the keyfile %s is not a regular file", path);
    if (st.st_uid != getuid())
        return err_set(reterr, ERR_FORBIDDEN, "the keyfile %s belongs to another user", path);
    if (st.st_mode & 077)
        return err_set(reterr, ERR_FORBIDDEN,
                       "other users may read or change the keyfile %s (mode %04o); if nobody did: "
                       "chmod 0400 %s",
                       path, (unsigned)st.st_mode & 07777, path);
    if (st.st_size != KEYFILE_BYTES)
        return err_set(reterr, ERR_FORBIDDEN, "the keyfile %s has %lld bytes instead of %d", path,
                       (long long)st.st_size, KEYFILE_BYTES);
    return 0;
}

static int read_exactly(int fd, unsigned char *out, size_t len)
{
    while (len) {
        ssize_t n = read(fd, out, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        out += n;
        len -= (size_t)n;
    }
    return 0;
}

static int load(const char *path, unsigned char **ret, struct err *reterr)
{
    /* O_NONBLOCK: a FIFO in its place must not hang the start */
    CLEANUP(close_fd)
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return err_set(reterr, ERR_NOT_FOUND, "the keyfile %s does not exist", path);
    if (fd < 0 && errno == ELOOP)
        return err_set(reterr, ERR_FORBIDDEN, "the keyfile %s is a symbolic link", path);
    if (fd < 0)
        return err_errno(reterr, ERR_IO, errno, "cannot open the keyfile %s", path);
    int r = check(fd, path, reterr);
    if (r < 0)
        return r;
    unsigned char *kek = sodium_malloc(KEYFILE_BYTES);
    if (!kek)
        abort();
    r = read_exactly(fd, kek, KEYFILE_BYTES);
    if (r < 0) {
        sodium_free(kek);
        return err_errno(reterr, ERR_IO, -r, "cannot read the keyfile %s", path);
    }
    *ret = kek;
    return 0;
}

/* The directory is ours, no symlink, and closed to others; a looser mode of it is repaired. */
static int private_dir(const char *dir, struct err *reterr)
{
    int r = rendezvous_private_dir(dir);
    if (r == -ELOOP || r == -ENOTDIR || r == -EPERM)
        return err_errno(reterr, ERR_FORBIDDEN, -r, "%s is not a private directory of this user",
                         dir);
    return r < 0 ? err_errno(reterr, ERR_IO, -r, "cannot use the directory %s", dir) : 0;
}

static int path_of(char *out, size_t size, const char *dir, const char *name, struct err *reterr)
{
    int n = snprintf(out, size, "%s/%s", dir, name);
    return n > 0 && (size_t)n < size ? 0 : err_set(reterr, ERR_IO, "path too long: %s", dir);
}

int keyfile_load(const char *dir, unsigned char **ret, struct err *reterr)
{
    char path[RENDEZVOUS_PATH + 16];
    if (access(dir, F_OK) < 0 && errno == ENOENT)
        return err_set(reterr, ERR_NOT_FOUND, "the keyfile %s/kek does not exist", dir);
    int r = path_of(path, sizeof(path), dir, "kek", reterr);
    if (r == 0)
        r = private_dir(dir, reterr);
    return r < 0 ? r : load(path, ret, reterr);
}

static int write_new(int dir_fd, const char *name, const unsigned char *kek)
{
    CLEANUP(close_fd)
    int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0400);
    if (fd < 0)
        return -errno;
    ssize_t n =
        write(fd, kek, KEYFILE_BYTES); /* a file takes 32 bytes whole, or its disk is full */
    if (n != KEYFILE_BYTES)
        return n < 0 ? -errno : -ENOSPC;
    return fchmod(fd, 0400) < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* Gives complete bytes the name `kek`; link() refuses when there is one already. */
static int publish(int dir_fd, const unsigned char *kek)
{
    char temporary[32];
    (void)snprintf(temporary, sizeof(temporary), "kek.tmp.%d", (int)getpid()); /* fits */
    (void)unlinkat(dir_fd, temporary, 0); /* left by a crashed process of the same pid */
    int r = write_new(dir_fd, temporary, kek);
    if (r == 0 && linkat(dir_fd, temporary, dir_fd, "kek", 0) < 0)
        r = -errno;
    (void)unlinkat(dir_fd, temporary, 0); /* the error to report is the first one */
    if (r == 0 && fsync(dir_fd) < 0)
        r = -errno;
    return r;
}

int keyfile_make(const char *dir, unsigned char **ret, struct err *reterr)
{
    int r = private_dir(dir, reterr);
    if (r < 0)
        return r;
    CLEANUP(close_fd) int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir_fd < 0)
        return err_errno(reterr, ERR_IO, errno, "cannot open %s", dir);
    unsigned char *kek = sodium_malloc(KEYFILE_BYTES);
    if (!kek)
        abort();
    randombytes_buf(kek, KEYFILE_BYTES);
    r = publish(dir_fd, kek);
    sodium_free(kek);
    if (r < 0 && r != -EEXIST)
        return err_errno(reterr, ERR_IO, -r, "cannot make the keyfile %s/kek", dir);
    return keyfile_load(dir, ret, reterr);
}
