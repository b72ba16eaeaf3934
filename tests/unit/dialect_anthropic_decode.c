/* A Messages request read: each row is a body and the neutral request it means, written out short. */
#include "dialect/anthropic.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct arena arena;
static struct ir_request request;
static struct ir_losses losses;
static struct err err;
static struct bytes text;

static void setup(void)
{
    arena_init(&arena, 64 << 20);
    text.max = 1 << 20;
}

static void cleanup(void)
{
    arena_release(&arena);
    bytes_release(&text);
}

TestSuite(anthropic_decode, .init = setup, .fini = cleanup);

/* ---- a neutral request, written out ---- */

static void add(const char *name, struct span value)
{
    if (value.at)
        (void)bytes_addf(&text, " %s=" SPAN_FMT, name, SPAN_ARG(value));
}

static void add_json(const char *name, struct json value)
{
    if (value.type != JSON_ABSENT)
        add(name, json_span(value));
}

static void add_flag(const char *name, bool is_set)
{
    if (is_set)
        (void)bytes_addf(&text, " %s", name);
}

static void add_blocks(const struct ir_block *blocks)
{
    static const char *const kinds[] = {"text",     "reasoning", "call",      "result", "image",
                                        "document", "refusal",   "reference", "foreign"};
    for (const struct ir_block *block = blocks; block; block = block->next) {
        (void)bytes_addf(&text, "(%s", kinds[block->kind]);
        add("text", block->text.escaped);
        add("id", block->id.escaped);
        add("name", block->name.escaped);
        add_json("args", block->arguments);
        add("type", block->media_type.escaped);
        add("data", block->data.escaped);
        add("url", block->url.escaped);
        add("sign", block->signature.escaped);
        add_flag("redacted", block->is_redacted);
        add_flag("error", block->is_error);
        add_json("mark", block->cache_mark);
        if (block->content) {
            (void)bytes_addf(&text, " ");
            add_blocks(block->content);
        }
        (void)bytes_addf(&text, ")");
    }
}

static void add_tools(void)
{
    for (const struct ir_tool *tool = request.tools; tool; tool = tool->next) {
        (void)bytes_addf(&text, " {tool");
        add("name", tool->name.escaped);
        add("about", tool->description.escaped);
        add_json("schema", tool->schema);
        add_json("strict", tool->strict);
        add_json("mark", tool->cache_mark);
        add_flag("server", tool->is_server);
        add_flag("deferred", tool->is_deferred);
        (void)bytes_addf(&text, "}");
    }
}

static void add_wish(void)
{
    if (request.wish.effort != IR_EFFORT_UNSET)
        add("effort", span_of(ir_effort_name(request.wish.effort)));
    if (request.wish.budget)
        (void)bytes_addf(&text, " budget=%d", (int)request.wish.budget);
    add_flag("adaptive", request.wish.is_adaptive);
}

static const char *written_out(void)
{
    static const char *const roles[] = {"system", "user", "assistant"};
    static const char *const choices[] = {NULL, "auto", "none", "required", "tool"};
    bytes_clear(&text);
    for (const struct ir_message *m = request.messages; m; m = m->next) {
        (void)bytes_addf(&text, "%s%s", text.len ? " " : "", roles[m->role]);
        add_blocks(m->blocks);
    }
    add_tools();
    add("choice", span_of(choices[request.tool_choice]));
    add("chosen", request.chosen_tool.escaped);
    add_json("parallel", request.parallel_calls);
    add_json("max", request.max_tokens);
    add_json("temperature", request.temperature);
    add_json("top_p", request.top_p);
    add_json("top_k", request.top_k);
    add_json("stop", request.stop);
    add_wish();
    add_flag("json_schema", request.format == IR_FORMAT_SCHEMA);
    add_json("schema", request.format_schema);
    add("user", request.user.escaped);
    add_flag("stream", request.stream);
    struct bytes lost = {.max = 2000};
    (void)ir_losses_write(&losses, &lost);
    if (lost.len)
        (void)bytes_addf(&text, " | %s", lost.data);
    bytes_release(&lost);
    return text.len ? text.data : "";
}

