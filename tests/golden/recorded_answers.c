/* Taps against recorded answers: what is read of an answer that is passed on unchanged. */
#include "golden/recording.h"
#include "net/sse.h"

static const struct request_view view = {.stream = true, .wants_usage = true};

struct feeding {
    const struct dialect *dialect;
    struct tap tap;
};

static int on_event(void *ctx, const struct sse_event *event)
{
    struct feeding *feeding = ctx;
    (void)feeding->dialect->tap_event(&feeding->tap, &view, event->name, event->data);
    return 0;
}

static struct tap tap_stream(const struct recording *recording, size_t step)
{
    struct feeding feeding = {.dialect = recording->dialect};
    struct span body = recording->body;
    struct sse sse;
    sse_init(&sse, 8 << 20);
    for (size_t at = 0; at < body.len; at += step) {
        size_t len = body.len - at < step ? body.len - at : step;
        recording_expect(recording,
                         sse_feed(&sse, (struct span){body.at + at, len}, on_event, &feeding) == 0,
                         "the stream is too large");
    }
    recording_expect(recording, sse_finish(&sse, on_event, &feeding) == 0,
                     "the stream is too large");
    sse_release(&sse);
    return feeding.tap;
}

static void expect_usage(const struct recording *recording, const struct usage *usage)
{
    const cJSON *wanted = recording_member(recording->wanted, "usage");
    if (!cJSON_IsObject(wanted) || !cJSON_IsNumber(recording_member(wanted, "in")))
        return;
    recording_expect(recording, usage->source == USAGE_PROVIDER, "no usage");
    recording_expect(recording, usage_total_input(usage) == recording_count(wanted, "in"),
                     "in %lld", (long long)usage_total_input(usage));
    recording_expect(recording, usage->output == recording_count(wanted, "out"), "out %lld",
                     (long long)usage->output);
    recording_expect(recording, usage->cache_read == recording_count(wanted, "cached"),
                     "cached %lld", (long long)usage->cache_read);
}

static void expect_tap(const struct recording *recording, const struct tap *tap)
{
    const cJSON *wanted = recording->wanted;
    bool has_content = *recording_text(wanted, "text") || *recording_text(wanted, "reasoning") ||
                       cJSON_GetArraySize(recording_member(wanted, "tool_calls")) > 0;
    expect_usage(recording, &tap->usage);
    recording_expect(recording, !has_content || tap->has_content, "content");
    recording_expect(
        recording, tap->has_finish == (bool)cJSON_IsString(recording_member(wanted, "finish_raw")),
        "finish");
    recording_expect(recording,
                     (tap->error_kind != 0) ==
                         (bool)cJSON_IsObject(recording_member(wanted, "error")),
                     "%s", tap->error_text);
}

/* An error answer's message and status survive the reading. */
static void expect_error(const struct recording *recording)
{
    struct api_error error;
    struct arena arena;
    const char *message = recording_text(recording_member(recording->wanted, "error"), "message");
    arena_init(&arena, 65536);
    recording->dialect->read_error(recording->status, recording->body, &arena, &error);
    recording_expect(recording, error.status == recording->status, "status %d", error.status);
    recording_expect(recording, !*message || span_equal(error.message, span_of(message)), SPAN_FMT,
                     SPAN_ARG(error.message));
    arena_release(&arena);
}

static void try_recording(const struct recording *recording)
{
    struct tap tap = {0};
    if (recording->status >= 400) {
        expect_error(recording);
    } else if (!recording->is_stream) {
        recording->dialect->tap_answer(&tap, recording->body);
        expect_tap(recording, &tap);
    } else {
        tap = tap_stream(recording, 1);
        expect_tap(recording, &tap);
        struct tap whole = tap_stream(recording, recording->body.len);
        recording_expect(recording, !memcmp(&tap, &whole, sizeof(tap)), "cut or whole");
    }
}

int main(void)
{
    return recordings_try(try_recording);
}
