/* See target.h. Everything is made from the rows of capabilities.def. */
#include "ir/target.h"

struct row {
    const char *name;
    bool is_default;
    const char *help;
};

static const struct row rows[] = {
#define CAPABILITY(id, name, default_, help) [IR_CAN_##id] = {name, default_, help},
#include "ir/capabilities.def"
#undef CAPABILITY
};

_Static_assert(IR_CAPABILITIES <= sizeof(ir_capability_set) * 8, "one bit per capability");

ir_capability_set ir_capabilities_default(void)
{
    ir_capability_set set = 0;
    for (unsigned i = 0; i < IR_CAPABILITIES; i++)
        set |= (ir_capability_set)rows[i].is_default << i;
    return set;
}

const char *ir_capability_name(enum ir_capability capability)
{
    return rows[capability].name;
}

enum ir_capability ir_capability_find(struct span name)
{
    unsigned i = 0;
    while (i < IR_CAPABILITIES && !span_equal(name, span_of(rows[i].name)))
        i++;
    return (enum ir_capability)i;
}

const char *ir_capability_help(enum ir_capability capability)
{
    return rows[capability].help;
}
