/*
 * The guard: may this request be looked at, and whose is it?
 *
 * Pure judgements on a request's head, in this order (docs/SECURITY.md says against whom):
 *
 *   host         exactly 127.0.0.1:P, localhost:P or [::1]:P of the listener (DNS rebinding)
 *   browser      no foreign Origin, no cross-site Sec-Fetch-Site (web pages)
 *   shape        no upgrade; JSON bodies only, not encoded
 *   credentials  exactly one valid aictl token; none needed on our own Unix socket
 */
#pragma once

#include "base/err.h"
#include "net/http_parser.h"
#include "state/tokens.h"

/* Host, browser and shape. port 0: a Unix socket, where Host says nothing. */
int guard_head(const struct http_request *request, int port, struct err *reterr);

/*
 * The one token among the credentials of a request. Each is judged by itself, since Claude Code
 * sends a stale key beside the helper's token: exactly one valid token is accepted, two different
 * valid ones are -ERR_INVALID_REQUEST, none is -ERR_UNAUTHORIZED with one text for every reason, or
 * -ERR_KEYSTORE_LOCKED or -ERR_VAULT_CORRUPT when nobody can judge.
 */
int guard_token(const struct http_request *request, const struct tokens *tokens,
                const struct vault *vault, int64_t now_s, const struct token_info **ret,
                struct err *reterr);
