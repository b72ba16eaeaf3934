/*
 * Taps against recorded answers of real providers, where the recordings are (a folder beside the
 * repository; they are not part of it). Without them the test says so and is skipped
 * (exit status 77).
 */
#include "base/bytes.h"
#include "base/file.h"
#include "dialect/dialect.h"
#include "net/sse.h"

#include <cjson/cJSON.h>
#include <glob.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static unsigned failures;

static void expect(bool is_so, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void expect(bool is_so, const char *format, ...)
{
    if (is_so)
        return;
    va_list args;
    va_start(args, format);
    (void)vprintf(format, args); /* a report that cannot be written still fails the test */
    va_end(args);
    printf("\n");
    failures++;
}

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

static struct tap tap_stream(const struct dialect *dialect, struct span body, size_t step)
{
    struct feeding feeding = {.dialect = dialect};
    struct sse sse;
    sse_init(&sse, 8 << 20);
    for (size_t at = 0; at < body.len; at += step) {
        size_t len = body.len - at < step ? body.len - at : step;
        expect(sse_feed(&sse, (struct span){body.at + at, len}, on_event, &feeding) == 0,
               "the stream is too large");
    }
    expect(sse_finish(&sse, on_event, &feeding) == 0, "the stream is too large");
    sse_release(&sse);
    return feeding.tap;
}

static cJSON *member(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

static int64_t count_of(const cJSON *usage, const char *name)
{
    const cJSON *count = member(usage, name);
    return cJSON_IsNumber(count) ? (int64_t)count->valuedouble : 0;
}

static void expect_usage(const struct usage *usage, const cJSON *wanted, const char *path)
{
    if (!cJSON_IsObject(wanted) || !cJSON_IsNumber(member(wanted, "in")))
        return;
    expect(usage->source == USAGE_PROVIDER, "%s", path);
    expect(usage_total_input(usage) == count_of(wanted, "in"), "%s: in %lld", path,
           (long long)usage_total_input(usage));
    expect(usage->output == count_of(wanted, "out"), "%s: out %lld", path,
           (long long)usage->output);
    expect(usage->cache_read == count_of(wanted, "cached"), "%s: cached", path);
}

static void expect_tap(const struct tap *tap, const cJSON *wanted, const char *path)
{
    const char *text = cJSON_GetStringValue(member(wanted, "text"));
    const char *reasoning = cJSON_GetStringValue(member(wanted, "reasoning"));
    bool has_content = (text && *text) || (reasoning && *reasoning) ||
                       cJSON_GetArraySize(member(wanted, "tool_calls")) > 0;
    expect_usage(&tap->usage, member(wanted, "usage"), path);
    expect(!has_content || tap->has_content, "%s: content", path);
    expect(tap->has_finish == (bool)cJSON_IsString(member(wanted, "finish_raw")), "%s: finish",
           path);
    expect((tap->error_kind != 0) == (bool)cJSON_IsObject(member(wanted, "error")), "%s: %s", path,
           tap->error_text);
}

static cJSON *read_json(const char *path, const char *file, struct bytes *text)
{
    char full[1024];
    bytes_clear(text);
    snprintf(full, sizeof(full), "%s/%s", path, file);
    if (file_read_followed(full, text, NULL, NULL) < 0)
        return NULL;
    return cJSON_ParseWithLength(text->data, text->len);
}

/* An error answer's message and status survive the reading. */
static void expect_error(const struct dialect *dialect, struct span body, const cJSON *wanted,
                         const char *path)
{
    struct api_error error;
    struct arena arena;
    const char *message = cJSON_GetStringValue(member(member(wanted, "error"), "message"));
    int status = (int)count_of(wanted, "status");
    arena_init(&arena, 65536);
    dialect->read_error(status, body, &arena, &error);
    expect(error.status == status, "%s: status", path);
    expect(!message || span_equal(error.message, span_of(message)), "%s: " SPAN_FMT, path,
           SPAN_ARG(error.message));
    arena_release(&arena);
}

static bool try_answer(const struct dialect *dialect, const char *path, const cJSON *wanted)
{
    struct bytes body = {.max = 32 << 20};
    char full[1024];
    bool is_stream = true;
    snprintf(full, sizeof(full), "%s/response.sse", path);
    if (file_read_followed(full, &body, NULL, NULL) < 0) {
        is_stream = false;
        snprintf(full, sizeof(full), "%s/response.json", path);
        if (file_read_followed(full, &body, NULL, NULL) < 0)
            return false;
    }
    struct tap tap = {0};
    if (count_of(wanted, "status") >= 400) {
        expect_error(dialect, bytes_span(&body), wanted, path);
    } else if (!is_stream) {
        dialect->tap_answer(&tap, bytes_span(&body));
        expect_tap(&tap, wanted, path);
    } else {
        tap = tap_stream(dialect, bytes_span(&body), 1);
        expect_tap(&tap, wanted, path);
        struct tap whole = tap_stream(dialect, bytes_span(&body), body.len);
        expect(!memcmp(&tap, &whole, sizeof(tap)), "%s: cut or whole", path);
    }
    bytes_release(&body);
    return true;
}

static bool try_case(const char *path)
{
    struct bytes text = {.max = 4 << 20};
    cJSON *wanted = read_json(path, "expected.json", &text);
    const char *format = cJSON_GetStringValue(member(wanted, "format"));
    const struct dialect *dialect = NULL;
    if (format && !strcmp(format, "openai-chat"))
        dialect = dialect_by_name(SPAN("openai_chat"));
    else if (format && !strcmp(format, "anthropic"))
        dialect = dialect_by_name(SPAN("anthropic"));
    bool is_tried = dialect && try_answer(dialect, path, wanted);
    cJSON_Delete(wanted);
    bytes_release(&text);
    return is_tried;
}

int main(void)
{
    const char *source = getenv("AICTL_SOURCE");
    char pattern[1024];
    glob_t found = {0};
    size_t tried = 0;
    snprintf(pattern, sizeof(pattern), "%s/../shared/fixtures/*/*", source ? source : ".");
    if (glob(pattern, GLOB_ONLYDIR, NULL, &found) != 0) {
        printf("SKIP: there are no recordings beside the repository\n");
        return 77;
    }
    for (size_t i = 0; i < found.gl_pathc; i++)
        tried += try_case(found.gl_pathv[i]);
    globfree(&found);
    expect(tried > 20, "only %zu recordings were tried", tried);
    printf("%zu recordings tried, %u failures\n", tried, failures);
    return failures ? 1 : 0;
}
