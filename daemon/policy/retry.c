/* See retry.h. */
#include "policy/retry.h"

#include "proto/errors.h"

#define PAUSE_FIRST_MS 250
#define PAUSE_MAX_MS   8000

/* Kinds that mean: the provider has not answered, and another connection may fare better. */
static bool is_connection_failure(int kind)
{
    return kind == ERR_PROVIDER_CONNECT || kind == ERR_PROVIDER_DNS || kind == ERR_PROVIDER_RESET ||
           kind == ERR_PROVIDER_TLS;
}

enum retry_step retry_decide(int kind, unsigned retries, int64_t max, bool has_next)
{
    if (!is_connection_failure(kind) || (int64_t)retries >= max)
        return RETRY_NO;
    return has_next ? RETRY_NEXT : RETRY_SAME;
}

int64_t retry_pause_ms(unsigned retries, uint32_t random)
{
    int64_t ceiling = retries < 5 ? (int64_t)PAUSE_FIRST_MS << retries : PAUSE_MAX_MS;
    return 1 + (int64_t)(random % (uint32_t)ceiling);
}
