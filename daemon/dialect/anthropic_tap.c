/*
 * See anthropic_tap.h. Events are known by `type` in their data, not by the event's name: some
 * gateways leave the name out, others name events that are none (docs/dialects/anthropic.md).
 */
#include "dialect/anthropic_tap.h"

#include "dialect/anthropic_usage.h"
#include "dialect/tap.h"

/* ---- events ---- */

static void on_message_start(struct tap *tap, struct json root)
{
    anthropic_usage_read(json_path(root, "message", "usage", NULL), &tap->usage);
}

/* A text or thinking block starts empty; every other block is something the model did. */
static bool is_productive_block(struct json block)
{
    struct json type = json_get(block, "type");
    if (json_is(type, "text"))
        return json_is_filled(json_get(block, "text"));
    if (json_is(type, "thinking"))
        return json_is_filled(json_get(block, "thinking"));
    return json_is_filled(type);
}

static void note_signature(struct tap *tap)
{
    if (tap->open_signature && tap->signature_count < TAP_SIGNATURES)
        tap->signatures[tap->signature_count++] = tap->open_signature;
    tap->open_signature = 0;
}

static void add_signature(struct tap *tap, struct json piece)
{
    if (json_is_filled(piece))
        tap->open_signature = ir_text_hash_more(tap->open_signature, ir_text_of(piece));
}

/* Of a thinking block, or one whose thinking is withheld. */
static void read_signature(struct tap *tap, struct json block)
{
    static const char *const names[] = {"type", "signature", "data", NULL};
    struct json found[3];
    note_signature(tap); /* of the block before */
    json_find(block, names, found);
    if (json_is(found[0], "thinking"))
        add_signature(tap, found[1]);
    else if (json_is(found[0], "redacted_thinking"))
        add_signature(tap, found[2]);
}

static void on_block_start(struct tap *tap, struct json root)
{
    struct json block = json_get(root, "content_block");
    if (!tap->has_content)
        tap->has_content = is_productive_block(block);
    read_signature(tap, block);
}

/* A signature comes in deltas without anything else. */
static bool may_be_signature(struct json root)
{
    return memmem(root.at, root.len, "signature", strlen("signature")) != NULL;
}

/* signature_delta and citations_delta are no content by themselves. */
static void on_block_delta(struct tap *tap, struct json root)
{
    static const char *const names[] = {"text", "thinking", "partial_json", NULL};
    struct json found[3];
    if (may_be_signature(root))
        add_signature(tap, json_path(root, "delta", "signature", NULL));
    if (tap->has_content)
        return;
    json_find(json_get(root, "delta"), names, found);
    tap->has_content =
        json_is_filled(found[0]) || json_is_filled(found[1]) || json_is_filled(found[2]);
}

static void on_block_stop(struct tap *tap, struct json root)
{
    (void)root;
    note_signature(tap);
}

static void on_message_delta(struct tap *tap, struct json root)
{
    tap_finish(tap, json_path(root, "delta", "stop_reason", NULL));
    anthropic_usage_read(json_get(root, "usage"), &tap->usage);
}

static void on_error(struct tap *tap, struct json root)
{
    tap_error(tap, json_span(root));
}

static void on_message_stop(struct tap *tap, struct json root)
{
    (void)root;
    tap->has_end = true;
}

static const struct {
    const char *type;
    void (*read)(struct tap *tap, struct json root);
} events[] = {
    {"content_block_delta", on_block_delta},
    {"content_block_start", on_block_start},
    {"content_block_stop", on_block_stop},
    {"message_start", on_message_start},
    {"message_delta", on_message_delta},
    {"message_stop", on_message_stop},
    {"error", on_error},
};

enum tap_verdict anthropic_tap_event(struct tap *tap, const struct request_view *view,
                                     struct span event_name, struct span data)
{
    (void)view; /* nothing is ever hidden */
    if (!data.at || tap->has_end)
        return TAP_PASS;
    struct json root = json_peek(data);
    struct json type = json_get(root, "type");
    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
        if (json_is(type, events[i].type)) {
            /* Clients go by the name; OpenRouter gives none. */
            tap->is_unfit = tap->is_unfit || !event_name.at;
            events[i].read(tap, root);
            return TAP_PASS;
        }
    }
    /* Providers that keep their own error shape on this API (GLM). */
    if (span_equal(event_name, SPAN("error")) || json_is_filled(json_get(root, "error")))
        tap_error(tap, data);
    return TAP_PASS;
}

void anthropic_tap_answer(struct tap *tap, struct span body)
{
    static const char *const names[] = {"content", "stop_reason", "usage", "error", NULL};
    struct json root, found[4], block;
    if (json_skim(body, &root, NULL) < 0) {
        tap_nonsense(tap, "the answer is not JSON");
        return;
    }
    json_find(root, names, found);
    if (json_is_filled(found[3]))
        tap_error(tap, body);
    else if (found[0].type != JSON_ARRAY)
        tap_nonsense(tap, "the answer has no content");
    struct json_iter iter = json_iter(found[0]);
    while (found[0].type == JSON_ARRAY && json_next(&iter, &block)) {
        tap->has_content |= is_productive_block(block);
        read_signature(tap, block);
    }
    note_signature(tap);
    tap_finish(tap, found[1]);
    anthropic_usage_read(found[2], &tap->usage);
    tap->has_end = !tap->error_kind;
}
