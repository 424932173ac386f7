/* receive.c: see receive.h.
 *
 * The ring holds the bytes of the body that one of the two workers still needs, each at its number modulo the ring's size. The loop puts bytes in and
 * counts them (in); one worker writes them to the file (written), another hashes them (hashed), each at its own pace. A job goes on while
 * there are bytes, so that threads change hands seldom: a piece of PIECE bytes takes no longer than to wake somebody. When the ring is full the loop stops
 * reading and says so (full); a job that has made room ends then, and its end brings the loop back.
 */
#include "registry/receive.h"

#include <assert.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <unistd.h>

#include "sys/fd.h"

enum {
	RING_MAX = 4 << 20, /* powers of two */
	RING_MIN = 128 << 10,
	RINGS = 128 << 20,        /* of all bodies together, while that leaves RING_MIN to each */
	PIECE = 256 << 10,        /* read, written or hashed at a time */
	BATCH = 1 << 20,          /* worth to wake a thread for */
	TURN = 8 << 20,           /* after so much the thread is for others */
	ALONE = 64 << 10,         /* a body that is not worth a second thread */
	LATE_MAX = 8 << 20,       /* never reached: a window of HTTP/2 is the most that comes although reading has stopped */
	WRITEBACK_STEP = 8 << 20, /* the kernel is told to write after so many bytes: the sync at the end is then short */
};

/* What will come. Workers may see it late, and are then sent again. */
typedef enum { BODY_OPEN, BODY_GONE, BODY_WHOLE } BodyState; /* gone: with the client; whole: all of it is in */

struct Receive {
	Registry *reg;
	Request *q; /* NULL when the client has gone */
	HttpExchange *x;
	Upload *upload;
	ReceiveKind kind;
	Digest want;
	int64_t expected;
	uint64_t base; /* where the body begins in the file */
	char *ring;
	size_t size, piece, batch; /* batch >= piece, and both fit in what is taken when the ring is half full */
	_Atomic uint64_t in, written, hashed;
	_Atomic BodyState state;
	_Atomic bool full;
	Buf late;           /* came, and has no room yet */
	bool hashes, alone; /* one worker hashes what comes; it is the one that writes */
	bool ended, gone, paused, failed;
	Work write, hash, again, drop;
	bool writing, hashing; /* until the loop knows of the end */
	/* of the worker that writes, while it does: */
	bool synced;
	uint64_t written_back;
	int write_result;
	Err write_error;
	/* of the one that hashes the file again */
	int again_result;
	Digest digest;
	Commit commit;
	int replaced; /* the same blob from an earlier push; negative: there was none */
	ApiCode code;
	Err e;
};

static void pump(Receive *r);

static void receive_free(Receive *r)
{
	fd_close(r->replaced);
	buf_done(&r->late);
	free(r->ring);
	free(r);
}

/* How far both workers are. */
static uint64_t consumed(const Receive *r)
{
	uint64_t written = r->written, hashed = r->hashed;
	return r->hashes && hashed < written ? hashed : written;
}

static size_t room(const Receive *r)
{
	return r->size - (size_t)(r->in - consumed(r));
}

/* ---- in a worker ---- */

/* The next piece for a worker that has come to byte `at`; false: it is not there yet. */
static bool next_piece(const Receive *r, uint64_t at, Str *ret)
{
	BodyState state = r->state; /* before in, which is the last when the state is not open */
	size_t n = (size_t)(r->in - at), from = (size_t)at & (r->size - 1);
	if (!n || (n < r->piece && state == BODY_OPEN)) return false;
	if (n > r->piece) n = r->piece;
	if (n > r->size - from) n = r->size - from;
	*ret = (Str){ r->ring + from, n };
	return true;
}

/* The loop waits for what this worker has done. */
static bool made_room(const Receive *r)
{
	return r->full && room(r) >= r->size / 2;
}

