/* Commands about providers and their keys: providers, login, test. */
#include "client/commands.h"

#include <string.h>
#include <strings.h>

#include "client/answer.h"
#include "client/ask.h"
#include "client/call.h"
#include "client/failure.h"
#include "client/keyinput.h"
#include "client/views.h"

#define NAMES_MAX 128 /* of providers that a wrong name is compared with */

/* ---- providers ---- */

int command_providers(struct invocation *inv)
{
    cJSON *result = NULL;
    int r = ask_daemon(inv, METHOD_PROVIDER_LIST, NULL, &result);
    if (r)
        return r;
    if (!ask_printed_json(inv, result))
        view_provider_details(&inv->screen, answer_get(result, "providers"));
    cJSON_Delete(result);
    return EXIT_OK;
}

/* ---- login ---- */

static cJSON *login_params(const struct invocation *inv, const char *key)
{
    const char *url = invocation_value(inv, "url"), *type = invocation_value(inv, "type");
    cJSON *params = cJSON_CreateObject();
    cJSON_AddStringToObject(params, "provider", inv->args[0]);
    cJSON_AddStringToObject(params, "key", key);
    if (url)
        cJSON_AddStringToObject(params, "url", url);
    if (type)
        cJSON_AddStringToObject(params, "type", type);
    if (invocation_has(inv, "model")) {
        cJSON *models = cJSON_AddArrayToObject(params, "models");
        for (size_t i = 0; i < inv->option_count; i++)
            if (!strcmp(inv->options[i].row->name, "model"))
                cJSON_AddItemToArray(models, cJSON_CreateString(inv->options[i].value));
    }
    return params;
}

/* The provider of this name in provider.list's answer, or NULL. */
static const cJSON *find_provider(const cJSON *list, const char *name)
{
    const cJSON *provider;
    cJSON_ArrayForEach(provider, answer_get(list, "providers"))
    {
        if (!strcasecmp(answer_text(provider, "name"), name))
            return provider;
    }
    return NULL;
}

static bool is_known(const cJSON *list, const char *name)
{
    const cJSON *known;
    cJSON_ArrayForEach(known, answer_get(list, "known"))
    {
        const char *text = cJSON_GetStringValue(known);
        if (text && !strcasecmp(text, name))
            return true;
    }
    return false;
}

/* The name nearest to one that nobody knows, or NULL. */
static const char *near_provider(const cJSON *list, const char *name)
{
    const char *names[NAMES_MAX];
    size_t n = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, answer_get(list, "providers"))
    {
        if (n + 1 < NAMES_MAX)
            names[n++] = answer_text(item, "name");
    }
    cJSON_ArrayForEach(item, answer_get(list, "known"))
    {
        if (n + 1 < NAMES_MAX && cJSON_GetStringValue(item))
            names[n++] = cJSON_GetStringValue(item);
    }
    names[n] = NULL;
    return nearest_word(name, names);
}

static int unknown_provider(const struct invocation *inv, const cJSON *list)
{
    const char *name = inv->args[0], *near = near_provider(list, name);
    struct failure failure;
    char known[600];
    failure_set(&failure, ERR_PROVIDER_NOT_FOUND, "\"%s\"; known are %s", name,
                answer_join(known, sizeof(known), answer_get(list, "known")));
    failure_say(&failure, "this provider is neither configured nor known");
    if (near)
        failure_try(&failure, "aictl login %s", near);
    else
        failure_try(&failure, "add it: aictl login %s --url https://HOST/v1 --model MODEL", name);
    return failure_report(&failure, inv->json);
}

static int takes_no_key(const struct invocation *inv)
{
    struct failure failure;
    failure_set(&failure, ERR_BAD_PARAMS, "%s", "");
    failure_say(&failure, "the demo provider takes no key");
    failure_try(&failure, "aictl login PROVIDER");
    return failure_report(&failure, inv->json);
}

static int vault_is_locked(const struct invocation *inv, const cJSON *status)
{
    struct failure failure;
    failure_set(&failure, failure_kind(answer_text(status, "vault_error")), "%s",
                answer_text(status, "vault_reason"));
    return failure_report(&failure, inv->json);
}

/* What can be said before the user types a key: one typed for nothing is typed twice. */
static int check_login(const struct invocation *inv, const cJSON *status, const cJSON *list)
{
    const char *name = inv->args[0], *url = invocation_value(inv, "url");
    const cJSON *provider = find_provider(list, name);
    if (url && strncmp(url, "https://", 8) && strncmp(url, "http://", 7))
        return usage_error("aictl help login", "--url begins with https:// (or http:// for a "
                                               "provider on this machine)");
    if (provider && !strcmp(answer_text(provider, "type"), "demo"))
        return takes_no_key(inv);
    if (!provider && !is_known(list, name) && !url)
        return unknown_provider(inv, list);
    if (!provider && !is_known(list, name) && !invocation_has(inv, "model"))
        return usage_error("aictl help login",
                           "a new provider needs its models: --model MODEL, for each of them");
    if (!strcmp(answer_text(status, "vault"), "locked"))
        return vault_is_locked(inv, status);
    return 0;
}

