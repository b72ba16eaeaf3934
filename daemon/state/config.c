/* The snapshot's life, and where it comes from; see config.h. Reading is in config_parse.c. */
#include "state/config.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/own.h"

struct config *config_ref(struct config *config)
{
    config->refs++;
    return config;
}

struct config *config_unref(struct config *config)
{
    if (config && --config->refs == 0) {
        arena_release(&config->arena);
        free(config);
    }
    return NULL;
}

const struct provider *config_provider(const struct config *config, struct span name)
{
    for (size_t i = 0; i < config->provider_count; i++)
        if (span_equal_nocase(name, span_of(config->providers[i].name)))
            return &config->providers[i];
    return NULL;
}

struct ir_target config_target(const struct config *config, const struct provider *provider,
                               struct span model)
{
    (void)config; /* whose provider it is; no option of the whole file changes a target yet */
    struct ir_target target = {.model = model, .capabilities = ir_capabilities_default()};
    quirks_apply(&provider->quirk_rows, &target);
    quirk_apply(&provider->quirk, &target);
    for (size_t i = 0; i < provider->model_quirk_count; i++)
        if (quirk_matches(span_of(provider->model_quirks[i].models), model))
            quirk_apply(&provider->model_quirks[i].quirk, &target);
    return target;
}

int config_load(const char *path, config_key_fn key_fn, void *ctx, struct config **ret,
                struct config_problems *problems, struct err *reterr)
{
    CLEANUP(bytes_release) struct bytes text = {.max = CONFIG_MAX_BYTES, .wipe = true};
    struct stat st;
    int r = file_read_followed(path, &text, &st, reterr);
    if (r == -ERR_NOT_FOUND)
        return config_parse(SPAN("{}"), "", 0600, NULL, NULL, ret, problems, reterr);
    if (r < 0)
        return r;
    return config_parse(bytes_span(&text), path, st.st_mode & 07777, key_fn, ctx, ret, problems,
                        reterr);
}
