/* Reading config.json: what is accepted, and what the messages say. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "state/config.h"

/* One reading and all that came of it. */
struct reading {
    struct config *config;
    struct config_problems problems;
    struct err err;
    int r;
};

static struct reading read_text(const char *text)
{
    struct reading reading = {0};
    reading.r = config_parse(span_of(text), "config.json", 0600, NULL, NULL, &reading.config,
                             &reading.problems, &reading.err);
    return reading;
}

/* The only reading of a text that must be good. */
static struct config *good(const char *text)
{
    struct reading reading = read_text(text);
    cr_assert_eq(reading.r, 0, "%s\n%s", reading.err.detail, text);
    return reading.config;
}

/* A provider row with further members, in a file of one line. */
#define PROVIDER(members)                                                                          \
    "{\"providers\": [{\"name\": \"p\", \"type\": \"openai\", \"models\": [\"m\"], " members "}]}"
#define URL        "\"baseURL\": \"https://host/v1\""
#define ROW        "{\"name\": \"p\", \"type\": \"openai\", " URL ", \"models\": [\"m\"]}"
#define ONE        "\"providers\": [" ROW "]"
#define WITH(more) "{" ONE ", " more "}"

static const char earlier_design[] =
    "{ \"providers\": [ { \"name\": \"deepseek\", \"type\": \"openai\", \"baseURL\": "
    "\"https://api.deepseek.com/v1\",\n"
    "                   \"apiKey\": \"vault:deepseek\", \"models\": [\"deepseek-chat\"], "
    "\"description\": \"...\" },\n"
    "                 { \"name\": \"glm\", \"type\": \"openai\", \"baseURL\": "
    "\"https://open.bigmodel.cn/api/paas/v4/\", \"models\": [\"glm-4.6\"] } ],\n"
    "  \"globalSettings\": { \"defaultTimeout\": 30000, \"maxRetries\": 3, \"enableLogging\": true "
    "},\n"
    "  \"defaultModel\": \"glm-4.6\", \"aliases\": {}, \"router\": {}, \"listen\": "
    "[\"127.0.0.1:3000\", \"[::1]:3000\"] }\n";

Test(config, the_earlier_design_loads_as_it_is)
{
    struct config *config = good(earlier_design);
    cr_expect_eq(config->warning_count, 0, "%s", config->warning_count ? config->warnings[0] : "");
    cr_expect_eq(config->provider_count, 2);
    const struct provider *deepseek = config_provider(config, SPAN("DeepSeek"));
    cr_assert(deepseek);
    cr_expect_str_eq(deepseek->origin, "https://api.deepseek.com:443");
    cr_expect_str_eq(deepseek->dialect->type, "openai");
    cr_expect_eq(deepseek->key_mode, KEY_MODE_VAULT);
    cr_expect_str_eq(deepseek->key_id, "deepseek");
    cr_expect_str_eq(deepseek->description, "...");
    cr_expect_str_eq(config_provider(config, SPAN("glm"))->base_url,
                     "https://open.bigmodel.cn/api/paas/v4");
    cr_expect_null(config_provider(config, SPAN("kimi")));
    cr_expect_str_eq(config->default_model, "glm-4.6");
    cr_expect_eq(config->default_model_line, 5);
    cr_expect_null(config->only_model);
    cr_expect_not(config->has_demo_only);
    cr_expect_eq(config->listen_count, 2);
    cr_expect_str_eq(config->listen[1], "[::1]:3000");
    cr_expect_str_eq(config->path, "config.json");
    config_unref(config);
}

Test(config, a_default_timeout_of_30_s_bounds_connecting_but_not_plain_answers)
{
    struct config *config = good(earlier_design);
    cr_expect_eq(config->options.defaultTimeout, 30000);
    cr_expect_eq(config->options.connectTimeout, 10000);
    cr_expect_eq(config->options.plainAnswerTimeout, 600000);
    cr_expect_eq(config->options.maxRetries, 3);
    config_unref(config);
    config = good(WITH("\"globalSettings\": {\"defaultTimeout\": 5000}"));
    cr_expect_eq(config->options.connectTimeout, 5000);
    config_unref(config);
    config = good(WITH("\"globalSettings\": {\"defaultTimeout\": 900000}"));
    cr_expect_eq(config->options.plainAnswerTimeout, 900000);
    config_unref(config);
}

