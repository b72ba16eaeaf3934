/*
 * Chat requests: read into the neutral form and written from it. JSON in the tables is written with
 * ' for "; a body is decoded, encoded for a target, and the outcome compared as text.
 */
#include "dialect/openai_chat.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "base/own.h"
#include "dialect/anthropic.h"

#define MAX ((size_t)1 << 24)

/* One conversion and all that belongs to it. */
struct conversion {
    struct bytes body, out, losses_text;
    struct arena arena;
    struct ir_request request;
    struct ir_losses losses;
    struct err err;
    int result;
};

static void release(struct conversion *conversion)
{
    bytes_release(&conversion->body);
    bytes_release(&conversion->out);
    bytes_release(&conversion->losses_text);
    arena_release(&conversion->arena);
}

/* Appends with " for '. */
static void add_quoted(struct bytes *out, const char *text)
{
    for (; *text; text++)
        cr_assert_eq(bytes_add(out, *text == '\'' ? "\"" : text, 1), 0);
}

/* Words of capabilities.def, each with + or - before it: the default ones with these changes. */
static ir_capability_set capabilities(const char *words)
{
    ir_capability_set set = ir_capabilities_default();
    struct span rest = span_of(words ? words : "");
    while (rest.len) {
        struct span word = span_cut(rest, ' ', &rest);
        enum ir_capability found = ir_capability_find((struct span){word.at + 1, word.len - 1});
        cr_assert_neq(found, IR_CAPABILITIES, "%s", words);
        ir_capability_set bit = (ir_capability_set)1 << found;
        set = word.at[0] == '-' ? set & ~bit : set | bit;
    }
    return set;
}

static void decode(struct conversion *conversion, bool is_messages, const char *before,
                   const char *body, const char *behind)
{
    *conversion = (struct conversion){
        .body.max = MAX, .out.max = MAX, .losses_text = {.max = MAX}, .out.data = NULL};
    arena_init(&conversion->arena, MAX);
    add_quoted(&conversion->body, before);
    add_quoted(&conversion->body, body);
    add_quoted(&conversion->body, behind);
    conversion->result = (is_messages ? anthropic_decode_request : openai_chat_decode_request)(
        bytes_span(&conversion->body), &conversion->arena, &conversion->request,
        &conversion->losses, &conversion->err);
}

static void encode(struct conversion *conversion, const char *words)
{
    struct ir_target target = {
        .model = SPAN("m"), .capabilities = capabilities(words), .max_output = 1000};
    if (conversion->result == 0)
        conversion->result =
            openai_chat_encode_request(&conversion->request, &target, &conversion->arena,
                                       &conversion->losses, &conversion->out, &conversion->err);
    cr_assert_eq(ir_losses_write(&conversion->losses, &conversion->losses_text), 0);
}

static void expect_text(const char *what, struct span text, const char *before,
                        const char *expected, const char *behind)
{
    CLEANUP(bytes_release) struct bytes wanted = {.max = MAX};
    add_quoted(&wanted, before);
    add_quoted(&wanted, expected);
    add_quoted(&wanted, behind);
    cr_expect(span_equal(text, bytes_span(&wanted)), "%s:\n" SPAN_FMT "\nwanted\n%s", what,
              SPAN_ARG(text), wanted.data);
}

/* ---- histories ---- */

struct history {
    const char *what;
    const char *messages; /* as the client sends them */
    const char *words;    /* capabilities */
    const char *expected;
    const char *losses;
};

static void expect_history(const struct history *row, bool is_messages)
{
    struct conversion conversion;
    decode(&conversion, is_messages, is_messages ? "{'model':'x','max_tokens':7," : "{'model':'x',",
           row->messages, "}");
    encode(&conversion, row->words);
    cr_expect_eq(conversion.result, 0, "%s: %s", row->what, conversion.err.detail);
    expect_text(row->what, bytes_span(&conversion.out), "{'model':'m','messages':", row->expected,
                is_messages ? ",'max_tokens':7}" : "}");
    expect_text(row->what, bytes_span(&conversion.losses_text), "", row->losses ? row->losses : "",
                "");
    release(&conversion);
}

/* From Messages. Q is a question, A an answer to it that calls two tools. */
#define Q      "{'role':'user','content':'q'}"
#define CALLS  "{'role':'assistant','content':[{'type':'text','text':'look'}," CALL_A "," CALL_B "]}"
#define CALL_A "{'type':'tool_use','id':'a','name':'f','input':{'x' : 1.0}}"
#define CALL_B "{'type':'tool_use','id':'b','name':'g','input':{}}"
#define IMAGE  "{'type':'image','source':{'type':'base64','media_type':'image/png','data':'QUJD'}}"
#define PDF                                                                                        \
    "{'type':'document','title':'t.pdf','source':{'type':'base64',"                                \
    "'media_type':'application/pdf','data':'QUJD'}}"

#define CHAT_CALLS                                                                                 \
    "{'role':'assistant','content':'look','tool_calls':["                                          \
    "{'id':'a','type':'function','function':{'name':'f','arguments':'{\\'x\\' : 1.0}'}},"          \
    "{'id':'b','type':'function','function':{'name':'g','arguments':'{}'}}]}"
