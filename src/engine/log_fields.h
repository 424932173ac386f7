/* log_fields.h: what of a container goes with each line of its log: --log-opt labels, labels-regex, env, env-regex, tag. */
#pragma once

#include "engine/record.h"

/* log_fields: those that the options choose; sorted. -EINVAL: an expression that is none, or too many of them. */
int log_fields(const Record *c, Arena *a, StrMap *ret, Err *e) MUST_USE;
/* log_tag: the option's template, or else {{.ID}} when the driver always has one; "" without. -EINVAL. */
int log_tag(const Record *c, Arena *a, const char **ret, Err *e) MUST_USE;
/* log_config_check: driver and options, all of the above included. */
int log_config_check(const Record *c, Arena *a, Err *e) MUST_USE;
