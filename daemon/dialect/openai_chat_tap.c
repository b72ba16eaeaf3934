/*
 * See openai_chat_tap.h. What real streams look like, and why each of these places is looked at, is
 * in docs/dialects/openai_chat.md.
 */
#include "dialect/openai_chat_tap.h"

#include "dialect/tap.h"

/* ---- usage ---- */

static int64_t count_at(struct json usage, const char *group, const char *name)
{
    int64_t count = 0;
    (void)tap_count(json_path(usage, group, name, NULL), &count); /* absent is none */
    return count;
}

/*
 * xAI leaves reasoning out of completion_tokens but has it in total_tokens; only when the three
 * numbers fit that exactly, since the totals of others do not add up.
 */
static int64_t whole_output(int64_t input, int64_t output, int64_t reasoning, struct json total)
{
    int64_t sum;
    bool is_left_out = reasoning > 0 && tap_count(total, &sum) && sum > input &&
                       sum - input > output && sum - input - output == reasoning;
    return is_left_out ? output + reasoning : output;
}

static void read_usage(struct tap *tap, struct json usage)
{
    static const char *const names[] = {"prompt_tokens", "completion_tokens", "total_tokens",
                                        "prompt_cache_hit_tokens", NULL};
    struct json found[4];
    int64_t input = 0, output = 0, cached = 0;
    json_find(usage, names, found);
    bool has_input = tap_count(found[0], &input), has_output = tap_count(found[1], &output);
    if (!has_input && !has_output)
        return;
    int64_t reasoning = count_at(usage, "completion_tokens_details", "reasoning_tokens");
    if (!tap_count(json_path(usage, "prompt_tokens_details", "cached_tokens", NULL), &cached))
        (void)tap_count(found[3], &cached); /* DeepSeek's name; absent is none */
    tap->usage = (struct usage){.source = USAGE_PROVIDER, .reasoning = reasoning};
    usage_set_inclusive_input(&tap->usage, input, cached);
    tap->usage.output = whole_output(input, output, reasoning, found[2]);
}

/* ---- choices ---- */

/* A legacy function_call counts when it says something; an empty one stands beside tool_calls. */
static bool is_call(struct json call)
{
    return json_is_filled(json_get(call, "name")) || json_is_filled(json_get(call, "arguments"));
}

static bool is_productive(struct json delta)
{
    static const char *const names[] = {"content",       "reasoning_content",
                                        "reasoning",     "reasoning_details",
                                        "tool_calls",    "refusal",
                                        "audio",         "images",
                                        "function_call", NULL};
    struct json found[9];
    json_find(delta, names, found);
    for (size_t i = 0; i < 8; i++)
        if (json_is_filled(found[i]))
            return true;
    return is_call(found[8]);
}

/* Returns whether the choice carries an error (OpenRouter). */
static bool read_choice(struct tap *tap, struct json choice)
{
    static const char *const names[] = {"delta", "message", "finish_reason",
                                        "usage", "error",   NULL};
    struct json found[5];
    json_find(choice, names, found);
    /* Perplexity repeats the message so far beside each delta: the delta alone counts. */
    struct json said = json_is_nothing(found[0]) ? found[1] : found[0];
    if (!tap->has_content)
        tap->has_content = is_productive(said);
    tap_finish(tap, found[2]);
    if (found[3].type == JSON_OBJECT)
        read_usage(tap, found[3]);
    return json_is_filled(found[4]);
}

enum { CHOICES, USAGE, ERROR_MEMBER, X_GROQ, OBJECT, MEMBERS };

/* Everything a chunk and a whole answer have in common. */
static void read_root(struct tap *tap, struct span text, struct json root,
                      struct json found[MEMBERS])
{
    static const char *const names[] = {"choices", "usage", "error", "x_groq", "object", NULL};
    json_find(root, names, found);
    bool is_error = json_is_filled(found[ERROR_MEMBER]) || json_is(found[OBJECT], "error");
    struct json_iter iter = json_iter(found[CHOICES]);
    for (struct json choice; found[CHOICES].type == JSON_ARRAY && json_next(&iter, &choice);)
        is_error |= read_choice(tap, choice);
    if (found[X_GROQ].type == JSON_OBJECT)
        read_usage(tap, json_get(found[X_GROQ], "usage"));
    if (found[USAGE].type == JSON_OBJECT)
        read_usage(tap, found[USAGE]);
    if (is_error)
        tap_error(tap, text);
}

/* ---- the dialect's members ---- */

static bool is_done(struct span data)
{
    return data.len < 16 && span_equal(span_trim(data), SPAN("[DONE]"));
}

enum tap_verdict openai_chat_tap_event(struct tap *tap, const struct request_view *view,
                                       struct span event_name, struct span data)
{
    struct json found[MEMBERS];
    if (!data.at || tap->has_end)
        return TAP_PASS;
    if (is_done(data)) {
        tap->has_end = true;
        return TAP_PASS;
    }
    if (span_equal(event_name, SPAN("error"))) {
        tap_error(tap, data);
        return TAP_PASS;
    }
    read_root(tap, data, json_peek(data), found);
    bool is_usage_only = found[CHOICES].type == JSON_ARRAY && !json_is_filled(found[CHOICES]) &&
                         found[USAGE].type == JSON_OBJECT && !json_is_filled(found[ERROR_MEMBER]);
    return is_usage_only && !view->wants_usage ? TAP_HIDE : TAP_PASS;
}

void openai_chat_tap_answer(struct tap *tap, struct span body)
{
    struct json root, found[MEMBERS];
    if (json_skim(body, &root, NULL) < 0) {
        tap_nonsense(tap, "the answer is not JSON");
        return;
    }
    read_root(tap, body, root, found);
    if (!json_is_filled(found[CHOICES]))
        tap_nonsense(tap, "the answer has no choices");
    tap->has_end = !tap->error_kind;
}
