/* test_network_options.c: which range, gateway and address of `network create` belongs to which subnet; what docker's CLI refuses. */
#include "check.h"
#include "cli/skep/network_options.h"

enum { ITEMS = 4 };

typedef struct Given {
	const char *subnets[ITEMS], *ranges[ITEMS], *gateways[ITEMS];
	StrPair reserved[ITEMS];
} Given;

static StrList list(const char **items)
{
	StrList l = { .items = items };
	while (l.n < ITEMS && items[l.n])
		l.n++;
	return l;
}

static int match(Given g, Arena *a, IpamConfigList *ret, Err *e)
{
	StrList subnets = list(g.subnets), ranges = list(g.ranges), gateways = list(g.gateways);
	StrMap reserved = { .items = g.reserved };
	while (reserved.n < ITEMS && g.reserved[reserved.n].key)
		reserved.n++;
	return network_subnets(&(SubnetOptions){ &subnets, &ranges, &gateways, &reserved }, a, ret, e);
}

static void each_belongs_to_its_subnet(void **state)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	Err e = ERR_INIT;
	IpamConfigList l;
	(void)state;
	assert_int_equal(match((Given){ .subnets = { "10.1.0.0/16", "fd00:1::/64" },
					.ranges = { "fd00:1::/80", "10.1.5.0/24" },
					.gateways = { "10.1.0.7", "fd00:1::7" },
					.reserved = { { "a", "10.1.0.9" }, { "b", "fd00:1::9" }, { "a", "10.1.0.10" } } },
			       &a, &l, &e),
			 0);
	assert_int_equal(l.n, 2);
	assert_string_equal(l.items[0].subnet, "10.1.0.0/16");
	assert_string_equal(l.items[0].range, "10.1.5.0/24");
	assert_string_equal(l.items[0].gateway, "10.1.0.7");
	assert_int_equal(l.items[0].reserved.n, 1);
	assert_string_equal(str_map_get(&l.items[0].reserved, "a"), "10.1.0.10");
	assert_string_equal(l.items[1].range, "fd00:1::/80");
	assert_string_equal(l.items[1].gateway, "fd00:1::7");
	assert_string_equal(str_map_get(&l.items[1].reserved, "b"), "fd00:1::9");
}

static void what_is_not_an_address_is_left_to_the_engine(void **state)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	Err e = ERR_INIT;
	IpamConfigList l;
	(void)state;
	assert_int_equal(match((Given){ .subnets = { "nonsense" } }, &a, &l, &e), 0);
	assert_string_equal(l.items[0].subnet, "nonsense");
	assert_int_equal(match((Given){ .subnets = { "10.1.0.0/16" }, .gateways = { "10.1.0.1/16" } }, &a, &l, &e), 0);
	assert_string_equal(l.items[0].gateway, "10.1.0.1/16");
	assert_int_equal(match((Given){ 0 }, &a, &l, &e), 0);
	assert_int_equal(l.n, 0);
}

static void docker_refuses_these(void **state)
{
	static const struct {
		Given given;
		const char *message;
	} cases[] = {
		{ { .gateways = { "10.9.0.1" } }, "every ip-range or gateway must have a corresponding subnet" },
		{ { .ranges = { "10.9.0.0/25" } }, "every ip-range or gateway must have a corresponding subnet" },
		{ { .subnets = { "10.9.0.0/24" }, .gateways = { "10.9.0.1", "10.9.0.2" } },
		  "every ip-range or gateway must have a corresponding subnet" },
		{ { .reserved = { { "a", "10.9.0.1" } } }, "no matching subnet for aux-address 10.9.0.1" },
		{ { .subnets = { "10.9.0.0/24" }, .reserved = { { "a", "" } } }, "no matching subnet for aux-address " },
		{ { .subnets = { "10.9.0.0/24" }, .gateways = { "10.8.0.1" } }, "no matching subnet for gateway 10.8.0.1" },
		{ { .subnets = { "10.9.0.0/24" }, .gateways = { "x" } }, "no matching subnet for gateway x" },
		{ { .subnets = { "10.9.0.0/24" }, .gateways = { "::1" } }, "no matching subnet for gateway ::1" },
		{ { .subnets = { "10.9.0.0/24" }, .ranges = { "10.8.0.0/24" } }, "no matching subnet for range 10.8.0.0/24" },
		{ { .subnets = { "10.9.0.0/24" }, .ranges = { "x" } }, "invalid CIDR address: x" },
		{ { .subnets = { "10.9.0.0/24" }, .ranges = { "10.9.0.0" } }, "invalid CIDR address: 10.9.0.0" },
		{ { .subnets = { "x" }, .gateways = { "10.9.0.1" } }, "invalid subnet: invalid CIDR address: x" },
		{ { .subnets = { "10.9.0.0/24", "10.9.0.0/25" } }, "multiple overlapping subnet configuration is not supported" },
		{ { .subnets = { "10.9.0.0/24", "10.9.0.0/24" } }, "multiple overlapping subnet configuration is not supported" },
		{ { .subnets = { "10.9.0.0/24", "10.8.0.0/24" }, .ranges = { "10.9.0.0/25", "10.9.0.128/25" } },
		  "cannot configure multiple ranges (10.9.0.128/25, 10.9.0.0/25) on the same subnet (10.9.0.0/24)" },
		{ { .subnets = { "10.9.0.0/24", "10.8.0.0/24" }, .gateways = { "10.9.0.1", "10.9.0.2" } },
		  "cannot configure multiple gateways (10.9.0.2, 10.9.0.1) for the same subnet (10.9.0.0/24)" },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_ARENA a = ARENA_INIT(1 << 20);
		Err e = ERR_INIT;
		IpamConfigList l;
		assert_int_equal(match(cases[i].given, &a, &l, &e), -EINVAL);
		assert_string_equal(e.msg, cases[i].message);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_belongs_to_its_subnet),
		cmocka_unit_test(what_is_not_an_address_is_left_to_the_engine),
		cmocka_unit_test(docker_refuses_these),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
