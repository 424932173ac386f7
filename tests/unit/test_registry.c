/* test_registry.c: the registry's pure parts: names and routes, ranges, rights, tokens, passwords, manifests, the cache. */
#include "check.h"
#include "registry/access.h"
#include "registry/cache.h"
#include "registry/htpasswd.h"
#include "registry/manifest.h"
#include "registry/metrics.h"
#include "registry/options.h"
#include "registry/range.h"
#include "registry/token.h"
#include "registry/upstream.h"

/* ---- names ---- */

static void test_names(void **state)
{
	static const char *const good[] = { "a", "0", "a/b", "a.b", "a_b", "a__b", "a-b", "a---b", "a/b-c.d_e/f", "library/debian" };
	static const char *const bad[] = { "",   "/",  "a/", "/a", "a//b", "A",      "a..b", "a___b", "a._b",
					   ".a", "a.", "-a", "a-", "_a",   "a/../b", "a b",  "ä",     "a:b" };
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		if (!name_valid(str_of(good[i]))) fail_msg("%s was refused", good[i]);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (name_valid(str_of(bad[i]))) fail_msg("%s was taken", bad[i]);
	char text[NAME_MAX_LENGTH + 2];
	memset(text, 'a', sizeof text);
	assert_true(name_valid((Str){ text, NAME_MAX_LENGTH }));
	assert_false(name_valid((Str){ text, NAME_MAX_LENGTH + 1 }));
	assert_false(name_valid((Str){ "a\0b", 3 }));
}

static void test_tags_and_sessions(void **state)
{
	char text[TAG_MAX_LENGTH + 1], id[SESSION_LENGTH + 1], other[SESSION_LENGTH + 1];
	memset(text, 'T', sizeof text);
	assert_true(tag_valid((Str){ text, TAG_MAX_LENGTH }));
	assert_false(tag_valid((Str){ text, TAG_MAX_LENGTH + 1 }));
	assert_true(tag_valid(STR("_1.0-rc.1")));
	assert_false(tag_valid(STR(".a")) || tag_valid(STR("-a")) || tag_valid(STR("a/b")) || tag_valid(STR("")) || tag_valid(STR("a b")));
	assert_int_equal(session_new(id), 0);
	assert_int_equal(session_new(other), 0);
	assert_true(session_valid(str_of(id)));
	assert_string_not_equal(id, other);
	id[3] = 'G';
	assert_false(session_valid(str_of(id)) || session_valid(STR("..")) || session_valid(STR("")));
}

static void assert_route(const char *path, RouteKind kind, const char *name, const char *reference)
{
	Route r = route_parse(str_of(path));
	if (r.kind != kind || !str_eq(r.name, name) || !str_eq(r.reference, reference))
		fail_msg("%s: %d \"%.*s\" \"%.*s\"", path, r.kind, (int)r.name.n, r.name.p ? r.name.p : "", (int)r.reference.n,
			 r.reference.p ? r.reference.p : "");
}

static void test_routes(void **state)
{
	assert_route("/v2/", ROUTE_BASE, "", "");
	assert_route("/v2", ROUTE_BASE, "", "");
	assert_route("/v2/_catalog", ROUTE_CATALOG, "", "");
	assert_route("/v2/a/tags/list", ROUTE_TAGS, "a", "");
	assert_route("/v2/tags/list/tags/list", ROUTE_TAGS, "tags/list", "");
	assert_route("/v2/a/b/manifests/x", ROUTE_MANIFEST, "a/b", "x");
	assert_route("/v2/manifests/manifests/manifests", ROUTE_MANIFEST, "manifests", "manifests");
	assert_route("/v2/a/blobs/sha256:1", ROUTE_BLOB, "a", "sha256:1");
	assert_route("/v2/a/blobs/uploads/", ROUTE_UPLOADS, "a", "");
	assert_route("/v2/a/blobs/uploads", ROUTE_UPLOADS, "a", "");
	assert_route("/v2/a/blobs/uploads/7", ROUTE_UPLOAD, "a", "7");
	assert_route("/v2/a/referrers/d", ROUTE_REFERRERS, "a", "d");
	assert_route("/token", ROUTE_TOKEN, "", "");
	static const char *const none[] = { "",      "/",           "/v1/", "/v2/a", "/v2/a/manifests/", "/v2/manifests/x", "/v2/tags/list",
					    "/v2//", "/v2/a/blobs/" };
	for (size_t i = 0; i < ARRAY_LEN(none); i++)
		if (route_parse(str_of(none[i])).kind != ROUTE_NONE) fail_msg("%s has a route", none[i]);
}

