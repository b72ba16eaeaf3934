/* See anthropic_usage.h. */
#include "dialect/anthropic_usage.h"

#include "dialect/tap.h"

/*
 * Cache writes come as a sum, and in some events with their split by life time. A later sum without
 * a split keeps what was known of it, since one hour costs more than five minutes.
 */
static void read_cache_writes(struct usage *usage, struct json split, struct json sum)
{
    int64_t total;
    if (split.type == JSON_OBJECT) {
        usage->cache_write_5m = usage->cache_write_1h = 0;
        (void)tap_count(json_get(split, "ephemeral_5m_input_tokens"), &usage->cache_write_5m);
        (void)tap_count(json_get(split, "ephemeral_1h_input_tokens"), &usage->cache_write_1h);
    }
    if (!tap_count(sum, &total) || total == usage->cache_write_5m + usage->cache_write_1h)
        return;
    if (usage->cache_write_1h > total)
        usage->cache_write_1h = 0;
    usage->cache_write_5m = total - usage->cache_write_1h;
}

void anthropic_usage_read(struct json json, struct usage *usage)
{
    static const char *const names[] = {"input_tokens",
                                        "output_tokens",
                                        "cache_read_input_tokens",
                                        "cache_creation_input_tokens",
                                        "cache_creation",
                                        "output_tokens_details",
                                        NULL};
    struct json found[6];
    json_find(json, names, found);
    struct usage told = *usage;
    bool has_any = tap_count(found[0], &told.input);
    has_any |= tap_count(found[1], &told.output);
    has_any |= tap_count(found[2], &told.cache_read);
    read_cache_writes(&told, found[4], found[3]);
    if (!has_any)
        return;
    (void)tap_count(json_get(found[5], "thinking_tokens"), &told.reasoning);
    told.source = USAGE_PROVIDER;
    if (usage_total_input(&told) == 0) {
        told.input = usage->input;
        told.cache_read = usage->cache_read;
        told.cache_write_5m = usage->cache_write_5m;
        told.cache_write_1h = usage->cache_write_1h;
    }
    *usage = told;
}

int anthropic_usage_write(const struct usage *usage, struct bytes *out)
{
    static const struct usage none;
    const struct usage *told = usage && usage->source != USAGE_NONE ? usage : &none;
    const long long writes_5m = told->cache_write_5m, writes_1h = told->cache_write_1h;
    int r = bytes_addf(out,
                       "{\"input_tokens\":%lld,\"cache_creation_input_tokens\":%lld,"
                       "\"cache_read_input_tokens\":%lld,\"output_tokens\":%lld",
                       (long long)told->input, writes_5m + writes_1h, (long long)told->cache_read,
                       (long long)told->output);
    if (r == 0 && (writes_5m || writes_1h))
        r = bytes_addf(out,
                       ",\"cache_creation\":{\"ephemeral_5m_input_tokens\":%lld,"
                       "\"ephemeral_1h_input_tokens\":%lld}",
                       writes_5m, writes_1h);
    return r == 0 ? bytes_add_span(out, SPAN("}")) : r;
}
