/* test_spec.c: what oci_spec_check refuses of a well-formed config.json: versions and sysctls. */
#include "check.h"
#include "oci/spec.h"

/* The message for a config.json with that version and the members of "linux"; "" when it is accepted. */
static void check(const char *version, const char *lnx, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	char text[1024];
	OciSpec s;
	*e = ERR_INIT;
	snprintf(text, sizeof text, "{\"ociVersion\":\"%s\",\"root\":{\"path\":\"r\"},\"linux\":{%s}}", version, lnx);
	int r = oci_spec_parse(text, strlen(text), &a, &s, e);
	assert_int_equal(r < 0, e->code != ERR_NONE);
}

static void versions_of_the_first_major_are_accepted(void **state)
{
	(void)state;
	const char *good[] = { "1.0.0", "1.3.0", "1.99.12", "1.0.0-rc5", "1.2.0+dev", "1.3.0-rc.1+dev" };
	const char *bad[] = { "1", "1.0", "", "1.0.x", "1.-1.0", "a.b.c", "1.0.0.0", "1..0", "2.0.0", "0.5.0", " 1.0.0" };
	Err e;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		check(good[i], "", &e);
		assert_string_equal(e.msg, "");
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		check(bad[i], "", &e);
		if (!starts_with(e.msg, "config.json: ociVersion: ")) fail_msg("%s: \"%s\"", bad[i], e.msg);
	}
}

static void sysctls_stay_in_their_namespace(void **state)
{
	(void)state;
	const char *good[] = { "net.ipv4.ip_forward", "net/ipv4/ip_forward", "net.ipv4.conf.eno2/100.rp_filter",
			       "net/ipv4/conf/eno2.100/rp_filter" };
	const char *bad[] = { "kernel.core_pattern",
			      "net/../kernel/core_pattern",
			      "net.//.kernel.core_pattern",
			      "net//ipv4",
			      "net..ipv4",
			      "network.x",
			      "/net/ipv4",
			      "../net/ipv4",
			      "net/ipv4/../../kernel/core_pattern",
			      "net.ipv4.//.//.kernel.core_pattern",
			      "vm.swappiness",
			      "" };
	char lnx[256];
	Err e;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		snprintf(lnx, sizeof lnx, "\"namespaces\":[{\"type\":\"network\"}],\"sysctl\":{\"%s\":\"1\"}", good[i]);
		check("1.3.0", lnx, &e);
		assert_string_equal(e.msg, "");
		snprintf(lnx, sizeof lnx, "\"namespaces\":[{\"type\":\"mount\"}],\"sysctl\":{\"%s\":\"1\"}", good[i]);
		check("1.3.0", lnx, &e);
		assert_true(ends_with(e.msg, "is not allowed in the host's network namespace"));
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		snprintf(lnx, sizeof lnx, "\"namespaces\":[{\"type\":\"network\"}],\"sysctl\":{\"%s\":\"1\"}", bad[i]);
		check("1.3.0", lnx, &e);
		if (!starts_with(e.msg, "config.json: linux.sysctl: ")) fail_msg("%s: \"%s\"", bad[i], e.msg);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(versions_of_the_first_major_are_accepted),
		cmocka_unit_test(sysctls_stay_in_their_namespace),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
