/* test_proxy.c: which proxy for which URL, as docker and curl read the environment. */
#include "check.h"
#include "transfer/proxy.h"

#include <stdlib.h>

static void lists_of_exceptions(void **state)
{
	(void)state;
	static const struct {
		const char *list, *host;
		unsigned port;
		bool excepted;
	} cases[] = {
		{ NULL, "example.com", 443, false },
		{ "", "example.com", 443, false },
		{ "*", "example.com", 443, true },
		{ "example.com", "example.com", 443, true },
		{ "example.com", "EXAMPLE.com", 443, true },
		{ "EXAMPLE.com.", "a.example.com", 443, true },
		{ "example.com", "notexample.com", 443, false },
		{ "example.com", "example.com.evil.org", 443, false },
		{ ".example.com", "example.com", 443, false },
		{ ".example.com", "a.b.example.com", 443, true },
		{ "*.example.com", "a.example.com", 443, true },
		{ "*.example.com", "example.com", 443, false },
		{ "a.com,b.com", "b.com", 443, true },
		{ "a.com b.com\tc.com", "c.com", 443, true },
		{ " , ,b.com,", "b.com", 443, true },
		{ "b.com:443", "b.com", 443, true },
		{ "b.com:443", "b.com", 5000, false },
		{ "b.com:x", "b.com", 443, false },
		{ "10.1.2.3", "10.1.2.3", 443, true },
		{ "10.1.2.3", "10.1.2.30", 443, false },
		{ "2.3", "10.1.2.3", 443, false },
		{ "10.1.2.3:80", "10.1.2.3", 443, false },
		{ "10.1.2.3:443", "10.1.2.3", 443, true },
		{ "10.0.0.0/8", "10.255.1.1", 443, true },
		{ "10.0.0.0/8", "11.0.0.1", 443, false },
		{ "172.16.0.0/12", "172.31.255.255", 443, true },
		{ "172.16.0.0/12", "172.32.0.0", 443, false },
		{ "0.0.0.0/0", "8.8.8.8", 443, true },
		{ "0.0.0.0/0", "example.com", 443, false },
		{ "10.0.0.0/33", "10.0.0.0", 443, false },
		{ "10.0.0.0/", "10.0.0.0", 443, false },
		{ "0.0.0.0/0", "fd00::1", 443, false },
		{ "fd00::/8", "fdff::1", 443, true },
		{ "fd00::/8", "fe00::1", 443, false },
		{ "fd00::1", "fd00:0::1", 443, true },
		{ "[fd00::1]", "fd00::1", 443, true },
		{ "[fd00::1]:443", "fd00::1", 443, true },
		{ "[fd00::1]:80", "fd00::1", 443, false },
		{ "[fd00::1", "fd00::1", 443, false },
		{ NULL, "localhost", 5000, true },
		{ NULL, "LOCALHOST", 5000, true },
		{ NULL, "127.9.9.9", 5000, true },
		{ NULL, "::1", 5000, true },
		{ NULL, "localhost.example.com", 5000, false },
		{ NULL, "127.example.com", 5000, false },
		{ NULL, "128.0.0.1", 5000, false },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (proxy_is_excepted(cases[i].list, cases[i].host, cases[i].port) != cases[i].excepted)
			fail_msg("\"%s\" and %s:%u", cases[i].list ?: "", cases[i].host, cases[i].port);
}

static void proxies_as_libcurl_takes_them(void **state)
{
	(void)state;
	static const struct {
		const char *given, *made, *named; /* made NULL: it is none */
	} cases[] = {
		{ "proxy", "http://proxy:80", "http://proxy:80" },
		{ "proxy:3128", "http://proxy:3128", "http://proxy:3128" },
		{ "HTTP://proxy/", "http://proxy:80", "http://proxy:80" },
		{ "https://proxy", "https://proxy:443", "https://proxy:443" },
		{ "socks5://proxy", "socks5h://proxy:1080", "socks5h://proxy:1080" },
		{ "socks4a://proxy:1", "socks4a://proxy:1", "socks4a://proxy:1" },
		{ "http://u:p%40ss@proxy", "http://u:p%40ss@proxy:80", "http://proxy:80" },
		{ "u:p@proxy:8", "http://u:p@proxy:8", "http://proxy:8" },
		{ "u:p@ss@proxy:8", NULL, NULL },
		{ "http://[fd00::1]:8080", "http://[fd00::1]:8080", "http://[fd00::1]:8080" },
		{ "ftp://proxy", NULL, NULL },
		{ "http://", NULL, NULL },
		{ "http://u:p@", NULL, NULL },
		{ "http://proxy:http", NULL, NULL },
		{ "http://proxy:99999", NULL, NULL },
		{ "http://proxy/path", NULL, NULL },
		{ "http://proxy?x", NULL, NULL },
		{ "http://pro xy", NULL, NULL },
		{ "http://[fd00::1", NULL, NULL },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_ARENA a = ARENA_INIT(1 << 16);
		Err e = ERR_INIT;
		const char *got;
		const ProxySettings s = { .http = cases[i].given };
		int r = proxy_for(&s, "http://example.com/", &a, &got, &e);
		if ((r < 0) == !!cases[i].made) fail_msg("%s: %d %s", cases[i].given, r, e.msg);
		if (r < 0) continue;
		assert_string_equal(got, cases[i].made);
		assert_string_equal(proxy_name(got, &a), cases[i].named);
	}
}

static void schemes_have_their_own(void **state)
{
	(void)state;
	AUTO_ARENA a = ARENA_INIT(1 << 16);
	Err e = ERR_INIT;
	const char *got;
	ProxySettings s = { .http = "one", .https = "two", .all = "three", .none = "example.com:444" };
	assert_int_equal(proxy_for(&s, "http://example.com/", &a, &got, &e), 0);
	assert_string_equal(got, "http://one:80");
	assert_int_equal(proxy_for(&s, "https://example.com/", &a, &got, &e), 0);
	assert_string_equal(got, "http://two:80");
	assert_int_equal(proxy_for(&s, "https://example.com:444/", &a, &got, &e), 0);
	assert_null(got);
	s.https = NULL;
	assert_int_equal(proxy_for(&s, "https://example.com/", &a, &got, &e), 0);
	assert_string_equal(got, "http://three:80");
	s.all = NULL;
	assert_int_equal(proxy_for(&s, "https://example.com/", &a, &got, &e), 0);
	assert_null(got);
	assert_int_equal(proxy_for(&s, "http://[::1]:5000/", &a, &got, &e), 0);
	assert_null(got);
}

static void capitals_count_more(void **state)
{
	(void)state;
	ProxySettings s;
	setenv("HTTP_PROXY", "big", 1);
	setenv("http_proxy", "small", 1);
	setenv("HTTPS_PROXY", "", 1);
	setenv("https_proxy", "small", 1);
	unsetenv("ALL_PROXY");
	setenv("all_proxy", "", 1);
	unsetenv("NO_PROXY");
	unsetenv("no_proxy");
	proxy_settings(&s);
	assert_string_equal(s.http, "big");
	assert_string_equal(s.https, "small");
	assert_null(s.all);
	assert_null(s.none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_of_exceptions),
		cmocka_unit_test(proxies_as_libcurl_takes_them),
		cmocka_unit_test(schemes_have_their_own),
		cmocka_unit_test(capitals_count_more),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
