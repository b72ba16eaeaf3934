/* See choice.h. */
#include "gateway/choice.h"

#include "base/log.h"
#include "base/own.h"

static int unknown(const struct config *config, struct span requested, struct err *reterr)
{
    CLEANUP(bytes_release) struct bytes hint = {.max = 400};
    name_suggest(&config->catalogue, requested, &hint);
    return err_set(reterr, ERR_MODEL_NOT_FOUND, "%s; %.*s", log_quote(requested, 100),
                   SPAN_ARG(bytes_span(&hint)));
}

/* The next of the name's providers that do, or do not, speak the surface's dialect. */
static void add_providers(const struct config *config, const struct dialect *surface,
                          const struct name *name, bool is_own, struct candidates *ret)
{
    for (size_t i = 0; i < name->candidate_count && ret->count < CANDIDATES_MAX; i++) {
        const struct catalogue_model *model = &config->catalogue.models[name->candidates[i]];
        const struct provider *provider = &config->providers[model->provider_index];
        if ((provider->dialect == surface || provider->is_demo) == is_own)
            ret->list[ret->count++] = (struct candidate){provider, model->model};
    }
}

/* What is passed on loses nothing, so those that need conversion stand behind. */
static void pick_providers(const struct config *config, const struct dialect *surface,
                           const struct name *name, struct candidates *ret)
{
    add_providers(config, surface, name, true, ret);
    add_providers(config, surface, name, false, ret);
}

int choose(struct gateway *gateway, const struct config *config, const struct dialect *surface,
           struct span requested, const struct walk *walk, const char *override,
           struct arena *arena, struct candidates *ret, struct err *reterr)
{
    struct project_view view;
    struct name effective;
    int index;
    int r = gateway_view(gateway, config, walk, override, arena, &view, &index, &effective, reterr);
    if (r < 0)
        return r;
    *ret = (struct candidates){.project = view.name};
    struct name name = name_resolve(&config->catalogue, requested);
    if (name.kind == NAME_UNKNOWN)
        return unknown(config, requested, reterr);
    ret->is_alias =
        name.kind != NAME_CONCRETE ||
        precedence_is_from_files(&config->catalogue, view.choices, view.count, requested);
    if (ret->is_alias && index < 0)
        return err_set(reterr, ERR_NO_MODEL, "project %s", view.name);
    pick_providers(config, surface, ret->is_alias ? &effective : &name, ret);
    return 0;
}
