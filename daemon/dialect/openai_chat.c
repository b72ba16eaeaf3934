/*
 * OpenAI Chat Completions, the dialect of most providers. Facts, and what is passed on of headers
 * and why: docs/dialects/openai_chat.md.
 */
#include "dialect/openai_chat.h"

#include "dialect/api_error.h"
#include "dialect/base_url.h"
#include "dialect/openai_chat_tap.h"
#include "dialect/request.h"

/* ---- towards the provider ---- */

static int build_url(struct span base, enum operation operation, struct span model, bool stream,
                     struct bytes *out)
{
    (void)model, (void)stream; /* both stand in the body */
    struct base_url url = base_url_split(base);
    (void)base_url_strip(&url, SPAN("/chat/completions")); /* there only in a full path */
    return base_url_write(
        &url, operation == OP_LIST_MODELS ? SPAN("/models") : SPAN("/chat/completions"), out);
}

static int read_request(struct span body, struct arena *arena, struct request_view *ret,
                        struct err *reterr)
{
    static const char *const names[] = {"include_usage", NULL};
    struct json include_usage;
    int r = request_read(body, arena, ret, reterr);
    if (r < 0 || json_is_nothing(ret->stream_options))
        return r;
    if (ret->stream_options.type != JSON_OBJECT)
        return err_set(reterr, ERR_INVALID_REQUEST, "\"stream_options\" must be an object");
    if (json_pick_exact(ret->stream_options, names, &include_usage, reterr) < 0)
        return err_prefix(reterr, "stream_options");
    ret->wants_usage = json_is_true(include_usage);
    return 0;
}

static size_t offset_in(const struct request_view *view, const char *at)
{
    return (size_t)(at - view->body.at);
}

/* stream_options is an object without include_usage: true. */
static int ask_inside(const struct request_view *view, struct splices *ret)
{
    struct json options = view->stream_options;
    struct json include_usage = json_get(options, "include_usage");
    if (include_usage.type != JSON_ABSENT)
        return splices_add(ret, offset_in(view, include_usage.at), include_usage.len, SPAN("true"));
    return splices_add(ret, offset_in(view, options.at) + 1, 0,
                       json_is_filled(options) ? SPAN("\"include_usage\":true,")
                                               : SPAN("\"include_usage\":true"));
}

/* A stream tells its usage only when asked, and we always want to know it. */
static int ask_for_usage(const struct request_view *view, struct splices *ret)
{
    struct json options = view->stream_options;
    if (options.type == JSON_OBJECT)
        return ask_inside(view, ret);
    if (options.type == JSON_NULL)
        return splices_add(ret, offset_in(view, options.at), options.len,
                           SPAN("{\"include_usage\":true}"));
    return splices_add(ret, offset_in(view, view->root.at) + 1, 0,
                       SPAN("\"stream_options\":{\"include_usage\":true},"));
}

static int edit_request(const struct request_view *view, const struct ir_target *target,
                        struct arena *arena, struct splices *ret, struct err *reterr)
{
    bool asks = view->stream && !view->wants_usage && ir_can(target, IR_CAN_STREAM_USAGE);
    if (asks && ask_for_usage(view, ret) < 0)
        return err_set(reterr, ERR_TOO_LARGE, "the edits do not fit in memory");
    return request_replace_model(view, target->model, arena, ret, reterr);
}

/* ---- towards the client ---- */

static int add_word(struct bytes *out, const char *word)
{
    return word ? json_add_string(out, span_of(word)) : bytes_add_span(out, SPAN("null"));
}

static int write_error(const struct api_error *error, struct bytes *out)
{
    const char *type = error->type ? error->type : error_row(error->kind)->type;
    int r = bytes_add_span(out, SPAN("{\"error\":{\"message\":"));
    if (r == 0)
        r = json_add_string(out, api_error_message(error));
    if (r == 0)
        r = bytes_add_span(out, SPAN(",\"type\":"));
    if (r == 0)
        r = add_word(out, type);
    if (r == 0)
        r = bytes_add_span(out, SPAN(",\"param\":null,\"code\":"));
    if (r == 0)
        r = add_word(out, error->code);
    return r == 0 ? bytes_add_span(out, SPAN("}}")) : r;
}

/* No [DONE] behind it: the stream did not end well. */
static int write_stream_error(const struct api_error *error, struct bytes *out)
{
    int r = bytes_add_span(out, SPAN("data: "));
    if (r == 0)
        r = write_error(error, out);
    return r == 0 ? bytes_add_span(out, SPAN("\n\n")) : r;
}

static bool is_own_error(struct span body)
{
    return json_path(json_peek(span_trim(body)), "error", "message", NULL).type == JSON_STRING;
}

static int write_model(const struct model_entry *model, struct bytes *out)
{
    int r = bytes_add_span(out, SPAN("{\"id\":"));
    if (r == 0)
        r = json_add_string(out, span_of(model->id));
    if (r == 0)
        r = bytes_add_span(out, SPAN(",\"object\":\"model\",\"created\":0,\"owned_by\":"));
    if (r == 0)
        r = json_add_string(out, span_of(model->owner ? model->owner : "aictl"));
    return r == 0 ? bytes_add_span(out, SPAN("}")) : r;
}

static int write_models(const struct model_entry *models, size_t count, struct bytes *out)
{
    int r = bytes_add_span(out, SPAN("{\"object\":\"list\",\"data\":["));
    for (size_t i = 0; r == 0 && i < count; i++) {
        if (i > 0)
            r = bytes_add_span(out, SPAN(","));
        if (r == 0)
            r = write_model(&models[i], out);
    }
    return r == 0 ? bytes_add_span(out, SPAN("]}")) : r;
}

static const struct dialect_route routes[] = {
    {"POST", "/v1/chat/completions", OP_GENERATE},
    {"GET", "/v1/models", OP_LIST_MODELS},
    {0},
};

static const char *const request_headers[] = {"user-agent", NULL};

static const char *const answer_headers[] = {
    "retry-after",  "retry-after-ms", "x-should-retry",
    "x-request-id", "x-ratelimit-*",  "openai-processing-ms",
    NULL,
};

const struct dialect dialect_openai_chat = {
    .name = "openai_chat",
    .type = "openai",
    .standing_alias = "aictl",
    .routes = routes,
    .build_url = build_url,
    .key_header = "authorization",
    .key_prefix = "Bearer ",
    .request_headers = request_headers,
    .answer_headers = answer_headers,
    .read_request = read_request,
    .edit_request = edit_request,
    .tap_event = openai_chat_tap_event,
    .tap_answer = openai_chat_tap_answer,
    .read_reply = openai_chat_read_reply,
    .read_error = api_error_read,
    .decode_request = openai_chat_decode_request,
    .decoder_size = sizeof(struct openai_chat_decoder),
    .decode_event = openai_chat_decode_event,
    .decode_answer = openai_chat_decode_answer,
    .encode_request = openai_chat_encode_request,
    .encoder_size = sizeof(struct openai_chat_encoder),
    .encode_event = openai_chat_encode_event,
    .encode_answer = openai_chat_encode_answer,
    .write_error = write_error,
    .write_stream_error = write_stream_error,
    .write_models = write_models,
    .is_own_error = is_own_error,
    .keepalive = ": keep-alive\n\n",
    .stream_end = "data: [DONE]\n\n",
};
