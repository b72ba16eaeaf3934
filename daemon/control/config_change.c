/* See config_change.h. */
#include "control/config_change.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/own.h"
#include "proto/rendezvous.h"

#define MODE 0600

static struct bytes private_bytes(void)
{
    return (struct bytes){.max = CONFIG_MAX_BYTES, .wipe = true};
}

int config_change_open(struct config_change *change, const struct control_hooks *hooks,
                       struct err *reterr)
{
    char *target = realpath(hooks->config_file, NULL);
    *change = (struct config_change){
        .hooks = hooks,
        .path = target ? target : span_dup(span_of(hooks->config_file)),
        .before = private_bytes(),
        .text = private_bytes(),
    };
    struct err err = {0};
    int r = file_read(change->path, &change->before, NULL, &err);
    if (r == -ERR_NOT_FOUND)
        return 0;
    if (r < 0)
        return err_set(reterr, err.kind, "%s", err.detail);
    change->exists = true;
    return config_change_set(change, bytes_span(&change->before), reterr);
}

void config_change_release(struct config_change *change)
{
    bytes_release(&change->before);
    bytes_release(&change->text);
    free(change->path);
    change->path = NULL;
}

/* ---- edits ---- */

/* What an edit made becomes the text; on failure the text stays. */
static int take_edit(struct config_change *change, struct bytes *edited, int r)
{
    if (r < 0)
        return r;
    bytes_release(&change->text);
    change->text = *edited;
    *edited = private_bytes();
    return 0;
}

int config_change_set(struct config_change *change, struct span text, struct err *reterr)
{
    CLEANUP(bytes_release) struct bytes copy = private_bytes();
    int r = bytes_add_span(&copy, text);
    if (r < 0)
        return err_set(reterr, ERR_TOO_LARGE, "%s would be larger than %d bytes", change->path,
                       CONFIG_MAX_BYTES);
    return take_edit(change, &copy, 0);
}

int config_change_provider(struct config_change *change, const struct provider_row *row,
                           struct err *reterr)
{
    CLEANUP(bytes_release) struct bytes edited = private_bytes();
    int r = config_edit_provider(bytes_span(&change->text), row, &edited, reterr);
    return take_edit(change, &edited, r);
}

int config_change_key(struct config_change *change, const char *provider, struct err *reterr)
{
    CLEANUP(bytes_release) struct bytes edited = private_bytes();
    int r = config_edit_key(bytes_span(&change->text), provider, &edited, reterr);
    return take_edit(change, &edited, r);
}

/* ---- use ---- */

int config_change_check(const struct config_change *change, struct err *reterr)
{
    struct config *config;
    struct config_problems problems = {0};
    int r = config_parse(bytes_span(&change->text), change->path, MODE, NULL, NULL, &config,
                         &problems, reterr);
    if (r == 0)
        config_unref(config);
    return r;
}

/* The directory may not be there yet: on a new machine this is the first thing in it. */
static int make_directory(const char *path, struct err *reterr)
{
    const char *slash = strrchr(path, '/');
    if (!slash || slash == path)
        return 0;
    char *dir = span_dup((struct span){path, (size_t)(slash - path)});
    int r = access(dir, F_OK) == 0 ? 0 : rendezvous_private_dir(dir);
    if (r < 0)
        r = err_errno(reterr, ERR_IO, -r, "cannot make %s", dir);
    free(dir);
    return r;
}

static void take_back(const struct config_change *change)
{
    struct err err = {0};
    int r = change->exists ? file_replace(change->path, bytes_span(&change->before), MODE, &err)
                           : unlink(change->path);
    if (r < 0)
        log_error("control", 0, "%s could not be put back: %s", change->path, err.detail);
}

int config_change_commit(struct config_change *change, struct err *reterr)
{
    int r = make_directory(change->path, reterr);
    if (r == 0)
        r = file_replace(change->path, bytes_span(&change->text), MODE, reterr);
    if (r < 0)
        return r;
    r = change->hooks->reload(change->hooks->ctx, reterr);
    if (r < 0)
        take_back(change);
    return r;
}
