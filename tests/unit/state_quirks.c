/* What is known of a provider's model: built-in rows, and `capabilities` of config.json over them. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "state/config.h"

#define CAN(id) ((ir_capability_set)1 << IR_CAN_##id)

/* The row of a provider, as a configuration; more is further members with a comma in front. */
static struct config *configured(const char *type, const char *base_url, const char *model,
                                 const char *more)
{
    struct config *config;
    struct err err = {0};
    struct bytes text = {.max = 65536};
    bytes_addf(&text,
               "{\"providers\": [{\"name\": \"anything\", \"type\": \"%s\", \"baseURL\": \"%s\", "
               "\"apiKey\": \"\", \"models\": [\"%s\"]%s}]}",
               type, base_url, model, more);
    int r = config_parse(bytes_span(&text), "config.json", 0600, NULL, NULL, &config, NULL, &err);
    cr_assert_eq(r, 0, "%s\n%s", err.detail, text.data);
    bytes_release(&text);
    return config;
}

/* By value but for its name, which is `model`. */
static struct ir_target target_of(const char *type, const char *base_url, const char *model,
                                  const char *more)
{
    struct config *config = configured(type, base_url, model, more);
    struct ir_target target = config_target(config, &config->providers[0], span_of(model));
    config_unref(config);
    return target;
}

/* ---- patterns ---- */

static const struct {
    const char *pattern, *name;
    bool matches;
} patterns[] = {
    {"", "", true},
    {"", "a", false},
    {"*", "", true},
    {"*", "anything", true},
    {"**", "", true},
    {"glm-4.6", "GLM-4.6", true},
    {"glm-4.6", "glm-4.6v", false},
    {"glm-4.6*", "glm-4.6", true},
    {"glm-4.6*", "glm-4.6v", true},
    {"glm-4.6*", "glm-4.5", false},
    {"*-instruct", "qwen3-30b-a3b-instruct", true},
    {"*-instruct", "qwen3-instruct-2507", false},
    {"gpt-5*-chat*", "gpt-5.1-chat-latest", true},
    {"gpt-5*-chat*", "gpt-5.1-codex", false},
    {"a*b*c", "a-b-b-c", true},
    {"a*b*c", "a-c-b", false},
    {"*a*a*a*", "aa", false},
    {"*a*a*a*", "banana", true},
    {"a.b", "axb", false},
    {"*ab", "aab", true},
};

Test(quirks, a_star_stands_for_anything_and_case_does_not_count)
{
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
        cr_expect_eq(quirk_matches(span_of(patterns[i].pattern), span_of(patterns[i].name)),
                     patterns[i].matches, "%s %s", patterns[i].pattern, patterns[i].name);
}

/* Exponential in the number of stars if it went back to more than the last one. */
Test(quirks, a_pattern_of_many_stars_is_judged_at_once, .timeout = 10)
{
    char pattern[256], name[256];
    for (size_t i = 0; i < sizeof(pattern) - 2; i += 2) {
        pattern[i] = '*';
        pattern[i + 1] = 'a';
    }
    pattern[sizeof(pattern) - 2] = 'b';
    pattern[sizeof(pattern) - 1] = '\0';
    memset(name, 'a', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    cr_expect_not(quirk_matches(span_of(pattern), span_of(name)));
}

/* ---- the rows ---- */

static const struct row {
    const char *hosts, *path, *models;
    ir_capability_set on, off;
    int64_t max_output;
} rows[] = {
#define QUIRK(...) {__VA_ARGS__},
#include "state/quirks.def"
#undef QUIRK
};

/* Words with one space between them. */
static bool is_list(const char *list)
{
    size_t len = strlen(list);
    return len == 0 || (list[0] != ' ' && list[len - 1] != ' ' && !strstr(list, "  "));
}

Test(quirks, every_row_is_well_formed)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *row = &rows[i];
        cr_expect(row->hosts[0] && is_list(row->hosts) && is_list(row->models), "%s %s", row->hosts,
                  row->models);
        cr_expect(row->path[0] == '\0' || row->path[0] == '/', "%s", row->path);
        cr_expect(row->path[0] == '\0' || row->path[strlen(row->path) - 1] != '/', "%s", row->path);
        cr_expect_eq(row->on & row->off, 0, "%s %s", row->hosts, row->models);
        cr_expect(row->on | row->off | (ir_capability_set)row->max_output, "%s %s says nothing",
                  row->hosts, row->models);
        cr_expect(row->max_output >= 0 && row->max_output <= QUIRK_OUTPUT_MAX);
    }
}

