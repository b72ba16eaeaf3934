/*
 * Call ids between wires. Providers make ids others refuse (`functions.weather:0`, "", 40 bytes);
 * a client sees a safe form of them, and the provider gets its own back.
 *
 *   safe     only A-Z a-z 0-9 _ - and at most 64 of them, as Anthropic and others want
 *   wrapped  a safe spelling of an unsafe id that can be undone: "aictl_" hex-escaped "_" salt
 *
 * Pure functions of the id, so a conversation gives the same bytes every turn. Two ids never meet.
 */
#pragma once

#include "ir/text.h"

#define IR_CALL_ID_MAX 64

/*
 * The id a client is shown. A safe id stays; an unsafe one is wrapped, with a salt (letters and
 * digits, "" for none) that tells equal ids of different answers apart. One that would become too
 * long is replaced by a hash, which cannot be undone. -ERR_TOO_LARGE when the arena is full.
 */
int ir_call_id_show(struct ir_text id, const char *salt, struct arena *arena, struct ir_text *ret);
/* The provider's own id of a wrapped one; any other id as it is. -ERR_TOO_LARGE. */
int ir_call_id_unwrap(struct ir_text id, struct arena *arena, struct ir_text *ret);
/* Unwrapped and, if need be, made safe (an id of another dialect in a history). -ERR_TOO_LARGE. */
int ir_call_id_safe(struct ir_text id, struct arena *arena, struct ir_text *ret);
/* Exactly 9 letters and digits: kept when it has that form, else a hash. -ERR_TOO_LARGE. */
int ir_call_id_short(struct ir_text id, struct arena *arena, struct ir_text *ret);
