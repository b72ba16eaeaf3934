/* Calls against a scripted other side: client/call.h. */
#include "client/call.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client/answer.h"
#include "proto/wire.h"

#define SHORT_MS 200

/* Who answers: a process that reads one request, sends these bytes and closes, or holds on. */
struct server {
    struct rendezvous paths;
    char dir[64];
    pid_t pid;
};

static void serve_one(int listener, const char *data, size_t len, bool holds)
{
    char request[4096];
    int fd = accept(listener, NULL, NULL);
    if (read(fd, request, sizeof(request)) < 0 || write(fd, data, len) < 0)
        _exit(1);
    while (holds)
        pause();
    _exit(0);
}

static void server_start(struct server *server, const char *data, size_t len, bool holds)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    strcpy(server->dir, "/tmp/aictl-call-XXXXXX");
    cr_assert(mkdtemp(server->dir));
    snprintf(server->paths.rpc_socket, sizeof(server->paths.rpc_socket), "%s/rpc.sock",
             server->dir);
    strcpy(at.sun_path, server->paths.rpc_socket);
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert_eq(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
    cr_assert_eq(listen(listener, 1), 0);
    server->pid = fork();
    if (server->pid == 0)
        serve_one(listener, data, len, holds);
    close(listener);
}

static void server_stop(struct server *server)
{
    kill(server->pid, SIGKILL);
    waitpid(server->pid, NULL, 0);
    unlink(server->paths.rpc_socket);
    rmdir(server->dir);
}

/* The result of a call that is answered with these bytes. */
static int call_answered(const char *data, size_t len, bool holds, cJSON **ret,
                         struct failure *failure)
{
    struct server server = {0};
    cJSON *params = cJSON_CreateObject();
    cJSON_AddStringToObject(params, "key", "secret");
    server_start(&server, data, len, holds);
    int r = call_daemon(&server.paths, METHOD_KEY_SET, params, SHORT_MS, ret, failure);
    server_stop(&server);
    return r;
}

Test(call, a_result_is_handed_over)
{
    struct wire_frame frame = {0};
    struct failure failure;
    cJSON *answer = cJSON_CreateObject(), *result = NULL;
    cJSON_AddStringToObject(answer, "model", "glm-4.6");
    cr_assert_eq(wire_pack_response(1, NULL, answer, &frame), 0);
    cr_assert_eq(call_answered(frame.data, frame.len, false, &result, &failure), 0);
    cr_expect_str_eq(answer_text(result, "model"), "glm-4.6");
    wire_frame_release(&frame);
    cJSON_Delete(answer);
    cJSON_Delete(result);
}

Test(call, a_refusal_is_taken_as_the_daemon_says_it)
{
    struct wire_frame frame = {0};
    struct failure failure;
    cJSON *result = NULL;
    struct wire_error error = {ERR_MODEL_NOT_FOUND, "newer text", "nope", "aictl newer"};
    cr_assert_eq(wire_pack_response(1, &error, NULL, &frame), 0);
    cr_assert_eq(call_answered(frame.data, frame.len, false, &result, &failure),
                 -ERR_MODEL_NOT_FOUND);
    cr_expect_str_eq(failure.message, "newer text");
    cr_expect_str_eq(failure.detail, "nope");
    cr_expect_str_eq(failure.next, "aictl newer");
    wire_frame_release(&frame);
}

Test(call, nobody_listening_is_a_daemon_that_is_down)
{
    struct rendezvous paths = {.rpc_socket = "/nonexistent/rpc.sock"};
    struct failure failure;
    cJSON *result = NULL;
    cr_assert_eq(call_daemon(&paths, METHOD_STATUS, NULL, SHORT_MS, &result, &failure),
                 -ERR_DAEMON_DOWN);
    cr_expect_eq(error_row(failure.kind)->exit_code, 3);
}

Test(call, bytes_that_are_no_answer_are_a_failure)
{
    static const struct {
        const char *data;
        size_t len;
        int kind;
    } cases[] = {
        {"", 0, ERR_DAEMON_DOWN},                    /* closed without a word */
        {"\x94\x01", 2, ERR_DAEMON_DOWN},            /* closed in the middle */
        {"\xc1", 1, ERR_BAD_FRAME},                  /* no msgpack */
        {"\x94\x00\x01\xa1x\x90", 6, ERR_BAD_FRAME}, /* a request */
        {"\xdd\xff\xff\xff\xff", 5, ERR_TOO_LARGE},  /* announces too much */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct failure failure;
        cJSON *result = NULL;
        cr_expect_eq(call_answered(cases[i].data, cases[i].len, false, &result, &failure),
                     -cases[i].kind, "case %zu: %d", i, failure.kind);
        cr_expect_null(result);
    }
}

Test(call, a_daemon_that_never_answers_is_not_waited_for)
{
    struct timespec before, after;
    struct failure failure;
    cJSON *result = NULL;
    clock_gettime(CLOCK_MONOTONIC, &before);
    cr_assert_eq(call_answered("\x94", 1, true, &result, &failure), -ERR_DAEMON_DOWN);
    clock_gettime(CLOCK_MONOTONIC, &after);
    cr_expect_lt(after.tv_sec - before.tv_sec, 5);
    cr_expect_str_eq(failure.detail, "it took too long");
}
