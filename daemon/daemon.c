/* See daemon.h. Functions stand in the order of the daemon's life. */
#include "daemon.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "base/own.h"
#include "control/control.h"
#include "demo/demo.h"
#include "gateway/exchange.h"
#include "net/http1.h"
#include "service.h"

#define UNIX_LISTENERS   2 /* control's and HTTP's */
#define LISTENERS_MAX    (SERVICE_FDS_MAX + UNIX_LISTENERS)
#define DESCRIPTORS_KEPT 64  /* for files, listeners, control clients, the demo */
#define RELOAD_DELAY_MS  100 /* editors write a file in several steps */
#define QUEUE_FACTOR     4   /* what a connection's queue may hold, in streamBuffers */

struct daemon {
    struct rendezvous paths;
    char demo_socket[RENDEZVOUS_PATH];
    char config_dir[RENDEZVOUS_PATH]; /* of the configuration file that is watched */
    int lock_fd;
    struct loop *loop;
    struct gateway gateway;
    struct http_server *http;
    struct control *control;
    struct control_hooks hooks;
    struct demo *demo;
    struct listener *listeners[LISTENERS_MAX];
    size_t listener_count;
    char urls[LISTENERS_MAX][64];
    size_t url_count;
    char unix_url[RENDEZVOUS_PATH + 8];
    char config_error[ERR_DETAIL];
    uv_signal_t signals[3];
    uv_fs_event_t config_watch;
    struct timer reload_delay, watchdog, drain, farewell;
    bool is_stopping;
};

static int reload(void *ctx, struct err *reterr);
static void stop(void *ctx);

/* ---- start: files ---- */

static int private_dir(const char *path, struct err *reterr)
{
    int r = rendezvous_private_dir(path);
    return r < 0 ? err_errno(reterr, ERR_IO, -r, "%s cannot be used as a private directory", path)
                 : 0;
}

/* Held for life: a second daemon of the same user finds it taken. */
static int take_lock(struct daemon *daemon, struct err *reterr)
{
    const char *path = daemon->paths.lock_file;
    daemon->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (daemon->lock_fd < 0)
        return err_errno(reterr, ERR_IO, errno, "cannot open %s", path);
    if (flock(daemon->lock_fd, LOCK_EX | LOCK_NB) < 0)
        return err_set(reterr, ERR_ALREADY_RUNNING, "%s is locked", path);
    char pid[16];
    int n = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
    if (ftruncate(daemon->lock_fd, 0) < 0 || write(daemon->lock_fd, pid, (size_t)n) != n)
        log_warn("daemon", 0, "cannot write the pid to %s", path); /* the lock itself holds */
    return 0;
}

/* The user's own directory: made when it is missing, else left as it is (it may be a link). */
static int config_dir(const char *path, struct err *reterr)
{
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return 0;
    return private_dir(path, reterr);
}

/* A damaged vault costs the keys, not the service: status and error answers say how to mend it. */
static int open_vault(struct daemon *daemon, struct err *reterr)
{
    struct gateway *gateway = &daemon->gateway;
    int r = vault_open(daemon->paths.state_dir, daemon->paths.kek_dir, &gateway->vault, reterr);
    if (r == -ERR_VAULT_CORRUPT || r == -ERR_FORBIDDEN) {
        log_error("daemon", 0, "%s", reterr->detail);
        reterr->kind = ERR_VAULT_CORRUPT;
        gateway->vault = vault_new_broken(reterr);
        return 0;
    }
    if (r == 0 && vault_is_locked(gateway->vault))
        log_warn("daemon", 0, "the vault is locked: %s", vault_lock_reason(gateway->vault));
    return r;
}

/*
 * A list that cannot be read is set aside, so that the service stays up: tokens and pins are made
 * anew by the commands that made them.
 */
