/* import.c: a layer from a file or pipe, or from any web server: what load, import and the verification of kept blobs need. */
#include <inttypes.h>
#include <unistd.h>

#include "base/hash.h"
#include "transfer/body.h"
#include "transfer/layer.h"
#include "transfer/session.h"

enum { READ_SIZE = 128 << 10 };

typedef struct Import {
	Job *job;
	Hash *hash;
	Layer *layer; /* NULL: only hashed and copied */
	Body copy;
	uint64_t left; /* of a part */
} Import;

static int take_in(Import *im, const char *p, size_t n, Err *e)
{
	hash_update(im->hash, p, n);
	int r = im->copy.fd >= 0 ? body_put(&im->copy, NULL, p, n, e) : 0;
	if (im->copy.fd < 0) im->copy.n += n;
	LayerResult ignored;
	if (r >= 0 && im->layer && layer_feed(im->layer, p, n) < 0) r = layer_finish(im->layer, &ignored, e);
	if (r < 0) return r;
	job_progress(im->job, im->copy.n, im->job->req.size, im->layer ? layer_written(im->layer) : 0);
	return job_check(im->job, e);
}

/* A part is read by position: imports of several parts of one file share its offset. */
static ssize_t read_some(Import *im, char *buffer)
{
	const TransferRequest *r = &im->job->req;
	if (!r->part) return TEMP_FAILURE_RETRY(read(im->job->input, buffer, READ_SIZE));
	size_t n = im->left < READ_SIZE ? (size_t)im->left : READ_SIZE;
	ssize_t k = TEMP_FAILURE_RETRY(pread(im->job->input, buffer, n, (off_t)(r->offset + r->size - im->left)));
	if (k > 0) im->left -= (uint64_t)k;
	return k;
}

static int read_all(Import *im, Err *e)
{
	AUTO_FREE char *buffer = malloc(READ_SIZE);
	if (!buffer) return err_set(e, ERR_RESOURCE, ENOMEM, "layer: out of memory");
	if (!im->job->req.part) (void)lseek(im->job->input, 0, SEEK_SET); /* a pipe has no beginning to go back to */
	for (;;) {
		ssize_t n = read_some(im, buffer);
		if (n < 0) return err_sys(e, errno, "read the layer at byte %" PRIu64, im->copy.n);
		if (n == 0) return 0;
		if (im->job->req.size && (uint64_t)n > im->job->req.size - im->copy.n)
			return err_set(e, ERR_SECURITY, EPROTO, "the layer has more than the expected %" PRIu64 " bytes",
				       im->job->req.size);
		int r = take_in(im, buffer, (size_t)n, e);
		if (r < 0) return r;
	}
}

static int on_answer(void *arg, const HttpResponse *r, const void *p, size_t n, Err *e)
{
	return take_in(arg, p, n, e);
}

/* fetch_once: 1 when it may be asked again. Not once bytes have come: nothing says that the next answer would be the same. */
static int fetch_once(Import *im, HttpResponse *res, Err *e)
{
	Job *j = im->job;
	HttpRequest req = { .method = "GET", .url = j->req.urls.items[0], .sink = on_answer, .arg = im, .limit = INT64_MAX, .blob = true };
	int r = http_send(j, &req, res, e);
	j->result.status = res->status;
	if (r < 0) return res->retry && !im->copy.n ? 1 : r;
	if (res->status == 200) return 0;
	r = http_refusal(j, res, req.url, e);
	return http_retry_status(res->status) ? 1 : r;
}

static int fetch_all(Import *im, Err *e)
{
	AUTO_HTTP_RESPONSE res = HTTP_RESPONSE_INIT;
	Session none = { .job = im->job };
	for (uint32_t attempt = 1;; attempt++) {
		int r = fetch_once(im, &res, e);
		if (r <= 0) return r;
		if (attempt >= im->job->req.tuning.attempts) return -(e->errnum ?: EIO);
		Err late = ERR_INIT;
		if ((r = session_pause(&none, &res, attempt, &late)) < 0) {
			*e = late;
			return r;
		}
		*e = (Err)ERR_INIT;
	}
}

/* check: against what was expected, where anything was. */
static int check(Import *im, Err *e)
{
	Job *j = im->job;
	Digest got;
	char text[DIGEST_TEXT_MAX];
	if ((j->req.size || j->req.part) && im->copy.n != j->req.size)
		return err_set(e, ERR_IO, EBADMSG, "the layer ends after %" PRIu64 " of %" PRIu64 " bytes", im->copy.n, j->req.size);
	int r = hash_final(im->hash, &got);
	if (r < 0) return err_sys(e, r, "digest of the layer");
	digest_format(&got, text);
	if (j->req.digest && !streq(j->req.digest, text))
		return err_set(e, ERR_SECURITY, EILSEQ, "the bytes are %s: digest mismatch", text);
	j->result.digest = job_string(j, text);
	j->result.size = im->copy.n;
	return j->result.digest ? 0 : err_set(e, ERR_RESOURCE, ENOMEM, "layer: out of memory");
}

static int run(Import *im, Err *e)
{
	Job *j = im->job;
	LayerResult layer = { 0 };
	char text[DIGEST_TEXT_MAX];
	int r = j->req.op == TRANSFER_LAYER_FETCH ? fetch_all(im, e) : read_all(im, e);
	if (r >= 0) r = check(im, e);
	if (r < 0 || !im->layer) return r;
	r = layer_finish(im->layer, &layer, e);
	if (r < 0) return r;
	j->result.diff_id = job_string(j, digest_format(&layer.diff_id, text));
	j->result.tar_size = layer.tar_size;
	j->result.entries = layer.entries;
	j->result.files_size = layer.files_size;
	j->result.opaque = layer.opaque;
	j->result.compression = layer.compression;
	return j->result.diff_id ? 0 : err_set(e, ERR_RESOURCE, ENOMEM, "layer: out of memory");
}

int op_layer_import(Job *j, Err *e)
{
	AUTO_HASH *hash = NULL;
	AUTO_LAYER *layer = NULL;
	Digest want = { .algorithm = DIGEST_SHA256 };
	if (j->req.digest && digest_parse(str_of(j->req.digest), &want) < 0)
		return err_set(e, ERR_CONFIG, EINVAL, "\"%.200s\" is not a digest", j->req.digest);
	if (hash_new(want.algorithm, &hash) < 0) return err_set(e, ERR_RESOURCE, ENOMEM, "layer: out of memory");
	const LayerSpec spec = {
		.tar = j->tar,
		.index = j->index,
		.compression = j->req.compression,
		.limits = &j->req.limits,
		.diff_id = j->req.diff_id,
	};
	int r = j->tar >= 0 || j->index >= 0 || j->req.diff_id ? layer_new(&spec, &layer, e) : 0;
	if (r < 0) return r;
	Import im = { .job = j, .hash = hash, .layer = layer, .copy = { .fd = j->body }, .left = j->req.size };
	r = body_begin(&im.copy, e);
	return r < 0 ? r : run(&im, e);
}
