/*
 * See api_error.h. Reading finds message, type and code in the shapes providers use; classifying
 * asks, in this order: words that mean one thing wherever they stand, words of a wrong key in the
 * message of a 400, the status, and for a 200 the words that are merely likely.
 */
#include "dialect/api_error.h"

#include <strings.h>

/*
 * Quota and plan limits have no kind of their own yet; like an overload they are no fault of the
 * request and another provider may serve it.
 */
#define KIND_QUOTA ERR_PROVIDER_OVERLOADED

#define WORD_MAX 64

/* What an error body says of itself, before it is judged. */
struct saying {
    struct json message;
    struct json type;
    struct json code;   /* string or number */
    struct json status; /* Gemini's word, or a number */
};

/* A type or code that means one kind whatever the status. */
static const struct {
    const char *word;
    int kind;
} words[] = {
    {"invalid_api_key", ERR_PROVIDER_AUTH},
    {"authentication_error", ERR_PROVIDER_AUTH},
    {"invalid_authentication_error", ERR_PROVIDER_AUTH}, /* Moonshot */
    {"permission_error", ERR_PROVIDER_AUTH},
    {"account_deactivated", ERR_PROVIDER_AUTH},
    {"UNAUTHENTICATED", ERR_PROVIDER_AUTH}, /* Gemini's words are in capitals */
    {"PERMISSION_DENIED", ERR_PROVIDER_AUTH},
    {"1000", ERR_PROVIDER_AUTH}, /* GLM's codes are numbers in strings */
    {"1001", ERR_PROVIDER_AUTH},
    {"1002", ERR_PROVIDER_AUTH},
    {"1003", ERR_PROVIDER_AUTH},
    {"1004", ERR_PROVIDER_AUTH},
    {"insufficient_quota", KIND_QUOTA},
    {"insufficient_user_quota", KIND_QUOTA},
    {"exceeded_current_quota_error", KIND_QUOTA}, /* Moonshot */
    {"billing_not_active", KIND_QUOTA},
    {"billing_error", KIND_QUOTA},
    {"RESOURCE_EXHAUSTED", KIND_QUOTA},
    {"1113", KIND_QUOTA},
    {"1308", KIND_QUOTA},
    {"rate_limit_error", ERR_PROVIDER_OVERLOADED},
    {"rate_limit_exceeded", ERR_PROVIDER_OVERLOADED},
    {"rate_limit_reached_error", ERR_PROVIDER_OVERLOADED},
    {"overloaded_error", ERR_PROVIDER_OVERLOADED},
    {"engine_overloaded_error", ERR_PROVIDER_OVERLOADED}, /* Moonshot */
    {"server_is_overloaded", ERR_PROVIDER_OVERLOADED},
    {"UNAVAILABLE", ERR_PROVIDER_OVERLOADED},
    {"1302", ERR_PROVIDER_OVERLOADED},
    {"1305", ERR_PROVIDER_OVERLOADED},
};

/* Words that decide only when there is no status to decide. */
static const struct {
    const char *word;
    int kind;
} likely_words[] = {
    {"invalid_request_error", ERR_PROVIDER_REFUSED},
    {"not_found_error", ERR_PROVIDER_REFUSED},
    {"model_not_found", ERR_PROVIDER_REFUSED},
    {"context_length_exceeded", ERR_PROVIDER_REFUSED},
    {"request_too_large", ERR_TOO_LARGE},
    {"timeout_error", ERR_PROVIDER_TIMEOUT},
    {"DEADLINE_EXCEEDED", ERR_PROVIDER_TIMEOUT},
};

/* In the message of a 400 these are about the key, not the request (xAI, Gemini). */
static const char *const key_phrases[] = {
    "incorrect api key",
    "api key not valid",
    "invalid api key",
    "api_key_invalid",
};

/* ---- reading ---- */

static void read_inner(struct json error, struct saying *saying)
{
    static const char *const names[] = {"message",     "type", "code", "status",
                                        "status_code", "msg",  NULL};
    struct json found[6];
    json_find(error, names, found);
    saying->message = found[0].type == JSON_STRING ? found[0] : found[5];
    saying->type = found[1];
    saying->code = found[2];
    saying->status = json_is_nothing(found[3]) ? found[4] : found[3];
}

/* `detail` is a string, or FastAPI's list of objects with `msg`. */
static struct json read_detail(struct json detail)
{
    struct json_iter iter = json_iter(detail);
    struct json first;
    if (detail.type == JSON_ARRAY && json_next(&iter, &first))
        return json_get(first, "msg");
    return detail;
}

