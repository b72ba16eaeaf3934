/*
 * The neutral request of an exchange: what its client asked, decoded once, and encoded for every
 * attempt at a provider that speaks another dialect.
 */
#pragma once

#include "dialect/dialect.h"
#include "gateway/memory.h"

struct neutral {
    struct arena arena;
    struct ir_request request;
    uint64_t place;            /* of the answer in its conversation, for memory_key() */
    struct ir_losses decoding; /* what the decoder lost */
    struct ir_losses losses;   /* the same and what the last encoder lost */
};

/*
 * A running hash of a call, for memory_key: start with its id and name, go on with the pieces of its
 * arguments, as they stand in a string or plain. Clients write arguments anew, so only letters and
 * digits count.
 */
uint64_t neutral_call_hash(struct ir_text id, struct ir_text name);
uint64_t neutral_call_more(uint64_t hash, struct span arguments);

/* For whom it is encoded. */
struct neutral_target {
    const struct dialect *dialect;
    struct ir_target model;
    const char *origin;
};

/*
 * Decodes a body, which must stay for the life of *ret. Errors are the dialect's; *ret is to be
 * released in any case.
 */
int neutral_decode(struct neutral *ret, const struct dialect *surface, struct span body,
                   struct err *reterr);
/* After a decode, or of one that is zeroed. */
void neutral_release(struct neutral *neutral);
/*
 * Appends the body for a provider. Reasoning that its client did not carry is put back from the
 * memory, and what another provider signed is not sent.
 */
int neutral_encode(struct neutral *neutral, const struct neutral_target *target,
                   struct memory *memory, struct bytes *out, struct err *reterr);
