/* See tokens_file.h. */
#include "state/tokens_file.h"

#include <cjson/cJSON.h>
#include <stdlib.h>

#define FILE_VERSION   1
#define MEMBERS        7              /* of a token */
#define LARGEST_TIME_S 253402300799.0 /* the end of the year 9999 */

/* ---- the list ---- */

void token_list_init(struct token_list *list)
{
    *list = (struct token_list){.tokens = calloc(TOKENS_MAX, sizeof(struct token *))};
    if (!list->tokens)
        abort();
}

struct token *token_new(const char *id)
{
    struct token *token = calloc(1, sizeof(*token));
    if (!token)
        abort();
    memcpy(token->id, id, TOKEN_ID_CHARS);
    token->info.id = token->id;
    return token;
}

struct token *token_free(struct token *token)
{
    if (token) {
        free((char *)token->info.dir);
        free((char *)token->info.override);
        free((char *)token->info.client);
        explicit_bzero(token->text, sizeof(token->text));
        free(token);
    }
    return NULL;
}

void token_list_release(struct token_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        token_free(list->tokens[i]);
    free(list->tokens);
    *list = (struct token_list){0};
}

bool token_list_find(const struct token_list *list, const char *id, size_t *ret_at)
{
    size_t low = 0, high = list->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(list->tokens[middle]->id, id);
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

void token_list_insert(struct token_list *list, size_t at, struct token *token)
{
    memmove(list->tokens + at + 1, list->tokens + at, (list->count - at) * sizeof(struct token *));
    list->tokens[at] = token;
    list->count++;
}

void token_list_remove(struct token_list *list, size_t at)
{
    token_free(list->tokens[at]);
    list->count--;
    memmove(list->tokens + at, list->tokens + at + 1, (list->count - at) * sizeof(struct token *));
}

/* ---- what is valid ---- */

bool token_id_is_valid(struct span id)
{
    for (size_t i = 0; i < id.len; i++) {
        bool is_base32 =
            (id.at[i] >= 'a' && id.at[i] <= 'z') || (id.at[i] >= '2' && id.at[i] <= '7');
        if (!is_base32)
            return false;
    }
    return id.len == TOKEN_ID_CHARS;
}

bool token_dir_is_valid(struct span dir)
{
    return dir.len >= 1 && dir.len <= TOKEN_DIR_MAX && dir.at[0] == '/';
}

bool token_text_is_valid(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if (c < 0x20 || c == 0x7f)
            return false;
    }
    return text.len >= 1 && text.len <= TOKEN_TEXT_FIELD;
}

/* ---- reading ---- */

/* A string member that may be null; NULL counts as valid. */
static bool read_text(const cJSON *object, const char *name, bool (*is_valid)(struct span),
                      const char **ret)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(object, name);
    if (cJSON_IsNull(member))
        return true;
    if (!cJSON_IsString(member) || !is_valid(span_of(member->valuestring)))
        return false;
    *ret = span_dup(span_of(member->valuestring));
    return true;
}

static bool read_time(const cJSON *object, const char *name, int64_t *ret)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(object, name);
    if (!cJSON_IsNumber(member) || !(member->valuedouble >= 0) ||
        member->valuedouble > LARGEST_TIME_S)
        return false;
    *ret = (int64_t)member->valuedouble;
    return (double)*ret == member->valuedouble;
}

static bool read_bool(const cJSON *object, const char *name, bool *ret)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(object, name);
    *ret = cJSON_IsTrue(member);
    return cJSON_IsBool(member);
}

/* All members are there and none other: as many as there must be, and each one is found. */
static bool read_info(const cJSON *object, struct token_info *info)
{
    return cJSON_GetArraySize(object) == MEMBERS &&
           read_text(object, "dir", token_dir_is_valid, &info->dir) &&
           read_text(object, "override", token_text_is_valid, &info->override) &&
           read_text(object, "client", token_text_is_valid, &info->client) &&
           read_time(object, "created", &info->created_s) &&
           read_time(object, "expires", &info->expires_s) &&
           read_bool(object, "revoked", &info->revoked);
}

