/* api_manifest.c: end-3 and end-9: reading and deleting manifests and tags; the cache in front of both. */
#include "registry/service.h"

enum { KEY_MAX = NAME_MAX_LENGTH + DIGEST_TEXT_MAX + TAG_MAX_LENGTH + 4 };

/* "name\ndigest" or "name\n:tag" */
static Str cache_key(char key[static KEY_MAX], const char *name, const char *kind, const char *reference)
{
	int n = snprintf(key, KEY_MAX, "%s\n%s%s", name, kind, reference);
	return (Str){ key, n < 0 ? 0 : (size_t)n };
}

void service_cache_forget_tag(Registry *reg, const char *name, const char *tag)
{
	char key[KEY_MAX];
	cache_drop(&reg->cache, cache_key(key, name, ":", tag));
}

void service_cache_forget_repository(Registry *reg, const char *name)
{
	char key[KEY_MAX];
	cache_drop_prefix(&reg->cache, cache_key(key, name, "", ""));
}

/* The digest that the reference stands for. */
static int resolve(Request *q, char ret_digest[static DIGEST_TEXT_MAX], Err *e)
{
	char key_text[KEY_MAX];
	Digest d;
	Str known;
	if (strchr(q->reference, ':')) {
		if (digest_parse(str_of(q->reference), &d) < 0) return err_set(e, ERR_USAGE, EINVAL, "\"%s\" is no digest", q->reference);
		digest_format(&d, ret_digest);
		return 0;
	}
	if (!tag_valid(str_of(q->reference))) return err_set(e, ERR_NOT_FOUND, ENOENT, "\"%s\" is no tag", q->reference);
	Str key = cache_key(key_text, q->name, ":", q->reference);
	if (cache_get(&q->reg->cache, key, &known) && known.n < DIGEST_TEXT_MAX) {
		memcpy(ret_digest, known.p, known.n);
		ret_digest[known.n] = 0;
		return 0;
	}
	int r = catalog_tag(q->reg->db, q->name, q->reference, ret_digest, e);
	if (r >= 0) cache_put(&q->reg->cache, key, str_of(ret_digest), (Str){ 0 });
	return r;
}

static int run_pull(Change *c, Db *db, Err *e)
{
	return webhook_enqueue(c->reg, db, "pull", c->name, c->reference, c->other, 0, e);
}

static void told(Change *c, int result, const Err *e)
{
	if (result < 0)
		log_write(c->reg->log, LOG_ERROR, "webhook: %s", e->msg);
	else
		webhook_kick(c->reg);
}

void manifest_send(Request *q, const char *digest, const char *type, Str body)
{
	const char *known = http_header(q->x, "If-None-Match");
	bool same = known && (streq(known, "*") || strstr(known, digest));
	if (!same && request_is(q, "GET") && webhook_wants(q->reg, "pull", q->name))
		change_submit(q->reg, NULL, q->name, q->reference, digest, run_pull, told);
	reply_start(q, same ? 304 : 200);
	http_reply_headerf(q->x, "ETag", "\"%s\"", digest);
	http_reply_header(q->x, "Docker-Content-Digest", digest);
	if (same)
		http_finish(q->x);
	else
		reply_body(q, type, body.p, body.n);
}

/* 0: answered; else -errno, and nothing was said yet. */
static int answer(Request *q, Err *e)
{
	char digest[DIGEST_TEXT_MAX], key_text[KEY_MAX];
	Str value;
	int r = resolve(q, digest, e);
	if (r < 0) return r;
	Str key = cache_key(key_text, q->name, "", digest);
	if (cache_get(&q->reg->cache, key, &value)) {
		size_t n = strnlen(value.p, value.n);
		manifest_send(q, digest, value.p, (Str){ value.p + n + 1, value.n - n - 1 });
		return 0;
	}
	AUTO_BUF type = BUF_INIT(MANIFEST_TYPE_MAX + 1), body = BUF_INIT(MANIFEST_MAX + 1);
	r = catalog_manifest(q->reg->db, q->name, digest, &type, &body, e);
	if (r < 0) return r;
	cache_put(&q->reg->cache, key, (Str){ buf_str(&type), type.n + 1 }, (Str){ body.p, body.n });
	manifest_send(q, digest, buf_str(&type), (Str){ body.p, body.n });
	return 0;
}

bool manifest_try(Request *q)
{
	Err e = ERR_INIT;
	return answer(q, &e) >= 0;
}

void manifest_serve(Request *q)
{
	Err e = ERR_INIT;
	int r = answer(q, &e);
	if (r == -ENOENT)
		reply_error(q, CODE_MANIFEST_UNKNOWN, "manifest %s unknown in %s", q->reference, q->name);
	else if (r == -EINVAL)
		reply_error(q, CODE_DIGEST_INVALID, "%s", e.msg);
	else if (r < 0)
		reply_failure(q, &e);
}

static bool is_digest(const char *reference)
{
	return strchr(reference, ':') != NULL;
}

static int run_delete(Change *c, Db *db, Err *e)
{
	int r = is_digest(c->reference) ? catalog_delete_manifest(db, c->name, c->reference, e)
					: catalog_delete_tag(db, c->name, c->reference, e);
	return r < 0 ? r : webhook_enqueue(c->reg, db, "delete", c->name, c->reference, NULL, 0, e);
}

static void deleted(Change *c, int result, const Err *e)
{
	if (result >= 0) {
		upstream_forget(c->reg, c->name, c->reference);
		/* a manifest takes its tags along */
		if (is_digest(c->reference))
			service_cache_forget_repository(c->reg, c->name);
		else
			service_cache_forget_tag(c->reg, c->name, c->reference);
		webhook_kick(c->reg);
	}
	if (!c->q) return;
	if (result == -ENOENT) {
		reply_error(c->q, CODE_MANIFEST_UNKNOWN, NULL);
	} else if (result < 0) {
		reply_failure(c->q, e);
	} else {
		reply_start(c->q, 202);
		reply_empty(c->q);
	}
}

static void delete_manifest(Request *q)
{
	Digest d;
	if (is_digest(q->reference) && !request_digest(q, &d)) return;
	if (!is_digest(q->reference) && !tag_valid(str_of(q->reference)))
		reply_error(q, CODE_MANIFEST_UNKNOWN, NULL);
	else
		change_submit(q->reg, q, q->name, q->reference, "", run_delete, deleted);
}

void api_manifest(Request *q)
{
	if (request_reads(q) && q->proxy)
		upstream_manifest(q);
	else if (request_reads(q))
		manifest_serve(q);
	else if (request_is(q, "PUT"))
		api_manifest_put(q);
	else if (request_is(q, "DELETE"))
		delete_manifest(q);
	else
		reply_method(q, "GET, HEAD, PUT, DELETE");
}
