/* Call ids: what is shown is safe, can be undone, and never is two ids' at once. */
#include "ir/call_id.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define A64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct arena arena;

static void begin(void)
{
    arena_init(&arena, 64 << 20);
}

static void end(void)
{
    arena_release(&arena);
}

TestSuite(ir_call_id, .init = begin, .fini = end);

static struct ir_text text_of(const char *escaped)
{
    return (struct ir_text){span_of(escaped)};
}

static struct ir_text show(struct ir_text id, const char *salt)
{
    struct ir_text shown = {{NULL, 0}};
    cr_assert_eq(ir_call_id_show(id, salt, &arena, &shown), 0);
    return shown;
}

static struct ir_text unwrap(struct ir_text id)
{
    struct ir_text own = {{NULL, 0}};
    cr_assert_eq(ir_call_id_unwrap(id, &arena, &own), 0);
    return own;
}

static struct ir_text safe(struct ir_text id)
{
    struct ir_text made = {{NULL, 0}};
    cr_assert_eq(ir_call_id_safe(id, &arena, &made), 0);
    return made;
}

static struct ir_text shorten(struct ir_text id)
{
    struct ir_text made = {{NULL, 0}};
    cr_assert_eq(ir_call_id_short(id, &arena, &made), 0);
    return made;
}

static bool is_safe(struct ir_text id)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    for (size_t i = 0; i < id.escaped.len; i++)
        if (!id.escaped.at[i] || !strchr(letters, id.escaped.at[i]))
            return false;
    return id.escaped.len > 0 && id.escaped.len <= IR_CALL_ID_MAX;
}

/* {the provider's id, as it is shown with salt "s1"} */
static const char *const shown_ids[][2] = {
    {"toolu_01A-b", "toolu_01A-b"},
    {"call_Zz9", "call_Zz9"},
    {A64, A64},
    {"", ""},
    {"functions.weather:0", "aictl_functionsZ2eweatherZ3a0_s1"},
    {"call\\u005f1", "call_1"},
    {"functions\\u002eweather:0", "aictl_functionsZ2eweatherZ3a0_s1"},
    {"a b", "aictl_aZ20b_s1"},
    {"Z.", "aictl_Z5aZ2e_s1"},
    {"\xc3\xa9", "aictl_Zc3Za9_s1"},
    {"\\n\\\"", "aictl_Z0aZ22_s1"},
    {"aictl_x", "aictl_x"},
    {"aictl_x_s1", "aictl_x_s1"}, /* we would not have wrapped x */
    {"aictl_aZ20b_s2", "aictl_aictl_aZ5a20b_s2_s1"},
};

Test(ir_call_id, an_unsafe_id_is_shown_wrapped_and_comes_back)
{
    for (size_t i = 0; i < sizeof(shown_ids) / sizeof(shown_ids[0]); i++) {
        struct ir_text shown = show(text_of(shown_ids[i][0]), "s1");
        struct span plain;
        cr_expect(ir_text_equal(shown, text_of(shown_ids[i][1])), "%s is " SPAN_FMT,
                  shown_ids[i][0], SPAN_ARG(shown.escaped));
        cr_assert_eq(ir_text_plain(text_of(shown_ids[i][0]), &arena, &plain), 0);
        struct ir_text wanted;
        cr_assert_eq(ir_text_escape(plain, &arena, &wanted), 0);
        cr_expect(ir_text_equal(unwrap(shown), wanted), "%s", shown_ids[i][0]);
    }
}

Test(ir_call_id, the_salt_tells_equal_ids_apart_and_is_kept_short)
{
    struct ir_text id = text_of("f:0"), a = show(id, "A1"), b = show(id, "A2");
    cr_expect(ir_text_equal(a, text_of("aictl_fZ3a0_A1")));
    cr_expect_not(ir_text_equal(a, b));
    cr_expect(ir_text_equal(show(id, "A1"), a));
    cr_expect(ir_text_equal(show(id, ""), text_of("aictl_fZ3a0_")));
    cr_expect(ir_text_equal(show(id, NULL), text_of("aictl_fZ3a0_")));
    cr_expect(ir_text_equal(show(id, "12345678"), text_of("aictl_fZ3a0_12345678")));
    struct ir_text c = show(id, "0123456789abcdefA"), d = show(id, "0123456789abcdefB");
    cr_expect_eq(c.escaped.len, strlen("aictl_fZ3a0_12345678"));
    cr_expect_not(ir_text_equal(c, d));
    cr_expect(is_safe(show(id, "a_b")) && is_safe(show(id, "?")));
    static const char *const salts[] = {"", "A1", "12345678", "0123456789abcdefA", "a_b", "?"};
    for (size_t i = 0; i < sizeof(salts) / sizeof(salts[0]); i++)
        cr_expect(ir_text_equal(unwrap(show(id, salts[i])), id), "salt %s", salts[i]);
}

