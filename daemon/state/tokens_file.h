/*
 * tokens.json: what is stored of the tokens, to text and back. Nothing in it can be used to make a
 * request; the part that proves a token follows from the vault.
 *
 *     {"version": 1, "tokens": [{"id": "k3f5...", "dir": "/home/me/shop", "override": null,
 *      "client": "claude", "created": 1767225600, "expires": 0, "revoked": false}]}
 */
#pragma once

#include "state/tokens.h"

#define TOKENS_MAX       10000
#define TOKENS_FILE_MAX  (8 * 1024 * 1024)
#define TOKEN_ID_CHARS   12
#define TOKEN_DIR_MAX    4096
#define TOKEN_TEXT_FIELD 256 /* longest override or client */

/* The texts of `info` belong to the token. */
struct token {
    char id[TOKEN_ID_CHARS + 1];
    struct token_info info;
    char text[TOKEN_TEXT]; /* "" until it was judged good once; in memory only */
};

struct token_list {
    size_t count;
    struct token **tokens; /* in order of id */
};

/* Room for TOKENS_MAX tokens. */
void token_list_init(struct token_list *list);
void token_list_release(struct token_list *list);
/* True when there is a token of this id: *ret_at is its place, else where it would go. */
bool token_list_find(const struct token_list *list, const char *id, size_t *ret_at);
/* Takes the token; the list has room. */
void token_list_insert(struct token_list *list, size_t at, struct token *token);
/* Removes and frees. */
void token_list_remove(struct token_list *list, size_t at);
/* A token of this id without anything else; see token_id_is_valid(). */
struct token *token_new(const char *id);
struct token *token_free(struct token *token);

/* 12 characters of the base32 alphabet. */
bool token_id_is_valid(struct span id);
/* An absolute path of at most TOKEN_DIR_MAX bytes. */
bool token_dir_is_valid(struct span dir);
/* 1 to TOKEN_TEXT_FIELD bytes without control characters: override and client. */
bool token_text_is_valid(struct span text);

/*
 * Reads a text into an initialised, empty list. Everything must be as this program writes it: other
 * members, double ids, wrong types or values are -ERR_CONFIG_INVALID, naming the token by its
 * place. The list may hold some tokens then.
 */
int token_list_decode(struct span text, struct token_list *list, struct err *reterr);
/* Appends the list as text; -ERR_TOO_LARGE. */
int token_list_encode(const struct token_list *list, struct bytes *out);
