/* registries.c: see registries.h. */
#include "image/registries.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/toml.h"
#include "sys/fd.h"

/* ---- the document ---- */

typedef struct Document {
	StrList search;
	LIST_OF(Registry) registries;
	StrMap aliases;
	int short_name_mode;
} Document;

static const BindName pull_names[] = { { "all", PULL_ALL }, { "digest-only", PULL_DIGEST_ONLY }, { "tag-only", PULL_TAG_ONLY }, { 0 } };
static const BindName mode_names[] = {
	{ "enforcing", SHORT_NAME_ENFORCING }, { "permissive", SHORT_NAME_PERMISSIVE }, { "disabled", SHORT_NAME_DISABLED }, { 0 }
};

#define ROW(T, field, key, k, ...) \
	{ \
		.name = (key), .kind = (k), .offset = offsetof(T, field), __VA_ARGS__ \
	}

BIND_TABLE(mirror_table, "mirror", RegistryMirror, ROW(RegistryMirror, location, "location", BIND_STRING, .flags = BIND_REQUIRED),
	   ROW(RegistryMirror, insecure, "insecure", BIND_BOOL),
	   ROW(RegistryMirror, pull, "pull-from-mirror", BIND_ENUM, .sub = pull_names));

BIND_TABLE(registry_table, "registry", Registry, ROW(Registry, prefix, "prefix", BIND_STRING),
	   ROW(Registry, location, "location", BIND_STRING), ROW(Registry, insecure, "insecure", BIND_BOOL),
	   ROW(Registry, blocked, "blocked", BIND_BOOL), ROW(Registry, mirror_by_digest_only, "mirror-by-digest-only", BIND_BOOL),
	   ROW(Registry, mirrors, "mirror", BIND_LIST, .sub = &mirror_table));

BIND_TABLE(document_table, "registries.conf", Document, ROW(Document, search, "unqualified-search-registries", BIND_STRINGS),
	   ROW(Document, registries, "registry", BIND_LIST, .sub = &registry_table), ROW(Document, aliases, "aliases", BIND_MAP),
	   ROW(Document, short_name_mode, "short-name-mode", BIND_ENUM, .sub = mode_names));

/* "host[:port][/path]", without a scheme; the wildcard in front is for prefixes. */
static bool is_location(const char *s, bool wildcard)
{
	if (wildcard && starts_with(s, "*.")) s += 2;
	if (!*s || *s == '/' || strstr(s, "//") || ends_with(s, "/")) return false;
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) && !strchr("._-:/[]", *s)) return false;
	return true;
}

static int check_registry(Registry *g, const char *file, Err *e)
{
	if (!g->prefix) g->prefix = g->location;
	if (!g->prefix) return err_set(e, ERR_CONFIG, EINVAL, "%s: registry: neither prefix nor location", file);
	if (!is_location(g->prefix, true))
		return err_set(e, ERR_CONFIG, EINVAL, "%s: registry: prefix \"%.200s\": expected host[:port][/path] without a scheme", file,
			       g->prefix);
	if (g->location && !is_location(g->location, false))
		return err_set(e, ERR_CONFIG, EINVAL,
			       "%s: registry \"%s\": location \"%.200s\": expected host[:port][/path] without a scheme", file, g->prefix,
			       g->location);
	for (size_t i = 0; i < g->mirrors.n; i++) {
		const RegistryMirror *m = &g->mirrors.items[i];
		if (!is_location(m->location, false))
			return err_set(e, ERR_CONFIG, EINVAL,
				       "%s: registry \"%s\": mirror \"%.200s\": expected host[:port][/path] without a scheme", file,
				       g->prefix, m->location);
		if (m->pull && g->mirror_by_digest_only)
			return err_set(e, ERR_CONFIG, EINVAL,
				       "%s: registry \"%s\": pull-from-mirror and mirror-by-digest-only exclude each other", file,
				       g->prefix);
	}
	return 0;
}

static int add_registry(Registries *r, const Registry *g, Arena *a, Err *e)
{
	for (size_t i = 0; i < r->n; i++) {
		if (!streq(r->items[i].prefix, g->prefix)) continue;
		r->items[i] = *g;
		return 0;
	}
	if (r->n == REGISTRIES_MAX) return err_set(e, ERR_CONFIG, E2BIG, "more than %d registries", REGISTRIES_MAX);
	Registry *items = arena_array(a, r->n + 1, sizeof *items);
	if (!items) return err_sys(e, ENOMEM, "registries");
	if (r->n) memcpy(items, r->items, r->n * sizeof *items);
	items[r->n++] = *g;
	r->items = items;
	return 0;
}

/* An empty value takes an alias away. */
static int add_alias(Registries *r, const StrPair *alias, Arena *a, Err *e)
{
	for (size_t i = 0; i < r->aliases.n; i++) {
		if (!streq(r->aliases.items[i].key, alias->key)) continue;
		r->aliases.items[i] = *alias;
		return 0;
	}
	StrPair *items = arena_array(a, r->aliases.n + 1, sizeof *items);
	if (!items) return err_sys(e, ENOMEM, "registries");
	if (r->aliases.n) memcpy(items, r->aliases.items, r->aliases.n * sizeof *items);
	items[r->aliases.n] = *alias;
	r->aliases = (StrMap){ items, r->aliases.n + 1 };
	return 0;
}

