/*
 * See vault.h. In memory the vault is what the file holds: ciphertext. A record is decrypted at
 * open for what may be shown of it, and again each time its key is lent.
 *
 * The file is changed in this order, under the lock, so that a crash leaves the old vault or the
 * new one: check that the file is the one we know; write it to .bak; replace it; only then change
 * the structure in memory.
 */
#include "state/vault.h"

#include "base/file.h"
#include "base/log.h"
#include "base/own.h"
#include "proto/rendezvous.h"
#include "state/keyfile.h"
#include "state/vault_keys.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#define TOKEN_SECRET_ID    ".tokens" /* ids that start with a dot are the vault's own */
#define TOKEN_SECRET_BYTES 32
#define HASH_BYTES         32

struct vault {
    char path[RENDEZVOUS_PATH + 16];
    char backup[RENDEZVOUS_PATH + 16];
    char lock[RENDEZVOUS_PATH + 16];
    struct vault_file file;
    unsigned char hash[HASH_BYTES]; /* of the file as it was last read or written */
    struct vault_keys *keys;        /* NULL: locked */
    struct err locked;              /* why, when it is locked */
};

DEFINE_CLEANUP(vault_cleanup, struct vault, vault_free)

static void close_fd(const int *fd)
{
    if (*fd >= 0)
        close(*fd); /* gives up the flock too */
}

static void hash_of(struct span text, unsigned char ret[HASH_BYTES])
{
    (void)crypto_generichash(ret, HASH_BYTES, (const unsigned char *)text.at, text.len, NULL, 0);
}

/* ---- life ---- */

static struct vault *vault_alloc(void)
{
    struct vault *vault = calloc(1, sizeof(*vault));
    if (!vault)
        abort();
    return vault;
}

static struct vault *vault_new(const char *state_dir)
{
    struct vault *vault = vault_alloc();
    int cut = snprintf(vault->path, sizeof(vault->path), "%s/vault.aiv", state_dir);
    (void)snprintf(vault->backup, sizeof(vault->backup), "%s/vault.aiv.bak", state_dir);
    (void)snprintf(vault->lock, sizeof(vault->lock), "%s/vault.lock", state_dir);
    assert(cut + 4 < (int)sizeof(vault->backup)); /* rendezvous_init() bounds the directory */
    return vault;
}

struct vault *vault_new_broken(const struct err *why)
{
    struct vault *vault = vault_alloc();
    vault->locked = *why;
    return vault;
}

struct vault *vault_free(struct vault *vault)
{
    if (vault) {
        vault_file_release(&vault->file);
        vault_keys_free(vault->keys);
        free(vault);
    }
    return NULL;
}

bool vault_is_locked(const struct vault *vault)
{
    return !vault->keys;
}

const char *vault_lock_reason(const struct vault *vault)
{
    return vault->keys ? NULL : vault->locked.detail;
}

static int check_unlocked(const struct vault *vault, struct err *reterr)
{
    if (vault->keys)
        return 0;
    return err_set(reterr, vault->locked.kind, "%s", vault->locked.detail);
}

/* ---- what may be shown of a record ---- */

static bool is_public_id(struct span id)
{
    return vault_id_is_valid(id) && id.at[0] != '.';
}

static void show_origins(struct vault_record_view *view, const struct vault_body *body)
{
    view->origin_text = calloc(1, body->clear.len + 1); /* more than all origins with their NULs */
    if (!view->origin_text)
        abort();
    char *at = view->origin_text;
    for (size_t i = 0; i < body->origin_count; i++) {
        view->origins[i] = at;
        at = (char *)mempcpy(at, body->origins[i].at, body->origins[i].len) + 1;
    }
}

static void show_key(struct vault_record_view *view, const unsigned char *uuid, struct span key)
{
    unsigned char hash[crypto_generichash_BYTES_MIN];
    (void)crypto_generichash(hash, sizeof(hash), (const unsigned char *)key.at, key.len, uuid,
                             VAULT_UUID);
    (void)sodium_bin2hex(view->fingerprint, sizeof(view->fingerprint), hash,
                         (sizeof(view->fingerprint) - 1) / 2);
    struct secret *secret = secret_new(key);
    if (!secret)
        abort();
    secret_last4(secret, view->last4);
    secret_free(secret);
}

