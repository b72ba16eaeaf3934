/*
 * Messages answers: what of the wire becomes which neutral events, and back. JSON in the tables is
 * written with ' for "; neutral events are written as
 *
 *     start [text "Hel" "lo"] [reasoning "r" ~signature] [call id name "{}"] end
 */
#include "dialect/anthropic.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "base/own.h"
#include "support/lifecycle.h"

#define MAX ((size_t)1 << 20)

/* ---- neutral events as text ---- */

static const char *const stop_names[] = {
    [IR_STOP_END] = "end",         [IR_STOP_LENGTH] = "length",     [IR_STOP_CALLS] = "calls",
    [IR_STOP_REFUSAL] = "refusal", [IR_STOP_SEQUENCE] = "sequence", [IR_STOP_PAUSE] = "pause",
    [IR_STOP_CONTEXT] = "context",
};

static const char *const kind_names[] = {
    [IR_TEXT] = "text", [IR_REASONING] = "reasoning", [IR_REFUSAL] = "refusal", [IR_CALL] = "call"};

/* A decoder with what it writes to. */
struct reading {
    struct anthropic_decoder decoder;
    struct ir_writer writer;
    struct ir_losses losses;
    struct lifecycle life;
    struct bytes text;
    struct usage start, finish;
    int result;
};

static int note_block(struct bytes *out, const struct ir_event *event)
{
    int r =
        bytes_addf(out, " [%s", event->is_redacted ? "redacted" : kind_names[event->block_kind]);
    if (r == 0 && event->block_kind == IR_CALL)
        r = bytes_addf(out, " " SPAN_FMT " " SPAN_FMT, SPAN_ARG(event->id.escaped),
                       SPAN_ARG(event->name.escaped));
    return r;
}

static int note_end(struct reading *reading, const struct ir_event *event)
{
    reading->finish = *event->usage;
    int r = bytes_addf(&reading->text, " %s", stop_names[event->stop]);
    if (r == 0 && event->stop_sequence.escaped.at)
        r = bytes_addf(&reading->text, ":" SPAN_FMT, SPAN_ARG(event->stop_sequence.escaped));
    return r;
}

static int note(void *ctx, const struct ir_event *event)
{
    struct reading *reading = ctx;
    struct bytes *out = &reading->text;
    switch (event->kind) {
    case IR_EVENT_START:
        reading->start = *event->usage;
        return bytes_addf(out, "start");
    case IR_EVENT_BLOCK_START:
        return note_block(out, event);
    case IR_EVENT_DELTA:
        return bytes_addf(out, " \"" SPAN_FMT "\"", SPAN_ARG(event->text.escaped));
    case IR_EVENT_SIGNATURE:
        return bytes_addf(out, " ~" SPAN_FMT, SPAN_ARG(event->text.escaped));
    case IR_EVENT_BLOCK_STOP:
        return bytes_addf(out, "]");
    case IR_EVENT_FINISH:
        return note_end(reading, event);
    case IR_EVENT_ERROR:
        return bytes_addf(out, " error:%s:" SPAN_FMT, error_row(event->error->kind)->type,
                          SPAN_ARG(event->error->message));
    }
    return 0;
}

static void reading_init(struct reading *reading)
{
    *reading = (struct reading){.text = {.max = MAX}};
    lifecycle_init(&reading->life, note, reading);
    ir_writer_init(&reading->writer, SPAN("a1"), MAX, lifecycle_take, &reading->life);
    reading->writer.losses = &reading->losses;
}

static void reading_release(struct reading *reading)
{
    ir_writer_release(&reading->writer);
    bytes_release(&reading->text);
}

/* ' becomes ". */
static struct bytes json_of(const char *text)
{
    struct bytes json = {.max = MAX};
    cr_assert(bytes_add_span(&json, span_of(text)) == 0);
    for (size_t i = 0; i < json.len; i++)
        if (json.data[i] == '\'')
            json.data[i] = '"';
    return json;
}

static void read_event(struct reading *reading, const char *name, const char *data)
{
    CLEANUP(bytes_release) struct bytes json = json_of(data);
    if (reading->result == 0)
        reading->result = anthropic_decode_event(&reading->decoder, &reading->writer, span_of(name),
                                                 bytes_span(&json));
}

static void read_end(struct reading *reading)
{
    if (reading->result == 0)
        reading->result = ir_write_end(&reading->writer);
    if (reading->result == -ERR_PROVIDER_RESET)
        (void)bytes_addf(&reading->text, " reset"); /* there is room */
    else if (reading->result == -ERR_PROVIDER_ANSWER)
        (void)bytes_addf(&reading->text, " nonsense");
    else
        cr_expect(reading->result == 0, "%d", reading->result);
    cr_expect_null(lifecycle_problem(&reading->life), "%s\n%s", lifecycle_problem(&reading->life),
                   reading->text.data);
}

static void expect_text(const struct reading *reading, const char *expected, const char *about)
{
    CLEANUP(bytes_release) struct bytes json = json_of(expected);
    cr_expect(span_equal(bytes_span(&reading->text), bytes_span(&json)),
              "%s\n  expected %s\n  found    %s", about, json.data, reading->text.data);
}

/* ---- streams in ---- */

#define STEPS 12

#define START "{'type':'message_start','message':{'content':[],'usage':{'input_tokens':1}}}"
#define BLOCK(n, ...)                                                                              \
    "{'type':'content_block_start','index':" #n ",'content_block':{" __VA_ARGS__ "}}"
#define DELTA(n, ...) "{'type':'content_block_delta','index':" #n ",'delta':{" __VA_ARGS__ "}}"
#define TEXT(n, t)    DELTA(n, "'type':'text_delta','text':'" t "'")
#define THINK(n, t)   DELTA(n, "'type':'thinking_delta','thinking':'" t "'")
#define SIGN(n, t)    DELTA(n, "'type':'signature_delta','signature':'" t "'")
#define INPUT(n, t)   DELTA(n, "'type':'input_json_delta','partial_json':'" t "'")
#define STOP(n)       "{'type':'content_block_stop','index':" #n "}"
#define FINISH(word)                                                                               \
    "{'type':'message_delta','delta':{'stop_reason':'" word                                        \
    "','stop_sequence':null},'usage':{'output_tokens':2}}"
