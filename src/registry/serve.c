/* serve.c: the server's life: everything is opened, runs, and is closed in the reverse order. */
#include "registry/service.h"

#include <malloc.h>

#include "net/tls.h"
#include "sys/fd_limit.h"

enum {
	GRACE_SECONDS = 10,
	WORKER_STACK = 256 << 10,
	CONNECTIONS_MAX = 20000,
	FDS_PER_CONNECTION = 2,       /* a blob's file */
	FDS_PER_CONNECTION_PROXY = 3, /* one that still arrives has two: upstream_blob.c */
	FDS_OWN = 64,
};

#define SECOND INT64_C(1000000000)

/* ---- collections ---- */

static int collect_run(void *arg, Committer *committer, Db *db, Err *e)
{
	return collection_step(&((Registry *)arg)->collector.now, db, e);
}

static void collect_after(void *arg, Db *db)
{
	collection_after(&((Registry *)arg)->collector.now, db);
}

static void collect_end(Registry *reg)
{
	Collector *c = &reg->collector;
	RegistryGcResult *r = &c->now.result, *total = &c->total;
	r->uploads = uploads_expire(&reg->uploads, &reg->storage, c->now.now - (int64_t)reg->o->upload_expiry * SECOND);
	total->tags += r->tags;
	total->manifests += r->manifests;
	total->links += r->links;
	total->blobs += r->blobs;
	total->bytes += r->bytes;
	total->uploads += r->uploads;
	total->files += r->files;
	total->repositories += r->repositories;
	c->files_done = true;
	c->running = false;
	c->runs++;
	if (r->tags || r->manifests) cache_drop_prefix(&reg->cache, (Str){ "", 0 });
	log_write(reg->log, LOG_INFO, "collected %ju tags, %ju manifests, %ju blobs of %ju bytes, %ju uploads, %ju lost files",
		  (uintmax_t)r->tags, (uintmax_t)r->manifests, (uintmax_t)r->blobs, (uintmax_t)r->bytes, (uintmax_t)r->uploads,
		  (uintmax_t)r->files);
	collector_plan(reg);
}

static void collect_done(void *arg, int result, const Err *e)
{
	Registry *reg = arg;
	/* tags that went must not be answered from memory, not even until the end of the collection */
	if (reg->collector.now.stage <= COLLECT_LINKS) cache_drop_prefix(&reg->cache, (Str){ "", 0 });
	if (result > 0 && !reg->stopping) {
		committer_submit(reg->committer, &reg->collector.commit);
		return;
	}
	if (result < 0) log_write(reg->log, LOG_ERROR, "collection: %s", e->msg);
	collect_end(reg);
}

void collector_start(Registry *reg)
{
	Collector *c = &reg->collector;
	if (c->running || reg->stopping || reg->o->readonly) return;
	c->running = true;
	collection_init(&c->now, reg->o, &reg->storage, !c->files_done);
	c->commit = (Commit){ .run = collect_run, .after = collect_after, .done = collect_done, .arg = reg };
	committer_submit(reg->committer, &c->commit);
}

static void on_collect(void *arg)
{
	collector_start(arg);
}

void collector_plan(Registry *reg)
{
	if (reg->o->gc.disabled || reg->stopping) return;
	loop_timer_set(&reg->loop, &reg->collector.timer, loop_now(&reg->loop) + (int64_t)reg->o->gc.interval * SECOND, on_collect, reg);
}

/* ---- the end ---- */

static void all_gone(Registry *reg)
{
	if (!http_server_connections(reg->http)) loop_stop(&reg->loop, 0);
}

static void on_stopped(void *arg)
{
	all_gone(arg);
}

static void on_stop_timer(void *arg)
{
	Registry *reg = arg;
	log_write(reg->log, LOG_WARN, "%u connections are cut off", http_server_connections(reg->http));
	loop_stop(&reg->loop, 0);
}

static void stop(Registry *reg)
{
	if (reg->stopping) {
		loop_stop(&reg->loop, 0);
		return;
	}
	reg->stopping = true;
	http_server_stop(reg->http);
	if (reg->metrics_http) http_server_stop(reg->metrics_http);
	loop_timer_set(&reg->loop, &reg->stop_timer, loop_now(&reg->loop) + GRACE_SECONDS * SECOND, on_stop_timer, reg);
	all_gone(reg);
}

/* read_certificates: nothing without TLS. */
static int read_certificates(Registry *reg, TlsContext **ret, Err *e)
{
	const RegistryTls *t = &reg->o->tls;
	size_t n = t->certificates.n;
	if (!t->certificate) return 0;
	AUTO_FREE TlsCertificate *all = calloc(n + 1, sizeof *all);
	if (!all) return err_sys(e, ENOMEM, "read the certificates");
	all[0] = (TlsCertificate){ t->certificate, t->key };
	for (size_t i = 0; i < n; i++)
		all[i + 1] = (TlsCertificate){ t->certificates.items[i].certificate, t->certificates.items[i].key };
	TlsServerOptions options = { .certificates = all, .n = n + 1, .client_ca = t->client_ca, .client_optional = !t->client_required };
	return tls_server_new(&options, ret, e);
}

/* Connections that there are keep the certificates that they began with. */
static void reload(Registry *reg)
{
	Err e = ERR_INIT;
	TlsContext *fresh = NULL;
	if (auth_reload(reg, &e) < 0) log_write(reg->log, LOG_ERROR, "the old users stay: %s", e.msg);
	e = (Err)ERR_INIT;
	int r = read_certificates(reg, &fresh, &e);
	if (r < 0) log_write(reg->log, LOG_ERROR, "the old certificates stay: %s", e.msg);
	if (!fresh) return;
	http_server_set_tls(reg->http, fresh);
	tls_context_free(reg->tls);
	reg->tls = fresh;
}

