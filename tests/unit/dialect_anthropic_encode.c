/*
 * A Messages request written: each row is a request in this dialect's own words, read, changed where
 * the dialect has no words for it, and written for some target.
 */
#include "dialect/anthropic.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define HEAD      "{\"model\":\"claude-x\","
#define TAIL      ",\"max_tokens\":100}"
#define HI        "{\"role\":\"user\",\"content\":\"hi\"}"
#define HI_       "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"hi\"}]}"
#define MARK      "\"cache_control\":{\"type\":\"ephemeral\"}"
#define BIT(name) ((ir_capability_set)1 << IR_CAN_##name)

static struct arena arena;
static struct ir_request request;
static struct ir_losses losses;
static struct err err;
static struct bytes text, lost;
static struct ir_target target;

static void setup(void)
{
    arena_init(&arena, 256 << 20);
    text.max = 64 << 20;
    lost.max = 4096;
    target = (struct ir_target){.model = SPAN("claude-x"),
                                .capabilities = ir_capabilities_default() | BIT(AUTO_CACHE)};
}

static void cleanup(void)
{
    arena_release(&arena);
    bytes_release(&text);
    bytes_release(&lost);
}

TestSuite(anthropic_encode, .init = setup, .fini = cleanup);

/* The neutral request points into a copy of the body. */
static void decode(struct span body)
{
    struct span copy = {arena_copy(&arena, body), body.len};
    cr_assert_eq(anthropic_decode_request(copy, &arena, &request, NULL, &err), 0, SPAN_FMT ": %s",
                 SPAN_ARG(body), err.detail);
}

static int encode(void)
{
    struct json root;
    losses = (struct ir_losses){0};
    err = (struct err){0};
    bytes_clear(&text);
    bytes_clear(&lost);
    int r = anthropic_encode_request(&request, &target, &arena, &losses, &text, &err);
    (void)ir_losses_write(&losses, &lost);
    if (r == 0)
        cr_expect_eq(json_validate(bytes_span(&text), &root, NULL), 0, "%s", text.data);
    return r;
}

static const char *is_lost(void)
{
    return lost.len ? lost.data : "";
}

/* The body's part between the fixed ends of every row is `wanted`. */
static void expect(const char *what, const char *wanted, const char *wanted_lost)
{
    cr_expect_eq(encode(), 0, "%s: %s", what, err.detail);
    cr_expect_str_eq(text.data, wanted, "\n%s\nis    %s\nshall %s", what, text.data, wanted);
    cr_expect_str_eq(is_lost(), wanted_lost, "%s lost: %s", what, is_lost());
}

struct row {
    const char *json, *wanted, *lost;
};

static void check_rows(const struct row *rows, size_t count, const char *before, const char *behind,
                       const char *wanted_before, const char *wanted_behind)
{
    for (size_t i = 0; i < count; i++) {
        struct bytes body = {.max = 1 << 16}, wanted = {.max = 1 << 16};
        (void)bytes_addf(&body, "%s%s%s", before, rows[i].json, behind);
        (void)bytes_addf(&wanted, "%s%s%s", wanted_before, rows[i].wanted, wanted_behind);
        decode(bytes_span(&body));
        expect(body.data, wanted.data, rows[i].lost ? rows[i].lost : "");
        bytes_release(&body);
        bytes_release(&wanted);
    }
}

#define CHECK_ROWS(rows, ...) check_rows((rows), sizeof(rows) / sizeof((rows)[0]), __VA_ARGS__)

#define AUTO ",\"max_tokens\":100," MARK "}"

/* ---- messages ---- */

#define USER(blocks)      "{\"role\":\"user\",\"content\":[" blocks "]}"
#define ASSISTANT(blocks) "{\"role\":\"assistant\",\"content\":[" blocks "]}"
#define TEXT(text)        "{\"type\":\"text\",\"text\":\"" text "\"}"
#define CALL(id)          "{\"type\":\"tool_use\",\"id\":\"" id "\",\"name\":\"f\",\"input\":{\"a\":1.0}}"
#define RESULT(id)        "{\"type\":\"tool_result\",\"tool_use_id\":\"" id "\",\"content\":\"r-" id "\"}"
#define NONE(id)                                                                                   \
    "{\"type\":\"tool_result\",\"tool_use_id\":\"" id "\",\"content\":\"(no result)\","            \
    "\"is_error\":true}"
#define THINKING(sign) "{\"type\":\"thinking\",\"thinking\":\"hm\",\"signature\":\"" sign "\"}"

