/*
 * Anthropic Messages. Facts, and what is passed on of headers and why: docs/dialects/anthropic.md.
 */
#include "dialect/anthropic.h"

#include "dialect/anthropic_strip.h"
#include "dialect/anthropic_tap.h"
#include "dialect/api_error.h"
#include "dialect/base_url.h"
#include "dialect/request.h"

/* ---- towards the provider ---- */

/* A base is used with or without its /v1; a full path names /v1 itself or was meant without it. */
static int build_url(struct span base, enum operation operation, struct span model, bool stream,
                     struct bytes *out)
{
    (void)model, (void)stream; /* both stand in the body */
    struct base_url url = base_url_split(base);
    bool is_versioned = base_url_strip(&url, SPAN("/messages")) || base_url_ends(&url, SPAN("/v1"));
    if (operation == OP_LIST_MODELS)
        return base_url_write(&url, is_versioned ? SPAN("/models") : SPAN("/v1/models"), out);
    return base_url_write(&url, is_versioned ? SPAN("/messages") : SPAN("/v1/messages"), out);
}

/* The provider tells usage unasked: the model is all there is to edit. */
static int edit_request(const struct request_view *view, const struct ir_target *target,
                        struct arena *arena, struct splices *ret, struct err *reterr)
{
    return request_replace_model(view, target->model, arena, ret, reterr);
}

/* ---- towards the client ---- */

static const struct {
    int status;
    const char *type;
} types[] = {
    {400, "invalid_request_error"}, {401, "authentication_error"}, {403, "permission_error"},
    {404, "not_found_error"},       {413, "request_too_large"},    {429, "rate_limit_error"},
    {503, "overloaded_error"},      {529, "overloaded_error"},
};

/* Clients of this API know these words only; any other is put in their terms by the status. */
static const char *error_type(const struct api_error *error)
{
    const size_t count = sizeof(types) / sizeof(types[0]);
    const int status = api_error_status(error);
    for (size_t i = 0; error->type && i < count; i++)
        if (!strcmp(error->type, types[i].type))
            return types[i].type;
    if (status == 503 && !error_row(error->kind)->retryable)
        return "api_error"; /* ours: nothing that waiting mends */
    for (size_t i = 0; i < count; i++)
        if (status == types[i].status)
            return types[i].type;
    return status >= 400 && status < 500 ? "invalid_request_error" : "api_error";
}

static int write_error(const struct api_error *error, struct bytes *out)
{
    int r = bytes_addf(
        out, "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":", error_type(error));
    if (r == 0)
        r = json_add_string(out, api_error_message(error));
    return r == 0 ? bytes_add_span(out, SPAN("}}")) : r;
}

static int write_stream_error(const struct api_error *error, struct bytes *out)
{
    int r = bytes_add_span(out, SPAN("event: error\ndata: "));
    if (r == 0)
        r = write_error(error, out);
    return r == 0 ? bytes_add_span(out, SPAN("\n\n")) : r;
}

static bool is_own_error(struct span body)
{
    struct json error = json_peek(span_trim(body));
    return json_is(json_get(error, "type"), "error") &&
           json_path(error, "error", "message", NULL).type == JSON_STRING;
}

static int write_model(const struct model_entry *model, struct bytes *out)
{
    int r = bytes_add_span(out, SPAN("{\"type\":\"model\",\"id\":"));
    if (r == 0)
        r = json_add_string(out, span_of(model->id));
    if (r == 0)
        r = bytes_add_span(out, SPAN(",\"display_name\":"));
    if (r == 0)
        r = json_add_string(out, span_of(model->display_name ? model->display_name : model->id));
    return r == 0 ? bytes_add_span(out, SPAN(",\"created_at\":\"1970-01-01T00:00:00Z\"}")) : r;
}

static int write_id(const char *name, const struct model_entry *model, struct bytes *out)
{
    int r = bytes_addf(out, ",\"%s\":", name);
    if (r == 0)
        r = model ? json_add_string(out, span_of(model->id)) : bytes_add_span(out, SPAN("null"));
    return r;
}

static int write_models(const struct model_entry *models, size_t count, struct bytes *out)
{
    int r = bytes_add_span(out, SPAN("{\"data\":["));
    for (size_t i = 0; r == 0 && i < count; i++) {
        if (i > 0)
            r = bytes_add_span(out, SPAN(","));
        if (r == 0)
            r = write_model(&models[i], out);
    }
    if (r == 0)
        r = bytes_add_span(out, SPAN("],\"has_more\":false"));
    if (r == 0)
        r = write_id("first_id", count ? &models[0] : NULL, out);
    if (r == 0)
        r = write_id("last_id", count ? &models[count - 1] : NULL, out);
    return r == 0 ? bytes_add_span(out, SPAN("}")) : r;
}

static const struct dialect_route routes[] = {
    {"POST", "/v1/messages", OP_GENERATE},
    {"POST", "/v1/messages/count_tokens", OP_COUNT_TOKENS},
    {"GET", "/v1/models", OP_LIST_MODELS},
    {0},
};

static const char *const request_headers[] = {"anthropic-version", "anthropic-beta", "user-agent",
                                              NULL};

static const char *const answer_headers[] = {
    "retry-after", "retry-after-ms", "x-should-retry",
    "request-id",  "x-request-id",   "anthropic-ratelimit-*",
    NULL,
};

static const char *const default_headers[] = {"anthropic-version: 2023-06-01", NULL};

const struct dialect dialect_anthropic = {
    .name = "anthropic",
    .type = "anthropic",
    .standing_alias = "claude-aictl",
    .routes = routes,
    .build_url = build_url,
    .key_header = "x-api-key",
    .key_prefix = "",
    .request_headers = request_headers,
    .answer_headers = answer_headers,
    .default_headers = default_headers,
    .read_request = request_read,
    .edit_request = edit_request,
    .strip_reasoning = anthropic_strip_reasoning,
    .tap_event = anthropic_tap_event,
    .tap_answer = anthropic_tap_answer,
    .read_error = api_error_read,
    .decode_request = anthropic_decode_request,
    .decoder_size = sizeof(struct anthropic_decoder),
    .decode_event = anthropic_decode_event,
    .decode_answer = anthropic_decode_answer,
    .encode_request = anthropic_encode_request,
    .encoder_size = sizeof(struct anthropic_encoder),
    .encode_event = anthropic_encode_event,
    .encode_answer = anthropic_encode_answer,
    .write_count = anthropic_write_count,
    .write_error = write_error,
    .write_stream_error = write_stream_error,
    .write_models = write_models,
    .is_own_error = is_own_error,
    .stream_end = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    .keepalive = "event: ping\ndata: {\"type\":\"ping\"}\n\n",
};
