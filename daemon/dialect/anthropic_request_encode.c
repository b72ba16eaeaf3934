/*
 * See anthropic.h: the top level of a request. What may change from turn to turn stands behind the
 * messages, so that a provider's prompt cache finds what it knows at the start.
 */
#include "dialect/anthropic_request_encode.h"

#define MAX_TOKENS_DEFAULT 8192  /* every model gives as much */
#define MAX_TOKENS_ASKED   32000 /* what we ask of a model that gives more; as clients do */
#define BUDGET_LEAST       1024
#define MARKS_MAX          4

/* What is settled before the first byte is written. */
struct plan {
    int64_t max_tokens;
    bool thinks;
    int64_t budget;     /* of thinking; 0: left to the model */
    const char *effort; /* the word for output_config; NULL: none */
    bool has_auto_cache;
    const struct ir_tool *last_tool; /* of those declared; NULL: none is */
};

static void lose_if(struct anthropic_writing *writing, bool is_there, const char *name)
{
    if (is_there)
        ir_lose(writing->losses, name);
}

static void put_int(struct anthropic_writing *writing, int64_t value)
{
    if (writing->r == 0)
        writing->r = bytes_addf(writing->out, "%lld", (long long)value);
}

/* ---- tools ---- */

/* This API asks for a type; chat clients leave it out of tools without parameters. */
static void put_schema(struct anthropic_writing *writing, struct json schema)
{
    if (schema.type == JSON_OBJECT && json_get(schema, "type").type != JSON_ABSENT) {
        anthropic_put_slice(writing, "input_schema", schema);
        return;
    }
    ANTHROPIC_PUT(writing, ",\"input_schema\":{\"type\":\"object\"");
    if (json_is_filled(schema)) {
        ANTHROPIC_PUT(writing, ",");
        anthropic_put(writing, (struct span){schema.at + 1, schema.len - 1});
    } else {
        ANTHROPIC_PUT(writing, ",\"properties\":{}}");
    }
}

static void put_tool(struct anthropic_writing *writing, const struct ir_tool *tool, bool is_last)
{
    bool is_ours = is_last && writing->has_static_marks;
    anthropic_put_comma(writing);
    ANTHROPIC_PUT(writing, "{");
    anthropic_put_string(writing, "name", tool->name);
    if (ir_text_is_filled(tool->description))
        anthropic_put_string(writing, "description", tool->description);
    put_schema(writing, tool->schema);
    if (json_is_true(tool->strict))
        ANTHROPIC_PUT(writing, ",\"strict\":true");
    anthropic_put_mark(writing, is_ours ? ANTHROPIC_MARK : tool->cache_mark);
    ANTHROPIC_PUT(writing, "}");
}

static void put_tools(struct anthropic_writing *writing, const struct plan *plan)
{
    if (!plan->last_tool)
        return;
    ANTHROPIC_PUT(writing, ",\"tools\":[");
    for (const struct ir_tool *tool = writing->request->tools; tool; tool = tool->next)
        if (ir_tool_is_declared(tool))
            put_tool(writing, tool, tool == plan->last_tool);
    ANTHROPIC_PUT(writing, "]");
}

static void lose_server_tool(struct anthropic_writing *writing, const struct ir_tool *tool)
{
    char name[IR_LOSS_NAME + 1] = "tools[].";
    size_t len = strlen(name), room = sizeof(name) - 1 - len;
    struct span type = tool->name.escaped;
    if (type.len > 0)
        memcpy(name + len, type.at, type.len < room ? type.len : room);
    ir_lose(writing->losses, name);
}

/* The last tool that is declared, and how many marks they have. */
static const struct ir_tool *find_last_tool(struct anthropic_writing *writing, unsigned *marks)
{
    const struct ir_tool *last = NULL;
    for (const struct ir_tool *tool = writing->request->tools; tool; tool = tool->next) {
        if (tool->is_server)
            lose_server_tool(writing, tool);
        if (!ir_tool_is_declared(tool))
            continue;
        *marks += tool->cache_mark.type != JSON_ABSENT;
        last = tool;
    }
    return last;
}

