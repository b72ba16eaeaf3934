/* What the methods do and say, without a socket; see control_world.h. */
#include "unit/control_world.h"

#include <string.h>

#define CANARY_KEY "sk-canary-0123456789abcdef-LAST"

static const char config_text[] =
    "{\n"
    "  \"providers\": [\n"
    "    { \"name\": \"glm\", \"type\": \"openai\", \"baseURL\": "
    "\"https://open.bigmodel.cn/api/paas/v4\",\n"
    "      \"apiKey\": \"vault:glm\", \"models\": [\"glm-4.6\", \"glm-4.5-air\"] },\n"
    "    { \"name\": \"second\", \"type\": \"anthropic\", \"baseURL\": "
    "\"https://second.example/api\",\n"
    "      \"apiKey\": \"vault:second\", \"models\": [\"GLM-4.6\", \"claude-x\"] },\n"
    "    // kept when the file is rewritten\n"
    "    { \"name\": \"local\", \"type\": \"openai\", \"baseURL\": \"http://localhost:11434/v1\",\n"
    "      \"apiKey\": \"\", \"models\": [\"llama\"] }\n"
    "  ],\n"
    "  \"defaultModel\": \"llama\",\n"
    "  \"aliases\": { \"fast\": \"glm-4.5-air\" }\n"
    "}\n";

