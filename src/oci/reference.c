/* reference.c: see reference.h. */
#include "oci/reference.h"

#define LIBRARY "library/"

static bool is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter_or_digit(char c)
{
	return is_lower(c) || is_upper(c) || is_digit(c);
}

static bool is_hex(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool all_of(Str s, bool (*is)(char c))
{
	for (size_t i = 0; i < s.n; i++)
		if (!is(s.p[i])) return false;
	return s.n > 0;
}

static bool has_upper(Str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (is_upper(s.p[i])) return true;
	return false;
}

static bool contains(Str s, char c)
{
	return s.n && memchr(s.p, c, s.n);
}

/* ---- the grammar ---- */

/* The length of the separator that s starts with: one dot, one or two underscores, any number of dashes. */
static size_t separator(Str s)
{
	size_t n = 0;
	if (!s.n) return 0;
	if (s.p[0] == '.') return 1;
	if (s.p[0] == '_') return s.n > 1 && s.p[1] == '_' ? 2 : 1;
	while (n < s.n && s.p[n] == '-')
		n++;
	return n;
}

/* [a-z0-9]+ (separator [a-z0-9]+)* */
static bool is_path_component(Str s)
{
	for (;;) {
		size_t n = 0;
		while (n < s.n && (is_lower(s.p[n]) || is_digit(s.p[n])))
			n++;
		if (!n) return false;
		if (n == s.n) return true;
		s = (Str){ s.p + n, s.n - n };
		n = separator(s);
		if (!n) return false;
		s = (Str){ s.p + n, s.n - n };
	}
}

static bool is_path(Str s)
{
	Str component;
	if (!s.n) return false;
	while (str_next(&s, '/', &component))
		if (!is_path_component(component)) return false;
	return true;
}

bool reference_is_path(Str s)
{
	return s.n <= REFERENCE_PATH_MAX && is_path(s);
}

bool reference_is_tag(Str s)
{
	if (!s.n || s.n > REFERENCE_TAG_MAX || s.p[0] == '.' || s.p[0] == '-') return false;
	for (size_t i = 0; i < s.n; i++)
		if (!is_letter_or_digit(s.p[i]) && s.p[i] != '_' && s.p[i] != '.' && s.p[i] != '-') return false;
	return true;
}

static bool is_domain_label(Str s)
{
	if (!s.n || s.p[0] == '-' || s.p[s.n - 1] == '-') return false;
	for (size_t i = 0; i < s.n; i++)
		if (!is_letter_or_digit(s.p[i]) && s.p[i] != '-') return false;
	return true;
}

static bool is_ipv6_char(char c)
{
	return is_hex(c) || c == ':';
}

bool reference_is_domain(Str s)
{
	Str host, port, label;
	if (s.n && s.p[0] == '[') {
		const char *end = memchr(s.p, ']', s.n);
		if (!end) return false;
		size_t n = (size_t)(end - s.p);
		Str rest = { end + 1, s.n - n - 1 };
		if (!all_of((Str){ s.p + 1, n - 1 }, is_ipv6_char)) return false;
		return !rest.n || (rest.p[0] == ':' && all_of((Str){ rest.p + 1, rest.n - 1 }, is_digit));
	}
	if (str_cut(s, ':', &host, &port) && !all_of(port, is_digit)) return false;
	if (!host.n) return false;
	while (str_next(&host, '.', &label))
		if (!is_domain_label(label)) return false;
	return true;
}

/* The reference grammar's digest, which is wider than what exists: a second look is taken by digest_parse. */
static bool is_digest_like(Str s)
{
	Str algorithm, hex;
	bool fresh = true; /* at the beginning of a component, which is a letter */
	if (!str_cut(s, ':', &algorithm, &hex) || hex.n < 32 || !all_of(hex, is_hex)) return false;
	for (size_t i = 0; i < algorithm.n; i++) {
		char c = algorithm.p[i];
		if (c && strchr("-_+.", c)) {
			if (fresh) return false;
			fresh = true;
		} else if (fresh ? is_lower(c) || is_upper(c) : is_letter_or_digit(c)) {
			fresh = false;
		} else {
			return false;
		}
	}
	return !fresh;
}

static bool is_identifier(Str s)
{
	return s.n == 64 && all_of(s, is_hex) && !has_upper(s);
}

/* ---- parsing ---- */

static int invalid_format(Err *e)
{
	return err_set(e, ERR_CONFIG, EINVAL, "invalid reference format");
}

static int parse_digest(Str s, Digest *ret, Err *e)
{
	Str name, hex;
	if (!is_digest_like(s)) return invalid_format(e);
	int r = digest_parse(s, ret);
	if (r == -ENOTSUP) return err_set(e, ERR_UNSUPPORTED, ENOTSUP, "unsupported digest algorithm");
	if (r >= 0) return 0;
	str_cut(s, ':', &name, &hex);
	size_t size = digest_size(digest_algorithm_value(name));
	return err_set(e, ERR_CONFIG, EINVAL, "invalid checksum digest %s", size && hex.n != 2 * size ? "length" : "format");
}

/* Takes the registry off *rest; STR(REFERENCE_DOMAIN) when it has none. */
static Str split_domain(Str *rest)
{
	Str head, tail;
	if (!str_cut(*rest, '/', &head, &tail)) return STR(REFERENCE_DOMAIN);
	bool hub = str_eq(head, "index.docker.io") || str_eq(head, REFERENCE_DOMAIN);
	if (!hub && !str_eq(head, "localhost") && !contains(head, '.') && !contains(head, ':') && !has_upper(head))
		return STR(REFERENCE_DOMAIN);
	*rest = tail;
	return hub ? STR(REFERENCE_DOMAIN) : head;
}

int reference_parse(Str s, Arena *a, Reference *ret, Err *e)
{
	Reference ref = { 0 };
	if (is_identifier(s))
		return err_set(e, ERR_CONFIG, EINVAL, "invalid repository name (%.*s), cannot specify 64-byte hexadecimal strings",
			       (int)s.n, s.p);
	Str rest = s, name, tag, digest;
	Str domain = split_domain(&rest);
	const char *prefix = str_eq(domain, REFERENCE_DOMAIN) && !contains(rest, '/') ? LIBRARY : "";
	str_cut(rest, ':', &name, &tag);
	if (has_upper(name))
		return err_set(e, ERR_CONFIG, EINVAL, "invalid reference format: repository name (%s%.*s) must be lowercase", prefix,
			       (int)(name.n < 300 ? name.n : 300), name.p);
	bool digested = str_cut(rest, '@', &name, &digest), tagged = str_cut(name, ':', &name, &tag);
	if (!reference_is_domain(domain) || !is_path(name) || (tagged && !reference_is_tag(tag)) || (digested && !is_digest_like(digest)))
		return invalid_format(e);
	if (strlen(prefix) + name.n > REFERENCE_PATH_MAX)
		return err_set(e, ERR_CONFIG, EINVAL, "repository name must not be more than %d characters", REFERENCE_PATH_MAX);
	int r = digested ? parse_digest(digest, &ref.digest, e) : 0;
	if (r < 0) return r;
	ref.domain = arena_str(a, domain);
	ref.path = arena_printf(a, "%s%.*s", prefix, (int)name.n, name.p);
	if (tagged) ref.tag = arena_str(a, tag);
	if (!ref.domain || !ref.path || (tagged && !ref.tag)) return err_sys(e, ENOMEM, "parse reference");
	*ret = ref;
	return 0;
}

int reference_parse_any(Str s, Arena *a, Reference *ret, Err *e)
{
	Reference ref = { 0 };
	if (digest_parse_hex(DIGEST_SHA256, s, &ref.digest) < 0 && digest_parse(s, &ref.digest) < 0) return reference_parse(s, a, ret, e);
	*ret = ref;
	return 0;
}

void reference_default_tag(Reference *r)
{
	if (r->domain && !r->tag && !r->digest.algorithm) r->tag = REFERENCE_TAG;
}

/* ---- texts ---- */

const char *reference_name(const Reference *r, Arena *a)
{
	return r->domain ? arena_printf(a, "%s/%s", r->domain, r->path) : arena_strdup(a, "");
}

const char *reference_familiar_name(const Reference *r, Arena *a)
{
	if (!r->domain || !streq(r->domain, REFERENCE_DOMAIN)) return reference_name(r, a);
	const char *path = r->path;
	if (starts_with(path, LIBRARY) && !strchr(path + strlen(LIBRARY), '/')) path += strlen(LIBRARY);
	/* docker shortens these, too, and then means something else by what it printed */
	Str rest = str_of(path);
	split_domain(&rest);
	bool other = rest.p != path || is_identifier(str_of(path));
	return other ? reference_name(r, a) : arena_strdup(a, path);
}

static const char *with_suffix(const Reference *r, const char *name, Arena *a)
{
	char digest[DIGEST_TEXT_MAX];
	digest_format(&r->digest, digest);
	if (!name) return NULL;
	if (reference_is_id(r)) return arena_strdup(a, digest);
	return arena_printf(a, "%s%s%s%s%s", name, r->tag ? ":" : "", r->tag ? r->tag : "", *digest ? "@" : "", digest);
}

const char *reference_format(const Reference *r, Arena *a)
{
	return with_suffix(r, reference_name(r, a), a);
}

const char *reference_familiar(const Reference *r, Arena *a)
{
	return with_suffix(r, reference_familiar_name(r, a), a);
}