#define CHAT_RESULT(id, text) "{'role':'tool','tool_call_id':'" id "','content':'" text "'}"
#define CHAT_IMAGE            "{'type':'image_url','image_url':{'url':'data:image/png;base64,QUJD'}}"
#define CHAT_FILE                                                                                  \
    "{'type':'file','file':{'filename':'t.pdf','file_data':'data:application/pdf;base64,QUJD'}}"
#define MARK ",'cache_control':{'type':'ephemeral'}"

static const struct history from_messages[] = {
    {"results come at once, in their order, whatever else is said",
     "'messages':[" Q "," CALLS ",{'role':'user','content':["
     "{'type':'text','text':'and'},"
     "{'type':'tool_result','tool_use_id':'b','content':'B'},"
     "{'type':'tool_result','tool_use_id':'a','is_error':true,"
     "'content':[{'type':'text','text':'1'},{'type':'text','text':'2'}]}]},"
     "{'role':'assistant','content':'done'}]",
     NULL,
     "[" Q "," CHAT_CALLS "," CHAT_RESULT("b", "B") "," CHAT_RESULT(
         "a",
         "Error: 1\\n2") ",{'role':'user','content':'and'},{'role':'assistant','content':'done'}]",
     NULL},
    {"results of several messages belong to one turn, a system message comes behind them",
     "'messages':[" CALLS ",{'role':'user','content':["
     "{'type':'tool_result','tool_use_id':'a','content':'A'}]},{'role':'system','content':'s'},"
     "{'role':'user','content':[{'type':'tool_result','tool_use_id':'b'}]}]",
     NULL,
     "[" CHAT_CALLS
     "," CHAT_RESULT("a", "A") "," CHAT_RESULT("b", "(empty)") ",{'role':'system','content':'s'}]",
     NULL},
    {"a second result is lost, a call without one is closed, an unknown one becomes text",
     "'messages':[" CALLS ",{'role':'user','content':["
     "{'type':'tool_result','tool_use_id':'a','content':'A'},"
     "{'type':'tool_result','tool_use_id':'a','content':'again'},"
     "{'type':'tool_result','tool_use_id':'c','content':[{'type':'text','text':'C'}," IMAGE "]}]}]",
     NULL,
     "[" CHAT_CALLS "," CHAT_RESULT("a", "A") "," CHAT_RESULT(
         "b", "(no result)") ",{'role':'user','content':["
                             "{'type':'text','text':'[result of an unknown tool call]\\nC\\n"
                             "[image: see below]'}," CHAT_IMAGE "]}]",
     "duplicate tool result, tool call without a result, tool result without its call"},
    {"calls at the very end are left open", "'messages':[" CALLS "]", NULL, "[" CHAT_CALLS "]",
     NULL},
    {"assistant messages behind one with calls belong to it, others stay apart",
     "'messages':[{'role':'assistant','content':'1'},{'role':'assistant','content':[" CALL_A
     "]},{'role':'assistant','content':[{'type':'text','text':'2'},{'type':'text','text':'3'}]},"
     "{'role':'user','content':[{'type':'tool_result','tool_use_id':'a','content':'A'}]}]",
     NULL,
     "[{'role':'assistant','content':'1'},{'role':'assistant','content':'23','tool_calls':["
     "{'id':'a','type':'function','function':{'name':'f','arguments':'{\\'x\\' : "
     "1.0}'}}]}," CHAT_RESULT("a", "A") "]",
     NULL},
    {"an id that stands twice in a turn is called once",
     "'messages':[{'role':'assistant','content':[" CALL_B "," CALL_B "]},{'role':'user',"
     "'content':[{'type':'tool_result','tool_use_id':'b','content':'B'}]}]",
     NULL,
     "[{'role':'assistant','content':null,'tool_calls':[{'id':'b','type':'function',"
     "'function':{'name':'g','arguments':'{}'}}]}," CHAT_RESULT("b", "B") "]",
     "duplicate tool call"},
    {"images of results come behind all results of the turn",
     "'messages':[" CALLS ",{'role':'user','content':["
     "{'type':'tool_result','tool_use_id':'a','content':[" IMAGE "]},"
     "{'type':'tool_result','tool_use_id':'b','content':[{'type':'text','text':'B'}," IMAGE
     "]},{'type':'text','text':'and'}]}]",
     NULL,
     "[" CHAT_CALLS "," CHAT_RESULT("a", "[image: see the next message]") "," CHAT_RESULT(
         "b", "B\\n[image: see the next message]") ",{'role':'user','content':["
                                                   "{'type':'text','text':'(images from the tool "
                                                   "results above)'}," CHAT_IMAGE "," CHAT_IMAGE
                                                   "]},{'role':'user','content':'and'}]",
     NULL},
    {"images for a model that takes none are said in words",
     "'messages':[{'role':'user','content':[" IMAGE "]}," CALLS ",{'role':'user','content':["
     "{'type':'tool_result','tool_use_id':'a','content':[" IMAGE "]},"
     "{'type':'tool_result','tool_use_id':'b','content':'B'}]}]",
     "-images",
     "[{'role':'user','content':'[image omitted: the model takes none]'}," CHAT_CALLS
     "," CHAT_RESULT("a", "[image omitted: the model takes none]") "," CHAT_RESULT("b", "B") "]",
     "messages[].content[].image"},
    {"a web address of an image stays one, several parts stay parts, empty ones go",
     "'messages':[{'role':'user','content':[{'type':'text','text':''},"
     "{'type':'image','source':{'type':'url','url':'https://e.x/a.png'}},"
     "{'type':'text','text':'1'},{'type':'text','text':'2'}]}]",
     NULL,
     "[{'role':'user','content':[{'type':'image_url','image_url':{'url':'https://e.x/a.png'}},"
     "{'type':'text','text':'1'},{'type':'text','text':'2'}]}]",
     NULL},
    {"a document is a file, also of a result",
     "'messages':[{'role':'user','content':[" PDF "]}," CALLS ",{'role':'user','content':["
     "{'type':'tool_result','tool_use_id':'a','content':[" PDF "]},"
     "{'type':'tool_result','tool_use_id':'b','content':'B'}]}]",
     "+files",
     "[{'role':'user','content':[" CHAT_FILE "]}," CHAT_CALLS
     "," CHAT_RESULT("a", "[document: see the next message]") "," CHAT_RESULT(
         "b", "B") ",{'role':'user','content':["
                   "{'type':'text','text':'(images from the tool results above)'}," CHAT_FILE "]}]",
     NULL},
    {"a document of plain text is text",
     "'messages':[{'role':'user','content':[{'type':'document','title':'t','source':"
     "{'type':'text','media_type':'text/plain','data':'d'}}]}]",
     NULL, "[{'role':'user','content':'t\\n\\nd'}]", NULL},
    {"system blocks become one text, the billing header goes",
     "'system':[{'type':'text','text':'x-anthropic-billing-header: cc=1;'},"
     "{'type':'text','text':'1'" MARK "},{'type':'text','text':'2'}],'messages':[" Q
     ",{'role':'system','content':[{'type':'text','text':'3'" MARK "}]}]",
     NULL, "[{'role':'system','content':'1\\n\\n2'}," Q ",{'role':'system','content':'3'}]",
     "system: billing header, messages[].content[].cache_control"},
    {"a target that takes system messages in front only",
     "'system':'1','messages':[{'role':'system','content':'2'}," Q
     ",{'role':'system','content':[{'type':'text','text':'3'},{'type':'text','text':'4'}]}]",
     "-systemAnywhere",
     "[{'role':'system','content':'1\\n\\n2'}," Q
     ",{'role':'user','content':'<system>\\n3\\n\\n4\\n</system>'}]",
     "messages[].role system"},
    {"cache marks are kept where they are taken",
     "'system':[{'type':'text','text':'1'" MARK "},{'type':'text','text':'2'}],'messages':["
     "{'role':'user','content':[{'type':'text','text':'q'" MARK "}]}," CALLS
     ",{'role':'user','content':[{'type':'tool_result','tool_use_id':'b','content':'B'},"
     "{'type':'tool_result','tool_use_id':'a','content':'A'" MARK "}]}]",
     "+cacheMarks",
     "[{'role':'system','content':[{'type':'text','text':'1'" MARK "},{'type':'text','text':'2'}]},"
     "{'role':'user','content':[{'type':'text','text':'q'" MARK "}]}," CHAT_CALLS
     "," CHAT_RESULT("b", "B") ",{'role':'tool','tool_call_id':'a','content':["
                               "{'type':'text','text':'A'" MARK "}]}]",
     NULL},
    {"reasoning goes, and a message of nothing else with it",
     "'messages':[" Q ",{'role':'assistant','content':[{'type':'thinking','thinking':'r',"
     "'signature':'s'}]}," Q "]",
     NULL, "[" Q "," Q "]", "messages[].reasoning"},
    {"reasoning goes back where it is wanted",
     "'messages':[" Q ",{'role':'assistant','content':[{'type':'thinking','thinking':'r',"
     "'signature':'s'},{'type':'thinking','thinking':'t','signature':'s'}," CALL_B "]},"
     "{'role':'user','content':[{'type':'tool_result','tool_use_id':'b','content':'B'}]},"
     "{'role':'assistant','content':[" CALL_B "]}]",
     "+reasoningBack",
     "[" Q ",{'role':'assistant','content':null,'reasoning_content':'r\\n\\nt','tool_calls':["
     "{'id':'b','type':'function','function':{'name':'g','arguments':'{}'}}]}," CHAT_RESULT(
         "b", "B") ",{'role':'assistant','content':null,'tool_calls':["
                   "{'id':'b','type':'function','function':{'name':'g','arguments':'{}'}}]}]",
     NULL},
    {"reasoning that nobody knows is sent empty where the member must be there",
     "'messages':[{'role':'assistant','content':[" CALL_B "]},"
     "{'role':'user','content':[{'type':'tool_result','tool_use_id':'b','content':'B'}]},"
     "{'role':'assistant','content':'x'}]",
     "+reasoningBackAlways",
     "[{'role':'assistant','content':null,'reasoning_content':'','tool_calls':["
     "{'id':'b','type':'function','function':{'name':'g','arguments':'{}'}}]}," CHAT_RESULT(
         "b", "B") ",{'role':'assistant','content':'x'}]",
     NULL},
    {"short ids are the same in call and result",
     "'messages':[{'role':'assistant','content':[{'type':'tool_use','id':'abc123XYZ','name':'g',"
     "'input':{}}]},{'role':'user','content':[{'type':'tool_result','tool_use_id':'abc123XYZ',"
     "'content':'B'}]}]",
     "+shortCallIds",
     "[{'role':'assistant','content':null,'tool_calls':[{'id':'abc123XYZ','type':'function',"
     "'function':{'name':'g','arguments':'{}'}}]}," CHAT_RESULT("abc123XYZ", "B") "]",
     NULL},
};

