/*
 * The tiny client: what a prompt or a tool asks many times a day, answered in a fraction of a
 * millisecond. One connect, one write, one read; static, no library but libc.
 *
 * It speaks the same protocol as aictl (docs/PROTOCOL.md) but knows only a few requests, written
 * and read here by hand: a msgpack library would cost more than the whole program. Everything else
 * is the business of `aictl`.
 *
 *   aictl-shim model               the effective model of this directory
 *   aictl-shim switch MODEL|-      chooses the project's model
 *   aictl-shim token [--client N]  this directory's token
 *   aictl-shim hook bash|zsh       assignments for the prompt; silent whatever happens
 *
 * Exit status as aictl: 0 ok, 1 failed, 2 usage, 3 daemon down, 4 authentication.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/errors.h"
#include "proto/rendezvous.h"

#define REQUEST_MAX    16384
#define ANSWER_MAX     65536
#define PATH_SIZE      4096
#define ANSWER_TIMEOUT 10000 /* ms */
#define HOOK_TIMEOUT   1000  /* ms: a prompt waits no longer, whatever the daemon does */

/* ---- writing msgpack ---- */

struct request {
    uint8_t bytes[REQUEST_MAX];
    size_t len;
    bool is_full;
};

static void put(struct request *r, const void *bytes, size_t len)
{
    if (len > sizeof(r->bytes) - r->len) {
        r->is_full = true;
        return;
    }
    memcpy(r->bytes + r->len, bytes, len);
    r->len += len;
}

static void put_str(struct request *r, const char *text)
{
    size_t len = strlen(text);
    uint8_t head[3] = {0xda, (uint8_t)(len >> 8), (uint8_t)len};
    if (len > UINT16_MAX)
        r->is_full = true;
    else
        put(r, head, sizeof(head));
    put(r, text, len);
}

/* [0, 1, method, [{...: what follows are `pairs` times put_str() put_str() */
static void put_call(struct request *r, const char *method, unsigned pairs)
{
    static const uint8_t start[] = {0x94, 0x00, 0x01};
    uint8_t params[] = {0x91, (uint8_t)(0x80 | pairs)};
    put(r, start, sizeof(start));
    put_str(r, method);
    put(r, params, sizeof(params));
}

/* ---- reading msgpack ---- */

enum shape { SHAPE_OTHER, SHAPE_NIL, SHAPE_INT, SHAPE_STR, SHAPE_ARRAY, SHAPE_MAP };

struct answer {
    uint8_t bytes[ANSWER_MAX];
    size_t len;
};

/* One value's head: its shape, and its count of elements, bytes or its number. */
struct value {
    enum shape shape;
    uint64_t n;
    const uint8_t *body; /* of a string */
};

struct reader {
    const uint8_t *at, *end;
};

static bool take_number(struct reader *r, size_t width, uint64_t *ret)
{
    if ((size_t)(r->end - r->at) < width)
        return false;
    uint64_t n = 0;
    for (size_t i = 0; i < width; i++)
        n = n << 8 | r->at[i];
    r->at += width;
    *ret = n;
    return true;
}

/* How to read the types 0xc0 to 0xdf: the width of the number behind them and what it counts. */
static const struct {
    enum shape shape;
    uint8_t width;   /* bytes of the number that follows */
    uint8_t skipped; /* bytes after it that belong to the value */
    bool is_length;  /* the number counts bytes of body */
} types[32] = {
    [0x00] = {SHAPE_NIL, 0, 0, false},   [0x04] = {SHAPE_OTHER, 1, 0, true},
    [0x05] = {SHAPE_OTHER, 2, 0, true},  [0x06] = {SHAPE_OTHER, 4, 0, true},
    [0x07] = {SHAPE_OTHER, 1, 1, true},  [0x08] = {SHAPE_OTHER, 2, 1, true},
    [0x09] = {SHAPE_OTHER, 4, 1, true},  [0x0a] = {SHAPE_OTHER, 0, 4, false},
    [0x0b] = {SHAPE_OTHER, 0, 8, false}, [0x0c] = {SHAPE_INT, 1, 0, false},
    [0x0d] = {SHAPE_INT, 2, 0, false},   [0x0e] = {SHAPE_INT, 4, 0, false},
    [0x0f] = {SHAPE_INT, 8, 0, false},   [0x10] = {SHAPE_INT, 1, 0, false},
    [0x11] = {SHAPE_INT, 2, 0, false},   [0x12] = {SHAPE_INT, 4, 0, false},
    [0x13] = {SHAPE_INT, 8, 0, false},   [0x14] = {SHAPE_OTHER, 0, 2, false},
    [0x15] = {SHAPE_OTHER, 0, 3, false}, [0x16] = {SHAPE_OTHER, 0, 5, false},
    [0x17] = {SHAPE_OTHER, 0, 9, false}, [0x18] = {SHAPE_OTHER, 0, 17, false},
    [0x19] = {SHAPE_STR, 1, 0, true},    [0x1a] = {SHAPE_STR, 2, 0, true},
    [0x1b] = {SHAPE_STR, 4, 0, true},    [0x1c] = {SHAPE_ARRAY, 2, 0, false},
    [0x1d] = {SHAPE_ARRAY, 4, 0, false}, [0x1e] = {SHAPE_MAP, 2, 0, false},
    [0x1f] = {SHAPE_MAP, 4, 0, false},
};

