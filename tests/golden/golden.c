/* See golden.h. */
#include "golden/golden.h"

#include <glob.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/own.h"

#define LINE_LENGTH 96
#define INDENT      2
#define EXCERPT     120

static unsigned failures;

void golden_expect(const struct golden_case *golden, bool is_so, const char *format, ...)
{
    if (is_so)
        return;
    va_list args;
    va_start(args, format);
    printf("%s: ", strrchr(golden->folder, '/') + 1);
    (void)vprintf(format, args); /* a report that cannot be written still fails the test */
    printf("\n");
    va_end(args);
    failures++;
}

void golden_add(struct bytes *out, struct span text)
{
    if (bytes_add_span(out, text) < 0)
        abort();
}

void *golden_state(size_t size)
{
    void *state = calloc(1, size ? size : 1);
    if (!state)
        abort();
    return state;
}

/* From a little before `offset` to a little behind it. */
static struct span around(struct span text, size_t offset)
{
    size_t from = offset < EXCERPT / 2 ? 0 : offset - EXCERPT / 2, len = text.len - from;
    return (struct span){text.at + from, len < EXCERPT ? len : EXCERPT};
}

void golden_expect_same(const struct golden_case *golden, const char *what, struct span is,
                        struct span wanted)
{
    size_t offset = 0;
    if (span_equal(is, wanted))
        return;
    while (offset < is.len && offset < wanted.len && is.at[offset] == wanted.at[offset])
        offset++;
    golden_expect(golden, false, "%s:\n    is     ..." SPAN_FMT "\n    wanted ..." SPAN_FMT, what,
                  SPAN_ARG(around(is, offset)), SPAN_ARG(around(wanted, offset)));
}

/* ---- files ---- */

static void path_of(const char *folder, const char *file, char path[1024])
{
    if (snprintf(path, 1024, "%s/%s", folder, file) >= 1024)
        abort();
}

static bool read_file(const char *folder, const char *file, struct bytes *ret)
{
    char path[1024];
    path_of(folder, file, path);
    bytes_clear(ret);
    return file_read_followed(path, ret, NULL, NULL) == 0;
}

static void report_difference(const struct golden_case *golden, const char *file, struct span is,
                              struct span wanted)
{
    unsigned number = 1;
    struct span is_line = span_cut(is, '\n', &is), wanted_line = span_cut(wanted, '\n', &wanted);
    while (span_equal(is_line, wanted_line) && is.at && wanted.at) {
        is_line = span_cut(is, '\n', &is);
        wanted_line = span_cut(wanted, '\n', &wanted);
        number++;
    }
    golden_expect(golden, false, "%s:%u:\n    is     " SPAN_FMT "\n    wanted " SPAN_FMT, file,
                  number, SPAN_ARG(is_line), SPAN_ARG(wanted_line));
}

void golden_compare(const struct golden_case *golden, const char *file, struct span text)
{
    CLEANUP(bytes_release) struct bytes wanted = {.max = GOLDEN_MEMORY};
    char path[1024];
    bool is_there = read_file(golden->folder, file, &wanted);
    if (is_there && span_equal(text, bytes_span(&wanted)))
        return;
    if (getenv("AICTL_UPDATE_GOLDEN")) {
        path_of(golden->folder, file, path);
        golden_expect(golden, file_replace(path, text, 0644, NULL) == 0, "%s: not written", file);
        return;
    }
    if (is_there)
        report_difference(golden, file, text, bytes_span(&wanted));
    else
        golden_expect(golden, false, "%s: is not there (AICTL_UPDATE_GOLDEN=1 writes it)", file);
}

