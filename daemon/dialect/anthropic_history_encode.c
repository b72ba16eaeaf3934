/*
 * See anthropic_request_encode.h: system text and turns. First the turns are planned, then written in
 * one pass. What is written of a turn depends on that turn and the one before it alone, so the next
 * request of a conversation begins with the same bytes.
 */
#include "dialect/anthropic_request_encode.h"

/* ---- what a message is worth ---- */

enum weight {
    WEIGHT_NONE,
    WEIGHT_LIGHT, /* reasoning only: joins a turn of its side, makes none */
    WEIGHT_SOLID,
};

bool anthropic_is_signed(const struct ir_block *block)
{
    return !block->is_foreign && ir_text_is_filled(block->signature) &&
           !ir_text_equal(block->signature, IR_TEXT_LITERAL(ANTHROPIC_OWN_SIGNATURE));
}

/*
 * The target can read it: what another provider signed would make it refuse the request. Some sign
 * nothing, and want it back all the same.
 */
static bool is_usable(const struct ir_target *target, const struct ir_block *block)
{
    bool is_plain = ir_can(target, IR_CAN_REASONING_BACK) && !block->is_redacted &&
                    ir_text_is_filled(block->text);
    return block->kind == IR_REASONING && (anthropic_is_signed(block) || is_plain);
}

static bool is_words(const struct ir_block *block)
{
    return block->kind == IR_TEXT || block->kind == IR_REFUSAL;
}

static enum weight weigh_block(const struct ir_target *target, const struct ir_message *message,
                               const struct ir_block *block)
{
    bool is_part = anthropic_is_part(block), is_solid = false;
    switch (message->role) {
    case IR_ROLE_SYSTEM:
        is_solid = is_part && is_words(block);
        break;
    case IR_ROLE_USER:
        is_solid = is_part || block->kind == IR_RESULT;
        break;
    case IR_ROLE_ASSISTANT:
        if (is_usable(target, block))
            return WEIGHT_LIGHT;
        is_solid = (is_part && is_words(block)) || block->kind == IR_CALL;
        break;
    }
    return is_solid ? WEIGHT_SOLID : WEIGHT_NONE;
}

static bool is_solid(const struct ir_target *target, const struct ir_message *message,
                     const struct ir_block *block)
{
    return weigh_block(target, message, block) == WEIGHT_SOLID;
}

static enum weight weigh(const struct ir_target *target, const struct ir_message *message)
{
    enum weight weight = WEIGHT_NONE;
    for (const struct ir_block *block = message->blocks; block && weight != WEIGHT_SOLID;
         block = block->next) {
        enum weight of_block = weigh_block(target, message, block);
        weight = of_block > weight ? of_block : weight;
    }
    return weight;
}

/* What weighs nothing and is no blank text is a loss, whether its message is written or not. */
static void note_losses(struct anthropic_writing *writing, const struct ir_message *message)
{
    for (const struct ir_block *block = message->blocks; block; block = block->next) {
        if (is_words(block) || weigh_block(writing->target, message, block) != WEIGHT_NONE)
            continue;
        if (block->kind == IR_REASONING)
            ir_lose(writing->losses, "messages[].reasoning");
        else
            anthropic_lose_block(writing, block);
    }
}

/* ---- planning ---- */

/* The first message that is none of the system messages at the start. */
static const struct ir_message *behind_system(const struct ir_request *request)
{
    const struct ir_message *message = request->messages;
    while (message && message->role == IR_ROLE_SYSTEM)
        message = message->next;
    return message;
}

struct planner {
    struct anthropic_writing *writing;
    struct anthropic_turn **next;
    const struct ir_message *light; /* reasoning that waits for its turn */
};

static int add_to_turn(struct planner *planner, const struct ir_message *message)
{
    struct anthropic_writing *writing = planner->writing;
    bool is_assistant = message->role == IR_ROLE_ASSISTANT;
    struct anthropic_turn *turn = writing->last_turn;
    if (!turn || turn->is_assistant != is_assistant) {
        turn = arena_alloc(writing->arena, sizeof(*turn));
        if (!turn)
            return -ERR_TOO_LARGE;
        turn->is_assistant = is_assistant;
        turn->first = is_assistant && planner->light ? planner->light : message;
        *planner->next = turn;
        planner->next = &turn->next;
        writing->before_last_turn = writing->last_turn;
        writing->last_turn = turn;
    }
    turn->last = message;
    planner->light = NULL;
    for (const struct ir_block *block = message->blocks; is_assistant && block; block = block->next)
        if (is_solid(planner->writing->target, message, block))
            turn->last_solid = block;
    return 0;
}