Test(config, comments_trailing_commas_and_null_members_are_fine)
{
    struct config *config =
        good("// mine\n{\n  \"providers\": [ /* one */ {\"name\": \"p\","
             " \"type\": \"anthropic\", " URL ",\n \"apiKey\": null,"
             " \"models\": [\"a//b\", \"c\",], // two\n }, ],\n"
             " \"listen\": null,\n \"globalSettings\": {\"maxRetries\": null},\n}");
    cr_expect_eq(config->warning_count, 0);
    cr_expect_str_eq(config->providers[0].models[0], "a//b");
    cr_expect_eq(config->providers[0].model_count, 2);
    cr_expect_eq(config->listen_count, 2);
    cr_expect_eq(config->options.maxRetries, 3);
    config_unref(config);
}

Test(config, escapes_in_names_and_values_are_decoded)
{
    struct config *config = good("{\"pro\\u0076iders\": [{\"n\\u0061me\": \"\\u0070\", \"type\": "
                                 "\"open\\u0061i\", \"baseURL\": \"https:\\/\\/host\\/v1\", "
                                 "\"models\": [\"\\u00fc\"]}]}");
    cr_expect_str_eq(config->providers[0].name, "p");
    cr_expect_str_eq(config->providers[0].base_url, "https://host/v1");
    cr_expect_str_eq(config->only_model, "\xc3\xbc");
    config_unref(config);
}

/* ---- messages ---- */

