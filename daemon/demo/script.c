/* See script.h. Appending cannot fail: the owner of `out` gave it room for the whole answer. */
#include "demo/script.h"

/* Each word is one token here: the count is as made up as the text. */
static const char *const words[] = {
    "This ",   "is ",      "the ",     "aictl ",  "demo ",    "provider: ", "no ",
    "AI ",     "was ",     "asked, ",  "this ",   "text ",    "is ",        "built ",
    "into ",   "aictld. ", "Add ",     "a ",      "real ",    "provider ",  "with ",
    "`aictl ", "login ",   "NAME`, ",  "choose ", "its ",     "model ",     "with ",
    "`aictl ", "switch ",  "MODEL`, ", "and ",    "running ", "tools ",     "follow.",
};

#define WORDS (sizeof(words) / sizeof(words[0]))

#define CHAT_CHUNK                                                                                 \
    "data: {\"id\":\"chatcmpl-demo\",\"object\":\"chat.completion.chunk\",\"created\":0,"          \
    "\"model\":\"%s\",\"choices\":"

static void chat_usage(const struct script *script, struct bytes *out)
{
    (void)bytes_addf(
        out, "\"usage\":{\"prompt_tokens\":%lld,\"completion_tokens\":%zu,\"total_tokens\":%lld}",
        (long long)script->input_tokens, WORDS, (long long)script->input_tokens + (long long)WORDS);
}

static bool chat_next(struct script *script, struct bytes *out)
{
    unsigned step = script->step++;
    if (step == 0) {
        (void)bytes_addf(out,
                         CHAT_CHUNK
                         "[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},"
                         "\"finish_reason\":null}]}\n\n",
                         script->model);
    } else if (step <= WORDS) {
        (void)bytes_addf(out,
                         CHAT_CHUNK "[{\"index\":0,\"delta\":{\"content\":\"%s\"},"
                                    "\"finish_reason\":null}]}\n\n",
                         script->model, words[step - 1]);
    } else if (step == WORDS + 1) {
        (void)bytes_addf(out,
                         CHAT_CHUNK "[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
                         script->model);
    } else {
        if (script->has_usage_event) {
            (void)bytes_addf(out, CHAT_CHUNK "[],", script->model);
            chat_usage(script, out);
            (void)bytes_addf(out, "}\n\n");
        }
        (void)bytes_addf(out, "data: [DONE]\n\n");
        return false;
    }
    return true;
}

static bool messages_next(struct script *script, struct bytes *out)
{
    unsigned step = script->step++;
    if (step == 0) {
        (void)bytes_addf(
            out,
            "event: message_start\ndata: "
            "{\"type\":\"message_start\",\"message\":{\"id\":\"msg_demo\","
            "\"type\":\"message\",\"role\":\"assistant\",\"model\":\"%s\",\"content\":[],"
            "\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":%lld,"
            "\"output_tokens\":1}}}\n\nevent: content_block_start\ndata: {\"type\":"
            "\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":"
            "\"\"}}\n\n",
            script->model, (long long)script->input_tokens);
    } else if (step <= WORDS) {
        (void)bytes_addf(
            out,
            "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,"
            "\"delta\":{\"type\":\"text_delta\",\"text\":\"%s\"}}\n\n",
            words[step - 1]);
    } else {
        (void)bytes_addf(
            out,
            "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
            "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":"
            "\"end_turn\",\"stop_sequence\":null},\"usage\":{\"input_tokens\":%lld,"
            "\"output_tokens\":%zu}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
            (long long)script->input_tokens, WORDS);
        return false;
    }
    return true;
}

bool script_next(struct script *script, struct bytes *out)
{
    return script->is_messages ? messages_next(script, out) : chat_next(script, out);
}

static void all_words(struct bytes *out)
{
    for (size_t i = 0; i < WORDS; i++)
        (void)bytes_addf(out, "%s", words[i]);
}

void script_whole(const struct script *script, struct bytes *out)
{
    if (script->is_messages) {
        (void)bytes_addf(
            out,
            "{\"id\":\"msg_demo\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"%s\","
            "\"content\":[{\"type\":\"text\",\"text\":\"",
            script->model);
        all_words(out);
        (void)bytes_addf(out,
                         "\"}],\"stop_reason\":\"end_turn\",\"stop_sequence\":null,\"usage\":{"
                         "\"input_tokens\":%lld,\"output_tokens\":%zu}}",
                         (long long)script->input_tokens, WORDS);
        return;
    }
    (void)bytes_addf(
        out,
        "{\"id\":\"chatcmpl-demo\",\"object\":\"chat.completion\",\"created\":0,\"model\":\"%s\","
        "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"",
        script->model);
    all_words(out);
    (void)bytes_addf(out, "\"},\"finish_reason\":\"stop\"}],");
    chat_usage(script, out);
    (void)bytes_addf(out, "}");
}
