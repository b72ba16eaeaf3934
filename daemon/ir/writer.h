/*
 * Writer: makes neutral events of what a decoder reads, and keeps their grammar (event.h) whatever
 * the wire does. Every decoder writes through it, so life-cycle bugs have one place.
 *
 *   slot     a call of the answer, by a number the decoder gives it (index on the wire)
 *   open     the one block that deltas go to
 *   waiting  a call that began while another was open, or whose id or name is not there yet: its
 *            pieces are kept until its turn comes
 *
 * Rules. An empty piece opens nothing. Text or reasoning closes what is open, waiting calls first;
 * white space alone does neither: it is held until more of its kind comes (before, between and
 * behind calls it mostly means nothing). Waiting calls come in the order of their slots: the next
 * one when the open one ended or its arguments are whole, all of them at text and at the end. A
 * call without an id gets "call_<answer id>_<slot>", and so does one whose id is another's; one
 * without a name is lost. An id is shown in its safe form (call_id.h). Arguments that are "null"
 * or white space are none at all; what comes behind the end of the object is lost. The finish is
 * held back until ir_write_end(), since usage may come behind it. A finish "end", "sequence" or
 * "pause" with calls is "calls", "calls" without any is "end". After an error event everything is ignored (0).
 *
 * Functions return 0, -ERR_PROVIDER_ANSWER (nonsense: pieces for a call that is closed, too many
 * calls), -ERR_TOO_LARGE (above the maximum kept), or what the event function returned. A failure
 * stays: later calls give it again and write nothing (but ir_write_error() works unless it was the
 * event function that failed).
 */
#pragma once

#include "ir/arguments.h"
#include "ir/event.h"

#define IR_SLOTS_MAX 128

struct ir_slot {
    enum { IR_SLOT_FREE, IR_SLOT_WAITING, IR_SLOT_OPEN, IR_SLOT_CLOSED } state;
    bool is_complete;   /* nothing more will come */
    struct bytes id;    /* escaped text, as the provider spelled it */
    struct bytes name;  /* escaped text */
    struct bytes kept;  /* pieces of a waiting call; of an open one as long as they may be none */
    struct bytes shown; /* the id it was opened with; kept when it is closed */
    struct ir_arguments arguments; /* written so far */
};

struct ir_writer {
    ir_event_fn fn;
    void *ctx;
    struct span answer_id;
    struct arena scratch;     /* the decoder's memory; it resets it itself as an event begins */
    struct ir_losses *losses; /* of the answer; may be NULL */
    struct usage usage;
    unsigned blocks; /* opened so far */
    enum ir_block_kind open_kind;
    bool is_open;
    unsigned open_slot;
    bool has_started, has_finish, has_text, has_calls, has_ended;
    bool has_failed; /* an ERROR was written, or the event function failed */
    int failure;     /* the first negative result */
    enum ir_stop stop;
    struct bytes stop_sequence;
    struct bytes signature;                 /* of the open reasoning block */
    struct bytes held_text, held_reasoning; /* white space */
    struct ir_slot *slots;                  /* grows to IR_SLOTS_MAX */
    unsigned slot_count;
    size_t kept, kept_max; /* bytes of all slots; each other buffer has the same maximum */
};

/*
 * To be embedded. answer_id (borrowed for its life) makes ids of calls without one and salts those
 * that are wrapped; max bounds what is kept of waiting calls, and the scratch arena.
 */
void ir_writer_init(struct ir_writer *writer, struct span answer_id, size_t max, ir_event_fn fn,
                    void *ctx);
void ir_writer_release(struct ir_writer *writer);

/* The answer begins; later calls do nothing. Any other ir_write_ does it when it was not done. */
int ir_write_start(struct ir_writer *writer);
/* A piece of text, reasoning or refusal. */
int ir_write_text(struct ir_writer *writer, enum ir_block_kind kind, struct ir_text piece);
/*
 * A piece of the signature of the open reasoning block, or of an empty one opened for it. The
 * pieces are written as one when the block is closed (ir_write_stop(), or whatever begins next;
 * more reasoning text begins a new block). Two signatures need an ir_write_stop() between them.
 */
int ir_write_signature(struct ir_writer *writer, struct ir_text piece);
/* A redacted reasoning block, whole. */
int ir_write_redacted(struct ir_writer *writer, struct ir_text data);
/* Closes the open text or reasoning block, so that the next piece of its kind begins a new one. */
int ir_write_stop(struct ir_writer *writer);
/*
 * What is told of a call: id and name may come late, come again or be empty (an empty one says
 * nothing, a later one does not overwrite), piece may be empty.
 */
int ir_write_call(struct ir_writer *writer, unsigned slot, struct ir_text id, struct ir_text name,
                  struct ir_text piece);
/* Nothing more comes for this call; a slot nothing was told of is left as it is. */
int ir_write_call_end(struct ir_writer *writer, unsigned slot);
/* What is known of usage so far: replaces what was. */
void ir_write_usage(struct ir_writer *writer, const struct usage *usage);
/*
 * The model's turn is over. Said again, the last word counts, but END and CALLS do not hide that the
 * answer was cut or refused. More blocks may still come.
 */
int ir_write_finish(struct ir_writer *writer, enum ir_stop stop, struct ir_text sequence);
/*
 * An error of the provider inside the answer: ends it. Blocks stay open. Also for a failure of ours
 * that the client is to be told as an event (see above).
 */
int ir_write_error(struct ir_writer *writer, const struct api_error *error);
/*
 * Nothing more comes. With a finish: closes every block (waiting calls are opened and closed) and
 * writes it. Without: -ERR_PROVIDER_RESET, nothing is written. After an error event: 0.
 */
int ir_write_end(struct ir_writer *writer);
