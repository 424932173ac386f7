/* fuzz_url.c: a base and, behind a newline, a reference. What is resolved parses, and is resolved already; what is encoded decodes to itself. */
#include "fuzz.h"
#include "net/url.h"

static void check_parts(Str s, const Url *u)
{
	const Str parts[] = { u->scheme, u->user, u->host, u->path, u->query, u->fragment };
	size_t total = 0;
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		assert(!parts[i].n || (parts[i].p >= s.p && parts[i].p + parts[i].n <= s.p + s.n));
		total += parts[i].n;
	}
	assert(total <= s.n && u->port >= 0 && u->port <= 65535 && url_check(s) == 0);
	assert(!memchr(u->host.n ? u->host.p : "", '@', u->host.n));
}

static void check_codec(Str s, Arena *a)
{
	char *decoded, *again;
	AUTO_BUF b = BUF_INIT(1 << 24);
	if (url_decode(s, false, a, &decoded) < 0) {
		assert(url_check(s) < 0 || memchr(s.p, 0, s.n));
		return;
	}
	url_encode(&b, str_of(decoded), "");
	assert(!buf_failed(&b) && url_decode((Str){ buf_str(&b), b.n }, true, a, &again) == 0 && streq(decoded, again));
}

static void check_query(Str s, Arena *a)
{
	const char *v;
	for (size_t at = 0; at < 64; at++) {
		int r = url_query_get(s, "a", at, a, &v);
		assert(r == 0 || r == -ENOENT || r == -EINVAL || r == -ENOMEM);
		if (r < 0) return;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	AUTO_ARENA a = ARENA_INIT(FUZZ_ARENA_MAX);
	AUTO_FREE char *text = fuzz_copy(data, n);
	Str base, reference;
	Err e = ERR_INIT;
	Url u;
	char *resolved, *twice;
	(void)str_cut((Str){ text, n }, '\n', &base, &reference);
	check_codec(reference, &a);
	check_query(reference, &a);
	if (url_parse(base, &u, &e) == 0) check_parts(base, &u);
	if (url_resolve(base, reference, &a, &resolved, &e) < 0) {
		assert(*e.msg);
		return 0;
	}
	assert(url_parse(str_of(resolved), &u, &e) == 0 && u.scheme.n);
	check_parts(str_of(resolved), &u);
	if (u.has_authority) assert(url_resolve(base, str_of(resolved), &a, &twice, &e) == 0 && streq(resolved, twice));
	return 0;
}
