/* blob_get.c: a blob from the first source that has it (OCI distribution specification 1.1, end-2), resumed where it broke off, verified
 * before anything is called good. */
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "transfer/blob.h"

enum { READ_SIZE = 128 << 10, WRITEBACK = 8 << 20 };

/* ---- taking ---- */

/* lose_layer: what the layer's threads found wrong. One of this machine ends the job; a bad layer is told once the digest is known. */
static int lose_layer(Blob *b, Err *e)
{
	LayerResult ignored;
	int r = layer_finish(b->layer, &ignored, &b->layer_error);
	layer_free(take(b->layer));
	if (job_stops(r)) {
		*e = b->layer_error;
		return r;
	}
	b->bad_layer = true;
	b->layer_errnum = r;
	return 0;
}

static int keep(Blob *b, const void *p, size_t n, Err *e)
{
	for (size_t done = 0; done < n;) {
		ssize_t k = TEMP_FAILURE_RETRY(pwrite(b->job->body, (const char *)p + done, n - done, (off_t)(b->pos + done)));
		if (k < 0) {
			int errnum = errno;
			err_sys(e, errnum, "write the blob at byte %" PRIu64, b->pos + done);
			return errnum == ENOSPC || errnum == EDQUOT ? -errnum : -EIO;
		}
		done += (size_t)k;
	}
	uint64_t end = b->pos + n;
	if (end - b->flushed >= WRITEBACK) { /* only begins it: whoever syncs the file at the end then waits for the rest alone */
		(void)sync_file_range(b->job->body, (off_t)b->flushed, (off_t)(end - b->flushed), SYNC_FILE_RANGE_WRITE);
		b->flushed = end;
	}
	return 0;
}

/* take_bytes: stored: they are in the file already. */
static int take_bytes(Blob *b, const void *p, size_t n, bool stored, Err *e)
{
	Job *j = b->job;
	if (n > j->req.size - b->pos)
		return err_set(e, ERR_SECURITY, EPROTO, "more than the expected %" PRIu64 " bytes arrive", j->req.size);
	hash_update(b->hash, p, n);
	int r = j->body >= 0 && !stored ? keep(b, p, n, e) : 0;
	if (r >= 0 && b->layer && layer_feed(b->layer, p, n) < 0) r = lose_layer(b, e);
	if (r < 0) return r;
	b->pos += n;
	job_progress(j, b->pos, j->req.size, b->layer ? layer_written(b->layer) : 0);
	return 0;
}

int blob_take(Blob *b, const void *p, size_t n, Err *e)
{
	return take_bytes(b, p, n, false, e);
}

/* begin: nothing has been taken. */
static int begin(Blob *b, Err *e)
{
	Job *j = b->job;
	Digest ignored;
	layer_free(take(b->layer));
	b->bad_layer = false;
	if (b->pos && hash_final(b->hash, &ignored) < 0) return err_set(e, ERR_INTERNAL, EIO, "digest of the blob");
	b->pos = 0;
	b->flushed = 0;
	if (j->tar < 0) return 0;
	const LayerSpec spec = {
		.tar = j->tar,
		.index = j->index,
		.compression = j->req.compression,
		.limits = &j->req.limits,
		.diff_id = j->req.diff_id,
	};
	return layer_new(&spec, &b->layer, e);
}

static int begin_empty(Blob *b, Err *e)
{
	if (b->job->body >= 0 && ftruncate(b->job->body, 0) < 0) return err_sys(e, errno, "empty the blob's file");
	return begin(b, e);
}

/* resume: what an earlier run left in the file. */
static int resume(Blob *b, Err *e)
{
	Job *j = b->job;
	struct stat st;
	if (j->body < 0) return 0;
	if (fstat(j->body, &st) < 0) return err_sys(e, errno, "stat the blob's file");
	if ((uint64_t)st.st_size > j->req.size) return begin_empty(b, e);
	AUTO_FREE char *buffer = malloc(READ_SIZE);
	if (!buffer) return err_set(e, ERR_RESOURCE, ENOMEM, "blob: out of memory");
	while (b->pos < (uint64_t)st.st_size) {
		ssize_t n = TEMP_FAILURE_RETRY(pread(j->body, buffer, READ_SIZE, (off_t)b->pos));
		if (n <= 0) return err_sys(e, n ? errno : EIO, "read the blob's file");
		int r = take_bytes(b, buffer, (size_t)n, true, e);
		if (r >= 0) r = job_check(j, e);
		if (r < 0) return r;
	}
	j->result.resumed = b->pos;
	b->flushed = b->pos;
	return 0;
}

/* ---- the end ---- */

