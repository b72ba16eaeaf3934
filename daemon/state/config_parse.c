/*
 * Reading a configuration text; see config.h and config_read.h. In this file: the whole, what is
 * true for every member, and the names (aliases, defaultModel) that can only be judged when all
 * providers are known.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/own.h"
#include "state/config.h"
#include "state/config_read.h"

/* Far above what a text of CONFIG_MAX_BYTES can need within the limits of config_read.h. */
#define ARENA_MAX (64u * 1024 * 1024)

enum top_member {
#define TOP_MEMBER(id, name, type, help) TOP_##id,
#include "state/members.def"
    TOP_COUNT,
};

static const struct member_row top_rows[TOP_COUNT + 1] = {
#define TOP_MEMBER(id, name, type, help) [TOP_##id] = {name, MEMBER_##type},
#include "state/members.def"
};

/* ---- memory and strings ---- */

void *config_alloc(struct config_reader *reader, size_t size)
{
    void *piece = arena_alloc(&reader->config->arena, size);
    if (!piece)
        abort();
    return piece;
}

const char *config_copy(struct config_reader *reader, struct span text)
{
    const char *copy = arena_copy(&reader->config->arena, text);
    if (!copy)
        abort();
    return copy;
}

struct span config_string(struct config_reader *reader, struct json string)
{
    struct span text;
    if (json_text(string, &reader->scratch, &text) < 0)
        abort(); /* callers checked the type; scratch is as large as the text needs */
    return text;
}

const char *config_name_fault(struct span name)
{
    if (name.len == 0)
        return "the name is empty";
    if (name.len > NAME_MAX_LEN)
        return "the name is longer than 256 bytes";
    for (size_t i = 0; i < name.len; i++)
        if ((unsigned char)name.at[i] < ' ' || name.at[i] == 0x7f)
            return "the name has a control character";
    return NULL;
}

bool config_is_standing(struct span name)
{
    const struct catalogue nothing = {0};
    return name_resolve(&nothing, name).kind == NAME_STANDING;
}

/* ---- members ---- */

static bool has_type(struct json value, enum member_type type)
{
    switch (type) {
    case MEMBER_STRING:
        return value.type == JSON_STRING;
    case MEMBER_ARRAY:
        return value.type == JSON_ARRAY;
    case MEMBER_OBJECT:
        return value.type == JSON_OBJECT;
    case MEMBER_BOOL:
        return value.type == JSON_TRUE || value.type == JSON_FALSE;
    case MEMBER_NUMBER:
        return value.type == JSON_NUMBER;
    }
    return false;
}

static const char *const type_words[] = {
    [MEMBER_STRING] = "a string",    [MEMBER_ARRAY] = "an array",  [MEMBER_OBJECT] = "an object",
    [MEMBER_BOOL] = "true or false", [MEMBER_NUMBER] = "a number",
};

#define ROWS_MAX 64

static void warn_unknown(struct config_reader *reader, struct json key,
                         const struct member_row *rows)
{
    const char *names[ROWS_MAX + 1] = {NULL};
    for (size_t i = 0; rows[i].name && i < ROWS_MAX; i++)
        names[i] = rows[i].name;
    if (!config_report_has_room(&reader->report, true))
        return;
    char hint[64];
    struct span name = config_string(reader, key);
    config_warn(&reader->report, key,
                "%s is not known here; it has no effect (%ssee docs/CONFIG.md)",
                log_quote(name, 48), config_did_you_mean(name, names, hint, sizeof(hint)));
}

void config_read_members(struct config_reader *reader, struct json object,
                         const struct member_row *rows, struct json *out)
{
    struct json key, value;
    struct json_iter iter = json_iter(object);
    while (json_next_member(&iter, &key, &value)) {
        size_t i = 0;
        while (rows[i].name && !json_is(key, rows[i].name))
            i++;
        if (!rows[i].name)
            warn_unknown(reader, key, rows);
        else if (value.type != JSON_NULL)
            out[i] = value;
        if (!rows[i].name || value.type == JSON_NULL || has_type(value, rows[i].type))
            continue;
        config_error(&reader->report, value, "must be %s", type_words[rows[i].type]);
        out[i].type = JSON_ABSENT;
    }
}

/* ---- members given twice ---- */

struct named {
    struct span name; /* decoded */
    struct json key;
};

