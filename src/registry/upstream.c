/* upstream.c: what is under way, what is known of upstreams; see upstream.h. */
#include "registry/upstream.h"

#include "image/certs.h"
#include "registry/service.h"

enum { KEY_MAX = NAME_MAX_LENGTH + UPSTREAM_REFERENCE_MAX + 3, KNOWN_BYTES = 2 << 20, ENDPOINTS_BYTES = 64 << 20 };

#define SECOND INT64_C(1000000000)

/* ---- which upstream ---- */

const RegistryProxy *upstream_proxy(const RegistryOptions *o, const char *name)
{
	const RegistryProxy *best = NULL;
	for (size_t i = 0; i < o->proxies.n; i++) {
		const RegistryProxy *p = &o->proxies.items[i];
		if (name_below(name, p->prefix) && (!best || strlen(p->prefix) > strlen(best->prefix))) best = p;
	}
	return best;
}

int upstream_repository(const RegistryProxy *p, const char *name, char ret[static NAME_MAX_LENGTH + 1])
{
	const char *rest = name + strlen(p->prefix), *path = p->path;
	if (*rest == '/' && p->prefix[0]) rest++;
	if (!*rest && !*path) return -ENOENT;
	if (p->library && !*path && !strchr(rest, '/')) path = "library";
	int n = snprintf(ret, NAME_MAX_LENGTH + 1, "%s%s%s", path, *path && *rest ? "/" : "", rest);
	return n < 0 || n > NAME_MAX_LENGTH ? -ENAMETOOLONG : 0;
}

/* ---- what is known ---- */

static Str key_of(char key[static KEY_MAX], FetchKind kind, const char *name, const char *reference)
{
	/* a digest may be known as a blob and unknown as a manifest */
	int n = snprintf(key, KEY_MAX, "%s\n%s%s", name, kind == FETCH_BLOB ? "@" : "", reference);
	return (Str){ key, n < 0 ? 0 : (size_t)n };
}

typedef struct Known {
	int64_t until; /* ns, of the loop */
	bool stale;
} Known;

static bool is_known(Registry *reg, Cache *c, FetchKind kind, const char *name, const char *reference, Known *ret)
{
	char key[KEY_MAX];
	Str value;
	if (!cache_get(c, key_of(key, kind, name, reference), &value) || value.n != sizeof *ret) return false;
	memcpy(ret, value.p, sizeof *ret);
	return loop_now(&reg->loop) < ret->until;
}

static void set_known(const Fetch *f, Cache *c, uint64_t seconds, bool stale)
{
	char key[KEY_MAX];
	const Known known = { .until = loop_now(&f->reg->loop) + (int64_t)seconds * SECOND, .stale = stale };
	cache_put(c, key_of(key, f->kind, f->name, f->reference), (Str){ (const char *)&known, sizeof known }, (Str){ 0 });
}

bool upstream_is_unknown(Registry *reg, FetchKind kind, const char *name, const char *reference)
{
	Known known;
	return is_known(reg, &reg->upstream.unknown, kind, name, reference, &known);
}

void upstream_set_unknown(const Fetch *f)
{
	uint64_t ttl = f->proxy->ttl.v;
	set_known(f, &f->reg->upstream.unknown, ttl < UPSTREAM_UNKNOWN_SECONDS ? ttl : UPSTREAM_UNKNOWN_SECONDS, false);
}

bool upstream_believes(Registry *reg, const char *name, const char *tag, bool *ret_stale)
{
	Known known;
	if (!is_known(reg, &reg->upstream.checked, FETCH_MANIFEST, name, tag, &known)) return false;
	*ret_stale = known.stale;
	return true;
}

void upstream_believe(const Fetch *f)
{
	set_known(f, &f->reg->upstream.checked, f->proxy->ttl.v, false);
}

void upstream_distrust(const Fetch *f)
{
	set_known(f, &f->reg->upstream.checked, UPSTREAM_RETRY_SECONDS, true);
}

void upstream_forget(Registry *reg, const char *name, const char *reference)
{
	char key[KEY_MAX];
	cache_drop(&reg->upstream.checked, key_of(key, FETCH_MANIFEST, name, reference));
	cache_drop(&reg->upstream.unknown, key_of(key, FETCH_MANIFEST, name, reference));
}

/* ---- its life ---- */

static int make_endpoint(const RegistryProxy *p, Arena *a, TransferEndpoint *ret, Err *e)
{
	Certs certs;
	const char *host = p->library ? "docker.io" : strstr(p->url, "://") + 3;
	*ret = (TransferEndpoint){ .url = p->url, .username = p->username, .password = p->password, .insecure = p->insecure };
	int r = certs_find(host, a, &certs, e);
	if (r >= 0) r = certs_read(&certs, a, ret, e);
	return r < 0 ? err_wrap(e, "proxies: %s", p->url) : r;
}

int upstream_init(Registry *reg, Err *e)
{
	Upstream *u = &reg->upstream;
	const RegistryOptions *o = reg->o;
	u->unknown = CACHE_INIT(KNOWN_BYTES);
	u->checked = CACHE_INIT(KNOWN_BYTES);
	u->arena = ARENA_INIT(ENDPOINTS_BYTES);
	u->endpoints = arena_array(&u->arena, o->proxies.n + 1, sizeof *u->endpoints);
	if (!u->endpoints) return err_sys(e, ENOMEM, "proxies");
	int r = 0;
	for (size_t i = 0; r >= 0 && i < o->proxies.n; i++)
		r = make_endpoint(&o->proxies.items[i], &u->arena, &u->endpoints[i], e);
	return r < 0 ? r : 0;
}

