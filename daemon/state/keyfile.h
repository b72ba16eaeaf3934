/*
 * The keyfile: 32 random bytes that open the vault's keyfile slot. It stands as `kek`, 0400, in a
 * directory of its own, 0700, so that whoever copies the state directory has no key.
 *
 * A keyfile that other users may read is refused, not repaired: what it protected may be known
 * already, and a repair would hide that.
 */
#pragma once

#include "base/err.h"

#define KEYFILE_BYTES 32

/*
 * Reads dir/kek into guarded memory (sodium_malloc); the caller frees it with sodium_free().
 * Errors: -ERR_NOT_FOUND, -ERR_FORBIDDEN (symlink, special file, other owner, group or others have
 * rights, wrong length), -ERR_IO.
 */
int keyfile_load(const char *dir, unsigned char **ret, struct err *reterr);

/*
 * Makes dir (0700) and dir/kek with new random bytes, complete and on the disk before it gets its
 * name. When another process was faster, its keyfile is loaded. Otherwise as keyfile_load().
 */
int keyfile_make(const char *dir, unsigned char **ret, struct err *reterr);
