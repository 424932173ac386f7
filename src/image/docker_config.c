/* docker_config.c: see docker_config.h. */
#include "image/docker_config.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/fd.h"

/* ---- reading ---- */

static const char *string_of(const JsonValue *v, const char *key)
{
	const JsonValue *m = v ? json_get(v, key) : NULL;
	return m && m->type == JSON_STRING && m->n ? m->s : NULL;
}

/* One file as a tree; *ret stays NULL when it is not there. */
static int read_document(const char *path, Arena *a, const JsonValue **ret, Err *e)
{
	char *text;
	size_t n;
	Err why = ERR_INIT;
	int r = fd_read_file(AT_FDCWD, path, DOCKER_CONFIG_MAX, a, &text, &n, &why);
	if (r == -ENOENT || r == -ENOTDIR || (r >= 0 && !str_trim((Str){ text, n }).n)) return 0;
	if (r < 0) {
		*e = why;
		return r;
	}
	JsonValue *v = arena_alloc(a, sizeof *v);
	if (!v) return err_sys(e, ENOMEM, "%s", path);
	r = json_parse(text, n, a, v, e);
	if (r < 0) return err_wrap(e, "%s", path);
	if (v->type != JSON_OBJECT) return err_set(e, ERR_CONFIG, EINVAL, "%s: expected an object, got %s", path, json_type_name(v->type));
	*ret = v;
	return 0;
}

static int read_map(const DockerConfig *c, const char *key, Arena *a, StrMap *ret, Err *e)
{
	const JsonValue *v = json_get(c->root, key);
	if (!v || v->type == JSON_NULL) return 0;
	if (v->type != JSON_OBJECT) return err_set(e, ERR_CONFIG, EINVAL, "%s: %s: expected an object", c->path, key);
	StrPair *items = arena_array(a, (size_t)v->n + 1, sizeof *items);
	if (!items) return err_sys(e, ENOMEM, "%s", c->path);
	for (uint32_t i = 0; i < v->n; i++) {
		if (v->members[i].value.type != JSON_STRING)
			return err_set(e, ERR_CONFIG, EINVAL, "%s: %s.%.100s: expected a string", c->path, key, v->members[i].key);
		items[i] = (StrPair){ v->members[i].key, v->members[i].value.s };
	}
	*ret = (StrMap){ items, v->n };
	return 0;
}

/* The first of podman's places that exists. */
static int read_podman(DockerConfig *c, Arena *a, Err *e)
{
	const char *named = getenv("REGISTRY_AUTH_FILE"), *run = getenv("XDG_RUNTIME_DIR"), *home = getenv("HOME");
	const char *places[] = {
		named && *named ? named : NULL,
		run && *run == '/' ? arena_printf(a, "%s/containers/auth.json", run) : NULL,
		home && *home == '/' ? arena_printf(a, "%s/.config/containers/auth.json", home) : NULL,
	};
	int r = 0;
	for (size_t i = 0; i < ARRAY_LEN(places) && !c->podman && r >= 0; i++) {
		if (places[i]) r = read_document(places[i], a, &c->podman, e);
		if (i == 0 && places[0]) break; /* a named file is the only one */
	}
	return r;
}

int docker_config_load(const char *dir, Arena *a, DockerConfig *ret, Err *e)
{
	const char *home = getenv("HOME"), *named = getenv("DOCKER_CONFIG");
	DockerConfig c = { .helper_timeout_ms = DOCKER_HELPER_TIMEOUT_MS };
	if (!dir || !*dir) dir = named && *named ? named : NULL;
	if (!dir && (!home || *home != '/'))
		return err_set(e, ERR_CONFIG, EINVAL, "no place for config.json: set HOME or DOCKER_CONFIG, or give --config");
	c.path = dir ? arena_printf(a, "%s/config.json", dir) : arena_printf(a, "%s/.docker/config.json", home);
	if (!c.path) return err_sys(e, ENOMEM, "config.json");
	int r = read_document(c.path, a, &c.root, e);
	if (r >= 0 && c.root) r = read_map(&c, "HttpHeaders", a, &c.headers, e);
	if (r >= 0 && c.root) r = read_map(&c, "credHelpers", a, &c.helpers, e);
	if (r >= 0) r = read_podman(&c, a, e);
	if (r < 0) return r;
	c.store = string_of(c.root, "credsStore");
	*ret = c;
	return 0;
}

