/*
 * Configuration texts: no bytes may crash the reader or the editor, and what the editor makes of a
 * good text is a good text that says what was asked for.
 */
#include <stdio.h>
#include <stdlib.h>

#include "state/config.h"

static void require(bool is_true, const char *what, struct span text)
{
    if (is_true)
        return;
    (void)fprintf(stderr, "%s:\n" SPAN_FMT "\n", what, SPAN_ARG(text));
    abort();
}

static struct config *parse(struct span text)
{
    struct config *config = NULL;
    struct config_problems problems;
    struct err err = {0};
    int r = config_parse(text, "f", 0600, NULL, NULL, &config, &problems, &err);
    require((r == 0) == (config != NULL), "a snapshot without success, or the reverse", text);
    require(r == 0 || err.detail[0], "an error without a message", text);
    return config;
}

static void edit_new_provider(struct span text, const struct config *before)
{
    static const char *const models[] = {"fuzz-model"};
    const struct provider_row row = {
        .name = "fuzz-provider",
        .type = "openai",
        .base_url = "https://fuzz.example/v1",
        .models = models,
        .model_count = 1,
        .has_key = true,
    };
    struct bytes out = {.max = CONFIG_MAX_BYTES};
    int r = config_edit_provider(text, &row, &out, NULL);
    bool has_it = memmem(text.at, text.len, "fuzz-", 5) != NULL;
    if (before && !has_it && before->provider_count < 200) {
        require(r == 0, "no provider can be added to a good text", text);
        struct config *after = parse(bytes_span(&out));
        size_t named = before->is_built_in ? 0 : before->provider_count;
        require(after && after->provider_count == named + 1,
                "a good text was spoiled by a new provider", bytes_span(&out));
        config_unref(after);
    }
    bytes_release(&out);
}

static void edit_key(struct span text, const struct provider *provider)
{
    struct bytes out = {.max = CONFIG_MAX_BYTES};
    require(config_edit_key(text, provider->name, &out, NULL) == 0, "no key can be set", text);
    struct span origin = span_of(provider->origin);
    if (span_starts(origin, SPAN("https:")) || url_is_loopback(origin)) {
        struct config *after = parse(bytes_span(&out));
        const struct provider *changed =
            after ? config_provider(after, span_of(provider->name)) : NULL;
        require(changed && changed->key_mode == KEY_MODE_VAULT &&
                    !strcmp(changed->key_id, provider->name),
                "a key was set, but is not read back", bytes_span(&out));
        config_unref(after);
    }
    bytes_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = {(const char *)data, size};
    char origin[URL_ORIGIN_MAX];
    (void)url_origin(text, true, origin, sizeof(origin), NULL);

    struct config *config = parse(text);
    edit_new_provider(text, config);
    for (size_t i = 0; config && i < config->provider_count && i < 4; i++)
        if (!config->providers[i].is_demo)
            edit_key(text, &config->providers[i]);
    config_unref(config);
    return 0;
}
