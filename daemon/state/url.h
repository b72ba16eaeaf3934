/*
 * Base URLs of providers: which are accepted, and the origin a key is bound to.
 *
 * A base URL decides where a key goes, so it is read strictly and by one function: what two parsers
 * could read differently ('@', '\\', '#', escapes, numbers that are addresses in disguise) is
 * refused instead of repaired.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"

#define URL_MAX        2048 /* longest base URL */
#define URL_ORIGIN_MAX 288  /* room for any origin with its NUL: scheme, 253 bytes of host, port */

/*
 * scheme://host:port of a base URL, lower case, port filled in. -ERR_CONFIG_INVALID: not http or
 * https, user info, '#', '?', '\\', control or non-ASCII characters, percent-escapes anywhere, an
 * empty host, a trailing dot, a host that is a number in disguise (127.1, 0x7f.1), a port that is
 * not 1..65535, http to anything but loopback when a key is used (`has_key`). The detail never
 * repeats the URL, which may hold a password.
 */
int url_origin(struct span url, bool has_key, char *out, size_t size, struct err *reterr);

/*
 * An origin (as url_origin() writes it) is on this machine: localhost, 127.x.x.x or [::1]. Names
 * that merely resolve to loopback are not: what they resolve to is not ours to say.
 */
bool url_is_loopback(struct span origin);
