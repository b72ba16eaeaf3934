/* See base_url.h. */
#include "dialect/base_url.h"

struct base_url base_url_split(struct span url)
{
    struct base_url base;
    base.path = span_cut(url, '?', &base.query);
    if (base.query.at) { /* the question mark belongs to it */
        base.query.at--;
        base.query.len++;
    }
    while (base.path.len && base.path.at[base.path.len - 1] == '/')
        base.path.len--;
    return base;
}

bool base_url_ends(const struct base_url *base, struct span ending)
{
    struct span path = base->path;
    return path.len >= ending.len &&
           !memcmp(path.at + path.len - ending.len, ending.at, ending.len);
}

bool base_url_strip(struct base_url *base, struct span ending)
{
    if (!base_url_ends(base, ending))
        return false;
    base->path.len -= ending.len;
    return true;
}

int base_url_write(const struct base_url *base, struct span more, struct bytes *out)
{
    int r = bytes_reserve(out, base->path.len + more.len + base->query.len);
    if (r < 0)
        return r;
    (void)bytes_add_span(out, base->path); /* room was made for all three */
    (void)bytes_add_span(out, more);
    (void)bytes_add_span(out, base->query);
    return 0;
}
