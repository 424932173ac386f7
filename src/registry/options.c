/* options.c: see options.h. */
#include "registry/options.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/glob.h"
#include "net/url.h"
#include "registry/name.h"
#include "registry/webhook.h"
#include "sys/fd.h"

enum { PROXY_TTL = 300, PROXY_TTL_MAX = 365 * 86400 };

#define ROW(T, json_name, k, field, ...) \
	{ \
		.name = (json_name), .kind = (k), .offset = offsetof(T, field), ##__VA_ARGS__ \
	}

BIND_TABLE(quota_table, "quota", RegistryQuota, ROW(RegistryQuota, "prefix", BIND_STRING, prefix),
	   ROW(RegistryQuota, "bytes", BIND_U64, bytes, .flags = BIND_REQUIRED));
BIND_TABLE(retention_table, "retention", RegistryRetention,
	   ROW(RegistryRetention, "repositories", BIND_STRINGS, repositories, .flags = BIND_REQUIRED),
	   ROW(RegistryRetention, "tags", BIND_STRINGS, tags, .flags = BIND_REQUIRED),
	   ROW(RegistryRetention, "keepLast", BIND_U32, keep_last), ROW(RegistryRetention, "keepDays", BIND_U32, keep_days));
BIND_TABLE(gc_table, "gc", RegistryGc, ROW(RegistryGc, "interval", BIND_U64, interval),
	   ROW(RegistryGc, "grace", BIND_OPT_UINT, grace, .max = UINT32_MAX), ROW(RegistryGc, "disabled", BIND_BOOL, disabled),
	   ROW(RegistryGc, "untagged", BIND_BOOL, untagged), ROW(RegistryGc, "dangling", BIND_BOOL, dangling),
	   ROW(RegistryGc, "retention", BIND_LIST, retention, .sub = &retention_table));
BIND_TABLE(webhook_table, "webhook", RegistryWebhook, ROW(RegistryWebhook, "url", BIND_STRING, url, .flags = BIND_REQUIRED),
	   ROW(RegistryWebhook, "ca", BIND_STRING, ca), ROW(RegistryWebhook, "repositories", BIND_STRINGS, repositories),
	   ROW(RegistryWebhook, "events", BIND_STRINGS, events));
BIND_TABLE(certificate_table, "certificate", RegistryCertificate,
	   ROW(RegistryCertificate, "certificate", BIND_STRING, certificate, .flags = BIND_REQUIRED),
	   ROW(RegistryCertificate, "key", BIND_STRING, key, .flags = BIND_REQUIRED));
BIND_TABLE(tls_table, "tls", RegistryTls, ROW(RegistryTls, "certificate", BIND_STRING, certificate, .flags = BIND_REQUIRED),
	   ROW(RegistryTls, "key", BIND_STRING, key, .flags = BIND_REQUIRED),
	   ROW(RegistryTls, "certificates", BIND_LIST, certificates, .sub = &certificate_table),
	   ROW(RegistryTls, "clientCA", BIND_STRING, client_ca), ROW(RegistryTls, "clientRequired", BIND_BOOL, client_required));
BIND_TABLE(auth_table, "auth", RegistryAuth, ROW(RegistryAuth, "htpasswd", BIND_STRING, htpasswd),
	   ROW(RegistryAuth, "token", BIND_BOOL, token), ROW(RegistryAuth, "realm", BIND_STRING, realm),
	   ROW(RegistryAuth, "service", BIND_STRING, service), ROW(RegistryAuth, "tokenLifetime", BIND_U64, token_lifetime),
	   ROW(RegistryAuth, "keys", BIND_STRING, keys), ROW(RegistryAuth, "issuer", BIND_STRING, issuer),
	   ROW(RegistryAuth, "anonymousPull", BIND_BOOL, anonymous_pull),
	   ROW(RegistryAuth, "rules", BIND_LIST, rules, .sub = &access_rule_table));
BIND_TABLE(proxy_table, "proxy", RegistryProxy, ROW(RegistryProxy, "prefix", BIND_STRING, prefix),
	   ROW(RegistryProxy, "upstream", BIND_STRING, upstream, .flags = BIND_REQUIRED),
	   ROW(RegistryProxy, "username", BIND_STRING, username), ROW(RegistryProxy, "password", BIND_STRING, password),
	   ROW(RegistryProxy, "ttl", BIND_OPT_UINT, ttl, .max = PROXY_TTL_MAX), ROW(RegistryProxy, "insecure", BIND_BOOL, insecure));

