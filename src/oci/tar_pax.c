/* tar_pax.c: the records of extended headers, see tar_impl.h.
 *
 * POSIX.1-2017 pax, "pax Header Block": "<length> <key>=<value>\n", the length counting itself. The vendors' keys are those of
 * star (SCHILY), GNU tar and libarchive. */
#include "oci/tar_impl.h"

enum { XATTR_NAME_MAX_BYTES = 255, XATTR_VALUE_MAX_BYTES = 64 << 10 };

void tar_pax_done(TarPax *p)
{
	free(p->found);
	free(p->xattrs);
	*p = (TarPax){ 0 };
}

void tar_pax_reset(TarPax *p)
{
	/* what is not in seen is not looked at */
	p->seen = 0;
	p->n_found = p->n_xattrs = 0;
	p->xattrs_bytes = 0;
}

/* ---- records ---- */

/* Rest: what is left to read of one header, and where it lies in the archive. */
typedef struct Rest {
	char *p;
	size_t n;
	uint64_t at;
} Rest;

/* Takes the next record off rest; key and value end in a NUL each (written over "=" and the newline). */
static TarRule next_record(Rest *rest, Str *ret_key, Str *ret_value)
{
	Str length, all = { rest->p, rest->n < 21 ? rest->n : 21 }, tail;
	uint64_t n;
	if (!str_cut(all, ' ', &length, &tail) || str_to_u64(length, &n) < 0) return TAR_RECORD_LENGTH;
	if (n > rest->n || n < length.n + sizeof " k=" || rest->p[n - 1] != '\n') return TAR_RECORD_END;
	char *key = rest->p + length.n + 1, *end = rest->p + n - 1;
	char *equals = memchr(key, '=', (size_t)(end - key));
	if (!equals || equals == key) return TAR_RECORD_KEY;
	if (memchr(key, 0, (size_t)(equals - key))) return TAR_RECORD_NUL;
	*equals = *end = 0;
	*ret_key = (Str){ key, (size_t)(equals - key) };
	*ret_value = (Str){ equals + 1, (size_t)(end - equals) - 1 };
	rest->p += n;
	rest->n -= n;
	rest->at += n;
	return TAR_OK;
}

/* ---- values ---- */

/* "-1.5" is 1.5 seconds before 1970: {-2, 500000000}. Digits beyond the ninth are dropped, as every reader does. */
static bool parse_time(Str s, int64_t *ret, uint32_t *ret_ns)
{
	Str whole, fraction;
	bool minus = s.n && s.p[0] == '-';
	uint32_t ns = 0;
	int64_t seconds;
	str_cut(s, '.', &whole, &fraction);
	if (str_to_i64(whole, &seconds) < 0) return false;
	for (size_t i = 0; i < fraction.n; i++)
		if (fraction.p[i] < '0' || fraction.p[i] > '9') return false;
	for (size_t i = 0; i < 9; i++)
		ns = ns * 10 + (i < fraction.n ? (uint32_t)(fraction.p[i] - '0') : 0);
	if (minus && ns) {
		if (__builtin_sub_overflow(seconds, (int64_t)1, &seconds)) return false;
		ns = 1000000000 - ns;
	}
	*ret = seconds;
	*ret_ns = ns;
	return true;
}

typedef enum { VALUE_TEXT, VALUE_NUMBER, VALUE_TIME, VALUE_PAIR } ValueKind;

