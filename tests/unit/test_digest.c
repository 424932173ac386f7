/* test_digest.c: digests, hashes, base64 and patterns. */
#include "base/base64.h"
#include "base/digest.h"
#include "base/glob.h"
#include "base/hash.h"
#include "check.h"
#include "sys/fd.h"

#include <sys/mman.h>

#define ABC256 "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define EMPTY256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define ABC512 \
	"ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"

static void digests_are_read_and_written_the_same(void **state)
{
	(void)state;
	const struct {
		const char *text, *hex;
		uint8_t algorithm;
	} cases[] = {
		{ "sha256:" ABC256, ABC256, DIGEST_SHA256 },
		{ "sha512:" ABC512, ABC512, DIGEST_SHA512 },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		Digest d = { 0 };
		char text[DIGEST_TEXT_MAX], hex[DIGEST_HEX_MAX];
		assert_int_equal(digest_parse(str_of(cases[i].text), &d), 0);
		assert_int_equal(d.algorithm, cases[i].algorithm);
		assert_string_equal(digest_format(&d, text), cases[i].text);
		assert_string_equal(digest_hex(&d, hex), cases[i].hex);
		Digest again;
		assert_int_equal(digest_parse_hex(d.algorithm, str_of(hex), &again), 0);
		assert_true(digest_equal(&d, &again));
		again.bytes[31] ^= 1;
		assert_false(digest_equal(&d, &again));
	}
	Digest none = { 0 };
	char text[DIGEST_TEXT_MAX];
	assert_string_equal(digest_format(&none, text), "");
	assert_null(digest_algorithm_name(DIGEST_NONE));
	assert_null(digest_algorithm_name(255));
}

static void what_is_no_digest_is_refused(void **state)
{
	(void)state;
	const struct {
		const char *text;
		int r;
	} cases[] = {
		{ "", -EINVAL },
		{ "sha256", -EINVAL },
		{ "sha256:", -EINVAL },
		{ ABC256, -EINVAL },
		{ ":" ABC256, -EINVAL },
		{ "sha256:" ABC256 "0", -EINVAL },
		{ "sha256:" ABC256 "\n", -EINVAL },
		{ " sha256:" ABC256, -EINVAL },
		{ "SHA256:" ABC256, -EINVAL },
		{ "sha256:BA7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", -EINVAL },
		{ "sha256:ga7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", -EINVAL },
		{ "sha256:../../../../../../../../../../../../../../../../../../../../../../x", -EINVAL },
		{ "sha512:" ABC256, -EINVAL },
		{ "sha256:" ABC512, -EINVAL },
		{ "md5:d41d8cd98f00b204e9800998ecf8427e", -ENOTSUP },
		{ "sha384:aa", -ENOTSUP },
		{ "multihash+base58:QmRZxt2b1FVZPNqd8hsiykDL3TdBDeTSPX9Kv46HmX4Gx8", -ENOTSUP },
		{ "sha256+b64u:LCa0a2j_xo_5m0U8HTBBNBNCLXBkg7-g-YpeiGJm564", -ENOTSUP },
		{ "a..b:00", -EINVAL },
		{ "+a:00", -EINVAL },
		{ "a-:00", -EINVAL },
		{ "md5:", -EINVAL },
		{ "md5:a/b", -EINVAL },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		Digest d = { .algorithm = 77 };
		if (digest_parse(str_of(cases[i].text), &d) != cases[i].r) fail_msg("%s", cases[i].text);
		assert_int_equal(d.algorithm, 77);
	}
	Digest d;
	assert_int_equal(digest_parse((Str){ "sha256:\0", 8 }, &d), -EINVAL);
	assert_int_equal(digest_parse_hex(DIGEST_NONE, STR(""), &d), -EINVAL);
}

static void expect(const Digest *d, const char *want)
{
	char text[DIGEST_TEXT_MAX];
	assert_string_equal(digest_format(d, text), want);
}

static void hashes_are_those_of_the_standard(void **state)
{
	(void)state;
	Digest d;
	assert_int_equal(digest_of(DIGEST_SHA256, "abc", 3, &d), 0);
	expect(&d, "sha256:" ABC256);
	assert_int_equal(digest_of(DIGEST_SHA512, "abc", 3, &d), 0);
	expect(&d, "sha512:" ABC512);
	assert_int_equal(digest_of(DIGEST_SHA256, NULL, 0, &d), 0);
	expect(&d, "sha256:" EMPTY256);
	assert_int_equal(digest_of(99, "abc", 3, &d), -ENOTSUP);
	assert_int_equal(digest_of(DIGEST_NONE, "abc", 3, &d), -ENOTSUP);
}

