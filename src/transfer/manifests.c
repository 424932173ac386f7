/* manifests.c: manifests of a registry (OCI distribution specification 1.1, end-3, end-7, end-9), and the check of its API. */
#include <inttypes.h>

#include "base/hash.h"
#include "transfer/body.h"
#include "transfer/session.h"

enum { MANIFEST_MAX = 4 << 20 };

/* media_type: a Content-Type without its parameters. */
static const char *media_type(Job *j, const HttpResponse *res)
{
	const char *type = res->headers[HTTP_CONTENT_TYPE];
	if (!type) return NULL;
	return arena_str(&j->arena, str_trim((Str){ type, strcspn(type, ";") }));
}

static const char *accept_header(Session *s, const StrList *accept)
{
	AUTO_BUF b = BUF_INIT(16 << 10);
	buf_puts(&b, "Accept: ");
	for (size_t i = 0; i < accept->n; i++)
		buf_printf(&b, "%s%s", i ? ", " : "", accept->items[i]);
	if (!accept->n) buf_puts(&b, "*/*");
	return buf_failed(&b) ? NULL : arena_strdup(&s->arena, buf_str(&b));
}

/* check_digest: what was got against the reference, when it is a digest, and against what the registry says it is. */
static int check_digest(Job *j, const HttpResponse *res, const Digest *got, Err *e)
{
	Digest want;
	char text[DIGEST_TEXT_MAX];
	const char *said = res->headers[HTTP_DIGEST];
	digest_format(got, text);
	if (strchr(j->req.reference, ':') && !streq(j->req.reference, text))
		return err_set(e, ERR_SECURITY, EILSEQ, "the bytes are %s: not what was asked for", text);
	if (said && digest_parse(str_of(said), &want) == 0 && want.algorithm == got->algorithm && !digest_equal(&want, got))
		return err_set(e, ERR_SECURITY, EILSEQ, "the bytes are %s, but the registry says %.160s", text, said);
	j->result.digest = job_string(j, text);
	return j->result.digest ? 0 : err_set(e, ERR_RESOURCE, ENOMEM, "manifest: out of memory");
}

static int reference_algorithm(const Job *j, uint8_t *ret, Err *e)
{
	Digest d = { .algorithm = DIGEST_SHA256 };
	if (strchr(j->req.reference, ':') && digest_parse(str_of(j->req.reference), &d) < 0)
		return err_set(e, ERR_CONFIG, EINVAL, "\"%.200s\" is not a digest", j->req.reference);
	*ret = d.algorithm;
	return 0;
}

static void keep_head(Job *j, const HttpResponse *res)
{
	uint64_t size = 0;
	j->result.status = res->status;
	j->result.content_type = media_type(j, res);
	j->result.digest = job_string(j, res->headers[HTTP_DIGEST]);
	if (res->headers[HTTP_CONTENT_LENGTH] && str_to_u64(str_of(res->headers[HTTP_CONTENT_LENGTH]), &size) == 0) j->result.size = size;
}

static int head(Job *j, Session *s, const char *kind, const char *name, Err *e)
{
	AUTO_HTTP_RESPONSE res = HTTP_RESPONSE_INIT;
	HttpRequest req = { .method = "HEAD", .url = session_url(s, kind, name), .headers = { accept_header(s, &j->req.accept) } };
	if (!req.url || !req.headers[0]) return err_set(e, ERR_RESOURCE, ENOMEM, "request: out of memory");
	int r = session_send(s, &req, &res, NULL, e);
	if (r < 0) return r;
	if (res.status != 200) return http_refusal(j, &res, name, e);
	keep_head(j, &res);
	return 0;
}

static int get_manifest(Job *j, const TransferEndpoint *endpoint, void *arg, Err *e)
{
	AUTO_SESSION s = { 0 };
	AUTO_HTTP_RESPONSE res = HTTP_RESPONSE_INIT;
	AUTO_HASH *hash = NULL;
	Digest got;
	uint8_t algorithm = 0;
	int r = reference_algorithm(j, &algorithm, e);
	if (r >= 0) r = session_init(&s, j, endpoint, "pull", NULL, e);
	if (r < 0) return r;
	if (hash_new(algorithm, &hash) < 0) return err_set(e, ERR_RESOURCE, ENOMEM, "manifest: out of memory");
	Body body = { .fd = j->body, .hash = hash };
	HttpRequest req = { .method = "GET", .sink = body_put, .arg = &body, .limit = j->req.limit ?: MANIFEST_MAX };
	req.url = session_url(&s, "manifests", j->req.reference);
	req.headers[0] = accept_header(&s, &j->req.accept);
	if (!req.url || !req.headers[0]) return err_set(e, ERR_RESOURCE, ENOMEM, "request: out of memory");
	r = session_send(&s, &req, &res, body_begin, e);
	if (r < 0) return r;
	if (res.status != 200) return http_refusal(j, &res, "manifest", e);
	keep_head(j, &res);
	j->result.size = body.n;
	r = hash_final(hash, &got);
	return r < 0 ? err_sys(e, r, "digest of the manifest") : check_digest(j, &res, &got, e);
}

int op_manifest_get(Job *j, Err *e)
{
	return job_endpoints(j, get_manifest, NULL, e);
}

static int head_manifest(Job *j, const TransferEndpoint *endpoint, void *arg, Err *e)
{
	AUTO_SESSION s = { 0 };
	int r = session_init(&s, j, endpoint, "pull", NULL, e);
	return r < 0 ? r : head(j, &s, "manifests", j->req.reference, e);
}

