/* The vault's promises: who gets a key, what the files look like, and where errors end. */
#include "state/vault.h"

#include "base/own.h"
#include "state/vault_keys.h"
#include "unit/state_place.h"

#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#define CANARY    "sk-canary-7f1d0c52a9b84e36"
#define DEEPSEEK  "https://api.deepseek.com:443"
#define MOONSHOT  "https://api.moonshot.cn:443"
#define CREATED_S 1767225600

static const char *const deepseek_origins[] = {DEEPSEEK, NULL};

static struct place place;
static char largest_key[VAULT_KEY_MAX + 1];
static const char *largest_origins[VAULT_ORIGINS_MAX];

static void make_place(void)
{
    place_init(&place);
}

static void remove_place(void)
{
    place_release(&place);
}

TestSuite(vault, .init = make_place, .fini = remove_place);

DEFINE_CLEANUP(vault_done, struct vault, vault_free)
DEFINE_CLEANUP(secret_done, struct secret, secret_free)

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
    return vault_put(vault, id, span_of(key), deepseek_origins, 1, CREATED_S, &err);
}

static int lend(const struct vault *vault, const char *id, const char *origin, struct err *err)
{
    struct secret *secret = NULL;
    int r = vault_lend(vault, id, origin, &secret, err);
    cr_expect(r == 0 ? secret != NULL : secret == NULL);
    secret_free(secret);
    return r;
}

/* ---- lending ---- */

Test(vault, a_key_is_lent_to_its_origin_also_after_reopening)
{
    CLEANUP(vault_done) struct vault *vault = open_vault();
    cr_assert_not(vault_is_locked(vault));
    cr_assert_null(vault_lock_reason(vault));
    cr_assert_eq(put(vault, "deepseek", CANARY), 0);
    vault_free(vault);
    vault = open_vault();
    CLEANUP(secret_done) struct secret *secret = NULL;
    struct err err = {0};
    cr_assert_eq(vault_lend(vault, "deepseek", DEEPSEEK, &secret, &err), 0, "%s", err.detail);
    struct bytes header = {.max = 256, .wipe = true};
    cr_assert_eq(secret_append_header(secret, "Authorization", "Bearer ", &header), 0);
    cr_expect_str_eq(header.data, "Authorization: Bearer " CANARY);
    bytes_release(&header);
}

Test(vault, s21_a_key_is_not_lent_to_an_origin_it_is_not_bound_to)
{
    const char *const others[] = {
        "https://attacker.test:443",
        "http://api.deepseek.com:443",
        "https://api.deepseek.com",
        "https://api.deepseek.com:4430",
        "https://api.deepseek.com:443/",
        "https://API.deepseek.com:443",
        "https://api.deepseek.com.evil:443",
        "https://x@api.deepseek.com:443",
        "",
        MOONSHOT,
    };
    CLEANUP(vault_done) struct vault *vault = open_vault();
    cr_assert_eq(put(vault, "deepseek", CANARY), 0);
    const char *const two[] = {MOONSHOT, "https://api.moonshot.ai:443"};
    struct err err = {0};
    cr_assert_eq(vault_put(vault, "kimi", SPAN(CANARY), two, 2, CREATED_S, &err), 0);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        cr_expect_eq(lend(vault, "deepseek", others[i], &err), -ERR_KEY_NOT_BOUND, "%s", others[i]);
        cr_expect_null(strstr(err.detail, CANARY));
    }
    cr_expect_eq(lend(vault, "kimi", two[0], &err), 0);
    cr_expect_eq(lend(vault, "kimi", two[1], &err), 0);
    cr_expect_eq(lend(vault, "kimi", DEEPSEEK, &err), -ERR_KEY_NOT_BOUND);
    cr_expect_eq(lend(vault, "glm", DEEPSEEK, &err), -ERR_NO_KEY);
    cr_expect_eq(lend(vault, "deepseek", DEEPSEEK, &err), 0, "the others still work");
}

