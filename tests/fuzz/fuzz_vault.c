/*
 * The reader of vault.aiv: any bytes are refused, or decoded to what encodes back to the same
 * bytes. The corpus holds the published vector, whose keyfile is known, so that inputs made from it
 * also reach the cryptography.
 */
#include "state/vault_keys.h"

#include <assert.h>
#include <sodium.h>

static void check_round_trip(struct span text, const struct vault_file *file, size_t sealed)
{
    struct bytes again = {.max = VAULT_FILE_MAX};
    size_t sealed_again;
    int r = vault_file_encode(file, &again, &sealed_again);
    assert(r == 0 && sealed_again == sealed && again.len == text.len);
    memcpy(again.data + sealed, text.at + sealed, VAULT_SEAL);
    assert(memcmp(again.data, text.at, text.len) == 0);
    bytes_release(&again);
}

static void open_records(const struct vault_keys *keys, const struct vault_file *file)
{
    for (size_t i = 0; i < file->record_count; i++) {
        struct vault_body body;
        struct span key;
        size_t at;
        assert(vault_file_find(file, file->records[i]->id, &at) && at == i);
        if (vault_keys_open(keys, file->uuid, file->records[i], &body, &key)) {
            assert(key.len >= 1 && key.len <= VAULT_KEY_MAX);
            vault_keys_shut(keys);
        }
    }
}

static void unlock(struct span text, const struct vault_file *file, size_t sealed)
{
    unsigned char kek[VAULT_DEK], seal[VAULT_SEAL];
    for (unsigned char i = 0; i < VAULT_DEK; i++)
        kek[i] = i;
    struct vault_keys *keys = NULL;
    for (size_t i = 0; i < file->slot_count && !keys; i++)
        keys = vault_keys_unlock(kek, file->uuid, &file->slots[i]);
    if (!keys)
        return;
    vault_keys_seal(keys, (struct span){text.at, sealed}, seal);
    open_records(keys, file);
    vault_keys_free(keys);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = {(const char *)data, size};
    struct vault_file file;
    struct err err = {0};
    size_t sealed;
    if (sodium_init() < 0 || size > VAULT_FILE_MAX)
        return 0;
    int r = vault_file_decode(text, &file, &sealed, &err);
    if (r < 0) {
        assert(r == -ERR_VAULT_CORRUPT && err.kind == ERR_VAULT_CORRUPT && err.detail[0]);
        return 0;
    }
    check_round_trip(text, &file, sealed);
    unlock(text, &file, sealed);
    vault_file_release(&file);
    return 0;
}
