/* See vault_file.h. All numbers are little-endian and unsigned but for the times. */
#include "state/vault_file.h"

#include <endian.h>
#include <stdlib.h>

#define MAGIC          "AICTLVLT"
#define INDEX_ROW_MIN  (2 + 1 + 8 + VAULT_TAG + 4)
#define BODY_CLEAR_MAX (8 + 2 + VAULT_ORIGINS_MAX * (2 + VAULT_ORIGIN_MAX))
#define BODY_MAX       (BODY_CLEAR_MAX + VAULT_NONCE + VAULT_KEY_MAX)

/* ---- reading ---- */

/* What is left to read. Running over the end is remembered and gives zeros from then on. */
struct cursor {
    struct span rest;
    bool is_over;
};

static struct span take(struct cursor *cursor, size_t len)
{
    if (cursor->rest.len < len) {
        *cursor = (struct cursor){.rest = {cursor->rest.at, 0}, .is_over = true};
        return (struct span){NULL, 0};
    }
    struct span taken = {cursor->rest.at, len};
    cursor->rest = (struct span){cursor->rest.at + len, cursor->rest.len - len};
    return taken;
}

static void take_into(struct cursor *cursor, void *out, size_t len)
{
    struct span taken = take(cursor, len);
    if (taken.at)
        memcpy(out, taken.at, len);
    else
        memset(out, 0, len);
}

static uint16_t take_u16(struct cursor *cursor)
{
    uint16_t value;
    take_into(cursor, &value, sizeof(value));
    return le16toh(value);
}

static uint32_t take_u32(struct cursor *cursor)
{
    uint32_t value;
    take_into(cursor, &value, sizeof(value));
    return le32toh(value);
}

static uint64_t take_u64(struct cursor *cursor)
{
    uint64_t value;
    take_into(cursor, &value, sizeof(value));
    return le64toh(value);
}

static int corrupt(struct err *reterr, const char *what)
{
    return err_set(reterr, ERR_VAULT_CORRUPT, "%s", what);
}

static int take_header(struct cursor *cursor, struct vault_file *file, size_t *ret_record_count,
                       struct err *reterr)
{
    struct span magic = take(cursor, sizeof(MAGIC) - 1);
    if (!span_equal(magic, SPAN(MAGIC)))
        return corrupt(reterr, "this is not a vault file");
    uint32_t version = take_u32(cursor);
    if (version != VAULT_FILE_VERSION)
        return err_set(reterr, ERR_VAULT_CORRUPT, "format version %u is not known (only %u is)",
                       version, VAULT_FILE_VERSION);
    file->slot_count = take_u32(cursor);
    *ret_record_count = take_u32(cursor);
    take_into(cursor, file->uuid, sizeof(file->uuid));
    file->generation = take_u64(cursor);
    if (cursor->is_over)
        return corrupt(reterr, "the file ends inside the header");
    if (file->slot_count < 1 || file->slot_count > VAULT_SLOTS_MAX)
        return corrupt(reterr, "impossible number of slots");
    if (*ret_record_count > VAULT_RECORDS_MAX ||
        *ret_record_count > cursor->rest.len / INDEX_ROW_MIN)
        return corrupt(reterr, "impossible number of records");
    return 0;
}

static void take_slot(struct cursor *cursor, struct vault_slot *slot)
{
    slot->type = take_u32(cursor);
    take_into(cursor, slot->salt, sizeof(slot->salt));
    slot->opslimit = take_u64(cursor);
    slot->memlimit = take_u64(cursor);
    take_into(cursor, slot->nonce, sizeof(slot->nonce));
    take_into(cursor, slot->wrapped, sizeof(slot->wrapped));
}

/* One row of the index; *ret_body_len is the length of the body that comes later. */
static int take_index_row(struct cursor *cursor, struct vault_file *file, size_t *ret_body_len,
                          struct err *reterr)
{
    struct span id = take(cursor, take_u16(cursor));
    uint64_t revision = take_u64(cursor);
    if (cursor->is_over)
        return corrupt(reterr, "the file ends inside the index");
    if (!vault_id_is_valid(id))
        return corrupt(reterr, "a record's id is not valid");
    struct vault_record *record = vault_record_new(id, revision);
    file->records[file->record_count++] = record;
    take_into(cursor, record->tag, sizeof(record->tag));
    *ret_body_len = take_u32(cursor);
    if (*ret_body_len > BODY_MAX)
        return corrupt(reterr, "a record is too large");
    if (file->record_count > 1 &&
        strcmp(file->records[file->record_count - 2]->id, record->id) >= 0)
        return corrupt(reterr, "the records are not in order");
    return 0;
}

