/* test_challenge.c: WWW-Authenticate as registries write it. */
#include "check.h"
#include "transfer/challenge.h"

static void check_equal(const char *got, const char *want)
{
	if (!want)
		assert_null(got);
	else
		assert_string_equal(got, want);
}

static void headers_of_registries(void **state)
{
	(void)state;
	static const struct {
		const char *header;
		int r;
		bool bearer, basic;
		const char *realm, *service, *scope;
	} cases[] = {
		{ "Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\",scope=\"repository:library/debian:pull\"",
		  0, true, false, "https://auth.docker.io/token", "registry.docker.io", "repository:library/debian:pull" },
		{ "Basic realm=\"Registry Realm\"", 0, false, true, NULL, NULL, NULL },
		{ "bearer REALM = \"r\" , Service=\"a\\\"b\\\\\"", 0, true, false, "r", "a\"b\\", NULL },
		{ "Basic realm=\"x\", Bearer realm=\"y\", scope=\"\"", 0, true, true, "y", NULL, "" },
		{ "Negotiate YII==, Digest qop=\"auth,x\", Bearer realm=https://a/b?c", 0, true, false, "https://a/b?c", NULL, NULL },
		{ "Bearer", 0, true, false, NULL, NULL, NULL },
		{ "Bearer realm=\"a\",realm=\"b\"", 0, true, false, "a", NULL, NULL },
		{ "Bearer realm=\"a\", Bearer realm=\"b\"", 0, true, false, "a", NULL, NULL },
		{ "", 0, false, false, NULL, NULL, NULL },
		{ "Bearer realm=\"open", -EINVAL, false, false, NULL, NULL, NULL },
		{ "Bearer realm=\"a\\", -EINVAL, false, false, NULL, NULL, NULL },
		{ "\"what\"", -EINVAL, false, false, NULL, NULL, NULL },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_ARENA a = ARENA_INIT(1 << 16);
		Challenge c = { 0 };
		assert_int_equal(challenge_parse(cases[i].header, &a, &c), cases[i].r);
		if (cases[i].r < 0) continue;
		assert_int_equal(c.bearer, cases[i].bearer);
		assert_int_equal(c.basic, cases[i].basic);
		check_equal(c.service, cases[i].service);
		check_equal(c.scope, cases[i].scope);
		check_equal(c.realm, cases[i].realm);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(headers_of_registries) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
