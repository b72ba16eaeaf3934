/*
 * Writer: what the files that encode a chat request share. The first failure is kept and nothing is
 * written behind it, so only the caller of all looks at it.
 */
#pragma once

#include "dialect/openai_chat.h"

struct chat_writer {
    const struct ir_request *request;
    const struct ir_target *target;
    struct arena *arena;
    struct ir_losses *losses;
    struct bytes *out;
    struct err *reterr;
    int status;                       /* 0, or the first failure */
    size_t messages;                  /* written so far */
    const struct ir_message *message; /* being written, for errors */
};

/* Appends bytes of JSON. */
static inline void chat_put(struct chat_writer *writer, struct span text)
{
    if (writer->status == 0)
        writer->status = bytes_add_span(writer->out, text);
}

/* Appends a value as it was spelled. */
static inline void chat_put_value(struct chat_writer *writer, struct json value)
{
    chat_put(writer, json_span(value));
}

/* Appends a text with its quotes. */
static inline void chat_put_text(struct chat_writer *writer, struct ir_text text)
{
    if (writer->status == 0)
        writer->status = ir_text_add(writer->out, text);
}

static inline bool chat_can(const struct chat_writer *writer, enum ir_capability capability)
{
    return ir_can(writer->target, capability);
}

/* Appends a whole number. */
void chat_put_number(struct chat_writer *writer, int64_t number);

/* A loss whose name ends in a word of the client's: "tools[]." and "web_search_20250305". */
void chat_lose_word(struct chat_writer *writer, const char *prefix, struct ir_text word);

/* -- openai_chat_wish.c -- */

/* Appends the members that wish for reasoning, in every way that the target takes. */
void chat_write_wish(struct chat_writer *writer);

/* -- openai_chat_content_encode.c -- */

/* How a block goes out: not at all (a loss, or no content), as text, or as an image or file. */
enum chat_say { CHAT_SAY_NOTHING, CHAT_SAY_WORDS, CHAT_SAY_MEDIA };

/*
 * What the target takes of a block. A document that cannot be left out and cannot be said is
 * -ERR_INVALID_REQUEST. Calls, results and reasoning are not content: nothing.
 */
enum chat_say chat_say(struct chat_writer *writer, const struct ir_block *block);
/* The same where only text may stand: media are a loss. */
enum chat_say chat_say_words(struct chat_writer *writer, const struct ir_block *block);
/* A block has a cache mark and the target takes it; one that it does not take is a loss. */
bool chat_keeps_mark(struct chat_writer *writer, const struct ir_block *block);

/* The value of `content`: a string that pieces are joined in, or an array with a part for each. */
struct chat_content {
    bool is_array;
    struct span join; /* between two pieces of a string, escaped */
    size_t count;     /* pieces so far */
};

void chat_content_begin(struct chat_writer *writer, const struct chat_content *content);
void chat_content_end(struct chat_writer *writer, const struct chat_content *content);
/* A piece that is written between the two, without quotes; marked: the block with its mark, or NULL. */
void chat_content_open(struct chat_writer *writer, struct chat_content *content);
void chat_content_close(struct chat_writer *writer, struct chat_content *content,
                        const struct ir_block *marked);
/* A block that says words, as one piece. */
void chat_content_words(struct chat_writer *writer, struct chat_content *content,
                        const struct ir_block *block);
/* A block that says media; the content is an array. */
void chat_content_media(struct chat_writer *writer, struct chat_content *content,
                        const struct ir_block *block);
/*
 * The text of a result, without quotes; `where` says where its media are ("see below"). Returns how
 * many of them there are.
 */
size_t chat_put_result(struct chat_writer *writer, const struct ir_block *result,
                       struct span where);

/* -- openai_chat_history_encode.c -- */

/* Appends the messages as the elements of an array; none at all is -ERR_INVALID_REQUEST. */
void chat_write_messages(struct chat_writer *writer);