static int decode(struct span body)
{
    losses = (struct ir_losses){0};
    err = (struct err){0};
    return anthropic_decode_request(body, &arena, &request, &losses, &err);
}

static void check(const char *body, const char *wanted)
{
    cr_expect_eq(decode(span_of(body)), 0, "%s: %s", body, err.detail);
    const char *is = written_out();
    cr_expect_str_eq(is, wanted, "\n%s\nis    %s\nshall %s", body, is, wanted);
}

struct row {
    const char *json, *wanted;
};

/* Every row's JSON between `before` and `behind`. */
static void check_rows(const struct row *rows, size_t count, const char *before, const char *behind)
{
    for (size_t i = 0; i < count; i++) {
        struct bytes body = {.max = 1 << 16};
        (void)bytes_addf(&body, "%s%s%s", before, rows[i].json, behind);
        check(body.data, rows[i].wanted);
        bytes_release(&body);
    }
}

#define CHECK_ROWS(rows, before, behind)                                                           \
    check_rows((rows), sizeof(rows) / sizeof((rows)[0]), (before), (behind))

/* ---- messages ---- */

static const struct row message_rows[] = {
    {"{\"role\":\"user\",\"content\":\"hi\\n\"}", "user(text text=hi\\n)"},
    {"{\"content\":[{\"text\":\"a\",\"type\":\"text\"},{\"type\":\"text\",\"text\":\"\"}],"
     "\"role\":\"user\"},{\"role\":\"assistant\",\"content\":\"b\"}",
     "user(text text=a)(text text=) assistant(text text=b)"},
    {"{\"role\":\"user\",\"content\":[]}", "user"},
    {"{\"role\":\"system\",\"content\":\"env\"}", "system(text text=env)"},
    {"{\"role\":\"system\",\"content\":[{\"type\":\"text\",\"text\":\"env\",\"cache_control\":"
     "{\"type\":\"ephemeral\",\"ttl\":\"1h\"}}]}",
     "system(text text=env mark={\"type\":\"ephemeral\",\"ttl\":\"1h\"})"},
    {"{\"role\":\"user\",\"content\":\"a\",\"id\":\"m1\",\"name\":null}",
     "user(text text=a) | messages[].id"},
};

Test(anthropic_decode, messages_keep_their_roles_and_order)
{
    CHECK_ROWS(message_rows, "{\"model\":\"m\",\"messages\":[", "]}");
}

#define MARK "\"cache_control\":{\"type\":\"ephemeral\"}"

