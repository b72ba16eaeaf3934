/*
 * The demo provider: a provider without AI, so that everything can be tried offline.
 *
 * An HTTP server on an internal Unix socket, reached through net/fetch like any other provider. It
 * speaks both dialects, stream and not, counts usage, and says in each answer that it is made up.
 * The model `demo-fast` answers at once, every other one word by word.
 */
#pragma once

#include "net/http1.h"

struct demo;

/* Listens on `socket_path` in a private directory. The caller closes. */
int demo_open(struct loop *loop, const char *socket_path, struct demo **ret, struct err *reterr);
/* Stops; the memory goes on a later turn of the loop. NULL is fine. */
void demo_close(struct demo *demo);
