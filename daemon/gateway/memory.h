/*
 * Memory: what a later turn of a conversation needs and its client does not carry. In RAM only, and
 * bounded; a restart forgets it.
 *
 *   note    the reasoning of an answer that asked for tools: some providers refuse the next turn
 *           without it, and not every API has a field for it
 *   key     what a note is found by: a hash of the call it led to (id, name, arguments)
 *   place   a hash of where in which conversation the answer stands. Some providers give the same ids
 *           everywhere, so of several notes with one key that of the place counts; the only one there
 *           is counts wherever it is asked for, since clients rewrite what stands before
 *   signer  which provider signed a piece of reasoning: nobody else can read it, so it is taken out
 *           of the history after a switch
 *
 * Notes that were not asked for are forgotten first, when the bytes of all exceed the maximum; so are
 * signers, of which 64 Ki are known. What a signer that was forgotten signed is sent on, and the
 * provider may refuse it.
 */
#pragma once

#include "ir/request.h"

struct memory;

/* max: bytes of all notes. */
struct memory *memory_new(size_t max);
struct memory *memory_free(struct memory *memory);

struct memory_key {
    uint64_t call, place;
};

/*
 * Keeps a copy of the reasoning blocks of a list (blocks of other kinds are passed over), instead of
 * what was kept for this call at this place. Nothing to keep, or more than an eighth of the maximum:
 * no note.
 */
void memory_keep(struct memory *memory, struct memory_key key, const struct ir_block *blocks);
/* The reasoning kept, copied into the arena; NULL when there is none, or no room for it. */
struct ir_block *memory_find(struct memory *memory, struct memory_key key, struct arena *arena);

/* A provider at this origin signed this. */
void memory_note_signer(struct memory *memory, uint64_t signature_hash, const char *origin);
/* It is known that the provider at another origin signed this. */
bool memory_is_foreign(struct memory *memory, uint64_t signature_hash, const char *origin);
