/* See failure.h. */
#include "gateway/failure.h"

#include "base/own.h"
#include "gateway/refusal.h"
#include "gateway/scrub.h"

#define KEPT_BODY (64 * 1024) /* bytes of an error answer that are worth keeping */

struct failure failure_of(const struct provider *provider, const struct err *err,
                          const struct attempt_result *result)
{
    struct failure failure = {.err = *err, .provider = provider};
    if (result && result->error.kind) {
        failure.error = result->error;
        failure.status = result->status;
        failure.body = result->body;
        failure.headers = result->headers;
    }
    return failure;
}

static const char *const *copy_lines(const char *const *lines, struct arena *arena)
{
    size_t count = 0;
    while (lines && lines[count])
        count++;
    const char **copies = arena_alloc(arena, (count + 1) * sizeof(*copies));
    for (size_t i = 0; copies && i < count; i++)
        copies[i] = arena_copy(arena, span_of(lines[i]));
    return copies;
}

void failure_keep(const struct failure *failure, struct arena *arena, struct failure *ret)
{
    *ret = *failure;
    ret->body.len = failure->body.len <= KEPT_BODY ? failure->body.len : 0;
    ret->body.at = arena_copy(arena, ret->body);
    if (!ret->body.at)
        ret->body.len = 0;
    ret->error.message = (struct span){NULL, 0};
    if (failure->error.type)
        ret->error.type = arena_copy(arena, span_of(failure->error.type));
    if (failure->error.code)
        ret->error.code = arena_copy(arena, span_of(failure->error.code));
    ret->headers = copy_lines(failure->headers, arena);
}

static bool has_own_shape(const struct failure *failure, const struct dialect *surface)
{
    bool is_spoken = failure->provider->is_demo || failure->provider->dialect == surface;
    return is_spoken && surface->is_own_error(failure->body);
}

int failure_write(const struct failure *failure, const struct dialect *surface, struct bytes *out)
{
    CLEANUP(bytes_release) struct bytes message = {0};
    if (has_own_shape(failure, surface))
        return scrub_body(failure->body, out);
    struct api_error error = refusal_error(&failure->err, failure->provider->name, &message);
    error.status = failure->status;
    error.code = failure->error.code ? failure->error.code : error.code;
    error.type = failure->error.type;
    return surface->write_error(&error, out);
}
