/* The demo provider: its script in both dialects, and the server that performs it. */
#include "demo/demo.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <unistd.h>

#include "base/json.h"
#include "base/own.h"
#include "demo/script.h"
#include "dialect/dialect.h"
#include "net/sse.h"
#include "unit/net_wire.h"

/* ---- the script ---- */

/* What a client would read out of a stream. */
struct reader {
    const struct dialect *dialect;
    struct tap tap;
    struct bytes text;
    unsigned events;
    bool was_over; /* nothing may follow the last event */
};

static void add_text(struct reader *reader, struct json piece)
{
    struct span text = json_raw_text(piece);
    if (text.len)
        cr_expect_eq(bytes_add_span(&reader->text, text), 0);
}

static int on_event(void *ctx, const struct sse_event *event)
{
    struct reader *reader = ctx;
    static const struct request_view view = {.stream = true, .wants_usage = true};
    static const char *const names[] = {"choices", "delta", NULL};
    struct json root, picked[2];
    cr_expect(!reader->was_over);
    reader->events++;
    (void)reader->dialect->tap_event(&reader->tap, &view, event->name, event->data);
    reader->was_over = reader->tap.has_end;
    if (span_equal(event->data, SPAN("[DONE]")))
        return 0;
    cr_assert_eq(json_pick_text(event->data, names, &root, picked, NULL), 0, SPAN_FMT,
                 SPAN_ARG(event->data));
    add_text(reader, json_get(picked[1], "text"));
    struct span content = event->data;
    const char *at = memmem(content.at, content.len, "\"content\":\"", 11);
    if (at && picked[0].at)
        cr_expect_eq(bytes_add(&reader->text, at + 11, strcspn(at + 11, "\"")), 0);
    return 0;
}

static void read_stream(struct reader *reader, const struct script *script)
{
    struct script playing = *script;
    struct sse sse;
    sse_init(&sse, 65536);
    for (bool more = true; more;) {
        CLEANUP(bytes_release) struct bytes out = {.max = 65536};
        more = script_next(&playing, &out);
        cr_expect_gt(out.len, 0);
        cr_expect_eq(sse_feed(&sse, bytes_span(&out), on_event, reader), 0);
    }
    sse_release(&sse);
}

Test(demo_script, a_stream_says_the_same_as_a_whole_answer_in_both_dialects)
{
    for (int is_messages = 0; is_messages < 2; is_messages++) {
        struct script script = {.is_messages = is_messages,
                                .has_usage_event = true,
                                .input_tokens = 12,
                                .model = "demo"};
        struct reader reader = {
            .dialect = dialect_by_type(is_messages ? SPAN("anthropic") : SPAN("openai")),
            .text = {.max = 65536}};
        CLEANUP(bytes_release) struct bytes whole = {.max = 65536};
        struct tap tap = {0};
        read_stream(&reader, &script);
        script_whole(&script, &whole);
        reader.dialect->tap_answer(&tap, bytes_span(&whole));
        cr_expect(reader.tap.has_content && reader.tap.has_finish && reader.tap.has_end, "%d",
                  is_messages);
        cr_expect_eq(reader.tap.error_kind, 0);
        cr_expect(reader.text.len &&
                      memmem(whole.data, whole.len, reader.text.data, reader.text.len),
                  "%s\n%s", reader.text.data, whole.data);
        cr_expect(strstr(whole.data, "no AI"), "it says what it is");
        cr_expect_eq(reader.tap.usage.output, tap.usage.output, "%d", is_messages);
        cr_expect_eq(reader.tap.usage.input, tap.usage.input, "%d", is_messages);
        cr_expect_gt(tap.usage.output, 10);
        bytes_release(&reader.text);
    }
}

Test(demo_script, chat_counts_usage_only_when_asked)
{
    struct script script = {.input_tokens = 12, .model = "demo"};
    CLEANUP(bytes_release) struct bytes all = {.max = 1 << 20};
    while (script_next(&script, &all))
        ;
    cr_expect(!strstr(all.data, "usage"));
    cr_expect(strstr(all.data, "data: [DONE]\n\n"));
}

/* ---- the server ---- */

static struct loop *loop;
static struct demo *demo;
static char path[64], address[80];

static void open_demo(void)
{
    struct err err = {0};
    loop = loop_new();
    snprintf(path, sizeof(path), "/tmp/aictl-demo-%d.sock", (int)getpid());
    snprintf(address, sizeof(address), "unix:%s", path);
    cr_assert_eq(demo_open(loop, path, &demo, &err), 0, "%s", err.detail);
}

static void close_demo(void)
{
    demo_close(demo);
    loop_free(loop);
    cr_expect_lt(access(path, F_OK), 0, "the socket is still there");
}

TestSuite(demo, .init = open_demo, .fini = close_demo, .timeout = 30);

