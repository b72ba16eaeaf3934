/* Commands about the configuration: config, import. */
#include "client/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/answer.h"
#include "client/ask.h"
#include "client/call.h"
#include "client/failure.h"
#include "client/service.h"

#define TEXT_MAX (1024 * 1024 - 4096) /* of a file sent to the daemon: a frame has room for it */

/* ---- reading files ---- */

static int read_all(int fd, const char *name, char **ret_text, struct failure *reterr)
{
    char *text = malloc(TEXT_MAX + 1);
    size_t len = 0;
    ssize_t n = 1;
    if (!text)
        abort();
    while (n > 0 && len < TEXT_MAX) {
        n = read(fd, text + len, TEXT_MAX - len);
        if (n < 0 && errno == EINTR)
            n = 1;
        else if (n > 0)
            len += (size_t)n;
    }
    text[len] = '\0';
    int r = 0;
    if (n < 0) {
        r = failure_set(reterr, ERR_IO, "%s: %s", name, strerror(errno));
        failure_say(reterr, "the file cannot be read");
    } else if (len == TEXT_MAX)
        r = failure_set(reterr, ERR_TOO_LARGE, "%s has more than %d bytes", name, TEXT_MAX);
    else if (strlen(text) != len)
        r = failure_set(reterr, ERR_INVALID_REQUEST, "%s has a NUL byte: it is no text", name);
    if (r == 0) {
        *ret_text = text;
        return 0;
    }
    explicit_bzero(text, len);
    free(text);
    return r;
}

/* Reads a file, or standard input when it is "-". The caller frees the text. */
static int read_file(const char *path, char **ret_text, struct failure *reterr)
{
    bool is_stdin = !strcmp(path, "-");
    int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        failure_set(reterr, ERR_IO, "%s: %s", path, strerror(errno));
        failure_say(reterr, "the file cannot be read");
        failure_try(reterr, "check the path; \"-\" reads standard input");
        return -ERR_IO;
    }
    int r = read_all(fd, is_stdin ? "standard input" : path, ret_text, reterr);
    if (!is_stdin)
        close(fd);
    return r;
}

/* The parameters text and file. The text may hold keys: it is wiped on its way. */
static int file_params(const char *path, cJSON **ret, struct failure *reterr)
{
    char *text = NULL;
    int r = read_file(path, &text, reterr);
    if (r < 0)
        return r;
    *ret = cJSON_CreateObject();
    cJSON_AddStringToObject(*ret, "text", text);
    cJSON_AddStringToObject(*ret, "file", path);
    explicit_bzero(text, strlen(text));
    free(text);
    return 0;
}

/* ---- config ---- */

/* "config.json:3:5: providers[0].type: ..." as compilers do, so that editors find the place. */
static void print_problem(const struct screen *screen, const char *file, const cJSON *problem,
                          bool is_error)
{
    const cJSON *line = answer_get(problem, "line");
    const char *path = answer_text(problem, "path");
    screen_put(screen, TONE_BOLD, file);
    if (cJSON_IsNumber(line))
        screen_printf(screen, TONE_BOLD, ":%d:%d", (int)answer_int(problem, "line", 0),
                      (int)answer_int(problem, "column", 1));
    screen_put(screen, is_error ? TONE_BAD : TONE_WARN, is_error ? ": error: " : ": warning: ");
    screen_printf(screen, TONE_PLAIN, "%s%s%s", path, path[0] ? ": " : "",
                  cJSON_IsString(problem) ? problem->valuestring : answer_text(problem, "message"));
    fputc('\n', screen->out);
}

static void print_problems(const struct screen *screen, const char *file, const cJSON *result)
{
    const cJSON *problem;
    cJSON_ArrayForEach(problem, answer_get(result, "errors"))
        print_problem(screen, file, problem, true);
    cJSON_ArrayForEach(problem, answer_get(result, "warnings"))
        print_problem(screen, file, problem, false);
}

