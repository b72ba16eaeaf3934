/* Reasoning that the provider cannot read, cut out of a body that is passed on. */
#include "dialect/anthropic_strip.h"

#include <criterion/criterion.h>

#include "dialect/anthropic.h"

static struct arena arena;

static void setup(void)
{
    arena_init(&arena, 16 << 20);
}

static void cleanup(void)
{
    arena_release(&arena);
}

TestSuite(anthropic_strip, .init = setup, .fini = cleanup);

#define T(sign) "{\"type\":\"thinking\",\"thinking\":\"h\",\"signature\":\"" sign "\"}"
#define R(data) "{\"data\" : \"" data "\",\"type\":\"redacted_thinking\"}"
#define X(text) "{\"type\":\"text\",\"text\":\"" text "\"}"
#define A(list) "{\"role\":\"assistant\",\"content\":[" list "]}"
#define U       "{\"role\":\"user\",\"content\":\"hi\"}"

#define CALL     "{\"type\":\"tool_use\",\"id\":\"c\",\"name\":\"f\",\"input\":{}}"
#define RESULT   "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"c\"}]}"
#define ON       "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2000}"
#define ADAPTIVE "\"thinking\":{\"type\":\"adaptive\"}"

/* F is foreign, everything else is not. */
static const struct {
    const char *body, *wanted;
    unsigned count;
} rows[] = {
    {"{\"messages\":[" U "]}", "{\"messages\":[" U "]}", 0},
    {"{\"messages\":[" U "," A(T("S") "," X("a")) "]}",
     "{\"messages\":[" U "," A(T("S") "," X("a")) "]}", 0},
    {"{\"messages\":[" U "," A(T("F") "," X("a")) "]}", "{\"messages\":[" U "," A(X("a")) "]}", 1},
    {"{\"messages\":[" U "," A(" " T("F") " , " X("a") " ") "]}",
     "{\"messages\":[" U "," A(" " X("a") " ") "]}", 1},
    {"{\"messages\":[" U "," A(X("a") " , " T("F") " ") "]}",
     "{\"messages\":[" U "," A(X("a") " ") "]}", 1},
    {"{\"messages\":[" A(
         T("F") "," R("F") "," X("a") "," T("F") "," R("F") "," X("b") "," T("F")) "," U "]}",
     "{\"messages\":[" A(X("a") "," X("b")) "," U "]}", 5},
    {"{\"messages\":[" A(R("D") "," R("F") "," X("a")) "]}",
     "{\"messages\":[" A(R("D") "," X("a")) "]}", 1},
    {"{\"messages\":[" A(T(ANTHROPIC_OWN_SIGNATURE) "," X("a")) "]}",
     "{\"messages\":[" A(X("a")) "]}", 1},
    /* a message of nothing else goes as a whole, with its comma */
    {"{\"messages\":[" U ", " A(T("F")) " , " U "],\"n\":1}",
     "{\"messages\":[" U " , " U "],\"n\":1}", 1},
    {"{\"messages\":[" A(T("F")) "," A(R("F") "," T("F")) "," U "," A(T("F") "," X("a")) "]}",
     "{\"messages\":[" U "," A(X("a")) "]}", 4},
    {"{\"messages\":[" U "," A(T("F")) "]}", "{\"messages\":[" U "]}", 1},
    {"{\"messages\":[ " A(T("F")) " ]}", "{\"messages\":[  ]}", 1},
    /* a tool loop that lost its reasoning does not go on thinking */
    {"{" ON ",\"messages\":[" U "," A(T("F") "," CALL) "," RESULT "]}",
     "{\"thinking\":{\"type\":\"disabled\"},\"messages\":[" U "," A(CALL) "," RESULT "]}", 1},
    {"{" ON ",\"messages\":[" U "," A(T("F") "," CALL) "," RESULT "," A(T("S") "," CALL) "," RESULT
                                                                                         "]}",
     "{" ON ",\"messages\":[" U "," A(CALL) "," RESULT "," A(T("S") "," CALL) "," RESULT "]}", 1},
    {"{" ON ",\"messages\":[" U "," A(T("F") "," X("a")) "," U "]}",
     "{" ON ",\"messages\":[" U "," A(X("a")) "," U "]}", 1},
    {"{" ADAPTIVE ",\"messages\":[" U "," A(T("F") "," CALL) "," RESULT "]}",
     "{" ADAPTIVE ",\"messages\":[" U "," A(CALL) "," RESULT "]}", 1},
    /* not reasoning, not signed, not where messages stand, not well formed */
    {"{\"messages\":[" A("{\"type\":\"text\",\"text\":\"\",\"signature\":\"F\"}") "]}",
     "{\"messages\":[" A("{\"type\":\"text\",\"text\":\"\",\"signature\":\"F\"}") "]}", 0},
    {"{\"messages\":[" A(
         T("") ",{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":null}") "]}",
     "{\"messages\":[" A(
         T("") ",{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":null}") "]}",
     0},
    {"{\"x\":[" A(T("F")) "],\"messages\":\"\"}", "{\"x\":[" A(T("F")) "],\"messages\":\"\"}", 0},
    {"{\"messages\":[7,{\"content\":{\"signature\":\"F\"}},[" T("F") "]]}",
     "{\"messages\":[7,{\"content\":{\"signature\":\"F\"}},[" T("F") "]]}", 0},
    {"{\"signature\":", "{\"signature\":", 0},
    {"", "", 0},
};