static bool is_declared(const struct anthropic_writing *writing, struct ir_text name)
{
    for (const struct ir_tool *tool = writing->request->tools; tool; tool = tool->next)
        if (ir_text_equal(tool->name, name) && ir_tool_is_declared(tool))
            return true;
    return false;
}

/* The choice that can be sent: one for a tool that is not there is dropped. */
static enum ir_tool_choice choice_of(const struct anthropic_writing *writing,
                                     const struct plan *plan)
{
    const struct ir_request *request = writing->request;
    enum ir_tool_choice choice = request->tool_choice;
    if (!plan->last_tool)
        return IR_CHOICE_UNSET;
    if (choice == IR_CHOICE_TOOL && !is_declared(writing, request->chosen_tool))
        return IR_CHOICE_UNSET;
    if (choice != IR_CHOICE_AUTO && !ir_can(writing->target, IR_CAN_TOOL_CHOICE))
        return IR_CHOICE_UNSET;
    return choice;
}

static void put_choice(struct anthropic_writing *writing, const struct plan *plan)
{
    static const char *const types[] = {
        [IR_CHOICE_UNSET] = "auto",   [IR_CHOICE_AUTO] = "auto", [IR_CHOICE_NONE] = "none",
        [IR_CHOICE_REQUIRED] = "any", [IR_CHOICE_TOOL] = "tool",
    };
    const struct ir_request *request = writing->request;
    enum ir_tool_choice choice = choice_of(writing, plan);
    bool is_single =
        request->parallel_calls.type == JSON_FALSE && plan->last_tool && choice != IR_CHOICE_NONE;
    bool can_single = ir_can(writing->target, IR_CAN_PARALLEL_CALLS);
    lose_if(writing, plan->last_tool && choice != request->tool_choice, "tool_choice");
    lose_if(writing, is_single && !can_single, "parallel_tool_calls");
    is_single = is_single && can_single;
    if (choice == IR_CHOICE_UNSET && !is_single)
        return;
    ANTHROPIC_PUT(writing, ",\"tool_choice\":{\"type\":\"");
    anthropic_put(writing, span_of(types[choice]));
    ANTHROPIC_PUT(writing, "\"");
    if (choice == IR_CHOICE_TOOL)
        anthropic_put_string(writing, "name", request->chosen_tool);
    if (is_single)
        ANTHROPIC_PUT(writing, ",\"disable_parallel_tool_use\":true");
    ANTHROPIC_PUT(writing, "}");
}

/* ---- how much may be written ---- */

static int plan_max_tokens(struct anthropic_writing *writing, struct plan *plan, struct err *reterr)
{
    const int64_t most = writing->target->max_output;
    struct json asked = writing->request->max_tokens;
    if (json_is_nothing(asked)) {
        plan->max_tokens = most > 0 ? most : MAX_TOKENS_DEFAULT;
        if (plan->max_tokens > MAX_TOKENS_ASKED)
            plan->max_tokens = MAX_TOKENS_ASKED;
        return 0;
    }
    if (!json_int(asked, &plan->max_tokens) || plan->max_tokens < 1)
        return err_set(reterr, ERR_INVALID_REQUEST, "max_tokens must be a whole number above 0");
    if (most > 0 && plan->max_tokens > most) {
        plan->max_tokens = most;
        ir_lose(writing->losses, "max_tokens");
    }
    return 0;
}

/* ---- thinking ---- */

/* A budget that leaves some of max_tokens for the answer, unless the client counted for itself. */
static int64_t budget_of(const struct ir_wish *wish, int64_t max_tokens)
{
    int64_t budget = ir_wish_budget(wish), room = max_tokens - max_tokens / 4;
    bool is_counted = wish->budget > 0 && budget < max_tokens;
    if (budget > room && !is_counted)
        budget = room;
    return budget < BUDGET_LEAST ? BUDGET_LEAST : budget;
}

static const char *effort_word(enum ir_effort effort)
{
    if (effort == IR_EFFORT_MINIMAL)
        return ir_effort_name(IR_EFFORT_LOW);
    return ir_effort_name(effort == IR_EFFORT_XHIGH ? IR_EFFORT_MAX : effort);
}