static const struct {
    const char *text;
    const char *message;
} errors[] = {
    {"", "config.json:1:1: the file is empty"},
    {" \n // nothing\n", "config.json:1:1: the file is empty"},
    {"{\"providers\": [}", "config.json:1:16: not valid JSON: "},
    {"{\n  \"providers\": []", "config.json:"},
    {"{} x", "config.json:1:4: not valid JSON: "},
    {"[]", "config.json:1:1: a configuration is an object: {\"providers\": [...]}"},
    {"{\"providers\": {}}", "config.json:1:15: providers: must be an array"},
    {"{\"providers\": [7]}", "config.json:1:16: providers[0]: a provider is an object"},
    {"{\"providers\": [{}]}", "config.json:1:16: providers[0]: this provider has no \"name\""},
    {"{\n \"providers\": [\n  {\"name\": \"a b\"}]}",
     "config.json:3:12: providers[0].name: \"a b\" is not a provider's name: 1 to 63 letters, "
     "digits, '.', '_' or '-'"},
    {"{\"providers\": [{\"name\": \"p\", " URL "}]}", "this provider has no \"type\""},
    {"{\"providers\": [{\"name\": \"p\", \"type\": \"opanai\"}]}",
     "config.json:1:38: providers[0].type: \"opanai\" is not a type (did you mean openai? known: "
     "openai, anthropic, demo)"},
    {"{\"providers\": [{\"name\": \"p\", \"type\": \"x\"}]}",
     "\"x\" is not a type (known: openai, anthropic, demo)"},
    {PROVIDER("\"description\": \"\""), "providers[0]: this provider has no \"baseURL\""},
    {"{\"providers\": [{\"name\": \"kimi\", \"type\": \"openai\"}]}",
     "no \"baseURL\"; that of the known provider is https://api.moonshot.cn/v1"},
    {PROVIDER("\"baseURL\": \"https://a@b\""), "providers[0].baseURL: no user name or password"},
    {PROVIDER("\"baseURL\": \"http://host/v1\""),
     "providers[0].baseURL: a key would travel unencrypted: use https, or \"apiKey\": \"\" when "
     "this provider takes none"},
    {PROVIDER("\"baseURL\": 7"), "providers[0].baseURL: must be a string"},
    {PROVIDER(URL ", \"apiKey\": 7"), "providers[0].apiKey: must be a string"},
    {PROVIDER(URL ", \"apiKey\": \"$KEY\""),
     "providers[0].apiKey: variables are not replaced here; leave \"apiKey\" out and run: aictl "
     "login p"},
    {PROVIDER(URL ", \"apiKey\": \"${KEY}\""), "variables are not replaced here"},
    {PROVIDER(URL ", \"apiKey\": \"vault:\""), "\"vault:\" is followed by a key's name"},
    {PROVIDER(URL ", \"apiKey\": \"sk-\\n1\""), "the key has a space, a control character"},
    {PROVIDER(URL ", \"models\": []"),
     "config.json:1:95: providers[0].models: \"models\" stands here twice; before at 1:48"},
    {"{\"providers\": [], \"x\": {\"y\": [1, {\"z\": 1, \"\\u007a\": 2}]}}",
     "config.json:1:43: x.y[1][\"\\u007a\"]: \"z\" stands here twice; before at 1:35"},
    {"{\"providers\": [{\"name\": \"p\", \"type\": \"openai\", " URL ", \"models\": [\"m\", 7]}]}",
     "providers[0].models[1]: a model is a string, its name"},
    {"{\"providers\": [{\"name\": \"p\", \"type\": \"openai\", " URL ", \"models\": [\"\"]}]}",
     "providers[0].models[0]: the name is empty"},
    {"{\"providers\": [{\"name\": \"p\", \"type\": \"openai\", " URL ", \"models\": [\"a\\tb\"]}]}",
     "providers[0].models[0]: the name has a control character"},
    {"{\"providers\": [{\"name\": \"p\", \"type\": \"openai\", " URL ", \"models\": [\"aictl\"]}]}",
     "\"aictl\" always means the project's model"},
    {"{" ONE ", \"providers\": []}", "\"providers\" stands here twice; before at 1:2"},
    {WITH("\"defaultModel\": \"x\""), "defaultModel: \"x\" is no configured model ("},
    {WITH("\"defaultModel\": \"aictl\""), "defaultModel: \"aictl\" means the project's model"},
    {WITH("\"defaultModel\": \"gpt-5\""), "defaultModel: \"gpt-5\" is no configured model"},
    {WITH("\"defaultModel\": [\"m\"]"), "defaultModel: must be a string"},
    {WITH("\"aliases\": {\"fast\": 7}"), "aliases.fast: an alias is a model's name"},
    {WITH("\"aliases\": {\"fast\": \"x\"}"), "aliases.fast: \"x\" is no configured model ("},
    {WITH("\"aliases\": {\"a\": \"b\", \"b\": \"a\"}"), "aliases.a: this alias leads to no model"},
    {WITH("\"aliases\": {\"a\": \"m\", \"A\": \"m\"}"), "this alias stands here twice"},
    {WITH("\"aliases\": {\"aictl\": \"m\"}"), "this name always means the project's model"},
    {WITH("\"router\": []"), "router: must be an object"},
    {WITH("\"lan\": true"), "lan: not supported yet"},
    {WITH("\"lan\": 1"), "lan: must be true or false"},
    {WITH("\"listen\": []"), "listen: names no address"},
    {WITH("\"listen\": [3000]"), "listen[0]: must be a string as \"127.0.0.1:3000\""},
    {WITH("\"listen\": [\"0.0.0.0:3000\"]"),
     "listen[0]: \"0.0.0.0:3000\" is not a loopback address; only 127.0.0.1, [::1] and localhost "
     "can be listened on in this version"},
    {WITH("\"listen\": [\":3000\"]"), "\":3000\" is not a loopback address"},
    {WITH("\"listen\": [\"192.168.1.5:3000\"]"), "is not a loopback address"},
    {WITH("\"listen\": [\"[::]:3000\"]"), "is not a loopback address"},
    {WITH("\"listen\": [\"127.0.0.1\"]"), "\"127.0.0.1\" has no port in 0..65535"},
    {WITH("\"listen\": [\"127.0.0.1:65536\"]"), "has no port in 0..65535"},
    {WITH("\"listen\": [\"127.0.0.1:+80\"]"), "has no port in 0..65535"},
    {WITH("\"globalSettings\": {\"maxRetries\": 11}"),
     "globalSettings.maxRetries: 11 is out of range: 0 to 10"},
    {WITH("\"globalSettings\": {\"defaultTimeout\": 30}"),
     "globalSettings.defaultTimeout: 30 is out of range: 1000 to 3600000 ms"},
    {WITH("\"globalSettings\": {\"defaultTimeout\": \"30s\"}"), "must be a whole number"},
    {WITH("\"globalSettings\": {\"defaultTimeout\": 1000.5}"), "must be a whole number"},
    {WITH("\"globalSettings\": {\"enableLogging\": 1}"), "must be true or false"},
    {"{\"Providers\": [{\"name\": \"p\", \"api_base_url\": \"https://host/v1/chat/completions\"}]}",
     "config.json:1:15: Providers: this is a claude-code-router file"},
    {"{\"providers\": [{\"name\": \"p\", \"type\": \"demo\"}, {\"name\": \"P\"}]}",
     "providers[1].name: another provider is called p already"},
};

