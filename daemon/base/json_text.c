/* See json.h: strings and numbers, read and written. */
#include "base/json.h"
#include "base/utf8.h"

#include <stdlib.h>

#define NUMBER_MAX 127

struct span json_raw_text(struct json string)
{
    if (string.type != JSON_STRING || string.len < 2)
        return (struct span){"", 0};
    return (struct span){string.at + 1, string.len - 2};
}

/* ---- reading strings ---- */

struct json_reader json_reader(struct json string)
{
    struct span raw = json_raw_text(string);
    return (struct json_reader){.at = raw.at, .end = raw.at + raw.len};
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The unit of a \uXXXX escape at `at`; false when there is none. */
static bool read_unit(const char *at, const char *end, uint32_t *ret)
{
    if (end - at < 6 || at[0] != '\\' || at[1] != 'u')
        return false;
    uint32_t unit = 0;
    for (int i = 2; i < 6; i++) {
        int digit = hex_value(at[i]);
        if (digit < 0)
            return false;
        unit = unit << 4 | (uint32_t)digit;
    }
    *ret = unit;
    return true;
}

/* A \u escape, or two that are one character; lone surrogates become U+FFFD. */
static bool read_code(struct json_reader *reader, uint32_t *ret)
{
    uint32_t high, low;
    if (!read_unit(reader->at, reader->end, &high))
        return false;
    reader->at += 6;
    *ret = high >= 0xd800 && high <= 0xdfff ? 0xfffd : high;
    if (high >= 0xd800 && high <= 0xdbff && read_unit(reader->at, reader->end, &low) &&
        low >= 0xdc00 && low <= 0xdfff) {
        reader->at += 6;
        *ret = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
    }
    return true;
}

static struct span read_escape(struct json_reader *reader)
{
    static const char letters[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    uint32_t code;
    if (read_code(reader, &code))
        return (struct span){reader->decoded, utf8_encode(code, reader->decoded)};
    const char *letter = NULL;
    if (reader->end - reader->at >= 2 && reader->at[1])
        letter = strchr(letters, reader->at[1]);
    if (!letter) {
        reader->at++; /* malformed: the backslash alone is replaced */
        return SPAN(UTF8_REPLACEMENT);
    }
    reader->at += 2;
    return (struct span){meant + (letter - letters), 1};
}

bool json_read(struct json_reader *reader, struct span *ret_character)
{
    if (reader->at >= reader->end)
        return false;
    if (*reader->at == '\\') {
        *ret_character = read_escape(reader);
        return true;
    }
    size_t len = utf8_sequence(reader->at, reader->end);
    *ret_character = len ? (struct span){reader->at, len} : SPAN(UTF8_REPLACEMENT);
    reader->at += len ? len : 1;
    return true;
}

bool json_is(struct json string, const char *text)
{
    if (string.type != JSON_STRING)
        return false;
    struct json_reader reader = json_reader(string);
    struct span character, rest = span_of(text);
    while (json_read(&reader, &character)) {
        if (!span_starts(rest, character))
            return false;
        rest.at += character.len;
        rest.len -= character.len;
    }
    return rest.len == 0;
}

/* The string's bytes are its text: no escapes, nothing to be replaced. */
static bool is_verbatim(struct span raw)
{
    return !(raw.len && memchr(raw.at, '\\', raw.len)) && utf8_valid_length(raw) == raw.len;
}

int json_text(struct json string, struct arena *arena, struct span *ret)
{
    if (string.type != JSON_STRING)
        return -ERR_INVALID_REQUEST;
    struct span raw = json_raw_text(string), character;
    if (is_verbatim(raw)) {
        *ret = raw;
        return 0;
    }
    size_t len = 0;
    struct json_reader reader = json_reader(string);
    while (json_read(&reader, &character))
        len += character.len;
    char *text = arena_alloc(arena, len + 1);
    if (!text)
        return -ERR_TOO_LARGE;
    *ret = (struct span){text, len};
    for (reader = json_reader(string); json_read(&reader, &character); text += character.len)
        memcpy(text, character.at, character.len);
    return 0;
}

/* ---- reading numbers ---- */

/* A number as digits * 10^exponent: leading and trailing zeros are out of the digits. */
struct decimal {
    bool is_negative;
    char digits[20];
    size_t count; /* more than 19: too many to be a whole int64 */
    int64_t exponent;
};

static void decimal_digit(struct decimal *decimal, char digit, int64_t *zeros)
{
    if (digit == '0') {
        (*zeros)++;
        return;
    }
    if (decimal->count == 0)
        *zeros = 0; /* they led */
    for (; *zeros && decimal->count < sizeof(decimal->digits); (*zeros)--)
        decimal->digits[decimal->count++] = '0';
    *zeros = 0;
    if (decimal->count < sizeof(decimal->digits))
        decimal->digits[decimal->count++] = digit;
}

static int64_t read_exponent(const char *at, const char *end)
{
    const int64_t limit = (int64_t)1 << 40; /* far beyond any text's length, far below overflow */
    bool is_negative = at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+'))
        at++;
    int64_t value = 0;
    for (; at < end && value < limit; at++)
        value = value * 10 + (*at - '0');
    return is_negative ? -value : value;
}

static void read_decimal(struct span number, struct decimal *ret)
{
    const char *at = number.at, *end = number.at + number.len;
    *ret = (struct decimal){.is_negative = *at == '-'};
    int64_t zeros = 0, fraction = 0;
    bool is_fraction = false;
    for (at += ret->is_negative; at < end && *at != 'e' && *at != 'E'; at++) {
        if (*at == '.') {
            is_fraction = true;
            continue;
        }
        decimal_digit(ret, *at, &zeros);
        fraction += is_fraction;
    }
    ret->exponent = zeros - fraction + (at < end ? read_exponent(at + 1, end) : 0);
}

bool json_int(struct json number, int64_t *ret)
{
    if (number.type != JSON_NUMBER)
        return false;
    struct decimal decimal;
    read_decimal(json_span(number), &decimal);
    if (decimal.count == 0) {
        *ret = 0;
        return true;
    }
    if (decimal.exponent < 0 || decimal.exponent > 18 ||
        decimal.count + (size_t)decimal.exponent > 19)
        return false;
    uint64_t value = 0; /* 19 digits fit */
    for (size_t i = 0; i < decimal.count; i++)
        value = value * 10 + (uint64_t)(decimal.digits[i] - '0');
    for (int64_t i = 0; i < decimal.exponent; i++)
        value *= 10;
    if (value > (uint64_t)INT64_MAX + decimal.is_negative)
        return false;
    *ret = decimal.is_negative ? (int64_t)-value : (int64_t)value;
    return true;
}

bool json_double(struct json number, double *ret)
{
    char text[NUMBER_MAX + 1];
    if (number.type != JSON_NUMBER || number.len > NUMBER_MAX)
        return false;
    memcpy(text, number.at, number.len);
    text[number.len] = '\0';
    *ret = strtod(text, NULL);
    return true;
}

/* ---- writing ---- */

static int add_control(struct bytes *out, unsigned char c)
{
    static const char short_form[0x20] = {
        ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
    if (short_form[c])
        return bytes_add(out, (char[]){'\\', short_form[c]}, 2);
    return bytes_addf(out, "\\u%04x", c);
}

/* Bytes from `at` on that stand in a JSON string as they are. */
static size_t plain_length(const char *at, const char *end)
{
    const char *p = at;
    while (p < end && (unsigned char)*p >= 0x20 && *p != '"' && *p != '\\') {
        size_t len = utf8_sequence(p, end);
        if (len == 0)
            break;
        p += len;
    }
    return (size_t)(p - at);
}

static int add_special(struct bytes *out, char c)
{
    if ((unsigned char)c < 0x20)
        return add_control(out, (unsigned char)c);
    if (c == '"' || c == '\\')
        return bytes_add(out, (char[]){'\\', c}, 2);
    return bytes_add_span(out, SPAN(UTF8_REPLACEMENT));
}

int json_add_escaped(struct bytes *out, struct span text)
{
    const size_t before = out->len;
    const char *at = text.at, *end = text.at + text.len;
    int r = 0;
    while (r == 0 && at < end) {
        size_t len = plain_length(at, end);
        r = bytes_add(out, at, len);
        at += len;
        if (r == 0 && at < end)
            r = add_special(out, *at++);
    }
    if (r < 0)
        out->len = before;
    return r;
}

int json_add_string(struct bytes *out, struct span text)
{
    const size_t before = out->len;
    int r = bytes_add(out, "\"", 1);
    if (r == 0)
        r = json_add_escaped(out, text);
    if (r == 0)
        r = bytes_add(out, "\"", 1);
    if (r < 0)
        out->len = before;
    return r;
}