static bool set_aside(const struct daemon *daemon, const char *name, const struct err *err)
{
    char path[RENDEZVOUS_PATH + 32], aside[RENDEZVOUS_PATH + 40];
    (void)snprintf(path, sizeof(path), "%s/%s", daemon->paths.state_dir, name); /* fits */
    (void)snprintf(aside, sizeof(aside), "%s.bad", path);                       /* as above */
    if (err->kind != ERR_CONFIG_INVALID || rename(path, aside) < 0)
        return false;
    log_error("daemon", 0, "%s; it is now %s and a new one is begun", err->detail, aside);
    return true;
}

static int open_tokens(struct daemon *daemon, struct err *reterr)
{
    struct tokens **tokens = &daemon->gateway.tokens;
    int r = tokens_open(daemon->paths.state_dir, tokens, reterr);
    if (r < 0 && set_aside(daemon, "tokens.json", reterr))
        r = tokens_open(daemon->paths.state_dir, tokens, reterr);
    return r;
}

static int open_pins(struct daemon *daemon, struct err *reterr)
{
    struct projects **projects = &daemon->gateway.projects;
    int r = projects_open(daemon->paths.state_dir, projects, reterr);
    if (r < 0 && set_aside(daemon, "pins.json", reterr))
        r = projects_open(daemon->paths.state_dir, projects, reterr);
    return r;
}

static int open_state(struct daemon *daemon, struct err *reterr)
{
    const struct rendezvous *paths = &daemon->paths;
    int r = private_dir(paths->state_dir, reterr);
    if (r == 0)
        r = private_dir(paths->runtime_dir, reterr);
    if (r == 0)
        r = take_lock(daemon, reterr);
    if (r == 0)
        r = open_vault(daemon, reterr);
    if (r == 0)
        r = open_tokens(daemon, reterr);
    if (r == 0)
        r = open_pins(daemon, reterr);
    return r;
}

/*
 * A plain key in the configuration is bound to its provider's origin when it is first read: later
 * the same key with another baseURL is refused, since the vault knows its origin.
 */
static void keep_plain_key(void *ctx, const char *provider, const char *origin, struct span key)
{
    struct daemon *daemon = ctx;
    struct err err = {0};
    const char *const origins[] = {origin};
    if (vault_holds(daemon->gateway.vault, provider, key))
        return;
    if (vault_put(daemon->gateway.vault, provider, key, origins, 1, loop_wall_ms() / 1000, &err) <
        0)
        log_warn("daemon", 0, "the key of %s is not usable: %s", provider, err.detail);
}

static int load_config(struct daemon *daemon, struct config **ret, struct err *reterr)
{
    struct config_problems problems = {0};
    int r = config_load(daemon->paths.config_file, keep_plain_key, daemon, ret, &problems, reterr);
    bool is_told = false; /* the first error is the caller's to tell */
    for (size_t i = 0; i < problems.count; i++) {
        const struct config_problem *problem = &problems.list[i];
        bool is_first_error = !problem->is_warning && !is_told;
        is_told |= is_first_error;
        if (!is_first_error)
            log_warn("config", 0, "%s:%u:%u: %s%s%s", daemon->paths.config_file, problem->line,
                     problem->column, problem->path, problem->path[0] ? ": " : "",
                     problem->message);
    }
    return r;
}

/* ---- start: listeners ---- */

/* Each request takes a descriptor to the client and one to the provider; some are for ourselves. */
static int64_t connections_max(const struct options *options)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
        return options->connectionsMax;
    int64_t affordable = ((int64_t)limit.rlim_cur - DESCRIPTORS_KEPT) / 2;
    return affordable < options->connectionsMax ? (affordable > 1 ? affordable : 1)
                                                : options->connectionsMax;
}

static struct http_limits limits_of(const struct options *options)
{
    return (struct http_limits){
        .header_ms = options->clientHeaderMs,
        .body_idle_ms = options->clientBodyIdleMs,
        .write_stall_ms = options->clientWriteStallMs,
        .idle_ms = options->clientIdleMs,
        .linger_ms = options->clientLingerMs,
        .body_max = (size_t)options->bodyMax,
        .high_mark = (size_t)options->streamBuffer,
        .queue_max = QUEUE_FACTOR * (size_t)options->streamBuffer + (size_t)options->answerMax,
        .connections_max = (unsigned)connections_max(options),
    };
}

