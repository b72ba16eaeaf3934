/* The life-cycle assertion itself: it sees every violation of the grammar of event.h. */
#include "support/lifecycle.h"

#include <criterion/criterion.h>

#include "dialect/dialect.h"

#define EVENTS_MAX 8

static const struct usage usage;
static const struct api_error error;

#define START                                                                                      \
    {                                                                                              \
        .kind = IR_EVENT_START, .usage = &usage                                                    \
    }
#define BLOCK(block_, kind_)                                                                       \
    {                                                                                              \
        .kind = IR_EVENT_BLOCK_START, .block = (block_), .block_kind = (kind_)                     \
    }
#define CALL(block_, id_, name_)                                                                   \
    {                                                                                              \
        .kind = IR_EVENT_BLOCK_START, .block = (block_), .block_kind = IR_CALL,                    \
        .id = IR_TEXT_LITERAL(id_), .name = IR_TEXT_LITERAL(name_)                                 \
    }
#define REDACTED(block_)                                                                           \
    {                                                                                              \
        .kind = IR_EVENT_BLOCK_START, .block = (block_), .block_kind = IR_REASONING,               \
        .is_redacted = true                                                                        \
    }
#define DELTA(block_, kind_, text_)                                                                \
    {                                                                                              \
        .kind = IR_EVENT_DELTA, .block = (block_), .block_kind = (kind_),                          \
        .text = IR_TEXT_LITERAL(text_)                                                             \
    }
#define SIGNED(block_, kind_, text_)                                                               \
    {                                                                                              \
        .kind = IR_EVENT_SIGNATURE, .block = (block_), .block_kind = (kind_),                      \
        .text = IR_TEXT_LITERAL(text_)                                                             \
    }
#define STOP(block_, kind_)                                                                        \
    {                                                                                              \
        .kind = IR_EVENT_BLOCK_STOP, .block = (block_), .block_kind = (kind_)                      \
    }
#define FINISH(stop_)                                                                              \
    {                                                                                              \
        .kind = IR_EVENT_FINISH, .stop = (stop_), .usage = &usage                                  \
    }
#define ERROR                                                                                      \
    {                                                                                              \
        .kind = IR_EVENT_ERROR, .error = &error                                                    \
    }

struct row {
    const char *problem; /* a part of it; NULL: there is none */
    unsigned count;
    struct ir_event events[EVENTS_MAX];
};

