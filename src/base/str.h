/* str.h: byte slices for parsing, and strict numbers.
 *
 * A Str is a view: it never owns, and need not end in a NUL. Passed by value. The number parsers take the
 * whole slice or fail: no blanks, no sign where none belongs, no overflow.
 */
#pragma once

#include "base/defs.h"

typedef struct Str {
	const char *p;
	size_t n;
} Str;

#define STR(literal) ((Str){ "" literal, sizeof(literal) - 1 })

static inline Str str_of(const char *s)
{
	return (Str){ s, s ? strlen(s) : 0 };
}

bool str_eq(Str a, const char *b);
bool str_starts(Str s, const char *prefix);

/* str_cut: splits s at the first sep; true when there was one. head and tail may alias &s. */
bool str_cut(Str s, char sep, Str *head, Str *tail);

/* str_next: takes the next piece up to sep off *rest; false at the end. "a,,b" gives "a", "", "b". */
bool str_next(Str *rest, char sep, Str *piece);

/* str_trim: without blanks, tabs and newlines at both ends. */
Str str_trim(Str s);

/* str_trim_slashes: without '/' at its beginning. */
Str str_trim_slashes(Str s);

/* Numbers, base 10 (and str_to_u64_base for others). 0, -EINVAL (not a number) or -ERANGE. */
int str_to_u64(Str s, uint64_t *ret) MUST_USE;
int str_to_u64_base(Str s, unsigned base, uint64_t *ret) MUST_USE;
int str_to_i64(Str s, int64_t *ret) MUST_USE;
int str_to_u32(Str s, uint32_t *ret) MUST_USE;
int str_to_int(Str s, int *ret) MUST_USE;

/* str_to_bool: what Go's strconv.ParseBool takes, which docker's users write: 1, t, T, true, TRUE, True, and the like. -EINVAL. */
int str_to_bool(const char *s, bool *ret) MUST_USE;

/* starts_with, ends_with: for C strings. */
bool starts_with(const char *s, const char *prefix);
bool ends_with(const char *s, const char *suffix);

/* str_compare_natural: as strcmp, but numbers in the texts by their values: "a2" before "a10"; a digit comes before anything else. docker's lists are sorted so. */
int str_compare_natural(const char *a, const char *b);

/* str_utf8: the length of the UTF-8 sequence that s starts with (RFC 3629: no overlong forms, no surrogates, at most
 * U+10FFFF), 0 when there is none. */
size_t str_utf8(Str s);

/* str_is_control: does s begin with a control character: one of ASCII, or one of U+0080 to U+009F, which terminals obey as well? */
bool str_is_control(Str s);

/* str_harmless: in place: line breaks and tabs become blanks, each byte of another control character becomes "?". What somebody else wrote can
 * then stand on a line of a terminal. str_is_plain: ASCII without control characters, so harmless as it is. */
void str_harmless(char *s);
bool str_is_plain(const char *s);
