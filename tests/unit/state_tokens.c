/* Local tokens: made, judged, revoked, stored. */
#include "state/tokens.h"

#include "base/own.h"
#include "unit/state_place.h"

#include <signal.h>
#include <sys/resource.h>

#define NOW 1767225600

static struct place place;
static struct vault *vault;
static struct tokens *tokens;

static void open_tokens(void)
{
    struct err err = {0};
    tokens = NULL;
    cr_assert_eq(tokens_open(place.state, &tokens, &err), 0, "%s", err.detail);
}

static void open_all(void)
{
    struct err err = {0};
    place_init(&place);
    cr_assert_eq(vault_open(place.state, place.kek, &vault, &err), 0, "%s", err.detail);
    open_tokens();
}

static void close_all(void)
{
    tokens = tokens_free(tokens);
    vault = vault_free(vault);
    place_release(&place);
}

TestSuite(tokens, .init = open_all, .fini = close_all);

static void get_until(const char *dir, const char *override, int64_t ttl_s, char text[TOKEN_TEXT])
{
    struct err err = {0};
    const struct token_info *info = NULL;
    cr_assert_eq(tokens_get(tokens, vault, dir, override, "claude", NOW, ttl_s, text, &info, &err),
                 0, "%s", err.detail);
    cr_expect(info != NULL);
}

static void get(const char *dir, const char *override, char text[TOKEN_TEXT])
{
    get_until(dir, override, 0, text);
}

static int judge(const char *text, const struct token_info **info)
{
    const struct token_info *ignored;
    return tokens_verify(tokens, vault, span_of(text), NOW, info ? info : &ignored);
}

/* The id in the middle of a token's text. */
static const char *id_of(const char *text, char id[13])
{
    snprintf(id, 13, "%.12s", text + strlen("sk-aictl-"));
    return id;
}

Test(tokens, a_token_is_valid_names_its_directory_and_is_printed_again)
{
    char text[TOKEN_TEXT], again[TOKEN_TEXT], global[TOKEN_TEXT], shell[TOKEN_TEXT];
    const struct token_info *info;
    get("/home/me/shop", NULL, text);
    get("/home/me/shop", NULL, again);
    get(NULL, NULL, global);
    get("/home/me/shop", "glm-4.6", shell);
    cr_expect_str_eq(text, again);
    cr_expect_str_neq(text, global);
    cr_expect_str_neq(text, shell);
    cr_expect_eq(strlen(text), 48);
    cr_expect_eq(strspn(text + 9, "abcdefghijklmnopqrstuvwxyz234567-"), 39);
    cr_assert_eq(judge(text, &info), 0);
    cr_expect_str_eq(info->dir, "/home/me/shop");
    cr_expect_null(info->override);
    cr_expect_str_eq(info->client, "claude");
    cr_expect_eq(info->created_s, NOW);
    cr_assert_eq(judge(global, &info), 0);
    cr_expect_null(info->dir);
    cr_assert_eq(judge(shell, &info), 0);
    cr_expect_str_eq(info->override, "glm-4.6");
}

Test(tokens, tokens_survive_reopening_and_no_file_holds_one)
{
    char text[TOKEN_TEXT], again[TOKEN_TEXT];
    const char *const odd = "/tmp/\xc3\xa9\xff \"quoted\"\\u0000\n\ttab";
    const struct token_info *info;
    get(odd, "m\"x", text);
    tokens = tokens_free(tokens);
    open_tokens();
    cr_assert_eq(judge(text, &info), 0);
    cr_expect_str_eq(info->dir, odd);
    cr_expect_str_eq(info->override, "m\"x");
    get(odd, "m\"x", again);
    cr_expect_str_eq(text, again);
    cr_expect_eq(place_mode(place.tokens), 0600);
    CLEANUP(bytes_release) struct bytes stored = place_read(place.tokens);
    cr_expect_null(strstr(stored.data, text + strlen(text) - 26), "the proving part is stored");
}

Test(tokens, s15_a_change_of_any_character_is_refused)
{
    char text[TOKEN_TEXT];
    get("/a", NULL, text);
    size_t len = strlen(text);
    for (size_t i = 0; i < len; i++) {
        char kept = text[i];
        const char others[] = {kept == 'a' ? 'b' : 'a', kept == '2' ? '3' : '2', '\0', '-',
                               (char)0xff};
        for (size_t k = 0; k < sizeof(others); k++) {
            text[i] = others[k];
            struct span changed = {text, len};
            const struct token_info *info = NULL;
            int r = tokens_verify(tokens, vault, changed, NOW, &info);
            cr_expect(kept == others[k] ? r == 0 : r == -ERR_UNAUTHORIZED, "position %zu", i);
        }
        text[i] = kept;
    }
    cr_expect_eq(judge(text, NULL), 0);
}

