/*
 * The daemon as a service: how it is started and stopped, with systemd --user where that manages
 * it, else as a process in the background.
 *
 *   unit       aictld.service and its sockets, when the user's systemd has them
 *   rendezvous where the daemon answers; the proof that it runs
 */
#pragma once

#include <stdbool.h>

#include "client/failure.h"
#include "client/render.h"
#include "proto/rendezvous.h"

#define SERVICE_START_MS    10000 /* until it must answer */
#define SERVICE_STOP_MS     40000 /* drain included */
#define SERVICE_PROGRESS_MS 500   /* silence before the user is told that we wait */

enum service_manager { SERVICE_BACKGROUND, SERVICE_SYSTEMD };

/* Who manages the daemon of this user: systemd when it is reachable and has aictld.service. */
enum service_manager service_manager(void);

/* What a start or stop found and did. */
struct service_change {
    int pid;          /* of the daemon that runs now, or ran until now; 0: unknown */
    bool was_running; /* before the call */
    enum service_manager manager;
};

/*
 * Starts the daemon and waits until it answers. Long waits are announced on `talk` (NULL: never).
 * On failure the end of the daemon's log has been printed on standard error.
 */
int service_start(const struct rendezvous *paths, const struct screen *talk,
                  struct service_change *ret, struct failure *reterr);

/*
 * Stops the daemon and waits until it is gone; with systemd its sockets too, so that it stays
 * stopped. A daemon that does not run is no failure.
 */
int service_stop(const struct rendezvous *paths, const struct screen *talk,
                 struct service_change *ret, struct failure *reterr);

/* True when systemd runs the daemon right now, or (is_listening) would start it on a connection. */
bool service_is_active(void);
bool service_is_listening(void);

/* Becomes the daemon in the foreground; returns only on failure. */
int service_run(struct failure *reterr);

/* Has `aictld --check` judge a configuration file (NULL: the one in use); replaces this process. */
int service_check_config(const char *file, struct failure *reterr);

/*
 * The path of one of our programs ("aictld", "aictl-shim"): beside this one, in the folder of the
 * build tree, or in PATH. Returns false when it is nowhere.
 */
bool service_program(const char *name, char *out, size_t size);
