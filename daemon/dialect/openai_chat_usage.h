/*
 * Usage as Chat Completions providers tell it: one reader for answers that are passed on and for
 * those that are converted. Names and places: docs/dialects/openai_chat.md.
 */
#pragma once

#include "base/json.h"
#include "ir/usage.h"

/*
 * Reads a usage object into normal form. False, with *ret as it was, when it is no object or counts
 * neither input nor output.
 */
bool openai_chat_read_usage(struct json usage, struct usage *ret);