#define END           "{'type':'message_stop'}"
#define TEXT_BLOCK(n) BLOCK(n, "'type':'text','text':''")
#define CALL_BLOCK(n, id, input)                                                                   \
    BLOCK(n, "'type':'tool_use','id':'" id "','name':'f','input':" input)

static const struct stream {
    const char *about;
    const char *events[STEPS + 4];
    const char *expected;
} streams[] = {
    {"an ordinary answer",
     {START, TEXT_BLOCK(0), "{'type': 'ping'}", TEXT(0, "Hel"), TEXT(0, "lo"), STOP(0),
      FINISH("end_turn"), END},
     "start [text 'Hel' 'lo'] end"},
    {"pings before the first block, and white space around the JSON",
     {START, "{'type':'ping'}", " " BLOCK(0, "'type':'text','text':''") "   ", TEXT(0, "a") "  ",
      STOP(0), FINISH("end_turn"), END},
     "start [text 'a'] end"},
    {"text at the start of its block",
     {START, BLOCK(0, "'type':'text','text':'He'"), TEXT(0, "llo"), STOP(0), FINISH("end_turn"),
      END},
     "start [text 'He' 'llo'] end"},
    {"thinking with a signature in two pieces, then text",
     {START, BLOCK(0, "'type':'thinking','thinking':'','signature':''"), THINK(0, "h"),
      THINK(0, "m"), SIGN(0, "AB"), SIGN(0, "CD="), STOP(0), TEXT_BLOCK(1), TEXT(1, "a"), STOP(1),
      FINISH("end_turn"), END},
     "start [reasoning 'h' 'm' ~ABCD=] [text 'a'] end"},
    {"a signature told at the start belongs behind the words",
     {START, BLOCK(0, "'type':'thinking','thinking':'x','signature':'AB'"), THINK(0, "y"), STOP(0),
      FINISH("end_turn"), END},
     "start [reasoning 'x' 'y' ~AB] end"},
    {"a signature told at the start goes on in deltas",
     {START, BLOCK(0, "'type':'thinking','thinking':'x','signature':'AB'"), SIGN(0, "CD"), STOP(0),
      FINISH("end_turn"), END},
     "start [reasoning 'x' ~ABCD] end"},
    {"thinking without words: only a signature is kept",
     {START, BLOCK(0, "'type':'thinking','thinking':''"), THINK(0, ""), SIGN(0, "AB"), STOP(0),
      BLOCK(1, "'type':'thinking','thinking':''"), SIGN(1, "CD"), STOP(1), TEXT_BLOCK(2),
      TEXT(2, "a"), STOP(2), FINISH("end_turn"), END},
     "start [reasoning ~AB] [reasoning ~CD] [text 'a'] end"},
    {"thinking with neither words nor signature is nothing",
     {START, BLOCK(0, "'type':'thinking','thinking':'','signature':''"), STOP(0), TEXT_BLOCK(1),
      TEXT(1, "a"), STOP(1), FINISH("end_turn"), END},
     "start [text 'a'] end"},
    {"redacted thinking",
     {START, BLOCK(0, "'type':'redacted_thinking','data':'Zm9v'"), STOP(0), TEXT_BLOCK(1),
      TEXT(1, "a"), STOP(1), FINISH("end_turn"), END},
     "start [redacted ~Zm9v] [text 'a'] end"},
    {"a call in pieces, the first one empty",
     {START, CALL_BLOCK(0, "t1", "{}"), INPUT(0, ""), INPUT(0, "{\\'a\\'"), INPUT(0, ":1}"),
      STOP(0), FINISH("tool_use"), END},
     "start [call t1 f '{\\'a\\'' ':1}'] calls"},
    {"calls without parameters have an empty object",
     {START, CALL_BLOCK(0, "t1", "{}"), STOP(0), CALL_BLOCK(1, "t2", "null"), INPUT(1, ""), STOP(1),
      BLOCK(2, "'type':'tool_use','id':'t3','name':'g'"), DELTA(2, "'type':'input_json_delta'"),
      STOP(2), FINISH("tool_use"), END},
     "start [call t1 f '{}'] [call t2 f '{}'] [call t3 g '{}'] calls"},
    {"arguments at the start, and no deltas",
     {START, CALL_BLOCK(0, "t1", "{'a': [1.0]}"), INPUT(0, ""), STOP(0), FINISH("tool_use"), END},
     "start [call t1 f '{\\'a\\': [1.0]}'] calls"},
    {"arguments at the start, and deltas: these count",
     {START, CALL_BLOCK(0, "t1", "{'a':1}"), INPUT(0, "{\\'a\\'"), INPUT(0, ":1}"), STOP(0),
      FINISH("tool_use"), END},
     "start [call t1 f '{\\'a\\'' ':1}'] calls"},
    {"arguments at the start of two calls that stand open side by side",
     {START, CALL_BLOCK(0, "t1", "{'a':1}"), CALL_BLOCK(1, "t2", "{'b':2}"), STOP(1), STOP(0),
      FINISH("tool_use"), END},
     "start [call t1 f '{\\'a\\':1}'] [call t2 f '{\\'b\\':2}'] calls"},
    {"arguments at the start, and nothing stops the block",
     {START, CALL_BLOCK(0, "t1", "{'a':1}"), FINISH("tool_use")},
     "start [call t1 f '{\\'a\\':1}'] calls"},
    {"two calls whose pieces are mixed",
     {START, CALL_BLOCK(0, "t1", "{}"), CALL_BLOCK(1, "t2", "{}"), INPUT(0, "{\\'x\\':"),
      INPUT(1, "{\\'y\\':2}"), INPUT(0, "1}"), STOP(0), STOP(1), FINISH("tool_use"), END},
     "start [call t1 f '{\\'x\\':' '1}'] [call t2 f '{\\'y\\':2}'] calls"},
    {"text before, between and behind calls",
     {START, TEXT_BLOCK(0), TEXT(0, "a"), STOP(0), CALL_BLOCK(1, "t1", "{}"), INPUT(1, "{}"),
      STOP(1), TEXT_BLOCK(2), TEXT(2, "b"), STOP(2), FINISH("tool_use"), END},
     "start [text 'a'] [call t1 f '{}'] [text 'b'] calls"},
    {"blocks that are never stopped",
     {START, BLOCK(0, "'type':'thinking','thinking':'r','signature':'AB'"), TEXT_BLOCK(1),
      TEXT(1, "a"), CALL_BLOCK(2, "t1", "{}"), TEXT_BLOCK(3), TEXT(3, "b"), FINISH("tool_use"),
      END},
     "start [reasoning 'r' ~AB] [text 'a'] [call t1 f '{}'] [text 'b'] calls"},
    {"server tools between texts: skipped with their deltas; indexes are not dense",
     {START, TEXT_BLOCK(0), TEXT(0, "a"), STOP(0),
      BLOCK(1, "'type':'server_tool_use','id':'s','name':'web_search','input':{}"),
      INPUT(1, "{\\'q\\':1}"), STOP(1),
      BLOCK(2, "'type':'web_search_tool_result','tool_use_id':'s','content':[]"), STOP(2),
      TEXT_BLOCK(7), TEXT(7, "b"), STOP(7), FINISH("end_turn"), END},
     "start [text 'a'] [text 'b'] end"},
    {"citations and unknown deltas are skipped, the text goes on",
     {START, BLOCK(0, "'citations':[],'type':'text','text':''"), TEXT(0, "a"),
      DELTA(0, "'type':'citations_delta','citation':{'url':'u'}"),
      DELTA(0, "'type':'new_delta','text':'x'"), TEXT(0, "b"), STOP(0), FINISH("end_turn"), END},
     "start [text 'a' 'b'] end"},
    {"unknown events, and members nobody knows",
     {START, "{'type':'new_event','error':null,'text':'x'}", "[1]", "7",
      BLOCK(0, "'type':'text','text':'','p':'abc'"), TEXT(0, "a"), STOP(0), FINISH("end_turn"),
      END},
     "start [text 'a'] end"},
    {"content in message_start",
     {"{'type':'message_start','message':{'content':[{'type':'text','text':'a'},"
      "{'type':'tool_use','id':'t1','name':'f','input':{'a':1}}],'stop_reason':'max_tokens'}}",
      END},
     "start [text 'a'] [call t1 f '{\\'a\\':1}'] length"},
    {"OpenRouter's noise behind the end",
     {START, TEXT_BLOCK(0), TEXT(0, "a"), STOP(0), FINISH("end_turn"), END, "[DONE]", "{not json",
      "{'error':{'message':'late'}}", TEXT(0, "b")},
     "start [text 'a'] end"},
    {"[DONE] and empty data before the end",
     {"", START, " [DONE] ", TEXT_BLOCK(0), "", TEXT(0, "a"), STOP(0), FINISH("end_turn"), END},
     "start [text 'a'] end"},
    {"no message_stop, but a reason to stop",
     {START, TEXT_BLOCK(0), TEXT(0, "a"), FINISH("max_tokens")},
     "start [text 'a'] length"},
    {"a message_stop without a reason",
     {START, TEXT_BLOCK(0), TEXT(0, "a"), STOP(0),
      "{'type':'message_delta','delta':{'stop_reason':null}}", END},
     "start [text 'a'] end"},
    {"a message_stop without a reason, with a call",
     {START, CALL_BLOCK(0, "t1", "{}"), STOP(0), END},
     "start [call t1 f '{}'] calls"},
    {"nothing but a beginning and an end is no answer", {START, END}, "start reset"},
    {"an empty answer with a reason is one", {START, FINISH("end_turn"), END}, "start end"},
    {"the body ends in the middle",
     {START, TEXT_BLOCK(0), TEXT(0, "a"), STOP(0)},
     "start [text 'a'] reset"},
    {"the body ends in the middle of a call",
     {START, CALL_BLOCK(0, "t1", "{}"), INPUT(0, "{\\'a")},
     "start [call t1 f '{\\'a' reset"},
    {"no message_start, no indexes, no types of deltas",
     {"{'type':'content_block_start','content_block':{'type':'text'}}",
      "{'type':'content_block_delta','delta':{'text':'a'}}", "{'type':'content_block_stop'}",
      "{'type':'content_block_start','content_block':{'type':'tool_use','id':'t1','name':'f'}}",
      "{'type':'content_block_delta','delta':{'partial_json':'{}'}}",
      "{'type':'content_block_stop'}", FINISH("tool_use"), END},
     "start [text 'a'] [call t1 f '{}'] calls"},
    {"deltas of a block that never began",
     {START, TEXT(0, "a"), THINK(1, "r"), FINISH("end_turn"), END},
     "start [text 'a'] [reasoning 'r'] end"},
    {"arguments of a call that never began",
     {START, INPUT(0, "{}"), FINISH("tool_use")},
     "start nonsense"},
    {"arguments behind a call's end",
     {START, CALL_BLOCK(0, "t1", "{}"), STOP(0), INPUT(0, "{\\'a\\':1}"), FINISH("tool_use")},
     "start [call t1 f '{}'] nonsense"},
    {"ids that no client should see",
     {START, CALL_BLOCK(0, "", "{}"), STOP(0), BLOCK(1, "'type':'tool_use','name':'g'"), STOP(1),
      FINISH("tool_use"), END},
     "start [call call_a1_0 f '{}'] [call call_a1_1 g '{}'] calls"},
    {"an index twice",
     {START, TEXT_BLOCK(0), TEXT(0, "a"), TEXT_BLOCK(0), TEXT(0, "b"), STOP(0), FINISH("end_turn"),
      END},
     "start [text 'a'] [text 'b'] end"},
    {"message_start twice, the finish twice",
     {START, TEXT_BLOCK(0), TEXT(0, "a"), START, TEXT(0, "b"), STOP(0), FINISH("stop_sequence"),
      FINISH("end_turn"), END},
     "start [text 'a' 'b'] end"},
    {"escapes stay as they are, lone surrogates too",
     {START, TEXT_BLOCK(0), TEXT(0, "\\u00e9\\n\\ud83d"), TEXT(0, "\\ude00\xc3\xa9"), STOP(0),
      FINISH("end_turn"), END},
     "start [text '\\u00e9\\n\\ud83d' '\\ude00\xc3\xa9'] end"},
    {"bytes that are no UTF-8", {START, TEXT_BLOCK(0), TEXT(0, "\xc3")}, "start nonsense"},
    {"a raw control character", {START, TEXT_BLOCK(0), TEXT(0, "\n")}, "start nonsense"},
    {"an event that is cut",
     {START, "{'type':'content_block_delta','index':0,'del"},
     "start nonsense"},
    {"an error of Anthropic",
     {START, TEXT_BLOCK(0), TEXT(0, "a"),
      "{'type':'error','error':{'type':'overloaded_error','message':'Overloaded'}}", TEXT(0, "b"),
      FINISH("end_turn"), END},
     "start [text 'a' error:overloaded_error:Overloaded"},
    {"an error at the very beginning",
     {"{'type':'error','error':{'type':'rate_limit_error','message':'slow'},'request_id':'r'}"},
     "start error:overloaded_error:slow"},
    {"an error in GLM's own shape",
     {START, "{'error':{'code':'1302','message':'too fast'},'request_id':'r'}"},
     "start error:overloaded_error:too fast"},
    {"an error in OpenRouter's shape",
     {START, "{'error':{'code':502,'message':'bad'}}"},
     "start error:provider_error:bad"},
};

