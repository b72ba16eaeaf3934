/* The local estimate: near what tokenizers give, growing with the text, linear. */
#include "ir/estimate.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <time.h>

static struct ir_text text_of(const char *escaped)
{
    return (struct ir_text){span_of(escaped)};
}

static const struct {
    const char *text;
    int64_t least, most;
} texts[] = {
    {"", 0, 0},
    {"a", 1, 1},
    {" ", 1, 1},
    {"The quick brown fox jumps over the lazy dog and runs away.", 11, 16},
    {"int main(void)\\n{\\n    return printf(\\\"%d\\\", 42);\\n}\\n", 15, 30},
    {"12345678901234567890", 6, 10},
    {"\xe4\xb8\x8a\xe6\xb5\xb7\xe7\x9a\x84\xe5\xa4\xa9\xe6\xb0\x94", 3, 5},
    {"\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82", 2, 4},
    {"\xf0\x9f\x98\x80", 1, 3},
    {"\\ud83d\\ude00\\u4e0a\\n\\\"", 3, 4},
    {"\\", 1, 1},
    {"\\u12", 1, 2},
};

Test(ir_estimate, texts_come_near_what_tokenizers_give)
{
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        int64_t tokens = ir_estimate_text(text_of(texts[i].text));
        cr_expect(tokens >= texts[i].least && tokens <= texts[i].most, "%s: %lld", texts[i].text,
                  (long long)tokens);
    }
    cr_expect_eq(ir_estimate_text((struct ir_text){{NULL, 0}}), 0);
}

Test(ir_estimate, escapes_count_as_what_they_stand_for)
{
    static const char *const same[][2] = {
        {"\\u0041\\u0042\\u0043\\u0044\\u0045\\u0046\\u0047\\u0048", "ABCDEFGH"},
        {"\\u4E0a\\u6d77\\u7684", "\xe4\xb8\x8a\xe6\xb5\xb7\xe7\x9a\x84"},
        {"\\u00e9\\u00E8\\u00ea", "\xc3\xa9\xc3\xa8\xc3\xaa"},
        {"\\ud83d\\ude00\\ud83d\\ude01", "\xf0\x9f\x98\x80\xf0\x9f\x98\x81"},
        {"\\u000a\\u000a\\u000a", "\\n\\n\\n"},
        {"\\/\\/\\/", "///"},
    };
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
        cr_expect_eq(ir_estimate_text(text_of(same[i][0])), ir_estimate_text(text_of(same[i][1])),
                     "%s", same[i][0]);
}

Test(ir_estimate, more_text_is_never_fewer_tokens)
{
    static const char text[] =
        "Mix: \xe4\xb8\x8a\xd0\x9f 12 \xf0\x9f\x98\x80 \\u4e0a\\n {\\\"k\\\":[1]} end";
    int64_t last = 0;
    for (size_t len = 1; len < sizeof(text); len++) {
        int64_t tokens = ir_estimate_text((struct ir_text){{text, len}});
        /* an escape that is cut may count more than the whole one by its pieces */
        cr_expect(tokens > 0 && tokens + 3 > last, "%zu bytes", len);
        last = tokens > last ? tokens : last;
    }
}

static int64_t estimate_block(struct ir_block block)
{
    struct ir_message message = {.role = IR_ROLE_USER, .blocks = &block};
    return ir_estimate_input(&(struct ir_request){.messages = &message});
}

Test(ir_estimate, a_request_is_at_least_one_token)
{
    cr_expect_eq(ir_estimate_input(&(struct ir_request){0}), 1);
    cr_expect_geq(estimate_block((struct ir_block){.kind = IR_TEXT}), 1);
}

