/* test_reference.c: names of images: normalization, refusals with docker's texts, and the way back to text. */
#include "check.h"
#include "oci/reference.h"

#define SHA "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define HEX64 "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define A51 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A128 \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void names_are_normalized(void **state)
{
	(void)state;
	const struct {
		const char *text, *full, *familiar;
	} cases[] = {
		{ "debian", "docker.io/library/debian", "debian" },
		{ "debian:12", "docker.io/library/debian:12", "debian:12" },
		{ "library/debian", "docker.io/library/debian", "debian" },
		{ "docker.io/debian", "docker.io/library/debian", "debian" },
		{ "index.docker.io/debian:x", "docker.io/library/debian:x", "debian:x" },
		{ "docker.io/library/debian", "docker.io/library/debian", "debian" },
		{ "docker.io/library/a/b", "docker.io/library/a/b", "library/a/b" },
		{ "user/app", "docker.io/user/app", "user/app" },
		{ "user/app@" SHA, "docker.io/user/app@" SHA, "user/app@" SHA },
		{ "debian:12@" SHA, "docker.io/library/debian:12@" SHA, "debian:12@" SHA },
		{ "docker.io/host.com/x", "docker.io/host.com/x", "docker.io/host.com/x" },
		{ "docker.io/docker.io/x", "docker.io/docker.io/x", "docker.io/docker.io/x" },
		{ "library/" HEX64, "docker.io/library/" HEX64, "docker.io/library/" HEX64 },
		{ "localhost/x", "localhost/x", "localhost/x" },
		{ "localhost", "docker.io/library/localhost", "localhost" },
		{ "localhost:5000", "docker.io/library/localhost:5000", "localhost:5000" },
		{ "localhost:5000/x:1", "localhost:5000/x:1", "localhost:5000/x:1" },
		{ "host.com/x", "host.com/x", "host.com/x" },
		{ "host:80/a/b/c:T_a.g-1", "host:80/a/b/c:T_a.g-1", "host:80/a/b/c:T_a.g-1" },
		{ "Host/x", "Host/x", "Host/x" },
		{ "127.0.0.1/x", "127.0.0.1/x", "127.0.0.1/x" },
		{ "[::1]:5000/x", "[::1]:5000/x", "[::1]:5000/x" },
		{ "[2001:DB8::1]/x:1", "[2001:DB8::1]/x:1", "[2001:DB8::1]/x:1" },
		{ "a_b/c__d/e---f.g", "docker.io/a_b/c__d/e---f.g", "a_b/c__d/e---f.g" },
		{ "sha256:" A51, "docker.io/library/sha256:" A51, "sha256:" A51 },
		{ "x:" A128, "docker.io/library/x:" A128, "x:" A128 },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_ARENA a = ARENA_INIT(1 << 16);
		Reference r, again;
		Err e = ERR_INIT;
		if (reference_parse(str_of(cases[i].text), &a, &r, &e) < 0) fail_msg("%s: %s", cases[i].text, e.msg);
		assert_string_equal(reference_format(&r, &a), cases[i].full);
		assert_string_equal(reference_familiar(&r, &a), cases[i].familiar);
		assert_int_equal(reference_parse(str_of(cases[i].full), &a, &again, &e), 0);
		assert_string_equal(reference_format(&again, &a), cases[i].full);
	}
}

