/* url.c: see url.h. */
#include "net/url.h"

#include "net/http.h"

static int hex(char c)
{
	if (c >= '0' && c <= '9') return c - '0';
	if (c >= 'a' && c <= 'f') return c - 'a' + 10;
	if (c >= 'A' && c <= 'F') return c - 'A' + 10;
	return -1;
}

/* The byte of the escape at s.p[i] ('%'), -1 when there is none. */
static int escape(Str s, size_t i)
{
	if (s.n - i < 3) return -1;
	int high = hex(s.p[i + 1]), low = hex(s.p[i + 2]);
	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

int url_check(Str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (!s.p[i]) return -EINVAL;
		if (s.p[i] == '%' && escape(s, i) <= 0) return -EINVAL;
	}
	return 0;
}

int url_decode(Str s, bool plus_is_blank, Arena *a, char **ret)
{
	char *p = arena_alloc(a, s.n + 1), *to = p;
	if (!p) return -ENOMEM;
	for (size_t i = 0; i < s.n; i++) {
		int c = (unsigned char)s.p[i];
		if (c == '%') {
			c = escape(s, i);
			i += 2;
		} else if (c == '+' && plus_is_blank) {
			c = ' ';
		}
		if (c <= 0) return -EINVAL;
		*to++ = (char)c;
	}
	*ret = p;
	return 0;
}

static bool is_unreserved(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '.' || c == '_' || c == '~';
}

void url_encode(Buf *b, Str s, const char *keep)
{
	static const char digits[] = "0123456789ABCDEF";
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (is_unreserved(c) || (c && strchr(keep, c)))
			buf_putc(b, (char)c);
		else
			buf_put(b, (char[]){ '%', digits[c >> 4], digits[c & 15] }, 3);
	}
}

int url_default_port(Str scheme)
{
	if (http_same(scheme, STR("https")) || http_same(scheme, STR("wss"))) return 443;
	if (http_same(scheme, STR("http")) || http_same(scheme, STR("ws"))) return 80;
	return 0;
}

static int refuse(Err *e, Str s, const char *why)
{
	return err_set(e, ERR_USAGE, EINVAL, "URL \"%.*s\": %s", (int)(s.n > 256 ? 256 : s.n), s.p, why);
}

