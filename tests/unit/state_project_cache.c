/* project_cache.h: walks on worker threads, kept, shared, cancelled and given up. */
#include "state/project_cache.h"

#include "support/tree.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Long enough that nothing gets old while a test runs. */
#define LONG_MS 3600000

struct asker; /* one who asks for a walk, and what came of it */

struct fixture {
    struct tree tree;
    struct loop *loop;
    struct project_cache *cache;
};

struct asker {
    struct fixture *fixture;
    unsigned calls;
    int error;         /* kind */
    struct walk *walk; /* a reference */
    struct walk_request *request;
    void (*then)(struct asker *asker); /* what it does in its callback */
    struct asker *other;
};

static void fixture_init(struct fixture *fixture, int64_t keep_ms)
{
    tree_init(&fixture->tree);
    fixture->loop = loop_new();
    fixture->cache = project_cache_new(fixture->loop, fixture->tree.root, keep_ms);
}

static void fixture_release(struct fixture *fixture)
{
    fixture->cache = project_cache_free(fixture->cache);
    loop_free(fixture->loop);
    tree_release(&fixture->tree);
}

static void on_walk(void *ctx, struct walk *walk, const struct err *err)
{
    struct asker *asker = ctx;
    asker->calls++;
    asker->request = NULL;
    cr_assert((walk == NULL) == (err != NULL));
    walk_unref(asker->walk);
    asker->walk = walk ? walk_ref(walk) : NULL;
    asker->error = err ? err->kind : 0;
    if (asker->then)
        asker->then(asker);
}

static void ask_path(struct asker *asker, const char *dir)
{
    unsigned before = asker->calls;
    asker->request = project_cache_get(asker->fixture->cache, dir, on_walk, asker);
    cr_assert_eq(asker->calls, before, "never before it returns");
}

static void ask(struct asker *asker, const char *name)
{
    ask_path(asker, tree_path(&asker->fixture->tree, name));
}

static void run(struct fixture *fixture)
{
    loop_run(fixture->loop);
}

/* The model of a directory's project file, by way of the cache. */
static const char *model_of(struct fixture *fixture, const char *name)
{
    static char model[64];
    struct asker asker = {.fixture = fixture};
    ask(&asker, name);
    run(fixture);
    cr_assert_eq(asker.calls, 1);
    cr_assert_not_null(asker.walk);
    const struct walk_dir *dir = &asker.walk->dirs[asker.walk->dir_count - 2];
    snprintf(model, sizeof(model), "%s", dir->file_count ? dir->files[0].model : "none");
    walk_unref(asker.walk);
    return model;
}

Test(project_cache, a_walk_comes_later_and_is_kept)
{
    struct fixture fixture;
    fixture_init(&fixture, LONG_MS);
    tree_write(&fixture.tree, "p/.aictl.json", "{\"model\": \"a\"}");
    struct asker first = {.fixture = &fixture}, second = first;
    ask(&first, "p");
    run(&fixture);
    cr_assert_eq(first.calls, 1);
    cr_expect_str_eq(first.walk->dir, tree_path(&fixture.tree, "p"));
    cr_expect_eq(first.walk->dir_count, 2, "the tree is HOME");
    ask(&second, "p");
    run(&fixture);
    cr_expect_eq(second.calls, 1);
    cr_expect_eq(second.walk, first.walk);
    walk_unref(first.walk);
    walk_unref(second.walk);
    fixture_release(&fixture);
}

Test(project_cache, those_who_ask_at_the_same_time_share_one_walk)
{
    struct fixture fixture;
    fixture_init(&fixture, 0);
    tree_mkdir(&fixture.tree, "p");
    struct asker askers[20];
    for (size_t i = 0; i < 20; i++) {
        askers[i] = (struct asker){.fixture = &fixture};
        ask(&askers[i], i == 19 ? "" : "p");
    }
    run(&fixture);
    for (size_t i = 0; i < 20; i++) {
        cr_expect_eq(askers[i].calls, 1);
        cr_expect_eq(askers[i].walk == askers[0].walk, i < 19);
        walk_unref(askers[i].walk);
    }
    fixture_release(&fixture);
}

Test(project_cache, a_kept_walk_gets_old)
{
    struct fixture fixture;
    fixture_init(&fixture, 20);
    tree_write(&fixture.tree, "p/.aictl.json", "{\"model\": \"a\"}");
    cr_expect_str_eq(model_of(&fixture, "p"), "a");
    tree_write(&fixture.tree, "p/.aictl.json", "{\"model\": \"b\"}");
    struct timer timer;
    timer_open(&timer, fixture.loop, (void (*)(struct timer *))timer_stop);
    timer_start(&timer, 30);
    run(&fixture);
    cr_expect_str_eq(model_of(&fixture, "p"), "b");
    timer_close(&timer, NULL);
    fixture_release(&fixture);
}

