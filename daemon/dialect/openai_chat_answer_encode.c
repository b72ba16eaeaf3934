/*
 * Neutral answers for Chat Completions clients: one chunk per event that says something here, or the
 * whole answer. Streams are hot: a chunk is put together in few steps, texts are copied escaped as
 * they are. id, created and model are ours and stay the same in all chunks.
 */
#include "dialect/openai_chat.h"

#include <stdio.h>

/* Without gaps: every stop has its word. */
static const char *const finish_words[] = {
    [IR_STOP_END] = "stop",         [IR_STOP_LENGTH] = "length",
    [IR_STOP_CALLS] = "tool_calls", [IR_STOP_REFUSAL] = "content_filter",
    [IR_STOP_SEQUENCE] = "stop",    [IR_STOP_PAUSE] = "stop",
    [IR_STOP_CONTEXT] = "length",
};

/* The member of a delta or message that takes the text of a block; a call has another place. */
static const char *const members[] = {
    [IR_TEXT] = "content",
    [IR_REASONING] = "reasoning_content",
    [IR_REFUSAL] = "refusal",
};

/* ---- shared ---- */

/* {"id":...,"object":...,"created":...,"model":"...","choices":[ */
static int begin_object(const struct ir_reply *reply, const char *object, struct bytes *out)
{
    int r = reply->begun_id.at
                ? bytes_add_span(out, SPAN("{\"id\":"))
                : bytes_addf(out, "{\"id\":\"chatcmpl-" SPAN_FMT "\"", SPAN_ARG(reply->id));
    if (r == 0 && reply->begun_id.at)
        r = json_add_string(out, reply->begun_id);
    if (r == 0)
        r = bytes_addf(out, ",\"object\":\"%s\",\"created\":%lld,\"model\":", object,
                       (long long)reply->created_s);
    if (r == 0)
        r = json_add_string(out, reply->model);
    return r == 0 ? bytes_add_span(out, SPAN(",\"choices\":[")) : r;
}

/* "usage":{...}; cache writes under the name OpenRouter gave them. */
static int add_usage(const struct usage *usage, struct bytes *out)
{
    int64_t input = usage_total_input(usage);
    int64_t written = usage->cache_write_5m + usage->cache_write_1h;
    int r = bytes_addf(out,
                       "\"usage\":{\"prompt_tokens\":%lld,\"completion_tokens\":%lld,"
                       "\"total_tokens\":%lld,\"prompt_tokens_details\":{\"cached_tokens\":%lld",
                       (long long)input, (long long)usage->output,
                       (long long)(input + usage->output), (long long)usage->cache_read);
    if (r == 0 && written > 0)
        r = bytes_addf(out, ",\"cache_write_tokens\":%lld", (long long)written);
    return r == 0 ? bytes_addf(out, "},\"completion_tokens_details\":{\"reasoning_tokens\":%lld}}",
                               (long long)usage->reasoning)
                  : r;
}

/* ---- chunks ---- */

static int begin_chunk(const struct ir_reply *reply, struct bytes *out)
{
    int r = bytes_add_span(out, SPAN("data: "));
    return r == 0 ? begin_object(reply, "chat.completion.chunk", out) : r;
}

/* A chunk of one delta: `before` escaped text `after`. */
static int add_delta(const struct ir_reply *reply, const char *before, struct ir_text text,
                     const char *after, struct bytes *out)
{
    int r = begin_chunk(reply, out);
    if (r == 0)
        r = bytes_addf(out, "{\"index\":0,\"delta\":{%s", before);
    if (r == 0)
        r = bytes_add_span(out, text.escaped);
    return r == 0 ? bytes_addf(out, "%s},\"finish_reason\":null}]}\n\n", after) : r;
}

static int add_arguments(unsigned index, const struct ir_reply *reply, struct ir_text piece,
                         struct bytes *out)
{
    char before[80];
    snprintf(before, sizeof(before), "\"tool_calls\":[{\"index\":%u,\"function\":{\"arguments\":\"",
             index);
    return add_delta(reply, before, piece, "\"}}]", out);
}

