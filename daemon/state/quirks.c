/* See quirks.h. */
#include "state/quirks.h"

#include <limits.h>

#include "state/url.h"

#define CAN(id) ((ir_capability_set)1 << IR_CAN_##id)

static const struct row {
    const char *hosts, *path, *models;
    struct quirk quirk;
} rows[] = {
#define QUIRK(hosts, path, models, on, off, max_output)                                            \
    {hosts, path, models, {on, off, max_output}},
#include "state/quirks.def"
#undef QUIRK
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))
_Static_assert(ROWS <= UCHAR_MAX + 1, "struct quirk_rows names them by one byte");

void quirk_apply(const struct quirk *quirk, struct ir_target *target)
{
    target->capabilities = (target->capabilities | quirk->on) & ~quirk->off;
    if (quirk->max_output)
        target->max_output = quirk->max_output;
}

/* ---- patterns ---- */

static struct span behind(struct span text, size_t count)
{
    return (struct span){text.at + count, text.len - count};
}

/*
 * Goes back to the last * only: what the ones before it took need not change, since the last can
 * take what is left. So the time is at most the product of the lengths.
 */
bool quirk_matches(struct span pattern, struct span name)
{
    struct span star = {NULL, 0}, taken = name;
    while (name.len) {
        if (pattern.len && *pattern.at == '*') {
            star = pattern = behind(pattern, 1);
            taken = name;
        } else if (pattern.len &&
                   span_equal_nocase((struct span){pattern.at, 1}, (struct span){name.at, 1})) {
            pattern = behind(pattern, 1);
            name = behind(name, 1);
        } else if (star.at) {
            pattern = star;
            name = taken = behind(taken, 1);
        } else {
            return false;
        }
    }
    while (pattern.len && *pattern.at == '*')
        pattern = behind(pattern, 1);
    return pattern.len == 0;
}

static bool is_listed(const char *patterns, struct span name)
{
    struct span rest = span_of(patterns);
    if (rest.len == 0)
        return true;
    while (rest.len)
        if (quirk_matches(span_cut(rest, ' ', &rest), name))
            return true;
    return false;
}

/* ---- places ---- */

/* What follows "https://", or nothing. */
static struct span behind_scheme(struct span url)
{
    for (size_t i = 0; i + 2 < url.len; i++)
        if (!memcmp(url.at + i, "://", 3))
            return behind(url, i + 3);
    return (struct span){"", 0};
}

static struct span path_of(struct span base_url)
{
    struct span rest = behind_scheme(base_url);
    while (rest.len && *rest.at != '/')
        rest = behind(rest, 1);
    return rest;
}

/* The port with its colon: the host of "[::1]:11434" has colons itself. */
static struct span port_of(struct span authority)
{
    size_t at = authority.len;
    while (at > 0 && authority.at[at - 1] != ':')
        at--;
    return at ? behind(authority, at - 1) : (struct span){"", 0};
}

/* "api.z.ai"; of this machine the port alone, ":11434". */
static struct span host_of(struct span origin)
{
    struct span authority = behind_scheme(origin), port = port_of(authority);
    if (url_is_loopback(origin))
        return port;
    return (struct span){authority.at, authority.len - port.len};
}

/* "/api" is in front of "/api" and "/api/v1", not of "/apis". */
static bool is_in_front(struct span prefix, struct span path)
{
    return span_starts(path, prefix) && (path.len == prefix.len || path.at[prefix.len] == '/');
}

size_t quirks_find(struct span origin, struct span base_url, struct quirk_rows *ret)
{
    struct span host = host_of(origin), path = path_of(base_url);
    ret->count = 0;
    if (host.len == 0) /* the demo, which has no address */
        return 0;
    for (size_t i = 0; i < ROWS && ret->count < QUIRK_ROWS_MAX; i++)
        if (is_listed(rows[i].hosts, host) && is_in_front(span_of(rows[i].path), path))
            ret->list[ret->count++] = (unsigned char)i;
    return ret->count;
}

void quirks_apply(const struct quirk_rows *found, struct ir_target *target)
{
    for (size_t i = 0; i < found->count; i++)
        if (is_listed(rows[found->list[i]].models, target->model))
            quirk_apply(&rows[found->list[i]].quirk, target);
}
