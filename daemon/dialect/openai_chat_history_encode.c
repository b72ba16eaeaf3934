/*
 * The messages of a chat request, to the wire.
 *
 *   turn     an assistant message and what follows it up to the next one
 *   answer   the result that is sent for a call: the first with its id within the turn
 *   orphan   a result whose call is not in the message its turn begins with
 *   media    images and files; a result has them in a user message behind, chat takes text alone there
 *
 * Chat wants every call answered at once, so a turn is written as
 *
 *     assistant (text, reasoning, calls) | tool, tool, ... | media of the results | everything else
 *
 * What is written of a message depends on nothing behind its turn: the prompt cache of one request
 * is good for the next.
 */
#include "dialect/openai_chat_turn.h"

#include "ir/call_id.h"

#define PARAGRAPH SPAN("\\n\\n")

/* ---- pieces of messages ---- */

/* Up to the value of `content`. */
static void begin_message(struct chat_writer *writer, struct span role)
{
    chat_put(writer, writer->messages++ ? SPAN(",{\"role\":\"") : SPAN("{\"role\":\""));
    chat_put(writer, role);
    chat_put(writer, SPAN("\",\"content\":"));
}

static void end_message(struct chat_writer *writer)
{
    chat_put(writer, SPAN("}"));
}

static void put_id(struct chat_writer *writer, struct ir_text id)
{
    struct ir_text sent = id;
    if (writer->status == 0)
        writer->status = chat_can(writer, IR_CAN_SHORT_CALL_IDS)
                             ? ir_call_id_short(id, writer->arena, &sent)
                             : ir_call_id_unwrap(id, writer->arena, &sent);
    chat_put_text(writer, sent);
}

/* What a message comes to before it is written: whether there is anything, and in which form. */
struct measure {
    size_t words, media;
    bool has_mark;
};

static void measure_block(struct chat_writer *writer, const struct ir_block *block,
                          enum chat_say say, struct measure *measure)
{
    measure->words += say == CHAT_SAY_WORDS;
    measure->media += say == CHAT_SAY_MEDIA;
    if (say == CHAT_SAY_WORDS && chat_keeps_mark(writer, block))
        measure->has_mark = true;
}

/* ---- system ---- */

/* Changes with every request of Claude Code, so that no prompt cache would ever be hit. */
static bool is_billing_block(struct chat_writer *writer, const struct ir_block *block)
{
    const struct ir_message *first = writer->request->messages;
    if (block != first->blocks || block->kind != IR_TEXT ||
        !span_starts(block->text.escaped, SPAN("x-anthropic-billing-header:")))
        return false;
    ir_lose(writer->losses, "system: billing header");
    return true;
}

static enum chat_say say_system(struct chat_writer *writer, const struct ir_block *block)
{
    return is_billing_block(writer, block) ? CHAT_SAY_NOTHING : chat_say_words(writer, block);
}

static void put_system(struct chat_writer *writer, const struct ir_message *message,
                       const struct ir_message *end, struct chat_content *content)
{
    for (; message != end; message = message->next)
        for (const struct ir_block *block = message->blocks; block; block = block->next)
            if (say_system(writer, block) == CHAT_SAY_WORDS)
                chat_content_words(writer, content, block);
}

/* Messages up to `end` as one; as_user: the target takes no system message here. */
static void write_system(struct chat_writer *writer, const struct ir_message *first,
                         const struct ir_message *end, bool as_user)
{
    struct measure measure = {0};
    writer->message = first;
    for (const struct ir_message *message = first; message != end; message = message->next)
        for (const struct ir_block *block = message->blocks; block; block = block->next)
            measure_block(writer, block, say_system(writer, block), &measure);
    if (measure.words == 0)
        return;
    struct chat_content content = {.is_array = measure.has_mark && !as_user, .join = PARAGRAPH};
    begin_message(writer, as_user ? SPAN("user") : SPAN("system"));
    chat_content_begin(writer, &content);
    chat_put(writer, as_user ? SPAN("<system>\\n") : SPAN(""));
    put_system(writer, first, end, &content);
    chat_put(writer, as_user ? SPAN("\\n</system>") : SPAN(""));
    chat_content_end(writer, &content);
    end_message(writer);
    if (as_user)
        ir_lose(writer->losses, "messages[].role system");
    if (as_user && measure.has_mark)
        ir_lose(writer->losses, "messages[].content[].cache_control");
}

