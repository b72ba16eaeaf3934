/* See lifecycle.h. */
#include "support/lifecycle.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const event_names[] = {
    [IR_EVENT_START] = "START",           [IR_EVENT_BLOCK_START] = "BLOCK_START",
    [IR_EVENT_DELTA] = "DELTA",           [IR_EVENT_SIGNATURE] = "SIGNATURE",
    [IR_EVENT_BLOCK_STOP] = "BLOCK_STOP", [IR_EVENT_FINISH] = "FINISH",
    [IR_EVENT_ERROR] = "ERROR",
};

static void __attribute__((format(printf, 2, 3)))
violation(struct lifecycle *life, const char *format, ...)
{
    if (life->problem[0])
        return;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(life->problem, sizeof(life->problem), format, args); /* cut is fine */
    va_end(args);
}

void lifecycle_init(struct lifecycle *life, ir_event_fn fn, void *ctx)
{
    *life = (struct lifecycle){.fn = fn, .ctx = ctx};
}

/* Whatever is passed on must be the inside of a JSON string. */
static void check_text(struct lifecycle *life, const char *what, struct ir_text text)
{
    char *quoted = malloc(text.escaped.len + 2);
    if (!quoted)
        abort();
    quoted[0] = quoted[text.escaped.len + 1] = '"';
    if (text.escaped.len)
        memcpy(quoted + 1, text.escaped.at, text.escaped.len);
    struct json value;
    if (json_validate((struct span){quoted, text.escaped.len + 2}, &value, NULL) < 0 ||
        value.type != JSON_STRING)
        violation(life, "%s cannot stand in a JSON string: " SPAN_FMT, what,
                  SPAN_ARG(text.escaped));
    free(quoted);
}

static bool is_id_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
}

static void check_id(struct lifecycle *life, struct span id)
{
    bool is_safe = id.len > 0 && id.len < sizeof(life->ids[0]);
    for (size_t i = 0; is_safe && i < id.len; i++)
        is_safe = is_id_character(id.at[i]);
    if (!is_safe) {
        violation(life, "the id of block %u is not fit to be shown: " SPAN_FMT, life->blocks - 1,
                  SPAN_ARG(id));
        return;
    }
    for (unsigned i = 0; i < life->calls && i < LIFECYCLE_CALLS; i++)
        if (span_equal(span_of(life->ids[i]), id))
            violation(life, "two calls have the id " SPAN_FMT, SPAN_ARG(id));
    if (life->calls < LIFECYCLE_CALLS)
        memcpy(life->ids[life->calls], id.at, id.len);
}

static void check_call(struct lifecycle *life, const struct ir_event *event)
{
    check_id(life, event->id.escaped);
    if (ir_text_is_filled(event->name))
        check_text(life, "a name", event->name);
    else
        violation(life, "the call of block %u has no name", event->block);
    life->calls++;
}

static void begin_block(struct lifecycle *life, const struct ir_event *event)
{
    if (life->is_open)
        violation(life, "block %u begins while block %u is open", event->block, life->blocks - 1);
    if (event->block != life->blocks)
        violation(life, "block %u begins where %u was next", event->block, life->blocks);
    life->blocks = event->block + 1;
    life->kind = event->block_kind;
    life->is_open = true;
    life->has_signature = false;
    life->is_redacted = event->is_redacted;
    if (life->is_redacted && life->kind != IR_REASONING)
        violation(life, "block %u is redacted and no reasoning", event->block);
    if (life->kind == IR_CALL)
        check_call(life, event);
    else if (life->kind != IR_TEXT && life->kind != IR_REASONING && life->kind != IR_REFUSAL)
        violation(life, "block %u has kind %u", event->block, (unsigned)life->kind);
}

/* An event inside a block. */
static bool is_in_block(struct lifecycle *life, const struct ir_event *event)
{
    const char *name = event_names[event->kind];
    if (!life->is_open)
        violation(life, "%s of block %u while none is open", name, event->block);
    else if (event->block != life->blocks - 1)
        violation(life, "%s of block %u while %u is open", name, event->block, life->blocks - 1);
    else if (event->block_kind != life->kind)
        violation(life, "%s of kind %u in block %u of kind %u", name, (unsigned)event->block_kind,
                  event->block, (unsigned)life->kind);
    else
        return true;
    return false;
}