static void plan_thinking(struct anthropic_writing *writing, struct plan *plan)
{
    const struct ir_wish *wish = &writing->request->wish;
    enum ir_effort effort = ir_wish_effort(wish);
    enum ir_tool_choice choice = choice_of(writing, plan);
    bool is_adaptive = ir_can(writing->target, IR_CAN_ADAPTIVE_THINKING);
    if (effort == IR_EFFORT_UNSET || effort == IR_EFFORT_NONE)
        return;
    if (choice == IR_CHOICE_REQUIRED || choice == IR_CHOICE_TOOL || !anthropic_may_think(writing) ||
        (!is_adaptive && plan->max_tokens <= BUDGET_LEAST)) {
        ir_lose(writing->losses, "reasoning_effort");
        return;
    }
    plan->thinks = true;
    if (!is_adaptive)
        plan->budget = budget_of(wish, plan->max_tokens);
    else if (wish->effort != IR_EFFORT_UNSET || wish->budget > 0)
        plan->effort = effort_word(effort);
}

static void put_thinking(struct anthropic_writing *writing, const struct plan *plan)
{
    if (writing->request->wish.effort == IR_EFFORT_NONE) {
        ANTHROPIC_PUT(writing, ",\"thinking\":{\"type\":\"disabled\"}");
    } else if (plan->budget > 0) {
        ANTHROPIC_PUT(writing, ",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":");
        put_int(writing, plan->budget);
        ANTHROPIC_PUT(writing, "}");
    } else if (plan->thinks) {
        ANTHROPIC_PUT(writing, ",\"thinking\":{\"type\":\"adaptive\"}");
    }
}

/* The API itself sees to the form of the answer; else the model is asked to. */
static bool has_format(const struct anthropic_writing *writing)
{
    const struct ir_request *request = writing->request;
    return request->format == IR_FORMAT_SCHEMA && request->format_schema.type == JSON_OBJECT &&
           ir_can(writing->target, IR_CAN_OUTPUT_FORMAT);
}

static void put_output_config(struct anthropic_writing *writing, const struct plan *plan)
{
    const struct ir_request *request = writing->request;
    bool is_formed = has_format(writing);
    lose_if(writing, request->format != IR_FORMAT_TEXT && !is_formed, "response_format");
    if (!plan->effort && !is_formed)
        return;
    ANTHROPIC_PUT(writing, ",\"output_config\":{");
    if (plan->effort)
        anthropic_put_string(writing, "effort", (struct ir_text){span_of(plan->effort)});
    if (is_formed) {
        anthropic_put_comma(writing);
        ANTHROPIC_PUT(writing, "\"format\":{\"type\":\"json_schema\"");
        anthropic_put_slice(writing, "schema", request->format_schema);
        ANTHROPIC_PUT(writing, "}");
    }
    ANTHROPIC_PUT(writing, "}");
}

/* ---- the rest ---- */

/* Stop sequences of white space only are refused. */
static void put_stop_sequence(struct anthropic_writing *writing, struct json sequence,
                              bool *is_open)
{
    struct ir_text text = ir_text_of(sequence);
    if (ir_text_is_blank(text)) {
        ir_lose(writing->losses, "stop");
        return;
    }
    if (!*is_open)
        ANTHROPIC_PUT(writing, ",\"stop_sequences\":[");
    *is_open = true;
    anthropic_put_comma(writing);
    anthropic_put(writing, json_span(sequence));
}

static void put_stop(struct anthropic_writing *writing)
{
    struct json stop = writing->request->stop, sequence;
    bool is_open = false;
    if (json_is_nothing(stop))
        return;
    if (!ir_can(writing->target, IR_CAN_STOP)) {
        ir_lose(writing->losses, "stop");
        return;
    }
    if (stop.type == JSON_STRING)
        put_stop_sequence(writing, stop, &is_open);
    struct json_iter iter = json_iter(stop);
    while (stop.type == JSON_ARRAY && json_next(&iter, &sequence))
        put_stop_sequence(writing, sequence, &is_open);
    if (is_open)
        ANTHROPIC_PUT(writing, "]");
}

/* Chat goes up to 2, this API to 1. */
static struct json temperature_of(struct anthropic_writing *writing)
{
    struct json temperature = writing->request->temperature;
    double value;
    if (!json_double(temperature, &value) || value <= 1)
        return temperature;
    ir_lose(writing->losses, "temperature");
    return (struct json){"1", 1, JSON_NUMBER};
}

static void put_number(struct anthropic_writing *writing, const char *name, struct json number,
                       bool is_taken)
{
    if (number.type != JSON_NUMBER)
        return;
    if (is_taken)
        anthropic_put_slice(writing, name, number);
    else
        ir_lose(writing->losses, name);
}

static void put_sampling(struct anthropic_writing *writing, const struct plan *plan)
{
    const struct ir_request *request = writing->request;
    bool is_taken = !plan->thinks && ir_can(writing->target, IR_CAN_SAMPLING);
    put_number(writing, "temperature", is_taken ? temperature_of(writing) : request->temperature,
               is_taken);
    /* Newer models take one of the two. */
    put_number(writing, "top_p", request->top_p, is_taken && json_is_nothing(request->temperature));
    put_number(writing, "top_k", request->top_k, !plan->thinks);
    put_number(writing, "seed", request->seed, false);
    put_number(writing, "frequency_penalty", request->frequency_penalty, false);
    put_number(writing, "presence_penalty", request->presence_penalty, false);
    lose_if(writing, ir_text_is_filled(request->cache_key), "prompt_cache_key");
}

static void plan_marks(struct anthropic_writing *writing, struct plan *plan)
{
    unsigned marks = 0;
    plan->last_tool = find_last_tool(writing, &marks);
    marks += anthropic_count_marks(writing);
    writing->marks_to_skip = marks > MARKS_MAX ? marks - MARKS_MAX : 0;
    plan->has_auto_cache = marks == 0 && ir_can(writing->target, IR_CAN_AUTO_CACHE);
    writing->has_static_marks = marks == 0 && !plan->has_auto_cache;
}

static void put_request(struct anthropic_writing *writing, const struct plan *plan)
{
    const struct ir_request *request = writing->request;
    ANTHROPIC_PUT(writing, "{\"model\":");
    if (writing->r == 0)
        writing->r = json_add_string(writing->out, writing->target->model);
    anthropic_put_system(writing);
    put_tools(writing, plan);
    anthropic_put_messages(writing);
    ANTHROPIC_PUT(writing, ",\"max_tokens\":");
    put_int(writing, plan->max_tokens);
    put_choice(writing, plan);
    put_thinking(writing, plan);
    put_output_config(writing, plan);
    put_stop(writing);
    put_sampling(writing, plan);
    if (plan->has_auto_cache)
        anthropic_put_slice(writing, "cache_control", ANTHROPIC_MARK);
    if (ir_text_is_filled(request->user)) {
        ANTHROPIC_PUT(writing, ",\"metadata\":{");
        anthropic_put_string(writing, "user_id", request->user);
        ANTHROPIC_PUT(writing, "}");
    }
    if (request->stream)
        ANTHROPIC_PUT(writing, ",\"stream\":true");
    ANTHROPIC_PUT(writing, "}");
}

int anthropic_encode_request(const struct ir_request *request, const struct ir_target *target,
                             struct arena *arena, struct ir_losses *losses, struct bytes *out,
                             struct err *reterr)
{
    struct plan plan = {0};
    struct anthropic_writing writing = {
        .request = request, .target = target, .arena = arena, .losses = losses, .out = out};
    struct ir_request asking;
    int r = 0;
    if (!json_is_nothing(request->choices))
        return err_set(reterr, ERR_INVALID_REQUEST,
                       "n: the model's provider gives one answer to a request");
    if (request->format != IR_FORMAT_TEXT && !has_format(&writing)) {
        r = ir_ask_for_json(request, arena, &asking);
        writing.request = &asking;
    }
    if (r == 0)
        r = plan_max_tokens(&writing, &plan, reterr);
    if (r == 0)
        r = anthropic_plan(&writing);
    if (r == -ERR_TOO_LARGE)
        return err_set(reterr, ERR_TOO_LARGE, "the request has too many parts");
    if (r < 0)
        return r;
    plan_marks(&writing, &plan);
    plan_thinking(&writing, &plan);
    put_request(&writing, &plan);
    return writing.r < 0 ? err_set(reterr, -writing.r, "the converted request is too large") : 0;
}