static void keep_listener(struct daemon *daemon, struct listener *listener)
{
    const char *address = listener_address(listener);
    assert(daemon->listener_count < LISTENERS_MAX);
    daemon->listeners[daemon->listener_count++] = listener;
    if (!listener_is_unix(listener))
        (void)snprintf(daemon->urls[daemon->url_count++], sizeof(daemon->urls[0]), "http://%s",
                       address);
    else if (strcmp(address + strlen("unix:"), daemon->paths.rpc_socket) != 0)
        (void)snprintf(daemon->unix_url, sizeof(daemon->unix_url), "%s", address);
    log_info("daemon", 0, "listening on %s", address);
}

static bool has_tcp(const struct daemon *daemon)
{
    return daemon->url_count > 0;
}

static bool has_unix(const struct daemon *daemon, const char *path)
{
    for (size_t i = 0; i < daemon->listener_count; i++)
        if (listener_is_unix(daemon->listeners[i]) &&
            !strcmp(listener_address(daemon->listeners[i]) + strlen("unix:"), path))
            return true;
    return false;
}

/* Sockets of the service manager are told apart by their address: rpc.sock is control's. */
static int adopt(struct daemon *daemon, int fd, struct err *reterr)
{
    struct sockaddr_storage name = {0};
    socklen_t len = sizeof(name);
    int is_listening = 0;
    socklen_t size = sizeof(is_listening);
    if (getsockname(fd, (struct sockaddr *)&name, &len) < 0 ||
        getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &size) < 0 || !is_listening)
        return err_set(reterr, ERR_CONFIG_INVALID, "inherited descriptor %d is no listening socket",
                       fd);
    const char *path =
        name.ss_family == AF_UNIX ? ((const struct sockaddr_un *)&name)->sun_path : "";
    const char *base = strrchr(path, '/');
    bool is_rpc = base && !strcmp(base, "/rpc.sock");
    struct listener *listener;
    int r =
        listener_adopt(daemon->loop, fd, is_rpc ? &control_listener_events : &http_listener_events,
                       is_rpc ? (void *)daemon->control : (void *)daemon->http, &listener, reterr);
    if (r == 0)
        keep_listener(daemon, listener);
    return r;
}

static int listen_unix(struct daemon *daemon, const char *path,
                       const struct listener_events *events, void *ctx, struct err *reterr)
{
    char address[RENDEZVOUS_PATH + 8];
    struct listener *listener;
    if (has_unix(daemon, path))
        return 0;
    (void)snprintf(address, sizeof(address), "unix:%s", path); /* a path plus 5 fits */
    int r = listener_open(daemon->loop, address, events, ctx, &listener, reterr);
    if (r == 0)
        keep_listener(daemon, listener);
    return r;
}

/* The configured addresses. A machine without IPv6 lacks [::1]: one that works is enough. */
static int listen_tcp(struct daemon *daemon, struct err *reterr)
{
    const struct config *config = daemon->gateway.config;
    for (size_t i = 0; i < config->listen_count && daemon->url_count < SERVICE_FDS_MAX; i++) {
        struct listener *listener;
        int r = listener_open(daemon->loop, config->listen[i], &http_listener_events, daemon->http,
                              &listener, reterr);
        if (r == -ERR_IO) {
            log_warn("daemon", 0, "not listening on %s", reterr->detail);
            continue;
        }
        if (r < 0)
            return r;
        keep_listener(daemon, listener);
    }
    return has_tcp(daemon) ? 0 : err_prefix(reterr, "no address to listen on");
}

/* What tools are told: 127.0.0.1 where it is served, since not all of them know [::1]. */
static const char *best_url(const struct daemon *daemon)
{
    for (size_t i = 0; i < daemon->url_count; i++)
        if (!strncmp(daemon->urls[i], "http://127.", 11))
            return daemon->urls[i];
    return daemon->urls[0];
}

