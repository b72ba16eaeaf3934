/*
 * Walks of directories, made on worker threads and kept for a moment (option projectCacheMs), so
 * that the loop never waits for a file system.
 */
#pragma once

#include "net/loop.h"
#include "state/projects.h"

struct project_cache;
struct walk_request;

/* At most 256 directories are kept. home as for walk_new(). */
struct project_cache *project_cache_new(struct loop *loop, const char *home, int64_t keep_ms);
/* Waits for no one: requests still under way end with a callback of -ERR_SHUTTING_DOWN first. */
struct project_cache *project_cache_free(struct project_cache *cache);

/*
 * Gets the walk of a directory. fn is called exactly once, never before this returns: with a walk
 * borrowed for the call (walk_ref to keep it), or NULL and an error. Returns the request, for
 * project_cache_cancel(); it is gone once fn ran.
 */
struct walk_request *project_cache_get(struct project_cache *cache, const char *dir,
                                       void (*fn)(void *ctx, struct walk *walk,
                                                  const struct err *err),
                                       void *ctx);
/* fn will not be called. */
void project_cache_cancel(struct walk_request *request);
/* Forgets a directory (a pin changed, a file was written). NULL: everything. */
void project_cache_forget(struct project_cache *cache, const char *dir);