void golden_each_file(const struct golden_case *golden, const char *prefix,
                      void (*fn)(void *ctx, const char *file), void *ctx)
{
    char pattern[1024], file[512];
    glob_t found = {0};
    (void)snprintf(file, sizeof(file), "%s*", prefix); /* prefixes are ours and short */
    path_of(golden->folder, file, pattern);
    if (glob(pattern, 0, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc; i++)
            fn(ctx, strrchr(found.gl_pathv[i], '/') + 1);
    globfree(&found);
}

/* ---- layout ---- */

static void lay_out(struct json value, unsigned depth, struct bytes *out);

static void add_line(struct bytes *out, unsigned depth)
{
    if (bytes_addf(out, "\n%*s", (int)(depth * INDENT), "") < 0)
        abort();
}

static void lay_out_inside(struct json container, unsigned depth, struct bytes *out)
{
    struct json_iter iter = json_iter(container);
    struct json key, value;
    bool is_object = container.type == JSON_OBJECT;
    for (unsigned count = 0;
         is_object ? json_next_member(&iter, &key, &value) : json_next(&iter, &value); count++) {
        golden_add(out, count ? SPAN(",") : SPAN(""));
        add_line(out, depth);
        if (is_object) {
            golden_add(out, json_span(key));
            golden_add(out, SPAN(":"));
        }
        lay_out(value, depth, out);
    }
}

static void lay_out(struct json value, unsigned depth, struct bytes *out)
{
    bool is_container = value.type == JSON_OBJECT || value.type == JSON_ARRAY;
    if (!is_container || (depth > 0 && value.len + depth * INDENT <= LINE_LENGTH)) {
        golden_add(out, json_span(value));
        return;
    }
    golden_add(out, value.type == JSON_OBJECT ? SPAN("{") : SPAN("["));
    lay_out_inside(value, depth + 1, out);
    add_line(out, depth);
    golden_add(out, value.type == JSON_OBJECT ? SPAN("}") : SPAN("]"));
}

void golden_lay_out(const struct golden_case *golden, struct span text, struct bytes *out)
{
    struct json value;
    struct err err = {0};
    int r = json_validate(text, &value, &err);
    golden_expect(golden, r == 0, "no JSON was written: %s", err.detail);
    if (r == 0)
        lay_out(value, 0, out);
    else
        golden_add(out, text);
    golden_add(out, SPAN("\n"));
}

/* ---- cases ---- */

static bool find_input(struct golden_case *golden, struct bytes *input)
{
    char file[256];
    for (const struct dialect *const *dialect = dialects; *dialect; dialect++)
        for (int is_stream = 0; is_stream < 2; is_stream++) {
            (void)snprintf(file, sizeof(file), "%s.%s", (*dialect)->name, /* short by our choice */
                           is_stream ? "sse" : "json");
            golden->dialect = *dialect;
            golden->is_stream = is_stream;
            if (read_file(golden->folder, file, input))
                return true;
        }
    return false;
}

static void try_folder(const char *folder, void (*try)(const struct golden_case *golden))
{
    CLEANUP(bytes_release) struct bytes input = {.max = GOLDEN_MEMORY};
    struct golden_case golden = {.folder = folder};
    bool has_input = find_input(&golden, &input);
    golden_expect(&golden, has_input, "has no input in any dialect");
    golden.input = bytes_span(&input);
    if (has_input)
        try(&golden);
}

int golden_try(const char *kind, unsigned least, void (*try)(const struct golden_case *golden))
{
    const char *source = getenv("AICTL_SOURCE");
    char pattern[1024];
    glob_t found = {0};
    if (snprintf(pattern, sizeof(pattern), "%s/tests/golden/%s/*", source ? source : ".", kind) < 0)
        abort();
    if (glob(pattern, GLOB_ONLYDIR, NULL, &found) != 0)
        found.gl_pathc = 0;
    size_t tried = found.gl_pathc;
    for (size_t i = 0; i < tried; i++)
        try_folder(found.gl_pathv[i], try);
    globfree(&found);
    printf("%zu %s tried, %u failures\n", tried, kind, failures);
    return tried >= least && failures == 0 ? 0 : 1;
}