/* finish: all bytes are there. -EILSEQ: they are not the blob. */
static int finish(Blob *b, Err *e)
{
	Job *j = b->job;
	Digest got;
	LayerResult layer = { 0 };
	char text[DIGEST_TEXT_MAX];
	int r = hash_final(b->hash, &got);
	if (r < 0) return err_sys(e, r, "digest of the blob");
	b->pos = 0; /* the hash has begun anew; so must the rest, should it go on */
	if (j->body >= 0) (void)sync_file_range(j->body, 0, 0, SYNC_FILE_RANGE_WRITE);
	if (!digest_equal(&got, &b->want))
		return err_set(e, ERR_SECURITY, EILSEQ, "the bytes got are %s: digest mismatch", digest_format(&got, text));
	b->proven = true;
	j->result.digest = j->req.digest;
	j->result.size = j->req.size;
	if (b->layer) {
		r = layer_finish(b->layer, &layer, &b->layer_error);
		b->bad_layer = r < 0;
		b->layer_errnum = r;
	}
	if (b->bad_layer) { /* as it should be, and still no good: nobody else has a better one */
		*e = b->layer_error;
		return b->layer_errnum;
	}
	if (j->tar < 0) return 0;
	j->result.diff_id = job_string(j, digest_format(&layer.diff_id, text));
	j->result.tar_size = layer.tar_size;
	j->result.entries = layer.entries;
	j->result.files_size = layer.files_size;
	j->result.opaque = layer.opaque;
	j->result.compression = layer.compression;
	return j->result.diff_id ? 0 : err_set(e, ERR_RESOURCE, ENOMEM, "blob: out of memory");
}

/* ---- one source ---- */

int blob_source_once(Blob *b, const BlobSource *source, HttpRequest *req, HttpResponse *res, Err *e)
{
	req->url = source->url;
	req->blob = true;
	return source->session ? session_once(source->session, req, res, e) : http_send(b->job, req, res, e);
}

int blob_check_start(const Blob *b, const HttpResponse *res, uint64_t start, uint64_t *ret_skip, Err *e)
{
	uint64_t at = 0, size = b->job->req.size;
	Str range = str_of(res->headers[HTTP_CONTENT_RANGE]), first, rest;
	*ret_skip = 0;
	if (res->status == 206) {
		if (!str_starts(range, "bytes ")) return err_set(e, ERR_IO, EPROTO, "a part of the blob arrives that does not say which");
		range = (Str){ range.p + 6, range.n - 6 };
		if (!str_cut(range, '-', &first, &rest) || str_to_u64(str_trim(first), &at) < 0 || at != start)
			return err_set(e, ERR_IO, EPROTO, "bytes from %" PRIu64 " on were asked for, but \"%.80s\" arrive", start,
				       res->headers[HTTP_CONTENT_RANGE]);
		return 0;
	}
	if (res->headers[HTTP_CONTENT_LENGTH] && str_to_u64(str_of(res->headers[HTTP_CONTENT_LENGTH]), &at) == 0 && at != size)
		return err_set(e, ERR_SECURITY, EPROTO, "%" PRIu64 " bytes are offered, but the blob has %" PRIu64, at, size);
	*ret_skip = start;
	return 0;
}

/* Stream: one answer being read. */
typedef struct Stream {
	Blob *b;
	uint64_t skip;
	bool begun;
} Stream;

static int on_stream(void *arg, const HttpResponse *res, const void *p, size_t n, Err *e)
{
	Stream *s = arg;
	const char *from = p;
	if (!s->begun) {
		int r = blob_check_start(s->b, res, s->b->pos, &s->skip, e);
		if (r < 0) return r;
		s->begun = true;
	}
	size_t drop = s->skip < n ? (size_t)s->skip : n;
	s->skip -= drop;
	return n > drop ? blob_take(s->b, from + drop, n - drop, e) : 0;
}

/* stream_once: one request for the rest. 1: all is there; 0: try again, e tells why. */
static int stream_once(Blob *b, const BlobSource *source, HttpResponse *res, Err *e)
{
	Job *j = b->job;
	char range[64] = "";
	Stream s = { .b = b };
	HttpRequest req = { .method = "GET", .sink = on_stream, .arg = &s, .limit = j->req.size };
	if (b->pos) {
		snprintf(range, sizeof range, "Range: bytes=%" PRIu64 "-", b->pos);
		req.headers[0] = range;
	}
	int r = blob_source_once(b, source, &req, res, e);
	/* a connection that breaks or stalls behind the last byte: whether they are the right ones, their digest tells */
	if (r < 0 && res->retry) return b->pos && b->pos == j->req.size;
	if (r < 0) return r;
	j->result.status = res->status;
	if (res->status == 200 || res->status == 206) {
		if (b->pos == j->req.size) return 1;
		err_set(e, ERR_IO, ECONNRESET, "the answer ends after %" PRIu64 " of %" PRIu64 " bytes", b->pos, j->req.size);
		return 0;
	}
	r = http_refusal(j, res, "blob", e);
	return http_retry_status(res->status) ? 0 : r;
}

