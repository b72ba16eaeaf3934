/*
 * The daemon: builds the subsystems in order, keeps them going, takes them down in order.
 *
 *   start     lock, vault, tokens, pins, configuration, gateway, demo, listeners, "READY=1"
 *   reload    SIGHUP, a change of the file, or the control socket: a new snapshot, or the old one
 *             stays and the error is shown
 *   drain     SIGTERM, SIGINT or `aictl daemon stop`: no new requests, running ones get drainMs,
 *             then their dialect's error event
 */
#pragma once

#include "base/err.h"
#include "proto/rendezvous.h"

struct daemon;

/*
 * Starts everything. On failure nothing is left open and the error names the file, option or
 * address at fault. paths is copied.
 */
int daemon_open(const struct rendezvous *paths, struct daemon **ret, struct err *reterr);
/* Serves until it is told to stop and the drain is over. */
void daemon_run(struct daemon *daemon);
/* Closes what is left and frees. Returns NULL. */
struct daemon *daemon_free(struct daemon *daemon);
