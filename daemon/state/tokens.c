/*
 * See tokens.h.
 *
 *     sk-aictl-k3f5wq2mzu7h-6c5pd...
 *              id, 60 bits  mac, 130 bits of HMAC-SHA-256(token secret, id)
 *
 * Both parts are base32 (a-z, 2-7), so a token has one spelling and is compared as text.
 */
#include "state/tokens.h"

#include "base/file.h"
#include "base/log.h"
#include "base/own.h"
#include "proto/rendezvous.h"
#include "state/tokens_file.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define PREFIX     "sk-aictl-"
#define PREFIX_LEN (sizeof(PREFIX) - 1)
#define MAC_CHARS  26 /* 130 bits */
#define TEXT_LEN   (PREFIX_LEN + TOKEN_ID_CHARS + 1 + MAC_CHARS)
#define MASK_HEAD  (PREFIX_LEN + 4)
#define MASK_TAIL  2
#define NO_ID      "aaaaaaaaaaaa" /* stands in where there is no id */

_Static_assert(TEXT_LEN < TOKEN_TEXT, "room for a token");
_Static_assert(TOKEN_ID_CHARS < TOKEN_ID, "room for an id");
_Static_assert(MAC_CHARS * 5 <= VAULT_MAC * 8, "enough bits");

struct tokens {
    char path[RENDEZVOUS_PATH + 16];
    struct token_list list;
};

DEFINE_CLEANUP(tokens_cleanup, struct tokens, tokens_free)

/* ---- text ---- */

/* `chars` characters of 5 bits each, from the highest bit on; in has at least that many bits. */
static void base32(const unsigned char *in, size_t chars, char *out)
{
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
    unsigned bits = 0, have = 0;
    for (size_t i = 0; i < chars; i++) {
        if (have < 5) {
            bits = bits << 8 | *in++;
            have += 8;
        }
        have -= 5;
        out[i] = alphabet[bits >> have & 31];
    }
}

/* The text of the token with this id (TOKEN_ID_CHARS characters). */
static int make_text(const struct vault *vault, const char *id, char ret[TOKEN_TEXT])
{
    unsigned char mac[VAULT_MAC];
    int r = vault_mac(vault, (struct span){id, TOKEN_ID_CHARS}, mac);
    if (r < 0)
        return r;
    char *at = mempcpy(ret, PREFIX, PREFIX_LEN);
    at = mempcpy(at, id, TOKEN_ID_CHARS);
    *at++ = '-';
    base32(mac, MAC_CHARS, at);
    at[MAC_CHARS] = '\0';
    sodium_memzero(mac, sizeof(mac));
    return 0;
}

void token_mask(const char *text, char out[TOKEN_TEXT])
{
    size_t len = strlen(text);
    if (len != TEXT_LEN || strncmp(text, PREFIX, PREFIX_LEN) != 0)
        (void)snprintf(out, TOKEN_TEXT, "(not an aictl token)"); /* fits */
    else
        (void)snprintf(out, TOKEN_TEXT, "%.*s...%s", (int)MASK_HEAD, text, text + len - MASK_TAIL);
}

/* ---- the file ---- */

static int read_list(struct tokens *tokens, struct err *reterr)
{
    CLEANUP(bytes_release) struct bytes text = {.max = TOKENS_FILE_MAX};
    int r = file_read(tokens->path, &text, NULL, reterr);
    if (r == -ERR_NOT_FOUND)
        return 0;
    if (r < 0)
        return r;
    r = token_list_decode(bytes_span(&text), &tokens->list, reterr);
    return r < 0 ? err_prefix(reterr, "%s", tokens->path) : 0;
}

static int write_list(const struct tokens *tokens, struct err *reterr)
{
    CLEANUP(bytes_release) struct bytes text = {.max = TOKENS_FILE_MAX};
    if (token_list_encode(&tokens->list, &text) < 0)
        return err_set(reterr, ERR_TOO_LARGE, "%s would be larger than %d bytes", tokens->path,
                       TOKENS_FILE_MAX);
    return file_replace(tokens->path, bytes_span(&text), 0600, reterr);
}

