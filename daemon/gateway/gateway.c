/* See gateway.h. */
#include "gateway/gateway.h"

#include <stdio.h>

#include "base/file.h"
#include "base/log.h"

void gateway_set_config(struct gateway *gateway, struct config *config)
{
    struct config *old = gateway->config;
    gateway->config = config;
    config_unref(old);
}

struct health *gateway_health(struct gateway *gateway, const char *provider)
{
    for (size_t i = 0; i < gateway->health_count; i++)
        if (!strcmp(gateway->health[i].name, provider))
            return &gateway->health[i];
    if (gateway->health_count == GATEWAY_HEALTH_MAX)
        return &gateway->health[GATEWAY_HEALTH_MAX - 1];
    struct health *health = &gateway->health[gateway->health_count++];
    *health = (struct health){.last_ok_ms = -1, .last_error_ms = -1};
    (void)snprintf(health->name, sizeof(health->name), "%s", provider); /* config bounds names */
    return health;
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
    char line[32];
    struct err err = {0};
    int n = snprintf(line, sizeof(line), "%llu\n",
                     (unsigned long long)projects_generation(gateway->projects));
    if (file_replace(gateway->gen_file, (struct span){line, (size_t)n}, 0600, &err) < 0)
        log_warn("gateway", 0, "shells are not told of the switch: %s", err.detail);
}