static const struct row rows[] = {
    {NULL, 2, {START, FINISH(IR_STOP_END)}},
    {NULL, 2, {START, ERROR}},
    {NULL, 4, {START, BLOCK(0, IR_TEXT), DELTA(0, IR_TEXT, "a\\n"), ERROR}},
    {NULL,
     8,
     {START, BLOCK(0, IR_REASONING), DELTA(0, IR_REASONING, "a"), SIGNED(0, IR_REASONING, "s"),
      STOP(0, IR_REASONING), CALL(1, "a", "f"), STOP(1, IR_CALL), FINISH(IR_STOP_CALLS)}},
    {NULL,
     5,
     {START, REDACTED(0), SIGNED(0, IR_REASONING, "s"), STOP(0, IR_REASONING),
      FINISH(IR_STOP_LENGTH)}},
    {NULL, 4, {START, CALL(0, "a", "f"), STOP(0, IR_CALL), FINISH(IR_STOP_LENGTH)}},

    {"neither FINISH nor ERROR", 0, {START}},
    {"neither FINISH nor ERROR", 3, {START, BLOCK(0, IR_TEXT), STOP(0, IR_TEXT)}},
    {"before START", 1, {FINISH(IR_STOP_END)}},
    {"before START", 1, {ERROR}},
    {"second START", 2, {START, START}},
    {"START has no usage", 1, {{.kind = IR_EVENT_START}}},
    {"block 1 begins while block 0", 3, {START, BLOCK(0, IR_TEXT), BLOCK(1, IR_TEXT)}},
    {"block 1 begins where 0", 2, {START, BLOCK(1, IR_TEXT)}},
    {"block 0 begins where 1", 4, {START, BLOCK(0, IR_TEXT), STOP(0, IR_TEXT), BLOCK(0, IR_TEXT)}},
    {"has kind", 2, {START, BLOCK(0, IR_RESULT)}},
    {"no name", 2, {START, CALL(0, "a", "")}},
    {"not fit", 2, {START, CALL(0, "", "f")}},
    {"not fit", 2, {START, CALL(0, "functions.f:0", "f")}},
    {"not fit",
     2,
     {START, CALL(0, "01234567890123456789012345678901234567890123456789012345678901234", "f")}},
    {"two calls have the id", 4, {START, CALL(0, "a", "f"), STOP(0, IR_CALL), CALL(1, "a", "f")}},
    {"DELTA of block 0 while none", 2, {START, DELTA(0, IR_TEXT, "a")}},
    {"DELTA of block 0 while 1",
     5,
     {START, BLOCK(0, IR_TEXT), STOP(0, IR_TEXT), BLOCK(1, IR_TEXT), DELTA(0, IR_TEXT, "a")}},
    {"DELTA of kind", 3, {START, BLOCK(0, IR_TEXT), DELTA(0, IR_REASONING, "a")}},
    {"empty DELTA", 3, {START, BLOCK(0, IR_TEXT), DELTA(0, IR_TEXT, "")}},
    {"cannot stand", 3, {START, BLOCK(0, IR_TEXT), DELTA(0, IR_TEXT, "\"")}},
    {"cannot stand", 3, {START, BLOCK(0, IR_TEXT), DELTA(0, IR_TEXT, "\n")}},
    {"cannot stand", 3, {START, BLOCK(0, IR_TEXT), DELTA(0, IR_TEXT, "\\")}},
    {"cannot stand", 3, {START, BLOCK(0, IR_TEXT), DELTA(0, IR_TEXT, "\xff")}},
    {"behind the SIGNATURE",
     4,
     {START, BLOCK(0, IR_REASONING), SIGNED(0, IR_REASONING, "s"), DELTA(0, IR_REASONING, "a")}},
    {"second SIGNATURE",
     4,
     {START, BLOCK(0, IR_REASONING), SIGNED(0, IR_REASONING, "s"), SIGNED(0, IR_REASONING, "s")}},
    {"no reasoning", 3, {START, BLOCK(0, IR_TEXT), SIGNED(0, IR_TEXT, "s")}},
    {"empty SIGNATURE", 3, {START, BLOCK(0, IR_REASONING), SIGNED(0, IR_REASONING, "")}},
    {"redacted block 0", 3, {START, REDACTED(0), DELTA(0, IR_REASONING, "a")}},
    {"has no data", 3, {START, REDACTED(0), STOP(0, IR_REASONING)}},
    {"BLOCK_STOP of block 0 while none",
     4,
     {START, BLOCK(0, IR_TEXT), STOP(0, IR_TEXT), STOP(0, IR_TEXT)}},
    {"FINISH while block 0", 3, {START, BLOCK(0, IR_TEXT), FINISH(IR_STOP_END)}},
    {"says calls", 2, {START, FINISH(IR_STOP_CALLS)}},
    {"says end", 4, {START, CALL(0, "a", "f"), STOP(0, IR_CALL), FINISH(IR_STOP_END)}},
    {"FINISH has no usage", 2, {START, {.kind = IR_EVENT_FINISH}}},
    {"ERROR has no error", 2, {START, {.kind = IR_EVENT_ERROR}}},
    {"FINISH behind the end", 3, {START, FINISH(IR_STOP_END), FINISH(IR_STOP_END)}},
    {"ERROR behind the end", 3, {START, FINISH(IR_STOP_END), ERROR}},
    {"FINISH behind the end", 3, {START, ERROR, FINISH(IR_STOP_END)}},
    {"an event of kind", 2, {START, {.kind = (enum ir_event_kind)99}}},
};

static int count_event(void *ctx, const struct ir_event *event)
{
    (void)event;
    return -(int)++*(unsigned *)ctx;
}

Test(lifecycle, sees_every_violation_and_nothing_else)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct lifecycle life;
        lifecycle_init(&life, NULL, NULL);
        for (unsigned j = 0; j < rows[i].count; j++)
            cr_expect_eq(lifecycle_take(&life, &rows[i].events[j]), 0);
        const char *problem = lifecycle_end(&life);
        if (rows[i].problem)
            cr_expect(problem && strstr(problem, rows[i].problem), "row %zu: %s", i,
                      problem ? problem : "nothing");
        else
            cr_expect_null(problem, "row %zu: %s", i, problem);
    }
}

Test(lifecycle, passes_events_on_and_keeps_the_first_violation)
{
    struct lifecycle life;
    unsigned count = 0;
    lifecycle_init(&life, count_event, &count);
    static const struct ir_event events[] = {START, START, FINISH(IR_STOP_CALLS)};
    for (int i = 0; i < 3; i++)
        cr_expect_eq(lifecycle_take(&life, &events[i]), -(i + 1));
    cr_expect_str_eq(lifecycle_problem(&life), "a second START");
}
