/* See curl_memory.h. The size of a block is what malloc says it is. */
#include "net/curl_memory.h"

#include <curl/curl.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static void wiping_free(void *block)
{
    if (block)
        explicit_bzero(block, malloc_usable_size(block));
    free(block);
}

static void *wiping_realloc(void *block, size_t size)
{
    size_t old = block ? malloc_usable_size(block) : 0;
    if (block && size && size <= old)
        return block;
    void *moved = malloc(size);
    if (!moved)
        return NULL;
    if (block)
        memcpy(moved, block, old < size ? old : size);
    wiping_free(block);
    return moved;
}

void curl_memory_init(void)
{
    static bool done;
    if (!done && curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, wiping_free, wiping_realloc,
                                      strdup, calloc) != CURLE_OK)
        abort();
    done = true;
}
