/* S-43: what a damaged or forged vault file does. Every case is detected, or costs one key. */
#include "state/vault.h"

#include "base/log.h"
#include "base/own.h"
#include "state/vault_file.h"
#include "unit/state_place.h"

#define KEY_A "sk-canary-aaaaaaaaaaaaaaaa"
#define KEY_B "sk-canary-bbbbbbbbbbbbbbbb"

static const char *const origins[] = {"https://api.deepseek.com:443"};

static struct place place;

static void make_place(void)
{
    place_init(&place);
    log_set_level(LOG_ERROR); /* each damaged record is a warning */
}

static void remove_place(void)
{
    place_release(&place);
}

TestSuite(vault_damage, .init = make_place, .fini = remove_place);

DEFINE_CLEANUP(vault_done, struct vault, vault_free)

static struct vault *open_vault(void)
{
    struct vault *vault = NULL;
    struct err err = {0};
    cr_assert_eq(vault_open(place.state, place.kek, &vault, &err), 0, "%s", err.detail);
    return vault;
}

static int put(struct vault *vault, const char *id, const char *key)
{
    struct err err = {0};
    return vault_put(vault, id, span_of(key), origins, 1, 1767225600, &err);
}

/* A vault with the records a, b and the token secret; returns the file. */
static struct bytes make_vault(void)
{
    CLEANUP(vault_done) struct vault *vault = open_vault();
    cr_assert_eq(put(vault, "a", KEY_A), 0);
    cr_assert_eq(put(vault, "b", KEY_B), 0);
    return place_read(place.vault);
}

/* 0: lent and right. Anything else must be the error of a damaged record. */
static int use_key(const struct vault *vault, const char *id, const char *key)
{
    struct secret *secret = NULL;
    struct err err = {0};
    int r = vault_lend(vault, id, origins[0], &secret, &err);
    if (r == 0)
        cr_expect(vault_holds(vault, id, span_of(key)), "%s is another key", id);
    else
        cr_expect(r == -ERR_VAULT_CORRUPT && strstr(err.detail, id), "%s: %s", id, err.detail);
    secret_free(secret);
    return r;
}

enum outcome { REFUSED, LOCKED, KEYS_LOST };

/* Puts `text` in place of the vault and opens it. *ret_lost: how many of the three records failed.
 */
static enum outcome open_text(struct span text, unsigned *ret_lost)
{
    struct err err = {0};
    CLEANUP(vault_done) struct vault *vault = NULL;
    *ret_lost = 0;
    place_write(place.vault, text);
    int r = vault_open(place.state, place.kek, &vault, &err);
    CLEANUP(bytes_release) struct bytes after = place_read(place.vault);
    cr_expect(span_equal(bytes_span(&after), text), "opening changed the file");
    if (r < 0) {
        cr_expect_eq(r, -ERR_VAULT_CORRUPT, "%d %s", r, err.detail);
        cr_expect(strstr(err.detail, place.backup), "%s", err.detail);
        return REFUSED;
    }
    if (vault_is_locked(vault))
        return LOCKED;
    unsigned char mac[VAULT_MAC];
    *ret_lost = (use_key(vault, "a", KEY_A) < 0) + (use_key(vault, "b", KEY_B) < 0) +
                (vault_mac(vault, SPAN("id"), mac) < 0);
    return KEYS_LOST;
}

static void expect_refused(struct span text, const char *what, size_t at)
{
    unsigned lost;
    cr_expect_eq(open_text(text, &lost), REFUSED, "%s %zu", what, at);
}

static size_t sealed_length(struct span text)
{
    struct vault_file file;
    size_t sealed;
    cr_assert_eq(vault_file_decode(text, &file, &sealed, NULL), 0);
    vault_file_release(&file);
    return sealed;
}

static void flip_every_byte(struct bytes *text, char bit)
{
    size_t bodies_at = sealed_length(bytes_span(text)) + VAULT_SEAL;
    for (size_t i = 0; i < text->len; i++) {
        unsigned lost;
        text->data[i] ^= bit;
        enum outcome outcome = open_text(bytes_span(text), &lost);
        text->data[i] ^= bit;
        if (i < bodies_at)
            cr_expect(outcome == REFUSED || outcome == LOCKED, "byte %zu", i);
        else
            cr_expect(outcome == KEYS_LOST && lost == 1, "byte %zu: %u lost", i, lost);
    }
}