int tokens_open(const char *state_dir, struct tokens **ret, struct err *reterr)
{
    CLEANUP(tokens_cleanup) struct tokens *tokens = calloc(1, sizeof(*tokens));
    if (!tokens)
        abort();
    token_list_init(&tokens->list);
    int n = snprintf(tokens->path, sizeof(tokens->path), "%s/tokens.json", state_dir);
    assert(n < (int)sizeof(tokens->path)); /* rendezvous_init() bounds the directory */
    int r = read_list(tokens, reterr);
    if (r == 0)
        *ret = TAKE(tokens);
    return r;
}

struct tokens *tokens_free(struct tokens *tokens)
{
    if (tokens) {
        token_list_release(&tokens->list);
        free(tokens);
    }
    return NULL;
}

/* ---- getting one ---- */

static bool is_expired(const struct token_info *info, int64_t now_s)
{
    return info->expires_s && info->expires_s <= now_s;
}

static bool is_same(const char *a, const char *b)
{
    return a && b ? !strcmp(a, b) : a == b;
}

static int check_get(const char *dir, const char *override, const char *client, struct err *reterr)
{
    if (dir && !token_dir_is_valid(span_of(dir)))
        return err_set(reterr, ERR_INVALID_REQUEST,
                       "%s is not an absolute path of at most %d bytes",
                       log_quote(span_of(dir), 64), TOKEN_DIR_MAX);
    const char *texts[] = {override, client};
    for (size_t i = 0; i < 2; i++)
        if (texts[i] && !token_text_is_valid(span_of(texts[i])))
            return err_set(reterr, ERR_INVALID_REQUEST,
                           "%s is empty, longer than %d bytes or has control characters",
                           log_quote(span_of(texts[i]), 64), TOKEN_TEXT_FIELD);
    return 0;
}

/* A token without an end for (dir, override), or NULL. */
static const struct token *find_lasting(const struct tokens *tokens, const char *dir,
                                        const char *override)
{
    for (size_t i = 0; i < tokens->list.count; i++) {
        const struct token *token = tokens->list.tokens[i];
        if (!token->info.revoked && !token->info.expires_s && is_same(token->info.dir, dir) &&
            is_same(token->info.override, override))
            return token;
    }
    return NULL;
}

/* Expired tokens are of no use to anyone; revoked ones are kept for display while there is room. */
static void make_room(struct tokens *tokens, int64_t now_s)
{
    for (size_t i = tokens->list.count; i-- > 0;)
        if (is_expired(&tokens->list.tokens[i]->info, now_s))
            token_list_remove(&tokens->list, i);
    for (size_t i = tokens->list.count; i-- > 0 && tokens->list.count == TOKENS_MAX;)
        if (tokens->list.tokens[i]->info.revoked)
            token_list_remove(&tokens->list, i);
}

/* A new token with an id of its own, in the list at *ret_at. */
static struct token *insert_new(struct tokens *tokens, size_t *ret_at)
{
    unsigned char random[8];
    char id[TOKEN_ID_CHARS + 1] = "";
    do {
        randombytes_buf(random, sizeof(random));
        base32(random, TOKEN_ID_CHARS, id);
    } while (token_list_find(&tokens->list, id, ret_at));
    struct token *token = token_new(id);
    token_list_insert(&tokens->list, *ret_at, token);
    return token;
}

static char *dup_or_null(const char *text)
{
    return text ? span_dup(span_of(text)) : NULL;
}

static int add(struct tokens *tokens, const struct token_info *wanted, int64_t now_s,
               const struct token **ret, struct err *reterr)
{
    size_t at;
    make_room(tokens, now_s);
    if (tokens->list.count == TOKENS_MAX)
        return err_set(reterr, ERR_TOO_LARGE, "there are %d tokens already; revoke some",
                       TOKENS_MAX);
    struct token *token = insert_new(tokens, &at);
    token->info.dir = dup_or_null(wanted->dir);
    token->info.override = dup_or_null(wanted->override);
    token->info.client = dup_or_null(wanted->client);
    token->info.created_s = wanted->created_s;
    token->info.expires_s = wanted->expires_s;
    int r = write_list(tokens, reterr);
    if (r < 0)
        token_list_remove(&tokens->list, at);
    else
        *ret = token;
    return r;
}

