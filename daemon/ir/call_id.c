/*
 * See call_id.h. What a client is shown is one of three, and which one can be seen from the id:
 *
 *     kept      any safe id that does not look like one of the others
 *     wrapped   "aictl_" spelling "_" salt      functions.f:0 -> aictl_functionsZ2efZ3a0_salt
 *     hashed    "aictl_" 22 letters and digits  where a wrapped one would be too long
 *
 * In a spelling every byte but A-Y a-z 0-9 _ - is Z with two hex digits, so that Z means nothing else
 * and names of tools stay short. A safe id that looks wrapped or hashed (the provider may be another
 * aictl) is wrapped like an unsafe one: what we unwrap is always what we wrapped. An id of somebody
 * else's that merely begins with "aictl_" does not unwrap to one that we would have wrapped.
 */
#include "ir/call_id.h"
#include "base/utf8.h"

#define PREFIX     SPAN("aictl_")
#define ESCAPE     'Z'
#define HASH_LEN   22 /* base-62 digits of 128 bits */
#define SHORT_LEN  9
#define SALT_MAX   8 /* a longer one is hashed to this */
#define SALT_LEAST 4 /* to this length a salt gives way to a long id */

__extension__ typedef unsigned __int128 uint128;

static bool needs_wrap(struct span plain);

/* ---- hashes ---- */

/* FNV-1a of 128 bits. The byte 0xff is in no UTF-8, so it separates id and salt. */
static uint128 hash_of(struct span plain, struct span salt)
{
    const uint128 prime = (uint128)1 << 88 | 0x13b;
    uint128 hash = (uint128)0x6c62272e07bb0142 << 64 | 0x62b821756295c58d;
    for (size_t i = 0; i < plain.len; i++)
        hash = (hash ^ (unsigned char)plain.at[i]) * prime;
    hash = (hash ^ 0xff) * prime;
    for (size_t i = 0; i < salt.len; i++)
        hash = (hash ^ (unsigned char)salt.at[i]) * prime;
    return hash;
}

/* Folded and stirred, for where only a part of the bits is used. */
static uint64_t stir(uint128 hash)
{
    uint64_t x = (uint64_t)(hash >> 64) ^ ((uint64_t)hash << 29 | (uint64_t)hash >> 35);
    x = (x ^ x >> 33) * 0xff51afd7ed558ccd;
    x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53;
    return x ^ x >> 33;
}

static void write_base62(uint128 value, char *out, size_t len)
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    for (size_t i = 0; i < len; i++, value /= 62)
        out[i] = digits[(unsigned)(value % 62)];
}

/* ---- characters ---- */

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool is_safe_char(char c)
{
    return is_alnum(c) || c == '_' || c == '-';
}

static bool is_spelled_out(char c)
{
    return c == ESCAPE || !is_safe_char(c);
}

static bool is_all(struct span text, bool (*is)(char))
{
    for (size_t i = 0; i < text.len; i++)
        if (!is(text.at[i]))
            return false;
    return true;
}

static bool is_safe(struct span plain)
{
    return plain.len > 0 && plain.len <= IR_CALL_ID_MAX && is_all(plain, is_safe_char);
}

static struct span without_prefix(struct span text)
{
    return (struct span){text.at + PREFIX.len, text.len - PREFIX.len};
}

static bool is_hashed(struct span plain)
{
    return plain.len == PREFIX.len + HASH_LEN && span_starts(plain, PREFIX) &&
           is_all(without_prefix(plain), is_alnum);
}

/* ---- spelling ---- */

