/* Addresses and prefixes: text in both ways, order, reckoning. */
#include "check.h"

#include "base/ip.h"

static IpAddress address(const char *text)
{
	IpAddress a;
	assert_int_equal(ip_parse(str_of(text), &a), 0);
	return a;
}

static IpPrefix prefix(const char *text)
{
	IpPrefix p;
	assert_int_equal(ip_prefix_parse(str_of(text), &p), 0);
	return p;
}

static void test_text(void **state)
{
	static const struct {
		const char *in, *out;
	} good[] = {
		{ "0.0.0.0", "0.0.0.0" },
		{ "255.255.255.255", "255.255.255.255" },
		{ "::", "::" },
		{ "::1", "::1" },
		{ "1::", "1::" },
		{ "2001:DB8::0:0:1", "2001:db8::1" },
		{ "2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1" }, /* one group of zeros stays: RFC 5952 section 4.2.2 */
		{ "2001:0:0:1:0:0:0:1", "2001:0:0:1::1" },
		{ "2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1" }, /* the first of two alike */
		{ "1:2:3:4:5:6:0:0", "1:2:3:4:5:6::" },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
		{ "::ffff:10.1.2.3", "10.1.2.3" },
	};
	static const char *const bad[] = { "",          "1",         "1.2.3", "1.2.3.4.5",     "01.2.3.4",
					   "256.1.1.1", ":",         "host",  "10.0.0.1/24",   "fd00::1%eth0",
					   " 1.2.3.4",  "1.2.3.4 ",  ":::1",  "1:2:3:4:5:6:7", "fe80::1%1",
					   "g::",       "1.2.3.4/8", "::1::2" };
	char text[IP_TEXT_MAX];
	IpAddress a;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		a = address(good[i].in);
		assert_string_equal(ip_format(&a, text), good[i].out);
		IpAddress again = ip_from_bytes((Str){ (const char *)a.bytes, ip_size(&a) });
		assert_true(ip_equal(&a, &again));
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(ip_parse(str_of(bad[i]), &a), -EINVAL);
	assert_int_equal(ip_parse((Str){ "1.2.3.4\0", 8 }, &a), -EINVAL);
	assert_string_equal(ip_format(&(IpAddress){ 0 }, text), "");
	assert_int_equal(ip_from_bytes((Str){ "abc", 3 }).family, 0);
}

static void test_prefix_text(void **state)
{
	static const char *const bad[] = { "1.2.3.4",    "1.2.3.4/", "1.2.3.4/33", "1.2.3.4/08",
					   "1.2.3.4/-1", "::/129",   "/8",         "::ffff:1.2.3.4/120" };
	char text[IP_PREFIX_TEXT_MAX];
	IpPrefix p = prefix("10.1.2.3/24"), masked = ip_prefix_mask(&p);
	assert_string_equal(ip_prefix_format(&p, text), "10.1.2.3/24");
	assert_string_equal(ip_prefix_format(&masked, text), "10.1.2.0/24");
	p = prefix("fd00::1234/113");
	masked = ip_prefix_mask(&p);
	assert_string_equal(ip_prefix_format(&masked, text), "fd00::/113");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(ip_prefix_parse(str_of(bad[i]), &p), -EINVAL);
}

static void test_reckoning(void **state)
{
	char text[IP_TEXT_MAX];
	IpAddress a = address("10.0.0.255"), b = address("10.0.1.0"), r;
	assert_true(ip_add(&a, 1, &r) && ip_equal(&r, &b));
	assert_int_equal(ip_distance(&a, &b), 1);
	assert_int_equal(ip_distance(&b, &a), 0);
	a = address("255.255.255.255");
	assert_false(ip_add(&a, 1, &r));
	assert_false(ip_add(&b, UINT64_C(1) << 32, &r));
	a = address("fd00::ffff:ffff:ffff:ffff");
	assert_true(ip_add(&a, 1, &r));
	assert_string_equal(ip_format(&r, text), "fd00:0:0:1::");
	assert_int_equal(ip_distance(&a, &r), 1);
	b = address("fd00:0:0:2::");
	assert_true(ip_distance(&a, &b) == UINT64_MAX); /* 2^64 + 1, and more than can be said */
	assert_true(ip_compare(&(IpAddress){ .family = 4 }, &(IpAddress){ .family = 6 }) < 0);
}

static void test_overlaps(void **state)
{
	static const struct {
		const char *a, *b;
		bool overlap;
	} cases[] = {
		{ "10.0.0.0/8", "10.255.0.0/16", true },     { "10.0.0.0/16", "10.1.0.0/16", false },
		{ "10.0.0.0/15", "10.1.0.0/16", true },      { "0.0.0.0/0", "192.168.1.1/32", true },
		{ "10.0.0.1/32", "10.0.0.1/32", true },      { "10.0.0.1/32", "10.0.0.0/32", false },
		{ "fd00::/64", "fd00::1/128", true },        { "fd00:0:0:1::/64", "fd00::/64", false },
		{ "fd00::/8", "10.0.0.0/8", false },         { "172.17.0.0/16", "172.16.0.0/12", true },
		{ "172.32.0.0/16", "172.16.0.0/12", false },
	};
	const IpPrefix none = { 0 };
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		IpPrefix a = prefix(cases[i].a), b = prefix(cases[i].b);
		assert_int_equal(ip_prefix_overlaps(&a, &b), cases[i].overlap);
		assert_int_equal(ip_prefix_overlaps(&b, &a), cases[i].overlap);
	}
	assert_false(ip_prefix_overlaps(&none, &none));
}

static void test_prefixes(void **state)
{
	char text[IP_TEXT_MAX];
	IpPrefix p = prefix("172.17.3.4/12"), part = prefix("172.31.0.0/16"), other = prefix("172.32.0.0/16"), all = prefix("0.0.0.0/0"),
		 one = prefix("10.0.0.7/32"), six = prefix("::/0");
	IpAddress first = ip_prefix_first(&p), last = ip_prefix_last(&p);
	assert_string_equal(ip_format(&first, text), "172.16.0.0");
	assert_string_equal(ip_format(&last, text), "172.31.255.255");
	last = ip_prefix_last(&one);
	assert_string_equal(ip_format(&last, text), "10.0.0.7");
	assert_true(ip_prefix_contains(&p, &part.address) && !ip_prefix_contains(&p, &other.address));
	assert_true(ip_prefix_covers(&p, &part) && !ip_prefix_covers(&part, &p) && ip_prefix_overlaps(&part, &p));
	assert_true(!ip_prefix_overlaps(&p, &other) && ip_prefix_overlaps(&all, &other) && !ip_prefix_overlaps(&all, &six));
	IpAddress loopback = address("127.3.2.1"), one6 = address("::1"), none = address("::"), any = address("0.0.0.0");
	assert_true(ip_is_loopback(&loopback) && ip_is_loopback(&one6) && !ip_is_loopback(&none) && !ip_is_loopback(&one.address));
	assert_true(ip_is_unspecified(&none) && ip_is_unspecified(&any) && !ip_is_unspecified(&one6));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_text), cmocka_unit_test(test_prefix_text),
					    cmocka_unit_test(test_reckoning), cmocka_unit_test(test_overlaps),
					    cmocka_unit_test(test_prefixes) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
