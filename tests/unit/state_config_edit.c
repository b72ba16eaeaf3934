/* Changing config.json as text: everything that is not changed stays, byte by byte. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "state/config.h"

static const char *const two_models[] = {"m1", "m2"};
static const struct provider_row row = {
    .name = "new",
    .type = "openai",
    .base_url = "https://host/v1",
    .description = "Say \"hi\"",
    .models = two_models,
    .model_count = 2,
    .has_key = true,
};

/* The rows of the tests below, as they are written on one line. */
#define NEW                                                                                        \
    "{ \"name\": \"new\", \"type\": \"openai\", \"baseURL\": \"https://host/v1\", \"apiKey\": "    \
    "\"vault:new\", \"models\": [\"m1\", \"m2\"], \"description\": \"Say \\\"hi\\\"\" }"

static void expect_provider(const char *before, const struct provider_row *added, const char *after)
{
    struct bytes out = {.max = CONFIG_MAX_BYTES};
    struct err err = {0};
    cr_expect_eq(config_edit_provider(span_of(before), added, &out, &err), 0, "%s\n%s", err.detail,
                 before);
    cr_expect_str_eq(out.data ? out.data : "", after, "%s\n gives:\n%s", before,
                     out.data ? out.data : "");
    bytes_release(&out);
}

static void expect_key(const char *before, const char *provider, const char *after)
{
    struct bytes out = {.max = CONFIG_MAX_BYTES};
    struct err err = {0};
    cr_expect_eq(config_edit_key(span_of(before), provider, &out, &err), 0, "%s\n%s", err.detail,
                 before);
    cr_expect_str_eq(out.data ? out.data : "", after, "%s\n gives:\n%s", before,
                     out.data ? out.data : "");
    bytes_release(&out);
}

/* ---- keys ---- */

static const struct {
    const char *before, *after;
} keys[] = {
    {"{\"providers\": [{\"name\": \"p\", \"apiKey\": \"sk-1\", \"x\": 1}]}",
     "{\"providers\": [{\"name\": \"p\", \"apiKey\": \"vault:p\", \"x\": 1}]}"},
    /* found by what names mean, not by how they are spelled */
    {"{\"pro\\u0076iders\": [{\"n\\u0061me\": \"\\u0070\", \"\\u0061piKey\" : \"s\\\"}]\" }]}",
     "{\"pro\\u0076iders\": [{\"n\\u0061me\": \"\\u0070\", \"\\u0061piKey\" : \"vault:p\" }]}"},
    /* not the key of another provider, nor one in a comment or a string */
    {"{\"providers\": [{\"name\": \"q\", \"apiKey\": \"1\"},\n// {\"name\": \"p\", \"apiKey\": "
     "\"2\"}\n"
     "{\"description\": \"\\\"apiKey\\\": \\\"3\\\"}\", \"name\": \"P\", \"apiKey\": \"4\"},]}",
     "{\"providers\": [{\"name\": \"q\", \"apiKey\": \"1\"},\n// {\"name\": \"p\", \"apiKey\": "
     "\"2\"}\n"
     "{\"description\": \"\\\"apiKey\\\": \\\"3\\\"}\", \"name\": \"P\", \"apiKey\": "
     "\"vault:p\"},]}"},
    /* added behind baseURL, on a line of its own where members have one */
    {"{\"providers\": [{\"name\": \"p\", \"baseURL\": \"u\", \"x\": 1}]}",
     "{\"providers\": [{\"name\": \"p\", \"baseURL\": \"u\", \"apiKey\": \"vault:p\", \"x\": 1}]}"},
    {"{\"providers\": [{\"name\": \"p\"}]}",
     "{\"providers\": [{\"name\": \"p\", \"apiKey\": \"vault:p\"}]}"},
    {"{\"providers\": [{\n\t\t\"name\": \"p\",\n\t\t\"baseURL\": \"u\", // mine, "
     "{really}\n\t\t\"x\": 1\n}]}",
     "{\"providers\": [{\n\t\t\"name\": \"p\",\n\t\t\"baseURL\": \"u\", // mine, {really}\n"
     "\t\t\"apiKey\": \"vault:p\",\n\t\t\"x\": 1\n}]}"},
    {"{\"providers\": [{\r\n    \"name\": \"p\" /* a */ /* b\r\n */ // c\r\n}]}\r\n",
     "{\"providers\": [{\r\n    \"name\": \"p\", /* a */ /* b\r\n */ // c\r\n"
     "    \"apiKey\": \"vault:p\"\r\n}]}\r\n"},
    {"{\"providers\": [{\n  \"name\": \"p\",\n}]}",
     "{\"providers\": [{\n  \"name\": \"p\",\n  \"apiKey\": \"vault:p\",\n}]}"},
    {"{\"providers\": [{\n  \"name\": \"p\"\n  , \"x\": 1 }]}",
     "{\"providers\": [{\n  \"name\": \"p\"\n  , \"x\": 1, \"apiKey\": \"vault:p\" }]}"},
};

