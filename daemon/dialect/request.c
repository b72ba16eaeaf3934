/* See request.h. */
#include "dialect/request.h"

#include "base/own.h"

static const char *const members[] = {"model", "stream", "stream_options", "functions", NULL};
enum { MODEL, STREAM, STREAM_OPTIONS, FUNCTIONS, MEMBERS };

static bool has_control(struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.at[i] < 0x20 || text.at[i] == 0x7f)
            return true;
    return false;
}

static int read_model(struct json model, struct arena *arena, struct span *ret, struct err *reterr)
{
    if (model.type == JSON_ABSENT)
        return err_set(reterr, ERR_INVALID_REQUEST, "the member \"model\" is missing");
    if (model.type != JSON_STRING)
        return err_set(reterr, ERR_INVALID_REQUEST, "\"model\" must be a string");
    if (json_text(model, arena, ret) < 0)
        return err_set(reterr, ERR_TOO_LARGE, "\"model\" does not fit in memory");
    if (ret->len == 0)
        return err_set(reterr, ERR_INVALID_REQUEST, "\"model\" is empty");
    if (ret->len > MODEL_NAME_MAX)
        return err_set(reterr, ERR_INVALID_REQUEST, "\"model\" is longer than %d bytes",
                       MODEL_NAME_MAX);
    if (has_control(*ret))
        return err_set(reterr, ERR_INVALID_REQUEST, "\"model\" has a control character in it");
    return 0;
}

int request_read(struct span body, struct arena *arena, struct request_view *ret,
                 struct err *reterr)
{
    struct json found[MEMBERS];
    *ret = (struct request_view){.body = body};
    int r = json_pick_text(body, members, &ret->root, found, reterr);
    if (r < 0)
        return r;
    ret->model = found[MODEL];
    ret->stream_options = found[STREAM_OPTIONS];
    ret->stream = json_is_true(found[STREAM]);
    ret->is_legacy = json_is_filled(found[FUNCTIONS]);
    r = read_model(ret->model, arena, &ret->model_text, reterr);
    if (r < 0)
        return r;
    if (!ret->stream && found[STREAM].type != JSON_FALSE && !json_is_nothing(found[STREAM]))
        return err_set(reterr, ERR_INVALID_REQUEST, "\"stream\" must be true or false");
    return 0;
}

int request_replace_model(const struct request_view *view, struct span model, struct arena *arena,
                          struct splices *ret, struct err *reterr)
{
    if (span_equal(model, view->model_text))
        return 0;
    CLEANUP(bytes_release) struct bytes text = {.max = 16 * MODEL_NAME_MAX};
    int r = json_add_string(&text, model);
    const char *copy = r < 0 ? NULL : arena_copy(arena, bytes_span(&text));
    if (!copy)
        return err_set(reterr, ERR_TOO_LARGE, "the model's name does not fit in memory");
    r = splices_add(ret, (size_t)(view->model.at - view->body.at), view->model.len,
                    (struct span){copy, text.len});
    return r < 0 ? err_set(reterr, ERR_TOO_LARGE, "the edits do not fit in memory") : 0;
}
