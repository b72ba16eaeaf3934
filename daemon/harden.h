/*
 * Hardening of the process: what keeps other programs of the same user, the environment and core
 * files away from the keys. docs/SECURITY.md says what each step protects against.
 */
#pragma once

#include "base/err.h"

/*
 * To be called first thing in main(), before any thread and any library: no core files, not
 * traceable, no new privileges for children, umask 077, and no environment variable that changes
 * where TLS secrets, requests or key material go; as many file descriptors as are allowed. Open
 * ones are left alone (systemd passed them). After an exec it has to be called again. -ERR_INTERNAL
 * names the step that failed; the daemon must not go on then.
 */
int harden_process(struct err *reterr);

/* The names that are removed from the environment, for tests and docs; the list ends with NULL. A
 * name that ends with '*' stands for every name that begins so. */
extern const char *const harden_removed_names[];