/* What is expected of a target; other capabilities are not looked at. */
static const struct {
    const char *type, *base_url, *model;
    ir_capability_set on, off;
    int64_t max_output;
} known[] = {
    {"openai", "https://api.deepseek.com/v1", "deepseek-v4-flash",
     CAN(THINKING_SWITCH) | CAN(EFFORT) | CAN(REASONING_BACK) | CAN(REASONING_BACK_ALWAYS) |
         CAN(STREAM_USAGE),
     CAN(TOOL_CHOICE) | CAN(JSON_SCHEMA) | CAN(IMAGES), 384000},
    {"openai", "https://api.deepseek.com", "DeepSeek-Chat", CAN(TOOL_CHOICE), CAN(IMAGES), 384000},
    {"anthropic", "https://api.deepseek.com/anthropic", "deepseek-v4-pro", CAN(REASONING_BACK),
     CAN(OUTPUT_FORMAT) | CAN(AUTO_CACHE) | CAN(ADAPTIVE_THINKING), 384000},
    {"openai", "https://api.moonshot.cn/v1", "kimi-k2.6",
     CAN(THINKING_SWITCH) | CAN(REASONING_BACK_ALWAYS) | CAN(IMAGES) | CAN(CACHE_KEY),
     CAN(EFFORT) | CAN(SAMPLING) | CAN(TOOL_CHOICE), 262144},
    {"openai", "https://api.moonshot.ai/v1", "kimi-k2.7-code", CAN(REASONING_BACK_ALWAYS),
     CAN(THINKING_SWITCH) | CAN(EFFORT), 262144},
    {"openai", "https://api.moonshot.ai/v1", "kimi-k2-0711-preview", CAN(SAMPLING),
     CAN(IMAGES) | CAN(REASONING_BACK), 16384},
    {"anthropic", "https://api.kimi.com/coding", "k2p6", CAN(REASONING_BACK), CAN(TOOL_CHOICE),
     32768},
    {"openai", "https://open.bigmodel.cn/api/paas/v4", "glm-4.5-air", CAN(THINKING_SWITCH),
     CAN(EFFORT) | CAN(IMAGES) | CAN(TOOL_CHOICE) | CAN(REASONING_BACK), 98304},
    {"openai", "https://open.bigmodel.cn/api/coding/paas/v4", "glm-5.2",
     CAN(THINKING_SWITCH) | CAN(EFFORT) | CAN(REASONING_BACK), CAN(IMAGES) | CAN(JSON_SCHEMA),
     131072},
    {"openai", "https://api.z.ai/api/paas/v4", "glm-4.6v", CAN(IMAGES), CAN(TOOL_CHOICE), 32768},
    {"openai", "https://api.z.ai/api/coding/paas/v4", "glm-4.7", CAN(REASONING_BACK), CAN(EFFORT),
     131072},
    {"anthropic", "https://api.z.ai/api/anthropic", "glm-4.7", CAN(SAMPLING), CAN(IMAGES), 131072},
    {"openai", "https://dashscope.aliyuncs.com/compatible-mode/v1", "qwen3.7-plus",
     CAN(THINKING_FLAG) | CAN(TOP_K) | CAN(IMAGES),
     CAN(EFFORT) | CAN(TOOL_CHOICE) | CAN(SYSTEM_ANYWHERE), 64000},
    {"openai", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "qwen3.7-plus",
     CAN(THINKING_FLAG), CAN(EFFORT), 65536},
    {"openai", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "qwen3-coder-plus",
     CAN(TOOL_CHOICE), CAN(THINKING_FLAG) | CAN(IMAGES), 65536},
    {"anthropic", "https://api.minimaxi.com/anthropic", "MiniMax-M3",
     CAN(ADAPTIVE_THINKING) | CAN(IMAGES), 0, 128000},
    {"anthropic", "https://api.minimax.io/anthropic/v1", "minimax-m2.7", CAN(ADAPTIVE_THINKING),
     CAN(IMAGES), 131072},
    {"openai", "https://api.openai.com/v1", "gpt-5.2-2025-12-11",
     CAN(MAX_COMPLETION_TOKENS) | CAN(DEVELOPER_ROLE) | CAN(EFFORT) | CAN(CACHE_KEY) | CAN(FILES),
     CAN(SAMPLING) | CAN(STOP), 128000},
    {"openai", "https://api.openai.com/v1", "gpt-5.5", CAN(MAX_COMPLETION_TOKENS), CAN(EFFORT),
     128000},
    {"openai", "https://api.openai.com/v1", "o4-mini", CAN(EFFORT), CAN(PARALLEL_CALLS), 100000},
    {"openai", "https://api.openai.com/v1", "gpt-4.1-mini",
     CAN(SAMPLING) | CAN(STOP) | CAN(PARALLEL_CALLS) | CAN(JSON_SCHEMA),
     CAN(MAX_COMPLETION_TOKENS) | CAN(EFFORT) | CAN(DEVELOPER_ROLE), 32768},
    {"anthropic", "https://api.anthropic.com", "claude-sonnet-5",
     CAN(ADAPTIVE_THINKING) | CAN(AUTO_CACHE) | CAN(OUTPUT_FORMAT), CAN(SAMPLING), 128000},
    {"anthropic", "https://api.anthropic.com/v1", "claude-opus-4-8", CAN(ADAPTIVE_THINKING),
     CAN(SAMPLING), 128000},
    {"anthropic", "https://api.anthropic.com", "claude-opus-9", CAN(ADAPTIVE_THINKING),
     CAN(SAMPLING), 0},
    {"anthropic", "https://api.anthropic.com", "claude-sonnet-4-6",
     CAN(ADAPTIVE_THINKING) | CAN(SAMPLING), 0, 64000},
    {"anthropic", "https://api.anthropic.com", "claude-haiku-4-5-20251001",
     CAN(SAMPLING) | CAN(AUTO_CACHE) | CAN(OUTPUT_FORMAT), CAN(ADAPTIVE_THINKING), 64000},
    {"anthropic", "https://api.anthropic.com", "claude-opus-4-1-20250805", CAN(OUTPUT_FORMAT),
     CAN(ADAPTIVE_THINKING), 32000},
    {"anthropic", "https://api.anthropic.com", "claude-sonnet-4-20250514", CAN(SAMPLING),
     CAN(ADAPTIVE_THINKING) | CAN(OUTPUT_FORMAT), 64000},
    {"anthropic", "https://api.anthropic.com", "claude-3-5-sonnet-20241022", CAN(SAMPLING),
     CAN(ADAPTIVE_THINKING) | CAN(OUTPUT_FORMAT), 8192},
    {"openai", "https://openrouter.ai/api/v1", "z-ai/glm-5.2",
     CAN(EFFORT_OBJECT) | CAN(CACHE_MARKS) | CAN(REASONING_BACK), CAN(EFFORT) | CAN(IMAGES), 32768},
    {"openai", "https://openrouter.ai/api/v1", "anthropic/claude-sonnet-5", CAN(IMAGES),
     CAN(REASONING_BACK), 128000},
    {"openai", "https://api.groq.com/openai/v1", "openai/gpt-oss-120b",
     CAN(EFFORT) | CAN(JSON_SCHEMA), CAN(REASONING_BACK) | CAN(IMAGES), 65536},
    {"openai", "https://api.groq.com/openai/v1", "llama-3.3-70b-versatile", CAN(SAMPLING),
     CAN(EFFORT) | CAN(JSON_SCHEMA), 32768},
    {"openai", "https://api.mistral.ai/v1", "mistral-medium-latest",
     CAN(SHORT_CALL_IDS) | CAN(IMAGES), CAN(STREAM_USAGE) | CAN(SYSTEM_ANYWHERE) | CAN(EFFORT),
     262144},
    {"openai", "https://api.x.ai/v1", "grok-4.3", CAN(EFFORT), CAN(STOP), 30000},
    {"openai", "https://api.x.ai/v1", "grok-4.20-0309-non-reasoning", CAN(STOP), CAN(EFFORT),
     30000},
    {"openai", "http://localhost:11434/v1", "gpt-oss:20b", CAN(EFFORT), CAN(TOOL_CHOICE), 32768},
    {"openai", "http://[::1]:11434/v1", "qwen3-coder:30b", CAN(IMAGES),
     CAN(EFFORT) | CAN(SYSTEM_ANYWHERE), 0},
    {"openai", "http://127.0.0.1:8080/v1", "default", CAN(TOP_K), CAN(SYSTEM_ANYWHERE), 0},
    {"openai", "https://generativelanguage.googleapis.com/v1beta/openai", "gemini-3.5-flash",
     CAN(EFFORT), CAN(PARALLEL_CALLS), 65536},
};