/* Fills in the record's view; one that does not authenticate is marked, and shows nothing. */
static void view_record(const struct vault *vault, struct vault_record *record)
{
    struct vault_body body;
    struct span key;
    if (!vault_keys_open(vault->keys, vault->file.uuid, record, &body, &key)) {
        record->view.is_damaged = true;
        log_warn("vault", 0,
                 "%s: the record of %s is damaged; this key is out of use, the others work",
                 vault->path, log_quote(span_of(record->id), VAULT_ID_MAX));
        return;
    }
    if (is_public_id(span_of(record->id))) { /* of the vault's own nothing is ever shown */
        record->view.created_s = body.created_s;
        show_origins(&record->view, &body);
        show_key(&record->view, vault->file.uuid, key);
    }
    vault_keys_shut(vault->keys);
}

static struct vault_record_info info_of(const struct vault_record *record)
{
    return (struct vault_record_info){
        .id = record->id,
        .is_damaged = record->view.is_damaged,
        .last4 = record->view.last4,
        .fingerprint = record->view.fingerprint,
        .origins = record->view.origins,
        .created_s = record->view.created_s,
        .revision = record->revision,
    };
}

/* ---- writing ---- */

static int lock_vault(const struct vault *vault, struct err *reterr)
{
    int fd = open(vault->lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (fd < 0)
        return err_errno(reterr, ERR_IO, errno, "cannot open %s", vault->lock);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) { /* not waiting: the caller is the event loop */
        int error = errno;
        close(fd);
        return err_errno(reterr, ERR_IO, error, "another program is changing %s", vault->path);
    }
    return fd;
}

/* Makes the version on the disk the backup, if it is still the one we know. */
static int back_up(const struct vault *vault, struct err *reterr)
{
    CLEANUP(bytes_release) struct bytes text = {.max = VAULT_FILE_MAX};
    unsigned char hash[HASH_BYTES];
    int r = file_read(vault->path, &text, NULL, reterr);
    if (r < 0)
        return r == -ERR_NOT_FOUND
                   ? err_set(reterr, ERR_IO, "%s is gone; nothing was written", vault->path)
                   : r;
    hash_of(bytes_span(&text), hash);
    if (memcmp(hash, vault->hash, sizeof(hash)) != 0)
        return err_set(reterr, ERR_IO,
                       "%s was changed by another program; nothing was written, reload the daemon",
                       vault->path);
    return file_replace(vault->backup, bytes_span(&text), 0600, reterr);
}

/* Writes `next`, with the next generation, in place of the vault's file. The lock is held. */
static int store(struct vault *vault, struct vault_file *next, struct err *reterr)
{
    CLEANUP(bytes_release) struct bytes text = {.max = VAULT_FILE_MAX};
    size_t sealed;
    next->generation = vault->file.generation + 1;
    if (vault_file_encode(next, &text, &sealed) < 0)
        return err_set(reterr, ERR_TOO_LARGE, "the vault is full (%d records or %d bytes)",
                       VAULT_RECORDS_MAX, VAULT_FILE_MAX);
    vault_keys_seal(vault->keys, (struct span){text.data, sealed},
                    (unsigned char *)text.data + sealed);
    int r = file_replace(vault->path, bytes_span(&text), 0600, reterr);
    if (r == 0)
        hash_of(bytes_span(&text), vault->hash);
    return r;
}

static int store_locked(struct vault *vault, struct vault_file *next, struct err *reterr)
{
    CLEANUP(close_fd) int fd = lock_vault(vault, reterr);
    if (fd < 0)
        return fd;
    int r = back_up(vault, reterr);
    return r < 0 ? r : store(vault, next, reterr);
}

/*
 * Puts `record` at place `at` of the list, instead of the one there when `replace`; record NULL
 * only removes. On success the list is the vault's and the old record is gone; takes `record` then.
 */
static int change(struct vault *vault, size_t at, bool replace, struct vault_record *record,
                  struct err *reterr)
{
    struct vault_file next = vault->file;
    size_t rest = at + replace; /* the first record behind the change */
    next.record_count = vault->file.record_count + !!record - replace;
    next.records = calloc(next.record_count + 1, sizeof(struct vault_record *));
    if (!next.records)
        abort(); /* bounded by VAULT_RECORDS_MAX */
    if (at)
        memcpy(next.records, vault->file.records, at * sizeof(struct vault_record *));
    if (record)
        next.records[at] = record;
    for (size_t i = rest; i < vault->file.record_count; i++)
        next.records[i - rest + at + !!record] = vault->file.records[i];
    int r = store_locked(vault, &next, reterr);
    if (r < 0) {
        free(next.records);
        return r;
    }
    if (replace)
        vault_record_free(vault->file.records[at]);
    free(vault->file.records);
    vault->file = next;
    return 0;
}