static const struct {
	const char *key;
	uint32_t bit;
	ValueKind kind;
	size_t offset;
} keys[] = {
	{ "path", PAX_PATH, VALUE_TEXT, offsetof(TarPax, path) },
	{ "linkpath", PAX_LINKPATH, VALUE_TEXT, offsetof(TarPax, linkpath) },
	{ "size", PAX_SIZE, VALUE_NUMBER, offsetof(TarPax, size) },
	{ "uid", PAX_UID, VALUE_NUMBER, offsetof(TarPax, uid) },
	{ "gid", PAX_GID, VALUE_NUMBER, offsetof(TarPax, gid) },
	{ "uname", PAX_UNAME, VALUE_TEXT, offsetof(TarPax, uname) },
	{ "gname", PAX_GNAME, VALUE_TEXT, offsetof(TarPax, gname) },
	{ "mtime", PAX_MTIME, VALUE_TIME, 0 },
	{ "SCHILY.devmajor", PAX_DEVMAJOR, VALUE_NUMBER, offsetof(TarPax, devmajor) },
	{ "SCHILY.devminor", PAX_DEVMINOR, VALUE_NUMBER, offsetof(TarPax, devminor) },
	{ "SCHILY.realsize", PAX_REALSIZE, VALUE_NUMBER, offsetof(TarPax, realsize) },
	{ "GNU.sparse.major", PAX_SPARSE_MAJOR, VALUE_NUMBER, offsetof(TarPax, sparse_major) },
	{ "GNU.sparse.minor", PAX_SPARSE_MINOR, VALUE_NUMBER, offsetof(TarPax, sparse_minor) },
	{ "GNU.sparse.name", PAX_SPARSE_NAME, VALUE_TEXT, offsetof(TarPax, sparse_name) },
	{ "GNU.sparse.realsize", PAX_SPARSE_REALSIZE, VALUE_NUMBER, offsetof(TarPax, sparse_realsize) },
	{ "GNU.sparse.size", PAX_SPARSE_SIZE, VALUE_NUMBER, offsetof(TarPax, sparse_size) },
	{ "GNU.sparse.numblocks", PAX_SPARSE_BLOCKS, VALUE_NUMBER, offsetof(TarPax, sparse_blocks) },
	{ "GNU.sparse.map", PAX_SPARSE_MAP, VALUE_TEXT, offsetof(TarPax, sparse_map) },
	/* the pairs of version 0.0 are records of their own, in order: an offset, then its length */
	{ "GNU.sparse.offset", PAX_SPARSE_OFFSET, VALUE_PAIR, 0 },
	{ "GNU.sparse.numbytes", PAX_SPARSE_BYTES, VALUE_PAIR, 0 },
};

/* What a reader that applies global headers would take from one that we do not. */
enum { PAX_GLOBAL_HARMLESS = PAX_MTIME | PAX_UNAME | PAX_GNAME };

static TarRule store_pair(TarPax *p, TarMap *map, uint32_t bit, Str value)
{
	uint64_t v;
	if (str_to_u64(value, &v) < 0) return TAR_RECORD_NUMBER;
	if (bit == PAX_SPARSE_OFFSET) {
		if (p->seen & PAX_SPARSE_OFFSET) return TAR_SPARSE_NUMBER;
		p->sparse_offset = v;
		p->seen |= PAX_SPARSE_OFFSET;
		return TAR_OK;
	}
	if (!(p->seen & PAX_SPARSE_OFFSET)) return TAR_SPARSE_NUMBER;
	p->seen = (p->seen & ~(uint32_t)PAX_SPARSE_OFFSET) | PAX_SPARSE_BYTES;
	return tar_map_add(map, p->sparse_offset, v);
}

static TarRule store(TarPax *p, TarMap *map, size_t i, Str value)
{
	void *to = (char *)p + keys[i].offset;
	if (memchr(value.p, 0, value.n)) return TAR_RECORD_NUL;
	if (!value.n) { /* the header's counts again, also after an earlier record */
		p->seen &= ~keys[i].bit;
		return TAR_OK;
	}
	switch (keys[i].kind) {
	case VALUE_PAIR:
		return store_pair(p, map, keys[i].bit, value);
	case VALUE_TIME:
		if (!parse_time(value, &p->mtime, &p->mtime_ns)) return TAR_RECORD_TIME;
		break;
	case VALUE_NUMBER:
		if (str_to_u64(value, to) < 0) return TAR_RECORD_NUMBER;
		break;
	case VALUE_TEXT:
		*(Str *)to = value;
		break;
	}
	p->seen |= keys[i].bit;
	return TAR_OK;
}

/* ---- extended attributes ---- */

static int hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* In place. all: every %XX (libarchive), otherwise the two that GNU tar needs: "%3D" and "%25"; any other '%' stands for itself. */
static void decode_percent(char *s, size_t *n, bool all)
{
	size_t to = 0;
	for (size_t i = 0; i < *n; i++) {
		int high = s[i] == '%' && *n - i > 2 ? hex(s[i + 1]) : -1, low = high < 0 ? -1 : hex(s[i + 2]);
		int c = low < 0 ? -1 : high << 4 | low;
		if (c >= 0 && (all || c == '=' || c == '%')) {
			s[to++] = (char)c;
			i += 2;
		} else {
			s[to++] = s[i];
		}
	}
	s[to] = 0;
	*n = to;
}

static int base64_digit(char c)
{
	return c >= 'A' && c <= 'Z'   ? c - 'A'
	       : c >= 'a' && c <= 'z' ? c - 'a' + 26
	       : c >= '0' && c <= '9' ? c - '0' + 52
	       : c == '+'             ? 62
	       : c == '/'             ? 63
				      : -1;
}

