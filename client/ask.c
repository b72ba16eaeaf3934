/* See ask.h. */
#include "client/ask.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/answer.h"
#include "client/call.h"
#include "client/failure.h"

cJSON *ask_here(const struct invocation *inv)
{
    char dir[PATH_MAX];
    const char *override = getenv("AICTL_OVERRIDE");
    if (!getcwd(dir, sizeof(dir)) || dir[0] != '/') {
        struct failure failure;
        failure_set(&failure, ERR_IO, "the working directory: %s", strerror(errno));
        failure_try(&failure, "cd \"$HOME\"");
        failure_report(&failure, inv->json);
        return NULL;
    }
    cJSON *params = cJSON_CreateObject();
    cJSON_AddStringToObject(params, "dir", dir);
    if (override && override[0])
        cJSON_AddStringToObject(params, "override", override);
    return params;
}

int ask_daemon_within(const struct invocation *inv, enum method_id method, cJSON *params,
                      int timeout_ms, cJSON **ret_result)
{
    struct failure failure;
    if (call_daemon(&inv->paths, method, params, timeout_ms, ret_result, &failure) < 0)
        return failure_report(&failure, inv->json);
    return 0;
}

int ask_daemon(const struct invocation *inv, enum method_id method, cJSON *params,
               cJSON **ret_result)
{
    return ask_daemon_within(inv, method, params, CALL_ANSWER_MS, ret_result);
}

bool ask_printed_json(const struct invocation *inv, const cJSON *result)
{
    if (inv->json)
        answer_print_json(inv->screen.out, result);
    return inv->json;
}