static bool read_token(const cJSON *object, struct token_list *list)
{
    const char *id = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, "id"));
    size_t at;
    if (!id || !token_id_is_valid(span_of(id)) || token_list_find(list, id, &at))
        return false;
    struct token *token = token_new(id);
    bool is_valid = read_info(object, &token->info);
    if (is_valid)
        token_list_insert(list, at, token);
    else
        token_free(token);
    return is_valid;
}

static int add_tokens(const cJSON *root, struct token_list *list, struct err *reterr)
{
    const cJSON *version = cJSON_GetObjectItemCaseSensitive(root, "version");
    const cJSON *tokens = cJSON_GetObjectItemCaseSensitive(root, "tokens");
    if (!cJSON_IsObject(root) || cJSON_GetArraySize(root) != 2 || !cJSON_IsArray(tokens))
        return err_set(reterr, ERR_CONFIG_INVALID, "this is not a list of tokens");
    if (!cJSON_IsNumber(version) || version->valuedouble != FILE_VERSION)
        return err_set(reterr, ERR_CONFIG_INVALID, "its version is not %d", FILE_VERSION);
    for (const cJSON *token = tokens->child; token; token = token->next) {
        if (list->count == TOKENS_MAX)
            return err_set(reterr, ERR_CONFIG_INVALID, "there are more than %d tokens", TOKENS_MAX);
        if (!read_token(token, list))
            return err_set(reterr, ERR_CONFIG_INVALID, "token %zu of the list is not valid",
                           list->count + 1);
    }
    return 0;
}

/* A NUL would silently cut a string, also one written as \u0000: cJSON ends it there. */
static bool has_nul(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        struct span rest = {text.at + i, text.len - i};
        if (*rest.at == '\0' || span_starts(rest, SPAN("\\u0000")))
            return true;
        if (*rest.at == '\\')
            i++; /* what is escaped starts no escape of its own */
    }
    return false;
}

int token_list_decode(struct span text, struct token_list *list, struct err *reterr)
{
    if (text.len == 0 || has_nul(text))
        return err_set(reterr, ERR_CONFIG_INVALID, "this is not JSON");
    const char *end = NULL;
    cJSON *root = cJSON_ParseWithLengthOpts(text.at, text.len, &end, false);
    bool has_rest = false;
    for (; end && end < text.at + text.len; end++)
        has_rest = has_rest || !memchr(" \t\r\n", *end, 4);
    int r = root && !has_rest ? add_tokens(root, list, reterr)
                              : err_set(reterr, ERR_CONFIG_INVALID, "this is not JSON");
    cJSON_Delete(root);
    return r;
}

/* ---- writing ---- */

static cJSON *text_or_null(const char *text)
{
    return text ? cJSON_CreateString(text) : cJSON_CreateNull();
}

static void write_token(cJSON *tokens, const struct token_info *token)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "id", token->id);
    cJSON_AddItemToObject(object, "dir", text_or_null(token->dir));
    cJSON_AddItemToObject(object, "override", text_or_null(token->override));
    cJSON_AddItemToObject(object, "client", text_or_null(token->client));
    cJSON_AddNumberToObject(object, "created", (double)token->created_s);
    cJSON_AddNumberToObject(object, "expires", (double)token->expires_s);
    cJSON_AddBoolToObject(object, "revoked", token->revoked);
    cJSON_AddItemToArray(tokens, object);
}

int token_list_encode(const struct token_list *list, struct bytes *out)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddNumberToObject(root, "version", FILE_VERSION);
    cJSON *tokens = cJSON_AddArrayToObject(root, "tokens");
    for (size_t i = 0; i < list->count; i++)
        write_token(tokens, &list->tokens[i]->info);
    char *text = cJSON_PrintUnformatted(root);
    int r = text ? bytes_addf(out, "%s\n", text) : -ERR_TOO_LARGE;
    cJSON_free(text);
    cJSON_Delete(root);
    return r;
}
