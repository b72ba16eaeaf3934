/* memory.h: what is kept for later turns, what is forgotten, and who signed what. */
#include "gateway/memory.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct arena arena;

static void open_arena(void)
{
    arena_init(&arena, 1 << 20);
}

static void close_arena(void)
{
    arena_release(&arena);
}

TestSuite(memory, .init = open_arena, .fini = close_arena);

static struct ir_text text_of(const char *text)
{
    return (struct ir_text){span_of(text)};
}

static struct memory_key key(uint64_t place, const char *call)
{
    return (struct memory_key){ir_text_hash(text_of(call)), place};
}

static struct ir_block reasoning(const char *text, const char *signature)
{
    return (struct ir_block){
        .kind = IR_REASONING, .text = text_of(text), .signature = text_of(signature)};
}

static void keep(struct memory *memory, const char *id, const char *text)
{
    struct ir_block block = reasoning(text, NULL);
    memory_keep(memory, key(1, id), &block);
}

static bool knows(struct memory *memory, const char *id)
{
    return memory_find(memory, key(1, id), &arena) != NULL;
}

Test(memory, reasoning_is_found_again_as_it_was)
{
    struct memory *memory = memory_new(65536);
    struct ir_block second = reasoning("", "c2ln"), text = {.kind = IR_TEXT, .text = text_of("t")};
    struct ir_block first = reasoning("a\\n\\u00e9", NULL);
    first.next = &text;
    text.next = &second;
    second.is_redacted = true;
    memory_keep(memory, key(1, "call_1"), &first);
    const struct ir_block *found = memory_find(memory, key(1, "call_1"), &arena);
    cr_assert_not_null(found);
    cr_expect(ir_text_equal(found->text, first.text));
    cr_expect_null(found->signature.escaped.at);
    cr_expect(!found->is_redacted);
    cr_assert_not_null(found->next);
    cr_expect_eq(found->next->kind, IR_REASONING);
    cr_expect(ir_text_equal(found->next->signature, second.signature));
    cr_expect(found->next->is_redacted);
    cr_expect_null(found->next->next);
    cr_expect(!knows(memory, "call_2"));
    memory_free(memory);
}

Test(memory, the_oldest_are_forgotten_first_and_the_bound_holds)
{
    enum { NOTES = 5000 };
    struct memory *memory = memory_new(65536);
    char id[32], words[200];
    memset(words, 'x', sizeof(words) - 1);
    words[sizeof(words) - 1] = '\0';
    for (int i = 0; i < NOTES; i++) {
        (void)snprintf(id, sizeof(id), "call_%d", i);
        keep(memory, id, words);
    }
    cr_expect(knows(memory, "call_4999") && knows(memory, "call_4900"));
    cr_expect(!knows(memory, "call_0") && !knows(memory, "call_4000"));
    memory_free(memory);
}

Test(memory, a_later_note_replaces_the_earlier_and_none_forgets_it)
{
    struct memory *memory = memory_new(65536);
    struct ir_block nothing = {.kind = IR_TEXT, .text = text_of("text")};
    keep(memory, "a", "one");
    keep(memory, "a", "two");
    const struct ir_block *found = memory_find(memory, key(1, "a"), &arena);
    cr_expect(found && ir_text_equal(found->text, text_of("two")));
    memory_keep(memory, key(1, "a"), &nothing);
    cr_expect(!knows(memory, "a"));
    memory_keep(memory, key(1, "b"), NULL);
    cr_expect(!knows(memory, "b"));
    memory_free(memory);
}

Test(memory, a_note_that_is_asked_for_stays)
{
    struct memory *memory = memory_new(65536);
    char id[32], words[200];
    memset(words, 'x', sizeof(words) - 1);
    words[sizeof(words) - 1] = '\0';
    keep(memory, "first", words);
    for (int i = 0; i < 2000; i++) {
        (void)snprintf(id, sizeof(id), "call_%d", i);
        keep(memory, id, words);
        cr_assert(knows(memory, "first"), "forgotten after %d", i);
    }
    memory_free(memory);
}

Test(memory, of_several_notes_that_of_the_place_counts_and_the_only_one_everywhere)
{
    struct memory *memory = memory_new(65536);
    struct ir_block one = reasoning("one", NULL), two = reasoning("two", NULL);
    memory_keep(memory, key(1, "call_0"), &one);
    cr_expect_not_null(memory_find(memory, key(7, "call_0"), &arena));
    memory_keep(memory, key(2, "call_0"), &two);
    const struct ir_block *found = memory_find(memory, key(1, "call_0"), &arena);
    cr_expect(found && ir_text_equal(found->text, one.text));
    found = memory_find(memory, key(2, "call_0"), &arena);
    cr_expect(found && ir_text_equal(found->text, two.text));
    cr_expect_null(memory_find(memory, key(7, "call_0"), &arena), "nobody knows which");
    cr_expect_null(memory_find(memory, key(1, "call_1"), &arena));
    memory_free(memory);
}

Test(memory, signers_in_use_are_not_forgotten)
{
    struct memory *memory = memory_new(65536);
    char signature[32];
    for (int i = 0; i < 300000; i++) {
        (void)snprintf(signature, sizeof(signature), "signature %d", i);
        memory_note_signer(memory, ir_text_hash(text_of(signature)), "https://b:443");
        if (i == 0)
            memory_note_signer(memory, ir_text_hash(text_of("mine")), "https://a:443");
        if (i % 1000 == 0)
            cr_assert(memory_is_foreign(memory, ir_text_hash(text_of("mine")), "https://b:443"),
                      "forgotten after %d", i);
    }
    memory_free(memory);
}

Test(memory, one_note_may_not_push_out_all_others)
{
    struct memory *memory = memory_new(65536);
    static char large[16384];
    memset(large, 'x', sizeof(large) - 1);
    keep(memory, "small", "s");
    keep(memory, "large", large);
    cr_expect(knows(memory, "small") && !knows(memory, "large"));
    memory_free(memory);
}

Test(memory, a_signature_is_foreign_everywhere_but_where_it_was_made)
{
    struct memory *memory = memory_new(65536);
    uint64_t hash = ir_text_hash(text_of("c2lnbmF0dXJl")),
             other = ir_text_hash(text_of("b3RoZXI="));
    memory_note_signer(memory, hash, "https://a:443");
    cr_expect(!memory_is_foreign(memory, hash, "https://a:443"));
    cr_expect(memory_is_foreign(memory, hash, "https://b:443"));
    cr_expect(!memory_is_foreign(memory, other, "https://b:443"), "nobody knows who made it");
    memory_note_signer(memory, hash, "https://b:443");
    cr_expect(!memory_is_foreign(memory, hash, "https://b:443"));
    memory_free(memory);
}
