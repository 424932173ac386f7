/* blob_ranges.c: one blob by several requests at once, for servers that slow down a single connection.
 *
 * Segments are fetched out of order into memory and taken in order: the file of the blob holds a prefix at any time, which can be
 * resumed. All blobs of the process together hold at most SEGMENTS_MAX segments.
 */
#include <inttypes.h>
#include <stdatomic.h>

#include "transfer/blob.h"
#include "transfer/thread.h"

enum { SEGMENTS_MAX = 8 };

static atomic_uint segments_in_use;

typedef struct Segment {
	uint64_t start;
	size_t n, filled;
	uint8_t *p;
	bool fetched; /* no thread looks at it any more: its place can be claimed again */
} Segment;

typedef struct Ranges {
	Blob *b;
	const BlobSource *source;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	Segment segments[SEGMENTS_MAX];
	unsigned n;
	uint64_t base;       /* where segment 0 begins */
	uint64_t next, head; /* numbers of the next to be fetched, and of the one being taken */
	bool stop;
	int r; /* the first failure */
	Err e;
} Ranges;

/* Fetch: one segment being got by one thread. */
typedef struct Fetch {
	Ranges *w;
	Segment *s;
	bool begun;
} Fetch;

static int on_segment(void *arg, const HttpResponse *res, const void *p, size_t n, Err *e)
{
	Fetch *f = arg;
	Segment *s = f->s;
	uint64_t skip = 0;
	if (!f->begun) {
		if (res->status != 206) return err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP, "the source has no ranges");
		int r = blob_check_start(f->w->b, res, s->start + s->filled, &skip, e);
		if (r < 0) return r;
		f->begun = true;
	}
	if (n > s->n - s->filled) return err_set(e, ERR_SECURITY, EPROTO, "more bytes arrive than the range that was asked for");
	memcpy(s->p + s->filled, p, n);
	pthread_mutex_lock(&f->w->lock);
	s->filled += n;
	bool stop = f->w->stop;
	pthread_cond_broadcast(&f->w->changed);
	pthread_mutex_unlock(&f->w->lock);
	return stop ? err_set(e, ERR_STATE, ECANCELED, "not wanted any more") : 0;
}

/* fetch_once: 1: the segment is full; 0: try again. */
static int fetch_once(Fetch *f, HttpResponse *res, Err *e)
{
	char range[80];
	Segment *s = f->s;
	HttpRequest req = { .method = "GET", .sink = on_segment, .arg = f, .limit = s->n - s->filled, .headers = { range } };
	f->begun = false;
	snprintf(range, sizeof range, "Range: bytes=%" PRIu64 "-%" PRIu64, s->start + s->filled, s->start + s->n - 1);
	int r = blob_source_once(f->w->b, f->w->source, &req, res, e);
	if (r < 0) return res->retry ? 0 : r;
	if (s->filled == s->n) return 1;
	if (http_retry_status(res->status) || res->status == 206) {
		err_set(e, ERR_IO, ECONNRESET, "the blob's bytes from %" PRIu64 " on do not arrive (status %" PRIu32 ")",
			s->start + s->filled, res->status);
		return 0;
	}
	pthread_mutex_lock(&f->w->lock); /* of the job's error code */
	r = http_refusal(f->w->b->job, res, "blob", e);
	pthread_mutex_unlock(&f->w->lock);
	return r;
}

static int fetch(Ranges *w, Segment *s, Err *e)
{
	AUTO_HTTP_RESPONSE res = HTTP_RESPONSE_INIT;
	Fetch f = { .w = w, .s = s };
	Session none = { .job = w->b->job };
	uint32_t failures = 0;
	for (;;) {
		size_t before = s->filled;
		int r = fetch_once(&f, &res, e);
		if (r != 0) return r;
		failures = s->filled > before ? 1 : failures + 1;
		if (failures >= w->b->job->req.tuning.attempts) return -(e->errnum ?: EIO);
		Err late = ERR_INIT;
		r = session_pause(w->source->session ?: &none, &res, failures, &late);
		if (r < 0) {
			*e = late;
			return r;
		}
	}
}

