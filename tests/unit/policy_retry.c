/* retry.h: what follows a failed attempt, and how long the pause is. */
#include "policy/retry.h"

#include <criterion/criterion.h>

#include "proto/errors.h"

Test(retry, what_one_provider_could_not_do_another_may)
{
    static const struct {
        int kind;
        bool has_next;
        enum retry_step step;
    } rows[] = {
        {ERR_PROVIDER_CONNECT, true, RETRY_NEXT},
        {ERR_PROVIDER_CONNECT, false, RETRY_SAME},
        {ERR_PROVIDER_RESET, true, RETRY_NEXT},
        {ERR_PROVIDER_RESET, false, RETRY_SAME},
        {ERR_PROVIDER_DNS, true, RETRY_NEXT},
        {ERR_PROVIDER_DNS, false, RETRY_SAME},
        {ERR_PROVIDER_TLS, true, RETRY_NEXT},
        {ERR_PROVIDER_TLS, false, RETRY_SAME},
        {ERR_PROVIDER_TIMEOUT, true, RETRY_NEXT},
        {ERR_PROVIDER_TIMEOUT, false, RETRY_NO},
        {ERR_PROVIDER_ANSWER, true, RETRY_NEXT},
        {ERR_PROVIDER_ANSWER, false, RETRY_NO},
        {ERR_PROVIDER_AUTH, true, RETRY_NEXT},
        {ERR_PROVIDER_AUTH, false, RETRY_NO},
        {ERR_PROVIDER_REFUSED, true, RETRY_NO},
        {ERR_PROVIDER_OVERLOADED, true, RETRY_NEXT},
        {ERR_PROVIDER_OVERLOADED, false, RETRY_NO},
        {ERR_CLIENT_GONE, true, RETRY_NO},
        {ERR_NO_KEY, true, RETRY_NEXT},
        {ERR_NO_KEY, false, RETRY_NO},
        {ERR_INVALID_REQUEST, true, RETRY_NO},
        {ERR_TOO_LARGE, true, RETRY_NO},
        {ERR_INTERNAL, true, RETRY_NO},
        {0, true, RETRY_NO},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        cr_expect_eq(retry_decide(rows[i].kind, 0, 3, rows[i].has_next), rows[i].step, "row %zu",
                     i);
}

Test(retry, no_kind_is_tried_more_often_than_max)
{
    for (int kind = 0; kind < ERR_COUNT; kind++) {
        cr_expect_eq(retry_decide(kind, 0, 0, true), RETRY_NO, "kind %d", kind);
        cr_expect_eq(retry_decide(kind, 3, 3, true), RETRY_NO, "kind %d", kind);
        cr_expect_eq(retry_decide(kind, 4, 3, false), RETRY_NO, "kind %d", kind);
        cr_expect_eq(retry_decide(kind, 0, -1, true), RETRY_NO, "kind %d", kind);
    }
    cr_expect_eq(retry_decide(ERR_PROVIDER_RESET, 2, 3, false), RETRY_SAME);
}

Test(retry, the_pause_is_jittered_below_a_doubling_ceiling)
{
    static const int64_t ceilings[] = {250, 500, 1000, 2000, 4000, 8000, 8000, 8000};
    for (unsigned retries = 0; retries < 8; retries++) {
        int64_t least = INT64_MAX, most = 0;
        for (uint32_t random = 0; random < 20000; random++) {
            int64_t pause = retry_pause_ms(retries, random);
            least = pause < least ? pause : least;
            most = pause > most ? pause : most;
        }
        cr_expect_eq(least, 1, "retry %u", retries);
        cr_expect_eq(most, ceilings[retries], "retry %u: %lld", retries, (long long)most);
    }
    cr_expect_leq(retry_pause_ms(UINT32_MAX, UINT32_MAX), 8000);
}
