/* See log.h. One write(2) per line, so lines of several processes do not mix. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 2048
#define QUOTE_MAX      256

static enum log_level threshold = LOG_INFO;

static const struct {
    const char *name;
    int priority; /* syslog's */
} levels[] = {
    [LOG_ERROR] = {"error", 3},
    [LOG_WARN] = {"warning", 4},
    [LOG_INFO] = {"info", 6},
    [LOG_DEBUG] = {"debug", 7},
};

void log_set_level(enum log_level level)
{
    threshold = level;
}

bool log_is_on(enum log_level level)
{
    return level <= threshold;
}

static size_t head(char *out, size_t size, enum log_level level)
{
    if (getenv("JOURNAL_STREAM"))
        return (size_t)snprintf(out, size, "<%d>%s ", levels[level].priority, levels[level].name);
    struct timeval now;
    struct tm utc;
    gettimeofday(&now, NULL);
    gmtime_r(&now.tv_sec, &utc);
    size_t n = strftime(out, size, "%Y-%m-%dT%H:%M:%S", &utc);
    return n + (size_t)snprintf(out + n, size - n, ".%03dZ %s ", (int)(now.tv_usec / 1000),
                                levels[level].name);
}

static void escape_controls(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            text[i] = '?';
}

void log_line(enum log_level level, const char *subsystem, uint64_t id, const char *format, ...)
{
    if (!log_is_on(level))
        return;
    char line[LINE_MAX_BYTES];
    size_t n = head(line, sizeof(line), level);
    n += (size_t)(id ? snprintf(line + n, sizeof(line) - n, "%s[%llu]: ", subsystem,
                                (unsigned long long)id)
                     : snprintf(line + n, sizeof(line) - n, "%s: ", subsystem));
    va_list args;
    va_start(args, format);
    int more = vsnprintf(line + n, sizeof(line) - n, format, args);
    va_end(args);
    if (more > 0)
        n += (size_t)more;
    if (n > sizeof(line) - 2)
        n = sizeof(line) - 2;
    escape_controls(line, n);
    line[n++] = '\n';
    (void)!write(STDERR_FILENO, line, n); /* a log that cannot be written has nobody to tell */
}

static size_t quote_byte(char *out, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    if (c == '"' || c == '\\') {
        out[0] = '\\';
        out[1] = (char)c;
        return 2;
    }
    if (c >= 0x20 && c < 0x7f) {
        out[0] = (char)c;
        return 1;
    }
    out[0] = '\\';
    out[1] = 'x';
    out[2] = hex[c >> 4];
    out[3] = hex[c & 15];
    return 4;
}

const char *log_quote(struct span text, size_t max)
{
    static char buffers[8][QUOTE_MAX + 8];
    static unsigned turn;
    char *out = buffers[turn++ % 8];
    size_t n = 0, i = 0;
    out[n++] = '"';
    for (; i < text.len && i < max && n < QUOTE_MAX - 4; i++)
        n += quote_byte(out + n, (unsigned char)text.at[i]);
    memcpy(out + n, i < text.len ? "...\"" : "\"", i < text.len ? 5 : 2);
    return out;
}