/* ---- user ---- */

static void measure_orphan(struct chat_writer *writer, const struct ir_block *result,
                           struct measure *measure)
{
    ir_lose(writer->losses, "tool result without its call");
    measure->words++;
    for (const struct ir_block *block = result->content; block; block = block->next)
        measure->media += chat_say(writer, block) == CHAT_SAY_MEDIA;
}

static void put_result_media(struct chat_writer *writer, struct chat_content *content,
                             const struct ir_block *result)
{
    for (const struct ir_block *block = result->content; block; block = block->next)
        if (chat_say(writer, block) == CHAT_SAY_MEDIA)
            chat_content_media(writer, content, block);
}

static void put_orphan(struct chat_writer *writer, struct chat_content *content,
                       const struct ir_block *result)
{
    chat_content_open(writer, content);
    chat_put(writer, SPAN("[result of an unknown tool call]\\n"));
    (void)chat_put_result(writer, result, SPAN("see below")); /* measured before */
    chat_content_close(writer, content, NULL);
    put_result_media(writer, content, result);
}

static struct measure measure_user(struct chat_writer *writer, const struct ir_message *message,
                                   const struct chat_turn *turn)
{
    struct measure measure = {0};
    for (const struct ir_block *block = message->blocks; block; block = block->next) {
        if (block->kind != IR_RESULT)
            measure_block(writer, block, chat_say(writer, block), &measure);
        else if (!chat_find_call(turn, block->id))
            measure_orphan(writer, block, &measure);
    }
    return measure;
}

static void put_user_block(struct chat_writer *writer, struct chat_content *content,
                           const struct ir_block *block, const struct chat_turn *turn)
{
    if (block->kind == IR_RESULT) {
        if (!chat_find_call(turn, block->id))
            put_orphan(writer, content, block);
        return;
    }
    enum chat_say say = chat_say(writer, block);
    if (say == CHAT_SAY_WORDS)
        chat_content_words(writer, content, block);
    else if (say == CHAT_SAY_MEDIA)
        chat_content_media(writer, content, block);
}

/* A user message without the results that were sent as answers. */
static void write_user(struct chat_writer *writer, const struct ir_message *message,
                       const struct chat_turn *turn)
{
    writer->message = message;
    struct measure measure = measure_user(writer, message, turn);
    size_t parts = measure.words + measure.media;
    if (parts == 0)
        return;
    struct chat_content content = {.is_array = parts > 1 || measure.media || measure.has_mark};
    begin_message(writer, SPAN("user"));
    chat_content_begin(writer, &content);
    for (const struct ir_block *block = message->blocks; block; block = block->next)
        put_user_block(writer, &content, block, turn);
    chat_content_end(writer, &content);
    end_message(writer);
}

/* ---- assistant ---- */

static bool is_kept_reasoning(const struct ir_block *block)
{
    return block->kind == IR_REASONING && !block->is_redacted && ir_text_is_filled(block->text);
}

static void put_reasoning(struct chat_writer *writer, const struct chat_turn *turn)
{
    bool is_wanted =
        chat_can(writer, IR_CAN_REASONING_BACK) || chat_can(writer, IR_CAN_REASONING_BACK_ALWAYS);
    size_t count = 0;
    for (const struct ir_message *message = turn->first; message != turn->rest;
         message = message->next)
        for (const struct ir_block *block = message->blocks; block; block = block->next) {
            if (is_wanted && is_kept_reasoning(block)) {
                chat_put(writer, count++ ? PARAGRAPH : SPAN(",\"reasoning_content\":\""));
                chat_put(writer, block->text.escaped);
            } else if (block->kind == IR_REASONING) {
                ir_lose(writer->losses, "messages[].reasoning");
            }
        }
    if (count)
        chat_put(writer, SPAN("\""));
    else if (turn->count && chat_can(writer, IR_CAN_REASONING_BACK_ALWAYS))
        chat_put(writer, SPAN(",\"reasoning_content\":\"\""));
}

