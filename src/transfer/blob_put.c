/* blob_put.c: a blob to a registry (OCI distribution specification 1.1, end-4 to end-6, end-11, end-13): not at all when it is there, by a mount
 * from another repository, in one PUT, or in PATCHes. An upload that broke off goes on where the registry says it stands. */
#include <inttypes.h>

#include "base/digest.h"
#include "transfer/session.h"

enum { MOUNTS_MAX = 5, CHUNK_MIN = 64 << 10 };

typedef struct Upload {
	Job *job;
	Session *s;
	const char *location; /* absolute; NULL: none is open */
	uint64_t offset;      /* bytes that the registry has */
	uint64_t chunk;       /* of one PATCH; 0: all that is left */
	bool done, mounted;
} Upload;

static int no_memory(Err *e)
{
	return err_set(e, ERR_RESOURCE, ENOMEM, "upload: out of memory");
}

/* move: to the Location of an answer, which may be anywhere; credentials stay with the endpoint (session_once). */
static int move(Upload *u, const HttpResponse *res, Err *e)
{
	const char *to = res->headers[HTTP_LOCATION];
	if (!to) return u->location ? 0 : err_set(e, ERR_IO, EPROTO, "the registry opened an upload without a location");
	const char *url = http_resolve(&u->s->arena, res->url, to);
	if (!url) return err_set(e, ERR_SECURITY, EPROTO, "the registry named \"%.200s\" as location of the upload", to);
	u->location = url;
	return 0;
}

/* exists: HEAD. 1, 0 or an error. */
static int exists(Upload *u, Err *e)
{
	AUTO_HTTP_RESPONSE res = HTTP_RESPONSE_INIT;
	HttpRequest req = { .method = "HEAD", .url = session_url(u->s, "blobs", u->job->req.digest) };
	if (!req.url) return no_memory(e);
	int r = session_send(u->s, &req, &res, NULL, e);
	if (r < 0) return r;
	if (res.status == 200) return 1;
	return res.status == 404 || res.status == 403 || res.status == 405 ? 0 : http_refusal(u->job, &res, "look for the blob", e);
}

/* cancel: an upload that a failed mount has opened and nobody needs. Whether it works does not matter. */
static void cancel(Upload *u)
{
	AUTO_HTTP_RESPONSE res = HTTP_RESPONSE_INIT;
	Err ignored = ERR_INIT;
	HttpRequest req = { .method = "DELETE", .url = u->location };
	(void)!session_once(u->s, &req, &res, &ignored);
	u->location = NULL;
}

/* post: opens an upload, or mounts from a repository. */
static int post(Upload *u, const char *from, Err *e)
{
	AUTO_HTTP_RESPONSE res = HTTP_RESPONSE_INIT;
	HttpRequest req = { .method = "POST", .url = session_url(u->s, "blobs", "uploads/"), .has_body = true, .body = "" };
	if (req.url && from) req.url = http_query(&u->s->arena, req.url, "mount", u->job->req.digest);
	if (req.url && from) req.url = http_query(&u->s->arena, req.url, "from", from);
	if (!req.url) return no_memory(e);
	int r = session_send(u->s, &req, &res, NULL, e);
	if (r < 0) return r;
	u->job->result.status = res.status;
	if (res.status == 201 && from) {
		u->done = u->mounted = true;
		return 0;
	}
	if (res.status != 202) return http_refusal(u->job, &res, from ? "mount the blob" : "open an upload", e);
	uint64_t least = 0;
	if (res.headers[HTTP_MIN_CHUNK] && str_to_u64(str_of(res.headers[HTTP_MIN_CHUNK]), &least) == 0 && u->chunk && least > u->chunk)
		u->chunk = least;
	u->offset = 0;
	return move(u, &res, e);
}

static int open_upload(Upload *u, Err *e)
{
	const StrList *from = &u->job->req.mount_from;
	for (size_t i = 0; i < from->n && i < MOUNTS_MAX && !u->done; i++) {
		Err refused = ERR_INIT; /* a mount is a favour: without it the bytes are sent */
		if (u->location) cancel(u);
		int r = post(u, from->items[i], &refused);
		if (job_stops(r)) {
			*e = refused;
			return r;
		}
	}
	if (!u->done && u->job->input < 0) {
		if (u->location) cancel(u);
		return err_set(e, ERR_NOT_FOUND, ENOENT, "the registry mounts it from none of the repositories given");
	}
	int r = u->done || u->location ? 0 : post(u, NULL, e);
	if (r >= 0 && u->location && !u->done) job_location(u->job, u->location, 0);
	return r;
}

/* ask: how much of it does the registry have? 0, or an error when the upload is lost. */
static int ask(Upload *u, Err *e)
{
	AUTO_HTTP_RESPONSE res = HTTP_RESPONSE_INIT;
	HttpRequest req = { .method = "GET", .url = u->location };
	int r = session_send(u->s, &req, &res, NULL, e);
	if (r < 0) return r;
	if (res.status != 204 && res.status != 200 && res.status != 202) return http_refusal(u->job, &res, "resume the upload", e);
	Str range = str_of(res.headers[HTTP_RANGE]), first, last;
	uint64_t end = 0;
	if (str_starts(range, "bytes=")) range = (Str){ range.p + 6, range.n - 6 };
	if (!range.n || !str_cut(range, '-', &first, &last) || str_to_u64(last, &end) < 0)
		u->offset = 0;
	else
		u->offset = end ? end + 1 : 0; /* "0-0" is what registries say of an empty upload */
	if (u->offset > u->job->req.size) return err_set(e, ERR_IO, EPROTO, "the registry has %" PRIu64 " bytes of it", u->offset);
	return move(u, &res, e);
}

