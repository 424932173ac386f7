/* str.c: see str.h. */
#include "base/str.h"

#include <limits.h>

bool str_eq(Str a, const char *b)
{
	size_t n = strlen(b);
	return a.n == n && (n == 0 || memcmp(a.p, b, n) == 0);
}

bool str_starts(Str s, const char *prefix)
{
	size_t n = strlen(prefix);
	return s.n >= n && (n == 0 || memcmp(s.p, prefix, n) == 0);
}

bool str_cut(Str s, char sep, Str *head, Str *tail)
{
	const char *at = s.n ? memchr(s.p, sep, s.n) : NULL;
	if (!at) {
		*head = s;
		*tail = (Str){ s.p + s.n, 0 };
		return false;
	}
	size_t n = (size_t)(at - s.p);
	*head = (Str){ s.p, n };
	*tail = (Str){ at + 1, s.n - n - 1 };
	return true;
}

bool str_next(Str *rest, char sep, Str *piece)
{
	if (!rest->p) return false;
	if (!str_cut(*rest, sep, piece, rest)) *rest = (Str){ NULL, 0 };
	return true;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

Str str_trim(Str s)
{
	while (s.n && is_blank(s.p[0])) {
		s.p++;
		s.n--;
	}
	while (s.n && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

Str str_trim_slashes(Str s)
{
	while (s.n && s.p[0] == '/')
		s = (Str){ s.p + 1, s.n - 1 };
	return s;
}

static int digit_of(char c)
{
	if (c >= '0' && c <= '9') return c - '0';
	if (c >= 'a' && c <= 'z') return c - 'a' + 10;
	if (c >= 'A' && c <= 'Z') return c - 'A' + 10;
	return 99;
}

int str_to_u64_base(Str s, unsigned base, uint64_t *ret)
{
	uint64_t v = 0;
	if (!s.n) return -EINVAL;
	for (size_t i = 0; i < s.n; i++) {
		unsigned d = (unsigned)digit_of(s.p[i]);
		if (d >= base) return -EINVAL;
		if (__builtin_mul_overflow(v, (uint64_t)base, &v) || __builtin_add_overflow(v, (uint64_t)d, &v)) return -ERANGE;
	}
	*ret = v;
	return 0;
}

int str_to_u64(Str s, uint64_t *ret)
{
	return str_to_u64_base(s, 10, ret);
}

int str_to_i64(Str s, int64_t *ret)
{
	bool minus = s.n && s.p[0] == '-';
	uint64_t v;
	if (minus) s = (Str){ s.p + 1, s.n - 1 };
	int r = str_to_u64(s, &v);
	if (r < 0) return r;
	if (v > (uint64_t)INT64_MAX + (minus ? 1 : 0)) return -ERANGE;
	*ret = minus ? (int64_t)(0 - v) : (int64_t)v;
	return 0;
}

int str_to_u32(Str s, uint32_t *ret)
{
	uint64_t v;
	int r = str_to_u64(s, &v);
	if (r < 0) return r;
	if (v > UINT32_MAX) return -ERANGE;
	*ret = (uint32_t)v;
	return 0;
}

int str_to_int(Str s, int *ret)
{
	int64_t v;
	int r = str_to_i64(s, &v);
	if (r < 0) return r;
	if (v < INT_MIN || v > INT_MAX) return -ERANGE;
	*ret = (int)v;
	return 0;
}

int str_to_bool(const char *s, bool *ret)
{
	static const char *const words[][6] = { { "0", "f", "F", "FALSE", "false", "False" }, { "1", "t", "T", "TRUE", "true", "True" } };
	for (size_t v = 0; v < ARRAY_LEN(words); v++)
		for (size_t i = 0; i < ARRAY_LEN(words[v]); i++)
			if (streq(s, words[v][i])) {
				*ret = v;
				return 0;
			}
	return -EINVAL;
}

bool starts_with(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool ends_with(const char *s, const char *suffix)
{
	size_t n = strlen(s), k = strlen(suffix);
	return n >= k && streq(s + n - k, suffix);
}

/* Numbers at *a and *b, which are left behind; 0 when they are equal in value and length. */
static int compare_numbers(const char **a, const char **b)
{
	size_t zeros_a = strspn(*a, "0"), zeros_b = strspn(*b, "0");
	*a += zeros_a;
	*b += zeros_b;
	size_t na = strspn(*a, "0123456789"), nb = strspn(*b, "0123456789");
	int r = na != nb ? (na < nb ? -1 : 1) : memcmp(*a, *b, na);
	*a += na;
	*b += nb;
	return r ? r : (zeros_a > zeros_b) - (zeros_a < zeros_b);
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

int str_compare_natural(const char *a, const char *b)
{
	while (*a && *b) {
		if (is_digit(*a) != is_digit(*b)) return is_digit(*a) ? -1 : 1;
		if (is_digit(*a)) {
			int r = compare_numbers(&a, &b);
			if (r) return r;
		} else if (*a != *b) {
			return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
		} else {
			a++;
			b++;
		}
	}
	return (*a != 0) - (*b != 0);
}

size_t str_utf8(Str s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	if (!s.n) return 0;
	unsigned char c = p[0];
	size_t k = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
	if (!k || s.n < k) return 0;
	for (size_t i = 1; i < k; i++)
		if ((p[i] & 0xc0) != 0x80) return 0;
	if ((c == 0xe0 && p[1] < 0xa0) || (c == 0xed && p[1] > 0x9f)) return 0;
	if ((c == 0xf0 && p[1] < 0x90) || (c == 0xf4 && p[1] > 0x8f)) return 0;
	return k;
}

bool str_is_control(Str s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	return s.n && (p[0] < 0x20 || p[0] == 0x7f || (p[0] == 0xc2 && s.n > 1 && p[1] >= 0x80 && p[1] < 0xa0));
}

bool str_is_plain(const char *s)
{
	while (*s >= ' ' && *s < 0x7f)
		s++;
	return !*s;
}

void str_harmless(char *s)
{
	for (size_t n = strlen(s); n; s++, n--) {
		if (!str_is_control((Str){ s, n })) continue;
		bool two = (unsigned char)*s == 0xc2;
		*s = *s == '\n' || *s == '\t' ? ' ' : '?';
		if (two) *++s = '?', n--;
	}
}
