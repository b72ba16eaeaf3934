/* What harden_process() leaves of the process: S-34, S-35, S-37. */
#include "harden.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void harden(void)
{
    struct err err = {0};
    cr_assert_eq(harden_process(&err), 0, "%s", err.detail);
}

Test(harden, s34_there_are_no_core_files_and_no_new_privileges)
{
    struct rlimit core;
    harden();
    cr_assert_eq(getrlimit(RLIMIT_CORE, &core), 0);
    cr_expect_eq(core.rlim_cur, 0);
    cr_expect_eq(core.rlim_max, 0);
    cr_expect_eq(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 0);
    cr_expect_eq(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
    cr_expect_eq(umask(0), 077);
}

/* "RES_OPTIONS" for itself, "LD_x" for "LD_*". */
static void example_of(const char *pattern, char *out, size_t size)
{
    snprintf(out, size, "%s", pattern);
    char *star = strchr(out, '*');
    if (star)
        *star = 'x';
}

Test(harden, s37_dangerous_variables_are_gone_and_the_others_stay)
{
    char name[64];
    for (const char *const *pattern = harden_removed_names; *pattern; pattern++) {
        example_of(*pattern, name, sizeof(name));
        cr_assert_eq(setenv(name, "/tmp/x", 1), 0);
    }
    setenv("SSLKEYLOGFILE2", "kept", 1);
    setenv("https_proxyx", "kept", 1);
    setenv("OLD_THING", "kept", 1);
    harden();
    for (const char *const *pattern = harden_removed_names; *pattern; pattern++) {
        example_of(*pattern, name, sizeof(name));
        cr_expect_null(getenv(name), "%s", name);
    }
    cr_expect_str_eq(getenv("SSLKEYLOGFILE2"), "kept");
    cr_expect_str_eq(getenv("https_proxyx"), "kept");
    cr_expect_str_eq(getenv("OLD_THING"), "kept");
    cr_expect_not_null(getenv("PATH"));
    cr_expect_eq(setenv("A_NEW_ONE", "1", 1), 0, "the environment can still be changed");
}

Test(harden, descriptors_are_left_alone)
{
    int fd = open("/dev/null", O_RDONLY);
    harden();
    cr_expect_geq(fcntl(fd, F_GETFD), 0);
    close(fd);
}

/* 0 when /proc/PID/name can be read, else the error; pid 0 is the process itself. */
static int try_read(pid_t pid, const char *name)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/%s", (int)(pid ? pid : getpid()), name);
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return errno;
    char byte;
    int r = read(fd, &byte, 1) < 0 ? errno : 0; /* maps and environ are checked again at read */
    close(fd);
    return r;
}

/* Run as an ordinary user; returns the first check that failed, 0 when none did. */
static int attack(pid_t victim)
{
    if (try_read(victim, "environ") != EACCES)
        return 1;
    if (try_read(victim, "mem") != EACCES)
        return 2;
    if (try_read(victim, "maps") != EACCES)
        return 3;
    if (ptrace(PTRACE_ATTACH, victim, NULL, NULL) != -1 || errno != EPERM)
        return 4;
    if (try_read(0, "maps") != 0)
        return 5; /* the attack itself must work, or it proves nothing */
    return 0;
}

static void drop_root(void)
{
    if (getuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
        _exit(99);
}

Test(harden, s35_a_process_of_the_same_user_reads_nothing)
{
    int ready[2];
    cr_assert_eq(pipe(ready), 0);
    pid_t victim = fork();
    if (victim == 0) {
        drop_root();
        if (harden_process(NULL) < 0 || write(ready[1], "x", 1) != 1)
            _exit(98);
        pause();
        _exit(0);
    }
    char byte;
    cr_assert_eq(read(ready[0], &byte, 1), 1);
    pid_t attacker = fork();
    if (attacker == 0) {
        drop_root();
        prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* setuid() switched it off */
        _exit(attack(victim));
    }
    int status = 0;
    waitpid(attacker, &status, 0);
    kill(victim, SIGKILL);
    waitpid(victim, NULL, 0);
    cr_expect(WIFEXITED(status));
    cr_expect_eq(WEXITSTATUS(status), 0, "check %d", WEXITSTATUS(status));
}

Test(harden, what_the_daemon_needs_of_its_own_proc_still_works)
{
    pid_t child = fork();
    if (child == 0) {
        char path[4096];
        drop_root();
        if (harden_process(NULL) < 0)
            _exit(98);
        if (readlink("/proc/self/exe", path, sizeof(path)) <= 0)
            _exit(1);
        if (readlink("/proc/self/fd/0", path, sizeof(path)) <= 0)
            _exit(2);
        if (try_read(0, "status") != 0)
            _exit(3);
        if (try_read(0, "maps") != 0)
            _exit(4);
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    cr_expect(WIFEXITED(status));
    cr_expect_eq(WEXITSTATUS(status), 0, "check %d", WEXITSTATUS(status));
}