static struct outcome call(struct world *world, const char *method, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* world_call() with printf. */
static struct outcome call(struct world *world, const char *method, const char *format, ...)
{
    char params[4096];
    va_list args;
    va_start(args, format);
    vsnprintf(params, sizeof(params), format, args);
    va_end(args);
    return world_call(world, method, params);
}

static void expect_error(struct world *world, const char *method, const char *params, int kind,
                         const char *part)
{
    struct outcome outcome = world_call(world, method, params);
    cr_expect_eq(outcome.err.kind, kind, "%s %s: %s %s", method, params,
                 error_row(outcome.err.kind)->name, outcome.err.detail);
    cr_expect(strstr(outcome.err.detail, part), "%s %s: %s", method, params, outcome.err.detail);
    cr_expect_null(outcome.result);
    outcome_release(&outcome);
}

static void expect_ok(const struct outcome *outcome)
{
    cr_assert_eq(outcome->err.kind, 0, "%s: %s", error_row(outcome->err.kind)->name,
                 outcome->err.detail);
}

static bool file_has(const char *path, const char *text)
{
    struct bytes bytes = place_read(path);
    bool has = strstr(bytes.data ? bytes.data : "", text) != NULL;
    bytes_release(&bytes);
    return has;
}

/* ---- the daemon ---- */

Test(methods, describe_tells_every_row)
{
    struct world world;
    world_init(&world, config_text);
    struct outcome outcome = call(&world, "rpc.describe", "{}");
    expect_ok(&outcome);
    cr_expect_eq(cJSON_GetArraySize(outcome_item(&outcome, "methods")), METHOD_COUNT);
    cr_expect_eq(cJSON_GetArraySize(outcome_item(&outcome, "errors")), ERR_COUNT - 1);
    cr_expect_str_eq(outcome_text(&outcome, "methods.0.name"), "rpc.describe");
    outcome_release(&outcome);
    world_release(&world);
}

Test(methods, what_is_wrong_with_a_call_comes_back_like_an_answer)
{
    struct world world;
    world_init(&world, config_text);
    expect_error(&world, "nonsense", "{}", ERR_NO_SUCH_METHOD, "\"nonsense\"");
    expect_error(&world, "status", "{\"x\": 1}", ERR_BAD_PARAMS, "\"x\"");
    expect_error(&world, "status", "{\"recent\": -1}", ERR_BAD_PARAMS, "recent");
    expect_error(&world, "status", "{\"recent\": 257}", ERR_BAD_PARAMS, "recent");
    expect_error(&world, "model.get", "{\"dir\": \"relative\"}", ERR_INVALID_REQUEST, "dir");
    world_release(&world);
}

Test(methods, status_shows_what_is_effective_and_each_provider)
{
    struct world world;
    world_init(&world, config_text);
    struct outcome outcome = call(&world, "status", "{\"dir\": \"%s\"}", world.project);
    expect_ok(&outcome);
    cr_expect_str_eq(outcome_text(&outcome, "model"), "llama");
    cr_expect_str_eq(outcome_text(&outcome, "provider"), "local");
    cr_expect_str_eq(outcome_text(&outcome, "source"), "config");
    cr_expect_str_eq(outcome_text(&outcome, "project.name"), "shop");
    cr_expect_str_eq(outcome_text(&outcome, "vault"), "unlocked");
    cr_expect_str_eq(outcome_text(&outcome, "urls.1"), "http://[::1]:3000");
    cr_expect(strstr(outcome_text(&outcome, "token_masked"), "sk-aictl-"));
    cr_expect(cJSON_IsNull(outcome_item(&outcome, "config.error")));
    cr_expect_str_eq(outcome_text(&outcome, "providers.0.key"), "missing");
    cr_expect_str_eq(outcome_text(&outcome, "providers.0.state"), "unknown");
    cr_expect_str_eq(outcome_text(&outcome, "providers.2.key"), "none needed");
    cr_expect(cJSON_IsNull(outcome_item(&outcome, "providers.0.last_ok_ms_ago")));
    outcome_release(&outcome);
    outcome = call(&world, "token.list", "{}");
    cr_expect_eq(cJSON_GetArraySize(outcome_item(&outcome, "tokens")), 1);
    cr_expect(cJSON_IsNull(outcome_item(&outcome, "tokens.0.dir")),
              "a look makes only the global one");
    outcome_release(&outcome);
    world_release(&world);
}

Test(methods, status_lists_attempts_newest_first)
{
    struct world world;
    world_init(&world, config_text);
    struct attempt_record record = {.model = "first", .first_byte_ms = -1, .total_ms = 5};
    ledger_start(world.gateway.ledger, &record);
    strcpy(record.model, "second");
    record.end = END_DONE;
    ledger_end(world.gateway.ledger, ledger_start(world.gateway.ledger, &record), &record);
    struct outcome outcome = call(&world, "status", "{\"recent\": 2}");
    expect_ok(&outcome);
    cr_expect_str_eq(outcome_text(&outcome, "recent.0.model"), "second");
    cr_expect_str_eq(outcome_text(&outcome, "recent.0.end"), "done");
    cr_expect_str_eq(outcome_text(&outcome, "recent.1.model"), "first");
    cr_expect(cJSON_IsNull(outcome_item(&outcome, "recent.1.first_byte_ms")));
    outcome_release(&outcome);
    outcome = call(&world, "status", "{}");
    cr_expect_eq(cJSON_GetArraySize(outcome_item(&outcome, "recent")), 0);
    outcome_release(&outcome);
    world_release(&world);
}

Test(methods, a_provider_that_fails_says_why_until_its_key_changes)
{
    struct world world;
    world_init(&world, config_text);
    struct health *health = gateway_health(&world.gateway, "glm");
    health->last_error_kind = ERR_PROVIDER_AUTH;
    health->last_error_ms = loop_now_ms(world.loop);
    strcpy(health->last_error, "401 wrong key");
    struct outcome outcome = call(&world, "provider.list", "{}");
    cr_expect_str_eq(outcome_text(&outcome, "providers.0.state"), "failing");
    cr_expect_str_eq(outcome_text(&outcome, "providers.0.error"), "401 wrong key");
    outcome_release(&outcome);
    outcome = call(&world, "key.set", "{\"provider\": \"glm\", \"key\": \"" CANARY_KEY "\"}");
    expect_ok(&outcome);
    outcome_release(&outcome);
    outcome = call(&world, "provider.list", "{}");
    cr_expect_str_eq(outcome_text(&outcome, "providers.0.state"), "unknown");
    cr_expect_str_eq(outcome_text(&outcome, "providers.0.key.state"), "ok");
    outcome_release(&outcome);
    world_release(&world);
}

Test(methods, reload_counts_and_stop_only_asks)
{
    struct world world;
    world_init(&world, config_text);
    struct outcome outcome = call(&world, "daemon.reload", "{}");
    expect_ok(&outcome);
    cr_expect_eq(outcome_item(&outcome, "providers")->valueint, 3);
    cr_expect_eq(outcome_item(&outcome, "models")->valueint, 5);
    outcome_release(&outcome);
    world.refuses_reload = true;
    expect_error(&world, "daemon.reload", "{}", ERR_CONFIG_INVALID, "played");
    outcome = call(&world, "daemon.stop", "{}");
    expect_ok(&outcome);
    cr_expect(outcome.stops_daemon);
    cr_expect_eq(world.stop_count, 0, "the answer goes first");
    outcome_release(&outcome);
    world_release(&world);
}

/* ---- models ---- */

Test(methods, models_are_listed_once_with_all_their_providers)
{
    struct world world;
    world_init(&world, config_text);
    struct outcome outcome = call(&world, "model.list", "{\"pattern\": \"GLM\"}");
    expect_ok(&outcome);
    cr_expect_eq(cJSON_GetArraySize(outcome_item(&outcome, "models")), 2);
    cr_expect_str_eq(outcome_text(&outcome, "models.0.id"), "glm-4.5-air");
    cr_expect_str_eq(outcome_text(&outcome, "models.0.aliases.0"), "fast");
    cr_expect_str_eq(outcome_text(&outcome, "models.1.id"), "glm-4.6");
    cr_expect_str_eq(outcome_text(&outcome, "models.1.providers.0"), "glm");
    cr_expect_str_eq(outcome_text(&outcome, "models.1.providers.1"), "second");
    cr_expect_str_eq(outcome_text(&outcome, "models.1.types.1"), "anthropic");
    outcome_release(&outcome);
    outcome = call(&world, "model.list", "{\"pattern\": \"fas\"}");
    cr_expect_eq(cJSON_GetArraySize(outcome_item(&outcome, "models")), 1, "aliases count too");
    outcome_release(&outcome);
    world_release(&world);
}

static void expect_switch(struct world *world, const char *model, const char *now,
                          const char *provider, const char *previous)
{
    struct outcome outcome =
        call(world, "model.switch", "{\"dir\": \"%s\", \"model\": \"%s\"}", world->project, model);
    expect_ok(&outcome);
    cr_expect_str_eq(outcome_text(&outcome, "model"), now);
    cr_expect_str_eq(outcome_text(&outcome, "provider"), provider);
    cr_expect_str_eq(outcome_text(&outcome, "previous"), previous);
    cr_expect_str_eq(outcome_text(&outcome, "effective"), now);
    cr_expect_str_eq(outcome_text(&outcome, "scope"), "project");
    cr_expect_str_eq(outcome_text(&outcome, "project.dir"), world->project);
    outcome_release(&outcome);
    outcome = call(world, "model.get", "{\"dir\": \"%s\"}", world->project);
    cr_expect_str_eq(outcome_text(&outcome, "model"), now);
    cr_expect_str_eq(outcome_text(&outcome, "provider"), provider);
    cr_expect_str_eq(outcome_text(&outcome, "source"), "pin");
    outcome_release(&outcome);
}

Test(methods, switch_pins_the_project_and_tells_shells)
{
    struct world world;
    world_init(&world, config_text);
    expect_switch(&world, "GLM-4.6", "glm-4.6", "glm", "llama");
    expect_switch(&world, "second/glm-4.6", "GLM-4.6", "second", "glm-4.6");
    expect_switch(&world, "fast", "glm-4.5-air", "glm", "GLM-4.6");
    expect_switch(&world, "-", "GLM-4.6", "second", "glm-4.5-air");
    cr_expect_eq(world.announce_count, 4);
    world_release(&world);
}

/* Switches, and holds the answer against what is expected; NULL is null. */
static void expect_step(struct world *world, const char *dir, const char *model, const char *pinned,
                        const char *effective, const char *source)
{
    struct outcome outcome =
        call(world, "model.switch", "{\"dir\": \"%s\", \"model\": \"%s\"}", dir, model);
    expect_ok(&outcome);
    cr_expect_str_eq(outcome_text(&outcome, "model"), pinned ? pinned : "");
    cr_expect_eq(cJSON_IsNull(outcome_item(&outcome, "model")), pinned == NULL);
    cr_expect_eq(cJSON_IsNull(outcome_item(&outcome, "provider")), pinned == NULL);
    cr_expect_str_eq(outcome_text(&outcome, "effective"), effective);
    cr_expect_str_eq(outcome_text(&outcome, "source"), source);
    cr_expect_str_eq(outcome_text(&outcome, "project.dir"), world->project);
    outcome_release(&outcome);
}

Test(methods, switching_back_from_the_first_choice_leaves_none_and_again_restores_it)
{
    struct world world;
    world_init(&world, config_text);
    for (int round = 0; round < 2; round++) {
        expect_step(&world, world.project, round ? "-" : "glm-4.6", "glm-4.6", "glm-4.6", "pin");
        expect_step(&world, world.project, "-", NULL, "llama", "config");
    }
    struct outcome outcome = call(&world, "model.get", "{\"dir\": \"%s\"}", world.project);
    cr_expect_str_eq(outcome_text(&outcome, "source"), "config");
    outcome_release(&outcome);
    cr_expect_eq(world.announce_count, 4, "shells are told of each");
    world_release(&world);
}

Test(methods, a_pin_comes_back_from_a_subdirectory_too)
{
    struct world world;
    char sub[200];
    world_init(&world, config_text);
    snprintf(sub, sizeof(sub), "%s/sub", world.project);
    cr_assert(mkdir(sub, 0700) == 0);
    expect_step(&world, world.project, "glm-4.6", "glm-4.6", "glm-4.6", "pin");
    expect_step(&world, sub, "-", NULL, "llama", "config");
    expect_step(&world, sub, "-", "glm-4.6", "glm-4.6", "pin");
    world_release(&world);
}

Test(methods, the_global_choice_can_be_taken_back_to_none)
{
    static const char *const effective[] = {"glm-4.6", "llama", "glm-4.6"};
    struct world world;
    world_init(&world, config_text);
    for (int i = 0; i < 3; i++) {
        struct outcome outcome = call(&world, "model.switch",
                                      "{\"model\": \"%s\", \"global\": true}", i ? "-" : "glm-4.6");
        expect_ok(&outcome);
        cr_expect_str_eq(outcome_text(&outcome, "effective"), effective[i]);
        outcome_release(&outcome);
    }
    world_release(&world);
}

Test(methods, a_global_switch_leaves_pinned_projects_alone)
{
    struct world world;
    world_init(&world, config_text);
    expect_switch(&world, "glm-4.6", "glm-4.6", "glm", "llama");
    struct outcome outcome =
        call(&world, "model.switch", "{\"dir\": \"%s\", \"model\": \"claude-x\", \"global\": true}",
             world.project);
    expect_ok(&outcome);
    cr_expect_str_eq(outcome_text(&outcome, "model"), "claude-x");
    cr_expect_str_eq(outcome_text(&outcome, "previous"), "llama");
    cr_expect_str_eq(outcome_text(&outcome, "effective"), "glm-4.6");
    cr_expect_str_eq(outcome_text(&outcome, "scope"), "global");
    cr_expect_str_eq(outcome_text(&outcome, "project.name"), "global");
    outcome_release(&outcome);
    outcome = call(&world, "status", "{}");
    cr_expect_str_eq(outcome_text(&outcome, "model"), "claude-x");
    cr_expect_str_eq(outcome_text(&outcome, "source"), "global");
    outcome_release(&outcome);
    world_release(&world);
}

Test(methods, without_any_model_the_next_step_is_a_provider)
{
    struct world world;
    world_init(&world, "{\"providers\": []}");
    expect_error(&world, "model.switch", "{\"model\": \"glm-4.6\", \"global\": true}",
                 ERR_MODEL_NOT_FOUND, "aictl login");
    world_release(&world);
}

Test(methods, switch_refuses_what_cannot_be_meant)
{
    struct world world;
    world_init(&world, config_text);
    expect_error(&world, "model.switch", "{\"model\": \"glm-4.6\"}", ERR_BAD_PARAMS, "dir");
    expect_error(&world, "model.switch", "{\"model\": \"glm-4.7\", \"global\": true}",
                 ERR_MODEL_NOT_FOUND, "glm-4.6");
    expect_error(&world, "model.switch", "{\"model\": \"gpt-5\", \"global\": true}",
                 ERR_MODEL_NOT_FOUND, "gpt-5");
    expect_error(&world, "model.switch", "{\"model\": \"claude-aictl\", \"global\": true}",
                 ERR_MODEL_NOT_FOUND, "claude-aictl");
    expect_error(&world, "model.switch", "{\"model\": \"-\", \"global\": true}", ERR_NOT_FOUND,
                 "earlier");
    cr_expect_eq(world.announce_count, 0);
    world_release(&world);
}

Test(methods, explain_gives_the_chain)
{
    struct world world;
    world_init(&world, config_text);
    struct outcome outcome =
        call(&world, "model.get", "{\"dir\": \"%s\", \"explain\": true, \"override\": \"nope\"}",
             world.project);
    expect_ok(&outcome);
    cr_expect_str_eq(outcome_text(&outcome, "chain.0.source"), "override");
    cr_expect(outcome_text(&outcome, "chain.0.note")[0]);
    cr_expect(cJSON_IsTrue(outcome_item(&outcome, "chain.1.effective")));
    outcome_release(&outcome);
    world_release(&world);
}

/* ---- keys ---- */

Test(methods, a_key_is_bound_to_the_configured_origin)
{
    struct world world;
    world_init(&world, config_text);
    struct outcome outcome =
        call(&world, "key.set", "{\"provider\": \"GLM\", \"key\": \"" CANARY_KEY "\"}");
    expect_ok(&outcome);
    cr_expect_str_eq(outcome_text(&outcome, "provider"), "glm");
    cr_expect_str_eq(outcome_text(&outcome, "last4"), "LAST");
    cr_expect_str_eq(outcome_text(&outcome, "origins.0"), "https://open.bigmodel.cn:443");
    cr_expect(cJSON_IsFalse(outcome_item(&outcome, "added_provider")));
    cr_expect(vault_holds(world.gateway.vault, "glm", SPAN(CANARY_KEY)));
    cr_expect_eq(world.reload_count, 0, "config.json needs no change");
    outcome_release(&outcome);
    world_release(&world);
}

/* Opens the vault again with a bit flipped in the key of its last record. */
static void damage_last_key(struct world *world)
{
    struct gateway *gateway = &world->gateway;
    struct bytes text = place_read(world->place.vault);
    text.data[text.len - 1] ^= 1;
    place_write(world->place.vault, bytes_span(&text));
    bytes_release(&text);
    vault_free(gateway->vault);
    cr_assert_eq(vault_open(world->place.state, world->place.kek, &gateway->vault, NULL), 0);
}

Test(methods, a_damaged_key_is_shown_as_such)
{
    struct world world;
    world_init(&world, config_text);
    struct outcome outcome =
        call(&world, "key.set", "{\"provider\": \"second\", \"key\": \"" CANARY_KEY "\"}");
    outcome_release(&outcome);
    damage_last_key(&world);
    outcome = call(&world, "provider.list", "{}");
    cr_expect_str_eq(outcome_text(&outcome, "providers.1.key.state"), "corrupt");
    cr_expect(cJSON_IsNull(outcome_item(&outcome, "providers.1.key.last4")));
    outcome_release(&outcome);
    outcome = call(&world, "status", "{}");
    cr_expect_str_eq(outcome_text(&outcome, "providers.1.key"), "corrupt");
    cr_expect_str_eq(outcome_text(&outcome, "vault"), "unlocked");
    outcome_release(&outcome);
    outcome = call(&world, "key.set", "{\"provider\": \"second\", \"key\": \"" CANARY_KEY "\"}");
    expect_ok(&outcome);
    outcome_release(&outcome);
    outcome = call(&world, "provider.list", "{}");
    cr_expect_str_eq(outcome_text(&outcome, "providers.1.key.state"), "ok", "login mends it");
    outcome_release(&outcome);
    world_release(&world);
}

Test(methods, a_vault_that_cannot_be_read_is_told_with_the_reason)
{
    struct world world;
    struct err why = {0};
    world_init(&world, config_text);
    vault_free(world.gateway.vault);
    (void)err_set(&why, ERR_VAULT_CORRUPT, "vault.aiv: this is no vault");
    world.gateway.vault = vault_new_broken(&why);
    struct outcome outcome = call(&world, "status", "{}");
    expect_ok(&outcome);
    cr_expect_str_eq(outcome_text(&outcome, "vault"), "locked");
    cr_expect(strstr(outcome_text(&outcome, "vault_reason"), "this is no vault"));
    cr_expect_str_eq(outcome_text(&outcome, "vault_error"), "VAULT_CORRUPT");
    cr_expect(cJSON_IsNull(outcome_item(&outcome, "token_masked")));
    cr_expect_str_eq(outcome_text(&outcome, "providers.0.key"), "locked");
    outcome_release(&outcome);
    world_release(&world);
}

Test(methods, a_known_provider_gets_its_row_on_a_new_machine)
{
    struct world world;
    world_init(&world, NULL);
    struct outcome outcome =
        call(&world, "key.set", "{\"provider\": \"deepseek\", \"key\": \"" CANARY_KEY "\"}");
    expect_ok(&outcome);
    cr_expect(cJSON_IsTrue(outcome_item(&outcome, "added_provider")));
    cr_expect(outcome_text(&outcome, "models.0")[0], "what can be switched to");
    cr_expect_eq(place_mode(world.config_file), 0600);
    cr_expect(file_has(world.config_file, "vault:deepseek"));
    cr_expect_not(file_has(world.config_file, "canary"));
    const struct provider *provider = config_provider(world.gateway.config, SPAN("deepseek"));
    cr_assert(provider, "the daemon uses it at once");
    struct secret *secret;
    cr_expect_eq(vault_lend(world.gateway.vault, "deepseek", provider->origin, &secret, NULL), 0);
    secret_free(secret);
    outcome_release(&outcome);
    world_release(&world);
}

Test(methods, a_provider_can_be_described_in_the_call)
{
    struct world world;
    world_init(&world, config_text);
    struct outcome outcome = call(&world, "key.set",
                                  "{\"provider\": \"mine\", \"key\": \"" CANARY_KEY "\","
                                  " \"url\": \"https://mine.example/v1\", \"type\": \"openai\","
                                  " \"models\": [\"m1\", \"m2\"]}");
    expect_ok(&outcome);
    cr_expect_str_eq(outcome_text(&outcome, "origins.0"), "https://mine.example:443");
    const struct provider *provider = config_provider(world.gateway.config, SPAN("mine"));
    cr_assert(provider);
    cr_expect_eq(provider->model_count, 2);
    cr_expect(file_has(world.config_file, "// kept when the file is rewritten"));
    outcome_release(&outcome);
    world_release(&world);
}

Test(methods, a_provider_without_a_key_takes_one)
{
    struct world world;
    world_init(&world, config_text);
    struct outcome outcome =
        call(&world, "key.set", "{\"provider\": \"local\", \"key\": \"" CANARY_KEY "\"}");
    expect_ok(&outcome);
    cr_expect_eq(config_provider(world.gateway.config, SPAN("local"))->key_mode, KEY_MODE_VAULT);
    cr_expect(cJSON_IsFalse(outcome_item(&outcome, "added_provider")));
    outcome_release(&outcome);
    world_release(&world);
}

Test(methods, a_key_that_cannot_be_used_changes_nothing)
{
    struct world world;
    struct vault_record_info info;
    world_init(&world, config_text);
    expect_error(&world, "key.set", "{\"provider\": \"what\", \"key\": \"" CANARY_KEY "\"}",
                 ERR_PROVIDER_NOT_FOUND, "what");
    expect_error(&world, "key.set",
                 "{\"provider\": \"bad\", \"key\": \"" CANARY_KEY
                 "\", \"url\": \"http://evil.example\"}",
                 ERR_BAD_PARAMS, "url: ");
    expect_error(&world, "key.set",
                 "{\"provider\": \"bad\", \"key\": \"" CANARY_KEY "\","
                 " \"url\": \"https://x.example\", \"type\": \"soap\"}",
                 ERR_CONFIG_INVALID, "soap");
    expect_error(&world, "key.set", "{\"provider\": \"glm\", \"key\": \"with\\nline\"}",
                 ERR_INVALID_REQUEST, "");
    cr_expect_not(vault_info(world.gateway.vault, "bad", &info));
    cr_expect_eq(world.reload_count, 0);
    struct bytes text = place_read(world.config_file);
    cr_expect_str_eq(text.data, config_text);
    bytes_release(&text);
    world_release(&world);
}

Test(methods, a_reload_that_fails_puts_config_json_back)
{
    static const char add[] = "{\"provider\": \"deepseek\", \"key\": \"" CANARY_KEY "\"}";
    struct world world;
    world_init(&world, config_text);
    world.refuses_reload = true;
    expect_error(&world, "key.set", add, ERR_CONFIG_INVALID, "played");
    struct bytes text = place_read(world.config_file);
    cr_expect_str_eq(text.data, config_text);
    bytes_release(&text);
    world_release(&world);

    world_init(&world, NULL);
    world.refuses_reload = true;
    expect_error(&world, "key.set", add, ERR_CONFIG_INVALID, "played");
    cr_expect_neq(access(world.config_file, F_OK), 0, "there was none before");
    world_release(&world);
}

Test(methods, a_linked_config_json_stays_a_link)
{
    struct world world;
    char target[256];
    world_init(&world, config_text);
    snprintf(target, sizeof(target), "%s/dotfiles.json", world.place.root);
    cr_assert(rename(world.config_file, target) == 0 && symlink(target, world.config_file) == 0);
    struct outcome outcome =
        call(&world, "key.set", "{\"provider\": \"deepseek\", \"key\": \"" CANARY_KEY "\"}");
    expect_ok(&outcome);
    struct stat st;
    cr_expect(lstat(world.config_file, &st) == 0 && S_ISLNK(st.st_mode));
    cr_expect(file_has(target, "vault:deepseek"));
    outcome_release(&outcome);
    world_release(&world);
}

/* ---- configuration ---- */

Test(methods, check_tells_where_a_text_is_wrong)
{
    struct world world;
    world_init(&world, config_text);
    struct outcome outcome = call(&world, "config.check", "{}");
    expect_ok(&outcome);
    cr_expect(cJSON_IsTrue(outcome_item(&outcome, "ok")));
    cr_expect_eq(outcome_item(&outcome, "providers")->valueint, 3);
    outcome_release(&outcome);
    outcome = call(&world, "config.check",
                   "{\"text\": \"{\\n \\\"providers\\\": 5 }\", \"file\": \"mine.json\"}");
    expect_ok(&outcome);
    cr_expect(cJSON_IsFalse(outcome_item(&outcome, "ok")));
    cr_expect_eq(outcome_item(&outcome, "errors.0.line")->valueint, 2);
    outcome_release(&outcome);
    cr_expect_eq(world.reload_count, 0, "a check uses nothing");
    world_release(&world);
}

static const char imported[] =
    "{\\\"providers\\\": ["
    "{\\\"name\\\": \\\"glm\\\", \\\"type\\\": \\\"openai\\\","
    " \\\"baseURL\\\": \\\"https://open.bigmodel.cn/api/paas/v4\\\","
    " \\\"apiKey\\\": \\\"sk-canary-glm-0123456789\\\", \\\"models\\\": [\\\"glm-4.6\\\", "
    "\\\"glm-5\\\"]},"
    "{\\\"name\\\": \\\"extra\\\", \\\"type\\\": \\\"anthropic\\\","
    " \\\"baseURL\\\": \\\"https://extra.example\\\","
    " \\\"apiKey\\\": \\\"sk-canary-extra-0123456789\\\", \\\"models\\\": [\\\"e1\\\"]}],"
    " \\\"defaultModel\\\": \\\"glm-5\\\"}";

static void expect_imported(struct world *world)
{
    cr_expect(vault_holds(world->gateway.vault, "glm", SPAN("sk-canary-glm-0123456789")));
    cr_expect(vault_holds(world->gateway.vault, "extra", SPAN("sk-canary-extra-0123456789")));
    cr_expect_not(file_has(world->config_file, "canary"));
    cr_expect_eq(place_mode(world->config_file), 0600);
    const struct provider *extra = config_provider(world->gateway.config, SPAN("extra"));
    struct secret *secret;
    cr_assert(extra);
    cr_expect_eq(vault_lend(world->gateway.vault, extra->key_id, extra->origin, &secret, NULL), 0);
    secret_free(secret);
}

Test(methods, an_import_becomes_config_json_where_there_is_none)
{
    struct world world;
    world_init(&world, NULL);
    struct outcome outcome =
        call(&world, "config.import", "{\"text\": \"%s\", \"file\": \"old.json\"}", imported);
    expect_ok(&outcome);
    cr_expect_eq(cJSON_GetArraySize(outcome_item(&outcome, "added")), 2);
    cr_expect_eq(cJSON_GetArraySize(outcome_item(&outcome, "keys")), 2);
    cr_expect_eq(cJSON_GetArraySize(outcome_item(&outcome, "warnings")), 0,
                 "plain keys are what an import is for");
    cr_expect_str_eq(world.gateway.config->default_model, "glm-5");
    expect_imported(&world);
    outcome_release(&outcome);
    world_release(&world);
}

Test(methods, an_import_is_merged_into_the_config_json_there_is)
{
    struct world world;
    world_init(&world, config_text);
    struct outcome outcome =
        call(&world, "config.import", "{\"text\": \"%s\", \"file\": \"old.json\"}", imported);
    expect_ok(&outcome);
    cr_expect_str_eq(outcome_text(&outcome, "updated.0"), "glm");
    cr_expect_str_eq(outcome_text(&outcome, "added.0"), "extra");
    cr_expect_str_eq(outcome_text(&outcome, "keys.1"), "extra");
    cr_expect(outcome_text(&outcome, "warnings.0")[0], "defaultModel is not taken over in silence");
    cr_expect_str_eq(world.gateway.config->default_model, "llama");
    cr_expect(config_provider(world.gateway.config, SPAN("local")));
    expect_imported(&world);
    outcome_release(&outcome);
    outcome = call(&world, "config.import", "{\"text\": \"%s\", \"file\": \"old.json\"}", imported);
    expect_ok(&outcome);
    cr_expect_eq(cJSON_GetArraySize(outcome_item(&outcome, "added")), 0, "twice is fine");
    expect_imported(&world);
    outcome_release(&outcome);
    world_release(&world);
}

Test(methods, an_import_without_providers_is_refused)
{
    struct world world;
    world_init(&world, NULL);
    expect_error(&world, "config.import", "{\"text\": \"{\\\"foo\\\": 1}\", \"file\": \"f.json\"}",
                 ERR_CONFIG_INVALID, "f.json: ");
    cr_expect_neq(access(world.config_file, F_OK), 0, "nothing is written");
    world_release(&world);
}

Test(methods, a_bad_import_stores_nothing)
{
    struct world world;
    struct vault_record_info info;
    world_init(&world, config_text);
    expect_error(&world, "config.import",
                 "{\"text\": \"{\\\"providers\\\": [{\\\"name\\\": \\\"a\\\","
                 " \\\"type\\\": \\\"openai\\\", \\\"baseURL\\\": \\\"https://a.example\\\","
                 " \\\"apiKey\\\": \\\"sk-canary-a-0123456789\\\", \\\"models\\\": [5]}]}\","
                 " \"file\": \"old.json\"}",
                 ERR_CONFIG_INVALID, "old.json");
    cr_expect_not(vault_info(world.gateway.vault, "a", &info));
    struct bytes text = place_read(world.config_file);
    cr_expect_str_eq(text.data, config_text);
    bytes_release(&text);
    world_release(&world);
}

/* ---- tokens ---- */

Test(methods, a_directory_keeps_its_token)
{
    struct world world;
    world_init(&world, config_text);
    struct outcome first = call(&world, "token.get", "{\"dir\": \"%s\"}", world.project);
    struct outcome again = call(&world, "token.get", "{\"dir\": \"%s\"}", world.project);
    struct outcome global = call(&world, "token.get", "{}");
    expect_ok(&first);
    cr_expect(!strncmp(outcome_text(&first, "token"), "sk-aictl-", 9));
    cr_expect_str_eq(outcome_text(&first, "token"), outcome_text(&again, "token"));
    cr_expect_str_neq(outcome_text(&first, "token"), outcome_text(&global, "token"));
    cr_expect_str_eq(outcome_text(&first, "project.name"), "shop");
    struct outcome status = call(&world, "status", "{\"dir\": \"%s\"}", world.project);
    cr_expect(strstr(outcome_text(&status, "token_masked"), "..."));
    struct outcome list = call(&world, "token.list", "{}");
    cr_expect_eq(cJSON_GetArraySize(outcome_item(&list, "tokens")), 2);
    struct outcome revoked =
        call(&world, "token.revoke", "{\"id\": \"%s\"}", outcome_text(&first, "id"));
    expect_ok(&revoked);
    struct outcome *const all[] = {&first, &again, &global, &status, &list, &revoked};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        outcome_release(all[i]);
    expect_error(&world, "token.revoke", "{\"id\": \"nosuchid\"}", ERR_NOT_FOUND, "nosuchid");
    expect_error(&world, "token.get", "{\"expires_s\": -5}", ERR_BAD_PARAMS, "expires_s");
    world_release(&world);
}

Test(methods, env_points_tools_at_the_daemon)
{
    static const char *const wanted[][2] = {
        {"ANTHROPIC_BASE_URL", "http://127.0.0.1:3000"}, {"ANTHROPIC_MODEL", "claude-aictl"},
        {"OPENAI_BASE_URL", "http://127.0.0.1:3000/v1"}, {"OPENAI_MODEL", "aictl"},
        {"AICTL_URL", "http://127.0.0.1:3000"},
    };
    struct world world;
    world_init(&world, config_text);
    struct outcome outcome = call(&world, "env.get", "{\"dir\": \"%s\"}", world.project);
    expect_ok(&outcome);
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        const cJSON *variable;
        const char *value = "";
        cJSON_ArrayForEach(
            variable,
            outcome_item(&outcome,
                         "vars")) if (!strcmp(cJSON_GetObjectItem(variable, "name")->valuestring,
                                              wanted[i][0])) value =
            cJSON_GetObjectItem(variable, "value")->valuestring;
        cr_expect_str_eq(value, wanted[i][1], "%s", wanted[i][0]);
    }
    outcome_release(&outcome);
    world_release(&world);
}

