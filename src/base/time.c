/* time.c: see time.h. */
#include "base/time.h"

#include <time.h>

enum { NS_PER_S = 1000000000 };

static int64_t clock_ns(clockid_t id)
{
	struct timespec t;
	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

int64_t time_now(void)
{
	return clock_ns(CLOCK_REALTIME);
}

int64_t time_monotonic(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

/* Civil date from days since 1970-01-01 (proleptic Gregorian). gmtime_r would read the zone files. */
static void civil_from_days(int64_t days, int *year, int *month, int *day)
{
	days += 719468; /* days from 0000-03-01: years then start in March and the leap day comes last */
	int64_t era = (days >= 0 ? days : days - 146096) / 146097;
	int64_t doe = days - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t mp = (5 * doy + 2) / 153;
	*day = (int)(doy - (153 * mp + 2) / 5 + 1);
	*month = (int)(mp < 10 ? mp + 3 : mp - 9);
	*year = (int)(yoe + era * 400 + (*month <= 2));
}

void time_format(int64_t ns, TimePrecision precision, char text[static TIME_TEXT_MAX])
{
	int64_t s = ns / NS_PER_S, frac = ns % NS_PER_S;
	if (frac < 0) {
		frac += NS_PER_S;
		s--;
	}
	int64_t days = s / 86400, rest = s % 86400;
	if (rest < 0) {
		rest += 86400;
		days--;
	}
	int y, m, d;
	civil_from_days(days, &y, &m, &d);
	int n = snprintf(text, TIME_TEXT_MAX, "%04d-%02d-%02dT%02d:%02d:%02d", y, m, d, (int)(rest / 3600), (int)(rest / 60 % 60),
			 (int)(rest % 60));
	if (precision == TIME_NANOSECONDS && frac) {
		n += snprintf(text + n, (size_t)(TIME_TEXT_MAX - n), ".%09d", (int)frac);
		while (text[n - 1] == '0')
			n--;
	}
	snprintf(text + n, (size_t)(TIME_TEXT_MAX - n), "Z");
}