/* The words of a set, for messages. */
static const char *words(ir_capability_set set)
{
    static char text[1024];
    text[0] = '\0';
    for (unsigned i = 0; i < IR_CAPABILITIES; i++)
        if (set >> i & 1)
            (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), " %s",
                           ir_capability_name((enum ir_capability)i));
    return text;
}

Test(quirks, providers_are_known_by_where_they_are_and_models_by_their_name)
{
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        struct ir_target target = target_of(known[i].type, known[i].base_url, known[i].model, "");
        ir_capability_set missing = known[i].on & ~target.capabilities;
        ir_capability_set extra = known[i].off & target.capabilities;
        cr_expect_eq(missing, 0, "%s %s lacks%s", known[i].base_url, known[i].model,
                     words(missing));
        cr_expect_eq(extra, 0, "%s %s has%s", known[i].base_url, known[i].model, words(extra));
        cr_expect_eq(target.max_output, known[i].max_output, "%s %s: %ld", known[i].base_url,
                     known[i].model, (long)target.max_output);
    }
}

/* Each looks like a known place but is another. */
static const char *const strangers[] = {
    "https://gateway.example/v1",
    "https://api.deepseek.com.example/v1",
    "https://example/api.deepseek.com/v1",
    "https://deepseek.com/v1",
    "https://xapi.deepseek.com/v1",
    "http://gpu-box:11434/v1",
    "http://127.0.0.1:3456/v1",
    "https://api.minimaxi.com/anthropics",
    "https://generativelanguage.googleapis.com/v1beta",
};