void docker_config_proxies(const DockerConfig *c, const char *host, Proxies *ret)
{
	const JsonValue *all = c->root ? json_get(c->root, "proxies") : NULL;
	const JsonValue *v = all && host ? json_get(all, host) : NULL;
	if (!v && all) v = json_get(all, "default");
	*ret = (Proxies){ string_of(v, "httpProxy"), string_of(v, "httpsProxy"), string_of(v, "noProxy"), string_of(v, "ftpProxy"),
			  string_of(v, "allProxy") };
}

/* ---- base64 (RFC 4648), which hides nothing ---- */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static char *encode(Str s, Arena *a)
{
	char *text = arena_alloc(a, (s.n + 2) / 3 * 4 + 1), *to = text;
	if (!text) return NULL;
	for (size_t i = 0; i < s.n; i += 3) {
		size_t left = s.n - i;
		uint32_t v = (uint32_t)(unsigned char)s.p[i] << 16;
		if (left > 1) v |= (uint32_t)(unsigned char)s.p[i + 1] << 8;
		if (left > 2) v |= (unsigned char)s.p[i + 2];
		*to++ = alphabet[v >> 18];
		*to++ = alphabet[v >> 12 & 63];
		*to++ = left > 1 ? alphabet[v >> 6 & 63] : '=';
		*to++ = left > 2 ? alphabet[v & 63] : '=';
	}
	return text;
}

static int decode(Str s, Arena *a, char **ret, size_t *ret_n)
{
	char *text = arena_alloc(a, s.n + 1);
	size_t n = 0;
	uint32_t v = 0;
	int bits = 0;
	if (!text) return -ENOMEM;
	while (s.n && s.p[s.n - 1] == '=')
		s.n--;
	for (size_t i = 0; i < s.n; i++) {
		const char *at = s.p[i] ? strchr(alphabet, s.p[i]) : NULL;
		if (!at) return -EINVAL;
		v = (v << 6 | (uint32_t)(at - alphabet)) & 0xffffff;
		bits += 6;
		if (bits < 8) continue;
		bits -= 8;
		text[n++] = (char)(v >> bits);
		if (!text[n - 1]) { /* docker pads with NULs at the end only */
			n--;
			break;
		}
	}
	*ret = text;
	*ret_n = n;
	return 0;
}

/* ---- credentials ---- */

/* The name under which credentials of a registry are kept. */
static const char *key_of(const char *registry)
{
	return streq(registry, "docker.io") || streq(registry, "index.docker.io") || streq(registry, "registry-1.docker.io")
		       ? DOCKER_HUB_KEY
		       : registry;
}

/* The host in a key as people and old programs write them: "https://quay.io/v2/". */
static Str host_of(const char *key)
{
	Str s = str_of(key), host, rest;
	if (str_starts(s, "https://")) s = (Str){ s.p + 8, s.n - 8 };
	if (str_starts(s, "http://")) s = (Str){ s.p + 7, s.n - 7 };
	str_cut(s, '/', &host, &rest);
	return host;
}