static void on_signal(void *arg, const struct signalfd_siginfo *info)
{
	Registry *reg = arg;
	if (info->ssi_signo == SIGUSR1)
		collector_start(reg);
	else if (info->ssi_signo == SIGHUP)
		reload(reg);
	else
		stop(reg);
}

/* ---- the beginning ---- */

/* As many descriptors as the hard limit grants; then as many connections as fit. */
static unsigned raise_limits(bool proxies)
{
	const rlim_t own = FDS_OWN + (proxies ? UPSTREAM_FETCHES_MAX : 0), each = proxies ? FDS_PER_CONNECTION_PROXY : FDS_PER_CONNECTION;
	rlim_t all = fd_limit_raise(RLIM_INFINITY), n = all > own ? (all - own) / each : 16;
	return n > CONNECTIONS_MAX ? CONNECTIONS_MAX : (unsigned)n;
}

static int start_http(Registry *reg, Err *e)
{
	const RegistryOptions *o = reg->o;
	HttpServerOptions options = { .max_connections = raise_limits(o->proxies.n > 0),
				      .tls = reg->tls,
				      .handle = service_handle,
				      .stopped = on_stopped,
				      .arg = reg };
	int r = http_server_new(&reg->loop, &options, &reg->http, e);
	for (size_t i = 0; r >= 0 && i < o->listen.n; i++)
		r = http_server_listen(reg->http, o->listen.items[i], e);
	if (r < 0 || !o->metrics_listen) return r;
	HttpServerOptions metrics = { .max_connections = 64, .handle = service_handle_metrics, .arg = reg };
	r = http_server_new(&reg->loop, &metrics, &reg->metrics_http, e);
	return r < 0 ? r : http_server_listen(reg->metrics_http, o->metrics_listen, e);
}

static int start_signals(Registry *reg, Err *e)
{
	sigset_t set;
	sigemptyset(&set);
	for (size_t i = 0; i < 4; i++)
		sigaddset(&set, (const int[]){ SIGTERM, SIGINT, SIGHUP, SIGUSR1 }[i]);
	int r = loop_signals_add(&reg->loop, &reg->signals, &set, on_signal, reg);
	return r < 0 ? err_sys(e, -r, "wait for signals") : 0;
}

static int start(Registry *reg, Err *e)
{
	Db *writing;
	int r = storage_open(reg->o->root, &reg->storage, e);
	if (r >= 0) r = catalog_open(reg->o->root, &reg->db, e);
	if (r >= 0) r = catalog_open(reg->o->root, &writing, e);
	/* before the threads, which shall have them blocked */
	if (r >= 0) {
		r = start_signals(reg, e);
		if (r >= 0) r = upstream_init(reg, e);
		if (r >= 0) r = worker_init(reg, e);
		if (r < 0) db_close(writing);
	}
	if (r >= 0) r = committer_new(&reg->loop, writing, &reg->committer, e);
	const WorkQueueOptions workers = { .name = "the registry", .threads = reg->o->threads, .stack = WORKER_STACK };
	if (r >= 0) r = work_queue_new(&reg->loop, &workers, &reg->workers, e);
	if (r >= 0) r = auth_init(reg, e);
	if (r >= 0) r = read_certificates(reg, &reg->tls, e);
	return r < 0 ? r : start_http(reg, e);
}

/* What the clients' requests have begun is ended before what they need is closed: first the exchanges (their owners forget
 * them), then the jobs, whose ends may bring commits, then the commits. */
static void end(Registry *reg)
{
	reg->stopping = true;
	http_server_free(reg->metrics_http);
	http_server_free(reg->http);
	worker_stop(reg);
	upstream_stop(reg);
	reg->http = reg->metrics_http = NULL;
	work_queue_free(reg->workers);
	committer_free(reg->committer);
	upstream_done(reg);
	webhook_done(reg);
	loop_timer_cancel(&reg->collector.timer);
	loop_timer_cancel(&reg->stop_timer);
	loop_signals_remove(&reg->signals);
	uploads_done(&reg->uploads);
	cache_done(&reg->cache);
	auth_done(reg);
	tls_context_free(reg->tls);
	db_close(reg->db);
	storage_close(&reg->storage);
	loop_done(&reg->loop);
}

int registry_serve(const RegistryOptions *o, const Log *log, RegistryReadyFn *ready, void *arg, Err *e)
{
	AUTO_FREE Registry *reg = calloc(1, sizeof *reg);
	if (!reg) return err_sys(e, ENOMEM, "start the registry");
	/* few threads, and pieces of one size that go from one to another: an arena each would keep what others could use */
	mallopt(M_ARENA_MAX, 2);
	/* what a large body's ring took goes back to the kernel; by default the first free of one would raise the limit above its size */
	mallopt(M_MMAP_THRESHOLD, 512 << 10);
	reg->o = o;
	reg->log = log;
	reg->cache = CACHE_INIT(o->cache);
	reg->storage = (Storage){ .root = -1, .uploads = -1, .lock = -1, .blobs = { -1, -1, -1 } };
	int r = loop_init(&reg->loop);
	if (r < 0) return err_sys(e, -r, "start the registry");
	r = start(reg, e);
	if (r >= 0) {
		collector_plan(reg);
		webhook_kick(reg);
		if (ready) ready(arg, http_server_port(reg->http));
		r = loop_run(&reg->loop);
		if (r < 0) err_sys(e, -r, "wait for requests");
	}
	end(reg);
	return r < 0 ? r : 0;
}
