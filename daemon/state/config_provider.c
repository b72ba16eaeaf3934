/*
 * One entry of `providers`; see config_read.h. Origin and key mode are decided here: where a key
 * may go is a matter of this file and url.c alone.
 */
#include "state/config_read.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/own.h"
#include "state/url.h"

#define KEY_MAX         4096
#define DESCRIPTION_MAX 1024
#define DEMO_BASE_URL   "http://demo/v1" /* reached over the daemon's own Unix socket */
#define DEMO_ORIGIN     "unix:demo"

enum provider_member {
#define PROVIDER_MEMBER(id, name, type, help) MEMBER_##id,
#include "state/members.def"
    MEMBER_COUNT,
};

static const struct member_row member_rows[MEMBER_COUNT + 1] = {
#define PROVIDER_MEMBER(id, name, type, help) [MEMBER_##id] = {name, MEMBER_##type},
#include "state/members.def"
};

/* Types that are planned. A file that has them loads; only their providers are left out. */
static const char *const later_types[] = {"openai-responses", "gemini"};

/* One entry while it is read. */
struct entry {
    struct json object;
    struct json members[MEMBER_COUNT];
    struct provider provider;
    bool is_later;     /* of a type in later_types[] */
    struct json plain; /* the value of apiKey when it is a plain key */
};

/* ---- name ---- */

bool config_is_provider_name(struct span name)
{
    if (name.len < 1 || name.len > CONFIG_NAME_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++)
        if (!isalnum((unsigned char)name.at[i]) && !memchr("._-", name.at[i], 3))
            return false;
    return true;
}

/* False when the entry cannot be told apart from others. */
static bool read_name(struct config_reader *reader, struct entry *entry)
{
    struct json value = entry->members[MEMBER_NAME];
    if (config_is_missing(value))
        config_error(&reader->report, entry->object, "this provider has no \"name\"");
    if (value.type == JSON_ABSENT)
        return false;
    struct span name = config_string(reader, value);
    if (!config_is_provider_name(name)) {
        config_error(&reader->report, value,
                     "%s is not a provider's name: 1 to %d letters, digits, '.', '_' or '-'",
                     log_quote(name, 80), CONFIG_NAME_MAX);
        return false;
    }
    for (size_t i = 0; i < reader->name_count; i++) {
        if (span_equal_nocase(name, reader->names[i])) {
            config_error(&reader->report, value,
                         "another provider is called " SPAN_FMT " already (case does not count)",
                         SPAN_ARG(reader->names[i]));
            return false;
        }
    }
    entry->provider.name = config_copy(reader, name);
    reader->names[reader->name_count++] = span_of(entry->provider.name);
    return true;
}

/* ---- type ---- */

#define TYPES_MAX 16

/* The types that can be served: those of the dialects, and demo. Ends with NULL. */
static void list_types(const char *ret[TYPES_MAX])
{
    size_t count = 0;
    for (; dialects[count] && count < TYPES_MAX - 2; count++)
        ret[count] = dialects[count]->type;
    ret[count++] = "demo";
    ret[count] = NULL;
}

static void refuse_type(struct config_reader *reader, struct json value, struct span type)
{
    const char *types[TYPES_MAX];
    char hint[64], known[128] = "";
    list_types(types);
    for (size_t i = 0, len = 0; types[i] && len < sizeof(known); i++)
        len += (size_t)snprintf(known + len, sizeof(known) - len, "%s%s", i ? ", " : "", types[i]);
    config_error(&reader->report, value, "%s is not a type (%sknown: %s)", log_quote(type, 32),
                 config_did_you_mean(type, types, hint, sizeof(hint)), known);
}

static bool is_later_type(struct span type)
{
    for (size_t i = 0; i < sizeof(later_types) / sizeof(later_types[0]); i++)
        if (span_equal(type, span_of(later_types[i])))
            return true;
    return false;
}

