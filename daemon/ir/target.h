/*
 * Target: what is known of the model a request is sent to. Capabilities are bits; their words and
 * meaning are the rows of capabilities.def.
 */
#pragma once

#include <stdint.h>

#include "base/bytes.h"

enum ir_capability {
#define CAPABILITY(id, name, default_, help) IR_CAN_##id,
#include "ir/capabilities.def"
#undef CAPABILITY
    IR_CAPABILITIES
};

/* One bit per capability. */
typedef uint64_t ir_capability_set;

struct ir_target {
    struct span model; /* its name on the wire, plain text */
    ir_capability_set capabilities;
    int64_t max_output; /* most output tokens it gives; 0: not known */
};

static inline bool ir_can(const struct ir_target *target, enum ir_capability capability)
{
    return target->capabilities >> capability & 1;
}

/* Those of a provider nobody knows. */
ir_capability_set ir_capabilities_default(void);
/* The word of a capability in config.json ("reasoningBack"). */
const char *ir_capability_name(enum ir_capability capability);
/* By its word; IR_CAPABILITIES when there is none. */
enum ir_capability ir_capability_find(struct span name);
/* Its sentence for docs and messages. */
const char *ir_capability_help(enum ir_capability capability);