void registries_init(Registries *r)
{
	static const char *docker[] = { "docker.io", NULL };
	*r = (Registries){ .search = { docker, 1 }, .short_name_mode = SHORT_NAME_PERMISSIVE };
}

int registries_read(Registries *r, Str text, const char *name, Arena *a, Err *e)
{
	JsonValue v;
	Document d;
	int x = toml_parse(text, a, &v, e);
	if (x < 0) return err_wrap(e, "%s", name);
	if (json_get(&v, "registries"))
		return err_set(e, ERR_CONFIG, EINVAL, "%s: [registries.…] is version 1 of the format: use [[registry]]", name);
	x = bind_decode(&document_table, &v, &d, name, a, e);
	if (x < 0) return x;
	for (size_t i = 0; i < d.search.n; i++)
		if (!is_location(d.search.items[i], false))
			return err_set(e, ERR_CONFIG, EINVAL, "%s: unqualified-search-registries: \"%.200s\" is no registry", name,
				       d.search.items[i]);
	for (size_t i = 0; i < d.registries.n; i++) {
		x = check_registry(&d.registries.items[i], name, e);
		if (x < 0 || (x = add_registry(r, &d.registries.items[i], a, e)) < 0) return x;
	}
	for (size_t i = 0; i < d.aliases.n; i++) {
		x = add_alias(r, &d.aliases.items[i], a, e);
		if (x < 0) return x;
	}
	if (json_get(&v, "unqualified-search-registries")) r->search = d.search;
	if (json_get(&v, "short-name-mode")) r->short_name_mode = d.short_name_mode;
	return 0;
}

/* ---- the files ---- */

static int read_file(Registries *r, const char *path, Arena *a, Err *e)
{
	char *text;
	size_t n;
	Err why = ERR_INIT;
	int x = fd_read_file(AT_FDCWD, path, REGISTRIES_FILE_MAX, a, &text, &n, &why);
	if (x == -ENOENT || x == -ENOTDIR) return 0;
	if (x < 0) {
		*e = why;
		return x;
	}
	return registries_read(r, (Str){ text, n }, path, a, e);
}

static int is_conf(const struct dirent *d)
{
	return d->d_name[0] != '.' && ends_with(d->d_name, ".conf");
}

static int read_folder(Registries *r, const char *dir, Arena *a, Err *e)
{
	struct dirent **names;
	int n = scandir(dir, &names, is_conf, alphasort), x = 0;
	if (n < 0) return errno == ENOENT || errno == ENOTDIR ? 0 : err_sys(e, errno, "read %s", dir);
	for (int i = 0; i < n; i++) {
		char *path = x < 0 ? NULL : arena_printf(a, "%s/%s", dir, names[i]->d_name);
		if (x >= 0) x = path ? read_file(r, path, a, e) : err_sys(e, ENOMEM, "read %s", dir);
		free(names[i]);
	}
	free(names);
	return x;
}

/* registries.conf and registries.conf.d in one directory. */
static int read_dir(Registries *r, const char *dir, Arena *a, Err *e)
{
	const char *file = arena_printf(a, "%s/registries.conf", dir), *folder = arena_printf(a, "%s/registries.conf.d", dir);
	if (!file || !folder) return err_sys(e, ENOMEM, "registries");
	int x = read_file(r, file, a, e);
	return x < 0 ? x : read_folder(r, folder, a, e);
}

int registries_load(Registries *r, Arena *a, Err *e)
{
	const char *only = getenv("CONTAINERS_REGISTRIES_CONF"), *user = user_config_dir("containers", a);
	registries_init(r);
	if (only && *only) return read_file(r, only, a, e);
	int x = read_dir(r, "/etc/containers", a, e);
	return x < 0 || !user ? x : read_dir(r, user, a, e);
}

/* ---- endpoints ---- */

/* How much of name the prefix covers; 0: it does not match. */
static size_t prefix_length(const char *prefix, const char *name)
{
	size_t n = strlen(prefix);
	if (starts_with(prefix, "*.")) {
		size_t host = strcspn(name, "/:"), tail = n - 1;
		return host > tail && memcmp(name + host - tail, prefix + 1, tail) == 0 ? host : 0;
	}
	if (strncmp(name, prefix, n) != 0) return 0;
	return !name[n] || name[n] == '/' || (name[n] == ':' && !strchr(prefix, '/') && !strchr(prefix, ':')) ? n : 0;
}

static const Registry *find_registry(const Registries *r, const char *name)
{
	const Registry *best = NULL;
	size_t longest = 0;
	for (size_t i = 0; i < r->n; i++) {
		size_t n = prefix_length(r->items[i].prefix, name) ? strlen(r->items[i].prefix) : 0;
		if (n <= longest) continue;
		longest = n;
		best = &r->items[i];
	}
	return best;
}

