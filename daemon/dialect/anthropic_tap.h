/* Reading Messages answers that are passed on unchanged; members of dialect_anthropic. */
#pragma once

#include "dialect/dialect.h"

enum tap_verdict anthropic_tap_event(struct tap *tap, const struct request_view *view,
                                     struct span event_name, struct span data);
void anthropic_tap_answer(struct tap *tap, struct span body);
