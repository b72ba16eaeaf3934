/* names.h: what a name means, and which names are near an unknown one. */
#include "policy/names.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static const struct catalogue_model models[] = {
    {"deepseek", "deepseek-chat", 0},
    {"deepseek", "deepseek-reasoner", 0},
    {"zhipu", "GLM-4.6", 1},
    {"zhipu", "glm-4.5-air", 1},
    {"openrouter", "deepseek/deepseek-chat", 2},
    {"openrouter", "glm-4.6", 2},
    {"openrouter", "gpt-4o", 2},
    {"my/own", "local", 3},
    {"odd", "name[beta]", 4},
    {"odd", "aictl:special", 4},
};

static const struct catalogue_alias aliases[] = {
    {"fast", "glm-4.5-air"},
    {"think", "deepseek/deepseek-reasoner"},
    {"glm", "GLM4"},
    {"GLM4", "zhipu/glm-4.6"},
    {"current-model", "aictl"},
    {"claude-sonnet-4-5", "fast"},
    {"nowhere", "claude-opus-9"},
    {"ring-a", "ring-b"},
    {"ring-b", "ring-a"},
    {"itself", "itself"},
    {"deepseek-chat", "fast"}, /* hidden by the model of this name */
    {"empty", ""},
};

static const struct catalogue catalogue = {
    models,
    sizeof(models) / sizeof(models[0]),
    aliases,
    sizeof(aliases) / sizeof(aliases[0]),
};