static int plan_message(struct planner *planner, const struct ir_message *message)
{
    enum weight weight = weigh(planner->writing->target, message);
    note_losses(planner->writing, message);
    if (weight == WEIGHT_SOLID && message->role != IR_ROLE_ASSISTANT && planner->light)
        ir_lose(planner->writing->losses, "messages[].reasoning"); /* it has no turn to stand in */
    if (weight == WEIGHT_SOLID)
        return add_to_turn(planner, message);
    if (weight == WEIGHT_LIGHT && !planner->light)
        planner->light = message;
    return 0;
}

/* Room for every call, twice, so that a search is short. */
static int plan_calls(struct anthropic_writing *writing)
{
    size_t count = 0, slots = 8;
    for (const struct ir_message *message = writing->request->messages; message;
         message = message->next)
        for (const struct ir_block *block = message->blocks; block; block = block->next)
            count += block->kind == IR_CALL;
    while (slots < 2 * count)
        slots *= 2;
    writing->calls = arena_alloc(writing->arena, slots * sizeof(*writing->calls));
    writing->call_slots = slots;
    return writing->calls ? 0 : -ERR_TOO_LARGE;
}

int anthropic_plan(struct anthropic_writing *writing)
{
    struct planner planner = {writing, &writing->turns, NULL};
    const struct ir_message *first = behind_system(writing->request);
    int r = 0;
    for (const struct ir_message *message = first; r == 0 && message; message = message->next)
        r = plan_message(&planner, message);
    if (planner.light)
        ir_lose(writing->losses, "messages[].reasoning");
    for (const struct ir_message *message = writing->request->messages; message != first;
         message = message->next) {
        note_losses(writing, message);
        for (const struct ir_block *block = message->blocks; block; block = block->next)
            writing->system_count += is_solid(writing->target, message, block);
    }
    return r == 0 ? plan_calls(writing) : r;
}

unsigned anthropic_count_marks(const struct anthropic_writing *writing)
{
    unsigned count = 0;
    for (const struct ir_message *message = writing->request->messages; message;
         message = message->next)
        for (const struct ir_block *block = message->blocks; block; block = block->next)
            count += is_solid(writing->target, message, block) &&
                     anthropic_mark_of(block).type != JSON_ABSENT;
    return count;
}

/* ---- system ---- */

static bool is_plain_system(const struct anthropic_writing *writing)
{
    const struct ir_message *end = behind_system(writing->request);
    if (writing->system_count != 1 || writing->has_static_marks)
        return false;
    for (const struct ir_message *message = writing->request->messages; message != end;
         message = message->next)
        for (const struct ir_block *block = message->blocks; block; block = block->next)
            if (is_solid(writing->target, message, block))
                return block->cache_mark.type == JSON_ABSENT;
    return false;
}

static void put_system_block(struct anthropic_writing *writing, const struct ir_block *block,
                             bool is_last)
{
    struct ir_block marked = *block;
    if (is_last && writing->has_static_marks)
        marked.cache_mark = ANTHROPIC_MARK;
    anthropic_put_part(writing, &marked);
}

void anthropic_put_system(struct anthropic_writing *writing)
{
    const struct ir_message *end = behind_system(writing->request);
    bool is_plain = is_plain_system(writing);
    size_t left = writing->system_count;
    if (left == 0)
        return;
    anthropic_put_comma(writing);
    anthropic_put(writing, is_plain ? SPAN("\"system\":\"") : SPAN("\"system\":["));
    for (const struct ir_message *message = writing->request->messages; message != end;
         message = message->next) {
        for (const struct ir_block *block = message->blocks; block; block = block->next) {
            if (!is_solid(writing->target, message, block))
                continue;
            left--;
            if (is_plain)
                anthropic_put(writing, block->text.escaped);
            else
                put_system_block(writing, block, left == 0);
        }
    }
    anthropic_put(writing, is_plain ? SPAN("\"") : SPAN("]"));
}

/* ---- calls ---- */

/* The entry of an id, or the free one where it would stand. */
static struct anthropic_call *find_call(const struct anthropic_writing *writing, struct ir_text id)
{
    size_t i = (size_t)ir_text_hash(id);
    for (;; i++) {
        struct anthropic_call *call = &writing->calls[i & (writing->call_slots - 1)];
        if (call->turn == 0 || ir_text_equal(call->id, id))
            return call;
    }
}

static bool is_call_of_turn(const struct anthropic_writing *writing,
                            const struct anthropic_call *call)
{
    return call->turn == writing->turn;
}

