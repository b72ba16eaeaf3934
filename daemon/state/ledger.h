/*
 * The ledger: one record per attempt, in memory, newest 256. (SQLite takes them later; headers of
 * state/ stay free of its types.)
 *
 *   attempt     one try at one provider with one key, part of one exchange
 *   end reason  how it ended, said exactly once
 */
#pragma once

#include "base/bytes.h"
#include "ir/usage.h"

#define LEDGER_NAME   64 /* longest name kept, with NUL; longer ones are cut */
#define LEDGER_RECENT 256

enum end_reason {
    END_OPEN, /* still running */
    END_DONE, /* the provider finished its answer */
    END_CLIENT_GONE,
    END_PROVIDER_ERROR, /* an error status or an error inside a 200 */
    END_PROVIDER_RESET, /* the connection broke, or the answer ended early */
    END_TIMEOUT,
    END_UNREACHABLE, /* DNS, connect, TLS: nothing was sent */
    END_REFUSED,     /* aictld itself refused (no key, not bound, locked) */
    END_INTERNAL,
    END_SHUTDOWN,
};

struct attempt_record {
    uint64_t id;       /* of the attempt; never reused within a run */
    uint64_t exchange; /* id of the client's request, as in the log and x-aictl-request-id */
    char provider[LEDGER_NAME];
    char key_id[LEDGER_NAME]; /* "" when the provider takes none */
    char model[LEDGER_NAME];
    char requested[LEDGER_NAME]; /* the name in the client's request */
    char surface[LEDGER_NAME];   /* the client's dialect */
    char project[LEDGER_NAME];   /* name, for display */
    char client[LEDGER_NAME];    /* User-Agent's first word */
    bool stream;
    int status; /* the provider's HTTP status; 0: none came */
    enum end_reason end;
    int error_kind;     /* 0 or a kind */
    char error[160];    /* scrubbed detail, "" when none */
    char losses[256];   /* what the conversion could not say, "" when nothing; ir/losses.h */
    int64_t started_ms; /* unix time */
    int64_t first_byte_ms, content_ms,
        total_ms; /* after start, by the monotonic clock; -1: not reached */
    struct usage usage;
};

struct ledger;

struct ledger *ledger_new(void);
struct ledger *ledger_free(struct ledger *ledger);

/* Opens a record; the id is set and END_OPEN put in. Returns the attempt's id. */
uint64_t ledger_start(struct ledger *ledger, const struct attempt_record *record);
/* Closes a record; asserts that it was open. A record that fell out of the ring is only counted. */
void ledger_end(struct ledger *ledger, uint64_t id, const struct attempt_record *final);

/* The newest `max` records, newest first; returns how many. Valid until the next call. */
size_t ledger_recent(const struct ledger *ledger, const struct attempt_record **ret, size_t max);

struct ledger_totals {
    uint64_t attempts, open, failed;
};
struct ledger_totals ledger_totals(const struct ledger *ledger);

/* "done", "client gone", ... */
const char *end_reason_name(enum end_reason end);