static void ask(struct wire *wire, const char *target, const char *body)
{
    CLEANUP(bytes_release) struct bytes text = {.max = 65536};
    cr_assert_eq(bytes_addf(&text,
                            "POST %s HTTP/1.1\r\nHost: demo\r\nContent-Length: %zu\r\n\r\n%s",
                            target, strlen(body), body),
                 0);
    wire_send(wire, bytes_span(&text));
}

static void expect_answer(const char *target, const char *body, const char *status,
                          const char *last)
{
    struct wire wire;
    wire_open(&wire, address);
    ask(&wire, target, body);
    WIRE_RECEIVE_UNTIL(loop, &wire, wire_has(&wire, last) || wire.has_ended);
    cr_expect(wire_has(&wire, status), "%s %s: " SPAN_FMT, target, body,
              SPAN_ARG(bytes_span(&wire.in)));
    cr_expect(wire_has(&wire, last), "%s %s: " SPAN_FMT, target, body,
              SPAN_ARG(bytes_span(&wire.in)));
    wire_close(&wire);
}

Test(demo, each_form_of_each_dialect_is_answered)
{
    expect_answer("/chat/completions", "{\"model\":\"demo\",\"messages\":[]}", "200 OK",
                  "\"total_tokens\":");
    expect_answer("/v1/chat/completions", "{\"model\":\"demo-fast\",\"stream\":true}",
                  "text/event-stream", "[DONE]");
    expect_answer(
        "/v1/chat/completions",
        "{\"model\":\"demo-fast\",\"stream\":true,\"stream_options\":{\"include_usage\":true}}",
        "200 OK", "\"total_tokens\":");
    expect_answer("/v1/messages", "{\"model\":\"demo\",\"max_tokens\":1}", "200 OK",
                  "\"stop_reason\":\"end_turn\"");
    expect_answer("/v1/messages", "{\"model\":\"demo-fast\",\"stream\":true}", "200 OK",
                  "event: message_stop");
}

Test(demo, the_model_is_given_back_as_it_was_written)
{
    char body[512], long_name[300];
    expect_answer("/v1/messages", "{\"model\":\"d\\u00e9mo \\\"x\\\"\"}", "200 OK",
                  "\"model\":\"d\\u00e9mo \\\"x\\\"\"");
    memset(long_name, 'a', sizeof(long_name));
    snprintf(body, sizeof(body), "{\"model\":\"%.*s\"}", 299, long_name);
    expect_answer("/v1/messages", body, "200 OK", "\"model\":\"demo\"");
    expect_answer("/v1/messages", "{}", "200 OK", "\"model\":\"\"");
    expect_answer("/v1/messages", "{\"model\":5}", "200 OK", "\"model\":\"");
}

Test(demo, what_it_does_not_know_is_an_error)
{
    expect_answer("/v1/embeddings", "{}", "404 ", "\"error\"");
    expect_answer("/messages", "not json", "400 ", "\"error\"");
    expect_answer("/messages", "[]", "400 ", "\"error\"");
    expect_answer("/messages", "", "400 ", "\"error\"");
}

Test(demo, a_client_may_leave_in_the_middle)
{
    struct wire wire;
    for (int i = 0; i < 3; i++) {
        wire_open(&wire, address);
        ask(&wire, "/v1/messages", "{\"model\":\"demo\",\"stream\":true}");
        WIRE_RECEIVE_UNTIL(loop, &wire, wire_has(&wire, "content_block_delta"));
        cr_expect(!wire_has(&wire, "message_stop"), "word by word");
        if (i == 0)
            wire_reset(&wire);
        else
            wire_close(&wire);
    }
    expect_answer("/v1/messages", "{\"model\":\"demo-fast\",\"stream\":true}", "200 OK",
                  "event: message_stop");
}

Test(demo, it_may_be_closed_in_the_middle_of_an_answer)
{
    struct wire wire;
    wire_open(&wire, address);
    ask(&wire, "/v1/messages", "{\"model\":\"demo\",\"stream\":true}");
    WIRE_RECEIVE_UNTIL(loop, &wire, wire_has(&wire, "content_block_delta"));
    demo_close(demo);
    demo = NULL;
    WIRE_RECEIVE_UNTIL(loop, &wire, wire.has_ended);
    cr_expect(wire.has_ended && !wire_has(&wire, "message_stop"));
    wire_close(&wire);
}

Test(demo, a_place_where_it_cannot_listen_is_an_error)
{
    struct demo *none = NULL;
    struct err err = {0};
    cr_expect_eq(demo_open(loop, path, &none, &err), -ERR_IN_USE);
    cr_expect(none == NULL);
    cr_expect_lt(demo_open(loop, "/nowhere/at/all.sock", &none, &err), 0);
    demo_close(NULL);
}