Test(anthropic_answer, streams_become_neutral_events)
{
    for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
        CLEANUP(reading_release) struct reading reading;
        reading_init(&reading);
        for (size_t k = 0; streams[i].events[k]; k++)
            read_event(&reading, NULL, streams[i].events[k]);
        read_end(&reading);
        expect_text(&reading, streams[i].expected, streams[i].about);
    }
}

Test(anthropic_answer, names_of_events_count_only_without_a_type)
{
    CLEANUP(reading_release) struct reading reading;
    reading_init(&reading);
    read_event(&reading, "message_start", "{'message':{}}");
    read_event(&reading, "message_stop", TEXT(0, "a"));
    read_event(&reading, "ping", "not json");
    read_event(&reading, "ping", TEXT(0, "b"));
    read_event(&reading, "data", "[DONE]");
    read_event(&reading, "message_delta", "{'delta':{'stop_reason':'refusal'}}");
    read_event(&reading, "error", END);
    read_end(&reading);
    expect_text(&reading, "start [text 'a' 'b'] refusal", "names");
}

Test(anthropic_answer, an_event_named_error_is_one_whatever_is_in_it)
{
    static const char *const rows[][2] = {
        {"{'message':'broken','code':500}", "start error:provider_error:broken"},
        {"broken", "start error:provider_error:broken"},
        {"'broken'", "start error:provider_error:'broken'"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        CLEANUP(reading_release) struct reading reading;
        reading_init(&reading);
        read_event(&reading, "error", rows[i][0]);
        read_end(&reading);
        expect_text(&reading, rows[i][1], rows[i][0]);
    }
}

static const struct {
    const char *word;
    const char *plain;     /* without a call */
    const char *with_call; /* NULL: the same */
} words[] = {
    {"end_turn", "end", "calls"},        {"stop_sequence", "sequence", "calls"},
    {"max_tokens", "length", NULL},      {"model_context_window_exceeded", "context", NULL},
    {"tool_use", "end", "calls"},        {"refusal", "refusal", NULL},
    {"pause_turn", "pause", "calls"},    {"compaction", "end", "calls"},
    {"something_new", "end", "calls"},   {"length", "length", NULL},
    {"content_filter", "refusal", NULL},
};

Test(anthropic_answer, every_reason_to_stop_is_understood)
{
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        for (int has_call = 0; has_call < 2; has_call++) {
            CLEANUP(reading_release) struct reading reading;
            reading_init(&reading);
            char finish[160], expected[160];
            const char *word = has_call && words[i].with_call ? words[i].with_call : words[i].plain;
            snprintf(finish, sizeof(finish),
                     "{'type':'message_delta','delta':{'stop_reason':'%s','stop_sequence':'X'}}",
                     words[i].word);
            snprintf(expected, sizeof(expected), "start [%s] %s:X",
                     has_call ? "call t1 f '{}'" : "text 'a'", word);
            read_event(&reading, NULL, has_call ? CALL_BLOCK(0, "t1", "{}") : TEXT(0, "a"));
            read_event(&reading, NULL, finish);
            read_end(&reading);
            expect_text(&reading, expected, words[i].word);
        }
    }
}

