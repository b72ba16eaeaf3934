/*
 * See anthropic.h. Messages answers, as streams and whole, into neutral events.
 *
 * Events are known by `type` in their data, not by their name: some gateways leave names out, others
 * name events that are none. A whole answer goes the way of a stream whose blocks start filled, so
 * both read alike. What happens to a block is in anthropic_blocks.c.
 */
#include "dialect/anthropic.h"

#include "dialect/anthropic_blocks.h"
#include "dialect/anthropic_usage.h"
#include "dialect/api_error.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- the end ---- */

static const struct {
    const char *word;
    enum ir_stop stop;
} stops[] = {
    {"end_turn", IR_STOP_END},
    {"max_tokens", IR_STOP_LENGTH},
    {"tool_use", IR_STOP_CALLS},
    {"refusal", IR_STOP_REFUSAL},
    {"stop_sequence", IR_STOP_SEQUENCE},
    {"pause_turn", IR_STOP_PAUSE},
    {"model_context_window_exceeded", IR_STOP_CONTEXT},
    {"length", IR_STOP_LENGTH}, /* the words of chat, from gateways that do not translate them */
    {"tool_calls", IR_STOP_CALLS},
    {"content_filter", IR_STOP_REFUSAL},
};

/* A word that is not known is an ordinary end. */
static enum ir_stop read_stop(struct json reason)
{
    for (size_t i = 0; i < COUNT(stops); i++)
        if (json_is(reason, stops[i].word))
            return stops[i].stop;
    return IR_STOP_END;
}

/* The members of a message_delta's `delta` and of a whole answer are the same. */
static int read_finish(struct ir_writer *writer, struct json holder)
{
    static const char *const names[] = {"stop_reason", "stop_sequence", "stop_details", NULL};
    struct json found[3];
    json_find(holder, names, found);
    if (found[2].type == JSON_OBJECT && json_is_filled(found[2]))
        ir_lose(writer->losses, "stop_details");
    if (found[0].type != JSON_STRING || !json_is_filled(found[0]))
        return 0;
    return ir_write_finish(writer, read_stop(found[0]), ir_text_of(found[1]));
}

/* Something was said, so that an end without a reason may be a good one. */
static bool has_content(const struct anthropic_decoder *decoder, const struct ir_writer *writer)
{
    return writer->blocks > 0 || decoder->calls > 0;
}

static void read_usage(struct ir_writer *writer, struct json json)
{
    struct usage usage = writer->usage;
    anthropic_usage_read(json, &usage);
    ir_write_usage(writer, &usage);
}

static int write_error(struct ir_writer *writer, struct span body)
{
    struct api_error error;
    api_error_read(200, body, &writer->scratch, &error);
    return ir_write_error(writer, &error);
}

/* ---- events ---- */

static int64_t read_index(struct json root)
{
    int64_t index;
    return json_int(json_get(root, "index"), &index) && index >= 0 ? index : ANTHROPIC_NO_INDEX;
}

/* Content in it stands for blocks before those that follow. */
static int on_message_start(struct anthropic_decoder *decoder, struct ir_writer *writer,
                            struct json root)
{
    static const char *const names[] = {"usage", "content", "stop_reason", NULL};
    struct json found[3];
    json_find(json_get(root, "message"), names, found);
    decoder->first_stop = read_stop(found[2]);
    read_usage(writer, found[0]);
    int r = ir_write_start(writer);
    return r == 0 ? anthropic_blocks_read(decoder, writer, found[1]) : r;
}

static int on_block_start(struct anthropic_decoder *decoder, struct ir_writer *writer,
                          struct json root)
{
    return anthropic_blocks_start(decoder, writer, read_index(root),
                                  json_get(root, "content_block"));
}

static int on_block_delta(struct anthropic_decoder *decoder, struct ir_writer *writer,
                          struct json root)
{
    return anthropic_blocks_add(decoder, writer, read_index(root), json_get(root, "delta"));
}

static int on_block_stop(struct anthropic_decoder *decoder, struct ir_writer *writer,
                         struct json root)
{
    return anthropic_blocks_stop(decoder, writer, read_index(root));
}

static int on_message_delta(struct anthropic_decoder *decoder, struct ir_writer *writer,
                            struct json root)
{
    read_usage(writer, json_get(root, "usage"));
    struct json delta = json_get(root, "delta");
    int r = 0;
    if (json_is_filled(json_get(delta, "stop_reason")))
        r = anthropic_blocks_settle(decoder, writer); /* the stream may end here */
    return r == 0 ? read_finish(writer, delta) : r;
}

