/*
 * Writer under random orders of everything a decoder can do: the grammar holds, text comes out as
 * it went in, and every call comes out once with its own arguments.
 */
#include "ir/answer.h"
#include "ir/writer.h"

#include <criterion/criterion.h>

#include "dialect/dialect.h"
#include "support/lifecycle.h"

#define CALLS  5
#define ROUNDS 4000

/* What was told, to be compared with what came. */
struct told {
    uint64_t state;
    struct ir_writer writer;
    struct lifecycle life;
    struct ir_answer answer;
    struct bytes text;      /* all of it */
    struct bytes reasoning; /* all of it */
    struct {
        bool has_name, is_ended;
        struct bytes arguments;
    } calls[CALLS];
    unsigned countdown; /* events until the taker fails */
    int failure;
};

/* xorshift: the same in every run. */
static unsigned random_below(struct told *told, unsigned limit)
{
    told->state ^= told->state << 13;
    told->state ^= told->state >> 7;
    told->state ^= told->state << 17;
    return (unsigned)(told->state >> 33) % limit;
}

static int take(void *ctx, const struct ir_event *event)
{
    struct told *told = ctx;
    cr_expect_eq(told->failure, 0, "an event behind a failure");
    if (told->countdown-- == 0)
        return told->failure = -ERR_CLIENT_GONE;
    return ir_answer_take(&told->answer, event);
}

static void begin(struct told *told, uint64_t seed)
{
    *told = (struct told){.state = seed * 0x9e3779b97f4a7c15u + 1, .countdown = UINT32_MAX};
    told->text.max = told->reasoning.max = 1 << 16;
    for (unsigned i = 0; i < CALLS; i++)
        told->calls[i].arguments.max = 1 << 16;
    ir_answer_init(&told->answer, 1 << 20);
    lifecycle_init(&told->life, take, told);
    ir_writer_init(&told->writer, SPAN("Abcd1234"), 1 << 16, lifecycle_take, &told->life);
}

static void end(struct told *told)
{
    cr_expect_null(lifecycle_problem(&told->life), "%s", told->life.problem);
    ir_writer_release(&told->writer);
    ir_answer_release(&told->answer);
    bytes_release(&told->text);
    bytes_release(&told->reasoning);
    for (unsigned i = 0; i < CALLS; i++)
        bytes_release(&told->calls[i].arguments);
}

static int tell_text(struct told *told, enum ir_block_kind kind)
{
    static const char *const pieces[] = {"a", "b ", " ", "\\n", "", "\\u00e9", "long piece"};
    struct span piece = span_of(pieces[random_below(told, 7)]);
    cr_assert_eq(bytes_add_span(kind == IR_TEXT ? &told->text : &told->reasoning, piece), 0);
    return ir_write_text(&told->writer, kind, (struct ir_text){piece});
}

/* A piece of {"n":SLOT,"s":"x...}"} with the identity early, late, repeated or never. */
static int tell_call(struct told *told)
{
    static const char *const ids[] = {"", "same", "functions.f:0", "x1", " "};
    static const char *const pieces[] = {"", "{\\\"s\\\":\\\"", "x", "}\\\\\\\"", "{", "\\\"}"};
    unsigned slot = random_below(told, CALLS), n = random_below(told, 6);
    struct bytes *arguments = &told->calls[slot].arguments;
    bool is_name = random_below(told, 3) == 0;
    if (told->calls[slot].is_ended || (n > 0 && (n == 1) != (arguments->len == 0)) ||
        (arguments->len > 3 && !strcmp(arguments->data + arguments->len - 3, "\\\"}") &&
         arguments->data[arguments->len - 4] != '\\'))
        n = 0;
    cr_assert_eq(bytes_add_span(arguments, span_of(pieces[n])), 0);
    told->calls[slot].has_name |= is_name;
    return ir_write_call(
        &told->writer, slot, (struct ir_text){span_of(ids[random_below(told, 5)])},
        (struct ir_text){
            span_of(is_name ? (const char *[CALLS]){"f0", "f1", "f2", "f3", "f4"}[slot] : NULL)},
        (struct ir_text){span_of(pieces[n])});
}

static int tell_end(struct told *told)
{
    unsigned slot = random_below(told, CALLS);
    if (told->calls[slot].has_name)
        told->calls[slot].is_ended = true;
    return told->calls[slot].has_name ? ir_write_call_end(&told->writer, slot) : 0;
}

static int tell(struct told *told, bool has_calls, bool has_text)
{
    unsigned what = random_below(told, 20);
    if (what < 8 && has_calls)
        return tell_call(told);
    if (what == 8 && has_calls)
        return tell_end(told);
    if (what < 14)
        return has_text ? tell_text(told, IR_TEXT) : 0;
    if (what < 17)
        return has_text ? tell_text(told, IR_REASONING) : 0;
    if (what == 17)
        return has_text ? ir_write_signature(&told->writer, IR_TEXT_LITERAL("sig")) : 0;
    if (what == 18)
        return has_text ? ir_write_redacted(&told->writer, IR_TEXT_LITERAL("data")) : 0;
    return ir_write_stop(&told->writer);
}