static const struct {
    const char *events[4];
    struct usage start, finish;
} usages[] = {
    {{"{'type':'message_start','message':{'usage':{'input_tokens':2068,'output_tokens':1}}}",
      "{'type':'message_delta','delta':{'stop_reason':'end_turn'},'usage':{'input_tokens':22397,"
      "'cache_read_input_tokens':7,'output_tokens':70,"
      "'output_tokens_details':{'thinking_tokens':30}}}"},
     {.source = USAGE_PROVIDER, .input = 2068, .output = 1},
     {.source = USAGE_PROVIDER, .input = 22397, .cache_read = 7, .output = 70, .reasoning = 30}},
    {{"{'type':'message_start','message':{'usage':{'input_tokens':394,"
      "'cache_creation_input_tokens':31,'cache_read_input_tokens':22000,'output_tokens':5}}}",
      "{'type':'message_delta','delta':{'stop_reason':'end_turn'},'usage':{'output_tokens':76}}"},
     {.source = USAGE_PROVIDER,
      .input = 394,
      .cache_read = 22000,
      .cache_write_5m = 31,
      .output = 5},
     {.source = USAGE_PROVIDER,
      .input = 394,
      .cache_read = 22000,
      .cache_write_5m = 31,
      .output = 76}},
    {{"{'type':'message_start','message':{'usage':{'input_tokens':10,"
      "'cache_creation_input_tokens':30,'cache_creation':{'ephemeral_5m_input_tokens':10,"
      "'ephemeral_1h_input_tokens':20}}}}",
      "{'type':'message_delta','delta':{'stop_reason':'end_turn'},'usage':{'input_tokens':null,"
      "'cache_creation_input_tokens':30,'output_tokens':-4}}"},
     {.source = USAGE_PROVIDER, .input = 10, .cache_write_5m = 10, .cache_write_1h = 20},
     {.source = USAGE_PROVIDER, .input = 10, .cache_write_5m = 10, .cache_write_1h = 20}},
    {{"{'type':'message_start','message':{'usage':{'input_tokens':10}}}",
      "{'type':'message_delta','delta':{'stop_reason':'end_turn'},'usage':{'input_tokens':0,"
      "'output_tokens':3}}"},
     {.source = USAGE_PROVIDER, .input = 10},
     {.source = USAGE_PROVIDER, .input = 10, .output = 3}},
    {{"{'type':'message_start','message':{}}",
      "{'type':'message_delta','delta':{'stop_reason':'end_turn'},'usage':null}"},
     {0},
     {0}},
};