/* The machine itself may be asked without TLS, as docker has it. "127.example.com" is another machine. */
static bool is_loopback(const char *host)
{
	char name[INET_ADDRSTRLEN];
	struct in_addr address;
	size_t n = strcspn(host, ":");
	if (starts_with(host, "[::1]")) return !host[5] || host[5] == ':';
	if (n == strlen("localhost") && strncasecmp(host, "localhost", n) == 0) return true;
	if (n >= sizeof name) return false;
	memcpy(name, host, n);
	name[n] = 0;
	return inet_pton(AF_INET, name, &address) == 1 && ntohl(address.s_addr) >> 24 == IN_LOOPBACKNET;
}

static int add_endpoint(const char *name, bool insecure, bool mirror, Arena *a, EndpointList *to, Err *e)
{
	Str host, path;
	Endpoint one = { .scheme = "https", .mirror = mirror };
	if (!str_cut(str_of(name), '/', &host, &path)) return err_set(e, ERR_CONFIG, EINVAL, "\"%.200s\" has no repository", name);
	one.host = arena_str(a, host);
	one.path = arena_str(a, path);
	if (!one.host || !one.path) return err_sys(e, ENOMEM, "registries");
	int x = certs_find(one.host, a, &one.certs, e);
	if (x < 0) return x;
	/* who names an authority for this machine wants it to be asked */
	one.insecure = insecure || (is_loopback(one.host) && !one.certs.ca.n);
	if (streq(one.host, "docker.io") || streq(one.host, "index.docker.io")) one.host = "registry-1.docker.io";
	Endpoint *items = arena_array(a, to->n + 2, sizeof *items);
	if (!items) return err_sys(e, ENOMEM, "registries");
	if (to->n) memcpy(items, to->items, to->n * sizeof *items);
	items[to->n++] = one;
	if (one.insecure) {
		items[to->n] = one;
		items[to->n++].scheme = "http";
	}
	to->items = items;
	return 0;
}

static bool mirror_counts(const Registry *g, const RegistryMirror *m, bool by_digest)
{
	int pull = g->mirror_by_digest_only ? PULL_DIGEST_ONLY : m->pull;
	return pull == PULL_UNSET || pull == PULL_ALL || (pull == PULL_DIGEST_ONLY) == by_digest;
}

int registries_endpoints(const Registries *r, const char *domain, const char *path, bool by_digest, Arena *a, EndpointList *ret, Err *e)
{
	const char *name = arena_printf(a, "%s/%s", domain, path);
	*ret = (EndpointList){ 0 };
	if (!name) return err_sys(e, ENOMEM, "registries");
	const Registry *g = find_registry(r, name);
	if (!g) return add_endpoint(name, false, false, a, ret, e);
	if (g->blocked) return err_set(e, ERR_PERMISSION, EACCES, "registry %s is blocked in registries.conf", g->prefix);
	const char *rest = name + prefix_length(g->prefix, name);
	for (size_t i = 0; i < g->mirrors.n; i++) {
		const RegistryMirror *m = &g->mirrors.items[i];
		if (!mirror_counts(g, m, by_digest)) continue;
		const char *there = arena_printf(a, "%s%s", m->location, rest);
		int x = there ? add_endpoint(there, m->insecure, true, a, ret, e) : err_sys(e, ENOMEM, "registries");
		if (x < 0) return x;
	}
	const char *there = g->location ? arena_printf(a, "%s%s", g->location, rest) : name;
	return there ? add_endpoint(there, g->insecure, false, a, ret, e) : err_sys(e, ENOMEM, "registries");
}

static int add_string(StrList *l, const char *s, Arena *a)
{
	const char **items = arena_array(a, l->n + 2, sizeof *items);
	if (!items || !s) return -ENOMEM;
	if (l->n) memcpy(items, l->items, l->n * sizeof *items);
	items[l->n] = s;
	*l = (StrList){ items, l->n + 1 };
	return 0;
}

int registries_short_name(const Registries *r, const char *name, Arena *a, StrList *ret, Err *e)
{
	const char *alias = str_map_get(&r->aliases, name);
	AUTO_BUF all = BUF_INIT(1024);
	*ret = (StrList){ 0 };
	if (alias && *alias) return add_string(ret, alias, a) < 0 ? err_sys(e, ENOMEM, "registries") : 0;
	for (size_t i = 0; i < r->search.n; i++) {
		const char *registry = r->search.items[i];
		bool official = streq(registry, "docker.io") && !strchr(name, '/');
		const char *full = arena_printf(a, "%s/%s%s", registry, official ? "library/" : "", name);
		if (add_string(ret, full, a) < 0) return err_sys(e, ENOMEM, "registries");
		buf_printf(&all, "%s%s", i ? ", " : "", full);
	}
	if (!ret->n)
		return err_set(e, ERR_CONFIG, EINVAL, "short name \"%.200s\": no alias, and unqualified-search-registries is empty", name);
	if (ret->n > 1 && r->short_name_mode == SHORT_NAME_ENFORCING)
		return err_set(e, ERR_CONFIG, EINVAL, "short name \"%.200s\" may be any of %s: give the registry or an alias", name,
			       buf_str(&all));
	return 0;
}
