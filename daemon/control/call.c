/* See call.h: the life of a call, and the table of handlers. */
#include "control/call.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/own.h"
#include "control/params.h"
#include "proto/wire.h"

#define CALL_ARENA (8 * 1024 * 1024) /* views of a large configuration fit many times */

static int (*const handlers[METHOD_COUNT])(struct call *call, struct err *reterr) = {
#define NONE
#define PARAM(...)
#define METHOD(id, ...) [METHOD_##id] = method_##id,
#include "proto/methods.def"
#undef METHOD
#undef PARAM
#undef NONE
};

/* ---- the end ---- */

static void free_call(struct call *call)
{
    later_cancel(&call->later);
    call->params = wire_delete(call->params);
    call->result = wire_delete(call->result); /* results hold local tokens */
    walk_unref(call->walk);
    arena_release(&call->arena);
    free(call);
}

/*
 * One line per call. The detail names things, never parameters' values that matter. Calls that only
 * read are made by every prompt of every shell: they are not worth a line in the journal.
 */
static void log_end(const struct call *call)
{
    enum log_level level = call->changes || !call->row ? LOG_INFO : LOG_DEBUG;
    const char *name = call->row ? call->row->name : "unknown method";
    int64_t took_us = loop_clock_us() - call->started_us;
    if (call->err.kind == 0)
        log_line(level, "control", call->id, "%s: ok, %lld us", name, (long long)took_us);
    else
        log_line(level, "control", call->id, "%s: %s: %s", name, error_row(call->err.kind)->name,
                 call->err.detail);
}

static void end(struct call *call)
{
    log_end(call);
    call->on_done(call->ctx, call);
    free_call(call);
}

void call_finish(struct call *call, int r, const struct err *err)
{
    call->on_cancel = NULL;
    if (r < 0) {
        call->err = err && err->kind ? *err : (struct err){.kind = -r};
        call->result = wire_delete(call->result);
    }
    end(call);
}

void call_cancel(struct call *call)
{
    if (call->walking)
        project_cache_cancel(call->walking);
    if (call->on_cancel)
        call->on_cancel(call);
    log_debug("control", call->id, "cancelled");
    free_call(call);
}

/* ---- the way there ---- */

static void run_handler(struct call *call)
{
    struct err err = {0};
    int r = handlers[call->method](call, &err);
    if (r != CALL_PENDING)
        call_finish(call, r, &err);
}

static void on_walk(void *ctx, struct walk *walk, const struct err *err)
{
    struct call *call = ctx;
    call->walking = NULL;
    if (!walk) {
        struct err named = *err;
        call_finish(call, err_prefix(&named, "dir"), &named);
        return;
    }
    call->walk = walk_ref(walk);
    run_handler(call);
}

static void on_turn(struct later *later)
{
    struct call *call = container_of(later, struct call, later);
    if (call->err.kind)
        end(call);
    else
        run_handler(call);
}

/* What can be said at once: is there such a method, and may it have these parameters? */
static int check(struct call *call, const char *method)
{
    int id = method_by_name(method, strlen(method));
    if (id < 0)
        return err_set(&call->err, ERR_NO_SUCH_METHOD, "%s", log_quote(span_of(method), 64));
    call->method = (enum method_id)id;
    call->row = method_row(call->method);
    call->changes = call->row->changes;
    return params_check(call->row, call->params, &call->err);
}

struct call *call_start(struct call_env *env, const char *method, cJSON *params,
                        void (*on_done)(void *ctx, struct call *call), void *ctx)
{
    struct call *call = calloc(1, sizeof(*call));
    if (!call)
        abort();
    *call = (struct call){
        .gateway = env->gateway,
        .hooks = env->hooks,
        .uptime_ms = loop_now_ms(env->gateway->loop) - env->opened_ms,
        .test_ms = env->test_ms,
        .params = params,
        .id = ++env->last_id,
        .started_us = loop_clock_us(),
        .on_done = on_done,
        .ctx = ctx,
    };
    arena_init(&call->arena, CALL_ARENA);
    const char *dir = check(call, method) == 0 ? call_text(call, "dir") : NULL;
    if (dir)
        call->walking = project_cache_get(env->gateway->project_cache, dir, on_walk, call);
    else
        loop_later(env->gateway->loop, &call->later, on_turn);
    return call;
}

/* ---- parameters ---- */

const char *call_text(const struct call *call, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(call->params, name));
}

bool call_flag(const struct call *call, const char *name)
{
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(call->params, name));
}

int64_t call_number(const struct call *call, const char *name, int64_t fallback)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(call->params, name);
    return cJSON_IsNumber(item) ? (int64_t)item->valuedouble : fallback;
}

const cJSON *call_list(const struct call *call, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(call->params, name);
}