Test(vault_damage, s43_every_flipped_byte_is_detected_or_costs_one_key)
{
    CLEANUP(bytes_release) struct bytes text = make_vault();
    unsigned lost;
    flip_every_byte(&text, 0x01);
    flip_every_byte(&text, (char)0x80);
    cr_expect(open_text(bytes_span(&text), &lost) == KEYS_LOST && lost == 0, "the whole one works");
}

Test(vault_damage, s43_every_truncation_and_every_addition_is_detected)
{
    CLEANUP(bytes_release) struct bytes text = make_vault();
    for (size_t len = 0; len < text.len; len++)
        expect_refused((struct span){text.data, len}, "cut at", len);
    cr_assert_eq(bytes_add(&text, "", 1), 0);
    expect_refused(bytes_span(&text), "with a byte more", 0);
}

/* Encodes a changed structure with the seal of the file it was made from. */
static struct bytes forge(const struct vault_file *file, struct span original)
{
    struct bytes text = {.max = VAULT_FILE_MAX};
    size_t sealed, original_sealed = sealed_length(original);
    cr_assert_eq(vault_file_encode(file, &text, &sealed), 0);
    memcpy(text.data + sealed, original.at + original_sealed, VAULT_SEAL);
    return text;
}

static void swap_bytes(struct bytes *a, struct bytes *b)
{
    struct bytes kept = *a;
    *a = *b;
    *b = kept;
}

/* The places of the records, in order of id. */
enum { TOKENS, A, B };

static void decode(struct span text, struct vault_file *file)
{
    size_t sealed;
    cr_assert_eq(vault_file_decode(text, file, &sealed, NULL), 0);
    cr_assert_eq(file->record_count, 3);
    cr_assert_str_eq(file->records[A]->id, "a");
}

Test(vault_damage, s43_swapped_bodies_do_not_authenticate)
{
    CLEANUP(bytes_release) struct bytes original = make_vault();
    CLEANUP(vault_file_release) struct vault_file file;
    unsigned lost;
    decode(bytes_span(&original), &file);
    swap_bytes(&file.records[A]->body, &file.records[B]->body);
    CLEANUP(bytes_release) struct bytes forged = forge(&file, bytes_span(&original));
    cr_expect_eq(open_text(bytes_span(&forged), &lost), KEYS_LOST);
    cr_expect_eq(lost, 2);
}

Test(vault_damage, s43_a_changed_origin_costs_the_key)
{
    CLEANUP(bytes_release) struct bytes text = make_vault();
    unsigned lost;
    char *origin = memmem(text.data, text.len, "api.deepseek.com", 16);
    cr_assert(origin);
    memcpy(origin, "attacker.testing", 16);
    cr_expect_eq(open_text(bytes_span(&text), &lost), KEYS_LOST);
    cr_expect_eq(lost, 1);
}

Test(vault_damage, s43_a_changed_list_of_records_is_detected)
{
    CLEANUP(bytes_release) struct bytes original = make_vault();
    struct span text = bytes_span(&original);
    CLEANUP(vault_file_release) struct vault_file file;
    decode(text, &file);

    file.record_count = 2; /* the last one dropped */
    CLEANUP(bytes_release) struct bytes dropped = forge(&file, text);
    expect_refused(bytes_span(&dropped), "dropped", 0);
    file.record_count = 3;

    strcpy(file.records[B]->id, "c");
    CLEANUP(bytes_release) struct bytes renamed = forge(&file, text);
    expect_refused(bytes_span(&renamed), "renamed", 0);
    strcpy(file.records[B]->id, "a");
    CLEANUP(bytes_release) struct bytes doubled = forge(&file, text);
    expect_refused(bytes_span(&doubled), "doubled", 0);
    strcpy(file.records[B]->id, "b");

    file.records[B]->revision++;
    CLEANUP(bytes_release) struct bytes raised = forge(&file, text);
    expect_refused(bytes_span(&raised), "revision", 0);
    file.records[B]->revision--;

    file.slot_count = 2;
    file.slots[1] = file.slots[0];
    CLEANUP(bytes_release) struct bytes slots = forge(&file, text);
    expect_refused(bytes_span(&slots), "a slot more", 0);
    file.slot_count = 1;

    file.generation--;
    CLEANUP(bytes_release) struct bytes generation = forge(&file, text);
    expect_refused(bytes_span(&generation), "generation", 0);
}

