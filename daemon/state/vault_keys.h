/*
 * The vault's cryptography: the keys that follow from the DEK, and everything done with them.
 *
 *   KEK   key encryption key, 32 bytes; from the keyfile. Wraps the DEK in a slot
 *   DEK   data encryption key; only its two subkeys (records, seal) are kept
 *   open  a record's key in guarded memory, until vault_keys_shut()
 *
 * All keys and opened records are in sodium_malloc() memory that nobody may touch while it is idle.
 */
#pragma once

#include "state/vault_file.h"

struct vault_keys;

/* A new random DEK, wrapped with `kek` into *ret_slot (a keyfile slot of the vault `uuid`). */
struct vault_keys *vault_keys_new(const unsigned char kek[VAULT_DEK],
                                  const unsigned char uuid[VAULT_UUID],
                                  struct vault_slot *ret_slot);
/* The keys behind a keyfile slot; NULL when `kek` does not open it. */
struct vault_keys *vault_keys_unlock(const unsigned char kek[VAULT_DEK],
                                     const unsigned char uuid[VAULT_UUID],
                                     const struct vault_slot *slot);
/* Wipes and frees. */
struct vault_keys *vault_keys_free(struct vault_keys *keys);

/* The seal over the first part of a file. */
void vault_keys_seal(const struct vault_keys *keys, struct span sealed,
                     unsigned char ret[VAULT_SEAL]);

/*
 * Encrypts `key` (1 to VAULT_KEY_MAX bytes) into a record whose body holds only the clear part so
 * far: adds nonce and ciphertext, sets the tag. id, revision and clear part are bound to it.
 */
void vault_keys_encrypt(const struct vault_keys *keys, const unsigned char uuid[VAULT_UUID],
                        struct vault_record *record, struct span key);
/*
 * Opens a record: *ret_key is in guarded memory and readable until vault_keys_shut(), one record at
 * a time. *ret_body, if wanted, is the record taken apart, now authenticated. False when the record
 * does not authenticate; nothing is open then.
 */
bool vault_keys_open(const struct vault_keys *keys, const unsigned char uuid[VAULT_UUID],
                     const struct vault_record *record, struct vault_body *ret_body,
                     struct span *ret_key);
void vault_keys_shut(const struct vault_keys *keys);
