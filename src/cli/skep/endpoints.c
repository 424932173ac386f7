/* endpoints.c: see endpoints.h. */
#include "cli/skep/endpoints.h"

#include "image/registries.h"

enum { PLACES_MAX = 64 };

typedef struct Finding {
	const Invocation *in;
	const char *domain;
	const Credential *who; /* NULL: whatever config.json has */
	Registries registries;
	DockerConfig config;
	TransferEndpoint items[PLACES_MAX];
	size_t n;
} Finding;

static int add(Finding *f, const Endpoint *from, Err *e)
{
	Arena *a = f->in->arena;
	Credential who = f->who ? *f->who : (Credential){ 0 };
	if (f->n == PLACES_MAX) return 0;
	TransferEndpoint *t = &f->items[f->n];
	*t = (TransferEndpoint){ .url = arena_printf(a, "%s://%s", from->scheme, from->host),
				 .repository = from->path,
				 .insecure = from->insecure };
	if (!t->url) return err_sys(e, ENOMEM, "%s", from->host);
	/* a registry's credentials stand under its own name, whatever address it is asked at; a mirror's under the mirror's */
	int r = f->who ? 0 : docker_config_credential(&f->config, from->mirror ? from->host : f->domain, from->path, a, &who, e);
	if (r < 0) return r;
	t->username = who.username;
	t->password = who.password;
	t->identity_token = who.identity_token;
	if ((r = certs_read(&from->certs, a, t, e)) < 0) return r;
	f->n++;
	return 0;
}

/* The addresses of domain/path, those of its mirrors left out when a credential is to be tried. */
static int find(const Invocation *in, const char *domain, const char *path, bool by_digest, const Credential *who, Endpoints *ret, Err *e)
{
	Finding *f = arena_alloc(in->arena, sizeof *f);
	EndpointList places;
	if (!f) return err_sys(e, ENOMEM, "%s", domain);
	*f = (Finding){ .in = in, .domain = domain, .who = who };
	registries_init(&f->registries);
	int r = registries_load(&f->registries, in->arena, e);
	if (r >= 0) r = docker_config_load(skep_of(in)->config, in->arena, &f->config, e);
	if (r >= 0) r = registries_endpoints(&f->registries, domain, path, by_digest, in->arena, &places, e);
	for (size_t i = 0; r >= 0 && i < places.n; i++) {
		if (!who || !places.items[i].mirror) r = add(f, &places.items[i], e);
	}
	if (r < 0) return r;
	*ret = (Endpoints){ f->items, f->n };
	return 0;
}

int endpoints_find(const Invocation *in, const Reference *ref, Endpoints *ret, Err *e)
{
	return find(in, ref->domain, ref->path, ref->digest.algorithm != 0, NULL, ret, e);
}

int endpoints_of(const Invocation *in, const char *registry, const Credential *who, Endpoints *ret, Err *e)
{
	return find(in, registry, "", false, who, ret, e);
}

static bool is_short(const char *name)
{
	const char *slash = strchr(name, '/');
	return !slash || (!memchr(name, '.', (size_t)(slash - name)) && !memchr(name, ':', (size_t)(slash - name)) &&
			  strncmp(name, "localhost/", 10) != 0);
}

int endpoints_expand(const Invocation *in, const char *name, Reference *ret, Err *e)
{
	Registries registries;
	StrList names;
	int r = reference_parse(str_of(name), in->arena, ret, e);
	if (r < 0 || !is_short(name)) return r;
	registries_init(&registries);
	if ((r = registries_load(&registries, in->arena, e)) < 0) return r;
	size_t bare = strcspn(name, ":@");
	char *base = arena_str(in->arena, (Str){ name, bare });
	if (!base) return err_sys(e, ENOMEM, "%s", name);
	if ((r = registries_short_name(&registries, base, in->arena, &names, e)) < 0) return r;
	if (!names.n) return 0;
	const char *whole = arena_printf(in->arena, "%s%s", names.items[0], name + bare);
	return whole ? reference_parse(str_of(whole), in->arena, ret, e) : err_sys(e, ENOMEM, "%s", name);
}

int endpoints_tuning(const Invocation *in, TransferTuning *t, Err *e)
{
	StrMap given;
	const struct {
		const char *name;
		uint32_t *to;
	} rows[] = { { "attempts", &t->attempts }, { "backoff-ms", &t->backoff_ms },   { "connect-ms", &t->connect_ms },
		     { "stall-ms", &t->stall_ms }, { "deadline-ms", &t->deadline_ms }, { "redirects", &t->redirects } };
	if (option_map(in, "tuning", &given) < 0) return err_sys(e, ENOMEM, "--tuning");
	for (size_t i = 0; i < given.n; i++) {
		size_t k = 0;
		while (k < ARRAY_LEN(rows) && !streq(rows[k].name, given.items[i].key))
			k++;
		if (k == ARRAY_LEN(rows) || str_to_u32(str_of(given.items[i].value), rows[k].to) < 0)
			return err_set(e, ERR_USAGE, EINVAL, "--tuning: %s=%s", given.items[i].key, given.items[i].value);
	}
	return 0;
}