Test(config_edit, a_key_is_replaced_by_its_place_in_the_vault)
{
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        expect_key(keys[i].before, "p", keys[i].after);
}

Test(config_edit, a_key_of_nobody_is_not_found)
{
    static const char *const texts[] = {"{}", "{\"providers\": []}", "{\"providers\": 7}",
                                        "{\"providers\": [7, {\"name\": 7}, {\"name\": \"q\"}]}"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct bytes out = {.max = 1000};
        struct err err = {0};
        cr_expect_eq(config_edit_key(span_of(texts[i]), "p", &out, &err), -ERR_NOT_FOUND);
        cr_expect(strstr(err.detail, "\"p\""), "%s", err.detail);
        bytes_release(&out);
    }
}

/* ---- new rows ---- */

Test(config_edit, an_empty_text_becomes_a_whole_file)
{
    static const char file[] = "{\n"
                               "  \"providers\": [\n"
                               "    {\n"
                               "      \"name\": \"new\",\n"
                               "      \"type\": \"openai\",\n"
                               "      \"baseURL\": \"https://host/v1\",\n"
                               "      \"apiKey\": \"vault:new\",\n"
                               "      \"models\": [\"m1\", \"m2\"],\n"
                               "      \"description\": \"Say \\\"hi\\\"\"\n"
                               "    }\n"
                               "  ],\n"
                               "  \"defaultModel\": \"m1\"\n"
                               "}\n";
    expect_provider("", &row, file);
    char with_comment[sizeof(file) + 32];
    (void)snprintf(with_comment, sizeof(with_comment), "// mine\n%s", file);
    expect_provider("// mine", &row, with_comment);
    expect_provider("// mine\n", &row, with_comment);
}

static const struct {
    const char *before, *after;
} additions[] = {
    {"{}", "{\"providers\": [" NEW "]}"},
    {"{\"x\": 1}", "{\"x\": 1, \"providers\": [" NEW "]}"},
    {"{\"providers\": null}", "{\"providers\": [" NEW "]}"},
    {"{\"providers\": []}\n", "{\"providers\": [" NEW "]}\n"},
    {"{\"providers\": [{\"name\": \"a\"}], \"x\": 1}",
     "{\"providers\": [{\"name\": \"a\"}, " NEW "], \"x\": 1}"},
    /* a compact row stays compact; the comment of the row before it stays there */
    {"{\n  \"providers\": [\n    {\"name\": \"a\"} // }, {\n  ]\n}\n",
     "{\n  \"providers\": [\n    {\"name\": \"a\"}, // }, {\n    " NEW "\n  ]\n}\n"},
    {"{\n  \"providers\": [\n    {\"name\": \"a\"}, // last\n  ]\n}\n",
     "{\n  \"providers\": [\n    {\"name\": \"a\"}, // last\n    " NEW ",\n  ]\n}\n"},
};

#define SPREAD(eol, in, unit)                                                                      \
    in "{" eol in unit "\"name\": \"new\"," eol in unit "\"type\": \"openai\"," eol in unit        \
       "\"baseURL\": \"https://host/v1\"," eol in unit "\"apiKey\": \"vault:new\"," eol in unit    \
       "\"models\": [\"m1\", \"m2\"]," eol in unit "\"description\": \"Say \\\"hi\\\"\"" eol in    \
       "}"

