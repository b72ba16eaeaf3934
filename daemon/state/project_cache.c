/*
 * See project_cache.h.
 *
 *     get --- fresh entry --------------------------> later -> fn
 *      `---- job (new, or one under way) -> worker -> later -> fn
 *
 * A job belongs to the worker until its after-work callback runs on the loop; the cache may be gone
 * by then, so the job only points back to it as long as it is there. Each answer goes out in a call
 * of its own from the loop, with nothing behind it: fn may cancel, ask again or free the cache.
 */
#include "state/project_cache.h"

#include "base/own.h"

#include <assert.h>
#include <stdlib.h>

/* Answered and waiting for its turn: walk or err is set. Waiting for a job: job is set. */
struct walk_request {
    struct later later;
    struct project_cache *cache;
    struct walk_request *next, **link; /* in cache->requests */
    struct walk_job *job;
    struct walk *walk;
    struct err err;
    void (*fn)(void *ctx, struct walk *walk, const struct err *err);
    void *ctx;
};

struct walk_job {
    uv_work_t work;
    struct project_cache *cache; /* NULL: it is gone */
    struct walk_job *next, **link;
    bool is_stale; /* forgotten meanwhile: nobody joins, nothing is kept */
    int64_t started_ms;
    char *dir;
    char *home;
    /* the worker's results */
    struct walk *walk;
    struct err err;
};

struct entry {
    struct entry *next;
    char *dir; /* as it was asked for; the walk has the canonical form */
    int64_t started_ms;
    struct walk *walk;
};

struct project_cache {
    struct loop *loop;
    char *home; /* NULL: none */
    int64_t keep_ms;
    struct entry *entries; /* most recently used first */
    size_t entry_count;
    struct walk_job *jobs;
    struct walk_request *requests;
};

static void *must_alloc(size_t size)
{
    void *memory = calloc(1, size);
    if (!memory)
        abort();
    return memory;
}

/* ---- entries ---- */

static void drop_entry(struct project_cache *cache, struct entry **link)
{
    struct entry *entry = *link;
    *link = entry->next;
    cache->entry_count--;
    walk_unref(entry->walk);
    free(entry->dir);
    free(entry);
}

/* The link to a directory's entry, or to the end. */
static struct entry **find_entry(struct project_cache *cache, const char *dir)
{
    struct entry **link = &cache->entries;
    while (*link && strcmp((*link)->dir, dir))
        link = &(*link)->next;
    return link;
}

/* The kept walk of a directory, or NULL; moves it to the front. */
static struct walk *fresh_walk(struct project_cache *cache, const char *dir)
{
    struct entry **link = find_entry(cache, dir);
    struct entry *entry = *link;
    if (!entry)
        return NULL;
    if (loop_now_ms(cache->loop) - entry->started_ms >= cache->keep_ms) {
        drop_entry(cache, link);
        return NULL;
    }
    *link = entry->next;
    entry->next = cache->entries;
    cache->entries = entry;
    return entry->walk;
}

static void drop_last(struct project_cache *cache)
{
    struct entry **link = &cache->entries;
    while ((*link)->next)
        link = &(*link)->next;
    drop_entry(cache, link);
}

/* Keeps a finished job's walk in the place of an older one. */
static void keep_walk(struct project_cache *cache, struct walk_job *job)
{
    struct entry **old = find_entry(cache, job->dir);
    if (*old)
        drop_entry(cache, old);
    if (cache->entry_count == PROJECT_CACHE_ENTRIES)
        drop_last(cache);
    struct entry *entry = must_alloc(sizeof(*entry));
    *entry = (struct entry){cache->entries, TAKE(job->dir), job->started_ms, walk_ref(job->walk)};
    cache->entries = entry;
    cache->entry_count++;
}

/* ---- answers ---- */

static void unlink_request(struct walk_request *request)
{
    *request->link = request->next;
    if (request->next)
        request->next->link = request->link;
}

static void free_request(struct walk_request *request)
{
    later_cancel(&request->later);
    unlink_request(request);
    walk_unref(request->walk);
    free(request);
}

static void on_answer(struct later *later)
{
    struct walk_request *request = container_of(later, struct walk_request, later);
    struct walk *walk = TAKE(request->walk);
    struct err err = request->err;
    void (*fn)(void *, struct walk *, const struct err *) = request->fn;
    void *ctx = request->ctx;
    free_request(request);
    fn(ctx, walk, walk ? NULL : &err);
    walk_unref(walk); /* ours alone: nothing of the cache is touched behind fn */
}

/* Settles a request; exactly one of walk and err is there. */
static void answer(struct walk_request *request, struct walk *walk, const struct err *err)
{
    request->job = NULL;
    request->walk = walk ? walk_ref(walk) : NULL;
    if (err)
        request->err = *err;
    loop_later(request->cache->loop, &request->later, on_answer);
}

/* ---- jobs ---- */