Test(quirks, a_place_nobody_knows_has_the_defaults)
{
    for (size_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++) {
        struct ir_target target = target_of("openai", strangers[i], "deepseek-v4-flash", "");
        cr_expect_eq(target.capabilities, ir_capabilities_default(), "%s", strangers[i]);
        cr_expect_eq(target.max_output, 0, "%s", strangers[i]);
    }
}

Test(quirks, the_demo_has_the_defaults)
{
    struct config *config;
    struct err err = {0};
    cr_assert_eq(config_load("/nonexistent", NULL, NULL, &config, NULL, &err), 0, "%s", err.detail);
    struct ir_target target = config_target(config, &config->providers[0], SPAN("demo"));
    cr_expect_eq(target.capabilities, ir_capabilities_default());
    cr_expect(span_equal(target.model, SPAN("demo")));
    config_unref(config);
}

Test(quirks, the_limit_of_every_shipped_model_is_known_but_of_local_ones)
{
    for (const char *const *name = known_provider_names(); *name; name++) {
        const struct provider_row *row = known_provider(span_of(*name));
        for (size_t i = 0; i < row->model_count && row->has_key; i++) {
            struct ir_target target = target_of(row->type, row->base_url, row->models[i], "");
            cr_expect_gt(target.max_output, 0, "%s %s", *name, row->models[i]);
        }
    }
}

/* ---- the configuration over them ---- */

#define DEEPSEEK "https://api.deepseek.com/v1"

Test(quirks, the_file_goes_over_what_is_built_in)
{
    struct ir_target before = target_of("openai", DEEPSEEK, "deepseek-v4-pro", "");
    struct ir_target after = target_of("openai", DEEPSEEK, "deepseek-v4-pro",
                                       ", \"capabilities\": {\"images\": true, \"effort\": false, "
                                       "\"stop\": null, \"maxOutputTokens\": 8192}");
    cr_expect_eq(after.capabilities, (before.capabilities | CAN(IMAGES)) & ~CAN(EFFORT));
    cr_expect_eq(after.max_output, 8192);
}

Test(quirks, what_is_said_of_a_model_goes_over_what_is_said_of_all)
{
    static const char more[] =
        ", \"capabilities\": {\"images\": false, \"maxOutputTokens\": 1000, \"models\": {"
        "\"GLM-*\": {\"images\": true, \"maxOutputTokens\": 2000}, "
        "\"glm-4.5-air\": {\"maxOutputTokens\": 98304}, \"other\": null}}";
    struct ir_target air = target_of("openai", "https://host/v1", "glm-4.5-air", more);
    cr_expect(ir_can(&air, IR_CAN_IMAGES));
    cr_expect_eq(air.max_output, 98304);
    struct ir_target other = target_of("openai", "https://host/v1", "glm-4.6", more);
    cr_expect(ir_can(&other, IR_CAN_IMAGES));
    cr_expect_eq(other.max_output, 2000);
}