static void read_type(struct config_reader *reader, struct entry *entry)
{
    struct json value = entry->members[MEMBER_TYPE];
    if (config_is_missing(value))
        config_error(&reader->report, entry->object, "this provider has no \"type\"");
    if (value.type == JSON_ABSENT)
        return;
    struct span type = config_string(reader, value);
    entry->provider.is_demo = span_equal(type, SPAN("demo"));
    entry->provider.dialect = dialect_by_type(entry->provider.is_demo ? SPAN("openai") : type);
    if (entry->provider.dialect)
        return;
    entry->is_later = is_later_type(type);
    if (entry->is_later)
        config_warn(&reader->report, value,
                    "this version cannot serve type " SPAN_FMT " yet; provider %s is left out",
                    SPAN_ARG(type), entry->provider.name);
    else
        refuse_type(reader, value, type);
}

/* ---- models, description ---- */

static bool is_listed(const char *const *models, size_t count, struct span name)
{
    for (size_t i = 0; i < count; i++)
        if (span_equal_nocase(name, span_of(models[i])))
            return true;
    return false;
}

/* A good and new model's name, in the snapshot; NULL otherwise. */
static const char *read_model(struct config_reader *reader, const struct provider *provider,
                              struct json value)
{
    if (value.type != JSON_STRING) {
        config_error(&reader->report, value, "a model is a string, its name");
        return NULL;
    }
    struct span name = config_string(reader, value);
    const char *fault = config_name_fault(name);
    if (fault)
        config_error(&reader->report, value, "%s", fault);
    else if (config_is_standing(name))
        config_error(&reader->report, value,
                     "%s always means the project's model, so no model can be called so",
                     log_quote(name, 48));
    else if (is_listed(provider->models, provider->model_count, name))
        config_warn(&reader->report, value, "%s is listed already (case does not count)",
                    log_quote(name, 64));
    else
        return config_copy(reader, name);
    return NULL;
}

static size_t count_elements(struct json array)
{
    struct json value;
    struct json_iter iter = json_iter(array);
    size_t count = 0;
    while (json_next(&iter, &value))
        count++;
    return count;
}

static void read_models(struct config_reader *reader, struct entry *entry)
{
    struct json array = entry->members[MEMBER_MODELS], value;
    size_t count = count_elements(array);
    if (array.type == JSON_ABSENT && !config_is_missing(array))
        return;
    if (count == 0) {
        config_warn(&reader->report, array.at ? array : entry->object,
                    "provider %s has no models, so nothing is sent to it; list them in \"models\"",
                    entry->provider.name);
        return;
    }
    if (count > CONFIG_MODELS_MAX) {
        config_error(&reader->report, array, "more than %d models", CONFIG_MODELS_MAX);
        return;
    }
    if (count > CONFIG_MODELS_TOTAL - reader->model_count) {
        config_error(&reader->report, array, "more than %d models in all", CONFIG_MODELS_TOTAL);
        return;
    }
    reader->model_count += count;
    const char **models = config_alloc(reader, count * sizeof(*models));
    entry->provider.models = models;
    struct json_iter iter = json_iter(array);
    while (json_next(&iter, &value)) {
        const char *model = read_model(reader, &entry->provider, value);
        if (model)
            models[entry->provider.model_count++] = model;
    }
}

static void read_description(struct config_reader *reader, struct entry *entry)
{
    struct json value = entry->members[MEMBER_DESCRIPTION];
    entry->provider.description = "";
    if (value.type == JSON_ABSENT)
        return;
    struct span text = config_string(reader, value);
    if (text.len > DESCRIPTION_MAX)
        config_error(&reader->report, value, "longer than %d bytes", DESCRIPTION_MAX);
    else if (memchr(text.at, '\0', text.len))
        config_error(&reader->report, value, "has a NUL character");
    else
        entry->provider.description = config_copy(reader, text);
}

/* ---- address and key ---- */

/* The text of an apiKey, decoded; wiped when it goes out of scope. */
struct key_text {
    struct arena arena;
    struct span text;
};

static void key_text_init(struct key_text *key, struct json value)
{
    arena_init(&key->arena, KEY_MAX * 2);
    /* A key that does not fit is far above KEY_MAX; its raw text is refused for its length. */
    if (json_text(value, &key->arena, &key->text) < 0)
        key->text = json_raw_text(value);
}