static int check_config(struct invocation *inv, const char *file)
{
    cJSON *result = NULL, *params = NULL;
    struct failure failure;
    if (file && file_params(file, &params, &failure) < 0)
        return failure_report(&failure, inv->json);
    if (call_daemon(&inv->paths, METHOD_CONFIG_CHECK, params, CALL_ANSWER_MS, &result, &failure) <
        0) {
        if (failure.kind == ERR_DAEMON_DOWN && !inv->json)
            service_check_config(file, &failure); /* comes back only when it cannot */
        return failure_report(&failure, inv->json);
    }
    bool ok = answer_is(result, "ok");
    const char *name = file ? file : inv->paths.config_file;
    if (!ask_printed_json(inv, result)) {
        print_problems(&inv->screen, name, result);
        if (ok && !inv->quiet) {
            screen_printf(&inv->screen, TONE_GOOD, "%s is valid: %d providers, %d models", name,
                          (int)answer_int(result, "providers", 0),
                          (int)answer_int(result, "models", 0));
            fputc('\n', inv->screen.out);
        }
    }
    cJSON_Delete(result);
    return ok ? EXIT_OK : error_row(ERR_CONFIG_INVALID)->exit_code;
}

int command_config(struct invocation *inv)
{
    if (!strcmp(inv->args[0], "check"))
        return check_config(inv, inv->args[1]);
    if (inv->args[1])
        return usage_error("aictl config path", "aictl config path takes no further argument");
    if (inv->json) {
        cJSON *path = cJSON_CreateObject();
        cJSON_AddStringToObject(path, "path", inv->paths.config_file);
        answer_print_json(inv->screen.out, path);
        cJSON_Delete(path);
        return EXIT_OK;
    }
    screen_put(&inv->screen, TONE_PLAIN, inv->paths.config_file);
    fputc('\n', inv->screen.out);
    return EXIT_OK;
}

/* ---- import ---- */

static void print_names(const struct screen *screen, const char *title, const cJSON *names)
{
    char text[900];
    if (cJSON_GetArraySize(names) == 0)
        return;
    screen_printf(screen, TONE_DIM, "%-9s", title);
    screen_put(screen, TONE_PLAIN, answer_join(text, sizeof(text), names));
    fputc('\n', screen->out);
}

static void print_import(const struct screen *screen, const cJSON *result)
{
    const cJSON *warning;
    char path[512];
    print_names(screen, "added", answer_get(result, "added"));
    print_names(screen, "updated", answer_get(result, "updated"));
    print_names(screen, "keys", answer_get(result, "keys"));
    screen_printf(screen, TONE_DIM, "%-9s", "config");
    screen_put(screen, TONE_PLAIN, format_path(path, sizeof(path), answer_text(result, "config")));
    fputc('\n', screen->out);
    cJSON_ArrayForEach(warning, answer_get(result, "warnings"))
    {
        const char *text = cJSON_GetStringValue(warning);
        screen_put(screen, TONE_WARN, "warning  ");
        screen_wrap(screen, TONE_PLAIN, 9, 9, text ? text : "");
        fputc('\n', screen->out);
    }
}

int command_import(struct invocation *inv)
{
    cJSON *result = NULL, *params = NULL;
    struct failure failure;
    if (file_params(inv->args[0], &params, &failure) < 0)
        return failure_report(&failure, inv->json);
    if (call_daemon(&inv->paths, METHOD_CONFIG_IMPORT, params, CALL_ANSWER_MS, &result, &failure) <
        0) {
        if (failure.kind == ERR_CONFIG_INVALID)
            failure_try(&failure, "mend it, then: aictl import %s", inv->args[0]);
        return failure_report(&failure, inv->json);
    }
    bool has_keys = cJSON_GetArraySize(answer_get(result, "keys")) > 0;
    if (!ask_printed_json(inv, result) && !inv->quiet)
        print_import(&inv->screen, result);
    if (has_keys && !inv->json && !inv->quiet)
        fprintf(stderr, "The keys are in the vault now; %s still has them.\n",
                !strcmp(inv->args[0], "-") ? "what was imported" : "the imported file");
    cJSON_Delete(result);
    return EXIT_OK;
}