/* In place; libarchive writes no "=" at the end, RFC 4648 does. */
static bool decode_base64(char *s, size_t *n)
{
	uint32_t bits = 0;
	size_t to = 0, k = *n, have = 0;
	for (int i = 0; i < 2 && k && s[k - 1] == '='; i++)
		k--;
	if (k % 4 == 1) return false;
	for (size_t i = 0; i < k; i++) {
		int d = base64_digit(s[i]);
		if (d < 0) return false;
		bits = bits << 6 | (uint32_t)d;
		have += 6;
		if (have < 8) continue;
		have -= 8;
		s[to++] = (char)(bits >> have);
	}
	s[to] = 0;
	*n = to;
	return true;
}

static TarRule add_xattr(TarPax *p, char *name, size_t name_n, char *value, size_t n, bool schily)
{
	decode_percent(name, &name_n, !schily);
	if (!name_n || memchr(name, 0, name_n) || name_n > XATTR_NAME_MAX_BYTES) return TAR_XATTR_NAME;
	if (!schily && !decode_base64(value, &n)) return TAR_XATTR_BASE64;
	if (n > XATTR_VALUE_MAX_BYTES) return TAR_XATTR_VALUE;
	if (p->n_found == p->cap_found) {
		size_t cap = p->cap_found ? p->cap_found * 2 : 8;
		TarPaxXattr *found = reallocarray(p->found, cap, sizeof *found);
		if (!found) return TAR_MEMORY;
		p->found = found;
		p->cap_found = cap;
	}
	p->found[p->n_found] = (TarPaxXattr){ { name, value, n }, (schily ? 1u << 31 : 0) + (uint32_t)p->n_found };
	p->n_found++;
	p->xattrs_bytes += name_n + n;
	return TAR_OK;
}

static int xattr_order(const void *a, const void *b)
{
	const TarPaxXattr *x = a, *y = b;
	int r = strcmp(x->x.name, y->x.name);
	return r ? r : x->rank < y->rank ? 1 : -1; /* what wins comes first */
}

static bool sort_xattrs(TarPax *p)
{
	if (!p->n_found) return true;
	if (p->n_found > p->cap_xattrs) {
		TarXattr *xattrs = reallocarray(p->xattrs, p->cap_found, sizeof *xattrs);
		if (!xattrs) return false;
		p->xattrs = xattrs;
		p->cap_xattrs = p->cap_found;
	}
	qsort(p->found, p->n_found, sizeof *p->found, xattr_order);
	for (size_t i = 0; i < p->n_found; i++)
		if (!p->n_xattrs || !streq(p->xattrs[p->n_xattrs - 1].name, p->found[i].x.name)) p->xattrs[p->n_xattrs++] = p->found[i].x;
	return true;
}

/* ---- headers ---- */

static int xattr_prefix(Str key, bool *ret_schily)
{
	static const char schily[] = "SCHILY.xattr.", libarchive[] = "LIBARCHIVE.xattr.";
	*ret_schily = str_starts(key, schily);
	return *ret_schily ? (int)sizeof schily - 1 : str_starts(key, libarchive) ? (int)sizeof libarchive - 1 : 0;
}

static TarRule take_record(TarPax *p, TarMap *map, Str key, Str value, bool global)
{
	bool schily;
	size_t skip = (size_t)xattr_prefix(key, &schily);
	if (skip) return global ? TAR_RECORD_GLOBAL : add_xattr(p, (char *)key.p + skip, key.n - skip, (char *)value.p, value.n, schily);
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		if (!str_eq(key, keys[i].key)) continue;
		if (!global) return store(p, map, i, value);
		return keys[i].bit & PAX_GLOBAL_HARMLESS || !value.n ? TAR_OK : TAR_RECORD_GLOBAL;
	}
	/* a sparse file of a kind made after this was written must not pass as a plain one */
	if (str_starts(key, "GNU.sparse.")) return TAR_SPARSE_KIND;
	return TAR_OK;
}

int tar_pax_parse(TarPax *p, TarMap *map, char *text, size_t n, bool global, uint64_t at, const TarLimits *limits, Err *e)
{
	Rest rest = { text, n, at };
	Str key, value;
	while (rest.n) {
		uint64_t from = rest.at;
		TarRule rule = next_record(&rest, &key, &value);
		if (rule) return tar_refuse_at(e, rule, from);
		rule = take_record(p, map, key, value, global);
		if (!rule && p->xattrs_bytes > limits->xattrs_bytes) rule = TAR_XATTR_LIMIT;
		if (rule) return tar_refuse_record(e, rule, from, key.p);
	}
	if (p->seen & PAX_SPARSE_OFFSET) return tar_refuse_at(e, TAR_SPARSE_NUMBER, rest.at);
	return sort_xattrs(p) ? 0 : tar_refuse_at(e, TAR_MEMORY, at);
}