/* ---- upstreams ---- */

static int check_proxies(RegistryProxy *items, size_t n, Arena *a, Err *e)
{
	RegistryOptions o = { .root = "/r", .proxies = { items, n } };
	return registry_options_check(&o, a, e);
}

static void assert_upstream(const RegistryProxy *items, size_t n, const char *name, const char *url, const char *repository)
{
	const RegistryOptions o = { .proxies = { (RegistryProxy *)(uintptr_t)items, n } };
	char there[NAME_MAX_LENGTH + 1] = "";
	const RegistryProxy *p = upstream_proxy(&o, name);
	if (!p || !streq(p->url, url)) fail_msg("%s: at %s, not %s", name, p ? p->url : "none", url);
	int r = upstream_repository(p, name, there);
	if (repository ? r < 0 || !streq(there, repository) : r >= 0) fail_msg("%s: \"%s\" (%d)", name, there, r);
}

static void test_upstreams(void **state)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	Err e = ERR_INIT;
	RegistryProxy items[] = {
		{ .prefix = "hub", .upstream = "docker.io" },
		{ .prefix = "hub/deep", .upstream = "http://[::1]:5000/x//" },
		{ .upstream = "https://example.com:444/team/a", .ttl = { .set = true } },
		{ .prefix = "q", .upstream = "quay.io" },
	};
	const size_t n = ARRAY_LEN(items);
	assert_int_equal(check_proxies(items, n, &a, &e), 0);
	assert_int_equal(items[0].ttl.v, 300);
	assert_int_equal(items[2].ttl.v, 0);
	assert_upstream(items, n, "hub/debian", "https://registry-1.docker.io", "library/debian");
	assert_upstream(items, n, "hub/me/debian", "https://registry-1.docker.io", "me/debian");
	assert_upstream(items, n, "hub", "https://registry-1.docker.io", NULL);
	assert_upstream(items, n, "hub/deep/a", "http://[::1]:5000", "x/a");
	assert_upstream(items, n, "hub/deep", "http://[::1]:5000", "x");
	assert_upstream(items, n, "hub/deeper", "https://registry-1.docker.io", "library/deeper");
	assert_upstream(items, n, "hubs/a", "https://example.com:444", "team/a/hubs/a");
	assert_upstream(items, n, "q/a", "https://quay.io", "a");
	assert_null(upstream_proxy(&(RegistryOptions){ .proxies = { items, 2 } }, "other"));

	char name[NAME_MAX_LENGTH + 1], there[NAME_MAX_LENGTH + 1];
	memset(name, 'a', NAME_MAX_LENGTH);
	name[NAME_MAX_LENGTH] = 0;
	assert_int_equal(upstream_repository(&items[2], name, there), -ENAMETOOLONG);

	static const char *const bad[] = {
		"",    "ftp://x",         "https://",     "https://x?y", "https://x#y", "https://u:p@x", "https://x/A", "https://x/../y",
		"x y", "https://x:99999", "https://x/%41"
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		RegistryProxy one = { .upstream = bad[i] };
		e = ERR_INIT;
		if (check_proxies(&one, 1, &a, &e) >= 0) fail_msg("%s was taken", bad[i]);
		assert_non_null(strstr(e.msg, "proxies[0]"));
	}
}

/* ---- ranges ---- */