static void free_job(struct walk_job *job)
{
    walk_unref(job->walk);
    free(job->dir);
    free(job->home);
    free(job);
}

/* On a worker thread: touches the job's own members only. */
static void work(uv_work_t *uv)
{
    struct walk_job *job = uv->data;
    if (walk_new(job->dir, job->home, &job->walk, &job->err) < 0)
        job->walk = NULL;
}

static void finish(struct project_cache *cache, struct walk_job *job)
{
    *job->link = job->next;
    if (job->next)
        job->next->link = job->link;
    for (struct walk_request *request = cache->requests; request; request = request->next)
        if (request->job == job)
            answer(request, job->walk, job->walk ? NULL : &job->err);
    if (job->walk && !job->is_stale && cache->keep_ms > 0)
        keep_walk(cache, job);
}

static void on_worked(uv_work_t *uv, int status)
{
    struct walk_job *job = uv->data;
    if (job->cache) {
        assert(status == 0); /* only project_cache_free() cancels */
        finish(job->cache, job);
    }
    (void)status;
    free_job(job);
}

static struct walk_job *find_job(struct project_cache *cache, const char *dir)
{
    for (struct walk_job *job = cache->jobs; job; job = job->next)
        if (!job->is_stale && !strcmp(job->dir, dir))
            return job;
    return NULL;
}

static struct walk_job *start_job(struct project_cache *cache, const char *dir)
{
    struct walk_job *job = must_alloc(sizeof(*job));
    job->work.data = job;
    job->cache = cache;
    job->started_ms = loop_now_ms(cache->loop);
    job->dir = span_dup(span_of(dir));
    job->home = cache->home ? span_dup(span_of(cache->home)) : NULL;
    job->next = cache->jobs;
    job->link = &cache->jobs;
    if (job->next)
        job->next->link = &job->next;
    cache->jobs = job;
    int r = uv_queue_work(loop_uv(cache->loop), &job->work, work, on_worked);
    assert(r == 0); /* it fails only without a work callback */
    (void)r;
    return job;
}

/* ---- for everyone ---- */

struct project_cache *project_cache_new(struct loop *loop, const char *home, int64_t keep_ms)
{
    struct project_cache *cache = must_alloc(sizeof(*cache));
    cache->loop = loop;
    cache->home = home ? span_dup(span_of(home)) : NULL;
    cache->keep_ms = keep_ms;
    return cache;
}

struct walk_request *
project_cache_get(struct project_cache *cache, const char *dir,
                  void (*fn)(void *ctx, struct walk *walk, const struct err *err), void *ctx)
{
    struct walk_request *request = must_alloc(sizeof(*request));
    request->cache = cache;
    request->fn = fn;
    request->ctx = ctx;
    request->next = cache->requests;
    request->link = &cache->requests;
    if (request->next)
        request->next->link = &request->next;
    cache->requests = request;
    struct walk *walk = fresh_walk(cache, dir);
    if (walk) {
        answer(request, walk, NULL);
        return request;
    }
    request->job = find_job(cache, dir);
    if (!request->job)
        request->job = start_job(cache, dir);
    return request;
}

void project_cache_cancel(struct walk_request *request)
{
    free_request(request);
}

/* True when a walk looked into a directory. */
static bool has_seen(const struct walk *walk, const char *dir)
{
    for (size_t i = 0; i < walk->dir_count; i++)
        if (!strcmp(walk->dirs[i].path, dir))
            return true;
    return false;
}

void project_cache_forget(struct project_cache *cache, const char *dir)
{
    for (struct entry **link = &cache->entries; *link;) {
        if (!dir || !strcmp((*link)->dir, dir) || has_seen((*link)->walk, dir))
            drop_entry(cache, link);
        else
            link = &(*link)->next;
    }
    for (struct walk_job *job = cache->jobs; job; job = job->next)
        job->is_stale = true; /* what it sees on its way up is not known yet */
}

/* Ends every request; fn may cancel others, so each turn looks at the list anew. */
static void refuse_all(struct project_cache *cache)
{
    struct err err = {0};
    (void)err_set(&err, ERR_SHUTTING_DOWN, "the directory's walk was given up"); /* sets err only */
    while (cache->requests) {
        struct walk_request *request = cache->requests;
        void (*fn)(void *, struct walk *, const struct err *) = request->fn;
        void *ctx = request->ctx;
        free_request(request);
        fn(ctx, NULL, &err);
    }
}

struct project_cache *project_cache_free(struct project_cache *cache)
{
    if (!cache)
        return NULL;
    refuse_all(cache);
    for (struct walk_job *job = cache->jobs, *next; job; job = next) {
        next = job->next;
        job->cache = NULL;
        (void)uv_cancel((uv_req_t *)&job->work); /* one that runs already just ends */
    }
    while (cache->entries)
        drop_entry(cache, &cache->entries);
    free(cache->home);
    free(cache);
    return NULL;
}
