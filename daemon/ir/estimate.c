/*
 * See estimate.h. Weights are thousandths of a token for one character, by what it is: a word of
 * English is about 1.3 tokens with its space, three digits are one, a Chinese character is 0.7. Only
 * the first byte of a character is looked up, so the escaped text is walked once without decoding.
 */
#include "ir/estimate.h"
#include "base/utf8.h"

#define LETTER 240
#define SPACE  150 /* single ones go with the word behind, indentation is a few tokens */
#define DIGIT  400
#define SIGN   550
#define BREAK  600 /* line breaks, tabs, other control characters */
#define SCRIPT 450 /* Cyrillic, Greek, Arabic, Indic, ... */
#define SYMBOL 600 /* dashes, quotes, arrows, boxes */
#define HAN    700 /* Chinese, Japanese, Korean */
#define EMOJI  1500

/* Flat amounts, in tokens. */
#define PER_MESSAGE  4
#define PER_CALL     12 /* its id and frame, call and result each */
#define PER_TOOL     16
#define WITH_TOOLS   200 /* the provider's own words about how to call */
#define IMAGE        1500
#define IMAGE_LOW    100
#define DOCUMENT     1500 /* at least, and when only its address is known */
#define BASE64_TOKEN 24   /* base64 bytes of a PDF that come to one token */

/* clang-format off */
static const uint16_t weights[256] = {
    [0x00 ... 0x1f] = BREAK, [' '] = SPACE, ['!' ... '/'] = SIGN, ['0' ... '9'] = DIGIT,
    [':' ... '@'] = SIGN, ['A' ... 'Z'] = LETTER, ['[' ... '`'] = SIGN, ['a' ... 'z'] = LETTER,
    ['{' ... '~'] = SIGN, [0x7f] = BREAK,
    [0x80 ... 0xbf] = 0, /* continues a character */
    [0xc0 ... 0xdf] = SCRIPT, [0xe0 ... 0xe1] = SCRIPT, [0xe2] = SYMBOL,
    [0xe3 ... 0xed] = HAN, [0xee] = SYMBOL, [0xef] = HAN, [0xf0 ... 0xff] = EMOJI,
};
/* clang-format on */

/* ---- one text ---- */

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 0;
}

/* The weight of \uXXXX; of two that are one character the first counts. */
static unsigned unit_weight(const char *digits)
{
    uint32_t unit = 0;
    for (int i = 0; i < 4; i++)
        unit = unit << 4 | (uint32_t)hex_value(digits[i]);
    if (unit >= 0xd800 && unit <= 0xdfff)
        return unit < 0xdc00 ? EMOJI : 0;
    char character[4];
    (void)utf8_encode(unit, character); /* the first byte says enough */
    return weights[(unsigned char)character[0]];
}

/* The weight of the escape at `at`, which is moved behind it. */
static unsigned escape_weight(const char **at, const char *end)
{
    char letter = end - *at >= 2 ? (*at)[1] : '\\';
    if (letter == 'u' && end - *at >= 6) {
        unsigned weight = unit_weight(*at + 2);
        *at += 6;
        return weight;
    }
    *at += end - *at >= 2 ? 2 : 1;
    return letter >= 'a' && letter <= 'z' ? BREAK : SIGN;
}

/* Rounded up: what has a character is at least one token. */
static int64_t estimate_bytes(struct span escaped)
{
    if (escaped.len == 0)
        return 0;
    const char *at = escaped.at, *end = escaped.at + escaped.len;
    int64_t sum = 0;
    while (at < end) {
        if (*at == '\\')
            sum += escape_weight(&at, end);
        else
            sum += weights[(unsigned char)*at++];
    }
    return (sum + 999) / 1000;
}

int64_t ir_estimate_text(struct ir_text text)
{
    return estimate_bytes(text.escaped);
}

static int64_t estimate_json(struct json value)
{
    return estimate_bytes(json_span(value));
}

/* ---- requests ---- */

static int64_t estimate_image(const struct ir_block *block)
{
    return ir_text_equal(block->detail, IR_TEXT_LITERAL("low")) ? IMAGE_LOW : IMAGE;
}

/* By the size of its file: a page is text and a picture of it. Plain text in base64 is as text. */
static int64_t estimate_document(const struct ir_block *block)
{
    int64_t named = ir_estimate_text(block->text) + ir_estimate_text(block->name);
    if (ir_text_is_filled(block->text))
        return named;
    int64_t size = (int64_t)block->data.escaped.len;
    if (span_starts(block->media_type.escaped, SPAN("text")))
        return named + size * 3 / 4 * LETTER / 1000 + 1;
    return named + (size / BASE64_TOKEN > DOCUMENT ? size / BASE64_TOKEN : DOCUMENT);
}

static int64_t estimate_blocks(const struct ir_block *blocks);

static int64_t estimate_block(const struct ir_block *block)
{
    switch (block->kind) {
    case IR_TEXT:
    case IR_REASONING:
    case IR_REFUSAL:
        return ir_estimate_text(block->text);
    case IR_CALL:
        return PER_CALL + ir_estimate_text(block->name) + estimate_json(block->arguments) +
               ir_estimate_text(block->torn);
    case IR_RESULT:
        return PER_CALL + ir_estimate_text(block->text) + estimate_blocks(block->content);
    case IR_IMAGE:
        return estimate_image(block);
    case IR_DOCUMENT:
        return estimate_document(block);
    case IR_TOOL_REFERENCE:
        return ir_estimate_text(block->name);
    case IR_FOREIGN:
        return estimate_json(block->raw);
    }
    return 0;
}

static int64_t estimate_blocks(const struct ir_block *blocks)
{
    int64_t sum = 0;
    for (const struct ir_block *block = blocks; block; block = block->next)
        sum += estimate_block(block);
    return sum;
}

/* Deferred tools that nobody named are not in the model's sight. */
static int64_t estimate_tools(const struct ir_request *request)
{
    int64_t sum = 0;
    for (const struct ir_tool *tool = request->tools; tool; tool = tool->next) {
        if (tool->is_server)
            sum += PER_TOOL + estimate_json(tool->raw);
        else if (ir_tool_is_declared(tool))
            sum += PER_TOOL + ir_estimate_text(tool->name) + ir_estimate_text(tool->description) +
                   estimate_json(tool->schema);
    }
    return sum > 0 ? WITH_TOOLS + sum : 0;
}

int64_t ir_estimate_input(const struct ir_request *request)
{
    int64_t sum = estimate_tools(request) + estimate_json(request->format_schema);
    for (const struct ir_message *message = request->messages; message; message = message->next)
        sum += PER_MESSAGE + estimate_blocks(message->blocks);
    return sum > 0 ? sum : 1;
}
