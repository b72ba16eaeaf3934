/* See vault_keys.h. XChaCha20-Poly1305 (IETF) for slots and records, keyed BLAKE2b for the seal. */
#include "state/vault_keys.h"

#include <assert.h>
#include <endian.h>
#include <sodium.h>
#include <stdlib.h>

_Static_assert(VAULT_NONCE == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, "nonce");
_Static_assert(VAULT_TAG == crypto_aead_xchacha20poly1305_ietf_ABYTES, "tag");
_Static_assert(VAULT_DEK == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "key of a record");
_Static_assert(VAULT_DEK == crypto_kdf_KEYBYTES, "DEK");

#define KDF_CONTEXT  "aictlvlt"
#define SLOT_LABEL   "aictl-vault-slot-1"
#define RECORD_LABEL "aictl-vault-record-1"

enum { SUBKEY_RECORD = 1, SUBKEY_SEAL = 2 };

/* One guarded allocation for all, since every change of access rights is a system call. */
struct guarded {
    unsigned char record[VAULT_DEK]; /* subkey for records */
    unsigned char seal[VAULT_DEK];   /* subkey for the seal */
    unsigned char opened[VAULT_KEY_MAX];
};

struct vault_keys {
    struct guarded *guarded;
};

/* Until make_idle(). A failure can only be a wrong pointer, or a kernel that refuses its own
 * memory. */
static struct guarded *make_usable(const struct vault_keys *keys)
{
    if (sodium_mprotect_readwrite(keys->guarded) < 0)
        abort();
    return keys->guarded;
}

static void make_idle(const struct vault_keys *keys)
{
    (void)sodium_mprotect_noaccess(keys->guarded); /* defence in depth: it works without */
}

static struct vault_keys *keys_of_dek(const unsigned char *dek)
{
    struct vault_keys *keys = calloc(1, sizeof(*keys));
    if (!keys)
        abort();
    keys->guarded = sodium_malloc(sizeof(*keys->guarded));
    if (!keys->guarded)
        abort();
    (void)crypto_kdf_derive_from_key(keys->guarded->record, VAULT_DEK, SUBKEY_RECORD, KDF_CONTEXT,
                                     dek); /* fails for impossible lengths only */
    (void)crypto_kdf_derive_from_key(keys->guarded->seal, VAULT_DEK, SUBKEY_SEAL, KDF_CONTEXT, dek);
    make_idle(keys);
    return keys;
}

struct vault_keys *vault_keys_free(struct vault_keys *keys)
{
    if (keys) {
        sodium_free(keys->guarded);
        free(keys);
    }
    return NULL;
}

/* ---- slots ---- */

struct slot_data {
    unsigned char bytes[sizeof(SLOT_LABEL) - 1 + VAULT_UUID + 4 + VAULT_SALT + 8 + 8];
};

/* What a slot is bound to: label | uuid | type | salt | opslimit | memlimit. */
static struct slot_data slot_data(const unsigned char *uuid, const struct vault_slot *slot)
{
    struct slot_data data;
    unsigned char *at = data.bytes;
    uint32_t type = htole32(slot->type);
    uint64_t limits[2] = {htole64(slot->opslimit), htole64(slot->memlimit)};
    at = mempcpy(at, SLOT_LABEL, sizeof(SLOT_LABEL) - 1);
    at = mempcpy(at, uuid, VAULT_UUID);
    at = mempcpy(at, &type, sizeof(type));
    at = mempcpy(at, slot->salt, sizeof(slot->salt));
    at = mempcpy(at, limits, sizeof(limits));
    assert(at == data.bytes + sizeof(data.bytes));
    return data;
}

struct vault_keys *vault_keys_new(const unsigned char kek[VAULT_DEK],
                                  const unsigned char uuid[VAULT_UUID], struct vault_slot *ret_slot)
{
    unsigned char *dek = sodium_malloc(VAULT_DEK);
    if (!dek)
        abort();
    struct vault_slot slot = {.type = VAULT_SLOT_KEYFILE};
    randombytes_buf(dek, VAULT_DEK);
    randombytes_buf(slot.nonce, sizeof(slot.nonce));
    struct slot_data data = slot_data(uuid, &slot);
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(slot.wrapped, NULL, dek, VAULT_DEK, data.bytes,
                                                     sizeof(data.bytes), NULL, slot.nonce,
                                                     kek); /* cannot fail */
    struct vault_keys *keys = keys_of_dek(dek);
    sodium_free(dek);
    *ret_slot = slot;
    return keys;
}