static const struct row message_rows[] = {
    {HI, HI_, ""},
    {"", USER(TEXT("(continue)")), ""},
    {USER(TEXT("")), USER(TEXT("(continue)")), ""},
    {ASSISTANT(TEXT("a")) "," HI, USER(TEXT("(continue)")) "," ASSISTANT(TEXT("a")) "," HI_, ""},
    {HI "," HI, USER(TEXT("hi") "," TEXT("hi")), ""},
    {HI "," ASSISTANT(TEXT("a")) "," ASSISTANT(TEXT(" \\n") "," TEXT("b")) "," HI,
     HI_ "," ASSISTANT(TEXT("a") "," TEXT("b")) "," HI_, ""},
    /* what says nothing goes, and its neighbours meet */
    {HI "," ASSISTANT(TEXT("")) "," HI, USER(TEXT("hi") "," TEXT("hi")), ""},
    {HI "," ASSISTANT(TEXT("a")) "," USER("") "," ASSISTANT(TEXT("b")) "," HI,
     HI_ "," ASSISTANT(TEXT("a") "," TEXT("b")) "," HI_, ""},
    /* the end of an answer to be continued */
    {HI "," ASSISTANT(TEXT("a \\n\\t \\u0020")), HI_ "," ASSISTANT(TEXT("a")), ""},
    {HI "," ASSISTANT(TEXT("a\\\\n")), HI_ "," ASSISTANT(TEXT("a\\\\n")), ""},
    {HI "," ASSISTANT(TEXT("a ") "," TEXT("\\n")), HI_ "," ASSISTANT(TEXT("a")), ""},
    {HI "," ASSISTANT(TEXT("a ")) "," HI, HI_ "," ASSISTANT(TEXT("a ")) "," HI_, ""},
    /* system text behind the first other message */
    {HI ",{\"role\":\"system\",\"content\":[" TEXT("e") "," TEXT("f") "]}," HI,
     USER(TEXT("hi") "," TEXT("<system>\\ne\\n\\nf\\n</system>") "," TEXT("hi")),
     "messages[].role system"},
    {HI "," ASSISTANT(TEXT("a")) ",{\"role\":\"system\",\"content\":\"e\"}",
     HI_ "," ASSISTANT(TEXT("a")) "," USER(TEXT("<system>\\ne\\n</system>")),
     "messages[].role system"},
    /* foreign blocks */
    {HI "," ASSISTANT("{\"type\":\"server_tool_use\",\"id\":\"s\"},{\"type\":\"text\",\"text\":"
                      "\"a\"}"),
     HI_ "," ASSISTANT(TEXT("a")), "messages[].content[].server_tool_use"},
};

Test(anthropic_encode, messages_alternate_and_say_something)
{
    CHECK_ROWS(message_rows, "{\"messages\":[", "],\"max_tokens\":100}", HEAD "\"messages\":[",
               "]" AUTO);
}

static const struct row call_rows[] = {
    {ASSISTANT(TEXT("t") "," CALL("x") "," CALL("y")) "," USER(RESULT("y") "," RESULT("x")),
     ASSISTANT(TEXT("t") "," CALL("x") "," CALL("y")) "," USER(RESULT("y") "," RESULT("x")), ""},
    /* results come first, from every message of the turn */
    {ASSISTANT(CALL("x") "," CALL("y")) "," USER(TEXT("a") "," RESULT("x")) "," USER(
         RESULT("y") "," TEXT("b")),
     ASSISTANT(CALL("x") "," CALL("y")) "," USER(
         RESULT("x") "," RESULT("y") "," TEXT("a") "," TEXT("b")),
     ""},
    /* a call that nobody answered, unless it is the end */
    {ASSISTANT(CALL("x") "," CALL("y")) "," USER(RESULT("y") "," TEXT("go")),
     ASSISTANT(CALL("x") "," CALL("y")) "," USER(RESULT("y") "," NONE("x") "," TEXT("go")),
     "tool call without a result"},
    {ASSISTANT(CALL("x")), ASSISTANT(CALL("x")), ""},
    {ASSISTANT(CALL("x")) "," USER(RESULT("x") "," RESULT("x")),
     ASSISTANT(CALL("x")) "," USER(RESULT("x")), "duplicate tool result"},
    {ASSISTANT(CALL("x") "," CALL("x")) "," USER(RESULT("x")),
     ASSISTANT(CALL("x")) "," USER(RESULT("x")), "duplicate tool call"},
    /* a result without its call */
    {ASSISTANT(TEXT("t")) "," USER(RESULT("z")),
     ASSISTANT(TEXT("t")) "," USER(TEXT("[result of an unknown tool call]\\nr-z")),
     "tool result without its call"},
    {ASSISTANT(CALL("x")) "," USER(RESULT("x")) "," ASSISTANT(TEXT("t")) "," USER(RESULT("x")),
     ASSISTANT(CALL("x")) "," USER(RESULT("x")) "," ASSISTANT(TEXT("t")) "," USER(
         TEXT("[result of an unknown tool call]\\nr-x")),
     "tool result without its call"},
    /* ids of other dialects */
    {ASSISTANT(CALL("functions.f:0")) "," USER(RESULT("functions.f:0")),
     ASSISTANT("{\"type\":\"tool_use\",\"id\":\"aictl_functionsZ2efZ3a0_\",\"name\":\"f\","
               "\"input\":{\"a\":1.0}}") "," USER("{\"type\":\"tool_result\",\"tool_use_id\":"
                                                  "\"aictl_functionsZ2efZ3a0_\",\"content\":"
                                                  "\"r-functions.f:0\"}"),
     ""},
};