static void on_sent(void *arg, uint64_t n)
{
	Upload *u = arg;
	job_progress(u->job, u->offset + n, u->job->req.size, 0);
}

/* patch: n bytes from offset on. 1: taken; 0: try again, once the registry was asked. */
static int patch(Upload *u, uint64_t n, HttpResponse *res, Err *e)
{
	char range[80];
	snprintf(range, sizeof range, "Content-Range: %" PRIu64 "-%" PRIu64, u->offset, u->offset + n - 1);
	HttpRequest req = {
		.method = "PATCH",
		.url = u->location,
		.headers = { "Content-Type: application/octet-stream", range },
		.has_body = true,
		.body_fd = u->job->input,
		.body_offset = u->offset,
		.body_size = n,
		.blob = true,
		.sent = on_sent,
		.arg = u,
	};
	int r = session_once(u->s, &req, res, e);
	if (r < 0) return res->retry ? 0 : r;
	if (res->status != 202 && res->status != 204 && res->status != 201) {
		r = http_refusal(u->job, res, "send a part of the blob", e);
		return http_retry_status(res->status) || res->status == 416 || res->status == 404 ? 0 : r;
	}
	u->offset += n;
	r = move(u, res, e);
	if (r < 0) return r;
	job_location(u->job, u->location, u->offset);
	return 1;
}

/* put: the rest, and the end. */
static int put(Upload *u, HttpResponse *res, Err *e)
{
	Job *j = u->job;
	HttpRequest req = {
		.method = "PUT",
		.url = http_query(&u->s->arena, u->location, "digest", j->req.digest),
		.headers = { "Content-Type: application/octet-stream" },
		.has_body = true,
		.body_fd = j->input,
		.body_offset = u->offset,
		.body_size = j->req.size - u->offset,
		.blob = true,
		.sent = on_sent,
		.arg = u,
	};
	if (!req.url) return no_memory(e);
	if (!req.body_size) req.body = "";
	int r = session_once(u->s, &req, res, e);
	if (r < 0) return res->retry ? 0 : r;
	j->result.status = res->status;
	if (res->status == 201 || res->status == 204) {
		u->done = true;
		return 1;
	}
	r = http_refusal(j, res, "finish the upload", e);
	return http_retry_status(res->status) || res->status == 416 || res->status == 404 ? 0 : r;
}

static int step(Upload *u, HttpResponse *res, Err *e)
{
	uint64_t left = u->job->req.size - u->offset;
	if (!left || (!u->chunk && !u->offset)) return put(u, res, e);
	return patch(u, u->chunk && u->chunk < left ? u->chunk : left, res, e);
}

/* recover: after a step that failed in a way that may go away. An upload that the registry has lost is begun anew. */
static int recover(Upload *u, const HttpResponse *res, uint32_t failures, Err *e)
{
	Err lost = ERR_INIT;
	int r = session_pause(u->s, res, failures, e);
	if (r < 0) return r;
	r = u->location ? ask(u, &lost) : 0;
	if (job_stops(r)) {
		*e = lost;
		return r;
	}
	if (r < 0) {
		u->location = NULL;
		u->offset = 0;
	}
	return 0;
}

static int send_all(Upload *u, Err *e)
{
	AUTO_HTTP_RESPONSE res = HTTP_RESPONSE_INIT;
	uint32_t failures = 0;
	while (!u->done) {
		uint64_t before = u->offset;
		int r = u->location ? 1 : open_upload(u, e);
		if (r < 0) return r;
		if (u->done) break;
		r = step(u, &res, e);
		if (r < 0) return r;
		if (r > 0) {
			failures = 0;
			continue;
		}
		if (++failures >= u->job->req.tuning.attempts) return -(e->errnum ?: EIO);
		Err late = ERR_INIT;
		r = recover(u, &res, failures, &late);
		if (r < 0) {
			*e = late;
			return r;
		}
		if (u->offset > before) failures = 1;
	}
	return 0;
}

static const char *mount_scopes(Session *scratch, const StrList *from)
{
	const char *all = NULL;
	for (size_t i = 0; i < from->n && i < MOUNTS_MAX; i++)
		all = arena_printf(&scratch->arena, "%s%srepository:%s:pull", all ?: "", all ? " " : "", from->items[i]);
	return all;
}

static int put_blob(Job *j, const TransferEndpoint *endpoint, void *arg, Err *e)
{
	AUTO_SESSION s = { 0 }, scratch = { .arena = ARENA_INIT(64 << 10) };
	int r = session_init(&s, j, endpoint, "pull,push", mount_scopes(&scratch, &j->req.mount_from), e);
	if (r < 0) return r;
	Upload u = { .job = j, .s = &s, .chunk = j->req.chunk };
	if (u.chunk && u.chunk < CHUNK_MIN) u.chunk = CHUNK_MIN;
	r = exists(&u, e);
	if (r < 0) return r;
	j->result.existed = r;
	if (!r && j->input >= 0 && j->req.location && *j->req.location) {
		Err lost = ERR_INIT; /* it may well have expired */
		u.location = http_resolve(&s.arena, endpoint->url, j->req.location);
		if (u.location && ask(&u, &lost) < 0) u.location = NULL;
		if (!u.location) u.offset = 0;
		j->result.resumed = u.offset;
	}
	if (!r) r = send_all(&u, e);
	if (r < 0) return r;
	j->result.mounted = u.mounted;
	j->result.digest = j->req.digest;
	j->result.size = j->req.size;
	return 0;
}

int op_blob_put(Job *j, Err *e)
{
	Digest d;
	if (digest_parse(str_of(j->req.digest), &d) < 0) return err_set(e, ERR_CONFIG, EINVAL, "\"%.200s\" is not a digest", j->req.digest);
	return job_endpoints(j, put_blob, NULL, e);
}
