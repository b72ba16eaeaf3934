/* Commands for shells: init, completion and what completions ask. */
#include "client/commands.h"

#include <string.h>

#include "client/answer.h"
#include "client/ask.h"
#include "client/call.h"
#include "client/failure.h"
#include "client/manual.h"
#include "client/service.h"
#include "client/shell.h"

#define COMPLETE_MS 1000 /* a completion is not worth a longer wait */

int command_init(struct invocation *inv)
{
    char shim[RENDEZVOUS_PATH];
    if (!service_program("aictl-shim", shim, sizeof(shim))) {
        struct failure failure;
        failure_set(&failure, ERR_NOT_FOUND, "aictl-shim");
        failure_say(&failure, "this program is neither beside aictl nor in PATH");
        failure_try(&failure, "install aictl again: ./dev up");
        return failure_report(&failure, inv->json);
    }
    struct text_answer json;
    FILE *out = inv->json ? answer_text_begin(&json) : inv->screen.out;
    shell_print_init(out, inv->args[0], shim, inv->paths.gen_file,
                     !invocation_has(inv, "no-prompt"));
    if (inv->json)
        answer_text_print(&json, inv->screen.out);
    return EXIT_OK;
}

int command_completion(struct invocation *inv)
{
    struct text_answer json;
    completion_print(inv->json ? answer_text_begin(&json) : inv->screen.out, inv->args[0]);
    if (inv->json)
        answer_text_print(&json, inv->screen.out);
    return EXIT_OK;
}

/* Words that a shell would have to quote are left out. */
static void print_word(FILE *out, const char *word)
{
    if (word && word[0] && !strpbrk(word, " \t\n'\"\\$`;&|<>()*?[]{}!#~") && word[0] != '-')
        fprintf(out, "%s\n", word);
}

/* One word per line, from objects that have it as a member, or from plain texts. */
static void print_words(FILE *out, const cJSON *list, const char *member)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, list) print_word(
        out, cJSON_IsObject(item) ? answer_text(item, member) : cJSON_GetStringValue(item));
}

/* Silent on every failure: completion must not write between the user's words. */
int command_complete(struct invocation *inv)
{
    cJSON *result = NULL;
    struct failure ignored;
    bool is_models = !strcmp(inv->args[0], "models");
    enum method_id method = is_models ? METHOD_MODEL_LIST : METHOD_PROVIDER_LIST;
    if (call_daemon(&inv->paths, method, NULL, COMPLETE_MS, &result, &ignored) < 0)
        return EXIT_FAILED;
    print_words(inv->screen.out, answer_get(result, is_models ? "models" : "providers"),
                is_models ? "id" : "name");
    if (!strcmp(inv->args[0], "known"))
        print_words(inv->screen.out, answer_get(result, "known"), NULL); /* shells show one once */
    cJSON_Delete(result);
    return EXIT_OK;
}
