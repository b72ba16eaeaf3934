/* `globalSettings` (every row of options.def) and `listen`; see config_read.h. */
#include "state/config_read.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/log.h"

/* ---- globalSettings ---- */

enum option_type { OPTION_INT, OPTION_BOOL };

static const struct option_row {
    const char *name;
    enum option_type type;
    const char *unit;
    int64_t def, min, max;
    size_t offset; /* of its field in struct options */
} option_rows[] = {
#define OPTION(name, type, unit, def, min, max, help)                                              \
    {#name, OPTION_##type, unit, def, min, max, offsetof(struct options, name)},
#include "state/options.def"
#undef OPTION
};

#define OPTION_COUNT (sizeof(option_rows) / sizeof(option_rows[0]))

static const char *const option_names[OPTION_COUNT + 1] = {
#define OPTION(name, ...) #name,
#include "state/options.def"
#undef OPTION
};

static int64_t *field_of(struct options *options, const struct option_row *row)
{
    return (int64_t *)((char *)options + row->offset);
}

static const struct option_row *find_option(struct json key)
{
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (json_is(key, option_rows[i].name))
            return &option_rows[i];
    return NULL;
}

static void read_bool(struct config_reader *reader, struct json value, int64_t *ret)
{
    if (value.type == JSON_TRUE || value.type == JSON_FALSE)
        *ret = value.type == JSON_TRUE;
    else
        config_error(&reader->report, value, "must be true or false");
}

static void read_int(struct config_reader *reader, const struct option_row *row, struct json value,
                     int64_t *ret)
{
    const char *gap = row->unit[0] ? " " : "";
    int64_t number;
    if (value.type != JSON_NUMBER || !json_int(value, &number))
        config_error(&reader->report, value,
                     "must be a whole number, %" PRId64 " to %" PRId64 "%s%s", row->min, row->max,
                     gap, row->unit);
    else if (number < row->min || number > row->max)
        config_error(&reader->report, value,
                     "%" PRId64 " is out of range: %" PRId64 " to %" PRId64 "%s%s", number,
                     row->min, row->max, gap, row->unit);
    else
        *ret = number;
}

static void warn_unknown(struct config_reader *reader, struct json key)
{
    if (!config_report_has_room(&reader->report, true))
        return;
    char hint[96];
    struct span name = config_string(reader, key);
    config_warn(&reader->report, key,
                "%s is not an option; it has no effect (%ssee docs/CONFIG.md)", log_quote(name, 48),
                config_did_you_mean(name, option_names, hint, sizeof(hint)));
}

static void read_option(struct config_reader *reader, struct json key, struct json value)
{
    const struct option_row *row = find_option(key);
    if (!row) {
        warn_unknown(reader, key);
        return;
    }
    if (value.type == JSON_NULL)
        return;
    int64_t *field = field_of(&reader->config->options, row);
    if (row->type == OPTION_BOOL)
        read_bool(reader, value, field);
    else
        read_int(reader, row, value, field);
}

/* Options that bound one another; see their rows. */
static void settle(struct options *options)
{
    if (options->connectTimeout > options->defaultTimeout)
        options->connectTimeout = options->defaultTimeout;
    if (options->plainAnswerTimeout < options->defaultTimeout)
        options->plainAnswerTimeout = options->defaultTimeout;
}

void config_read_settings(struct config_reader *reader, struct json object)
{
    struct options *options = &reader->config->options;
    for (size_t i = 0; i < OPTION_COUNT; i++)
        *field_of(options, &option_rows[i]) = option_rows[i].def;
    struct json key, value;
    struct json_iter iter = json_iter(object);
    while (json_next_member(&iter, &key, &value))
        read_option(reader, key, value);
    settle(options);
}

/* ---- listen ---- */

static const char *const default_listen[] = {"127.0.0.1:3000", "[::1]:3000"};

/* Addresses found so far. */
struct addresses {
    const char *list[CONFIG_LISTEN_MAX + 2]; /* one entry too many is noticed behind it */
    size_t count;
};

static bool read_port(struct span text, unsigned *ret)
{
    unsigned port = 0;
    if (text.len == 0 || text.len > 5)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (!isdigit((unsigned char)text.at[i]))
            return false;
        port = port * 10 + (unsigned)(text.at[i] - '0');
    }
    *ret = port;
    return port <= 65535;
}

/* Splits at the last colon; the host of "[::1]:3000" has colons itself. */
static struct span split_port(struct span text, struct span *ret_port)
{
    size_t at = text.len;
    while (at > 0 && text.at[at - 1] != ':')
        at--;
    *ret_port = at ? (struct span){text.at + at, text.len - at} : (struct span){NULL, 0};
    return at ? (struct span){text.at, at - 1} : text;
}

static void add_address(struct config_reader *reader, struct addresses *addresses,
                        struct json where, const char *host, unsigned port)
{
    char text[32];
    (void)snprintf(text, sizeof(text), "%s:%u", host, port); /* at most 15 bytes */
    for (size_t i = 0; i < addresses->count; i++) {
        if (!strcmp(addresses->list[i], text)) {
            config_warn(&reader->report, where, "%s is listed already", text);
            return;
        }
    }
    addresses->list[addresses->count++] = config_copy(reader, span_of(text));
}

static void read_address(struct config_reader *reader, struct addresses *addresses,
                         struct json value)
{
    if (value.type != JSON_STRING) {
        config_error(&reader->report, value, "must be a string as \"127.0.0.1:3000\"");
        return;
    }
    unsigned port;
    struct span port_text, text = config_string(reader, value);
    struct span host = split_port(text, &port_text);
    if (!read_port(port_text, &port)) {
        config_error(&reader->report, value, "%s has no port in 0..65535; write \"127.0.0.1:3000\"",
                     log_quote(text, 64));
        return;
    }
    bool is_both = span_equal_nocase(host, SPAN("localhost"));
    bool is_v4 = is_both || span_equal(host, SPAN("127.0.0.1"));
    bool is_v6 = is_both || span_equal(host, SPAN("[::1]"));
    if (!is_v4 && !is_v6) {
        config_error(&reader->report, value,
                     "%s is not a loopback address; only 127.0.0.1, [::1] and localhost can be "
                     "listened on in this version",
                     log_quote(text, 64));
        return;
    }
    if (is_v4)
        add_address(reader, addresses, value, "127.0.0.1", port);
    if (is_v6)
        add_address(reader, addresses, value, "[::1]", port);
}

static void set_listen(struct config_reader *reader, const char *const *list, size_t count)
{
    const char **copy = config_alloc(reader, count * sizeof(*copy));
    for (size_t i = 0; i < count; i++)
        copy[i] = list[i];
    reader->config->listen = copy;
    reader->config->listen_count = count;
}

void config_read_listen(struct config_reader *reader, struct json array)
{
    if (array.type == JSON_ABSENT) {
        set_listen(reader, default_listen, sizeof(default_listen) / sizeof(default_listen[0]));
        return;
    }
    struct addresses addresses = {.count = 0};
    struct json value;
    struct json_iter iter = json_iter(array);
    while (addresses.count <= CONFIG_LISTEN_MAX && json_next(&iter, &value))
        read_address(reader, &addresses, value);
    if (addresses.count > CONFIG_LISTEN_MAX)
        config_error(&reader->report, value, "more than %d addresses (localhost is two)",
                     CONFIG_LISTEN_MAX);
    if (addresses.count == 0 && reader->report.error_count == 0)
        config_error(&reader->report, array, "names no address; leave it out for the default");
    set_listen(reader, addresses.list, addresses.count);
}
