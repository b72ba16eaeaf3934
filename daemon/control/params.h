/*
 * Params: what a client sent, held against the parameter table of a method's row.
 */
#pragma once

#include "base/err.h"
#include "proto/methods.h"

#include <cjson/cJSON.h>
#include <stddef.h>

/*
 * Checks an object of parameters: every name is in the row and stands once, required ones are
 * there, types are right, texts within their limit. 0 or -ERR_BAD_PARAMS, whose detail names the
 * method and the parameter, never a value.
 */
int params_check(const struct method_row *row, const cJSON *params, struct err *reterr);
