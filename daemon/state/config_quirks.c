/*
 * `capabilities` of a provider: {"images": false, "maxOutputTokens": 8192, "models": {"NAME": {...}}};
 * see config_read.h. The words are the rows of ir/capabilities.def.
 */
#include "state/config_read.h"

#include "base/log.h"

/* The capabilities come first, numbered as in ir/target.h. */
enum quirk_member {
    LAST_CAPABILITY = IR_CAPABILITIES - 1,
#define QUIRK_MEMBER(id, name, type, help) MEMBER_##id,
#include "state/members.def"
    MEMBER_COUNT,
};

static const struct member_row member_rows[MEMBER_COUNT + 1] = {
#define CAPABILITY(id, name, default_, help) [IR_CAN_##id] = {name, MEMBER_BOOL},
#include "ir/capabilities.def"
#undef CAPABILITY
#define QUIRK_MEMBER(id, name, type, help) [MEMBER_##id] = {name, MEMBER_##type},
#include "state/members.def"
};

static void read_max_output(struct config_reader *reader, struct json value, struct quirk *quirk)
{
    int64_t tokens;
    if (value.type == JSON_ABSENT)
        return;
    if (json_int(value, &tokens) && tokens >= 1 && tokens <= QUIRK_OUTPUT_MAX)
        quirk->max_output = tokens;
    else
        config_error(&reader->report, value, "must be a whole number, 1 to %d tokens",
                     QUIRK_OUTPUT_MAX);
}

/* The members of one object as a quirk; *ret_models is its member `models`. */
static struct quirk read_quirk(struct config_reader *reader, struct json object,
                               struct json *ret_models)
{
    struct quirk quirk = {0};
    struct json members[MEMBER_COUNT] = {0};
    config_read_members(reader, object, member_rows, members);
    for (unsigned i = 0; i < IR_CAPABILITIES; i++) {
        ir_capability_set bit = (ir_capability_set)1 << i;
        if (members[i].type == JSON_TRUE)
            quirk.on |= bit;
        else if (members[i].type == JSON_FALSE)
            quirk.off |= bit;
    }
    read_max_output(reader, members[MEMBER_MAX_OUTPUT], &quirk);
    *ret_models = members[MEMBER_MODELS];
    return quirk;
}

static bool has_match(const struct provider *provider, struct span pattern)
{
    for (size_t i = 0; i < provider->model_count; i++)
        if (quirk_matches(pattern, span_of(provider->models[i])))
            return true;
    return false;
}

static void read_model(struct config_reader *reader, struct provider *provider, struct json key,
                       struct json value, struct model_quirk *ret)
{
    struct json inner;
    struct span pattern = config_string(reader, key);
    const char *fault = config_name_fault(pattern);
    if (fault) {
        config_error(&reader->report, key, "%s", fault);
        return;
    }
    if (value.type != JSON_OBJECT) {
        config_error(&reader->report, value, "must be an object: {\"images\": false}");
        return;
    }
    if (!has_match(provider, pattern))
        config_warn(&reader->report, key, "%s is none of this provider's models; it has no effect",
                    log_quote(pattern, 64));
    ret->models = config_copy(reader, pattern);
    ret->quirk = read_quirk(reader, value, &inner);
    provider->model_quirk_count++;
    if (inner.type != JSON_ABSENT)
        config_error(&reader->report, inner, "a model has no models of its own");
}

static void read_models(struct config_reader *reader, struct provider *provider, struct json object)
{
    size_t count = config_count_members(object);
    if (count > CONFIG_QUIRKS_MAX) {
        config_error(&reader->report, object, "more than %d models", CONFIG_QUIRKS_MAX);
        return;
    }
    if (count == 0)
        return;
    struct model_quirk *list = config_alloc(reader, count * sizeof(*list));
    provider->model_quirks = list;
    struct json key, value;
    struct json_iter iter = json_iter(object);
    while (json_next_member(&iter, &key, &value))
        if (value.type != JSON_NULL)
            read_model(reader, provider, key, value, &list[provider->model_quirk_count]);
}

void config_read_quirks(struct config_reader *reader, struct json object, struct provider *provider)
{
    struct json models;
    provider->quirk = read_quirk(reader, object, &models);
    read_models(reader, provider, models);
}
