/*
 * Text inside the neutral forms: kept as it stands between the quotes of a JSON string.
 *
 * A string's inside is valid inside any other JSON string, so text, base64 and streamed fragments go
 * from one wire to the other without being decoded, and escapes stay as their author wrote them:
 * that keeps turn n a prefix of turn n + 1. Decode (ir_text_plain) only what is looked at.
 */
#pragma once

#include "base/arena.h"
#include "base/json.h"

struct ir_text {
    struct span escaped; /* absent: there is none; empty: "" */
};

/* A literal without characters that need escapes. */
#define IR_TEXT_LITERAL(literal) ((struct ir_text){{(literal), sizeof(literal) - 1}})

static inline bool ir_text_is_filled(struct ir_text text)
{
    return text.escaped.len > 0;
}

static inline bool ir_text_equal(struct ir_text a, struct ir_text b)
{
    return span_equal(a.escaped, b.escaped);
}

/* An order to sort and search by: less, equal or greater than 0. */
int ir_text_compare(struct ir_text a, struct ir_text b);
/* The inside of a JSON string; absent for anything else. */
struct ir_text ir_text_of(struct json string);
/* Plain text escaped into the arena (borrowed when nothing needs it); -ERR_TOO_LARGE. */
int ir_text_escape(struct span plain, struct arena *arena, struct ir_text *ret);
/* The decoded text: borrowed when there is no escape in it, else in the arena; -ERR_TOO_LARGE. */
int ir_text_plain(struct ir_text text, struct arena *arena, struct span *ret);
/* White space only (escaped or not), or nothing at all. */
bool ir_text_is_blank(struct ir_text text);
/* Letters, digits and / . + - _ only, at least one: what may stand in a data URL. */
bool ir_text_is_media_type(struct ir_text text);
/* Appends "text" with its quotes. As bytes_add(). */
int ir_text_add(struct bytes *out, struct ir_text text);
/* A hash to find or compare by, the same in every run; never 0. */
uint64_t ir_text_hash(struct ir_text text);
/* The hash of a text that goes on; hash 0: it begins. */
uint64_t ir_text_hash_more(uint64_t hash, struct ir_text piece);
