/*
 * The vault: every provider key, encrypted on disk, each bound to the origins it may be sent to.
 *
 *   record  one key: id, provider, allowed origins, revision; the key itself only as ciphertext
 *   DEK     data encryption key, random; in guarded memory while the vault is unlocked
 *   slot    one way to unlock the DEK. This version has the keyfile slot: `kek`, 0400, in another
 *           directory tree than the vault (docs/SECURITY.md says what that protects against)
 *   origin  scheme://host:port, lower case, port always there: "https://api.openai.com:443"
 *   lend    hand a record's key out as a `struct secret` for one origin, or refuse
 *
 * Format, XChaCha20-Poly1305 and the additional data of a record: docs/SECURITY.md. There is no
 * call that returns a key as text.
 *
 * Layers: vault_file.h (bytes), vault_keys.h (cryptography), keyfile.h (what opens it), vault.c
 * (what may be done, and the files). To add a way to unlock: a slot type in vault_file.h, opened by
 * vault_keys.h.
 */
#pragma once

#include "base/err.h"
#include "state/secret.h"

#include <stdint.h>

struct vault;

struct vault_record_info {
    const char *id;  /* also the provider's name */
    bool is_damaged; /* does not authenticate: only the id and the revision are known */
    const char *last4;
    const char *fingerprint;    /* 8 hex digits, keyed by the vault's id */
    const char *const *origins; /* ends with NULL */
    int64_t created_s;          /* unix time */
    uint64_t revision;
};

/*
 * Opens state_dir/vault.aiv with the keyfile kek_dir/kek, making both when neither exists.
 * A keyfile that is missing or does not open the vault gives a *locked* vault and 0: the daemon
 * then runs and answers ERR_KEYSTORE_LOCKED. A vault file that is damaged is -ERR_VAULT_CORRUPT
 * naming the .bak beside it; it is never overwritten. A single damaged record is kept and refused,
 * the others work. -ERR_FORBIDDEN: a symlink, a special file or a file of another user stands in
 * its place; -ERR_IO.
 */
int vault_open(const char *state_dir, const char *kek_dir, struct vault **ret, struct err *reterr);
/*
 * A vault that stands for one that could not be opened, so that the daemon can stay up: it is
 * locked with that error's text as reason, and everything asked of it fails with that error's kind.
 */
struct vault *vault_new_broken(const struct err *why);
struct vault *vault_free(struct vault *vault);
bool vault_is_locked(const struct vault *vault);
/* Why it is locked: text owned by the vault, NULL when it is not. */
const char *vault_lock_reason(const struct vault *vault);

/*
 * Stores (or replaces) a key and writes the vault; the version before becomes vault.aiv.bak. A key
 * with control characters or non-ASCII bytes, empty or above 4 KiB, an id that is empty, above 128
 * bytes, starts with "." or has control characters, and other than 1 to 16 origins of at most 256
 * printable characters are -ERR_INVALID_REQUEST. -ERR_KEYSTORE_LOCKED; -ERR_TOO_LARGE when the
 * vault is full; -ERR_IO also when another program changed the file or holds its lock. After an
 * error the vault is as it was.
 */
int vault_put(struct vault *vault, const char *id, struct span key, const char *const *origins,
              size_t origin_count, int64_t now_s, struct err *reterr);
/* Removes a record, also a damaged one; -ERR_NOT_FOUND when there is none; else as vault_put(). */
int vault_delete(struct vault *vault, const char *id, struct err *reterr);

/* What may be shown of a record; valid until the next change. False when there is none (or the
 * vault is locked: nothing of it is known to be true then). */
bool vault_info(const struct vault *vault, const char *id, struct vault_record_info *ret);
/* True when the record exists and holds exactly this key (constant time in the key). */
bool vault_holds(const struct vault *vault, const char *id, struct span key);
/* Calls fn for every record, in order of id. */
void vault_each(const struct vault *vault,
                void (*fn)(void *ctx, const struct vault_record_info *info), void *ctx);

/*
 * Lends the key of a record for one origin. -ERR_KEYSTORE_LOCKED; -ERR_NO_KEY when there is no such
 * record; -ERR_KEY_NOT_BOUND when the origin is not among the record's; -ERR_VAULT_CORRUPT naming a
 * record that is damaged. The caller frees.
 */
int vault_lend(const struct vault *vault, const char *id, const char *origin, struct secret **ret,
               struct err *reterr);

#define VAULT_MAC 32
/* HMAC-SHA-256 with the token secret of the vault; -ERR_KEYSTORE_LOCKED, or -ERR_VAULT_CORRUPT when
 * the secret's record is damaged. */
int vault_mac(const struct vault *vault, struct span message, unsigned char ret[VAULT_MAC]);