Test(ir_estimate, every_kind_of_block_counts)
{
    static const char object[] = "{\"path\":\"/etc/hosts\",\"lines\":[1,2,3]}";
    const struct ir_text words =
        IR_TEXT_LITERAL("several words that are at least eight tokens long");
    const int64_t empty = estimate_block((struct ir_block){.kind = IR_TEXT});
    struct ir_block inner = {.kind = IR_TEXT, .text = words};
    const struct json json = {object, sizeof(object) - 1, JSON_OBJECT};
    const struct ir_block blocks[] = {
        {.kind = IR_TEXT, .text = words},           {.kind = IR_REASONING, .text = words},
        {.kind = IR_REFUSAL, .text = words},        {.kind = IR_CALL, .name = words},
        {.kind = IR_CALL, .arguments = json},       {.kind = IR_CALL, .torn = words},
        {.kind = IR_RESULT, .content = &inner},     {.kind = IR_DOCUMENT, .text = words},
        {.kind = IR_TOOL_REFERENCE, .name = words}, {.kind = IR_FOREIGN, .raw = json},
    };
    for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
        int64_t tokens = estimate_block(blocks[i]) - empty;
        cr_expect(tokens >= 8 && tokens <= 40, "block %zu: %lld", i, (long long)tokens);
    }
}

Test(ir_estimate, images_are_flat_and_documents_go_by_their_size)
{
    static char data[4 << 20];
    memset(data, 'A', sizeof(data));
    struct ir_block image = {.kind = IR_IMAGE, .data = {{data, sizeof(data)}}};
    int64_t tokens = estimate_block(image);
    cr_expect(tokens > 1000 && tokens < 2000, "%lld", (long long)tokens);
    image.data = (struct ir_text){{NULL, 0}};
    image.url = IR_TEXT_LITERAL("https://example.com/a.png");
    cr_expect_eq(estimate_block(image), tokens);
    image.detail = IR_TEXT_LITERAL("low");
    cr_expect_lt(estimate_block(image), tokens);

    struct ir_block document = {.kind = IR_DOCUMENT,
                                .media_type = IR_TEXT_LITERAL("application/pdf"),
                                .data = {{data, 1000}}};
    int64_t little = estimate_block(document);
    cr_expect(little > 1000 && little < 2000, "%lld", (long long)little);
    document.data.escaped.len = sizeof(data);
    int64_t much = estimate_block(document);
    cr_expect(much > 50000 && much < 500000, "%lld", (long long)much);
    document.media_type = IR_TEXT_LITERAL("text/plain");
    cr_expect_gt(estimate_block(document), much);
}

Test(ir_estimate, tools_count_when_the_model_sees_them)
{
    static const char schema[] =
        "{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\"}}}";
    struct ir_tool tool = {.name = IR_TEXT_LITERAL("weather"),
                           .description = IR_TEXT_LITERAL("Tells the weather of a city"),
                           .schema = {schema, sizeof(schema) - 1, JSON_OBJECT}};
    struct ir_request request = {.tools = &tool};
    int64_t tokens = ir_estimate_input(&request);
    cr_expect(tokens > 30 && tokens < 600, "%lld", (long long)tokens);
    tool.is_deferred = true;
    cr_expect_eq(ir_estimate_input(&request), 1);
    tool = (struct ir_tool){.is_server = true, .raw = tool.schema};
    cr_expect_gt(ir_estimate_input(&request), 1);
    request = (struct ir_request){.format_schema = tool.raw};
    cr_expect_gt(ir_estimate_input(&request), 10);
}

Test(ir_estimate, megabytes_take_milliseconds)
{
    enum { SIZE = 5 << 20 };
    char *text = malloc(SIZE);
    cr_assert_not_null(text);
    for (size_t i = 0; i < SIZE; i++)
        text[i] = "Some words, \\n"[i % 14];
    struct timespec before, after;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    int64_t tokens = ir_estimate_text((struct ir_text){{text, SIZE}});
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    double spent =
        (double)(after.tv_sec - before.tv_sec) + (double)(after.tv_nsec - before.tv_nsec) / 1e9;
    cr_expect_gt(tokens, SIZE / 8);
    cr_expect_lt(spent, 0.5, "%f s", spent); /* 0.01 without sanitizers */
    free(text);
}
