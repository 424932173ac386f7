/* api_upload.c: end-4, 5, 6, 11, 13 and 14: sessions of uploads, and mounts, which need none. */
#include "registry/receive.h"

#include "base/time.h"
#include "registry/range.h"

/* Each chunk is synced before it is answered. A smaller one is taken all the same. */
enum { CHUNK_MIN = 64 << 10 };

/* ---- what a session is told about itself ---- */

static void put_session(Request *q, const Upload *u)
{
	http_reply_headerf(q->x, "Location", "/v2/%s/blobs/uploads/%s", u->repository, u->id);
	http_reply_headerf(q->x, "Range", "0-%ju", (uintmax_t)(u->size ? u->size - 1 : 0));
	http_reply_header(q->x, "Docker-Upload-UUID", u->id);
}

static void out_of_order(Request *q, const Upload *u)
{
	reply_start(q, 416);
	put_session(q, u);
	reply_empty(q);
}

/* ---- POST ---- */

static int new_upload(Request *q, uint8_t algorithm, Upload **ret)
{
	Err e = ERR_INIT;
	int r = uploads_new(&q->reg->uploads, &q->reg->storage, q->name, algorithm, ret);
	if (r >= 0) return 0;
	err_sys(&e, -r, "begin an upload");
	reply_failure(q, &e);
	return r;
}

static void begin_session(Request *q, uint8_t algorithm)
{
	Upload *u;
	if (new_upload(q, algorithm, &u) < 0) return;
	uploads_release(&q->reg->uploads, u);
	reply_start(q, 202);
	put_session(q, u);
	http_reply_headerf(q->x, "OCI-Chunk-Min-Length", "%d", CHUNK_MIN);
	reply_empty(q);
}

static bool take_digest(Request *q, const char *text, Digest *ret)
{
	int r = text ? digest_parse(str_of(text), ret) : -EINVAL;
	if (r < 0)
		reply_error(q, CODE_DIGEST_INVALID,
			    r == -ENOTSUP ? "\"%.200s\": only sha256 and sha512 are supported" : "\"%.200s\" is no digest",
			    text ? text : "");
	return r >= 0;
}

static void post_whole(Request *q, const char *text)
{
	Digest d;
	Upload *u;
	if (!take_digest(q, text, &d) || new_upload(q, d.algorithm, &u) < 0) return;
	receive_start(q, u, RECEIVE_WHOLE, &d, http_body_length(q->x));
}

/* ---- mounts ---- */

static int run_mount(Change *c, Db *db, Err *e)
{
	int r = catalog_mount_blob(db, c->reg->o, c->other, c->name, c->reference, time_now(), e);
	return r < 0 ? r : webhook_enqueue(c->reg, db, "mount", c->name, c->reference, c->reference, 0, e);
}

static void mounted(Change *c, int result, const Err *e)
{
	Request *q = c->q;
	Digest d = { 0 };
	if (result >= 0) {
		c->reg->metrics.mounts++;
		webhook_kick(c->reg);
	}
	if (!q) return;
	if (result == -ENOENT) {
		/* not there, or gone meanwhile: the client pushes it */
		begin_session(q, digest_parse(str_of(c->reference), &d) < 0 ? DIGEST_SHA256 : d.algorithm);
	} else if (result == -EDQUOT) {
		reply_error(q, CODE_DENIED, "%s", e->msg);
	} else if (result < 0) {
		reply_failure(q, e);
	} else {
		reply_start(q, 201);
		http_reply_headerf(q->x, "Location", "/v2/%s/blobs/%s", c->name, c->reference);
		http_reply_header(q->x, "Docker-Content-Digest", c->reference);
		reply_empty(q);
	}
}

/* With a token, another repository may be read only if the token says so; that its user may is not enough. */
static bool may_pull(const Request *q, const char *name)
{
	const RegistryAuth *auth = &q->reg->o->auth;
	if (q->token && !(token_rights(q->token, str_of(name)) & ACCESS_PULL)) return false;
	return access_rights(&auth->rules, q->user, name) & ACCESS_PULL;
}

typedef struct Source {
	const Request *q;
	unsigned tried;
	char name[NAME_MAX_LENGTH + 1];
} Source;

static bool try_source(void *arg, const char *name)
{
	Source *s = arg;
	if (may_pull(s->q, name)) {
		snprintf(s->name, sizeof s->name, "%s", name);
		return false;
	}
	return ++s->tried < 1000;
}

