/* Commands about providers and their keys: providers, login, test. */
#include "client/commands.h"

#include <string.h>

#include "client/answer.h"
#include "client/ask.h"
#include "client/call.h"
#include "client/failure.h"
#include "client/keyinput.h"
#include "client/views.h"

/* ---- providers ---- */

int command_providers(struct invocation *inv)
{
    cJSON *result = NULL;
    int r = ask_daemon(inv, METHOD_PROVIDER_LIST, NULL, &result);
    if (r)
        return r;
    if (!ask_printed_json(inv, result))
        view_providers(&inv->screen, answer_get(result, "providers"));
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

static void print_login(const struct screen *screen, const cJSON *result)
{
    char origins[512];
    const char *provider = answer_text(result, "provider");
    const char *last4 = answer_text(result, "last4");
    screen_printf(screen, TONE_PLAIN, "key of %s%s%s stored, sent only to %s", provider,
                  last4[0] ? " ending in " : "", last4,
                  answer_join(origins, sizeof(origins), answer_get(result, "origins")));
    fputc('\n', screen->out);
}

/* The daemon is asked before the user is: a key typed for nothing is typed twice. */
int command_login(struct invocation *inv)
{
    char key[KEY_MAX], prompt[128], name[64];
    struct failure failure;
    cJSON *result = NULL;
    int r = ask_daemon(inv, METHOD_STATUS, NULL, &result);
    cJSON_Delete(result);
    result = NULL;
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
    if (!ask_printed_json(inv, result) && !inv->quiet)
        print_login(&inv->screen, result);
    cJSON_Delete(result);
    return EXIT_OK;
}

/* ---- test ---- */

/* The kind of a failed test, for the exit status: a refused key is a matter of authentication. */
static int test_failed(const cJSON *result)
{
    struct failure failure;
    int64_t status = answer_int(result, "status", 0);
    const char *next = answer_text(result, "next");
    int kind = status == 401 || status == 403 ? ERR_PROVIDER_AUTH : ERR_PROVIDER_REFUSED;
    char message[128];
    snprintf(message, sizeof(message), "%s did not answer", answer_text(result, "provider"));
    failure_set(&failure, kind, "%s", answer_text(result, "error"));
    failure_say(&failure, message);
    if (next[0])
        failure_try(&failure, "%s", next);
    return failure_report(&failure, false);
}

static void print_test(const struct screen *screen, const cJSON *result)
{
    char latency[32];
    screen_put(screen, TONE_GOOD, "ok");
    screen_printf(screen, TONE_PLAIN, "  %s  %s  ", answer_text(result, "provider"),
                  answer_text(result, "model"));
    screen_put(screen, TONE_BOLD,
               format_span(latency, sizeof(latency), answer_int(result, "latency_ms", -1)));
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
    if (ask_printed_json(inv, result))
        r = ok ? EXIT_OK : EXIT_FAILED;
    else if (ok)
        print_test(&inv->screen, result);
    else
        r = test_failed(result);
    cJSON_Delete(result);
    return r;
}