/* ---- provider.test ---- */

Test(methods, a_test_reports_what_the_probe_found)
{
    struct world world;
    world_init(&world, config_text);
    struct outcome outcome = call(&world, "provider.test", "{}");
    expect_ok(&outcome);
    cr_expect_str_eq(outcome_text(&outcome, "provider"), "local");
    cr_expect_str_eq(outcome_text(&outcome, "model"), "llama");
    cr_expect(cJSON_IsTrue(outcome_item(&outcome, "ok")));
    cr_expect(cJSON_IsNull(outcome_item(&outcome, "kind")));
    outcome_release(&outcome);
    (void)err_set(&world.probe_err, ERR_PROVIDER_AUTH, "glm: 401");
    outcome = call(&world, "provider.test", "{\"provider\": \"glm\"}");
    expect_ok(&outcome);
    cr_expect(cJSON_IsFalse(outcome_item(&outcome, "ok")));
    cr_expect(strstr(outcome_text(&outcome, "error"), "glm: 401"));
    cr_expect_str_eq(outcome_text(&outcome, "kind"), "PROVIDER_AUTH");
    cr_expect(strstr(outcome_text(&outcome, "next"), "aictl login glm"), "the provider is named");
    outcome_release(&outcome);
    expect_error(&world, "provider.test", "{\"provider\": \"nobody\"}", ERR_PROVIDER_NOT_FOUND,
                 "nobody");
    expect_error(&world, "provider.test", "{\"model\": \"nothing\"}", ERR_MODEL_NOT_FOUND,
                 "nothing");
    world_release(&world);
}