static const struct {
    const char *before, *after;
} spread_additions[] = {
    {"{\n    \"providers\": [\n        {\n            \"name\": \"a\"\n        }\n    ],\n    "
     "\"x\": 1\n}",
     "{\n    \"providers\": [\n        {\n            \"name\": \"a\"\n        },\n" SPREAD(
         "\n", "        ", "    ") "\n    ],\n    \"x\": 1\n}"},
    {"{\r\n\t\"providers\": [\r\n\t\t{\r\n\t\t\t\"name\": \"a\" }\r\n\t]\r\n}\r\n",
     "{\r\n\t\"providers\": [\r\n\t\t{\r\n\t\t\t\"name\": \"a\" },\r\n" SPREAD(
         "\r\n", "\t\t", "\t") "\r\n\t]\r\n}\r\n"},
    {"{\n  \"x\": 1 // one\n}\n",
     "{\n  \"x\": 1, // one\n  \"providers\": [\n" SPREAD("\n", "    ", "  ") "\n  ]\n}\n"},
    {"{\n  \"providers\": []\n}\n",
     "{\n  \"providers\": [\n" SPREAD("\n", "    ", "  ") "\n  ]\n}\n"},
    {"{\n  \"providers\": [\n    // none yet\n  ]\n}\n",
     "{\n  \"providers\": [\n    // none yet\n" SPREAD("\n", "    ", "  ") "\n  ]\n}\n"},
    {"{\n}\n", "{\n  \"providers\": [\n" SPREAD("\n", "    ", "  ") "\n  ]\n}\n"},
};

Test(config_edit, a_row_is_added_in_the_style_of_the_file)
{
    for (size_t i = 0; i < sizeof(additions) / sizeof(additions[0]); i++)
        expect_provider(additions[i].before, &row, additions[i].after);
    for (size_t i = 0; i < sizeof(spread_additions) / sizeof(spread_additions[0]); i++)
        expect_provider(spread_additions[i].before, &row, spread_additions[i].after);
}

/* ---- existing rows ---- */

static const struct {
    const char *before, *after;
} updates[] = {
    {"{\"providers\": [{\"name\": \"NEW\", \"type\": \"anthropic\", \"baseURL\": \"u\", "
     "\"apiKey\": "
     "\"sk\", \"models\": [\"m1\"], \"x\": [1.0]}]}",
     "{\"providers\": [{\"name\": \"NEW\", \"type\": \"openai\", \"baseURL\": \"https://host/v1\", "
     "\"apiKey\": \"sk\", \"models\": [\"m1\", \"m2\"], \"x\": [1.0]}]}"},
    /* what is equal already is not touched, whatever its layout */
    {"{\"providers\": [{\"name\": \"new\", \"type\": \"open\\u0061i\", \"baseURL\": "
     "\"https:\\/\\/host\\/v1\", \"models\": [ \"m1\", /* two */ \"m2\" ]}]}",
     "{\"providers\": [{\"name\": \"new\", \"type\": \"open\\u0061i\", \"baseURL\": "
     "\"https:\\/\\/host\\/v1\", \"models\": [ \"m1\", /* two */ \"m2\" ]}]}"},
    /* members that are missing come last; models keep their lines */
    {"{\n  \"providers\": [\n    { // n\n      \"name\": \"new\" // the name\n    }\n  ]\n}\n",
     "{\n  \"providers\": [\n    { // n\n      \"name\": \"new\", // the name\n      \"type\": "
     "\"openai\",\n      \"baseURL\": \"https://host/v1\",\n      \"models\": [\"m1\", \"m2\"]\n"
     "    }\n  ]\n}\n"},
    {"{\"providers\": [{\n  \"name\": \"new\", \"type\": \"openai\", \"baseURL\": "
     "\"https://host/v1\",\n"
     "  \"models\": [\n    \"old\",\n    \"older\"\n  ]}]}",
     "{\"providers\": [{\n  \"name\": \"new\", \"type\": \"openai\", \"baseURL\": "
     "\"https://host/v1\",\n"
     "  \"models\": [\n    \"m1\",\n    \"m2\"\n  ]}]}"},
};