Test(vault, entering_a_key_again_replaces_key_and_origins)
{
    CLEANUP(vault_done) struct vault *vault = open_vault();
    const char *const moonshot[] = {MOONSHOT};
    struct err err = {0};
    struct vault_record_info info;
    cr_assert_eq(put(vault, "a", CANARY), 0);
    cr_assert_eq(vault_put(vault, "a", SPAN("sk-another-key-0001"), moonshot, 1, 5, &err), 0);
    cr_assert(vault_info(vault, "a", &info));
    cr_expect_eq(info.revision, 2);
    cr_expect_eq(info.created_s, 5);
    cr_expect_str_eq(info.last4, "0001");
    cr_expect(vault_holds(vault, "a", SPAN("sk-another-key-0001")));
    cr_expect_not(vault_holds(vault, "a", SPAN(CANARY)));
    cr_expect_eq(lend(vault, "a", DEEPSEEK, &err), -ERR_KEY_NOT_BOUND);
    cr_expect_eq(lend(vault, "a", MOONSHOT, &err), 0);
}

static void count_record(void *ctx, const struct vault_record_info *info)
{
    struct bytes *ids = ctx;
    cr_assert_eq(bytes_addf(ids, "%s ", info->id), 0);
}

Test(vault, records_are_listed_in_order_and_the_vaults_own_are_not)
{
    CLEANUP(vault_done) struct vault *vault = open_vault();
    CLEANUP(bytes_release) struct bytes ids = {.max = 4096};
    struct vault_record_info info;
    struct err err = {0};
    const char *const names[] = {"glm", "deepseek", "openai/work", "kimi", "z"};
    for (size_t i = 0; i < 5; i++)
        cr_assert_eq(put(vault, names[i], CANARY), 0);
    cr_assert_eq(vault_delete(vault, "z", &err), 0);
    cr_expect_eq(vault_delete(vault, "z", &err), -ERR_NOT_FOUND);
    vault_each(vault, count_record, &ids);
    cr_expect_str_eq(ids.data, "deepseek glm kimi openai/work ");
    cr_expect_not(vault_info(vault, ".tokens", &info));
    cr_expect_eq(lend(vault, ".tokens", "", &err), -ERR_NO_KEY);
    cr_expect_eq(vault_delete(vault, ".tokens", &err), -ERR_NOT_FOUND);
    cr_expect_eq(put(vault, ".tokens", CANARY), -ERR_INVALID_REQUEST);
    cr_expect_not(vault_holds(vault, ".tokens", SPAN("x")));
}

Test(vault, s33_what_is_shown_of_a_key_is_at_most_its_last_four_characters)
{
    CLEANUP(vault_done) struct vault *vault = open_vault();
    struct vault_record_info info;
    cr_assert_eq(put(vault, "long", CANARY), 0);
    cr_assert_eq(put(vault, "same", CANARY), 0);
    cr_assert_eq(put(vault, "short", "elevenchars"), 0);
    cr_assert(vault_info(vault, "long", &info));
    char fingerprint[9];
    snprintf(fingerprint, sizeof(fingerprint), "%s", info.fingerprint);
    cr_expect_str_eq(info.last4, "4e36");
    cr_expect_eq(strlen(fingerprint), 8);
    cr_expect_eq(info.created_s, CREATED_S);
    cr_expect_eq(info.revision, 1);
    cr_expect_str_eq(info.origins[0], DEEPSEEK);
    cr_expect_null(info.origins[1]);
    cr_assert(vault_info(vault, "same", &info));
    cr_expect_str_eq(info.fingerprint, fingerprint, "the same key is recognised");
    cr_assert(vault_info(vault, "short", &info));
    cr_expect_str_eq(info.last4, "");
    cr_expect_not(vault_info(vault, "none", &info));
}

