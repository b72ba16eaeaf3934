/* See service.h. */
#include "service.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* The value of a variable as a number; -1 when it is none. */
static long long number(const char *name)
{
    const char *text = getenv(name);
    char *end;
    if (!text || !*text)
        return -1;
    long long value = strtoll(text, &end, 10);
    return *end ? -1 : value;
}

int service_listen_fds(void)
{
    long long count = number("LISTEN_PID") == (long long)getpid() ? number("LISTEN_FDS") : 0;
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    return count > 0 && count <= SERVICE_FDS_MAX ? (int)count : 0;
}

void service_notify(const char *message)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    if (!path || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof(name.sun_path))
        return;
    memcpy(name.sun_path, path, strlen(path));
    if (path[0] == '@')
        name.sun_path[0] = '\0'; /* abstract */
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    (void)!sendto(fd, message, strlen(message), MSG_NOSIGNAL, (struct sockaddr *)&name,
                  len); /* nobody to tell */
    close(fd);
}

int64_t service_watchdog_ms(void)
{
    long long us = number("WATCHDOG_USEC");
    long long pid = number("WATCHDOG_PID");
    return us > 0 && (pid < 0 || pid == (long long)getpid()) ? us / 2000 : 0;
}
