/* api_list.c: end-8 and end-12, and the catalog: lists with n, last and Link. */
#include "registry/service.h"

#include "net/url.h"

enum {
	LIST_MAX = 10000, /* names in one answer; a Link leads on */
	LIST_BYTES = 4 << 20,
	REFERRERS_BYTES = 4 << 20, /* an index of referrers is a manifest: clients take so much */
};

typedef struct List {
	Request *q;
	Buf out;
	JsonWriter w;
	uint64_t n, max;
	bool more;
	char last[NAME_MAX_LENGTH + 1];
} List;

/* n: how many; absent: as many as an answer holds. false when it was refused. */
static bool take_count(Request *q, uint64_t *ret)
{
	const char *text = http_query(q->x, "n");
	uint64_t n = LIST_MAX;
	if (text) {
		int r = str_to_u64(str_of(text), &n);
		if (r == -ERANGE)
			n = LIST_MAX;
		else if (r < 0) {
			reply_error_status(q, 400, CODE_UNSUPPORTED, "n: \"%.100s\" is no number of results", text);
			return false;
		}
	}
	*ret = n > LIST_MAX ? LIST_MAX : n;
	return true;
}

static bool add_name(void *arg, const char *name)
{
	List *l = arg;
	if (l->n == l->max) {
		l->more = l->max > 0;
		return false;
	}
	json_string(&l->w, name);
	snprintf(l->last, sizeof l->last, "%s", name);
	l->n++;
	return true;
}

/* The catalogue shows what one may pull. */
static bool add_readable(void *arg, const char *name)
{
	List *l = arg;
	const Request *q = l->q;
	if (!(access_rights(&q->reg->o->auth.rules, q->user, name) & ACCESS_PULL)) return true;
	return add_name(arg, name);
}

static void finish_list(List *l, const char *path)
{
	Request *q = l->q;
	if (buf_failed(&l->out)) {
		reply_error_status(q, 503, CODE_UNSUPPORTED, "no memory left for this request");
		return;
	}
	buf_putc(&l->out, '\n');
	reply_start(q, 200);
	/* names and tags need no escape in a query */
	if (l->more) http_reply_headerf(q->x, "Link", "<%s?n=%ju&last=%s>; rel=\"next\"", path, (uintmax_t)l->max, l->last);
	reply_body(q, "application/json", l->out.p, l->out.n);
}

void api_tags(Request *q)
{
	List l = { .q = q, .out = BUF_INIT(LIST_BYTES) };
	const char *last = http_query(q->x, "last");
	char path[NAME_MAX_LENGTH + 32];
	Err e = ERR_INIT;
	if (!request_reads(q)) {
		reply_method(q, "GET");
		return;
	}
	if (!take_count(q, &l.max)) return;
	int r = catalog_repository(q->reg->db, q->name, &e);
	if (r >= 0) {
		l.w = (JsonWriter)JSON_WRITER(&l.out);
		json_begin_object(&l.w);
		json_put_string(&l.w, "name", q->name);
		json_key(&l.w, "tags");
		json_begin_array(&l.w);
		r = catalog_tags(q->reg->db, q->name, last ? last : "", add_name, &l, &e);
		json_end_array(&l.w);
		json_end_object(&l.w);
	}
	snprintf(path, sizeof path, "/v2/%s/tags/list", q->name);
	if (r >= 0)
		finish_list(&l, path);
	else if (r == -ENOENT)
		reply_error(q, CODE_NAME_UNKNOWN, NULL);
	else
		reply_failure(q, &e);
	buf_done(&l.out);
}

