/* service.c: a request from its head to its endpoint: route, name, who it is, what he may. */
#include "registry/service.h"

#include "base/time.h"

unsigned service_needed_rights(const Request *q)
{
	switch (q->route.kind) {
	case ROUTE_UPLOADS:
	case ROUTE_UPLOAD:
		return ACCESS_PUSH;
	case ROUTE_MANIFEST:
	case ROUTE_BLOB:
		return request_reads(q) ? ACCESS_PULL : request_is(q, "DELETE") ? ACCESS_DELETE : ACCESS_PUSH;
	case ROUTE_TAGS:
	case ROUTE_REFERRERS:
		return ACCESS_PULL;
	default:
		return 0;
	}
}

static void api_base(Request *q)
{
	if (!request_reads(q)) {
		reply_method(q, "GET, HEAD");
		return;
	}
	/* clients log in when this says so; whether one may go on without is decided per repository */
	if (!auth_logged_in(q)) {
		auth_refuse(q, 0);
		return;
	}
	reply_start(q, 200);
	reply_body(q, "application/json", "{}", 2);
}

static void api_health(Request *q)
{
	Err e = ERR_INIT;
	bool well = true;
	AUTO_DB_ROWS rows = { 0 };
	if (db_get(q->reg->db, "SELECT 1 FROM repositories LIMIT 1", DB_NONE, &rows, &e) < 0) {
		log_write(q->reg->log, LOG_ERROR, "health: %s", e.msg);
		well = false;
	}
	reply_start(q, well ? 200 : 503);
	reply_body(q, "text/plain; charset=utf-8", well ? "ok\n" : "failed\n", well ? 3 : 7);
}

static void api_metrics(Request *q)
{
	Registry *reg = q->reg;
	CatalogTotals totals = { 0 };
	Err e = ERR_INIT;
	AUTO_BUF out = BUF_INIT(1 << 20);
	if (catalog_totals(reg->db, &totals, &e) < 0) log_write(reg->log, LOG_ERROR, "metrics: %s", e.msg);
	const RegistryGcResult *gc = &reg->collector.total;
	const Upstream *up = &reg->upstream;
	const MetricsGauge gauges[] = {
		{ "skep_registry_repositories", "Repositories.", false, (double)totals.repositories },
		{ "skep_registry_manifests", "Manifests in all repositories.", false, (double)totals.manifests },
		{ "skep_registry_tags", "Tags in all repositories.", false, (double)totals.tags },
		{ "skep_registry_blobs", "Blobs, each counted once.", false, (double)totals.blobs },
		{ "skep_registry_blob_bytes", "Bytes of blobs, each counted once.", false, (double)totals.bytes },
		{ "skep_registry_uploads", "Uploads that are receiving or known to this process.", false, (double)reg->uploads.n },
		{ "skep_registry_connections", "Connections.", false, (double)http_server_connections(reg->http) },
		{ "skep_registry_cache_bytes", "Bytes of manifests in memory.", false, (double)reg->cache.bytes },
		{ "skep_registry_cache_hits_total", "Manifests and tags found in memory.", true, (double)reg->cache.hits },
		{ "skep_registry_cache_misses_total", "Manifests and tags not found in memory.", true, (double)reg->cache.misses },
		{ "skep_registry_gc_runs_total", "Collections.", true, (double)reg->collector.runs },
		{ "skep_registry_gc_blobs_total", "Blobs collected.", true, (double)gc->blobs },
		{ "skep_registry_gc_bytes_total", "Bytes of blobs collected.", true, (double)gc->bytes },
		{ "skep_registry_gc_manifests_total", "Manifests collected.", true, (double)gc->manifests },
		{ "skep_registry_gc_tags_total", "Tags collected.", true, (double)gc->tags },
		{ "skep_registry_proxy_hits_total", "Manifests and blobs of upstreams that were here.", true, (double)up->hits },
		{ "skep_registry_proxy_misses_total", "Manifests and blobs that had to be got from an upstream.", true,
		  (double)up->misses },
		{ "skep_registry_proxy_stale_total", "Tags served although their upstream did not answer.", true, (double)up->stale },
		{ "skep_registry_proxy_failures_total", "Requests to upstreams that failed.", true, (double)up->failed },
		{ "skep_registry_proxy_received_bytes_total", "Bytes got from upstreams.", true, (double)up->bytes },
		{ "skep_registry_proxy_fetches", "Manifests and blobs being got from upstreams.", false, (double)up->n },
		{ "skep_registry_webhooks_sent_total", "Events delivered.", true, (double)reg->webhooks.sent },
		{ "skep_registry_webhooks_failed_total", "Deliveries that failed.", true, (double)reg->webhooks.failed },
	};
	metrics_write(&reg->metrics, gauges, ARRAY_LEN(gauges), &out);
	reply_start(q, 200);
	reply_body(q, "text/plain; version=0.0.4; charset=utf-8", out.p, out.n);
}

static void dispatch_metrics(Request *q)
{
	if (!request_reads(q))
		reply_method(q, "GET, HEAD");
	else if (q->route.kind == ROUTE_METRICS)
		api_metrics(q);
	else
		api_health(q);
}

static bool changes_something(const Request *q)
{
	return !request_reads(q) && q->name != NULL;
}