static int take_body(struct cursor *cursor, struct vault_record *record, size_t len,
                     struct err *reterr)
{
    struct span body = take(cursor, len);
    if (cursor->is_over)
        return corrupt(reterr, "the file ends inside a record");
    return bytes_add_span(&record->body, body);
}

static int take_records(struct cursor *cursor, struct vault_file *file, size_t count, size_t *lens,
                        size_t total, size_t *ret_sealed, struct err *reterr)
{
    int r = 0;
    for (size_t i = 0; i < count && r == 0; i++)
        r = take_index_row(cursor, file, &lens[i], reterr);
    if (r < 0)
        return r;
    *ret_sealed = total - cursor->rest.len;
    (void)take(cursor, VAULT_SEAL); /* when it is not there the end is noticed below */
    for (size_t i = 0; i < count && r == 0; i++)
        r = take_body(cursor, file->records[i], lens[i], reterr);
    if (r == 0 && cursor->is_over)
        r = corrupt(reterr, "the file ends inside the seal");
    if (r == 0 && cursor->rest.len)
        r = corrupt(reterr, "there is something behind the last record");
    return r;
}

int vault_file_decode(struct span text, struct vault_file *ret, size_t *ret_sealed,
                      struct err *reterr)
{
    struct cursor cursor = {.rest = text};
    struct vault_file file = {0};
    size_t count = 0;
    int r = take_header(&cursor, &file, &count, reterr);
    if (r < 0)
        return r;
    for (size_t i = 0; i < file.slot_count; i++)
        take_slot(&cursor, &file.slots[i]);
    /* count was checked against the file's length */
    size_t *lens = calloc(count + 1, sizeof(*lens));
    file.records = calloc(count + 1, sizeof(struct vault_record *));
    if (!lens || !file.records)
        abort();
    r = take_records(&cursor, &file, count, lens, text.len, ret_sealed, reterr);
    free(lens);
    if (r < 0)
        vault_file_release(&file);
    else
        *ret = file;
    return r;
}

bool vault_body_decode(const struct vault_record *record, struct vault_body *ret)
{
    struct span body = bytes_span(&record->body);
    struct cursor cursor = {.rest = body};
    *ret = (struct vault_body){.created_s = (int64_t)take_u64(&cursor)};
    ret->origin_count = take_u16(&cursor);
    if (ret->origin_count > VAULT_ORIGINS_MAX)
        return false;
    for (size_t i = 0; i < ret->origin_count; i++) {
        ret->origins[i] = take(&cursor, take_u16(&cursor));
        if (!vault_origin_is_valid(ret->origins[i]))
            return false;
    }
    ret->clear = (struct span){body.at, body.len - cursor.rest.len};
    ret->nonce = (const unsigned char *)take(&cursor, VAULT_NONCE).at;
    ret->ciphertext = cursor.rest;
    return !cursor.is_over && ret->ciphertext.len > 0 && ret->ciphertext.len <= VAULT_KEY_MAX;
}

/* ---- writing ---- */

static int add_u16(struct bytes *out, uint16_t value)
{
    value = htole16(value);
    return bytes_add(out, &value, sizeof(value));
}

static int add_u32(struct bytes *out, uint32_t value)
{
    value = htole32(value);
    return bytes_add(out, &value, sizeof(value));
}

static int add_u64(struct bytes *out, uint64_t value)
{
    value = htole64(value);
    return bytes_add(out, &value, sizeof(value));
}

/* Each of these ORs the results: the only failure is -ERR_TOO_LARGE, and it stays negative. */

