/* See arguments.h. */
#include "ir/arguments.h"

/* Without the white space in front, which stands there as spaces and escapes. */
static struct span skip_blank(struct span text)
{
    while (text.len) {
        size_t len = 0;
        if (text.at[0] == ' ')
            len = 1;
        else if (text.len > 1 && text.at[0] == '\\' && memchr("nrt", text.at[1], 3))
            len = 2;
        if (len == 0)
            break;
        text.at += len;
        text.len -= len;
    }
    return text;
}

bool ir_arguments_are_none(struct ir_text text)
{
    struct span rest = skip_blank(text.escaped);
    if (span_starts(rest, SPAN("null")))
        rest = skip_blank((struct span){rest.at + 4, rest.len - 4});
    return rest.len == 0;
}

bool ir_arguments_may_be_none(struct ir_text text)
{
    struct span rest = skip_blank(text.escaped);
    return rest.len == 0 || span_starts(SPAN("null"), rest) || ir_arguments_are_none(text);
}

/* One decoded character; those of more than one byte stand in strings alone. */
static void follow(struct ir_arguments *arguments, char c)
{
    if (arguments->is_behind_backslash) {
        arguments->is_behind_backslash = false;
    } else if (arguments->is_in_string) {
        arguments->is_behind_backslash = c == '\\';
        arguments->is_in_string = c != '"';
    } else if (c == '"') {
        arguments->is_in_string = true;
    } else if (c == '{' || c == '[') {
        arguments->depth++;
    } else if ((c == '}' || c == ']') && --arguments->depth == 0) {
        arguments->is_whole = true;
    }
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

struct ir_text ir_arguments_follow(struct ir_arguments *arguments, struct ir_text piece)
{
    struct span text = piece.escaped, character;
    if (arguments->is_odd)
        return piece;
    struct json_reader reader = {.at = text.at, .end = text.at + text.len};
    while (!arguments->is_whole && json_read(&reader, &character)) {
        char c = character.at[0];
        if (!arguments->has_begun && is_space(c))
            continue;
        if (!arguments->has_begun && c != '{') {
            arguments->is_odd = true;
            return piece;
        }
        arguments->has_begun = true;
        follow(arguments, c);
    }
    return (struct ir_text){{text.at, (size_t)(reader.at - text.at)}};
}
