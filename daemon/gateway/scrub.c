/* See scrub.h. */
#include "gateway/scrub.h"

#include <ctype.h>
#include <stdio.h>

#define RUN_MIN     32 /* letters and digits in a row that no ordinary word has */
#define STRETCH_MIN 20 /* of them without a slash: a path has shorter parts */
#define KEY_MIN     8  /* characters behind a known beginning */
#define KEY_LONG    20 /* this many need no digit to look like a key */
#define TEXT_SIZE   512

static const char mask[] = "[key]";

/* How keys begin. Where words do too, a digit is asked for. */
static const struct {
    const char *text;
    bool needs_digit;
} beginnings[] = {
    {"sk-", false},    {"sk_", false},    {"AIza", false},   {"xai-", false}, {"gsk_", false},
    {"aictl-", false}, {"Bearer ", true}, {"bearer ", true}, {"pplx-", true}, {"nvapi-", true},
    {"csk-", true},    {"hf_", true},     {"fw_", true},     {"ya29.", true},
};

static bool is_key_char(char c)
{
    return isalnum((unsigned char)c) || c == '-' || c == '_' || c == '.';
}

static bool is_run_char(char c)
{
    return isalnum((unsigned char)c) || c == '+' || c == '/' || c == '=';
}

static size_t length_while(struct span text, size_t from, bool (*is)(char))
{
    size_t n = from;
    while (n < text.len && is(text.at[n]))
        n++;
    return n - from;
}

static bool has_digit(const char *at, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (isdigit((unsigned char)at[i]))
            return true;
    return false;
}

static bool is_hex(const char *at, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!isxdigit((unsigned char)at[i]))
            return false;
    return true;
}

/*
 * Length of \n, \u0022 or %20 at the start of text; 0 when there is none. Its last letter belongs
 * to no word, and it is never torn apart: JSON stays JSON.
 */
static size_t escape_length(struct span text)
{
    if (text.len >= 3 && text.at[0] == '%' && is_hex(text.at + 1, 2))
        return 3;
    if (text.len >= 6 && !memcmp(text.at, "\\u", 2) && is_hex(text.at + 2, 4))
        return 6;
    return text.len >= 2 && text.at[0] == '\\' && memchr("bfnrt/\\\"", text.at[1], 8) ? 2 : 0;
}

/* Length of a key with a known beginning at the start of text; 0 when there is none. */
static size_t known_length(struct span text)
{
    for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++) {
        struct span beginning = span_of(beginnings[i].text);
        if (!span_starts(text, beginning))
            continue;
        size_t n = length_while(text, beginning.len, is_key_char);
        if (n >= KEY_LONG ||
            (n >= KEY_MIN && (!beginnings[i].needs_digit || has_digit(text.at + beginning.len, n))))
            return beginning.len + n;
    }
    return 0;
}

/* Length of a long run at the start of text, with what hangs on it by dots and dashes; 0: none. */
static size_t run_length(struct span text)
{
    size_t run = length_while(text, 0, is_run_char), longest = 0, stretch = 0;
    for (size_t i = 0; i < run; i++) {
        stretch = text.at[i] == '/' ? 0 : stretch + 1;
        longest = stretch > longest ? stretch : longest;
    }
    if (run < RUN_MIN || longest < STRETCH_MIN)
        return 0;
    run += length_while(text, run, is_key_char);
    return text.at[run - 1] == '.' ? run - 1 : run;
}

/* Length of the key at the start of text; `before` is what stands before it. 0: none. */
static size_t key_length(struct span text, char before)
{
    size_t known = isalnum((unsigned char)before) ? 0 : known_length(text);
    if (known)
        return known;
    return is_run_char(before) ? 0 : run_length(text); /* a run is looked at once, from its start */
}

int scrub_body(struct span body, struct bytes *out)
{
    int r = 0;
    char before = ' ';
    for (struct span rest = body; rest.len && r == 0;) {
        size_t key = key_length(rest, before);
        size_t escape = key ? 0 : escape_length(rest);
        size_t step = key ? key : escape ? escape : 1;
        r = key ? bytes_add_span(out, SPAN(mask)) : bytes_add(out, rest.at, step);
        before = escape ? ' ' : rest.at[step - 1];
        rest = (struct span){rest.at + step, rest.len - step};
    }
    return r;
}

const char *scrub_text(const char *text)
{
    static char buffers[4][TEXT_SIZE];
    static unsigned turn;
    char *copy = buffers[turn++ % 4];
    struct bytes scrubbed = {.max = 65536};
    (void)scrub_body(span_of(text), &scrubbed); /* what does not fit is cut */
    (void)snprintf(copy, TEXT_SIZE, SPAN_FMT, SPAN_ARG(bytes_span(&scrubbed)));
    bytes_release(&scrubbed);
    return copy;
}
