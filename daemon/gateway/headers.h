/*
 * Headers: which of them pass, and in which direction. Both ways by the allow-lists of a dialect;
 * nothing else of a client reaches a provider, or of a provider a client.
 */
#pragma once

#include "dialect/dialect.h"
#include "net/fetch.h"
#include "net/http_parser.h"

#define HEADERS_MAX 48

/* Lines "name: value" in an arena; ends with NULL. */
struct header_lines {
    size_t count;
    const char *lines[HEADERS_MAX + 1];
};

/*
 * Those of a request to a provider of this dialect, without its key: what is always sent, and what
 * may be passed on of the client's. client NULL: none.
 */
void headers_to_provider(const struct dialect *dialect, const struct http_request *client,
                         bool is_stream, struct arena *arena, struct header_lines *ret);
/*
 * Those of a provider's answer that are fit for a client. *ret_is_stream: it says that events
 * follow.
 */
void headers_to_client(const struct dialect *dialect, const struct fetch_header *headers,
                       size_t count, struct arena *arena, struct header_lines *ret,
                       bool *ret_is_stream);