Test(config, every_error_says_what_and_where)
{
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        struct reading reading = read_text(errors[i].text);
        cr_expect_eq(reading.r, -ERR_CONFIG_INVALID, "%s", errors[i].text);
        cr_expect_null(reading.config);
        cr_expect(strstr(reading.err.detail, errors[i].message), "%s\n gives: %s\n wanted: %s",
                  errors[i].text, reading.err.detail, errors[i].message);
        cr_expect(strstr(reading.err.detail, "config.json:") == reading.err.detail, "%s",
                  reading.err.detail);
    }
}

static const struct {
    const char *text;
    const char *warning;
} warnings[] = {
    {"{}", "config.json:1:1: no provider is configured; add one: aictl login NAME"},
    {WITH("\"defaultmodel\": \"m\""),
     "config.json:1:97: defaultmodel: \"defaultmodel\" is not known "
     "here; it has no effect (did you mean defaultModel? see "
     "docs/CONFIG.md)"},
    {PROVIDER(URL ", \"base_url\": \"x\""), "(did you mean baseURL? see docs/CONFIG.md)"},
    {PROVIDER(URL ", \"api_key\": \"x\""), "(did you mean apiKey? see docs/CONFIG.md)"},
    {PROVIDER(URL ", \"zzz\": 1"),
     "\"zzz\" is not known here; it has no effect (see docs/CONFIG.md)"},
    {WITH("\"globalSettings\": {\"maxRetry\": 1}"), "(did you mean maxRetries? "},
    {WITH("\"router\": {\"think\": \"m\"}"), "router: not used yet: roles come later"},
    {WITH("\"allowedHosts\": [\"box\"]"), "allowedHosts: not used yet"},
    {WITH("\"listen\": [\"localhost:1\", \"[::1]:1\"]"), "[::1]:1 is listed already"},
    {WITH("\"aliases\": {\"M\": \"m\"}"), "aliases.M: a configured model has this name"},
    {"{\"providers\": [{\"name\": \"p\", \"type\": \"openai\", " URL "}]}",
     "provider p has no models"},
    {"{\"providers\": [{\"name\": \"p\", \"type\": \"openai\", " URL
     ", \"models\": [\"m\", \"M\"]}]}",
     "providers[0].models[1]: \"M\" is listed already"},
    {"{\"providers\": [{\"name\": \"g\", \"type\": \"gemini\", \"models\": [\"m\"]}]}",
     "this version cannot serve type gemini yet; provider g is left out"},
    {"{\"providers\": [{\"name\": \"d\", \"type\": \"demo\", \"apiKey\": \"x\"}]}",
     "a provider of type demo needs none"},
};

Test(config, what_has_no_effect_is_a_warning_with_its_place)
{
    for (size_t i = 0; i < sizeof(warnings) / sizeof(warnings[0]); i++) {
        struct config *config = good(warnings[i].text);
        bool found = false;
        for (size_t w = 0; w < config->warning_count; w++)
            found = found || strstr(config->warnings[w], warnings[i].warning);
        cr_expect(found, "%s\n gives: %s", warnings[i].text,
                  config->warning_count ? config->warnings[0] : "nothing");
        config_unref(config);
    }
}

Test(config, all_problems_are_listed_in_the_order_of_the_text)
{
    struct reading reading = read_text(
        "{\n\"defaultModel\": \"x\",\n\"colour\": 1,\n\"providers\": [\n{\"name\": \"p\",\n"
        "\"type\": \"y\"}],\n\"globalSettings\": {\"maxRetries\": -1}\n}");
    const struct config_problems *problems = &reading.problems;
    unsigned lines[] = {2, 3, 5, 6, 7};
    cr_assert_eq(problems->count, 5);
    for (size_t i = 0; i < 5; i++)
        cr_expect_eq(problems->list[i].line, lines[i], "%s", problems->list[i].message);
    cr_expect(problems->list[1].is_warning);
    cr_expect(strstr(reading.err.detail, "config.json:2:17: defaultModel: "), "%s",
              reading.err.detail);
}