/* From 1 to 70 bytes with one that is unsafe: wrapped as long as it fits, then hashed. */
Test(ir_call_id, a_long_id_takes_room_from_the_salt_and_then_is_hashed)
{
    char id[71];
    for (size_t len = 1; len <= 70; len++) {
        memset(id, 'a', len);
        id[0] = ':';
        id[len] = '\0';
        struct ir_text shown = show(text_of(id), "12345678"), own = unwrap(shown);
        bool is_wrapped = 6 + len + 2 + 1 + 4 <= IR_CALL_ID_MAX;
        cr_expect(is_safe(shown), "%zu bytes", len);
        cr_expect_eq(ir_text_equal(own, text_of(id)), is_wrapped, "%zu bytes", len);
        cr_expect_eq(ir_text_equal(own, shown), !is_wrapped, "%zu bytes", len);
    }
    struct ir_text a = show(text_of(A64 "1"), "s"), b = show(text_of(A64 "2"), "s");
    cr_expect_eq(a.escaped.len, 28u);
    cr_expect_not(ir_text_equal(a, b));
    cr_expect_not(ir_text_equal(a, show(text_of(A64 "1"), "t")));
    cr_expect(ir_text_equal(unwrap(show(a, "s")), a)); /* through two gateways */
}

/* None of them could have been made here. */
static const char *const foreign[] = {
    "aictl_",
    "aictl__",
    "aictl__s1",
    "aictl_x",
    "aictl_x_s1",
    "aictl_f.0_s1",
    "aictl_fZ3A0_s1",
    "aictl_fZ3_s1",
    "aictl_fZ610_s1",
    "aictl_fZ3a0-s1",
    "aictl_fZ3a0_s-1",
    "aictl_fZ3a0_123456789",
    "aictl_Zff_s1",
    "Aictl_fZ3a0_s1",
    "fZ3a0_s1",
    "aictl_Zc3_s1",
    "functions.f:0",
    "aictl_0123456789abcdefghijkl",
    "x\\u002f",
    "aictl_aictl_x_s1_s2",
    "",
    "aictl_0123456789abcdefghijkl_longsalts",
};

Test(ir_call_id, a_foreign_id_is_left_alone)
{
    for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
        struct ir_text own = unwrap(text_of(foreign[i]));
        cr_expect_eq(own.escaped.at, foreign[i], "%s became " SPAN_FMT, foreign[i],
                     SPAN_ARG(own.escaped));
    }
    cr_expect(ir_text_equal(unwrap(text_of("aictl\\u005ffZ3a0_s1")), text_of("f:0")));
    cr_expect(ir_text_equal(unwrap(text_of("aictl_aZ22Z0ab_s1")), text_of("a\\\"\\nb")));
    cr_expect_null(unwrap((struct ir_text){{NULL, 0}}).escaped.at);
}

/* ---- many generated ids ---- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static const char *copy_of(struct ir_text text)
{
    return arena_copy(&arena, text.escaped);
}

static void expect_distinct(const char **ids, size_t count)
{
    qsort(ids, count, sizeof(*ids), by_text);
    for (size_t i = 1; i < count; i++)
        cr_expect(strcmp(ids[i - 1], ids[i]) != 0, "%s is shown twice", ids[i]);
}

enum { PIECES = 7, LENGTH = 5, GENERATED = 2 * (7 + 49 + 343 + 2401 + 16807) };

/* Number n of all words of up to LENGTH pieces, half of them behind "aictl_". */
static const char *generated(size_t n)
{
    static const char *const pieces[PIECES] = {"a", "_", "Z", "2e", "-", ".", "s1"};
    char id[32];
    size_t len = (size_t)snprintf(id, sizeof(id), "%s", n % 2 ? "aictl_" : "");
    for (n = n / 2 + 1; n > 0; n = (n - 1) / PIECES)
        len += (size_t)snprintf(id + len, sizeof(id) - len, "%s", pieces[(n - 1) % PIECES]);
    return copy_of(text_of(id));
}

/* The words and their pieces overlap ("2e" with "Z", "s1" with "_"), so ids are made single first. */
Test(ir_call_id, two_ids_never_meet, .timeout = 60)
{
    const char **ids = malloc(GENERATED * sizeof(*ids)), **shown;
    cr_assert_not_null(ids);
    for (size_t i = 0; i < GENERATED; i++)
        ids[i] = generated(i);
    qsort(ids, GENERATED, sizeof(*ids), by_text);
    size_t count = 0;
    for (size_t i = 0; i < GENERATED; i++)
        if (i == 0 || strcmp(ids[i], ids[count - 1]) != 0)
            ids[count++] = ids[i];
    cr_assert_gt(count, 30000u);
    shown = malloc(2 * count * sizeof(*shown));
    cr_assert_not_null(shown);
    size_t made = 0;
    for (size_t i = 0; i < count; i++) {
        struct ir_text once = show(text_of(ids[i]), "s1"), other = show(text_of(ids[i]), "2e");
        cr_expect(is_safe(once) && is_safe(other), "%s", ids[i]);
        cr_expect(ir_text_equal(unwrap(once), text_of(ids[i])), "%s", ids[i]);
        cr_expect(ir_text_equal(unwrap(other), text_of(ids[i])), "%s", ids[i]);
        cr_expect(ir_text_equal(unwrap(show(once, "Z")), once), "%s", ids[i]);
        shown[made++] = copy_of(once);
        if (!ir_text_equal(once, other))
            shown[made++] = copy_of(other);
    }
    expect_distinct(shown, made);
    free(shown);
    free(ids);
}

