/*
 * Control: the msgpack-RPC server on the Unix socket, for aictl, the shims and scripts.
 *
 *   connection  one client of our own uid; its requests may be pipelined
 *   call        one request with checked parameters, until its answer (call.h)
 *   handler     the function behind one row of proto/methods.def: method_<ID>()
 *   view        a JSON object made from daemon state, for an answer (views.h)
 *   hooks       what handlers ask of the daemon: reload, stop
 *
 *     stream -> wire_scan -> wire_unpack_request -> params_check -> walk of `dir` -> handler
 *            <- wire_pack_response <------------------------------- call_finish <---'
 *
 * Answers go out in order of completion and name their request by msgid. Bounds:
 * CONTROL_CONNECTIONS clients (a few more are told that they are too many); CONTROL_CALLS
 * unanswered requests each, beyond which the connection is not read; WIRE_FRAME_MAX bytes of
 * request; option rpcQueueMax of answers nobody reads; option rpcIdleMs for a message that was
 * begun. No method returns a key, and nothing of a request's parameters is logged.
 *
 * To add a method: one row in proto/methods.def and one handler method_<ID>() in a methods_*.c; the
 * dispatch table, parameter check, rpc.describe and docs/PROTOCOL.md follow from the row.
 */
#pragma once

#include "gateway/gateway.h"
#include "net/stream.h"

#define CONTROL_CONNECTIONS 64
#define CONTROL_REFUSED     16 /* clients beyond, whose first request is answered with BUSY */
#define CONTROL_CALLS       32
#define CONTROL_TEST_MS     30000 /* longest wait of provider.test */

struct control;

/* What the daemon does for a handler. The strings and ctx live as long as the control server. */
struct control_hooks {
    /* Reads config.json again and puts it to use; on failure the old snapshot stays. */
    int (*reload)(void *ctx, struct err *reterr);
    /* Starts the orderly end of the daemon. Never called while a method runs. */
    void (*stop)(void *ctx);
    /* What was wrong with the last reload, one line; NULL when it went well. */
    const char *(*config_error)(void *ctx);
    /* URL number `index` of those the daemon listens on ("http://[::1]:3000"), NULL behind the
     * last. */
    const char *(*url)(void *ctx, size_t index);
    const char *config_file; /* where config.json is, or is to be made */
    void *ctx;
};

/*
 * Makes the server; it serves the listeners opened or adopted with control_listener_events and this
 * object as ctx. gateway and hooks are borrowed until control_close().
 */
int control_open(struct gateway *gateway, const struct control_hooks *hooks, struct control **ret,
                 struct err *reterr);

/* For listener_open() and listener_adopt(); ctx is the struct control. */
extern const struct listener_events control_listener_events;

/*
 * Cancels every call and closes every connection; the listeners must be closed before. The memory
 * goes on a later turn of the loop; gateway and hooks are not used any more. NULL is fine.
 */
void control_close(struct control *control);
