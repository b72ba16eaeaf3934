/*
 * Requests: what is read of each (neutral.txt) and what is written of that in every dialect, for a
 * provider nobody knows (to-<dialect>.txt) and, where a file asks for it, for others:
 *
 *     to-openai_chat+reasoningBack-images@4096.txt
 *
 * is a provider with the capability reasoningBack and without images, whose model gives at most 4096
 * tokens. Such a file is made empty by hand and filled by AICTL_UPDATE_GOLDEN=1.
 *
 * What was written must say the same when it is read again (gist.h), and be written again to the
 * same bytes.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/own.h"
#include "golden/gist.h"
#include "support/ir_dump.h"

#define CASES_LEAST 25

/* A request, read from some wire, and what it was said to lose. */
struct reading {
    struct arena arena;
    struct ir_request request;
    struct ir_losses losses;
    struct err err;
    int result;
};

static void reading_init(struct reading *reading, const struct dialect *dialect, struct span body)
{
    *reading = (struct reading){0};
    arena_init(&reading->arena, GOLDEN_MEMORY);
    reading->result = dialect->decode_request(body, &reading->arena, &reading->request,
                                              &reading->losses, &reading->err);
}

static void reading_release(struct reading *reading)
{
    arena_release(&reading->arena);
}

/* A request, written to some wire. */
struct writing {
    struct arena arena;
    struct ir_losses losses;
    struct bytes body;
    struct err err;
    int result;
};

static void writing_init(struct writing *writing, const struct dialect *dialect,
                         const struct ir_target *target, const struct ir_request *request)
{
    *writing = (struct writing){.body = {.max = GOLDEN_MEMORY}};
    arena_init(&writing->arena, GOLDEN_MEMORY);
    writing->result = dialect->encode_request(request, target, &writing->arena, &writing->losses,
                                              &writing->body, &writing->err);
}

static void writing_release(struct writing *writing)
{
    arena_release(&writing->arena);
    bytes_release(&writing->body);
}

static void add_refusal(struct bytes *out, const struct err *err)
{
    if (bytes_addf(out, "refused %s: %s\n", error_row(err->kind)->name, err->detail) < 0)
        abort();
}

/* ---- neutral ---- */

static void compare_neutral(const struct golden_case *golden, const struct reading *reading)
{
    CLEANUP(bytes_release) struct bytes text = {.max = GOLDEN_MEMORY};
    if (reading->result < 0) {
        add_refusal(&text, &reading->err);
    } else {
        ir_dump_request(&text, &reading->request);
        ir_dump_losses(&text, &reading->losses);
    }
    golden_compare(golden, "neutral.txt", bytes_span(&text));
}

/* ---- written ---- */

struct target_try {
    const struct golden_case *golden;
    const struct reading *reading;
    const struct dialect *dialect;
    struct ir_target target;
    const char *file;
};

static void compare_written(const struct target_try *try, const struct writing *writing)
{
    CLEANUP(bytes_release) struct bytes text = {.max = GOLDEN_MEMORY};
    if (writing->result < 0) {
        add_refusal(&text, &writing->err);
    } else {
        ir_dump_losses(&text, &writing->losses);
        golden_lay_out(try->golden, bytes_span(&writing->body), &text);
    }
    golden_compare(try->golden, try->file, bytes_span(&text));
}

/* Read again, it says the same; written again, it is the same. */
static void expect_return(const struct target_try *try, const struct writing *writing)
{
    struct reading again;
    struct writing copy;
    struct gist before, after;
    reading_init(&again, try->dialect, bytes_span(&writing->body));
    golden_expect(try->golden, again.result == 0, "%s: cannot be read again: %s", try->file,
                  again.err.detail);
    gist_of_request(&before, &try->reading->request);
    gist_of_request(&after, &again.request);
    gist_expect(try->golden, try->file, &before, &after, &writing->losses);
    writing_init(&copy, try->dialect, &try->target, &again.request);
    golden_expect_same(try->golden, try->file, bytes_span(&copy.body), bytes_span(&writing->body));
    writing_release(&copy);
    gist_release(&before);
    gist_release(&after);
    reading_release(&again);
}

/* ---- targets ---- */

/* One change of the default target: +word, -word or @most; false when it is none. */
static bool change_target(struct ir_target *target, char sign, struct span word)
{
    if (sign == '@') {
        char *end;
        target->max_output = strtoll(word.at, &end, 10);
        return end == word.at + word.len;
    }
    enum ir_capability capability = ir_capability_find(word);
    if (capability == IR_CAPABILITIES)
        return false;
    ir_capability_set bit = (ir_capability_set)1 << capability;
    target->capabilities = sign == '+' ? target->capabilities | bit : target->capabilities & ~bit;
    return true;
}

static bool change_targets(struct ir_target *target, struct span changes)
{
    bool is_known = true;
    while (is_known && changes.len > 0) {
        size_t len = 1;
        while (len < changes.len && !strchr("+-@", changes.at[len]))
            len++;
        is_known = change_target(target, changes.at[0], (struct span){changes.at + 1, len - 1});
        changes = (struct span){changes.at + len, changes.len - len};
    }
    return is_known;
}

static void try_target(const struct golden_case *golden, const struct reading *reading,
                       const struct dialect *dialect, const char *file, struct span changes)
{
    struct writing writing;
    struct target_try try = {
        .golden = golden, .reading = reading, .dialect = dialect, .file = file};
    try.target =
        (struct ir_target){.model = SPAN("a-model"), .capabilities = ir_capabilities_default()};
    if (!change_targets(&try.target, changes)) {
        golden_expect(golden, false, "%s: no such capability", file);
        return;
    }
    writing_init(&writing, dialect, &try.target, &reading->request);
    compare_written(&try, &writing);
    if (writing.result == 0 && changes.len == 0)
        expect_return(&try, &writing);
    writing_release(&writing);
}

struct file_try {
    const struct golden_case *golden;
    const struct reading *reading;
};

/* A file for something else than a dialect as it is by default. */
static void try_file(void *ctx, const char *file)
{
    const struct file_try *try = ctx;
    const char *name = file + strlen("to-");
    size_t len = strcspn(name, "+-@."), whole = strlen(file) - strlen("to-.txt");
    const struct dialect *dialect = dialect_by_name((struct span){name, len});
    golden_expect(try->golden, dialect != NULL, "%s: no such dialect", file);
    if (dialect && len < whole)
        try_target(try->golden, try->reading, dialect, file,
                   (struct span){name + len, whole - len});
}

static void expect_no_file(void *ctx, const char *file)
{
    golden_expect(ctx, false, "%s: nothing is written of what was refused", file);
}

static void try_case(const struct golden_case *golden)
{
    struct reading reading;
    struct file_try files = {golden, &reading};
    char file[256];
    reading_init(&reading, golden->dialect, golden->input);
    compare_neutral(golden, &reading);
    for (const struct dialect *const *dialect = dialects; reading.result == 0 && *dialect;
         dialect++) {
        if (!(*dialect)->encode_request)
            continue;
        (void)snprintf(file, sizeof(file), "to-%s.txt", (*dialect)->name); /* names are short */
        try_target(golden, &reading, *dialect, file, SPAN(""));
    }
    if (reading.result == 0)
        golden_each_file(golden, "to-", try_file, &files);
    else
        golden_each_file(golden, "to-", expect_no_file, (void *)golden);
    reading_release(&reading);
}

int main(void)
{
    return golden_try("requests", CASES_LEAST, try_case);
}
