/* See control_world.h. */
#include "unit/control_world.h"

#include "proto/wire.h"

#include <string.h>

/* ---- the gateway that is played ---- */

static struct world *world_of(struct gateway *gateway)
{
    return (struct world *)((char *)gateway - offsetof(struct world, gateway));
}

int gateway_view(struct gateway *gateway, const struct config *config, const struct walk *walk,
                 const char *override, struct arena *arena, struct project_view *ret,
                 int *ret_index, struct name *ret_name, struct err *reterr)
{
    int r = projects_view(gateway->projects, walk, override, config->default_model, config->path,
                          config->default_model_line, config->only_model, arena, ret, reterr);
    if (r < 0)
        return r;
    *ret_index = precedence_decide(&config->catalogue, ret->choices, ret->count, ret_name);
    return 0;
}

void gateway_announce(struct gateway *gateway)
{
    world_of(gateway)->announce_count++;
}

struct health *gateway_health(struct gateway *gateway, const char *provider)
{
    for (size_t i = 0; i < gateway->health_count; i++)
        if (!strcmp(gateway->health[i].name, provider))
            return &gateway->health[i];
    struct health *health = &gateway->health[gateway->health_count++];
    *health = (struct health){.last_ok_ms = -1, .last_error_ms = -1};
    snprintf(health->name, sizeof(health->name), "%s", provider);
    return health;
}

static void end_probe(struct world *world, struct gateway_probe *probe)
{
    struct probe_result result = {
        .provider = probe->provider->name,
        .model = probe->model ? probe->model : probe->provider->models[0],
        .status = world->probe_err.kind ? 401 : 200,
        .latency_ms = 12,
        .err = world->probe_err,
    };
    void (*fn)(void *ctx, const struct probe_result *result) = probe->fn;
    probe->fn = NULL;
    world->probe_count--;
    fn(probe->ctx, &result);
}

static void on_ending(struct later *later)
{
    struct gateway_probe *probe =
        (struct gateway_probe *)((char *)later - offsetof(struct gateway_probe, ending));
    end_probe(probe->world, probe);
}

struct gateway_probe *gateway_probe(struct gateway *gateway, const struct provider *provider,
                                    const char *model,
                                    void (*fn)(void *ctx, const struct probe_result *result),
                                    void *ctx)
{
    struct world *world = world_of(gateway);
    for (size_t i = 0; i < WORLD_PROBES; i++) {
        struct gateway_probe *probe = &world->probes[i];
        if (probe->fn)
            continue;
        *probe = (struct gateway_probe){world, fn, ctx, provider, model, {0}};
        if (world->is_calling && !world->holds_probes)
            loop_later(world->loop, &probe->ending, on_ending);
        if (++world->probe_count > world->most_probes)
            world->most_probes = world->probe_count;
        return probe;
    }
    cr_assert_fail("more probes than the test expects");
    return NULL;
}

void gateway_probe_cancel(struct gateway_probe *probe)
{
    struct world *world = probe->world;
    probe->fn = NULL;
    world->probe_count--;
    world->cancel_count++;
}

void world_end_probes(struct world *world)
{
    for (size_t i = 0; i < WORLD_PROBES; i++)
        if (world->probes[i].fn)
            end_probe(world, &world->probes[i]);
}

/* ---- hooks ---- */

static void on_plain_key(void *ctx, const char *provider, const char *origin, struct span key)
{
    struct world *world = ctx;
    if (!vault_holds(world->gateway.vault, provider, key))
        cr_assert_eq(vault_put(world->gateway.vault, provider, key, &origin, 1, 1, NULL), 0);
}

static int reload(void *ctx, struct err *reterr)
{
    struct world *world = ctx;
    struct config *config;
    struct config_problems problems = {0};
    world->reload_count++;
    if (world->refuses_reload)
        return err_set(reterr, ERR_CONFIG_INVALID, "played");
    int r = config_load(world->config_file, on_plain_key, world, &config, &problems, reterr);
    if (r < 0)
        return r;
    config_unref(world->gateway.config);
    world->gateway.config = config;
    return 0;
}

static void stop(void *ctx)
{
    struct world *world = ctx;
    world->stop_count++;
    loop_stop(world->loop);
}

static const char *url(void *ctx, size_t index)
{
    (void)ctx;
    static const char *const urls[] = {"http://127.0.0.1:3000", "http://[::1]:3000"};
    return index < 2 ? urls[index] : NULL;
}