/* claim: the next segment, once there is a place for it; NULL: there is nothing to do any more. */
static Segment *claim(Ranges *w)
{
	uint64_t size = w->b->job->req.size;
	Segment *s = NULL;
	pthread_mutex_lock(&w->lock);
	while (!w->stop && w->next - w->head >= w->n && w->base + w->next * BLOB_SEGMENT < size)
		pthread_cond_wait(&w->changed, &w->lock);
	uint64_t start = w->base + w->next * BLOB_SEGMENT;
	if (!w->stop && start < size) {
		s = &w->segments[w->next++ % w->n];
		s->start = start;
		s->n = size - start < BLOB_SEGMENT ? (size_t)(size - start) : BLOB_SEGMENT;
		s->filled = 0;
		s->fetched = false;
	}
	pthread_mutex_unlock(&w->lock);
	return s;
}

static void fail(Ranges *w, int r, const Err *e)
{
	pthread_mutex_lock(&w->lock);
	if (!w->stop) {
		w->stop = true;
		w->r = r;
		w->e = *e;
	}
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
}

static void *fetcher(void *arg)
{
	Ranges *w = arg;
	Err e = ERR_INIT;
	for (Segment *s; (s = claim(w));) {
		int r = fetch(w, s, &e);
		if (r < 0) fail(w, r, &e);
		pthread_mutex_lock(&w->lock);
		s->fetched = true;
		pthread_cond_broadcast(&w->changed);
		pthread_mutex_unlock(&w->lock);
	}
	return NULL;
}

/* take_in_order: by the job's own thread, until all is there or somebody failed. */
static void take_in_order(Ranges *w)
{
	Blob *b = w->b;
	Err e = ERR_INIT;
	int r = 0;
	while (r >= 0 && b->pos < b->job->req.size) {
		Segment *s = &w->segments[w->head % w->n];
		pthread_mutex_lock(&w->lock);
		while (!w->stop && (w->head == w->next || b->pos >= s->start + s->filled))
			pthread_cond_wait(&w->changed, &w->lock);
		bool stop = w->stop;
		size_t at = (size_t)(b->pos - s->start), n = s->filled - at;
		pthread_mutex_unlock(&w->lock);
		if (stop) return;
		r = blob_take(b, s->p + at, n, &e);
		if (r >= 0) r = job_check(b->job, &e);
		if (r < 0 || at + n < s->n) continue;
		pthread_mutex_lock(&w->lock);
		while (!w->stop && !s->fetched)
			pthread_cond_wait(&w->changed, &w->lock);
		w->head++;
		pthread_cond_broadcast(&w->changed);
		pthread_mutex_unlock(&w->lock);
	}
	if (r < 0) fail(w, r, &e);
}

/* reserve: up to wanted places; fewer than 2 are none. */
static unsigned reserve(unsigned wanted)
{
	unsigned used = atomic_load(&segments_in_use), n;
	do {
		n = used < SEGMENTS_MAX ? SEGMENTS_MAX - used : 0;
		if (n > wanted) n = wanted;
		if (n < 2) return 0;
	} while (!atomic_compare_exchange_weak(&segments_in_use, &used, used + n));
	return n;
}

static int run(Ranges *w, Err *e)
{
	pthread_t threads[SEGMENTS_MAX];
	unsigned started = 0;
	while (started < w->n && thread_start(&threads[started], fetcher, w) == 0)
		started++;
	if (started) take_in_order(w);
	pthread_mutex_lock(&w->lock);
	bool failed = w->stop;
	w->stop = true;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
	for (unsigned i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	if (!started) return err_set(e, ERR_RESOURCE, EOPNOTSUPP, "blob: no threads for ranges");
	if (!failed) return 1;
	*e = w->e;
	return w->r;
}

int blob_ranges(Blob *b, const BlobSource *source, Err *e)
{
	unsigned n = reserve(b->job->req.tuning.ranges);
	if (!n) return err_set(e, ERR_RESOURCE, EOPNOTSUPP, "blob: no memory for ranges");
	Ranges w = { .b = b, .source = source, .n = n, .base = b->pos, .e = ERR_INIT };
	int r = 0;
	pthread_mutex_init(&w.lock, NULL);
	pthread_cond_init(&w.changed, NULL);
	for (unsigned i = 0; i < n && r == 0; i++) {
		w.segments[i].p = malloc(BLOB_SEGMENT);
		if (!w.segments[i].p) r = err_set(e, ERR_RESOURCE, EOPNOTSUPP, "blob: no memory for ranges");
	}
	if (r == 0) r = run(&w, e);
	for (unsigned i = 0; i < n; i++)
		free(w.segments[i].p);
	pthread_cond_destroy(&w.changed);
	pthread_mutex_destroy(&w.lock);
	atomic_fetch_sub(&segments_in_use, n);
	return r;
}