Test(config, an_error_finds_room_in_a_list_full_of_warnings)
{
    struct bytes text = {.max = 65536};
    bytes_add_span(&text, SPAN("{"));
    for (int i = 0; i < 100; i++)
        bytes_addf(&text, "\"unknown%d\": 1,\n", i);
    bytes_add_span(&text, SPAN("\"lan\": true}"));
    struct reading reading = read_text(text.data);
    cr_expect_eq(reading.r, -ERR_CONFIG_INVALID);
    cr_expect_eq(reading.problems.count, 32);
    cr_expect(strstr(reading.err.detail, "config.json:101:8: lan: "), "%s", reading.err.detail);
    bytes_release(&text);
}

/* ---- names ---- */

Test(config, the_only_model_is_known_as_such)
{
    struct config *config = good("{" ONE "}");
    cr_expect_str_eq(config->only_model, "m");
    cr_expect_null(config->default_model);
    cr_expect_eq(config->catalogue.model_count, 1);
    cr_expect_str_eq(config->catalogue.models[0].provider, "p");
    config_unref(config);
}

Test(config, a_default_model_may_be_an_alias_or_name_its_provider)
{
    static const char *const names[] = {"m", "M", "p/m", "p,m", "fast", "again"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char text[512];
        (void)snprintf(text, sizeof(text),
                       WITH("\"aliases\": {\"again\": \"fast\", \"fast\": \"p/m\", \"now\": "
                            "\"aictl\"}, \"defaultModel\": \"%s\""),
                       names[i]);
        struct config *config = good(text);
        cr_expect_str_eq(config->default_model, names[i]);
        cr_expect_eq(config->warning_count, 0);
        cr_expect_eq(config->catalogue.alias_count, 3);
        config_unref(config);
    }
}

Test(config, a_model_of_a_provider_that_was_left_out_does_not_break_the_file)
{
    struct config *config = good(
        "{\"providers\": [{\"name\": \"g\", \"type\": \"gemini\", \"baseURL\": \"https://host\","
        " \"models\": [\"gemini-x\"]}, {\"name\": \"p\", \"type\": \"openai\", " URL
        ", \"models\": [\"m\", \"n\"]}], \"defaultModel\": \"gemini-x\","
        " \"aliases\": {\"g\": \"gemini-x\", \"h\": \"g\"}}");
    cr_expect_eq(config->provider_count, 1);
    cr_expect_null(config->default_model);
    cr_expect_eq(config->warning_count, 4);
    config_unref(config);
}

/* ---- keys ---- */

static const struct {
    const char *members;
    enum key_mode mode;
    const char *id;
} key_modes[] = {
    {URL, KEY_MODE_VAULT, "p"},
    {URL ", \"apiKey\": \"\"", KEY_MODE_NONE, "p"},
    {URL ", \"apiKey\": null", KEY_MODE_VAULT, "p"},
    {URL ", \"apiKey\": \"vault:other\"", KEY_MODE_VAULT, "other"},
    {URL ", \"apiKey\": \"sk-plain\"", KEY_MODE_VAULT, "p"},
    {"\"baseURL\": \"http://localhost:11434/v1\"", KEY_MODE_NONE, "p"},
    {"\"baseURL\": \"http://127.0.0.1:1/v1\"", KEY_MODE_NONE, "p"},
    {"\"baseURL\": \"http://[::1]:1/v1\", \"apiKey\": \"vault:p\"", KEY_MODE_VAULT, "p"},
    {"\"baseURL\": \"http://gpu-box/v1\", \"apiKey\": \"\"", KEY_MODE_NONE, "p"},
};

