/* `aictl daemon`: start, stop, status, run, reload. */
#include "client/commands.h"

#include <string.h>

#include "client/answer.h"
#include "client/ask.h"
#include "client/failure.h"
#include "client/service.h"

/* Where progress is told: nowhere when quiet. */
static const struct screen *talk_of(const struct invocation *inv, struct screen *screen)
{
    *screen = screen_of(stderr, invocation_has(inv, "no-color"));
    return inv->quiet ? NULL : screen;
}

static const char *manager_name(enum service_manager manager)
{
    return manager == SERVICE_SYSTEMD ? "systemd" : "background";
}

/* "aictld is running, pid 4242 (background)" */
static void print_change(const struct invocation *inv, const char *text,
                         const struct service_change *change)
{
    if (inv->json) {
        cJSON *object = cJSON_CreateObject();
        cJSON_AddNumberToObject(object, "pid", change->pid);
        cJSON_AddBoolToObject(object, "was_running", change->was_running);
        cJSON_AddStringToObject(object, "manager", manager_name(change->manager));
        answer_print_json(inv->screen.out, object);
        cJSON_Delete(object);
    } else if (!inv->quiet) {
        screen_put(&inv->screen, TONE_PLAIN, text);
        if (change->pid > 0)
            screen_printf(&inv->screen, TONE_DIM, ", pid %d", change->pid);
        fputc('\n', inv->screen.out);
    }
}

static int start(struct invocation *inv)
{
    struct service_change change;
    struct failure failure;
    struct screen screen;
    if (service_start(&inv->paths, talk_of(inv, &screen), &change, &failure) < 0)
        return failure_report(&failure, inv->json);
    print_change(inv, change.was_running ? "aictld was running already" : "aictld is running",
                 &change);
    return EXIT_OK;
}

static int stop(struct invocation *inv)
{
    struct service_change change;
    struct failure failure;
    struct screen screen;
    if (service_stop(&inv->paths, talk_of(inv, &screen), &change, &failure) < 0)
        return failure_report(&failure, inv->json);
    print_change(inv, change.was_running ? "aictld has stopped" : "aictld was not running",
                 &change);
    return EXIT_OK;
}

static int run(struct invocation *inv)
{
    struct failure failure;
    service_run(&failure);
    return failure_report(&failure, inv->json);
}

/* ---- status ---- */

static void print_row(const struct screen *screen, const char *label, const char *value)
{
    screen_printf(screen, TONE_DIM, "  %-10s", label);
    screen_put(screen, TONE_PLAIN, value);
    fputc('\n', screen->out);
}

static void print_status(const struct invocation *inv, const cJSON *status, const char *how)
{
    const struct screen *screen = &inv->screen;
    char text[64], up[32];
    snprintf(text, sizeof(text), "pid %d, up %s", (int)answer_int(status, "pid", 0),
             format_span(up, sizeof(up), answer_int(status, "uptime_s", 0) * 1000));
    print_row(screen, "State", "running");
    print_row(screen, "Process", text);
    print_row(screen, "Started", how);
    print_row(screen, "Version", answer_text(status, "version"));
    print_row(screen, "Control", inv->paths.rpc_socket);
    print_row(screen, "HTTP", answer_text(status, "url"));
    print_row(screen, "", inv->paths.http_socket);
}

static void print_status_json(const struct invocation *inv, const cJSON *status, const char *how)
{
    static const char *const taken[] = {"pid", "uptime_s", "version", "url", "unix_url"};
    cJSON *object = cJSON_CreateObject();
    cJSON_AddTrueToObject(object, "running");
    for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
        cJSON_AddItemToObject(object, taken[i],
                              cJSON_Duplicate(answer_get(status, taken[i]), true));
    cJSON_AddStringToObject(object, "manager", how);
    cJSON_AddStringToObject(object, "rpc_socket", inv->paths.rpc_socket);
    answer_print_json(inv->screen.out, object);
    cJSON_Delete(object);
}

/* Asking a daemon that systemd would start would start it: systemd is asked first. */
static int status(struct invocation *inv)
{
    cJSON *answer = NULL;
    bool is_systemd = service_manager() == SERVICE_SYSTEMD;
    bool is_active = is_systemd && service_is_active();
    if (is_systemd && !is_active && service_is_listening()) {
        struct failure failure;
        failure_set(&failure, ERR_DAEMON_DOWN,
                    "its sockets are there: the first request starts it");
        return failure_report(&failure, inv->json);
    }
    int r = ask_daemon(inv, METHOD_STATUS, NULL, &answer);
    if (r)
        return r;
    const char *how = is_active ? "by systemd --user" : "in the background or by hand";
    if (inv->json)
        print_status_json(inv, answer, is_active ? "systemd" : "background");
    else
        print_status(inv, answer, how);
    cJSON_Delete(answer);
    return EXIT_OK;
}

/* ---- reload ---- */

static int reload(struct invocation *inv)
{
    cJSON *result = NULL;
    const cJSON *warning;
    int r = ask_daemon(inv, METHOD_DAEMON_RELOAD, NULL, &result);
    if (r)
        return r;
    if (!ask_printed_json(inv, result) && !inv->quiet) {
        screen_printf(&inv->screen, TONE_PLAIN, "configuration read: %d providers, %d models",
                      (int)answer_int(result, "providers", 0),
                      (int)answer_int(result, "models", 0));
        fputc('\n', inv->screen.out);
        cJSON_ArrayForEach(warning, answer_get(result, "warnings"))
        {
            const char *text = cJSON_GetStringValue(warning);
            screen_put(&inv->screen, TONE_WARN, "warning: ");
            screen_wrap(&inv->screen, TONE_PLAIN, 9, 2, text ? text : "");
            fputc('\n', inv->screen.out);
        }
    }
    cJSON_Delete(result);
    return EXIT_OK;
}

int command_daemon(struct invocation *inv)
{
    static const struct {
        const char *name;
        int (*fn)(struct invocation *inv);
    } verbs[] = {
        {"start", start}, {"stop", stop}, {"status", status}, {"run", run}, {"reload", reload},
    };
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        if (!strcmp(inv->args[0], verbs[i].name))
            return verbs[i].fn(inv);
    return EXIT_USAGE; /* not reached: the row's choices are these */
}
