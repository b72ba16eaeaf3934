/*
 * Answers of Chat Completions providers into neutral events. A whole answer is read as one chunk
 * with a `message` instead of a `delta`, so both have one reader:
 *
 *     event or body -> choice 0 -> delta or message (openai_chat_message_decode.c)
 *                   -> usage -> error or finish word
 *
 * Providers agree on little; what they were seen to send, and what is made of it, is listed in
 * docs/dialects/openai_chat.md ("Answers that are converted"). Unknown members are skipped.
 */
#include "dialect/openai_chat.h"

#include "dialect/api_error.h"
#include "dialect/openai_chat_usage.h"

/* ---- choices ---- */

static void lose_if_filled(struct ir_writer *writer, struct json value, const char *name)
{
    if (json_is_filled(value))
        ir_lose(writer->losses, name);
}

static bool has_content(const struct openai_chat_decoder *decoder, const struct ir_writer *writer)
{
    return writer->blocks > 0 || decoder->calls > 0;
}

/* What the one choice that counts says beside its message. */
struct outcome {
    struct json finish, usage;
    bool has_choice, is_error;
};

static int take_choice(struct openai_chat_decoder *decoder, struct ir_writer *writer,
                       struct json choice, bool is_whole, struct outcome *outcome)
{
    enum { DELTA, MESSAGE, FINISH, USAGE, ERROR_MEMBER, LOGPROBS, MEMBERS };
    static const char *const names[] = {"delta",    "message", "finish_reason", "usage", "error",
                                        "logprobs", NULL};
    struct json found[MEMBERS];
    json_find(choice, names, found);
    lose_if_filled(writer, found[LOGPROBS], "logprobs");
    outcome->has_choice = true;
    if (json_is_filled(found[FINISH]))
        outcome->finish = found[FINISH];
    outcome->usage = found[USAGE];
    outcome->is_error |= json_is_filled(found[ERROR_MEMBER]);
    if (is_whole && outcome->is_error)
        return 0; /* nothing was shown yet, and nothing of it will be */
    if (is_whole && !json_is_nothing(found[MESSAGE]))
        return openai_chat_decode_message(decoder, writer, found[MESSAGE], true);
    if (!json_is_nothing(found[DELTA]))
        return openai_chat_decode_message(decoder, writer, found[DELTA], is_whole);
    /* A whole answer in one event. Beside deltas it is a repetition (Perplexity). */
    bool is_first = !has_content(decoder, writer);
    return is_first ? openai_chat_decode_message(decoder, writer, found[MESSAGE], true) : 0;
}

/* Only the first choice has a place in the neutral form. */
static bool is_other_choice(struct json choice)
{
    int64_t index;
    return json_int(json_get(choice, "index"), &index) && index != 0;
}

static int take_choices(struct openai_chat_decoder *decoder, struct ir_writer *writer,
                        struct json choices, bool is_whole, struct outcome *outcome)
{
    int r = 0;
    struct json_iter iter = json_iter(choices);
    for (struct json choice; r == 0 && choices.type == JSON_ARRAY && json_next(&iter, &choice);) {
        if (is_whole ? outcome->has_choice : is_other_choice(choice))
            ir_lose(writer->losses, "choices");
        else
            r = take_choice(decoder, writer, choice, is_whole, outcome);
    }
    return r;
}

/* ---- usage, errors, finish ---- */

/* In the order of the names below. */
enum { CHOICES, USAGE, ERROR_MEMBER, X_GROQ, OBJECT, TYPE, SUCCESS, DETAIL, MESSAGE, LOST };
enum { MEMBERS = LOST + 2 };

static void find_members(struct json root, struct json found[MEMBERS])
{
    static const char *const names[] = {"choices", "usage",     "error",          "x_groq",
                                        "object",  "type",      "success",        "detail",
                                        "message", "citations", "search_results", NULL};
    json_find(root, names, found);
}

static bool has_choices(const struct json found[MEMBERS])
{
    return found[CHOICES].type == JSON_ARRAY && json_is_filled(found[CHOICES]);
}

/* The last that says something counts; Groq's own is a repetition. */
static void take_usage(struct ir_writer *writer, const struct json found[MEMBERS],
                       struct json of_choice)
{
    struct usage usage;
    bool has_any =
        openai_chat_read_usage(found[USAGE], &usage) || openai_chat_read_usage(of_choice, &usage);
    if (!has_any && writer->usage.source == USAGE_NONE)
        has_any = openai_chat_read_usage(json_get(found[X_GROQ], "usage"), &usage);
    if (has_any)
        ir_write_usage(writer, &usage);
}

/* The shapes of an error in a 200 that api_error_read() reads; those without `error` need care. */
static bool is_error(const struct json found[MEMBERS], bool is_whole)
{
    if (json_is_filled(found[ERROR_MEMBER]) || json_is_true(found[ERROR_MEMBER]) ||
        json_is(found[OBJECT], "error") || json_is(found[TYPE], "error"))
        return true;
    if (has_choices(found))
        return false;
    return found[SUCCESS].type == JSON_FALSE || json_is_filled(found[DETAIL]) ||
           (is_whole && json_is_filled(found[MESSAGE]));
}

static int write_error(struct ir_writer *writer, struct span text)
{
    struct api_error error;
    api_error_read(200, text, &writer->scratch, &error);
    return ir_write_error(writer, &error);
}

/* Finish words by which a provider says that it failed. */
static const struct {
    const char *word;
    int kind;
} failures[] = {
    {"error", ERR_PROVIDER_ANSWER},
    {"network_error", ERR_PROVIDER_ANSWER},                    /* GLM */
    {"insufficient_system_resource", ERR_PROVIDER_OVERLOADED}, /* DeepSeek */
    {"abort", ERR_PROVIDER_ANSWER},                            /* vLLM, SGLang */
};

