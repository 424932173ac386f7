/* lists.c: what comes in pages: tags, repositories, referrers (OCI distribution specification 1.1, end-8, end-12, the catalog of
 * distribution) and what a search finds. Pages are read whole, each of at most PAGE_MAX bytes, checked, and written out one line per name. */
#include <inttypes.h>

#include "transfer/body.h"
#include "transfer/session.h"

enum { PAGE_MAX = 8 << 20, LIST_MAX = 16 << 20, PAGES_MAX = 10000, SEARCH_RESULTS = 25, ARENA_BYTES = 64 << 20 };

typedef struct Page {
	StrList tags, repositories;
	const char *media_type;
	const JsonValue *manifests, *results;
} Page;

#define ROW(json_name, k, field) \
	{ \
		.name = (json_name), .kind = (k), .offset = offsetof(Page, field) \
	}
BIND_TABLE(page_table, "page", Page, ROW("tags", BIND_STRINGS, tags), ROW("repositories", BIND_STRINGS, repositories),
	   ROW("mediaType", BIND_STRING, media_type), ROW("manifests", BIND_RAW, manifests), ROW("results", BIND_RAW, results));

/* Listing: one list being got. */
typedef struct Listing {
	Job *job;
	Body out;
	uint64_t limit;
	/* page: takes one in; 1: enough */
	int (*page)(struct Listing *l, const Page *p, Err *e);
	Buf index; /* REFERRERS: the manifests so far, as JSON */
} Listing;

static int collect(void *arg, const HttpResponse *r, const void *p, size_t n, Err *e)
{
	buf_put(arg, p, n);
	return buf_failed(arg) ? err_set(e, ERR_RESOURCE, ENOMEM, "list: out of memory") : 0;
}

static int collect_again(void *arg, Err *e)
{
	buf_reset(arg);
	return 0;
}

/* next_page: the URL in a Link header whose relation is "next" (RFC 8288), resolved; NULL: this was the last. */
static const char *next_page(Session *s, const HttpResponse *res)
{
	const char *link = res->headers[HTTP_LINK], *end = link ? strchr(link, '>') : NULL;
	if (!link || link[0] != '<' || !end || !strcasestr(end, "rel=\"next\"")) return NULL;
	char *reference = arena_str(&s->arena, (Str){ link + 1, (size_t)(end - link - 1) });
	const char *url = reference ? http_resolve(&s->arena, res->url, reference) : NULL;
	return url && http_same_origin(url, s->endpoint->url) ? url : NULL;
}

/* A name that can be printed on a line: what a tag or repository may contain anyway. */
static bool is_name(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/");
	return n && n <= 255 && !s[n];
}

static int name_page(Listing *l, const Page *p, Err *e)
{
	const StrList *names = l->job->req.op == TRANSFER_TAGS ? &p->tags : &p->repositories;
	for (size_t i = 0; i < names->n; i++) {
		if (!is_name(names->items[i])) return err_set(e, ERR_SECURITY, EINVAL, "list: \"%.80s\" is no name", names->items[i]);
		if (l->out.n + strlen(names->items[i]) + 1 > l->limit) return 1;
		int r = body_line(&l->out, names->items[i], e);
		if (r < 0) return r;
	}
	return 0;
}

static int referrer_page(Listing *l, const Page *p, Err *e)
{
	if (!p->manifests) return 0;
	if (p->manifests->type != JSON_ARRAY) return err_set(e, ERR_CONFIG, EINVAL, "referrers: \"manifests\" is no array");
	for (uint32_t i = 0; i < p->manifests->n; i++) {
		AUTO_BUF one = BUF_INIT(PAGE_MAX);
		JsonWriter w = JSON_WRITER(&one);
		const JsonValue *type = json_get(&p->manifests->items[i], "artifactType");
		const char *wanted = l->job->req.artifact_type;
		if (wanted && (!type || type->type != JSON_STRING || !streq(type->s, wanted))) continue; /* the registry need not filter */
		json_value(&w, &p->manifests->items[i]);
		if (buf_failed(&one) || l->index.n + one.n + 128 > l->limit) return 1;
		if (l->index.n) buf_putc(&l->index, ',');
		buf_put(&l->index, one.p, one.n);
	}
	return 0;
}