/* Clients parse the arguments of every call: none at all are an empty object. */
static int pay_arguments(struct openai_chat_encoder *encoder, const struct ir_reply *reply,
                         struct bytes *out)
{
    if (!encoder->owes_arguments)
        return 0;
    encoder->owes_arguments = false;
    return add_arguments(encoder->calls - 1, reply, IR_TEXT_LITERAL("{}"), out);
}

static int on_start(struct openai_chat_encoder *encoder, const struct ir_reply *reply,
                    const struct ir_event *event, struct bytes *out)
{
    (void)encoder, (void)event;
    return add_delta(reply, "\"role\":\"assistant\",\"content\":\"\"", (struct ir_text){0}, "",
                     out);
}

static int on_block_start(struct openai_chat_encoder *encoder, const struct ir_reply *reply,
                          const struct ir_event *event, struct bytes *out)
{
    int r = pay_arguments(encoder, reply, out);
    if (r < 0 || event->block_kind != IR_CALL)
        return r;
    unsigned index = encoder->calls++;
    encoder->owes_arguments = true;
    r = begin_chunk(reply, out);
    if (r == 0)
        r = bytes_addf(out,
                       "{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":%u,\"id\":\"" SPAN_FMT
                       "\",\"type\":\"function\",\"function\":{\"name\":\"",
                       index, SPAN_ARG(event->id.escaped));
    if (r == 0)
        r = bytes_add_span(out, event->name.escaped);
    return r == 0 ? bytes_add_span(out,
                                   SPAN("\",\"arguments\":\"\"}}]},\"finish_reason\":null}]}\n\n"))
                  : r;
}

static int on_delta(struct openai_chat_encoder *encoder, const struct ir_reply *reply,
                    const struct ir_event *event, struct bytes *out)
{
    char before[32];
    if (event->block_kind == IR_CALL) {
        encoder->owes_arguments = false;
        return add_arguments(encoder->calls - 1, reply, event->text, out);
    }
    snprintf(before, sizeof(before), "\"%s\":\"", members[event->block_kind]);
    return add_delta(reply, before, event->text, "\"", out);
}

static int add_usage_chunk(const struct ir_reply *reply, const struct usage *usage,
                           struct bytes *out)
{
    int r = begin_chunk(reply, out);
    if (r == 0)
        r = bytes_add_span(out, SPAN("],"));
    if (r == 0)
        r = add_usage(usage, out);
    return r == 0 ? bytes_add_span(out, SPAN("}\n\n")) : r;
}

/* A call without arguments that a limit stopped is torn: nothing is made up for it. */
static bool is_cut(enum ir_stop stop)
{
    return stop == IR_STOP_LENGTH || stop == IR_STOP_CONTEXT;
}

static int on_finish(struct openai_chat_encoder *encoder, const struct ir_reply *reply,
                     const struct ir_event *event, struct bytes *out)
{
    int r = is_cut(event->stop) ? 0 : pay_arguments(encoder, reply, out);
    if (r == 0)
        r = begin_chunk(reply, out);
    if (r == 0)
        r = bytes_addf(out, "{\"index\":0,\"delta\":{},\"finish_reason\":\"%s\"}]}\n\n",
                       finish_words[event->stop]);
    if (r == 0 && reply->wants_usage && event->usage && event->usage->source != USAGE_NONE)
        r = add_usage_chunk(reply, event->usage, out);
    return r == 0 ? bytes_add_span(out, SPAN("data: [DONE]\n\n")) : r;
}

int openai_chat_encode_event(void *encoder, const struct ir_reply *reply,
                             const struct ir_event *event, struct bytes *out)
{
    /* Signatures have no place here, nor has the end of a block. */
    static int (*const writers[IR_EVENT_ERROR + 1])(struct openai_chat_encoder *,
                                                    const struct ir_reply *,
                                                    const struct ir_event *, struct bytes *) = {
        [IR_EVENT_START] = on_start,
        [IR_EVENT_BLOCK_START] = on_block_start,
        [IR_EVENT_DELTA] = on_delta,
        [IR_EVENT_FINISH] = on_finish,
    };
    return writers[event->kind] ? writers[event->kind](encoder, reply, event, out) : 0;
}

/* ---- whole answers ---- */

