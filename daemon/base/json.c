/*
 * See json.h. Whole texts, walking, and finding members. One step of a walk checks everything that
 * stands on its own level, so a text is well formed on each level that was walked to the end.
 */
#include "base/json.h"

#include "base/json_scan.h"

#include <assert.h>
#include <stdarg.h>
#include <strings.h>

struct json_place json_place(struct span text, size_t offset)
{
    struct json_place place = {.offset = offset < text.len ? offset : text.len, .line = 1};
    const char *at = text.at, *end = at + place.offset, *line = at;
    while (at < end && (at = memchr(at, '\n', (size_t)(end - at)))) {
        place.line++;
        line = ++at;
    }
    place.column = (unsigned)(end - line) + 1;
    return place;
}

int json_skim(struct span text, struct json *ret, struct err *reterr)
{
    struct json_scan scan = json_scan_of(text);
    struct json value;
    if (!json_scan_open(&scan) || !json_scan_value(&scan, 0, &value) || !json_scan_end(&scan))
        return json_scan_error(&scan, reterr);
    *ret = value;
    return 0;
}

/* ---- walking ---- */

/* Behind a value inside a container: its end, or a comma with another element behind it. */
static bool take_comma(struct json_scan *scan)
{
    if (!json_scan_space(scan))
        return true;
    const char *comma = scan->at;
    if (*comma == ']' || *comma == '}')
        return json_scan_fail(scan, comma, "this bracket closes nothing that is open");
    if (*comma != ',')
        return json_scan_fail(scan, comma, "a comma is expected between two elements");
    scan->at++;
    return json_scan_space(scan) ||
           json_scan_fail(scan, comma, "there is nothing behind the last comma");
}

static bool next_element(struct json_scan *scan, struct json *ret_value)
{
    return !scan->problem && json_scan_space(scan) && json_scan_value(scan, 1, ret_value) &&
           take_comma(scan);
}

static bool next_member(struct json_scan *scan, struct json *ret_key, struct json *ret_value)
{
    if (scan->problem || !json_scan_space(scan))
        return false;
    if (*scan->at != '"')
        return json_scan_fail(scan, scan->at, "a member name in double quotes is expected");
    if (!json_scan_string(scan, ret_key))
        return false;
    if (!json_scan_space(scan) || *scan->at != ':')
        return json_scan_fail(scan, scan->at, "a colon is expected behind a member name");
    scan->at++;
    return json_scan_value(scan, 1, ret_value) && take_comma(scan);
}

/* A cursor over what stands between the brackets of a container; empty for other values. */
static struct json_scan inside(struct json value)
{
    bool is_container = value.type == JSON_ARRAY || value.type == JSON_OBJECT;
    struct json_scan scan = {.start = value.at, .at = value.at, .end = value.at};
    if (is_container && value.len >= 2) {
        scan.at++;
        scan.end += value.len - 1;
    }
    return scan;
}

struct json_iter json_iter(struct json container)
{
    struct json_scan scan = inside(container);
    return (struct json_iter){scan.at, scan.end};
}

/* An iterator that met something malformed stays before it and so stays at its end. */
bool json_next(struct json_iter *iter, struct json *ret_value)
{
    struct json_scan scan = {.start = iter->at, .at = iter->at, .end = iter->end};
    if (!next_element(&scan, ret_value))
        return false;
    iter->at = scan.at;
    return true;
}

bool json_next_member(struct json_iter *iter, struct json *ret_key, struct json *ret_value)
{
    struct json_scan scan = {.start = iter->at, .at = iter->at, .end = iter->end};
    if (!next_member(&scan, ret_key, ret_value))
        return false;
    iter->at = scan.at;
    return true;
}

bool json_is_filled(struct json value)
{
    struct json_scan scan = inside(value);
    return value.type == JSON_STRING ? value.len > 2 : json_scan_space(&scan);
}

/* The last byte of a text that is no white space; `start` when there is none. */
static const char *last_byte(const char *start, const char *end)
{
    while (end > start + 1 && end[-1] && strchr(" \t\r\n", end[-1]))
        end--;
    return end > start ? end - 1 : start;
}

struct json json_peek(struct span text)
{
    struct json_scan scan = json_scan_of(text);
    struct json value = {0};
    if (!json_scan_space(&scan))
        return value;
    const char *last = last_byte(scan.at, scan.end);
    if (*scan.at == '{' && *last == '}')
        value.type = JSON_OBJECT;
    else if (*scan.at == '[' && *last == ']')
        value.type = JSON_ARRAY;
    else
        return value;
    value.at = scan.at;
    value.len = (size_t)(last + 1 - scan.at);
    return value;
}

/* ---- members by name ---- */

/* A member's name as it stands, with the rare escapes in it found once. */
struct member_name {
    struct json key;
    struct span raw;
    bool is_escaped;
};

static struct member_name member_name(struct json key)
{
    struct span raw = json_raw_text(key);
    return (struct member_name){key, raw, raw.len && memchr(raw.at, '\\', raw.len)};
}

static bool is_named(const struct member_name *member, const char *name)
{
    if (member->is_escaped)
        return json_is(member->key, name);
    struct span raw = member->raw;
    if (raw.len == 0 || raw.at[0] != name[0])
        return raw.len == 0 && !name[0];
    return strlen(name) == raw.len && !memcmp(raw.at, name, raw.len);
}

