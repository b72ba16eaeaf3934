/*
 * Changing config.json as text; see config.h. What is there is found with the scanner, what changes
 * is spliced into the original, and the result is read again before it is given out.
 */
#include <stdio.h>

#include "base/log.h"
#include "base/own.h"
#include "state/config.h"
#include "state/config_layout.h"

#define ITEM_MAX (1024 * 1024)

/* ---- values as text ---- */

static int add_string(struct bytes *out, const char *text)
{
    return json_add_string(out, span_of(text));
}

/* How an array's elements stand on lines of their own. */
struct lines {
    const char *eol;
    struct span indent;  /* before an element */
    struct span closing; /* before the bracket */
};

static int add_line(struct bytes *out, const struct lines *lines, struct span indent)
{
    return bytes_addf(out, "%s" SPAN_FMT, lines->eol, SPAN_ARG(indent));
}

/* ["a", "b"], or one a line when `lines` is not NULL. */
static int add_models(struct bytes *out, const struct provider_row *row, const struct lines *lines)
{
    int r = bytes_add_span(out, SPAN("["));
    for (size_t i = 0; i < row->model_count && r == 0; i++) {
        if (i > 0)
            r = bytes_addf(out, "%s", lines ? "," : ", ");
        if (r == 0 && lines)
            r = add_line(out, lines, lines->indent);
        if (r == 0)
            r = add_string(out, row->models[i]);
    }
    if (r == 0 && lines)
        r = add_line(out, lines, lines->closing);
    return r < 0 ? r : bytes_add_span(out, SPAN("]"));
}

/* A provider's members, in the order in which they are written. */
enum row_member { ROW_NAME, ROW_TYPE, ROW_BASE_URL, ROW_API_KEY, ROW_MODELS, ROW_DESCRIPTION };
#define ROW_COUNT (ROW_DESCRIPTION + 1)

static const char *const row_names[ROW_COUNT] = {"name",   "type",   "baseURL",
                                                 "apiKey", "models", "description"};

/* apiKey has to be written to say "no key" only where leaving it out means a key of the vault. */
static bool needs_no_key_mark(const struct provider_row *row)
{
    char origin[URL_ORIGIN_MAX];
    return !row->has_key && row->base_url &&
           url_origin(span_of(row->base_url), false, origin, sizeof(origin), NULL) == 0 &&
           !url_is_loopback(span_of(origin));
}

static bool has_member(const struct provider_row *row, enum row_member member)
{
    switch (member) {
    case ROW_BASE_URL:
        return row->base_url && row->base_url[0];
    case ROW_API_KEY:
        return row->has_key || needs_no_key_mark(row);
    case ROW_DESCRIPTION:
        return row->description && row->description[0];
    default:
        return true;
    }
}

static int add_key_reference(struct bytes *out, const char *provider)
{
    return bytes_addf(out, "\"vault:%s\"", provider); /* a provider's name needs no escapes */
}

static int add_value(struct bytes *out, const struct provider_row *row, enum row_member member)
{
    switch (member) {
    case ROW_NAME:
        return add_string(out, row->name);
    case ROW_TYPE:
        return add_string(out, row->type);
    case ROW_BASE_URL:
        return add_string(out, row->base_url);
    case ROW_API_KEY:
        return row->has_key ? add_key_reference(out, row->name) : add_string(out, "");
    case ROW_MODELS:
        return add_models(out, row, NULL);
    default:
        return add_string(out, row->description);
    }
}

/* A whole row. indent NULL: on one line; else what stands before the closing brace. */
static int add_row(struct bytes *out, const struct provider_row *row, const char *eol,
                   struct span unit, const char *indent)
{
    int r = bytes_add_span(out, indent ? SPAN("{") : SPAN("{ "));
    for (unsigned m = 0, written = 0; m < ROW_COUNT && r == 0; m++) {
        if (!has_member(row, m))
            continue;
        r = bytes_addf(out, "%s", written++ ? (indent ? "," : ", ") : "");
        if (r == 0 && indent)
            r = bytes_addf(out, "%s%s" SPAN_FMT, eol, indent, SPAN_ARG(unit));
        if (r == 0)
            r = bytes_addf(out, "\"%s\": ", row_names[m]);
        if (r == 0)
            r = add_value(out, row, m);
    }
    if (r == 0)
        r = indent ? bytes_addf(out, "%s%s}", eol, indent) : bytes_add_span(out, SPAN(" }"));
    return r;
}

/* ---- finding ---- */

struct member {
    struct json key, value; /* JSON_ABSENT when there is none */
};