Test(chat_request, histories_of_messages_are_written_as_chat_wants_them)
{
    for (size_t i = 0; i < sizeof(from_messages) / sizeof(from_messages[0]); i++)
        expect_history(&from_messages[i], true);
}

/* From chat to chat: what is read comes back, in one form. */
static const struct history from_chat[] = {
    {"text in any form",
     "'messages':[{'role':'developer','content':'d'},{'role':'user','content':'\\u00e9\\/\\n'},"
     "{'role':'assistant','content':null},{'role':'user','content':[]},"
     "{'role':'user','content':[{'type':'text','text':'1'},'2']},"
     "{'role':'assistant','content':[{'type':'text','text':'3'},"
     "{'type':'refusal','refusal':'4'}],'refusal':'5'}]",
     NULL,
     "[{'role':'system','content':'d'},{'role':'user','content':'\\u00e9\\/\\n'},"
     "{'role':'user','content':[{'type':'text','text':'1'},{'type':'text','text':'2'}]},"
     "{'role':'assistant','content':'345'}]",
     NULL},
    {"members that nobody reads are losses, null and empty ones are not",
     "'store':true,'metadata':null,'logit_bias':{},'messages':[{'role':'user','name':'n',"
     "'content':[{'type':'text','text':'q','x':1},{'type':'input_audio','input_audio':{}}],"
     "'audio':null,'annotations':[]},{'role':'assistant','content':'a','prefix':true}]",
     NULL, "[{'role':'user','content':'q'},{'role':'assistant','content':'a'}]",
     "store, messages[].name, messages[].content[].x, messages[].prefix, "
     "messages[].content[].input_audio"},
    {"images by data or address, with escapes, with a detail, as a bare string",
     "'messages':[{'role':'user','content':["
     "{'type':'image_url','image_url':{'url':'data:image\\/png;base64,QUJD'}},"
     "{'type':'image_url','image_url':{'url':'https://e.x/?a,b','detail':'low'}},"
     "{'type':'image_url','image_url':'DATA:image/png;x=y;BASE64,QUJD'}]}]",
     NULL,
     "[{'role':'user','content':[" CHAT_IMAGE
     ",{'type':'image_url','image_url':{'url':'https://e.x/?a,b','detail':'low'}}," CHAT_IMAGE
     "]}]",
     NULL},
    {"files: a PDF, bare base64, an image, plain text, an id",
     "'messages':[{'role':'user','content':[" CHAT_FILE
     ",{'type':'file','file':{'filename':'t.pdf','file_data':'QUJD'}},"
     "{'type':'file','file':{'file_data':'data:image/png;base64,QUJD'}},"
     "{'type':'file','file':{'file_data':'data:text/plain;base64,YSJiCg=='}},"
     "{'type':'file','file':{'file_id':'f'}}]}]",
     "+files",
     "[{'role':'user','content':[" CHAT_FILE "," CHAT_FILE "," CHAT_IMAGE
     ",{'type':'text','text':'a\\'b\\n'}]}]",
     "messages[].content[].file"},
    {"arguments of every kind",
     "'messages':[{'role':'assistant','tool_calls':["
     "{'id':'1','type':'function','function':{'name':'f','arguments':' {\\'a\\':\\'\\u00e9\\'} '}},"
     "{'id':'2','function':{'name':'f','arguments':''}},"
     "{'id':'3','index':2,'function':{'name':'f','arguments':'null'}},"
     "{'id':'4','function':{'name':'f','arguments':{'o':1}}},"
     "{'id':'5','function':{'name':'f','arguments':'{\\'a'}},"
     "{'id':'6','function':{'name':'f','arguments':'[1]'}},"
     "{'id':'7','type':'custom','custom':{'name':'f','input':'free'}}]}]",
     NULL,
     "[{'role':'assistant','content':null,'tool_calls':["
     "{'id':'1','type':'function','function':{'name':'f','arguments':'{\\'a\\':\\'\u00e9\\'}'}},"
     "{'id':'2','type':'function','function':{'name':'f','arguments':'{}'}},"
     "{'id':'3','type':'function','function':{'name':'f','arguments':'{}'}},"
     "{'id':'4','type':'function','function':{'name':'f','arguments':'{\\'o\\':1}'}},"
     "{'id':'5','type':'function','function':{'name':'f','arguments':"
     "'{\\'raw\\':\\'{\\\\\\'a\\'}'}},"
     "{'id':'6','type':'function','function':{'name':'f','arguments':'{\\'raw\\':\\'[1]\\'}'}},"
     "{'id':'7','type':'function','function':{'name':'f','arguments':'{\\'raw\\':\\'free\\'}'}}]}]",
     "torn arguments"},
    {"legacy calls, and calls without ids, are paired by order",
     "'messages':[{'role':'assistant','content':null,'function_call':{'name':'f',"
     "'arguments':'{}'}},{'role':'function','name':'f','content':'1'},"
     "{'role':'assistant','tool_calls':[{'function':{'name':'f'}},{'id':'','function':"
     "{'name':'g'}}],'function_call':{}},{'role':'tool','content':'2'},"
     "{'role':'tool','tool_call_id':'','content':'3'}]",
     NULL,
     "[{'role':'assistant','content':null,'tool_calls':[{'id':'call_unnamed_0','type':'function',"
     "'function':{'name':'f','arguments':'{}'}}]}," CHAT_RESULT(
         "call_unnamed_0",
         "1") ",{'role':'assistant','content':null,'tool_calls':[{'id':'call_unnamed_1','type':'"
              "function',"
              "'function':{'name':'f','arguments':'{}'}},{'id':'call_unnamed_2','type':'function',"
              "'function':{'name':'g','arguments':'{}'}}]}," CHAT_RESULT(
                  "call_unnamed_1", "2") "," CHAT_RESULT("call_unnamed_2", "3") "]",
     NULL},
    {"reasoning stands in one of three members",
     "'messages':[{'role':'assistant','content':'1','reasoning_content':'a','reasoning':'a'},"
     "{'role':'assistant','content':'2','reasoning':'b'},"
     "{'role':'assistant','content':'3','reasoning':'c','reasoning_details':["
     "{'type':'reasoning.text','text':'d'},{'type':'reasoning.summary','summary':'e'},"
     "{'type':'reasoning.encrypted','data':'z','format':'openai-responses-v1'}]},"
     "{'role':'assistant','content':[{'type':'thinking','thinking':[{'type':'text','text':'f'},"
     "{'type':'text','text':'g'}]},{'type':'text','text':'4'}]},"
     "{'role':'assistant','content':'5','reasoning_content':'','reasoning':null}]",
     "+reasoningBack",
     "[{'role':'assistant','content':'1','reasoning_content':'a'},"
     "{'role':'assistant','content':'2','reasoning_content':'b'},"
     "{'role':'assistant','content':'3','reasoning_content':'d\\n\\ne'},"
     "{'role':'assistant','content':'4','reasoning_content':'f\\n\\ng'},"
     "{'role':'assistant','content':'5'}]",
     "messages[].reasoning_details"},
    {"cache marks in parts and on messages",
     "'messages':[{'role':'user','content':'q'" MARK "},"
     "{'role':'user','content':[{'type':'text','text':'r'" MARK "}]}]",
     "+cacheMarks",
     "[{'role':'user','content':[{'type':'text','text':'q'" MARK "}]},"
     "{'role':'user','content':[{'type':'text','text':'r'" MARK "}]}]",
     NULL},
};