static int on_message_stop(struct anthropic_decoder *decoder, struct ir_writer *writer,
                           struct json root)
{
    (void)root;
    decoder->has_end = true;
    int r = anthropic_blocks_end(decoder, writer);
    if (r == 0 && !writer->has_finish && has_content(decoder, writer))
        r = ir_write_finish(writer, decoder->first_stop, (struct ir_text){0});
    return r;
}

static int on_error(struct anthropic_decoder *decoder, struct ir_writer *writer, struct json root)
{
    (void)decoder;
    return write_error(writer, json_span(root));
}

static int on_ping(struct anthropic_decoder *decoder, struct ir_writer *writer, struct json root)
{
    (void)decoder, (void)writer, (void)root;
    return 0;
}

static const struct event_type {
    const char *type;
    int (*read)(struct anthropic_decoder *decoder, struct ir_writer *writer, struct json root);
} event_types[] = {
    {"content_block_delta", on_block_delta}, {"content_block_start", on_block_start},
    {"content_block_stop", on_block_stop},   {"ping", on_ping},
    {"message_start", on_message_start},     {"message_delta", on_message_delta},
    {"message_stop", on_message_stop},       {"error", on_error},
};

/* By the type in its data; an event without one by its name. */
static const struct event_type *find_event(struct json type, struct span name)
{
    for (size_t i = 0; i < COUNT(event_types); i++) {
        if (type.type == JSON_STRING ? json_is(type, event_types[i].type)
                                     : span_equal(name, span_of(event_types[i].type)))
            return &event_types[i];
    }
    return NULL;
}

/* [DONE] and empty events come at some gateways. */
static bool is_noise(struct span data)
{
    struct span text = span_trim(data);
    return text.len == 0 || span_equal(text, SPAN("[DONE]"));
}

/* What is no JSON: an error in plain words, a ping with nothing to say, or damage. */
static int read_plain(struct ir_writer *writer, struct span name, struct span data)
{
    if (span_equal(name, SPAN("error")))
        return write_error(writer, data);
    return span_equal(name, SPAN("ping")) ? 0 : -ERR_PROVIDER_ANSWER;
}

int anthropic_decode_event(void *decoder, struct ir_writer *writer, struct span event_name,
                           struct span data)
{
    struct anthropic_decoder *state = decoder;
    struct json root;
    if (state->has_end || is_noise(data))
        return 0;
    if (!anthropic_blocks_hold(state))
        arena_reset(&writer->scratch);
    if (json_validate(data, &root, NULL) < 0)
        return read_plain(writer, event_name, data);
    const struct event_type *type = find_event(json_get(root, "type"), event_name);
    if (type)
        return type->read(state, writer, root);
    /* Providers that keep their own error shape on this API (GLM). */
    if (span_equal(event_name, SPAN("error")) || json_is_filled(json_get(root, "error")))
        return write_error(writer, data);
    return 0;
}

/* ---- whole answers ---- */

static int read_message(struct ir_writer *writer, struct json root, struct json content)
{
    struct anthropic_decoder decoder = {0};
    read_usage(writer, json_get(root, "usage"));
    int r = ir_write_start(writer);
    if (r == 0)
        r = content.type == JSON_STRING ? ir_write_text(writer, IR_TEXT, ir_text_of(content))
                                        : anthropic_blocks_read(&decoder, writer, content);
    if (r == 0)
        r = read_finish(writer, root);
    if (r == 0 && !writer->has_finish)
        r = has_content(&decoder, writer)
                ? ir_write_finish(writer, IR_STOP_END, (struct ir_text){0})
                : -ERR_PROVIDER_ANSWER;
    return r;
}

int anthropic_decode_answer(struct span body, struct ir_writer *writer)
{
    static const char *const names[] = {"type", "content", "error", NULL};
    struct json root, found[3];
    if (json_validate(body, &root, NULL) < 0)
        return -ERR_PROVIDER_ANSWER;
    json_find(root, names, found);
    if (json_is(found[0], "error") || (json_is_filled(found[2]) && !json_is(found[0], "message")))
        return write_error(writer, body);
    if (found[1].type != JSON_ARRAY && found[1].type != JSON_STRING)
        return -ERR_PROVIDER_ANSWER;
    return read_message(writer, root, found[1]);
}
