/*
 * A world for tests of control/: a real loop, vault, tokens, projects, configuration and cache in a
 * directory of its own, and a gateway that is played (control_world.c): it decides models as the
 * real one does, but its probes end when the test says so.
 */
#pragma once

#include "control/call.h"
#include "unit/state_place.h"

#define WORLD_PROBES 64

struct gateway_probe {
    struct world *world;
    void (*fn)(void *ctx, const struct probe_result *result);
    void *ctx;
    const struct provider *provider;
    const char *model;
    struct later ending;
};

struct world {
    struct place place;
    struct loop *loop;
    struct gateway gateway;
    struct control_hooks hooks;
    struct call_env env;
    char config_file[160], project[160], gen_file[160];
    unsigned reload_count, stop_count, announce_count, cancel_count;
    bool refuses_reload, holds_probes, is_calling;
    struct gateway_probe probes[WORLD_PROBES];
    size_t probe_count, most_probes;
    struct err probe_err; /* what probes end with */
};

/* What a call came to. */
struct outcome {
    struct err err;
    cJSON *result; /* NULL after a failure; the test deletes it by outcome_release() */
    bool stops_daemon;
};

/* config NULL: there is no config.json. */
void world_init(struct world *world, const char *config);
void world_release(struct world *world);

/*
 * Makes a call and runs the loop until its end. params: JSON text. Never fails itself. A probe ends
 * on the next turn, unless holds_probes.
 */
struct outcome world_call(struct world *world, const char *method, const char *params);
/* Ends every probe under way: for tests that run the loop themselves. */
void world_end_probes(struct world *world);
void outcome_release(struct outcome *outcome);

/* A text in the result, by a path like "project.name"; "" when it is not there or no text. */
const char *outcome_text(const struct outcome *outcome, const char *path);
/* A value in the result, or NULL. */
const cJSON *outcome_item(const struct outcome *outcome, const char *path);