static int entry_credential(const JsonValue *entry, const char *place, Arena *a, Credential *ret, Err *e)
{
	const char *auth = string_of(entry, "auth");
	char *text;
	size_t n;
	Str user, password;
	*ret = (Credential){ .username = string_of(entry, "username"),
			     .password = string_of(entry, "password"),
			     .identity_token = string_of(entry, "identitytoken") };
	if (!auth) return 0;
	int r = decode(str_of(auth), a, &text, &n);
	if (r == -ENOMEM) return err_sys(e, ENOMEM, "%s", place);
	if (r < 0 || !str_cut((Str){ text, n }, ':', &user, &password))
		return err_set(e, ERR_CONFIG, EINVAL, "%s: invalid auth configuration file: auth is not base64 of user:password", place);
	ret->username = arena_str(a, user);
	ret->password = password.n ? arena_str(a, password) : NULL;
	return ret->username && (ret->password || !password.n) ? 0 : err_sys(e, ENOMEM, "%s", place);
}

static const JsonValue *find_entry(const JsonValue *auths, const char *key)
{
	const JsonValue *v = auths ? json_get(auths, key) : NULL;
	if (v || !auths || auths->type != JSON_OBJECT) return v;
	Str host = host_of(key);
	for (uint32_t i = 0; i < auths->n; i++) {
		Str other = host_of(auths->members[i].key);
		if (other.n == host.n && memcmp(other.p, host.p, host.n) == 0) return &auths->members[i].value;
	}
	return NULL;
}

/* podman's keys may be narrower than a registry: "quay.io/team/app", "quay.io/team", "quay.io". */
static const JsonValue *find_podman(const DockerConfig *c, const char *registry, const char *repository, Arena *a)
{
	const JsonValue *auths = c->podman ? json_get(c->podman, "auths") : NULL;
	char *key = repository ? arena_printf(a, "%s/%s", registry, repository) : arena_strdup(a, registry);
	while (auths && key) {
		const JsonValue *v = json_get(auths, key);
		char *slash = strrchr(key, '/');
		if (v) return v;
		if (!slash) break;
		*slash = 0;
	}
	return find_entry(auths, key_of(registry));
}

static const char *helper_of(const DockerConfig *c, const char *key)
{
	const char *name = str_map_get(&c->helpers, key);
	Str host = host_of(key);
	for (size_t i = 0; !name && i < c->helpers.n; i++)
		if (str_eq(host, c->helpers.items[i].key)) name = c->helpers.items[i].value;
	if (!name && streq(key, DOCKER_HUB_KEY)) name = str_map_get(&c->helpers, "docker.io");
	return name && *name ? name : c->store;
}

int docker_config_credential(const DockerConfig *c, const char *registry, const char *repository, Arena *a, Credential *ret, Err *e)
{
	const char *key = key_of(registry), *helper = helper_of(c, key);
	*ret = (Credential){ 0 };
	if (helper) {
		int r = helper_get(helper, key, c->helper_timeout_ms, a, ret, e);
		if (r < 0 || ret->username || ret->identity_token) return r;
	}
	const JsonValue *entry = find_entry(c->root ? json_get(c->root, "auths") : NULL, key);
	if (entry && entry->n) return entry_credential(entry, c->path, a, ret, e);
	entry = find_podman(c, registry, repository, a);
	return entry ? entry_credential(entry, "auth.json", a, ret, e) : 0;
}

/* ---- writing ---- */

/* Do two keys stand for the same registry? */
static bool is_same(const char *a, const char *b)
{
	Str x = host_of(a), y = host_of(b);
	return x.n == y.n && memcmp(x.p, y.p, x.n) == 0;
}

/* Writes the auths anew: those of others as they are, and this one (credential NULL: none; empty: a mark that a helper has it). Other spellings
 * of the same registry go: they would be found once this one is gone. */
static void put_auths(JsonWriter *w, const JsonValue *auths, const char *key, const char *auth, const Credential *credential)
{
	json_begin_object(w);
	for (uint32_t i = 0; auths && auths->type == JSON_OBJECT && i < auths->n; i++) {
		if (is_same(auths->members[i].key, key)) continue;
		json_key(w, auths->members[i].key);
		json_value(w, &auths->members[i].value);
	}
	if (credential) {
		json_key(w, key);
		json_begin_object(w);
		if (auth) json_put_string(w, "auth", auth);
		if (auth && credential->identity_token) json_put_string(w, "identitytoken", credential->identity_token);
		json_end_object(w);
	}
	json_end_object(w);
}