static struct member find_member(struct json object, const char *name)
{
    struct member member;
    struct json_iter iter = json_iter(object);
    while (object.type == JSON_OBJECT && json_next_member(&iter, &member.key, &member.value))
        if (json_is(member.key, name))
            return member;
    return (struct member){0};
}

static struct member last_member(struct json object)
{
    struct member last = {0}, member;
    struct json_iter iter = json_iter(object);
    while (object.type == JSON_OBJECT && json_next_member(&iter, &member.key, &member.value))
        last = member;
    return last;
}

static bool is_text(struct json string, const char *text)
{
    return string.type == JSON_STRING && json_is(string, text);
}

static bool is_named(struct json provider, const char *name)
{
    struct arena arena;
    struct span text;
    arena_init(&arena, ITEM_MAX);
    bool found = json_text(json_get(provider, "name"), &arena, &text) == 0 &&
                 span_equal_nocase(text, span_of(name));
    arena_release(&arena);
    return found;
}

static struct json find_provider(struct json root, const char *name)
{
    struct json provider;
    struct json array = find_member(root, "providers").value;
    struct json_iter iter = json_iter(array);
    while (array.type == JSON_ARRAY && json_next(&iter, &provider))
        if (provider.type == JSON_OBJECT && is_named(provider, name))
            return provider;
    return (struct json){0};
}

/* ---- opening and giving out ---- */

struct editor {
    struct config_text text;
    struct config_layout layout;
};

static void editor_release(struct editor *editor)
{
    config_layout_release(&editor->layout);
    config_text_release(&editor->text);
}

static int refuse_fault(const struct config_fault *fault, struct err *reterr)
{
    return err_set(reterr, ERR_CONFIG_INVALID, "line %u, column %u: %s", fault->place.line,
                   fault->place.column, fault->why);
}

static int editor_init(struct editor *editor, struct span text, struct err *reterr)
{
    struct config_fault fault;
    *editor = (struct editor){0};
    int r = config_text_init(&editor->text, text, &fault);
    if (r < 0)
        return refuse_fault(&fault, reterr);
    config_layout_init(&editor->layout, &editor->text);
    if (editor->text.root.type != JSON_OBJECT)
        return err_set(reterr, ERR_CONFIG_INVALID, "a configuration is an object");
    return 0;
}

static int check_result(struct span text, struct err *reterr)
{
    struct config_text result;
    struct config_fault fault;
    int r = text.len > CONFIG_MAX_BYTES ? -ERR_TOO_LARGE : config_text_init(&result, text, &fault);
    if (r == -ERR_TOO_LARGE)
        return err_set(reterr, ERR_TOO_LARGE, "the configuration would be larger than %d bytes",
                       CONFIG_MAX_BYTES);
    config_text_release(&result);
    return r < 0 ? refuse_fault(&fault, reterr) : 0;
}

/* r is what making the edits gave. */
static int editor_finish(struct editor *editor, int r, struct bytes *out, struct err *reterr)
{
    bytes_clear(out);
    if (r == 0)
        r = splices_apply(&editor->layout.edits, editor->text.original, out);
    if (r < 0)
        return err_set(reterr, -r, "the changed configuration is too large");
    return check_result(bytes_span(out), reterr);
}

/* ---- the key of a provider ---- */

int config_edit_key(struct span text, const char *provider, struct bytes *out, struct err *reterr)
{
    CLEANUP(editor_release) struct editor editor;
    int r = editor_init(&editor, text, reterr);
    if (r < 0)
        return r;
    struct json object = find_provider(editor.text.root, provider);
    if (object.type == JSON_ABSENT || !config_is_provider_name(span_of(provider)))
        return err_set(reterr, ERR_NOT_FOUND, "the configuration has no provider %s",
                       log_quote(span_of(provider), 64));

    char value[80], item[96];
    struct json key = find_member(object, "apiKey").value;
    (void)snprintf(value, sizeof(value), "\"vault:%s\"", provider); /* a name has 63 bytes */
    (void)snprintf(item, sizeof(item), "\"apiKey\": %s", value);
    if (key.type != JSON_ABSENT) {
        r = config_replace(&editor.layout, key, span_of(value));
    } else {
        struct span items[] = {span_of(item)};
        struct member anchor = find_member(object, "baseURL");
        if (anchor.key.type == JSON_ABSENT)
            anchor = last_member(object);
        r = config_insert_behind(&editor.layout, anchor.key, anchor.value, items, 1);
    }
    return editor_finish(&editor, r, out, reterr);
}