static const struct row user_rows[] = {
    {"{\"type\":\"text\",\"text\":\"a\",\"citations\":null,\"cache_control\":null}",
     "user(text text=a)"},
    {"{\"type\":\"text\",\"text\":\"a\",\"citations\":[{\"type\":\"page_location\"}],\"x\":1}",
     "user(text text=a) | messages[].content[].x, messages[].content[].citations"},
    {"{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":\"image/png\","
     "\"data\":\"QUJD\"}," MARK "}",
     "user(image type=image/png data=QUJD mark={\"type\":\"ephemeral\"})"},
    {"{\"type\":\"image\",\"source\":{\"type\":\"url\",\"url\":\"https://x.example/a.png\"}}",
     "user(image url=https://x.example/a.png)"},
    {"{\"type\":\"image\",\"source\":{\"type\":\"file\",\"file_id\":\"f1\"}}",
     "user(foreign name=image)"},
    {"{\"type\":\"document\",\"source\":{\"type\":\"base64\",\"media_type\":\"application/pdf\","
     "\"data\":\"JVBE\"},\"title\":\"T\",\"context\":\"c\",\"citations\":{\"enabled\":true}}",
     "user(document name=T type=application/pdf data=JVBE) | messages[].content[].context, "
     "messages[].content[].citations"},
    {"{\"type\":\"document\",\"source\":{\"type\":\"text\",\"media_type\":\"text/plain\","
     "\"data\":\"abc\"},\"citations\":{\"enabled\":false}}",
     "user(document text=abc type=text/plain)"},
    {"{\"type\":\"document\",\"source\":{\"type\":\"url\",\"url\":\"https://x.example/a.pdf\"}}",
     "user(document url=https://x.example/a.pdf)"},
    {"{\"type\":\"document\",\"source\":{\"type\":\"content\",\"content\":\"abc\"}}",
     "user(document text=abc)"},
    {"{\"type\":\"document\",\"source\":{\"type\":\"content\",\"content\":[{\"type\":\"text\","
     "\"text\":\"a\"},{\"type\":\"image\",\"source\":{\"type\":\"url\",\"url\":\"u\"}},"
     "{\"type\":\"text\",\"text\":\"b\"}]}},{\"type\":\"text\",\"text\":\"c\"}",
     "user(document text=a\\nb)(image url=u)(text text=c)"},
    {"{\"type\":\"document\",\"source\":{\"type\":\"file\",\"file_id\":\"f1\"},\"title\":\"t\"}",
     "user(foreign name=document)"},
    {"{\"type\":\"search_result\",\"source\":\"https://x.example\",\"title\":\"T\",\"content\":["
     "{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"}]}",
     "user(text text=T\\nhttps://x.example\\na\\nb)"},
    {"{\"type\":\"tool_result\",\"tool_use_id\":\"c1\",\"content\":\"done\",\"is_error\":false}",
     "user(result id=c1 (text text=done))"},
    {"{\"type\":\"tool_result\",\"tool_use_id\":\"c1\",\"is_error\":true," MARK "}",
     "user(result id=c1 error mark={\"type\":\"ephemeral\"})"},
    {"{\"type\":\"tool_result\",\"tool_use_id\":\"c1\",\"content\":null}", "user(result id=c1)"},
    {"{\"type\":\"tool_result\",\"tool_use_id\":\"c1\",\"content\":[{\"type\":\"text\",\"text\":"
     "\"a\"},{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":\"image/png\","
     "\"data\":\"QQ==\"}},{\"type\":\"tool_reference\",\"tool_name\":\"WebSearch\"},"
     "{\"type\":\"document\",\"source\":{\"type\":\"content\",\"content\":[{\"type\":\"text\","
     "\"text\":\"d\"}]}},{\"type\":\"new\"}]}",
     "user(result id=c1 (text text=a)(image type=image/png data=QQ==)(reference name=WebSearch)"
     "(document text=d)(foreign name=new))"},
    {"{\"type\":\"container_upload\",\"file_id\":\"f\"}", "user(foreign name=container_upload)"},
};

Test(anthropic_decode, blocks_of_users)
{
    CHECK_ROWS(user_rows, "{\"messages\":[{\"role\":\"user\",\"content\":[", "]}]}");
}

static const struct row assistant_rows[] = {
    {"{\"type\":\"thinking\",\"thinking\":\"hm\",\"signature\":\"S/=\"},{\"type\":\"text\","
     "\"text\":\"a\"},{\"type\":\"tool_use\",\"id\":\"c1\",\"name\":\"f\",\"input\":{\"n\":1.0 }}",
     "assistant(reasoning text=hm sign=S/=)(text text=a)(call id=c1 name=f args={\"n\":1.0 })"},
    {"{\"type\":\"thinking\",\"thinking\":\"\"}", "assistant(reasoning text=)"},
    {"{\"type\":\"redacted_thinking\",\"data\":\"D\"}", "assistant(reasoning sign=D redacted)"},
    {"{\"type\":\"tool_use\",\"id\":\"c1\",\"name\":\"f\",\"input\":{}," MARK "}",
     "assistant(call id=c1 name=f args={} mark={\"type\":\"ephemeral\"})"},
    {"{\"type\":\"tool_use\",\"id\":\"c1\",\"name\":\"f\",\"input\":null}",
     "assistant(call id=c1 name=f)"},
    {"{\"type\":\"server_tool_use\",\"id\":\"s\",\"name\":\"web_search\",\"input\":{}},"
     "{\"type\":\"web_search_tool_result\",\"tool_use_id\":\"s\",\"content\":[]}",
     "assistant(foreign name=server_tool_use)(foreign name=web_search_tool_result)"},
    {"{\"type\":\"image\",\"source\":{}}", "assistant(foreign name=image)"},
};

Test(anthropic_decode, blocks_of_assistants)
{
    CHECK_ROWS(assistant_rows, "{\"messages\":[{\"role\":\"assistant\",\"content\":[", "]}]}");
}

