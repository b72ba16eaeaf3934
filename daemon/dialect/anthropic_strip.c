/*
 * See anthropic_strip.h. A body without signatures costs two searches; any other is walked once,
 * unchecked as all of the pass-through: what is not well formed is left to the provider.
 */
#include "dialect/anthropic_strip.h"

#include "dialect/anthropic.h"

struct strip {
    struct span body;
    bool (*is_foreign)(void *ctx, struct ir_text signature);
    void *ctx;
    struct splices *splices;
    unsigned count;
    bool is_loop_cut; /* the last answer asked for tools and lost the reasoning that led to it */
};

/*
 * Elements to be taken out of one array, as runs of neighbours. A run goes with the comma before
 * it, or, at the start of the array, with the one behind it.
 */
struct cut {
    const char *from;        /* the end of the last element that stays; NULL: none does so far */
    const char *start, *end; /* the open run; start NULL: none is open */
};

static bool has_text(struct span body, struct span text)
{
    return body.len && memmem(body.at, body.len, text.at, text.len);
}

static int add_splice(struct strip *strip, const char *start, const char *end)
{
    return splices_add(strip->splices, (size_t)(start - strip->body.at), (size_t)(end - start),
                       SPAN(""));
}

/* The run that ends before an element that stays, or before the array's end (element absent). */
static int close_run(struct strip *strip, struct cut *cut, struct json element)
{
    if (!cut->start)
        return 0;
    const char *start = cut->from ? cut->from : cut->start;
    const char *end = !cut->from && element.at ? element.at : cut->end;
    cut->start = NULL;
    return add_splice(strip, start, end);
}

static void take_out(struct cut *cut, struct json element)
{
    if (!cut->start)
        cut->start = element.at;
    cut->end = element.at + element.len;
}

static int keep(struct strip *strip, struct cut *cut, struct json element)
{
    int r = close_run(strip, cut, element);
    cut->from = element.at + element.len;
    return r;
}

/* ---- blocks and messages ---- */

static bool is_block_foreign(const struct strip *strip, struct json block)
{
    static const char *const names[] = {"type", "signature", "data", NULL};
    enum { TYPE, SIGNATURE, DATA };
    struct json found[3];
    json_find(block, names, found);
    struct json sign = {0};
    if (json_is(found[TYPE], "thinking"))
        sign = found[SIGNATURE];
    else if (json_is(found[TYPE], "redacted_thinking"))
        sign = found[DATA];
    struct ir_text text = ir_text_of(sign);
    if (!ir_text_is_filled(text))
        return false;
    return ir_text_equal(text, IR_TEXT_LITERAL(ANTHROPIC_OWN_SIGNATURE)) ||
           strip->is_foreign(strip->ctx, text);
}

/* *ret_is_empty: every block was foreign; then nothing was cut out here. */
static int strip_content(struct strip *strip, struct json content, bool *ret_is_empty)
{
    struct cut cut = {0};
    struct json_iter iter = json_iter(content);
    struct json block;
    int r = 0;
    while (r == 0 && content.type == JSON_ARRAY && json_next(&iter, &block)) {
        if (is_block_foreign(strip, block)) {
            take_out(&cut, block);
            strip->count++;
        } else {
            r = keep(strip, &cut, block);
        }
    }
    *ret_is_empty = cut.start && !cut.from;
    return r == 0 && !*ret_is_empty ? close_run(strip, &cut, (struct json){0}) : r;
}

static bool has_call(struct json content)
{
    struct json_iter iter = json_iter(content);
    struct json block;
    while (content.type == JSON_ARRAY && json_next(&iter, &block))
        if (json_is(json_get(block, "type"), "tool_use"))
            return true;
    return false;
}

static int strip_message(struct strip *strip, struct json message, bool *ret_is_empty)
{
    static const char *const names[] = {"role", "content", NULL};
    const unsigned before = strip->count;
    struct json found[2];
    json_find(message, names, found);
    int r = strip_content(strip, found[1], ret_is_empty);
    if (json_is(found[0], "assistant"))
        strip->is_loop_cut = strip->count > before && has_call(found[1]);
    return r;
}

/* A turn with calls must begin with its reasoning while thinking is on: it cannot be on, then. */
static int switch_thinking_off(struct strip *strip, struct json thinking)
{
    if (!strip->is_loop_cut || !json_is(json_get(thinking, "type"), "enabled"))
        return 0;
    return splices_add(strip->splices, (size_t)(thinking.at - strip->body.at), thinking.len,
                       SPAN("{\"type\":\"disabled\"}"));
}

static int strip_messages(struct strip *strip, struct json messages)
{
    struct cut cut = {0};
    struct json_iter iter = json_iter(messages);
    struct json message;
    int r = 0;
    while (r == 0 && messages.type == JSON_ARRAY && json_next(&iter, &message)) {
        bool is_empty;
        r = strip_message(strip, message, &is_empty);
        if (r == 0 && is_empty)
            take_out(&cut, message);
        else if (r == 0)
            r = keep(strip, &cut, message);
    }
    return r == 0 ? close_run(strip, &cut, (struct json){0}) : r;
}

int anthropic_strip_reasoning(struct span body,
                              bool (*is_foreign)(void *ctx, struct ir_text signature), void *ctx,
                              struct arena *arena, struct splices *ret, unsigned *ret_count)
{
    struct strip strip = {body, is_foreign, ctx, ret, 0, false};
    struct json root = json_peek(body);
    *ret_count = 0;
    if (!has_text(body, SPAN("\"signature\"")) && !has_text(body, SPAN("\"redacted_thinking\"")))
        return 0;
    if (!ret->arena)
        splices_init(ret, arena);
    int r = strip_messages(&strip, json_get(root, "messages"));
    if (r == 0)
        r = switch_thinking_off(&strip, json_get(root, "thinking"));
    if (r == 0)
        *ret_count = strip.count;
    return r;
}