static int read_page(Listing *l, Buf *text, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(ARENA_BYTES);
	JsonValue v;
	Page p;
	if (!text->p) buf_put(text, "", 0);
	int r = json_parse(text->p, text->n, &a, &v, e);
	if (r < 0) return err_wrap(e, "list");
	r = bind_decode(&page_table, &v, &p, "list", &a, e);
	return r < 0 ? r : l->page(l, &p, e);
}

/* get_pages: from url on. *ret_status: 200, or the status of an answer that was refused (and then r is 0, too). */
static int get_pages(Listing *l, Session *s, const char *url, HttpResponse *res, Err *e)
{
	AUTO_BUF text = BUF_INIT(PAGE_MAX);
	for (int pages = 0; url; pages++) {
		HttpRequest req = { .method = "GET", .url = url, .sink = collect, .arg = &text, .limit = PAGE_MAX };
		req.headers[0] = "Accept: application/vnd.oci.image.index.v1+json, application/json";
		if (pages >= PAGES_MAX) return err_set(e, ERR_SECURITY, ELOOP, "list: more than %d pages", (int)PAGES_MAX);
		int r = session_send(s, &req, res, collect_again, e);
		if (r < 0 || res->status != 200) return r;
		r = read_page(l, &text, e);
		if (r < 0) return r;
		l->job->result.more = r > 0;
		const char *next = r > 0 ? NULL : next_page(s, res);
		url = next && streq(next, url) ? NULL : next;
	}
	return 0;
}

static int list_names(Job *j, const TransferEndpoint *endpoint, void *arg, Err *e)
{
	AUTO_SESSION s = { 0 };
	AUTO_HTTP_RESPONSE res = HTTP_RESPONSE_INIT;
	bool tags = j->req.op == TRANSFER_TAGS;
	Listing l = { .job = j, .out = { .fd = j->body }, .limit = j->req.limit ?: LIST_MAX, .page = name_page };
	int r = session_init(&s, j, endpoint, tags ? "pull" : "catalog", NULL, e);
	if (r >= 0) r = body_begin(&l.out, e);
	if (r < 0) return r;
	const char *url = tags ? session_url(&s, "tags", "list?n=1000") : arena_printf(&s.arena, "%s/_catalog?n=1000", s.base);
	if (!url) return err_set(e, ERR_RESOURCE, ENOMEM, "request: out of memory");
	r = get_pages(&l, &s, url, &res, e);
	if (r < 0) return r;
	if (res.status != 200) return http_refusal(j, &res, "list", e);
	j->result.status = res.status;
	j->result.size = l.out.n;
	return 0;
}

int op_tags(Job *j, Err *e)
{
	return job_endpoints(j, list_names, NULL, e);
}

int op_catalog(Job *j, Err *e)
{
	return job_endpoints(j, list_names, NULL, e);
}

/* ---- search ---- */

static int put_result(Listing *l, const JsonValue *v, Err *e)
{
	AUTO_BUF one = BUF_INIT(PAGE_MAX);
	JsonWriter w = JSON_WRITER(&one);
	const JsonValue *name = json_get(v, "name"), *text = json_get(v, "description"), *stars = json_get(v, "star_count");
	const JsonValue *official = json_get(v, "is_official"), *automated = json_get(v, "is_automated");
	if (!name || name->type != JSON_STRING || !is_name(name->s))
		return err_set(e, ERR_SECURITY, EINVAL, "search: a result without a name");
	json_begin_object(&w);
	json_put_string(&w, "name", name->s);
	json_put_string(&w, "description", text && text->type == JSON_STRING ? text->s : "");
	json_put_int(&w, "star_count", stars && stars->type == JSON_INT ? stars->i : 0);
	json_put_bool(&w, "is_official", official && official->type == JSON_BOOL && official->boolean);
	json_put_bool(&w, "is_automated", automated && automated->type == JSON_BOOL && automated->boolean);
	json_end_object(&w);
	if (buf_failed(&one) || l->out.n + one.n + 1 > LIST_MAX) return 1;
	return body_line(&l->out, buf_str(&one), e);
}

