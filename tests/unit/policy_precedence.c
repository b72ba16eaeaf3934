/* precedence.h: the decision from a list of choices. */
#include "policy/precedence.h"

#include <criterion/criterion.h>

static const struct catalogue_model models[] = {
    {"zhipu", "glm-4.6", 0},
    {"deepseek", "deepseek-chat", 1},
    {"openrouter", "deepseek-chat", 2},
    {"kimi", "kimi-k2", 3},
};
static const struct catalogue_alias aliases[] = {{"fast", "kimi-k2"}};
static const struct catalogue catalogue = {models, 4, aliases, 1};

struct decision {
    const char *models[5]; /* one choice each; ends with NULL */
    int effective;
    unsigned candidate;
};

static size_t make_choices(const char *const *names, struct choice *choices)
{
    static const enum choice_source order[] = {CHOICE_OVERRIDE, CHOICE_PIN, CHOICE_LOCAL_FILE,
                                               CHOICE_PROJECT_FILE, CHOICE_CONFIG};
    size_t count = 0;
    for (; count < 5 && names[count]; count++)
        choices[count] = (struct choice){.source = order[count], .model = names[count]};
    return count;
}

Test(precedence, the_first_concrete_name_is_effective)
{
    static const struct decision rows[] = {
        {{"glm-4.6"}, 0, 0},
        {{"kimi-k2", "glm-4.6"}, 0, 3},
        {{"gone", "glm-4.6"}, 1, 0},
        {{"aictl", "claude-aictl", "fast", "glm-4.6"}, 2, 3},
        {{"gpt-5", "glm-4.6"}, 1, 0},
        {{"", "glm-4.6"}, 1, 0},
        {{"zhipu/GLM-4.6", "kimi-k2"}, 0, 0},
        {{"gone", "aictl"}, -1, 0},
        {{NULL}, -1, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct choice choices[5];
        struct name name;
        size_t count = make_choices(rows[i].models, choices);
        int effective = precedence_decide(&catalogue, choices, count, &name);
        cr_expect_eq(effective, rows[i].effective, "row %zu: %d", i, effective);
        cr_expect_eq(name.kind, effective < 0 ? NAME_UNKNOWN : NAME_CONCRETE, "row %zu", i);
        cr_expect_eq(name.candidates[0], rows[i].candidate, "row %zu", i);
        for (size_t k = 0; k < count; k++)
            cr_expect_eq(choices[k].effective, (int)k == effective, "row %zu choice %zu", i, k);
    }
}

Test(precedence, each_choice_that_does_not_count_says_why)
{
    struct choice choices[] = {
        {.source = CHOICE_OVERRIDE, .model = "gone"},
        {.source = CHOICE_PIN, .model = "aictl"},
        {.source = CHOICE_LOCAL_FILE, .note = "line 2, column 5: not JSON"},
        {.source = CHOICE_PROJECT_FILE, .model = "glm-4.6", .note = "ignored: baseURL"},
        {.source = CHOICE_GLOBAL_PIN, .model = "kimi-k2"},
        {.source = CHOICE_CONFIG, .model = "gpt-5"},
    };
    struct name name;
    cr_assert_eq(precedence_decide(&catalogue, choices, 6, &name), 3);
    cr_expect_str_eq(choices[0].note, "no configured provider has this model");
    cr_expect_str_eq(choices[1].note, "an alias for the project's model: chooses none itself");
    cr_expect_str_eq(choices[2].note, "line 2, column 5: not JSON", "the file's own note stays");
    cr_expect_str_eq(choices[3].note, "ignored: baseURL", "also on the effective choice");
    cr_expect_null(choices[4].note, "only outranked");
    cr_expect_str_eq(choices[5].note, "a tool's default name that no configured provider has");
}

Test(precedence, a_decision_can_be_taken_again_with_another_catalogue)
{
    struct choice choices[] = {{.source = CHOICE_PIN, .model = "glm-4.6"},
                               {.source = CHOICE_CONFIG, .model = "kimi-k2"}};
    struct catalogue smaller = {models + 1, 3, NULL, 0};
    struct name name;
    cr_expect_eq(precedence_decide(&catalogue, choices, 2, &name), 0);
    cr_expect_eq(precedence_decide(&smaller, choices, 2, &name), 1);
    cr_expect(!choices[0].effective && choices[1].effective);
}

Test(precedence, every_source_has_a_name)
{
    for (int source = CHOICE_REQUEST; source <= CHOICE_ONLY; source++)
        cr_expect_not_null(choice_source_name((enum choice_source)source), "source %d", source);
    cr_expect_str_eq(choice_source_name(CHOICE_LOCAL_FILE), "local file");
    cr_expect_str_eq(choice_source_name(CHOICE_GLOBAL_PIN), "global");
}

struct supplied {
    const char *requested;
    bool is_from_files;
};

Test(precedence, a_name_that_only_the_files_supply_counts_as_the_alias)
{
    static const struct choice choices[] = {
        {.source = CHOICE_PIN, .model = "kimi-k2"},
        {.source = CHOICE_LOCAL_FILE, .note = "not JSON"},
        {.source = CHOICE_PROJECT_FILE, .model = "gone"},
        {.source = CHOICE_PROJECT_FILE, .model = "deepseek-chat"},
        {.source = CHOICE_PROJECT_FILE, .model = "glm-4.6"},
        {.source = CHOICE_CONFIG, .model = "kimi-k2"},
    };
    static const struct supplied rows[] = {
        {"deepseek-chat", true},
        {"DeepSeek-Chat", true},
        {"deepseek-chat[1m]", true},
        {"deepseek/deepseek-chat", false}, /* selects a provider, which the file does not */
        {"glm-4.6", false},                /* of a parent: not what this project supplies */
        {"kimi-k2", false},
        {"fast", false},
        {"aictl", false},
        {"gone", false},
        {"", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        cr_expect_eq(precedence_is_from_files(&catalogue, choices, 6, span_of(rows[i].requested)),
                     rows[i].is_from_files, "%s", rows[i].requested);
    cr_expect(!precedence_is_from_files(&catalogue, NULL, 0, span_of("glm-4.6")));
    cr_expect(!precedence_is_from_files(&catalogue, choices, 1, span_of("kimi-k2")));
}
