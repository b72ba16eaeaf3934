/* Starting and stopping the daemon; see service.h. */
#include "client/service.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client/answer.h"
#include "client/call.h"

#define UNIT_SERVICE "aictld.service"
#define SOCKET_UNITS                                                                               \
    "aictld.socket", "aictld-ipv6.socket", "aictld-http.socket", "aictld-rpc.socket"
#define LOG_TAIL  2048 /* bytes of the log shown after a failed start */
#define LOG_LINES 12
#define POLL_MS   20

extern char **environ;

/* ---- finding our programs ---- */

static bool is_program(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

static bool found(char *out, size_t size, const char *dir, const char *middle, const char *name)
{
    int n = snprintf(out, size, "%s%s/%s", dir, middle, name);
    return n > 0 && (size_t)n < size && is_program(out);
}

static bool find_in_path(const char *name, char *out, size_t size)
{
    const char *path = getenv("PATH");
    char dir[RENDEZVOUS_PATH];
    while (path && *path) {
        size_t len = strcspn(path, ":");
        /* relative entries would let the current directory choose the program */
        if (len < sizeof(dir) && path[0] == '/') {
            snprintf(dir, sizeof(dir), "%.*s", (int)len, path);
            if (found(out, size, dir, "", name))
                return true;
        }
        path += len + (path[len] == ':');
    }
    return false;
}

bool service_program(const char *name, char *out, size_t size)
{
    char dir[RENDEZVOUS_PATH];
    ssize_t n = readlink("/proc/self/exe", dir, sizeof(dir) - 1);
    if (n > 0) {
        dir[n] = '\0';
        *strrchr(dir, '/') = '\0';
        if (found(out, size, dir, "", name))
            return true;
        /* the build tree: client/aictl, daemon/aictld, shims/aictl-shim */
        char *folder = strrchr(dir, '/');
        if (folder && !strcmp(folder, "/client")) {
            *folder = '\0';
            if (found(out, size, dir, "/daemon", name) || found(out, size, dir, "/shims", name))
                return true;
        }
    }
    return find_in_path(name, out, size);
}

/* ---- systemd ---- */

/*
 * Runs PROGRAM --user ARGS; true when it exits with 0. Its output goes to our standard error when
 * `is_shown`, else nowhere. `args` ends with NULL.
 */
static bool run_for_user(const char *program, bool is_shown, const char *const *args)
{
    char *argv[16] = {(char *)program, (char *)"--user"};
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int status = -1, n = 2;
    for (; *args && n < 15; args++)
        argv[n++] = (char *)*args;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    if (is_shown)
        posix_spawn_file_actions_adddup2(&actions, 2, 1);
    else
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    int r = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (r != 0)
        return false;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

#define SYSTEMCTL(...)  run_for_user("systemctl", false, (const char *const[]){__VA_ARGS__, NULL})
#define JOURNALCTL(...) run_for_user("journalctl", true, (const char *const[]){__VA_ARGS__, NULL})

enum service_manager service_manager(void)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    char private_socket[RENDEZVOUS_PATH], bus[RENDEZVOUS_PATH];
    if (!runtime || runtime[0] != '/')
        return SERVICE_BACKGROUND;
    snprintf(private_socket, sizeof(private_socket), "%s/systemd/private", runtime);
    snprintf(bus, sizeof(bus), "%s/bus", runtime);
    if (access(private_socket, F_OK) < 0 && access(bus, F_OK) < 0)
        return SERVICE_BACKGROUND;
    return SYSTEMCTL("show-environment") && SYSTEMCTL("cat", UNIT_SERVICE) ? SERVICE_SYSTEMD
                                                                           : SERVICE_BACKGROUND;
}

/* ---- waiting ---- */

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct wait {
    int64_t start, deadline;
    const struct screen *talk;
    const char *text;
    bool has_talked;
};

static struct wait wait_begin(const struct screen *talk, const char *text, int64_t ms)
{
    int64_t now = now_ms();
    return (struct wait){.start = now, .deadline = now + ms, .talk = talk, .text = text};
}

/* Pauses; false when the deadline has passed. Long waits are announced once. */
static bool wait_more(struct wait *wait)
{
    int64_t now = now_ms();
    if (now >= wait->deadline)
        return false;
    if (wait->talk && !wait->has_talked && now - wait->start >= SERVICE_PROGRESS_MS) {
        screen_put(wait->talk, TONE_DIM, wait->text);
        fputc('\n', wait->talk->out);
        wait->has_talked = true;
    }
    nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
    return true;
}

/* Asks for the daemon's pid; 0 when it does not answer. */
static int answering_pid(const struct rendezvous *paths)
{
    cJSON *status = NULL;
    struct failure ignored;
    if (call_daemon(paths, METHOD_STATUS, NULL, SERVICE_START_MS, &status, &ignored) < 0)
        return 0;
    int pid = (int)answer_int(status, "pid", 0);
    cJSON_Delete(status);
    return pid;
}

/* ---- the log ---- */

static off_t log_size(const struct rendezvous *paths)
{
    struct stat st;
    return stat(paths->log_file, &st) == 0 ? st.st_size : 0;
}

/* The last lines of text. */
static char *last_lines(char *text, size_t len)
{
    int lines = 0;
    size_t at = len;
    while (at > 0 && lines <= LOG_LINES)
        lines += text[--at] == '\n';
    return text + at + (lines > LOG_LINES);
}

/* Prints what the daemon wrote since `from`: the lines of this start and of none before. */
static void print_log(const struct rendezvous *paths, off_t from)
{
    char text[LOG_TAIL + 1];
    struct screen screen = screen_of(stderr, false);
    off_t size = log_size(paths);
    if (size - from > LOG_TAIL)
        from = size - LOG_TAIL;
    int fd = open(paths->log_file, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : pread(fd, text, LOG_TAIL, from);
    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return;
    text[n] = '\0';
    char *save = NULL;
    for (char *line = strtok_r(last_lines(text, (size_t)n), "\n", &save); line;
         line = strtok_r(NULL, "\n", &save)) {
        screen_put(&screen, TONE_DIM, "  | ");
        screen_wrap(&screen, TONE_PLAIN, 4, 4, line);
        fputc('\n', stderr);
    }
}

/* ---- start ---- */

static int not_started(struct failure *reterr, const char *detail)
{
    int r = failure_set(reterr, ERR_INTERNAL, "%s", detail);
    failure_say(reterr, "aictld did not start");
    return r;
}

/* It ended while starting; a configuration that is not valid has an exit status of its own. */
static int ended_early(struct failure *reterr, int status)
{
    const struct error_row *row = error_row(ERR_CONFIG_INVALID);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != row->exit_code)
        return not_started(reterr, "it ended while starting");
    failure_set(reterr, ERR_CONFIG_INVALID, "%s", row->text);
    failure_say(reterr, "aictld did not start");
    failure_try(reterr, "mend it, then: aictl daemon start");
    return -ERR_CONFIG_INVALID;
}

static int no_program(struct failure *reterr)
{
    int r = failure_set(reterr, ERR_NOT_FOUND, "aictld");
    failure_say(reterr, "this program is neither beside aictl nor in PATH");
    failure_try(reterr, "install aictl again: ./dev up");
    return r;
}

static int open_log(const struct rendezvous *paths, struct failure *reterr)
{
    int r = rendezvous_private_dir(paths->state_dir);
    if (r < 0)
        return failure_set(reterr, ERR_IO, "%s: %s", paths->state_dir, strerror(-r));
    int fd = open(paths->log_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return failure_set(reterr, ERR_IO, "%s: %s", paths->log_file, strerror(errno));
    return fd;
}

/* In the child: a session of its own, standard streams to the log, no signals held back. */
static _Noreturn void become_daemon(const char *program, int log)
{
    sigset_t none;
    char *argv[] = {(char *)program, NULL};
    int null = open("/dev/null", O_RDONLY);
    setsid();
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (null < 0 || dup2(null, 0) < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0 || chdir("/") < 0)
        _exit(126);
    if (null > 2)
        close(null);
    execv(program, argv);
    dprintf(2, "%s: %s\n", program, strerror(errno));
    _exit(127);
}

/*
 * Waits until the daemon answers. One fork is enough: it has left our session, goes to init when we
 * end, and until then its end can be seen.
 */
static int await_answer(const struct rendezvous *paths, pid_t child, const struct screen *talk,
                        int *ret_pid, struct failure *reterr)
{
    struct wait wait = wait_begin(talk, "waiting for aictld to answer ...", SERVICE_START_MS);
    int status = 0;
    do {
        /* looked at first: a child that ended because another daemon was quicker is no failure */
        bool has_ended = child > 0 && waitpid(child, &status, WNOHANG) == child;
        *ret_pid = answering_pid(paths);
        if (*ret_pid)
            return 0;
        if (has_ended)
            return ended_early(reterr, status);
    } while (wait_more(&wait));
    return failure_set(reterr, ERR_DAEMON_DOWN, "it did not answer within %d s",
                       SERVICE_START_MS / 1000);
}

static int start_in_background(const struct rendezvous *paths, const struct screen *talk,
                               int *ret_pid, struct failure *reterr)
{
    char program[RENDEZVOUS_PATH];
    if (!service_program("aictld", program, sizeof(program)))
        return no_program(reterr);
    int log = open_log(paths, reterr);
    if (log < 0)
        return log;
    off_t from = log_size(paths);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        become_daemon(program, log);
    close(log);
    int r = child < 0 ? failure_set(reterr, ERR_IO, "fork: %s", strerror(errno))
                      : await_answer(paths, child, talk, ret_pid, reterr);
    if (r < 0 && child > 0) {
        print_log(paths, from);
        if (r != -ERR_CONFIG_INVALID) /* what to mend stands there */
            failure_try(reterr, "see the whole log: %s", paths->log_file);
    }
    return r;
}

static int start_units(const struct rendezvous *paths, const struct screen *talk, int *ret_pid,
                       struct failure *reterr)
{
    bool is_started = SYSTEMCTL("start", UNIT_SERVICE); /* it wants its sockets */
    int r = is_started ? await_answer(paths, 0, talk, ret_pid, reterr)
                       : not_started(reterr, "systemd could not start " UNIT_SERVICE);
    if (r < 0) {
        /* journalctl makes control characters harmless itself */
        (void)JOURNALCTL("-q", "--no-pager", "-n", "8", "-o", "cat", "-u", UNIT_SERVICE);
        failure_try(reterr, "journalctl --user -n 40 -u aictld.service -u aictld.socket");
    }
    return r;
}

int service_start(const struct rendezvous *paths, const struct screen *talk,
                  struct service_change *ret, struct failure *reterr)
{
    *ret = (struct service_change){.pid = answering_pid(paths), .manager = service_manager()};
    ret->was_running = ret->pid != 0;
    if (ret->was_running)
        return 0;
    return ret->manager == SERVICE_SYSTEMD ? start_units(paths, talk, &ret->pid, reterr)
                                           : start_in_background(paths, talk, &ret->pid, reterr);
}

/* ---- stop ---- */

/* True when the process is gone, or only waits for its parent to notice. */
static bool has_ended(int pid)
{
    char path[64], text[512];
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT || errno == ESRCH;
    ssize_t n = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (n <= 0)
        return true;
    text[n] = '\0';
    const char *state = strrchr(text, ')');
    return state && (!strncmp(state, ") Z", 3) || !strncmp(state, ") X", 3));
}

static int await_end(int pid, const struct screen *talk, struct failure *reterr)
{
    struct wait wait = wait_begin(talk, "waiting for running requests to end ...", SERVICE_STOP_MS);
    while (!has_ended(pid))
        if (!wait_more(&wait)) {
            failure_set(reterr, ERR_BUSY, "process %d has not ended within %d s", pid,
                        SERVICE_STOP_MS / 1000);
            failure_try(reterr, "kill %d", pid);
            return -ERR_BUSY;
        }
    return 0;
}

static int stop_by_call(const struct rendezvous *paths, const struct screen *talk,
                        struct service_change *ret, struct failure *reterr)
{
    cJSON *result = NULL;
    int r = call_daemon(paths, METHOD_DAEMON_STOP, NULL, CALL_ANSWER_MS, &result, reterr);
    if (r == -ERR_DAEMON_DOWN)
        return 0;
    if (r < 0)
        return r;
    ret->was_running = true;
    ret->pid = (int)answer_int(result, "pid", 0);
    cJSON_Delete(result);
    return ret->pid > 0 ? await_end(ret->pid, talk, reterr) : 0;
}

bool service_is_active(void)
{
    return SYSTEMCTL("is-active", UNIT_SERVICE);
}

bool service_is_listening(void)
{
    return SYSTEMCTL("is-active", "aictld-rpc.socket");
}

int service_stop(const struct rendezvous *paths, const struct screen *talk,
                 struct service_change *ret, struct failure *reterr)
{
    *ret = (struct service_change){.manager = service_manager()};
    if (ret->manager == SERVICE_SYSTEMD && (service_is_active() || service_is_listening())) {
        ret->was_running = true;
        if (!SYSTEMCTL("stop", SOCKET_UNITS, UNIT_SERVICE)) {
            failure_set(reterr, ERR_INTERNAL, "systemd could not stop " UNIT_SERVICE);
            failure_try(reterr, "systemctl --user status " UNIT_SERVICE);
            return -ERR_INTERNAL;
        }
    }
    /* one that was started by hand is still there */
    return stop_by_call(paths, talk, ret, reterr);
}

/* ---- run ---- */

int service_run(struct failure *reterr)
{
    char program[RENDEZVOUS_PATH];
    char *argv[] = {program, NULL};
    if (!service_program("aictld", program, sizeof(program)))
        return no_program(reterr);
    fflush(NULL);
    execv(program, argv);
    return failure_set(reterr, ERR_IO, "%s: %s", program, strerror(errno));
}

int service_check_config(const char *file, struct failure *reterr)
{
    char program[RENDEZVOUS_PATH], check[] = "--check";
    char *argv[] = {program, check, (char *)file, NULL};
    if (!service_program("aictld", program, sizeof(program)))
        return no_program(reterr);
    fflush(NULL);
    execv(program, argv);
    return failure_set(reterr, ERR_IO, "%s: %s", program, strerror(errno));
}
