/* The ledger: every attempt is opened once, closed once, and the newest are kept. */
#include "state/ledger.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>

static struct attempt_record record_of(const char *model, enum end_reason end)
{
    struct attempt_record record = {.end = end, .first_byte_ms = -1, .content_ms = -1};
    snprintf(record.model, sizeof(record.model), "%s", model);
    return record;
}

Test(ledger, a_record_is_open_until_it_ends_and_keeps_its_id)
{
    struct ledger *ledger = ledger_new();
    struct attempt_record record = record_of("m", END_DONE);
    const struct attempt_record *recent[4];
    uint64_t id = ledger_start(ledger, &record);
    cr_assert_eq(ledger_recent(ledger, recent, 4), 1);
    cr_expect_eq(recent[0]->end, END_OPEN);
    cr_expect_eq(recent[0]->id, id);
    cr_expect_eq(ledger_totals(ledger).open, 1);
    record.status = 200;
    record.usage.output = 7;
    ledger_end(ledger, id, &record);
    cr_assert_eq(ledger_recent(ledger, recent, 4), 1);
    cr_expect_eq(recent[0]->id, id);
    cr_expect_eq(recent[0]->end, END_DONE);
    cr_expect_eq(recent[0]->status, 200);
    cr_expect_eq(recent[0]->usage.output, 7);
    cr_expect_eq(ledger_totals(ledger).open, 0);
    ledger_free(ledger);
}

Test(ledger, the_newest_come_first_and_the_oldest_fall_out)
{
    struct ledger *ledger = ledger_new();
    struct attempt_record record = record_of("m", END_DONE);
    const struct attempt_record *recent[LEDGER_RECENT + 8];
    cr_expect_eq(ledger_recent(ledger, recent, 8), 0);
    for (unsigned n = 1; n <= 3 * LEDGER_RECENT + 5; n++) {
        record.exchange = n;
        uint64_t id = ledger_start(ledger, &record);
        if (n % 2)
            ledger_end(ledger, id, &record);
        size_t expected = n < LEDGER_RECENT ? n : LEDGER_RECENT;
        cr_assert_eq(ledger_recent(ledger, recent, LEDGER_RECENT + 8), expected);
        for (size_t i = 0; i < expected; i++)
            cr_assert_eq(recent[i]->exchange, n - i);
        cr_assert_eq(ledger_recent(ledger, recent, 0), 0);
        cr_assert_eq(ledger_recent(ledger, recent, 1), 1);
    }
    ledger_free(ledger);
}

Test(ledger, a_record_that_fell_out_is_only_counted)
{
    struct ledger *ledger = ledger_new();
    struct attempt_record open = record_of("long", END_OPEN);
    struct attempt_record final = record_of("long", END_TIMEOUT);
    const struct attempt_record *recent[LEDGER_RECENT];
    uint64_t first = ledger_start(ledger, &open);
    for (size_t i = 0; i < LEDGER_RECENT; i++)
        ledger_start(ledger, &open);
    ledger_end(ledger, first, &final);
    struct ledger_totals totals = ledger_totals(ledger);
    cr_expect_eq(totals.attempts, LEDGER_RECENT + 1);
    cr_expect_eq(totals.open, LEDGER_RECENT);
    cr_expect_eq(totals.failed, 1);
    size_t n = ledger_recent(ledger, recent, LEDGER_RECENT);
    for (size_t i = 0; i < n; i++)
        cr_expect_eq(recent[i]->end, END_OPEN);
    ledger_free(ledger);
}

Test(ledger, failures_of_others_count_and_a_client_that_goes_does_not)
{
    struct ledger *ledger = ledger_new();
    for (enum end_reason end = END_DONE; end <= END_SHUTDOWN; end++) {
        struct attempt_record record = record_of("m", end);
        ledger_end(ledger, ledger_start(ledger, &record), &record);
        cr_expect(end_reason_name(end)[0]);
    }
    cr_expect_str_eq(end_reason_name(END_CLIENT_GONE), "client gone");
    cr_expect_eq(ledger_totals(ledger).failed, 6);
    cr_expect_eq(ledger_totals(ledger).attempts, 9);
    ledger_free(ledger);
}

Test(ledger, names_without_an_end_are_cut)
{
    struct ledger *ledger = ledger_new();
    struct attempt_record record = record_of("", END_DONE);
    const struct attempt_record *recent[1];
    memset(record.model, 'm', sizeof(record.model));
    memset(record.error, 'e', sizeof(record.error));
    ledger_end(ledger, ledger_start(ledger, &record), &record);
    ledger_recent(ledger, recent, 1);
    cr_expect_eq(strlen(recent[0]->model), LEDGER_NAME - 1);
    cr_expect_eq(strlen(recent[0]->error), sizeof(record.error) - 1);
    ledger_free(ledger);
}

Test(ledger, ending_twice_is_a_fault_of_the_program, .signal = SIGABRT)
{
    struct ledger *ledger = ledger_new();
    struct attempt_record record = record_of("m", END_DONE);
    uint64_t id = ledger_start(ledger, &record);
    ledger_end(ledger, id, &record);
    ledger_end(ledger, id, &record);
}
