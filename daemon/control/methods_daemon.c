/* Methods about the daemon itself: rpc.describe, status, daemon.reload, daemon.stop. */
#include <string.h>
#include <unistd.h>

#include "control/call.h"
#include "control/views.h"
#include "proto/rendezvous.h"
#include "state/tokens.h"

/* ---- rpc.describe ---- */

static cJSON *describe_params(const struct method_row *row)
{
    cJSON *array = cJSON_CreateArray();
    for (const struct method_param *param = row->params; param->name; param++) {
        cJSON *object = cJSON_CreateObject();
        view_add_text(object, "name", param->name);
        view_add_text(object, "type", param_type_name(param->type));
        cJSON_AddBoolToObject(object, "required", param->required);
        view_add_count(object, "max", param->max ? (int64_t)param->max : -1);
        view_add_text(object, "help", param->help);
        cJSON_AddItemToArray(array, object);
    }
    return array;
}

static cJSON *describe_method(const struct method_row *row)
{
    cJSON *object = cJSON_CreateObject();
    view_add_text(object, "name", row->name);
    cJSON_AddBoolToObject(object, "changes", row->changes);
    view_add_text(object, "help", row->help);
    view_add_text(object, "result", row->result);
    cJSON_AddItemToObject(object, "params", describe_params(row));
    return object;
}

static cJSON *describe_error(const struct error_row *row)
{
    cJSON *object = cJSON_CreateObject();
    view_add_count(object, "code", row->rpc_code);
    view_add_text(object, "name", row->name);
    view_add_text(object, "type", row->type);
    view_add_text(object, "text", row->text);
    view_add_text(object, "next", row->next);
    return object;
}

int method_RPC_DESCRIBE(struct call *call, struct err *reterr)
{
    (void)reterr; /* cannot fail */
    call->result = cJSON_CreateObject();
    view_add_text(call->result, "version", AICTL_VERSION);
    view_add_count(call->result, "protocol", AICTL_PROTOCOL);
    cJSON *methods = cJSON_AddArrayToObject(call->result, "methods");
    for (int id = 0; id < METHOD_COUNT; id++)
        cJSON_AddItemToArray(methods, describe_method(method_row((enum method_id)id)));
    cJSON *errors = cJSON_AddArrayToObject(call->result, "errors");
    for (int kind = 1; kind < ERR_COUNT; kind++)
        cJSON_AddItemToArray(errors, describe_error(error_row(kind)));
    return 0;
}

/* ---- status ---- */

static void add_addresses(cJSON *status, const struct call *call)
{
    view_add_text(status, "url", call->gateway->http_url);
    cJSON *urls = cJSON_AddArrayToObject(status, "urls");
    const char *url;
    for (size_t i = 0; call->hooks->url && (url = call->hooks->url(call->hooks->ctx, i)); i++)
        cJSON_AddItemToArray(urls, view_text(url));
    view_add_text(status, "unix_url", call->gateway->unix_url);
}

/* What a request for a key would meet: there is no keyfile, or the file itself is damaged. */
static const char *vault_error(const struct vault *vault)
{
    unsigned char mac[VAULT_MAC];
    int r = vault_is_locked(vault) ? vault_mac(vault, SPAN(""), mac) : 0;
    return r < 0 ? error_row(r)->name : NULL;
}

static void add_configuration(cJSON *status, const struct call *call)
{
    const struct control_hooks *hooks = call->hooks;
    const struct vault *vault = call->gateway->vault;
    view_add_text(status, "vault", vault_is_locked(vault) ? "locked" : "unlocked");
    view_add_text(status, "vault_reason", vault_lock_reason(vault));
    view_add_text(status, "vault_error", vault_error(vault));
    cJSON *config = cJSON_AddObjectToObject(status, "config");
    view_add_text(config, "path", hooks->config_file);
    view_add_text(config, "error", hooks->config_error ? hooks->config_error(hooks->ctx) : NULL);
    cJSON_AddBoolToObject(status, "demo", call->gateway->config->has_demo_only);
}

/* A search for the lasting token of a directory: tokens_get() would make one. */
struct token_search {
    const char *dir, *override;
    bool found;
};

static bool same_text(const char *a, const char *b)
{
    return a && b ? !strcmp(a, b) : a == b;
}

static void on_token(void *ctx, const struct token_info *info)
{
    struct token_search *search = ctx;
    if (!info->revoked && info->expires_s == 0 && same_text(info->dir, search->dir) &&
        same_text(info->override, search->override))
        search->found = true;
}

