/*
 * Errors of providers, read from whatever shape they come in, and classified.
 *
 * One reader serves every dialect, since a provider keeps its own shape on somebody else's API:
 * GLM's Messages endpoint answers as GLM does, and a gateway in front of a provider answers as it
 * likes. The shapes and the words that decide are listed in docs/dialects/openai_chat.md.
 */
#pragma once

#include "dialect/dialect.h"

/*
 * As `read_error` of struct dialect. A status of 2xx is for an error inside a good answer; the body
 * is then the whole answer or event of which the error is a part.
 */
void api_error_read(int status, struct span body, struct arena *arena, struct api_error *ret);

/* The message to write for a client: the error's own, or the text of its kind. */
struct span api_error_message(const struct api_error *error);

/* The HTTP status to answer with. */
int api_error_status(const struct api_error *error);