/* Who it is is known. */
static void dispatch(Request *q)
{
	const RegistryOptions *o = q->reg->o;
	unsigned needed = service_needed_rights(q);
	if ((q->rights & needed) != needed) {
		auth_refuse(q, needed);
		return;
	}
	if (q->proxy && needed & ACCESS_PUSH) {
		reply_error(q, CODE_UNSUPPORTED, "%s is a copy of what is at %s: push there", q->name, q->proxy->url);
		return;
	}
	if (o->readonly && changes_something(q)) {
		reply_error(q, CODE_UNSUPPORTED, "the registry is read-only");
		return;
	}
	if (o->no_delete && request_is(q, "DELETE") && q->route.kind != ROUTE_UPLOAD) {
		reply_error(q, CODE_UNSUPPORTED, "deletion is turned off in this registry");
		return;
	}
	switch (q->route.kind) {
	case ROUTE_BASE:
		api_base(q);
		break;
	case ROUTE_CATALOG:
		api_catalog(q);
		break;
	case ROUTE_TAGS:
		api_tags(q);
		break;
	case ROUTE_MANIFEST:
		api_manifest(q);
		break;
	case ROUTE_BLOB:
		api_blob(q);
		break;
	case ROUTE_UPLOADS:
		api_uploads(q);
		break;
	case ROUTE_UPLOAD:
		api_upload(q);
		break;
	case ROUTE_REFERRERS:
		api_referrers(q);
		break;
	case ROUTE_METRICS:
		if (auth_is_known(q))
			dispatch_metrics(q);
		else
			auth_refuse(q, 0);
		break;
	default:
		reply_error_status(q, 404, CODE_UNSUPPORTED, "no such endpoint");
	}
}

static Request *request_new(Registry *reg, HttpExchange *x)
{
	Request *q = arena_alloc(http_arena(x), sizeof *q);
	if (!q) {
		http_reply(x, 503);
		http_finish(x);
		return NULL;
	}
	*q = (Request){ .reg = reg, .x = x, .method = http_method(x), .route = route_parse(str_of(http_path(x))), .reference = "" };
	q->started = time_monotonic();
	return q;
}

static bool take_names(Request *q)
{
	Arena *a = http_arena(q->x);
	bool named = q->route.kind >= ROUTE_TAGS && q->route.kind <= ROUTE_REFERRERS;
	if (!named) return true;
	if (!name_valid(q->route.name)) {
		reply_error(q, CODE_NAME_INVALID, NULL);
		return false;
	}
	q->name = arena_str(a, q->route.name);
	if (q->name) q->proxy = upstream_proxy(q->reg->o, q->name);
	if (q->route.reference.n) q->reference = arena_str(a, q->route.reference);
	if (q->name && q->reference) return true;
	reply_error_status(q, 503, CODE_UNSUPPORTED, "no memory left for this request");
	return false;
}

void service_handle(void *arg, HttpExchange *x)
{
	Registry *reg = arg;
	Request *q = request_new(reg, x);
	if (!q || !take_names(q)) return;
	if (q->route.kind == ROUTE_HEALTH) {
		dispatch_metrics(q);
	} else if (q->route.kind == ROUTE_TOKEN && reg->o->auth.token) {
		api_token(q);
	} else if (q->route.kind == ROUTE_TOKEN || (q->route.kind == ROUTE_METRICS && reg->metrics_http)) {
		reply_error_status(q, 404, CODE_UNSUPPORTED, "no such endpoint");
	} else {
		auth_begin(q, dispatch);
	}
}

void service_handle_metrics(void *arg, HttpExchange *x)
{
	Request *q = request_new(arg, x);
	if (!q) return;
	if (q->route.kind == ROUTE_METRICS || q->route.kind == ROUTE_HEALTH)
		dispatch_metrics(q);
	else
		reply_error_status(q, 404, CODE_UNSUPPORTED, "no such endpoint");
}

/* ---- changes ---- */

static int change_run(void *arg, Committer *committer, Db *db, Err *e)
{
	Change *c = arg;
	return c->run(c, db, e);
}

static void change_done(void *arg, int result, const Err *e)
{
	Change *c = arg;
	if (c->q) http_on_abort(c->q->x, NULL, NULL);
	if (c->done) c->done(c, result, e);
	free(c);
}

static void change_abort(void *arg, HttpExchange *x)
{
	((Change *)arg)->q = NULL;
}

void change_submit(Registry *reg, Request *q, const char *name, const char *reference, const char *other,
		   int (*run)(Change *c, Db *db, Err *e), void (*done)(Change *c, int result, const Err *e))
{
	Change *c = calloc(1, sizeof *c);
	if (!c) {
		if (q) reply_error_status(q, 503, CODE_UNSUPPORTED, "no memory left for this request");
		return;
	}
	*c = (Change){ .reg = reg, .q = q, .run = run, .done = done, .commit = { .run = change_run, .done = change_done, .arg = c } };
	/* all three were checked against these lengths */
	snprintf(c->name, sizeof c->name, "%s", name);
	snprintf(c->reference, sizeof c->reference, "%s", reference);
	snprintf(c->other, sizeof c->other, "%s", other);
	if (q) http_on_abort(q->x, change_abort, c);
	committer_submit(reg->committer, &c->commit);
}