Test(chat_request, histories_of_chat_are_read_in_every_form)
{
    for (size_t i = 0; i < sizeof(from_chat) / sizeof(from_chat[0]); i++)
        expect_history(&from_chat[i], false);
}

/* ---- the other members ---- */

#define TOOL(name) "{'type':'function','function':{'name':'" name "'}}"
#define SENT(name)                                                                                 \
    "{'type':'function','function':{'name':'" name                                                 \
    "','parameters':{'type':'object','properties':{}}}}"
#define SENT_F       "'tools':[" SENT("f") "],"
#define SENT_Q       "'messages':[" Q "]"
#define CHOOSE(name) "'tool_choice':{'type':'function','function':{'name':'" name "'}}"

static const struct member {
    bool is_messages;
    const char *members; /* beside model and messages */
    const char *words;
    const char *expected; /* all but the model */
    const char *losses;
} members[] = {
    /* tools */
    {false,
     "'tools':[{'type':'function','function':{'name':'f','description':'d','parameters':"
     "{'type':'object','x':1.0},'strict':true},'y':1},{'type':'web_search_preview','z':1}]",
     NULL,
     "'tools':[{'type':'function','function':{'name':'f','description':'d','parameters':"
     "{'type':'object','x':1.0},'strict':true}}]," SENT_Q,
     "tools[].y, tools[].web_search_preview"},
    {false, "'functions':[{'name':'f'}],'function_call':{'name':'f'}", NULL,
     SENT_F SENT_Q "," CHOOSE("f"), NULL},
    {false, "'tools':[" TOOL("f") "],'tool_choice':'auto','parallel_tool_calls':false", NULL,
     SENT_F SENT_Q ",'tool_choice':'auto','parallel_tool_calls':false", NULL},
    {false, "'tools':[" TOOL("f") "],'tool_choice':'any','parallel_tool_calls':false",
     "-toolChoice -parallelCalls", SENT_F SENT_Q, "tool_choice, parallel_tool_calls"},
    {false, "'tools':[" TOOL("f") "]," CHOOSE("f"), NULL, SENT_F SENT_Q "," CHOOSE("f"), NULL},
    {false, "'tools':[" TOOL("f") "]," CHOOSE("g"), NULL, SENT_F SENT_Q, "tool_choice"},
    {false,
     "'tools':[" TOOL("f") "],'tool_choice':{'type':'allowed_tools','allowed_tools':"
                           "{'mode':'required','tools':[" TOOL("f") "]}}",
     NULL, SENT_F SENT_Q "," CHOOSE("f"), NULL},
    {false,
     "'tools':[" TOOL("f") "],'tool_choice':{'type':'allowed_tools','allowed_tools':"
                           "{'mode':'auto','tools':[" TOOL("f") "]}}",
     NULL, SENT_F SENT_Q ",'tool_choice':'auto'", "tool_choice.allowed_tools"},
    {true,
     "'tools':[{'type':'web_search_20250305','name':'web_search'}],'tool_choice':{'type':'auto'}",
     NULL, SENT_Q, "tools[].web_search_20250305"},
    {true,
     "'tools':[{'name':'f','input_schema':{}},{'name':'late','input_schema':{'type':'object'},"
     "'defer_loading':true}],'tool_choice':{'type':'any','disable_parallel_tool_use':true}",
     NULL, SENT_F SENT_Q ",'tool_choice':'required','parallel_tool_calls':false", NULL},
    /* the form of the answer */
    {false, "'response_format':{'type':'text'}", NULL, SENT_Q, NULL},
    {false, "'response_format':{'type':'json_object'}", NULL,
     SENT_Q ",'response_format':{'type':'json_object'}", NULL},
    {false,
     "'response_format':{'type':'json_schema','json_schema':{'name':'n','description':'d',"
     "'strict':true,'schema':{'a':1.0}}}",
     NULL,
     SENT_Q ",'response_format':{'type':'json_schema','json_schema':{'name':'n',"
            "'schema':{'a':1.0},'strict':true}}",
     "response_format.json_schema.description"},
    {true, "'output_config':{'format':{'type':'json_schema','schema':{'a':1.0}}}", NULL,
     SENT_Q ",'response_format':{'type':'json_schema','json_schema':{'name':'answer',"
            "'schema':{'a':1.0}}}",
     NULL},
    {true, "'output_config':{'format':{'type':'json_schema','schema':{'a':1.0}}}", "-jsonSchema",
     "'messages':[{'role':'system','content':'Answer with one JSON object and nothing "
     "else. It has to fit this JSON schema:\\n{\\\"a\\\":1.0}'},{'role':'user','content':'q'}],"
     "'response_format':{'type':'json_object'}",
     "response_format.json_schema"},
    /* numbers and sequences */
    {false,
     "'max_tokens':5,'temperature':0.10,'top_p':1,'seed':7,'frequency_penalty':-1,"
     "'presence_penalty':2e0,'n':2,'stop':'s'",
     NULL,
     SENT_Q ",'max_tokens':5,'temperature':0.10,'top_p':1,'seed':7,'frequency_penalty':-1,"
            "'presence_penalty':2e0,'n':2,'stop':'s'",
     NULL},
    {false, "'max_completion_tokens':2000,'max_tokens':3,'n':1,'temperature':null",
     "+maxCompletionTokens", SENT_Q ",'max_completion_tokens':1000", "max_tokens"},
    {false, "'max_tokens':-1", NULL, SENT_Q, NULL},
    {false, "'temperature':1,'top_p':1,'top_k':3,'stop':['s']", "-sampling -stop", SENT_Q,
     "temperature, top_p, top_k, stop"},
    {false, "'top_k':3,'stop':['1','2','3','4','5']", "+topK",
     SENT_Q ",'top_k':3,'stop':['1','2','3','4']", "stop"},
    {false, "'stop':[]", NULL, SENT_Q, NULL},
    /* wishes */
    {false, "'reasoning_effort':'max'", NULL, SENT_Q ",'reasoning_effort':'high'", NULL},
    {false, "'reasoning_effort':'minimal'", NULL, SENT_Q ",'reasoning_effort':'low'", NULL},
    {false, "'reasoning_effort':'wildly'", NULL, SENT_Q, "reasoning_effort"},
    {false, "'reasoning_effort':'low'", "-effort", SENT_Q, "reasoning_effort"},
    {false, "'reasoning_effort':'low'", "+thinkingSwitch",
     SENT_Q ",'reasoning_effort':'low','thinking':{'type':'enabled'}", NULL},
    {false, "'thinking':{'type':'disabled'},'reasoning_effort':'low'", "-effort +thinkingSwitch",
     SENT_Q ",'thinking':{'type':'disabled'}", NULL},
    {false, "'enable_thinking':true,'thinking_budget':5000", "-effort +thinkingFlag",
     SENT_Q ",'enable_thinking':true,'thinking_budget':5000", NULL},
    {false, "'enable_thinking':false", "-effort +thinkingFlag", SENT_Q ",'enable_thinking':false",
     NULL},
    {false, "'reasoning':{'effort':'high','exclude':true}", "+effortObject",
     SENT_Q ",'reasoning':{'effort':'high'}", "reasoning.exclude"},
    {false, "'reasoning':{'max_tokens':2000}", "+effortObject",
     SENT_Q ",'reasoning':{'max_tokens':2000}", NULL},
    {false, "'reasoning':{'enabled':false}", NULL, SENT_Q ",'reasoning_effort':'none'", NULL},
    {true, "'thinking':{'type':'enabled','budget_tokens':2000}", NULL,
     SENT_Q ",'reasoning_effort':'low'", NULL},
    {true, "'thinking':{'type':'adaptive'},'output_config':{'effort':'medium'}", NULL,
     SENT_Q ",'reasoning_effort':'medium'", NULL},
    {true, "'thinking':{'type':'disabled'}", "-effort +thinkingSwitch",
     SENT_Q ",'thinking':{'type':'disabled'}", NULL},
    /* who asks, and how it is answered */
    {false, "'user':'u-1','safety_identifier':'s','prompt_cache_key':'k'", "+cacheKey",
     SENT_Q ",'user':'u-1','prompt_cache_key':'k'", NULL},
    {false, "'user':'{\\'device_id\\':1}','prompt_cache_key':'k'", NULL, SENT_Q,
     "user, prompt_cache_key"},
    {false, "'stream':true,'stream_options':{'include_usage':false,'x':1}", NULL,
     SENT_Q ",'stream':true,'stream_options':{'include_usage':true}", "stream_options.x"},
    {false, "'stream':true", "-streamUsage", SENT_Q ",'stream':true", NULL},
    {false, "'stream':false,'stream_options':null", NULL, SENT_Q, NULL},
};