static int open_listeners(struct daemon *daemon, struct err *reterr)
{
    int inherited = service_listen_fds(), r = 0;
    for (int i = 0; i < inherited && r == 0; i++)
        r = adopt(daemon, SERVICE_FIRST_FD + i, reterr);
    if (r == 0 && !has_tcp(daemon))
        r = listen_tcp(daemon, reterr);
    if (r == 0)
        r = listen_unix(daemon, daemon->paths.rpc_socket, &control_listener_events, daemon->control,
                        reterr);
    if (r == 0)
        r = listen_unix(daemon, daemon->paths.http_socket, &http_listener_events, daemon->http,
                        reterr);
    daemon->gateway.http_url = best_url(daemon);
    daemon->gateway.unix_url = daemon->unix_url;
    return r;
}

/* ---- start: what runs on the loop ---- */

static const char *config_error(void *ctx)
{
    const struct daemon *daemon = ctx;
    return daemon->config_error[0] ? daemon->config_error : NULL;
}

static const char *url(void *ctx, size_t index)
{
    const struct daemon *daemon = ctx;
    return index < daemon->url_count ? daemon->urls[index] : NULL;
}

static int open_gateway(struct daemon *daemon, struct err *reterr)
{
    struct gateway *gateway = &daemon->gateway;
    const struct options *options = &gateway->config->options;
    const char *home = getenv("HOME");
    daemon->hooks = (struct control_hooks){.reload = reload,
                                           .stop = stop,
                                           .config_error = config_error,
                                           .url = url,
                                           .config_file = daemon->paths.config_file,
                                           .ctx = daemon};
    (void)snprintf(daemon->demo_socket, sizeof(daemon->demo_socket), "%.*s/demo.sock",
                   RENDEZVOUS_PATH - 16, daemon->paths.runtime_dir);
    gateway->loop = daemon->loop;
    gateway->ledger = ledger_new();
    gateway->fetch = fetch_pool_new(daemon->loop, (unsigned)options->connectionsPerProvider,
                                    options->providerIdleMs);
    gateway->memory = memory_new((size_t)options->memoryMax);
    gateway->project_cache =
        project_cache_new(daemon->loop, home ? home : "/", options->projectCacheMs);
    gateway->gen_file = daemon->paths.gen_file;
    gateway->demo_socket = daemon->demo_socket;
    gateway->owner = daemon;
    const struct http_limits limits = limits_of(options);
    daemon->http = http_server_new(daemon->loop, &limits, &exchange_http_handler, gateway);
    int r = demo_open(daemon->loop, daemon->demo_socket, &daemon->demo, reterr);
    if (r == 0)
        r = control_open(gateway, &daemon->hooks, &daemon->control, reterr);
    return r;
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct daemon *daemon = handle->data;
    struct err err = {0};
    if (number != SIGHUP) {
        stop(daemon);
        return;
    }
    (void)reload(daemon, &err); /* logs what is wrong, keeps the old snapshot */
}

static void on_reload_delay(struct timer *timer)
{
    struct err err = {0};
    (void)reload(timer->owner, &err); /* as above */
}

static void on_config_change(uv_fs_event_t *watch, const char *name, int events, int status)
{
    struct daemon *daemon = watch->data;
    const char *slash = strrchr(daemon->paths.config_file, '/');
    (void)events;
    if (status == 0 && slash && (!name || !strcmp(name, slash + 1)))
        timer_start(&daemon->reload_delay, RELOAD_DELAY_MS);
}

static void on_watchdog(struct timer *timer)
{
    service_notify("WATCHDOG=1");
    timer_start(timer, service_watchdog_ms());
}

static void open_timer(struct daemon *daemon, struct timer *timer, void (*fn)(struct timer *timer))
{
    timer_open(timer, daemon->loop, fn);
    timer->owner = daemon;
}

static void on_drain_over(struct timer *timer);
static void on_farewell_over(struct timer *timer);