Test(ir_call_id, short_ids_and_hashes_of_many_ids_differ, .timeout = 60)
{
    enum { COUNT = 20000 };
    const char **ids = malloc(3 * COUNT * sizeof(*ids));
    cr_assert_not_null(ids);
    for (size_t i = 0; i < COUNT; i++) {
        char id[100];
        (void)snprintf(id, sizeof(id), "call_%zu", i);
        ids[3 * i] = copy_of(shorten(text_of(id)));
        (void)snprintf(id, sizeof(id), "f:%zx", i);
        ids[3 * i + 1] = copy_of(shorten(text_of(id)));
        (void)snprintf(id, sizeof(id), "%s%zu", A64, i);
        ids[3 * i + 2] = copy_of(show(text_of(id), "s"));
    }
    expect_distinct(ids, (size_t)3 * COUNT);
    free(ids);
}

/* ---- the other forms ---- */

/* {an id of a history, what a provider with the safe pattern gets} */
static const char *const safe_ids[][2] = {
    {"toolu_01A", "toolu_01A"},
    {"call\\u005f1", "call_1"},
    {"", ""},
    {"functions.f:0", "aictl_functionsZ2efZ3a0_"},
    {"aictl_fZ3a0_s1", "aictl_fZ3a0_s1"},            /* two of f:0 would be refused */
    {"aictl_aictl_fZ5a3a0_s1_s2", "aictl_fZ3a0_s1"}, /* what the other aictl gave */
    {"aictl_x", "aictl_x"},
    {"a.b", "aictl_aZ2eb_"},
    {"a:b", "aictl_aZ3ab_"},
};

Test(ir_call_id, an_id_of_a_history_is_made_safe)
{
    for (size_t i = 0; i < sizeof(safe_ids) / sizeof(safe_ids[0]); i++) {
        struct ir_text made = safe(text_of(safe_ids[i][0]));
        cr_expect(ir_text_equal(made, text_of(safe_ids[i][1])), "%s is " SPAN_FMT, safe_ids[i][0],
                  SPAN_ARG(made.escaped));
    }
    struct ir_text made = safe(text_of(A64 "1"));
    cr_expect(is_safe(made));
    cr_expect_not(ir_text_equal(made, safe(text_of(A64 "2"))));
}

Test(ir_call_id, a_short_id_has_nine_letters_and_digits)
{
    static const char *const kept[] = {"abcDEF123", ""};
    static const char *const hashed[] = {"abcDEF12", "abcDEF1234", "abcDEF-12",
                                         "f:0",      "\\u0000",    A64};
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
        cr_expect(ir_text_equal(shorten(text_of(kept[i])), text_of(kept[i])), "%s", kept[i]);
    for (size_t i = 0; i < sizeof(hashed) / sizeof(hashed[0]); i++) {
        struct ir_text made = shorten(text_of(hashed[i]));
        cr_expect_eq(made.escaped.len, 9u, "%s", hashed[i]);
        cr_expect(is_safe(made) && !memchr(made.escaped.at, '_', 9) &&
                      !memchr(made.escaped.at, '-', 9),
                  "%s", hashed[i]);
        cr_expect(ir_text_equal(shorten(text_of(hashed[i])), made), "%s", hashed[i]);
    }
    cr_expect(ir_text_equal(shorten(text_of("call\\u005f1")), shorten(text_of("call_1"))));
}

/* Conversations that are open while the daemon is exchanged keep their prefix. */
Test(ir_call_id, hashes_are_the_same_for_ever)
{
    cr_expect(ir_text_equal(shorten(text_of("call_1")), text_of("AuJmzXRnS")), SPAN_FMT,
              SPAN_ARG(shorten(text_of("call_1")).escaped));
    cr_expect(ir_text_equal(show(text_of(A64 "1"), "s"), text_of("aictl_qxMnZm19biZEZdP5RD5ZO2")),
              SPAN_FMT, SPAN_ARG(show(text_of(A64 "1"), "s").escaped));
}

Test(ir_call_id, a_full_arena_is_too_large)
{
    struct arena full;
    struct ir_text made = text_of("kept");
    arena_init(&full, 0);
    cr_expect_eq(ir_call_id_show(text_of("f:0"), "s", &full, &made), -ERR_TOO_LARGE);
    cr_expect_eq(ir_call_id_show(text_of("a\\n"), "s", &full, &made), -ERR_TOO_LARGE);
    cr_expect_eq(ir_call_id_unwrap(text_of("aictl_fZ3a0_s"), &full, &made), -ERR_TOO_LARGE);
    cr_expect_eq(ir_call_id_safe(text_of("f:0"), &full, &made), -ERR_TOO_LARGE);
    cr_expect_eq(ir_call_id_short(text_of("f:0"), &full, &made), -ERR_TOO_LARGE);
    cr_expect_eq(ir_call_id_short(text_of("abcDEF123"), &full, &made), 0);
    arena_release(&full);
}
