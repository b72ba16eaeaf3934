/*
 * See json_scan.h. The one fast loop of the scanner is skip_container(): outside of strings a table
 * of byte classes, inside of strings memchr() for the closing quote. Most bytes of a request stand
 * in strings, so this runs near the speed of memchr.
 */
#include "base/json_scan.h"

#define BYTE_ORDER_MARK "\xef\xbb\xbf"

enum byte_class {
    OTHER, /* parts of numbers and literals, white space, commas, colons */
    QUOTE,
    OPEN,
    CLOSE,
    FOREIGN, /* never stands outside of a string */
};

static const unsigned char classes[256] = {
    [0 ... 8] = FOREIGN, [11 ... 12] = FOREIGN, [14 ... 31] = FOREIGN, [127 ... 255] = FOREIGN,
    ['"'] = QUOTE,       ['['] = OPEN,          ['{'] = OPEN,          [']'] = CLOSE,
    ['}'] = CLOSE,
};

struct json_scan json_scan_of(struct span text)
{
    const char *start = text.at ? text.at : "";
    return (struct json_scan){.start = start, .at = start, .end = start + text.len};
}

bool json_scan_fail(struct json_scan *scan, const char *at, const char *problem)
{
    if (!scan->problem) {
        scan->problem = problem;
        scan->at = at;
    }
    return false;
}

int json_scan_error(const struct json_scan *scan, struct err *reterr)
{
    if (!scan->problem)
        return 0;
    struct span text = {scan->start, (size_t)(scan->end - scan->start)};
    struct json_place place = json_place(text, (size_t)(scan->at - scan->start));
    return err_set(reterr, ERR_INVALID_REQUEST, "JSON, line %u, column %u: %s", place.line,
                   place.column, scan->problem);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

bool json_scan_space(struct json_scan *scan)
{
    while (scan->at < scan->end && is_space(*scan->at))
        scan->at++;
    return scan->at < scan->end;
}

bool json_scan_open(struct json_scan *scan)
{
    struct span text = {scan->at, (size_t)(scan->end - scan->at)};
    if (span_starts(text, SPAN(BYTE_ORDER_MARK)))
        return json_scan_fail(scan, scan->at, "the text starts with a byte order mark");
    return json_scan_space(scan) || json_scan_fail(scan, scan->at, "there is no value");
}

bool json_scan_end(struct json_scan *scan)
{
    return !json_scan_space(scan) ||
           json_scan_fail(scan, scan->at, "something stands behind the end of the value");
}

/* The byte behind the closing quote of the string that starts at `at`; NULL when it is not closed.
 */
static const char *string_end(const char *at, const char *end)
{
    const char *from = at + 1;
    for (;;) {
        const char *quote = from < end ? memchr(from, '"', (size_t)(end - from)) : NULL;
        if (!quote)
            return NULL;
        const char *slash = quote;
        while (slash > from && slash[-1] == '\\')
            slash--;
        if ((quote - slash) % 2 == 0)
            return quote + 1;
        from = quote + 1; /* the quote is escaped: what follows starts afresh */
    }
}

bool json_scan_string(struct json_scan *scan, struct json *ret)
{
    const char *start = scan->at, *end = string_end(start, scan->end);
    if (!end)
        return json_scan_fail(scan, start, "a string is not closed");
    *ret = (struct json){start, (size_t)(end - start), JSON_STRING};
    scan->at = end;
    return true;
}

static bool is_digit(const char *at, const char *end)
{
    return at < end && *at >= '0' && *at <= '9';
}

static const char *skip_digits(const char *at, const char *end)
{
    while (is_digit(at, end))
        at++;
    return at;
}

/* The end of the number at `at` by the grammar of RFC 8259; NULL when there is none. */
static const char *number_end(const char *at, const char *end)
{
    if (*at == '-')
        at++;
    if (!is_digit(at, end))
        return NULL;
    at = *at == '0' ? at + 1 : skip_digits(at, end);
    if (at < end && *at == '.') {
        if (!is_digit(++at, end))
            return NULL;
        at = skip_digits(at, end);
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && (*at == '+' || *at == '-'))
            at++;
        if (!is_digit(at, end))
            return NULL;
        at = skip_digits(at, end);
    }
    return at;
}

