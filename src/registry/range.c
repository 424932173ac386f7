/* range.c: see range.h. */
#include "registry/range.h"

/* "-500": the last 500 bytes. */
static RangeKind suffix(Str digits, uint64_t size, uint64_t *ret_from, uint64_t *ret_length)
{
	uint64_t n = 0;
	int r = str_to_u64(digits, &n);
	if (r == -ERANGE)
		n = size;
	else if (r < 0)
		return RANGE_WHOLE;
	if (!n || !size) return RANGE_UNSATISFIED;
	if (n > size) n = size;
	*ret_from = size - n;
	*ret_length = n;
	return RANGE_PART;
}

RangeKind range_parse(Str header, uint64_t size, uint64_t *ret_from, uint64_t *ret_length)
{
	Str unit, set, first, last;
	if (!str_cut(header, '=', &unit, &set) || !str_eq(str_trim(unit), "bytes")) return RANGE_WHOLE;
	set = str_trim(set);
	if (!set.n || memchr(set.p, ',', set.n)) return RANGE_WHOLE;
	if (!str_cut(set, '-', &first, &last)) return RANGE_WHOLE;
	if (!first.n) return suffix(last, size, ret_from, ret_length);
	uint64_t from = 0, to = UINT64_MAX;
	int r = str_to_u64(first, &from);
	if (r == -ERANGE) return RANGE_UNSATISFIED;
	if (r < 0) return RANGE_WHOLE;
	if (last.n) {
		r = str_to_u64(last, &to);
		if (r == -ERANGE)
			to = UINT64_MAX;
		else if (r < 0)
			return RANGE_WHOLE;
	}
	if (to < from || from >= size) return RANGE_UNSATISFIED;
	if (to >= size) to = size - 1;
	*ret_from = from;
	*ret_length = to - from + 1;
	return RANGE_PART;
}

int chunk_range_parse(Str header, uint64_t *ret_from, uint64_t *ret_to)
{
	Str s = str_trim(header), first, last, total;
	if (str_starts(s, "bytes=") || str_starts(s, "bytes ")) s = (Str){ s.p + 6, s.n - 6 };
	str_cut(s, '/', &s, &total);
	if (!str_cut(s, '-', &first, &last)) return -EINVAL;
	uint64_t from, to;
	if (str_to_u64(first, &from) < 0 || str_to_u64(last, &to) < 0 || to < from || to == UINT64_MAX) return -EINVAL;
	*ret_from = from;
	*ret_to = to;
	return 0;
}
