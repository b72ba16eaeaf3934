/* aictld: the process, its arguments and its exit codes. Everything else is daemon.c. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "daemon.h"
#include "harden.h"
#include "state/config.h"

static const char usage[] =
    "Usage: aictld [OPTION]\n"
    "Serve AI requests on localhost with the keys of the vault. Runs in the foreground; use\n"
    "`aictl daemon start` to run it in the background.\n"
    "\n"
    "  -c, --check [FILE]  say what is wrong with the configuration and exit (0: nothing, 2)\n"
    "  -v, --verbose  log more (also: AICTL_LOG=debug)\n"
    "      --version  print the version and exit\n"
    "  -h, --help     print this and exit\n"
    "\n"
    "Configuration: ~/.config/aictl/config.json, see `aictl config check`.\n";

/* `aictl config check` without a daemon. `file` NULL: the one in use. */
static int check_config(const char *file)
{
    struct rendezvous paths;
    struct config_problems problems = {0};
    struct config *config = NULL;
    struct err err = {0};
    const char *why;
    if (!file && rendezvous_init(&paths, &why) < 0) {
        fprintf(stderr, "aictld: %s\n", why);
        return 1;
    }
    if (!file)
        file = paths.config_file;
    int r = config_load(file, NULL, NULL, &config, &problems, &err);
    for (size_t i = 0; i < problems.count; i++) {
        const struct config_problem *problem = &problems.list[i];
        printf("%s:%u:%u: %s: %s%s%s\n", file, problem->line, problem->column,
               problem->is_warning ? "warning" : "error", problem->path,
               problem->path[0] ? ": " : "", problem->message);
    }
    if (r < 0 && problems.count == 0)
        printf("%s\n", err.detail);
    if (r == 0)
        printf("%s is valid: %zu providers, %zu models\n", file, config->provider_count,
               config->catalogue.model_count);
    config_unref(config);
    return r < 0 ? error_row(r)->exit_code : 0;
}

/* Returns the exit status, or -1 to go on. */
static int parse(int argc, char **argv)
{
    static const struct option options[] = {
        {"check", no_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {"verbose", no_argument, NULL, 'v'},
        {0},
    };
    for (int c; (c = getopt_long(argc, argv, "chv", options, NULL)) != -1;) {
        switch (c) {
        case 'c':
            return check_config(argv[optind]);
        case 'h':
            fputs(usage, stdout);
            return 0;
        case 'V':
            puts("aictld " AICTL_VERSION);
            return 0;
        case 'v':
            log_set_level(LOG_DEBUG);
            break;
        default:
            fputs("Try: aictld --help\n", stderr);
            return 2;
        }
    }
    if (optind == argc)
        return -1;
    fprintf(stderr, "aictld: takes no arguments, but got \"%s\"\nTry: aictld --help\n",
            argv[optind]);
    return 2;
}

static int fail(const struct err *err)
{
    char message[ERR_DETAIL * 2];
    log_error("daemon", 0, "%s", err_message(err, message, sizeof(message)));
    return error_row(err->kind)->exit_code;
}

int main(int argc, char **argv)
{
    struct err err = {0};
    struct rendezvous paths;
    struct daemon *daemon = NULL;
    const char *why;
    if (harden_process(&err) < 0)
        return fail(&err);
    const char *level = getenv("AICTL_LOG");
    if (level && !strcmp(level, "debug"))
        log_set_level(LOG_DEBUG);
    int status = parse(argc, argv);
    if (status >= 0)
        return status;
    signal(SIGPIPE, SIG_IGN);
    if (rendezvous_init(&paths, &why) < 0) {
        err_set(&err, ERR_IO, "%s", why);
        return fail(&err);
    }
    if (daemon_open(&paths, &daemon, &err) < 0)
        return fail(&err);
    daemon_run(daemon);
    daemon_free(daemon);
    log_info("daemon", 0, "stopped");
    return 0;
}
