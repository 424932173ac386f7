/* duration.c: see duration.h. */
#include "base/duration.h"

#include <ctype.h>
#include <inttypes.h>

static const struct {
	const char *name;
	uint64_t ns;
} units[] = {
	{ "ns", 1 },
	{ "us", DURATION_MICROSECOND },
	{ "\xc2\xb5s", DURATION_MICROSECOND }, /* U+00B5 micro sign */
	{ "\xce\xbcs", DURATION_MICROSECOND }, /* U+03BC Greek mu */
	{ "ms", DURATION_MILLISECOND },
	{ "s", DURATION_SECOND },
	{ "m", DURATION_MINUTE },
	{ "h", DURATION_HOUR },
};

static const uint64_t LIMIT = UINT64_C(1) << 63; /* the magnitude of INT64_MIN */

static int invalid(Str whole, Err *e)
{
	return err_set(e, ERR_USAGE, EINVAL, "time: invalid duration \"%.*s\"", (int)(whole.n > 200 ? 200 : whole.n), whole.p);
}

static bool at_digit(Str s)
{
	return s.n && isdigit((unsigned char)s.p[0]);
}

static Str rest_from(Str s, size_t n)
{
	return (Str){ s.p + n, s.n - n };
}

/* The digits before the point. */
static bool take_whole(Str *s, uint64_t *ret)
{
	for (*ret = 0; at_digit(*s); *s = rest_from(*s, 1)) {
		if (*ret > LIMIT / 10) return false;
		*ret = *ret * 10 + (uint64_t)(s->p[0] - '0');
		if (*ret > LIMIT) return false;
	}
	return true;
}

/* The digits behind it as *ret / *scale; those that no longer fit are read and left out. */
static void take_fraction(Str *s, uint64_t *ret, double *scale)
{
	bool full = false;
	*ret = 0;
	*scale = 1;
	for (; at_digit(*s); *s = rest_from(*s, 1)) {
		uint64_t next = *ret * 10 + (uint64_t)(s->p[0] - '0');
		full = full || *ret > (LIMIT - 1) / 10 || next > LIMIT;
		if (full) continue;
		*ret = next;
		*scale *= 10;
	}
}

