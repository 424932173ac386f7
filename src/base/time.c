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

/* Three times as fast as a conversion of printf: lists are full of times. */
static char *put_number(char *to, int64_t value, int n)
{
	for (int i = n; i-- > 0; value /= 10)
		to[i] = (char)('0' + value % 10);
	return to + n;
}

static char *put_digits(char *to, char before, int64_t value, int n)
{
	*to = before;
	return put_number(to + 1, value, n);
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
	char *to = y >= 0 && y <= 9999 ? put_number(text, y, 4) : text + snprintf(text, TIME_TEXT_MAX, "%04d", y);
	to = put_digits(to, '-', m, 2);
	to = put_digits(to, '-', d, 2);
	to = put_digits(to, 'T', rest / 3600, 2);
	to = put_digits(to, ':', rest / 60 % 60, 2);
	to = put_digits(to, ':', rest % 60, 2);
	if (precision == TIME_FIXED || (precision == TIME_NANOSECONDS && frac)) {
		to = put_digits(to, '.', frac, 9);
		while (precision != TIME_FIXED && to[-1] == '0')
			to--;
	}
	memcpy(to, "Z", 2);
}

static int64_t days_from_civil(int year, int month, int day)
{
	int64_t y = year - (month <= 2), era = (y >= 0 ? y : y - 399) / 400, yoe = y - era * 400;
	int64_t doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

/* Takes n digits, and after them the character sep (0: none). */
static bool take_digits(Str *s, size_t n, char sep, int *ret)
{
	int v = 0;
	if (s->n < n + (sep != 0)) return false;
	for (size_t i = 0; i < n; i++) {
		if (s->p[i] < '0' || s->p[i] > '9') return false;
		v = v * 10 + (s->p[i] - '0');
	}
	if (sep && (s->p[n] | 0x20) != (sep | 0x20)) return false;
	n += sep != 0;
	*s = (Str){ s->p + n, s->n - n };
	*ret = v;
	return true;
}

static bool take_fraction(Str *s, int64_t *ret_ns)
{
	*ret_ns = 0;
	if (!s->n || s->p[0] != '.') return true;
	size_t i = 1;
	for (int64_t unit = NS_PER_S / 10; i < s->n && s->p[i] >= '0' && s->p[i] <= '9'; i++, unit /= 10)
		*ret_ns += (s->p[i] - '0') * unit;
	if (i == 1) return false;
	*s = (Str){ s->p + i, s->n - i };
	return true;
}

static bool take_offset(Str *s, int64_t *ret_s)
{
	int hours, minutes;
	*ret_s = 0;
	if (s->n == 1 && (s->p[0] == 'Z' || s->p[0] == 'z')) return true;
	if (!s->n || (s->p[0] != '+' && s->p[0] != '-')) return false;
	int64_t sign = s->p[0] == '-' ? -1 : 1;
	*s = (Str){ s->p + 1, s->n - 1 };
	if (!take_digits(s, 2, ':', &hours) || !take_digits(s, 2, 0, &minutes) || s->n || hours > 23 || minutes > 59) return false;
	*ret_s = sign * (hours * 3600 + minutes * 60);
	return true;
}

static int days_in(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	return days[month - 1] + (month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0));
}

int time_parse(Str s, int64_t *ret)
{
	int year, month, day, hour, minute, second;
	int64_t ns, offset, seconds;
	if (!take_digits(&s, 4, '-', &year) || !take_digits(&s, 2, '-', &month) || !take_digits(&s, 2, 'T', &day) ||
	    !take_digits(&s, 2, ':', &hour) || !take_digits(&s, 2, ':', &minute) || !take_digits(&s, 2, 0, &second))
		return -EINVAL;
	if (month < 1 || month > 12 || day < 1 || day > days_in(year, month) || hour > 23 || minute > 59 || second > 60) return -EINVAL;
	if (!take_fraction(&s, &ns) || !take_offset(&s, &offset)) return -EINVAL;
	seconds = days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset;
	if (__builtin_mul_overflow(seconds, (int64_t)NS_PER_S, &seconds) || __builtin_add_overflow(seconds, ns, &seconds)) return -ERANGE;
	*ret = seconds;
	return 0;
}
