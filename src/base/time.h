/* time.h: points in time as the field writes them (RFC 3339, UTC). */
#pragma once

#include "base/str.h"

enum { TIME_TEXT_MAX = 40 };
typedef enum { TIME_SECONDS, TIME_NANOSECONDS, TIME_FIXED } TimePrecision;

/* time_now: nanoseconds since 1970 (CLOCK_REALTIME). time_monotonic: nanoseconds of CLOCK_MONOTONIC. */
int64_t time_now(void);
int64_t time_monotonic(void);

/* time_format: "2026-01-02T03:04:05Z", with TIME_NANOSECONDS "….123456789Z" (Go's RFC3339Nano, trailing zeros cut), with
 * TIME_FIXED always nine digits. */
void time_format(int64_t ns, TimePrecision precision, char text[static TIME_TEXT_MAX]);

/* time_parse: what time_format writes, and the rest of RFC 3339: an offset instead of Z, any number of digits of a second (beyond nine
 * are cut). -EINVAL; -ERANGE before 1678 and after 2261, which ns do not hold. */
int time_parse(Str s, int64_t *ret) MUST_USE;
