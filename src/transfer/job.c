/* job.c: see job.h. */
#include "transfer/job.h"

#include <inttypes.h>

#include "base/time.h"
#include "sys/fd.h"

static const int64_t NS_PER_MS = 1000000;

static JobFn *const ops[] = {
	[TRANSFER_PING] = op_ping,
	[TRANSFER_MANIFEST_GET] = op_manifest_get,
	[TRANSFER_MANIFEST_HEAD] = op_manifest_head,
	[TRANSFER_MANIFEST_PUT] = op_manifest_put,
	[TRANSFER_MANIFEST_DELETE] = op_manifest_delete,
	[TRANSFER_TAGS] = op_tags,
	[TRANSFER_CATALOG] = op_catalog,
	[TRANSFER_SEARCH] = op_search,
	[TRANSFER_REFERRERS] = op_referrers,
	[TRANSFER_BLOB_HEAD] = op_blob_head,
	[TRANSFER_BLOB_GET] = op_blob_get,
	[TRANSFER_BLOB_PUT] = op_blob_put,
	[TRANSFER_BLOB_DELETE] = op_blob_delete,
	[TRANSFER_LAYER_IMPORT] = op_layer_import,
	[TRANSFER_LAYER_FETCH] = op_layer_import,
	[TRANSFER_LAYER_COMPRESS] = op_layer_compress,
	[TRANSFER_POST] = op_post,
};

static void set_defaults(Job *j)
{
	TransferTuning *t = &j->req.tuning;
	if (!t->attempts) t->attempts = 5;
	if (!t->backoff_ms) t->backoff_ms = 500;
	if (!t->connect_ms) t->connect_ms = 15000;
	if (!t->stall_ms) t->stall_ms = 30000;
	if (!t->redirects) t->redirects = 10;
	if (!t->ranges) t->ranges = 1;
	if (!t->progress_ms) t->progress_ms = 100;
	if (t->deadline_ms) j->deadline = time_monotonic() + t->deadline_ms * NS_PER_MS;
}

static Job *make(void)
{
	pthread_condattr_t attr;
	Job *j = calloc(1, sizeof *j);
	if (!j) return NULL;
	pthread_mutex_init(&j->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&j->woken, &attr);
	pthread_condattr_destroy(&attr);
	j->body = j->tar = j->index = j->input = -1;
	j->arena = ARENA_INIT(JOB_ARENA_MAX);
	return j;
}

int job_new(char *text, size_t n, const int *fds, size_t n_fds, Job **ret, Err *e)
{
	Job *j = make();
	char *own = j ? arena_str(&j->arena, (Str){ text, n }) : NULL; /* the strings of a request point into its text */
	int r = -ENOMEM;
	if (own)
		r = transfer_request_parse(own, n, n_fds, &j->req, &j->arena, e);
	else
		err_set(e, ERR_RESOURCE, ENOMEM, "request: out of memory");
	if (r < 0) {
		for (size_t i = 0; i < n_fds; i++)
			fd_close(fds[i]);
		job_free(j);
		return r;
	}
	int *const places[] = { NULL, &j->body, &j->tar, &j->index, &j->input };
	for (size_t i = 0; i < n_fds; i++)
		*places[j->req.fds.items[i]] = fds[i];
	set_defaults(j);
	*ret = j;
	return 0;
}

void job_free(Job *j)
{
	if (!j) return;
	fd_close(j->body);
	fd_close(j->tar);
	fd_close(j->index);
	fd_close(j->input);
	pthread_cond_destroy(&j->woken);
	pthread_mutex_destroy(&j->lock);
	arena_done(&j->arena);
	free(j);
}

void job_cancel(Job *j)
{
	pthread_mutex_lock(&j->lock);
	atomic_store(&j->cancelled, true);
	pthread_cond_broadcast(&j->woken);
	pthread_mutex_unlock(&j->lock);
}

int job_check(Job *j, Err *e)
{
	if (atomic_load(&j->cancelled)) return err_set(e, ERR_STATE, ECANCELED, "cancelled");
	if (j->deadline && time_monotonic() > j->deadline)
		return err_set(e, ERR_TIMEOUT, ETIMEDOUT, "not done within the %" PRIu32 " ms given", j->req.tuning.deadline_ms);
	return 0;
}

