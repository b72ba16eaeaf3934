/* See conversion.h. */
#include "gateway/conversion.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/own.h"
#include "gateway/neutral.h"
#include "net/loop.h"

#define ID_BYTES 12 /* random bytes of an answer's id */

/* How much of an answer's reasoning is kept for the memory; of more, none. */
#define REASONING_MAX ((size_t)1 << 20)

struct conversion {
    const struct dialect *from, *to;
    struct ir_writer writer;
    void *decoder, *encoder; /* the dialects' states; NULL when they have none */
    bool to_stream;
    bool is_begun;              /* the client has the start of the stream */
    struct ir_answer answer;    /* when a whole answer is asked for */
    struct ir_answer reasoning; /* what the memory may keep of a stream */
    bool is_too_long;           /* to be kept */
    uint64_t call;              /* the first call so far, hashed; 0: none */
    bool is_first_call;         /* the open block is it */
    struct ir_losses losses;
    struct ir_reply reply;
    char id[2 * ID_BYTES + 1];
    struct tap tap;
    struct bytes out;
    struct memory *memory;
    uint64_t place;
    const char *origin;
};

static int on_neutral(void *ctx, const struct ir_event *event);

static void make_id(char out[2 * ID_BYTES + 1])
{
    unsigned char random[ID_BYTES];
    loop_random(random, sizeof(random));
    for (size_t i = 0; i < sizeof(random); i++)
        (void)snprintf(out + 2 * i, 3, "%02x", random[i]); /* two digits fit */
}

static void *state_of(size_t size)
{
    void *state = size ? calloc(1, size) : NULL;
    if (size && !state)
        abort();
    return state;
}

/* What a client has seen of an answer does not change in the middle of it. */
static void continue_reply(struct conversion *conversion, const struct ir_reply *begun)
{
    struct ir_reply *reply = &conversion->reply;
    conversion->is_begun = true;
    if (begun->begun_id.len)
        reply->begun_id = (struct span){span_dup(begun->begun_id), begun->begun_id.len};
    if (begun->model.len)
        reply->model = begun->model;
    if (begun->created_s)
        reply->created_s = begun->created_s;
}

struct conversion *conversion_new(const struct conversion_plan *plan)
{
    struct conversion *conversion = calloc(1, sizeof(*conversion));
    if (!conversion)
        abort();
    make_id(conversion->id);
    conversion->from = plan->from;
    conversion->to = plan->to;
    conversion->to_stream = plan->to_stream;
    conversion->decoder = state_of(plan->from->decoder_size);
    conversion->encoder = state_of(plan->to->encoder_size);
    conversion->memory = plan->memory;
    conversion->place = plan->place;
    conversion->origin = plan->origin;
    conversion->out.max = 2 * plan->answer_max;
    conversion->reply = (struct ir_reply){
        .id = span_of(conversion->id),
        .model = plan->model,
        .created_s = loop_wall_ms() / 1000,
        .wants_usage = plan->wants_usage,
    };
    if (plan->begun)
        continue_reply(conversion, plan->begun);
    conversion->reply.model.at = span_dup(conversion->reply.model);
    ir_writer_init(&conversion->writer, conversion->reply.id, plan->answer_max, on_neutral,
                   conversion);
    conversion->writer.losses = &conversion->losses;
    if (plan->so_far)
        conversion->tap = *plan->so_far;
    ir_answer_init(&conversion->answer, plan->answer_max);
    ir_answer_init(&conversion->reasoning, REASONING_MAX);
    return conversion;
}

struct conversion *conversion_free(struct conversion *conversion)
{
    if (!conversion)
        return NULL;
    ir_writer_release(&conversion->writer);
    ir_answer_release(&conversion->answer);
    ir_answer_release(&conversion->reasoning);
    bytes_release(&conversion->out);
    free((char *)conversion->reply.begun_id.at);
    free((char *)conversion->reply.model.at);
    free(conversion->decoder);
    free(conversion->encoder);
    free(conversion);
    return NULL;
}

/* ---- what later turns need ---- */

/* A stream's reasoning is collected beside it, without texts and calls. */
static void collect_reasoning(struct conversion *conversion, const struct ir_event *event)
{
    bool is_wanted = event->kind == IR_EVENT_START || event->kind == IR_EVENT_FINISH ||
                     event->block_kind == IR_REASONING;
    if (!is_wanted || conversion->is_too_long)
        return;
    conversion->is_too_long = ir_answer_take(&conversion->reasoning, event) < 0;
}

/* The first call is enough to find an answer by. */
static void hash_call(struct conversion *conversion, const struct ir_event *event)
{
    if (event->block_kind != IR_CALL)
        return;
    if (event->kind == IR_EVENT_BLOCK_START) {
        conversion->is_first_call = conversion->call == 0;
        if (conversion->is_first_call)
            conversion->call = neutral_call_hash(event->id, event->name);
    } else if (event->kind == IR_EVENT_DELTA && conversion->is_first_call) {
        conversion->call = neutral_call_more(conversion->call, event->text.escaped);
    }
}

static void remember(struct conversion *conversion)
{
    const struct ir_answer *answer =
        conversion->to_stream ? &conversion->reasoning : &conversion->answer;
    if (conversion->is_too_long || !conversion->call || !conversion->place)
        return; /* without a place the request was passed on */
    memory_keep(conversion->memory, (struct memory_key){conversion->call, conversion->place},
                answer->blocks);
}

/* ---- neutral events ---- */

static int deliver(struct conversion *conversion, const struct ir_event *event)
{
    if (!conversion->to_stream)
        return ir_answer_take(&conversion->answer, event);
    collect_reasoning(conversion, event);
    if (event->kind == IR_EVENT_START && conversion->is_begun)
        return 0;
    return conversion->to->encode_event(conversion->encoder, &conversion->reply, event,
                                        &conversion->out);
}

static int on_neutral(void *ctx, const struct ir_event *event)
{
    struct conversion *conversion = ctx;
    tap_ir_event(&conversion->tap, event);
    if (event->kind == IR_EVENT_ERROR)
        return -conversion->tap.error_kind;
    if (event->kind == IR_EVENT_SIGNATURE)
        memory_note_signer(conversion->memory, ir_text_hash(event->text), conversion->origin);
    hash_call(conversion, event);
    int r = deliver(conversion, event);
    if (r == 0 && event->kind == IR_EVENT_FINISH)
        remember(conversion);
    return r;
}

/* ---- in ---- */

int conversion_event(struct conversion *conversion, struct span name, struct span data)
{
    return conversion->from->decode_event(conversion->decoder, &conversion->writer, name, data);
}

static int write_whole(struct conversion *conversion)
{
    return conversion->to->encode_answer(&conversion->answer, &conversion->reply,
                                         &conversion->losses, &conversion->out);
}

int conversion_end(struct conversion *conversion)
{
    int r = ir_write_end(&conversion->writer);
    return r == 0 && !conversion->to_stream ? write_whole(conversion) : r;
}

int conversion_answer(struct conversion *conversion, struct span body)
{
    int r = conversion->from->decode_answer(body, &conversion->writer);
    return r == 0 ? conversion_end(conversion) : r;
}

/* ---- out ---- */

struct span conversion_output(const struct conversion *conversion)
{
    return bytes_span(&conversion->out);
}

void conversion_taken(struct conversion *conversion)
{
    bytes_clear(&conversion->out);
}

const struct tap *conversion_tap(const struct conversion *conversion)
{
    return &conversion->tap;
}

const struct ir_losses *conversion_losses(const struct conversion *conversion)
{
    return &conversion->losses;
}