Test(anthropic_encode, every_call_has_its_result_at_once)
{
    CHECK_ROWS(call_rows, "{\"messages\":[" HI ",", "],\"max_tokens\":100}",
               HEAD "\"messages\":[" HI_ ",", "]" AUTO);
}

#define OPEN "{\"type\":\"tool_result\",\"tool_use_id\":\"x\","

static const struct row result_rows[] = {
    {OPEN "\"content\":[" TEXT("a") "]}", OPEN "\"content\":\"a\"}", ""},
    {OPEN "\"content\":[" TEXT("a") "," TEXT("") "," TEXT("b") "],\"is_error\":true}",
     OPEN "\"content\":[" TEXT("a") "," TEXT("b") "],\"is_error\":true}", ""},
    {OPEN "\"content\":[]}", OPEN "\"content\":\"(empty)\"}", ""},
    {OPEN "\"is_error\":false}", OPEN "\"content\":\"(empty)\"}", ""},
    {OPEN "\"content\":[{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":"
          "\"image/png\",\"data\":\"QQ==\"}}]}",
     OPEN "\"content\":[{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":"
          "\"image/png\",\"data\":\"QQ==\"}}]}",
     ""},
    {OPEN "\"content\":[{\"type\":\"tool_reference\",\"tool_name\":\"W\"}]}",
     OPEN "\"content\":\"Tool W is available now.\"}", ""},
    {OPEN "\"content\":[{\"type\":\"new\"}," TEXT("a") "]}", OPEN "\"content\":\"a\"}",
     "messages[].content[].new"},
    {"{\"type\":\"tool_result\",\"tool_use_id\":\"z\",\"is_error\":true,\"content\":[" TEXT(
         "a") "," TEXT("b") "]}," OPEN "\"content\":\"a\"}",
     OPEN "\"content\":\"a\"}," TEXT("[result of an unknown tool call]\\nError: a\\nb"),
     "tool result without its call"},
    {"{\"type\":\"tool_result\",\"tool_use_id\":\"z\",\"content\":[{\"type\":\"image\",\"source\":{"
     "\"type\":\"url\",\"url\":\"u\"}}]}," OPEN "\"content\":\"a\"}",
     OPEN "\"content\":\"a\"}," TEXT(
         "[result of an unknown tool call]\\n(empty)") ","
                                                       "{\"type\":\"image\",\"source\":{\"type\":"
                                                       "\"url\",\"url\":\"u\"}}",
     "tool result without its call"},
};

Test(anthropic_encode, results_keep_what_is_in_them)
{
    CHECK_ROWS(result_rows,
               "{\"messages\":[" HI "," ASSISTANT(CALL("x")) ",{\"role\":\"user\","
                                                             "\"content\":[",
               "]}],\"max_tokens\":100}",
               HEAD "\"messages\":[" HI_ "," ASSISTANT(CALL("x")) ",{\"role\":\"user\","
                                                                  "\"content\":[",
               "]}]" AUTO);
}

static const struct row part_rows[] = {
    {"{\"type\":\"image\",\"source\":{\"type\":\"url\",\"url\":\"https://x\"}}",
     "{\"type\":\"image\",\"source\":{\"type\":\"url\",\"url\":\"https://x\"}}", ""},
    {"{\"type\":\"document\",\"source\":{\"type\":\"base64\",\"media_type\":\"application/pdf\","
     "\"data\":\"JVBE\"},\"title\":\"T\"}",
     "{\"type\":\"document\",\"source\":{\"type\":\"base64\",\"media_type\":\"application/pdf\","
     "\"data\":\"JVBE\"},\"title\":\"T\"}",
     ""},
    {"{\"type\":\"document\",\"source\":{\"type\":\"text\",\"media_type\":\"text/plain\",\"data\":"
     "\"a\"}}",
     "{\"type\":\"document\",\"source\":{\"type\":\"text\",\"media_type\":\"text/plain\",\"data\":"
     "\"a\"}}",
     ""},
    {"{\"type\":\"document\",\"source\":{\"type\":\"url\",\"url\":\"https://x\"}}",
     "{\"type\":\"document\",\"source\":{\"type\":\"url\",\"url\":\"https://x\"}}", ""},
    {"{\"type\":\"document\",\"source\":{\"type\":\"base64\",\"media_type\":\"text/csv\",\"data\":"
     "\"QQ==\"}}",
     TEXT("[document left out]"), "messages[].content[].document"},
};

Test(anthropic_encode, images_and_documents)
{
    CHECK_ROWS(part_rows, "{\"messages\":[{\"role\":\"user\",\"content\":[",
               "]}],\"max_tokens\":100}", HEAD "\"messages\":[{\"role\":\"user\",\"content\":[",
               "]}]" AUTO);
    target.capabilities &= ~BIT(IMAGES);
    decode(SPAN("{\"messages\":[" USER("{\"type\":\"image\",\"source\":{\"type\":\"url\",\"url\":"
                                       "\"u\"}}") "],\"max_tokens\":100}"));
    expect("no eyes", HEAD "\"messages\":[" USER(TEXT("[image left out]")) "]" AUTO,
           "messages[].content[].image");
}