/* The length of a scheme at the start of s, 0 when there is none (RFC 3986 3.1). */
static size_t scheme_length(Str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		if (c == ':') return i;
		if (!letter && (i == 0 || !((c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.'))) return 0;
	}
	return 0;
}

static int parse_port(Str text, Url *u, Str whole, Err *e)
{
	uint32_t port = 0;
	if (!text.n) return 0; /* "host:" is allowed and means the default */
	if (str_to_u32(text, &port) < 0 || port == 0 || port > 65535) return refuse(e, whole, "the port must be 1 to 65535");
	u->port = (int)port;
	return 0;
}

static int parse_authority(Str s, Url *u, Str whole, Err *e)
{
	Str rest = s, port = { 0 };
	for (size_t i = s.n; i > 0; i--) /* the last "@": what is before it never becomes a host */
		if (s.p[i - 1] == '@') {
			u->user = (Str){ s.p, i - 1 };
			rest = (Str){ s.p + i, s.n - i };
			break;
		}
	if (memchr(u->user.n ? u->user.p : "", '@', u->user.n)) return refuse(e, whole, "more than one \"@\" before the host");
	if (!http_is_host(rest)) return refuse(e, whole, "the host is not valid");
	if (rest.n && rest.p[0] == '[') {
		(void)str_cut((Str){ rest.p + 1, rest.n - 1 }, ']', &u->host, &port);
		u->is_ipv6 = true;
		if (port.n) port = (Str){ port.p + 1, port.n - 1 };
	} else {
		(void)str_cut(rest, ':', &u->host, &port);
	}
	return parse_port(port, u, whole, e);
}

int url_parse(Str s, Url *ret, Err *e)
{
	Url u = { 0 };
	Str rest = s;
	if (s.n > URL_MAX) return refuse(e, s, "longer than 64 KiB");
	for (size_t i = 0; i < s.n; i++) {
		if ((unsigned char)s.p[i] <= ' ' || (unsigned char)s.p[i] > 126 || strchr("\"<>\\^`{|}", s.p[i]))
			return refuse(e, s, "a character that must be escaped");
	}
	if (url_check(s) < 0) return refuse(e, s, "\"%\" must be followed by two hex digits and may not be \"%00\"");
	u.has_fragment = str_cut(rest, '#', &rest, &u.fragment);
	u.has_query = str_cut(rest, '?', &rest, &u.query);
	size_t k = scheme_length(rest);
	if (k) {
		u.scheme = (Str){ rest.p, k };
		rest = (Str){ rest.p + k + 1, rest.n - k - 1 };
	}
	if (str_starts(rest, "//")) {
		size_t n = 2;
		while (n < rest.n && rest.p[n] != '/')
			n++;
		u.has_authority = true;
		int r = parse_authority((Str){ rest.p + 2, n - 2 }, &u, s, e);
		if (r < 0) return r;
		rest = (Str){ rest.p + n, rest.n - n };
	}
	u.path = rest;
	*ret = u;
	return 0;
}

int url_query_get(Str query, const char *name, size_t at, Arena *a, const char **ret)
{
	Str piece, key, value;
	if (!query.n) return -ENOENT;
	while (str_next(&query, '&', &piece)) {
		char *decoded;
		(void)str_cut(piece, '=', &key, &value);
		if (memchr(key.n ? key.p : "", '%', key.n) || memchr(key.n ? key.p : "", '+', key.n)) {
			int r = url_decode(key, true, a, &decoded);
			if (r < 0) return r;
			key = str_of(decoded);
		}
		if (!str_eq(key, name) || at--) continue;
		int r = url_decode(value, true, a, &decoded);
		if (r < 0) return r;
		*ret = decoded;
		return 0;
	}
	return -ENOENT;
}

static bool is_dots(Str segment)
{
	return str_eq(segment, ".") || str_eq(segment, "..");
}

bool url_has_dots(const char *path)
{
	Str rest = str_of(path), segment;
	while (str_next(&rest, '/', &segment))
		if (is_dots(segment)) return true;
	return false;
}

/* RFC 3986 5.2.4, on a path that starts with "/" or is empty: its segments, without the dots. */
static void put_without_dots(Buf *b, Str path)
{
	size_t start = b->n;
	Str rest = path, segment = { 0 };
	bool written = false, dots = false;
	while (str_next(&rest, '/', &segment)) {
		dots = is_dots(segment);
		if (str_eq(segment, "..")) {
			while (b->n > start && b->p[b->n - 1] != '/')
				b->n--;
			if (b->n > start) b->n--;
		}
		if (dots) continue;
		if (written) buf_putc(b, '/');
		buf_put(b, segment.p, segment.n);
		written = true;
	}
	if (dots) buf_putc(b, '/');
}

static void put_authority(Buf *b, const Url *u)
{
	if (!u->has_authority) return;
	buf_puts(b, "//");
	if (u->user.n) buf_printf(b, "%.*s@", (int)u->user.n, u->user.p);
	buf_printf(b, u->is_ipv6 ? "[%.*s]" : "%.*s", (int)u->host.n, u->host.n ? u->host.p : "");
	if (u->port) buf_printf(b, ":%d", u->port);
}

/* RFC 3986 5.2.3: the reference's path, beside the base's last segment. */
static void merge_paths(Buf *b, const Url *base, Str path)
{
	size_t n = base->path.n;
	while (n && base->path.p[n - 1] != '/')
		n--;
	if (base->has_authority && !base->path.n)
		buf_putc(b, '/');
	else
		buf_put(b, base->path.p, n);
	buf_put(b, path.p, path.n);
}

static void put_resolved(Buf *b, Buf *merged, const Url *base, const Url *r)
{
	bool absolute = r->scheme.n, own_path = absolute || r->has_authority || r->path.n;
	bool rooted = absolute || r->has_authority || (r->path.n && r->path.p[0] == '/');
	buf_printf(b, "%.*s:", (int)(absolute ? r : base)->scheme.n, (absolute ? r : base)->scheme.p);
	put_authority(b, absolute || r->has_authority ? r : base);
	if (!own_path) {
		put_without_dots(b, base->path);
	} else if (rooted) {
		put_without_dots(b, r->path);
	} else {
		merge_paths(merged, base, r->path);
		put_without_dots(b, (Str){ buf_str(merged), merged->n });
	}
	const Url *query = own_path || r->has_query ? r : base;
	if (query->has_query) buf_printf(b, "?%.*s", (int)query->query.n, query->query.p);
	if (r->has_fragment) buf_printf(b, "#%.*s", (int)r->fragment.n, r->fragment.p);
}

int url_resolve(Str base, Str reference, Arena *a, char **ret, Err *e)
{
	Url b, u;
	int r = url_parse(base, &b, e);
	if (r < 0) return r;
	if (!b.scheme.n) return refuse(e, base, "a base needs a scheme");
	r = url_parse(reference, &u, e);
	if (r < 0) return r;
	AUTO_BUF out = BUF_INIT(4 * URL_MAX);
	AUTO_BUF merged = BUF_INIT(4 * URL_MAX);
	put_resolved(&out, &merged, &b, &u);
	char *text = buf_failed(&out) || buf_failed(&merged) ? NULL : arena_strdup(a, buf_str(&out));
	if (!text)
		return err_set(e, ERR_RESOURCE, ENOMEM, "URL \"%.*s\": no memory", (int)(reference.n > 256 ? 256 : reference.n),
			       reference.p);
	Url seen; /* without a host a path may not begin with "//" (RFC 3986 3.3), and dots that are removed can make it so */
	r = url_parse(str_of(text), &seen, e);
	if (r < 0) return r;
	if (seen.has_authority != (u.has_authority || (!u.scheme.n && b.has_authority)))
		return refuse(e, reference, "its path would be taken for a host");
	*ret = text;
	return 0;
}
