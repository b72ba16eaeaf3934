/*
 * See anthropic.h. Neutral events as Messages: the grammar is the writer's already, so one event is
 * one event of the wire, but for the few that are put before a block's end.
 */
#include "dialect/anthropic.h"

#include "dialect/anthropic_usage.h"

/* ---- pieces ---- */

/* Appends several spans at once: a stream is mostly this. */
#define ADD(out, ...)                                                                              \
    add((out), (const struct span[]){__VA_ARGS__},                                                 \
        sizeof((const struct span[]){__VA_ARGS__}) / sizeof(struct span))

static int add(struct bytes *out, const struct span *parts, size_t count)
{
    size_t len = 0;
    for (size_t i = 0; i < count; i++)
        len += parts[i].len;
    int r = bytes_reserve(out, len);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = bytes_add_span(out, parts[i]);
    return r;
}

/* A number's digits. */
struct digits {
    char text[12];
};

static struct span write_digits(unsigned number, struct digits *digits)
{
    char *end = digits->text + sizeof(digits->text), *at = end;
    do
        *--at = (char)('0' + number % 10);
    while (number /= 10);
    return (struct span){at, (size_t)(end - at)};
}

#define EVENT(type) SPAN("event: " type "\ndata: {\"type\":\"" type "\"")

/* ---- what streams and whole answers share ---- */

static const char *const stop_words[] = {
    [IR_STOP_END] = "end_turn",
    [IR_STOP_LENGTH] = "max_tokens",
    [IR_STOP_CALLS] = "tool_use",
    [IR_STOP_REFUSAL] = "refusal",
    [IR_STOP_SEQUENCE] = "stop_sequence",
    [IR_STOP_PAUSE] = "pause_turn",
    [IR_STOP_CONTEXT] = "model_context_window_exceeded",
};

/* "stop_reason":"...","stop_sequence":... */
static int add_stop(struct bytes *out, enum ir_stop stop, struct ir_text sequence)
{
    int r = ADD(out, SPAN("\"stop_reason\":\""), span_of(stop_words[stop]),
                SPAN("\",\"stop_sequence\":"));
    if (r < 0)
        return r;
    return ir_text_is_filled(sequence) ? ir_text_add(out, sequence)
                                       : bytes_add_span(out, SPAN("null"));
}

/* The message object up to its content's bracket. */
static int add_message_head(struct bytes *out, const struct ir_reply *reply)
{
    int r = ADD(out, SPAN("{\"id\":\"msg_"), reply->id,
                SPAN("\",\"type\":\"message\",\"role\":\"assistant\",\"model\":"));
    if (r == 0)
        r = json_add_string(out, reply->model);
    return r == 0 ? bytes_add_span(out, SPAN(",\"content\":[")) : r;
}

static struct span own_signature(struct ir_text signature)
{
    return ir_text_is_filled(signature) ? signature.escaped : SPAN(ANTHROPIC_OWN_SIGNATURE);
}

/* ---- streams ---- */

