/* receive.c: see receive.h. */
#include "registry/receive.h"

#include <fcntl.h>
#include <unistd.h>

#include "sys/fd.h"

enum {
	PIECE = 512 << 10,     /* what a worker gets at a time */
	PIECE_MANY = 64 << 10, /* the same, when many receive at once: memory stays bounded */
	MANY = 64,
	BUFFER_MAX = 8 << 20, /* never reached: the loop stops reading at two pieces */
	WRITEBACK = 8 << 20,  /* the kernel is told to write after so many bytes: the sync at the end is then short */
};

struct Receive {
	Registry *reg;
	Request *q; /* NULL when the client has gone */
	HttpExchange *x;
	Upload *upload;
	ReceiveKind kind;
	Digest want;
	int64_t expected, received;
	Buf fill, piece; /* of the loop; of the worker, while running */
	bool running, last, ended, paused, gone;
	uint64_t at; /* where the worker's piece belongs */
	uint64_t written_back;
	Work job;
	Commit commit;
	ApiCode code;
	int result; /* of the worker */
	Err e;
};

static void pump(Receive *r);

static void receive_free(Receive *r)
{
	buf_done(&r->fill);
	buf_done(&r->piece);
	free(r);
}

/* ---- in a worker: reads what the loop leaves alone while running is set ---- */

static int write_piece(Receive *r)
{
	Upload *u = r->upload;
	size_t done = 0;
	while (done < r->piece.n) {
		ssize_t n = TEMP_FAILURE_RETRY(pwrite(u->fd, r->piece.p + done, r->piece.n - done, (off_t)(r->at + done)));
		if (n < 0) {
			int error = errno;
			(void)!ftruncate(u->fd, (off_t)r->at); /* as much as the session has, after a restart as well */
			return err_sys(&r->e, error, "write upload %s", u->id);
		}
		done += (size_t)n;
	}
	if (u->hash) hash_update(u->hash, r->piece.p, r->piece.n);
	uint64_t end = r->at + r->piece.n;
	if (end - r->written_back >= WRITEBACK) {
		(void)!sync_file_range(u->fd, (off_t)r->written_back, (off_t)(end - r->written_back), SYNC_FILE_RANGE_WRITE);
		r->written_back = end;
	}
	return 0;
}

/* The whole blob is in the file: is it what the client says? */
static int check_digest(Receive *r)
{
	Upload *u = r->upload;
	Digest d;
	int x = ftruncate(u->fd, (off_t)(r->at + r->piece.n));
	if (x < 0) return err_sys(&r->e, errno, "cut upload %s", u->id);
	if (u->hash && u->algorithm == r->want.algorithm)
		x = hash_final(u->hash, &d);
	else
		x = hash_file(u->fd, r->want.algorithm, &d, NULL); /* begun before a restart, or by another algorithm */
	hash_free(take(u->hash));
	if (x < 0) return err_sys(&r->e, -x, "hash upload %s", u->id);
	if (digest_equal(&d, &r->want)) return 0;
	char text[DIGEST_TEXT_MAX];
	r->code = CODE_DIGEST_INVALID;
	return err_set(&r->e, ERR_USAGE, EBADMSG, "provided digest did not match uploaded content: that is %s", digest_format(&d, text));
}

static void work(void *arg)
{
	Receive *r = arg;
	r->result = r->piece.n ? write_piece(r) : 0;
	if (r->result >= 0 && r->last && r->kind != RECEIVE_CHUNK) r->result = check_digest(r);
	if (r->result >= 0 && r->last && fdatasync(r->upload->fd) < 0) r->result = err_sys(&r->e, errno, "sync upload %s", r->upload->id);
}

/* ---- the end ---- */

/* The client is told, when he is still there. */
static void fail(Receive *r)
{
	if (!r->q) return;
	http_on_abort(r->x, NULL, NULL);
	if (r->e.errnum == EBADMSG || r->e.errnum == ERANGE)
		reply_error(r->q, r->code, "%s", r->e.msg);
	else if (r->e.errnum == EDQUOT)
		reply_error(r->q, CODE_DENIED, "%s", r->e.msg);
	else
		reply_failure(r->q, &r->e);
}

/* A chunk that failed leaves what is in the file; the end of a session that failed ends it. */
static void give_up(Receive *r)
{
	Uploads *u = &r->reg->uploads;
	fail(r);
	if (r->kind == RECEIVE_CHUNK && r->e.errnum != EBADMSG)
		uploads_release(u, r->upload);
	else
		uploads_remove(u, &r->reg->storage, r->upload);
	receive_free(r);
}

static int publish(void *arg, Committer *committer, Db *db, Err *e)
{
	Receive *r = arg;
	return upload_publish(r->upload, &r->reg->storage, &r->want, r->upload->size, r->reg->o, committer, db, e);
}

static void published(void *arg, int result, const Err *e)
{
	Receive *r = arg;
	char digest[DIGEST_TEXT_MAX];
	if (result < 0) {
		r->e = *e;
		give_up(r);
		return;
	}
	r->reg->metrics.blobs_pushed++;
	if (r->q) {
		http_on_abort(r->x, NULL, NULL);
		digest_format(&r->want, digest);
		reply_start(r->q, 201);
		http_reply_headerf(r->x, "Location", "/v2/%s/blobs/%s", r->upload->repository, digest);
		http_reply_header(r->x, "Docker-Content-Digest", digest);
		reply_empty(r->q);
	}
	uploads_forget(&r->reg->uploads, r->upload);
	receive_free(r);
}

