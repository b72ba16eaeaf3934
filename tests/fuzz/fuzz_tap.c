/*
 * Every dialect on any bytes, over the table: requests read and edited, events, answers and errors
 * tapped. The first byte says how the rest is cut into an event name and data, and which HTTP
 * status it came with. New dialects are tried without a change here.
 */
#include "dialect/dialect.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

static void check_edited(const struct dialect *dialect, struct span edited,
                         const struct ir_target *target, const struct request_view *before)
{
    struct request_view view;
    struct arena arena;
    struct splices splices;
    arena_init(&arena, 1 << 20);
    splices_init(&splices, &arena);
    assert(dialect->read_request(edited, &arena, &view, NULL) == 0);
    assert(span_equal(view.model_text, target->model) && view.stream == before->stream);
    assert(dialect->edit_request(&view, target, &arena, &splices, NULL) == 0);
    assert(splices.count == 0); /* nothing is left to edit */
    arena_release(&arena);
}

static bool is_foreign(void *ctx, struct ir_text signature)
{
    (void)ctx;
    return ir_text_hash(signature) & 1;
}

/* What is left of a body without foreign reasoning is JSON when the body was. */
static void try_strip(const struct dialect *dialect, struct span body, struct arena *arena)
{
    struct splices splices;
    struct json root;
    struct bytes out = {.max = 1 << 22};
    unsigned count;
    if (!dialect->strip_reasoning || json_validate(body, &root, NULL) < 0)
        return;
    splices_init(&splices, arena);
    assert(dialect->strip_reasoning(body, is_foreign, NULL, arena, &splices, &count) == 0);
    assert(splices_apply(&splices, body, &out) == 0);
    assert(json_validate(bytes_span(&out), &root, NULL) == 0);
    bytes_release(&out);
}

static void try_request(const struct dialect *dialect, struct span body, struct arena *arena)
{
    const struct ir_target target = {SPAN("new \"model\""), ir_capabilities_default(), 0};
    struct request_view view;
    struct splices splices;
    struct bytes out = {.max = 1 << 22};
    struct err err = {0};
    splices_init(&splices, arena);
    if (dialect->read_request(body, arena, &view, &err) < 0) {
        assert(err.detail[0]);
        return;
    }
    assert(dialect->edit_request(&view, &target, arena, &splices, NULL) == 0);
    assert(splices_apply(&splices, body, &out) == 0);
    check_edited(dialect, bytes_span(&out), &target, &view);
    bytes_release(&out);
    try_strip(dialect, body, arena);
}

static void check_tap(const struct tap *tap)
{
    const struct usage *usage = &tap->usage;
    assert(memchr(tap->error_text, 0, sizeof(tap->error_text)));
    assert(memchr(tap->stop, 0, sizeof(tap->stop)));
    assert(tap->error_kind >= 0 && tap->error_kind < ERR_COUNT);
    assert(usage->input >= 0 && usage->cache_read >= 0 && usage->output >= 0);
    assert(usage->cache_write_5m >= 0 && usage->cache_write_1h >= 0 && usage->reasoning >= 0);
}

/* Lines of the text are the data of one event each. */
static void try_events(const struct dialect *dialect, struct span name, struct span text)
{
    struct tap tap = {0};
    const struct request_view view = {.stream = true};
    while (text.at) {
        struct span data = span_cut(text, '\n', &text);
        (void)dialect->tap_event(&tap, &view, name, data);
        check_tap(&tap);
    }
}

static void try_error(const struct dialect *dialect, int status, struct span body,
                      struct arena *arena)
{
    struct api_error error;
    struct bytes out = {.max = 1 << 24};
    struct json written;
    dialect->read_error(status, body, arena, &error);
    assert(error.kind > 0 && error.kind < ERR_COUNT);
    assert(dialect->write_error(&error, &out) == 0);
    assert(json_validate(bytes_span(&out), &written, NULL) == 0);
    bytes_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int statuses[] = {200, 400, 401, 402, 429, 500, 529, 302};
    static const char *const names[] = {NULL, "error", "message_start", "data"};
    if (size == 0)
        return 0;
    struct span text = {(const char *)data + 1, size - 1};
    for (size_t i = 0; dialects[i]; i++) {
        struct tap tap = {0};
        struct arena arena;
        arena_init(&arena, 1 << 22);
        try_request(dialects[i], text, &arena);
        try_events(dialects[i], span_of(names[data[0] >> 3 & 3]), text);
        dialects[i]->tap_answer(&tap, text);
        check_tap(&tap);
        try_error(dialects[i], statuses[data[0] & 7], text, &arena);
        arena_release(&arena);
    }
    return 0;
}