static void hash_pieces(void *arg)
{
	Receive *r = arg;
	Str piece;
	uint64_t at = r->hashed;
	for (uint64_t end = at + TURN; at < end && next_piece(r, at, &piece) && !made_room(r);) {
		hash_update(r->upload->hash, piece.p, piece.n);
		at += piece.n;
		r->hashed = at;
	}
}

static int write_piece(Receive *r, uint64_t at, Str piece)
{
	Upload *u = r->upload;
	size_t done = 0;
	while (done < piece.n) {
		ssize_t n = TEMP_FAILURE_RETRY(pwrite(u->fd, piece.p + done, piece.n - done, (off_t)(at + done)));
		if (n < 0) {
			int error = errno;
			(void)!ftruncate(u->fd, (off_t)at); /* as much as the session has, after a restart as well */
			return err_sys(&r->write_error, error, "write upload %s", u->id);
		}
		done += (size_t)n;
	}
	at += piece.n;
	if (at - r->written_back >= WRITEBACK_STEP) {
		(void)!sync_file_range(u->fd, (off_t)r->written_back, (off_t)(at - r->written_back), SYNC_FILE_RANGE_WRITE);
		r->written_back = at;
	}
	return 0;
}

/* All is written: it shall be the whole file, and durable. */
static int write_end(Receive *r, uint64_t end)
{
	int fd = r->upload->fd;
	if (r->kind != RECEIVE_CHUNK && ftruncate(fd, (off_t)end) < 0)
		return err_sys(&r->write_error, errno, "cut upload %s", r->upload->id);
	if (fdatasync(fd) < 0) return err_sys(&r->write_error, errno, "sync upload %s", r->upload->id);
	r->synced = true;
	return 0;
}

static void write_pieces(void *arg)
{
	Receive *r = arg;
	Str piece;
	uint64_t at = r->written;
	for (uint64_t end = at + TURN; at < end && next_piece(r, at, &piece) && !made_room(r);) {
		r->write_result = write_piece(r, r->base + at, piece);
		if (r->write_result < 0) return;
		at += piece.n;
		r->written = at;
	}
	if (r->alone) hash_pieces(r);
	if (r->state == BODY_WHOLE && at == r->in) r->write_result = write_end(r, r->base + at);
}

/* What was received before a restart, or is wanted by another algorithm than was announced, is read again. */
static void hash_again(void *arg)
{
	Receive *r = arg;
	r->again_result = hash_file(r->upload->fd, r->want.algorithm, &r->digest, NULL);
}