BIND_TABLE(registry_options_table, "registry", RegistryOptions, ROW(RegistryOptions, "root", BIND_STRING, root),
	   ROW(RegistryOptions, "listen", BIND_STRINGS, listen), ROW(RegistryOptions, "metricsListen", BIND_STRING, metrics_listen),
	   ROW(RegistryOptions, "tls", BIND_OBJECT, tls, .sub = &tls_table),
	   ROW(RegistryOptions, "auth", BIND_OBJECT, auth, .sub = &auth_table),
	   ROW(RegistryOptions, "gc", BIND_OBJECT, gc, .sub = &gc_table),
	   ROW(RegistryOptions, "quotas", BIND_LIST, quotas, .sub = &quota_table),
	   ROW(RegistryOptions, "webhooks", BIND_LIST, webhooks, .sub = &webhook_table),
	   ROW(RegistryOptions, "proxies", BIND_LIST, proxies, .sub = &proxy_table),
	   ROW(RegistryOptions, "maxRepositories", BIND_U64, max_repositories), ROW(RegistryOptions, "maxBlob", BIND_U64, max_blob),
	   ROW(RegistryOptions, "uploadExpiry", BIND_U64, upload_expiry), ROW(RegistryOptions, "cache", BIND_U64, cache),
	   ROW(RegistryOptions, "threads", BIND_U32, threads), ROW(RegistryOptions, "readonly", BIND_BOOL, readonly),
	   ROW(RegistryOptions, "noDelete", BIND_BOOL, no_delete), ROW(RegistryOptions, "sparse", BIND_BOOL, sparse),
	   ROW(RegistryOptions, "accessLog", BIND_BOOL, access_log));

int registry_options_load(const char *path, Arena *a, RegistryOptions *o, Err *e)
{
	char *text;
	size_t n;
	int r = fd_read_file(AT_FDCWD, path, REGISTRY_CONFIG_MAX, a, &text, &n, e);
	return r < 0 ? r : bind_parse(&registry_options_table, text, n, o, path, a, e);
}

/* ---- checks ---- */

static int check_patterns(const StrList *patterns, const char *where, Err *e)
{
	for (size_t i = 0; i < patterns->n; i++)
		if (glob_match(str_of(patterns->items[i]), STR("a"), GLOB_STARSTAR) < 0)
			return err_set(e, ERR_CONFIG, EINVAL, "%s: \"%s\" is not a pattern: a class must be closed", where,
				       patterns->items[i]);
	return 0;
}

static int check_gc(const RegistryGc *gc, Err *e)
{
	for (size_t i = 0; i < gc->retention.n; i++) {
		const RegistryRetention *rule = &gc->retention.items[i];
		if (check_patterns(&rule->repositories, "gc.retention", e) < 0 || check_patterns(&rule->tags, "gc.retention", e) < 0)
			return -EINVAL;
		if (!rule->keep_last && !rule->keep_days)
			return err_set(e, ERR_CONFIG, EINVAL, "gc.retention[%zu]: keeps nothing: set keepLast or keepDays", i);
	}
	return 0;
}

static int check_webhooks(const RegistryOptions *o, Err *e)
{
	static const char *const known[] = { "push", "delete", "mount", "pull" };
	for (size_t i = 0; i < o->webhooks.n; i++) {
		const RegistryWebhook *hook = &o->webhooks.items[i];
		int r = webhook_check_url(hook->url, e);
		if (r >= 0 && hook->ca && access(hook->ca, R_OK) < 0) r = err_sys(e, errno, "%s", hook->ca);
		if (r < 0) return err_wrap(e, "webhooks[%zu]", i);
		if (check_patterns(&hook->repositories, "webhooks.repositories", e) < 0) return -EINVAL;
		for (size_t k = 0; k < hook->events.n; k++) {
			bool found = false;
			for (size_t m = 0; m < ARRAY_LEN(known); m++)
				found |= streq(hook->events.items[k], known[m]);
			if (!found)
				return err_set(e, ERR_CONFIG, EINVAL, "webhooks[%zu]: \"%s\" is no event: push, delete, mount, pull", i,
					       hook->events.items[k]);
		}
	}
	return 0;
}

/* The repository names below the upstream: "" or a name. */
static int check_proxy_path(RegistryProxy *p, Str path, Arena *a, Err *e)
{
	while (path.n && path.p[0] == '/')
		path = (Str){ path.p + 1, path.n - 1 };
	while (path.n && path.p[path.n - 1] == '/')
		path.n--;
	if (path.n && !name_valid(path))
		return err_set(e, ERR_CONFIG, EINVAL, "upstream %s: its path is no beginning of a repository's name", p->upstream);
	p->path = arena_str(a, path);
	return p->path ? 0 : err_sys(e, ENOMEM, "read the proxies");
}