static int compare_named(const void *a, const void *b)
{
    const struct named *left = a, *right = b;
    size_t len = left->name.len < right->name.len ? left->name.len : right->name.len;
    int order = len ? memcmp(left->name.at, right->name.at, len) : 0;
    if (order == 0 && left->name.len != right->name.len)
        order = left->name.len < right->name.len ? -1 : 1;
    if (order == 0 && left->key.at != right->key.at)
        order = left->key.at < right->key.at ? -1 : 1;
    return order;
}

size_t config_count_members(struct json object)
{
    struct json key, value;
    struct json_iter iter = json_iter(object);
    size_t count = 0;
    while (json_next_member(&iter, &key, &value))
        count++;
    return count;
}

/* Parsers differ in which of two members of one name they take, so there must be only one. */
static void check_names(struct config_reader *reader, struct json object)
{
    size_t count = config_count_members(object), i = 0;
    struct named *list = count > 1 ? calloc(count, sizeof(*list)) : NULL;
    if (!list)
        return;
    struct json value;
    struct json_iter iter = json_iter(object);
    while (i < count && json_next_member(&iter, &list[i].key, &value)) {
        list[i].name = config_string(reader, list[i].key);
        i++;
    }
    qsort(list, count, sizeof(*list), compare_named);
    for (i = 1; i < count; i++) {
        if (!span_equal(list[i - 1].name, list[i].name))
            continue;
        struct json_place first = {0};
        if (config_report_has_room(&reader->report, false))
            first = config_text_place(&reader->text, list[i - 1].key.at);
        config_error(&reader->report, list[i].key, "%s stands here twice; before at %u:%u",
                     log_quote(list[i].name, 48), first.line, first.column);
    }
    free(list);
}

/* Goes as deep as the text, which json_validate() bounded by JSON_DEPTH. */
static void check_all_names(struct config_reader *reader, struct json value)
{
    struct json key, inner;
    struct json_iter iter = json_iter(value);
    if (value.type == JSON_OBJECT) {
        check_names(reader, value);
        while (json_next_member(&iter, &key, &inner))
            check_all_names(reader, inner);
    } else if (value.type == JSON_ARRAY) {
        while (json_next(&iter, &inner))
            check_all_names(reader, inner);
    }
}

/* ---- names of models ---- */

static void build_catalogue(struct config_reader *reader)
{
    struct config *config = reader->config;
    struct catalogue_model *models =
        config_alloc(reader, reader->model_count * sizeof(struct catalogue_model));
    size_t count = 0;
    config->has_demo_only = config->provider_count > 0;
    for (size_t p = 0; p < config->provider_count; p++) {
        const struct provider *provider = &config->providers[p];
        config->has_demo_only &= provider->is_demo;
        for (size_t m = 0; m < provider->model_count; m++)
            models[count++] =
                (struct catalogue_model){provider->name, provider->models[m], (unsigned)p};
    }
    config->catalogue.models = models;
    config->catalogue.model_count = count;
    config->only_model = count == 1 ? models[0].model : NULL;
}

/* A configured name, seen with the models of providers that were left out. */
static bool is_skipped(const struct config_reader *reader, struct span name)
{
    struct catalogue catalogue = reader->config->catalogue;
    catalogue.models = reader->skipped;
    catalogue.model_count = reader->skipped_count;
    return name_resolve(&catalogue, name).kind == NAME_CONCRETE;
}

/* Reports a name that leads to no configured model. */
static void report_no_model(struct config_reader *reader, struct json where, struct span name)
{
    if (is_skipped(reader, name)) {
        config_warn(&reader->report, where,
                    "only a provider that was left out has %s, so it cannot be used",
                    log_quote(name, 48));
        return;
    }
    struct bytes hint = {.max = 160};
    if (config_report_has_room(&reader->report, false))
        name_suggest(&reader->config->catalogue, name, &hint);
    config_error(&reader->report, where, "%s is no configured model (%s)", log_quote(name, 48),
                 hint.data ? hint.data : "");
    bytes_release(&hint);
}

static bool is_alias(const struct catalogue *catalogue, struct span name)
{
    for (size_t i = 0; i < catalogue->alias_count; i++)
        if (span_equal_nocase(name, span_of(catalogue->aliases[i].name)))
            return true;
    return false;
}

/* Why an alias cannot be called so, or NULL. */
static const char *alias_fault(const struct catalogue *catalogue, struct span name)
{
    const char *fault = config_name_fault(name);
    if (!fault && config_is_standing(name))
        fault = "this name always means the project's model; choose another";
    if (!fault && is_alias(catalogue, name))
        fault = "this alias stands here twice (case does not count)";
    return fault;
}