/* The JSON of the arguments, in a string. Torn ones are wrapped, so that the whole is JSON. */
static void put_arguments(struct chat_writer *writer, const struct ir_block *call)
{
    bool is_torn = call->arguments.type != JSON_OBJECT && ir_text_is_filled(call->torn);
    struct span text = SPAN("{}");
    if (call->arguments.type == JSON_OBJECT)
        text = json_span(call->arguments);
    else if (is_torn)
        text = call->torn.escaped;
    chat_put(writer, is_torn ? SPAN("\"{\\\"raw\\\":\\\"") : SPAN("\""));
    if (writer->status == 0)
        writer->status = json_add_escaped(writer->out, text);
    chat_put(writer, is_torn ? SPAN("\\\"}\"") : SPAN("\""));
    if (is_torn)
        ir_lose(writer->losses, "torn arguments");
}

static void put_call(struct chat_writer *writer, const struct ir_block *call)
{
    chat_put(writer, SPAN("{\"id\":"));
    put_id(writer, call->id);
    chat_put(writer, SPAN(",\"type\":\"function\",\"function\":{\"name\":"));
    chat_put_text(writer, call->name);
    chat_put(writer, SPAN(",\"arguments\":"));
    put_arguments(writer, call);
    chat_put(writer, SPAN("}}"));
    if (!json_is_nothing(call->cache_mark))
        ir_lose(writer->losses, "messages[].content[].cache_control");
}

static void put_calls(struct chat_writer *writer, const struct chat_turn *turn)
{
    size_t count = 0;
    if (turn->count == 0)
        return;
    for (const struct ir_message *message = turn->first; message != turn->rest;
         message = message->next)
        for (const struct ir_block *block = message->blocks; block; block = block->next) {
            if (block->kind != IR_CALL || chat_find_call(turn, block->id)->block != block)
                continue;
            chat_put(writer, count++ ? SPAN(",") : SPAN(",\"tool_calls\":["));
            put_call(writer, block);
        }
    chat_put(writer, SPAN("]"));
}

static void put_spoken(struct chat_writer *writer, const struct chat_turn *turn,
                       struct chat_content *content)
{
    chat_content_begin(writer, content);
    for (const struct ir_message *message = turn->first; message != turn->rest;
         message = message->next) {
        content->join = PARAGRAPH;
        for (const struct ir_block *block = message->blocks; block; block = block->next) {
            if (chat_say_words(writer, block) != CHAT_SAY_WORDS)
                continue;
            chat_content_words(writer, content, block);
            content->join = SPAN("");
        }
    }
    chat_content_end(writer, content);
}

static void write_assistant(struct chat_writer *writer, const struct chat_turn *turn)
{
    struct measure measure = {0};
    writer->message = turn->first;
    for (const struct ir_message *message = turn->first; message != turn->rest;
         message = message->next)
        for (const struct ir_block *block = message->blocks; block; block = block->next)
            measure_block(writer, block, chat_say_words(writer, block), &measure);
    if (measure.words == 0 && turn->count == 0) {
        if (chat_count_blocks(turn->first, turn->rest, IR_REASONING) > 0)
            ir_lose(writer->losses, "messages[].reasoning");
        return;
    }
    struct chat_content content = {.is_array = measure.has_mark};
    begin_message(writer, SPAN("assistant"));
    if (measure.words)
        put_spoken(writer, turn, &content);
    else
        chat_put(writer, SPAN("null"));
    put_reasoning(writer, turn);
    put_calls(writer, turn);
    end_message(writer);
}

/* ---- answers ---- */

static void begin_answer(struct chat_writer *writer, struct ir_text id)
{
    chat_put(writer, writer->messages++ ? SPAN(",") : SPAN(""));
    chat_put(writer, SPAN("{\"role\":\"tool\",\"tool_call_id\":"));
    put_id(writer, id);
    chat_put(writer, SPAN(",\"content\":"));
}

/* The block whose mark stands for the whole result: itself, or the last marked one in it. */
static const struct ir_block *marked_block(struct chat_writer *writer,
                                           const struct ir_block *result)
{
    const struct ir_block *marked = chat_keeps_mark(writer, result) ? result : NULL;
    for (const struct ir_block *block = result->content; block; block = block->next)
        if (chat_keeps_mark(writer, block) && marked != result)
            marked = block;
    return marked;
}

static void write_answer(struct chat_writer *writer, struct chat_turn *turn,
                         const struct ir_block *result)
{
    const struct ir_block *marked = marked_block(writer, result);
    struct chat_content content = {.is_array = marked};
    begin_answer(writer, result->id);
    chat_content_begin(writer, &content);
    chat_content_open(writer, &content);
    turn->media += chat_put_result(writer, result, SPAN("see the next message"));
    chat_content_close(writer, &content, marked);
    chat_content_end(writer, &content);
    end_message(writer);
}