Test(methods, a_test_of_a_provider_without_models_asks_for_one)
{
    struct world world;
    world_init(&world, "{\"providers\": [{\"name\": \"bare\", \"type\": \"openai\","
                       " \"baseURL\": \"http://localhost:1\", \"apiKey\": \"\"}]}");
    expect_error(&world, "provider.test", "{\"provider\": \"bare\"}", ERR_BAD_PARAMS, "model");
    struct outcome outcome =
        call(&world, "provider.test", "{\"provider\": \"bare\", \"model\": \"m\"}");
    expect_ok(&outcome);
    outcome_release(&outcome);
    world_release(&world);
}

Test(methods, a_test_does_not_wait_for_a_silent_provider_forever)
{
    struct world world;
    world_init(&world, config_text);
    world.holds_probes = true;
    world.env.test_ms = 20;
    struct outcome outcome = call(&world, "provider.test", "{\"provider\": \"glm\"}");
    expect_ok(&outcome);
    cr_expect(cJSON_IsFalse(outcome_item(&outcome, "ok")));
    cr_expect_str_eq(outcome_text(&outcome, "kind"), "PROVIDER_TIMEOUT");
    cr_expect_str_eq(outcome_text(&outcome, "provider"), "glm");
    cr_expect_str_eq(outcome_text(&outcome, "model"), "glm-4.6");
    cr_expect_eq(world.cancel_count, 1, "the request is taken back");
    outcome_release(&outcome);
    world_release(&world);
}