static void test_ranges(void **state)
{
	static const struct {
		const char *header;
		uint64_t size;
		RangeKind kind;
		uint64_t from, n;
	} cases[] = {
		{ "bytes=0-0", 10, RANGE_PART, 0, 1 },
		{ "bytes=2-", 10, RANGE_PART, 2, 8 },
		{ "bytes=-3", 10, RANGE_PART, 7, 3 },
		{ "bytes=-30", 10, RANGE_PART, 0, 10 },
		{ "bytes=5-99999999999999999999999", 10, RANGE_PART, 5, 5 },
		{ "bytes=-99999999999999999999999", 10, RANGE_PART, 0, 10 },
		{ "bytes=99999999999999999999999-", 10, RANGE_UNSATISFIED, 0, 0 },
		{ "bytes=10-", 10, RANGE_UNSATISFIED, 0, 0 },
		{ "bytes=3-2", 10, RANGE_UNSATISFIED, 0, 0 },
		{ "bytes=-0", 10, RANGE_UNSATISFIED, 0, 0 },
		{ "bytes=0-", 0, RANGE_UNSATISFIED, 0, 0 },
		{ "bytes=-1", 0, RANGE_UNSATISFIED, 0, 0 },
		{ "", 10, RANGE_WHOLE, 0, 0 },
		{ "bytes=", 10, RANGE_WHOLE, 0, 0 },
		{ "bytes=-", 10, RANGE_WHOLE, 0, 0 },
		{ "bytes=1-2,3-4", 10, RANGE_WHOLE, 0, 0 },
		{ "bytes=+1-2", 10, RANGE_WHOLE, 0, 0 },
		{ "pages=1-2", 10, RANGE_WHOLE, 0, 0 },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint64_t from = 0, n = 0;
		RangeKind kind = range_parse(str_of(cases[i].header), cases[i].size, &from, &n);
		if (kind != cases[i].kind || from != cases[i].from || n != cases[i].n)
			fail_msg("%s: %d %ju+%ju", cases[i].header, kind, from, n);
	}
}