Test(project_cache, nothing_is_kept_with_no_time_to_keep)
{
    struct fixture fixture;
    fixture_init(&fixture, 0);
    tree_write(&fixture.tree, "p/.aictl.json", "{\"model\": \"a\"}");
    cr_expect_str_eq(model_of(&fixture, "p"), "a");
    tree_write(&fixture.tree, "p/.aictl.json", "{\"model\": \"b\"}");
    cr_expect_str_eq(model_of(&fixture, "p"), "b");
    fixture_release(&fixture);
}

Test(project_cache, forgetting_a_directory_forgets_everything_below_it)
{
    struct fixture fixture;
    fixture_init(&fixture, LONG_MS);
    tree_write(&fixture.tree, "p/.aictl.json", "{\"model\": \"a\"}");
    tree_write(&fixture.tree, "q/.aictl.json", "{\"model\": \"a\"}");
    tree_mkdir(&fixture.tree, "p/sub");
    const char *const names[] = {"p", "p/sub", "q"};
    for (size_t i = 0; i < 3; i++)
        cr_expect_str_eq(model_of(&fixture, names[i]), "a");
    tree_write(&fixture.tree, "p/.aictl.json", "{\"model\": \"b\"}");
    tree_write(&fixture.tree, "q/.aictl.json", "{\"model\": \"b\"}");
    cr_expect_str_eq(model_of(&fixture, "p/sub"), "a");
    project_cache_forget(fixture.cache, tree_path(&fixture.tree, "p"));
    cr_expect_str_eq(model_of(&fixture, "p"), "b");
    cr_expect_str_eq(model_of(&fixture, "p/sub"), "b");
    cr_expect_str_eq(model_of(&fixture, "q"), "a");
    project_cache_forget(fixture.cache, NULL);
    cr_expect_str_eq(model_of(&fixture, "q"), "b");
    fixture_release(&fixture);
}

Test(project_cache, a_walk_under_way_when_something_is_forgotten_is_not_kept)
{
    struct fixture fixture;
    fixture_init(&fixture, LONG_MS);
    tree_mkdir(&fixture.tree, "p");
    struct asker before = {.fixture = &fixture}, after = before, last = before;
    ask(&before, "p");
    project_cache_forget(fixture.cache, tree_path(&fixture.tree, "p"));
    ask(&after, "p");
    run(&fixture);
    cr_expect_eq(before.calls, 1);
    cr_expect_eq(after.calls, 1);
    cr_expect_neq(before.walk, after.walk, "nobody joins the old one");
    ask(&last, "p");
    run(&fixture);
    cr_expect_eq(last.walk, after.walk);
    walk_unref(before.walk);
    walk_unref(after.walk);
    walk_unref(last.walk);
    fixture_release(&fixture);
}

Test(project_cache, the_least_recently_used_of_256_goes_first)
{
    struct fixture fixture;
    char name[32];
    fixture_init(&fixture, LONG_MS);
    struct asker first = {.fixture = &fixture}, second = first, other = first;
    ask(&first, "0");
    run(&fixture);
    ask(&second, "1");
    run(&fixture);
    for (int i = 2; i <= PROJECT_CACHE_ENTRIES; i++) {
        snprintf(name, sizeof(name), "%d", i);
        ask(&other, name);
        run(&fixture);
        struct walk *known = first.walk;
        ask(&first, "0"); /* in use all the time */
        run(&fixture);
        cr_assert_eq(first.walk, known, "%d", i);
    }
    struct walk *gone = walk_ref(second.walk);
    ask(&second, "1");
    run(&fixture);
    cr_expect_neq(second.walk, gone);
    walk_unref(gone);
    walk_unref(first.walk);
    walk_unref(second.walk);
    walk_unref(other.walk);
    fixture_release(&fixture);
}

Test(project_cache, an_error_is_given_to_everybody_and_not_kept)
{
    struct fixture fixture;
    fixture_init(&fixture, LONG_MS);
    for (int round = 0; round < 2; round++) {
        struct asker a = {.fixture = &fixture}, b = a;
        ask_path(&a, "/a/../b");
        ask_path(&b, "/a/../b");
        run(&fixture);
        cr_expect(a.calls == 1 && a.error == ERR_INVALID_REQUEST);
        cr_expect(b.calls == 1 && b.error == ERR_INVALID_REQUEST);
    }
    fixture_release(&fixture);
}

/* ---- cancelling ---- */

