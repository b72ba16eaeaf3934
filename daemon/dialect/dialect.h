/*
 * A dialect is one AI API on the wire: its paths, its way to carry a key, and how to read and write
 * its requests, events, answers and errors. Pure: no sockets, clock, files or globals.
 *
 * When client and provider speak the same one, bytes are kept: view, edit and tap. When they do not,
 * or the answer has the other form than was asked for, everything goes by the neutral forms of ir/:
 * decode is wire to neutral, encode neutral to wire.
 *
 *   operation  what a path asks for (generate, list models, ...), independent of dialect
 *   view       what the pass-through must know of a request: model, stream, where they stand
 *   edit       the few permitted changes to a body that is otherwise kept (law 1); made as splices
 *   tap        reads usage, content, finish and errors from an answer that is passed on unchanged
 *   hidden     an event the client did not ask for (the usage chunk we had to request ourselves)
 *
 * To add a dialect: one file ending in `const struct dialect dialect_<name>` and one row in
 * dialects.def. Paths, models list, fuzzing and docs follow from the row. Facts and losses of a
 * dialect stand in docs/dialects/<name>.md; two conversions tried on this interface on paper stand
 * in docs/design/0002-dialect-interface.md.
 */
#pragma once

#include "base/arena.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/json.h"
#include "ir/answer.h"
#include "ir/target.h"
#include "ir/usage.h"
#include "ir/writer.h"

enum operation {
    OP_GENERATE,     /* a completion, stream or not */
    OP_LIST_MODELS,  /* GET models */
    OP_COUNT_TOKENS, /* the input tokens of a request; estimated here, never sent on */
};

/* A client path of this dialect, below the root; slips (/v1/v1, no /v1) are gateway/endpoint's. */
struct dialect_route {
    const char *method; /* "POST" */
    const char *path;   /* "/v1/chat/completions" */
    enum operation operation;
};

/* What is known of a generate request without interpreting it. Slices point into the body. */
struct request_view {
    struct span body;
    struct json root;
    struct json model; /* a string */
    struct span model_text;
    bool stream;
    /* Dialect's own: where stream_options stands (openai_chat); absent elsewhere. */
    struct json stream_options;
    bool wants_usage; /* the client itself asked for usage in the stream */
    bool is_legacy;   /* it asks in the form before tool calls, and wants that answer */
};

/* One change of a body: `len` bytes at `offset` are replaced by `text`. In ascending order. */
struct splice {
    size_t offset;
    size_t len;
    struct span text;
};

struct splices {
    struct arena *arena; /* where the list grows */
    size_t count, cap;
    struct splice *list;
};

#define TAP_SIGNATURES 16

/* What the tap has seen of one answer so far. Zero-initialise. */
struct tap {
    struct usage usage;
    bool has_content; /* productive: text, reasoning, tool output */
    bool has_finish;  /* the model's turn was ended by the provider (finish_reason, stop_reason) */
    bool has_end;     /* the dialect's last event came ([DONE], message_stop) */
    bool has_calls;   /* it asked for a tool */
    bool is_unfit;    /* its client could not use it as it is: to be converted, docs/dialects/ */
    int error_kind;   /* an error inside a 200: ERR_PROVIDER_..., else 0 */
    char error_text[256]; /* its message, cut */
    char stop[32];        /* the finish word as the provider spelled it */
    /* What reasoning was signed with, hashed (ir_text_hash()); more than fit are not kept. */
    unsigned signature_count;
    uint64_t signatures[TAP_SIGNATURES];
    uint64_t open_signature; /* of the block that is coming, so far; 0: none */
};

enum tap_verdict { TAP_PASS, TAP_HIDE };

/* An error to be written for a client, or read from a provider. */
struct api_error {
    int kind;            /* of proto/errors.def */
    int status;          /* HTTP status to answer; 0: that of the kind's row */
    const char *type;    /* NULL: that of the kind's row (mapped by the dialect) */
    struct span message; /* plain text */
    const char *code;    /* short machine word or NULL */
};

/* One line of a models list. */
struct model_entry {
    const char *id;
    const char *display_name; /* NULL: the id */
    const char *owner;        /* provider name */
};

struct dialect {
    const char *name;                   /* "openai_chat": the row, the docs page, the fuzz target */
    const char *type;                   /* provider type in config.json: "openai" */
    const char *standing_alias;         /* name that means "the project's model" on this surface */
    const struct dialect_route *routes; /* ends with {NULL} */

    /* -- towards the provider -- */
    /*
     * Appends the full URL of an operation to `out`: base is the configured baseURL, used as given
     * with the operation's path appended; a base that already is the full path is recognised; one
     * trailing slash is ignored (facts: docs/providers.md). `model` is for dialects that carry it
     * in the path.
     */
    int (*build_url)(struct span base, enum operation operation, struct span model, bool stream,
                     struct bytes *out);
    const char *key_header; /* "authorization", lower case */
    const char *key_prefix; /* "Bearer ", or "" */
    /* Lower-case names of client headers passed to a provider of this dialect; ends with NULL. A
     * name ending in '*' is a prefix. */
    const char *const *request_headers;
    /* The same for answer headers passed to the client (content-type is always). */
    const char *const *answer_headers;
    /* "name: value" sent to every provider of this dialect unless the client sent it; or NULL. */
    const char *const *default_headers;

