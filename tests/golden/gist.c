/* See gist.h. */
#include "golden/gist.h"

#include <stdlib.h>

#include "ir/call_id.h"

#define NO_RESULT "(no result)"

/* ---- words ---- */

/* Without white space at the ends, escaped or not. */
static struct span trim(struct span text)
{
    static const struct span blanks[] = {SPAN(" "),   SPAN("\\n"), SPAN("\\r"),
                                         SPAN("\\t"), SPAN("\n"),  SPAN("\t")};
    for (size_t i = 0; i < sizeof(blanks) / sizeof(blanks[0]); i++) {
        size_t len = blanks[i].len;
        bool is_front = span_starts(text, blanks[i]);
        bool is_back = text.len >= len && !memcmp(text.at + text.len - len, blanks[i].at, len);
        if (!is_front && !is_back)
            continue;
        text.at += is_front ? len : 0;
        text.len -= len;
        i = (size_t)-1; /* from the first again */
    }
    return text;
}

static void say(struct gist *gist, enum gist_channel channel, struct span text)
{
    struct span word = trim(text);
    if (word.len == 0)
        return;
    golden_add(&gist->words[channel], word);
    golden_add(&gist->words[channel], SPAN("\n"));
}

/* Ids are compared in the form every wire takes. */
static void say_id(struct gist *gist, enum gist_channel channel, struct ir_text id)
{
    struct ir_text safe;
    if (ir_call_id_safe(id, &gist->arena, &safe) < 0)
        abort();
    say(gist, channel, safe.escaped);
}

static void say_call(struct gist *gist, const struct ir_block *call)
{
    bool has_arguments = call->arguments.type == JSON_OBJECT;
    say_id(gist, GIST_CALLS, call->id);
    say(gist, GIST_CALLS, call->name.escaped);
    if (ir_text_is_filled(call->torn))
        say(gist, GIST_CALLS, call->torn.escaped);
    else
        say(gist, GIST_CALLS, has_arguments ? json_span(call->arguments) : SPAN("{}"));
}

static void say_media(struct gist *gist, const struct ir_block *block)
{
    say(gist, GIST_MEDIA, block->url.escaped);
    if (ir_text_is_filled(block->data))
        say(gist, GIST_MEDIA, block->media_type.escaped);
    say(gist, GIST_MEDIA, block->data.escaped);
}

static void say_reference(struct gist *gist, enum gist_channel channel, struct ir_text name)
{
    say(gist, channel, SPAN("Tool"));
    say(gist, channel, name.escaped);
    say(gist, channel, SPAN("is available now."));
}

static void say_block(struct gist *gist, enum gist_channel channel, const struct ir_block *block)
{
    switch (block->kind) {
    case IR_TEXT:
    case IR_REFUSAL:
        say(gist, channel, block->text.escaped);
        break;
    case IR_DOCUMENT:
        if (ir_text_is_filled(block->text))
            say(gist, channel, block->name.escaped);
        say(gist, channel, block->text.escaped);
        say_media(gist, block);
        break;
    case IR_IMAGE:
        say_media(gist, block);
        break;
    case IR_TOOL_REFERENCE:
        say_reference(gist, channel, block->name);
        break;
    default:
        break;
    }
}

static void say_blocks(struct gist *gist, enum gist_channel channel, const struct ir_block *blocks)
{
    for (const struct ir_block *block = blocks; block; block = block->next)
        say_block(gist, channel, block);
}

/* ---- requests ---- */

/* Where the messages of the turn that a message answers begin: behind the calls. */
struct turn {
    const struct ir_message *calls; /* the first assistant message of the last ones in a row */
    const struct ir_message *rest;  /* behind them */
};

static bool has_call(const struct turn *turn, struct ir_text id)
{
    for (const struct ir_message *message = turn->calls; message && message != turn->rest;
         message = message->next)
        for (const struct ir_block *block = message->blocks; block; block = block->next)
            if (block->kind == IR_CALL && ir_text_equal(block->id, id))
                return true;
    return false;
}

/* A result of the same id stands before this one. */
static bool is_answered(const struct turn *turn, const struct ir_block *result)
{
    for (const struct ir_message *message = turn->rest; message; message = message->next)
        for (const struct ir_block *block = message->blocks; block; block = block->next) {
            if (block == result)
                return false;
            if (block->kind == IR_RESULT && ir_text_equal(block->id, result->id))
                return true;
        }
    return false;
}

static void say_result(struct gist *gist, const struct turn *turn, const struct ir_block *result)
{
    const struct ir_block *content = result->content;
    bool is_filler =
        content && ir_text_equal(content->text, IR_TEXT_LITERAL(NO_RESULT)) && !content->next;
    if (!has_call(turn, result->id)) {
        say_blocks(gist, GIST_ASKED, content);
    } else if (!is_answered(turn, result) && !is_filler) {
        say_id(gist, GIST_RESULTS, result->id);
        say_blocks(gist, GIST_RESULTS, content);
    }
}

