/*
 * Local tokens: what tools hold instead of a provider key.
 *
 * A token is `sk-aictl-<id>-<mac>`: id is random, mac = HMAC-SHA-256(secret in the vault, id), so
 * it can be printed again and nothing that could be used is stored. What is stored (state_dir/
 * tokens.json, 0600): id, directory, override, client, times, revocation. A token names a
 * directory; the project is resolved at each request.
 */
#pragma once

#include "base/err.h"
#include "state/vault.h"

#define TOKEN_TEXT 96 /* room for a token's text with its NUL */
#define TOKEN_ID   16

struct tokens;

struct token_info {
    const char *id;
    const char *dir;              /* NULL: the global token */
    const char *override;         /* the shell's model, or NULL */
    const char *client;           /* tool it was first made for, or NULL */
    int64_t created_s, expires_s; /* unix time; expires_s 0: never */
    bool revoked;
};

/* Reads state_dir/tokens.json; no file is an empty list; a damaged one is an error naming it. */
int tokens_open(const char *state_dir, struct tokens **ret, struct err *reterr);
struct tokens *tokens_free(struct tokens *tokens);

/*
 * The valid token of (dir, override), made and stored when there is none; with ttl_s > 0 always a
 * new one that ends by then. Writes its text. dir NULL: the global token. The list is bounded
 * (10000): expired and revoked ones go first, then -ERR_TOO_LARGE. *ret_info (may be NULL) is valid
 * until the next call of tokens_get(). -ERR_INVALID_REQUEST: dir is not absolute or above 4096
 * bytes, override or client above 256 bytes or with control characters. -ERR_KEYSTORE_LOCKED;
 * -ERR_IO: the list cannot be written, nothing changed then.
 */
int tokens_get(struct tokens *tokens, const struct vault *vault, const char *dir,
               const char *override, const char *client, int64_t now_s, int64_t ttl_s,
               char ret_text[TOKEN_TEXT], const struct token_info **ret_info, struct err *reterr);

/*
 * Judges a credential. 0 and the token's info; -ERR_UNAUTHORIZED for anything that is not a valid,
 * unexpired, unrevoked token (one answer for every reason; compared in constant time);
 * -ERR_KEYSTORE_LOCKED or -ERR_VAULT_CORRUPT when the vault cannot judge. The info is valid until
 * the next call of tokens_get().
 */
int tokens_verify(const struct tokens *tokens, const struct vault *vault, struct span text,
                  int64_t now_s, const struct token_info **ret);

/* Revokes for good; -ERR_NOT_FOUND, or -ERR_IO when it cannot be stored (it is then still valid).
 */
int tokens_revoke(struct tokens *tokens, const char *id, struct err *reterr);
/* Calls fn for every token, in order of id. */
void tokens_each(const struct tokens *tokens, void (*fn)(void *ctx, const struct token_info *info),
                 void *ctx);

/* "sk-aictl-k3f5...c2" for display; anything else than a token gives no part of itself away. */
void token_mask(const char *text, char out[TOKEN_TEXT]);