Test(config, a_provider_elsewhere_wants_its_key_from_the_vault_and_a_local_one_none)
{
    for (size_t i = 0; i < sizeof(key_modes) / sizeof(key_modes[0]); i++) {
        char text[512];
        (void)snprintf(text, sizeof(text),
                       "{\"providers\": [{\"name\": \"p\", \"type\": \"openai\", \"models\": "
                       "[\"m\"], %s}]}",
                       key_modes[i].members);
        struct config *config = good(text);
        cr_expect_eq(config->providers[0].key_mode, key_modes[i].mode, "%s", text);
        cr_expect_str_eq(config->providers[0].key_id, key_modes[i].id, "%s", text);
        config_unref(config);
    }
}

struct seen_keys {
    unsigned count;
    char text[256];
};

static void see_key(void *ctx, const char *provider, const char *origin, struct span key)
{
    struct seen_keys *seen = ctx;
    seen->count++;
    (void)snprintf(seen->text, sizeof(seen->text), "%s %s " SPAN_FMT, provider, origin,
                   SPAN_ARG(key));
}

static const char with_plain_key[] = PROVIDER(URL ", \"apiKey\": \"sk\\u002dplain\"");

Test(config, a_plain_key_is_handed_over_once_and_never_shown)
{
    struct seen_keys seen = {0};
    struct config *config;
    struct err err = {0};
    int r = config_parse(span_of(with_plain_key), "config.json", 0600, see_key, &seen, &config,
                         NULL, &err);
    cr_assert_eq(r, 0, "%s", err.detail);
    cr_expect_eq(seen.count, 1);
    cr_expect_str_eq(seen.text, "p https://host:443 sk-plain");
    cr_expect_eq(config->warning_count, 1);
    cr_expect(strstr(config->warnings[0],
                     "providers[0].apiKey: a plain key; move it into the vault: aictl import "
                     "config.json"),
              "%s", config->warnings[0]);
    cr_expect_not(strstr(config->warnings[0], "plain\""));
    config_unref(config);
}

Test(config, a_plain_key_in_a_file_others_may_read_is_refused)
{
    static const unsigned modes[] = {0644, 0640, 0604, 0660, 0601};
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        struct seen_keys seen = {0};
        struct config *config = NULL;
        struct err err = {0};
        cr_expect_eq(config_parse(span_of(with_plain_key), "config.json", modes[i], see_key, &seen,
                                  &config, NULL, &err),
                     -ERR_CONFIG_INVALID);
        cr_expect_eq(seen.count, 0);
        cr_expect(strstr(err.detail, "run: chmod 600 config.json"), "%s", err.detail);
        cr_expect_not(strstr(err.detail, "sk-"));
    }
}

Test(config, keys_of_a_bad_file_are_not_handed_over)
{
    struct seen_keys seen = {0};
    struct config *config = NULL;
    cr_expect_lt(config_parse(SPAN("{\"lan\": true, \"providers\": [{\"name\": \"p\", \"type\": "
                                   "\"openai\", " URL ", \"apiKey\": \"sk-plain\"}]}"),
                              "config.json", 0600, see_key, &seen, &config, NULL, NULL),
                 0);
    cr_expect_eq(seen.count, 0);
}

/* ---- sizes ---- */

/* "before0behind, before1behind, ..." */
static void add_many(struct bytes *text, const char *before, const char *behind, int count)
{
    for (int i = 0; i < count; i++)
        bytes_addf(text, "%s%s%d%s", i ? "," : "", before, i, behind);
}

Test(config, lists_are_bounded)
{
    struct bytes text = {.max = 2 * CONFIG_MAX_BYTES};
    bytes_addf(&text, "{\"providers\": [{\"name\": \"p\", \"type\": \"demo\", \"models\": [");
    add_many(&text, "\"m", "\"", 1025);
    bytes_addf(&text, "]}]}");
    struct reading reading = read_text(text.data);
    cr_expect(strstr(reading.err.detail, "more than 1024 models"), "%s", reading.err.detail);

    bytes_clear(&text);
    bytes_addf(&text, "{\"providers\": [");
    add_many(&text, "{\"name\": \"p", "\", \"type\": \"demo\"}", 257);
    bytes_addf(&text, "]}");
    reading = read_text(text.data);
    cr_expect(strstr(reading.err.detail, "more than 256 providers"), "%s", reading.err.detail);

    bytes_clear(&text);
    bytes_addf(&text, "{\"aliases\": {");
    add_many(&text, "\"a", "\": \"m\"", 1025);
    bytes_addf(&text, "}}");
    reading = read_text(text.data);
    cr_expect(strstr(reading.err.detail, "more than 1024 aliases"), "%s", reading.err.detail);

    bytes_clear(&text);
    while (text.len <= CONFIG_MAX_BYTES)
        bytes_addf(&text, "%1024s", "");
    reading = read_text(text.data);
    cr_expect(strstr(reading.err.detail, "config.json:1:1: the file is larger than 1 MiB"), "%s",
              reading.err.detail);
    bytes_release(&text);
}

