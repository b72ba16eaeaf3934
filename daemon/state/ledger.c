/* See ledger.h. Attempt n stands in place (n - 1) % LEDGER_RECENT, so an id finds its record. */
#include "state/ledger.h"

#include <assert.h>
#include <stdlib.h>

struct ledger {
    uint64_t last_id; /* 0: nothing was recorded yet */
    uint64_t ended, failed;
    struct attempt_record ring[LEDGER_RECENT];
};

static const struct end_row {
    const char *name;
    bool is_failure; /* counted as failed in the totals */
} ends[] = {
    [END_OPEN] = {"open", false},
    [END_DONE] = {"done", false},
    [END_CLIENT_GONE] = {"client gone", false},
    [END_PROVIDER_ERROR] = {"provider error", true},
    [END_PROVIDER_RESET] = {"provider reset", true},
    [END_TIMEOUT] = {"timeout", true},
    [END_UNREACHABLE] = {"unreachable", true},
    [END_REFUSED] = {"refused", true},
    [END_INTERNAL] = {"internal error", true},
    [END_SHUTDOWN] = {"shutdown", false},
};

static const struct end_row *end_row(enum end_reason end)
{
    assert((size_t)end < sizeof(ends) / sizeof(ends[0]));
    return &ends[end];
}

const char *end_reason_name(enum end_reason end)
{
    return end_row(end)->name;
}

struct ledger *ledger_new(void)
{
    struct ledger *ledger = calloc(1, sizeof(*ledger));
    if (!ledger)
        abort();
    return ledger;
}

struct ledger *ledger_free(struct ledger *ledger)
{
    free(ledger);
    return NULL;
}

static struct attempt_record *place_of(struct ledger *ledger, uint64_t id)
{
    return &ledger->ring[(id - 1) % LEDGER_RECENT];
}

/* A caller that filled a text to its last byte must not make a reader run on. */
static void terminate(struct attempt_record *record)
{
    char *const names[] = {record->provider, record->key_id,  record->model, record->requested,
                           record->surface,  record->project, record->client};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        names[i][LEDGER_NAME - 1] = '\0';
    record->error[sizeof(record->error) - 1] = '\0';
}

uint64_t ledger_start(struct ledger *ledger, const struct attempt_record *record)
{
    uint64_t id = ++ledger->last_id;
    struct attempt_record *place = place_of(ledger, id);
    *place = *record;
    place->id = id;
    place->end = END_OPEN;
    terminate(place);
    return id;
}

void ledger_end(struct ledger *ledger, uint64_t id, const struct attempt_record *final)
{
    assert(id > 0 && id <= ledger->last_id);
    assert(final->end != END_OPEN);
    struct attempt_record *place = place_of(ledger, id);
    ledger->ended++;
    if (end_row(final->end)->is_failure)
        ledger->failed++;
    if (place->id != id)
        return; /* fell out of the ring while it ran */
    assert(place->end == END_OPEN);
    *place = *final;
    place->id = id;
    terminate(place);
}

size_t ledger_recent(const struct ledger *ledger, const struct attempt_record **ret, size_t max)
{
    size_t n = ledger->last_id < LEDGER_RECENT ? ledger->last_id : LEDGER_RECENT;
    if (n > max)
        n = max;
    for (size_t i = 0; i < n; i++)
        ret[i] = &ledger->ring[(ledger->last_id - 1 - i) % LEDGER_RECENT];
    return n;
}

struct ledger_totals ledger_totals(const struct ledger *ledger)
{
    return (struct ledger_totals){
        .attempts = ledger->last_id,
        .open = ledger->last_id - ledger->ended,
        .failed = ledger->failed,
    };
}