int job_sleep(Job *j, uint64_t ms, Err *e)
{
	int64_t until = time_monotonic() + (int64_t)ms * NS_PER_MS;
	if (j->deadline && until > j->deadline) until = j->deadline + 1;
	const struct timespec at = { .tv_sec = until / (1000 * NS_PER_MS), .tv_nsec = until % (1000 * NS_PER_MS) };
	pthread_mutex_lock(&j->lock);
	while (!atomic_load(&j->cancelled) && time_monotonic() < until)
		(void)pthread_cond_timedwait(&j->woken, &j->lock, &at);
	pthread_mutex_unlock(&j->lock);
	return job_check(j, e);
}

bool job_stops(int r)
{
	switch (r) {
	case -ECANCELED:
	case -ENOMEM:
	case -ENOSPC:
	case -EDQUOT:
	case -EROFS:
	case -EBADF:
	case -EIO:
		return true;
	default:
		return false;
	}
}

void job_progress(Job *j, uint64_t bytes, uint64_t total, uint64_t tar_bytes)
{
	int64_t now = time_monotonic();
	if (now < j->next_progress) return;
	j->next_progress = now + j->req.tuning.progress_ms * NS_PER_MS;
	j->out(j->out_arg,
	       &(TransferEvent){ .id = j->req.id, .kind = TRANSFER_PROGRESS, .bytes = bytes, .total = total, .tar_bytes = tar_bytes });
}

void job_location(Job *j, const char *location, uint64_t bytes)
{
	j->out(j->out_arg, &(TransferEvent){ .id = j->req.id, .kind = TRANSFER_LOCATION, .location = location, .bytes = bytes });
}

const char *job_string(Job *j, const char *s)
{
	return s ? arena_strdup(&j->arena, s) : NULL;
}

int job_endpoints(Job *j, EndpointFn *fn, void *arg, Err *e)
{
	enum { ATTEMPTS_BEFORE_NEXT = 2 }; /* no patience with one endpoint while there is another */
	size_t n = j->req.endpoints.n;
	uint32_t attempts = j->req.tuning.attempts;
	int r = -EINVAL;
	for (size_t i = 0; i < n; i++) {
		Err late = ERR_INIT;
		j->req.tuning.attempts = i + 1 < n && attempts > ATTEMPTS_BEFORE_NEXT ? ATTEMPTS_BEFORE_NEXT : attempts;
		*e = (Err)ERR_INIT;
		r = fn(j, &j->req.endpoints.items[i], arg, e);
		j->result.endpoint = (uint32_t)i;
		if (r >= 0 || job_stops(r) || job_check(j, &late) < 0) break;
	}
	if (r < 0 && n > 1 && j->result.endpoint + 1 == n) err_wrap(e, "the last of %zu endpoints", n);
	return r;
}

static const char *object_of(const Job *j)
{
	return j->req.digest ?: j->req.reference ?: "";
}

static void tell_failure(Job *j, int r, const Err *e)
{
	char message[ERR_MESSAGE_MAX + 512];
	const char *object = object_of(j), *repository = j->req.repository ?: "";
	snprintf(message, sizeof message, "%s%s%.250s%s%.160s: %s", bind_name(transfer_op_names, j->req.op), *repository ? " " : "",
		 repository, *object ? " " : "", object, e->msg);
	j->out(j->out_arg, &(TransferEvent){
				   .id = j->req.id,
				   .kind = TRANSFER_FAILED,
				   .code = err_name(e->code == ERR_NONE ? ERR_INTERNAL : e->code),
				   .errnum = e->errnum ?: -r,
				   .message = message,
				   .error_code = j->error_code[0] ? j->error_code : NULL,
				   .status = j->result.status,
				   .endpoint = j->result.endpoint,
			   });
}

void job_run(Job *j)
{
	Err e = ERR_INIT;
	j->result = (TransferEvent){ .id = j->req.id, .kind = TRANSFER_DONE };
	int r = ops[j->req.op](j, &e);
	if (r < 0)
		tell_failure(j, r, &e);
	else
		j->out(j->out_arg, &j->result);
}
