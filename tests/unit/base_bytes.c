/* Spans, growing buffers and arenas. */
#include "base/arena.h"
#include "base/bytes.h"
#include "proto/errors.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>

Test(span, comparing_and_trimming)
{
    cr_expect(span_equal(SPAN(""), (struct span){NULL, 0}));
    cr_expect(span_equal_nocase(SPAN("Content-Type"), SPAN("content-type")));
    cr_expect_not(span_equal(SPAN("a"), SPAN("ab")));
    cr_expect(span_starts(SPAN("abc"), SPAN("ab")) && !span_starts(SPAN("a"), SPAN("ab")));
    cr_expect(span_starts_nocase(SPAN("BEARER x"), SPAN("bearer ")));
    cr_expect(span_equal(span_trim(SPAN(" \t a b\t ")), SPAN("a b")));
    cr_expect_eq(span_trim(SPAN(" \t ")).len, 0u);
}

Test(span, a_cut_gives_both_parts)
{
    struct span rest;
    cr_expect(span_equal(span_cut(SPAN("a:b:c"), ':', &rest), SPAN("a")));
    cr_expect(span_equal(rest, SPAN("b:c")));
    cr_expect(span_equal(span_cut(SPAN("abc"), ':', &rest), SPAN("abc")));
    cr_expect_null(rest.at, "no separator: the rest is absent");
    cr_expect(span_equal(span_cut(SPAN("a:"), ':', &rest), SPAN("a")));
    cr_expect(rest.at && rest.len == 0, "nothing behind it: the rest is empty");
}

Test(bytes, the_maximum_is_exact_and_a_failed_add_changes_nothing)
{
    struct bytes bytes = {.max = 5};
    cr_expect_eq(bytes_add_span(&bytes, SPAN("abc")), 0);
    cr_expect_eq(bytes_add_span(&bytes, SPAN("def")), -ERR_TOO_LARGE);
    cr_expect_eq(bytes_addf(&bytes, "%d", 1234), -ERR_TOO_LARGE);
    cr_expect_str_eq(bytes.data, "abc");
    cr_expect_eq(bytes_addf(&bytes, "%d", 12), 0);
    cr_expect_str_eq(bytes.data, "abc12");
    cr_expect_eq(bytes_reserve(&bytes, SIZE_MAX), -ERR_TOO_LARGE);
    bytes_release(&bytes);
    cr_expect(!bytes.data && bytes.len == 0 && bytes.max == 5);
}

Test(bytes, growing_keeps_what_is_there)
{
    for (int wipe = 0; wipe < 2; wipe++) {
        struct bytes bytes = {.max = 1 << 20, .wipe = wipe};
        for (int i = 0; i < 10000; i++)
            cr_assert_eq(bytes_addf(&bytes, "%04d", i), 0);
        cr_expect_eq(bytes.len, 40000u);
        cr_expect(!memcmp(bytes.data + 4 * 1234, "1234", 4));
        bytes_drop_front(&bytes, 4 * 9999);
        cr_expect(span_equal(bytes_span(&bytes), SPAN("9999")));
        bytes_clear(&bytes);
        cr_expect_eq(bytes_span(&bytes).len, 0u);
        bytes_release(&bytes);
    }
}

Test(arena, pieces_are_zeroed_aligned_and_apart)
{
    struct arena arena;
    arena_init(&arena, 1 << 20);
    char *before = NULL;
    for (size_t size = 1; size < 3000; size += 7) {
        char *piece = arena_alloc(&arena, size);
        cr_assert_not_null(piece);
        cr_expect_eq((uintptr_t)piece % _Alignof(max_align_t), 0u);
        for (size_t i = 0; i < size; i++)
            cr_assert_eq(piece[i], 0);
        memset(piece, 0xff, size);
        cr_expect_neq(piece, before);
        before = piece;
    }
    arena_release(&arena);
}

Test(arena, the_maximum_bounds_all_pieces_together)
{
    struct arena arena;
    arena_init(&arena, 100);
    cr_expect_not_null(arena_alloc(&arena, 64));
    cr_expect_null(arena_alloc(&arena, 64));
    cr_expect_null(arena_alloc(&arena, SIZE_MAX));
    cr_expect_not_null(arena_alloc(&arena, 16), "a failure does not spoil the arena");
    arena_release(&arena);
    cr_expect_not_null(arena_alloc(&arena, 64), "released, it starts afresh");
    arena_release(&arena);
}

Test(arena, text_is_copied_and_printed)
{
    struct arena arena;
    arena_init(&arena, 4096);
    cr_expect_str_eq(arena_copy(&arena, SPAN("text")), "text");
    cr_expect_str_eq(arena_copy(&arena, (struct span){NULL, 0}), "");
    cr_expect_str_eq(arena_printf(&arena, "%s-%d", "a", 7), "a-7");
    cr_expect_null(arena_printf(&arena, "%5000d", 1));
    arena_release(&arena);
}