static int write_document(DockerConfig *c, const Buf *b, Arena *a, Err *e)
{
	const char *slash = strrchr(c->path, '/');
	char *dir_path = arena_str(a, (Str){ c->path, (size_t)(slash - c->path) });
	if (!dir_path || buf_failed(b)) return err_sys(e, ENOMEM, "%s", c->path);
	if (mkdir(dir_path, 0700) < 0 && errno != EEXIST) return err_sys(e, errno, "make %s", dir_path);
	/* a link to the file is followed: people keep it elsewhere */
	AUTO_FREE char *real = realpath(c->path, NULL);
	const char *target = real ? real : c->path, *name = strrchr(target, '/') + 1;
	char *parent = arena_str(a, (Str){ target, (size_t)(name - 1 - target) });
	if (!parent) return err_sys(e, ENOMEM, "%s", c->path);
	AUTO_FD int dir = open(*parent ? parent : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0) return err_sys(e, errno, "open %s", parent);
	int r = fd_replace_file(dir, name, b->p, b->n, 0600, REPLACE_DURABLE, e);
	if (r < 0) return r;
	c->root = NULL;
	return read_document(c->path, a, &c->root, e);
}

static int write_auth(DockerConfig *c, const char *key, const Credential *credential, bool plain, Arena *a, Err *e)
{
	AUTO_BUF b = BUF_INIT(DOCKER_CONFIG_MAX);
	JsonWriter w = JSON_WRITER(&b);
	const JsonValue *auths = c->root ? json_get(c->root, "auths") : NULL;
	const char *both = NULL, *auth = NULL;
	if (credential && plain) {
		both = arena_printf(a, "%s:%s", credential->username ? credential->username : "",
				    credential->password ? credential->password : "");
		auth = both ? encode(str_of(both), a) : NULL;
		if (!auth) return err_sys(e, ENOMEM, "%s", c->path);
	}
	w.indent = -1;
	json_begin_object(&w);
	json_key(&w, "auths");
	put_auths(&w, auths, key, auth, credential);
	for (uint32_t i = 0; c->root && i < c->root->n; i++) {
		if (streq(c->root->members[i].key, "auths")) continue;
		json_key(&w, c->root->members[i].key);
		json_value(&w, &c->root->members[i].value);
	}
	json_end_object(&w);
	buf_putc(&b, '\n');
	return write_document(c, &b, a, e);
}

int docker_config_login(DockerConfig *c, const char *registry, const Credential *credential, Arena *a, bool *ret_plain, Err *e)
{
	const char *key = key_of(registry), *helper = helper_of(c, key);
	if (credential->username && strchr(credential->username, ':'))
		return err_set(e, ERR_USAGE, EINVAL, "login at %s: a user's name cannot hold ':'", registry);
	int r = helper ? helper_store(helper, key, credential, c->helper_timeout_ms, e) : 0;
	if (r >= 0) r = write_auth(c, key, credential, !helper, a, e);
	if (r < 0) return r;
	*ret_plain = !helper;
	return 0;
}

int docker_config_logout(DockerConfig *c, const char *registry, Arena *a, bool *ret_known, Err *e)
{
	const char *key = key_of(registry), *helper = helper_of(c, key);
	const JsonValue *auths = c->root ? json_get(c->root, "auths") : NULL;
	bool known = find_entry(auths, key);
	int r = 0;
	if (helper) r = helper_erase(helper, key, c->helper_timeout_ms, e);
	if (r >= 0 && known) r = write_auth(c, key, NULL, false, a, e);
	if (r < 0) return r;
	*ret_known = known;
	return 0;
}
