/* The paths both sides use; see rendezvous.h. */
#include "proto/rendezvous.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* An XDG variable counts only when it is an absolute path. */
static const char *absolute_env(const char *name)
{
    const char *value = getenv(name);
    return value && value[0] == '/' ? value : NULL;
}

static const char *home_dir(void)
{
    const char *home = absolute_env("HOME");
    if (home)
        return home;
    const struct passwd *pw = getpwuid(getuid());
    return pw && pw->pw_dir && pw->pw_dir[0] == '/' ? pw->pw_dir : NULL;
}

static int join(char out[RENDEZVOUS_PATH], const char *dir, const char *name)
{
    int n = snprintf(out, RENDEZVOUS_PATH, "%s/%s", dir, name);
    return n > 0 && n < RENDEZVOUS_PATH ? 0 : -1;
}

/* out = $variable/leaf, or home/fallback/leaf when the variable does not count. */
static int base_dir(char out[RENDEZVOUS_PATH], const char *variable, const char *home,
                    const char *fallback, const char *leaf)
{
    const char *base = absolute_env(variable);
    char joined[RENDEZVOUS_PATH];
    if (!base) {
        if (!home || join(joined, home, fallback) < 0)
            return -1;
        base = joined;
    }
    return join(out, base, leaf);
}

static int runtime_dir(struct rendezvous *paths)
{
    const char *runtime = absolute_env("XDG_RUNTIME_DIR");
    return runtime ? join(paths->runtime_dir, runtime, "aictl")
                   : join(paths->runtime_dir, paths->state_dir, "run");
}

static int files(struct rendezvous *paths)
{
    const char *config = absolute_env("AICTL_CONFIG");
    int bad = 0;
    if (config)
        bad |= snprintf(paths->config_file, RENDEZVOUS_PATH, "%s", config) >= RENDEZVOUS_PATH;
    else
        bad |= join(paths->config_file, paths->config_dir, "config.json");
    bad |= join(paths->rpc_socket, paths->runtime_dir, "rpc.sock");
    bad |= join(paths->http_socket, paths->runtime_dir, "http.sock");
    bad |= join(paths->gen_file, paths->runtime_dir, "gen");
    bad |= join(paths->lock_file, paths->state_dir, "lock");
    bad |= join(paths->log_file, paths->state_dir, "aictld.log");
    return bad ? -1 : 0;
}

int rendezvous_init(struct rendezvous *paths, const char **ret_why)
{
    const char *home = home_dir();
    *paths = (struct rendezvous){0};
    if (base_dir(paths->state_dir, "XDG_STATE_HOME", home, ".local/state", "aictl") < 0 ||
        base_dir(paths->config_dir, "XDG_CONFIG_HOME", home, ".config", "aictl") < 0 ||
        base_dir(paths->kek_dir, "XDG_DATA_HOME", home, ".local/share", "aictl-kek") < 0 ||
        runtime_dir(paths) < 0 || files(paths) < 0) {
        *ret_why = home ? "a path is too long" : "there is no home directory (set HOME)";
        return -1;
    }
    if (strlen(paths->http_socket) >= sizeof(((struct sockaddr_un *)0)->sun_path)) {
        *ret_why =
            "the runtime directory's path is too long for a Unix socket (set XDG_RUNTIME_DIR)";
        return -1;
    }
    return 0;
}

static int make_parents(const char *path)
{
    char parent[RENDEZVOUS_PATH];
    if (snprintf(parent, sizeof(parent), "%s", path) >= (int)sizeof(parent))
        return -ENAMETOOLONG;
    for (char *slash = strchr(parent + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(parent, 0700) < 0 && errno != EEXIST)
            return -errno;
        *slash = '/';
    }
    return 0;
}

int rendezvous_private_dir(const char *path)
{
    int r = make_parents(path);
    if (r < 0)
        return r;
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return -errno;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    struct stat st;
    if (fstat(fd, &st) < 0)
        r = -errno;
    else if (st.st_uid != getuid())
        r = -EPERM;
    else if ((st.st_mode & 077) && fchmod(fd, 0700) < 0)
        r = -errno;
    close(fd);
    return r;
}