Test(anthropic_answer, usage_of_the_end_overwrites_that_of_the_start_count_by_count)
{
    for (size_t i = 0; i < sizeof(usages) / sizeof(usages[0]); i++) {
        CLEANUP(reading_release) struct reading reading;
        reading_init(&reading);
        for (size_t k = 0; usages[i].events[k]; k++)
            read_event(&reading, NULL, usages[i].events[k]);
        read_end(&reading);
        cr_expect(!memcmp(&reading.start, &usages[i].start, sizeof(struct usage)), "start %zu", i);
        cr_expect(!memcmp(&reading.finish, &usages[i].finish, sizeof(struct usage)), "end %zu", i);
    }
}

static const char *const lossy[][2] = {
    {BLOCK(0, "'type':'server_tool_use'"), "content[].server_tool_use"},
    {BLOCK(0, "'type':'mcp_tool_result'"), "content[].mcp_tool_result"},
    {BLOCK(0, "'type':'compaction','content':'x'"), "content[].compaction"},
    {BLOCK(0, "'text':'x'"), "content[]"},
    {BLOCK(0, "'type':'text','text':'a','citations':[{}]"), "content[].citations"},
    {DELTA(0, "'type':'citations_delta','citation':{}"), "content[].citations"},
    {DELTA(0, "'type':'new_delta'"), "delta.new_delta"},
    {"{'type':'message_delta','delta':{'stop_details':{'type':'refusal'}}}", "stop_details"},
    {BLOCK(0, "'type':'text','text':'a','citations':null"), ""},
    {"{'type':'new_event'}", ""},
};

Test(anthropic_answer, what_is_skipped_is_named)
{
    for (size_t i = 0; i < sizeof(lossy) / sizeof(lossy[0]); i++) {
        CLEANUP(reading_release) struct reading reading;
        CLEANUP(bytes_release) struct bytes losses = {.max = MAX};
        reading_init(&reading);
        read_event(&reading, NULL, lossy[i][0]);
        cr_expect(reading.result == 0 && ir_losses_write(&reading.losses, &losses) == 0);
        cr_expect(span_equal(bytes_span(&losses), span_of(lossy[i][1])), "%s: %s", lossy[i][0],
                  losses.data ? losses.data : "");
    }
}

Test(anthropic_answer, more_blocks_than_are_kept_open_do_no_harm)
{
    CLEANUP(reading_release) struct reading reading;
    reading_init(&reading);
    for (int i = 0; i < 40; i++) {
        char event[160];
        snprintf(event, sizeof(event),
                 "{'type':'content_block_start','index':%d,'content_block':{'type':'%s','id':'t%d',"
                 "'name':'f','input':{'n':%d}}}",
                 i, i % 3 ? "tool_use" : "server_tool_use", i, i);
        read_event(&reading, NULL, event);
    }
    read_event(&reading, NULL, FINISH("tool_use"));
    read_event(&reading, NULL, END);
    read_end(&reading);
    cr_expect(reading.result == 0 && reading.life.calls == 26, "%u", reading.life.calls);
}

/* ---- whole answers in ---- */

#define MESSAGE(content, rest) "{'type':'message','role':'assistant','content':" content rest "}"

static const struct {
    const char *body;
    const char *expected;
} wholes[] = {
    {MESSAGE("[{'type':'text','text':'a'}]", ",'stop_reason':'end_turn'"), "start [text 'a'] end"},
    {" \n\n " MESSAGE("[{'text':'a','type':'text'}]", ",'stop_reason':'stop_sequence',"
                                                      "'stop_sequence':'P'"),
     "start [text 'a'] sequence:P"},
    {MESSAGE("[{'type':'thinking','thinking':'r','signature':'AB'},"
             "{'type':'redacted_thinking','data':'CD'},{'type':'thinking','thinking':'',"
             "'signature':'EF'},{'type':'text','text':'a'},{'type':'text','text':'b'}]",
             ",'stop_reason':'pause_turn'"),
     "start [reasoning 'r' ~AB] [redacted ~CD] [reasoning ~EF] [text 'a'] [text 'b'] pause"},
    {MESSAGE("[{'type':'text','text':'a'},{'type':'tool_use','id':'t1','name':'f',"
             "'input':{'n': 1e3,\n 's':'\\'\\u0000'}},{'type':'tool_use','id':'t2','name':'g',"
             "'input':{}}]",
             ",'stop_reason':'tool_use'"),
     "start [text 'a'] [call t1 f '{\\'n\\': 1e3,\\n \\'s\\':\\'\\\\\\'\\\\u0000\\'}'] "
     "[call t2 g '{}'] calls"},
    {MESSAGE("[{'type':'server_tool_use','id':'s','name':'web_search','input':{'q':1}},"
             "{'type':'web_search_tool_result','content':[]},{'type':'text','text':'a'}]",
             ",'stop_reason':'end_turn','error':{'message':'x'}"),
     "start [text 'a'] end"},
    {MESSAGE("[{'type':'text','text':'a'}]", ",'stop_reason':null"), "start [text 'a'] end"},
    {MESSAGE("[{'type':'tool_use','id':'t1','name':'f','input':{}}]", ""),
     "start [call t1 f '{}'] calls"},
    {MESSAGE("[]", ",'stop_reason':'end_turn'"), "start end"},
    {MESSAGE("'plain'", ",'stop_reason':'end_turn'"), "start [text 'plain'] end"},
    {MESSAGE("[7,null,'x',{}]", ",'stop_reason':'end_turn'"), "start end"},
    {MESSAGE("[]", ""), "start nonsense"},
    {MESSAGE("null", ",'stop_reason':'end_turn'"), " nonsense"},
    {"{'stop_reason':'end_turn'}", " nonsense"},
    {"[]", " nonsense"},
    {"", " nonsense"},
    {"<html>", " nonsense"},
    {MESSAGE("[{'type':'text','text':'\xc3'}]", ",'stop_reason':'end_turn'"), " nonsense"},
    {"{'type':'error','error':{'type':'overloaded_error','message':'Overloaded'}}",
     "start error:overloaded_error:Overloaded"},
    {"{'error':{'code':502,'message':'bad'}}", "start error:provider_error:bad"},
    {"{'error':'words','content':[]}", "start error:provider_error:words"},
};