/* ---- the top level ---- */

static const struct row top_rows[] = {
    {"\"system\":\"be\"", "system(text text=be)"},
    {"\"system\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"," MARK "}]",
     "system(text text=a)(text text=b mark={\"type\":\"ephemeral\"})"},
    {"\"system\":null,\"stream\":true,\"max_tokens\":1e3,\"temperature\":1.0,\"top_p\":0.9,"
     "\"top_k\":4",
     " max=1e3 temperature=1.0 top_p=0.9 top_k=4 stream"},
    {"\"stop_sequences\":[\"a\",\"\\n\"]", " stop=[\"a\",\"\\n\"]"},
    {"\"stop_sequences\":[]", ""},
    {"\"metadata\":{\"user_id\":\"u\",\"x\":1}", " user=u | metadata.x"},
    {"\"metadata\":{\"user_id\":null}", ""},
    {"\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2048}", " budget=2048"},
    {"\"thinking\":{\"type\":\"enabled\"}", " adaptive"},
    {"\"thinking\":{\"type\":\"adaptive\",\"display\":\"omitted\"},\"output_config\":{\"effort\":"
     "\"xhigh\"}",
     " effort=xhigh adaptive | thinking.display"},
    {"\"output_config\":{\"effort\":\"low\"},\"thinking\":{\"type\":\"disabled\"}",
     " effort=none | output_config.effort"},
    {"\"output_config\":{\"effort\":\"gentle\",\"task_budget\":{}}",
     " | output_config.task_budget, output_config.effort"},
    {"\"output_config\":{\"format\":{\"type\":\"json_schema\",\"schema\":{\"type\":\"object\"}}}",
     " json_schema schema={\"type\":\"object\"}"},
    {"\"output_format\":{\"type\":\"json_schema\",\"schema\":{}}", " json_schema schema={}"},
    {"\"output_format\":{\"type\":\"regex\"}", " | output_format"},
    {"\"context_management\":{\"edits\":[]},\"service_tier\":\"auto\",\"container\":null,"
     "\"mcp_servers\":[],\"cache_control\":{}",
     " | context_management, service_tier, mcp_servers, cache_control"},
};

Test(anthropic_decode, members_of_the_top_level)
{
    CHECK_ROWS(top_rows, "{\"model\":\"m\",\"messages\":[],", "}");
    cr_expect(request.wants_usage);
}

static const struct row tool_rows[] = {
    {"\"tools\":[]", ""},
    {"\"tools\":[{\"name\":\"f\"}]", " {tool name=f}"},
    {"\"tools\":[{\"type\":\"custom\",\"name\":\"f\",\"description\":\"d\",\"input_schema\":"
     "{\"type\":\"object\"},\"strict\":true,\"defer_loading\":true,\"eager_input_streaming\":true,"
     "\"input_examples\":[]," MARK "}]",
     " {tool name=f about=d schema={\"type\":\"object\"} strict=true mark={\"type\":\"ephemeral\"}"
     " deferred} | tools[].eager_input_streaming, tools[].input_examples"},
    {"\"tools\":[{\"type\":\"web_search_20250305\",\"name\":\"web_search\",\"max_uses\":8}],"
     "\"tool_choice\":{\"type\":\"tool\",\"name\":\"web_search\"}",
     " {tool name=web_search_20250305 server} choice=tool chosen=web_search_20250305"},
    {"\"tools\":[{\"type\":\"x_1\",\"name\":\"f\"},{\"name\":\"f\"}],\"tool_choice\":{\"type\":"
     "\"tool\",\"name\":\"f\"}",
     " {tool name=x_1 server} {tool name=f} choice=tool chosen=f"},
    {"\"tool_choice\":{\"type\":\"auto\"}", " choice=auto"},
    {"\"tool_choice\":{\"type\":\"any\",\"disable_parallel_tool_use\":true}",
     " choice=required parallel=false"},
    {"\"tool_choice\":{\"type\":\"none\",\"disable_parallel_tool_use\":false,\"x\":1}",
     " choice=none | tool_choice.x"},
};

