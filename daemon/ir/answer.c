/* See answer.h. */
#include "ir/answer.h"

#include "ir/arguments.h"

void ir_answer_init(struct ir_answer *answer, size_t max)
{
    *answer = (struct ir_answer){.pieces = {.max = max}};
    arena_init(&answer->arena, max);
    answer->next = &answer->blocks;
}

void ir_answer_release(struct ir_answer *answer)
{
    arena_release(&answer->arena);
    bytes_release(&answer->pieces);
    answer->blocks = answer->open = NULL;
    answer->next = &answer->blocks;
}

static int copy(struct ir_answer *answer, struct ir_text text, struct ir_text *ret)
{
    char *at = arena_copy(&answer->arena, text.escaped);
    if (!at)
        return -ERR_TOO_LARGE;
    *ret = (struct ir_text){{at, text.escaped.len}};
    return 0;
}

static int open_block(struct ir_answer *answer, const struct ir_event *event)
{
    struct ir_block *block = arena_alloc(&answer->arena, sizeof(*block));
    if (!block)
        return -ERR_TOO_LARGE;
    block->kind = event->block_kind;
    block->is_redacted = event->is_redacted;
    *answer->next = answer->open = block;
    answer->next = &block->next;
    bytes_clear(&answer->pieces);
    if (event->block_kind != IR_CALL)
        return 0;
    int r = copy(answer, event->id, &block->id);
    return r == 0 ? copy(answer, event->name, &block->name) : r;
}

static int add_piece(struct ir_answer *answer, struct ir_text piece)
{
    size_t room = answer->arena.max - answer->arena.total; /* it is copied there in the end */
    if (answer->pieces.len >= room || piece.escaped.len >= room - answer->pieces.len)
        return -ERR_TOO_LARGE;
    return bytes_add_span(&answer->pieces, piece.escaped);
}

/* The arguments of a call: read back, or kept as torn ones. */
static int read_arguments(struct ir_answer *answer, struct ir_text escaped)
{
    if (ir_arguments_are_none(escaped))
        return 0;
    struct ir_text plain;
    int r = ir_text_plain(escaped, &answer->arena, &plain.escaped);
    if (r == 0 && plain.escaped.at == escaped.escaped.at)
        r = copy(answer, plain, &plain); /* the pieces are used again */
    struct json value;
    if (r == 0 && json_validate(plain.escaped, &value, NULL) == 0 && value.type == JSON_OBJECT)
        answer->open->arguments = value;
    else if (r == 0)
        r = copy(answer, escaped, &answer->open->torn);
    return r;
}

static int close_block(struct ir_answer *answer)
{
    struct ir_text pieces = {bytes_span(&answer->pieces)};
    int r;
    if (answer->open->kind == IR_CALL)
        r = read_arguments(answer, pieces);
    else
        r = copy(answer, pieces, &answer->open->text);
    answer->open = NULL;
    return r;
}

static int finish(struct ir_answer *answer, const struct ir_event *event)
{
    answer->has_finish = true;
    answer->stop = event->stop;
    if (event->usage)
        answer->usage = *event->usage;
    return event->stop_sequence.escaped.at
               ? copy(answer, event->stop_sequence, &answer->stop_sequence)
               : 0;
}

int ir_answer_take(void *ctx, const struct ir_event *event)
{
    struct ir_answer *answer = ctx;
    switch (event->kind) {
    case IR_EVENT_START:
        if (event->usage)
            answer->usage = *event->usage;
        return 0;
    case IR_EVENT_BLOCK_START:
        return open_block(answer, event);
    case IR_EVENT_DELTA:
        return add_piece(answer, event->text);
    case IR_EVENT_SIGNATURE:
        return copy(answer, event->text, &answer->open->signature);
    case IR_EVENT_BLOCK_STOP:
        return close_block(answer);
    case IR_EVENT_FINISH:
        return finish(answer, event);
    case IR_EVENT_ERROR:
        break;
    }
    return 0;
}