#define OWN THINKING(ANTHROPIC_OWN_SIGNATURE)

static const struct row reasoning_rows[] = {
    {ASSISTANT(THINKING("S") ",{\"type\":\"redacted_thinking\",\"data\":\"D\"}," TEXT("a")) "," HI,
     ASSISTANT(THINKING("S") ",{\"type\":\"redacted_thinking\",\"data\":\"D\"}," TEXT("a")) "," HI_,
     ""},
    {ASSISTANT(OWN "," TEXT("a")) "," HI, ASSISTANT(TEXT("a")) "," HI_, "messages[].reasoning"},
    {ASSISTANT("{\"type\":\"thinking\",\"thinking\":\"hm\"}," TEXT("a")) "," HI,
     ASSISTANT(TEXT("a")) "," HI_, "messages[].reasoning"},
    /* reasoning alone is no answer, but may lead one that follows */
    {ASSISTANT(THINKING("S")) "," ASSISTANT(TEXT("a")) "," HI,
     ASSISTANT(THINKING("S") "," TEXT("a")) "," HI_, ""},
    {ASSISTANT(TEXT("a")) "," ASSISTANT(THINKING("S")) "," HI, ASSISTANT(TEXT("a")) "," HI_,
     "messages[].reasoning"},
    {ASSISTANT(TEXT("a") "," THINKING("S")) "," HI, ASSISTANT(TEXT("a")) "," HI_,
     "messages[].reasoning"},
    {ASSISTANT(TEXT("a")) "," ASSISTANT(THINKING("S")), ASSISTANT(TEXT("a")),
     "messages[].reasoning"},
};

Test(anthropic_encode, only_signed_reasoning_goes_back)
{
    CHECK_ROWS(reasoning_rows, "{\"messages\":[" HI ",", "],\"max_tokens\":100}",
               HEAD "\"messages\":[" HI_ ",", "]" AUTO);
    decode(SPAN("{\"messages\":[" HI "," ASSISTANT(THINKING("S")) "," HI "],\"max_tokens\":100}"));
    expect("alone", HEAD "\"messages\":[" USER(TEXT("hi") "," TEXT("hi")) "]" AUTO,
           "messages[].reasoning");
    decode(SPAN("{\"messages\":[" HI
                "," ASSISTANT(THINKING("S") "," TEXT("a")) "," HI "],\"max_tokens\":100}"));
    request.messages->next->blocks->is_foreign = true;
    expect("foreign", HEAD "\"messages\":[" HI_ "," ASSISTANT(TEXT("a")) "," HI_ "]" AUTO,
           "messages[].reasoning");
}

Test(anthropic_encode, blocks_that_only_other_dialects_have)
{
    decode(SPAN("{\"messages\":[" HI
                "," ASSISTANT(TEXT("no") "," CALL("x")) "],"
                                                        "\"max_tokens\":100}"));
    struct ir_block *refusal = request.messages->next->blocks, *call = refusal->next;
    refusal->kind = IR_REFUSAL;
    call->arguments = (struct json){0};
    expect("none",
           HEAD "\"messages\":[" HI_ "," ASSISTANT(TEXT(
               "no") ",{\"type\":\"tool_use\",\"id\":\"x\",\"name\":\"f\",\"input\":{}}") "]" AUTO,
           "");
    call->torn = IR_TEXT_LITERAL("{\\\"a");
    expect("torn",
           HEAD "\"messages\":[" HI_ "," ASSISTANT(
               TEXT("no") ",{\"type\":\"tool_use\",\"id\":\"x\",\"name\":\"f\",\"input\":"
                          "{\"raw\":\"{\\\"a\"}}") "]" AUTO,
           "torn arguments");
}

/* ---- system and cache marks ---- */

#define MESSAGES   "\"messages\":[" HI "]"
#define TOOL(name) "{\"name\":\"" name "\",\"input_schema\":{\"type\":\"object\",\"properties\":{}}"

static const struct row system_rows[] = {
    {"\"system\":\"be\",", "\"system\":\"be\",", ""},
    {"\"system\":[" TEXT("a") "," TEXT(" ") "],", "\"system\":\"a\",", ""},
    {"\"system\":[" TEXT("x-anthropic-billing-header: a") "," TEXT("b") "],",
     "\"system\":[" TEXT("x-anthropic-billing-header: a") "," TEXT("b") "],", ""},
    {"\"system\":\"\",", "", ""},
};