static void refusals_are_those_of_docker(void **state)
{
	(void)state;
	const char *format = "invalid reference format";
	const struct {
		const char *text, *message;
	} cases[] = {
		{ "", format },
		{ "Debian", "invalid reference format: repository name (library/Debian) must be lowercase" },
		{ "Debian:X", "invalid reference format: repository name (library/Debian) must be lowercase" },
		{ "host.com/Foo", "invalid reference format: repository name (Foo) must be lowercase" },
		{ "user/App", "invalid reference format: repository name (user/App) must be lowercase" },
		{ HEX64, "invalid repository name (" HEX64 "), cannot specify 64-byte hexadecimal strings" },
		{ "x:", format },
		{ ":x", format },
		{ "x@", format },
		{ "x:y:z", format },
		{ "x:.y", format },
		{ "x:-y", format },
		{ "x:" A128 "a", format },
		{ "/x", format },
		{ "x/", format },
		{ "x//y", format },
		{ "-x", format },
		{ "x-", format },
		{ "x..y", format },
		{ "x___y", format },
		{ "x._y", format },
		{ "../x", format },
		{ "a/../x", format },
		{ "x y", format },
		{ "x\n", format },
		{ "x\xc3\xa9", format },
		{ "https://host.com/x", format },
		{ "-host.com/x", format },
		{ "host-.com/x", format },
		{ "host..com/x", format },
		{ "host.com:/x", format },
		{ "host.com:8a/x", format },
		{ "a_b.com/x", format },
		{ "::1/x", format },
		{ "[]/x", format },
		{ "[::1/x", format },
		{ "[::1]x/x", format },
		{ "[fe80::1%eth0]/x", format },
		{ "host.com:80", "docker.io/library/host.com:80" },
		{ "x@sha256:abc", format },
		{ "x@" SHA "@" SHA, format },
		{ "x@sha256:00112233445566778899aabbccddeeff", "invalid checksum digest length" },
		{ "x@sha256:BA7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "invalid checksum digest format" },
		{ "x@SHA256:" HEX64, "invalid reference format: repository name (library/x@SHA256) must be lowercase" },
		{ "x@md5:00112233445566778899aabbccddeeff", "unsupported digest algorithm" },
		{ A51 "/" A51 "/" A51 "/" A51 "/" A51, "repository name must not be more than 255 characters" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_ARENA a = ARENA_INIT(1 << 16);
		Reference r = { .tag = "untouched" };
		Err e = ERR_INIT;
		int x = reference_parse(str_of(cases[i].text), &a, &r, &e);
		if (x == 0) { /* what only looks like a registry with a port */
			assert_string_equal(reference_format(&r, &a), cases[i].message);
			continue;
		}
		assert_true(x == -EINVAL || x == -ENOTSUP);
		if (!streq(e.msg, cases[i].message)) fail_msg("%s: %s", cases[i].text, e.msg);
		assert_string_equal(r.tag, "untouched");
	}
}

static void ids_are_known(void **state)
{
	(void)state;
	AUTO_ARENA a = ARENA_INIT(1 << 16);
	Err e = ERR_INIT;
	Reference r;
	const char *ids[] = { HEX64, SHA };
	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		assert_int_equal(reference_parse_any(str_of(ids[i]), &a, &r, &e), 0);
		assert_true(reference_is_id(&r));
		assert_string_equal(reference_format(&r, &a), SHA);
		assert_string_equal(reference_familiar(&r, &a), SHA);
		reference_default_tag(&r);
		assert_null(r.tag);
	}
	assert_int_equal(reference_parse_any(STR("debian"), &a, &r, &e), 0);
	assert_false(reference_is_id(&r));
	assert_int_equal(reference_parse_any(STR("Debian"), &a, &r, &e), -EINVAL);
}

static void latest_is_added_on_request(void **state)
{
	(void)state;
	const struct {
		const char *text, *full;
	} cases[] = {
		{ "debian", "docker.io/library/debian:latest" },
		{ "debian:12", "docker.io/library/debian:12" },
		{ "debian@" SHA, "docker.io/library/debian@" SHA },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_ARENA a = ARENA_INIT(1 << 16);
		Err e = ERR_INIT;
		Reference r;
		assert_int_equal(reference_parse(str_of(cases[i].text), &a, &r, &e), 0);
		assert_null(i ? NULL : r.tag);
		reference_default_tag(&r);
		assert_string_equal(reference_format(&r, &a), cases[i].full);
		assert_string_equal(reference_name(&r, &a), "docker.io/library/debian");
		assert_string_equal(reference_familiar_name(&r, &a), "debian");
	}
}

static void memory_has_a_ceiling(void **state)
{
	(void)state;
	AUTO_ARENA a = ARENA_INIT(8);
	Err e = ERR_INIT;
	Reference r;
	assert_int_equal(reference_parse(STR("debian:12"), &a, &r, &e), -ENOMEM);
	assert_int_equal(e.code, ERR_RESOURCE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_normalized), cmocka_unit_test(refusals_are_those_of_docker),
		cmocka_unit_test(ids_are_known),        cmocka_unit_test(latest_is_added_on_request),
		cmocka_unit_test(memory_has_a_ceiling),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