Test(vault, wrong_input_is_refused_and_changes_nothing)
{
    CLEANUP(vault_done) struct vault *vault = open_vault();
    CLEANUP(bytes_release) struct bytes before = place_read(place.vault);
    struct err err = {0};
    static char long_key[4098], long_id[130], long_origin[258];
    memset(long_key, 'k', sizeof(long_key) - 1);
    memset(long_id, 'i', sizeof(long_id) - 1);
    memset(long_origin, 'o', sizeof(long_origin) - 1);
    const char *const keys[] = {"", "sk-\r\nX-Evil: 1", "sk-\x7f", "sk-\xc3\xa9", "\t", long_key};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        cr_expect_eq(put(vault, "a", keys[i]), -ERR_INVALID_REQUEST, "key %zu", i);
    cr_expect_eq(vault_put(vault, "a", (struct span){"sk-\0x", 5}, deepseek_origins, 1, 0, &err),
                 -ERR_INVALID_REQUEST);
    const char *const ids[] = {"", ".", ".x", "a\nb", long_id};
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
        cr_expect_eq(put(vault, ids[i], CANARY), -ERR_INVALID_REQUEST, "id %zu", i);
    const char *many[17];
    for (size_t i = 0; i < 17; i++)
        many[i] = DEEPSEEK;
    cr_expect_eq(vault_put(vault, "a", SPAN(CANARY), many, 0, 0, &err), -ERR_INVALID_REQUEST);
    cr_expect_eq(vault_put(vault, "a", SPAN(CANARY), many, 17, 0, &err), -ERR_INVALID_REQUEST);
    const char *const origins[] = {"", "https://a b:443", "https://a\n:443", long_origin};
    for (size_t i = 0; i < sizeof(origins) / sizeof(origins[0]); i++)
        cr_expect_eq(vault_put(vault, "a", SPAN(CANARY), &origins[i], 1, 0, &err),
                     -ERR_INVALID_REQUEST, "origin %zu", i);
    CLEANUP(bytes_release) struct bytes after = place_read(place.vault);
    cr_expect(span_equal(bytes_span(&before), bytes_span(&after)));
    long_key[4096] = '\0'; /* the longest that is taken */
    long_id[128] = '\0';
    cr_expect_eq(put(vault, long_id, long_key), 0);
    cr_expect_eq(vault_put(vault, "a", SPAN(CANARY), many, 16, 0, &err), 0);
}

/* Replaces the vault's file by one with `count` of the largest records; "key000" is the first. */
static void fill_vault(unsigned count)
{
    CLEANUP(bytes_release) struct bytes text = place_read(place.vault);
    CLEANUP(bytes_release) struct bytes kek = place_read(place.keyfile);
    CLEANUP(vault_file_release) struct vault_file file;
    size_t sealed;
    cr_assert_eq(vault_file_decode(bytes_span(&text), &file, &sealed, NULL), 0);
    struct vault_keys *keys =
        vault_keys_unlock((unsigned char *)kek.data, file.uuid, &file.slots[0]);
    cr_assert(keys);
    file.records = reallocarray(file.records, count + 1, sizeof(struct vault_record *));
    for (unsigned n = 0; n < count; n++) {
        char id[16];
        snprintf(id, sizeof(id), "key%03u", n);
        struct vault_record *record = vault_record_new(span_of(id), 1);
        cr_assert_eq(vault_body_encode(0, largest_origins, 16, &record->body), 0);
        vault_keys_encrypt(keys, file.uuid, record, span_of(largest_key));
        file.records[file.record_count++] = record;
    }
    bytes_release(&text);
    text.max = VAULT_FILE_MAX;
    cr_assert_eq(vault_file_encode(&file, &text, &sealed), 0);
    vault_keys_seal(keys, (struct span){text.data, sealed}, (unsigned char *)text.data + sealed);
    place_write(place.vault, bytes_span(&text));
    vault_keys_free(keys);
}

Test(vault, a_full_vault_says_so_and_stays_as_it_was)
{
    char origin[257] = "", id[16];
    struct vault_record_info info;
    struct err err = {0};
    int r = 0;
    memset(largest_key, 'k', sizeof(largest_key) - 1);
    memset(origin, 'o', sizeof(origin) - 1);
    for (size_t i = 0; i < 16; i++)
        largest_origins[i] = origin;
    vault_free(open_vault());
    fill_vault(500); /* 8 KiB each */
    CLEANUP(vault_done) struct vault *vault = open_vault();
    for (unsigned n = 500; r == 0 && n < 520; n++) {
        snprintf(id, sizeof(id), "key%u", n);
        r = vault_put(vault, id, span_of(largest_key), largest_origins, 16, CREATED_S, &err);
    }
    cr_expect_eq(r, -ERR_TOO_LARGE);
    cr_expect_not(vault_info(vault, id, &info));
    cr_expect(vault_holds(vault, "key000", span_of(largest_key)));
    cr_expect_eq(put(vault, "key000", CANARY), 0, "there is room for a smaller one");
}