static void watch(struct daemon *daemon)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
    uv_loop_t *uv = loop_uv(daemon->loop);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        uv_signal_init(uv, &daemon->signals[i]);
        daemon->signals[i].data = daemon;
        uv_signal_start(&daemon->signals[i], on_signal, numbers[i]);
    }
    open_timer(daemon, &daemon->reload_delay, on_reload_delay);
    open_timer(daemon, &daemon->watchdog, on_watchdog);
    open_timer(daemon, &daemon->drain, on_drain_over);
    open_timer(daemon, &daemon->farewell, on_farewell_over);
    uv_fs_event_init(uv, &daemon->config_watch);
    daemon->config_watch.data = daemon;
    const char *slash = strrchr(daemon->paths.config_file, '/');
    (void)snprintf(daemon->config_dir, sizeof(daemon->config_dir), "%.*s",
                   (int)(slash - daemon->paths.config_file), daemon->paths.config_file);
    if (uv_fs_event_start(&daemon->config_watch, on_config_change, daemon->config_dir, 0) < 0)
        log_warn("daemon", 0, "%s is not watched: reload by `aictl daemon reload`",
                 daemon->config_dir);
    if (service_watchdog_ms())
        timer_start(&daemon->watchdog, service_watchdog_ms());
}

int daemon_open(const struct rendezvous *paths, struct daemon **ret, struct err *reterr)
{
    struct daemon *daemon = calloc(1, sizeof(*daemon));
    if (!daemon)
        abort();
    daemon->paths = *paths;
    daemon->lock_fd = -1;
    daemon->loop = loop_new();
    int r = config_dir(paths->config_dir, reterr);
    watch(daemon);
    if (r == 0)
        r = open_state(daemon, reterr);
    if (r == 0)
        r = load_config(daemon, &daemon->gateway.config, reterr);
    if (r == 0)
        r = open_gateway(daemon, reterr);
    if (r == 0)
        r = open_listeners(daemon, reterr);
    if (r < 0) {
        daemon_free(daemon);
        return r;
    }
    gateway_announce(&daemon->gateway);
    *ret = daemon;
    return 0;
}

/* ---- running ---- */

void daemon_run(struct daemon *daemon)
{
    service_notify("READY=1\nSTATUS=serving");
    log_info("daemon", 0, "aictld " AICTL_VERSION " serves %s", daemon->gateway.http_url);
    if (daemon->gateway.config->has_demo_only)
        log_info(
            "daemon", 0,
            "no provider is configured: the demo provider answers (aictl login NAME adds one)");
    loop_run(daemon->loop);
}

static void note_ignored_listen(const struct config *old, const struct config *new)
{
    bool same = old->listen_count == new->listen_count;
    for (size_t i = 0; same && i < old->listen_count; i++)
        same = !strcmp(old->listen[i], new->listen[i]);
    if (!same)
        log_warn("daemon", 0, "\"listen\" has changed: restart the daemon to use it");
}

/* A file that vanishes while it is in use is more likely an accident than a wish for the demo. */
static int check_still_there(const struct daemon *daemon, struct err *reterr)
{
    const char *path = daemon->paths.config_file;
    if (!daemon->gateway.config->path[0] || access(path, F_OK) == 0)
        return 0;
    return err_set(reterr, ERR_NOT_FOUND, "%s is gone; what it said stays in use until a restart",
                   path);
}

/* The keyfile may be back. A vault that stays shut changes nothing. */
static void try_vault_again(struct daemon *daemon)
{
    struct gateway *gateway = &daemon->gateway;
    struct vault *vault = NULL;
    struct err err = {0};
    if (!vault_is_locked(gateway->vault) ||
        vault_open(daemon->paths.state_dir, daemon->paths.kek_dir, &vault, &err) < 0)
        return;
    if (vault_is_locked(vault)) {
        vault_free(vault);
        return;
    }
    vault_free(gateway->vault);
    gateway->vault = vault;
    log_info("daemon", 0, "the vault is unlocked");
}