Test(chat_request, members_are_said_as_the_target_takes_them)
{
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        const struct member *row = &members[i];
        struct conversion conversion;
        decode(&conversion, row->is_messages, "{'model':'x','messages':[" Q "],", row->members,
               row->is_messages ? ",'max_tokens':1000}" : "}");
        if (row->is_messages)
            conversion.request.max_tokens = (struct json){0}; /* of no interest here */
        encode(&conversion, row->words);
        cr_expect_eq(conversion.result, 0, "%s: %s", row->members, conversion.err.detail);
        expect_text(row->members, bytes_span(&conversion.out), "{'model':'m',", row->expected, "}");
        expect_text(row->members, bytes_span(&conversion.losses_text), "",
                    row->losses ? row->losses : "", "");
        release(&conversion);
    }
}

Test(chat_request, a_deferred_tool_is_declared_once_a_result_refers_to_it)
{
    struct conversion conversion;
    decode(&conversion, true,
           "{'model':'x','max_tokens':1,'tools':[{'name':'late','defer_loading':true,"
           "'input_schema':{'type':'object'}},{'name':'later','defer_loading':true,"
           "'input_schema':{'type':'object'}}],'messages':[",
           "{'role':'assistant','content':[" CALL_B "]},{'role':'user','content':["
           "{'type':'tool_result','tool_use_id':'b','content':["
           "{'type':'tool_reference','tool_name':'late'}]}]}",
           "]}");
    encode(&conversion, NULL);
    expect_text(
        "reference", bytes_span(&conversion.out), "{'model':'m',",
        "'tools':[{'type':'function','function':{'name':'late','parameters':"
        "{'type':'object'}}}],'messages':[{'role':'assistant','content':null,'tool_calls':["
        "{'id':'b','type':'function','function':{'name':'g','arguments':'{}'}}]}," CHAT_RESULT(
            "b", "Tool late is available now.") "],'max_tokens':1",
        "}");
    cr_expect_eq(conversion.losses.count, 0);
    release(&conversion);
}