/* The request's limit counts results here. */
static int result_page(Listing *l, const Page *p, Err *e)
{
	if (!p->results || p->results->type != JSON_ARRAY) return err_set(e, ERR_CONFIG, EINVAL, "search: the answer has no \"results\"");
	for (uint32_t i = 0; i < p->results->n && i < l->limit; i++) {
		int r = put_result(l, &p->results->items[i], e);
		if (r != 0) return r;
	}
	return 0;
}

/* Version 1 of the index' interface; there is no later one. */
static int search_index(Job *j, const TransferEndpoint *endpoint, void *arg, Err *e)
{
	AUTO_SESSION s = { 0 };
	AUTO_HTTP_RESPONSE res = HTTP_RESPONSE_INIT;
	Listing l = { .job = j, .out = { .fd = j->body }, .limit = j->req.limit ?: SEARCH_RESULTS, .page = result_page };
	char number[24];
	int r = session_init(&s, j, endpoint, NULL, NULL, e);
	if (r >= 0) r = body_begin(&l.out, e);
	if (r < 0) return r;
	snprintf(number, sizeof number, "%" PRIu64, l.limit);
	const char *url = arena_printf(&s.arena, "%.*s/v1/search", (int)(strlen(s.base) - strlen("/v2")), s.base);
	if (url) url = http_query(&s.arena, url, "q", j->req.reference);
	if (url) url = http_query(&s.arena, url, "n", number);
	if (!url) return err_set(e, ERR_RESOURCE, ENOMEM, "request: out of memory");
	r = get_pages(&l, &s, url, &res, e);
	if (r < 0) return r;
	if (res.status != 200) return http_refusal(j, &res, "search", e);
	j->result.status = res.status;
	j->result.size = l.out.n;
	return 0;
}

int op_search(Job *j, Err *e)
{
	return job_endpoints(j, search_index, NULL, e);
}

/* ---- referrers ---- */

static int write_index(Job *j, Listing *l, Err *e)
{
	static const char head[] = "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"manifests\":[";
	int r = buf_failed(&l->index) ? err_set(e, ERR_RESOURCE, ENOMEM, "referrers: out of memory") : body_begin(&l->out, e);
	if (r >= 0) r = body_put(&l->out, NULL, head, sizeof head - 1, e);
	if (r >= 0 && l->index.n) r = body_put(&l->out, NULL, l->index.p, l->index.n, e);
	if (r >= 0) r = body_put(&l->out, NULL, "]}", 2, e);
	j->result.size = l->out.n;
	return r;
}

/* The API first; a registry without it answers 404, and then the index is the manifest under the tag "sha256-<hex>". No such tag: no
 * referrers. */
static int list_referrers(Job *j, const TransferEndpoint *endpoint, void *arg, Err *e)
{
	AUTO_SESSION s = { 0 };
	AUTO_HTTP_RESPONSE res = HTTP_RESPONSE_INIT;
	Listing l = { .job = j, .out = { .fd = j->body }, .limit = j->req.limit ?: LIST_MAX, .page = referrer_page };
	l.index = BUF_INIT(LIST_MAX);
	int r = session_init(&s, j, endpoint, "pull", NULL, e);
	if (r < 0) return r;
	const char *url = session_url(&s, "referrers", j->req.digest);
	if (url && j->req.artifact_type) url = http_query(&s.arena, url, "artifactType", j->req.artifact_type);
	char *tag = arena_strdup(&s.arena, j->req.digest);
	if (!url || !tag) return err_set(e, ERR_RESOURCE, ENOMEM, "request: out of memory");
	r = get_pages(&l, &s, url, &res, e);
	if (r >= 0 && res.status == 404) {
		if (strchr(tag, ':')) *strchr(tag, ':') = '-';
		url = session_url(&s, "manifests", tag);
		r = url ? get_pages(&l, &s, url, &res, e) : err_set(e, ERR_RESOURCE, ENOMEM, "request: out of memory");
	}
	if (r >= 0 && res.status != 200 && res.status != 404) r = http_refusal(j, &res, "referrers", e);
	if (r >= 0) r = write_index(j, &l, e);
	buf_done(&l.index);
	j->result.status = res.status;
	return r;
}

int op_referrers(Job *j, Err *e)
{
	return job_endpoints(j, list_referrers, NULL, e);
}
