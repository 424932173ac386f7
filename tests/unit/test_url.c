/* test_url.c: URLs taken apart, decoding, query parameters, references (the examples of RFC 3986 5.4). */
#include "check.h"
#include "net/url.h"

static void test_parts(void **state)
{
	Url u;
	Err e = ERR_INIT;
	(void)state;
	assert_int_equal(url_parse(STR("https://me:pw@r.example:5000/v2/a?n=1&m#frag"), &u, &e), 0);
	assert_true(str_eq(u.scheme, "https") && str_eq(u.user, "me:pw") && str_eq(u.host, "r.example") && u.port == 5000);
	assert_true(str_eq(u.path, "/v2/a") && str_eq(u.query, "n=1&m") && str_eq(u.fragment, "frag"));
	assert_int_equal(url_parse(STR("http://[2001:db8::1]:80"), &u, &e), 0);
	assert_true(u.is_ipv6 && str_eq(u.host, "2001:db8::1") && u.port == 80 && u.path.n == 0);
	assert_int_equal(url_parse(STR("/a:b?x"), &u, &e), 0);
	assert_true(!u.scheme.n && !u.has_authority && str_eq(u.path, "/a:b"));
	assert_int_equal(url_parse(STR("http://h:/"), &u, &e), 0);
	assert_int_equal(u.port, 0);
	assert_int_equal(url_default_port(STR("HTTPS")), 443);
	assert_int_equal(url_default_port(STR("ftp")), 0);
}

static void test_refused(void **state)
{
	static const char *const bad[] = {
		"http://a b/",     "http://h/%",        "http://h/%4",   "http://h/%zz", "http://h/%00",   "http://h:0/",
		"http://h:65536/", "http://h:x/",       "http://h:1:2/", "http://[::1/", "http://[]/",     "http://a@b@c/",
		"http://h/\x01",   "http://h/\xc3\xa4", "http://h/<",    "http://h\\x/", "http://[::1]x/",
	};
	Url u;
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		Err e = ERR_INIT;
		if (url_parse(str_of(bad[i]), &u, &e) != -EINVAL) fail_msg("accepted: %s", bad[i]);
		assert_true(*e.msg);
	}
}

static void test_decoding(void **state)
{
	AUTO_ARENA a = ARENA_INIT(1 << 16);
	char *s;
	(void)state;
	assert_int_equal(url_decode(STR("a%2Fb%2fc+%41%25"), false, &a, &s), 0);
	assert_string_equal(s, "a/b/c+A%");
	assert_int_equal(url_decode(STR("a+b%2B"), true, &a, &s), 0);
	assert_string_equal(s, "a b+");
	assert_int_equal(url_decode(STR("%00"), false, &a, &s), -EINVAL);
	assert_int_equal(url_decode(STR("a%4"), false, &a, &s), -EINVAL);
	assert_int_equal(url_decode(STR("%-1"), false, &a, &s), -EINVAL);
	assert_int_equal(url_check(STR("%2e%2E")), 0);
	assert_int_equal(url_check(STR("%2")), -EINVAL);
	AUTO_BUF b = BUF_INIT(1 << 10);
	url_encode(&b, STR("a/b c\xff~"), "/");
	assert_string_equal(buf_str(&b), "a/b%20c%FF~");
}

static void test_queries(void **state)
{
	AUTO_ARENA a = ARENA_INIT(1 << 16);
	const Str q = STR("a=1&b&a=x+y%26&%63=z&&=e&d=%zz");
	const char *v = NULL;
	(void)state;
	assert_int_equal(url_query_get(q, "a", 0, &a, &v), 0);
	assert_string_equal(v, "1");
	assert_int_equal(url_query_get(q, "a", 1, &a, &v), 0);
	assert_string_equal(v, "x y&");
	assert_int_equal(url_query_get(q, "a", 2, &a, &v), -ENOENT);
	assert_int_equal(url_query_get(q, "b", 0, &a, &v), 0);
	assert_string_equal(v, "");
	assert_int_equal(url_query_get(q, "c", 0, &a, &v), 0);
	assert_string_equal(v, "z");
	assert_int_equal(url_query_get(q, "d", 0, &a, &v), -EINVAL);
	assert_int_equal(url_query_get(STR(""), "", 0, &a, &v), -ENOENT);
}

static void test_dots(void **state)
{
	(void)state;
	assert_true(url_has_dots("/a/../b") && url_has_dots("/.") && url_has_dots("..") && url_has_dots("/a/."));
	assert_true(!url_has_dots("/a..b/.c/...") && !url_has_dots("//"));
}

static void test_references(void **state)
{
	static const struct {
		const char *reference, *url;
	} cases[] = {
		{ "g:h", "g:h" },
		{ "g", "http://a/b/c/g" },
		{ "./g", "http://a/b/c/g" },
		{ "g/", "http://a/b/c/g/" },
		{ "/g", "http://a/g" },
		{ "//g", "http://g" },
		{ "?y", "http://a/b/c/d;p?y" },
		{ "g?y", "http://a/b/c/g?y" },
		{ "#s", "http://a/b/c/d;p?q#s" },
		{ "g#s", "http://a/b/c/g#s" },
		{ "g?y#s", "http://a/b/c/g?y#s" },
		{ ";x", "http://a/b/c/;x" },
		{ "g;x", "http://a/b/c/g;x" },
		{ "", "http://a/b/c/d;p?q" },
		{ ".", "http://a/b/c/" },
		{ "./", "http://a/b/c/" },
		{ "..", "http://a/b/" },
		{ "../", "http://a/b/" },
		{ "../g", "http://a/b/g" },
		{ "../..", "http://a/" },
		{ "../../", "http://a/" },
		{ "../../g", "http://a/g" },
		{ "../../../g", "http://a/g" },
		{ "../../../../g", "http://a/g" },
		{ "/./g", "http://a/g" },
		{ "/../g", "http://a/g" },
		{ "g.", "http://a/b/c/g." },
		{ ".g", "http://a/b/c/.g" },
		{ "g..", "http://a/b/c/g.." },
		{ "..g", "http://a/b/c/..g" },
		{ "./../g", "http://a/b/g" },
		{ "./g/.", "http://a/b/c/g/" },
		{ "g/./h", "http://a/b/c/g/h" },
		{ "g/../h", "http://a/b/c/h" },
		{ "g;x=1/./y", "http://a/b/c/g;x=1/y" },
		{ "g;x=1/../y", "http://a/b/c/y" },
		{ "g?y/./x", "http://a/b/c/g?y/./x" },
		{ "https://u@[::1]:5/x", "https://u@[::1]:5/x" },
	};
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	Err e = ERR_INIT;
	char *s;
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(url_resolve(STR("http://a/b/c/d;p?q"), str_of(cases[i].reference), &a, &s, &e), 0);
		if (!streq(s, cases[i].url)) fail_msg("%s: %s, not %s", cases[i].reference, s, cases[i].url);
	}
	assert_int_equal(url_resolve(STR("http://a"), STR("g"), &a, &s, &e), 0);
	assert_string_equal(s, "http://a/g");
	assert_int_equal(url_resolve(STR("/a"), STR("g"), &a, &s, &e), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parts),   cmocka_unit_test(test_refused), cmocka_unit_test(test_decoding),
		cmocka_unit_test(test_queries), cmocka_unit_test(test_dots),    cmocka_unit_test(test_references),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
