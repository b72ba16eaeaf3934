/*
 * Call: one request of a client, from its parameters to its answer.
 *
 *     call_start -> params_check -> (walk of `dir`, on a worker thread) -> handler -> call_finish
 *                                                                            |            |
 *                                             CALL_PENDING: later, by itself '------------'
 *
 *   handler  method_<ID>(): puts `result` and returns 0, returns a failure, or returns CALL_PENDING
 *            and calls call_finish() later
 *   pending  what an asynchronous handler waits for; it sets on_cancel to take it back
 *
 * Handlers do not know connections, so they are tested without a socket.
 */
#pragma once

#include "base/arena.h"
#include "control/control.h"
#include "proto/methods.h"

#include <cjson/cJSON.h>

#define CALL_PENDING 1 /* a handler's way to say: not yet */

/* What all calls share. */
struct call_env {
    struct gateway *gateway;
    const struct control_hooks *hooks;
    uint64_t last_id;  /* of the newest call, for the log */
    int64_t opened_ms; /* monotonic: when the server was made */
    int64_t test_ms;   /* longest wait of provider.test */
};

struct call {
    /* for handlers */
    struct gateway *gateway;
    const struct control_hooks *hooks;
    const struct method_row *row;
    int64_t uptime_ms, test_ms;
    cJSON *params;                        /* checked against the row */
    struct walk *walk;                    /* of the parameter `dir`; NULL when there was none */
    struct arena arena;                   /* for what lives as long as the call */
    cJSON *result;                        /* the handler's; deleted with the call */
    void (*on_cancel)(struct call *call); /* takes back what is pending */
    void *pending;
    bool stops_daemon; /* hooks->stop is to be called when the answer is on its way */
    bool changes;      /* worth a line in the log; from the row, or set by the handler */

    /* the call's own */
    uint64_t id;
    enum method_id method;
    struct walk_request *walking;
    struct later later;
    struct err err; /* kind 0: it went well */
    int64_t started_us;
    void (*on_done)(void *ctx, struct call *call);
    void *ctx;
};

/*
 * Starts a call. `params` (an object) is taken and wiped when the call ends. on_done runs exactly
 * once, never before this returns, unless the call is cancelled; result and err are to be read
 * there, and the call is gone when it returns. Failures, an unknown method among them, come the
 * same way.
 */
struct call *call_start(struct call_env *env, const char *method, cJSON *params,
                        void (*on_done)(void *ctx, struct call *call), void *ctx);

/* Ends the call without on_done. */
void call_cancel(struct call *call);

/*
 * Ends a call whose handler returned CALL_PENDING; r as a handler's result, err read when r < 0.
 * Calls on_done, so this is the last thing its caller does with the call.
 */
void call_finish(struct call *call, int r, const struct err *err);

/* ---- parameters, by name; what is not given is NULL, false or the fallback ---- */

const char *call_text(const struct call *call, const char *name);
bool call_flag(const struct call *call, const char *name);
int64_t call_number(const struct call *call, const char *name, int64_t fallback);
/* The list of texts, or NULL. */
const cJSON *call_list(const struct call *call, const char *name);

/* ---- handlers, one per row of proto/methods.def ---- */

#define NONE
#define PARAM(...)
#define METHOD(id, ...) int method_##id(struct call *call, struct err *reterr);
#include "proto/methods.def"
#undef METHOD
#undef PARAM
#undef NONE