/* pause: also where there is no session. */
static int pause_before(Blob *b, const BlobSource *source, const HttpResponse *res, uint32_t attempt, Err *e)
{
	Session none = { .job = b->job };
	return session_pause(source->session ?: &none, res, attempt, e);
}

static int stream(Blob *b, const BlobSource *source, Err *e)
{
	AUTO_HTTP_RESPONSE res = HTTP_RESPONSE_INIT;
	uint32_t failures = 0;
	for (;;) {
		uint64_t before = b->pos;
		int r = stream_once(b, source, &res, e);
		if (r != 0) return r;
		failures = b->pos > before ? 1 : failures + 1; /* progress earns new patience */
		if (failures >= b->job->req.tuning.attempts) return -(e->errnum ?: EIO);
		Err late = ERR_INIT;
		r = pause_before(b, source, &res, failures, &late);
		if (r < 0) {
			*e = late;
			return r;
		}
	}
}

static int get_from(Blob *b, const BlobSource *source, Err *e)
{
	const Job *j = b->job;
	int r = -EOPNOTSUPP;
	if (b->pos < j->req.size && j->req.tuning.ranges > 1 && j->req.size - b->pos >= BLOB_RANGES_FROM) r = blob_ranges(b, source, e);
	if (r == -EOPNOTSUPP) {
		*e = (Err)ERR_INIT;
		r = b->pos < j->req.size ? stream(b, source, e) : 1;
	}
	if (r < 0) return r;
	bool resumed = b->job->result.resumed; /* a power cut may have left a file as long as it was, and other bytes */
	r = finish(b, e);
	if (r != -EILSEQ || b->proven) return r;
	Err again = ERR_INIT;
	b->job->result.resumed = 0;
	int x = begin_empty(b, &again);
	if (x < 0) {
		*e = again;
		return x;
	}
	return resumed ? get_from(b, source, e) : r; /* once: nothing is resumed any more */
}

/* ---- all sources ---- */

static int get_from_endpoint(Blob *b, const TransferEndpoint *endpoint, Err *e)
{
	AUTO_SESSION s = { 0 };
	int r = session_init(&s, b->job, endpoint, "pull", NULL, e);
	if (r < 0) return r;
	const BlobSource source = { .session = &s, .url = session_url(&s, "blobs", b->job->req.digest) };
	return source.url ? get_from(b, &source, e) : err_set(e, ERR_RESOURCE, ENOMEM, "request: out of memory");
}

static bool is_final(const Blob *b, int r)
{
	Err ignored = ERR_INIT;
	return r >= 0 || b->proven || job_stops(r) || job_check(b->job, &ignored) < 0;
}

static int get_from_all(Blob *b, Err *e)
{
	Job *j = b->job;
	int r = -ENOENT;
	for (size_t i = 0; i < j->req.endpoints.n; i++) {
		*e = (Err)ERR_INIT;
		j->result.endpoint = (uint32_t)i;
		r = get_from_endpoint(b, &j->req.endpoints.items[i], e);
		if (is_final(b, r)) return r;
	}
	for (size_t i = 0; i < j->req.urls.n; i++) {
		const BlobSource source = { .url = j->req.urls.items[i] };
		if (!starts_with(source.url, "https://") && !starts_with(source.url, "http://")) continue;
		*e = (Err)ERR_INIT;
		r = get_from(b, &source, e);
		if (is_final(b, r)) return r;
	}
	return j->req.endpoints.n + j->req.urls.n > 1 ? err_wrap(e, "the last of %zu sources", j->req.endpoints.n + j->req.urls.n) : r;
}

int op_blob_get(Job *j, Err *e)
{
	Blob b = { .job = j, .layer_error = ERR_INIT };
	if (digest_parse(str_of(j->req.digest), &b.want) < 0)
		return err_set(e, ERR_CONFIG, EINVAL, "\"%.200s\" is not a digest", j->req.digest);
	int r = hash_new(b.want.algorithm, &b.hash);
	if (r < 0) return err_sys(e, r, "blob: digest");
	r = begin(&b, e);
	if (r >= 0) r = resume(&b, e);
	if (r >= 0) r = get_from_all(&b, e);
	layer_free(b.layer);
	hash_free(b.hash);
	return r;
}