Test(vault_damage, s43_an_older_version_of_one_record_does_not_come_back)
{
    CLEANUP(bytes_release) struct bytes old_text = make_vault();
    {
        CLEANUP(vault_done) struct vault *vault = open_vault();
        cr_assert_eq(put(vault, "a", "sk-canary-rotated-00000000"), 0);
    }
    CLEANUP(bytes_release) struct bytes new_text = place_read(place.vault);
    CLEANUP(vault_file_release) struct vault_file old_file, new_file;
    decode(bytes_span(&old_text), &old_file);
    decode(bytes_span(&new_text), &new_file);

    swap_bytes(&new_file.records[A]->body, &old_file.records[A]->body);
    CLEANUP(bytes_release) struct bytes body_only = forge(&new_file, bytes_span(&new_text));
    unsigned lost;
    cr_expect_eq(open_text(bytes_span(&body_only), &lost), KEYS_LOST);
    cr_expect_eq(lost, 1);

    new_file.records[A]->revision = old_file.records[A]->revision;
    memcpy(new_file.records[A]->tag, old_file.records[A]->tag, VAULT_TAG);
    CLEANUP(bytes_release) struct bytes whole_record = forge(&new_file, bytes_span(&new_text));
    expect_refused(bytes_span(&whole_record), "an older record", 0);
}

Test(vault_damage, an_older_whole_file_opens_which_is_the_documented_limit)
{
    CLEANUP(bytes_release) struct bytes old_text = make_vault();
    unsigned lost;
    {
        CLEANUP(vault_done) struct vault *vault = open_vault();
        cr_assert_eq(put(vault, "a", "sk-canary-rotated-00000000"), 0);
    }
    cr_expect_eq(open_text(bytes_span(&old_text), &lost), KEYS_LOST);
    cr_expect_eq(lost, 0);
}

static void flip_last_byte_of_file(void) /* of the body of b */
{
    CLEANUP(bytes_release) struct bytes text = place_read(place.vault);
    text.data[text.len - 1] ^= 1;
    place_write(place.vault, bytes_span(&text));
}

Test(vault_damage, a_damaged_record_is_kept_until_it_is_replaced)
{
    CLEANUP(bytes_release) struct bytes text = make_vault();
    struct vault_record_info info;
    flip_last_byte_of_file();
    {
        CLEANUP(vault_done) struct vault *vault = open_vault();
        cr_assert(vault_info(vault, "b", &info));
        cr_expect(info.is_damaged);
        cr_expect_str_eq(info.last4, "");
        cr_expect_null(info.origins[0], "nothing unauthenticated is shown");
        cr_expect_eq(put(vault, "a", KEY_A), 0, "the vault can still be changed");
    }
    flip_last_byte_of_file(); /* mends it: the change of a did not touch it */
    {
        CLEANUP(vault_done) struct vault *vault = open_vault();
        cr_expect_eq(use_key(vault, "b", KEY_B), 0);
    }
    flip_last_byte_of_file();
    CLEANUP(vault_done) struct vault *vault = open_vault();
    cr_expect_eq(use_key(vault, "b", KEY_B), -ERR_VAULT_CORRUPT);
    cr_expect_eq(put(vault, "b", KEY_B), 0, "entering the key again mends it");
    cr_expect_eq(use_key(vault, "b", KEY_B), 0);
    cr_assert(vault_info(vault, "b", &info));
    cr_expect_eq(info.revision, 2);
}