Test(anthropic_encode, system_text_stands_at_the_top)
{
    CHECK_ROWS(system_rows, "{", MESSAGES ",\"max_tokens\":100}", HEAD,
               "\"messages\":[" HI_ "]" AUTO);
    decode(SPAN("{\"system\":\"a\",\"messages\":[{\"role\":\"system\",\"content\":\"b\"}," HI "],"
                "\"max_tokens\":100}"));
    expect("two", HEAD "\"system\":[" TEXT("a") "," TEXT("b") "],\"messages\":[" HI_ "]" AUTO, "");
}

#define MARKED(text) "{\"type\":\"text\",\"text\":\"" text "\"," MARK "}"

Test(anthropic_encode, cache_marks_are_kept_up_to_the_last_four)
{
    decode(SPAN("{\"system\":[" MARKED("s") "],\"tools\":[" TOOL(
        "t") "," MARK
             "}],\"messages\":[" USER(MARKED("a") "," MARKED("b")) "," ASSISTANT(
                 MARKED("c")) "," USER(MARKED("d")) "],\"max_tokens\":100}"));
    expect("six",
           HEAD "\"system\":[" TEXT("s") "],\"tools\":[" TOOL("t") "}],\"messages\":[" USER(
               MARKED("a") "," MARKED(
                   "b")) "," ASSISTANT(MARKED("c")) "," USER(MARKED("d")) "],\"max_tokens\":100}",
           "cache_control");
    decode(SPAN("{\"messages\":[" HI "," ASSISTANT(CALL("x")) "," USER(
        OPEN "\"content\":[" MARKED("r") "]}") "],\"max_tokens\":100}"));
    expect("inner",
           HEAD "\"messages\":[" HI_ "," ASSISTANT(CALL("x")) "," USER(
               OPEN "\"content\":\"r\"," MARK "}") "],\"max_tokens\":100}",
           "");
}

Test(anthropic_encode, without_marks_the_static_start_is_marked)
{
    target.capabilities &= ~BIT(AUTO_CACHE);
    decode(SPAN("{\"system\":\"a\",\"tools\":[" TOOL("t") "}," TOOL("u") "}]," MESSAGES
                                                                         ",\"max_tokens\":100}"));
    expect("static",
           HEAD "\"system\":[" MARKED("a") "],\"tools\":[" TOOL("t") "}," TOOL(
               "u") "," MARK "}],\"messages\":[" HI_ "]" TAIL,
           "");
    decode(SPAN("{" MESSAGES ",\"max_tokens\":100}"));
    expect("nothing to mark", HEAD "\"messages\":[" HI_ "]" TAIL, "");
}

/* ---- tools ---- */

static const struct row tool_rows[] = {
    {"[{\"name\":\"f\",\"description\":\"d\",\"input_schema\":{\"type\":\"object\", \"x\":1.0},"
     "\"strict\":true}]",
     "\"tools\":[{\"name\":\"f\",\"description\":\"d\",\"input_schema\":{\"type\":\"object\", "
     "\"x\":1.0},\"strict\":true}],",
     ""},
    {"[{\"name\":\"a.b\",\"strict\":false}]", "\"tools\":[" TOOL("a.b") "}],", ""},
    {"[{\"name\":\"f\",\"input_schema\":{ \"required\":[]}}]",
     "\"tools\":[{\"name\":\"f\",\"input_schema\":{\"type\":\"object\", \"required\":[]}}],", ""},
    {"[{\"name\":\"f\",\"input_schema\":{ }},{\"name\":\"g\",\"defer_loading\":true}]",
     "\"tools\":[" TOOL("f") "}],", ""},
    {"[{\"type\":\"web_search_20250305\",\"name\":\"web_search\"}]", "",
     "tools[].web_search_20250305"},
};

Test(anthropic_encode, tools_are_declared)
{
    CHECK_ROWS(tool_rows, "{" MESSAGES ",\"max_tokens\":100,\"tools\":", "}", HEAD,
               "\"messages\":[" HI_ "]" AUTO);
}

static const struct row choice_rows[] = {
    {"{\"type\":\"auto\"}", ",\"tool_choice\":{\"type\":\"auto\"}", ""},
    {"{\"type\":\"none\"}", ",\"tool_choice\":{\"type\":\"none\"}", ""},
    {"{\"type\":\"any\",\"disable_parallel_tool_use\":true}",
     ",\"tool_choice\":{\"type\":\"any\",\"disable_parallel_tool_use\":true}", ""},
    {"{\"type\":\"tool\",\"name\":\"f\"}", ",\"tool_choice\":{\"type\":\"tool\",\"name\":\"f\"}",
     ""},
    {"{\"type\":\"tool\",\"name\":\"g\"}", "", "tool_choice"},
    {"null", "", ""},
};