static bool has_token(const struct call *call, const char *dir, const char *override)
{
    struct token_search search = {dir, override, false};
    tokens_each(call->gateway->tokens, on_token, &search);
    return search.found;
}

/*
 * The token of the directory, else of its project, else the global one. Only that one is made when
 * it is not there yet: a look into each directory must not leave a token behind.
 */
static void add_token(cJSON *status, const struct call *call, const struct project_view *project)
{
    struct gateway *gateway = call->gateway;
    const char *dir = call_text(call, "dir"), *override = call_text(call, "override");
    const struct token_info *info;
    char text[TOKEN_TEXT], masked[TOKEN_TEXT];
    if (!has_token(call, dir, override))
        override = NULL;
    if (!has_token(call, dir, override))
        dir = project->dir && has_token(call, project->dir, NULL) ? project->dir : NULL;
    bool is_shown = tokens_get(gateway->tokens, gateway->vault, dir, override, NULL,
                               loop_wall_ms() / 1000, 0, text, &info, NULL) == 0;
    if (is_shown)
        token_mask(text, masked);
    view_add_text(status, "token_masked", is_shown ? masked : NULL);
    explicit_bzero(text, sizeof(text));
}

static void add_providers(cJSON *status, const struct gateway *gateway)
{
    cJSON *array = cJSON_AddArrayToObject(status, "providers");
    for (size_t i = 0; i < gateway->config->provider_count; i++) {
        const struct provider *provider = &gateway->config->providers[i];
        cJSON *object = cJSON_CreateObject();
        view_add_provider(object, gateway, provider);
        view_add_text(object, "key", key_state(gateway, provider));
        cJSON_AddItemToArray(array, object);
    }
}

static void add_requests(cJSON *status, const struct gateway *gateway, int64_t recent)
{
    cJSON *requests = cJSON_AddObjectToObject(status, "requests");
    view_add_count(requests, "total", (int64_t)gateway->exchanges_total);
    view_add_count(requests, "active", gateway->exchanges_active);
    view_add_count(requests, "failed", (int64_t)gateway->exchanges_failed);
    cJSON *array = cJSON_AddArrayToObject(status, "recent");
    const struct attempt_record *records[LEDGER_RECENT];
    size_t count = ledger_recent(gateway->ledger, records, (size_t)recent);
    for (size_t i = 0; i < count; i++)
        cJSON_AddItemToArray(array, view_attempt(records[i]));
}

int method_STATUS(struct call *call, struct err *reterr)
{
    struct effective effective;
    int64_t recent = call_number(call, "recent", 0);
    if (recent < 0 || recent > LEDGER_RECENT)
        return err_set(reterr, ERR_BAD_PARAMS, "status: recent must be 0 to %d", LEDGER_RECENT);
    int r = effective_of(call->gateway, call->walk, call_text(call, "override"), &call->arena,
                         &effective, reterr);
    if (r < 0)
        return r;
    cJSON *status = call->result = cJSON_CreateObject();
    view_add_text(status, "version", AICTL_VERSION);
    view_add_count(status, "pid", getpid());
    view_add_count(status, "uptime_s", call->uptime_ms / 1000);
    add_addresses(status, call);
    add_configuration(status, call);
    cJSON_AddItemToObject(status, "project", view_project(&effective.view));
    view_add_effective(status, &effective);
    add_token(status, call, &effective.view);
    add_providers(status, call->gateway);
    add_requests(status, call->gateway, recent);
    return 0;
}

/* ---- reload and stop ---- */

int method_DAEMON_RELOAD(struct call *call, struct err *reterr)
{
    int r = call->hooks->reload(call->hooks->ctx, reterr);
    if (r < 0)
        return r;
    const struct config *config = call->gateway->config;
    call->result = cJSON_CreateObject();
    cJSON_AddTrueToObject(call->result, "ok");
    view_add_text(call->result, "config", call->hooks->config_file);
    view_add_count(call->result, "providers", (int64_t)config->provider_count);
    view_add_count(call->result, "models", (int64_t)config->catalogue.model_count);
    cJSON *warnings = cJSON_AddArrayToObject(call->result, "warnings");
    for (size_t i = 0; i < config->warning_count; i++)
        cJSON_AddItemToArray(warnings, view_text(config->warnings[i]));
    return 0;
}

int method_DAEMON_STOP(struct call *call, struct err *reterr)
{
    (void)reterr; /* cannot fail */
    call->stops_daemon = true;
    call->result = cJSON_CreateObject();
    view_add_count(call->result, "pid", getpid());
    view_add_count(call->result, "active", call->gateway->exchanges_active);
    return 0;
}
