/* See form.h. */
#include "gateway/form.h"

/* A byte order mark or white space (OpenRouter keeps a plain answer alive with it) says nothing. */
static struct span skip_blank(struct span body)
{
    if (span_starts(body, SPAN("\xef\xbb\xbf")))
        body = (struct span){body.at + 3, body.len - 3};
    while (body.len && memchr(" \t\r\n", body.at[0], 4))
        body = (struct span){body.at + 1, body.len - 1};
    return body;
}

/* What a line of a stream begins with (WHATWG HTML, 9.2). */
static const char *const fields[] = {"data:", "event:", "id:", "retry:", "error:", ":"};

static enum form match_field(struct span body)
{
    enum form form = FORM_WHOLE;
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (span_starts(body, span_of(fields[i])))
            return FORM_STREAM;
        if (span_starts(span_of(fields[i]), body))
            form = FORM_UNKNOWN; /* it may become one */
    }
    return form;
}

enum form form_sniff(struct span body, bool says_stream)
{
    body = skip_blank(body);
    if (body.len == 0)
        return FORM_UNKNOWN;
    if (body.at[0] == '{' || body.at[0] == '[')
        return FORM_WHOLE;
    return says_stream ? FORM_STREAM : match_field(body);
}

bool form_is_blank(struct span body)
{
    return body.len && skip_blank(body).len == 0;
}