/* ---- an existing row ---- */

static bool has_models(struct json array, const struct provider_row *row)
{
    struct json value;
    struct json_iter iter = json_iter(array);
    size_t count = 0;
    if (array.type != JSON_ARRAY)
        return false;
    for (; json_next(&iter, &value); count++)
        if (count == row->model_count || !is_text(value, row->models[count]))
            return false;
    return count == row->model_count;
}

/* One model a line when the old list was written so. */
static int replace_models(struct config_layout *layout, struct json array,
                          const struct provider_row *row)
{
    struct json first;
    struct json_iter iter = json_iter(array);
    struct lines lines = {layout->eol, {NULL, 0}, config_line_indent(layout, array.at)};
    if (array.type == JSON_ARRAY && json_next(&iter, &first))
        lines.indent = config_own_indent(layout, first);
    struct bytes out = {.max = ITEM_MAX};
    int r = add_models(&out, row, lines.indent.at ? &lines : NULL);
    if (r == 0)
        r = config_replace(layout, array, bytes_span(&out));
    bytes_release(&out);
    return r;
}

static int replace_member(struct config_layout *layout, struct json value,
                          const struct provider_row *row, enum row_member member)
{
    if (member == ROW_MODELS)
        return has_models(value, row) ? 0 : replace_models(layout, value, row);
    if (is_text(value, member == ROW_TYPE ? row->type : row->base_url))
        return 0;
    struct bytes out = {.max = ITEM_MAX};
    int r = add_value(&out, row, member);
    if (r == 0)
        r = config_replace(layout, value, bytes_span(&out));
    bytes_release(&out);
    return r;
}

/* Members of the row that the object lacks, as items for its end. */
static int insert_missing(struct config_layout *layout, struct json object,
                          const struct provider_row *row, const enum row_member *members,
                          size_t count)
{
    struct span items[ROW_COUNT];
    for (size_t i = 0; i < count; i++) {
        struct bytes item = {.max = ITEM_MAX};
        int r = bytes_addf(&item, "\"%s\": ", row_names[members[i]]);
        if (r == 0)
            r = add_value(&item, row, members[i]);
        items[i] = (struct span){arena_copy(&layout->arena, bytes_span(&item)), item.len};
        bytes_release(&item);
        if (r < 0 || !items[i].at)
            return -ERR_TOO_LARGE;
    }
    struct member last = last_member(object);
    return config_insert_behind(layout, last.key, last.value, items, count);
}

static int edit_row(struct config_layout *layout, struct json object,
                    const struct provider_row *row)
{
    const enum row_member replaced[] = {ROW_TYPE, ROW_BASE_URL, ROW_MODELS};
    enum row_member missing[ROW_COUNT];
    size_t missing_count = 0;
    int r = 0;
    for (size_t i = 0; i < sizeof(replaced) / sizeof(replaced[0]) && r == 0; i++) {
        enum row_member member = replaced[i];
        struct json value = find_member(object, row_names[member]).value;
        if (!has_member(row, member) || (member == ROW_MODELS && row->model_count == 0))
            continue;
        if (value.type == JSON_ABSENT)
            missing[missing_count++] = member;
        else
            r = replace_member(layout, value, row, member);
    }
    if (r == 0 && missing_count > 0)
        r = insert_missing(layout, object, row, missing, missing_count);
    return r;
}

/* ---- a new row ---- */

/* Behind the last provider, written as that one is. */
static int append_row(struct config_layout *layout, struct json array,
                      const struct provider_row *row)
{
    struct json last = {0}, element;
    struct json_iter iter = json_iter(array);
    while (json_next(&iter, &element))
        last = element;
    bool is_empty = last.type == JSON_ABSENT;
    struct span own = is_empty ? (struct span){NULL, 0} : config_own_indent(layout, last);
    bool is_spread = is_empty ? !layout->is_one_line : own.at && config_is_spread(last);

    struct span base = config_line_indent(layout, array.at), none = {"", 0};
    char *indent = arena_printf(&layout->arena, SPAN_FMT SPAN_FMT, SPAN_ARG(own.at ? own : base),
                                SPAN_ARG(own.at ? none : layout->unit));
    struct bytes item = {.max = ITEM_MAX};
    int r = !indent ? -ERR_TOO_LARGE
                    : add_row(&item, row, layout->eol, layout->unit, is_spread ? indent : NULL);
    struct span items[] = {bytes_span(&item)};
    if (r == 0)
        r = is_empty ? config_insert_first(layout, array, items[0])
                     : config_insert_behind(layout, last, last, items, 1);
    bytes_release(&item);
    return r;
}

