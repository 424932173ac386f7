/* job.h: one request while it is worked on, in a thread of its own. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/arena.h"
#include "image/transfer_wire.h"

typedef struct Http Http;
typedef struct Auth Auth;
typedef struct Job Job;

/* JobOut: tells the other side about a job. Called from the job's thread. */
typedef void JobOut(void *arg, const TransferEvent *ev);

struct Job {
	TransferRequest req;
	Arena arena;                 /* for the request and for what the result points to */
	int body, tar, index, input; /* descriptors, owned; -1: none */
	TransferEvent result;        /* a done event in the making */
	char error_code[64];         /* the registry's own, of the last failure */
	int64_t deadline;            /* ns of CLOCK_MONOTONIC; 0: none */
	int64_t next_progress;       /* the same */
	Http *http;
	Auth *auth;
	JobOut *out;
	void *out_arg;
	pthread_mutex_t lock;
	pthread_cond_t woken;
	atomic_bool cancelled;
	pthread_t thread;
	Job *next; /* in a list of the server */
	atomic_bool ended;
};

enum { JOB_ARENA_MAX = 4 << 20 };

/* job_new: takes over the descriptors in fds (closed on failure, too). text: the request, modified. */
int job_new(char *text, size_t n, const int *fds, size_t n_fds, Job **ret, Err *e) MUST_USE;
void job_free(Job *j);

void job_cancel(Job *j);
/* job_check: may it go on? -ECANCELED, or -ETIMEDOUT behind its deadline, with e set. */
int job_check(Job *j, Err *e) MUST_USE;
/* job_sleep: for ms or until it is cancelled; as job_check. */
int job_sleep(Job *j, uint64_t ms, Err *e) MUST_USE;
/* job_stops: is this failure the end of the job, whichever endpoints are left? Cancelled, out of time, or of this machine: no memory, no
 * space, a descriptor that cannot be written. */
bool job_stops(int r);

/* job_progress: tells it, unless it was told just now. */
void job_progress(Job *j, uint64_t bytes, uint64_t total, uint64_t tar_bytes);
/* job_location: an upload can be resumed there. */
void job_location(Job *j, const char *location, uint64_t bytes);

/* job_string: a copy that lives as long as the job; NULL for NULL and without memory. */
const char *job_string(Job *j, const char *s);

/* job_run: does it and tells the result. */
void job_run(Job *j);

/* What the ops are made of; each 0 or a negative errno. */
typedef int JobFn(Job *j, Err *e);
JobFn op_ping, op_manifest_get, op_manifest_head, op_manifest_put, op_manifest_delete, op_tags, op_catalog, op_search, op_referrers,
	op_blob_head, op_blob_get, op_blob_put, op_blob_delete, op_layer_import, op_layer_compress, op_post;

/* job_endpoints: fn with one endpoint after the other until one succeeds (result.endpoint) or the job has to stop. */
typedef int EndpointFn(Job *j, const TransferEndpoint *endpoint, void *arg, Err *e);
int job_endpoints(Job *j, EndpointFn *fn, void *arg, Err *e) MUST_USE;
