/* See tap.h. */
#include "dialect/tap.h"

#include "base/own.h"
#include "base/utf8.h"
#include "dialect/api_error.h"

#define ERROR_MEMORY 65536 /* for an error's decoded message; a longer one is not shown */

static void keep(char *out, size_t size, struct span text)
{
    text = utf8_cut(text, size - 1);
    memcpy(out, text.at ? text.at : "", text.len);
    out[text.len] = '\0';
}

void tap_error(struct tap *tap, struct span body)
{
    if (tap->error_kind)
        return;
    CLEANUP(arena_release) struct arena arena;
    struct api_error error;
    arena_init(&arena, ERROR_MEMORY);
    api_error_read(200, body, &arena, &error);
    tap->error_kind = error.kind;
    keep(tap->error_text, sizeof(tap->error_text), api_error_message(&error));
}

void tap_nonsense(struct tap *tap, const char *problem)
{
    if (tap->error_kind)
        return;
    tap->error_kind = ERR_PROVIDER_ANSWER;
    keep(tap->error_text, sizeof(tap->error_text), span_of(problem));
}

void tap_finish(struct tap *tap, struct json word)
{
    if (word.type != JSON_STRING || !json_is_filled(word))
        return;
    tap->has_finish = true;
    keep(tap->stop, sizeof(tap->stop), json_raw_text(word));
}

bool tap_count(struct json value, int64_t *ret)
{
    int64_t count;
    if (!json_int(value, &count) || count < 0)
        return false;
    *ret = count;
    return true;
}
