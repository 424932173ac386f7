/* service.h: the running server as its parts see it, and one request of it.
 *
 * A Request lives in its exchange's arena: it is gone when the exchange is. What goes on after the handler has returned (a
 * job, a commit) is an object of its own that forgets the Request in its abort function.
 */
#pragma once

#include "net/server.h"
#include "registry/auth.h"
#include "registry/cache.h"
#include "registry/catalog.h"
#include "registry/collect.h"
#include "registry/committer.h"
#include "registry/metrics.h"
#include "registry/registry.h"
#include "registry/storage.h"
#include "registry/upload.h"
#include "registry/upstream.h"
#include "registry/webhook.h"
#include "registry/worker.h"

typedef struct Registry Registry;
typedef struct Request Request;

struct Registry {
	const RegistryOptions *o;
	const Log *log;
	Loop loop;
	Storage storage;
	Db *db; /* for reading, in the loop's thread */
	Committer *committer;
	WorkQueue *workers;
	HttpServer *http, *metrics_http;
	TlsContext *tls;
	Cache cache; /* "name\ndigest": media type, NUL, body. "name\n:tag": digest */
	Auth auth;
	Uploads uploads;
	Metrics metrics;
	Collector collector;
	Webhooks webhooks;
	Worker worker;
	Upstream upstream;
	LoopSignals signals;
	LoopTimer stop_timer;
	bool stopping;
};

struct Request {
	Registry *reg;
	HttpExchange *x;
	const char *method;
	Route route;
	const char *name;           /* repository, valid; NULL for routes without */
	const char *reference;      /* tag, digest or session as the path has it; "" for routes without */
	const char *user;           /* NULL: anonymous */
	const Token *token;         /* he came with one: it narrows his rights */
	unsigned rights;            /* ACCESS_… for name */
	const RegistryProxy *proxy; /* name is a copy of a repository there; NULL: it is our own */
	bool fetched;               /* it was just got from there: not to be asked for again */
	const char *warning;        /* a field Warning of the answer; NULL: none */
	int64_t started;            /* ns, monotonic */
};

/* ---- reply.c ---- */

typedef enum {
#define CODE(name, status, text) CODE_##name,
#include "registry/codes.def"
#undef CODE
} ApiCode;

/* reply_start: status and the fields that all answers have; counts and logs the request. Follow it by fields, a length, a body and
 * http_finish. */
void reply_start(Request *q, int status);
/* reply_empty: what reply_start began ends without a body. */
void reply_empty(Request *q);
/* reply_body: the same with one. */
void reply_body(Request *q, const char *type, const void *p, size_t n);
/* reply_error: the JSON of distribution-spec "Error Codes". fmt NULL: the code's own text. reply_error_status: with another status than the code's. */
void reply_error(Request *q, ApiCode code, const char *fmt, ...) PRINTF_LIKE(3, 4);
void reply_error_status(Request *q, int status, ApiCode code, const char *fmt, ...) PRINTF_LIKE(4, 5);
/* reply_error_body: the same JSON, after reply_start. There always is a "detail": what has none docker tries again and again, for a minute. */
void reply_error_body(Request *q, ApiCode code, const char *message);
/* reply_failure: an internal failure (-errno, reason) as 500, 503 or 507; the reason goes to the log. */
void reply_failure(Request *q, const Err *e);
/* reply_method: 405 with Allow. */
void reply_method(Request *q, const char *allowed);

/* request_is: the method. */
static inline bool request_is(const Request *q, const char *method)
{
	return streq(q->method, method);
}
static inline bool request_reads(const Request *q)
{
	return request_is(q, "GET") || request_is(q, "HEAD");
}

/* request_digest: the request's reference as a digest; false when it was answered with an error. */
bool request_digest(Request *q, Digest *ret);

/* ---- the endpoints ---- */

void api_blob(Request *q);     /* api_blob.c */
void api_uploads(Request *q);  /* api_upload.c: POST */
void api_upload(Request *q);   /* PATCH, PUT, GET, DELETE */
void api_manifest(Request *q); /* api_manifest.c; PUT: api_push.c */
/* manifest_try: answers with the manifest when it is here; false: it is not. manifest_serve: answers, whatever it takes. manifest_send: with
 * these bytes. */
bool manifest_try(Request *q);
void manifest_serve(Request *q);
void manifest_send(Request *q, const char *digest, const char *type, Str body);
/* blob_serve: answers GET and HEAD with the blob, or that there is none. blob_send: with an open file (owned). blob_head: what both have. */
void blob_serve(Request *q, const Digest *d, const char *digest);
void blob_send(Request *q, const char *digest, int fd, uint64_t size);
void blob_head(Request *q, int status, const char *digest);
void api_manifest_put(Request *q);
void api_tags(Request *q); /* api_list.c */
void api_catalog(Request *q);
void api_referrers(Request *q);
void api_token(Request *q); /* api_token.c */

/* service_needed_rights: what q takes, ACCESS_…. */
unsigned service_needed_rights(const Request *q);

/* service_handle: the function of the HTTP server; arg: the Registry. service_handle_metrics: of the one for metrics alone. */
void service_handle(void *arg, HttpExchange *x);
void service_handle_metrics(void *arg, HttpExchange *x);

/* ---- changes without a body: a commit for a request ---- */

typedef struct Change Change;
struct Change {
	Registry *reg;
	Request *q; /* NULL when the client has gone */
	Commit commit;
	char name[NAME_MAX_LENGTH + 1], other[NAME_MAX_LENGTH + 1], reference[DIGEST_TEXT_MAX + TAG_MAX_LENGTH];
	int (*run)(Change *c, Db *db, Err *e);
	void (*done)(Change *c, int result, const Err *e); /* answers when c->q is not NULL */
};

/* change_submit: runs run() in the committer's thread and done() in the loop's. q NULL: nobody waits for it. */
void change_submit(Registry *reg, Request *q, const char *name, const char *reference, const char *other,
		   int (*run)(Change *c, Db *db, Err *e), void (*done)(Change *c, int result, const Err *e));

/* ---- the cache of manifests (api_manifest.c) ---- */
void service_cache_forget_tag(Registry *reg, const char *name, const char *tag);
void service_cache_forget_repository(Registry *reg, const char *name);