Test(anthropic_answer, whole_answers_become_neutral_events)
{
    for (size_t i = 0; i < sizeof(wholes) / sizeof(wholes[0]); i++) {
        CLEANUP(reading_release) struct reading reading;
        CLEANUP(bytes_release) struct bytes body = json_of(wholes[i].body);
        reading_init(&reading);
        reading.result = anthropic_decode_answer(bytes_span(&body), &reading.writer);
        read_end(&reading);
        expect_text(&reading, wholes[i].expected, wholes[i].body);
    }
}

/* The whole answer as a stream whose blocks start filled. */
static void read_twin(struct reading *reading, struct json root)
{
    CLEANUP(bytes_release) struct bytes event = {.max = MAX};
    struct json_iter iter = json_iter(json_get(root, "content"));
    struct json block;
    read_event(reading, NULL, START);
    for (int i = 0; json_next(&iter, &block); i++) {
        bytes_clear(&event);
        cr_assert(
            bytes_addf(&event,
                       "{\"type\":\"content_block_start\",\"index\":%d,\"content_block\":" SPAN_FMT
                       "}",
                       i, SPAN_ARG(json_span(block))) == 0);
        read_event(reading, NULL, event.data);
        bytes_clear(&event);
        cr_assert(bytes_addf(&event, STOP(% d), i) == 0);
        read_event(reading, NULL, event.data);
    }
    bytes_clear(&event);
    cr_assert(bytes_addf(&event, "{\"type\":\"message_delta\",\"delta\":" SPAN_FMT "}",
                         SPAN_ARG(json_span(root))) == 0);
    read_event(reading, NULL, event.data);
    read_event(reading, NULL, END);
    read_end(reading);
}

Test(anthropic_answer, a_whole_answer_reads_like_its_stream)
{
    for (size_t i = 0; i < sizeof(wholes) / sizeof(wholes[0]); i++) {
        CLEANUP(reading_release) struct reading whole, twin;
        CLEANUP(bytes_release) struct bytes body = json_of(wholes[i].body);
        struct json root;
        reading_init(&whole);
        reading_init(&twin);
        whole.result = anthropic_decode_answer(bytes_span(&body), &whole.writer);
        read_end(&whole);
        if (whole.result == 0 && json_validate(bytes_span(&body), &root, NULL) == 0 &&
            json_get(root, "content").type == JSON_ARRAY && !whole.life.is_failed) {
            read_twin(&twin, root);
            expect_text(&twin, whole.text.data, wholes[i].body);
        }
    }
}

/* ---- out ---- */

static const struct usage some_usage = {.source = USAGE_PROVIDER,
                                        .input = 13,
                                        .cache_read = 22000,
                                        .cache_write_5m = 31,
                                        .cache_write_1h = 8,
                                        .output = 4};
static const struct ir_reply reply = {.id = {"a1", 2}, .model = {"m\"x", 3}, .created_s = 5};

/* A text in a static table. */
#define WORDS(literal)                                                                             \
    {                                                                                              \
        {                                                                                          \
            literal, sizeof(literal) - 1                                                           \
        }                                                                                          \
    }

