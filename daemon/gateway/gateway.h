/*
 * The gateway: everything the requests of clients share, and how others look at it.
 *
 *   gateway    owner of what all exchanges use; made once by the daemon
 *   exchange   one client request, from its head to its record (exchange.h)
 *   attempt    one try at one provider with one key (attempt.h)
 *   health     what is remembered of a provider between requests
 */
#pragma once

#include "gateway/memory.h"
#include "net/fetch.h"
#include "net/loop.h"
#include "policy/precedence.h"
#include "state/config.h"
#include "state/ledger.h"
#include "state/project_cache.h"
#include "state/projects.h"
#include "state/tokens.h"
#include "state/vault.h"

/* What is remembered of one provider, by name, across reloads. */
struct health {
    char name[LEDGER_NAME];
    unsigned in_flight;
    int64_t last_ok_ms;    /* monotonic; -1: never */
    int64_t last_error_ms; /* monotonic; -1: never */
    int last_error_kind;   /* 0: the last attempt went well */
    char last_error[160];
};

#define GATEWAY_HEALTH_MAX 128

struct exchange;

struct gateway {
    struct loop *loop;
    struct config *config; /* the snapshot in use; gateway_set_config() swaps it */
    struct vault *vault;
    struct tokens *tokens;
    struct projects *projects;
    struct project_cache *project_cache;
    struct ledger *ledger;
    struct fetch_pool *fetch;
    struct memory *memory;   /* what later turns need */
    const char *gen_file;    /* bumped by gateway_announce() */
    const char *demo_socket; /* path of the internal socket of the demo provider */
    const char *http_url;    /* "http://127.0.0.1:3000": the first TCP listener */
    const char *unix_url;    /* "unix:/run/user/1000/aictl/http.sock" */

    size_t health_count;
    struct health health[GATEWAY_HEALTH_MAX];
    uint64_t next_exchange;
    uint64_t exchanges_total, exchanges_failed;
    unsigned exchanges_active;
    struct exchange *exchanges; /* those under way */
    int64_t bodies_held;        /* bytes of all request bodies */
    bool is_draining;           /* the daemon stops: nothing is tried again */
    void *owner;
};

/* Replaces the snapshot (takes the reference); requests under way keep theirs. */
void gateway_set_config(struct gateway *gateway, struct config *config);

/* The health of a provider, made when it is new. Never NULL: a full table shares its last entry. */
struct health *gateway_health(struct gateway *gateway, const char *provider);

/*
 * The effective choice of a directory by a snapshot: the indexes in *ret_name are of its catalogue.
 * walk NULL: the global project. Everything lives in the arena;
 * *ret_index is the effective choice or -1 and *ret_name its candidates.
 */
int gateway_view(struct gateway *gateway, const struct config *config, const struct walk *walk,
                 const char *override, struct arena *arena, struct project_view *ret,
                 int *ret_index, struct name *ret_name, struct err *reterr);

/* Tells shells that something was switched: rewrites the gen file, "N\n". Failures are logged. */
void gateway_announce(struct gateway *gateway);

/* ---- `aictl test` ---- */

struct gateway_probe; /* one small completion under way */

struct probe_result {
    const char *provider, *model;
    int status;         /* the provider's, 0 when none came */
    int64_t latency_ms; /* to the end of the answer */
    struct err err;     /* kind 0: it went well */
};

/*
 * Sends one small completion (max_tokens 16, "Say ok.") to a provider, as an ordinary attempt with
 * its record. model NULL: the provider's first. fn runs exactly once, never before this returns.
 * The result is borrowed for the call.
 */
struct gateway_probe *gateway_probe(struct gateway *gateway, const struct provider *provider,
                                    const char *model,
                                    void (*fn)(void *ctx, const struct probe_result *result),
                                    void *ctx);
/* fn will not be called. */
void gateway_probe_cancel(struct gateway_probe *probe);
