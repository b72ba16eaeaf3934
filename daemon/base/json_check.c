/* See json.h: the full check of RFC 8259, and comments in configuration files. */
#include "base/json_scan.h"
#include "base/utf8.h"

#define EVERY_BYTE(c) (0x0101010101010101u * (unsigned char)(c))

/* Eight bytes at once: none is a quote, a backslash, a control character or outside of ASCII. */
static bool is_plain_word(const char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof(word));
    uint64_t quote = word ^ EVERY_BYTE('"'), slash = word ^ EVERY_BYTE('\\');
    uint64_t special = (quote - EVERY_BYTE(1)) & ~quote;
    special |= (slash - EVERY_BYTE(1)) & ~slash;
    special |= (word - EVERY_BYTE(0x20)) & ~word;
    return !((special | word) & EVERY_BYTE(0x80));
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool check_escape(struct json_scan *scan, const char *end)
{
    const char *slash = scan->at++;
    if (scan->at < end && *scan->at && strchr("\"\\/bfnrt", *scan->at)) {
        scan->at++;
        return true;
    }
    if (end - scan->at < 5 || *scan->at != 'u')
        return json_scan_fail(scan, slash, "an escape is not well formed");
    for (int i = 1; i <= 4; i++)
        if (!is_hex(scan->at[i]))
            return json_scan_fail(scan, slash, "an escape is not well formed");
    scan->at += 5;
    return true;
}

/* The end of a run of bytes that need no look. */
static const char *skip_plain(const char *at, const char *end)
{
    while (end - at >= 8 && is_plain_word(at))
        at += 8;
    while (at < end && (unsigned char)*at >= 0x20 && (unsigned char)*at < 0x80 && *at != '\\')
        at++;
    return at;
}

/* The contents of a string that ends (with its quote) at `end`. */
static bool check_string(struct json_scan *scan, struct json string)
{
    const char *end = string.at + string.len - 1;
    scan->at = string.at + 1;
    while ((scan->at = skip_plain(scan->at, end)) < end) {
        if (*scan->at == '\\') {
            if (!check_escape(scan, end))
                return false;
        } else if ((unsigned char)*scan->at < 0x20) {
            return json_scan_fail(scan, scan->at, "a control character in a string");
        } else {
            size_t len = utf8_sequence(scan->at, end);
            if (len == 0)
                return json_scan_fail(scan, scan->at, "the text is not UTF-8");
            scan->at += len;
        }
    }
    scan->at = end + 1;
    return true;
}

static bool take_string(struct json_scan *scan, struct json *ret)
{
    return json_scan_string(scan, ret) && check_string(scan, *ret);
}

static bool check_value(struct json_scan *scan, unsigned depth, struct json *ret);

static bool take_colon(struct json_scan *scan)
{
    if (!json_scan_space(scan) || *scan->at != ':')
        return json_scan_fail(scan, scan->at, "a colon is expected behind a member name");
    scan->at++;
    return true;
}

static bool take_name(struct json_scan *scan)
{
    struct json name;
    if (!json_scan_space(scan) || *scan->at != '"')
        return json_scan_fail(scan, scan->at, "a member name in double quotes is expected");
    return take_string(scan, &name) && take_colon(scan);
}

static bool check_container(struct json_scan *scan, unsigned depth, struct json *ret)
{
    const char *start = scan->at;
    const bool is_object = *start == '{';
    const char close = is_object ? '}' : ']';
    if (depth >= JSON_DEPTH)
        return json_scan_fail(scan, start, "arrays and objects are nested too deep");
    scan->at++;
    bool is_first = true;
    for (;;) {
        struct json value;
        if (!json_scan_space(scan))
            return json_scan_fail(scan, start, "an array or object is not closed");
        if (*scan->at == close && is_first)
            break;
        if ((is_object && !take_name(scan)) || !check_value(scan, depth + 1, &value))
            return false;
        is_first = false;
        if (!json_scan_space(scan))
            return json_scan_fail(scan, start, "an array or object is not closed");
        if (*scan->at == close)
            break;
        if (*scan->at == ']' || *scan->at == '}')
            return json_scan_fail(scan, scan->at, "the bracket does not match the one it closes");
        if (*scan->at != ',')
            return json_scan_fail(scan, scan->at, "a comma is expected between two elements");
        scan->at++;
    }
    scan->at++;
    *ret = (struct json){start, (size_t)(scan->at - start), is_object ? JSON_OBJECT : JSON_ARRAY};
    return true;
}