static bool take_body(struct reader *r, size_t len, struct value *ret)
{
    if ((size_t)(r->end - r->at) < len)
        return false;
    ret->body = r->at;
    r->at += len;
    return true;
}

/* Reads a head, and the body of everything but arrays and maps. False when bytes are missing. */
static bool take(struct reader *r, struct value *ret)
{
    uint64_t byte;
    *ret = (struct value){0};
    if (!take_number(r, 1, &byte))
        return false;
    if (byte < 0x80 || byte >= 0xe0) {
        *ret = (struct value){.shape = SHAPE_INT, .n = byte};
        return true;
    }
    if (byte < 0xc0) {
        ret->shape = byte < 0x90 ? SHAPE_MAP : byte < 0xa0 ? SHAPE_ARRAY : SHAPE_STR;
        ret->n = byte < 0xa0 ? byte & 0x0f : byte & 0x1f;
        return ret->shape != SHAPE_STR || take_body(r, (size_t)ret->n, ret);
    }
    const typeof(types[0]) *type = &types[byte - 0xc0];
    ret->shape = type->shape;
    if (!take_number(r, type->width, &ret->n))
        return false;
    size_t body = (type->is_length ? (size_t)ret->n : 0) + type->skipped;
    return body == 0 || take_body(r, body, ret);
}

/* Steps over one whole value, however deep, without recursion. */
static bool skip(struct reader *r)
{
    uint64_t pending = 1;
    while (pending > 0) {
        struct value v;
        if (!take(r, &v))
            return false;
        pending--;
        if (v.shape == SHAPE_ARRAY || v.shape == SHAPE_MAP) {
            uint64_t more = v.shape == SHAPE_MAP ? 2 * v.n : v.n;
            if (more > (uint64_t)(r->end - r->at)) /* each element has at least one byte */
                return false;
            pending += more;
        }
    }
    return true;
}

/* Goes to the value of a key in the map that starts here. */
static bool enter(struct reader *r, const char *key)
{
    struct value map, name;
    if (!take(r, &map) || map.shape != SHAPE_MAP)
        return false;
    for (uint64_t i = 0; i < map.n; i++) {
        if (!take(r, &name))
            return false;
        if (name.shape == SHAPE_STR && name.n == strlen(key) && !memcmp(name.body, key, name.n))
            return true;
        if (!skip(r))
            return false;
    }
    return false;
}

/* Copies a member's text without control characters; "" when it is not there. */
static void get_text(struct reader r, const char *key, char *out, size_t size)
{
    struct value v;
    size_t n = 0;
    if (enter(&r, key) && take(&r, &v) && v.shape == SHAPE_STR)
        for (size_t i = 0; i < v.n && n + 1 < size; i++)
            if (v.body[i] >= 0x20 && v.body[i] != 0x7f)
                out[n++] = (char)v.body[i];
    out[n] = '\0';
}

static uint64_t get_int(struct reader r, const char *key)
{
    struct value v;
    return enter(&r, key) && take(&r, &v) && v.shape == SHAPE_INT ? v.n : 0;
}

/* ---- the call ---- */