static void put_call(struct anthropic_writing *writing, const struct ir_block *block)
{
    struct anthropic_call *call = find_call(writing, block->id);
    if (is_call_of_turn(writing, call)) { /* two of one id are refused */
        ir_lose(writing->losses, "duplicate tool call");
        return;
    }
    *call = (struct anthropic_call){.turn = writing->turn, .uses = call->uses + 1, .id = block->id};
    anthropic_put_call(writing, block, call->uses);
}

/* ---- turns ---- */

/* The message behind this one in a turn, passing over what is of the other side and says nothing. */
static const struct ir_message *next_in_turn(const struct anthropic_turn *turn,
                                             const struct ir_message *message)
{
    if (message == turn->last)
        return NULL;
    do
        message = message->next;
    while ((message->role == IR_ROLE_ASSISTANT) != turn->is_assistant);
    return message;
}

/* Ways to spell white space at the end of a text. */
static const struct span spaces[] = {
    SPAN(" "),       SPAN("\\n"),     SPAN("\\t"),     SPAN("\\r"),     SPAN("\\u0020"),
    SPAN("\\u000a"), SPAN("\\u000A"), SPAN("\\u0009"), SPAN("\\u000d"), SPAN("\\u000D")};

/* The backslash at this place begins an escape: it is not escaped itself. */
static bool begins_escape(struct span text, size_t at)
{
    size_t before = at;
    while (before > 0 && text.at[before - 1] == '\\')
        before--;
    return (at - before) % 2 == 0;
}

static size_t space_at_end(struct span text)
{
    for (size_t i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++) {
        size_t len = spaces[i].len;
        if (text.len < len || memcmp(text.at + text.len - len, spaces[i].at, len) != 0)
            continue;
        return spaces[i].at[0] == ' ' || begins_escape(text, text.len - len) ? len : 0;
    }
    return 0;
}

static struct ir_text without_space_at_end(struct ir_text text)
{
    for (size_t len; (len = space_at_end(text.escaped)) > 0;)
        text.escaped.len -= len;
    return text;
}

/* The end of an answer that is to be continued must not be white space. */
static void put_last_words(struct anthropic_writing *writing, const struct ir_block *block)
{
    anthropic_put_text(writing, without_space_at_end(block->text), block->cache_mark);
}

static void put_answer_block(struct anthropic_writing *writing, const struct anthropic_turn *turn,
                             const struct ir_block *block)
{
    bool is_end = block == turn->last_solid && turn == writing->last_turn;
    if (block->kind == IR_CALL)
        put_call(writing, block);
    else if (is_usable(writing->target, block))
        anthropic_put_reasoning(writing, block);
    else if (is_end && is_words(block))
        put_last_words(writing, block);
    else if (is_words(block))
        anthropic_put_part(writing, block);
}

/* Reasoning behind the last solid block would be refused. */
static void put_answer(struct anthropic_writing *writing, const struct anthropic_turn *turn)
{
    bool is_over = false;
    writing->turn++;
    for (const struct ir_message *message = turn->first; message;
         message = next_in_turn(turn, message)) {
        for (const struct ir_block *block = message->blocks; block; block = block->next) {
            if (!is_over)
                put_answer_block(writing, turn, block);
            else if (is_usable(writing->target, block))
                ir_lose(writing->losses, "messages[].reasoning");
            is_over = is_over || block == turn->last_solid;
        }
    }
}

/* Whether the result's call stands in the turn before; a second result for it does not count. */
static void put_result(struct anthropic_writing *writing, const struct ir_block *block)
{
    struct anthropic_call *call = find_call(writing, block->id);
    if (!is_call_of_turn(writing, call))
        return; /* an orphan: written behind the results */
    if (call->is_answered) {
        ir_lose(writing->losses, "duplicate tool result");
        return;
    }
    call->is_answered = true;
    anthropic_put_result(writing, block, call->uses);
}

static void put_results(struct anthropic_writing *writing, const struct anthropic_turn *turn)
{
    for (const struct ir_message *message = turn->first; message;
         message = next_in_turn(turn, message))
        for (const struct ir_block *block = message->blocks; block; block = block->next)
            if (block->kind == IR_RESULT && message->role == IR_ROLE_USER)
                put_result(writing, block);
}

/* Every call must get a result in the very next message. */
static void put_missing_results(struct anthropic_writing *writing,
                                const struct anthropic_turn *answer)
{
    for (const struct ir_message *message = answer->first; message;
         message = next_in_turn(answer, message)) {
        for (const struct ir_block *block = message->blocks; block; block = block->next) {
            if (block->kind != IR_CALL)
                continue;
            struct anthropic_call *call = find_call(writing, block->id);
            if (!is_call_of_turn(writing, call) || call->is_answered)
                continue;
            call->is_answered = true;
            ir_lose(writing->losses, "tool call without a result");
            anthropic_put_no_result(writing, block->id, call->uses);
        }
    }
}