static bool is_delimiter(const char *at, const char *end)
{
    return at == end || is_space(*at) || *at == ',' || *at == ']' || *at == '}' || *at == ':';
}

static const struct {
    const char *text;
    size_t len;
    enum json_type type;
} literals[] = {{"null", 4, JSON_NULL}, {"true", 4, JSON_TRUE}, {"false", 5, JSON_FALSE}};

static const char *literal_end(const char *at, const char *end, enum json_type *ret_type)
{
    for (size_t i = 0; i < sizeof(literals) / sizeof(literals[0]); i++) {
        size_t len = literals[i].len;
        if ((size_t)(end - at) >= len && !memcmp(at, literals[i].text, len)) {
            *ret_type = literals[i].type;
            return at + len;
        }
    }
    return NULL;
}

bool json_scan_scalar(struct json_scan *scan, struct json *ret)
{
    const char *start = scan->at;
    bool is_number = *start == '-' || is_digit(start, scan->end);
    enum json_type type = JSON_NUMBER;
    const char *end =
        is_number ? number_end(start, scan->end) : literal_end(start, scan->end, &type);
    if (!end || !is_delimiter(end, scan->end))
        return json_scan_fail(scan, start,
                              is_number ? "a number is not well formed" : "a value is expected");
    *ret = (struct json){start, (size_t)(end - start), type};
    scan->at = end;
    return true;
}

/* One bit per open container, set for objects. */
struct nesting {
    uint64_t is_object[JSON_DEPTH / 64];
    unsigned depth;
};

static bool nesting_push(struct nesting *nesting, char bracket)
{
    if (nesting->depth >= JSON_DEPTH)
        return false;
    uint64_t bit = (uint64_t)1 << nesting->depth % 64;
    uint64_t *word = &nesting->is_object[nesting->depth++ / 64];
    *word = bracket == '{' ? *word | bit : *word & ~bit;
    return true;
}

static bool nesting_pop(struct nesting *nesting, char bracket)
{
    nesting->depth--;
    bool is_object = nesting->is_object[nesting->depth / 64] >> nesting->depth % 64 & 1;
    return is_object == (bracket == '}');
}

static bool skip_container(struct json_scan *scan, unsigned depth, struct json *ret)
{
    const char *start = scan->at, *at = start, *end = scan->end;
    struct nesting nesting = {.depth = depth};
    do {
        while (at < end && classes[(unsigned char)*at] == OTHER)
            at++;
        if (at == end)
            return json_scan_fail(scan, start, "an array or object is not closed");
        const char *here = at;
        switch (classes[(unsigned char)*at]) {
        case QUOTE:
            at = string_end(here, end);
            if (!at)
                return json_scan_fail(scan, here, "a string is not closed");
            break;
        case OPEN:
            if (!nesting_push(&nesting, *at++))
                return json_scan_fail(scan, here, "arrays and objects are nested too deep");
            break;
        case CLOSE:
            if (!nesting_pop(&nesting, *at++))
                return json_scan_fail(scan, here, "the bracket does not match the one it closes");
            break;
        default:
            return json_scan_fail(scan, here, "this character cannot stand outside of a string");
        }
    } while (nesting.depth > depth);
    *ret = (struct json){start, (size_t)(at - start), *start == '{' ? JSON_OBJECT : JSON_ARRAY};
    scan->at = at;
    return true;
}

bool json_scan_value(struct json_scan *scan, unsigned depth, struct json *ret)
{
    if (!json_scan_space(scan))
        return json_scan_fail(scan, scan->at, "a value is expected");
    switch (*scan->at) {
    case '"':
        return json_scan_string(scan, ret);
    case '[':
    case '{':
        return skip_container(scan, depth, ret);
    default:
        return json_scan_scalar(scan, ret);
    }
}