Test(anthropic_encode, tool_choices)
{
    CHECK_ROWS(choice_rows,
               "{" MESSAGES ",\"max_tokens\":100,\"tools\":[" TOOL("f") "}],\"tool_choice\":", "}",
               HEAD "\"tools\":[" TOOL("f") "}],\"messages\":[" HI_ "],\"max_tokens\":100",
               "," MARK "}");
    request.parallel_calls = (struct json){"false", 5, JSON_FALSE};
    expect("parallel",
           HEAD "\"tools\":[" TOOL(
               "f") "}],\"messages\":[" HI_ "],\"max_tokens\":100,"
                    "\"tool_choice\":{\"type\":\"auto\",\"disable_parallel_tool_use\":true}," MARK
                    "}",
           "");
    target.capabilities &= ~(BIT(TOOL_CHOICE) | BIT(PARALLEL_CALLS));
    request.tool_choice = IR_CHOICE_REQUIRED;
    expect("not taken", HEAD "\"tools\":[" TOOL("f") "}],\"messages\":[" HI_ "]" AUTO,
           "tool_choice, parallel_tool_calls");
    decode(SPAN("{" MESSAGES ",\"max_tokens\":100,\"tool_choice\":{\"type\":\"auto\"}}"));
    expect("no tools", HEAD "\"messages\":[" HI_ "]" AUTO, "");
}

/* ---- the rest ---- */

static const struct row rest_rows[] = {
    {"\"temperature\":0.30,\"top_p\":1.0,\"top_k\":5", ",\"temperature\":0.30,\"top_k\":5",
     "top_p"},
    {"\"temperature\":1.7", ",\"temperature\":1", "temperature"},
    {"\"stop_sequences\":[\"a\",\" \",\"\\n\\n\",\"b\"]", ",\"stop_sequences\":[\"a\",\"b\"]",
     "stop"},
    {"\"thinking\":{\"type\":\"disabled\"}", ",\"thinking\":{\"type\":\"disabled\"}", ""},
    {"\"output_format\":{\"type\":\"json_schema\",\"schema\":{\"a\":1}}",
     ",\"output_config\":{\"format\":{\"type\":\"json_schema\",\"schema\":{\"a\":1}}}", ""},
    {"\"thinking\":{\"type\":\"adaptive\"}", "", "reasoning_effort"}, /* too few tokens */
};

Test(anthropic_encode, members_behind_the_messages)
{
    CHECK_ROWS(rest_rows, "{" MESSAGES ",\"max_tokens\":100,", "}",
               HEAD "\"messages\":[" HI_ "],\"max_tokens\":100", "," MARK "}");
    decode(
        SPAN("{" MESSAGES ",\"max_tokens\":100,\"metadata\":{\"user_id\":\"u\"},\"stream\":true}"));
    expect("end",
           HEAD "\"messages\":[" HI_ "],\"max_tokens\":100," MARK
                ",\"metadata\":{\"user_id\":\"u\"},\"stream\":true}",
           "");
}

#define ASKS_FOR_JSON "\"system\":\"Answer with one JSON object and nothing else.\","

Test(anthropic_encode, what_the_target_or_the_dialect_does_not_take_is_lost)
{
    decode(SPAN("{" MESSAGES ",\"max_tokens\":100,\"temperature\":1.5,\"top_p\":1,\"top_k\":3,"
                "\"stop_sequences\":[\"a\"],\"output_format\":{\"type\":\"json_schema\","
                "\"schema\":{}}}"));
    request.seed = request.frequency_penalty = request.presence_penalty = request.top_k;
    request.cache_key = IR_TEXT_LITERAL("k");
    target.capabilities &= ~(BIT(SAMPLING) | BIT(STOP) | BIT(OUTPUT_FORMAT));
    expect("much",
           HEAD ASKS_FOR_JSON "\"messages\":[" HI_ "],\"max_tokens\":100,\"top_k\":3," MARK "}",
           "response_format, stop, temperature, top_p, seed, frequency_penalty, presence_penalty, "
           "prompt_cache_key");
    decode(SPAN("{" MESSAGES ",\"max_tokens\":100}"));
    request.format = IR_FORMAT_JSON;
    request.stop = (struct json){"\"a\"", 3, JSON_STRING};
    target.capabilities |= BIT(STOP);
    expect("json",
           HEAD ASKS_FOR_JSON "\"messages\":[" HI_
                              "],\"max_tokens\":100,\"stop_sequences\":[\"a\"]," MARK "}",
           "response_format");
}

static const struct {
    const char *asked;
    int64_t most;
    const char *wanted, *lost; /* wanted NULL: refused */
} max_rows[] = {
    {"7", 0, "7", ""},           {"1e3", 0, "1000", ""},
    {"900000", 0, "900000", ""}, {"9000", 4096, "4096", "max_tokens"},
    {"4096", 4096, "4096", ""},  {NULL, 0, "8192", ""},
    {NULL, 4096, "4096", ""},    {NULL, 128000, "32000", ""},
    {"0", 0, NULL, ""},          {"1.5", 0, NULL, ""},
};