Test(vault, macs_are_stable_and_differ_between_vaults)
{
    unsigned char first[VAULT_MAC], again[VAULT_MAC], other[VAULT_MAC];
    CLEANUP(vault_done) struct vault *vault = open_vault();
    cr_assert_eq(vault_mac(vault, SPAN("id"), first), 0);
    cr_assert_eq(put(vault, "a", CANARY), 0);
    vault_free(vault);
    vault = open_vault();
    cr_assert_eq(vault_mac(vault, SPAN("id"), again), 0);
    cr_expect_arr_eq(first, again, VAULT_MAC);
    cr_assert_eq(vault_mac(vault, SPAN("Id"), other), 0);
    cr_expect_arr_neq(first, other, VAULT_MAC);
    vault_free(vault);
    unlink(place.vault);
    unlink(place.backup);
    vault = open_vault();
    cr_assert_eq(vault_mac(vault, SPAN("id"), other), 0);
    cr_expect_arr_neq(first, other, VAULT_MAC);
}

/* ---- the keyfile ---- */

static void expect_locked(const struct vault *vault, const char *what)
{
    struct err err = {0};
    struct vault_record_info info;
    unsigned char mac[VAULT_MAC];
    cr_expect(vault_is_locked(vault), "%s", what);
    cr_expect(vault_lock_reason(vault) && strstr(vault_lock_reason(vault), place.kek), "%s", what);
    cr_expect_eq(lend(vault, "deepseek", DEEPSEEK, &err), -ERR_KEYSTORE_LOCKED, "%s", what);
    cr_expect_eq(vault_put((struct vault *)vault, "a", SPAN(CANARY), deepseek_origins, 1, 0, &err),
                 -ERR_KEYSTORE_LOCKED, "%s", what);
    cr_expect_eq(vault_delete((struct vault *)vault, "deepseek", &err), -ERR_KEYSTORE_LOCKED);
    cr_expect_eq(vault_mac(vault, SPAN("id"), mac), -ERR_KEYSTORE_LOCKED, "%s", what);
    cr_expect_not(vault_info(vault, "deepseek", &info), "%s", what);
    cr_expect_not(vault_holds(vault, "deepseek", SPAN(CANARY)), "%s", what);
}

/* Opens the vault as it lies there, expects it locked, and its file untouched. */
static void expect_opens_locked(const char *what)
{
    CLEANUP(bytes_release) struct bytes before = place_read(place.vault);
    CLEANUP(vault_done) struct vault *vault = open_vault();
    CLEANUP(bytes_release) struct bytes after = place_read(place.vault);
    expect_locked(vault, what);
    cr_expect(span_equal(bytes_span(&before), bytes_span(&after)), "%s", what);
}

static void make_vault_with_a_key(void)
{
    CLEANUP(vault_done) struct vault *vault = open_vault();
    cr_assert_eq(put(vault, "deepseek", CANARY), 0);
}

Test(vault, without_its_keyfile_a_vault_is_locked_and_stays_as_it_is)
{
    make_vault_with_a_key();
    CLEANUP(bytes_release) struct bytes kek = place_read(place.keyfile);
    cr_assert_eq(kek.len, 32);
    chmod(place.keyfile, 0600);
    kek.data[7] ^= 1;
    place_write(place.keyfile, bytes_span(&kek));
    expect_opens_locked("another keyfile");
    place_write(place.keyfile, (struct span){kek.data, 31});
    expect_opens_locked("a short keyfile");
    unlink(place.keyfile);
    expect_opens_locked("no keyfile");
    rmdir(place.kek);
    expect_opens_locked("no directory of the keyfile");
    cr_expect_neq(access(place.kek, F_OK), 0);
}

Test(vault, a_keyfile_that_is_there_already_opens_a_new_vault)
{
    make_vault_with_a_key();
    CLEANUP(bytes_release) struct bytes before = place_read(place.keyfile);
    unlink(place.vault);
    unlink(place.backup);
    CLEANUP(vault_done) struct vault *vault = open_vault();
    CLEANUP(bytes_release) struct bytes after = place_read(place.keyfile);
    cr_expect_not(vault_is_locked(vault));
    cr_expect(span_equal(bytes_span(&before), bytes_span(&after)));
}

/* ---- modes and planted files ---- */