Test(tokens, s18_tokens_that_begin_alike_never_cross)
{
    char first[TOKEN_TEXT], second[TOKEN_TEXT], mixed[TOKEN_TEXT];
    get("/a", NULL, first);
    get("/b", NULL, second);
    size_t len = strlen(first);
    for (size_t cut = 0; cut <= len; cut++) { /* one's head with the other's tail */
        snprintf(mixed, sizeof(mixed), "%.*s%s", (int)cut, first, second + cut);
        const struct token_info *info = NULL;
        int r = judge(mixed, &info);
        if (!strcmp(mixed, first) || !strcmp(mixed, second))
            cr_expect_eq(r, 0, "cut at %zu", cut);
        else
            cr_expect_eq(r, -ERR_UNAUTHORIZED, "cut at %zu", cut);
    }
    for (unsigned n = 0; n < 100000; n++) { /* the same id, other proofs */
        snprintf(mixed, sizeof(mixed), "%.22saaaaaaaaaa%010u", first, n);
        for (char *at = mixed + 32; *at; at++)
            *at = (char)(*at - '0' + 'b');
        strcat(mixed, "aaaaaa");
        cr_assert_eq(judge(mixed, NULL), -ERR_UNAUTHORIZED);
    }
}

Test(tokens, everything_else_is_refused)
{
    char text[TOKEN_TEXT];
    get("/a", NULL, text);
    char longer[TOKEN_TEXT + 2];
    snprintf(longer, sizeof(longer), "%s ", text);
    const char *const wrong[] = {
        "",
        "sk-aictl-",
        "sk-aictl-aaaaaaaaaaaa-aaaaaaaaaaaaaaaaaaaaaaaaaa",
        "sk-ant-api03-xxxx",
        longer,
        longer + 1,
        "Bearer",
        "' OR '1'='1",
        "\n",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        cr_expect_eq(judge(wrong[i], NULL), -ERR_UNAUTHORIZED, "%s", wrong[i]);
    const struct token_info *info;
    cr_expect_eq(tokens_verify(tokens, vault, (struct span){NULL, 0}, NOW, &info),
                 -ERR_UNAUTHORIZED);
    for (size_t len = 0; len < strlen(text); len++)
        cr_expect_eq(tokens_verify(tokens, vault, (struct span){text, len}, NOW, &info),
                     -ERR_UNAUTHORIZED);
    static char large[1 << 20];
    memset(large, 'a', sizeof(large));
    cr_expect_eq(tokens_verify(tokens, vault, (struct span){large, sizeof(large)}, NOW, &info),
                 -ERR_UNAUTHORIZED);
}

Test(tokens, a_revoked_token_stays_revoked_and_a_new_one_takes_its_place)
{
    char text[TOKEN_TEXT], next[TOKEN_TEXT], id[13];
    struct err err = {0};
    get("/a", NULL, text);
    cr_assert_eq(tokens_revoke(tokens, id_of(text, id), &err), 0);
    cr_expect_eq(tokens_revoke(tokens, id, &err), 0);
    cr_expect_eq(tokens_revoke(tokens, "nosuchtokens", &err), -ERR_NOT_FOUND);
    cr_expect_eq(judge(text, NULL), -ERR_UNAUTHORIZED);
    tokens = tokens_free(tokens);
    open_tokens();
    cr_expect_eq(judge(text, NULL), -ERR_UNAUTHORIZED);
    get("/a", NULL, next);
    cr_expect_str_neq(text, next);
    cr_expect_eq(judge(next, NULL), 0);
}

Test(tokens, a_token_with_an_end_is_always_new_and_ends)
{
    char lasting[TOKEN_TEXT], first[TOKEN_TEXT], second[TOKEN_TEXT];
    const struct token_info *info;
    get_until("/a", NULL, 60, first);
    get_until("/a", NULL, 60, second);
    get("/a", NULL, lasting);
    cr_expect_str_neq(first, second);
    cr_expect_str_neq(lasting, first);
    cr_expect_eq(tokens_verify(tokens, vault, span_of(first), NOW + 59, &info), 0);
    cr_expect_eq(info->expires_s, NOW + 60);
    cr_expect_eq(tokens_verify(tokens, vault, span_of(first), NOW + 60, &info), -ERR_UNAUTHORIZED);
    cr_expect_eq(tokens_verify(tokens, vault, span_of(lasting), NOW + 10000000, &info), 0);
}

static void count_token(void *ctx, const struct token_info *info)
{
    size_t *count = ctx;
    cr_expect(info->id && strlen(info->id) == 12);
    ++*count;
}

Test(tokens, wrong_input_makes_no_token)
{
    static char long_dir[4200], long_text[258];
    char text[TOKEN_TEXT];
    struct err err = {0};
    memset(long_dir, '/', 4097);
    memset(long_text, 'm', 257);
    const char *const dirs[] = {"", "relative", "./a", long_dir};
    for (size_t i = 0; i < 4; i++)
        cr_expect_eq(tokens_get(tokens, vault, dirs[i], NULL, NULL, NOW, 0, text, NULL, &err),
                     -ERR_INVALID_REQUEST);
    const char *const texts[] = {"", "a\nb", "\x7f", long_text};
    for (size_t i = 0; i < 4; i++) {
        cr_expect_eq(tokens_get(tokens, vault, "/a", texts[i], NULL, NOW, 0, text, NULL, &err),
                     -ERR_INVALID_REQUEST);
        cr_expect_eq(tokens_get(tokens, vault, "/a", NULL, texts[i], NOW, 0, text, NULL, &err),
                     -ERR_INVALID_REQUEST);
    }
    size_t count = 0;
    tokens_each(tokens, count_token, &count);
    cr_expect_eq(count, 0);
    long_dir[4096] = long_text[256] = '\0';
    cr_expect_eq(tokens_get(tokens, vault, long_dir, long_text, NULL, NOW, 0, text, NULL, &err), 0);
}

Test(tokens, a_locked_vault_makes_and_judges_nothing)
{
    char text[TOKEN_TEXT];
    const struct token_info *info;
    struct err err = {0};
    get("/a", NULL, text);
    unlink(place.keyfile);
    vault = vault_free(vault);
    cr_assert_eq(vault_open(place.state, place.kek, &vault, &err), 0);
    cr_expect_eq(judge(text, &info), -ERR_KEYSTORE_LOCKED);
    cr_expect_eq(judge("nonsense", &info), -ERR_KEYSTORE_LOCKED);
    cr_expect_eq(tokens_get(tokens, vault, "/b", NULL, NULL, NOW, 0, text, &info, &err),
                 -ERR_KEYSTORE_LOCKED);
    cr_expect(strstr(err.detail, place.keyfile), "%s", err.detail);
    size_t count = 0;
    tokens_each(tokens, count_token, &count);
    cr_expect_eq(count, 1);
}

/* A list of `count` tokens as tokens.json holds it; the first `revoked` of them revoked. */
static struct bytes list_of(unsigned count, unsigned revoked, int64_t expires_s)
{
    struct bytes text = {.max = 4 * 1024 * 1024};
    cr_assert_eq(bytes_addf(&text, "{\"version\":1,\"tokens\":["), 0);
    for (unsigned n = 0; n < count; n++) {
        char id[13];
        snprintf(id, sizeof(id), "%012u", n);
        for (char *at = id; *at; at++)
            *at = (char)(*at - '0' + 'a');
        cr_assert_eq(
            bytes_addf(&text,
                       "%s{\"id\":\"%s\",\"dir\":\"/d%u\",\"override\":null,\"client\":null,"
                       "\"created\":1,\"expires\":%lld,\"revoked\":%s}",
                       n ? "," : "", id, n, (long long)expires_s, n < revoked ? "true" : "false"),
            0);
    }
    cr_assert_eq(bytes_addf(&text, "]}"), 0);
    return text;
}

static void expect_full(unsigned revoked, int64_t expires_s, int expected, size_t left)
{
    CLEANUP(bytes_release) struct bytes text = list_of(10000, revoked, expires_s);
    char token[TOKEN_TEXT];
    size_t count = 0;
    struct err err = {0};
    tokens = tokens_free(tokens);
    place_write(place.tokens, bytes_span(&text));
    open_tokens();
    cr_expect_eq(tokens_get(tokens, vault, "/new", NULL, NULL, NOW, 0, token, NULL, &err),
                 expected);
    tokens_each(tokens, count_token, &count);
    cr_expect_eq(count, left, "%zu", count);
}

Test(tokens, a_full_list_drops_expired_and_revoked_ones_first)
{
    expect_full(0, 0, -ERR_TOO_LARGE, 10000);
    expect_full(1, 0, 0, 10000);
    expect_full(0, NOW, 0, 1);
    expect_full(0, NOW + 1, -ERR_TOO_LARGE, 10000);
    CLEANUP(bytes_release) struct bytes text = list_of(10001, 0, 0);
    struct tokens *other = NULL;
    struct err err = {0};
    place_write(place.tokens, bytes_span(&text));
    cr_expect_eq(tokens_open(place.state, &other, &err), -ERR_CONFIG_INVALID);
}

#define ROW                                                                                        \
    "\"id\":\"aaaaaaaaaaaa\",\"dir\":\"/a\",\"override\":null,\"client\":null,\"created\":1,"      \
    "\"expires\":0,\"revoked\":"
#define LIST(rows) "{\"version\":1,\"tokens\":[" rows "]}"

Test(tokens, a_damaged_file_is_refused_whole_and_named)
{
    const char *const wrong[] = {
        "",
        "{}",
        "[]",
        "null",
        LIST("") "x",
        "{\"version\":2,\"tokens\":[]}",
        "{\"version\":1,\"tokens\":[],\"more\":1}",
        "{\"version\":1,\"version\":1,\"tokens\":[]}",
        LIST("{" ROW "false"),
        LIST("{" ROW "0}"),
        LIST("{" ROW "false,\"more\":1}"),
        LIST("{" ROW "false},{" ROW "false}"),
        LIST("{" ROW "false},1"),
        LIST("{\"id\":\"AAAAAAAAAAAA\",\"dir\":\"/a\",\"override\":null,\"client\":null,"
             "\"created\":1,\"expires\":0,\"revoked\":false}"),
        LIST("{\"id\":\"aaaaaaaaaaaa\",\"dir\":\"a\",\"override\":null,\"client\":null,"
             "\"created\":1,\"expires\":0,\"revoked\":false}"),
        LIST("{\"id\":\"aaaaaaaaaaaa\",\"dir\":\"/a\\u0000b\",\"override\":null,\"client\":null,"
             "\"created\":1,\"expires\":0,\"revoked\":false}"),
        LIST("{\"id\":\"aaaaaaaaaaaa\",\"dir\":\"/a\",\"override\":\"\\n\",\"client\":null,"
             "\"created\":1,\"expires\":0,\"revoked\":false}"),
        LIST("{\"id\":\"aaaaaaaaaaaa\",\"dir\":\"/a\",\"override\":null,\"client\":null,"
             "\"created\":1.5,\"expires\":0,\"revoked\":false}"),
        LIST("{\"id\":\"aaaaaaaaaaaa\",\"dir\":\"/a\",\"override\":null,\"client\":null,"
             "\"created\":1,\"expires\":-1,\"revoked\":false}"),
        LIST("{\"id\":\"aaaaaaaaaaaa\",\"dir\":\"/a\",\"override\":null,\"client\":null,"
             "\"created\":1,\"expires\":1e300,\"revoked\":false}"),
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct tokens *other = NULL;
        struct err err = {0};
        place_write(place.tokens, span_of(wrong[i]));
        cr_expect_eq(tokens_open(place.state, &other, &err), -ERR_CONFIG_INVALID, "%s", wrong[i]);
        cr_expect(strstr(err.detail, place.tokens), "%s", err.detail);
        cr_expect_null(other);
    }
    CLEANUP(bytes_release) struct bytes good = {.max = 4096};
    cr_assert_eq(bytes_addf(&good, "%s", LIST("{" ROW "false}") " \n"), 0);
    for (size_t len = 0; len + 2 < good.len; len++) { /* cut anywhere */
        struct tokens *other = NULL;
        struct err err = {0};
        place_write(place.tokens, (struct span){good.data, len});
        cr_expect_lt(tokens_open(place.state, &other, &err), 0, "cut at %zu", len);
    }
    place_write(place.tokens, bytes_span(&good));
    struct err err = {0};
    struct tokens *other = NULL;
    cr_expect_eq(tokens_open(place.state, &other, &err), 0, "%s", err.detail);
    tokens_free(other);
}

Test(tokens, a_failing_write_changes_nothing)
{
    char text[TOKEN_TEXT], other[TOKEN_TEXT], id[13];
    struct err err = {0};
    struct rlimit old, tiny;
    size_t count = 0;
    get("/a", NULL, text);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    tiny = (struct rlimit){10, old.rlim_max};
    setrlimit(RLIMIT_FSIZE, &tiny);
    int got = tokens_get(tokens, vault, "/b", NULL, NULL, NOW, 0, other, NULL, &err);
    int revoked = tokens_revoke(tokens, id_of(text, id), &err);
    setrlimit(RLIMIT_FSIZE, &old);
    cr_expect_eq(got, -ERR_IO);
    cr_expect_eq(revoked, -ERR_IO);
    tokens_each(tokens, count_token, &count);
    cr_expect_eq(count, 1);
    cr_expect_eq(judge(text, NULL), 0);
}

Test(tokens, masks_show_the_beginning_of_the_id_and_two_characters)
{
    char text[TOKEN_TEXT], mask[TOKEN_TEXT], expected[TOKEN_TEXT];
    get("/a", NULL, text);
    token_mask(text, mask);
    snprintf(expected, sizeof(expected), "%.13s...%s", text, text + 46);
    cr_expect_str_eq(mask, expected);
    token_mask("sk-ant-api03-very-secret", mask);
    cr_expect_str_eq(mask, "(not an aictl token)");
    token_mask("", mask);
    cr_expect_str_eq(mask, "(not an aictl token)");
}