#define CONCRETE(first, ...)                                                                       \
    NAME_CONCRETE, sizeof((int[]){first, ##__VA_ARGS__}) / sizeof(int),                            \
    {                                                                                              \
        first, ##__VA_ARGS__                                                                       \
    }

struct meaning {
    const char *text;
    enum name_kind kind;
    size_t count;
    unsigned candidates[8];
};

static void expect_meanings(const struct meaning *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct name name = name_resolve(&catalogue, span_of(rows[i].text));
        cr_expect_eq(name.kind, rows[i].kind, "%s: kind %d", rows[i].text, name.kind);
        cr_expect_eq(name.candidate_count, rows[i].count, "%s: %zu candidates", rows[i].text,
                     name.candidate_count);
        for (size_t k = 0; k < rows[i].count; k++)
            cr_expect_eq(name.candidates[k], rows[i].candidates[k], "%s: candidate %zu is %u",
                         rows[i].text, k, name.candidates[k]);
    }
}

#define EXPECT_MEANINGS(...)                                                                       \
    do {                                                                                           \
        const struct meaning rows_[] = {__VA_ARGS__};                                              \
        expect_meanings(rows_, sizeof(rows_) / sizeof(rows_[0]));                                  \
    } while (0)

Test(names, a_model_is_found_without_regard_to_case_at_every_provider_that_has_it)
{
    EXPECT_MEANINGS({"deepseek-chat", CONCRETE(0)}, {"DeepSeek-Chat", CONCRETE(0)},
                    {"glm-4.6", CONCRETE(2, 5)}, {"GLM-4.6", CONCRETE(2, 5)},
                    {"gpt-4o", CONCRETE(6)});
}

Test(names, a_provider_in_front_selects_it)
{
    EXPECT_MEANINGS({"zhipu/glm-4.6", CONCRETE(2)}, {"openrouter/glm-4.6", CONCRETE(5)},
                    {"OpenRouter,GLM-4.6", CONCRETE(5)}, {"zhipu,glm-4.5-air", CONCRETE(3)},
                    {"my/own/local", CONCRETE(7)}, {"my/own,local", CONCRETE(7)},
                    {"openrouter/deepseek/deepseek-chat", CONCRETE(4)}, {"zhipu/gpt-4o"},
                    {"zhipu/"}, {"zhipu"}, {"/glm-4.6"}, {"zhipu:glm-4.6"});
}

Test(names, a_models_own_name_with_a_slash_is_found_before_a_provider)
{
    EXPECT_MEANINGS({"deepseek/deepseek-chat", CONCRETE(4)},
                    {"deepseek,deepseek-chat", CONCRETE(0)});
}

Test(names, aliases_are_followed_and_loops_are_unknown)
{
    EXPECT_MEANINGS({"fast", CONCRETE(3)}, {"FAST", CONCRETE(3)}, {"think", CONCRETE(1)},
                    {"glm", CONCRETE(2)}, {"current-model", NAME_STANDING}, {"ring-a"}, {"itself"},
                    {"empty"}, {"deepseek-chat", CONCRETE(0)});
}

Test(names, an_alias_chain_may_have_eight_links_and_not_nine)
{
    struct catalogue_alias chain[10];
    char texts[11][16];
    for (int i = 0; i < 10; i++)
        snprintf(texts[i], sizeof(texts[i]), "link%d", i);
    for (int i = 0; i < 10; i++)
        chain[i] = (struct catalogue_alias){texts[i], i == 9 ? "gpt-4o" : texts[i + 1]};
    struct catalogue long_chain = {models, catalogue.model_count, chain, 10};
    cr_expect_eq(name_resolve(&long_chain, span_of("link2")).kind, NAME_CONCRETE);
    cr_expect_eq(name_resolve(&long_chain, span_of("link1")).kind, NAME_UNKNOWN);
}

Test(names, an_alias_that_leads_to_no_configured_model_is_not_taken_for_a_tools_name)
{
    EXPECT_MEANINGS({"nowhere"}, {"claude-opus-9", NAME_TOOL_DEFAULT});
}

Test(names, a_suffix_in_brackets_is_ignored_unless_it_is_configured)
{
    EXPECT_MEANINGS({"glm-4.5-air[1m]", CONCRETE(3)}, {"fast[1m]", CONCRETE(3)},
                    {"zhipu/glm-4.6[1m]", CONCRETE(2)}, {"claude-aictl[1m]", NAME_STANDING},
                    {"claude-opus-9[1m]", NAME_TOOL_DEFAULT}, {"name[beta]", CONCRETE(8)}, {"name"},
                    {"name[beta][1m]"}, {"[1m]"}, {"fast[1m"}, {"fast["}, {"nowhere[1m]"});
}

Test(names, standing_aliases_mean_the_projects_model)
{
    EXPECT_MEANINGS({"aictl", NAME_STANDING}, {"AICTL", NAME_STANDING},
                    {"claude-aictl", NAME_STANDING}, {"aictl/current", NAME_STANDING}, {"current"},
                    {"aictl/"}, {"aictl-x"});
}

Test(names, a_name_behind_aictl_and_a_colon_is_that_model)
{
    EXPECT_MEANINGS({"claude-aictl:glm-4.5-air", CONCRETE(3)}, {"aictl:fast", CONCRETE(3)},
                    {"Claude-Aictl:zhipu/GLM-4.6[1m]", CONCRETE(2)}, {"aictl:aictl", NAME_STANDING},
                    {"aictl:special", CONCRETE(9)}, {"claude-aictl:gone"},
                    {"claude-aictl:claude-opus-9"}, {"claude-aictl:"}, {"aictl:"}, {"other:fast"},
                    {"aictl:aictl:aictl:aictl:aictl:aictl:aictl:aictl:aictl:aictl:fast"});
}

Test(names, names_of_tools_are_a_closed_table)
{
    EXPECT_MEANINGS({"claude-opus-5-5", NAME_TOOL_DEFAULT}, {"gpt-5", NAME_TOOL_DEFAULT},
                    {"GPT-5.2-codex", NAME_TOOL_DEFAULT}, {"chatgpt-4o-latest", NAME_TOOL_DEFAULT},
                    {"codex-mini-latest", NAME_TOOL_DEFAULT}, {"gemini-3-pro", NAME_TOOL_DEFAULT},
                    {"o1", NAME_TOOL_DEFAULT}, {"o3", NAME_TOOL_DEFAULT},
                    {"o4-mini", NAME_TOOL_DEFAULT}, {"o3-pro", NAME_TOOL_DEFAULT}, {"o3x"}, {"o2"},
                    {"claude"}, {"claude-"}, {"gpt"}, {"gpt4"}, {"codex"}, {"gemini-"}, {"xgpt-5"},
                    {"kimi-k2"}, {"mistral-large"});
}

Test(names, what_is_configured_beats_the_names_built_in_here)
{
    static const struct catalogue_alias own[] = {{"aictl", "fast"}, {"fast", "gpt-4o"}};
    struct catalogue with_own = {models, catalogue.model_count, own, 2};
    cr_expect_eq(name_resolve(&with_own, span_of("aictl")).kind, NAME_CONCRETE);
    EXPECT_MEANINGS({"gpt-4o", CONCRETE(6)}, {"claude-sonnet-4-5", CONCRETE(3)});
}

Test(names, odd_texts_are_unknown)
{
    char *huge = malloc(1 << 20);
    memset(huge, 'a', 1 << 20);
    memcpy(huge, "gpt-", 4);
    struct span texts[] = {{NULL, 0},
                           {"", 0},
                           {huge, 1 << 20},
                           {huge, NAME_MAX_LEN + 1},
                           SPAN("glm-4.6\0"),
                           SPAN("\0"),
                           SPAN(" glm-4.6"),
                           SPAN("' OR '1'='1"),
                           SPAN("\"; DROP TABLE models"),
                           SPAN("../../etc/passwd"),
                           SPAN("\xff\xfe[")};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        const char *near[3];
        struct bytes hint = {.max = 4096};
        cr_expect_eq(name_resolve(&catalogue, texts[i]).kind, NAME_UNKNOWN, "text %zu", i);
        cr_expect_leq(name_near(&catalogue, texts[i], near, 3), 3);
        name_suggest(&catalogue, texts[i], &hint);
        bytes_release(&hint);
    }
    free(huge);
}

