/* duration.h: lengths of time in nanoseconds, as Go's time.Duration is written ("1m30s") and as people say them ("2 hours"). */
#pragma once

#include "base/err.h"
#include "base/str.h"

enum { DURATION_TEXT_MAX = 40 };

#define DURATION_MICROSECOND INT64_C(1000)
#define DURATION_MILLISECOND INT64_C(1000000)
#define DURATION_SECOND INT64_C(1000000000)
#define DURATION_MINUTE (60 * DURATION_SECOND)
#define DURATION_HOUR (60 * DURATION_MINUTE)

/* duration_parse: an optional sign, then decimal numbers each with a unit: "300ms", "-1.5h", "2h45m"; the units are ns, us (µs), ms,
 * s, m, h; "0" needs none. Accepts and refuses what Go's time.ParseDuration does, in its words. -EINVAL. */
int duration_parse(Str s, int64_t *ret, Err *e) MUST_USE;

/* duration_format: the same backwards: "1h0m0s", "1.5s", "2µs", "0s". */
void duration_format(int64_t ns, char text[static DURATION_TEXT_MAX]);

/* duration_human: in words and rounded, as docker prints ages: "Less than a second", "About a minute", "3 weeks". */
void duration_human(int64_t ns, char text[static DURATION_TEXT_MAX]);