Test(anthropic_encode, max_tokens_is_always_sent)
{
    for (size_t i = 0; i < sizeof(max_rows) / sizeof(max_rows[0]); i++) {
        struct bytes wanted = {.max = 1000};
        decode(SPAN("{" MESSAGES "}"));
        if (max_rows[i].asked)
            request.max_tokens =
                (struct json){max_rows[i].asked, strlen(max_rows[i].asked), JSON_NUMBER};
        target.max_output = max_rows[i].most;
        (void)bytes_addf(&wanted, HEAD "\"messages\":[" HI_ "],\"max_tokens\":%s," MARK "}",
                         max_rows[i].wanted ? max_rows[i].wanted : "");
        if (max_rows[i].wanted)
            expect("max_tokens", wanted.data, max_rows[i].lost);
        else
            cr_expect_eq(encode(), -ERR_INVALID_REQUEST);
        bytes_release(&wanted);
    }
}

/* ---- thinking ---- */

static const struct {
    struct ir_wish wish;
    bool is_adaptive;
    int max_tokens;
    const char *wanted, *lost;
} wish_rows[] = {
    {{.budget = 2000},
     false,
     9000,
     ",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2000}",
     ""},
    {{.budget = 10},
     false,
     9000,
     ",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1024}",
     ""},
    {{.budget = 32000},
     false,
     32000,
     ",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":24000}",
     ""},
    {{.budget = 31999},
     false,
     32000,
     ",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":31999}",
     ""},
    {{.budget = 2000},
     false,
     1025,
     ",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1024}",
     ""},
    {{.budget = 2000}, false, 1024, "", "reasoning_effort"},
    {{.effort = IR_EFFORT_HIGH},
     false,
     8192,
     ",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":6144}",
     ""},
    {{.effort = IR_EFFORT_HIGH},
     true,
     100,
     ",\"thinking\":{\"type\":\"adaptive\"},\"output_config\":{\"effort\":\"high\"}",
     ""},
    {{.effort = IR_EFFORT_MINIMAL},
     true,
     100,
     ",\"thinking\":{\"type\":\"adaptive\"},\"output_config\":{\"effort\":\"low\"}",
     ""},
    {{.effort = IR_EFFORT_XHIGH},
     true,
     100,
     ",\"thinking\":{\"type\":\"adaptive\"},\"output_config\":{\"effort\":\"max\"}",
     ""},
    {{.is_adaptive = true}, true, 100, ",\"thinking\":{\"type\":\"adaptive\"}", ""},
    {{.effort = IR_EFFORT_NONE}, true, 100, ",\"thinking\":{\"type\":\"disabled\"}", ""},
    {{0}, true, 100, "", ""},
};

Test(anthropic_encode, wishes_become_thinking)
{
    for (size_t i = 0; i < sizeof(wish_rows) / sizeof(wish_rows[0]); i++) {
        struct bytes wanted = {.max = 1000};
        char max_tokens[20];
        int n = snprintf(max_tokens, sizeof(max_tokens), "%d", wish_rows[i].max_tokens);
        decode(SPAN("{" MESSAGES "}"));
        request.max_tokens = (struct json){max_tokens, (size_t)n, JSON_NUMBER};
        request.wish = wish_rows[i].wish;
        target.capabilities &= ~BIT(ADAPTIVE_THINKING);
        target.capabilities |= wish_rows[i].is_adaptive ? BIT(ADAPTIVE_THINKING) : 0;
        (void)bytes_addf(&wanted, HEAD "\"messages\":[" HI_ "],\"max_tokens\":%s%s," MARK "}",
                         max_tokens, wish_rows[i].wanted);
        expect("wish", wanted.data, wish_rows[i].lost);
        bytes_release(&wanted);
    }
}

#define THINK "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2000},\"max_tokens\":9000"

/* Whether thinking stays on, and what is lost. */
static const struct row think_rows[] = {
    {"\"messages\":[" HI "],\"temperature\":1,\"top_p\":1,\"top_k\":1", "on",
     "temperature, top_p, top_k"},
    {"\"messages\":[" HI "],\"tools\":[" TOOL("f") "}],\"tool_choice\":{\"type\":\"any\"},"
                                                   "\"temperature\":1",
     "off", "reasoning_effort"},
    {"\"messages\":[" HI "],\"tools\":[" TOOL("f") "}],\"tool_choice\":{\"type\":\"auto\"}", "on",
     ""},
    /* a running loop of tools goes on thinking only where it began so */
    {"\"messages\":[" HI "," ASSISTANT(THINKING("S") "," CALL("x")) "," USER(RESULT("x")) "]", "on",
     ""},
    {"\"messages\":[" HI "," ASSISTANT(CALL("x")) "," USER(RESULT("x")) "]", "off",
     "reasoning_effort"},
    {"\"messages\":[" HI "," ASSISTANT(OWN "," CALL("x")) "," USER(RESULT("x")) "]", "off",
     "messages[].reasoning, reasoning_effort"},
    {"\"messages\":[" HI
     "," ASSISTANT(TEXT("a") "," THINKING("S") "," CALL("x")) "," USER(RESULT("x")) "]",
     "off", "reasoning_effort"},
    {"\"messages\":[" HI
     "," ASSISTANT(CALL("x")) "," USER(RESULT("x")) "," ASSISTANT(TEXT("a")) "," HI "]",
     "on", ""},
    {"\"messages\":[" HI "," ASSISTANT(TEXT("a")) "]", "off", "reasoning_effort"},
};

