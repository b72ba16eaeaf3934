/* See ir_trace.h. */
#include "ir_trace.h"

#include <criterion/criterion.h>

#include "dialect/dialect.h"

static void note(struct trace *trace, const char *text, struct ir_text what)
{
    cr_assert_eq(bytes_addf(&trace->line, "%s" SPAN_FMT, text, SPAN_ARG(what.escaped)), 0);
}

static int on_event(void *ctx, const struct ir_event *event)
{
    static const char *const kinds[] = {
        [IR_TEXT] = " text(", [IR_REASONING] = " reasoning(", [IR_REFUSAL] = " refusal("};
    static const char *const stops[] = {
        [IR_STOP_END] = "end",         [IR_STOP_LENGTH] = "length", [IR_STOP_CALLS] = "calls",
        [IR_STOP_REFUSAL] = "refusal", [IR_STOP_SEQUENCE] = "seq",  [IR_STOP_PAUSE] = "pause",
        [IR_STOP_CONTEXT] = "context",
    };
    struct trace *trace = ctx;
    switch (event->kind) {
    case IR_EVENT_START:
        note(trace, "^", NONE);
        break;
    case IR_EVENT_BLOCK_START:
        trace->has_delta = false;
        if (event->block_kind == IR_CALL) {
            note(trace, " call:", event->id);
            note(trace, ":", event->name);
            note(trace, "(", NONE);
        } else {
            note(trace, event->is_redacted ? " redacted(" : kinds[event->block_kind], NONE);
        }
        break;
    case IR_EVENT_DELTA:
        note(trace, trace->has_delta ? "|" : "", event->text);
        trace->has_delta = true;
        break;
    case IR_EVENT_SIGNATURE:
        note(trace, "!", event->text);
        break;
    case IR_EVENT_BLOCK_STOP:
        note(trace, ")", NONE);
        break;
    case IR_EVENT_FINISH:
        note(trace, " =", (struct ir_text){span_of(stops[event->stop])});
        if (event->stop_sequence.escaped.at)
            note(trace, ":", event->stop_sequence);
        break;
    case IR_EVENT_ERROR:
        note(trace, " #", (struct ir_text){event->error->message});
        break;
    }
    return trace->countdown-- <= 0 ? trace->answer : 0;
}

void trace_begin_with(struct trace *trace, size_t max)
{
    *trace = (struct trace){.line = {.max = 1 << 20}};
    lifecycle_init(&trace->life, on_event, trace);
    ir_writer_init(&trace->writer, SPAN(ANSWER), max, lifecycle_take, &trace->life);
    trace->writer.losses = &trace->losses;
}

void trace_begin(struct trace *trace)
{
    trace_begin_with(trace, 1 << 16);
}

void trace_release(struct trace *trace)
{
    cr_expect_null(lifecycle_problem(&trace->life), "%s", trace->life.problem);
    ir_writer_release(&trace->writer);
    bytes_release(&trace->line);
}

void trace_expect_line(struct trace *trace, const char *expected)
{
    cr_expect_str_eq(trace->line.data ? trace->line.data : "", expected);
    cr_expect_null(lifecycle_problem(&trace->life), "%s (%s)", trace->life.problem, expected);
    trace_release(trace);
}

void trace_expect(struct trace *trace, const char *expected)
{
    cr_expect_eq(ir_write_end(&trace->writer), 0);
    cr_expect_null(lifecycle_end(&trace->life), "%s (%s)", trace->life.problem, expected);
    cr_expect_eq(trace->writer.kept, 0, "%zu bytes kept at the end", trace->writer.kept);
    trace_expect_line(trace, expected);
}

void trace_text(struct trace *trace, const char *piece)
{
    cr_expect_eq(ir_write_text(&trace->writer, IR_TEXT, escaped(piece)), 0, "%s", piece);
}

void trace_reasoning(struct trace *trace, const char *piece)
{
    cr_expect_eq(ir_write_text(&trace->writer, IR_REASONING, escaped(piece)), 0, "%s", piece);
}

void trace_signature(struct trace *trace, const char *piece)
{
    cr_expect_eq(ir_write_signature(&trace->writer, escaped(piece)), 0, "%s", piece);
}

int trace_try_call(struct trace *trace, unsigned slot, const char *id, const char *name,
                   const char *piece)
{
    return ir_write_call(&trace->writer, slot, escaped(id), escaped(name), escaped(piece));
}

void trace_call(struct trace *trace, unsigned slot, const char *id, const char *name,
                const char *piece)
{
    int r = trace_try_call(trace, slot, id, name, piece);
    cr_expect_eq(r, 0, "call %u %s: %d", slot, piece ? piece : "", r);
}

void trace_call_end(struct trace *trace, unsigned slot)
{
    cr_expect_eq(ir_write_call_end(&trace->writer, slot), 0);
}

void trace_finish(struct trace *trace, enum ir_stop stop)
{
    cr_expect_eq(ir_write_finish(&trace->writer, stop, NONE), 0);
}

bool trace_has_loss(const struct trace *trace, const char *name)
{
    for (unsigned i = 0; i < trace->losses.count; i++)
        if (!strcmp(trace->losses.names[i], name))
            return true;
    return false;
}
