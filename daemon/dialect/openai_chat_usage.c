/* See openai_chat_usage.h. */
#include "dialect/openai_chat_usage.h"

#include "dialect/tap.h"

/* What one count is called: a member, or a member of a group. Earlier rows count before later. */
struct place {
    const char *group; /* NULL: on the usage object itself */
    const char *name;
};

static const struct place inputs[] = {{NULL, "prompt_tokens"}, {NULL, "input_tokens"}, {0}};
static const struct place outputs[] = {{NULL, "completion_tokens"}, {NULL, "output_tokens"}, {0}};
static const struct place totals[] = {{NULL, "total_tokens"}, {0}};
static const struct place reasonings[] = {
    {"completion_tokens_details", "reasoning_tokens"},
    {"output_tokens_details", "reasoning_tokens"},
    {NULL, "reasoning_tokens"},
    {0},
};
static const struct place cache_reads[] = {
    {"prompt_tokens_details", "cached_tokens"},
    {"input_tokens_details", "cached_tokens"},
    {NULL, "prompt_cache_hit_tokens"}, /* DeepSeek */
    {NULL, "cached_tokens"},           /* Moonshot */
    {NULL, "num_cached_tokens"},
    {0},
};
static const struct place cache_writes[] = {
    {"prompt_tokens_details", "cache_write_tokens"}, /* OpenRouter */
    {NULL, "cache_creation_input_tokens"},           /* gateways in front of Claude */
    {0},
};

/* The first place that holds anything decides; what is no count there is none. */
static bool read_count(struct json usage, const struct place *place, int64_t *ret)
{
    for (; place->name; place++) {
        struct json group = place->group ? json_get(usage, place->group) : usage;
        struct json value = json_get(group, place->name);
        if (!json_is_nothing(value))
            return tap_count(value, ret);
    }
    return false;
}

static int64_t count_of(struct json usage, const struct place *places)
{
    int64_t count = 0;
    (void)read_count(usage, places, &count); /* absent is none */
    return count;
}

/*
 * xAI leaves reasoning out of completion_tokens but has it in total_tokens; only when the three
 * numbers fit that exactly, since the totals of others do not add up.
 */
static int64_t whole_output(int64_t input, int64_t output, int64_t reasoning, int64_t total)
{
    bool is_left_out = reasoning > 0 && total > input && total - input > output &&
                       total - input - output == reasoning;
    return is_left_out ? output + reasoning : output;
}

static int64_t at_most(int64_t count, int64_t max)
{
    return count < max ? count : max;
}

bool openai_chat_read_usage(struct json json, struct usage *ret)
{
    int64_t input = 0, output = 0;
    bool has_input = read_count(json, inputs, &input);
    bool has_output = read_count(json, outputs, &output);
    if (!has_input && !has_output)
        return false;
    struct usage usage = {.source = USAGE_PROVIDER, .reasoning = count_of(json, reasonings)};
    /* Both are parts of the total: more than there is of it is not believed. */
    usage_set_inclusive_input(&usage, input, at_most(count_of(json, cache_reads), input));
    usage.cache_write_5m = at_most(count_of(json, cache_writes), usage.input);
    usage.input -= usage.cache_write_5m;
    usage.output = whole_output(input, output, usage.reasoning, count_of(json, totals));
    *ret = usage;
    return true;
}
