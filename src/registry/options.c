/* options.c: see options.h. */
#include "registry/options.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/glob.h"
#include "registry/name.h"
#include "registry/webhook.h"
#include "sys/fd.h"

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
	   ROW(RegistryWebhook, "repositories", BIND_STRINGS, repositories), ROW(RegistryWebhook, "events", BIND_STRINGS, events));
BIND_TABLE(tls_table, "tls", RegistryTls, ROW(RegistryTls, "certificate", BIND_STRING, certificate, .flags = BIND_REQUIRED),
	   ROW(RegistryTls, "key", BIND_STRING, key, .flags = BIND_REQUIRED), ROW(RegistryTls, "clientCA", BIND_STRING, client_ca),
	   ROW(RegistryTls, "clientRequired", BIND_BOOL, client_required));
BIND_TABLE(auth_table, "auth", RegistryAuth, ROW(RegistryAuth, "htpasswd", BIND_STRING, htpasswd),
	   ROW(RegistryAuth, "token", BIND_BOOL, token), ROW(RegistryAuth, "realm", BIND_STRING, realm),
	   ROW(RegistryAuth, "service", BIND_STRING, service), ROW(RegistryAuth, "tokenLifetime", BIND_U64, token_lifetime),
	   ROW(RegistryAuth, "anonymousPull", BIND_BOOL, anonymous_pull),
	   ROW(RegistryAuth, "rules", BIND_LIST, rules, .sub = &access_rule_table));
BIND_TABLE(proxy_table, "proxy", RegistryProxy, ROW(RegistryProxy, "prefix", BIND_STRING, prefix),
	   ROW(RegistryProxy, "upstream", BIND_STRING, upstream, .flags = BIND_REQUIRED));

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
	static const char *const known[] = { "push", "delete", "mount" };
	for (size_t i = 0; i < o->webhooks.n; i++) {
		const RegistryWebhook *hook = &o->webhooks.items[i];
		int r = webhook_check_url(hook->url, e);
		if (r < 0) return err_wrap(e, "webhooks[%zu]", i);
		if (check_patterns(&hook->repositories, "webhooks.repositories", e) < 0) return -EINVAL;
		for (size_t k = 0; k < hook->events.n; k++) {
			bool found = false;
			for (size_t m = 0; m < ARRAY_LEN(known); m++)
				found |= streq(hook->events.items[k], known[m]);
			if (!found)
				return err_set(e, ERR_CONFIG, EINVAL, "webhooks[%zu]: \"%s\" is no event: push, delete, mount", i,
					       hook->events.items[k]);
		}
	}
	return 0;
}

static int check_auth(RegistryOptions *o, Arena *a, Err *e)
{
	RegistryAuth *auth = &o->auth;
	if (o->tls.client_required && !o->tls.client_ca)
		return err_set(e, ERR_CONFIG, EINVAL, "tls.clientRequired: needs tls.clientCA, against which certificates are checked");
	if ((o->tls.certificate != NULL) != (o->tls.key != NULL)) return err_set(e, ERR_CONFIG, EINVAL, "tls: needs certificate and key");
	if (o->tls.client_ca && !o->tls.certificate)
		return err_set(e, ERR_CONFIG, EINVAL, "tls.clientCA: needs tls.certificate and tls.key");
	if (!auth->htpasswd && auth->token) return err_set(e, ERR_CONFIG, EINVAL, "auth.token: needs auth.htpasswd, from which users come");
	if (auth->rules.n && !auth->htpasswd && !o->tls.client_ca)
		return err_set(e, ERR_CONFIG, EINVAL, "auth.rules: need auth.htpasswd or tls.clientCA, from which users come");
	int r = access_check_rules(&auth->rules, "auth.rules", e);
	if (r < 0) return r;
	if (!auth->service) auth->service = "skep-registry";
	if (!auth->token_lifetime) auth->token_lifetime = 300;
	if (auth->token_lifetime > 86400) return err_set(e, ERR_CONFIG, ERANGE, "auth.tokenLifetime: at most 86400 seconds");

	/* what is said by other fields becomes rules, so that rights are asked for in one place */
	static const char *all[] = { "**", NULL }, *anyone[] = { "*", NULL }, *nobody[] = { "anonymous", NULL };
	static int everything[] = { ACCESS_ALL }, pull[] = { ACCESS_PULL };
	AccessRule *rules = arena_array(a, auth->rules.n + 2, sizeof *rules);
	if (!rules) return err_sys(e, ENOMEM, "read the rules");
	size_t n = auth->rules.n;
	if (n) memcpy(rules, auth->rules.items, n * sizeof *rules);
	bool open = !auth->htpasswd && !o->tls.client_ca;
	if (open)
		rules[n++] = (AccessRule){ { all, 1 }, { nobody, 1 }, { everything, 1 } };
	else if (!n)
		rules[n++] = (AccessRule){ { all, 1 }, { anyone, 1 }, { everything, 1 } };
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
	if (o->proxies.n)
		return err_set(e, ERR_UNSUPPORTED, ENOTSUP, "proxies: this registry does not fetch from others (%s)",
			       o->proxies.items[0].upstream);
	for (size_t i = 0; i < o->quotas.n; i++) {
		if (!o->quotas.items[i].prefix) o->quotas.items[i].prefix = "";
		const char *prefix = o->quotas.items[i].prefix;
		if (prefix[0] && !name_valid(str_of(prefix)))
			return err_set(e, ERR_CONFIG, EINVAL, "quotas[%zu]: \"%s\" is no repository name", i, prefix);
	}
	int r = check_gc(&o->gc, e);
	if (r >= 0) r = check_webhooks(o, e);
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