static void a_hash_takes_pieces_and_serves_again(void **state)
{
	(void)state;
	AUTO_HASH *h = NULL, *copy = NULL;
	Digest d;
	assert_int_equal(hash_new(DIGEST_SHA256, &h), 0);
	hash_update(h, "a", 1);
	hash_update(h, "", 0);
	assert_int_equal(hash_copy(h, &copy), 0);
	hash_update(h, "bc", 2);
	assert_int_equal(hash_final(h, &d), 0);
	expect(&d, "sha256:" ABC256);
	assert_int_equal(hash_final(h, &d), 0);
	expect(&d, "sha256:" EMPTY256);
	hash_update(copy, "bc", 2);
	assert_int_equal(hash_final(copy, &d), 0);
	expect(&d, "sha256:" ABC256);
}

static void a_file_is_hashed_from_its_beginning(void **state)
{
	(void)state;
	enum { SIZE = (1 << 20) + 7 };
	AUTO_FREE char *p = calloc(1, SIZE);
	AUTO_FD int fd = memfd_create("hash", MFD_CLOEXEC);
	Digest whole, file;
	uint64_t size = 0;
	assert_true(p && fd >= 0);
	p[SIZE - 1] = 'x';
	assert_int_equal(fd_write_all(fd, p, SIZE), 0);
	assert_int_equal(digest_of(DIGEST_SHA256, p, SIZE, &whole), 0);
	assert_int_equal(hash_file(fd, DIGEST_SHA256, &file, &size), 0);
	assert_true(digest_equal(&whole, &file));
	assert_int_equal(size, SIZE);
	assert_int_equal(hash_file(-1, DIGEST_SHA256, &file, NULL), -EBADF);
}

