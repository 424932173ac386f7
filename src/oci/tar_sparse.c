/* tar_sparse.c: the maps of sparse files, see tar_impl.h. Four notations (GNU tar's manual, "Storing Sparse Files"), one check. */
#include "oci/tar_impl.h"

void tar_map_done(TarMap *m)
{
	free(m->items);
	*m = (TarMap){ .max = m->max };
}

void tar_map_reset(TarMap *m)
{
	*m = (TarMap){ .items = m->items, .cap = m->cap, .max = m->max };
}

TarRule tar_map_add(TarMap *m, uint64_t offset, uint64_t n)
{
	uint64_t end;
	if (++m->pairs > m->max) return TAR_SPARSE_LIMIT;
	if (offset < m->end) return TAR_SPARSE_ORDER;
	if (__builtin_add_overflow(offset, n, &end) || end > INT64_MAX) return TAR_SPARSE_BEYOND;
	m->end = end;
	if (!n) return TAR_OK; /* GNU tar marks a hole at the end so */
	if (m->n == m->cap) {
		size_t cap = m->cap ? m->cap * 2 : 32;
		TarExtent *items = reallocarray(m->items, cap, sizeof *items);
		if (!items) return TAR_MEMORY;
		m->items = items;
		m->cap = cap;
	}
	m->items[m->n++] = (TarExtent){ offset, n };
	m->bytes += n; /* the extents are disjoint and end below 2^63 */
	return TAR_OK;
}

TarRule tar_map_text(TarMap *m, Str text)
{
	Str offset, n;
	uint64_t o, k;
	TarRule why;
	if (!text.n) return TAR_OK;
	while (str_next(&text, ',', &offset)) {
		if (!str_next(&text, ',', &n) || str_to_u64(offset, &o) < 0 || str_to_u64(n, &k) < 0) return TAR_SPARSE_NUMBER;
		if ((why = tar_map_add(m, o, k))) return why;
	}
	return TAR_OK;
}

TarRule tar_map_header(TarMap *m, const unsigned char *p, size_t n, bool *ret_last)
{
	enum { NUMBER = 12, PAIR = 24 };
	int64_t offset, bytes;
	TarRule why;
	for (size_t i = 0; i < n; i++, p += PAIR) {
		if (tar_is_zero(p, PAIR)) {
			*ret_last = true;
			return TAR_OK;
		}
		if (!p[0] || !p[NUMBER] || !tar_number(p, NUMBER, &offset) || !tar_number(p + NUMBER, NUMBER, &bytes) || offset < 0 ||
		    bytes < 0)
			return TAR_SPARSE_NUMBER;
		if ((why = tar_map_add(m, (uint64_t)offset, (uint64_t)bytes))) return why;
	}
	*ret_last = false;
	return TAR_OK;
}

/* A number of a 1.0 map is complete: the first is the count of pairs, then offsets and lengths alternate. */
static TarRule map_number(TarMap *m, bool *ret_done)
{
	TarRule why = TAR_OK;
	uint64_t v = m->number;
	m->number = 0;
	m->digits = 0;
	if (!m->numbers++) {
		if (v > m->max) return TAR_SPARSE_LIMIT;
		m->want = v;
	} else if (m->numbers % 2 == 0) {
		m->first = v;
	} else {
		why = tar_map_add(m, m->first, v);
	}
	*ret_done = m->numbers == 1 + 2 * m->want;
	return why;
}

TarRule tar_map_block(TarMap *m, const unsigned char block[static TAR_BLOCK_BYTES], bool *ret_done)
{
	enum { DIGITS_MAX = 20 };
	TarRule why;
	*ret_done = false;
	for (size_t i = 0; i < TAR_BLOCK_BYTES && !*ret_done; i++) {
		unsigned char c = block[i];
		if (c == '\n' && m->digits) {
			if ((why = map_number(m, ret_done))) return why;
			continue;
		}
		if (c < '0' || c > '9' || ++m->digits > DIGITS_MAX || __builtin_mul_overflow(m->number, (uint64_t)10, &m->number) ||
		    __builtin_add_overflow(m->number, (uint64_t)(c - '0'), &m->number))
			return TAR_SPARSE_NUMBER;
	}
	return TAR_OK;
}

TarRule tar_map_check(const TarMap *m, uint64_t size, uint64_t stored)
{
	if (m->end > size) return TAR_SPARSE_BEYOND;
	if (m->bytes != stored) return TAR_SPARSE_SUM;
	return TAR_OK;
}
