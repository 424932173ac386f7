/* upstream_blob.c: blobs of a copy. The upstream is asked for the size first, so HEAD costs no more than that, and what another repository has
 * here need not be fetched. Then the bytes go into an upload, from which clients get them as they come: all but the last, which follows when the digest was
 * found right. */
#include "registry/service.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/time.h"
#include "sys/fd.h"

enum { SOURCES_MAX = 1000 };

static const TransferTuning tuning_head = { .attempts = 3, .backoff_ms = 200, .connect_ms = 5000, .stall_ms = 10000, .deadline_ms = 60000 };
static const TransferTuning tuning_get = { .attempts = 5, .backoff_ms = 200, .connect_ms = 5000, .progress_ms = 20 };

typedef struct BlobFetch {
	Fetch f;
	Digest digest;
	bool sized, verified;
	uint64_t size, have;            /* bytes in the upload */
	Upload *upload;                 /* NULL: not begun, or it has become the blob */
	unsigned sources;               /* repositories here that have it, looked at */
	char from[NAME_MAX_LENGTH + 1]; /* one of them that it can be taken from; "" */
	Work job;
	Commit commit;
	int result; /* of work() */
	Err e;
} BlobFetch;

/* Sender: a client. He gets the bytes as they come (begun), or waits for all of them: a part of the blob was asked for. */
typedef struct Sender {
	Waiter w;
	bool begun, sending; /* http_send_file() is at work */
	int fd;              /* the upload's file: it lives on when the Fetch has ended */
	uint64_t pos, size;
} Sender;

static void blob_free(Fetch *f)
{
	BlobFetch *b = (BlobFetch *)f;
	if (b->upload) uploads_remove(&f->reg->uploads, &f->reg->storage, b->upload);
	free(b);
}

/* ---- sending ---- */

static void sender_done(Sender *s)
{
	s->fd = fd_close(s->fd);
	if (s->w.fetch) fetch_unwait(&s->w);
	http_on_abort(s->w.q->x, NULL, NULL);
	http_on_drain(s->w.q->x, NULL, NULL);
}

static void sender_gone(Waiter *w)
{
	Sender *s = (Sender *)w;
	s->fd = fd_close(s->fd);
}

