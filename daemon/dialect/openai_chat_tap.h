/* Reading Chat Completions answers that are passed on unchanged; members of dialect_openai_chat. */
#pragma once

#include "dialect/dialect.h"

void openai_chat_read_reply(struct span data, struct arena *arena, struct ir_reply *ret);
enum tap_verdict openai_chat_tap_event(struct tap *tap, const struct request_view *view,
                                       struct span event_name, struct span data);
void openai_chat_tap_answer(struct tap *tap, struct span body);
