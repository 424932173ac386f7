/* moment.c: see moment.h. */
#include "base/moment.h"

#include <time.h>

#include "base/duration.h"

enum { SHOWN_MAX = 200, MOMENT_MAX = 64, ZONE_SIZE = 16 };

/* Seconds east of Greenwich at that time. */
static long zone_offset(int64_t ns)
{
	struct tm tm;
	time_t t = (time_t)(ns / DURATION_SECOND);
	return localtime_r(&t, &tm) ? tm.tm_gmtoff : 0;
}

static void put_zone(long offset, char text[static ZONE_SIZE])
{
	long minutes = (offset < 0 ? -offset : offset) / 60;
	if (minutes)
		snprintf(text, ZONE_SIZE, "%c%02u:%02u", offset < 0 ? '-' : '+', (unsigned)(minutes / 60 % 24), (unsigned)(minutes % 60));
	else
		snprintf(text, ZONE_SIZE, "Z");
}

static size_t count(Str s, char c)
{
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++)
		n += s.p[i] == c;
	return n;
}

/* Splits "2026-01-02T03:04+01:00" into its local part and the zone, which may be empty. */
static void split_zone(Str s, Str *local, Str *zone)
{
	size_t at = s.n;
	if (s.n && (s.p[s.n - 1] == 'Z' || s.p[s.n - 1] == 'z'))
		at = s.n - 1;
	else if (s.n > 16 && (s.p[s.n - 6] == '+' || s.p[s.n - 6] == '-') && s.p[s.n - 3] == ':')
		at = s.n - 6;
	else if (s.n == 16 && (s.p[10] == '+' || s.p[10] == '-'))
		at = 10;
	*local = (Str){ s.p, at };
	*zone = (Str){ s.p + at, s.n - at };
}

/* What was left out is added, and the rest is time_parse()'s. */
static int parse_date(Str s, int64_t now, int64_t *ret)
{
	static const char rest[] = "T00:00:00";
	char text[MOMENT_MAX], offset[ZONE_SIZE];
	Str local, zone;
	split_zone(s, &local, &zone);
	size_t whole = strlen("2026-01-02") + strlen(rest);
	if (local.n > MOMENT_MAX / 2 || local.n < strlen("2026-01-02")) return -EINVAL;
	bool known = local.n >= whole || local.n == 10 || local.n == 13 || local.n == 16;
	if (!known) return -EINVAL;
	put_zone(zone_offset(now), offset);
	snprintf(text, sizeof text, "%.*s%s%.*s", (int)local.n, local.p, local.n < whole ? rest + (local.n - 10) : "",
		 zone.n ? (int)zone.n : (int)strlen(offset), zone.n ? zone.p : offset);
	return time_parse(str_of(text), ret);
}

static int parse_seconds(Str s, int64_t *ret)
{
	Str whole, fraction;
	int64_t seconds, ns = 0;
	bool has = str_cut(s, '.', &whole, &fraction);
	if (str_to_i64(whole, &seconds) < 0 || seconds > INT64_MAX / DURATION_SECOND - 1 || seconds < 0) return -EINVAL;
	int64_t unit = DURATION_SECOND / 10;
	for (size_t i = 0; has && i < fraction.n; i++, unit /= 10) {
		if (fraction.p[i] < '0' || fraction.p[i] > '9') return -EINVAL;
		ns += (fraction.p[i] - '0') * unit;
	}
	if (has && !fraction.n) return -EINVAL;
	*ret = seconds * DURATION_SECOND + ns;
	return 0;
}

int moment_parse(Str s, int64_t now, int64_t *ret, Err *e)
{
	int64_t length;
	Err none = ERR_INIT;
	int shown = (int)(s.n > SHOWN_MAX ? SHOWN_MAX : s.n);
	if (!str_eq(s, "0") && duration_parse(s, &length, &none) >= 0) {
		if (__builtin_sub_overflow(now, length, ret)) return err_set(e, ERR_USAGE, EINVAL, "\"%.*s\" is too long ago", shown, s.p);
		return 0;
	}
	if (parse_date(s, now, ret) >= 0 || parse_seconds(s, ret) >= 0) return 0;
	if (count(s, '-')) return err_set(e, ERR_USAGE, EINVAL, "parsing time \"%.*s\": it is no time as 2006-01-02T15:04:05Z", shown, s.p);
	return err_set(e, ERR_USAGE, EINVAL, "failed to parse value as time or duration: \"%.*s\"", shown, s.p);
}

void moment_local(int64_t ns, char text[static TIME_TEXT_MAX])
{
	char zone[ZONE_SIZE];
	long offset = zone_offset(ns);
	put_zone(offset, zone);
	time_format(ns + offset * DURATION_SECOND, TIME_FIXED, text);
	size_t n = strlen(text) - 1; /* without its Z */
	snprintf(text + n, TIME_TEXT_MAX - n, "%s", zone);
}
