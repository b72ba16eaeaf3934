/*
 * What writer.c (life, blocks) and writer_call.c (calls, open and waiting) need of each other;
 * nobody else includes it. All of them return what the functions of writer.h return.
 */
#pragma once

#include "ir/writer.h"

static inline struct ir_text writer_text(const struct bytes *bytes)
{
    return (struct ir_text){bytes_span(bytes)};
}

/* ---- writer.c ---- */

/* A block begins; `about` brings what is special to it. */
int writer_begin_block(struct ir_writer *writer, enum ir_block_kind kind, struct ir_event about);
/* A piece of the open block; an empty one is none. */
int writer_delta(struct ir_writer *writer, struct ir_text piece);
/* BLOCK_STOP of the open block. */
int writer_stop_block(struct ir_writer *writer, bool is_redacted);
/* Closes whatever is open, with all that belongs before its end. */
int writer_close_open(struct ir_writer *writer);

/* ---- writer_call.c ---- */

/* The open call; NULL: none, or another block is open. */
struct ir_slot *writer_open_call(struct ir_writer *writer);
int writer_close_call(struct ir_writer *writer, struct ir_slot *slot);
/*
 * Writes waiting calls whole. At the end all of them, those without a name being lost; before, a
 * call that is only announced goes on waiting.
 */
int writer_flush_calls(struct ir_writer *writer, bool is_end);
/* ir_write_call() and ir_write_call_end() of a live writer. */
int writer_take_call(struct ir_writer *writer, unsigned index, struct ir_text id,
                     struct ir_text name, struct ir_text piece);
int writer_end_call(struct ir_writer *writer, unsigned index);
/* Frees the slots. */
void writer_release_calls(struct ir_writer *writer);
