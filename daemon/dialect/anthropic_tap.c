/*
 * See anthropic_tap.h. Events are known by `type` in their data, not by the event's name: some
 * gateways leave the name out, others name events that are none (docs/dialects/anthropic.md).
 */
#include "dialect/anthropic_tap.h"

#include "dialect/tap.h"

/* ---- usage ---- */

/*
 * Cache writes come as a sum, and in some events with their split by life time. A later sum without
 * a split keeps what was known of it, since one hour costs more than five minutes.
 */
static void read_cache_writes(struct usage *usage, struct json split, struct json sum)
{
    int64_t total;
    if (split.type == JSON_OBJECT) {
        usage->cache_write_5m = usage->cache_write_1h = 0;
        (void)tap_count(json_get(split, "ephemeral_5m_input_tokens"), &usage->cache_write_5m);
        (void)tap_count(json_get(split, "ephemeral_1h_input_tokens"), &usage->cache_write_1h);
    }
    if (!tap_count(sum, &total) || total == usage->cache_write_5m + usage->cache_write_1h)
        return;
    if (usage->cache_write_1h > total)
        usage->cache_write_1h = 0;
    usage->cache_write_5m = total - usage->cache_write_1h;
}

/*
 * Usage of a later event overwrites that of an earlier one, count by count. Input counts that are
 * all zero say nothing: some providers count input only at the start.
 */
static void read_usage(struct tap *tap, struct json json)
{
    static const char *const names[] = {"input_tokens",
                                        "output_tokens",
                                        "cache_read_input_tokens",
                                        "cache_creation_input_tokens",
                                        "cache_creation",
                                        NULL};
    struct json found[5];
    json_find(json, names, found);
    struct usage usage = tap->usage;
    bool has_any = tap_count(found[0], &usage.input);
    has_any |= tap_count(found[1], &usage.output);
    has_any |= tap_count(found[2], &usage.cache_read);
    read_cache_writes(&usage, found[4], found[3]);
    if (!has_any)
        return;
    if (usage_total_input(&usage) == 0) {
        int64_t output = usage.output;
        usage = tap->usage;
        usage.output = output;
    }
    usage.source = USAGE_PROVIDER;
    tap->usage = usage;
}

/* ---- events ---- */

static void on_message_start(struct tap *tap, struct json root)
{
    read_usage(tap, json_path(root, "message", "usage", NULL));
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

static void on_block_start(struct tap *tap, struct json root)
{
    if (!tap->has_content)
        tap->has_content = is_productive_block(json_get(root, "content_block"));
}

/* signature_delta and citations_delta are no content by themselves. */
static void on_block_delta(struct tap *tap, struct json root)
{
    static const char *const names[] = {"text", "thinking", "partial_json", NULL};
    struct json found[3];
    if (tap->has_content)
        return;
    json_find(json_get(root, "delta"), names, found);
    tap->has_content =
        json_is_filled(found[0]) || json_is_filled(found[1]) || json_is_filled(found[2]);
}

static void on_message_delta(struct tap *tap, struct json root)
{
    tap_finish(tap, json_path(root, "delta", "stop_reason", NULL));
    read_usage(tap, json_get(root, "usage"));
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
    {"content_block_delta", on_block_delta}, {"content_block_start", on_block_start},
    {"message_start", on_message_start},     {"message_delta", on_message_delta},
    {"message_stop", on_message_stop},       {"error", on_error},
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
    while (found[0].type == JSON_ARRAY && json_next(&iter, &block))
        tap->has_content |= is_productive_block(block);
    tap_finish(tap, found[1]);
    read_usage(tap, found[2]);
    tap->has_end = !tap->error_kind;
}
