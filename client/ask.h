/*
 * Asking the daemon for a command: parameters every command sends alike, and the report when the
 * call fails.
 */
#pragma once

#include <cjson/cJSON.h>

#include "client/command.h"
#include "proto/methods.h"

/*
 * The parameters of a question about the working directory: {"dir": ..., "override": ...}. The
 * override is that of this shell, $AICTL_OVERRIDE; AICTL_MODEL is only what the prompt shows.
 * NULL after a report when the directory cannot be read. The caller owns them.
 */
cJSON *ask_here(const struct invocation *inv);

/*
 * Calls the daemon; takes params. Returns 0 with *ret_result owned by the caller, or the exit
 * status after a report.
 */
int ask_daemon(const struct invocation *inv, enum method_id method, cJSON *params,
               cJSON **ret_result);

/* The same with a timeout of the caller's choice. */
int ask_daemon_within(const struct invocation *inv, enum method_id method, cJSON *params,
                      int timeout_ms, cJSON **ret_result);

/* With --json prints the result as it is and returns true. */
bool ask_printed_json(const struct invocation *inv, const cJSON *result);