static int reload(void *ctx, struct err *reterr)
{
    struct daemon *daemon = ctx;
    try_vault_again(daemon);
    struct config *config = NULL;
    int r = check_still_there(daemon, reterr);
    if (r == 0)
        r = load_config(daemon, &config, reterr);
    if (r < 0) {
        (void)snprintf(daemon->config_error, sizeof(daemon->config_error), "%s", reterr->detail);
        log_error("daemon", 0, "configuration not reloaded, the old one stays: %s", reterr->detail);
        return r;
    }
    daemon->config_error[0] = '\0';
    note_ignored_listen(daemon->gateway.config, config);
    gateway_set_config(&daemon->gateway, config);
    const struct http_limits limits = limits_of(&config->options);
    http_server_set_limits(daemon->http, &limits);
    fetch_pool_forget(daemon->gateway.fetch);
    gateway_announce(&daemon->gateway);
    log_info("daemon", 0, "configuration reloaded: %zu providers, %zu models",
             config->provider_count, config->catalogue.model_count);
    return 0;
}

/* ---- stopping ---- */

static void close_listeners(struct daemon *daemon)
{
    for (size_t i = 0; i < daemon->listener_count; i++)
        listener_close(daemon->listeners[i]);
    daemon->listener_count = 0;
}

/* The last connection is gone: nobody is left to wait for. */
static void on_empty(void *ctx)
{
    struct gateway *gateway = ctx;
    struct daemon *daemon = gateway->owner;
    loop_stop(daemon->loop);
}

/*
 * Time is over: what runs ends with an error of its own shape, and clients get a moment to read it.
 */
static void on_drain_over(struct timer *timer)
{
    struct daemon *daemon = timer->owner;
    log_warn("daemon", 0, "%u requests did not end in time", daemon->gateway.exchanges_active);
    exchange_end_all(&daemon->gateway);
    timer_start(&daemon->farewell, daemon->gateway.config->options.clientLingerMs);
}

static void on_farewell_over(struct timer *timer)
{
    struct daemon *daemon = timer->owner;
    loop_stop(daemon->loop);
}

static void stop(void *ctx)
{
    struct daemon *daemon = ctx;
    if (daemon->is_stopping)
        return;
    daemon->is_stopping = true;
    service_notify("STOPPING=1\nSTATUS=draining");
    log_info("daemon", 0, "stopping: %u requests are running", daemon->gateway.exchanges_active);
    close_listeners(daemon);
    daemon->gateway.is_draining = true;
    http_server_drain(daemon->http, on_empty);
    timer_start(&daemon->drain, daemon->gateway.config->options.drainMs);
}

static void close_watches(struct daemon *daemon)
{
    for (size_t i = 0; i < sizeof(daemon->signals) / sizeof(daemon->signals[0]); i++)
        uv_close((uv_handle_t *)&daemon->signals[i], NULL);
    uv_close((uv_handle_t *)&daemon->config_watch, NULL);
    timer_close(&daemon->reload_delay, NULL);
    timer_close(&daemon->watchdog, NULL);
    timer_close(&daemon->drain, NULL);
    timer_close(&daemon->farewell, NULL);
}

/* Users of a thing go before the thing. */
struct daemon *daemon_free(struct daemon *daemon)
{
    if (!daemon)
        return NULL;
    struct gateway *gateway = &daemon->gateway;
    close_watches(daemon);
    close_listeners(daemon);
    control_close(daemon->control);
    http_server_free(daemon->http);
    project_cache_free(gateway->project_cache);
    fetch_pool_free(gateway->fetch);
    memory_free(gateway->memory);
    demo_close(daemon->demo);
    loop_free(daemon->loop);
    ledger_free(gateway->ledger);
    config_unref(gateway->config);
    projects_free(gateway->projects);
    tokens_free(gateway->tokens);
    vault_free(gateway->vault);
    if (daemon->lock_fd >= 0)
        close(daemon->lock_fd);
    free(daemon);
    return NULL;
}
