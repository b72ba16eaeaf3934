/*
 * Calls: one request to the daemon over its control socket, and its answer.
 *
 * A call blocks for at most its timeout. The socket's other end must belong to this user: a key is
 * not handed to whoever sits at the path.
 */
#pragma once

#include <cjson/cJSON.h>

#include "client/failure.h"
#include "proto/methods.h"
#include "proto/rendezvous.h"

#define CALL_CONNECT_MS 2000
#define CALL_ANSWER_MS  10000
#define CALL_TEST_MS    40000 /* a provider's test waits for the provider */

/*
 * Calls a method. Takes params (an object, or NULL for none; wiped, since it may hold a key). On
 * success *ret_result is the result, which the caller deletes. Failures: -ERR_DAEMON_DOWN when
 * nobody listens or answers in time, -ERR_BAD_FRAME for an answer that is none, else what the
 * daemon says.
 */
int call_daemon(const struct rendezvous *paths, enum method_id method, cJSON *params,
                int timeout_ms, cJSON **ret_result, struct failure *reterr);