Test(vault, s39_files_have_their_exact_modes_whatever_the_umask)
{
    const mode_t masks[] = {0000, 0022, 0077};
    for (size_t i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
        struct place other;
        place_init(&other);
        umask(masks[i]);
        struct vault *vault = NULL;
        struct err err = {0};
        cr_assert_eq(vault_open(other.state, other.kek, &vault, &err), 0, "%s", err.detail);
        cr_assert_eq(put(vault, "a", CANARY), 0);
        umask(0022);
        cr_expect_eq(place_mode(other.state), 0700);
        cr_expect_eq(place_mode(other.kek), 0700);
        cr_expect_eq(place_mode(other.vault), 0600);
        cr_expect_eq(place_mode(other.backup), 0600);
        cr_expect_eq(place_mode(other.keyfile), 0400);
        vault_free(vault);
        place_release(&other);
    }
}

Test(vault, s39_a_loose_vault_is_repaired_and_a_loose_keyfile_refused)
{
    make_vault_with_a_key();
    chmod(place.state, 0755);
    chmod(place.kek, 0777);
    chmod(place.vault, 0666);
    CLEANUP(vault_done) struct vault *vault = open_vault();
    cr_expect_not(vault_is_locked(vault));
    cr_expect_eq(place_mode(place.state), 0700);
    cr_expect_eq(place_mode(place.kek), 0700);
    cr_expect_eq(place_mode(place.vault), 0600);
    const mode_t loose[] = {0440, 0404, 0444, 0644, 0420};
    for (size_t i = 0; i < sizeof(loose) / sizeof(loose[0]); i++) {
        chmod(place.keyfile, loose[i]);
        expect_opens_locked("a loose keyfile");
        cr_expect_eq(place_mode(place.keyfile), loose[i]);
    }
    chmod(place.keyfile, 0400);
}

static void expect_refused(const char *what)
{
    struct vault *vault = NULL;
    struct err err = {0};
    cr_expect_eq(vault_open(place.state, place.kek, &vault, &err), -ERR_FORBIDDEN, "%s", what);
    cr_expect_null(vault, "%s", what);
    vault_free(vault);
}

Test(vault, s40_symlinks_fifos_and_directories_in_place_of_a_file_are_refused)
{
    char real[160];
    snprintf(real, sizeof(real), "%s/elsewhere", place.root);
    make_vault_with_a_key();
    cr_assert_eq(rename(place.vault, real), 0);
    cr_assert_eq(symlink(real, place.vault), 0);
    expect_refused("a symlink to the vault");
    unlink(place.vault);
    cr_assert_eq(mkfifo(place.vault, 0600), 0);
    expect_refused("a FIFO");
    unlink(place.vault);
    cr_assert_eq(mkdir(place.vault, 0700), 0);
    expect_refused("a directory");
    rmdir(place.vault);
    cr_assert_eq(rename(real, place.vault), 0);

    cr_assert_eq(rename(place.keyfile, real), 0);
    cr_assert_eq(symlink(real, place.keyfile), 0);
    expect_opens_locked("a symlink to the keyfile");
    unlink(place.keyfile);
    cr_assert_eq(mkfifo(place.keyfile, 0400), 0);
    expect_opens_locked("a FIFO");
    unlink(place.keyfile);
    cr_assert_eq(rename(real, place.keyfile), 0);

    cr_assert_eq(rename(place.kek, real), 0);
    cr_assert_eq(symlink(real, place.kek), 0);
    expect_opens_locked("a symlink to the keyfile's directory");
    cr_assert_eq(unlink(place.kek), 0);
    cr_assert_eq(rename(real, place.kek), 0);

    cr_assert_eq(rename(place.state, real), 0);
    cr_assert_eq(symlink(real, place.state), 0);
    expect_refused("a symlink to the state directory");
}

Test(vault, s40_files_of_another_owner_are_refused)
{
    if (getuid() != 0) {
        puts("skipped: only root can give files away");
        return;
    }
    make_vault_with_a_key();
    cr_assert_eq(chown(place.keyfile, 65534, 65534), 0);
    expect_opens_locked("a keyfile of another user");
    cr_assert_eq(chown(place.keyfile, 0, 0), 0);
    cr_assert_eq(chown(place.vault, 65534, 65534), 0);
    expect_refused("a vault of another user");
    cr_assert_eq(chown(place.vault, 0, 0), 0);
    cr_assert_eq(chown(place.kek, 65534, 65534), 0);
    expect_opens_locked("a directory of another user");
    cr_assert_eq(chown(place.kek, 0, 0), 0);
    cr_assert_eq(chown(place.state, 65534, 65534), 0);
    expect_refused("a state directory of another user");
}