static void post_mount(Request *q, const char *text, const char *from)
{
	Digest d;
	char digest[DIGEST_TEXT_MAX];
	Err e = ERR_INIT;
	Source s = { .q = q };
	if (!take_digest(q, text, &d)) return;
	digest_format(&d, digest);
	if (from && from[0]) {
		if (name_valid(str_of(from)) && may_pull(q, from)) snprintf(s.name, sizeof s.name, "%s", from);
	} else if (catalog_blob_repositories(q->reg->db, digest, try_source, &s, &e) < 0) {
		reply_failure(q, &e);
		return;
	}
	if (s.name[0])
		change_submit(q->reg, q, q->name, digest, s.name, run_mount, mounted);
	else
		begin_session(q, d.algorithm);
}

void api_uploads(Request *q)
{
	if (!request_is(q, "POST")) {
		reply_method(q, "POST");
		return;
	}
	const char *mount = http_query(q->x, "mount"), *digest = http_query(q->x, "digest"), *named = http_query(q->x, "digest-algorithm");
	if (mount) {
		post_mount(q, mount, http_query(q->x, "from"));
		return;
	}
	if (digest) {
		post_whole(q, digest);
		return;
	}
	uint8_t algorithm = named ? digest_algorithm_value(str_of(named)) : DIGEST_SHA256;
	if (algorithm)
		begin_session(q, algorithm);
	else
		reply_error(q, CODE_DIGEST_INVALID, "digest-algorithm \"%.200s\": only sha256 and sha512 are supported", named);
}

/* ---- a session ---- */

/* The chunk's range, when the request has one, must begin where the session ends and be as long as the body. */
static bool check_range(Request *q, const Upload *u, int64_t *ret_length)
{
	const char *header = http_header(q->x, "Content-Range");
	int64_t length = http_body_length(q->x);
	uint64_t from, to;
	*ret_length = length;
	if (!header || !header[0]) return true;
	if (chunk_range_parse(str_of(header), &from, &to) < 0) {
		/* "0--1" and the like come with an empty last chunk */
		if (length == 0) return true;
		reply_error(q, CODE_BLOB_UPLOAD_INVALID, "Content-Range \"%.100s\": expected <from>-<to>", header);
		return false;
	}
	if (length == 0) return true;
	if (from != u->size) {
		out_of_order(q, u);
		return false;
	}
	uint64_t n = to - from + 1;
	if (n > INT64_MAX || (length >= 0 && (uint64_t)length != n)) {
		reply_error(q, CODE_SIZE_INVALID, "Content-Range %.100s does not fit the Content-Length %jd", header, (intmax_t)length);
		return false;
	}
	*ret_length = (int64_t)n;
	return true;
}

static void write_upload(Request *q, Upload *u, ReceiveKind kind)
{
	Uploads *uploads = &q->reg->uploads;
	Digest d = { 0 };
	int64_t length;
	Err e = ERR_INIT;
	if (kind == RECEIVE_LAST && !take_digest(q, http_query(q->x, "digest"), &d)) return;
	if (u->busy) {
		/* A client whose connection broke comes back before we know that the old one is dead: it is given up, so that the next try finds the session free. */
		if (u->writer) receive_interrupt(u->writer);
		reply_error_status(q, 409, CODE_BLOB_UPLOAD_INVALID, "another request is writing to this upload; try again");
		return;
	}
	if (!check_range(q, u, &length)) return;
	int r = uploads_take(uploads, &q->reg->storage, u);
	if (r == -ENOENT) {
		uploads_remove(uploads, &q->reg->storage, u);
		reply_error(q, CODE_BLOB_UPLOAD_UNKNOWN, NULL);
	} else if (r < 0) {
		err_sys(&e, -r, "open upload %s", u->id);
		reply_failure(q, &e);
	} else {
		receive_start(q, u, kind, &d, length);
	}
}

static void cancel(Request *q, Upload *u)
{
	if (u->busy) {
		reply_error_status(q, 409, CODE_BLOB_UPLOAD_INVALID, "a request is writing to this upload");
		return;
	}
	uploads_remove(&q->reg->uploads, &q->reg->storage, u);
	reply_start(q, 204);
	http_finish(q->x);
}

void api_upload(Request *q)
{
	Upload *u;
	Err e = ERR_INIT;
	int r = uploads_find(&q->reg->uploads, &q->reg->storage, q->reference, q->name, &u);
	if (r == -ENOENT) {
		reply_error(q, CODE_BLOB_UPLOAD_UNKNOWN, NULL);
	} else if (r < 0) {
		err_sys(&e, -r, "find upload %s", q->reference);
		reply_failure(q, &e);
	} else if (request_is(q, "PATCH")) {
		write_upload(q, u, RECEIVE_CHUNK);
	} else if (request_is(q, "PUT")) {
		write_upload(q, u, RECEIVE_LAST);
	} else if (request_reads(q)) {
		reply_start(q, 204);
		put_session(q, u);
		http_finish(q->x);
	} else if (request_is(q, "DELETE")) {
		cancel(q, u);
	} else {
		reply_method(q, "GET, PATCH, PUT, DELETE");
	}
}