static void read_alias(struct config_reader *reader, struct catalogue_alias *list, struct json key,
                       struct json value)
{
    struct catalogue *catalogue = &reader->config->catalogue;
    struct span name = config_string(reader, key);
    const char *fault = alias_fault(catalogue, name);
    if (fault) {
        config_error(&reader->report, key, "%s", fault);
        return;
    }
    if (value.type != JSON_STRING) {
        config_error(&reader->report, value, "an alias is a model's name");
        return;
    }
    struct span target = config_string(reader, value);
    fault = config_name_fault(target);
    if (fault) {
        config_error(&reader->report, value, "%s", fault);
        return;
    }
    list[catalogue->alias_count++] =
        (struct catalogue_alias){config_copy(reader, name), config_copy(reader, target)};
}

/* An alias may name an alias further down, so targets are looked up when all are read. */
static void check_alias(struct config_reader *reader, struct json key, struct json value)
{
    const struct config *config = reader->config;
    struct span name = config_string(reader, key);
    struct catalogue models = config->catalogue;
    models.alias_count = 0;
    if (name_resolve(&models, name).kind == NAME_CONCRETE)
        config_warn(&reader->report, key,
                    "a configured model has this name and comes first, so the alias is never used");
    if (value.type != JSON_STRING || !is_alias(&config->catalogue, name))
        return;
    struct span target = config_string(reader, value);
    enum name_kind kind = name_resolve(&config->catalogue, target).kind;
    if (kind == NAME_CONCRETE || kind == NAME_STANDING)
        return;
    if (is_alias(&config->catalogue, target) && !is_skipped(reader, target))
        config_error(&reader->report, value,
                     "this alias leads to no model: aliases in a circle, more than 8 in a row, or "
                     "one of them wrong");
    else
        report_no_model(reader, value, target);
}

static void read_aliases(struct config_reader *reader, struct json object)
{
    size_t count = config_count_members(object);
    if (count > CONFIG_ALIASES_MAX) {
        config_error(&reader->report, object, "more than %d aliases", CONFIG_ALIASES_MAX);
        return;
    }
    struct catalogue_alias *list = config_alloc(reader, count * sizeof(*list));
    reader->config->catalogue.aliases = list;
    struct json key, value;
    struct json_iter iter = json_iter(object);
    while (json_next_member(&iter, &key, &value))
        read_alias(reader, list, key, value);
    iter = json_iter(object);
    while (json_next_member(&iter, &key, &value))
        check_alias(reader, key, value);
}

static void read_default_model(struct config_reader *reader, struct json value)
{
    if (value.type == JSON_ABSENT)
        return;
    struct config *config = reader->config;
    struct span name = config_string(reader, value);
    switch (name_resolve(&config->catalogue, name).kind) {
    case NAME_CONCRETE:
        config->default_model = config_copy(reader, name);
        config->default_model_line = config_text_place(&reader->text, value.at).line;
        break;
    case NAME_STANDING:
        config_error(&reader->report, value, "%s means the project's model; name a configured one",
                     log_quote(name, 48));
        break;
    default:
        report_no_model(reader, value, name);
    }
}

/* ---- the whole ---- */

/* True (and an error) for a claude-code-router file, whose members differ from ours by name. */
static bool is_router_file(struct config_reader *reader, struct json root)
{
    struct json providers = json_get(root, "Providers");
    if (providers.type == JSON_ABSENT || json_get(root, "providers").type != JSON_ABSENT)
        return false;
    config_error(&reader->report, providers,
                 "this is a claude-code-router file, which cannot be read yet; here it is "
                 "\"providers\", with \"baseURL\" and \"apiKey\" for api_base_url and api_key");
    return true;
}

static void read_lan(struct config_reader *reader, const struct json *top)
{
    if (json_is_true(top[TOP_LAN]))
        config_error(&reader->report, top[TOP_LAN],
                     "not supported yet: only this machine is served; leave it out");
    if (top[TOP_ALLOWED_HOSTS].type != JSON_ABSENT)
        config_warn(&reader->report, top[TOP_ALLOWED_HOSTS],
                    "not used yet: only localhost, 127.0.0.1 and [::1] are answered");
    if (config_count_members(top[TOP_ROUTER]) > 0)
        config_warn(&reader->report, top[TOP_ROUTER],
                    "not used yet: roles come later; every request gets its project's model");
}