static int duplicate(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

static void sender_fail(Sender *s)
{
	HttpExchange *x = s->w.q->x;
	sender_done(s);
	http_abort(x);
}

/* Sends what may be sent. The sender is gone when that was all. */
static void pump(Sender *s)
{
	const BlobFetch *b = (const BlobFetch *)s->w.fetch;
	HttpExchange *x = s->w.q->x;
	bool verified = !b || b->verified;
	if (s->sending || (!verified && !s->size)) return;
	uint64_t to = verified ? s->size : b->have < s->size ? b->have : s->size - 1;
	if (to > s->pos) {
		int fd = duplicate(s->fd);
		if (fd < 0) {
			sender_fail(s);
			return;
		}
		s->w.q->reg->metrics.bytes_out += to - s->pos;
		http_send_file(x, fd, (int64_t)s->pos, (int64_t)(to - s->pos));
		s->pos = to;
		s->sending = true;
	}
	if (!verified || s->pos < s->size) return;
	sender_done(s);
	http_finish(x);
}

static void on_drain(void *arg, HttpExchange *x)
{
	Sender *s = arg;
	s->sending = false;
	pump(s);
}

/* From now on he gets what comes. */
static void send_begin(BlobFetch *b, Sender *s)
{
	Request *q = s->w.q;
	s->fd = duplicate(b->upload->fd);
	if (s->fd < 0) return; /* he gets it at the end */
	s->size = b->size;
	s->begun = true;
	b->f.reg->upstream.misses++;
	blob_head(q, 200, b->f.reference);
	http_reply_length(q->x, (int64_t)b->size);
	http_on_drain(q->x, on_drain, s);
	pump(s);
}

static void send_head(BlobFetch *b, Sender *s)
{
	Request *q = s->w.q;
	sender_done(s);
	blob_head(q, 200, b->f.reference);
	http_reply_length(q->x, (int64_t)b->size);
	http_finish(q->x);
}

static bool wants_part(const Request *q)
{
	return http_header(q->x, "Range") != NULL;
}

/* What can be done for him now. */
static void serve_waiter(BlobFetch *b, Sender *s)
{
	if (s->begun)
		pump(s);
	else if (b->sized && request_is(s->w.q, "HEAD"))
		send_head(b, s);
	else if (b->upload && (b->verified || b->have > 1) && !wants_part(s->w.q))
		send_begin(b, s); /* not before there is something to send: until then the answer may become an error */
}

static void serve_waiters(BlobFetch *b)
{
	for (Waiter *w = b->f.waiters, *next; w; w = next) {
		next = w->next;
		serve_waiter(b, (Sender *)w);
	}
}

/* ---- the end ---- */

static void end_failed(BlobFetch *b, const FetchFailure *failure)
{
	if (fetch_is_gone(failure))
		upstream_set_unknown(&b->f);
	else
		fetch_log(&b->f, failure);
	b->f.closed = true;
	for (Waiter *w; (w = b->f.waiters);) {
		Sender *s = (Sender *)w;
		if (s->begun) {
			sender_fail(s);
			continue;
		}
		sender_done(s);
		fetch_refuse(w->q, failure);
	}
	fetch_end(&b->f);
}

static void end_error(BlobFetch *b, const Err *e)
{
	const FetchFailure failure = { .e = *e };
	end_failed(b, &failure);
}

/* It could not be kept, but is there: from the upload's file, which goes afterwards. */
static void send_unkept(BlobFetch *b, Request *q)
{
	Err e = ERR_INIT;
	int fd = duplicate(b->upload->fd);
	if (fd >= 0) {
		blob_send(q, b->f.reference, fd, b->size);
		return;
	}
	err_sys(&e, errno, "open upload %s once more", b->upload->id);
	reply_failure(q, &e);
}

/* kept: it is a blob of the repository now; else it is in the upload. */
static void end_got(BlobFetch *b, bool kept)
{
	b->f.closed = true;
	for (Waiter *w; (w = b->f.waiters);) {
		Sender *s = (Sender *)w;
		if (s->begun) {
			fetch_unwait(w); /* the rest goes by itself */
			continue;
		}
		sender_done(s);
		w->q->fetched = true;
		b->f.reg->upstream.misses++;
		if (kept)
			blob_serve(w->q, &b->digest, b->f.reference);
		else
			send_unkept(b, w->q);
	}
	fetch_end(&b->f);
}

/* ---- keeping it ---- */

static void work(void *arg)
{
	BlobFetch *b = arg;
	b->result = fdatasync(b->upload->fd) < 0 ? err_sys(&b->e, errno, "sync upload %s", b->upload->id) : 0;
}

static int keep_run(void *arg, Committer *committer, Db *db, Err *e)
{
	BlobFetch *b = arg;
	return upload_publish(b->upload, &b->f.reg->storage, &b->digest, b->size, b->f.reg->o, committer, db, e);
}

static void kept(void *arg, int result, const Err *e)
{
	BlobFetch *b = arg;
	Registry *reg = b->f.reg;
	if (result < 0)
		log_write(reg->log, LOG_WARN, "proxy %s: %s is not kept: %s", b->f.name, b->f.reference, e->msg);
	else
		uploads_forget(&reg->uploads, take(b->upload));
	end_got(b, result >= 0);
}

static void worked(void *arg)
{
	BlobFetch *b = arg;
	b->commit = (Commit){ .run = keep_run, .done = kept, .arg = b };
	if (b->result < 0)
		kept(b, b->result, &b->e);
	else
		committer_submit(b->f.reg->committer, &b->commit);
}

static void arrived(BlobFetch *b, const TransferEvent *ev)
{
	Err e = ERR_INIT;
	if (!ev->digest || !streq(ev->digest, b->f.reference) || ev->size != b->size) {
		err_set(&e, ERR_SECURITY, EBADMSG, "%s: skep-transfer got %.160s", b->f.reference, ev->digest ? ev->digest : "nothing");
		end_error(b, &e);
		return;
	}
	b->have = b->size;
	b->verified = true;
	b->f.reg->upstream.bytes += b->size;
	serve_waiters(b);
	b->job = (Work){ .work = work, .done = worked, .arg = b };
	work_put(b->f.reg->workers, &b->job);
}

/* ---- getting it ---- */

static int begin_get(BlobFetch *b, Err *e)
{
	Registry *reg = b->f.reg;
	int r = uploads_new(&reg->uploads, &reg->storage, b->f.name, b->digest.algorithm, &b->upload);
	if (r < 0) return err_sys(e, -r, "begin an upload");
	TransferRequest req = { .op = TRANSFER_BLOB_GET, .digest = b->f.reference, .size = b->size, .tuning = tuning_get };
	return fetch_send(&b->f, &req, b->upload->fd, e);
}

static void get(BlobFetch *b)
{
	Err e = ERR_INIT;
	if (begin_get(b, &e) < 0) end_error(b, &e);
}

/* The upstream has it, and so has another repository here: nothing need be fetched. */
static int mount_run(void *arg, Committer *committer, Db *db, Err *e)
{
	BlobFetch *b = arg;
	return catalog_mount_blob(db, b->f.reg->o, b->from, b->f.name, b->f.reference, time_now(), e);
}

static void mounted(void *arg, int result, const Err *e)
{
	BlobFetch *b = arg;
	if (result >= 0)
		end_got(b, true);
	else
		get(b); /* it went meanwhile, or a quota is full */
}

/* Only from copies of the same upstream: another's word must not open what was pushed here. */
static bool take_source(void *arg, const char *name)
{
	BlobFetch *b = arg;
	const RegistryProxy *p = upstream_proxy(b->f.reg->o, name);
	if (!p || !streq(p->url, b->f.proxy->url)) return ++b->sources < SOURCES_MAX;
	snprintf(b->from, sizeof b->from, "%s", name);
	return false;
}

static void sized(BlobFetch *b, const TransferEvent *ev)
{
	uint64_t max = b->f.reg->o->max_blob;
	Err e = ERR_INIT;
	b->sized = true;
	b->size = ev->size;
	if (ev->size > INT64_MAX || (max && ev->size > max)) {
		err_set(&e, ERR_RESOURCE, EFBIG, "%s has %ju bytes, at most %ju are taken", b->f.reference, (uintmax_t)ev->size,
			(uintmax_t)max);
		end_error(b, &e);
		return;
	}
	serve_waiters(b);
	if (!b->f.waiters) { /* nobody wants more than the size */
		fetch_end(&b->f);
		return;
	}
	if (catalog_blob_repositories(b->f.reg->db, b->f.reference, take_source, b, &e) < 0 || !b->from[0]) {
		get(b);
		return;
	}
	b->commit = (Commit){ .run = mount_run, .done = mounted, .arg = b };
	committer_submit(b->f.reg->committer, &b->commit);
}

static void on_event(Fetch *f, const TransferEvent *ev)
{
	BlobFetch *b = (BlobFetch *)f;
	FetchFailure failure;
	if (ev->kind == TRANSFER_FAILED) {
		fetch_failure(ev, &failure);
		end_failed(b, &failure);
	} else if (ev->kind == TRANSFER_PROGRESS) {
		if (ev->bytes > b->have) b->have = ev->bytes;
		serve_waiters(b);
	} else if (!b->sized) {
		sized(b, ev);
	} else {
		arrived(b, ev);
	}
}

static void begin(Request *q, Sender *s, const Digest *d, const char *digest)
{
	Err e = ERR_INIT;
	BlobFetch *b = (BlobFetch *)fetch_add(q, FETCH_BLOB, digest, sizeof *b);
	if (!b) return;
	b->f.event = on_event;
	b->f.free = blob_free;
	b->digest = *d;
	fetch_wait(&b->f, &s->w, q, sender_gone);
	TransferRequest req = { .op = TRANSFER_BLOB_HEAD, .digest = b->f.reference, .tuning = tuning_head };
	if (fetch_send(&b->f, &req, 0, &e) < 0) end_error(b, &e);
}

void upstream_blob(Request *q, const Digest *d, const char *digest)
{
	if (upstream_is_unknown(q->reg, FETCH_BLOB, q->name, digest)) {
		reply_error(q, CODE_BLOB_UNKNOWN, "%s: %s has no %s", q->name, q->proxy->url, digest);
		return;
	}
	Sender *s = arena_alloc(http_arena(q->x), sizeof *s);
	if (!s) {
		reply_error_status(q, 503, CODE_UNSUPPORTED, "no memory left for this request");
		return;
	}
	s->fd = -1;
	Fetch *f = fetch_find(q->reg, FETCH_BLOB, q->name, digest);
	if (!f) {
		begin(q, s, d, digest);
		return;
	}
	fetch_wait(f, &s->w, q, sender_gone);
	serve_waiter((BlobFetch *)f, s);
}