static int check_proxy(RegistryProxy *p, Arena *a, Err *e)
{
	Url url;
	if (!p->prefix) p->prefix = "";
	if (p->prefix[0] && !name_valid(str_of(p->prefix)))
		return err_set(e, ERR_CONFIG, EINVAL, "\"%s\" is no repository name", p->prefix);
	const char *text = strstr(p->upstream, "://") ? p->upstream : arena_printf(a, "https://%s", p->upstream);
	if (!text) return err_sys(e, ENOMEM, "read the proxies");
	int r = url_parse(str_of(text), &url, e);
	if (r < 0) return err_wrap(e, "upstream");
	if (url.user.n)
		return err_set(e, ERR_CONFIG, EINVAL, "upstream at %.*s: credentials belong in username and password", (int)url.host.n,
			       url.host.p);
	if ((!str_eq(url.scheme, "https") && !str_eq(url.scheme, "http")) || !url.host.n || url.has_query || url.has_fragment)
		return err_set(e, ERR_CONFIG, EINVAL, "upstream %s: expected https://HOST[:PORT][/PATH], http:// or a host", p->upstream);
	if (!p->username != !p->password)
		return err_set(e, ERR_CONFIG, EINVAL, "upstream %s: username and password belong together", p->upstream);
	/* the name that people know of docker's registry is not the one it answers to */
	p->library = str_eq(url.host, "docker.io") || str_eq(url.host, "index.docker.io") || str_eq(url.host, "registry-1.docker.io");
	char port[16] = "";
	if (url.port) snprintf(port, sizeof port, ":%d", url.port);
	if (p->library)
		p->url = arena_strdup(a, "https://registry-1.docker.io");
	else
		p->url = arena_printf(a, "%.*s://%s%.*s%s%s", (int)url.scheme.n, url.scheme.p, url.is_ipv6 ? "[" : "", (int)url.host.n,
				      url.host.p, url.is_ipv6 ? "]" : "", port);
	if (!p->url) return err_sys(e, ENOMEM, "read the proxies");
	if (!p->ttl.set) p->ttl = (OptUint){ .set = true, .v = PROXY_TTL };
	return check_proxy_path(p, url.path, a, e);
}

static int check_proxies(RegistryOptions *o, Arena *a, Err *e)
{
	if (o->proxies.n && o->readonly)
		return err_set(e, ERR_CONFIG, EINVAL,
			       "proxies: a read-only registry keeps no copies; pushes below a prefix are refused anyway");
	for (size_t i = 0; i < o->proxies.n; i++) {
		if (check_proxy(&o->proxies.items[i], a, e) < 0) return err_wrap(e, "proxies[%zu]", i);
		for (size_t k = 0; k < i; k++)
			if (streq(o->proxies.items[k].prefix, o->proxies.items[i].prefix))
				return err_set(e, ERR_CONFIG, EINVAL, "proxies[%zu]: the prefix \"%s\" has an upstream already", i,
					       o->proxies.items[i].prefix);
	}
	return 0;
}

/* What goes into a challenge as it is. */
static bool is_quotable(const char *s)
{
	for (; *s; s++)
		if (*s < ' ' || *s > '~' || *s == '"' || *s == '\\') return false;
	return true;
}

static int check_token_server(const RegistryAuth *auth, Err *e)
{
	Url url;
	if (auth->service && !is_quotable(auth->service)) return err_set(e, ERR_CONFIG, EINVAL, "auth.service: not a plain text");
	if (auth->realm && !is_quotable(auth->realm)) return err_set(e, ERR_CONFIG, EINVAL, "auth.realm: not a URL");
	if (!auth->keys)
		return auth->issuer ? err_set(e, ERR_CONFIG, EINVAL, "auth.issuer: is for tokens of another server: needs auth.keys") : 0;
	if (!auth->realm || !auth->issuer)
		return err_set(e, ERR_CONFIG, EINVAL, "auth.keys: needs auth.realm, where the tokens come from, and auth.issuer");
	if (auth->htpasswd || auth->token || auth->anonymous_pull)
		return err_set(e, ERR_CONFIG, EINVAL,
			       "auth.keys: the other server decides: without auth.htpasswd, auth.token and auth.anonymousPull");
	int r = url_parse(str_of(auth->realm), &url, e);
	if (r < 0) return err_wrap(e, "auth.realm");
	if ((!str_eq(url.scheme, "https") && !str_eq(url.scheme, "http")) || !url.host.n)
		return err_set(e, ERR_CONFIG, EINVAL, "auth.realm: %s: expected https:// or http:// and a host", auth->realm);
	return 0;
}

