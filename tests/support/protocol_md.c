/*
 * protocol_md FILE: holds docs/PROTOCOL.md against the tables it describes.
 *
 * Everything behind the marker line is made from proto/methods.def and proto/errors.def; what
 * stands before it is written by hand and kept. Exit status 1 with the first line that differs;
 * with AICTL_UPDATE_DOCS=1 the file is rewritten instead.
 */
#include "base/bytes.h"
#include "base/file.h"
#include "base/own.h"
#include "proto/errors.h"
#include "proto/methods.h"

#include <stdio.h>
#include <stdlib.h>

#define MARKER                                                                                     \
    "<!-- Below this line: made by tests/support/protocol_md.c (AICTL_UPDATE_DOCS=1). -->\n"
#define FILE_MAX (1024 * 1024)

/* "{shape}: remark" */
static void put_result(struct bytes *out, const char *result)
{
    const char *remark = strstr(result, "}: ");
    int shape = remark ? (int)(remark + 1 - result) : (int)strlen(result);
    (void)bytes_addf(out, "\nResult: `%.*s`%s\n", shape, result, result + shape);
}

static void put_limit(struct bytes *out, const struct method_param *param)
{
    if (param->type == PARAM_STRING)
        (void)bytes_addf(out, "%zu bytes", param->max);
    if (param->type == PARAM_STRINGS)
        (void)bytes_addf(out, "%zu bytes each", param->max);
}

static void put_methods(struct bytes *out)
{
    (void)bytes_addf(out, "\n## Methods\n"); /* the buffer is far larger than the tables */
    for (int id = 0; id < METHOD_COUNT; id++) {
        const struct method_row *row = method_row((enum method_id)id);
        (void)bytes_addf(out, "\n### %s\n\n%s%s\n", row->name, row->help,
                         row->changes ? "" : " Changes nothing.");
        if (row->params[0].name)
            (void)bytes_addf(out, "\n| parameter | type | | at most | |\n|---|---|---|---|---|\n");
        else
            (void)bytes_addf(out, "\nNo parameters.\n");
        for (const struct method_param *param = row->params; param->name; param++) {
            (void)bytes_addf(out, "| `%s` | %s | %s | ", param->name, param_type_name(param->type),
                             param->required ? "required" : "");
            put_limit(out, param);
            (void)bytes_addf(out, " | %s |\n", param->help);
        }
        put_result(out, row->result);
    }
}

static void put_errors(struct bytes *out)
{
    (void)bytes_addf(out, "\n## Errors\n\n| code | kind | HTTP | exit | what happened | next |\n"
                          "|---|---|---|---|---|---|\n");
    for (int kind = 1; kind < ERR_COUNT; kind++) {
        const struct error_row *row = error_row(kind);
        (void)bytes_addf(out, "| %d | %s | %d | %d | %s | %s |\n", row->rpc_code, row->name,
                         row->http_status, row->exit_code, row->text, row->next ? row->next : "");
    }
}

/* Not file_read(): a checkout may belong to somebody else. */
static bool read_file(const char *path, struct bytes *ret)
{
    FILE *file = fopen(path, "r");
    char piece[4096];
    if (!file)
        return false;
    for (size_t n; (n = fread(piece, 1, sizeof(piece), file)) > 0;)
        (void)bytes_add(ret, piece, n); /* cut above FILE_MAX: then it differs */
    fclose(file);
    return ret->len > 0;
}

/* Prints the first line in which two texts differ. */
static void print_difference(struct span have, struct span want)
{
    for (unsigned line = 1; have.at || want.at; line++) {
        struct span is = span_cut(have, '\n', &have), should = span_cut(want, '\n', &want);
        if (!span_equal(is, should)) {
            printf("line %u is   : " SPAN_FMT "\nbut should be: " SPAN_FMT "\n", line, SPAN_ARG(is),
                   SPAN_ARG(should));
            return;
        }
    }
}

int main(int argc, char **argv)
{
    CLEANUP(bytes_release) struct bytes have = {.max = FILE_MAX}, want = {.max = FILE_MAX};
    struct err err = {0};
    if (argc != 2) {
        fprintf(stderr, "usage: protocol_md docs/PROTOCOL.md\n");
        return 2;
    }
    if (!read_file(argv[1], &have)) {
        fprintf(stderr, "%s cannot be read\n", argv[1]);
        return 1;
    }
    const char *marker = strstr(have.data, MARKER);
    if (!marker) {
        fprintf(stderr, "%s: the marker line is missing: %s", argv[1], MARKER);
        return 1;
    }
    (void)bytes_add(&want, have.data, (size_t)(marker - have.data) + strlen(MARKER));
    put_methods(&want);
    put_errors(&want);
    if (span_equal(bytes_span(&have), bytes_span(&want)))
        return 0;
    if (getenv("AICTL_UPDATE_DOCS")) {
        int r = file_replace(argv[1], bytes_span(&want), 0644, &err);
        printf("%s: %s\n", argv[1], r < 0 ? err.detail : "rewritten");
        return r < 0;
    }
    print_difference(bytes_span(&have), bytes_span(&want));
    printf("%s is not what the tables say; run again with AICTL_UPDATE_DOCS=1\n", argv[1]);
    return 1;
}