static struct vault_record *make_record(const struct vault *vault, const char *id,
                                        uint64_t revision, struct span key,
                                        const char *const *origins, size_t origin_count,
                                        int64_t now_s)
{
    struct vault_record *record = vault_record_new(span_of(id), revision);
    if (vault_body_encode(now_s, origins, origin_count, &record->body) < 0)
        abort(); /* the origins were checked: they fit */
    vault_keys_encrypt(vault->keys, vault->file.uuid, record, key);
    return record;
}

/* The record that tokens are made from; random, made once. */
static struct vault_record *make_token_secret(const struct vault *vault)
{
    unsigned char *random = sodium_malloc(TOKEN_SECRET_BYTES);
    if (!random)
        abort();
    randombytes_buf(random, TOKEN_SECRET_BYTES);
    struct span key = {(const char *)random, TOKEN_SECRET_BYTES};
    struct vault_record *record = make_record(vault, TOKEN_SECRET_ID, 1, key, NULL, 0, 0);
    sodium_free(random);
    return record;
}

/* ---- opening ---- */

/* The file cannot be used: says so, and where the version before it is. */
static int corrupt(const struct vault *vault, const char *what, struct err *reterr)
{
    bool has_backup = access(vault->backup, F_OK) == 0;
    return err_set(reterr, ERR_VAULT_CORRUPT, "%s: %s%s%s", vault->path, what,
                   has_backup ? "; the version before it is " : "; there is no .bak beside it",
                   has_backup ? vault->backup : "");
}

/* Finds the slot that the keyfile opens. None: the vault stays locked, with the reason. */
static void unlock(struct vault *vault, const char *kek_dir)
{
    unsigned char *kek;
    if (keyfile_load(kek_dir, &kek, &vault->locked) < 0) {
        vault->locked.kind = ERR_KEYSTORE_LOCKED;
        return;
    }
    for (size_t i = 0; i < vault->file.slot_count && !vault->keys; i++)
        vault->keys = vault_keys_unlock(kek, vault->file.uuid, &vault->file.slots[i]);
    sodium_free(kek);
    if (!vault->keys)
        (void)err_set(&vault->locked, ERR_KEYSTORE_LOCKED,
                      "the keyfile %s/kek does not open %s: one of them is of another vault, or "
                      "damaged",
                      kek_dir, vault->path);
}

static int check_seal(const struct vault *vault, struct span text, size_t sealed,
                      struct err *reterr)
{
    unsigned char seal[VAULT_SEAL];
    vault_keys_seal(vault->keys, (struct span){text.at, sealed}, seal);
    if (sodium_memcmp(seal, text.at + sealed, sizeof(seal)) != 0)
        return corrupt(vault, "its list of records is damaged or was changed", reterr);
    return 0;
}

/* A mode that lets others read only ciphertext is repaired; the keyfile is another matter. */
static void tighten(const struct vault *vault, mode_t mode)
{
    if (!(mode & 077))
        return;
    if (chmod(vault->path, 0600) == 0)
        log_warn("vault", 0, "%s had mode %04o, now 0600", vault->path, (unsigned)mode & 07777);
    else
        log_warn("vault", 0, "%s has mode %04o and it cannot be changed: %s; ignored", vault->path,
                 (unsigned)mode & 07777, strerror(errno));
}

/* Reads the file there is and tries to unlock it. -ERR_NOT_FOUND when there is none. */
static int load(struct vault *vault, const char *kek_dir, struct err *reterr)
{
    CLEANUP(bytes_release) struct bytes text = {.max = VAULT_FILE_MAX};
    struct stat st;
    struct err why = {0};
    size_t sealed;
    int r = file_read(vault->path, &text, &st, reterr);
    if (r == -ERR_TOO_LARGE)
        return corrupt(vault, "it is too large", reterr);
    if (r < 0)
        return r;
    tighten(vault, st.st_mode);
    if (vault_file_decode(bytes_span(&text), &vault->file, &sealed, &why) < 0)
        return corrupt(vault, why.detail, reterr);
    hash_of(bytes_span(&text), vault->hash);
    unlock(vault, kek_dir);
    return vault->keys ? check_seal(vault, bytes_span(&text), sealed, reterr) : 0;
}

/* Makes a first vault, with the keyfile there is or a new one. The lock is held. */
static int make_new(struct vault *vault, const char *kek_dir, struct err *reterr)
{
    unsigned char *kek;
    int r = keyfile_load(kek_dir, &kek, reterr);
    if (r == -ERR_NOT_FOUND)
        r = keyfile_make(kek_dir, &kek, reterr);
    if (r < 0)
        return r;
    randombytes_buf(vault->file.uuid, sizeof(vault->file.uuid));
    vault->file.slot_count = 1;
    vault->keys = vault_keys_new(kek, vault->file.uuid, &vault->file.slots[0]);
    sodium_free(kek);
    return store(vault, &vault->file, reterr);
}

