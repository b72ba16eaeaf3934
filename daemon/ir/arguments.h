/*
 * A call's arguments while they come: escaped pieces of what should become one JSON object.
 *
 *   none   nothing, white space or null: what providers send for a call without arguments
 *   whole  the object's last bracket came; what follows (the same again, a bracket too many) would
 *          only spoil it
 */
#pragma once

#include "ir/text.h"

/* Zero-initialise. */
struct ir_arguments {
    bool has_begun; /* something but white space came */
    bool is_odd;    /* it is no object: never whole */
    bool is_whole;
    bool is_in_string, is_behind_backslash;
    unsigned depth;
};

/* These are all the arguments of a call that has none. */
bool ir_arguments_are_none(struct ir_text text);
/* They are none so far: white space, or the beginning of null. */
bool ir_arguments_may_be_none(struct ir_text text);
/*
 * Follows the next piece. Returns the part of it that belongs to the arguments: all of it, but for
 * what stands behind the end of the object.
 */
struct ir_text ir_arguments_follow(struct ir_arguments *arguments, struct ir_text piece);
