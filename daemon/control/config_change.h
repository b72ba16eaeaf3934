/*
 * Config change: config.json rewritten by a method (key.set, config.import).
 *
 *     config_change_open -> edits of `text` -> config_change_check -> config_change_commit
 *
 * A change that cannot be used never gets onto the disk, and one the daemon refuses to load is
 * taken back, so after any failure config.json is what it was.
 */
#pragma once

#include "control/control.h"

struct config_change {
    const struct control_hooks *hooks;
    char *path;          /* of the file itself: symlinks of dotfile managers are followed */
    bool exists;         /* there is a file to be changed */
    struct bytes before; /* its text; it may hold keys, so both texts are wiped */
    struct bytes text;   /* what it becomes */
};

/* Reads the file; none gives empty texts. Release it in any case. */
int config_change_open(struct config_change *change, const struct control_hooks *hooks,
                       struct err *reterr);
void config_change_release(struct config_change *change);

/* Replaces `text`. -ERR_TOO_LARGE above CONFIG_MAX_BYTES. */
int config_change_set(struct config_change *change, struct span text, struct err *reterr);
/* Adds or replaces a provider's row in `text`. */
int config_change_provider(struct config_change *change, const struct provider_row *row,
                           struct err *reterr);
/* Makes a provider's row in `text` use its vault record. */
int config_change_key(struct config_change *change, const char *provider, struct err *reterr);

/* Parses `text` as the daemon will. -ERR_CONFIG_INVALID. */
int config_change_check(const struct config_change *change, struct err *reterr);
/* Writes `text` (mode 0600) and has the daemon load it; on failure the file is as before. */
int config_change_commit(struct config_change *change, struct err *reterr);