/* ---- the world ---- */

static void open_state(struct world *world)
{
    struct gateway *gateway = &world->gateway;
    struct err err = {0};
    cr_assert_eq(vault_open(world->place.state, world->place.kek, &gateway->vault, &err), 0, "%s",
                 err.detail);
    cr_assert_eq(tokens_open(world->place.state, &gateway->tokens, &err), 0, "%s", err.detail);
    cr_assert_eq(projects_open(world->place.state, &gateway->projects, &err), 0, "%s", err.detail);
    cr_assert_eq(reload(world, &err), 0, "%s", err.detail);
    world->reload_count = 0;
    gateway->project_cache = project_cache_new(world->loop, world->place.root, 1000);
    gateway->ledger = ledger_new();
    gateway->fetch = fetch_pool_new(world->loop, 4, 55000);
}

void world_init(struct world *world, const char *config)
{
    memset(world, 0, sizeof(*world));
    place_init(&world->place);
    snprintf(world->config_file, sizeof(world->config_file), "%s/config/config.json",
             world->place.root);
    snprintf(world->project, sizeof(world->project), "%s/shop", world->place.root);
    cr_assert(mkdir(world->project, 0700) == 0);
    cr_assert(mkdir(world->place.state, 0700) == 0);
    if (config) {
        char dir[160];
        snprintf(dir, sizeof(dir), "%s/config", world->place.root);
        cr_assert(mkdir(dir, 0700) == 0);
        place_write(world->config_file, span_of(config));
    }
    world->loop = loop_new();
    world->gateway.loop = world->loop;
    world->gateway.http_url = "http://127.0.0.1:3000";
    world->gateway.unix_url = "unix:/run/user/1000/aictl/http.sock";
    world->hooks = (struct control_hooks){
        .reload = reload,
        .stop = stop,
        .url = url,
        .config_file = world->config_file,
        .ctx = world,
    };
    world->env =
        (struct call_env){.gateway = &world->gateway, .hooks = &world->hooks, .test_ms = 5000};
    open_state(world);
}

void world_release(struct world *world)
{
    struct gateway *gateway = &world->gateway;
    project_cache_free(gateway->project_cache);
    fetch_pool_free(gateway->fetch);
    loop_free(world->loop);
    ledger_free(gateway->ledger);
    projects_free(gateway->projects);
    tokens_free(gateway->tokens);
    vault_free(gateway->vault);
    config_unref(gateway->config);
    place_release(&world->place);
}

/* ---- calls ---- */

struct waiting {
    struct world *world;
    struct outcome outcome;
    bool is_done, is_running;
};

static void on_done(void *ctx, struct call *call)
{
    struct waiting *waiting = ctx;
    waiting->is_done = true;
    waiting->outcome.err = call->err;
    waiting->outcome.result = call->result;
    waiting->outcome.stops_daemon = call->stops_daemon;
    call->result = NULL;
    if (waiting->is_running) /* else it would stop the next run */
        loop_stop(waiting->world->loop);
}

struct outcome world_call(struct world *world, const char *method, const char *params)
{
    struct waiting waiting = {.world = world};
    cJSON *tree = cJSON_Parse(params);
    cr_assert(tree, "%s", params);
    world->is_calling = true;
    struct call *call = call_start(&world->env, method, tree, on_done, &waiting);
    cr_expect(!waiting.is_done, "nothing is called back before call_start returns");
    waiting.is_running = true;
    loop_run(world->loop);
    waiting.is_running = false;
    if (!waiting.is_done)
        call_cancel(call);
    cr_assert(waiting.is_done, "%s never ended", method);
    return waiting.outcome;
}

void outcome_release(struct outcome *outcome)
{
    outcome->result = wire_delete(outcome->result);
}

const cJSON *outcome_item(const struct outcome *outcome, const char *path)
{
    const cJSON *item = outcome->result;
    struct span rest = span_of(path);
    while (item && rest.at) {
        char name[64];
        struct span part = span_cut(rest, '.', &rest);
        snprintf(name, sizeof(name), "%.*s", SPAN_ARG(part));
        item = cJSON_IsArray(item) ? cJSON_GetArrayItem(item, atoi(name))
                                   : cJSON_GetObjectItemCaseSensitive(item, name);
    }
    return item;
}

const char *outcome_text(const struct outcome *outcome, const char *path)
{
    const char *text = cJSON_GetStringValue(outcome_item(outcome, path));
    return text ? text : "";
}
