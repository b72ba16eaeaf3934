/*
 * Walks of directories, made on worker threads and kept for a moment (option projectCacheMs), so
 * that the loop never waits for a file system.
 *
 *   entry    a walk that is kept: at most 256, the least recently used goes first
 *   job      a walk being made; everybody who asks for the same directory meanwhile shares it
 *   request  one asker, waiting for a job or for the next turn of the loop
 *
 * How old an answer may be: keep_ms, counted from before the walk looked at the first file. Errors
 * are not kept.
 */
#pragma once

#include "net/loop.h"
#include "state/projects.h"

#define PROJECT_CACHE_ENTRIES 256

struct project_cache;
struct walk_request;

/* home as for walk_new(). keep_ms 0 keeps nothing. The loop outlives the cache. */
struct project_cache *project_cache_new(struct loop *loop, const char *home, int64_t keep_ms);
/*
 * Waits for no one: requests still under way end with a callback of -ERR_SHUTTING_DOWN first, in
 * which the cache may not be asked again. A walk that is being made ends by itself; the loop has to
 * run (loop_free() does) until it has.
 */
struct project_cache *project_cache_free(struct project_cache *cache);

/*
 * Gets the walk of a directory. fn is called exactly once, never before this returns: with a walk
 * borrowed for the call (walk_ref to keep it), or NULL and an error. Returns the request, for
 * project_cache_cancel(); it is gone once fn ran. fn may do anything with the cache.
 */
struct walk_request *
project_cache_get(struct project_cache *cache, const char *dir,
                  void (*fn)(void *ctx, struct walk *walk, const struct err *err), void *ctx);
/* fn will not be called. */
void project_cache_cancel(struct walk_request *request);
/*
 * Forgets what was seen in a directory (a file was written): the walks of everything below it. What
 * is being walked right now is given to those who wait for it and not kept. NULL: everything. (A
 * pin needs no call: pins are not part of a walk.)
 */
void project_cache_forget(struct project_cache *cache, const char *dir);
