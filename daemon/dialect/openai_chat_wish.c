/*
 * How much a chat client wants the model to reason, and how that is said to a chat provider: each
 * took another way, and some clients say it in several at once.
 *
 *     reasoning_effort: WORD                          OpenAI and most
 *     reasoning: {effort, max_tokens, enabled}        OpenRouter
 *     thinking: {type, budget_tokens}                 GLM, DeepSeek, Kimi
 *     enable_thinking, thinking_budget                Qwen
 */
#include "dialect/openai_chat_reader.h"
#include "dialect/openai_chat_writer.h"

/* ---- from the wire ---- */

static void wish_switch(struct chat_reader *reader, bool is_on)
{
    struct ir_wish *wish = &reader->builder.request->wish;
    if (!is_on)
        *wish = (struct ir_wish){.effort = IR_EFFORT_NONE};
    else
        wish->is_adaptive = true;
}

static int wish_budget(struct chat_reader *reader, const char *name, struct json value)
{
    struct ir_wish *wish = &reader->builder.request->wish;
    if (json_is_nothing(value))
        return 0;
    if (!json_int(value, &wish->budget) || wish->budget < 0)
        return chat_wrong(reader, name, "must be a whole number");
    return 0;
}

/* A word nobody knows is a loss and no error: every few months there is a new one. */
static int wish_effort(struct chat_reader *reader, const char *name, struct json value)
{
    int r = chat_want(reader, name, value, JSON_STRING);
    if (r < 0 || json_is_nothing(value))
        return r;
    enum ir_effort effort = ir_effort_find(json_raw_text(value));
    if (effort == IR_EFFORT_UNSET)
        ir_lose(reader->losses, name);
    else
        reader->builder.request->wish.effort = effort;
    return 0;
}

static int read_enable_thinking(struct chat_reader *reader, const char *name, struct json value)
{
    wish_switch(reader, json_is_true(value));
    return chat_want(reader, name, value, JSON_TRUE);
}

/* {"type": "enabled" | "disabled" | "adaptive" | "auto", "budget_tokens"} of GLM, DeepSeek, Kimi. */
static int read_thinking(struct chat_reader *reader, const char *name, struct json value)
{
    static const char *const names[] = {"type", "budget_tokens", NULL};
    struct json found[2];
    int r = chat_want(reader, name, value, JSON_OBJECT);
    chat_find_members(reader, value, names, "thinking.", found);
    if (r == 0)
        r = chat_want(reader, "thinking.type", found[0], JSON_STRING);
    if (r == 0)
        r = wish_budget(reader, "thinking.budget_tokens", found[1]);
    if (json_is_filled(found[0]))
        wish_switch(reader, !json_is(found[0], "disabled"));
    return r;
}

/* {"effort", "max_tokens", "enabled"} of OpenRouter. */
static int read_reasoning(struct chat_reader *reader, const char *name, struct json value)
{
    static const char *const names[] = {"effort", "max_tokens", "enabled", NULL};
    struct json found[3];
    int r = chat_want(reader, name, value, JSON_OBJECT);
    chat_find_members(reader, value, names, "reasoning.", found);
    if (r == 0)
        r = chat_want(reader, "reasoning.enabled", found[2], JSON_TRUE);
    if (r == 0)
        r = wish_effort(reader, "reasoning.effort", found[0]);
    if (r == 0)
        r = wish_budget(reader, "reasoning.max_tokens", found[1]);
    if (!json_is_nothing(found[2]))
        wish_switch(reader, json_is_true(found[2]));
    return r;
}

int chat_read_wish(struct chat_reader *reader, const char *name, struct json value)
{
    static const struct {
        const char *name;
        int (*read)(struct chat_reader *reader, const char *name, struct json value);
    } rows[] = {
        {"reasoning_effort", wish_effort},         {"reasoning", read_reasoning},
        {"thinking_budget", wish_budget},          {"thinking", read_thinking},
        {"enable_thinking", read_enable_thinking},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (!strcmp(name, rows[i].name))
            return rows[i].read(reader, name, value);
    return 0;
}

/* ---- to the wire ---- */

/* Low, medium and high are common to all; "max" is nobody's. */
static struct ir_text effort_word(const struct chat_writer *writer, enum ir_effort effort)
{
    bool knows_words = ir_can(writer->target, IR_CAN_EFFORT_WORDS);
    if (effort >= IR_EFFORT_XHIGH)
        effort = knows_words ? IR_EFFORT_XHIGH : IR_EFFORT_HIGH;
    if (effort == IR_EFFORT_MINIMAL && !knows_words)
        effort = IR_EFFORT_LOW;
    return (struct ir_text){span_of(ir_effort_name(effort))};
}

static void write_effort(struct chat_writer *writer, enum ir_effort effort)
{
    chat_put(writer, SPAN(",\"reasoning_effort\":"));
    chat_put_text(writer, effort_word(writer, effort));
}

static void write_effort_object(struct chat_writer *writer, enum ir_effort effort)
{
    const struct ir_wish *wish = &writer->request->wish;
    chat_put(writer, SPAN(",\"reasoning\":{"));
    if (wish->effort == IR_EFFORT_UNSET && wish->budget > 0) {
        chat_put(writer, SPAN("\"max_tokens\":"));
        chat_put_number(writer, wish->budget);
    } else {
        chat_put(writer, SPAN("\"effort\":"));
        chat_put_text(writer, effort_word(writer, effort));
    }
    chat_put(writer, SPAN("}"));
}

static void write_switch(struct chat_writer *writer, enum ir_effort effort)
{
    chat_put(writer, effort == IR_EFFORT_NONE ? SPAN(",\"thinking\":{\"type\":\"disabled\"}")
                                              : SPAN(",\"thinking\":{\"type\":\"enabled\"}"));
}

static void write_flag(struct chat_writer *writer, enum ir_effort effort)
{
    int64_t budget = writer->request->wish.budget;
    chat_put(writer, effort == IR_EFFORT_NONE ? SPAN(",\"enable_thinking\":false")
                                              : SPAN(",\"enable_thinking\":true"));
    if (effort != IR_EFFORT_NONE && budget > 0) {
        chat_put(writer, SPAN(",\"thinking_budget\":"));
        chat_put_number(writer, budget);
    }
}

void chat_write_wish(struct chat_writer *writer)
{
    static const struct {
        enum ir_capability needs;
        void (*write)(struct chat_writer *writer, enum ir_effort effort);
    } words[] = {
        {IR_CAN_EFFORT_OBJECT, write_effort_object},
        {IR_CAN_EFFORT, write_effort},
        {IR_CAN_THINKING_SWITCH, write_switch},
        {IR_CAN_THINKING_FLAG, write_flag},
    };
    enum ir_effort effort = ir_wish_effort(&writer->request->wish);
    bool is_said = false;
    if (effort == IR_EFFORT_UNSET)
        return;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        bool is_instead = words[i].needs == IR_CAN_EFFORT &&
                          (chat_can(writer, IR_CAN_EFFORT_OBJECT) ||
                           (effort == IR_EFFORT_NONE && chat_can(writer, IR_CAN_THINKING_SWITCH)));
        if (!chat_can(writer, words[i].needs) || is_instead)
            continue;
        words[i].write(writer, effort);
        is_said = true;
    }
    if (!is_said)
        ir_lose(writer->losses, "reasoning_effort");
}