void upstream_stop(Registry *reg)
{
	for (Fetch *f = reg->upstream.fetches, *next; f; f = next) {
		next = f->next;
		if (f->asking) fetch_end(f);
	}
}

void upstream_done(Registry *reg)
{
	while (reg->upstream.fetches)
		fetch_end(reg->upstream.fetches);
	cache_done(&reg->upstream.unknown);
	cache_done(&reg->upstream.checked);
	arena_done(&reg->upstream.arena);
}

/* ---- fetches ---- */

Fetch *fetch_find(Registry *reg, FetchKind kind, const char *name, const char *reference)
{
	Fetch *f = reg->upstream.fetches;
	while (f && (f->closed || f->kind != kind || !streq(f->reference, reference) || !streq(f->name, name)))
		f = f->next;
	return f;
}

Fetch *fetch_add(Request *q, FetchKind kind, const char *reference, size_t size)
{
	Upstream *u = &q->reg->upstream;
	char repository[NAME_MAX_LENGTH + 1];
	int r = upstream_repository(q->proxy, q->name, repository);
	if (r < 0) {
		reply_error(q, CODE_NAME_UNKNOWN, "%s: its name is %s at %s", q->name, r == -ENOENT ? "empty" : "too long", q->proxy->url);
		return NULL;
	}
	Fetch *f = u->n < UPSTREAM_FETCHES_MAX ? calloc(1, size) : NULL;
	if (!f) {
		reply_error_status(q, 503, CODE_TOOMANYREQUESTS, "too much is being fetched from upstreams; try again");
		return NULL;
	}
	f->reg = q->reg;
	f->proxy = q->proxy;
	f->kind = kind;
	snprintf(f->name, sizeof f->name, "%s", q->name);
	snprintf(f->repository, sizeof f->repository, "%s", repository);
	snprintf(f->reference, sizeof f->reference, "%s", reference);
	f->next = u->fetches;
	if (f->next) f->next->prev = f;
	u->fetches = f;
	u->n++;
	return f;
}

void fetch_end(Fetch *f)
{
	Upstream *u = &f->reg->upstream;
	*(f->prev ? &f->prev->next : &u->fetches) = f->next;
	if (f->next) f->next->prev = f->prev;
	u->n--;
	while (f->waiters)
		fetch_unwait(f->waiters);
	f->free(f);
}

static void on_event(void *arg, const TransferEvent *ev)
{
	Fetch *f = arg;
	if (ev->kind == TRANSFER_DONE || ev->kind == TRANSFER_FAILED)
		f->asking = false;
	else if (ev->kind != TRANSFER_PROGRESS)
		return;
	f->event(f, ev);
}

int fetch_send(Fetch *f, TransferRequest *req, int body, Err *e)
{
	req->endpoints.items = &f->reg->upstream.endpoints[f->proxy - f->reg->o->proxies.items];
	req->endpoints.n = 1;
	req->repository = f->repository;
	int r = worker_send(f->reg, req, &(TransferFds){ .body = body }, on_event, f, e);
	if (r >= 0) f->asking = true;
	return r;
}

/* ---- who waits ---- */

static void on_abort(void *arg, HttpExchange *x)
{
	Waiter *w = arg;
	if (w->fetch) fetch_unwait(w);
	if (w->aborted) w->aborted(w);
}

void fetch_wait(Fetch *f, Waiter *w, Request *q, void (*aborted)(Waiter *w))
{
	w->q = q;
	w->fetch = f;
	w->aborted = aborted;
	w->prev = NULL;
	w->next = f->waiters;
	if (w->next) w->next->prev = w;
	f->waiters = w;
	http_on_abort(q->x, on_abort, w);
}

void fetch_unwait(Waiter *w)
{
	Fetch *f = w->fetch;
	*(w->prev ? &w->prev->next : &f->waiters) = w->next;
	if (w->next) w->next->prev = w->prev;
	w->fetch = NULL;
	w->prev = w->next = NULL;
}

Request *fetch_next(Fetch *f)
{
	Waiter *w = f->waiters;
	f->closed = true;
	if (!w) return NULL;
	fetch_unwait(w);
	http_on_abort(w->q->x, NULL, NULL);
	return w->q;
}

/* ---- failures ---- */

void fetch_failure(const TransferEvent *ev, FetchFailure *ret)
{
	*ret = (FetchFailure){ .status = (int)ev->status, .e = ERR_INIT };
	transfer_event_error(ev, &ret->e);
}

bool fetch_is_gone(const FetchFailure *f)
{
	return f->status == 404 || f->status == 410;
}

void fetch_refuse(Request *q, const FetchFailure *f)
{
	const char *url = q->proxy->url;
	bool manifest = q->route.kind == ROUTE_MANIFEST;
	if (fetch_is_gone(f))
		reply_error(q, manifest ? CODE_MANIFEST_UNKNOWN : CODE_BLOB_UNKNOWN, "%s: %s has no %s", q->name, url, q->reference);
	else if (f->status == 401 || f->status == 403)
		reply_error(q, CODE_DENIED, "%s: %s does not give %s to this registry", q->name, url, q->reference);
	else if (f->status == 429)
		reply_error(q, CODE_TOOMANYREQUESTS, "%s: %s wants fewer requests", q->name, url);
	else
		reply_error_status(q, 502, CODE_UNSUPPORTED, "%s: %s could not be got from %s; the registry's log says why", q->name,
				   q->reference, url);
}

void fetch_log(const Fetch *f, const FetchFailure *failure)
{
	f->reg->upstream.failed++;
	log_write(f->reg->log, LOG_WARN, "proxy %s: %s: %s", f->name, f->proxy->url, failure->e.msg);
}