Test(vault_damage, impossible_sizes_are_refused_at_once)
{
    CLEANUP(bytes_release) struct bytes text = make_vault();
    const size_t counts_at[] = {8, 12, 16}; /* version, slots, records */
    for (size_t i = 0; i < 3; i++) {
        char kept[4];
        memcpy(kept, text.data + counts_at[i], 4);
        memset(text.data + counts_at[i], 0xff, 4);
        expect_refused(bytes_span(&text), "count", i);
        memset(text.data + counts_at[i], 0, 4);
        expect_refused(bytes_span(&text), "zero", i);
        memcpy(text.data + counts_at[i], kept, 4);
    }
    CLEANUP(bytes_release) struct bytes huge = {.max = VAULT_FILE_MAX + 1};
    cr_assert_eq(bytes_reserve(&huge, huge.max), 0);
    memset(huge.data, 'x', huge.max);
    huge.len = huge.max;
    expect_refused(bytes_span(&huge), "huge", 0);
}

/* ---- the published test vector: docs/SECURITY.md, made by tests/support/vault_vector.py ---- */

static const char vector[] = "414943544c564c54010000000100000002000000a0a1a2a3a4a5a6a7a8a9aaab"
                             "acadaeaf02000000000000000100000000000000000000000000000000000000"
                             "00000000000000000000000000000000404142434445464748494a4b4c4d4e4f"
                             "5051525354555657f4182753f4c55f31a7ddad9583b14bbda28b9ff7276c65ad"
                             "5208c77e35391daf1dccfbc08fa94f19b1ad415cbd7a9f6407002e746f6b656e"
                             "73010000000000000036db824652d5a9092365254ec967c15e42000000080064"
                             "6565707365656b0100000000000000b60d2a2025046371431db2c3846bd50858"
                             "000000a1288ea83915e779680a034765eefcf166c6cd5a6e52c5bc901bcb5a07"
                             "6ec50000000000000000000000c0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2"
                             "d3d4d5d6d7396bb4714f8f4a9eae85e05fc76c21f40043fa538fd8a9554e5fdb"
                             "f84ca65e9a00b955690000000001001c0068747470733a2f2f6170692e646565"
                             "707365656b2e636f6d3a343433e0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2"
                             "f3f4f5f6f77a1621c1a9bc407766b036aeef2f923aec3eb77ddcec4c67";

static size_t from_hex(const char *hex, char *out)
{
    size_t n = strlen(hex) / 2;
    for (size_t i = 0; i < n; i++) {
        unsigned byte;
        cr_assert_eq(sscanf(hex + 2 * i, "%2x", &byte), 1);
        out[i] = (char)byte;
    }
    return n;
}

Test(vault_damage, the_published_vector_opens)
{
    char text[sizeof(vector) / 2], kek[32];
    struct vault_record_info info;
    struct span vault_text = {text, from_hex(vector, text)};
    for (char i = 0; i < 32; i++)
        kek[(size_t)i] = i;
    cr_assert(mkdir(place.state, 0700) == 0 && mkdir(place.kek, 0700) == 0);
    place_write(place.keyfile, (struct span){kek, sizeof(kek)});
    place_write(place.vault, vault_text);
    CLEANUP(vault_done) struct vault *vault = open_vault();
    cr_assert_not(vault_is_locked(vault), "%s", vault_lock_reason(vault));
    cr_assert(vault_info(vault, "deepseek", &info));
    cr_expect_not(info.is_damaged);
    cr_expect_eq(info.created_s, 1767225600);
    cr_expect_str_eq(info.origins[0], origins[0]);
    cr_expect(vault_holds(vault, "deepseek", SPAN("sk-test-0123456789abcdef")));
}

Test(vault_damage, the_published_vector_is_encoded_back_byte_by_byte)
{
    char text[sizeof(vector) / 2];
    struct span original = {text, from_hex(vector, text)};
    CLEANUP(vault_file_release) struct vault_file file;
    size_t sealed;
    cr_assert_eq(vault_file_decode(original, &file, &sealed, NULL), 0);
    CLEANUP(bytes_release) struct bytes again = forge(&file, original);
    cr_expect(span_equal(bytes_span(&again), original));
}