static int encode_start(struct anthropic_encoder *encoder, const struct ir_reply *reply,
                        const struct ir_event *event, struct bytes *out)
{
    (void)encoder;
    int r = ADD(out, EVENT("message_start"), SPAN(",\"message\":"));
    if (r == 0)
        r = add_message_head(out, reply);
    if (r == 0)
        r = bytes_add_span(out, SPAN("],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":"));
    if (r == 0)
        r = anthropic_usage_write(event->usage, out);
    return r == 0 ? bytes_add_span(out, SPAN("}}\n\n")) : r;
}

static int add_block_start(struct bytes *out, unsigned block)
{
    struct digits digits;
    return ADD(out, EVENT("content_block_start"), SPAN(",\"index\":"), write_digits(block, &digits),
               SPAN(",\"content_block\":{\"type\":"));
}

static int encode_block_start(struct anthropic_encoder *encoder, const struct ir_reply *reply,
                              const struct ir_event *event, struct bytes *out)
{
    (void)reply;
    encoder->has_signature = false;
    encoder->is_redacted = event->block_kind == IR_REASONING && event->is_redacted;
    if (encoder->is_redacted)
        return 0; /* its data comes with the next event */
    int r = add_block_start(out, event->block);
    if (r < 0)
        return r;
    if (event->block_kind == IR_CALL)
        return ADD(out, SPAN("\"tool_use\",\"id\":\""), event->id.escaped, SPAN("\",\"name\":\""),
                   event->name.escaped, SPAN("\",\"input\":{}}}\n\n"));
    if (event->block_kind == IR_REASONING)
        return bytes_add_span(out, SPAN("\"thinking\",\"thinking\":\"\",\"signature\":\"\"}}\n\n"));
    return bytes_add_span(out, SPAN("\"text\",\"text\":\"\"}}\n\n"));
}

static int add_delta(struct bytes *out, unsigned block, struct span head, struct span text)
{
    struct digits digits;
    return ADD(out, EVENT("content_block_delta"), SPAN(",\"index\":"), write_digits(block, &digits),
               SPAN(",\"delta\":{\"type\":"), head, text, SPAN("\"}}\n\n"));
}

static int encode_delta(struct anthropic_encoder *encoder, const struct ir_reply *reply,
                        const struct ir_event *event, struct bytes *out)
{
    (void)encoder, (void)reply;
    struct span head = SPAN("\"text_delta\",\"text\":\"");
    if (event->block_kind == IR_REASONING)
        head = SPAN("\"thinking_delta\",\"thinking\":\"");
    else if (event->block_kind == IR_CALL)
        head = SPAN("\"input_json_delta\",\"partial_json\":\"");
    return add_delta(out, event->block, head, event->text.escaped);
}

static int encode_signature(struct anthropic_encoder *encoder, const struct ir_reply *reply,
                            const struct ir_event *event, struct bytes *out)
{
    (void)reply;
    encoder->has_signature = true;
    if (!encoder->is_redacted)
        return add_delta(out, event->block, SPAN("\"signature_delta\",\"signature\":\""),
                         event->text.escaped);
    int r = add_block_start(out, event->block);
    return r == 0 ? ADD(out, SPAN("\"redacted_thinking\",\"data\":\""), event->text.escaped,
                        SPAN("\"}}\n\n"))
                  : r;
}

static int encode_block_stop(struct anthropic_encoder *encoder, const struct ir_reply *reply,
                             const struct ir_event *event, struct bytes *out)
{
    (void)reply;
    struct digits digits;
    int r = 0;
    if (event->block_kind == IR_REASONING && !encoder->has_signature)
        r = add_delta(out, event->block, SPAN("\"signature_delta\",\"signature\":\""),
                      SPAN(ANTHROPIC_OWN_SIGNATURE));
    return r == 0 ? ADD(out, EVENT("content_block_stop"), SPAN(",\"index\":"),
                        write_digits(event->block, &digits), SPAN("}\n\n"))
                  : r;
}

static int encode_finish(struct anthropic_encoder *encoder, const struct ir_reply *reply,
                         const struct ir_event *event, struct bytes *out)
{
    (void)encoder, (void)reply;
    int r = ADD(out, EVENT("message_delta"), SPAN(",\"delta\":{"));
    if (r == 0)
        r = add_stop(out, event->stop, event->stop_sequence);
    if (r == 0)
        r = bytes_add_span(out, SPAN("},\"usage\":"));
    if (r == 0)
        r = anthropic_usage_write(event->usage, out);
    return r == 0 ? ADD(out, SPAN("}\n\n"), EVENT("message_stop"), SPAN("}\n\n")) : r;
}

int anthropic_encode_event(void *encoder, const struct ir_reply *reply,
                           const struct ir_event *event, struct bytes *out)
{
    static int (*const encode[])(struct anthropic_encoder *, const struct ir_reply *,
                                 const struct ir_event *, struct bytes *) = {
        [IR_EVENT_START] = encode_start,   [IR_EVENT_BLOCK_START] = encode_block_start,
        [IR_EVENT_DELTA] = encode_delta,   [IR_EVENT_SIGNATURE] = encode_signature,
        [IR_EVENT_FINISH] = encode_finish, [IR_EVENT_BLOCK_STOP] = encode_block_stop,
    };
    if (event->kind == IR_EVENT_ERROR)
        return -ERR_INTERNAL; /* write_stream_error() is for it */
    return encode[event->kind](encoder, reply, event, out);
}

/* ---- whole answers ---- */

static int add_reasoning(const struct ir_block *block, struct bytes *out)
{
    if (block->is_redacted)
        return ADD(out, SPAN("{\"type\":\"redacted_thinking\",\"data\":\""),
                   block->signature.escaped, SPAN("\"}"));
    return ADD(out, SPAN("{\"type\":\"thinking\",\"thinking\":\""), block->text.escaped,
               SPAN("\",\"signature\":\""), own_signature(block->signature), SPAN("\"}"));
}

/* Arguments that say something and are no object: an input has no place for them. */
static bool is_torn(const struct ir_block *block)
{
    return block->kind == IR_CALL && block->arguments.type != JSON_OBJECT &&
           !ir_arguments_are_none(block->torn);
}

/* Torn arguments stay what they are inside of an object, so that the tool can say what is wrong. */
static int add_call(const struct ir_block *block, struct bytes *out)
{
    struct span input =
        block->arguments.type == JSON_OBJECT ? json_span(block->arguments) : SPAN("{}");
    int r = ADD(out, SPAN("{\"type\":\"tool_use\",\"id\":\""), block->id.escaped,
                SPAN("\",\"name\":\""), block->name.escaped, SPAN("\",\"input\":"));
    if (r < 0)
        return r;
    return is_torn(block) ? ADD(out, SPAN("{\"raw\":\""), block->torn.escaped, SPAN("\"}}"))
                          : ADD(out, input, SPAN("}"));
}

static int add_block(const struct ir_block *block, struct bytes *out)
{
    if (block->kind == IR_REASONING)
        return add_reasoning(block, out);
    if (block->kind == IR_CALL)
        return add_call(block, out);
    return ADD(out, SPAN("{\"type\":\"text\",\"text\":\""), block->text.escaped, SPAN("\"}"));
}

/* A call of an answer that was cut has not been asked for to its end. */
static bool is_cut(const struct ir_answer *answer, const struct ir_block *block)
{
    return is_torn(block) && (answer->stop == IR_STOP_LENGTH || answer->stop == IR_STOP_CONTEXT ||
                              answer->stop == IR_STOP_REFUSAL);
}

/* Returns whether there is a call among the blocks in *ret_has_calls. */
static int add_content(const struct ir_answer *answer, struct ir_losses *losses, struct bytes *out,
                       bool *ret_has_calls)
{
    const char *separator = "";
    int r = 0;
    *ret_has_calls = false;
    for (const struct ir_block *block = answer->blocks; r == 0 && block; block = block->next) {
        if (is_torn(block))
            ir_lose(losses, "tool_use with torn input");
        if (is_cut(answer, block))
            continue;
        r = bytes_add_span(out, span_of(separator));
        if (r == 0)
            r = add_block(block, out);
        separator = ",";
        *ret_has_calls |= block->kind == IR_CALL;
    }
    return r;
}

int anthropic_encode_answer(const struct ir_answer *answer, const struct ir_reply *reply,
                            struct ir_losses *losses, struct bytes *out)
{
    bool has_calls = false;
    int r = add_message_head(out, reply);
    if (r == 0)
        r = add_content(answer, losses, out, &has_calls);
    if (r == 0)
        r = bytes_add_span(out, SPAN("],"));
    /* A client that is told of calls must find one. */
    const bool is_end = answer->stop == IR_STOP_CALLS && !has_calls;
    if (r == 0)
        r = add_stop(out, is_end ? IR_STOP_END : answer->stop, answer->stop_sequence);
    if (r == 0)
        r = bytes_add_span(out, SPAN(",\"usage\":"));
    if (r == 0)
        r = anthropic_usage_write(&answer->usage, out);
    return r == 0 ? bytes_add_span(out, SPAN("}")) : r;
}

int anthropic_write_count(int64_t input_tokens, struct bytes *out)
{
    return bytes_addf(out, "{\"input_tokens\":%lld}", (long long)input_tokens);
}