Test(vault, s41_no_file_holds_a_key_in_clear)
{
    make_vault_with_a_key();
    const char *const files[] = {place.vault, place.backup, place.keyfile};
    for (size_t i = 0; i < 3; i++) {
        CLEANUP(bytes_release) struct bytes text = place_read(files[i]);
        cr_expect_null(memmem(text.data, text.len, "canary", 6), "%s", files[i]);
        cr_expect_null(memmem(text.data, text.len, "4e36", 4), "%s", files[i]);
    }
}

/* ---- writing ---- */

Test(vault, the_backup_is_the_version_before)
{
    CLEANUP(vault_done) struct vault *vault = open_vault();
    cr_assert_eq(put(vault, "a", CANARY), 0);
    CLEANUP(bytes_release) struct bytes before = place_read(place.vault);
    cr_assert_eq(put(vault, "b", CANARY), 0);
    CLEANUP(bytes_release) struct bytes backup = place_read(place.backup);
    cr_expect(span_equal(bytes_span(&before), bytes_span(&backup)));
    vault_free(vault);
    cr_assert_eq(rename(place.backup, place.vault), 0);
    vault = open_vault();
    cr_expect(vault_holds(vault, "a", SPAN(CANARY)));
    cr_expect_not(vault_holds(vault, "b", SPAN(CANARY)));
}

Test(vault, a_missing_vault_beside_its_backup_is_not_made_anew)
{
    make_vault_with_a_key();
    unlink(place.vault);
    struct vault *vault = NULL;
    struct err err = {0};
    cr_expect_eq(vault_open(place.state, place.kek, &vault, &err), -ERR_VAULT_CORRUPT);
    cr_expect(strstr(err.detail, place.backup), "%s", err.detail);
    cr_expect_neq(access(place.vault, F_OK), 0);
}

Test(vault, a_file_changed_or_locked_by_another_program_is_not_overwritten)
{
    CLEANUP(vault_done) struct vault *vault = open_vault();
    CLEANUP(vault_done) struct vault *other = open_vault();
    char lock[160];
    cr_assert_eq(put(other, "b", CANARY), 0);
    CLEANUP(bytes_release) struct bytes before = place_read(place.vault);
    cr_expect_eq(put(vault, "a", CANARY), -ERR_IO);
    cr_expect_not(vault_holds(vault, "a", SPAN(CANARY)));
    CLEANUP(bytes_release) struct bytes after = place_read(place.vault);
    cr_expect(span_equal(bytes_span(&before), bytes_span(&after)));
    snprintf(lock, sizeof(lock), "%s/vault.lock", place.state);
    int fd = open(lock, O_RDWR | O_CLOEXEC);
    cr_assert_eq(flock(fd, LOCK_EX), 0);
    cr_expect_eq(put(other, "c", CANARY), -ERR_IO);
    close(fd);
    cr_expect_eq(put(other, "c", CANARY), 0);
}

Test(vault, a_failing_write_leaves_the_old_vault_in_memory_and_on_disk)
{
    CLEANUP(vault_done) struct vault *vault = open_vault();
    struct err err = {0};
    cr_assert_eq(put(vault, "a", CANARY), 0);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit old, tiny;
    getrlimit(RLIMIT_FSIZE, &old);
    for (rlim_t limit = 0; limit < 600; limit += 25) { /* fails in the backup, later in the vault */
        tiny = (struct rlimit){limit, old.rlim_max};
        setrlimit(RLIMIT_FSIZE, &tiny);
        int r = put(vault, "a", "sk-a-new-key-that-is-longer");
        int deleted = vault_delete(vault, "a", &err);
        setrlimit(RLIMIT_FSIZE, &old);
        if (r == 0 || deleted == 0)
            break;
        cr_expect_eq(r, -ERR_IO);
        cr_expect(vault_holds(vault, "a", SPAN(CANARY)), "limit %d", (int)limit);
        CLEANUP(vault_done) struct vault *again = open_vault();
        cr_expect(vault_holds(again, "a", SPAN(CANARY)), "limit %d", (int)limit);
    }
    cr_expect_eq(put(vault, "a", "sk-a-new-key-that-is-longer"), 0);
}