static void test_chunk_ranges(void **state)
{
	uint64_t from, to;
	assert_int_equal(chunk_range_parse(STR("0-9"), &from, &to), 0);
	assert_true(from == 0 && to == 9);
	assert_int_equal(chunk_range_parse(STR("bytes 5-9/*"), &from, &to), 0);
	assert_true(from == 5 && to == 9);
	static const char *const bad[] = { "", "5", "9-5", "-5", "5-", "a-b", "0-18446744073709551615", "0--1", "1-2-3" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (chunk_range_parse(str_of(bad[i]), &from, &to) != -EINVAL) fail_msg("%s was taken", bad[i]);
}

/* ---- rights and tokens ---- */

static void test_rights(void **state)
{
	static const char *team[] = { "team/**", NULL }, *all[] = { "*", NULL }, *alice[] = { "alice", NULL },
			  *anyone[] = { "*", "anonymous", NULL };
	static int push[] = { ACCESS_PULL, ACCESS_PUSH }, pull[] = { ACCESS_PULL };
	AccessRule rules[] = { { { team, 1 }, { alice, 1 }, { push, 2 } }, { { all, 1 }, { anyone, 2 }, { pull, 1 } } };
	AccessRuleList list = { rules, 2 };
	assert_int_equal(access_rights(&list, "alice", "team/a/b"), ACCESS_PULL | ACCESS_PUSH);
	assert_int_equal(access_rights(&list, "bob", "team/a"), 0);
	assert_int_equal(access_rights(&list, "bob", "single"), ACCESS_PULL);
	assert_int_equal(access_rights(&list, NULL, "single"), ACCESS_PULL);
	assert_int_equal(access_rights(&list, NULL, "team/a"), 0);
	AccessScope scope;
	char text[ACCESS_TEXT_MAX];
	assert_int_equal(access_scope_parse(STR("repository:a/b:pull,push,fly"), &scope), 0);
	assert_true(str_eq(scope.name, "a/b"));
	assert_string_equal(access_format(scope.actions, text), "pull,push");
	assert_int_equal(access_scope_parse(STR("registry:catalog:*"), &scope), -EINVAL);
	assert_int_equal(access_scope_parse(STR("repository:a"), &scope), -EINVAL);
}

/* RFC 4231, test cases 1, 2 and 6 */
static void test_hmac(void **state)
{
	uint8_t key[131], mac[32];
	char hex[65];
	static const struct {
		int fill;
		const char *key;
		size_t key_n;
		const char *data, *want;
	} cases[] = {
		{ 0x0b, NULL, 20, "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7" },
		{ 0, "Jefe", 4, "what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" },
		{ 0xaa, NULL, 131, "Test Using Larger Than Block-Size Key - Hash Key First",
		  "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		memset(key, cases[i].fill, sizeof key);
		assert_int_equal(hmac_sha256(cases[i].key ? (const void *)cases[i].key : key, cases[i].key_n, cases[i].data,
					     strlen(cases[i].data), mac),
				 0);
		for (size_t k = 0; k < 32; k++)
			snprintf(hex + 2 * k, 3, "%02x", mac[k]);
		assert_string_equal(hex, cases[i].want);
	}
}

static void test_tokens(void **state)
{
	TokenKey key = { { 1, 2, 3 } }, other = { { 1, 2, 4 } };
	Token t = { .user = "al\"ice", .issuer = "it", .audience = "it", .issued = 1000, .expires = 1300, .n_scopes = 1 }, got;
	t.scopes[0] = (AccessScope){ STR("team/a"), ACCESS_PULL | ACCESS_DELETE };
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	AUTO_BUF text = BUF_INIT(TOKEN_MAX);
	assert_int_equal(token_sign(&key, &t, &text), 0);
	Str it = { text.p, text.n };
	assert_int_equal(token_verify(&key, it, "it", "it", 1100, &a, &got), 0);
	assert_string_equal(got.user, "al\"ice");
	assert_int_equal(token_rights(&got, STR("team/a")), ACCESS_PULL | ACCESS_DELETE);
	assert_int_equal(token_rights(&got, STR("team/ab")), 0);
	assert_int_equal(token_verify(&other, it, "it", "it", 1100, &a, &got), -EBADMSG);
	assert_int_equal(token_verify(&key, it, "it", "it", 1400, &a, &got), -ETIME);
	assert_int_equal(token_verify(&key, it, "it", "it", 900, &a, &got), -ETIME);
	assert_int_equal(token_verify(&key, it, "me", "it", 1100, &a, &got), -EACCES);
	assert_int_equal(token_verify(&key, it, "it", "me", 1100, &a, &got), -EACCES);
	/* every bit of it is signed */
	for (size_t i = 0; i < text.n; i++) {
		text.p[i] ^= 1;
		if (token_verify(&key, it, "it", "it", 1100, &a, &got) >= 0) fail_msg("byte %zu may be changed", i);
		text.p[i] ^= 1;
	}
	for (size_t n = 0; n < text.n; n++)
		assert_true(token_verify(&key, (Str){ text.p, n }, "it", "it", 1100, &a, &got) < 0);
}

/* ---- passwords: the hash is crypt_blowfish's own test vector ---- */

static void test_passwords(void **state)
{
	static const char vector[] = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
	char file[256];
	Err e = ERR_INIT;
	Htpasswd *h = NULL;
	assert_true(htpasswd_check(vector, "U*U"));
	assert_false(htpasswd_check(vector, "U*U*") || htpasswd_check(vector, "") || htpasswd_check(NULL, "U*U"));
	int n = snprintf(file, sizeof file, "# users\n\nalice:%s\r\nbob:%s", vector, vector);
	assert_int_equal(htpasswd_parse((Str){ file, (size_t)n }, "f", &h, &e), 0);
	assert_string_equal(htpasswd_hash(h, "bob"), vector);
	assert_null(htpasswd_hash(h, "carol"));
	htpasswd_free(h);
	static const char *const bad[] = { "alice", "alice:", ":x", "a:{SHA}x",
					   "a:$2y$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(htpasswd_parse(str_of(bad[i]), "f", &h, &e), -EINVAL);
	/* bcrypt reads 72 bytes: a longer password must not stand for its beginning */
	char password[100];
	memset(password, 'p', sizeof password);
	password[80] = 0;
	assert_false(htpasswd_check(vector, password));
}

/* ---- manifests ---- */

#define SHA "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
#define DESCRIPTOR "{\"mediaType\":\"x\",\"digest\":\"" SHA "\",\"size\":2}"

static void test_manifest(void **state)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	ManifestView v;
	Err e = ERR_INIT;
	assert_int_equal(manifest_view(STR("{\"schemaVersion\":2,\"config\":" DESCRIPTOR ",\"layers\":[" DESCRIPTOR
					   ",{\"mediaType\":\"application/vnd.oci.image.layer.nondistributable.v1.tar\",\"digest\":\"" SHA
					   "\",\"size\":1}],\"subject\":" DESCRIPTOR ",\"annotations\":{\"a\":\"b\"}}"),
				       "application/vnd.oci.image.manifest.v1+json", &a, &v, &e),
			 0);
	assert_int_equal(v.n, 3);
	assert_false(v.references[1].optional);
	assert_true(v.references[2].optional);
	assert_string_equal(v.subject, SHA);
	assert_string_equal(v.artifact_type, "x");
	assert_string_equal(v.annotations, "{\"a\":\"b\"}");
	assert_int_equal(manifest_view(STR("{\"schemaVersion\":2,\"manifests\":[" DESCRIPTOR ",{\"digest\":\"" SHA "\",\"size\":1}]}"),
				       NULL, &a, &v, &e),
			 0);
	assert_string_equal(v.media_type, "application/vnd.oci.image.index.v1+json");
	assert_int_equal(v.references[0].kind, REFERENCE_BLOB);
	assert_int_equal(v.references[1].kind, REFERENCE_MANIFEST);
	assert_int_equal(manifest_view(STR("{\"schemaVersion\":2,\"config\":" DESCRIPTOR ",\"manifests\":[]}"), "", &a, &v, &e), -EINVAL);
}

/* ---- the cache ---- */

static void test_cache(void **state)
{
	Cache c = CACHE_INIT(8000);
	Str got;
	char key[16];
	assert_false(cache_get(&c, STR("a"), &got));
	cache_put(&c, STR("a"), STR("one"), STR("two"));
	assert_true(cache_get(&c, STR("a"), &got) && str_eq(got, "onetwo"));
	cache_put(&c, STR("a"), STR("three"), (Str){ 0 });
	assert_true(cache_get(&c, STR("a"), &got) && str_eq(got, "three"));
	for (int i = 0; i < 1000; i++) {
		snprintf(key, sizeof key, "k%d", i);
		cache_put(&c, str_of(key), STR("0123456789"), (Str){ 0 });
		assert_true(c.bytes <= c.max);
		assert_true(cache_get(&c, STR("a"), &got)); /* used all the time: it stays */
	}
	assert_false(cache_get(&c, STR("k0"), &got));
	assert_true(cache_get(&c, STR("k999"), &got));
	cache_drop(&c, STR("k999"));
	assert_false(cache_get(&c, STR("k999"), &got));
	cache_drop_prefix(&c, STR("k9"));
	assert_false(cache_get(&c, STR("k998"), &got));
	char large[2000] = { 0 };
	cache_put(&c, STR("large"), (Str){ large, sizeof large }, (Str){ 0 });
	assert_false(cache_get(&c, STR("large"), &got));
	cache_drop_prefix(&c, STR(""));
	assert_true(c.n == 0 && c.bytes == 0);
	cache_done(&c);
}

static void test_options(void **state)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	Err e = ERR_INIT;
	RegistryOptions o = { .root = "/x" };
	assert_int_equal(registry_options_check(&o, &a, &e), 0);
	assert_int_equal(access_rights(&o.auth.rules, NULL, "a/b"), ACCESS_ALL);
	assert_true(o.gc.grace.v == 86400 && o.threads >= 2 && o.listen.n == 1);
	o = (RegistryOptions){ .root = "/x", .auth = { .htpasswd = "f", .anonymous_pull = true } };
	assert_int_equal(registry_options_check(&o, &a, &e), 0);
	assert_int_equal(access_rights(&o.auth.rules, NULL, "a/b"), ACCESS_PULL);
	assert_int_equal(access_rights(&o.auth.rules, "alice", "a/b"), ACCESS_ALL);
	o = (RegistryOptions){ 0 };
	assert_int_equal(registry_options_check(&o, &a, &e), -EINVAL);
}

static void test_metrics(void **state)
{
	Metrics m = { 0 };
	AUTO_BUF out = BUF_INIT(1 << 16);
	MetricsGauge gauge = { "some_gauge", "Help.", false, 2.5 };
	metrics_request(&m, ROUTE_BLOB, 404, 200000);
	metrics_request(&m, ROUTE_BLOB, 404, INT64_C(60000000000));
	metrics_write(&m, &gauge, 1, &out);
	assert_non_null(strstr(buf_str(&out), "skep_registry_requests_total{route=\"blob\",code=\"4xx\"} 2\n"));
	assert_non_null(strstr(buf_str(&out), "_bucket{le=\"0.00025\"} 1\n"));
	assert_non_null(strstr(buf_str(&out), "_bucket{le=\"+Inf\"} 2\n"));
	assert_non_null(strstr(buf_str(&out), "some_gauge 2.5\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),    cmocka_unit_test(test_tags_and_sessions),
		cmocka_unit_test(test_routes),   cmocka_unit_test(test_upstreams),
		cmocka_unit_test(test_ranges),   cmocka_unit_test(test_chunk_ranges),
		cmocka_unit_test(test_rights),   cmocka_unit_test(test_hmac),
		cmocka_unit_test(test_tokens),   cmocka_unit_test(test_passwords),
		cmocka_unit_test(test_manifest), cmocka_unit_test(test_cache),
		cmocka_unit_test(test_options),  cmocka_unit_test(test_metrics),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
