/* See config_text.h. */
#include "state/config_text.h"

#include <ctype.h>
#include <stdio.h>

#include "base/log.h"

/* base/json puts place and reason into one sentence, "JSON, line L, column C: why". */
static void read_fault(const struct err *err, struct config_fault *ret)
{
    int behind = 0;
    const char *why = err->detail, *line = strstr(err->detail, "line ");
    if (line &&
        sscanf(line, "line %u, column %u: %n", &ret->place.line, &ret->place.column, &behind) == 2)
        why = line + behind;
    (void)snprintf(ret->why, sizeof(ret->why), "not valid JSON: %.120s", why);
}

/* There is no place for it but the start. */
static int refuse(struct config_fault *ret, const char *why)
{
    (void)snprintf(ret->why, sizeof(ret->why), "%s", why);
    return -ERR_CONFIG_INVALID;
}

static bool is_blank(struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!memchr(" \t\r\n", text.at[i], 4))
            return false;
    return true;
}

int config_text_init(struct config_text *text, struct span original, struct config_fault *ret_fault)
{
    *text = (struct config_text){
        .original = original,
        .blanked = {.max = original.len, .wipe = true},
    };
    *ret_fault = (struct config_fault){.place = {.line = 1, .column = 1}};
    struct err err = {0};
    if (original.len > CONFIG_MAX_BYTES)
        return refuse(ret_fault, "the file is larger than 1 MiB");
    if (bytes_add_span(&text->blanked, original) < 0)
        return refuse(ret_fault, "out of memory");
    int r = json_blank_comments(text->blanked.data, text->blanked.len, &err);
    if (r == 0 && is_blank(bytes_span(&text->blanked)))
        return refuse(ret_fault, "the file is empty");
    if (r == 0)
        r = json_validate(bytes_span(&text->blanked), &text->root, &err);
    if (r == 0)
        return 0;
    read_fault(&err, ret_fault);
    return -ERR_CONFIG_INVALID;
}

void config_text_release(struct config_text *text)
{
    bytes_release(&text->blanked);
}

struct json_place config_text_place(const struct config_text *text, const char *at)
{
    return json_place(text->original, config_text_offset(text, at));
}

static bool covers(struct json value, const char *at)
{
    return at >= value.at && at < value.at + value.len;
}

/* A path that grows; what does not fit is left out. */
struct path {
    char *out;
    size_t size, len;
};

static void path_add(struct path *path, const char *before, const char *text, int len,
                     const char *behind)
{
    int n = snprintf(path->out + path->len, path->size - path->len, "%s%.*s%s", before, len, text,
                     behind);
    if (n > 0 && (size_t)n < path->size - path->len)
        path->len += (size_t)n;
    else
        path->out[path->len] = '\0';
}

static bool is_word(struct span name)
{
    for (size_t i = 0; i < name.len; i++)
        if (!isalnum((unsigned char)name.at[i]) && name.at[i] != '_' && name.at[i] != '$')
            return false;
    return name.len > 0 && name.len <= 48;
}

static bool is_printable(struct span name)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.at[i] < ' ' || name.at[i] > '~')
            return false;
    return name.len <= 48;
}

/* Words stand behind a dot, anything else as it is written in the file, in brackets. */
static void path_add_name(struct path *path, struct json key)
{
    struct span name = json_raw_text(key);
    if (is_word(name)) {
        path_add(path, path->len ? "." : "", name.at, (int)name.len, "");
    } else if (is_printable(name)) {
        path_add(path, "[", key.at, (int)key.len, "]");
    } else {
        const char *quoted = log_quote(name, 48);
        path_add(path, "[", quoted, (int)strlen(quoted), "]");
    }
}

/* Steps into the member of an object that covers `at`; JSON_ABSENT when none does. */
static struct json step_member(struct json object, const char *at, struct path *path)
{
    struct json key, value;
    struct json_iter iter = json_iter(object);
    while (json_next_member(&iter, &key, &value)) {
        if (at < value.at + value.len) {
            bool is_in_key = covers(key, at);
            if (!is_in_key && !covers(value, at))
                break;
            path_add_name(path, key);
            return is_in_key ? (struct json){0} : value;
        }
    }
    return (struct json){0};
}

static struct json step_element(struct json array, const char *at, struct path *path)
{
    struct json value;
    struct json_iter iter = json_iter(array);
    for (size_t i = 0; json_next(&iter, &value); i++) {
        if (covers(value, at)) {
            char number[24];
            int len = snprintf(number, sizeof(number), "%zu", i);
            path_add(path, "[", number, len, "]");
            return value;
        }
    }
    return (struct json){0};
}

void config_text_path(const struct config_text *text, const char *at, char *out, size_t size)
{
    struct path path = {.out = out, .size = size};
    out[0] = '\0';
    struct json value = text->root;
    while (value.type != JSON_ABSENT && value.at != at) {
        if (value.type == JSON_OBJECT)
            value = step_member(value, at, &path);
        else if (value.type == JSON_ARRAY)
            value = step_element(value, at, &path);
        else
            break;
    }
}
