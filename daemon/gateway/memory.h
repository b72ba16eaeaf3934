/*
 * Memory: what a later turn of a conversation needs and its client does not carry. In RAM only, and
 * bounded; a restart forgets it, which costs the model a little of its reasoning, never a turn.
 *
 *   note    the reasoning of an answer that asked for tools, found again by the id of its first
 *           call: some providers refuse the next turn without it, and not every API has a field for it
 *   signer  which provider signed a piece of reasoning: nobody else can read it, so it is taken out
 *           of the history after a switch
 *
 * Notes are forgotten oldest first, when their bytes exceed the maximum. Signers are hashes in a
 * table of fixed size: a collision forgets the older one.
 */
#pragma once

#include "ir/request.h"

struct memory;

/* max: bytes of all notes. */
struct memory *memory_new(size_t max);
struct memory *memory_free(struct memory *memory);

/*
 * Keeps a copy of the reasoning blocks of a list (blocks of other kinds are passed over), instead of
 * what was kept for this call. Nothing to keep, or more than an eighth of the maximum: no note.
 */
void memory_keep(struct memory *memory, struct ir_text call_id, const struct ir_block *blocks);
/*
 * The reasoning kept for a call, copied into the arena; NULL when there is none, or no room for it.
 */
struct ir_block *memory_find(struct memory *memory, struct ir_text call_id, struct arena *arena);

/* A provider at this origin signed this. */
void memory_note_signer(struct memory *memory, uint64_t signature_hash, const char *origin);
/* It is known that the provider at another origin signed this. */
bool memory_is_foreign(const struct memory *memory, uint64_t signature_hash, const char *origin);