static int check_tls(const RegistryOptions *o, Err *e)
{
	if (o->tls.client_required && !o->tls.client_ca)
		return err_set(e, ERR_CONFIG, EINVAL, "tls.clientRequired: needs tls.clientCA, against which certificates are checked");
	if ((o->tls.certificate != NULL) != (o->tls.key != NULL)) return err_set(e, ERR_CONFIG, EINVAL, "tls: needs certificate and key");
	if (o->tls.client_ca && !o->tls.certificate)
		return err_set(e, ERR_CONFIG, EINVAL, "tls.clientCA: needs tls.certificate and tls.key");
	return 0;
}

static int check_auth(RegistryOptions *o, Arena *a, Err *e)
{
	RegistryAuth *auth = &o->auth;
	if (!auth->htpasswd && auth->token) return err_set(e, ERR_CONFIG, EINVAL, "auth.token: needs auth.htpasswd, from which users come");
	if (auth->rules.n && !auth->htpasswd && !o->tls.client_ca && !auth->keys)
		return err_set(e, ERR_CONFIG, EINVAL, "auth.rules: need auth.htpasswd, auth.keys or tls.clientCA, from which users come");
	int r = check_token_server(auth, e);
	if (r < 0) return r;
	r = access_check_rules(&auth->rules, "auth.rules", e);
	if (r < 0) return r;
	if (!auth->service) auth->service = "skep-registry";
	if (!auth->token_lifetime) auth->token_lifetime = 300;
	if (auth->token_lifetime > 86400) return err_set(e, ERR_CONFIG, ERANGE, "auth.tokenLifetime: at most 86400 seconds");

	/* what is said by other fields becomes rules, so that rights are asked for in one place */
	static const char *all[] = { "**", NULL }, *anyone[] = { "*", "anonymous", NULL }, *nobody[] = { "anonymous", NULL };
	static int everything[] = { ACCESS_ALL }, pull[] = { ACCESS_PULL };
	AccessRule *rules = arena_array(a, auth->rules.n + 2, sizeof *rules);
	if (!rules) return err_sys(e, ENOMEM, "read the rules");
	size_t n = auth->rules.n;
	if (n) memcpy(rules, auth->rules.items, n * sizeof *rules);
	bool open = !auth->htpasswd && !o->tls.client_ca && !auth->keys;
	if (open)
		rules[n++] = (AccessRule){ { all, 1 }, { nobody, 1 }, { everything, 1 } };
	else if (!n)
		rules[n++] = (AccessRule){ { all, 1 }, { anyone, auth->keys ? 2 : 1 }, { everything, 1 } };
	if (auth->anonymous_pull && !open) rules[n++] = (AccessRule){ { all, 1 }, { nobody, 1 }, { pull, 1 } };
	auth->rules.items = rules;
	auth->rules.n = n;
	return 0;
}

int registry_options_check(RegistryOptions *o, Arena *a, Err *e)
{
	static const char *local[] = { "127.0.0.1:5000", NULL };
	if (!o->root || !o->root[0]) return err_set(e, ERR_USAGE, EINVAL, "root: the registry's directory is not set");
	if (!o->listen.n) o->listen = (StrList){ local, 1 };
	for (size_t i = 0; i < o->quotas.n; i++) {
		if (!o->quotas.items[i].prefix) o->quotas.items[i].prefix = "";
		const char *prefix = o->quotas.items[i].prefix;
		if (prefix[0] && !name_valid(str_of(prefix)))
			return err_set(e, ERR_CONFIG, EINVAL, "quotas[%zu]: \"%s\" is no repository name", i, prefix);
	}
	int r = check_gc(&o->gc, e);
	if (r >= 0) r = check_webhooks(o, e);
	if (r >= 0) r = check_proxies(o, a, e);
	if (r >= 0) r = check_tls(o, e);
	if (r >= 0) r = check_auth(o, a, e);
	if (r < 0) return r;
	if (!o->gc.interval) o->gc.interval = 3600;
	if (!o->gc.grace.set) o->gc.grace = (OptUint){ .set = true, .v = 86400 };
	if (!o->upload_expiry) o->upload_expiry = 86400;
	if (!o->cache) o->cache = 32 << 20;
	if (!o->threads) {
		long n = sysconf(_SC_NPROCESSORS_ONLN);
		o->threads = n < 2 ? 2 : n > 8 ? 8 : (uint32_t)n;
	}
	return 0;
}