static bool check_value(struct json_scan *scan, unsigned depth, struct json *ret)
{
    if (!json_scan_space(scan))
        return json_scan_fail(scan, scan->at, "a value is expected");
    switch (*scan->at) {
    case '"':
        return take_string(scan, ret);
    case '[':
    case '{':
        return check_container(scan, depth, ret);
    default:
        return json_scan_scalar(scan, ret);
    }
}

int json_validate(struct span text, struct json *ret, struct err *reterr)
{
    struct json_scan scan = json_scan_of(text);
    struct json value;
    if (!json_scan_open(&scan) || !check_value(&scan, 0, &value) || !json_scan_end(&scan))
        return json_scan_error(&scan, reterr);
    *ret = value;
    return 0;
}

/* ---- comments of configuration files ---- */

static const char *skip_string(const char *at, const char *end)
{
    for (at++; at < end && *at != '"'; at++)
        if (*at == '\\' && at + 1 < end)
            at++;
    return at < end ? at + 1 : end;
}

/* The end of the comment at `at`: the line's end or behind the closing mark; NULL: not closed. */
static char *comment_end(char *at, char *end)
{
    size_t rest = (size_t)(end - at);
    if (at[1] == '/') {
        char *newline = memchr(at, '\n', rest);
        return newline ? newline : end;
    }
    char *close = memmem(at + 2, rest - 2, "*/", 2);
    return close ? close + 2 : NULL;
}

/* Line ends stay, so that lines keep their numbers. */
static void blank(char *at, const char *end)
{
    for (; at < end; at++)
        if (*at != '\n' && *at != '\r')
            *at = ' ';
}

static bool is_comment(const char *at, const char *end)
{
    return end - at >= 2 && at[0] == '/' && (at[1] == '/' || at[1] == '*');
}

/*
 * Behind a comma (comments are blanked already) only white space and a closing bracket. A comma
 * that has no element before it is left for the parser to refuse.
 */
static bool is_trailing_comma(const char *start, const char *at, const char *end)
{
    struct json_scan behind = {.start = at + 1, .at = at + 1, .end = end};
    if (!json_scan_space(&behind) || (*behind.at != ']' && *behind.at != '}'))
        return false;
    while (at > start && strchr(" \t\r\n", at[-1]) && at[-1])
        at--;
    return at > start && !strchr("[{,:", at[-1]);
}

static void blank_commas(char *text, char *end)
{
    for (char *at = text; at < end;) {
        if (*at == '"') {
            at += skip_string(at, end) - at;
            continue;
        }
        if (*at == ',' && is_trailing_comma(text, at, end))
            *at = ' ';
        at++;
    }
}

int json_blank_comments(char *text, size_t len, struct err *reterr)
{
    char *end = text + len;
    for (char *at = text; at < end;) {
        if (*at == '"') {
            at += skip_string(at, end) - at;
        } else if (is_comment(at, end)) {
            char *behind = comment_end(at, end);
            if (!behind) {
                struct json_scan scan = json_scan_of((struct span){text, len});
                (void)json_scan_fail(&scan, at, "a comment is not closed"); /* noted in scan */
                return json_scan_error(&scan, reterr);
            }
            blank(at, behind);
            at = behind;
        } else {
            at++;
        }
    }
    blank_commas(text, end);
    return 0;
}