static const struct out {
    struct ir_event event;
    const char *wire;
} outs[] = {
    {{.kind = IR_EVENT_START},
     "event: message_start\n"
     "data: {'type':'message_start','message':{'id':'msg_a1','type':'message','role':'assistant',"
     "'model':'m\\'x','content':[],'stop_reason':null,'stop_sequence':null,'usage':{"
     "'input_tokens':0,'cache_creation_input_tokens':0,'cache_read_input_tokens':0,"
     "'output_tokens':0}}}\n\n"},
    {{.kind = IR_EVENT_BLOCK_START, .block_kind = IR_TEXT},
     "event: content_block_start\n"
     "data: "
     "{'type':'content_block_start','index':0,'content_block':{'type':'text','text':''}}\n\n"},
    {{.kind = IR_EVENT_DELTA, .block_kind = IR_TEXT, .text = WORDS("a\\nb")},
     "event: content_block_delta\n"
     "data: {'type':'content_block_delta','index':0,'delta':{'type':'text_delta','text':'a\\nb'}}"
     "\n\n"},
    {{.kind = IR_EVENT_BLOCK_STOP, .block_kind = IR_TEXT},
     "event: content_block_stop\n"
     "data: {'type':'content_block_stop','index':0}\n\n"},
    {{.kind = IR_EVENT_BLOCK_START, .block_kind = IR_REASONING, .block = 1},
     "event: content_block_start\n"
     "data: {'type':'content_block_start','index':1,'content_block':{'type':'thinking',"
     "'thinking':'','signature':''}}\n\n"},
    {{.kind = IR_EVENT_DELTA, .block_kind = IR_REASONING, .block = 1, .text = WORDS("r")},
     "event: content_block_delta\n"
     "data: {'type':'content_block_delta','index':1,'delta':{'type':'thinking_delta',"
     "'thinking':'r'}}\n\n"},
    {{.kind = IR_EVENT_SIGNATURE, .block_kind = IR_REASONING, .block = 1, .text = WORDS("AB=")},
     "event: content_block_delta\n"
     "data: {'type':'content_block_delta','index':1,'delta':{'type':'signature_delta',"
     "'signature':'AB='}}\n\n"},
    {{.kind = IR_EVENT_BLOCK_STOP, .block_kind = IR_REASONING, .block = 1},
     "event: content_block_stop\n"
     "data: {'type':'content_block_stop','index':1}\n\n"},
    {{.kind = IR_EVENT_BLOCK_START, .block_kind = IR_REASONING, .block = 12},
     "event: content_block_start\n"
     "data: {'type':'content_block_start','index':12,'content_block':{'type':'thinking',"
     "'thinking':'','signature':''}}\n\n"},
    {{.kind = IR_EVENT_BLOCK_STOP, .block_kind = IR_REASONING, .block = 12},
     "event: content_block_delta\n"
     "data: {'type':'content_block_delta','index':12,'delta':{'type':'signature_delta',"
     "'signature':'" ANTHROPIC_OWN_SIGNATURE "'}}\n\n"
     "event: content_block_stop\n"
     "data: {'type':'content_block_stop','index':12}\n\n"},
    {{.kind = IR_EVENT_BLOCK_START, .block_kind = IR_REASONING, .block = 13, .is_redacted = true},
     ""},
    {{.kind = IR_EVENT_SIGNATURE,
      .block_kind = IR_REASONING,
      .block = 13,
      .is_redacted = true,
      .text = WORDS("Zm9v")},
     "event: content_block_start\n"
     "data: {'type':'content_block_start','index':13,'content_block':{'type':'redacted_thinking',"
     "'data':'Zm9v'}}\n\n"},
    {{.kind = IR_EVENT_BLOCK_STOP, .block_kind = IR_REASONING, .block = 13, .is_redacted = true},
     "event: content_block_stop\n"
     "data: {'type':'content_block_stop','index':13}\n\n"},
    {{.kind = IR_EVENT_BLOCK_START,
      .block_kind = IR_CALL,
      .block = 4294967295u,
      .id = WORDS("t1"),
      .name = WORDS("f")},
     "event: content_block_start\n"
     "data: {'type':'content_block_start','index':4294967295,'content_block':{'type':'tool_use',"
     "'id':'t1','name':'f','input':{}}}\n\n"},
    {{.kind = IR_EVENT_DELTA, .block_kind = IR_CALL, .block = 100, .text = WORDS("{\\\"a\\\":1}")},
     "event: content_block_delta\n"
     "data: {'type':'content_block_delta','index':100,'delta':{'type':'input_json_delta',"
     "'partial_json':'{\\'a\\':1}'}}\n\n"},
    {{.kind = IR_EVENT_BLOCK_START, .block_kind = IR_REFUSAL, .block = 2},
     "event: content_block_start\n"
     "data: "
     "{'type':'content_block_start','index':2,'content_block':{'type':'text','text':''}}\n\n"},
    {{.kind = IR_EVENT_DELTA, .block_kind = IR_REFUSAL, .block = 2, .text = WORDS("no")},
     "event: content_block_delta\n"
     "data: "
     "{'type':'content_block_delta','index':2,'delta':{'type':'text_delta','text':'no'}}\n\n"},
    {{.kind = IR_EVENT_FINISH,
      .stop = IR_STOP_SEQUENCE,
      .stop_sequence = WORDS("X"),
      .usage = &some_usage},
     "event: message_delta\n"
     "data: {'type':'message_delta','delta':{'stop_reason':'stop_sequence','stop_sequence':'X'},"
     "'usage':{'input_tokens':13,'cache_creation_input_tokens':39,'cache_read_input_tokens':22000,"
     "'output_tokens':4,'cache_creation':{'ephemeral_5m_input_tokens':31,"
     "'ephemeral_1h_input_tokens':8}}}\n\n"
     "event: message_stop\n"
     "data: {'type':'message_stop'}\n\n"},
};

Test(anthropic_answer, neutral_events_are_written_with_name_and_data)
{
    struct anthropic_encoder encoder = {0};
    for (size_t i = 0; i < sizeof(outs) / sizeof(outs[0]); i++) {
        CLEANUP(bytes_release) struct bytes wire = {.max = MAX};
        CLEANUP(bytes_release) struct bytes expected = json_of(outs[i].wire);
        cr_assert(anthropic_encode_event(&encoder, &reply, &outs[i].event, &wire) == 0);
        cr_expect(span_equal(bytes_span(&wire), bytes_span(&expected)), "expected\n%sfound\n%s",
                  expected.data, wire.data);
    }
}

Test(anthropic_answer, a_full_buffer_is_an_error)
{
    for (size_t i = 0; i < sizeof(outs) / sizeof(outs[0]); i++) {
        struct anthropic_encoder encoder = {0};
        struct bytes wire = {.max = 30};
        int r = anthropic_encode_event(&encoder, &reply, &outs[i].event, &wire);
        cr_expect(r == (outs[i].wire[0] ? -ERR_TOO_LARGE : 0), "%zu: %d", i, r);
        bytes_release(&wire);
    }
}

/* ---- there and back ---- */

struct writing {
    struct anthropic_encoder encoder;
    struct bytes wire;
    struct ir_answer answer;
};

static int write_both(void *ctx, const struct ir_event *event)
{
    struct writing *writing = ctx;
    if (event->kind == IR_EVENT_ERROR)
        return 0;
    int r = ir_answer_take(&writing->answer, event);
    return r == 0 ? anthropic_encode_event(&writing->encoder, &reply, event, &writing->wire) : r;
}

static void writing_release(struct writing *writing)
{
    bytes_release(&writing->wire);
    ir_answer_release(&writing->answer);
}

/* Decodes a row of `streams` and writes what comes of it, as a stream and whole. */
static bool write_stream(struct writing *writing, const struct stream *stream)
{
    struct reading reading;
    *writing = (struct writing){.wire = {.max = MAX}};
    ir_answer_init(&writing->answer, MAX);
    reading_init(&reading);
    lifecycle_init(&reading.life, write_both, writing);
    for (size_t k = 0; stream->events[k]; k++)
        read_event(&reading, NULL, stream->events[k]);
    read_end(&reading);
    bool is_whole = reading.result == 0 && !reading.life.is_failed;
    reading_release(&reading);
    return is_whole;
}