static void finish_chunk(Receive *r)
{
	Upload *u = r->upload;
	if (r->q) {
		http_on_abort(r->x, NULL, NULL);
		reply_start(r->q, 202);
		http_reply_headerf(r->x, "Location", "/v2/%s/blobs/uploads/%s", u->repository, u->id);
		http_reply_headerf(r->x, "Range", "0-%ju", (uintmax_t)(u->size ? u->size - 1 : 0));
		http_reply_header(r->x, "Docker-Upload-UUID", u->id);
		reply_empty(r->q);
	}
	uploads_release(&r->reg->uploads, u);
	receive_free(r);
}

/* The client went before the end. A session that nobody can name again goes with him. */
static void finish_gone(Receive *r)
{
	if (r->kind == RECEIVE_WHOLE)
		uploads_remove(&r->reg->uploads, &r->reg->storage, r->upload);
	else
		uploads_release(&r->reg->uploads, r->upload);
	receive_free(r);
}

/* ---- in the loop ---- */

static void worked(void *arg)
{
	Receive *r = arg;
	r->running = false;
	if (r->result >= 0) r->upload->size += r->piece.n;
	buf_reset(&r->piece);
	if (r->result < 0) {
		give_up(r);
	} else if (!r->last) {
		pump(r);
	} else if (r->kind == RECEIVE_CHUNK) {
		finish_chunk(r);
	} else {
		committer_submit(r->reg->committer, &r->commit);
	}
}

static size_t piece_size(const Receive *r)
{
	return r->reg->uploads.n - r->reg->uploads.idle > MANY ? PIECE_MANY : PIECE;
}

static void submit(Receive *r)
{
	Buf full = r->fill;
	r->fill = r->piece;
	r->piece = full;
	r->running = true;
	r->last = r->ended && !r->gone;
	r->at = r->upload->size;
	work_put(r->reg->workers, &r->job);
}

/* Goes on with whatever can be done now. */
static void pump(Receive *r)
{
	size_t size = piece_size(r);
	if (!r->running) {
		if (r->fill.n >= size || r->ended || (r->gone && r->fill.n)) {
			submit(r);
		} else if (r->gone) {
			finish_gone(r);
			return;
		}
	}
	bool pause = r->fill.n >= size;
	if (r->q && !r->ended && pause != r->paused) {
		r->paused = pause;
		if (pause)
			http_body_pause(r->x);
		else
			http_body_resume(r->x);
	}
}

static void on_abort(void *arg, HttpExchange *x)
{
	Receive *r = arg;
	r->q = NULL;
	r->upload->writer = NULL;
	if (r->ended || r->gone) return; /* what runs ends by itself */
	r->gone = true;
	pump(r);
}

void receive_interrupt(Receive *r)
{
	HttpExchange *x = r->x;
	on_abort(r, x);
	http_abort(x);
}

/* What no repository of that name could hold even if it were empty need not arrive first. */
static int check_quotas(Receive *r, uint64_t size)
{
	const RegistryOptions *o = r->reg->o;
	for (size_t i = 0; i < o->quotas.n; i++) {
		const RegistryQuota *q = &o->quotas.items[i];
		if (size > q->bytes && name_below(r->upload->repository, q->prefix))
			return err_set(&r->e, ERR_RESOURCE, EDQUOT, "quota exceeded: %s%s may hold %ju bytes",
				       q->prefix[0] ? "repositories below " : "the registry", q->prefix, (uintmax_t)q->bytes);
	}
	return 0;
}

/* More or less than was announced, or than a blob may have. */
static int check_length(Receive *r, bool end)
{
	uint64_t max = r->reg->o->max_blob;
	r->code = CODE_SIZE_INVALID;
	if (r->expected >= 0 && (r->received > r->expected || (end && r->received < r->expected)))
		return err_set(&r->e, ERR_USAGE, ERANGE, "%jd bytes were announced, not %jd", (intmax_t)r->expected, (intmax_t)r->received);
	uint64_t size = r->upload->size + r->piece.n + r->fill.n;
	if (max && size > max) return err_set(&r->e, ERR_USAGE, ERANGE, "a blob has at most %ju bytes here", (uintmax_t)max);
	return check_quotas(r, size);
}

static int on_body(void *arg, HttpExchange *x, const void *p, size_t n, bool end, int error)
{
	Receive *r = arg;
	if (error) return 0; /* the abort follows */
	r->received += (int64_t)n;
	r->reg->metrics.bytes_in += n;
	buf_put(&r->fill, p, n);
	int result = buf_failed(&r->fill) ? err_sys(&r->e, ENOMEM, "receive a blob") : check_length(r, end);
	if (result < 0) {
		fail(r);
		r->q = NULL;
		r->upload->writer = NULL;
		r->gone = true;
		buf_reset(&r->fill);
		pump(r);
		return result;
	}
	r->ended = end;
	if (end) r->upload->writer = NULL;
	pump(r);
	return 0;
}

void receive_start(Request *q, Upload *upload, ReceiveKind kind, const Digest *digest, int64_t length)
{
	Receive *r = calloc(1, sizeof *r);
	if (!r) {
		uploads_release(&q->reg->uploads, upload);
		reply_error_status(q, 503, CODE_UNSUPPORTED, "no memory left for this request");
		return;
	}
	*r = (Receive){ .reg = q->reg, .q = q, .x = q->x, .upload = upload, .kind = kind, .expected = length };
	if (digest) r->want = *digest;
	r->fill = BUF_INIT(BUFFER_MAX);
	r->piece = BUF_INIT(BUFFER_MAX);
	r->written_back = upload->size;
	r->job = (Work){ .work = work, .done = worked, .arg = r };
	r->commit = (Commit){ .run = publish, .done = published, .arg = r };
	upload->writer = r;
	http_on_abort(q->x, on_abort, r);
	http_body(q->x, on_body, r);
}