static int prepare_login(const struct invocation *inv)
{
    cJSON *status = NULL, *list = NULL;
    int r = ask_daemon(inv, METHOD_STATUS, NULL, &status);
    if (r == 0)
        r = ask_daemon(inv, METHOD_PROVIDER_LIST, NULL, &list);
    if (r == 0)
        r = check_login(inv, status, list);
    cJSON_Delete(status);
    cJSON_Delete(list);
    return r;
}

/* "next: aictl switch -g glm-5.2", or what else is to be done before requests go out. */
static void print_next(const struct invocation *inv, const cJSON *login)
{
    const struct screen *screen = &inv->screen;
    const char *provider = answer_text(login, "provider");
    const char *first = cJSON_GetStringValue(cJSON_GetArrayItem(answer_get(login, "models"), 0));
    struct failure ignored;
    cJSON *status = NULL, *params = ask_here(inv);
    char text[1024];
    if (!params ||
        call_daemon(&inv->paths, METHOD_STATUS, params, CALL_ANSWER_MS, &status, &ignored))
        return; /* the key is stored: the hint is not worth a failure */
    if (!first)
        snprintf(text, sizeof(text), "next: list its \"models\" in %s",
                 answer_text(answer_get(status, "config"), "path"));
    else if (!answer_text(status, "model")[0])
        snprintf(text, sizeof(text), "next: aictl switch -g %s (or another of: aictl models)",
                 first);
    else
        snprintf(text, sizeof(text), "next: aictl test %s", provider);
    screen_wrap(screen, TONE_PLAIN, 0, 2, text);
    fputc('\n', screen->out);
    cJSON_Delete(status);
}

static void print_login(const struct screen *screen, const cJSON *result)
{
    char origins[512], text[1024];
    const char *provider = answer_text(result, "provider");
    const char *last4 = answer_text(result, "last4");
    snprintf(text, sizeof(text), "key of %s%s%s stored, sent only to %s", provider,
             last4[0] ? " ending in " : "", last4,
             answer_join(origins, sizeof(origins), answer_get(result, "origins")));
    screen_wrap(screen, TONE_PLAIN, 0, 2, text);
    fputc('\n', screen->out);
}

int command_login(struct invocation *inv)
{
    char key[KEY_MAX], prompt[128], name[64];
    struct failure failure;
    cJSON *result = NULL;
    int r = prepare_login(inv);
    if (r)
        return r;
    snprintf(prompt, sizeof(prompt),
             "Key of %s (not shown): ", clean_text(name, sizeof(name), inv->args[0]));
    if (keyinput_read(prompt, key, &failure) < 0)
        return failure_report(&failure, inv->json);
    cJSON *params = login_params(inv, key);
    explicit_bzero(key, sizeof(key));
    r = ask_daemon(inv, METHOD_KEY_SET, params, &result);
    if (r)
        return r;
    if (!ask_printed_json(inv, result) && !inv->quiet) {
        print_login(&inv->screen, result);
        print_next(inv, result);
    }
    cJSON_Delete(result);
    return EXIT_OK;
}

/* ---- test ---- */

static int test_failed(const cJSON *result, bool is_silent)
{
    struct failure failure;
    const char *next = answer_text(result, "next");
    int kind = failure_kind(answer_text(result, "kind"));
    char message[160];
    if (is_silent)
        return error_row(kind)->exit_code;
    snprintf(message, sizeof(message), "%s failed the test", answer_text(result, "provider"));
    failure_set(&failure, kind, "%s", answer_text(result, "error"));
    failure_say(&failure, message);
    if (next[0])
        failure_try(&failure, "%s", next);
    return failure_report(&failure, false);
}

static void print_test(const struct screen *screen, const cJSON *result)
{
    char latency[32];
    int64_t ms = answer_int(result, "latency_ms", -1);
    screen_put(screen, TONE_GOOD, "ok");
    screen_printf(screen, TONE_PLAIN, "  %s  %s  ", answer_text(result, "provider"),
                  answer_text(result, "model"));
    screen_put(screen, TONE_BOLD,
               ms == 0 ? "under 1 ms" : format_span(latency, sizeof(latency), ms));
    fputc('\n', screen->out);
}

int command_test(struct invocation *inv)
{
    cJSON *result = NULL;
    const char *model = invocation_value(inv, "model");
    cJSON *params = ask_here(inv);
    if (!params)
        return EXIT_FAILED;
    cJSON_DeleteItemFromObject(params, "override");
    if (inv->args[0])
        cJSON_AddStringToObject(params, "provider", inv->args[0]);
    if (model)
        cJSON_AddStringToObject(params, "model", model);
    int r = ask_daemon_within(inv, METHOD_PROVIDER_TEST, params, CALL_TEST_MS, &result);
    if (r)
        return r;
    bool ok = answer_is(result, "ok");
    bool is_json = ask_printed_json(inv, result);
    if (!ok)
        r = test_failed(result, is_json);
    else if (!is_json)
        print_test(&inv->screen, result);
    cJSON_Delete(result);
    return r;
}
