/*
 * key.set: a provider's key goes into the vault, bound to the provider's origin; a provider that is
 * known or described in the request also gets its row in config.json.
 *
 * Order: everything that can be refused is checked first, then the vault, then config.json, then
 * the reload. A key in the vault that no row names yet does no harm; a row without its key would.
 */
#include "base/log.h"
#include "base/own.h"
#include "control/call.h"
#include "control/config_change.h"
#include "control/views.h"

#define ORIGIN_MAX 512

/* What a request comes to. */
struct login {
    const struct provider *configured; /* NULL: the row is new */
    struct provider_row row;           /* name and what is to be written */
    bool writes_row;                   /* the row itself changes */
    bool writes_key;                   /* the row is to name the vault record */
    const char *key_id;
    char origin[ORIGIN_MAX];
};

static const char *const *copy_list(struct call *call, const cJSON *list, size_t *ret_count)
{
    size_t count = (size_t)cJSON_GetArraySize(list);
    const char **texts = arena_alloc(&call->arena, (count + 1) * sizeof(*texts));
    const cJSON *item = list ? list->child : NULL;
    for (size_t i = 0; texts && i < count; i++, item = item->next)
        texts[i] = item->valuestring;
    *ret_count = texts ? count : 0;
    return texts;
}

static struct provider_row row_of(const struct provider *provider)
{
    return (struct provider_row){
        .name = provider->name,
        .type = provider->dialect->type,
        .base_url = provider->base_url,
        .models = provider->models,
        .model_count = provider->model_count,
    };
}

/* What is known of the provider before the request's own words: configured, shipped, or its name.
 */
static int find_row(const struct call *call, struct login *login, struct err *reterr)
{
    const char *name = call_text(call, "provider");
    const struct provider_row *known = known_provider(span_of(name));
    login->configured = config_provider(call->gateway->config, span_of(name));
    if (login->configured && login->configured->is_demo)
        return err_set(reterr, ERR_BAD_PARAMS, "the provider %s takes no key",
                       log_quote(span_of(name), 64));
    if (login->configured)
        login->row = row_of(login->configured);
    else if (known)
        login->row = *known;
    else if (call_text(call, "url"))
        login->row = (struct provider_row){.name = name, .type = "openai"};
    else
        return err_set(reterr, ERR_PROVIDER_NOT_FOUND,
                       "%s is neither configured nor known; give its base URL and models too",
                       log_quote(span_of(name), 64));
    return 0;
}

/* The request's own words on top. */
static void apply_request(struct call *call, struct login *login)
{
    const char *url = call_text(call, "url"), *type = call_text(call, "type");
    const cJSON *models = call_list(call, "models");
    login->row.has_key = true;
    if (url)
        login->row.base_url = url;
    if (type)
        login->row.type = type;
    if (models)
        login->row.models = copy_list(call, models, &login->row.model_count);
    login->writes_row = !login->configured || url || type || models;
    login->writes_key = login->writes_row || login->configured->key_mode == KEY_MODE_NONE;
    login->key_id = login->writes_key ? login->row.name : login->configured->key_id;
}

/* Where the key may go. A wrong URL is the request's fault when the request brought it. */
static int find_origin(const struct call *call, struct login *login, struct err *reterr)
{
    struct err err = {0};
    int r =
        url_origin(span_of(login->row.base_url), true, login->origin, sizeof(login->origin), &err);
    if (r == 0)
        return 0;
    return call_text(call, "url") ? err_set(reterr, ERR_BAD_PARAMS, "url: %s", err.detail)
                                  : err_set(reterr, -r, "%s: %s", login->row.name, err.detail);
}

static int change_config(struct config_change *change, const struct login *login,
                         struct err *reterr)
{
    int r = 0;
    if (login->writes_row)
        r = config_change_provider(change, &login->row, reterr);
    if (r == 0 && login->writes_key)
        r = config_change_key(change, login->row.name, reterr);
    return r < 0 ? r : config_change_check(change, reterr);
}

static int store_key(const struct call *call, const struct login *login, struct err *reterr)
{
    const char *origin = login->origin;
    return vault_put(call->gateway->vault, login->key_id, span_of(call_text(call, "key")), &origin,
                     1, loop_wall_ms() / 1000, reterr);
}

/* What was remembered of the provider was said of the old key. */
static void forget_failures(struct gateway *gateway, const char *provider)
{
    struct health *health = gateway_health(gateway, provider);
    health->last_error_kind = 0;
    health->last_error_ms = -1;
    fetch_pool_forget(gateway->fetch);
}

static int log_in(const struct call *call, struct login *login, struct err *reterr)
{
    CLEANUP(config_change_release) struct config_change change = {0};
    bool writes = login->writes_row || login->writes_key;
    int r = writes ? config_change_open(&change, call->hooks, reterr) : 0;
    if (r == 0 && writes)
        r = change_config(&change, login, reterr);
    if (r == 0)
        r = store_key(call, login, reterr);
    if (r == 0 && writes)
        r = config_change_commit(&change, reterr);
    return r;
}

int method_KEY_SET(struct call *call, struct err *reterr)
{
    struct login login = {0};
    struct vault_record_info info = {0};
    int r = find_row(call, &login, reterr);
    if (r < 0)
        return r;
    apply_request(call, &login);
    /* the snapshot that row points into may go with the reload */
    struct config *config = config_ref(call->gateway->config);
    char *name = arena_copy(&call->arena, span_of(login.row.name));
    char *key_id = arena_copy(&call->arena, span_of(login.key_id));
    r = find_origin(call, &login, reterr);
    if (r == 0)
        r = log_in(call, &login, reterr);
    config_unref(config);
    if (r < 0)
        return r;
    forget_failures(call->gateway, name);
    bool is_known = vault_info(call->gateway->vault, key_id, &info);
    call->result = cJSON_CreateObject();
    view_add_text(call->result, "provider", name);
    view_add_text_or_null(call->result, "last4", is_known ? info.last4 : NULL);
    cJSON_AddItemToObject(call->result, "origins", view_texts(is_known ? info.origins : NULL));
    cJSON_AddBoolToObject(call->result, "added_provider", !login.configured);
    cJSON_AddItemToObject(call->result, "models",
                          view_models(config_provider(call->gateway->config, span_of(name))));
    return 0;
}