/* Changes one key for as long as it lives. */
static void change_until_killed(void)
{
    struct vault *vault = open_vault();
    for (unsigned n = 0;; n++) {
        char key[32];
        snprintf(key, sizeof(key), "sk-number-%020u", n);
        if (put(vault, "a", key) < 0)
            _exit(1);
    }
}

Test(vault, s44_a_kill_at_any_moment_leaves_the_old_vault_or_the_new_one)
{
    make_vault_with_a_key();
    for (unsigned round = 0; round < 40; round++) {
        pid_t child = fork();
        if (child == 0)
            change_until_killed();
        struct timespec pause = {.tv_nsec = 3000000 + round * 170000};
        nanosleep(&pause, NULL);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        CLEANUP(vault_done) struct vault *vault = open_vault();
        cr_expect_not(vault_is_locked(vault));
        cr_expect(vault_holds(vault, "deepseek", SPAN(CANARY)), "round %u", round);
    }
}

/* ---- a vault that cannot be opened ---- */

Test(vault, a_broken_vault_answers_everything_with_its_error)
{
    struct err why = {0}, err = {0};
    unsigned char mac[VAULT_MAC];
    err_set(&why, ERR_VAULT_CORRUPT, "vault.aiv: damaged");
    CLEANUP(vault_done) struct vault *vault = vault_new_broken(&why);
    cr_expect(vault_is_locked(vault));
    cr_expect_str_eq(vault_lock_reason(vault), "vault.aiv: damaged");
    cr_expect_eq(lend(vault, "a", DEEPSEEK, &err), -ERR_VAULT_CORRUPT);
    cr_expect_str_eq(err.detail, "vault.aiv: damaged");
    cr_expect_eq(put(vault, "a", CANARY), -ERR_VAULT_CORRUPT);
    cr_expect_eq(vault_mac(vault, SPAN("id"), mac), -ERR_VAULT_CORRUPT);
}

/* ---- secrets ---- */

static void exit_on_fault(int number)
{
    (void)number;
    _exit(42);
}

Test(vault, an_idle_secret_cannot_be_read_even_by_its_own_process)
{
    CLEANUP(secret_done) struct secret *secret = secret_new(SPAN(CANARY));
    char last4[5];
    secret_last4(secret, last4);
    cr_expect_str_eq(last4, "4e36");
    pid_t child = fork();
    if (child == 0) {
        signal(SIGSEGV, exit_on_fault);
        _exit(*(volatile const char *)secret == 0);
    }
    int status;
    waitpid(child, &status, 0);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 42);
}

Test(vault, memory_of_a_freed_secret_serves_the_next_one_and_shows_nothing_of_it)
{
    static char large[VAULT_KEY_MAX + 1];
    memset(large, 'k', VAULT_KEY_MAX);
    const char *const texts[] = {CANARY, "short", "", large, CANARY, large, "x"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct bytes header = {.max = 2 * VAULT_KEY_MAX, .wipe = true};
        struct secret *first = secret_new(span_of(texts[i]));
        struct secret *second = secret_new(SPAN("another"));
        cr_assert(first && second && first != second);
        cr_assert_eq(secret_append_header(first, "k", "", &header), 0);
        cr_expect(header.len == 3 + strlen(texts[i]) && !strcmp(header.data + 3, texts[i]));
        secret_free(second);
        secret_free(first);
        bytes_release(&header);
    }
}

Test(vault, a_header_that_does_not_fit_is_not_begun)
{
    CLEANUP(secret_done) struct secret *secret = secret_new(SPAN(CANARY));
    struct bytes header = {.max = 30, .wipe = true};
    cr_assert_eq(bytes_add(&header, "x", 1), 0);
    cr_expect_eq(secret_append_header(secret, "x-api-key", "", &header), -ERR_TOO_LARGE);
    cr_expect_str_eq(header.data, "x");
    bytes_release(&header);
    secret_free(NULL);
}
