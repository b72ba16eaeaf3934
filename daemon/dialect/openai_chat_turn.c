/*
 * See openai_chat_turn.h. Calls are sorted, so that finding them takes no product of calls and results.
 */
#include "dialect/openai_chat_turn.h"

#include <stdlib.h>

static int compare_ids(const void *a, const void *b)
{
    const struct chat_call *left = a, *right = b;
    return ir_text_compare(left->id, right->id);
}

static int compare_calls(const void *a, const void *b)
{
    const struct chat_call *left = a, *right = b;
    int order = compare_ids(a, b);
    return order ? order : (left->position > right->position) - (left->position < right->position);
}

struct chat_call *chat_find_call(const struct chat_turn *turn, struct ir_text id)
{
    struct chat_call key = {.id = id};
    return turn->count ? bsearch(&key, turn->calls, turn->count, sizeof(key), compare_ids) : NULL;
}

size_t chat_count_blocks(const struct ir_message *message, const struct ir_message *end,
                         enum ir_block_kind kind)
{
    size_t count = 0;
    for (; message != end; message = message->next)
        for (const struct ir_block *block = message->blocks; block; block = block->next)
            count += block->kind == kind;
    return count;
}

/* Of two calls with one id only the first is sent: no result could tell them apart. */
static size_t drop_duplicates(struct chat_writer *writer, struct chat_call *calls, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (kept && compare_ids(&calls[kept - 1], &calls[i]) == 0)
            ir_lose(writer->losses, "duplicate tool call");
        else
            calls[kept++] = calls[i];
    }
    return kept;
}

static void collect_calls(struct chat_writer *writer, struct chat_turn *turn)
{
    size_t count = chat_count_blocks(turn->first, turn->rest, IR_CALL), i = 0;
    if (count == 0)
        return;
    turn->calls = arena_alloc(writer->arena, count * sizeof(*turn->calls));
    if (!turn->calls) {
        writer->status = -ERR_TOO_LARGE;
        return;
    }
    for (const struct ir_message *message = turn->first; message != turn->rest;
         message = message->next)
        for (const struct ir_block *block = message->blocks; block; block = block->next)
            if (block->kind == IR_CALL) {
                turn->calls[i] = (struct chat_call){.id = block->id, .position = i, .block = block};
                i++;
            }
    qsort(turn->calls, count, sizeof(*turn->calls), compare_calls);
    turn->count = drop_duplicates(writer, turn->calls, count);
}

struct chat_turn chat_turn_of(struct chat_writer *writer, const struct ir_message *first)
{
    struct chat_turn turn = {.first = first, .rest = first->next};
    if (chat_count_blocks(first, first->next, IR_CALL) > 0)
        while (turn.rest && turn.rest->role == IR_ROLE_ASSISTANT)
            turn.rest = turn.rest->next;
    turn.end = turn.rest;
    while (turn.end && turn.end->role != IR_ROLE_ASSISTANT)
        turn.end = turn.end->next;
    collect_calls(writer, &turn);
    return turn;
}
