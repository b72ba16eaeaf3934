/*
 * Log lines on standard error (the journal, or the log file of a background daemon):
 *
 *     2026-11-23T10:15:02.123Z info gateway[42]: text
 *
 * Under systemd (JOURNAL_STREAM set) the time is left out and a <N> priority prefix is put in.
 * A line carries subsystem and exchange id (0: none). Strings from outside go through log_quote().
 * Control characters in the finished line are escaped and the line is cut at 2 KiB, whatever the
 * caller forgot.
 */
#pragma once

#include "base/bytes.h"

#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Lines above this level are dropped; LOG_INFO at start. */
void log_set_level(enum log_level level);
/* True when lines of this level are written. */
bool log_is_on(enum log_level level);

/* Writes one line; use the macros below. */
void log_line(enum log_level level, const char *subsystem, uint64_t id, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...)                                                                             \
    do {                                                                                           \
        if (log_is_on(LOG_DEBUG))                                                                  \
            log_line(LOG_DEBUG, __VA_ARGS__);                                                      \
    } while (0)

/*
 * Text from outside, fit for a log line or an error message: quoted, control characters and
 * non-ASCII escaped, cut at `max` bytes of input with "..." behind. One of 8 static buffers, so up
 * to 8 results may stand in one statement; main thread only.
 */
const char *log_quote(struct span text, size_t max);