/* [ROW] as the value of `providers`; indent NULL: on one line, else that of the member's line. */
static int add_list(struct bytes *out, const struct provider_row *row, const char *eol,
                    struct span unit, const char *indent)
{
    char inner[64];
    (void)snprintf(inner, sizeof(inner), "%.40s" SPAN_FMT, indent ? indent : "", SPAN_ARG(unit));
    int r = indent ? bytes_addf(out, "[%s%s", eol, inner) : bytes_add_span(out, SPAN("["));
    if (r == 0)
        r = add_row(out, row, eol, unit, indent ? inner : NULL);
    if (r == 0)
        r = indent ? bytes_addf(out, "%s%s]", eol, indent) : bytes_add_span(out, SPAN("]"));
    return r;
}

/* `providers` is missing, or null: `old` has its value then. */
static int add_providers(struct config_layout *layout, struct json old,
                         const struct provider_row *row)
{
    struct json root = layout->text->root;
    struct member last = last_member(root);
    char indent[UINT8_MAX];
    struct span own = last.key.at ? config_own_indent(layout, last.key) : layout->unit;
    (void)snprintf(indent, sizeof(indent), SPAN_FMT, SPAN_ARG(own));
    struct bytes item = {.max = ITEM_MAX};
    int r = old.at ? 0 : bytes_add_span(&item, SPAN("\"providers\": "));
    if (r == 0)
        r = add_list(&item, row, layout->eol, layout->unit,
                     layout->is_one_line || !own.at ? NULL : indent);
    struct span items[] = {bytes_span(&item)};
    if (r == 0 && old.at)
        r = config_replace(layout, old, items[0]);
    else if (r == 0)
        r = last.key.at ? config_insert_behind(layout, last.key, last.value, items, 1)
                        : config_insert_first(layout, root, items[0]);
    bytes_release(&item);
    return r;
}

/* Comments only, or nothing: a whole file is written behind them. */
static bool is_empty_file(struct span text)
{
    struct bytes copy = {.max = text.len, .wipe = true};
    bool is_empty =
        bytes_add_span(&copy, text) == 0 && json_blank_comments(copy.data, copy.len, NULL) == 0;
    for (size_t i = 0; i < copy.len && is_empty; i++)
        is_empty = memchr(" \t\r\n", copy.data[i], 4) != NULL;
    bytes_release(&copy);
    return is_empty;
}

/* The first provider's first model is the default: what was just added is what is wanted. */
static int write_file(struct span before, const struct provider_row *row, struct bytes *out)
{
    bool has_line = before.len == 0 || before.at[before.len - 1] == '\n';
    int r = bytes_add_span(out, before);
    if (r == 0)
        r = bytes_addf(out, "%s{\n  \"providers\": ", has_line ? "" : "\n");
    if (r == 0)
        r = add_list(out, row, "\n", SPAN("  "), "  ");
    if (r == 0 && row->model_count > 0) {
        r = bytes_add_span(out, SPAN(",\n  \"defaultModel\": "));
        if (r == 0)
            r = add_string(out, row->models[0]);
    }
    return r == 0 ? bytes_add_span(out, SPAN("\n}\n")) : r;
}

int config_edit_provider(struct span text, const struct provider_row *row, struct bytes *out,
                         struct err *reterr)
{
    if (!config_is_provider_name(span_of(row->name)))
        return err_set(reterr, ERR_CONFIG_INVALID, "%s is not a provider's name",
                       log_quote(span_of(row->name), 64));
    if (is_empty_file(text)) {
        bytes_clear(out);
        if (write_file(text, row, out) < 0)
            return err_set(reterr, ERR_TOO_LARGE, "the configuration is too large");
        return check_result(bytes_span(out), reterr);
    }
    CLEANUP(editor_release) struct editor editor;
    int r = editor_init(&editor, text, reterr);
    if (r < 0)
        return r;
    struct json object = find_provider(editor.text.root, row->name);
    struct json array = find_member(editor.text.root, "providers").value;
    if (object.type == JSON_OBJECT)
        r = edit_row(&editor.layout, object, row);
    else if (array.type == JSON_ARRAY)
        r = append_row(&editor.layout, array, row);
    else if (json_is_nothing(array))
        r = add_providers(&editor.layout, array, row);
    else
        return err_set(reterr, ERR_CONFIG_INVALID, "\"providers\" is not an array");
    return editor_finish(&editor, r, out, reterr);
}