struct json json_get(struct json object, const char *name)
{
    const struct json absent = {0};
    if (object.type != JSON_OBJECT)
        return absent;
    struct json_iter iter = json_iter(object);
    struct json key, value;
    while (json_next_member(&iter, &key, &value)) {
        struct member_name member = member_name(key);
        if (is_named(&member, name))
            return value;
    }
    return absent;
}

struct json json_path(struct json value, ...)
{
    va_list names;
    va_start(names, value);
    for (const char *name; (name = va_arg(names, const char *));)
        value = json_get(value, name);
    va_end(names);
    return value;
}

void json_find(struct json object, const char *const *names, struct json *out)
{
    size_t wanted = 0;
    for (; names[wanted]; wanted++)
        out[wanted] = (struct json){0};
    if (object.type != JSON_OBJECT)
        return;
    struct json_iter iter = json_iter(object);
    struct json key, value;
    while (wanted && json_next_member(&iter, &key, &value)) {
        struct member_name member = member_name(key);
        for (size_t i = 0; names[i]; i++) {
            if (out[i].type != JSON_ABSENT || !is_named(&member, names[i]))
                continue;
            out[i] = value;
            wanted--;
            break;
        }
    }
}

/*
 * The letter that a decoded character is to a parser that ignores case: ASCII folding, and the two
 * characters outside of ASCII that Unicode folds to ASCII letters (Go's decoder does that).
 */
static unsigned char folded(struct span character)
{
    if (character.len == 1) {
        unsigned char c = (unsigned char)character.at[0];
        return c >= 'A' && c <= 'Z' ? (unsigned char)(c | 0x20) : c;
    }
    if (span_equal(character, SPAN("\xc5\xbf"))) /* long s */
        return 's';
    if (span_equal(character, SPAN("\xe2\x84\xaa"))) /* Kelvin sign */
        return 'k';
    return 0xff;
}

/* The same name to some parser: escapes decoded, case ignored. */
static bool is_alike(struct json key, const char *name, size_t len)
{
    struct span raw = json_raw_text(key);
    if (raw.len <= len) /* escapes and folded characters only make it longer */
        return raw.len == len && !strncasecmp(raw.at, name, len);
    struct json_reader reader = json_reader(key);
    struct span character;
    size_t i = 0;
    while (json_read(&reader, &character)) {
        if (i == len || folded(character) != folded((struct span){name + i, 1}))
            return false;
        i++;
    }
    return i == len;
}

static int find_alike(struct json key, const char *const *names)
{
    for (int i = 0; names[i]; i++)
        if (is_alike(key, names[i], strlen(names[i])))
            return i;
    return -1;
}

/*
 * The members inside a cursor's range, in one pass; the problem, if any, is left in the cursor.
 * is_exact: a listed name in another case is refused even when it stands alone.
 */
static int pick(struct json_scan *scan, const char *const *names, bool is_exact, struct json *out,
                struct err *reterr)
{
    uint32_t seen = 0;
    for (size_t i = 0; names[i]; i++) {
        assert(i < 32);
        out[i] = (struct json){0};
    }
    struct json key, value;
    while (next_member(scan, &key, &value)) {
        int i = find_alike(key, names);
        if (i < 0)
            continue;
        if (seen >> i & 1)
            return err_set(reterr, ERR_INVALID_REQUEST, "the member \"%s\" stands twice", names[i]);
        seen |= (uint32_t)1 << i;
        if (json_is(key, names[i]))
            out[i] = value;
        else if (is_exact)
            return err_set(reterr, ERR_INVALID_REQUEST,
                           "a member name must be spelled \"%s\" exactly", names[i]);
    }
    return json_scan_error(scan, reterr);
}

static int pick_object(struct json object, const char *const *names, bool is_exact,
                       struct json *out, struct err *reterr)
{
    if (object.type != JSON_OBJECT)
        return err_set(reterr, ERR_INVALID_REQUEST, "a JSON object is expected");
    struct json_scan scan = inside(object);
    return pick(&scan, names, is_exact, out, reterr);
}

int json_pick(struct json object, const char *const *names, struct json *out, struct err *reterr)
{
    return pick_object(object, names, false, out, reterr);
}

int json_pick_exact(struct json object, const char *const *names, struct json *out,
                    struct err *reterr)
{
    return pick_object(object, names, true, out, reterr);
}

int json_pick_text(struct span text, const char *const *names, struct json *ret_root,
                   struct json *out, struct err *reterr)
{
    struct json_scan scan = json_scan_of(text);
    if (!json_scan_open(&scan))
        return json_scan_error(&scan, reterr);
    struct json root = json_peek(text);
    if (root.type != JSON_OBJECT) {
        int r = json_skim(text, &root, reterr); /* says exactly what is wrong */
        return r < 0 ? r : err_set(reterr, ERR_INVALID_REQUEST, "a JSON object is expected");
    }
    *ret_root = root;
    scan.at = root.at + 1;
    scan.end = root.at + root.len - 1;
    return pick(&scan, names, true, out, reterr);
}
