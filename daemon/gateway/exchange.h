/*
 * An exchange: the life of one client request, from its head to its record.
 *
 *     head -> guard -> endpoint -> token           (http on_head)
 *       -> body -> project -> model -> candidates  (http on_request)
 *       -> attempt ... -> output -> finish          (attempt events)
 *
 * States and what the client has seen:
 *
 *     READING -> CHOOSING -> TRYING -> ANSWERING -> over
 *                              |  ^       |
 *                   pause, next '--'       '-- a failure is the dialect's error event
 *
 * TRYING: nothing was sent; output is held until the first content (or silenceCommitMs), so an
 * error inside a 200 can still become a proper error answer or another attempt. The client leaving
 * ends the exchange in any state.
 */
#pragma once

#include "gateway/gateway.h"
#include "net/http1.h"

/* For http_server_new(); ctx is the struct gateway. */
extern const struct http_handler exchange_http_handler;

/* Ends every exchange with a failure of its own shape: the daemon stops and will wait no longer. */
void exchange_end_all(struct gateway *gateway);