static void base64_both_ways(void **state)
{
	(void)state;
	const struct {
		const char *plain, *text;
	} cases[] = {
		{ "", "" },
		{ "f", "Zg==" },
		{ "ab", "YWI=" },
		{ "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" },
		{ "fooba", "Zm9vYmE=" },
		{ "foobar", "Zm9vYmFy" },
		{ "\xff\xfe\xfb", "//77" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_BUF text = BUF_INIT(64);
		AUTO_BUF plain = BUF_INIT(64);
		base64_encode(&text, cases[i].plain, strlen(cases[i].plain));
		assert_string_equal(buf_str(&text), cases[i].text);
		assert_int_equal(base64_decoded_size(str_of(cases[i].text)), strlen(cases[i].plain));
		assert_int_equal(base64_decode(str_of(cases[i].text), &plain), 0);
		assert_string_equal(buf_str(&plain), cases[i].plain);
	}
	const char *bad[] = { "Zg", "Zg=", "Z===", "====", "Zh==", "YWJ=", "Zg==Zg==", "Zm 9", "Zm9v\n", "Zm-_", "=Zg=", "Zg=g" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		AUTO_BUF plain = BUF_INIT(64);
		buf_puts(&plain, "kept");
		if (base64_decode(str_of(bad[i]), &plain) != -EINVAL) fail_msg("%s", bad[i]);
		assert_string_equal(buf_str(&plain), "kept");
	}
	AUTO_BUF small = BUF_INIT(2);
	assert_int_equal(base64_decode(STR("Zm9v"), &small), -EFBIG);
}

static void base64_for_urls(void **state)
{
	(void)state;
	const struct {
		const char *plain, *text;
	} cases[] = {
		{ "", "" }, { "f", "Zg" }, { "ab", "YWI" }, { "foo", "Zm9v" }, { "\xff\xfe\xfb", "__77" }, { "\xfb\xef\xbe", "----" }
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_BUF text = BUF_INIT(64);
		AUTO_BUF plain = BUF_INIT(64);
		buf_puts(&text, "=");
		base64url_encode(&text, cases[i].plain, strlen(cases[i].plain));
		assert_string_equal(buf_str(&text) + 1, cases[i].text);
		assert_int_equal(base64url_decode(str_of(cases[i].text), &plain), 0);
		assert_string_equal(buf_str(&plain), cases[i].plain);
	}
	const char *bad[] = { "Zg==", "Zg=", "Z", "Zh", "YWJ", "Zm+/", "Zm 9", "Zm9v\n", "Zg.Zg" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		AUTO_BUF plain = BUF_INIT(64);
		if (base64url_decode(str_of(bad[i]), &plain) != -EINVAL) fail_msg("%s", bad[i]);
	}
}

static void patterns_match_as_in_go(void **state)
{
	(void)state;
	const struct {
		const char *pattern, *name;
		unsigned flags;
		int r;
	} cases[] = {
		{ "abc", "abc", 0, 1 },
		{ "*", "abc", 0, 1 },
		{ "*c", "abc", 0, 1 },
		{ "a*", "a", 0, 1 },
		{ "a*", "ab/c", 0, 0 },
		{ "a*", "ab/c", GLOB_ANY_SLASH, 1 },
		{ "a*/b", "abc/b", 0, 1 },
		{ "a*/b", "a/c/b", 0, 0 },
		{ "a*b*c*d*e*/f", "axbxcxdxexxx/f", 0, 1 },
		{ "a*b*c*d*e*/f", "axbxcxdxexxx/fff", 0, 0 },
		{ "a*b?c*x", "abxbbxdbxebxczzx", 0, 1 },
		{ "ab[b-d]", "abc", 0, 1 },
		{ "ab[e-g]", "abc", 0, 0 },
		{ "ab[^c]", "abc", 0, 0 },
		{ "ab[^e-g]", "abc", 0, 1 },
		{ "a\\*b", "a*b", 0, 1 },
		{ "a\\*b", "ab", 0, 0 },
		{ "a?b",
		  "a\xe2\x98\xba"
		  "b",
		  0, 1 },
		{ "a[^a]b",
		  "a\xe2\x98\xba"
		  "b",
		  0, 1 },
		{ "a???b",
		  "a\xe2\x98\xba"
		  "b",
		  0, 0 },
		{ "[a-\xce\xb6]*", "\xce\xb1", 0, 1 },
		{ "a?b", "a/b", 0, 0 },
		{ "[\\]a]", "]", 0, 1 },
		{ "[\\-x]", "-", 0, 1 },
		{ "[]a]", "]", 0, -EINVAL },
		{ "[x-]", "x", 0, -EINVAL },
		{ "[-x]", "x", 0, -EINVAL },
		{ "[", "a", 0, -EINVAL },
		{ "[^bc", "a", 0, -EINVAL },
		{ "a[", "ab", 0, -EINVAL },
		{ "zzz[", "a", 0, -EINVAL },
		{ "a\\", "a", 0, -EINVAL },
		{ "*x", "xxx", 0, 1 },
		{ "", "", 0, 1 },
		{ "", "a", 0, 0 },
		{ "**/x", "a/b/x", 0, 0 },
		{ "**/x", "a/b/x", GLOB_STARSTAR, 1 },
		{ "a/**", "a/b/c", GLOB_STARSTAR, 1 },
		{ "a/**/*.c", "a/b/c/d.c", GLOB_STARSTAR, 1 },
		{ "a/**/*.c", "a/b/c/d.h", GLOB_STARSTAR, 0 },
		{ "**/b*/c", "a/bx/d/by/c", GLOB_STARSTAR, 1 },
		{ "**b*c**d", "xbx/bc/d", GLOB_STARSTAR, 1 },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int r = glob_match(str_of(cases[i].pattern), str_of(cases[i].name), cases[i].flags);
		if (r != cases[i].r) fail_msg("%s on %s: %d", cases[i].pattern, cases[i].name, r);
	}
}

/* It would take longer than the universe has if stars nested. */
static void no_pattern_is_exponential(void **state)
{
	(void)state;
	char name[3001], pattern[400] = "";
	memset(name, 'a', sizeof name - 1);
	name[sizeof name - 1] = 0;
	for (size_t i = 0; i + 3 < sizeof pattern; i += 3)
		memcpy(pattern + i, i % 2 ? "**a" : "a*a", 4);
	size_t n = strlen(pattern);
	pattern[n - 1] = 'b';
	assert_int_equal(glob_match(str_of(pattern), str_of(name), GLOB_STARSTAR), 0);
	assert_int_equal(glob_match(str_of(pattern), str_of(name), 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(digests_are_read_and_written_the_same),
		cmocka_unit_test(what_is_no_digest_is_refused),
		cmocka_unit_test(hashes_are_those_of_the_standard),
		cmocka_unit_test(a_hash_takes_pieces_and_serves_again),
		cmocka_unit_test(a_file_is_hashed_from_its_beginning),
		cmocka_unit_test(base64_both_ways),
		cmocka_unit_test(base64_for_urls),
		cmocka_unit_test(patterns_match_as_in_go),
		cmocka_unit_test(no_pattern_is_exponential),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