/* ---- files ---- */

static void write_file(const char *path, const char *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    cr_assert_eq(fchmod(fd, mode), 0);
    close(fd);
}

Test(config, a_missing_file_gives_the_demo_provider_plainly_labelled)
{
    struct config *config;
    struct config_problems problems;
    struct err err = {0};
    cr_assert_eq(config_load("/nonexistent/config.json", NULL, NULL, &config, &problems, &err), 0,
                 "%s", err.detail);
    cr_expect(config->has_demo_only);
    cr_expect_str_eq(config->path, "");
    cr_expect_eq(config->warning_count, 0);
    cr_expect_eq(config->provider_count, 1);
    const struct provider *demo = &config->providers[0];
    cr_expect(demo->is_demo);
    cr_expect_eq(demo->model_count, 2);
    cr_expect_eq(demo->key_mode, KEY_MODE_NONE);
    cr_expect_str_eq(demo->origin, "unix:demo");
    cr_expect(strstr(demo->description, "invented"));
    cr_expect_str_eq(config->default_model, "demo");
    config_unref(config);
}

Test(config, a_file_is_read_with_its_mode)
{
    char dir[] = "/tmp/aictl-config-XXXXXX", path[64];
    struct config *config = NULL;
    struct err err = {0};
    cr_assert(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/config.json", dir);
    write_file(path, with_plain_key, 0644);
    cr_expect_eq(config_load(path, NULL, NULL, &config, NULL, &err), -ERR_CONFIG_INVALID);
    cr_expect(strstr(err.detail, "(mode 0644); run: chmod 600 /tmp/"), "%s", err.detail);
    write_file(path, with_plain_key, 0600);
    cr_assert_eq(config_load(path, NULL, NULL, &config, NULL, &err), 0, "%s", err.detail);
    cr_expect_str_eq(config->path, path);
    config_unref(config);
    write_file(path, "", 0600);
    cr_expect_eq(config_load(path, NULL, NULL, &config, NULL, &err), -ERR_CONFIG_INVALID);
    cr_expect(strstr(err.detail, "the file is empty"), "%s", err.detail);
    unlink(path);
    cr_assert_eq(mkdir(path, 0700), 0);
    cr_expect_lt(config_load(path, NULL, NULL, &config, NULL, &err), 0);
    rmdir(path);
    rmdir(dir);
}

Test(config, a_snapshot_lives_as_long_as_somebody_holds_it)
{
    struct config *config = good("{" ONE "}");
    struct config *held = config_ref(config);
    cr_expect_null(config_unref(config));
    cr_expect_str_eq(held->providers[0].name, "p");
    cr_expect_null(config_unref(held));
    cr_expect_null(config_unref(NULL));
}

/* ---- known providers ---- */

Test(config, every_known_provider_makes_a_valid_row)
{
    for (const char *const *name = known_provider_names(); *name; name++) {
        const struct provider_row *row = known_provider(span_of(*name));
        cr_assert(row, "%s", *name);
        struct bytes text = {.max = 65536};
        struct err err = {0};
        cr_assert_eq(config_edit_provider(SPAN(""), row, &text, &err), 0, "%s", err.detail);
        struct config *config = good(text.data);
        cr_expect_eq(config->warning_count, 0, "%s", text.data);
        cr_expect_eq(config->providers[0].key_mode, row->has_key ? KEY_MODE_VAULT : KEY_MODE_NONE);
        cr_expect_str_eq(config->default_model, row->models[0]);
        config_unref(config);
        bytes_release(&text);
    }
    cr_expect(known_provider(SPAN("DeepSeek")));
    cr_expect_null(known_provider(SPAN("nobody")));
}