static void read_outer(struct json body, struct saying *saying)
{
    static const char *const names[] = {"error",  "message",         "type", "code", "detail",
                                        "status", "raw_status_code", "msg",  NULL};
    struct json found[8];
    json_find(body, names, found);
    if (found[0].type == JSON_OBJECT) {
        read_inner(found[0], saying);
        return;
    }
    saying->message = found[0].type == JSON_STRING ? found[0] : found[1];
    if (saying->message.type != JSON_STRING)
        saying->message = found[7].type == JSON_STRING ? found[7] : read_detail(found[4]);
    saying->type = found[2];
    saying->code = found[3];
    saying->status = json_is_nothing(found[6]) ? found[5] : found[6];
}

/* Gemini answers some errors as an array with the error in it; a choice of a chunk may hold one. */
static void read_saying(struct json body, struct saying *saying)
{
    struct json_iter iter = json_iter(body);
    struct json first;
    if (body.type == JSON_ARRAY && json_next(&iter, &first))
        body = first;
    struct json choices = json_get(body, "choices");
    if (json_is_nothing(json_get(body, "error")) && json_is_filled(choices)) {
        iter = json_iter(choices);
        while (json_next(&iter, &first))
            if (!json_is_nothing(json_get(first, "error")))
                body = first;
    }
    read_outer(body, saying);
}

/* ---- classifying ---- */

static bool is_word(struct json value, const char *word)
{
    struct span text = value.type == JSON_NUMBER ? json_span(value) : json_raw_text(value);
    return span_equal_nocase(text, span_of(word));
}

static bool says(const struct saying *saying, const char *word)
{
    return is_word(saying->code, word) || is_word(saying->type, word) ||
           is_word(saying->status, word);
}

static bool mentions(struct span text, const char *phrase)
{
    struct span wanted = span_of(phrase);
    for (; text.len >= wanted.len; text.at++, text.len--)
        if (!strncasecmp(text.at, wanted.at, wanted.len))
            return true;
    return false;
}

static bool blames_key(struct span body)
{
    struct span head = {body.at, body.len < 4096 ? body.len : 4096};
    for (size_t i = 0; i < sizeof(key_phrases) / sizeof(key_phrases[0]); i++)
        if (mentions(head, key_phrases[i]))
            return true;
    return false;
}

static int status_of_number(struct json value)
{
    int64_t number;
    return json_int(value, &number) && number >= 400 && number < 600 ? (int)number : 0;
}

/* The HTTP status; inside a good answer the one the error tells. */
static int told_status(int status, const struct saying *saying)
{
    if (status < 200 || status >= 300)
        return status;
    int told = status_of_number(saying->status);
    return told ? told : status_of_number(saying->code);
}

static int classify(int status, struct json body, const struct saying *saying)
{
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (says(saying, words[i].word))
            return words[i].kind;
    if (status == 400 && blames_key(json_span(body)))
        return ERR_PROVIDER_AUTH;
    if (status == 402)
        return KIND_QUOTA;
    if (status)
        return dialect_kind_of_status(status);
    for (size_t i = 0; i < sizeof(likely_words) / sizeof(likely_words[0]); i++)
        if (says(saying, likely_words[i].word))
            return likely_words[i].kind;
    return ERR_PROVIDER_ANSWER;
}

/* A short machine word; anything longer or not plain is left out. */
static const char *copy_word(struct json value, struct arena *arena)
{
    struct span text = value.type == JSON_NUMBER ? json_span(value) : json_raw_text(value);
    if (text.len == 0 || text.len > WORD_MAX)
        return NULL;
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] <= ' ' || text.at[i] == '\\' || text.at[i] == 0x7f)
            return NULL;
    return arena_copy(arena, text);
}

/* A body that is no JSON: plain text is the message, a page of HTML is none. */
static struct span plain_message(struct span body)
{
    while (body.len && strchr(" \t\r\n", body.at[0]) && body.at[0])
        body.at++, body.len--;
    return body.len && body.at[0] != '<' ? body : (struct span){0};
}

void api_error_read(int status, struct span body, struct arena *arena, struct api_error *ret)
{
    struct json root = json_peek(body);
    struct saying saying = {0};
    struct span message;
    read_saying(root, &saying);
    status = told_status(status, &saying);
    *ret = (struct api_error){
        .kind = classify(status, root, &saying),
        .status = status >= 400 ? status : 0,
        .type = copy_word(saying.type, arena),
        .code = copy_word(saying.code, arena),
    };
    if (root.type == JSON_ABSENT)
        ret->message = plain_message(body);
    else if (json_text(saying.message, arena, &message) == 0 && message.len)
        ret->message = message;
}

/* ---- writing ---- */

struct span api_error_message(const struct api_error *error)
{
    return error->message.len ? error->message : span_of(error_row(error->kind)->text);
}

int api_error_status(const struct api_error *error)
{
    return error->status ? error->status : error_row(error->kind)->http_status;
}
