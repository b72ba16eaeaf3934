/* See recording.h. */
#include "golden/recording.h"

#include "base/file.h"

#include <glob.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define RECORDINGS_MIN 20 /* of those beside the repository; fewer means they were not understood */

static unsigned failures;

void recording_expect(const struct recording *recording, bool is_so, const char *format, ...)
{
    if (is_so)
        return;
    va_list args;
    va_start(args, format);
    printf("%s: ", recording->path);
    (void)vprintf(format, args); /* a report that cannot be written still fails the test */
    printf("\n");
    va_end(args);
    failures++;
}

const cJSON *recording_member(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

const char *recording_text(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(recording_member(object, name));
    return text ? text : "";
}

int64_t recording_count(const cJSON *object, const char *name)
{
    const cJSON *count = recording_member(object, name);
    return cJSON_IsNumber(count) ? (int64_t)count->valuedouble : 0;
}

static const struct dialect *dialect_of(const cJSON *wanted)
{
    static const struct {
        const char *format, *name;
    } formats[] = {{"openai-chat", "openai_chat"}, {"anthropic", "anthropic"}};
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
        if (!strcmp(recording_text(wanted, "format"), formats[i].format))
            return dialect_by_name(span_of(formats[i].name));
    return NULL;
}

static bool read_file(const char *folder, const char *name, struct bytes *text)
{
    char path[1024];
    bytes_clear(text);
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return file_read_followed(path, text, NULL, NULL) == 0;
}

static bool try_one(const char *path, void (*try)(const struct recording *recording))
{
    struct bytes body = {.max = 32 << 20}, text = {.max = 4 << 20};
    bool has_wanted = read_file(path, "expected.json", &text);
    cJSON *wanted = has_wanted ? cJSON_ParseWithLength(text.data, text.len) : NULL;
    struct recording recording = {
        .path = path,
        .wanted = wanted,
        .dialect = dialect_of(wanted),
        .status = (int)recording_count(wanted, "status"),
        .is_stream = read_file(path, "response.sse", &body),
    };
    bool has_body = recording.is_stream || read_file(path, "response.json", &body);
    bool is_tried = recording.dialect && has_body;
    recording.body = bytes_span(&body);
    if (is_tried)
        try(&recording);
    cJSON_Delete(wanted);
    bytes_release(&text);
    bytes_release(&body);
    return is_tried;
}

int recordings_try(void (*try)(const struct recording *recording))
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
        tried += try_one(found.gl_pathv[i], try);
    globfree(&found);
    printf("%zu recordings tried, %u failures\n", tried, failures);
    return tried > RECORDINGS_MIN && failures == 0 ? 0 : 1;
}