Test(names, a_name_to_be_kept_is_short_plain_text)
{
    char longest[NAME_MAX_LEN + 1];
    memset(longest, 'a', sizeof(longest));
    cr_expect(name_is_well_formed((struct span){longest, NAME_MAX_LEN}));
    cr_expect(name_is_well_formed(SPAN("provider/model with spaces, \xc3\xa9 [1m]")));
    cr_expect(!name_is_well_formed((struct span){longest, NAME_MAX_LEN + 1}));
    const struct span bad[] = {{NULL, 0},      SPAN(""),     SPAN("a\0b"), SPAN("a\nb"),
                               SPAN("\x1b[m"), SPAN("\x7f"), SPAN("\xff"), SPAN("\xc3")};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_expect(!name_is_well_formed(bad[i]), "text %zu", i);
}

Test(names, at_most_eight_candidates_and_one_of_a_provider_are_given)
{
    struct catalogue_model many[12];
    for (unsigned i = 0; i < 12; i++)
        many[i] = (struct catalogue_model){"p", i == 3 ? "SAME" : "same", i == 3 ? 2 : i};
    struct catalogue wide = {many, 12, NULL, 0};
    struct name name = name_resolve(&wide, span_of("same"));
    cr_expect_eq(name.candidate_count, 8);
    cr_expect_eq(name.candidates[2], 2);
    cr_expect_eq(name.candidates[3], 4, "the second spelling of one provider is left out");
}

Test(names, an_empty_catalogue_has_nothing)
{
    struct catalogue none = {0};
    struct bytes hint = {.max = 100};
    cr_expect_eq(name_resolve(&none, span_of("glm-4.6")).kind, NAME_UNKNOWN);
    cr_expect_eq(name_resolve(&none, span_of("aictl")).kind, NAME_STANDING);
    name_suggest(&none, span_of("glm-4.6"), &hint);
    cr_expect_str_eq(hint.data, "no model is configured");
    bytes_release(&hint);
}

/* ---- near names ---- */

struct nearness {
    const char *text;
    const char *near[4]; /* ends with NULL */
};

static void expect_near(const struct nearness *row)
{
    const char *names[3];
    size_t count = name_near(&catalogue, span_of(row->text), names, 3);
    size_t expected = 0;
    while (row->near[expected])
        expected++;
    cr_expect_eq(count, expected, "%s: %zu names", row->text, count);
    for (size_t i = 0; i < count && i < expected; i++)
        cr_expect_str_eq(names[i], row->near[i], "%s: name %zu is %s", row->text, i, names[i]);
}

Test(names, typing_mistakes_come_first_then_beginnings_then_parts)
{
    static const struct nearness rows[] = {
        {"deepsek-chat", {"deepseek-chat"}},
        {"deepseek-caht", {"deepseek-chat"}},
        {"glm-4.7", {"GLM-4.6", "glm"}},
        {"deepseek", {"deepseek-chat", "deepseek-reasoner", "deepseek/deepseek-chat"}},
        {"reasoner", {"deepseek-reasoner"}},
        {"wrong/deepseek-chat", {"deepseek-chat", "deepseek/deepseek-chat"}},
        {"aictl:gpt-4p[1m]", {"gpt-4o"}},
        {"kimi-k2", {NULL}},
        {"", {NULL}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        expect_near(&rows[i]);
}

static void expect_suggestion(const char *text, const char *expected)
{
    struct bytes hint = {.max = 4096};
    name_suggest(&catalogue, span_of(text), &hint);
    cr_expect_str_eq(hint.data, expected, "%s: %s", text, hint.data);
    bytes_release(&hint);
}

Test(names, a_suggestion_names_near_models_or_the_first_ones)
{
    expect_suggestion("deepsek-chat", "did you mean deepseek-chat?");
    expect_suggestion("wrong/deepseek-chat",
                      "did you mean deepseek-chat or deepseek/deepseek-chat?");
    expect_suggestion("deepseek",
                      "did you mean deepseek-chat, deepseek-reasoner or deepseek/deepseek-chat?");
    expect_suggestion("kimi-k2",
                      "configured: deepseek-chat, deepseek-reasoner, GLM-4.6, glm-4.5-air, "
                      "deepseek/deepseek-chat, gpt-4o, local, name[beta], ...");
}

Test(names, a_full_buffer_cuts_the_suggestion)
{
    struct bytes hint = {.max = 30};
    name_suggest(&catalogue, span_of("kimi-k2"), &hint);
    cr_expect_leq(hint.len, 30);
    bytes_release(&hint);
}

Test(names, two_thousand_long_names_are_searched)
{
    enum { COUNT = 2000 };
    struct catalogue_model *many = calloc(COUNT, sizeof(*many));
    char(*texts)[300] = calloc(COUNT, sizeof(*texts));
    for (unsigned i = 0; i < COUNT; i++) {
        memset(texts[i], 'a' + (int)(i % 26), sizeof(texts[i]) - 1);
        many[i] = (struct catalogue_model){"p", texts[i], 0};
    }
    memcpy(texts[COUNT - 1], "needle-in-the-haystack", sizeof("needle-in-the-haystack"));
    struct catalogue large = {many, COUNT, NULL, 0};
    const char *names[3];
    cr_expect_eq(name_near(&large, span_of("needel-in-teh-haystack"), names, 3), 1);
    cr_expect_str_eq(names[0], "needle-in-the-haystack");
    free(texts);
    free(many);
}