static void delta(struct lifecycle *life, const struct ir_event *event)
{
    if (!is_in_block(life, event))
        return;
    if (!ir_text_is_filled(event->text))
        violation(life, "an empty DELTA in block %u", event->block);
    if (life->has_signature)
        violation(life, "a DELTA behind the SIGNATURE of block %u", event->block);
    if (life->is_redacted)
        violation(life, "a DELTA in the redacted block %u", event->block);
    check_text(life, "a DELTA", event->text);
}

static void signature(struct lifecycle *life, const struct ir_event *event)
{
    if (!is_in_block(life, event))
        return;
    if (life->kind != IR_REASONING)
        violation(life, "a SIGNATURE in block %u, which is no reasoning", event->block);
    if (life->has_signature)
        violation(life, "a second SIGNATURE in block %u", event->block);
    if (!ir_text_is_filled(event->text))
        violation(life, "an empty SIGNATURE in block %u", event->block);
    check_text(life, "a SIGNATURE", event->text);
    life->has_signature = true;
}

static void end_block(struct lifecycle *life, const struct ir_event *event)
{
    if (!is_in_block(life, event))
        return;
    if (life->is_redacted && !life->has_signature)
        violation(life, "the redacted block %u has no data", event->block);
    life->is_open = false;
}

static void finish(struct lifecycle *life, const struct ir_event *event)
{
    if (life->is_open)
        violation(life, "FINISH while block %u is open", life->blocks - 1);
    if (event->stop == IR_STOP_CALLS && life->calls == 0)
        violation(life, "FINISH says calls and there are none");
    if (event->stop == IR_STOP_END && life->calls > 0)
        violation(life, "FINISH says end and there are %u calls", life->calls);
    if (!event->usage)
        violation(life, "FINISH has no usage");
    check_text(life, "a stop sequence", event->stop_sequence);
    life->stop = event->stop;
    life->is_over = true;
}

static void start(struct lifecycle *life, const struct ir_event *event)
{
    if (life->has_started)
        violation(life, "a second START");
    if (!event->usage)
        violation(life, "START has no usage");
    life->has_started = true;
}

static void error(struct lifecycle *life, const struct ir_event *event)
{
    if (!event->error)
        violation(life, "ERROR has no error");
    life->is_over = life->is_failed = true;
}

static void check(struct lifecycle *life, const struct ir_event *event)
{
    static void (*const checks[])(struct lifecycle *, const struct ir_event *) = {
        [IR_EVENT_START] = start,          [IR_EVENT_BLOCK_START] = begin_block,
        [IR_EVENT_DELTA] = delta,          [IR_EVENT_SIGNATURE] = signature,
        [IR_EVENT_BLOCK_STOP] = end_block, [IR_EVENT_FINISH] = finish,
        [IR_EVENT_ERROR] = error,
    };
    if ((unsigned)event->kind >= sizeof(checks) / sizeof(*checks)) {
        violation(life, "an event of kind %u", (unsigned)event->kind);
        return;
    }
    if (life->is_over)
        violation(life, "%s behind the end", event_names[event->kind]);
    if (!life->has_started && event->kind != IR_EVENT_START)
        violation(life, "%s before START", event_names[event->kind]);
    checks[event->kind](life, event);
}

int lifecycle_take(void *ctx, const struct ir_event *event)
{
    struct lifecycle *life = ctx;
    check(life, event);
    return life->fn ? life->fn(life->ctx, event) : 0;
}

const char *lifecycle_problem(const struct lifecycle *life)
{
    return life->problem[0] ? life->problem : NULL;
}

const char *lifecycle_end(struct lifecycle *life)
{
    if (!life->is_over)
        violation(life, "there is neither FINISH nor ERROR");
    return lifecycle_problem(life);
}
