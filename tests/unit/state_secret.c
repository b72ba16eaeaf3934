/* secret.h: what masking finds and leaves, and how much of a key is ever shown (S-30). */
#include "state/secret.h"

#include <criterion/criterion.h>

#include "base/own.h"

/* Invented here; letters and digits without any prefix that a key could be known by. */
#define KEY "Qm7tX2vK9pR4wZ6nB3cY8hD5"

DEFINE_CLEANUP(secret_done, struct secret, secret_free)

static void expect_masked(const char *key, const char *text, const char *expected)
{
    CLEANUP(secret_done) struct secret *secret = secret_new(span_of(key));
    CLEANUP(bytes_release) struct bytes out = {.max = 4096};
    cr_assert(secret);
    cr_expect_eq(secret_mask(secret, span_of(text), &out), 0);
    cr_expect(span_equal(bytes_span(&out), span_of(expected)), "%s -> %.*s", text, (int)out.len,
              out.data ? out.data : "");
}

Test(secret, a_key_is_masked_wherever_it_stands)
{
    static const struct {
        const char *text, *expected;
    } rows[] = {
        {KEY, "[key]"},
        {KEY " is wrong", "[key] is wrong"},
        {"the key " KEY " is wrong", "the key [key] is wrong"},
        {"wrong key: " KEY, "wrong key: [key]"},
        {KEY " or " KEY, "[key] or [key]"},
        {KEY KEY, "[key][key]"},
        {"x" KEY "y" KEY "z", "x[key]y[key]z"},
        {"{\"message\":\"bad key " KEY "\"}", "{\"message\":\"bad key [key]\"}"},
        {"Bearer%20" KEY "&x=1", "Bearer%20[key]&x=1"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        expect_masked(KEY, rows[i].text, rows[i].expected);
}

Test(secret, a_text_without_the_key_stays_as_it_is)
{
    static const char *const texts[] = {
        "",
        "no key at all",
        "[key]",
        "Qm7tX2vK9pR4wZ6nB3cY8hD", /* one character short */
        "m7tX2vK9pR4wZ6nB3cY8hD5",
        "qm7tx2vk9pr4wz6nb3cy8hd5",
        "Qm7tX2vK9pR4-wZ6nB3cY8hD5",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        expect_masked(KEY, texts[i], texts[i]);
}

Test(secret, a_beginning_of_the_key_before_the_key_does_not_hide_it)
{
    expect_masked(KEY, "Qm7tX2" KEY, "Qm7tX2[key]");
    expect_masked("abcabcabd", "abcabcabcabd", "abc[key]");
    expect_masked("aaaaaaaa", "aaaaaaaaaaaaaaaaaaa", "[key][key]aaa");
}

Test(secret, a_short_key_is_not_looked_for)
{
    expect_masked("", "text", "text");
    expect_masked("e", "text", "text");
    expect_masked("1234567", "call 1234567 now", "call 1234567 now");
    expect_masked("12345678", "call 12345678 now", "call [key] now");
}

Test(secret, bytes_of_any_value_are_masked)
{
    static const char text[] = "a\0b" KEY "\0\xff" KEY;
    static const char expected[] = "a\0b[key]\0\xff[key]";
    CLEANUP(secret_done) struct secret *secret = secret_new(SPAN(KEY));
    CLEANUP(bytes_release) struct bytes out = {.max = 4096};
    cr_assert_eq(secret_mask(secret, (struct span){text, sizeof(text) - 1}, &out), 0);
    cr_expect(span_equal(bytes_span(&out), (struct span){expected, sizeof(expected) - 1}));
}

Test(secret, masking_appends_to_what_is_there)
{
    CLEANUP(secret_done) struct secret *secret = secret_new(SPAN(KEY));
    CLEANUP(bytes_release) struct bytes out = {.max = 4096};
    cr_assert_eq(bytes_add_span(&out, SPAN("said: ")), 0);
    cr_assert_eq(secret_mask(secret, SPAN(KEY "."), &out), 0);
    cr_expect(span_equal(bytes_span(&out), SPAN("said: [key].")));
}

/* Whatever room there is, what was written holds no key. */
Test(secret, a_text_that_does_not_fit_is_an_error_and_shows_nothing)
{
    static const char text[] = "before " KEY " between " KEY " after";
    CLEANUP(secret_done) struct secret *secret = secret_new(SPAN(KEY));
    for (size_t max = 0; max < sizeof(text); max++) {
        CLEANUP(bytes_release) struct bytes out = {.max = max};
        int r = secret_mask(secret, SPAN(text), &out);
        cr_expect_leq(out.len, max);
        cr_expect_eq(r == 0, max >= strlen("before [key] between [key] after"), "max %zu", max);
        cr_expect(!out.len || !memmem(out.data, out.len, KEY, 8), "max %zu", max);
    }
}

Test(secret, a_key_longer_than_the_text_and_a_long_key_are_no_trouble)
{
    char long_key[2000];
    memset(long_key, 'k', sizeof(long_key));
    CLEANUP(secret_done)
    struct secret *secret = secret_new((struct span){long_key, sizeof(long_key)});
    CLEANUP(bytes_release) struct bytes out = {.max = 8192};
    cr_assert_eq(secret_mask(secret, SPAN("kkkkkkkkkk"), &out), 0);
    cr_expect(span_equal(bytes_span(&out), SPAN("kkkkkkkkkk")));
    cr_assert_eq(secret_mask(secret, (struct span){long_key, sizeof(long_key)}, &out), 0);
    cr_expect(span_equal(bytes_span(&out), SPAN("kkkkkkkkkk[key]")));
}

Test(secret, little_of_a_key_is_shown)
{
    static const struct {
        const char *key, *last4;
    } rows[] = {
        {"", ""}, {"abc", ""}, {"12345678901", ""}, {"123456789012", "9012"}, {KEY, "8hD5"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        CLEANUP(secret_done) struct secret *secret = secret_new(span_of(rows[i].key));
        char shown[5];
        secret_last4(secret, shown);
        cr_expect_str_eq(shown, rows[i].last4);
    }
}

/* A freed key's page is kept for the next: nothing of the one before may show. */
Test(secret, a_page_that_is_used_again_holds_the_new_key_alone)
{
    secret_free(secret_new(SPAN(KEY KEY)));
    CLEANUP(secret_done) struct secret *secret = secret_new(SPAN("another-key"));
    CLEANUP(bytes_release) struct bytes line = {.max = 256, .wipe = true};
    cr_assert_eq(secret_append_header(secret, "x-api-key", "", &line), 0);
    cr_expect(span_equal(bytes_span(&line), SPAN("x-api-key: another-key")));
}