static int connect_daemon(const char *path, int timeout_ms)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    struct timeval timeout = {timeout_ms / 1000, timeout_ms % 1000 * 1000};
    struct ucred peer;
    socklen_t len = sizeof(peer);
    if (strlen(path) >= sizeof(to.sun_path))
        return -1;
    memcpy(to.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)); /* best effort */
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 &&
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && peer.uid == getuid())
        return fd;
    close(fd);
    return -1;
}

static bool send_request(int fd, const struct request *request)
{
    size_t sent = 0;
    while (sent < request->len) {
        ssize_t n = send(fd, request->bytes + sent, request->len - sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        sent += (size_t)n;
    }
    return true;
}

/* Reads until one whole value is there: usually a single read. */
static bool receive_answer(int fd, struct answer *answer)
{
    answer->len = 0;
    while (answer->len < sizeof(answer->bytes)) {
        ssize_t n = recv(fd, answer->bytes + answer->len, sizeof(answer->bytes) - answer->len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        answer->len += (size_t)n;
        struct reader r = {answer->bytes, answer->bytes + answer->len};
        if (skip(&r))
            return true;
    }
    return false;
}

static void complain(const char *text, const char *detail, const char *next)
{
    fprintf(stderr, "aictl: %s%s%s\n", text, detail[0] ? ": " : "", detail);
    /* most rows bring a lead-in of their own: "start it: aictl daemon start" */
    if (next && next[0])
        fprintf(stderr, "  %s%s\n", strstr(next, ": ") ? "" : "try: ", next);
}

/* Prints what row and daemon say of a failure; the exit status is the row's. */
static int fail(int kind, const char *detail, bool is_quiet)
{
    const struct error_row *row = error_row(kind);
    if (!is_quiet)
        complain(row->text, detail, row->next);
    return row->exit_code;
}

/* Says what the daemon says of a failure; the exit status is that of the kind's row. */
static int fail_as_told(struct reader error, bool is_quiet)
{
    char message[256], detail[512], next[256];
    const struct error_row *row = error_row(error_kind_of_code((long)get_int(error, "code")));
    get_text(error, "message", message, sizeof(message));
    get_text(error, "detail", detail, sizeof(detail));
    get_text(error, "next", next, sizeof(next));
    if (!is_quiet)
        complain(message[0] ? message : row->text, detail, next);
    return row->exit_code;
}

/* An answer is [1, id, error, result]. Leaves the reader at the result, or says why there is none.
 */
static int open_answer(const struct answer *answer, struct reader *ret, bool is_quiet)
{
    struct reader r = {answer->bytes, answer->bytes + answer->len};
    struct value head, type, id, error;
    if (!take(&r, &head) || head.shape != SHAPE_ARRAY || head.n != 4 || !take(&r, &type) ||
        type.n != 1 || !take(&r, &id))
        return fail(ERR_BAD_FRAME, "", is_quiet);
    struct reader at_error = r;
    if (!take(&r, &error))
        return fail(ERR_BAD_FRAME, "", is_quiet);
    if (error.shape != SHAPE_NIL)
        return fail_as_told(at_error, is_quiet);
    *ret = r;
    return 0;
}

/* Sends the request; 0 with the reader at the result, else the exit status. */
static int call(const struct request *request, struct answer *answer, struct reader *ret,
                int timeout_ms, bool is_quiet)
{
    struct rendezvous paths;
    const char *why = "";
    if (rendezvous_init(&paths, &why) < 0)
        return fail(ERR_DAEMON_DOWN, why, is_quiet);
    if (request->is_full)
        return fail(ERR_TOO_LARGE, "", is_quiet);
    int fd = connect_daemon(paths.rpc_socket, timeout_ms);
    if (fd < 0)
        return fail(ERR_DAEMON_DOWN, "", is_quiet);
    bool ok = send_request(fd, request) && receive_answer(fd, answer);
    close(fd);
    if (!ok)
        return fail(ERR_DAEMON_DOWN, "it did not answer", is_quiet);
    return open_answer(answer, ret, is_quiet);
}

/* ---- the subcommands ---- */

struct session {
    char dir[PATH_SIZE];
    const char *override; /* NULL: none */
    struct request request;
    struct answer answer;
};

/* Starts a request with what every one of them says: the directory, and the shell's override. */
static void begin(struct session *s, const char *method, unsigned pairs)
{
    put_call(&s->request, method, pairs + 1 + (s->override ? 1 : 0));
    put_str(&s->request, "dir");
    put_str(&s->request, s->dir);
    if (s->override) {
        put_str(&s->request, "override");
        put_str(&s->request, s->override);
    }
}

static int print_model(struct session *s, char **args)
{
    char model[256];
    struct reader result = {0};
    (void)args; /* takes none */
    begin(s, "model.get", 0);
    int status = call(&s->request, &s->answer, &result, ANSWER_TIMEOUT, false);
    if (status)
        return status;
    get_text(result, "model", model, sizeof(model));
    if (!model[0])
        return fail(ERR_NO_MODEL, "", false);
    puts(model);
    return 0;
}

static int switch_model(struct session *s, char **args)
{
    char model[256], name[256] = "", provider[256], effective[256];
    struct reader result = {0};
    s->override = NULL; /* the method takes none */
    begin(s, "model.switch", 1);
    put_str(&s->request, "model");
    put_str(&s->request, args[0]);
    int status = call(&s->request, &s->answer, &result, ANSWER_TIMEOUT, false);
    if (status)
        return status;
    get_text(result, "model", model, sizeof(model));
    get_text(result, "provider", provider, sizeof(provider));
    get_text(result, "effective", effective, sizeof(effective));
    if (enter(&result, "project"))
        get_text(result, "name", name, sizeof(name));
    if (model[0])
        printf("%s -> %s via %s\n", name, model, provider);
    else
        printf("%s: no choice of its own any more\n  effective here: %s\n", name,
               effective[0] ? effective : "none");
    return 0;
}

static int print_token(struct session *s, char **args)
{
    char token[256];
    struct reader result = {0};
    bool has_client = args[0] && args[1] && strcmp(args[0], "--client") == 0;
    if (args[0] && !has_client) {
        complain("usage: aictl-shim token [--client NAME]", "", "aictl token --help");
        return 2;
    }
    begin(s, "token.get", has_client ? 1 : 0);
    if (has_client) {
        put_str(&s->request, "client");
        put_str(&s->request, args[1]);
    }
    int status = call(&s->request, &s->answer, &result, ANSWER_TIMEOUT, false);
    if (status)
        return status;
    get_text(result, "token", token, sizeof(token));
    puts(token);
    return 0;
}

/* In single quotes nothing has a meaning to bash or zsh but the quote itself. */
static void print_quoted(const char *text)
{
    putchar('\'');
    for (; *text; text++)
        if (*text == '\'')
            fputs("'\\''", stdout);
        else
            putchar(*text);
    putchar('\'');
}

/*
 * Prints what the init script evaluates. A daemon that is down leaves no model behind: showing that
 * of the directory we came from would be worse than showing none.
 */
static int print_hook(struct session *s, char **args)
{
    char model[256] = "";
    struct reader result = {0};
    (void)args; /* bash and zsh read the same */
    begin(s, "model.get", 0);
    int status = call(&s->request, &s->answer, &result, HOOK_TIMEOUT, true);
    if (status == 0)
        get_text(result, "model", model, sizeof(model));
    if (model[0]) {
        fputs("export AICTL_MODEL=", stdout);
        print_quoted(model);
        putchar('\n');
    } else {
        puts("unset AICTL_MODEL");
    }
    return status;
}

static const struct {
    const char *name;
    int (*run)(struct session *s, char **args); /* ends with NULL */
    int min, max;                               /* arguments */
} commands[] = {
    {"model", print_model, 0, 0},
    {"switch", switch_model, 1, 1},
    {"token", print_token, 0, 2},
    {"hook", print_hook, 1, 1},
};

int main(int argc, char **argv)
{
    static struct session session; /* 80 KiB: too much for a small stack */
    const char *override = getenv("AICTL_OVERRIDE");
    session.override = override && override[0] ? override : NULL;
    if (!getcwd(session.dir, sizeof(session.dir))) {
        complain("the working directory cannot be read", strerror(errno), "cd \"$HOME\"");
        return 1;
    }
    for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(argv[1], commands[i].name) == 0 && argc - 2 >= commands[i].min &&
            argc - 2 <= commands[i].max)
            return commands[i].run(&session, argv + 2);
    complain("usage: aictl-shim model | switch MODEL|- | token [--client NAME] | hook bash|zsh", "",
             "aictl help");
    return 2;
}
