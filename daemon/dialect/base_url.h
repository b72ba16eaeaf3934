/*
 * A provider's baseURL while an operation's path is put behind it: the part before the query, and
 * the query with its question mark (some gateways want `?api-version=...` on every request).
 */
#pragma once

#include "base/bytes.h"

struct base_url {
    struct span path;
    struct span query;
};

/* Splits a configured URL; slashes at the end of the path are left out. */
struct base_url base_url_split(struct span url);

/* Takes `ending` off the end of the path; false when the path ends otherwise. */
bool base_url_strip(struct base_url *base, struct span ending);

/* The path ends with `ending`. */
bool base_url_ends(const struct base_url *base, struct span ending);

/* Appends path, `more` and query. As bytes_add(); `out` is as before when it fails. */
int base_url_write(const struct base_url *base, struct span more, struct bytes *out);