static void say_message(struct gist *gist, const struct turn *turn,
                        const struct ir_message *message)
{
    bool is_asked = message->role != IR_ROLE_ASSISTANT;
    for (const struct ir_block *block = message->blocks; block; block = block->next) {
        if (block->kind == IR_CALL)
            say_call(gist, block);
        else if (block->kind == IR_RESULT)
            say_result(gist, turn, block);
        else
            say_block(gist, is_asked ? GIST_ASKED : GIST_SAID, block);
    }
}

static void gist_init(struct gist *gist)
{
    *gist = (struct gist){0};
    arena_init(&gist->arena, GOLDEN_MEMORY);
    for (int channel = 0; channel < GIST_CHANNELS; channel++)
        gist->words[channel].max = GOLDEN_MEMORY;
}

void gist_of_request(struct gist *gist, const struct ir_request *request)
{
    struct turn turn = {0};
    bool was_assistant = false;
    gist_init(gist);
    for (const struct ir_tool *tool = request->tools; tool; tool = tool->next)
        if (ir_tool_is_declared(tool)) {
            say(gist, GIST_TOOLS, tool->name.escaped);
            say(gist, GIST_TOOLS, tool->description.escaped);
        }
    for (const struct ir_message *message = request->messages; message; message = message->next) {
        bool is_assistant = message->role == IR_ROLE_ASSISTANT;
        if (is_assistant && !was_assistant)
            turn.calls = message;
        if (is_assistant)
            turn.rest = message->next;
        was_assistant = is_assistant;
        say_message(gist, &turn, message);
    }
}

void gist_of_answer(struct gist *gist, const struct ir_answer *answer)
{
    gist_init(gist);
    for (const struct ir_block *block = answer->blocks; block; block = block->next) {
        if (block->kind == IR_CALL)
            say_call(gist, block);
        else if (block->kind == IR_REASONING)
            say(gist, GIST_REASONING, block->text.escaped);
        else
            say_block(gist, GIST_SAID, block);
    }
}

void gist_release(struct gist *gist)
{
    arena_release(&gist->arena);
    for (int channel = 0; channel < GIST_CHANNELS; channel++)
        bytes_release(&gist->words[channel]);
}

/* ---- comparing ---- */

/* What a conversion may add to texts, in any channel. */
static const struct span extras[] = {
    SPAN(" "),
    SPAN("\\n"),
    SPAN("\n"),
    SPAN("Error: "),
    SPAN("(empty)"),
    SPAN("(continue)"),
    SPAN("Answer with one JSON object and nothing else."),
    SPAN("<system>"),
    SPAN("</system>"),
    SPAN("[image: see the next message]"),
    SPAN("(images from the tool results above)"),
    SPAN("[result of an unknown tool call]"),
};

/* What may be missing, when it was named as a loss that begins so. */
static const struct {
    enum gist_channel channel;
    const char *loss;
} missing[] = {
    {GIST_ASKED, "system: billing header"},     {GIST_CALLS, "torn arguments"},
    {GIST_CALLS, "tool_use with torn input"},   {GIST_CALLS, "duplicate tool call"},
    {GIST_MEDIA, "messages[].content[].image"},
};

static bool may_miss(enum gist_channel channel, const struct ir_losses *losses)
{
    for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]); i++)
        for (unsigned loss = 0; missing[i].channel == channel && loss < losses->count; loss++)
            if (span_starts(span_of(losses->names[loss]), span_of(missing[i].loss)))
                return true;
    return false;
}

static struct span without_front(struct span text, struct span front)
{
    return (struct span){text.at + front.len, text.len - front.len};
}

/* Takes one extra from the front of a text. */
static bool skip_extra(struct span *text)
{
    for (size_t i = 0; i < sizeof(extras) / sizeof(extras[0]); i++)
        if (span_starts(*text, extras[i])) {
            *text = without_front(*text, extras[i]);
            return true;
        }
    return false;
}

/* The first word of `before` that `after` does not say in its place; absent: it says all. */
static struct span find_missing(struct span before, struct span *after, bool may_be_missing)
{
    while (before.len > 0) {
        struct span rest = {0}, at = *after, word = span_cut(before, '\n', &rest);
        while (!span_starts(at, word) && skip_extra(&at))
            ;
        if (span_starts(at, word))
            *after = without_front(at, word);
        else if (!may_be_missing)
            return word;
        before = rest;
    }
    while (skip_extra(after))
        ;
    return (struct span){0};
}

void gist_expect(const struct golden_case *golden, const char *what, const struct gist *before,
                 const struct gist *after, const struct ir_losses *losses)
{
    for (enum gist_channel channel = 0; channel < GIST_CHANNELS; channel++) {
        struct span rest = bytes_span(&after->words[channel]);
        bool may_be_missing = may_miss(channel, losses);
        struct span word = find_missing(bytes_span(&before->words[channel]), &rest, may_be_missing);
        golden_expect(golden, !word.at,
                      "%s: channel %u does not say '" SPAN_FMT "' at '" SPAN_FMT "'", what, channel,
                      SPAN_ARG(word), SPAN_ARG(rest));
        golden_expect(golden, word.at || rest.len == 0 || may_be_missing,
                      "%s: channel %u says more: '" SPAN_FMT "'", what, channel, SPAN_ARG(rest));
    }
}