static void key_text_release(struct key_text *key)
{
    if (key->arena.chunks)
        explicit_bzero((char *)key->text.at, key->text.len); /* a copy of ours: it had escapes */
    arena_release(&key->arena);
}

static const char *key_fault(struct span key)
{
    if (key.len > KEY_MAX)
        return "the key is longer than 4096 bytes";
    for (size_t i = 0; i < key.len; i++)
        if (key.at[i] <= ' ' || key.at[i] > '~')
            return "the key has a space, a control character or one that is not ASCII";
    return NULL;
}

/* $NAME or ${NAME}: other tools replace it by a variable of the environment. */
static bool is_variable(struct span key)
{
    return key.len >= 2 && key.at[0] == '$' &&
           (key.at[1] == '{' || key.at[1] == '_' || isalpha((unsigned char)key.at[1]));
}

static void read_plain_key(struct config_reader *reader, struct entry *entry, struct json value,
                           struct span key)
{
    const char *fault = key_fault(key);
    if (fault)
        config_error(&reader->report, value, "%s", fault);
    else if (is_variable(key))
        config_error(
            &reader->report, value,
            "variables are not replaced here; leave \"apiKey\" out and run: aictl login %s",
            entry->provider.name);
    else if (reader->mode & 077)
        config_error(
            &reader->report, value,
            "a plain key in a file that others may read (mode %04o); run: chmod 600 %.100s",
            reader->mode & 07777, reader->file);
    else {
        config_warn(&reader->report, value,
                    "a plain key; move it into the vault: aictl import %.150s", reader->file);
        entry->plain = value;
    }
}

/* Reads apiKey; a provider without one wants a vault key unless it is on this machine. */
static void read_key(struct config_reader *reader, struct entry *entry)
{
    struct json value = entry->members[MEMBER_API_KEY];
    struct provider *provider = &entry->provider;
    provider->key_id = provider->name;
    if (value.type == JSON_ABSENT) {
        bool is_here = provider->origin && url_is_loopback(span_of(provider->origin));
        provider->key_mode = is_here ? KEY_MODE_NONE : KEY_MODE_VAULT;
        return;
    }
    CLEANUP(key_text_release) struct key_text key;
    key_text_init(&key, value);
    if (key.text.len == 0) {
        provider->key_mode = KEY_MODE_NONE;
        return;
    }
    provider->key_mode = KEY_MODE_VAULT;
    if (!span_starts(key.text, SPAN("vault:"))) {
        read_plain_key(reader, entry, value, key.text);
        return;
    }
    struct span id = {key.text.at + 6, key.text.len - 6};
    if (config_is_provider_name(id))
        provider->key_id = config_copy(reader, id);
    else
        config_error(&reader->report, value,
                     "\"vault:\" is followed by a key's name: 1 to %d letters, digits, '.', '_' or "
                     "'-'",
                     CONFIG_NAME_MAX);
}

static void report_no_base_url(struct config_reader *reader, const struct entry *entry)
{
    const struct provider_row *known = known_provider(span_of(entry->provider.name));
    config_error(&reader->report, entry->object, "this provider has no \"baseURL\"%s%s",
                 known ? "; that of the known provider is " : "", known ? known->base_url : "");
}

/* Checks baseURL; `origin` stays NULL when it is wrong. */
static void read_base_url(struct config_reader *reader, struct entry *entry)
{
    struct json value = entry->members[MEMBER_BASE_URL];
    if (config_is_missing(value) && entry->provider.dialect)
        report_no_base_url(reader, entry);
    if (value.type == JSON_ABSENT)
        return;
    char origin[URL_ORIGIN_MAX];
    struct err err = {0};
    struct span url = config_string(reader, value);
    if (url_origin(url, false, origin, sizeof(origin), &err) < 0) {
        config_error(&reader->report, value, "%s", err.detail);
        return;
    }
    while (url.len && url.at[url.len - 1] == '/')
        url.len--;
    entry->provider.base_url = config_copy(reader, url);
    entry->provider.origin = config_copy(reader, span_of(origin));
    (void)quirks_find(span_of(origin), url, &entry->provider.quirk_rows);
}