static unsigned asked;

static bool is_foreign(void *ctx, struct ir_text signature)
{
    cr_expect_eq(ctx, &arena);
    asked++;
    return ir_text_equal(signature, IR_TEXT_LITERAL("F"));
}

static const char *stripped(struct span body, unsigned *ret_count)
{
    struct splices splices = {0};
    struct bytes out = {.max = 8 << 20};
    *ret_count = 77;
    cr_assert_eq(anthropic_strip_reasoning(body, is_foreign, &arena, &arena, &splices, ret_count),
                 0);
    cr_assert_eq(splices_apply(&splices, body, &out), 0);
    const char *copy = arena_copy(&arena, bytes_span(&out));
    bytes_release(&out);
    return copy;
}

Test(anthropic_strip, foreign_reasoning_goes_with_its_commas)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        unsigned count;
        const char *is = stripped(span_of(rows[i].body), &count);
        cr_expect_str_eq(is, rows[i].wanted, "\n%s\nis    %s\nshall %s", rows[i].body, is,
                         rows[i].wanted);
        cr_expect_eq(count, rows[i].count, "%s: %u", rows[i].body, count);
    }
}

Test(anthropic_strip, our_own_signature_is_not_asked_about)
{
    unsigned count;
    asked = 0;
    (void)stripped(SPAN("{\"messages\":[" A(T(ANTHROPIC_OWN_SIGNATURE)) "," A(T("S")) "]}"),
                   &count);
    cr_expect_eq(asked, 1u);
}

Test(anthropic_strip, it_stands_beside_other_edits)
{
    struct span body = SPAN("{\"messages\":[" A(T("F") "," X("a")) "],\"model\":\"m\"}");
    struct splices splices;
    struct bytes out = {.max = 1000};
    unsigned count;
    splices_init(&splices, &arena);
    cr_assert_eq(splices_add(&splices, body.len - 4, 3, SPAN("\"n\"")), 0);
    cr_assert_eq(splices_add(&splices, 1, 0, SPAN("\"x\":1,")), 0);
    cr_assert_eq(anthropic_strip_reasoning(body, is_foreign, &arena, &arena, &splices, &count), 0);
    cr_assert_eq(splices_apply(&splices, body, &out), 0);
    cr_expect_str_eq(out.data, "{\"x\":1,\"messages\":[" A(X("a")) "],\"model\":\"n\"}");
    bytes_release(&out);
}

Test(anthropic_strip, many_blocks_are_many_splices_as_long_as_they_fit)
{
    struct bytes body = {.max = 8 << 20};
    struct splices splices = {0};
    unsigned count;
    (void)bytes_addf(&body, "{\"messages\":[" U);
    for (int i = 0; i < 20000; i++)
        (void)bytes_addf(&body, "," A(T("F") "," X("a")));
    (void)bytes_addf(&body, "]}");
    const char *is = stripped(bytes_span(&body), &count);
    cr_expect_eq(count, 20000u);
    cr_expect_null(strstr(is, "thinking"));
    arena_release(&arena);
    arena_init(&arena, 10000);
    cr_expect_eq(
        anthropic_strip_reasoning(bytes_span(&body), is_foreign, &arena, &arena, &splices, &count),
        -ERR_TOO_LARGE);
    bytes_release(&body);
}