static int add_header(struct bytes *out, const struct vault_file *file)
{
    int r = bytes_add_span(out, SPAN(MAGIC));
    r |= add_u32(out, VAULT_FILE_VERSION);
    r |= add_u32(out, (uint32_t)file->slot_count);
    r |= add_u32(out, (uint32_t)file->record_count);
    r |= bytes_add(out, file->uuid, sizeof(file->uuid));
    return r | add_u64(out, file->generation);
}

static int add_slot(struct bytes *out, const struct vault_slot *slot)
{
    int r = add_u32(out, slot->type);
    r |= bytes_add(out, slot->salt, sizeof(slot->salt));
    r |= add_u64(out, slot->opslimit);
    r |= add_u64(out, slot->memlimit);
    r |= bytes_add(out, slot->nonce, sizeof(slot->nonce));
    return r | bytes_add(out, slot->wrapped, sizeof(slot->wrapped));
}

static int add_index_row(struct bytes *out, const struct vault_record *record)
{
    int r = add_u16(out, (uint16_t)strlen(record->id));
    r |= bytes_add_span(out, span_of(record->id));
    r |= add_u64(out, record->revision);
    r |= bytes_add(out, record->tag, sizeof(record->tag));
    return r | add_u32(out, (uint32_t)record->body.len);
}

int vault_file_encode(const struct vault_file *file, struct bytes *out, size_t *ret_sealed)
{
    static const unsigned char no_seal[VAULT_SEAL];
    if (file->record_count > VAULT_RECORDS_MAX)
        return -ERR_TOO_LARGE;
    int r = add_header(out, file);
    for (size_t i = 0; i < file->slot_count; i++)
        r |= add_slot(out, &file->slots[i]);
    for (size_t i = 0; i < file->record_count; i++)
        r |= add_index_row(out, file->records[i]);
    size_t sealed = out->len;
    r |= bytes_add(out, no_seal, sizeof(no_seal));
    for (size_t i = 0; i < file->record_count; i++)
        r |= bytes_add_span(out, bytes_span(&file->records[i]->body));
    if (r < 0)
        return -ERR_TOO_LARGE;
    *ret_sealed = sealed;
    return 0;
}

int vault_body_encode(int64_t created_s, const char *const *origins, size_t origin_count,
                      struct bytes *out)
{
    int r = add_u64(out, (uint64_t)created_s);
    r |= add_u16(out, (uint16_t)origin_count);
    for (size_t i = 0; i < origin_count; i++) {
        r |= add_u16(out, (uint16_t)strlen(origins[i]));
        r |= bytes_add_span(out, span_of(origins[i]));
    }
    return r < 0 ? -ERR_TOO_LARGE : 0;
}

/* ---- the structure ---- */

bool vault_id_is_valid(struct span id)
{
    for (size_t i = 0; i < id.len; i++) {
        unsigned char c = (unsigned char)id.at[i];
        if (c < 0x20 || c == 0x7f)
            return false;
    }
    return id.len >= 1 && id.len <= VAULT_ID_MAX;
}

bool vault_origin_is_valid(struct span origin)
{
    for (size_t i = 0; i < origin.len; i++) {
        unsigned char c = (unsigned char)origin.at[i];
        if (c <= 0x20 || c >= 0x7f)
            return false;
    }
    return origin.len >= 1 && origin.len <= VAULT_ORIGIN_MAX;
}

struct vault_record *vault_record_new(struct span id, uint64_t revision)
{
    struct vault_record *record = calloc(1, sizeof(*record));
    if (!record)
        abort();
    memcpy(record->id, id.at, id.len);
    record->revision = revision;
    record->body.max = BODY_MAX;
    return record;
}

struct vault_record *vault_record_free(struct vault_record *record)
{
    if (record) {
        bytes_release(&record->body);
        free(record->view.origin_text);
        free(record);
    }
    return NULL;
}

void vault_file_release(struct vault_file *file)
{
    for (size_t i = 0; i < file->record_count; i++)
        vault_record_free(file->records[i]);
    free(file->records);
    *file = (struct vault_file){0};
}

bool vault_file_find(const struct vault_file *file, const char *id, size_t *ret_at)
{
    size_t low = 0, high = file->record_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(file->records[middle]->id, id);
        if (order == 0) {
            *ret_at = middle;
            return true;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_at = low;
    return false;
}
