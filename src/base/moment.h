/* moment.h: points in time as docker's users write them (--since, --until), and in this machine's time zone. Not for skep-runtime: the zone's files
 * are read. */
#pragma once

#include "base/err.h"
#include "base/time.h"

/* moment_parse: *ret in ns since 1970, of
 *   "10m", "1h30m"            so long before now (a negative one: after it)
 *   "1700000000.25"           seconds since 1970
 *   "2026-01-02T03:04:05.6Z"  RFC 3339; without a zone in that of this machine; seconds, minutes and the time of day may be left out
 * -EINVAL with docker's words. */
int moment_parse(Str s, int64_t now, int64_t *ret, Err *e) MUST_USE;

/* moment_local: "2026-01-02T03:04:05.000000006+01:00", in this machine's zone and always with nine digits. */
void moment_local(int64_t ns, char text[static TIME_TEXT_MAX]);
