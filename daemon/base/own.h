/*
 * Ownership of locals. A local that owns something is declared with CLEANUP(fn) and released when
 * it goes out of scope; TAKE() hands it over where the hand-over happens.
 *
 *     CLEANUP(bytes_release) struct bytes text = {0};
 *     *ret = TAKE(config);
 */
#pragma once

#include <stddef.h>

/* The object that embeds a member, from a pointer to the member. */
#define container_of(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

#define CLEANUP(fn) __attribute__((cleanup(fn)))

/* The pointer's value; the variable is NULL afterwards and cleans up nothing. */
#define TAKE(pointer)                                                                              \
    ({                                                                                             \
        __typeof__(pointer) taken_ = (pointer);                                                    \
        (pointer) = NULL;                                                                          \
        taken_;                                                                                    \
    })

/* Defines TYPE_cleanup(TYPE **) for CLEANUP() from a function that frees a struct TYPE *. */
#define DEFINE_CLEANUP(name, type, free_function)                                                  \
    static inline void name(type **pointer)                                                        \
    {                                                                                              \
        if (*pointer)                                                                              \
            (void)free_function(*pointer);                                                         \
    }
