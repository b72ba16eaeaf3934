/*
 * See harden.h. The order matters little, but not being traceable comes first: from then on the
 * rest cannot be watched.
 *
 * /proc/self/environ, mem and other files of mode 0400 belong to root from now on and cannot be
 * opened by this process either; exe, fd/, maps, status, cwd still can.
 */
#include "harden.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

extern char **environ;

const char *const harden_removed_names[] = {
    /* TLS: where session secrets are written, whom to trust, which code is loaded */
    "SSLKEYLOGFILE",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "CURL_CA_BUNDLE",
    "CURL_SSL_BACKEND",
    "OPENSSL_CONF",
    "OPENSSL_CONF_INCLUDE",
    "OPENSSL_MODULES",
    "OPENSSL_ENGINES",
    "GNUTLS_SYSTEM_PRIORITY_FILE",
    /* where requests go: libcurl reads these by itself */
    "http_proxy",
    "HTTP_PROXY",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
    "NETRC",
    /* how names are resolved */
    "HOSTALIASES",
    "LOCALDOMAIN",
    "RES_OPTIONS",
    "RESOLV_*",
    /* the C library: code, files and memory */
    "GCONV_PATH",
    "GETCONF_DIR",
    "GLIBC_TUNABLES",
    "LOCPATH",
    "NLSPATH",
    "MALLOC_*",
    "LD_*", /* in effect already for this process: removed for its children */
    NULL,
};

static int no_core_files(void)
{
    const struct rlimit none = {0, 0};
    return setrlimit(RLIMIT_CORE, &none);
}

static bool matches(const char *entry, const char *pattern)
{
    size_t len = strlen(pattern);
    if (pattern[len - 1] == '*')
        return !strncmp(entry, pattern, len - 1);
    return !strncmp(entry, pattern, len) && entry[len] == '=';
}

static bool is_removed(const char *entry)
{
    for (const char *const *name = harden_removed_names; *name; name++)
        if (matches(entry, *name))
            return true;
    return false;
}

/* In one pass over the array, since a name may stand in it more than once. */
static void clean_environment(void)
{
    char **kept = environ;
    for (char **entry = environ; entry && *entry; entry++)
        if (!is_removed(*entry))
            *kept++ = *entry;
    if (kept)
        *kept = NULL;
}

/* Each request takes two descriptors; the soft limit is for programs that use select(). */
static void raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit); /* fewer connections are served without */
}

int harden_process(struct err *reterr)
{
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return err_errno(reterr, ERR_INTERNAL, errno, "cannot make the process untraceable");
    if (no_core_files() < 0)
        return err_errno(reterr, ERR_INTERNAL, errno, "cannot switch core files off");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return err_errno(reterr, ERR_INTERNAL, errno, "cannot give up new privileges");
    (void)umask(077); /* cannot fail */
    clean_environment();
    raise_descriptors();
    return 0;
}