int op_manifest_head(Job *j, Err *e)
{
	return job_endpoints(j, head_manifest, NULL, e);
}

static int head_blob(Job *j, const TransferEndpoint *endpoint, void *arg, Err *e)
{
	AUTO_SESSION s = { 0 };
	int r = session_init(&s, j, endpoint, "pull", NULL, e);
	return r < 0 ? r : head(j, &s, "blobs", j->req.digest, e);
}

int op_blob_head(Job *j, Err *e)
{
	return job_endpoints(j, head_blob, NULL, e);
}

/* put_one: under one name. */
static int put_one(Job *j, Session *s, const char *name, Err *e)
{
	AUTO_HTTP_RESPONSE res = HTTP_RESPONSE_INIT;
	const char *type = arena_printf(&s->arena, "Content-Type: %s", j->req.media_type);
	HttpRequest req = {
		.method = "PUT",
		.url = session_url(s, "manifests", name),
		.headers = { type },
		.has_body = true,
		.body_fd = j->input,
		.body_size = j->req.size,
	};
	if (!req.url || !type) return err_set(e, ERR_RESOURCE, ENOMEM, "request: out of memory");
	int r = session_send(s, &req, &res, NULL, e);
	if (r < 0) return r;
	if (res.status != 201 && res.status != 200 && res.status != 202) return http_refusal(j, &res, name, e);
	const char *said = res.headers[HTTP_DIGEST];
	if (said && starts_with(said, "sha") && strlen(said) == strlen(j->req.digest) && !streq(said, j->req.digest))
		return err_set(e, ERR_SECURITY, EILSEQ, "%s: the registry stored %.160s", name, said);
	j->result.status = res.status;
	if (res.headers[HTTP_SUBJECT]) j->result.subject = job_string(j, res.headers[HTTP_SUBJECT]);
	if (res.headers[HTTP_WARNING]) j->result.warning = job_string(j, res.headers[HTTP_WARNING]);
	return 0;
}

/* Tags after the digest: a reader of a tag never sees what is not stored yet. */
static int put_manifest(Job *j, const TransferEndpoint *endpoint, void *arg, Err *e)
{
	AUTO_SESSION s = { 0 };
	int r = session_init(&s, j, endpoint, "pull,push", NULL, e);
	bool named = j->req.reference && *j->req.reference;
	if (r >= 0 && (named || !j->req.tags.n)) r = put_one(j, &s, named ? j->req.reference : j->req.digest, e);
	for (size_t i = 0; r >= 0 && i < j->req.tags.n; i++)
		r = put_one(j, &s, j->req.tags.items[i], e);
	if (r < 0) return r;
	j->result.digest = j->req.digest;
	j->result.size = j->req.size;
	j->result.content_type = j->req.media_type;
	return 0;
}

int op_manifest_put(Job *j, Err *e)
{
	Digest want, got;
	uint64_t size = 0;
	if (digest_parse(str_of(j->req.digest), &want) < 0)
		return err_set(e, ERR_CONFIG, EINVAL, "\"%.200s\" is not a digest", j->req.digest);
	int r = hash_file(j->input, want.algorithm, &got, &size);
	if (r < 0) return err_sys(e, r, "read the manifest");
	if (size != j->req.size || !digest_equal(&want, &got))
		return err_set(e, ERR_CONFIG, EILSEQ, "the manifest is not what its digest says");
	return job_endpoints(j, put_manifest, NULL, e);
}

static int delete_one(Job *j, const TransferEndpoint *endpoint, void *arg, Err *e)
{
	AUTO_SESSION s = { 0 };
	AUTO_HTTP_RESPONSE res = HTTP_RESPONSE_INIT;
	bool blob = j->req.op == TRANSFER_BLOB_DELETE;
	int r = session_init(&s, j, endpoint, "delete", NULL, e);
	if (r < 0) return r;
	HttpRequest req = { .method = "DELETE" };
	req.url = session_url(&s, blob ? "blobs" : "manifests", blob ? j->req.digest : j->req.reference);
	if (!req.url) return err_set(e, ERR_RESOURCE, ENOMEM, "request: out of memory");
	r = session_send(&s, &req, &res, NULL, e);
	if (r < 0) return r;
	if (res.status != 202 && res.status != 200 && res.status != 204) return http_refusal(j, &res, "delete", e);
	j->result.status = res.status;
	return 0;
}

int op_manifest_delete(Job *j, Err *e)
{
	return job_endpoints(j, delete_one, NULL, e);
}

int op_blob_delete(Job *j, Err *e)
{
	return job_endpoints(j, delete_one, NULL, e);
}

static int ping(Job *j, const TransferEndpoint *endpoint, void *arg, Err *e)
{
	AUTO_SESSION s = { 0 };
	AUTO_HTTP_RESPONSE res = HTTP_RESPONSE_INIT;
	int r = session_init(&s, j, endpoint, NULL, NULL, e);
	if (r < 0) return r;
	HttpRequest req = { .method = "GET", .url = arena_printf(&s.arena, "%s/", s.base) };
	if (!req.url) return err_set(e, ERR_RESOURCE, ENOMEM, "request: out of memory");
	r = session_send(&s, &req, &res, NULL, e);
	if (r < 0) return r;
	if (res.status != 200) return http_refusal(j, &res, "/v2/", e);
	j->result.status = res.status;
	return 0;
}

int op_ping(Job *j, Err *e)
{
	return job_endpoints(j, ping, NULL, e);
}