void api_catalog(Request *q)
{
	List l = { .q = q, .out = BUF_INIT(LIST_BYTES) };
	const char *last = http_query(q->x, "last");
	Err e = ERR_INIT;
	if (!request_reads(q)) {
		reply_method(q, "GET");
		return;
	}
	/* another token server says who may list */
	if (q->reg->auth.keys ? !q->token || !q->token->catalog : !auth_logged_in(q)) {
		auth_refuse(q, 0);
		return;
	}
	if (!take_count(q, &l.max)) return;
	l.w = (JsonWriter)JSON_WRITER(&l.out);
	json_begin_object(&l.w);
	json_key(&l.w, "repositories");
	json_begin_array(&l.w);
	int r = catalog_repositories(q->reg->db, last ? last : "", add_readable, &l, &e);
	json_end_array(&l.w);
	json_end_object(&l.w);
	if (r >= 0)
		finish_list(&l, "/v2/_catalog");
	else
		reply_failure(q, &e);
	buf_done(&l.out);
}

/* ---- referrers ---- */

typedef struct Referrers {
	Buf out;
	size_t n;
	bool more;
	char last[DIGEST_TEXT_MAX];
} Referrers;

static bool add_referrer(void *arg, const CatalogReferrer *referrer)
{
	Referrers *l = arg;
	AUTO_BUF one = BUF_INIT(2 * MANIFEST_MAX);
	JsonWriter w = JSON_WRITER(&one);
	json_begin_object(&w);
	json_put_string(&w, "mediaType", referrer->media_type);
	json_put_string(&w, "digest", referrer->digest);
	json_put_uint(&w, "size", referrer->size);
	if (referrer->artifact_type) json_put_string(&w, "artifactType", referrer->artifact_type);
	json_end_object(&w);
	if (referrer->annotations && !buf_failed(&one)) {
		/* an object already: it takes the place of the closing brace */
		one.n--;
		buf_printf(&one, ",\"annotations\":%s}", referrer->annotations);
	}
	/* the first one goes in whatever its size: else nobody would ever get past it */
	if (l->n && l->out.n + one.n > REFERRERS_BYTES) {
		l->more = true;
		return false;
	}
	if (l->n) buf_putc(&l->out, ',');
	buf_put(&l->out, one.p, one.n);
	snprintf(l->last, sizeof l->last, "%s", referrer->digest);
	l->n++;
	return !buf_failed(&l->out);
}

static void put_next_referrers(Request *q, const Referrers *l, const char *subject, const char *type)
{
	AUTO_BUF link = BUF_INIT(16384);
	buf_printf(&link, "</v2/%s/referrers/%s?last=%s", q->name, subject, l->last);
	if (type) {
		buf_puts(&link, "&artifactType=");
		url_encode(&link, str_of(type), "");
	}
	buf_puts(&link, ">; rel=\"next\"");
	if (!buf_failed(&link)) http_reply_header(q->x, "Link", link.p);
}

void api_referrers(Request *q)
{
	const char *type = http_query(q->x, "artifactType"), *last = http_query(q->x, "last");
	char subject[DIGEST_TEXT_MAX];
	Digest d;
	Err e = ERR_INIT;
	if (!request_reads(q)) {
		reply_method(q, "GET");
		return;
	}
	if (!request_digest(q, &d)) return;
	digest_format(&d, subject);
	if (type && !type[0]) type = NULL;
	Referrers l = { .out = BUF_INIT(REFERRERS_BYTES + 3 * MANIFEST_MAX) };
	buf_puts(&l.out, "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"manifests\":[");
	int r = catalog_referrers(q->reg->db, q->name, subject, type, last ? last : "", add_referrer, &l, &e);
	buf_puts(&l.out, "]}\n");
	if (r < 0) {
		reply_failure(q, &e);
	} else if (buf_failed(&l.out)) {
		reply_error_status(q, 503, CODE_UNSUPPORTED, "no memory left for this request");
	} else {
		reply_start(q, 200);
		if (type) http_reply_header(q->x, "OCI-Filters-Applied", "artifactType");
		if (l.more) put_next_referrers(q, &l, subject, type);
		reply_body(q, "application/vnd.oci.image.index.v1+json", l.out.p, l.out.n);
	}
	buf_done(&l.out);
}
