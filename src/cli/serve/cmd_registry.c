/* cmd_registry.c: registry serve, gc, check. */
#include "cli/serve/commands.h"
#include "cli/skep/commands.h"
#include "registry/registry.h"

/* The file first, flags over it. */
static int read_options(const Invocation *in, RegistryOptions *o, Err *e)
{
	const char *config = option_value(in, "config-file"), *root = option_value(in, "root");
	*o = (RegistryOptions){ 0 };
	int r = config ? registry_options_load(config, in->arena, o, e) : 0;
	if (r < 0) return r;
	if (root) o->root = root;
	if (!o->root) o->root = arena_printf(in->arena, "%s/registry", skep_of(in)->root);
	return o->root ? 0 : err_sys(e, ENOMEM, "registry");
}

static void take_text(const Invocation *in, const char *name, const char **to)
{
	const char *text = option_value(in, name);
	if (text) *to = text;
}

static void take_flags(const Invocation *in, RegistryOptions *o)
{
	const StrList *listen = option_list(in, "listen");
	if (listen->n) o->listen = *listen;
	take_text(in, "tls-client-ca", &o->tls.client_ca);
	take_text(in, "htpasswd", &o->auth.htpasswd);
	take_text(in, "token-keys", &o->auth.keys);
	take_text(in, "token-realm", &o->auth.realm);
	take_text(in, "token-service", &o->auth.service);
	take_text(in, "token-issuer", &o->auth.issuer);
	take_text(in, "metrics-listen", &o->metrics_listen);
	if (option_switch(in, "tls-client-required")) o->tls.client_required = true;
	if (option_switch(in, "token")) o->auth.token = true;
	if (option_switch(in, "anonymous-pull")) o->auth.anonymous_pull = true;
	if (option_switch(in, "read-only")) o->readonly = true;
	if (option_switch(in, "no-delete")) o->no_delete = true;
	if (option_switch(in, "sparse")) o->sparse = true;
	if (option_switch(in, "access-log")) o->access_log = true;
	if (option_is_set(in, "threads")) o->threads = (uint32_t)option_number(in, "threads");
}

/* Pairs in their order, in the place of what the file says. */
static int take_certificates(const Invocation *in, RegistryOptions *o, Err *e)
{
	const StrList *certs = option_list(in, "tls-cert"), *keys = option_list(in, "tls-key");
	if (certs->n != keys->n) return err_set(e, ERR_USAGE, EINVAL, "--tls-cert and --tls-key: each certificate needs its key");
	if (!certs->n) return 0;
	RegistryCertificate *all = arena_array(in->arena, certs->n, sizeof *all);
	if (!all) return err_sys(e, ENOMEM, "--tls-cert");
	for (size_t i = 0; i < certs->n; i++)
		all[i] = (RegistryCertificate){ certs->items[i], keys->items[i] };
	o->tls.certificate = all[0].certificate;
	o->tls.key = all[0].key;
	o->tls.certificates.items = all + 1;
	o->tls.certificates.n = certs->n - 1;
	return 0;
}

/* PREFIX=URL: in the place of what the file says of that prefix. */
static int take_proxy(const Invocation *in, const char *text, RegistryOptions *o, Err *e)
{
	Str prefix, url;
	size_t at = 0;
	if (!str_cut(str_of(text), '=', &prefix, &url) || !url.n)
		return err_set(e, ERR_USAGE, EINVAL, "--proxy %s: expected PREFIX=URL, or =URL for all repositories", text);
	RegistryProxy *all = arena_array(in->arena, o->proxies.n + 1, sizeof *all);
	RegistryProxy new = { .prefix = arena_str(in->arena, prefix), .upstream = arena_str(in->arena, url) };
	if (!all || !new.prefix || !new.upstream) return err_sys(e, ENOMEM, "--proxy %s", text);
	if (o->proxies.n) memcpy(all, o->proxies.items, o->proxies.n * sizeof *all);
	while (at < o->proxies.n && !streq(all[at].prefix ? all[at].prefix : "", new.prefix))
		at++;
	all[at] = new;
	o->proxies.items = all;
	if (at == o->proxies.n) o->proxies.n++;
	return 0;
}

static int take_proxies(const Invocation *in, RegistryOptions *o, Err *e)
{
	const StrList *list = option_list(in, "proxy");
	int r = 0;
	for (size_t i = 0; r >= 0 && i < list->n; i++)
		r = take_proxy(in, list->items[i], o, e);
	return r;
}

static void tell_ready(void *arg, int port)
{
	const RegistryOptions *o = arg;
	const char *where = o->listen.n ? o->listen.items[0] : "127.0.0.1:5000";
	printf("The registry listens on %s (port %d) and keeps its data in %s\n", where, port, o->root);
	fflush(stdout);
}

int registry_serve_run(Invocation *in, Err *e)
{
	RegistryOptions o;
	int r = read_options(in, &o, e);
	if (r < 0) return r;
	take_flags(in, &o);
	if ((r = take_certificates(in, &o, e)) < 0 || (r = take_proxies(in, &o, e)) < 0) return r;
	if ((r = registry_options_check(&o, in->arena, e)) < 0) return r;
	return registry_serve(&o, &in->log, tell_ready, &o, e);
}

int registry_gc_run(Invocation *in, Err *e)
{
	RegistryOptions o;
	RegistryGcResult done;
	AUTO_BUF out = BUF_INIT(4096);
	int r = read_options(in, &o, e);
	if (r < 0 || (r = registry_options_check(&o, in->arena, e)) < 0 || (r = registry_gc(&o, &done, e)) < 0) return r;
	buf_printf(&out, "Removed: %ju tags, %ju manifests, %ju blobs (%ju bytes), %ju uploads, %ju files\n", (uintmax_t)done.tags,
		   (uintmax_t)done.manifests, (uintmax_t)done.blobs, (uintmax_t)done.bytes, (uintmax_t)done.uploads, (uintmax_t)done.files);
	return print_buf(&out, e);
}

static void tell_problem(void *arg, const char *problem)
{
	buf_printf(arg, "%s\n", problem);
}

int registry_check_run(Invocation *in, Err *e)
{
	RegistryOptions o;
	RegistryCheckResult found;
	AUTO_BUF out = BUF_INIT(16 << 20);
	int r = read_options(in, &o, e);
	if (r < 0 || (r = registry_options_check(&o, in->arena, e)) < 0) return r;
	r = registry_check(&o, !option_switch(in, "quick"), option_switch(in, "repair"), tell_problem, &out, &found, e);
	if (r < 0) return r;
	buf_printf(&out, "Checked: %ju blobs, %ju manifests, %ju tags; %ju problems, %ju repaired\n", (uintmax_t)found.blobs,
		   (uintmax_t)found.manifests, (uintmax_t)found.tags, (uintmax_t)found.problems, (uintmax_t)found.repaired);
	if ((r = print_buf(&out, e)) < 0) return r;
	return found.problems > found.repaired ? 1 : 0;
}