/* ---- what is refused ---- */

static const struct {
    const char *body;
    const char *detail; /* the end of it */
} refused[] = {
    {"[]", "the body must be a JSON object"},
    {"{'messages':[", "JSON, line 1, column 13: an array or object is not closed"},
    {"{}", "messages is missing"},
    {"{'messages':null}", "messages is missing"},
    {"{'messages':{}}", "messages must be an array"},
    {"{'messages':[]}", "messages must not be empty"},
    {"{'messages':['x']}", "messages[0] must be a JSON object"},
    {"{'messages':[" Q ",{'role':'robot'}]}",
     "messages[1].role must be system, developer, user, assistant, tool or function"},
    {"{'messages':[{'role':'user','content':7}]}",
     "messages[0].content must be a string or an array"},
    {"{'messages':[" Q ",{'role':'user','content':[{'type':'text','text':1}]}]}",
     "messages[1].content[0].text must be a string"},
    {"{'messages':[{'role':'user','content':[{'text':'q'}]}]}",
     "messages[0].content[0].type must be a string"},
    {"{'messages':[{'role':'user','content':['q',{'type':'image_url','image_url':"
     "{'url':'data:image/svg+xml,%3c'}}]}]}",
     "messages[0].content[1].image_url.url must be a web address or hold base64 data"},
    {"{'messages':[{'role':'assistant','tool_calls':[{'id':'a','function':{'name':'f'}},"
     "{'id':1,'function':{'name':'f'}}]}]}",
     "messages[0].tool_calls[1].id must be a string"},
    {"{'messages':[{'role':'assistant','tool_calls':[{'id':'a','function':{'name':''}}]}]}",
     "messages[0].tool_calls[0].function.name is missing"},
    {"{'messages':[{'role':'assistant','tool_calls':[{'id':'a','type':'function'}]}]}",
     "messages[0].tool_calls[0].function must be a JSON object"},
    {"{'messages':[{'role':'assistant','function_call':{'name':'f','arguments':1}}]}",
     "messages[0].function_call.arguments must be a string"},
    {"{'messages':[" Q "],'temperature':'hot'}", "temperature must be a number"},
    {"{'messages':[" Q "],'max_tokens':0}", "max_tokens must be a whole number above 0"},
    {"{'messages':[" Q "],'n':1.5}", "n must be a whole number above 0"},
    {"{'messages':[" Q "],'stop':['a',1]}", "stop must be a string or an array of strings"},
    {"{'messages':[" Q "],'stream':'yes'}", "stream must be true or false"},
    {"{'messages':[" Q "],'tools':{}}", "tools must be an array"},
    {"{'messages':[" Q "],'tools':[{'type':'function'}]}",
     "tools[0].function must be a JSON object"},
    {"{'messages':[" Q "],'tools':[{'type':'function','function':{'name':'f','parameters':[]}}]}",
     "tools[0].function.parameters must be a JSON object"},
    {"{'messages':[" Q "],'functions':[{}]}", "functions[0].name is missing"},
    {"{'messages':[" Q "],'tool_choice':'perhaps'}",
     "tool_choice must be auto, none, required or name a tool"},
    {"{'messages':[" Q "],'response_format':{'type':'json_schema'}}",
     "response_format.json_schema must be a JSON object"},
    {"{'messages':[{'role':'assistant','content':''}]}",
     "messages: there is no content in them that can be sent"},
    {"{'messages':[" Q ",{'role':'user','content':[" CHAT_FILE "]}]}",
     "messages[1]: the model takes no documents (application/pdf)"},
};

