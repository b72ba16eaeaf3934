/* See utf8.h. Runs of ASCII are checked eight bytes at a time. */
#include "base/utf8.h"

#define HIGH_BITS 0x8080808080808080u

static bool is_tail(unsigned char c)
{
    return (c & 0xc0) == 0x80;
}

/* Range of the second byte (the first one decides), which rules out overlong forms and surrogates.
 */
static bool is_second(unsigned char first, unsigned char second)
{
    switch (first) {
    case 0xe0:
        return second >= 0xa0 && second <= 0xbf;
    case 0xed:
        return second >= 0x80 && second <= 0x9f;
    case 0xf0:
        return second >= 0x90 && second <= 0xbf;
    case 0xf4:
        return second >= 0x80 && second <= 0x8f;
    default:
        return is_tail(second);
    }
}

size_t utf8_sequence(const char *at, const char *end)
{
    if (at >= end)
        return 0;
    const unsigned char *p = (const unsigned char *)at;
    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xc2 || p[0] > 0xf4)
        return 0;
    size_t len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if ((size_t)(end - at) < len || !is_second(p[0], p[1]))
        return 0;
    for (size_t i = 2; i < len; i++)
        if (!is_tail(p[i]))
            return 0;
    return len;
}

size_t utf8_valid_length(struct span text)
{
    const char *at = text.at, *end = text.at + text.len;
    while (at < end) {
        uint64_t word;
        if ((size_t)(end - at) >= sizeof(word)) {
            memcpy(&word, at, sizeof(word));
            if (!(word & HIGH_BITS)) {
                at += sizeof(word);
                continue;
            }
        }
        size_t len = utf8_sequence(at, end);
        if (len == 0)
            break;
        at += len;
    }
    return (size_t)(at - text.at);
}

size_t utf8_encode(uint32_t code, char out[4])
{
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t len = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = len - 1; i > 0; i--, code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)(lead[len] | code);
    return len;
}

struct span utf8_cut(struct span text, size_t max)
{
    if (text.len <= max)
        return text;
    text.len = max;
    while (text.len && is_tail((unsigned char)text.at[text.len]))
        text.len--;
    return text;
}