/*
 * What is in use while no provider is named: the demo. It is read like any other text, so nothing
 * in it can differ from what a user could write.
 */
static struct json demo_providers(void)
{
    struct json array;
    int r = json_skim(SPAN("[{\"name\": \"demo\", \"type\": \"demo\", \"models\": [\"demo\", "
                           "\"demo-fast\"], \"description\": \"Offline demonstration: its answers "
                           "are invented here, no AI is asked\"}]"),
                      &array, NULL);
    assert(r == 0);
    (void)r;
    return array;
}

static void read_root(struct config_reader *reader)
{
    struct json root = reader->text.root, top[TOP_COUNT] = {0};
    if (root.type != JSON_OBJECT) {
        config_error(&reader->report, root, "a configuration is an object: {\"providers\": [...]}");
        return;
    }
    check_all_names(reader, root);
    if (is_router_file(reader, root))
        return;
    config_read_members(reader, root, top_rows, top);
    bool is_demo = config_is_missing(top[TOP_PROVIDERS]);
    reader->config->is_built_in = is_demo;
    config_read_providers(reader, is_demo ? demo_providers() : top[TOP_PROVIDERS]);
    bool has_file = reader->file[0] != '\0';
    if (has_file && (is_demo || reader->name_count == 0) && reader->report.error_count == 0)
        config_warn(&reader->report, root, "no provider is configured; add one: aictl login NAME");
    build_catalogue(reader);
    read_aliases(reader, top[TOP_ALIASES]);
    read_default_model(reader, top[TOP_DEFAULT_MODEL]);
    if (is_demo && !reader->config->default_model)
        reader->config->default_model = "demo";
    config_read_settings(reader, top[TOP_SETTINGS]);
    config_read_listen(reader, top[TOP_LISTEN]);
    read_lan(reader, top);
}

static void keep_warnings(struct config_reader *reader)
{
    const struct config_problems *problems = reader->report.problems;
    const char **warnings = config_alloc(reader, problems->count * sizeof(*warnings));
    for (size_t i = 0; i < problems->count; i++) {
        char text[ERR_DETAIL];
        config_problem_text(&problems->list[i], reader->file, text, sizeof(text));
        warnings[i] = config_copy(reader, span_of(text));
    }
    reader->config->warnings = warnings;
    reader->config->warning_count = problems->count;
}

static int fail_with_first(const struct config_reader *reader, struct err *reterr)
{
    const struct config_problems *problems = reader->report.problems;
    for (size_t i = 0; i < problems->count; i++) {
        if (problems->list[i].is_warning)
            continue;
        char text[ERR_DETAIL];
        config_problem_text(&problems->list[i], reader->file, text, sizeof(text));
        return err_set(reterr, ERR_CONFIG_INVALID, "%s", text);
    }
    return err_set(reterr, ERR_CONFIG_INVALID, "%s",
                   reader->file); /* not reached: errors are kept */
}

static struct config *new_config(void)
{
    struct config *config = calloc(1, sizeof(*config));
    if (!config)
        abort();
    config->refs = 1;
    arena_init(&config->arena, ARENA_MAX);
    return config;
}

static void reader_release(struct config_reader *reader)
{
    config_text_release(&reader->text);
    arena_release(&reader->scratch);
    reader->config = config_unref(reader->config);
}

int config_parse(struct span text, const char *file, unsigned mode, config_key_fn key_fn, void *ctx,
                 struct config **ret, struct config_problems *problems, struct err *reterr)
{
    struct config_problems unwanted;
    struct config_fault fault;
    CLEANUP(reader_release)
    struct config_reader reader = {.config = new_config(), .file = file, .mode = mode};
    reader.report = (struct config_report){&reader.text, problems ? problems : &unwanted, 0};
    reader.report.problems->count = 0;
    arena_init(&reader.scratch, ARENA_MAX);

    if (config_text_init(&reader.text, text, &fault) < 0)
        config_fault(&reader.report, &fault);
    else
        read_root(&reader);
    config_report_sort(&reader.report);
    if (reader.report.error_count > 0)
        return fail_with_first(&reader, reterr);

    reader.config->path = config_copy(&reader, span_of(file));
    keep_warnings(&reader);
    config_hand_over_keys(&reader, key_fn, ctx);
    *ret = TAKE(reader.config);
    return 0;
}
