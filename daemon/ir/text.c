/* See text.h. Reading goes by runs between backslashes, so that long texts cost a memchr. */
#include "ir/text.h"
#include "base/utf8.h"

struct ir_text ir_text_of(struct json string)
{
    if (string.type != JSON_STRING)
        return (struct ir_text){{NULL, 0}};
    return (struct ir_text){json_raw_text(string)};
}

/* ---- writing ---- */

/* What one byte that cannot stand in a JSON string becomes; see json_add_escaped(). */
static size_t special_length(char c)
{
    switch (c) {
    case '"':
    case '\\':
    case '\b':
    case '\t':
    case '\n':
    case '\f':
    case '\r':
        return 2;
    default:
        return (unsigned char)c < 0x20 ? 6 : sizeof(UTF8_REPLACEMENT) - 1;
    }
}

/* Bytes of a plain text once it is escaped; equal to plain.len when nothing needs it. */
static size_t escaped_length(struct span plain, bool *ret_is_same)
{
    const char *at = plain.at, *end = plain.at + plain.len;
    size_t len = 0;
    *ret_is_same = true;
    while (at < end) {
        size_t run =
            (unsigned char)*at < 0x20 || *at == '"' || *at == '\\' ? 0 : utf8_sequence(at, end);
        *ret_is_same = *ret_is_same && run > 0;
        len += run ? run : special_length(*at);
        at += run ? run : 1;
    }
    return len;
}

int ir_text_escape(struct span plain, struct arena *arena, struct ir_text *ret)
{
    bool is_same = true;
    size_t len = plain.len ? escaped_length(plain, &is_same) : 0;
    if (is_same) {
        *ret = (struct ir_text){plain};
        return 0;
    }
    char *piece = arena_alloc(arena, len + 1);
    if (!piece)
        return -ERR_TOO_LARGE;
    struct bytes out = {.data = piece, .cap = len + 1, .max = len}; /* full, so it never moves */
    int r = json_add_escaped(&out, plain);
    if (r == 0)
        *ret = (struct ir_text){bytes_span(&out)};
    return r;
}

int ir_text_add(struct bytes *out, struct ir_text text)
{
    int r =
        text.escaped.len > SIZE_MAX - 2 ? -ERR_TOO_LARGE : bytes_reserve(out, text.escaped.len + 2);
    if (r == 0)
        r = bytes_add(out, "\"", 1);
    if (r == 0)
        r = bytes_add_span(out, text.escaped);
    if (r == 0)
        r = bytes_add(out, "\"", 1);
    return r;
}

/* ---- reading ---- */

/* Bytes up to the next escape. */
static size_t run_length(const struct json_reader *reader)
{
    size_t rest = (size_t)(reader->end - reader->at);
    const char *hit = rest ? memchr(reader->at, '\\', rest) : NULL;
    return hit ? (size_t)(hit - reader->at) : rest;
}

static struct json_reader reader_of(struct ir_text text)
{
    struct span raw = text.escaped.at ? text.escaped : SPAN("");
    return (struct json_reader){.at = raw.at, .end = raw.at + raw.len};
}

/* Decodes; out NULL: only measures. */
static size_t decode(struct ir_text text, char *out)
{
    size_t len = 0;
    struct json_reader reader = reader_of(text);
    while (reader.at < reader.end) {
        struct span piece = {reader.at, run_length(&reader)};
        if (piece.len > 0)
            reader.at += piece.len;
        else
            (void)json_read(&reader, &piece); /* there is a backslash to be read */
        if (out)
            memcpy(out + len, piece.at, piece.len);
        len += piece.len;
    }
    return len;
}

int ir_text_plain(struct ir_text text, struct arena *arena, struct span *ret)
{
    struct span raw = text.escaped;
    if (raw.len == 0 || !memchr(raw.at, '\\', raw.len)) {
        *ret = raw;
        return 0;
    }
    size_t len = decode(text, NULL);
    char *plain = arena_alloc(arena, len + 1);
    if (!plain)
        return -ERR_TOO_LARGE;
    (void)decode(text, plain); /* measured above */
    *ret = (struct span){plain, len};
    return 0;
}

bool ir_text_is_blank(struct ir_text text)
{
    struct json_reader reader = reader_of(text);
    struct span character;
    while (json_read(&reader, &character))
        if (character.len != 1 || !character.at[0] || !strchr(" \t\n\r", character.at[0]))
            return false;
    return true;
}

bool ir_text_is_media_type(struct ir_text text)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "/.+-_";
    for (size_t i = 0; i < text.escaped.len; i++)
        if (!memchr(letters, text.escaped.at[i], sizeof(letters) - 1))
            return false;
    return text.escaped.len > 0;
}

int ir_text_compare(struct ir_text a, struct ir_text b)
{
    size_t len = a.escaped.len < b.escaped.len ? a.escaped.len : b.escaped.len;
    int order = len ? memcmp(a.escaped.at, b.escaped.at, len) : 0;
    return order ? order : (a.escaped.len > b.escaped.len) - (a.escaped.len < b.escaped.len);
}

/* FNV-1a, 64 bit. */
uint64_t ir_text_hash_more(uint64_t hash, struct ir_text piece)
{
    if (!hash)
        hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < piece.escaped.len; i++)
        hash = (hash ^ (unsigned char)piece.escaped.at[i]) * 0x100000001b3u;
    return hash ? hash : 1;
}

uint64_t ir_text_hash(struct ir_text text)
{
    return ir_text_hash_more(0, text);
}