/* System text in its place: only the newest models take a message of that role. */
static void put_late_system(struct anthropic_writing *writing, const struct ir_message *message)
{
    const struct ir_block *block, *last = NULL;
    for (block = message->blocks; block; block = block->next)
        if (is_solid(writing->target, message, block))
            last = block;
    if (!last)
        return;
    ir_lose(writing->losses, "messages[].role system");
    anthropic_put_comma(writing);
    ANTHROPIC_PUT(writing, "{\"type\":\"text\",\"text\":\"<system>\\n");
    for (block = message->blocks; block; block = block->next) {
        if (!is_solid(writing->target, message, block))
            continue;
        anthropic_put(writing, block->text.escaped);
        if (block != last)
            ANTHROPIC_PUT(writing, "\\n\\n");
    }
    ANTHROPIC_PUT(writing, "\\n</system>\"");
    anthropic_put_mark(writing, last->cache_mark);
    ANTHROPIC_PUT(writing, "}");
}

static void put_words(struct anthropic_writing *writing, const struct ir_message *message)
{
    for (const struct ir_block *block = message->blocks; block; block = block->next) {
        if (block->kind != IR_RESULT)
            anthropic_put_part(writing, block);
        else if (!is_call_of_turn(writing, find_call(writing, block->id)))
            anthropic_put_orphan(writing, block);
    }
}

/* Results first, then what else was said. */
static void put_question(struct anthropic_writing *writing, const struct anthropic_turn *turn,
                         const struct anthropic_turn *before)
{
    put_results(writing, turn);
    if (before)
        put_missing_results(writing, before);
    for (const struct ir_message *message = turn->first; message;
         message = next_in_turn(turn, message)) {
        if (message->role == IR_ROLE_SYSTEM)
            put_late_system(writing, message);
        else
            put_words(writing, message);
    }
}

static void open_message(struct anthropic_writing *writing, bool is_assistant)
{
    anthropic_put_comma(writing);
    anthropic_put(writing, is_assistant ? SPAN("{\"role\":\"assistant\",\"content\":[")
                                        : SPAN("{\"role\":\"user\",\"content\":["));
}

static bool has_block(const struct anthropic_turn *turn, enum ir_block_kind kind)
{
    for (const struct ir_message *message = turn->first; message;
         message = next_in_turn(turn, message))
        for (const struct ir_block *block = message->blocks; block; block = block->next)
            if (block->kind == kind)
                return true;
    return false;
}

void anthropic_put_messages(struct anthropic_writing *writing)
{
    const struct anthropic_turn *before = NULL;
    anthropic_put_comma(writing);
    ANTHROPIC_PUT(writing, "\"messages\":[");
    writing->turn = 1; /* 0 is that of entries never used */
    if (!writing->turns || writing->turns->is_assistant) {
        open_message(writing, false);
        anthropic_put_text(writing, IR_TEXT_LITERAL("(continue)"), (struct json){0});
        ANTHROPIC_PUT(writing, "]}");
    }
    for (const struct anthropic_turn *turn = writing->turns; turn; turn = turn->next) {
        open_message(writing, turn->is_assistant);
        if (turn->is_assistant)
            put_answer(writing, turn);
        else
            put_question(writing, turn, before);
        ANTHROPIC_PUT(writing, "]}");
        before = turn;
    }
    /* What followed said nothing, but followed. */
    if (before && before->is_assistant && has_block(before, IR_CALL) && before->last->next) {
        open_message(writing, false);
        put_missing_results(writing, before);
        ANTHROPIC_PUT(writing, "]}");
    }
    ANTHROPIC_PUT(writing, "]");
}

/* ---- thinking ---- */

static bool begins_with_reasoning(const struct ir_target *target, const struct anthropic_turn *turn)
{
    for (const struct ir_message *message = turn->first; message;
         message = next_in_turn(turn, message))
        for (const struct ir_block *block = message->blocks; block; block = block->next)
            if (weigh_block(target, message, block) != WEIGHT_NONE)
                return is_usable(target, block);
    return false;
}

bool anthropic_may_think(const struct anthropic_writing *writing)
{
    const struct anthropic_turn *last = writing->last_turn;
    if (!last)
        return true;
    if (last->is_assistant)
        return begins_with_reasoning(writing->target, last);
    const struct anthropic_turn *before = writing->before_last_turn;
    return !before || !has_block(before, IR_CALL) || begins_with_reasoning(writing->target, before);
}
