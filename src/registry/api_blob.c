/* api_blob.c: end-2 and end-10: reading and deleting blobs. */
#include "registry/service.h"

#include "base/time.h"
#include "registry/range.h"
#include "sys/fd.h"

static int run_touch(Change *c, Db *db, Err *e)
{
	return catalog_touch_blob(db, c->name, c->reference, time_now(), e);
}

/* A client that pushes asks first what is there, and pushes a manifest that counts on it: the collection waits again.
 * Once in a quarter of its grace is enough. */
static void keep_blob(Request *q, const char *digest, const CatalogBlob *blob)
{
	int64_t grace = (int64_t)q->reg->o->gc.grace.v * 1000000000;
	if (q->reg->o->readonly || !(q->rights & ACCESS_PUSH) || time_now() - blob->touched < grace / 4) return;
	change_submit(q->reg, NULL, q->name, digest, "", run_touch, NULL);
}

static bool etag_matches(Request *q, const char *digest)
{
	const char *header = http_header(q->x, "If-None-Match");
	return header && (streq(header, "*") || strstr(header, digest));
}

static void send_part(Request *q, int fd, uint64_t from, uint64_t n)
{
	http_reply_length(q->x, (int64_t)n);
	if (request_is(q, "HEAD") || !n) {
		fd_close(fd);
	} else {
		q->reg->metrics.bytes_out += n;
		http_send_file(q->x, fd, (int64_t)from, (int64_t)n);
	}
	http_finish(q->x);
}

void blob_head(Request *q, int status, const char *digest)
{
	reply_start(q, status);
	http_reply_header(q->x, "Content-Type", "application/octet-stream");
	http_reply_header(q->x, "Docker-Content-Digest", digest);
	http_reply_headerf(q->x, "ETag", "\"%s\"", digest);
	http_reply_header(q->x, "Accept-Ranges", "bytes");
	http_reply_header(q->x, "Cache-Control", "max-age=31536000");
}

void blob_send(Request *q, const char *digest, int fd, uint64_t size)
{
	const char *range = http_header(q->x, "Range"), *if_range = http_header(q->x, "If-Range");
	char etag[DIGEST_TEXT_MAX + 2];
	uint64_t from = 0, n = size;
	snprintf(etag, sizeof etag, "\"%s\"", digest);
	/* the content of a digest never changes: If-Range fails only for another digest */
	RangeKind kind = range && (!if_range || streq(if_range, etag)) ? range_parse(str_of(range), size, &from, &n) : RANGE_WHOLE;
	if (kind == RANGE_UNSATISFIED) {
		fd_close(fd);
		reply_start(q, 416);
		http_reply_headerf(q->x, "Content-Range", "bytes */%ju", (uintmax_t)size);
		reply_empty(q);
		return;
	}
	blob_head(q, kind == RANGE_PART ? 206 : 200, digest);
	if (kind == RANGE_PART)
		http_reply_headerf(q->x, "Content-Range", "bytes %ju-%ju/%ju", (uintmax_t)from, (uintmax_t)(from + n - 1), (uintmax_t)size);
	send_part(q, fd, from, n);
}

void blob_serve(Request *q, const Digest *d, const char *digest)
{
	CatalogBlob blob;
	Err e = ERR_INIT;
	uint64_t size;
	int r = catalog_blob(q->reg->db, q->name, digest, &blob, &e);
	if (r < 0) {
		if (r == -ENOENT && q->proxy && !q->fetched)
			upstream_blob(q, d, digest);
		else if (r == -ENOENT)
			reply_error(q, CODE_BLOB_UNKNOWN, NULL);
		else
			reply_failure(q, &e);
		return;
	}
	if (q->proxy && !q->fetched) q->reg->upstream.hits++;
	if (request_is(q, "HEAD")) keep_blob(q, digest, &blob);
	if (etag_matches(q, digest)) {
		reply_start(q, 304);
		http_reply_headerf(q->x, "ETag", "\"%s\"", digest);
		http_finish(q->x);
		return;
	}
	int fd = storage_blob_open(&q->reg->storage, d, &size);
	if (fd < 0 || size != blob.size) {
		/* the collection may have been faster than we; anything else is a loss that `check` repairs */
		log_write(q->reg->log, LOG_ERROR, "%s: %s: the file is %s", q->name, digest, fd < 0 ? "missing" : "of another size");
		fd_close(fd);
		reply_error(q, CODE_BLOB_UNKNOWN, NULL);
		return;
	}
	blob_send(q, digest, fd, size);
}

static int run_delete(Change *c, Db *db, Err *e)
{
	return catalog_delete_blob(db, c->name, c->reference, e);
}

static void deleted(Change *c, int result, const Err *e)
{
	if (!c->q) return;
	if (result == -ENOENT) {
		reply_error(c->q, CODE_BLOB_UNKNOWN, NULL);
	} else if (result < 0) {
		reply_failure(c->q, e);
	} else {
		reply_start(c->q, 202);
		reply_empty(c->q);
	}
}

void api_blob(Request *q)
{
	Digest d;
	char digest[DIGEST_TEXT_MAX];
	if (!request_digest(q, &d)) return;
	digest_format(&d, digest);
	if (request_reads(q))
		blob_serve(q, &d, digest);
	else if (request_is(q, "DELETE"))
		change_submit(q->reg, q, q->name, digest, "", run_delete, deleted);
	else
		reply_method(q, "GET, HEAD, DELETE");
}
