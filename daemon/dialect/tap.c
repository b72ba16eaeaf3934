/* See tap.h. */
#include "dialect/tap.h"

#include "base/own.h"
#include "base/utf8.h"
#include "dialect/api_error.h"

#define ERROR_MEMORY 65536 /* for an error's decoded message; a longer one is not shown */
#define COUNT_END    ((int64_t)1 << 53) /* no count comes near it; sums of a few stay in range */

static void keep(char *out, size_t size, struct span text)
{
    text = utf8_cut(text, size - 1);
    memcpy(out, text.at ? text.at : "", text.len);
    out[text.len] = '\0';
}

void tap_error(struct tap *tap, struct span body)
{
    if (tap->error_kind)
        return;
    CLEANUP(arena_release) struct arena arena;
    struct api_error error;
    arena_init(&arena, ERROR_MEMORY);
    api_error_read(200, body, &arena, &error);
    tap->error_kind = error.kind;
    keep(tap->error_text, sizeof(tap->error_text), api_error_message(&error));
}

void tap_nonsense(struct tap *tap, const char *problem)
{
    if (tap->error_kind)
        return;
    tap->error_kind = ERR_PROVIDER_ANSWER;
    keep(tap->error_text, sizeof(tap->error_text), span_of(problem));
}

void tap_finish(struct tap *tap, struct json word)
{
    if (word.type != JSON_STRING || !json_is_filled(word))
        return;
    tap->has_finish = true;
    keep(tap->stop, sizeof(tap->stop), json_raw_text(word));
}

bool tap_count(struct json value, int64_t *ret)
{
    int64_t count;
    if (!json_int(value, &count) || count < 0 || count >= COUNT_END)
        return false;
    *ret = count;
    return true;
}

/* ---- neutral events ---- */

static void on_delta(struct tap *tap, const struct ir_event *event)
{
    (void)event; /* never empty */
    tap->has_content = true;
}

/* A call is something the model did; every other block starts empty. */
static void on_block_start(struct tap *tap, const struct ir_event *event)
{
    if (event->block_kind == IR_CALL)
        tap->has_content = true;
}

/* Redacted reasoning is all in its signature. */
static void on_signature(struct tap *tap, const struct ir_event *event)
{
    if (event->is_redacted)
        tap->has_content = true;
}

static void take_usage(struct tap *tap, const struct ir_event *event)
{
    if (event->usage && event->usage->source != USAGE_NONE)
        tap->usage = *event->usage;
}

static void on_finish(struct tap *tap, const struct ir_event *event)
{
    static const char *const words[] = {
        [IR_STOP_END] = "end",         [IR_STOP_LENGTH] = "length",     [IR_STOP_CALLS] = "calls",
        [IR_STOP_REFUSAL] = "refusal", [IR_STOP_SEQUENCE] = "sequence", [IR_STOP_PAUSE] = "pause",
        [IR_STOP_CONTEXT] = "context",
    };
    take_usage(tap, event);
    tap->has_finish = tap->has_end = true;
    keep(tap->stop, sizeof(tap->stop), span_of(words[event->stop]));
}

static void on_error(struct tap *tap, const struct ir_event *event)
{
    if (tap->error_kind)
        return;
    tap->error_kind = event->error->kind;
    keep(tap->error_text, sizeof(tap->error_text), api_error_message(event->error));
}

void tap_ir_event(struct tap *tap, const struct ir_event *event)
{
    static void (*const readers[])(struct tap * tap, const struct ir_event *event) = {
        [IR_EVENT_START] = take_usage, [IR_EVENT_BLOCK_START] = on_block_start,
        [IR_EVENT_DELTA] = on_delta,   [IR_EVENT_SIGNATURE] = on_signature,
        [IR_EVENT_BLOCK_STOP] = NULL,  [IR_EVENT_FINISH] = on_finish,
        [IR_EVENT_ERROR] = on_error,
    };
    if (readers[event->kind])
        readers[event->kind](tap, event);
}