/* Its length, or more than IR_CALL_ID_MAX. */
static size_t spell(struct span plain, char out[IR_CALL_ID_MAX + 3])
{
    static const char hex[] = "0123456789abcdef";
    size_t len = 0;
    for (size_t i = 0; i < plain.len && len <= IR_CALL_ID_MAX; i++) {
        unsigned char c = (unsigned char)plain.at[i];
        if (!is_spelled_out(plain.at[i])) {
            out[len++] = plain.at[i];
            continue;
        }
        out[len++] = ESCAPE;
        out[len++] = hex[c >> 4];
        out[len++] = hex[c & 15];
    }
    return len;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte at `at` of a spelling; false when spell() would not have written it. */
static bool read_byte(const char **at, const char *end, char *ret)
{
    if (**at != ESCAPE) {
        *ret = *(*at)++;
        return !is_spelled_out(*ret);
    }
    if (end - *at < 3)
        return false;
    int high = hex_value((*at)[1]), low = hex_value((*at)[2]);
    if (high < 0 || low < 0)
        return false;
    *ret = (char)(high << 4 | low);
    *at += 3;
    return is_spelled_out(*ret);
}

static bool read_spelling(struct span spelling, char out[IR_CALL_ID_MAX], size_t *ret_len)
{
    const char *at = spelling.at, *end = spelling.at + spelling.len;
    size_t len = 0;
    while (at < end)
        if (!read_byte(&at, end, &out[len++]))
            return false;
    *ret_len = len;
    return utf8_valid_length((struct span){out, len}) == len;
}

/* ---- wrapping ---- */

/* What wrap() made this id of; false when it did not. Goes down by a prefix with each level. */
static bool undo(struct span id, char out[IR_CALL_ID_MAX], size_t *ret_len)
{
    if (id.len > IR_CALL_ID_MAX || !span_starts(id, PREFIX))
        return false;
    struct span rest = without_prefix(id);
    const char *cut = rest.len ? memrchr(rest.at, '_', rest.len) : NULL;
    if (!cut)
        return false;
    struct span spelling = {rest.at, (size_t)(cut - rest.at)};
    struct span salt = {cut + 1, rest.len - spelling.len - 1};
    return spelling.len > 0 && salt.len <= SALT_MAX && is_all(salt, is_alnum) &&
           read_spelling(spelling, out, ret_len) && needs_wrap((struct span){out, *ret_len});
}

static bool needs_wrap(struct span plain)
{
    char inner[IR_CALL_ID_MAX];
    size_t len;
    return !is_safe(plain) || is_hashed(plain) || undo(plain, inner, &len);
}

/* At most SALT_MAX letters and digits; its length. */
static size_t cut_salt(const char *salt, char out[SALT_MAX])
{
    struct span whole = span_of(salt);
    if (whole.len > SALT_MAX || !is_all(whole, is_alnum)) {
        write_base62(stir(hash_of(whole, SPAN(""))), out, SALT_MAX);
        return SALT_MAX;
    }
    if (whole.len > 0)
        memcpy(out, whole.at, whole.len);
    return whole.len;
}

static int keep(struct span made, struct arena *arena, struct ir_text *ret)
{
    const char *copy = arena_copy(arena, made);
    if (!copy)
        return -ERR_TOO_LARGE;
    *ret = (struct ir_text){{copy, made.len}};
    return 0;
}

static int wrap_hashed(struct span plain, const char *salt, struct arena *arena,
                       struct ir_text *ret)
{
    char made[sizeof("aictl_") - 1 + HASH_LEN];
    memcpy(made, PREFIX.at, PREFIX.len);
    write_base62(hash_of(plain, span_of(salt)), made + PREFIX.len, HASH_LEN);
    return keep((struct span){made, sizeof(made)}, arena, ret);
}

static int wrap(struct span plain, const char *salt, struct arena *arena, struct ir_text *ret)
{
    char spelling[IR_CALL_ID_MAX + 3], short_salt[SALT_MAX], made[IR_CALL_ID_MAX];
    size_t len = spell(plain, spelling), salt_len = cut_salt(salt, short_salt);
    size_t least = salt_len < SALT_LEAST ? salt_len : SALT_LEAST;
    if (PREFIX.len + len + 1 + least > sizeof(made))
        return wrap_hashed(plain, salt, arena, ret);
    size_t room = sizeof(made) - PREFIX.len - len - 1;
    salt_len = salt_len < room ? salt_len : room;
    memcpy(made, PREFIX.at, PREFIX.len);
    memcpy(made + PREFIX.len, spelling, len);
    made[PREFIX.len + len] = '_';
    memcpy(made + PREFIX.len + len + 1, short_salt, salt_len);
    return keep((struct span){made, PREFIX.len + len + 1 + salt_len}, arena, ret);
}

/* ---- for the dialects ---- */

int ir_call_id_show(struct ir_text id, const char *salt, struct arena *arena, struct ir_text *ret)
{
    struct span plain;
    int r = ir_text_plain(id, arena, &plain);
    if (r < 0)
        return r;
    if (plain.len > 0 && needs_wrap(plain))
        return wrap(plain, salt, arena, ret);
    *ret = (struct ir_text){plain}; /* safe: there is nothing to be escaped */
    return 0;
}

int ir_call_id_unwrap(struct ir_text id, struct arena *arena, struct ir_text *ret)
{
    struct span plain;
    char own[IR_CALL_ID_MAX];
    size_t len;
    int r = ir_text_plain(id, arena, &plain);
    if (r < 0)
        return r;
    if (!undo(plain, own, &len)) {
        *ret = id;
        return 0;
    }
    const char *copy = arena_copy(arena, (struct span){own, len});
    return copy ? ir_text_escape((struct span){copy, len}, arena, ret) : -ERR_TOO_LARGE;
}

int ir_call_id_safe(struct ir_text id, struct arena *arena, struct ir_text *ret)
{
    struct span plain;
    char own[IR_CALL_ID_MAX];
    size_t len;
    int r = ir_text_plain(id, arena, &plain);
    if (r < 0)
        return r;
    if (undo(plain, own, &len) && is_safe((struct span){own, len}))
        return keep((struct span){own, len}, arena, ret);
    if (plain.len > 0 && !is_safe(plain))
        return wrap(plain, "", arena, ret);
    *ret = (struct ir_text){plain}; /* a wrapped one stays: its salt keeps equal ids apart */
    return 0;
}

int ir_call_id_short(struct ir_text id, struct arena *arena, struct ir_text *ret)
{
    struct span plain;
    char made[SHORT_LEN];
    int r = ir_text_plain(id, arena, &plain);
    if (r < 0)
        return r;
    if (plain.len == 0 || (plain.len == SHORT_LEN && is_all(plain, is_alnum))) {
        *ret = (struct ir_text){plain};
        return 0;
    }
    write_base62(stir(hash_of(plain, SPAN(""))), made, sizeof(made));
    return keep((struct span){made, sizeof(made)}, arena, ret);
}