static uint64_t take_unit(Str *s, Str whole, Err *e)
{
	size_t n = 0;
	while (n < s->n && s->p[n] != '.' && !isdigit((unsigned char)s->p[n]))
		n++;
	Str name = { s->p, n };
	int shown = (int)(whole.n > 200 ? 200 : whole.n);
	*s = rest_from(*s, n);
	if (!n) {
		err_set(e, ERR_USAGE, EINVAL, "time: missing unit in duration \"%.*s\"", shown, whole.p);
		return 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if (str_eq(name, units[i].name)) return units[i].ns;
	err_set(e, ERR_USAGE, EINVAL, "time: unknown unit \"%.*s\" in duration \"%.*s\"", (int)(n > 200 ? 200 : n), name.p, shown, whole.p);
	return 0;
}

/* One number with its unit. */
static int take_part(Str *s, Str whole, uint64_t *ret, Err *e)
{
	uint64_t v, fraction = 0;
	double scale = 1;
	bool digits = at_digit(*s);
	if (!digits && !(s->n && s->p[0] == '.')) return invalid(whole, e);
	if (!take_whole(s, &v)) return invalid(whole, e);
	if (s->n && s->p[0] == '.') {
		*s = rest_from(*s, 1);
		digits = digits || at_digit(*s);
		take_fraction(s, &fraction, &scale);
	}
	if (!digits) return invalid(whole, e);
	uint64_t unit = take_unit(s, whole, e);
	if (!unit) return -EINVAL;
	if (v > LIMIT / unit) return invalid(whole, e);
	v *= unit;
	if (fraction) v += (uint64_t)((double)fraction * ((double)unit / scale));
	if (v > LIMIT) return invalid(whole, e);
	*ret = v;
	return 0;
}

int duration_parse(Str s, int64_t *ret, Err *e)
{
	Str whole = s;
	bool negative = s.n && s.p[0] == '-';
	uint64_t total = 0, part = 0;
	if (s.n && (s.p[0] == '-' || s.p[0] == '+')) s = rest_from(s, 1);
	if (str_eq(s, "0")) {
		*ret = 0;
		return 0;
	}
	if (!s.n) return invalid(whole, e);
	while (s.n) {
		int r = take_part(&s, whole, &part, e);
		if (r < 0) return r;
		total += part; /* both at most 2^63: no overflow before the test */
		if (total > LIMIT || total < part) return invalid(whole, e);
	}
	if (!negative && total == LIMIT) return invalid(whole, e);
	*ret = negative ? (int64_t)(0 - total) : (int64_t)total;
	return 0;
}

/* v / scale with its decimals, trailing zeros cut: 1500 / 1000 is "1.5". */
static void put_decimal(char *to, size_t size, uint64_t v, uint64_t scale, const char *unit)
{
	char fraction[16] = "";
	int digits = 0;
	for (uint64_t k = scale; k > 1; k /= 10)
		digits++;
	if (v % scale) {
		int n = snprintf(fraction, sizeof fraction, ".%0*" PRIu64, digits, v % scale);
		while (fraction[n - 1] == '0')
			fraction[--n] = 0;
	}
	snprintf(to, size, "%" PRIu64 "%s%s", v / scale, fraction, unit);
}

void duration_format(int64_t ns, char text[static DURATION_TEXT_MAX])
{
	uint64_t u = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns, minutes = u / (uint64_t)DURATION_MINUTE;
	size_t n = 0;
	if (ns < 0) text[n++] = '-';
	if (!u)
		snprintf(text, DURATION_TEXT_MAX, "0s");
	else if (u < DURATION_MICROSECOND)
		put_decimal(text + n, DURATION_TEXT_MAX - n, u, 1, "ns");
	else if (u < DURATION_MILLISECOND)
		put_decimal(text + n, DURATION_TEXT_MAX - n, u, DURATION_MICROSECOND, "\xc2\xb5s");
	else if (u < DURATION_SECOND)
		put_decimal(text + n, DURATION_TEXT_MAX - n, u, DURATION_MILLISECOND, "ms");
	if (u < DURATION_SECOND) return;
	if (minutes >= 60) n += (size_t)snprintf(text + n, DURATION_TEXT_MAX - n, "%" PRIu64 "h", minutes / 60);
	if (minutes) n += (size_t)snprintf(text + n, DURATION_TEXT_MAX - n, "%" PRIu64 "m", minutes % 60);
	put_decimal(text + n, DURATION_TEXT_MAX - n, u % (uint64_t)DURATION_MINUTE, DURATION_SECOND, "s");
}

/* "12 weeks", without printf: lists are full of them. */
static void put_count(int64_t n, const char *unit, char text[static DURATION_TEXT_MAX])
{
	char digits[24], *at = digits + sizeof digits;
	for (*--at = 0; n; n /= 10)
		*--at = (char)('0' + n % 10);
	for (; *at; at++)
		*text++ = *at;
	memcpy(text, unit, strlen(unit) + 1);
}

void duration_human(int64_t ns, char text[static DURATION_TEXT_MAX])
{
	int64_t seconds = ns / DURATION_SECOND, minutes = ns / DURATION_MINUTE;
	int64_t hours = ns / DURATION_HOUR + (ns % DURATION_HOUR >= DURATION_HOUR / 2);
	if (seconds < 1)
		memcpy(text, "Less than a second", sizeof "Less than a second");
	else if (seconds == 1)
		memcpy(text, "1 second", sizeof "1 second");
	else if (seconds < 60)
		put_count(seconds, " seconds", text);
	else if (minutes == 1)
		memcpy(text, "About a minute", sizeof "About a minute");
	else if (minutes < 60)
		put_count(minutes, " minutes", text);
	else if (hours == 1)
		memcpy(text, "About an hour", sizeof "About an hour");
	else if (hours < 48)
		put_count(hours, " hours", text);
	else if (hours < INT64_C(24) * 7 * 2)
		put_count(hours / 24, " days", text);
	else if (hours < INT64_C(24) * 30 * 2)
		put_count(hours / 24 / 7, " weeks", text);
	else if (hours < INT64_C(24) * 365 * 2)
		put_count(hours / 24 / 30, " months", text);
	else
		put_count(ns / DURATION_HOUR / 24 / 365, " years", text);
}