/* Every word can be said, and said the other way. */
Test(quirks, every_capability_can_be_set_both_ways)
{
    for (unsigned i = 0; i < IR_CAPABILITIES; i++) {
        const char *name = ir_capability_name((enum ir_capability)i);
        for (unsigned on = 0; on < 2; on++) {
            char more[128];
            (void)snprintf(more, sizeof(more), ", \"capabilities\": {\"%s\": %s}", name,
                           on ? "true" : "false");
            struct ir_target target = target_of("openai", "https://host/v1", "m", more);
            cr_expect_eq(ir_can(&target, (enum ir_capability)i), on, "%s", more);
        }
    }
}

static const struct {
    const char *members, *message;
    bool is_warning;
} wrong[] = {
    {"\"image\": false",
     "config.json:2:2: providers[0].capabilities.image: \"image\" is not known here; it has no "
     "effect "
     "(did you mean images? see docs/CONFIG.md)",
     true},
    {"\"reasoning_back\": true", "did you mean reasoningBack? ", true},
    {"\"maxOutput\": 1", "did you mean maxOutputTokens? ", true},
    {"\"models\": {\"n\": {}}",
     "config.json:2:13: providers[0].capabilities.models.n: \"n\" is none of this provider's "
     "models; "
     "it has no effect",
     true},
    {"\"models\": {\"m\": {\"image\": true}}",
     "providers[0].capabilities.models.m.image: \"image\" is not known here; it has no effect (did "
     "you "
     "mean images?",
     true},
    {"\"images\": 1", "config.json:2:12: providers[0].capabilities.images: must be true or false",
     false},
    {"\"maxOutputTokens\": \"8k\"", "providers[0].capabilities.maxOutputTokens: must be a number",
     false},
    {"\"maxOutputTokens\": 0", "must be a whole number, 1 to 16777216 tokens", false},
    {"\"maxOutputTokens\": 1.5", "must be a whole number, 1 to 16777216 tokens", false},
    {"\"maxOutputTokens\": 16777217", "must be a whole number, 1 to 16777216 tokens", false},
    {"\"models\": [\"m\"]", "providers[0].capabilities.models: must be an object", false},
    {"\"models\": {\"m\": true}",
     "providers[0].capabilities.models.m: must be an object: {\"images\": false}", false},
    {"\"models\": {\"\": {}}", "the name is empty", false},
    {"\"models\": {\"m\": {\"models\": {}}}",
     "providers[0].capabilities.models.m.models: a model has no models of its own", false},
    {"\"images\": true, \"images\": false", "\"images\" stands here twice; before at 2:2", false},
};

Test(quirks, what_is_wrong_is_told_with_its_place)
{
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char text[512];
        struct config *config = NULL;
        struct err err = {0};
        (void)snprintf(text, sizeof(text),
                       "{\"providers\": [{\"name\": \"p\", \"type\": \"openai\", \"baseURL\": "
                       "\"https://host/v1\", \"models\": [\"m\"], \"capabilities\":\n{%s}}]}",
                       wrong[i].members);
        int r = config_parse(span_of(text), "config.json", 0600, NULL, NULL, &config, NULL, &err);
        const char *message = r < 0 ? err.detail : config->warnings[0];
        cr_expect_eq(r, wrong[i].is_warning ? 0 : -ERR_CONFIG_INVALID, "%s: %s", text, message);
        cr_expect(strstr(message, wrong[i].message), "%s\n%s", wrong[i].message, message);
        config_unref(config);
    }
}

Test(quirks, the_models_with_capabilities_of_their_own_are_bounded)
{
    struct config *config = NULL;
    struct err err = {0};
    struct bytes text = {.max = 65536};
    bytes_addf(&text, "{\"providers\": [{\"name\": \"p\", \"type\": \"demo\", \"models\": [\"m\"], "
                      "\"capabilities\": {\"models\": {");
    for (int i = 0; i < 257; i++)
        bytes_addf(&text, "%s\"m%d\": {}", i ? "," : "", i);
    bytes_addf(&text, "}}}]}");
    cr_expect_lt(
        config_parse(bytes_span(&text), "config.json", 0600, NULL, NULL, &config, NULL, &err), 0);
    cr_expect(strstr(err.detail, "more than 256 models"), "%s", err.detail);
    bytes_release(&text);
}
