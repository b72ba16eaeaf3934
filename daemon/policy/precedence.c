/* See precedence.h. */
#include "policy/precedence.h"

static const char *const source_names[] = {
    [CHOICE_REQUEST] = "request",
    [CHOICE_SESSION] = "session",
    [CHOICE_OVERRIDE] = "override",
    [CHOICE_PIN] = "pin",
    [CHOICE_LOCAL_FILE] = "local file",
    [CHOICE_PROJECT_FILE] = "project file",
    [CHOICE_GLOBAL_PIN] = "global",
    [CHOICE_CONFIG] = "config",
    [CHOICE_ONLY] = "only",
};

/* Why a name of this kind chooses nothing. */
static const char *const kind_notes[] = {
    [NAME_UNKNOWN] = "no configured provider has this model",
    [NAME_CONCRETE] = NULL,
    [NAME_STANDING] = "an alias for the project's model: chooses none itself",
    [NAME_TOOL_DEFAULT] = "a tool's default name that no configured provider has",
};

const char *choice_source_name(enum choice_source source)
{
    return source_names[source];
}

int precedence_decide(const struct catalogue *catalogue, struct choice *choices, size_t count,
                      struct name *ret_name)
{
    int effective = -1;
    *ret_name = (struct name){0};
    for (size_t i = 0; i < count; i++) {
        struct choice *choice = &choices[i];
        choice->effective = false;
        if (!choice->model)
            continue; /* its note came with it */
        struct name name = name_resolve(catalogue, span_of(choice->model));
        if (name.kind != NAME_CONCRETE) {
            choice->note = kind_notes[name.kind];
        } else if (effective < 0) {
            effective = (int)i;
            choice->effective = true;
            *ret_name = name;
        }
    }
    return effective;
}

static bool is_file(enum choice_source source)
{
    return source == CHOICE_LOCAL_FILE || source == CHOICE_PROJECT_FILE;
}

/* The model of the first choice in a file that is concrete. */
static struct name name_in_files(const struct catalogue *catalogue, const struct choice *choices,
                                 size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!is_file(choices[i].source) || !choices[i].model)
            continue;
        struct name name = name_resolve(catalogue, span_of(choices[i].model));
        if (name.kind == NAME_CONCRETE)
            return name;
    }
    return (struct name){0};
}

bool precedence_is_from_files(const struct catalogue *catalogue, const struct choice *choices,
                              size_t count, struct span requested)
{
    struct name asked = name_resolve(catalogue, requested);
    if (asked.kind != NAME_CONCRETE)
        return false;
    struct name supplied = name_in_files(catalogue, choices, count);
    return supplied.candidate_count == asked.candidate_count &&
           !memcmp(supplied.candidates, asked.candidates,
                   asked.candidate_count * sizeof(asked.candidates[0]));
}
