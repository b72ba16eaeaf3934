/*
 * The JSON scanner on any bytes: no read outside, and what its functions say of one text agrees.
 */
#include "base/json.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#define DEEPEST 16

static void walk(struct json value, struct arena *arena, unsigned depth)
{
    struct json_iter iter = json_iter(value);
    struct json key, element;
    struct span text;
    int64_t whole;
    double number;
    (void)json_text(value, arena, &text); /* only that it reads nothing outside */
    (void)json_int(value, &whole);
    (void)json_double(value, &number);
    if (depth == DEEPEST)
        return;
    if (value.type == JSON_OBJECT)
        while (json_next_member(&iter, &key, &element)) {
            (void)json_text(key, arena, &text);
            walk(element, arena, depth + 1);
        }
    else
        while (json_next(&iter, &element))
            walk(element, arena, depth + 1);
}

/* A decoded string, written and decoded again, is the same text. */
static void check_text(struct json value, struct arena *arena)
{
    struct span text, again;
    struct json written;
    struct bytes out = {.max = 1 << 22};
    if (value.type != JSON_STRING || json_text(value, arena, &text) < 0)
        return;
    if (json_add_string(&out, text) == 0) {
        assert(json_validate(bytes_span(&out), &written, NULL) == 0);
        assert(json_text(written, arena, &again) < 0 || span_equal(text, again));
    }
    bytes_release(&out);
}

static void check_pick(struct span text, bool is_skimmed, struct json root)
{
    static const char *const names[] = {"model", "stream", "k", NULL};
    struct json picked_root, first[3], second[3];
    struct err err = {0};
    int one_pass = json_pick_text(text, names, &picked_root, first, &err);
    int two_passes = is_skimmed ? json_pick_exact(root, names, second, NULL) : -ERR_INVALID_REQUEST;
    assert(one_pass == two_passes);
    assert(one_pass < 0 || json_pick(root, names, second, NULL) == 0);
    assert(one_pass == 0 || err.detail[0]);
    for (int i = 0; one_pass == 0 && i < 3; i++)
        assert(first[i].type == second[i].type && first[i].len == second[i].len &&
               (first[i].type == JSON_ABSENT || first[i].at == second[i].at));
}

static void check_blanking(struct span text)
{
    char *copy = malloc(text.len + 1);
    assert(copy);
    memcpy(copy, text.at, text.len);
    struct json before, after;
    bool is_good = json_validate(text, &before, NULL) == 0;
    if (json_blank_comments(copy, text.len, NULL) == 0 && is_good) {
        assert(!memcmp(copy, text.at, text.len));
        assert(json_validate((struct span){copy, text.len}, &after, NULL) == 0);
    }
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = {(const char *)data, size};
    struct json skimmed, validated;
    struct arena arena;
    struct err err = {0};
    arena_init(&arena, 1 << 22);
    bool is_skimmed = json_skim(text, &skimmed, &err) == 0;
    bool is_valid = json_validate(text, &validated, NULL) == 0;
    assert(is_skimmed || err.detail[0]);
    assert(!is_valid || (is_skimmed && skimmed.at == validated.at && skimmed.len == validated.len &&
                         skimmed.type == validated.type));
    check_pick(text, is_skimmed, skimmed);
    check_blanking(text);
    walk(json_peek(text), &arena, 0);
    if (is_valid)
        check_text(validated, &arena);
    arena_release(&arena);
    return 0;
}