Test(project_cache, a_cancelled_request_is_not_answered_and_the_others_are)
{
    struct fixture fixture;
    fixture_init(&fixture, LONG_MS);
    struct asker askers[4];
    for (int round = 0; round < 2; round++) { /* a walk to be made, then one that is kept */
        for (size_t i = 0; i < 4; i++) {
            askers[i] = (struct asker){.fixture = &fixture};
            ask(&askers[i], "p");
        }
        project_cache_cancel(askers[0].request);
        project_cache_cancel(askers[2].request);
        run(&fixture);
        for (size_t i = 0; i < 4; i++) {
            cr_expect_eq(askers[i].calls, i % 2, "round %d, asker %zu", round, i);
            walk_unref(askers[i].walk);
        }
    }
    fixture_release(&fixture);
}

static void cancel_other(struct asker *asker)
{
    if (asker->other->request)
        project_cache_cancel(asker->other->request);
    asker->other->request = NULL;
}

Test(project_cache, a_callback_may_cancel_another_request_for_the_same_walk)
{
    struct fixture fixture;
    fixture_init(&fixture, LONG_MS);
    struct asker a = {.fixture = &fixture, .then = cancel_other};
    struct asker b = a;
    a.other = &b, b.other = &a;
    ask(&a, "p");
    ask(&b, "p");
    run(&fixture);
    cr_expect_eq(a.calls + b.calls, 1);
    walk_unref(a.walk);
    walk_unref(b.walk);
    fixture_release(&fixture);
}

static void ask_again(struct asker *asker)
{
    if (asker->calls < 5) {
        project_cache_forget(asker->fixture->cache, NULL);
        ask(asker, "p");
    }
}

Test(project_cache, a_callback_may_forget_and_ask_again)
{
    struct fixture fixture;
    fixture_init(&fixture, LONG_MS);
    struct asker asker = {.fixture = &fixture, .then = ask_again};
    ask(&asker, "p");
    run(&fixture);
    cr_expect_eq(asker.calls, 5);
    walk_unref(asker.walk);
    fixture_release(&fixture);
}

/* ---- freeing ---- */

static void free_cache(struct asker *asker)
{
    struct fixture *fixture = asker->fixture;
    struct project_cache *cache = fixture->cache;
    fixture->cache = NULL;
    if (cache)
        project_cache_free(cache);
}

Test(project_cache, freeing_it_answers_those_who_wait_while_workers_still_run)
{
    struct fixture fixture;
    fixture_init(&fixture, LONG_MS);
    struct asker askers[50]; /* more than there are worker threads: some have not started */
    char name[32];
    for (int i = 0; i < 50; i++) {
        askers[i] = (struct asker){.fixture = &fixture};
        snprintf(name, sizeof(name), "d/%d", i);
        ask(&askers[i], name);
    }
    fixture.cache = project_cache_free(fixture.cache);
    for (int i = 0; i < 50; i++)
        cr_expect(askers[i].calls == 1 && askers[i].error == ERR_SHUTTING_DOWN, "%d", i);
    run(&fixture);
    for (int i = 0; i < 50; i++)
        cr_expect_eq(askers[i].calls, 1, "%d", i);
    fixture_release(&fixture);
}

Test(project_cache, freeing_it_answers_those_whose_walk_is_there_already)
{
    struct fixture fixture;
    fixture_init(&fixture, LONG_MS);
    struct asker first = {.fixture = &fixture}, second = first;
    ask(&first, "p");
    run(&fixture);
    ask(&second, "p");
    fixture.cache = project_cache_free(fixture.cache);
    cr_expect(second.calls == 1 && second.error == ERR_SHUTTING_DOWN);
    run(&fixture);
    cr_expect_eq(second.calls, 1);
    walk_unref(first.walk);
    fixture_release(&fixture);
}

Test(project_cache, a_callback_may_free_the_cache)
{
    struct fixture fixture;
    fixture_init(&fixture, LONG_MS);
    struct asker askers[6];
    for (size_t i = 0; i < 6; i++) {
        askers[i] = (struct asker){.fixture = &fixture, .then = free_cache};
        ask(&askers[i], i % 2 ? "p" : "q");
    }
    run(&fixture);
    unsigned answered = 0;
    for (size_t i = 0; i < 6; i++) {
        cr_expect_eq(askers[i].calls, 1);
        answered += askers[i].error == 0;
        walk_unref(askers[i].walk);
    }
    cr_expect_eq(answered, 1, "the one that freed it");
    fixture_release(&fixture);
}

Test(project_cache, a_cancel_in_the_callback_of_a_free_is_fine)
{
    struct fixture fixture;
    fixture_init(&fixture, LONG_MS);
    struct asker a = {.fixture = &fixture, .then = cancel_other};
    struct asker b = a;
    a.other = &b, b.other = &a;
    ask(&a, "p");
    ask(&b, "q");
    fixture.cache = project_cache_free(fixture.cache);
    cr_expect_eq(a.calls + b.calls, 1);
    fixture_release(&fixture);
}
