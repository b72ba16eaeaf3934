/* See retry.h. */
#include "policy/retry.h"

#include "proto/errors.h"

#define PAUSE_FIRST_MS 250
#define PAUSE_MAX_MS   8000

enum remedy {
    NOTHING,   /* another provider would say the same, or it is our own fault */
    ELSEWHERE, /* another provider may do it */
    AGAIN,     /* so may this one, on another connection */
};

static enum remedy remedy_of(int kind)
{
    switch (kind) {
    case ERR_PROVIDER_CONNECT:
    case ERR_PROVIDER_DNS:
    case ERR_PROVIDER_RESET:
    case ERR_PROVIDER_TLS:
        return AGAIN;
    case ERR_PROVIDER_ANSWER:
    case ERR_PROVIDER_AUTH:
    case ERR_PROVIDER_OVERLOADED:
    case ERR_PROVIDER_REDIRECT:
    case ERR_PROVIDER_TIMEOUT:
    case ERR_NO_KEY:
    case ERR_KEY_NOT_BOUND:
        return ELSEWHERE;
    default:
        return NOTHING;
    }
}

enum retry_step retry_decide(int kind, unsigned retries, int64_t max, bool has_next)
{
    enum remedy remedy = remedy_of(kind);
    if (remedy == NOTHING || (int64_t)retries >= max)
        return RETRY_NO;
    if (has_next)
        return RETRY_NEXT;
    return remedy == AGAIN ? RETRY_SAME : RETRY_NO;
}

int64_t retry_pause_ms(unsigned retries, uint32_t random)
{
    int64_t ceiling = retries < 5 ? (int64_t)PAUSE_FIRST_MS << retries : PAUSE_MAX_MS;
    return 1 + (int64_t)(random % (uint32_t)ceiling);
}