static const struct {
    const char *word;
    enum ir_stop stop;
} stops[] = {
    {"stop", IR_STOP_END},
    {"length", IR_STOP_LENGTH},
    {"tool_calls", IR_STOP_CALLS},
    {"content_filter", IR_STOP_REFUSAL},
    {"function_call", IR_STOP_CALLS},
    {"tool_use", IR_STOP_CALLS},
    {"max_tokens", IR_STOP_LENGTH},
    {"model_length", IR_STOP_LENGTH}, /* Mistral */
    {"model_context_window_exceeded", IR_STOP_CONTEXT},
    {"stop_sequence", IR_STOP_SEQUENCE},
    {"sensitive", IR_STOP_REFUSAL}, /* GLM */
    {"refusal", IR_STOP_REFUSAL},
    {"safety", IR_STOP_REFUSAL},
};

/*
 * Before content it is an error, so that another provider may be tried; behind it what there is was
 * cut off, and said to be.
 */
static int write_failure(const struct openai_chat_decoder *decoder, struct ir_writer *writer,
                         int kind, const char *word)
{
    struct api_error error = {.kind = kind, .code = word};
    if (has_content(decoder, writer)) {
        ir_lose(writer->losses, "finish_reason of a failure");
        return ir_write_finish(writer, IR_STOP_LENGTH, (struct ir_text){0});
    }
    const char *message =
        arena_printf(&writer->scratch, "the provider ended its answer with \"%s\"", word);
    error.message = span_of(message ? message : word);
    return ir_write_error(writer, &error);
}

/* Any other word is a plain end: "eos", "end_turn", and what no list knows. */
static int write_finish(const struct openai_chat_decoder *decoder, struct ir_writer *writer,
                        struct json finish)
{
    struct span word = json_raw_text(finish);
    enum ir_stop stop = IR_STOP_END;
    if (!word.len)
        return 0;
    for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++)
        if (span_equal_nocase(word, span_of(failures[i].word)))
            return write_failure(decoder, writer, failures[i].kind, failures[i].word);
    for (size_t i = 0; i < sizeof(stops) / sizeof(stops[0]); i++)
        if (span_equal_nocase(word, span_of(stops[i].word)))
            stop = stops[i].stop;
    return ir_write_finish(writer, stop, (struct ir_text){0});
}

/*
 * A provider that says it is through, but not why. When it said something that was its answer; when
 * it said nothing there is none, and ir_write_end() will say so.
 */
static int write_plain_finish(const struct openai_chat_decoder *decoder, struct ir_writer *writer)
{
    if (writer->has_finish || !has_content(decoder, writer))
        return 0;
    return ir_write_finish(writer, IR_STOP_END, (struct ir_text){0});
}

/* ---- chunks and whole answers ---- */

/* Content stands before an error and a finish word of the same chunk. */
static int take_root(struct openai_chat_decoder *decoder, struct ir_writer *writer,
                     struct span text, const struct json found[MEMBERS], bool is_whole)
{
    struct outcome outcome = {.is_error = is_error(found, is_whole)};
    int r = 0;
    if (!outcome.is_error && has_choices(found))
        r = ir_write_start(writer);
    if (r == 0 && !(is_whole && outcome.is_error))
        r = take_choices(decoder, writer, found[CHOICES], is_whole, &outcome);
    lose_if_filled(writer, found[LOST], "citations");
    lose_if_filled(writer, found[LOST + 1], "search_results");
    if (r < 0)
        return r;
    take_usage(writer, found, outcome.usage);
    return outcome.is_error ? write_error(writer, text)
                            : write_finish(decoder, writer, outcome.finish);
}

static struct span trim(struct span text)
{
    while (text.len && strchr(" \t\r\n", text.at[0]) && text.at[0])
        text.at++, text.len--;
    while (text.len && strchr(" \t\r\n", text.at[text.len - 1]) && text.at[text.len - 1])
        text.len--;
    return text;
}

/* Events that are no chunk: an error in an array (Gemini); anything else says nothing. */
static int take_other(struct ir_writer *writer, struct span text, struct json root)
{
    struct json_iter iter = json_iter(root);
    struct json first;
    bool has_error = root.type == JSON_ARRAY && json_next(&iter, &first) &&
                     json_is_filled(json_get(first, "error"));
    return has_error ? write_error(writer, text) : 0;
}

int openai_chat_decode_event(void *decoder, struct ir_writer *writer, struct span event_name,
                             struct span data)
{
    struct json root, found[MEMBERS];
    arena_reset(&writer->scratch);
    data = trim(data);
    if (!data.len)
        return 0;
    if (span_equal(data, SPAN("[DONE]")))
        return write_plain_finish(decoder, writer);
    if (span_equal(event_name, SPAN("error")))
        return write_error(writer, data);
    if (json_validate(data, &root, NULL) < 0)
        return -ERR_PROVIDER_ANSWER;
    if (root.type != JSON_OBJECT)
        return take_other(writer, data, root);
    find_members(root, found);
    return take_root(decoder, writer, data, found, false);
}

int openai_chat_decode_answer(struct span body, struct ir_writer *writer)
{
    struct openai_chat_decoder decoder = {0};
    struct json root, found[MEMBERS];
    body = trim(body);
    if (json_validate(body, &root, NULL) < 0)
        return -ERR_PROVIDER_ANSWER;
    if (root.type == JSON_ARRAY)
        return take_other(writer, body, root);
    find_members(root, found);
    int r = take_root(&decoder, writer, body, found, true);
    if (r < 0 || writer->has_failed)
        return r;
    if (!has_choices(found))
        return -ERR_PROVIDER_ANSWER;
    return write_plain_finish(&decoder, writer);
}
