/*
 * The service manager's side: sockets handed over at start and messages about our state, as
 * sd_listen_fds(3) and sd_notify(3) describe them; the protocol is small enough to need no library.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define SERVICE_FIRST_FD 3
#define SERVICE_FDS_MAX  16 /* more are not taken */

/* How many sockets were handed over (from SERVICE_FIRST_FD on); the variables are then removed. */
int service_listen_fds(void);

/* Sends "READY=1" or the like to the service manager; nothing happens where there is none. */
void service_notify(const char *message);

/* Half the watchdog's interval in ms: how often to send WATCHDOG=1. 0: no watchdog. */
int64_t service_watchdog_ms(void);