/* "name":"all texts of this kind", or "name":null. */
static int add_texts(const struct ir_answer *answer, enum ir_block_kind kind, struct bytes *out)
{
    bool has_any = false;
    int r = bytes_addf(out, ",\"%s\":", members[kind]);
    for (const struct ir_block *block = answer->blocks; r == 0 && block; block = block->next) {
        if (block->kind != kind || !ir_text_is_filled(block->text))
            continue;
        if (!has_any)
            r = bytes_add_span(out, SPAN("\""));
        has_any = true;
        if (r == 0)
            r = bytes_add_span(out, block->text.escaped);
    }
    return r == 0 ? bytes_add_span(out, has_any ? SPAN("\"") : SPAN("null")) : r;
}

static const struct ir_block *next_of(const struct ir_block *block, enum ir_block_kind kind)
{
    while (block && block->kind != kind)
        block = block->next;
    return block;
}

static bool has_words(const struct ir_block *block, enum ir_block_kind kind)
{
    while ((block = next_of(block, kind)) && !ir_text_is_filled(block->text))
        block = block->next;
    return block;
}

/* The arguments' string: a value, what is left of one, or an empty object for none. */
static int add_argument_text(const struct ir_block *call, bool is_cut_off, struct bytes *out)
{
    if (call->arguments.type != JSON_ABSENT)
        return json_add_string(out, json_span(call->arguments));
    if (ir_text_is_filled(call->torn) || is_cut_off)
        return ir_text_add(out, call->torn);
    return bytes_add_span(out, SPAN("\"{}\""));
}

static int add_call(const struct ir_block *call, bool is_cut_off, struct bytes *out)
{
    int r = bytes_add_span(out, SPAN("{\"id\":"));
    if (r == 0)
        r = ir_text_add(out, call->id);
    if (r == 0)
        r = bytes_add_span(out, SPAN(",\"type\":\"function\",\"function\":{\"name\":"));
    if (r == 0)
        r = ir_text_add(out, call->name);
    if (r == 0)
        r = bytes_add_span(out, SPAN(",\"arguments\":"));
    if (r == 0)
        r = add_argument_text(call, is_cut_off, out);
    return r == 0 ? bytes_add_span(out, SPAN("}}")) : r;
}

static int add_calls(const struct ir_answer *answer, struct bytes *out)
{
    const struct ir_block *call = next_of(answer->blocks, IR_CALL);
    int r = call ? bytes_add_span(out, SPAN(",\"tool_calls\":[")) : 0;
    if (!call)
        return 0;
    while (r == 0 && call) {
        const struct ir_block *next = next_of(call->next, IR_CALL);
        r = add_call(call, is_cut(answer->stop) && !call->next, out);
        if (r == 0 && next)
            r = bytes_add_span(out, SPAN(","));
        call = next;
    }
    return r == 0 ? bytes_add_span(out, SPAN("]")) : r;
}

static int add_message(const struct ir_answer *answer, struct bytes *out)
{
    int r = bytes_add_span(out, SPAN("{\"index\":0,\"message\":{\"role\":\"assistant\""));
    if (r == 0)
        r = add_texts(answer, IR_TEXT, out);
    if (r == 0 && has_words(answer->blocks, IR_REASONING))
        r = add_texts(answer, IR_REASONING, out);
    if (r == 0)
        r = add_texts(answer, IR_REFUSAL, out);
    if (r == 0)
        r = add_calls(answer, out);
    return r == 0 ? bytes_addf(out, "},\"finish_reason\":\"%s\"}]", finish_words[answer->stop]) : r;
}

static void lose_signatures(const struct ir_answer *answer, struct ir_losses *losses)
{
    for (const struct ir_block *block = answer->blocks; block; block = block->next)
        if (ir_text_is_filled(block->signature))
            ir_lose(losses, block->is_redacted ? "redacted reasoning" : "reasoning signature");
}

int openai_chat_encode_answer(const struct ir_answer *answer, const struct ir_reply *reply,
                              struct ir_losses *losses, struct bytes *out)
{
    lose_signatures(answer, losses);
    int r = begin_object(reply, "chat.completion", out);
    if (r == 0)
        r = add_message(answer, out);
    if (r == 0 && answer->usage.source != USAGE_NONE) {
        r = bytes_add_span(out, SPAN(","));
        if (r == 0)
            r = add_usage(&answer->usage, out);
    }
    return r == 0 ? bytes_add_span(out, SPAN("}")) : r;
}