Test(config_edit, a_row_of_that_name_changes_only_where_it_differs)
{
    for (size_t i = 0; i < sizeof(updates) / sizeof(updates[0]); i++)
        expect_provider(updates[i].before, &row, updates[i].after);
}

Test(config_edit, a_row_without_models_leaves_those_that_are_there)
{
    struct provider_row bare = {.name = "new", .type = "openai", .base_url = "https://b/v1"};
    expect_provider("{\"providers\": [{\"name\": \"new\", \"type\": \"openai\", \"baseURL\": "
                    "\"https://a/v1\", \"models\": [\"kept\"]}]}",
                    &bare,
                    "{\"providers\": [{\"name\": \"new\", \"type\": \"openai\", \"baseURL\": "
                    "\"https://b/v1\", \"models\": [\"kept\"]}]}");
}

/* ---- around both ---- */

Test(config_edit, a_provider_that_takes_no_key_is_written_so_that_it_reads_so)
{
    struct provider_row bare = {.name = "box", .type = "openai", .models = two_models};
    bare.model_count = 1;
    bare.base_url = "http://gpu-box/v1";
    expect_provider("{\"providers\": []}", &bare,
                    "{\"providers\": [{ \"name\": \"box\", \"type\": \"openai\", \"baseURL\": "
                    "\"http://gpu-box/v1\", \"apiKey\": \"\", \"models\": [\"m1\"] }]}");
    bare.base_url = "http://localhost:8080/v1";
    expect_provider("{\"providers\": []}", &bare,
                    "{\"providers\": [{ \"name\": \"box\", \"type\": \"openai\", \"baseURL\": "
                    "\"http://localhost:8080/v1\", \"models\": [\"m1\"] }]}");
    struct provider_row demo = {.name = "demo", .type = "demo", .models = two_models};
    expect_provider(
        "{\"providers\": []}", &demo,
        "{\"providers\": [{ \"name\": \"demo\", \"type\": \"demo\", \"models\": [] }]}");
}

Test(config_edit, a_changed_file_reads_as_what_was_meant)
{
    struct bytes first = {.max = CONFIG_MAX_BYTES}, second = {.max = CONFIG_MAX_BYTES};
    struct config *config = NULL;
    struct err err = {0};
    cr_assert_eq(config_edit_provider(SPAN("// mine"), &row, &first, &err), 0);
    cr_assert_eq(
        config_edit_provider(bytes_span(&first), known_provider(SPAN("kimi")), &second, &err), 0);
    cr_assert_eq(config_edit_key(bytes_span(&second), "kimi", &first, &err), 0);
    cr_expect(span_equal(bytes_span(&first), bytes_span(&second)));
    cr_assert_eq(
        config_parse(bytes_span(&first), "config.json", 0600, NULL, NULL, &config, NULL, &err), 0,
        "%s", err.detail);
    cr_expect_eq(config->provider_count, 2);
    cr_expect_str_eq(config->providers[1].key_id, "kimi");
    cr_expect_str_eq(config->default_model, "m1");
    config_unref(config);
    bytes_release(&first);
    bytes_release(&second);
}

static const struct {
    const char *text, *message;
} broken[] = {
    {"{\"providers\": [}", "line 1, column 16: not valid JSON"},
    {"{\n /* open", "not valid JSON"},
    {"[]", "a configuration is an object"},
    {"{\"providers\": {}}", "\"providers\" is not an array"},
};

Test(config_edit, a_text_that_cannot_be_read_is_not_changed)
{
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        struct bytes out = {.max = 1000};
        struct err err = {0};
        cr_expect_eq(config_edit_provider(span_of(broken[i].text), &row, &out, &err),
                     -ERR_CONFIG_INVALID, "%s", broken[i].text);
        cr_expect(strstr(err.detail, broken[i].message), "%s", err.detail);
        bytes_release(&out);
    }
    struct provider_row bad = row;
    struct bytes out = {.max = 100};
    bad.name = "a\"b";
    cr_expect_eq(config_edit_provider(SPAN("{}"), &bad, &out, NULL), -ERR_CONFIG_INVALID);
    cr_expect_eq(config_edit_provider(SPAN("{}"), &row, &out, NULL), -ERR_TOO_LARGE);
    bytes_release(&out);
}
