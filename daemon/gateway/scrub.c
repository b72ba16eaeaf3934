/* See scrub.h. */
#include "gateway/scrub.h"

#include <ctype.h>
#include <stdio.h>

#define RUN_MIN   32 /* letters and digits in a row that no ordinary word has */
#define KEY_MIN   8  /* characters behind a known beginning */
#define TEXT_SIZE 512

static const char mask[] = "[key]";

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

/* Length of the key at the start of text; 0 when there is none. */
static size_t key_length(struct span text)
{
    static const char *const beginnings[] = {"sk-", "sk_", "AIza", "xai-", "gsk_", "Bearer ", "aictl-"};
    for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++) {
        struct span beginning = span_of(beginnings[i]);
        if (!span_starts(text, beginning))
            continue;
        size_t n = length_while(text, beginning.len, is_key_char);
        if (n >= KEY_MIN)
            return beginning.len + n;
    }
    size_t run = length_while(text, 0, is_run_char);
    return run >= RUN_MIN ? run : 0;
}

int scrub_body(struct span body, struct bytes *out)
{
    int r = 0;
    for (size_t i = 0; i < body.len && r == 0;) {
        bool starts_word = i == 0 || !isalnum((unsigned char)body.at[i - 1]);
        size_t key = starts_word ? key_length((struct span){body.at + i, body.len - i}) : 0;
        r = key ? bytes_add_span(out, SPAN(mask)) : bytes_add(out, body.at + i, 1);
        i += key ? key : 1;
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
