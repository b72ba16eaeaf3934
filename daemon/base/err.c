/* See err.h. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *reterr, int kind, const char *format, ...)
{
    if (reterr) {
        va_list args;
        va_start(args, format);
        reterr->kind = kind;
        (void)vsnprintf(reterr->detail, sizeof(reterr->detail), format, args); /* cut is fine */
        va_end(args);
    }
    return -kind;
}

int err_prefix(struct err *reterr, const char *format, ...)
{
    if (!reterr)
        return -ERR_INTERNAL;
    char prefixed[ERR_DETAIL];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(prefixed, sizeof(prefixed), format, args);
    va_end(args);
    size_t used = n < 0 ? 0 : (size_t)n < sizeof(prefixed) - 4 ? (size_t)n : sizeof(prefixed) - 4;
    (void)snprintf(prefixed + used, sizeof(prefixed) - used, ": %.*s",
                   (int)(sizeof(prefixed) - used - 3), reterr->detail);
    memcpy(reterr->detail, prefixed, sizeof(prefixed));
    return -reterr->kind;
}

int err_errno(struct err *reterr, int kind, int error_number, const char *format, ...)
{
    if (!reterr)
        return -kind;
    va_list args;
    va_start(args, format);
    reterr->kind = kind;
    int n = vsnprintf(reterr->detail, sizeof(reterr->detail), format, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof(reterr->detail))
        (void)snprintf(reterr->detail + n, sizeof(reterr->detail) - (size_t)n, ": %s",
                       strerror(error_number));
    return -kind;
}

const char *err_message(const struct err *err, char *out, size_t size)
{
    const struct error_row *row = error_row(err->kind);
    (void)snprintf(out, size, "%s%s%s%s%s%s", row->text, err->detail[0] ? ": " : "", err->detail,
                   row->next ? " (" : "", row->next ? row->next : "", row->next ? ")" : "");
    return out;
}