Test(chat_request, what_is_wrong_is_refused_with_its_place)
{
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct conversion conversion;
        decode(&conversion, false, "", refused[i].body, "");
        encode(&conversion, NULL);
        cr_expect_eq(conversion.result, -ERR_INVALID_REQUEST, "%s", refused[i].body);
        cr_expect_str_eq(conversion.err.detail, refused[i].detail, "%s", refused[i].body);
        release(&conversion);
    }
}

/* Every allocation fails at some size of the arena: always the same error, never a crash. */
Test(chat_request, a_full_arena_or_output_is_too_large)
{
    const char *body = "'messages':[{'role':'user','content':[" CHAT_IMAGE ",{'type':'image_url',"
                       "'image_url':'data:image\\/png;base64,QUJD'}]},{'role':'assistant',"
                       "'reasoning':'r','refusal':'s','tool_calls':[{'function':{'name':'f',"
                       "'arguments':'{\\'a\\':1}'}}]},{'role':'tool','content':'t'}],"
                       "'tools':[" TOOL("f") "]";
    struct conversion whole;
    decode(&whole, false, "{", body, "}");
    encode(&whole, NULL);
    cr_assert_eq(whole.result, 0);
    for (size_t max = 0; max < whole.arena.total; max += 16) {
        struct conversion conversion = {.out.max = MAX};
        struct ir_target target = {.model = SPAN("m"), .capabilities = capabilities(NULL)};
        arena_init(&conversion.arena, max);
        int r = openai_chat_decode_request(bytes_span(&whole.body), &conversion.arena,
                                           &conversion.request, NULL, NULL);
        if (r == 0)
            r = openai_chat_encode_request(&conversion.request, &target, &conversion.arena, NULL,
                                           &conversion.out, NULL);
        cr_expect_eq(r, -ERR_TOO_LARGE, "%zu", max);
        release(&conversion);
    }
    for (size_t max = 0; max < whole.out.len; max++) {
        struct bytes out = {.max = max};
        struct ir_target target = {.model = SPAN("m"), .capabilities = capabilities(NULL)};
        cr_expect_eq(
            openai_chat_encode_request(&whole.request, &target, &whole.arena, NULL, &out, NULL),
            -ERR_TOO_LARGE);
        bytes_release(&out);
    }
    release(&whole);
}

