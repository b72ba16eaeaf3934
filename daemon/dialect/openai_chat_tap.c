/*
 * See openai_chat_tap.h. What real streams look like, and why each of these places is looked at, is
 * in docs/dialects/openai_chat.md.
 */
#include "dialect/openai_chat_tap.h"

#include "dialect/openai_chat_usage.h"
#include "dialect/tap.h"

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

/*
 * A call without an id cannot be answered: some providers give none (Gemini's endpoint, an empty one),
 * and the form before tool_calls knew none.
 */
static bool has_call_without_id(struct json said)
{
    struct json_iter iter = json_iter(json_get(said, "tool_calls"));
    struct json call;
    if (is_call(json_get(said, "function_call")))
        return true;
    while (json_next(&iter, &call))
        if (json_is_filled(json_path(call, "function", "name", NULL)) &&
            !json_is_filled(json_get(call, "id")))
            return true;
    return false;
}

/* The first calls decide: what was passed on can no more be changed. */
static void read_calls(struct tap *tap, struct json said)
{
    tap->is_unfit = has_call_without_id(said);
    tap->has_calls = tap->is_unfit || json_is_filled(json_get(said, "tool_calls"));
}

static bool may_have_call(struct json said)
{
    return memmem(said.at, said.len, "_call", strlen("_call")) != NULL;
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
    if (!tap->has_calls && said.type == JSON_OBJECT && may_have_call(said))
        read_calls(tap, said);
    tap_finish(tap, found[2]);
    (void)openai_chat_read_usage(found[3], &tap->usage); /* most choices have none */
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
    /* What says nothing leaves the usage as it is, so the last that says something counts. */
    (void)openai_chat_read_usage(json_get(found[X_GROQ], "usage"), &tap->usage);
    (void)openai_chat_read_usage(found[USAGE], &tap->usage);
    if (is_error)
        tap_error(tap, text);
}

/* ---- the dialect's members ---- */

static bool is_done(struct span data)
{
    return data.len < 16 && span_equal(span_trim(data), SPAN("[DONE]"));
}

void openai_chat_read_reply(struct span data, struct arena *arena, struct ir_reply *ret)
{
    static const char *const names[] = {"id", "model", "created", NULL};
    struct json found[3];
    json_find(json_peek(data), names, found);
    /* What cannot be read stays as it is. */
    (void)json_text(found[0], arena, &ret->begun_id);
    (void)json_text(found[1], arena, &ret->model);
    (void)json_int(found[2], &ret->created_s);
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
