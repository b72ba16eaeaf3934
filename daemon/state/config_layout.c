/* See config_layout.h. */
#include "state/config_layout.h"

#define UNIT_MAX 8
#define TEXT_MAX (4 * 1024 * 1024) /* of one edit */

static struct span original_of(const struct config_layout *layout)
{
    return layout->text->original;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* ---- what is there ---- */

static size_t line_start(struct span text, size_t offset)
{
    while (offset > 0 && text.at[offset - 1] != '\n')
        offset--;
    return offset;
}

struct span config_line_indent(const struct config_layout *layout, const char *at)
{
    struct span text = original_of(layout);
    size_t start = line_start(text, config_text_offset(layout->text, at)), end = start;
    while (end < text.len && is_blank(text.at[end]))
        end++;
    return (struct span){text.at + start, end - start};
}

struct span config_own_indent(const struct config_layout *layout, struct json slice)
{
    struct span indent = config_line_indent(layout, slice.at);
    size_t offset = config_text_offset(layout->text, slice.at);
    if (indent.at + indent.len != original_of(layout).at + offset)
        return (struct span){NULL, 0};
    return indent;
}

bool config_is_spread(struct json slice)
{
    return memchr(slice.at, '\n', slice.len) != NULL;
}

static struct span find_unit(const struct config_layout *layout)
{
    struct json key, value;
    struct json_iter iter = json_iter(layout->text->root);
    if (json_next_member(&iter, &key, &value)) {
        struct span indent = config_own_indent(layout, key);
        if (indent.len > 0 && indent.len <= UNIT_MAX)
            return indent;
    }
    return SPAN("  ");
}

static const char *find_eol(struct span text)
{
    const char *first = text.len ? memchr(text.at, '\n', text.len) : NULL;
    return first && first > text.at && first[-1] == '\r' ? "\r\n" : "\n";
}

void config_layout_init(struct config_layout *layout, const struct config_text *text)
{
    *layout = (struct config_layout){
        .text = text,
        .eol = find_eol(text->original),
        .is_one_line = !config_is_spread(text->root),
    };
    layout->unit = find_unit(layout);
    arena_init(&layout->arena, 16 * 1024 * 1024); /* a row of 1024 long names fits many times */
    splices_init(&layout->edits, &layout->arena);
}

void config_layout_release(struct config_layout *layout)
{
    arena_release(&layout->arena);
}

/* ---- edits ---- */

static int add_edit(struct config_layout *layout, size_t offset, size_t len, struct span text)
{
    const char *copy = arena_copy(&layout->arena, text);
    if (!copy)
        return -ERR_TOO_LARGE;
    return splices_add(&layout->edits, offset, len, (struct span){copy, text.len});
}

int config_replace(struct config_layout *layout, struct json slice, struct span text)
{
    return add_edit(layout, config_text_offset(layout->text, slice.at), slice.len, text);
}

/* What follows a value up to the next token or the end of its line. */
struct trail {
    size_t end; /* behind the last comma or comment on the line */
    bool has_comma;
    bool ends_line; /* nothing but comments follows on the line */
};

/* The end of the comment at `at`, or `at` when there is none; comments are known to be closed. */
static size_t skip_comment(struct span text, size_t at)
{
    struct span rest = {text.at + at, text.len - at};
    bool is_line = span_starts(rest, SPAN("//"));
    if (!is_line && !span_starts(rest, SPAN("/*")))
        return at;
    size_t end = at + 2;
    if (is_line)
        while (end < text.len && text.at[end] != '\n')
            end++;
    else
        while (end < text.len && !(text.at[end - 1] == '*' && text.at[end] == '/' && end > at + 2))
            end++;
    if (!is_line)
        return end < text.len ? end + 1 : end;
    return text.at[end - 1] == '\r' ? end - 1 : end;
}

static struct trail trail_of(struct span text, size_t at)
{
    struct trail trail = {.end = at};
    while (at < text.len) {
        size_t behind = skip_comment(text, at);
        if (behind > at) {
            at = trail.end = behind;
        } else if (is_blank(text.at[at])) {
            at++;
        } else if (text.at[at] == ',' && !trail.has_comma) {
            trail.has_comma = true;
            trail.end = ++at;
        } else {
            trail.ends_line = text.at[at] == '\n' || text.at[at] == '\r';
            break;
        }
    }
    return trail;
}

/* Items on lines of their own: behind the comma and comments of the anchor's line. */
static int insert_lines(struct config_layout *layout, size_t behind, const struct trail *trail,
                        struct span indent, const struct span *items, size_t count)
{
    struct bytes out = {.max = TEXT_MAX};
    int r = 0;
    for (size_t i = 0; i < count && r == 0; i++)
        r = bytes_addf(&out, "%s" SPAN_FMT SPAN_FMT "%s", layout->eol, SPAN_ARG(indent),
                       SPAN_ARG(items[i]), i + 1 < count || trail->has_comma ? "," : "");
    if (r == 0 && !trail->has_comma)
        r = add_edit(layout, behind, 0, SPAN(","));
    if (r == 0)
        r = add_edit(layout, trail->end, 0, bytes_span(&out));
    bytes_release(&out);
    return r;
}

static int insert_inline(struct config_layout *layout, size_t behind, const struct span *items,
                         size_t count)
{
    struct bytes out = {.max = TEXT_MAX};
    int r = 0;
    for (size_t i = 0; i < count && r == 0; i++)
        r = bytes_addf(&out, ", " SPAN_FMT, SPAN_ARG(items[i]));
    if (r == 0)
        r = add_edit(layout, behind, 0, bytes_span(&out));
    bytes_release(&out);
    return r;
}

int config_insert_behind(struct config_layout *layout, struct json start, struct json value,
                         const struct span *items, size_t count)
{
    size_t behind = config_text_offset(layout->text, value.at) + value.len;
    struct span indent = config_own_indent(layout, start);
    struct trail trail = trail_of(original_of(layout), behind);
    if (indent.at && trail.ends_line)
        return insert_lines(layout, behind, &trail, indent, items, count);
    return insert_inline(layout, behind, items, count);
}

int config_insert_first(struct config_layout *layout, struct json container, struct span item)
{
    struct json bracket = {container.at + container.len - 1, 1, JSON_ABSENT};
    size_t offset = config_text_offset(layout->text, bracket.at);
    if (layout->is_one_line)
        return add_edit(layout, offset, 0, item);
    struct span closing = config_own_indent(layout, bracket);
    struct span base = config_line_indent(layout, closing.at ? bracket.at : container.at);
    char *text;
    if (closing.at) /* the bracket has a line of its own: the item gets one before it */
        text = arena_printf(&layout->arena, SPAN_FMT SPAN_FMT "%s" SPAN_FMT, SPAN_ARG(layout->unit),
                            SPAN_ARG(item), layout->eol, SPAN_ARG(closing));
    else
        text = arena_printf(&layout->arena, "%s" SPAN_FMT SPAN_FMT SPAN_FMT "%s" SPAN_FMT,
                            layout->eol, SPAN_ARG(base), SPAN_ARG(layout->unit), SPAN_ARG(item),
                            layout->eol, SPAN_ARG(base));
    return text ? add_edit(layout, offset, 0, span_of(text)) : -ERR_TOO_LARGE;
}
