/* glob.c: see glob.h. */
#include "base/glob.h"

/* The character that s begins with, and its length in bytes; s is not empty. Bytes that are no UTF-8 get values of their
 * own, above Unicode. */
static uint32_t char_at(Str s, size_t *ret_n)
{
	static const uint8_t masks[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	size_t n = str_utf8(s);
	*ret_n = n ? n : 1;
	if (!n) return 0x110000u + (uint8_t)s.p[0];
	uint32_t c = (uint8_t)s.p[0] & masks[n];
	for (size_t i = 1; i < n; i++)
		c = c << 6 | ((uint8_t)s.p[i] & 0x3f);
	return c;
}

static void skip(Str *s, size_t n)
{
	*s = (Str){ s->p + n, s->n - n };
}

/* One end of a range in a class, taken off *p. */
static int class_char(Str *p, uint32_t *ret)
{
	size_t n;
	if (!p->n || p->p[0] == '-' || p->p[0] == ']') return -EINVAL;
	if (p->p[0] == '\\') {
		skip(p, 1);
		if (!p->n) return -EINVAL;
	}
	*ret = char_at(*p, &n);
	skip(p, n);
	return 0;
}

/* Takes a class, whose '[' is gone, off *p: 1 when c is in it. */
static int class_match(Str *p, uint32_t c)
{
	bool negated = p->n && p->p[0] == '^', hit = false;
	if (negated) skip(p, 1);
	for (size_t ranges = 0;; ranges++) {
		uint32_t low, high;
		if (p->n && p->p[0] == ']' && ranges) break;
		if (class_char(p, &low) < 0) return -EINVAL;
		high = low;
		if (p->n && p->p[0] == '-') {
			skip(p, 1);
			if (class_char(p, &high) < 0) return -EINVAL;
		}
		if (c >= low && c <= high) hit = true;
		if (!p->n) return -EINVAL;
	}
	skip(p, 1);
	return hit != negated;
}

/* Matches one element of the pattern that is no star against the first character of *name, and takes both off. */
static int match_one(Str *p, Str *name, unsigned flags)
{
	size_t n, pn;
	if (!name->n) return 0;
	uint32_t c = char_at(*name, &n);
	bool slash = c == '/' && !(flags & GLOB_ANY_SLASH);
	skip(name, n);
	if (p->p[0] == '?') {
		skip(p, 1);
		return !slash;
	}
	if (p->p[0] == '[') {
		skip(p, 1);
		return class_match(p, c);
	}
	if (p->p[0] == '\\') skip(p, 1);
	uint32_t want = char_at(*p, &pn);
	skip(p, pn);
	return want == c;
}

static int check(Str p)
{
	while (p.n) {
		char c = p.p[0];
		skip(&p, 1);
		if (c == '\\') {
			if (!p.n) return -EINVAL;
			skip(&p, 1);
		} else if (c == '[' && class_match(&p, 0) < 0) {
			return -EINVAL;
		}
	}
	return 0;
}

/* Where to go on when the name does not match: a star takes one character more. */
typedef struct Star {
	Str pattern, name; /* what follows the star, and what it has not taken yet; .name.p NULL: there is none */
	bool any;          /* may take '/' */
} Star;

static bool star_grow(Star *s)
{
	size_t n;
	if (!s->name.p || !s->name.n) return false;
	if (!s->any && s->name.p[0] == '/') return false;
	(void)char_at(s->name, &n);
	skip(&s->name, n);
	return true;
}

int glob_match(Str pattern, Str name, unsigned flags)
{
	Star star = { 0 }, super = { 0 }; /* the last * and the last ** */
	if (check(pattern) < 0) return -EINVAL;
	for (;;) {
		if (pattern.n && pattern.p[0] == '*') {
			size_t k = 0;
			while (k < pattern.n && pattern.p[k] == '*')
				k++;
			bool any = (flags & GLOB_ANY_SLASH) || (k > 1 && (flags & GLOB_STARSTAR));
			skip(&pattern, k);
			star = (Star){ pattern, name, any };
			if (any) super = star;
			continue;
		}
		if (!pattern.n && !name.n) return 1;
		if (pattern.n && match_one(&pattern, &name, flags) > 0) continue;
		if (!star_grow(&star)) {
			if (star.any || !star_grow(&super)) return 0;
			star = super;
		} else if (star.any) {
			super = star;
		}
		pattern = star.pattern;
		name = star.name;
	}
}