Test(methods, only_calls_that_change_something_are_worth_a_line)
{
    static const char *const reads[] = {"rpc.describe", "status",        "model.get",
                                        "model.list",   "provider.list", "token.get",
                                        "token.list",   "env.get",       "config.check"};
    size_t count = 0;
    for (int id = 0; id < METHOD_COUNT; id++)
        count += !method_row((enum method_id)id)->changes;
    cr_expect_eq(count, sizeof(reads) / sizeof(reads[0]));
    for (size_t i = 0; i < sizeof(reads) / sizeof(reads[0]); i++)
        cr_expect_not(
            method_row((enum method_id)method_by_name(reads[i], strlen(reads[i])))->changes, "%s",
            reads[i]);
}

/* ---- S-42 ---- */

Test(methods, no_answer_holds_a_key)
{
    static const char *const calls[][2] = {
        {"key.set", "{\"provider\": \"glm\", \"key\": \"" CANARY_KEY "\"}"},
        {"status", "{\"recent\": 256}"},
        {"provider.list", "{}"},
        {"provider.test", "{\"provider\": \"glm\"}"},
        {"model.list", "{}"},
        {"token.list", "{}"},
        {"token.get", "{}"},
        {"env.get", "{}"},
        {"config.check", "{}"},
        {"daemon.reload", "{}"},
        {"key.set", "{\"provider\": \"nobody\", \"key\": \"" CANARY_KEY "\"}"},
        {"key.set", "{\"provider\": \"glm\", \"key\": \"" CANARY_KEY "\", \"url\": \"ftp://x\"}"},
        {"config.import",
         "{\"file\": \"f\", \"text\": \"{\\\"providers\\\": [{\\\"name\\\": \\\"a\\\","
         " \\\"apiKey\\\": \\\"" CANARY_KEY "\\\"}]}\"}"},
        {"config.check",
         "{\"text\": \"{\\\"providers\\\": [{\\\"apiKey\\\": \\\"" CANARY_KEY "\\\"}]}\"}"},
    };
    struct world world;
    world_init(&world, config_text);
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        struct outcome outcome = world_call(&world, calls[i][0], calls[i][1]);
        char *text = cJSON_Print(outcome.result);
        cr_expect_null(strstr(text ? text : "", "canary"), "%s", calls[i][0]);
        cr_expect_null(strstr(outcome.err.detail, "canary"), "%s", calls[i][0]);
        free(text);
        outcome_release(&outcome);
    }
    world_release(&world);
}
