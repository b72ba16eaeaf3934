/* See models.h. */
#include "gateway/models.h"

#include "proto/errors.h"

static bool is_listed(const struct model_entry *entries, size_t count, const char *id)
{
    for (size_t i = 0; i < count; i++)
        if (span_equal_nocase(span_of(entries[i].id), span_of(id)))
            return true;
    return false;
}

int models_write(const struct config *config, const struct dialect *surface, struct arena *arena,
                 struct bytes *out)
{
    const struct catalogue *catalogue = &config->catalogue;
    size_t count = 0, most = 1 + catalogue->model_count + catalogue->alias_count;
    struct model_entry *entries = arena_alloc(arena, most * sizeof(*entries));
    if (!entries)
        return -ERR_TOO_LARGE;
    entries[count++] = (struct model_entry){surface->standing_alias,
                                            "aictl: the model chosen for this project", "aictl"};
    for (size_t i = 0; i < catalogue->alias_count; i++)
        if (!is_listed(entries, count, catalogue->aliases[i].name))
            entries[count++] = (struct model_entry){catalogue->aliases[i].name, NULL, "aictl"};
    for (size_t i = 0; i < catalogue->model_count; i++)
        if (!is_listed(entries, count, catalogue->models[i].model))
            entries[count++] = (struct model_entry){catalogue->models[i].model, NULL,
                                                    catalogue->models[i].provider};
    return surface->write_models(entries, count, out);
}