    /* -- same dialect in and out -- */
    /* Reads the view of a generate body; -ERR_INVALID_REQUEST names the field. */
    int (*read_request)(struct span body, struct arena *arena, struct request_view *ret,
                        struct err *reterr);
    /*
     * The permitted edits: the model value replaced by the target's (left alone when equal), and
     * what the dialect needs to be told about usage. Added to *ret; texts live in the arena.
     */
    int (*edit_request)(const struct request_view *view, const struct ir_target *target,
                        struct arena *arena, struct splices *ret, struct err *reterr);
    /*
     * One more: takes out the reasoning whose signature the provider cannot read. *ret_count: how
     * many blocks. -ERR_TOO_LARGE when the arena is full. NULL: the dialect signs nothing.
     */
    int (*strip_reasoning)(struct span body,
                           bool (*is_foreign)(void *ctx, struct ir_text signature), void *ctx,
                           struct arena *arena, struct splices *ret, unsigned *ret_count);
    /* One event of a stream. `view` is that of the request. Never fails: unknown events pass. */
    enum tap_verdict (*tap_event)(struct tap *tap, const struct request_view *view,
                                  struct span event_name, struct span data);
    /* A whole (non-stream) answer body. */
    void (*tap_answer)(struct tap *tap, struct span body);
    /*
     * What an event of a stream says of its answer: begun_id, model and created_s of *ret, where it
     * says them. For a stream whose beginning was passed on. NULL: the dialect's tap never asks for
     * that (is_unfit).
     */
    void (*read_reply)(struct span data, struct arena *arena, struct ir_reply *ret);
    /*
     * Classifies an error answer (status and body) into a kind and finds its message; the message
     * is borrowed from the body or the arena. Never fails: an unknown body gives the status' kind.
     */
    void (*read_error)(int status, struct span body, struct arena *arena, struct api_error *ret);

    /* -- conversion: wire to neutral -- */
    /*
     * Reads a generate body (or one to be counted). Unknown members are losses; what is wrong is
     * -ERR_INVALID_REQUEST naming the place ("messages[3].content[1]: ..."). Everything points into
     * the body or the arena.
     */
    int (*decode_request)(struct span body, struct arena *arena, struct ir_request *ret,
                          struct ir_losses *losses, struct err *reterr);
    size_t decoder_size; /* a stream's state: zeroed by the core, owns nothing */
    /*
     * One event of a stream. Errors are the writer's, and -ERR_PROVIDER_ANSWER for what cannot be
     * understood; an error of the provider inside the stream is written as one. The core calls
     * ir_write_end() when the body ended.
     */
    int (*decode_event)(void *decoder, struct ir_writer *writer, struct span event_name,
                        struct span data);
    /* A whole answer as the same events, its finish included. Errors as decode_event. */
    int (*decode_answer)(struct span body, struct ir_writer *writer);

    /* -- conversion: neutral to wire -- */
    /*
     * Writes the body for a provider. What this dialect or the target cannot say is a loss; what
     * cannot be left out is -ERR_INVALID_REQUEST. -ERR_TOO_LARGE above out->max or the arena.
     */
    int (*encode_request)(const struct ir_request *request, const struct ir_target *target,
                          struct arena *arena, struct ir_losses *losses, struct bytes *out,
                          struct err *reterr);
    size_t encoder_size; /* as decoder_size */
    /*
     * One event for the client, with its framing; FINISH includes the stream's end. ERROR never
     * comes here: write_stream_error() is for it.
     */
    int (*encode_event)(void *encoder, const struct ir_reply *reply, const struct ir_event *event,
                        struct bytes *out);
    /* A whole answer. */
    int (*encode_answer)(const struct ir_answer *answer, const struct ir_reply *reply,
                         struct ir_losses *losses, struct bytes *out);
    /* The answer to OP_COUNT_TOKENS; NULL: the dialect has none. */
    int (*write_count)(int64_t input_tokens, struct bytes *out);

    /* -- towards the client -- */
    /* The error body of this dialect (JSON). */
    int (*write_error)(const struct api_error *error, struct bytes *out);
    /* The event that ends a stream in failure, after its head went out. Never a clean ending. */
    int (*write_stream_error)(const struct api_error *error, struct bytes *out);
    /* True when an error body already has this dialect's shape, so that it can be passed on. */
    bool (*is_own_error)(struct span body);
    /* The models list in this dialect's shape. */
    int (*write_models)(const struct model_entry *models, size_t count, struct bytes *out);
    /* Bytes that keep a silent stream alive between events; NULL: the dialect bears none. */
    const char *keepalive;
    /* The last event of a good stream, sent when a provider finished without it (tap.has_end). */
    const char *stream_end;
    /* content-type of error and whole answers is application/json; of streams text/event-stream. */
};

/* Every dialect, in the order of dialects.def; ends with NULL. */
extern const struct dialect *const dialects[];

/* By provider type ("openai"), or NULL. */
const struct dialect *dialect_by_type(struct span type);
/* By name ("openai_chat"), or NULL. */
const struct dialect *dialect_by_name(struct span name);

/*
 * The kind of an HTTP status when a body says nothing more: 401/403 PROVIDER_AUTH, 408/504
 * PROVIDER_TIMEOUT, 429/503/529 PROVIDER_OVERLOADED, other 5xx PROVIDER_ANSWER, 3xx
 * PROVIDER_REDIRECT, 413 TOO_LARGE, other 4xx PROVIDER_REFUSED.
 */
int dialect_kind_of_status(int status);

/* No splices yet; the list will live in the arena, which outlives it. */
void splices_init(struct splices *splices, struct arena *arena);

/*
 * Adds a splice in its place; one that is added later at the same offset comes behind. In ascending
 * order an addition costs nothing but its room. -ERR_TOO_LARGE when the arena is full.
 */
int splices_add(struct splices *splices, size_t offset, size_t len, struct span text);

/* Applies splices to a body, appending the result to `out`; none overlap. As bytes_add(). */
int splices_apply(const struct splices *splices, struct span body, struct bytes *out);