/* Reads a stream's text: every event has its two lines, and they agree. */
static void read_wire(struct reading *reading, struct span wire)
{
    while (wire.len > 0) {
        struct span name = span_cut(wire, '\n', &wire), data = span_cut(wire, '\n', &wire);
        cr_assert(span_starts(name, SPAN("event: ")) && span_starts(data, SPAN("data: ")));
        cr_assert(wire.len > 0 && wire.at[0] == '\n');
        wire.at++, wire.len--;
        name.at += 7, name.len -= 7;
        data.at += 6, data.len -= 6;
        struct json root;
        cr_assert(json_validate(data, &root, NULL) == 0);
        cr_expect(span_equal(json_raw_text(json_get(root, "type")), name));
        if (reading->result == 0)
            reading->result =
                anthropic_decode_event(&reading->decoder, &reading->writer, name, data);
    }
    read_end(reading);
}

Test(anthropic_answer, what_is_written_reads_back_the_same)
{
    for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
        CLEANUP(writing_release) struct writing writing;
        CLEANUP(reading_release) struct reading back;
        reading_init(&back);
        if (!write_stream(&writing, &streams[i]))
            continue;
        read_wire(&back, bytes_span(&writing.wire));
        CLEANUP(bytes_release) struct bytes expected = {.max = MAX};
        cr_assert(bytes_add_span(&expected, span_of(streams[i].expected)) == 0);
        /* The one addition: reasoning that nobody signed is signed by us. */
        char *unsigned_end = expected.data ? strstr(expected.data, "[reasoning 'r']") : NULL;
        if (!unsigned_end)
            expect_text(&back, expected.data, streams[i].about);
    }
}

/* Deltas of a block joined, as they stand in a whole answer. */
static void join_pieces(char *text)
{
    for (char *seam; (seam = strstr(text, "\" \""));)
        memmove(seam, seam + 3, strlen(seam + 3) + 1);
}

Test(anthropic_answer, whole_and_streamed_output_say_the_same)
{
    for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
        CLEANUP(writing_release) struct writing writing;
        CLEANUP(reading_release) struct reading stream, whole;
        CLEANUP(bytes_release) struct bytes body = {.max = MAX};
        reading_init(&stream);
        reading_init(&whole);
        if (!write_stream(&writing, &streams[i]))
            continue;
        cr_assert(anthropic_encode_answer(&writing.answer, &reply, NULL, &body) == 0);
        read_wire(&stream, bytes_span(&writing.wire));
        whole.result = anthropic_decode_answer(bytes_span(&body), &whole.writer);
        read_end(&whole);
        join_pieces(stream.text.data);
        stream.text.len = strlen(stream.text.data);
        expect_text(&whole, stream.text.data, streams[i].about);
        cr_expect(!memcmp(&stream.finish, &whole.finish, sizeof(whole.finish)));
    }
}

/* ---- whole answers out ---- */

static void expect_answer(struct ir_block *blocks, enum ir_stop stop, const char *expected,
                          const char *lost)
{
    CLEANUP(bytes_release) struct bytes wire = {.max = MAX}, names = {.max = MAX};
    CLEANUP(bytes_release) struct bytes json = json_of(expected);
    struct ir_losses losses = {0};
    const struct ir_answer answer = {.blocks = blocks, .stop = stop, .usage = some_usage};
    cr_assert(anthropic_encode_answer(&answer, &reply, &losses, &wire) == 0);
    cr_expect(memmem(wire.data, wire.len, json.data, json.len), "expected\n%s\nfound\n%s",
              json.data, wire.data);
    cr_assert(ir_losses_write(&losses, &names) == 0);
    cr_expect(span_equal(bytes_span(&names), span_of(lost)), "%s", names.data);
}

Test(anthropic_answer, a_whole_answer_is_one_object)
{
    struct ir_block text = {.kind = IR_TEXT, .text = WORDS("a")};
    expect_answer(&text, IR_STOP_REFUSAL,
                  "{'id':'msg_a1','type':'message','role':'assistant','model':'m\\'x','content':["
                  "{'type':'text','text':'a'}],'stop_reason':'refusal','stop_sequence':null,"
                  "'usage':{'input_tokens':13,'cache_creation_input_tokens':39,"
                  "'cache_read_input_tokens':22000,'output_tokens':4,'cache_creation':{"
                  "'ephemeral_5m_input_tokens':31,'ephemeral_1h_input_tokens':8}}}",
                  "");
}

Test(anthropic_answer, every_kind_of_block_has_its_object)
{
    struct ir_block refusal = {.kind = IR_REFUSAL, .text = WORDS("no")};
    struct ir_block redacted = {
        .next = &refusal, .kind = IR_REASONING, .is_redacted = true, .signature = WORDS("CD")};
    struct ir_block own = {.next = &redacted, .kind = IR_REASONING, .text = WORDS("s")};
    struct ir_block thought = {
        .next = &own, .kind = IR_REASONING, .text = WORDS("r"), .signature = WORDS("AB")};
    expect_answer(&thought, IR_STOP_END,
                  "[{'type':'thinking','thinking':'r','signature':'AB'},"
                  "{'type':'thinking','thinking':'s','signature':'" ANTHROPIC_OWN_SIGNATURE "'},"
                  "{'type':'redacted_thinking','data':'CD'},{'type':'text','text':'no'}]",
                  "");
}

Test(anthropic_answer, calls_have_an_object_as_input_or_are_left_out_when_the_answer_was_cut)
{
    struct ir_block torn = {
        .kind = IR_CALL, .id = WORDS("t3"), .name = WORDS("f"), .torn = WORDS("{\\\"a")};
    struct ir_block none = {.next = &torn,
                            .kind = IR_CALL,
                            .id = WORDS("t2"),
                            .name = WORDS("f"),
                            .torn = WORDS("null")};
    struct ir_block call = {.next = &none,
                            .kind = IR_CALL,
                            .id = WORDS("t1"),
                            .name = WORDS("f"),
                            .arguments = {"{\"a\":1.0}", 9, JSON_OBJECT}};
    expect_answer(&call, IR_STOP_LENGTH,
                  "[{'type':'tool_use','id':'t1','name':'f','input':{'a':1.0}},"
                  "{'type':'tool_use','id':'t2','name':'f','input':{}}],'stop_reason':'max_tokens'",
                  "tool_use with torn input");
    expect_answer(&torn, IR_STOP_CALLS, "'input':{'raw':'{\\\"a'}}],'stop_reason':'tool_use'",
                  "tool_use with torn input");
}
