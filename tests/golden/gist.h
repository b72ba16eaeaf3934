/*
 * Gist: what a request or an answer says, whatever wire it went over, to compare it before and after
 * a conversion. It is kept in channels; in each one everything is a list of words in order.
 *
 *   word   an escaped text without the white space at its ends
 *   extra  a word that a conversion may add
 *
 * A conversion may join words and put extras between them; it may not leave out, change or reorder.
 */
#pragma once

#include "golden/golden.h"
#include "ir/answer.h"

enum gist_channel {
    GIST_TOOLS,     /* names and descriptions of those declared */
    GIST_ASKED,     /* texts of system and user messages */
    GIST_SAID,      /* texts and refusals of the model */
    GIST_REASONING, /* of answers only */
    GIST_CALLS,     /* ids, names, arguments */
    GIST_RESULTS,   /* ids and what was said */
    GIST_MEDIA,     /* images and documents */
    GIST_CHANNELS
};

struct gist {
    struct arena arena;
    struct bytes words[GIST_CHANNELS]; /* each with a line end behind it */
};

/* Results without their call are texts here, second results for a call are nothing. */
void gist_of_request(struct gist *gist, const struct ir_request *request);
void gist_of_answer(struct gist *gist, const struct ir_answer *answer);
void gist_release(struct gist *gist);

/*
 * What `before` says is said by `after`, but for the extras and for what the losses name. `what` is
 * for the message of a failure.
 */
void gist_expect(const struct golden_case *golden, const char *what, const struct gist *before,
                 const struct gist *after, const struct ir_losses *losses);
