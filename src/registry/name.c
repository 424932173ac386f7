/* name.c: see name.h. */
#include "registry/name.h"

#include <sys/random.h>
#include <unistd.h>

static bool is_lower_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_alnum(char c)
{
	return is_lower_alnum(c) || (c >= 'A' && c <= 'Z');
}

/* One separator between two runs of letters and digits: ".", "_", "__" or any number of "-". Returns its length, 0: none. */
static size_t separator(Str s)
{
	if (!s.n) return 0;
	if (s.p[0] == '.') return 1;
	if (s.p[0] == '_') return s.n > 1 && s.p[1] == '_' ? 2 : 1;
	size_t n = 0;
	while (n < s.n && s.p[n] == '-')
		n++;
	return n;
}

static bool component_valid(Str s)
{
	size_t i = 0;
	for (;;) {
		size_t from = i;
		while (i < s.n && is_lower_alnum(s.p[i]))
			i++;
		if (i == from) return false;
		if (i == s.n) return true;
		size_t n = separator((Str){ s.p + i, s.n - i });
		if (!n) return false;
		i += n;
	}
}

bool name_valid(Str name)
{
	if (!name.n || name.n > NAME_MAX_LENGTH) return false;
	Str rest = name, part;
	while (str_next(&rest, '/', &part))
		if (!component_valid(part)) return false;
	return true;
}

bool name_below(const char *name, const char *prefix)
{
	size_t n = strlen(prefix);
	return !n || (starts_with(name, prefix) && (!name[n] || name[n] == '/'));
}

bool tag_valid(Str tag)
{
	if (!tag.n || tag.n > TAG_MAX_LENGTH) return false;
	if (!is_alnum(tag.p[0]) && tag.p[0] != '_') return false;
	for (size_t i = 1; i < tag.n; i++)
		if (!is_alnum(tag.p[i]) && tag.p[i] != '_' && tag.p[i] != '.' && tag.p[i] != '-') return false;
	return true;
}

bool session_valid(Str id)
{
	if (id.n != SESSION_LENGTH) return false;
	for (size_t i = 0; i < id.n; i++)
		if (!((id.p[i] >= '0' && id.p[i] <= '9') || (id.p[i] >= 'a' && id.p[i] <= 'f'))) return false;
	return true;
}

int session_new(char ret_id[static SESSION_LENGTH + 1])
{
	uint8_t random[SESSION_LENGTH / 2];
	ssize_t n = TEMP_FAILURE_RETRY(getrandom(random, sizeof random, 0));
	if (n != (ssize_t)sizeof random) return n < 0 ? -errno : -EIO;
	for (size_t i = 0; i < sizeof random; i++)
		snprintf(ret_id + 2 * i, 3, "%02x", random[i]);
	return 0;
}

/* Takes "/word" off the end of *s. */
static bool take_word(Str *s, const char *word)
{
	size_t n = strlen(word);
	if (s->n < n + 1 || s->p[s->n - n - 1] != '/' || memcmp(s->p + s->n - n, word, n) != 0) return false;
	s->n -= n + 1;
	return true;
}

/* The part behind the last slash, taken off with it. */
static bool take_part(Str *s, Str *ret)
{
	const char *slash = s->n ? memrchr(s->p, '/', s->n) : NULL;
	if (!slash) return false;
	size_t at = (size_t)(slash - s->p);
	*ret = (Str){ slash + 1, s->n - at - 1 };
	s->n = at;
	return true;
}

static Route route_below_v2(Str rest)
{
	static const struct {
		const char *word;
		RouteKind kind;
	} referring[] = { { "blobs/uploads", ROUTE_UPLOAD },
			  { "blobs", ROUTE_BLOB },
			  { "manifests", ROUTE_MANIFEST },
			  { "referrers", ROUTE_REFERRERS } };
	Route r = { .name = rest };
	if (str_eq(rest, "_catalog")) return (Route){ .kind = ROUTE_CATALOG };
	if (take_word(&r.name, "tags/list")) {
		r.kind = ROUTE_TAGS;
		return r;
	}
	if (!take_part(&r.name, &r.reference)) return (Route){ 0 };
	/* POST …/blobs/uploads without the final slash is what some clients send */
	Str name = r.name;
	if (str_eq(r.reference, "uploads") && take_word(&name, "blobs")) return (Route){ .kind = ROUTE_UPLOADS, .name = name };
	for (size_t i = 0; i < ARRAY_LEN(referring); i++) {
		if (!take_word(&r.name, referring[i].word)) continue;
		r.kind = referring[i].kind;
		if (!r.reference.n) r.kind = r.kind == ROUTE_UPLOAD ? ROUTE_UPLOADS : ROUTE_NONE;
		return r;
	}
	return (Route){ 0 };
}

Route route_parse(Str path)
{
	static const struct {
		const char *path;
		RouteKind kind;
	} fixed[] = { { "/v2/", ROUTE_BASE },
		      { "/v2", ROUTE_BASE },
		      { "/token", ROUTE_TOKEN },
		      { "/healthz", ROUTE_HEALTH },
		      { "/metrics", ROUTE_METRICS } };
	for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
		if (str_eq(path, fixed[i].path)) return (Route){ .kind = fixed[i].kind };
	if (!str_starts(path, "/v2/")) return (Route){ 0 };
	return route_below_v2((Str){ path.p + 4, path.n - 4 });
}
