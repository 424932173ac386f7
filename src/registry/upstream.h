/* upstream.h: the pull-through cache: what is not here is asked for at another registry, kept, and answered like everything else.
 *
 * Which repositories are copies stands in the configuration (RegistryProxy). skep-transfer does the asking (worker.h).
 *
 * Invariants
 *  - One Fetch for one manifest or blob, however many clients ask for it; it goes on when they have gone.
 *  - A row is written for what has the digest it was asked by, and for nothing else. A client of a blob that still arrives gets its last byte after the
 *    digest was found right; else his answer breaks off.
 *  - Credentials are those of the configuration. Nothing a client sends goes to an upstream but the name and the reference.
 *  - What cannot be kept (a quota) is served all the same.
 */
#pragma once

#include "base/digest.h"
#include "image/transfer_client.h"
#include "registry/cache.h"
#include "registry/name.h"
#include "registry/options.h"
#include "sys/loop.h"

typedef struct Registry Registry;
typedef struct Request Request;
typedef struct Fetch Fetch;
typedef struct Waiter Waiter;

enum {
	UPSTREAM_FETCHES_MAX = 512,                                /* at once; beyond it clients are told to come again */
	UPSTREAM_REFERENCE_MAX = TAG_MAX_LENGTH + DIGEST_TEXT_MAX, /* of a tag or digest, with the NUL */
	UPSTREAM_UNKNOWN_SECONDS = 10,                             /* that "there is no such thing" is believed */
	UPSTREAM_RETRY_SECONDS = 10,                               /* that a stale tag is served without asking again */
};

typedef struct Upstream {
	Fetch *fetches;
	unsigned n;
	TransferEndpoint *endpoints; /* of each of the proxies */
	Arena arena;                 /* for them */
	Cache unknown;               /* "name\nreference" or "name\n@digest" (a blob) -> until when it is known not to exist */
	Cache checked;               /* "name\ntag" -> until when the tag is believed, and whether that is for want of an upstream */
	uint64_t hits, misses, stale, failed, bytes;
} Upstream;

/* upstream_init: reads the certificates of upstreams (image/certs.h). */
int upstream_init(Registry *reg, Err *e) MUST_USE;
/* upstream_stop: ends what waits for the worker, which is stopped; the exchanges have ended. What threads and committer still hold ends by itself.
 * upstream_done: the rest. */
void upstream_stop(Registry *reg);
void upstream_done(Registry *reg);

/* upstream_proxy: of which upstream the repository is a copy; NULL: of none. */
const RegistryProxy *upstream_proxy(const RegistryOptions *o, const char *name);
/* upstream_repository: its name there. -ENAMETOOLONG; -ENOENT: the prefix alone is no repository. */
int upstream_repository(const RegistryProxy *p, const char *name, char ret[static NAME_MAX_LENGTH + 1]) MUST_USE;

/* upstream_manifest: answers GET and HEAD of a manifest in a copy. upstream_blob: of a blob that is not here, d as text is digest. */
void upstream_manifest(Request *q);
void upstream_blob(Request *q, const Digest *d, const char *digest);

/* upstream_forget: a tag or manifest was deleted here: the next client asks the upstream. */
void upstream_forget(Registry *reg, const char *name, const char *reference);

/* ---- for upstream_*.c ---- */

struct Waiter {
	Request *q;
	Fetch *fetch; /* NULL: it is over, the waiter goes on by itself */
	Waiter *prev, *next;
	void (*aborted)(Waiter *w); /* the client has gone: frees what the waiter has beside its memory; may be NULL */
};

typedef enum { FETCH_MANIFEST, FETCH_BLOB } FetchKind;

/* A Fetch is the first member of its kind's object. */
struct Fetch {
	Registry *reg;
	const RegistryProxy *proxy;
	FetchKind kind;
	bool asking; /* a request is with the worker */
	bool closed; /* nobody may join any more: it ends */
	char name[NAME_MAX_LENGTH + 1], repository[NAME_MAX_LENGTH + 1], reference[UPSTREAM_REFERENCE_MAX];
	void (*event)(Fetch *f, const TransferEvent *ev); /* TRANSFER_PROGRESS, _DONE or _FAILED */
	void (*free)(Fetch *f);                           /* what its kind has, and itself */
	Waiter *waiters;
	Fetch *prev, *next;
};

/* fetch_find: under way, or NULL. fetch_add: makes one of size bytes known. NULL: it was answered (too many, no memory, no such repository). */
Fetch *fetch_find(Registry *reg, FetchKind kind, const char *name, const char *reference);
Fetch *fetch_add(Request *q, FetchKind kind, const char *reference, size_t size);
/* fetch_next: the next who waits, to be answered now; NULL: nobody. From the first call on nobody joins. */
Request *fetch_next(Fetch *f);
/* fetch_end: forgets and frees it; nobody waits any more. */
void fetch_end(Fetch *f);
/* fetch_send: hands a request over; op, digest and so on are set, endpoint and repository come from f. When that fails, e says why. */
int fetch_send(Fetch *f, TransferRequest *req, int body, Err *e) MUST_USE;

/* fetch_wait: q waits for f; w is q's. fetch_unwait: it does not any more. */
void fetch_wait(Fetch *f, Waiter *w, Request *q, void (*aborted)(Waiter *w));
void fetch_unwait(Waiter *w);

/* What an upstream that failed means for a client. */
typedef struct FetchFailure {
	int status; /* of its answer, 0 when it gave none */
	Err e;
} FetchFailure;
void fetch_failure(const TransferEvent *ev, FetchFailure *ret);
bool fetch_is_gone(const FetchFailure *f);
/* fetch_refuse: the answer to a client; fetch_log: a line for the one who runs the registry. */
void fetch_refuse(Request *q, const FetchFailure *f);
void fetch_log(const Fetch *f, const FetchFailure *failure);

/* The negative cache. */
bool upstream_is_unknown(Registry *reg, FetchKind kind, const char *name, const char *reference);
void upstream_set_unknown(const Fetch *f);
/* upstream_believes: a tag is not asked for again yet; *ret_stale: because its upstream does not answer. upstream_believe, _distrust: it was found to be
 * so; it could not be asked for. */
bool upstream_believes(Registry *reg, const char *name, const char *tag, bool *ret_stale);
void upstream_believe(const Fetch *f);
void upstream_distrust(const Fetch *f);