Test(anthropic_encode, thinking_is_left_out_where_it_would_be_refused)
{
    for (size_t i = 0; i < sizeof(think_rows) / sizeof(think_rows[0]); i++) {
        struct bytes body = {.max = 1 << 16};
        (void)bytes_addf(&body, "{" THINK ",%s}", think_rows[i].json);
        decode(bytes_span(&body));
        cr_expect_eq(encode(), 0);
        bool is_on = strstr(text.data, ",\"thinking\":{\"type\":\"enabled\"") != NULL;
        cr_expect_eq(is_on, !strcmp(think_rows[i].wanted, "on"), "%s", think_rows[i].json);
        cr_expect_str_eq(is_lost(), think_rows[i].lost, "%s: %s", think_rows[i].json, is_lost());
        bytes_release(&body);
    }
}

/* ---- law 2, time and limits ---- */

/* Turn by turn: a question, an answer with reasoning, text and two calls, their results. */
static void add_turn(struct bytes *body, int turn)
{
    (void)bytes_addf(
        body,
        "%s{\"role\":\"user\",\"content\":\"question %d\"},"
        "{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":"
        "\"t\",\"signature\":\"%s\"},{\"type\":\"text\",\"text\":\"look \"},"
        "{\"type\":\"tool_use\",\"id\":\"a.%d\",\"name\":\"f\",\"input\":{\"n\":%d.0}},"
        "{\"type\":\"tool_use\",\"id\":\"b%d\",\"name\":\"g\",\"input\":{}}]},"
        "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":"
        "\"b%d\",\"content\":\"\\u00e9\"},{\"type\":\"tool_result\",\"tool_use_id\":"
        "\"a.%d\",\"content\":\"\"}]},"
        "{\"role\":\"assistant\",\"content\":\"done \"}",
        turn ? "," : "", turn, turn % 3 ? "S" : ANTHROPIC_OWN_SIGNATURE, turn, turn, turn, turn,
        turn);
}

static void encode_turns(int turns)
{
    struct bytes body = {.max = 64 << 20};
    (void)bytes_addf(&body, "{\"system\":\"be\",\"tools\":[" TOOL("f") "}],\"messages\":[");
    for (int i = 0; i < turns; i++)
        add_turn(&body, i);
    (void)bytes_addf(&body, ",{\"role\":\"user\",\"content\":\"question %d\"}]," THINK "}", turns);
    decode(bytes_span(&body));
    cr_assert_eq(encode(), 0);
    bytes_release(&body);
}

Test(anthropic_encode, a_conversation_of_forty_turns_keeps_its_beginning)
{
    for (unsigned is_auto = 0; is_auto < 2; is_auto++) {
        target.capabilities ^= BIT(AUTO_CACHE);
        const char *before = NULL;
        size_t shared = 0;
        for (int turn = 1; turn <= 40; turn++) {
            encode_turns(turn);
            if (before)
                cr_assert_eq(memcmp(before, text.data, shared), 0, "turn %d", turn);
            before = arena_copy(&arena, bytes_span(&text));
            const char *end = strstr(text.data, "]}],\"max_tokens\"");
            cr_assert_not_null(end);
            shared = (size_t)(end - text.data);
        }
    }
}

Test(anthropic_encode, thousands_of_calls_in_one_turn_take_no_time)
{
    struct bytes body = {.max = 64 << 20};
    (void)bytes_addf(&body, "{\"messages\":[" HI ",{\"role\":\"assistant\",\"content\":[");
    for (int i = 0; i < 30000; i++)
        (void)bytes_addf(&body,
                         "%s{\"type\":\"tool_use\",\"id\":\"c%d\",\"name\":\"f\",\"input\":{}}",
                         i ? "," : "", i);
    (void)bytes_addf(&body, "]},{\"role\":\"user\",\"content\":[");
    for (int i = 30000; i-- > 0;)
        (void)bytes_addf(&body, "{\"type\":\"tool_result\",\"tool_use_id\":\"c%d\"}%s", i,
                         i ? "," : "]}]}");
    decode(bytes_span(&body));
    cr_expect_eq(encode(), 0);
    cr_expect_str_eq(is_lost(), "");
    bytes_release(&body);
}

Test(anthropic_encode, what_does_not_fit_is_too_large)
{
    decode(SPAN("{" MESSAGES "}"));
    struct bytes small = {.max = 60};
    cr_expect_eq(anthropic_encode_request(&request, &target, &arena, NULL, &small, &err),
                 -ERR_TOO_LARGE);
    bytes_release(&small);
    struct arena full;
    arena_init(&full, 10);
    bytes_clear(&text);
    cr_expect_eq(anthropic_encode_request(&request, &target, &full, NULL, &text, &err),
                 -ERR_TOO_LARGE);
    arena_release(&full);
}
