/* size.c: see size.h. */
#include "base/size.h"

#include <ctype.h>
#include <math.h>

void size_format_digits(double bytes, SizeBase base, int digits, char text[static SIZE_TEXT_MAX])
{
	static const char *const decimal[] = { "B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB" };
	static const char *const binary[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB" };
	size_t i = 0;
	for (; bytes >= (int)base && i + 1 < ARRAY_LEN(decimal); i++)
		bytes /= (int)base;
	snprintf(text, SIZE_TEXT_MAX, "%.*g%s", digits, bytes, base == SIZE_DECIMAL ? decimal[i] : binary[i]);
}

void size_format(double bytes, SizeBase base, char text[static SIZE_TEXT_MAX])
{
	size_format_digits(bytes, base, 4, text);
}

static size_t digits_at(Str s, size_t at)
{
	size_t n = 0;
	while (at + n < s.n && isdigit((unsigned char)s.p[at + n]))
		n++;
	return n;
}

int decimal_parse(Str s, double *ret)
{
	char text[64];
	size_t at = s.n && (s.p[0] == '+' || s.p[0] == '-');
	size_t whole = digits_at(s, at), fraction = 0;
	at += whole;
	if (at < s.n && s.p[at] == '.') {
		fraction = digits_at(s, at + 1);
		at += 1 + fraction;
	}
	if (whole + fraction == 0) return -EINVAL;
	if (at < s.n && (s.p[at] == 'e' || s.p[at] == 'E')) {
		size_t sign = at + 1 < s.n && (s.p[at + 1] == '+' || s.p[at + 1] == '-'), n = digits_at(s, at + 1 + sign);
		if (!n) return -EINVAL;
		at += 1 + sign + n;
	}
	if (at != s.n || s.n >= sizeof text) return -EINVAL;
	memcpy(text, s.p, s.n);
	text[s.n] = 0;
	double v = strtod(text, NULL);
	if (!isfinite(v)) return -EINVAL;
	*ret = v;
	return 0;
}

/* How often base multiplies for a suffix; -1: not a suffix. */
static int suffix_power(Str suffix)
{
	static const char letters[] = "bkmgtp";
	char s[4] = { 0 };
	if (!suffix.n) return 0;
	if (suffix.n > 3) return -1;
	for (size_t i = 0; i < suffix.n; i++)
		s[i] = (char)tolower((unsigned char)suffix.p[i]);
	const char *at = s[0] ? strchr(letters, s[0]) : NULL;
	if (!at || (at == letters && s[1])) return -1;
	if (s[1] && !streq(s + 1, "b") && !streq(s + 1, "ib")) return -1;
	return (int)(at - letters);
}

int size_parse(Str s, SizeBase base, int64_t *ret, Err *e)
{
	size_t end = s.n;
	int shown = (int)(s.n > 200 ? 200 : s.n);
	double v = 0;
	while (end && !isdigit((unsigned char)s.p[end - 1]) && s.p[end - 1] != '.' && s.p[end - 1] != ' ')
		end--;
	if (!end) return err_set(e, ERR_USAGE, EINVAL, "invalid size: '%.*s'", shown, s.p);
	Str number = { s.p, s.p[end - 1] == ' ' ? end - 1 : end }, suffix = { s.p + end, s.n - end };
	if (decimal_parse(number, &v) < 0)
		return err_set(e, ERR_USAGE, EINVAL, "strconv.ParseFloat: parsing \"%.*s\": invalid syntax",
			       (int)(number.n > 200 ? 200 : number.n), number.p);
	if (v < 0) return err_set(e, ERR_USAGE, EINVAL, "invalid size: '%.*s'", shown, s.p);
	int power = suffix_power(suffix);
	if (power < 0) return err_set(e, ERR_USAGE, EINVAL, "invalid suffix: '%.*s'", (int)(suffix.n > 200 ? 200 : suffix.n), suffix.p);
	for (int i = 0; i < power; i++)
		v *= (int)base;
	if (v >= 9223372036854775808.0) return err_set(e, ERR_USAGE, ERANGE, "size out of range: '%.*s'", shown, s.p);
	*ret = (int64_t)v;
	return 0;
}