/* ---- prompt caches ---- */

static int add_turn(struct bytes *out, unsigned turn)
{
    return bytes_addf(out,
                      "%s{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"q%u\"%s}]},"
                      "{\"role\":\"system\",\"content\":\"note %u\"},"
                      "{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":"
                      "\"r\",\"signature\":\"s\"},{\"type\":\"tool_use\",\"id\":\"c%u.x\","
                      "\"name\":\"f\",\"input\":{\"a\": %u.0}}]},"
                      "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":"
                      "\"c%u.x\",\"content\":\"%u\"}]},{\"role\":\"assistant\",\"content\":\"a\"}",
                      turn ? "," : "", turn,
                      turn % 2 ? ",\"cache_control\":{\"type\":\"ephemeral\"}" : "", turn, turn,
                      turn, turn, turn);
}

/* The body of a conversation of so many turns. */
static void converse(unsigned turns, struct conversion *ret)
{
    CLEANUP(bytes_release) struct bytes messages = {.max = MAX};
    for (unsigned i = 0; i < turns; i++)
        cr_assert_eq(add_turn(&messages, i), 0);
    decode(ret, true, "{'model':'x','max_tokens':9,'messages':[", messages.data, "]}");
    encode(ret, "+reasoningBack");
    cr_assert_eq(ret->result, 0);
}

Test(chat_request, the_messages_of_a_turn_are_a_prefix_of_the_next_turns)
{
    const size_t behind = sizeof("],\"max_tokens\":9}") - 1;
    struct conversion before, after;
    converse(1, &before);
    for (unsigned turns = 2; turns <= 40; turns++) {
        converse(turns, &after);
        struct span shared = {before.out.data, before.out.len - behind};
        cr_expect(span_starts(bytes_span(&after.out), shared), "turn %u", turns);
        release(&before);
        before = after;
    }
    release(&before);
}
