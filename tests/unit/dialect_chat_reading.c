/* See dialect_chat_reading.h. */
#include "unit/dialect_chat_reading.h"

#include <criterion/criterion.h>
#include <stdio.h>

static void dump_usage(struct bytes *out, const struct usage *usage)
{
    if (usage && usage->source != USAGE_NONE)
        cr_assert_eq(bytes_addf(out, " %lld+%lld+%lld/%lld(%lld)", (long long)usage->input,
                                (long long)usage->cache_read,
                                (long long)(usage->cache_write_5m + usage->cache_write_1h),
                                (long long)usage->output, (long long)usage->reasoning),
                     0);
}

static void dump_start(struct bytes *out, const struct ir_event *event)
{
    static const char letters[] = {
        [IR_TEXT] = 't', [IR_REASONING] = 'r', [IR_REFUSAL] = 'f', [IR_CALL] = 'c'};
    cr_assert_eq(bytes_addf(out, "(%c", letters[event->block_kind]), 0);
    if (event->block_kind == IR_CALL)
        cr_assert_eq(bytes_addf(out, " " SPAN_FMT " " SPAN_FMT " ", SPAN_ARG(event->id.escaped),
                                SPAN_ARG(event->name.escaped)),
                     0);
}

static void dump_finish(struct bytes *out, const struct ir_event *event)
{
    static const char *const words[] = {
        [IR_STOP_END] = "end",         [IR_STOP_LENGTH] = "length",     [IR_STOP_CALLS] = "calls",
        [IR_STOP_REFUSAL] = "refusal", [IR_STOP_SEQUENCE] = "sequence", [IR_STOP_PAUSE] = "pause",
        [IR_STOP_CONTEXT] = "context",
    };
    cr_assert_eq(bytes_addf(out, ".%s", words[event->stop]), 0);
    dump_usage(out, event->usage);
}

static int dump(void *ctx, const struct ir_event *event)
{
    struct bytes *out = ctx;
    switch (event->kind) {
    case IR_EVENT_START:
        return bytes_add(out, "^", 1);
    case IR_EVENT_BLOCK_START:
        dump_start(out, event);
        return 0;
    case IR_EVENT_DELTA:
        return bytes_addf(out, "'" SPAN_FMT "'", SPAN_ARG(event->text.escaped));
    case IR_EVENT_SIGNATURE:
        return bytes_addf(out, "#" SPAN_FMT, SPAN_ARG(event->text.escaped));
    case IR_EVENT_BLOCK_STOP:
        return bytes_add(out, ")", 1);
    case IR_EVENT_FINISH:
        dump_finish(out, event);
        return 0;
    case IR_EVENT_ERROR:
        return bytes_addf(out, "!%d: " SPAN_FMT, error_row(event->error->kind)->rpc_code,
                          SPAN_ARG(event->error->message));
    }
    return 0;
}

void reading_init(struct reading *reading)
{
    *reading = (struct reading){.text = {.max = 1 << 20}};
    lifecycle_init(&reading->life, dump, &reading->text);
    ir_writer_init(&reading->writer, SPAN("id1"), 1 << 20, lifecycle_take, &reading->life);
    reading->writer.losses = &reading->losses;
}

void reading_release(struct reading *reading)
{
    ir_writer_release(&reading->writer);
    bytes_release(&reading->text);
}

int reading_event(struct reading *reading, const char *name, struct span data)
{
    int r = openai_chat_decode_event(&reading->decoder, &reading->writer, span_of(name), data);
    arena_reset(&reading->writer.scratch);
    return r;
}

static void keep_losses(struct reading *reading)
{
    struct bytes losses = {.max = sizeof(reading->losses_text) - 1};
    cr_assert_eq(ir_losses_write(&reading->losses, &losses), 0);
    snprintf(reading->losses_text, sizeof(reading->losses_text), SPAN_FMT,
             SPAN_ARG(bytes_span(&losses)));
    bytes_release(&losses);
}

const char *reading_finish(struct reading *reading, int r)
{
    if (r == 0)
        r = ir_write_end(&reading->writer);
    const char *problem =
        r == 0 ? lifecycle_end(&reading->life) : lifecycle_problem(&reading->life);
    cr_expect_null(problem, "%s", problem);
    if (r < 0)
        cr_assert_eq(bytes_addf(&reading->text, " -%s", error_row(-r)->type), 0);
    keep_losses(reading);
    return bytes_span(&reading->text).at;
}

void expect_whole(const char *body, const char *wanted, const char *losses)
{
    struct reading reading;
    reading_init(&reading);
    int r = openai_chat_decode_answer(span_of(body), &reading.writer);
    const char *text = reading_finish(&reading, r);
    cr_expect(!strcmp(text, wanted), "%s\n     is %s\n not is %s", body, text, wanted);
    cr_expect(!strcmp(reading.losses_text, losses ? losses : ""), "%s loses %s", body,
              reading.losses_text);
    reading_release(&reading);
}
