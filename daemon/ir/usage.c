/* See usage.h. */
#include "ir/usage.h"

const char *usage_source_name(enum usage_source source)
{
    static const char *const names[] = {
        [USAGE_NONE] = "none",
        [USAGE_PROVIDER] = "provider",
        [USAGE_ESTIMATE] = "estimate",
    };
    return names[source];
}

int64_t usage_total_input(const struct usage *usage)
{
    return usage->input + usage->cache_read + usage->cache_write_5m + usage->cache_write_1h;
}

void usage_set_inclusive_input(struct usage *usage, int64_t total, int64_t cached)
{
    if (cached < 0)
        cached = 0;
    usage->cache_read = cached;
    usage->input = total > cached ? total - cached : 0;
}
