/*
 * The vault's file format: bytes to structure and back. What is secret, and what is true, is
 * decided by vault_keys.h; every field is described in docs/SECURITY.md.
 *
 *     header | slots | index | seal | bodies
 *
 *   slot   one way to unlock the data encryption key
 *   index  per record its id, revision, tag and length of body; in order of id, each id once
 *   seal   MAC over everything before it, so that no record can be dropped, added, doubled, renamed
 *          or put back in an older version
 *   body   per record: created and origins in clear, nonce, ciphertext. It is authenticated by its
 *          tag, not by the seal: a damaged body costs one key, not the vault
 *
 * To change the format: raise VAULT_FILE_VERSION, and decode both.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"

#define VAULT_FILE_VERSION 1
#define VAULT_FILE_MAX     (4 * 1024 * 1024)
#define VAULT_SLOTS_MAX    8
#define VAULT_RECORDS_MAX  4096
#define VAULT_ID_MAX       128
#define VAULT_ORIGINS_MAX  16
#define VAULT_ORIGIN_MAX   256
#define VAULT_KEY_MAX      4096

#define VAULT_UUID  16 /* bytes of the vault's own id */
#define VAULT_SALT  16
#define VAULT_NONCE 24
#define VAULT_TAG   16
#define VAULT_SEAL  32
#define VAULT_DEK   32

enum vault_slot_type { VAULT_SLOT_KEYFILE = 1 };

/* salt, opslimit and memlimit are for slots that stretch a passphrase; 0 in a keyfile slot. */
struct vault_slot {
    uint32_t type; /* types unknown to this version are kept as they are */
    unsigned char salt[VAULT_SALT];
    uint64_t opslimit, memlimit;
    unsigned char nonce[VAULT_NONCE];
    unsigned char wrapped[VAULT_DEK + VAULT_TAG];
};

/* What a record shows of itself; made by vault.c from the decrypted record, never in the file. */
struct vault_record_view {
    bool is_damaged;
    char last4[5];
    char fingerprint[9];
    int64_t created_s;
    char *origin_text;
    const char *origins[VAULT_ORIGINS_MAX + 1]; /* into origin_text; ends with NULL */
};

struct vault_record {
    char id[VAULT_ID_MAX + 1];
    uint64_t revision;
    unsigned char tag[VAULT_TAG];
    struct bytes body;
    struct vault_record_view view;
};

struct vault_file {
    unsigned char uuid[VAULT_UUID];
    uint64_t generation; /* raised by every write */
    size_t slot_count;
    struct vault_slot slots[VAULT_SLOTS_MAX];
    size_t record_count;
    struct vault_record **records; /* in order of id */
};

/* A body taken apart; everything points into the record. */
struct vault_body {
    int64_t created_s;
    size_t origin_count;
    struct span origins[VAULT_ORIGINS_MAX];
    struct span clear; /* the part in front of the nonce */
    const unsigned char *nonce;
    struct span ciphertext;
};

/*
 * Takes a file apart. *ret_sealed is the length of what the seal covers; the seal stands behind it.
 * Nothing is authenticated yet. -ERR_VAULT_CORRUPT says what is wrong and where. The caller
 * releases.
 */
int vault_file_decode(struct span text, struct vault_file *ret, size_t *ret_sealed,
                      struct err *reterr);
/*
 * Appends the file with a seal of zeros for the caller to fill in. -ERR_TOO_LARGE when it does not
 * fit in VAULT_FILE_MAX.
 */
int vault_file_encode(const struct vault_file *file, struct bytes *out, size_t *ret_sealed);
void vault_file_release(struct vault_file *file);

/* True when there is a record of this id: *ret_at is its place, else the place where it would go.
 */
bool vault_file_find(const struct vault_file *file, const char *id, size_t *ret_at);

/* 1 to VAULT_ID_MAX bytes without control characters. */
bool vault_id_is_valid(struct span id);
/* 1 to VAULT_ORIGIN_MAX printable ASCII characters, no space. */
bool vault_origin_is_valid(struct span origin);

/* An empty record; the id is valid. */
struct vault_record *vault_record_new(struct span id, uint64_t revision);
struct vault_record *vault_record_free(struct vault_record *record);

/* Appends the part of a body that stands in clear. */
int vault_body_encode(int64_t created_s, const char *const *origins, size_t origin_count,
                      struct bytes *out);
/* False when the body has not the form of one. */
bool vault_body_decode(const struct vault_record *record, struct vault_body *ret);
