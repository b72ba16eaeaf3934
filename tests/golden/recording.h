/*
 * Recorded answers of real providers, where they are: a folder beside the repository, which is not
 * part of it. A program that has none to look at says so and is skipped (exit status 77).
 */
#pragma once

#include "base/bytes.h"
#include "dialect/dialect.h"

#include <cjson/cJSON.h>

struct recording {
    const char *path; /* of its folder */
    const struct dialect *dialect;
    const cJSON *wanted; /* expected.json */
    struct span body;
    bool is_stream;
    int status;
};

/*
 * Calls `try` for each recording in a dialect that is known here; returns the exit status of main().
 */
int recordings_try(void (*try)(const struct recording *recording));

/* Reports a failure, with the recording it belongs to, unless is_so. */
void recording_expect(const struct recording *recording, bool is_so, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A member of an object of expected.json; NULL when there is none. */
const cJSON *recording_member(const cJSON *object, const char *name);
/* A member that is text; "" when it is none. */
const char *recording_text(const cJSON *object, const char *name);
/* A member that is a count; 0 when it is none. */
int64_t recording_count(const cJSON *object, const char *name);
