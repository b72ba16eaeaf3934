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

/* Providers of the surface's dialect among the name's; others need conversion. */
static int pick_providers(const struct config *config, const struct dialect *surface,
                          const struct name *name, struct candidates *ret, struct err *reterr)
{
    const struct catalogue_model *other = NULL;
    for (size_t i = 0; i < name->candidate_count && ret->count < CANDIDATES_MAX; i++) {
        const struct catalogue_model *model = &config->catalogue.models[name->candidates[i]];
        const struct provider *provider = &config->providers[model->provider_index];
        if (provider->dialect == surface || provider->is_demo)
            ret->list[ret->count++] = (struct candidate){provider, model->model};
        else
            other = model;
    }
    if (ret->count)
        return 0;
    const struct provider *provider = &config->providers[other->provider_index];
    return err_set(
        reterr, ERR_NOT_IMPLEMENTED,
        "%s is served by %s, which speaks %s; converting from %s is not there yet: choose a "
        "model of a provider of type %s",
        other->model, provider->name, provider->dialect->type, surface->type, surface->type);
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
    if (!ret->is_alias)
        return pick_providers(config, surface, &name, ret, reterr);
    if (index < 0)
        return err_set(reterr, ERR_NO_MODEL, "project %s", view.name);
    return pick_providers(config, surface, &effective, ret, reterr);
}