static void expect_joined(const struct told *told, enum ir_block_kind kind, struct span all)
{
    struct bytes came = {.max = 1 << 16};
    for (struct ir_block *block = told->answer.blocks; block; block = block->next)
        if (block->kind == kind)
            cr_assert_eq(bytes_add_span(&came, block->text.escaped), 0);
    struct span rest = {all.at + came.len, all.len - came.len};
    cr_expect(span_starts(all, bytes_span(&came)), SPAN_FMT " of " SPAN_FMT,
              SPAN_ARG(bytes_span(&came)), SPAN_ARG(all));
    bool may_lack = kind == IR_REASONING || came.len == 0;
    cr_expect(rest.len == 0 || (may_lack && ir_text_is_blank((struct ir_text){rest})),
              "lacks '" SPAN_FMT "'", SPAN_ARG(rest));
    bytes_release(&came);
}

/* The arguments of one call, decoded or torn, are what was told. */
static void expect_arguments(const struct ir_block *block, struct ir_text escaped)
{
    struct arena arena;
    struct span plain;
    arena_init(&arena, 1 << 16);
    cr_assert_eq(ir_text_plain(escaped, &arena, &plain), 0);
    if (block->arguments.type == JSON_OBJECT)
        cr_expect(span_equal(json_span(block->arguments), plain), SPAN_FMT " is not " SPAN_FMT,
                  SPAN_ARG(block->arguments), SPAN_ARG(plain));
    else
        cr_expect(span_equal(block->torn.escaped, escaped.escaped), SPAN_FMT " is not " SPAN_FMT,
                  SPAN_ARG(block->torn.escaped), SPAN_ARG(escaped.escaped));
    arena_release(&arena);
}

static void expect_calls(const struct told *told)
{
    unsigned came[CALLS] = {0};
    for (struct ir_block *block = told->answer.blocks; block; block = block->next) {
        if (block->kind != IR_CALL)
            continue;
        unsigned slot = (unsigned)(block->name.escaped.at[1] - '0');
        came[slot]++;
        expect_arguments(block, (struct ir_text){bytes_span(&told->calls[slot].arguments)});
    }
    for (unsigned i = 0; i < CALLS; i++)
        cr_expect_eq(came[i], told->calls[i].has_name, "call %u came %u times", i, came[i]);
}

Test(writer, text_and_calls_come_out_whole_in_any_order)
{
    for (uint64_t seed = 0; seed < ROUNDS; seed++) {
        struct told told;
        int r = 0;
        begin(&told, seed);
        bool has_calls = seed % 3 != 0, has_text = seed % 3 != 1;
        for (unsigned i = 0; r == 0 && i < 3 + seed % 40; i++)
            r = tell(&told, has_calls, has_text);
        if (r == 0)
            r = ir_write_finish(&told.writer, IR_STOP_END, (struct ir_text){{NULL, 0}});
        if (r == 0)
            r = ir_write_end(&told.writer);
        /* text may have parted a call; alone, neither can fail */
        cr_expect(r == 0 || (r == -ERR_PROVIDER_ANSWER && has_calls && has_text), "%d, seed %u", r,
                  (unsigned)seed);
        if (r == 0) {
            cr_expect_null(lifecycle_end(&told.life), "%s", told.life.problem);
            cr_expect_eq(told.writer.kept, 0);
            expect_joined(&told, IR_TEXT, bytes_span(&told.text));
            expect_joined(&told, IR_REASONING, bytes_span(&told.reasoning));
            expect_calls(&told);
        }
        end(&told);
    }
}

Test(writer, keeps_the_grammar_when_failures_fall_anywhere)
{
    const struct api_error error = {.kind = ERR_PROVIDER_OVERLOADED, .message = SPAN("busy")};
    for (uint64_t seed = 0; seed < ROUNDS; seed++) {
        struct told told;
        begin(&told, seed);
        told.countdown = random_below(&told, 30);
        told.writer.kept_max = 1 + random_below(&told, 60);
        unsigned fatal = random_below(&told, 60);
        for (unsigned i = 0; i < 40; i++) {
            (void)tell(&told, true, true);
            if (i == fatal)
                (void)ir_write_error(&told.writer, &error);
        }
        (void)ir_write_finish(&told.writer, IR_STOP_LENGTH, (struct ir_text){{NULL, 0}});
        (void)ir_write_end(&told.writer);
        (void)ir_write_error(&told.writer, &error);
        cr_expect(told.failure || told.life.is_over, "seed %u ends in nothing", (unsigned)seed);
        end(&told);
    }
}