static int load_or_make(struct vault *vault, const char *kek_dir, struct err *reterr)
{
    int r = load(vault, kek_dir, reterr);
    if (r != -ERR_NOT_FOUND)
        return r;
    CLEANUP(close_fd) int fd = lock_vault(vault, reterr);
    if (fd < 0)
        return fd;
    r = load(vault, kek_dir, reterr); /* another process may have been faster */
    if (r != -ERR_NOT_FOUND)
        return r;
    if (access(vault->backup, F_OK) == 0)
        return corrupt(vault, "the file is missing (to begin anew, remove the .bak too)", reterr);
    return make_new(vault, kek_dir, reterr);
}

/* What an unlocked vault needs before use. */
static int settle(struct vault *vault, struct err *reterr)
{
    size_t at;
    for (size_t i = 0; i < vault->file.record_count; i++)
        view_record(vault, vault->file.records[i]);
    if (vault_file_find(&vault->file, TOKEN_SECRET_ID, &at))
        return 0;
    struct vault_record *record = make_token_secret(vault);
    int r = change(vault, at, false, record, reterr);
    if (r < 0)
        vault_record_free(record);
    return r;
}

int vault_open(const char *state_dir, const char *kek_dir, struct vault **ret, struct err *reterr)
{
    if (sodium_init() < 0)
        return err_set(reterr, ERR_INTERNAL, "libsodium cannot be initialised");
    int r = rendezvous_private_dir(state_dir);
    if (r < 0)
        return err_errno(reterr, r == -EPERM || r == -ENOTDIR ? ERR_FORBIDDEN : ERR_IO, -r,
                         "%s cannot be a private directory of this user", state_dir);
    CLEANUP(vault_cleanup) struct vault *vault = vault_new(state_dir);
    r = load_or_make(vault, kek_dir, reterr);
    if (r == 0 && vault->keys)
        r = settle(vault, reterr);
    if (r == 0)
        *ret = TAKE(vault);
    return r;
}

/* ---- changing ---- */

/* What can stand in a header value without any quoting. */
static bool is_key_valid(struct span key)
{
    for (size_t i = 0; i < key.len; i++) {
        unsigned char c = (unsigned char)key.at[i];
        if (c < 0x20 || c >= 0x7f)
            return false;
    }
    return key.len >= 1 && key.len <= VAULT_KEY_MAX;
}

static int check_put(struct span id, struct span key, const char *const *origins,
                     size_t origin_count, struct err *reterr)
{
    if (!is_public_id(id))
        return err_set(reterr, ERR_INVALID_REQUEST, "%s cannot be the name of a key",
                       log_quote(id, VAULT_ID_MAX));
    if (!is_key_valid(key))
        return err_set(reterr, ERR_INVALID_REQUEST,
                       "the key of %s must be 1 to %d printable ASCII characters",
                       log_quote(id, VAULT_ID_MAX), VAULT_KEY_MAX);
    if (origin_count < 1 || origin_count > VAULT_ORIGINS_MAX)
        return err_set(reterr, ERR_INVALID_REQUEST, "a key is bound to 1 to %d origins",
                       VAULT_ORIGINS_MAX);
    for (size_t i = 0; i < origin_count; i++)
        if (!vault_origin_is_valid(span_of(origins[i])))
            return err_set(reterr, ERR_INVALID_REQUEST, "%s is not an origin",
                           log_quote(span_of(origins[i]), VAULT_ORIGIN_MAX));
    return 0;
}

int vault_put(struct vault *vault, const char *id, struct span key, const char *const *origins,
              size_t origin_count, int64_t now_s, struct err *reterr)
{
    size_t at;
    int r = check_unlocked(vault, reterr);
    if (r == 0)
        r = check_put(span_of(id), key, origins, origin_count, reterr);
    if (r < 0)
        return r;
    bool replace = vault_file_find(&vault->file, id, &at);
    uint64_t revision = replace ? vault->file.records[at]->revision + 1 : 1;
    struct vault_record *record =
        make_record(vault, id, revision, key, origins, origin_count, now_s);
    view_record(vault, record);
    r = change(vault, at, replace, record, reterr);
    if (r < 0)
        vault_record_free(record);
    return r;
}

