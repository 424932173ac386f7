/* api_push.c: end-7: a manifest comes in: collected, read and hashed by a worker, then committed with its references and tags. */
#include "registry/service.h"

#include "base/hash.h"
#include "base/time.h"

enum { TAGS_MAX = 64, ARENA_BYTES = 64 << 20 };

typedef struct Push {
	Registry *reg;
	Request *q; /* NULL when the client has gone */
	Work job;
	Commit commit;
	Buf body;
	Arena arena; /* of this push: name, tags, view */
	const char *name, *content_type;
	Digest asked; /* the digest in the path; none for a tag */
	const char *tags[TAGS_MAX];
	size_t n_tags;
	char digest[DIGEST_TEXT_MAX];
	ManifestView view;
	ApiCode code; /* when result < 0 after work() */
	int result;
	Err e;
} Push;

static void push_free(Push *p)
{
	buf_done(&p->body);
	arena_done(&p->arena);
	free(p);
}

static void on_abort(void *arg, HttpExchange *x)
{
	((Push *)arg)->q = NULL;
}

static int run(void *arg, Committer *committer, Db *db, Err *e)
{
	Push *p = arg;
	CatalogManifest m = {
		.digest = p->digest, .view = &p->view, .body = { p->body.p, p->body.n }, .tags = p->tags, .n_tags = p->n_tags
	};
	int r = catalog_put_manifest(db, p->reg->o, p->name, &m, time_now(), e);
	return r < 0 ? r : webhook_enqueue(p->reg, db, "push", p->name, p->n_tags ? p->tags[0] : p->digest, p->digest, p->body.n, e);
}

static void send_created(Push *p)
{
	HttpExchange *x = p->q->x;
	reply_start(p->q, 201);
	http_reply_headerf(x, "Location", "/v2/%s/manifests/%s", p->name, p->digest);
	http_reply_header(x, "Docker-Content-Digest", p->digest);
	if (p->view.subject) http_reply_header(x, "OCI-Subject", p->view.subject);
	AUTO_BUF tags = BUF_INIT(TAGS_MAX * (TAG_MAX_LENGTH + 2) + 1);
	/* tags of the query only: one in the path was asked for by itself */
	for (size_t i = 0; p->asked.algorithm && i < p->n_tags; i++)
		buf_printf(&tags, "%s%s", i ? ", " : "", p->tags[i]);
	if (tags.n && !buf_failed(&tags)) http_reply_header(x, "OCI-Tag", tags.p);
	reply_empty(p->q);
}

static void done(void *arg, int result, const Err *e)
{
	Push *p = arg;
	if (result >= 0) {
		for (size_t i = 0; i < p->n_tags; i++)
			service_cache_forget_tag(p->reg, p->name, p->tags[i]);
		p->reg->metrics.manifests_pushed++;
		webhook_kick(p->reg);
	}
	if (p->q) {
		http_on_abort(p->q->x, NULL, NULL);
		if (result >= 0)
			send_created(p);
		else if (result == -ENOLINK)
			reply_error(p->q, CODE_MANIFEST_BLOB_UNKNOWN, "%s", e->msg);
		else if (result == -EDQUOT)
			reply_error(p->q, CODE_DENIED, "%s", e->msg);
		else
			reply_failure(p->q, e);
	}
	push_free(p);
}

static void work(void *arg)
{
	Push *p = arg;
	Digest d;
	uint8_t algorithm = p->asked.algorithm ? p->asked.algorithm : DIGEST_SHA256;
	p->code = CODE_DIGEST_INVALID;
	p->result = digest_of(algorithm, buf_str(&p->body), p->body.n, &d);
	if (p->result < 0) return;
	digest_format(&d, p->digest);
	if (p->asked.algorithm && !digest_equal(&p->asked, &d)) {
		p->result = err_set(&p->e, ERR_USAGE, EBADMSG, "the manifest's digest is %s", p->digest);
		return;
	}
	p->code = CODE_MANIFEST_INVALID;
	p->result = manifest_view((Str){ buf_str(&p->body), p->body.n }, p->content_type, &p->arena, &p->view, &p->e);
}

static void worked(void *arg)
{
	Push *p = arg;
	if (p->q && p->result >= 0) {
		committer_submit(p->reg->committer, &p->commit);
		return;
	}
	if (p->q) {
		http_on_abort(p->q->x, NULL, NULL);
		if (p->e.errnum == ENOMEM)
			reply_failure(p->q, &p->e);
		else
			reply_error(p->q, p->code, "%s", p->e.msg);
	}
	push_free(p);
}

static void too_large(Request *q)
{
	reply_error_status(q, 413, CODE_MANIFEST_INVALID, "a manifest has at most %d bytes", MANIFEST_MAX);
}

static int on_body(void *arg, HttpExchange *x, const void *bytes, size_t n, bool end, int error)
{
	Push *p = arg;
	if (error) {
		push_free(p);
		return 0;
	}
	p->reg->metrics.bytes_in += n;
	buf_put(&p->body, bytes, n);
	if (buf_failed(&p->body)) {
		Request *q = p->q;
		push_free(p);
		too_large(q);
		return -EFBIG;
	}
	if (!end) return 0;
	http_on_abort(x, on_abort, p);
	work_put(p->reg->workers, &p->job);
	return 0;
}

static bool take_tag(Request *q, Push *p, const char *tag)
{
	if (!tag_valid(str_of(tag))) {
		reply_error(q, CODE_MANIFEST_INVALID, "\"%.200s\" is no tag: letters, digits, \"_\", \".\" and \"-\", at most %d", tag,
			    TAG_MAX_LENGTH);
		return false;
	}
	p->tags[p->n_tags] = arena_strdup(&p->arena, tag);
	if (p->tags[p->n_tags]) p->n_tags++;
	return true;
}

/* The tags of "?tag=a&tag=b" (end-7b), or the one in the path. */
static bool take_tags(Request *q, Push *p)
{
	if (!strchr(q->reference, ':')) return take_tag(q, p, q->reference);
	if (!request_digest(q, &p->asked)) return false;
	const char *tag;
	for (size_t i = 0; (tag = http_query_at(q->x, "tag", i)); i++) {
		if (i == TAGS_MAX) {
			reply_error_status(q, 414, CODE_MANIFEST_INVALID, "at most %d tags in one request", TAGS_MAX);
			return false;
		}
		if (!take_tag(q, p, tag)) return false;
	}
	return true;
}

void api_manifest_put(Request *q)
{
	if (http_body_length(q->x) > MANIFEST_MAX) {
		too_large(q);
		return;
	}
	Push *p = calloc(1, sizeof *p);
	if (!p) {
		reply_error_status(q, 503, CODE_UNSUPPORTED, "no memory left for this request");
		return;
	}
	const char *type = http_header(q->x, "Content-Type");
	*p = (Push){ .reg = q->reg, .q = q, .body = BUF_INIT(MANIFEST_MAX), .arena = ARENA_INIT(ARENA_BYTES) };
	p->job = (Work){ .work = work, .done = worked, .arg = p };
	p->commit = (Commit){ .run = run, .done = done, .arg = p };
	p->name = arena_strdup(&p->arena, q->name);
	p->content_type = arena_strdup(&p->arena, type ? type : "");
	if (!p->name || !p->content_type) {
		push_free(p);
		reply_error_status(q, 503, CODE_UNSUPPORTED, "no memory left for this request");
		return;
	}
	if (!take_tags(q, p)) {
		push_free(p);
		return;
	}
	http_body(q->x, on_body, p);
}
