/* See dialect.h: the table of dialects, and the edits all of them make. */
#include "dialect/dialect.h"

#include <assert.h>

#define DIALECT(name) extern const struct dialect dialect_##name;
#include "dialect/dialects.def"
#undef DIALECT

const struct dialect *const dialects[] = {
#define DIALECT(name) &dialect_##name,
#include "dialect/dialects.def"
#undef DIALECT
    NULL,
};

const struct dialect *dialect_by_type(struct span type)
{
    for (size_t i = 0; dialects[i]; i++)
        if (span_equal(type, span_of(dialects[i]->type)))
            return dialects[i];
    return NULL;
}

const struct dialect *dialect_by_name(struct span name)
{
    for (size_t i = 0; dialects[i]; i++)
        if (span_equal(name, span_of(dialects[i]->name)))
            return dialects[i];
    return NULL;
}

int dialect_kind_of_status(int status)
{
    switch (status) {
    case 401:
    case 403:
        return ERR_PROVIDER_AUTH;
    case 408:
    case 504:
        return ERR_PROVIDER_TIMEOUT;
    case 413:
        return ERR_TOO_LARGE;
    case 429:
    case 503:
    case 529:
        return ERR_PROVIDER_OVERLOADED;
    default:
        if (status >= 300 && status < 400)
            return ERR_PROVIDER_REDIRECT;
        return status >= 400 && status < 500 ? ERR_PROVIDER_REFUSED : ERR_PROVIDER_ANSWER;
    }
}

void splices_init(struct splices *splices, struct arena *arena)
{
    *splices = (struct splices){.arena = arena};
}

/* Room for one more. What is outgrown stays in the arena: as much again, all steps together. */
static int splices_grow(struct splices *splices)
{
    if (splices->count < splices->cap)
        return 0;
    size_t cap = splices->cap ? 2 * splices->cap : 8;
    struct splice *list = arena_alloc(splices->arena, cap * sizeof(*list));
    if (!list)
        return -ERR_TOO_LARGE;
    if (splices->count > 0)
        memcpy(list, splices->list, splices->count * sizeof(*list));
    splices->list = list;
    splices->cap = cap;
    return 0;
}

int splices_add(struct splices *splices, size_t offset, size_t len, struct span text)
{
    int r = splices_grow(splices);
    if (r < 0)
        return r;
    size_t i = splices->count++;
    for (; i > 0 && splices->list[i - 1].offset > offset; i--)
        splices->list[i] = splices->list[i - 1];
    splices->list[i] = (struct splice){offset, len, text};
    return 0;
}

int splices_apply(const struct splices *splices, struct span body, struct bytes *out)
{
    size_t more = body.len, at = 0;
    for (size_t i = 0; i < splices->count; i++)
        more += splices->list[i].text.len;
    int r = bytes_reserve(out, more); /* once: bodies are large */
    if (r < 0)
        return r;
    for (size_t i = 0; i < splices->count; i++) {
        const struct splice *splice = &splices->list[i];
        assert(splice->offset >= at && splice->offset + splice->len <= body.len);
        (void)bytes_add(out, body.at + at, splice->offset - at); /* there is room for all */
        (void)bytes_add_span(out, splice->text);
        at = splice->offset + splice->len;
    }
    (void)bytes_add(out, body.at + at, body.len - at);
    return 0;
}