struct vault_keys *vault_keys_unlock(const unsigned char kek[VAULT_DEK],
                                     const unsigned char uuid[VAULT_UUID],
                                     const struct vault_slot *slot)
{
    if (slot->type != VAULT_SLOT_KEYFILE)
        return NULL;
    unsigned char *dek = sodium_malloc(VAULT_DEK);
    if (!dek)
        abort();
    struct slot_data data = slot_data(uuid, slot);
    struct vault_keys *keys = NULL;
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(dek, NULL, NULL, slot->wrapped,
                                                   sizeof(slot->wrapped), data.bytes,
                                                   sizeof(data.bytes), slot->nonce, kek) == 0)
        keys = keys_of_dek(dek);
    sodium_free(dek);
    return keys;
}

/* ---- seal ---- */

void vault_keys_seal(const struct vault_keys *keys, struct span sealed,
                     unsigned char ret[VAULT_SEAL])
{
    (void)crypto_generichash(ret, VAULT_SEAL, (const unsigned char *)sealed.at, sealed.len,
                             make_usable(keys)->seal, VAULT_DEK); /* cannot fail: right lengths */
    make_idle(keys);
}

/* ---- records ---- */

/* What a record is bound to: label | uuid | id with its length | revision | clear part of the body.
 */
static void record_data(const unsigned char *uuid, const struct vault_record *record,
                        struct span clear, struct bytes *out)
{
    uint16_t id_len = htole16((uint16_t)strlen(record->id));
    uint64_t revision = htole64(record->revision);
    int r = bytes_add_span(out, SPAN(RECORD_LABEL));
    r |= bytes_add(out, uuid, VAULT_UUID);
    r |= bytes_add(out, &id_len, sizeof(id_len));
    r |= bytes_add_span(out, span_of(record->id));
    r |= bytes_add(out, &revision, sizeof(revision));
    r |= bytes_add_span(out, clear);
    if (r < 0)
        abort(); /* all parts are bounded below the buffer's maximum */
}

void vault_keys_encrypt(const struct vault_keys *keys, const unsigned char uuid[VAULT_UUID],
                        struct vault_record *record, struct span key)
{
    unsigned char nonce[VAULT_NONCE], ciphertext[VAULT_KEY_MAX];
    assert(key.len >= 1 && key.len <= VAULT_KEY_MAX);
    randombytes_buf(nonce, sizeof(nonce));
    struct bytes data = {.max = VAULT_FILE_MAX};
    record_data(uuid, record, bytes_span(&record->body), &data);
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt_detached(
        ciphertext, record->tag, NULL, (const unsigned char *)key.at, key.len,
        (const unsigned char *)data.data, data.len, NULL, nonce,
        make_usable(keys)->record); /* cannot fail */
    make_idle(keys);
    bytes_release(&data);
    if (bytes_add(&record->body, nonce, sizeof(nonce)) < 0 ||
        bytes_add(&record->body, ciphertext, key.len) < 0)
        abort(); /* a body has room for the longest key */
}

bool vault_keys_open(const struct vault_keys *keys, const unsigned char uuid[VAULT_UUID],
                     const struct vault_record *record, struct vault_body *ret_body,
                     struct span *ret_key)
{
    struct vault_body body;
    if (!vault_body_decode(record, &body))
        return false;
    struct bytes data = {.max = VAULT_FILE_MAX};
    record_data(uuid, record, body.clear, &data);
    struct guarded *guarded = make_usable(keys);
    int r = crypto_aead_xchacha20poly1305_ietf_decrypt_detached(
        guarded->opened, NULL, (const unsigned char *)body.ciphertext.at, body.ciphertext.len,
        record->tag, (const unsigned char *)data.data, data.len, body.nonce, guarded->record);
    bytes_release(&data);
    if (r < 0) {
        make_idle(keys);
        return false;
    }
    *ret_key = (struct span){(const char *)guarded->opened, body.ciphertext.len};
    if (ret_body)
        *ret_body = body;
    return true;
}

void vault_keys_shut(const struct vault_keys *keys)
{
    sodium_memzero(keys->guarded->opened, VAULT_KEY_MAX);
    make_idle(keys);
}