Test(anthropic_decode, tools_and_their_choice)
{
    CHECK_ROWS(tool_rows, "{\"model\":\"m\",\"messages\":[],", "}");
}

/* ---- what is wrong ---- */

static const struct row wrong_rows[] = {
    {"[]", "the request must be an object"},
    {"{\"messages\":[],}", "column"},
    {"{}", "messages must be an array"},
    {"{\"messages\":\"a\"}", "messages must be an array"},
    {"{\"messages\":[7]}", "messages[0] must be an object"},
    {"{\"messages\":[{\"role\":\"user\"}]}", "messages[0].content must be a string or an array"},
    {"{\"messages\":[{\"role\":\"user\",\"content\":\"\"},{\"role\":\"tool\"}]}",
     "messages[1].role must be"},
    {"{\"messages\":[{\"role\":\"user\",\"content\":[\"a\"]}]}",
     "messages[0].content[0] must be an object"},
    {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"\"},"
     "{\"type\":\"text\",\"text\":7}]}]}",
     "messages[0].content[1].text must be a string"},
    {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"a\"}]}]}",
     "messages[0].content[0].type must be a string"},
    {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":"
     "\"c\",\"content\":[{\"type\":\"image\",\"source\":{\"type\":\"base64\"}}]}]}]}",
     "messages[0].content[0].content[0].source.media_type must be a string"},
    {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":"
     "\"c\",\"content\":[{\"type\":\"tool_result\"}]}]}]}",
     "messages[0].content[0].content[0].type is of a block that cannot stand here"},
    {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":"
     "\"c\",\"content\":[{\"type\":\"document\",\"source\":{\"type\":\"content\",\"content\":["
     "{\"type\":\"text\"}]}}]}]}]}",
     "messages[0].content[0].content[0].source.content[0].text must be a string"},
    {"{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"tool_use\"}]}]}",
     "messages[0].content[0].type is of a block"},
    {"{\"messages\":[{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"c\","
     "\"name\":\"f\",\"input\":\"{}\"}]}]}",
     "messages[0].content[0].input must be an object"},
    {"{\"system\":7,\"messages\":[]}", "system must be a string or an array"},
    {"{\"system\":[{\"type\":\"text\"}],\"messages\":[]}", "system[0].text must be a string"},
    {"{\"messages\":[],\"max_tokens\":\"7\"}", "max_tokens must be a whole number above 0"},
    {"{\"messages\":[],\"stop_sequences\":[1]}", "stop_sequences[0] must be a string"},
    {"{\"messages\":[],\"tools\":[{\"name\":\"a\"},{}]}", "tools[1].name must be a string"},
    {"{\"messages\":[],\"tools\":[{\"name\":\"a\",\"input_schema\":[]}]}",
     "tools[0].input_schema must be an object"},
    {"{\"messages\":[],\"tool_choice\":{\"type\":\"some\"}}", "tool_choice.type must be"},
    {"{\"messages\":[],\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":\"x\"}}",
     "thinking.budget_tokens must be a number"},
};

Test(anthropic_decode, what_is_wrong_is_refused_with_its_place)
{
    for (size_t i = 0; i < sizeof(wrong_rows) / sizeof(wrong_rows[0]); i++) {
        cr_expect_eq(decode(span_of(wrong_rows[i].json)), -ERR_INVALID_REQUEST, "%s",
                     wrong_rows[i].json);
        cr_expect(strstr(err.detail, wrong_rows[i].wanted), "%s: %s", wrong_rows[i].json,
                  err.detail);
    }
}

Test(anthropic_decode, a_request_with_too_many_parts_is_too_large)
{
    struct bytes body = {.max = 1 << 20};
    (void)bytes_addf(&body, "{\"messages\":[");
    for (int i = 0; i < 2000; i++)
        (void)bytes_addf(&body, "%s{\"role\":\"user\",\"content\":\"a\"}", i ? "," : "");
    (void)bytes_addf(&body, "]}");
    arena_release(&arena);
    arena_init(&arena, 4096);
    cr_expect_eq(decode(bytes_span(&body)), -ERR_TOO_LARGE);
    cr_expect_str_eq(err.detail, "the request has too many parts");
    bytes_release(&body);
}