int vault_delete(struct vault *vault, const char *id, struct err *reterr)
{
    size_t at;
    int r = check_unlocked(vault, reterr);
    if (r < 0)
        return r;
    if (!is_public_id(span_of(id)) || !vault_file_find(&vault->file, id, &at))
        return err_set(reterr, ERR_NOT_FOUND, "there is no key %s",
                       log_quote(span_of(id), VAULT_ID_MAX));
    return change(vault, at, true, NULL, reterr);
}

/* ---- asking ---- */

/* NULL when the vault is locked or has no such record. */
static const struct vault_record *find(const struct vault *vault, const char *id)
{
    size_t at;
    return vault->keys && vault_file_find(&vault->file, id, &at) ? vault->file.records[at] : NULL;
}

static const struct vault_record *find_public(const struct vault *vault, const char *id)
{
    return is_public_id(span_of(id)) ? find(vault, id) : NULL;
}

bool vault_info(const struct vault *vault, const char *id, struct vault_record_info *ret)
{
    const struct vault_record *record = find_public(vault, id);
    if (record)
        *ret = info_of(record);
    return record;
}

void vault_each(const struct vault *vault,
                void (*fn)(void *ctx, const struct vault_record_info *info), void *ctx)
{
    for (size_t i = 0; vault->keys && i < vault->file.record_count; i++) {
        struct vault_record_info info = info_of(vault->file.records[i]);
        if (is_public_id(span_of(info.id)))
            fn(ctx, &info);
    }
}

bool vault_holds(const struct vault *vault, const char *id, struct span key)
{
    const struct vault_record *record = find_public(vault, id);
    struct span held;
    if (!record || !vault_keys_open(vault->keys, vault->file.uuid, record, NULL, &held))
        return false;
    bool same = held.len == key.len && sodium_memcmp(held.at, key.at, key.len) == 0;
    vault_keys_shut(vault->keys);
    return same;
}

static bool is_bound(const struct vault_record *record, const char *origin)
{
    for (const char *const *bound = record->view.origins; *bound; bound++)
        if (!strcmp(*bound, origin))
            return true;
    return false;
}

static int damaged(const struct vault_record *record, struct err *reterr)
{
    return err_set(reterr, ERR_VAULT_CORRUPT, "the record of %s is damaged; the other keys work",
                   log_quote(span_of(record->id), VAULT_ID_MAX));
}

int vault_lend(const struct vault *vault, const char *id, const char *origin, struct secret **ret,
               struct err *reterr)
{
    int r = check_unlocked(vault, reterr);
    if (r < 0)
        return r;
    const struct vault_record *record = find_public(vault, id);
    if (!record)
        return err_set(reterr, ERR_NO_KEY, "no key %s in the vault",
                       log_quote(span_of(id), VAULT_ID_MAX));
    if (record->view.is_damaged)
        return damaged(record, reterr);
    if (!is_bound(record, origin))
        return err_set(reterr, ERR_KEY_NOT_BOUND, "the key %s is not bound to %s",
                       log_quote(span_of(id), VAULT_ID_MAX),
                       log_quote(span_of(origin), VAULT_ORIGIN_MAX));
    struct span key;
    if (!vault_keys_open(vault->keys, vault->file.uuid, record, NULL, &key))
        return damaged(record, reterr);
    struct secret *secret = secret_new(key);
    vault_keys_shut(vault->keys);
    if (!secret)
        return err_set(reterr, ERR_BUSY, "no locked memory left for a key");
    *ret = secret;
    return 0;
}

int vault_mac(const struct vault *vault, struct span message, unsigned char ret[VAULT_MAC])
{
    _Static_assert(VAULT_MAC == crypto_auth_hmacsha256_BYTES, "length of the MAC");
    _Static_assert(TOKEN_SECRET_BYTES == crypto_auth_hmacsha256_KEYBYTES, "length of its key");
    const struct vault_record *record = find(vault, TOKEN_SECRET_ID);
    struct span key;
    if (!record)
        return -vault->locked.kind; /* an unlocked vault always has this record */
    if (!vault_keys_open(vault->keys, vault->file.uuid, record, NULL, &key))
        return -ERR_VAULT_CORRUPT;
    bool is_whole = key.len == TOKEN_SECRET_BYTES;
    if (is_whole)
        (void)crypto_auth_hmacsha256(ret, (const unsigned char *)message.at, message.len,
                                     (const unsigned char *)key.at); /* cannot fail */
    vault_keys_shut(vault->keys);
    return is_whole ? 0 : -ERR_VAULT_CORRUPT;
}
