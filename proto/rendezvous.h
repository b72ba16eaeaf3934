/*
 * Where daemon, client and shims meet: the paths of sockets and files, decided in one place so that
 * both sides agree without asking each other.
 *
 *   runtime  $XDG_RUNTIME_DIR/aictl; without XDG_RUNTIME_DIR a private directory of its own,
 *            $XDG_STATE_HOME/aictl/run (in the home directory, so nobody else can plant it)
 *   state    $XDG_STATE_HOME/aictl       (default ~/.local/state/aictl)
 *   config   $XDG_CONFIG_HOME/aictl      (default ~/.config/aictl)
 *   kek      $XDG_DATA_HOME/aictl-kek    (default ~/.local/share/aictl-kek)
 *
 * Environment variables that are empty or not absolute are ignored, as the XDG Base Directory
 * specification asks. HOME missing: the passwd entry of the uid.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define AICTL_DEFAULT_PORT 3000
#define AICTL_PROTOCOL     1 /* raised when a method changes in a way old clients cannot bear */

/* Longest path used; the sockets must also fit sockaddr_un (checked by rendezvous_init). */
#define RENDEZVOUS_PATH 512

struct rendezvous {
    char runtime_dir[RENDEZVOUS_PATH];
    char state_dir[RENDEZVOUS_PATH];
    char config_dir[RENDEZVOUS_PATH];
    char kek_dir[RENDEZVOUS_PATH];
    char config_file[RENDEZVOUS_PATH]; /* config_dir/config.json, or $AICTL_CONFIG */
    char rpc_socket[RENDEZVOUS_PATH];  /* runtime_dir/rpc.sock */
    char http_socket[RENDEZVOUS_PATH]; /* runtime_dir/http.sock */
    char gen_file[RENDEZVOUS_PATH];    /* runtime_dir/gen: one line, raised on every switch */
    char
        lock_file[RENDEZVOUS_PATH]; /* state_dir/lock: held by the one daemon that uses the state */
    char log_file[RENDEZVOUS_PATH]; /* state_dir/aictld.log: a background daemon writes here */
};

/*
 * Fills in every path from the environment; creates nothing. Returns 0, or -1 when there is no
 * home directory or a socket's path would be too long; *ret_why then says so.
 */
int rendezvous_init(struct rendezvous *paths, const char **ret_why);

/*
 * Creates a directory with mode 0700 (parents 0700 too where missing) and checks that what is there
 * is a directory, owned by this uid, not a symlink; a looser mode is repaired. Returns 0 or -errno.
 */
int rendezvous_private_dir(const char *path);