static void answer_call(struct chat_writer *writer, struct chat_turn *turn,
                        const struct ir_block *result)
{
    struct chat_call *call = chat_find_call(turn, result->id);
    if (!call)
        return; /* an orphan: it comes as user text */
    if (call->answer) {
        ir_lose(writer->losses, "duplicate tool result");
        return;
    }
    call->answer = result;
    write_answer(writer, turn, result);
}

/* A provider refuses a history with an open call: the client gave up on this one. */
static void close_call(struct chat_writer *writer, const struct chat_turn *turn,
                       const struct ir_block *block)
{
    const struct chat_call *call = chat_find_call(turn, block->id);
    if (call->answer || call->block != block)
        return;
    begin_answer(writer, block->id);
    chat_put(writer, SPAN("\"(no result)\"}"));
    ir_lose(writer->losses, "tool call without a result");
}

static void write_answers(struct chat_writer *writer, struct chat_turn *turn)
{
    for (const struct ir_message *message = turn->rest; message != turn->end;
         message = message->next) {
        writer->message = message;
        for (const struct ir_block *block = message->blocks; block; block = block->next)
            if (block->kind == IR_RESULT)
                answer_call(writer, turn, block);
    }
    if (!turn->rest || turn->count == 0)
        return;
    for (const struct ir_message *message = turn->first; message != turn->rest;
         message = message->next)
        for (const struct ir_block *block = message->blocks; block; block = block->next)
            if (block->kind == IR_CALL)
                close_call(writer, turn, block);
}

static void write_answer_media(struct chat_writer *writer, const struct chat_turn *turn)
{
    struct chat_content content = {.is_array = true};
    if (turn->media == 0)
        return;
    begin_message(writer, SPAN("user"));
    chat_content_begin(writer, &content);
    chat_content_open(writer, &content);
    chat_put(writer, SPAN("(images from the tool results above)"));
    chat_content_close(writer, &content, NULL);
    for (const struct ir_message *message = turn->rest; message != turn->end;
         message = message->next)
        for (const struct ir_block *block = message->blocks; block; block = block->next) {
            const struct chat_call *call =
                block->kind == IR_RESULT ? chat_find_call(turn, block->id) : NULL;
            if (call && call->answer == block)
                put_result_media(writer, &content, block);
        }
    chat_content_end(writer, &content);
    end_message(writer);
}

/* ---- the whole ---- */

static void write_rest(struct chat_writer *writer, const struct chat_turn *turn)
{
    bool as_user = !chat_can(writer, IR_CAN_SYSTEM_ANYWHERE);
    for (const struct ir_message *message = turn->rest; message != turn->end;
         message = message->next) {
        if (message->role == IR_ROLE_SYSTEM)
            write_system(writer, message, message->next, as_user);
        else
            write_user(writer, message, turn);
    }
}

/*
 * System messages in front of all others. A target that takes none later on may have a template that
 * takes one in all.
 */
static const struct ir_message *write_leading(struct chat_writer *writer)
{
    const struct ir_message *message = writer->request->messages, *end = message;
    while (end && end->role == IR_ROLE_SYSTEM)
        end = end->next;
    if (!chat_can(writer, IR_CAN_SYSTEM_ANYWHERE)) {
        write_system(writer, message, end, false);
        return end;
    }
    for (; message != end; message = message->next)
        write_system(writer, message, message->next, false);
    return end;
}

void chat_write_messages(struct chat_writer *writer)
{
    const struct ir_message *message = write_leading(writer);
    struct chat_turn opening = {.rest = message, .end = message};
    while (opening.end && opening.end->role != IR_ROLE_ASSISTANT)
        opening.end = opening.end->next;
    write_rest(writer, &opening); /* before the model spoke */
    message = opening.end;
    while (message && writer->status == 0) {
        struct chat_turn turn = chat_turn_of(writer, message);
        write_assistant(writer, &turn);
        write_answers(writer, &turn);
        write_answer_media(writer, &turn);
        write_rest(writer, &turn);
        message = turn.end;
    }
    if (writer->status == 0 && writer->messages == 0)
        writer->status = err_set(writer->reterr, ERR_INVALID_REQUEST,
                                 "messages: there is no content in them that can be sent");
}
