/* Methods about tokens and what tools are given: token.get, token.list, token.revoke, env.get. */
#include <stdio.h>

#include "control/call.h"
#include "control/views.h"
#include "state/tokens.h"

#define LIST_MAX   1000
#define EXPIRY_MAX (10LL * 366 * 86400) /* ten years: more is a mistake */

/* The token of the call's directory and override; its text is to be wiped by the caller. */
static int get_token(struct call *call, int64_t ttl_s, char ret_text[TOKEN_TEXT],
                     const struct token_info **ret_info, struct err *reterr)
{
    const struct gateway *gateway = call->gateway;
    int64_t now_s = loop_wall_ms() / 1000;
    int r = tokens_get(gateway->tokens, gateway->vault, call_text(call, "dir"),
                       call_text(call, "override"), call_text(call, "client"), now_s, ttl_s,
                       ret_text, ret_info, reterr);
    if (r == 0)
        call->changes = (*ret_info)->created_s == now_s; /* it was made for this call */
    return r;
}

int method_TOKEN_GET(struct call *call, struct err *reterr)
{
    struct effective effective;
    char text[TOKEN_TEXT];
    const struct token_info *info;
    int64_t ttl_s = call_number(call, "expires_s", 0);
    if (ttl_s < 0 || ttl_s > EXPIRY_MAX)
        return err_set(reterr, ERR_BAD_PARAMS, "token.get: expires_s must be 1 to %lld",
                       EXPIRY_MAX);
    int r = effective_of(call->gateway, call->walk, NULL, &call->arena, &effective, reterr);
    if (r == 0)
        r = get_token(call, ttl_s, text, &info, reterr);
    if (r < 0)
        return r;
    call->result = cJSON_CreateObject();
    view_add_text(call->result, "token", text);
    view_add_text(call->result, "id", info->id);
    view_add_text(call->result, "dir", info->dir);
    cJSON_AddItemToObject(call->result, "project", view_project(&effective.view));
    explicit_bzero(text, sizeof(text));
    return 0;
}

/* ---- token.list ---- */

struct listing {
    cJSON *tokens;
    int64_t count;
};

static void on_token(void *ctx, const struct token_info *info)
{
    struct listing *listing = ctx;
    if (listing->count++ < LIST_MAX)
        cJSON_AddItemToArray(listing->tokens, view_token(info));
}

int method_TOKEN_LIST(struct call *call, struct err *reterr)
{
    (void)reterr; /* cannot fail */
    call->result = cJSON_CreateObject();
    struct listing listing = {cJSON_AddArrayToObject(call->result, "tokens"), 0};
    tokens_each(call->gateway->tokens, on_token, &listing);
    view_add_count(call->result, "left_out",
                   listing.count > LIST_MAX ? listing.count - LIST_MAX : 0);
    return 0;
}

int method_TOKEN_REVOKE(struct call *call, struct err *reterr)
{
    const char *id = call_text(call, "id");
    int r = tokens_revoke(call->gateway->tokens, id, reterr);
    if (r < 0)
        return r;
    call->result = cJSON_CreateObject();
    view_add_text(call->result, "id", id);
    return 0;
}

/* ---- env.get ---- */

/* Variables of tools, and what they are: a text of their own, or one of these. */
enum value_of { VALUE_TEXT, VALUE_URL, VALUE_TOKEN };

static const struct {
    const char *name;
    enum value_of value;
    const char *text; /* the value, or what is put behind the URL */
} variables[] = {
    {"ANTHROPIC_BASE_URL", VALUE_URL, ""}, /* its clients append /v1/messages themselves */
    {"ANTHROPIC_AUTH_TOKEN", VALUE_TOKEN, ""},
    {"ANTHROPIC_MODEL", VALUE_TEXT, "claude-aictl"},
    /* Claude Code's small jobs: its own names for them are nobody's model here. */
    {"ANTHROPIC_DEFAULT_HAIKU_MODEL", VALUE_TEXT, "claude-aictl"},
    {"ANTHROPIC_SMALL_FAST_MODEL", VALUE_TEXT, "claude-aictl"},
    {"OPENAI_BASE_URL", VALUE_URL, "/v1"},
    {"OPENAI_API_BASE", VALUE_URL, "/v1"},
    {"OPENAI_API_KEY", VALUE_TOKEN, ""},
    {"OPENAI_MODEL", VALUE_TEXT, "aictl"},
    {"AICTL_TOKEN", VALUE_TOKEN, ""},
    {"AICTL_URL", VALUE_URL, ""},
};

static cJSON *view_variable(size_t i, const char *url, const char *token)
{
    char full[512];
    (void)snprintf(full, sizeof(full), "%s%s", url, variables[i].text); /* a host and port: fits */
    const char *values[] = {
        [VALUE_TEXT] = variables[i].text, [VALUE_URL] = full, [VALUE_TOKEN] = token};
    cJSON *object = cJSON_CreateObject();
    view_add_text(object, "name", variables[i].name);
    view_add_text(object, "value", values[variables[i].value]);
    return object;
}

int method_ENV_GET(struct call *call, struct err *reterr)
{
    char token[TOKEN_TEXT];
    const struct token_info *info;
    const char *url = call->gateway->http_url;
    int r = get_token(call, 0, token, &info, reterr);
    if (r < 0)
        return r;
    call->result = cJSON_CreateObject();
    cJSON *vars = cJSON_AddArrayToObject(call->result, "vars");
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
        cJSON_AddItemToArray(vars, view_variable(i, url, token));
    view_add_text(call->result, "url", url);
    view_add_text(call->result, "token", token);
    explicit_bzero(token, sizeof(token));
    return 0;
}