static void drop_replaced(void *arg)
{
	Receive *r = arg;
	r->replaced = fd_close(r->replaced);
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

/* The hash has seen other bytes than the file now has: at the end it will be made from the file. */
static void give_up_writing(Receive *r)
{
	r->e = r->write_error;
	r->upload->size = r->base + r->written;
	hash_free(take(r->upload->hash));
	give_up(r);
}

static int publish(void *arg, Committer *committer, Db *db, Err *e)
{
	Receive *r = arg;
	r->replaced = storage_blob_hold(&r->reg->storage, &r->want);
	return upload_publish(r->upload, &r->reg->storage, &r->want, r->upload->size, r->reg->o, committer, db, e);
}

static void dropped(void *arg)
{
	receive_free(arg);
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
	if (r->replaced < 0)
		receive_free(r);
	else
		work_put(r->reg->workers, &r->drop);
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

/* Is it what the client says? */
static void check_digest(Receive *r, int result, const Digest *d)
{
	char text[DIGEST_TEXT_MAX];
	hash_free(take(r->upload->hash));
	if (result < 0) {
		err_sys(&r->e, -result, "hash upload %s", r->upload->id);
		give_up(r);
	} else if (!digest_equal(d, &r->want)) {
		r->code = CODE_DIGEST_INVALID;
		err_set(&r->e, ERR_USAGE, EBADMSG, "provided digest did not match uploaded content: that is %s", digest_format(d, text));
		give_up(r);
	} else {
		committer_submit(r->reg->committer, &r->commit);
	}
}

static void hashed_again(void *arg)
{
	Receive *r = arg;
	check_digest(r, r->again_result, &r->digest);
}

/* All that came is written and hashed. */
static void finish(Receive *r)
{
	Digest d = { 0 };
	assert(consumed(r) == r->in && !r->late.n);
	if (r->state == BODY_GONE) {
		finish_gone(r);
	} else if (r->kind == RECEIVE_CHUNK) {
		finish_chunk(r);
	} else if (r->hashes) {
		int result = hash_final(r->upload->hash, &d);
		check_digest(r, result, &d);
	} else {
		work_put(r->reg->workers, &r->again);
	}
}

/* ---- in the loop ---- */

static void write_done(void *arg)
{
	Receive *r = arg;
	r->writing = false;
	if (r->write_result < 0) r->failed = true;
	pump(r);
}

static void hash_done(void *arg)
{
	Receive *r = arg;
	r->hashing = false;
	pump(r);
}

/* Copies as much as there is room for. */
static size_t ring_put(Receive *r, const char *p, size_t n)
{
	size_t from = (size_t)r->in & (r->size - 1), free_n = room(r);
	if (n > free_n) n = free_n;
	if (!n) return 0; /* p may be NULL then */
	size_t first = n < r->size - from ? n : r->size - from;
	memcpy(r->ring + from, p, first);
	memcpy(r->ring, p + first, n - first);
	r->in += n;
	return n;
}

static void *on_room(void *arg, size_t *ret_n)
{
	Receive *r = arg;
	size_t from = (size_t)r->in & (r->size - 1), n = room(r);
	if (r->late.n || !n) return NULL;
	if (n > r->size - from) n = r->size - from;
	*ret_n = n < PIECE ? n : PIECE;
	return r->ring + from;
}

static void put(Receive *r, const char *p, size_t n)
{
	if (p == r->ring + ((size_t)r->in & (r->size - 1))) { /* read to its place */
		r->in += n;
		return;
	}
	size_t taken = r->late.n ? 0 : ring_put(r, p, n);
	if (taken < n) buf_put(&r->late, p + taken, n - taken);
}

static void take_late(Receive *r)
{
	if (r->late.n) buf_consume(&r->late, ring_put(r, r->late.p, r->late.n));
	if (r->late.n) return;
	buf_done(&r->late);
	if (r->state == BODY_OPEN && (r->ended || r->gone)) r->state = r->ended ? BODY_WHOLE : BODY_GONE;
}

static bool is_due(const Receive *r, uint64_t at)
{
	return r->in - at >= r->batch || (r->in > at && r->state != BODY_OPEN);
}

static bool writer_is_due(const Receive *r)
{
	return is_due(r, r->written) || (r->alone && is_due(r, r->hashed)) || (r->state == BODY_WHOLE && !r->synced);
}

static void submit(Receive *r)
{
	if (!r->writing && writer_is_due(r)) {
		r->writing = true;
		work_put(r->reg->workers, &r->write);
	}
	if (!r->hashing && r->hashes && !r->alone && is_due(r, r->hashed)) {
		r->hashing = true;
		work_put(r->reg->workers, &r->hash);
	}
}

/* Stops reading when little room is left, until half of the ring is free. Until then it holds more than a batch, so one of the
 * workers is busy. */
static void set_pace(Receive *r)
{
	size_t n = room(r);
	bool full = !r->ended && (r->late.n || r->failed || n < (r->full ? r->size / 2 : r->piece / 2));
	r->full = full;
	if (!r->q || r->ended || full == r->paused) return;
	r->paused = full;
	if (full)
		http_body_pause(r->x);
	else
		http_body_resume(r->x);
}

/* Goes on with whatever can be done now. */
static void pump(Receive *r)
{
	r->upload->size = r->base + consumed(r);
	if (!r->failed) {
		take_late(r);
		submit(r);
	}
	if (r->writing || r->hashing)
		set_pace(r);
	else if (r->failed)
		give_up_writing(r);
	else if (r->state != BODY_OPEN)
		finish(r);
	else
		set_pace(r);
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
static int check_length(Receive *r, uint64_t n, bool end)
{
	uint64_t max = r->reg->o->max_blob;
	r->code = CODE_SIZE_INVALID;
	if (r->expected >= 0 && (n > (uint64_t)r->expected || (end && n < (uint64_t)r->expected)))
		return err_set(&r->e, ERR_USAGE, ERANGE, "%jd bytes were announced, not %ju", (intmax_t)r->expected, (uintmax_t)n);
	if (max && r->base + n > max) return err_set(&r->e, ERR_USAGE, ERANGE, "a blob has at most %ju bytes here", (uintmax_t)max);
	return check_quotas(r, r->base + n);
}

static int on_body(void *arg, HttpExchange *x, const void *p, size_t n, bool end, int error)
{
	Receive *r = arg;
	if (error) return 0; /* the abort follows */
	r->reg->metrics.bytes_in += n;
	int result = check_length(r, r->in + r->late.n + n, end);
	if (result >= 0) put(r, p, n);
	if (buf_failed(&r->late)) result = err_sys(&r->e, ENOMEM, "receive a blob");
	if (result < 0) {
		fail(r);
		r->q = NULL;
		r->upload->writer = NULL;
		r->gone = true;
		pump(r);
		return result;
	}
	r->ended = end;
	if (end) r->upload->writer = NULL;
	pump(r);
	return 0;
}

/* A share of what all may have, and no more than the body needs. */
static size_t ring_size(const Receive *r)
{
	const Uploads *u = &r->reg->uploads;
	size_t size = RING_MAX, busy = u->n - u->idle;
	while (size > RING_MIN && size * busy > RINGS)
		size /= 2;
	while (size > 4096 && r->expected >= 0 && (uint64_t)r->expected <= size / 2)
		size /= 2;
	return size;
}

static Receive *receive_new(Request *q, Upload *upload, ReceiveKind kind, const Digest *digest, int64_t length)
{
	AUTO_FREE Receive *r = calloc(1, sizeof *r);
	if (!r) return NULL;
	r->reg = q->reg;
	r->q = q;
	r->x = q->x;
	r->upload = upload;
	r->kind = kind;
	r->expected = length;
	if (digest) r->want = *digest;
	r->size = ring_size(r);
	r->piece = r->size / 4 < PIECE ? r->size / 4 : PIECE;
	r->batch = r->size / 4 < BATCH ? r->size / 4 : BATCH;
	r->ring = malloc(r->size);
	if (!r->ring) return NULL;
	r->late = BUF_INIT(LATE_MAX);
	r->base = r->written_back = upload->size;
	r->hashes = upload->hash && (kind == RECEIVE_CHUNK || upload->algorithm == r->want.algorithm);
	r->alone = r->hashes && length >= 0 && length <= ALONE;
	r->write = (Work){ .work = write_pieces, .done = write_done, .arg = r };
	r->hash = (Work){ .work = hash_pieces, .done = hash_done, .arg = r };
	r->again = (Work){ .work = hash_again, .done = hashed_again, .arg = r };
	r->drop = (Work){ .work = drop_replaced, .done = dropped, .arg = r };
	r->replaced = -1;
	r->commit = (Commit){ .run = publish, .done = published, .arg = r };
	return take(r);
}

void receive_start(Request *q, Upload *upload, ReceiveKind kind, const Digest *digest, int64_t length)
{
	Receive *r = receive_new(q, upload, kind, digest, length);
	if (!r) {
		uploads_release(&q->reg->uploads, upload);
		reply_error_status(q, 503, CODE_UNSUPPORTED, "no memory left for this request");
		return;
	}
	upload->writer = r;
	http_on_abort(q->x, on_abort, r);
	http_body(q->x, on_body, r);
	http_body_room(q->x, on_room);
}