int tokens_get(struct tokens *tokens, const struct vault *vault, const char *dir,
               const char *override, const char *client, int64_t now_s, int64_t ttl_s,
               char ret_text[TOKEN_TEXT], const struct token_info **ret_info, struct err *reterr)
{
    char text[TOKEN_TEXT];
    int r = check_get(dir, override, client, reterr);
    if (r < 0)
        return r;
    r = make_text(vault, NO_ID, text); /* the vault can make tokens at all */
    if (r < 0)
        return err_set(reterr, -r, "%s",
                       vault_is_locked(vault) ? vault_lock_reason(vault)
                                              : "the token secret of the vault is damaged");
    const struct token *token = ttl_s > 0 ? NULL : find_lasting(tokens, dir, override);
    if (!token) {
        struct token_info wanted = {
            .dir = dir,
            .override = override,
            .client = client,
            .created_s = now_s,
            .expires_s = ttl_s > 0 ? now_s + ttl_s : 0,
        };
        r = add(tokens, &wanted, now_s, &token, reterr);
        if (r < 0)
            return r;
    }
    if (ret_info)
        *ret_info = &token->info;
    return make_text(vault, token->id, ret_text); /* as above: cannot fail any more */
}

/* ---- judging one ---- */

static bool has_token_form(struct span text)
{
    return text.len == TEXT_LEN && span_starts(text, SPAN(PREFIX)) &&
           text.at[PREFIX_LEN + TOKEN_ID_CHARS] == '-' &&
           token_id_is_valid((struct span){text.at + PREFIX_LEN, TOKEN_ID_CHARS});
}

/*
 * What the credential with this id has to be. The text of a known token is kept once it was found
 * good, since its MAC costs more than the rest of the guard; for every other one, of an unknown id
 * too, it is computed, and every reason leads to the same answer.
 */
static int expected_text(const struct vault *vault, const struct token *known, const char *id,
                         char ret[TOKEN_TEXT])
{
    if (!known || !known->text[0] || vault_is_locked(vault))
        return make_text(vault, id, ret);
    memcpy(ret, known->text, TOKEN_TEXT);
    return 0;
}

int tokens_verify(const struct tokens *tokens, const struct vault *vault, struct span text,
                  int64_t now_s, const struct token_info **ret)
{
    char id[TOKEN_ID_CHARS + 1] = NO_ID, expected[TOKEN_TEXT] = "", given[TOKEN_TEXT] = "";
    size_t at;
    bool has_form = has_token_form(text);
    if (!has_form && !vault_is_locked(vault))
        return -ERR_UNAUTHORIZED; /* somebody else's key: tools send those beside ours */
    if (has_form) {
        memcpy(given, text.at, TEXT_LEN);
        memcpy(id, text.at + PREFIX_LEN, TOKEN_ID_CHARS);
    }
    bool is_known = token_list_find(&tokens->list, id, &at);
    struct token *known = is_known ? tokens->list.tokens[at] : NULL;
    int r = expected_text(vault, known, id, expected);
    if (r < 0)
        return r;
    bool is_ours = sodium_memcmp(expected, given, sizeof(expected)) == 0;
    if (has_form && is_ours && known)
        memcpy(known->text, expected, TOKEN_TEXT);
    sodium_memzero(expected, sizeof(expected));
    if (!has_form || !is_ours || !known)
        return -ERR_UNAUTHORIZED;
    if (known->info.revoked || is_expired(&known->info, now_s))
        return -ERR_UNAUTHORIZED;
    *ret = &known->info;
    return 0;
}

/* ---- the list from outside ---- */

int tokens_revoke(struct tokens *tokens, const char *id, struct err *reterr)
{
    size_t at;
    if (!token_list_find(&tokens->list, id, &at))
        return err_set(reterr, ERR_NOT_FOUND, "there is no token %s",
                       log_quote(span_of(id), TOKEN_ID_CHARS));
    struct token_info *info = &tokens->list.tokens[at]->info;
    bool was_revoked = info->revoked;
    info->revoked = true;
    int r = was_revoked ? 0 : write_list(tokens, reterr);
    if (r < 0)
        info->revoked = was_revoked;
    return r;
}

void tokens_each(const struct tokens *tokens, void (*fn)(void *ctx, const struct token_info *info),
                 void *ctx)
{
    for (size_t i = 0; i < tokens->list.count; i++)
        fn(ctx, &tokens->list.tokens[i]->info);
}
