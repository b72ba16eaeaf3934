/*
 * aictl: shows and steers the aictld of this user. What the commands are: commands.c.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/commands.h"
#include "client/failure.h"

/* As if started in the directory of -C. */
static int enter_directory(const struct invocation *inv)
{
    struct failure failure;
    if (!inv->directory || chdir(inv->directory) == 0)
        return EXIT_OK;
    failure_set(&failure, ERR_IO, "%s: %s", inv->directory, strerror(errno));
    failure_say(&failure, "the directory of -C cannot be entered");
    failure_try(&failure, "check the path, or leave out -C");
    return failure_report(&failure, inv->json);
}

/* Where the daemon is to be found; help and version do without. */
static int find_paths(struct invocation *inv)
{
    const char *why = "";
    struct failure failure;
    if (rendezvous_init(&inv->paths, &why) == 0)
        return EXIT_OK;
    failure_set(&failure, ERR_IO, "%s", why);
    return failure_report(&failure, inv->json);
}

/* What was printed must have arrived: a full disk is a failure, not silence. */
static int finish(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    fprintf(stderr, "aictl: standard output: %s\n", strerror(errno));
    return status ? status : EXIT_FAILED;
}

int main(int argc, char **argv)
{
    struct invocation inv;
    int r = invocation_parse(&inv, argc, argv);
    if (r)
        return r;
    inv.screen = screen_of(stdout, invocation_has(&inv, "no-color"));
    if (inv.version)
        return finish(command_version(&inv));
    if (inv.help) {
        inv.arg_count = 0; /* "aictl switch x --help" is about switch */
        return finish(command_help(&inv));
    }
    if ((r = enter_directory(&inv)) || (r = find_paths(&inv)))
        return r;
    return finish(inv.command->run(&inv));
}