/* A key must not travel in clear; known only when both address and key were read. */
static void check_transport(struct config_reader *reader, struct entry *entry)
{
    char origin[URL_ORIGIN_MAX];
    struct err err = {0};
    const struct provider *provider = &entry->provider;
    if (provider->origin && provider->key_mode == KEY_MODE_VAULT &&
        url_origin(span_of(provider->base_url), true, origin, sizeof(origin), &err) < 0)
        config_error(&reader->report, entry->members[MEMBER_BASE_URL], "%s", err.detail);
}

static void read_address(struct config_reader *reader, struct entry *entry)
{
    if (!entry->provider.is_demo) {
        read_base_url(reader, entry);
        read_key(reader, entry);
        check_transport(reader, entry);
        return;
    }
    entry->provider.base_url = DEMO_BASE_URL;
    entry->provider.origin = DEMO_ORIGIN;
    entry->provider.key_id = entry->provider.name;
    for (size_t i = 0; i < 2; i++) {
        struct json value = entry->members[i ? MEMBER_API_KEY : MEMBER_BASE_URL];
        if (value.type != JSON_ABSENT && json_raw_text(value).len)
            config_warn(&reader->report, value, "a provider of type demo needs none; not used");
    }
}

/* ---- the whole ---- */

static void keep_key(struct config_reader *reader, const struct entry *entry,
                     const struct provider *provider)
{
    if (entry->plain.type != JSON_ABSENT)
        reader->keys[reader->key_count++] = (struct config_plain_key){provider, entry->plain};
}

/* A provider that cannot be served yet: its key is taken care of all the same. */
static void keep_later_key(struct config_reader *reader, struct entry *entry)
{
    struct provider *copy = config_alloc(reader, sizeof(*copy));
    read_address(reader, entry);
    if (!copy || !entry->provider.origin)
        return;
    *copy = entry->provider;
    keep_key(reader, entry, copy);
}

static void add_skipped(struct config_reader *reader, const struct provider *provider)
{
    for (size_t i = 0; i < provider->model_count; i++)
        reader->skipped[reader->skipped_count++] =
            (struct catalogue_model){.provider = provider->name, .model = provider->models[i]};
}

static void read_provider(struct config_reader *reader, struct json value)
{
    struct entry entry = {.object = value};
    if (value.type != JSON_OBJECT) {
        config_error(&reader->report, value, "a provider is an object: {\"name\": ...}");
        return;
    }
    config_read_members(reader, value, member_rows, entry.members);
    if (!read_name(reader, &entry))
        return;
    read_type(reader, &entry);
    read_models(reader, &entry);
    if (entry.is_later) {
        add_skipped(reader, &entry.provider);
        keep_later_key(reader, &entry);
        return;
    }
    read_description(reader, &entry);
    read_address(reader, &entry);
    config_read_quirks(reader, entry.members[MEMBER_CAPABILITIES], &entry.provider);
    struct config *config = reader->config;
    struct provider *provider = &config->providers[config->provider_count++];
    *provider = entry.provider;
    keep_key(reader, &entry, provider);
}

void config_read_providers(struct config_reader *reader, struct json array)
{
    size_t count = count_elements(array);
    if (count > CONFIG_PROVIDERS_MAX) {
        config_error(&reader->report, array, "more than %d providers", CONFIG_PROVIDERS_MAX);
        return;
    }
    reader->config->providers = config_alloc(reader, count * sizeof(struct provider));
    reader->skipped = arena_alloc(&reader->scratch, CONFIG_MODELS_TOTAL * sizeof(*reader->skipped));
    if (!reader->skipped)
        abort(); /* the arena is new and larger than this */
    struct json value;
    struct json_iter iter = json_iter(array);
    while (json_next(&iter, &value))
        read_provider(reader, value);
}

void config_hand_over_keys(struct config_reader *reader, config_key_fn fn, void *ctx)
{
    for (size_t i = 0; i < reader->key_count && fn; i++) {
        const struct provider *provider = reader->keys[i].provider;
        CLEANUP(key_text_release) struct key_text key;
        key_text_init(&key, reader->keys[i].value);
        fn(ctx, provider->name, provider->origin, key.text);
    }
}
