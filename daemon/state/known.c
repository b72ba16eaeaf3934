/* Providers known to the program; see known.def. */
#include "state/config.h"

/* The compound literals stand at file scope, so they live as long as the program. */
#define MODELS(...) ((const char *const[]){__VA_ARGS__})

static const struct provider_row known[] = {
#define KNOWN(name_, type_, base_url_, description_, has_key_, ...)                                \
    {                                                                                              \
        .name = name_,                                                                             \
        .type = type_,                                                                             \
        .base_url = base_url_,                                                                     \
        .description = description_,                                                               \
        .models = MODELS(__VA_ARGS__),                                                             \
        .model_count = sizeof(MODELS(__VA_ARGS__)) / sizeof(const char *),                         \
        .has_key = has_key_,                                                                       \
    },
#include "state/known.def"
#undef KNOWN
};

static const char *const known_names[] = {
#define KNOWN(name, ...) name,
#include "state/known.def"
#undef KNOWN
    NULL,
};

const struct provider_row *known_provider(struct span name)
{
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (span_equal_nocase(name, span_of(known[i].name)))
            return &known[i];
    return NULL;
}

const char *const *known_provider_names(void)
{
    return known_names;
}
