/* test_bind.c: every kind of binding both ways, ranges, presence, and what the messages say. */
#include "base/bind.h"
#include "bind_sample.h"
#include "check.h"

#define HEX64 "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define SHA256 "sha256:" HEX64
#define SHA512 "sha512:" HEX64 HEX64

typedef struct Decoded {
	Arena arena;
	char *text;
	Err e;
	int r;
	Sample s;
} Decoded;

static void decoded_done(Decoded *d)
{
	arena_done(&d->arena);
	free(d->text);
}

static Decoded decode(const char *text)
{
	Decoded d = { .arena = ARENA_INIT(16 << 20), .text = strdup(text) };
	assert_non_null(d.text);
	d.r = sample_parse(d.text, strlen(d.text), &d.s, "config.json", &d.arena, &d.e);
	return d;
}

static char *encoded(const Sample *s)
{
	AUTO_BUF b = BUF_INIT(1 << 20);
	JsonWriter w = JSON_WRITER(&b);
	bind_encode(&sample_table, s, &w);
	return buf_take(&b);
}

static const char everything[] =
	"{\"version\":\"1.3.0\",\"terminal\":true,\"i32\":-2147483648,\"u32\":4294967295,\"mode\":493,\"i64\":-9223372036854775808,"
	"\"u64\":18446744073709551615,\"optBool\":false,\"optInt\":0,\"score\":-1000,\"optUint\":18446744073709551615,\"port\":65535,"
	"\"text\":\"\",\"colour\":\"green\",\"args\":[\"sh\",\"-c\",\"\"],\"gids\":[0,4294967295],\"colours\":[\"blue\",\"red\"],"
	"\"hook\":{\"path\":\"/a\",\"args\":[\"x\"]},\"hookPointer\":{\"path\":\"/b\"},"
	"\"limits\":[{\"type\":\"A\",\"soft\":0,\"hard\":0},{\"type\":\"B\",\"soft\":-1,\"hard\":18446744073709551615}],"
	"\"labels\":{\"z\":\"1\",\"a\":\"\"},\"named\":{\"eth1\":{\"weight\":7},\"eth0\":{}},\"raw\":{\"k\":[1,null]},\"cwd\":\"/\","
	"\"digest\":\"" SHA256 "\",\"digests\":[\"" SHA256 "\",\"" SHA512 "\"],\"ports\":{\"80/tcp\":{},\"53/udp\":{}}}";

static void lists_and_maps_grow(void **state)
{
	(void)state;
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	StrList l = { 0 };
	StrMap m = { 0 };
	for (int i = 0; i < 100; i++) {
		assert_int_equal(str_list_add(&l, arena_printf(&a, "%d", i), &a), 0);
		assert_int_equal(str_map_set(&m, arena_printf(&a, "%d", i % 70), l.items[i], &a), 0);
		assert_null(l.items[l.n]); /* fit for execve at any time */
	}
	assert_int_equal(l.n, 100);
	assert_string_equal(l.items[99], "99");
	assert_true(str_list_has(&l, "42") && !str_list_has(&l, "100"));
	assert_int_equal(m.n, 70);
	assert_string_equal(m.items[29].key, "29"); /* it keeps its place */
	assert_string_equal(str_map_get(&m, "29"), "99");
	assert_string_equal(str_map_get(&m, "30"), "30");
	assert_int_equal(str_list_add(&l, NULL, &a), -ENOMEM);
	assert_int_equal(str_map_set(&m, "x", NULL, &a), -ENOMEM);
	assert_int_equal(l.n + m.n, 170);
}

static void every_kind_is_decoded(void **state)
{
	(void)state;
	AUTO(decoded_done) Decoded d = decode(everything);
	const Sample *s = &d.s;
	assert_string_equal(d.e.msg, "");
	assert_int_equal(d.r, 0);
	assert_string_equal(s->version, "1.3.0");
	assert_true(s->terminal);
	assert_int_equal(s->i32, INT32_MIN);
	assert_true(s->u32 == UINT32_MAX && s->mode == 0755);
	assert_true(s->i64 == INT64_MIN && s->u64 == UINT64_MAX);
	assert_true(s->opt_bool.set && !s->opt_bool.v);
	assert_true(s->opt_int.set && s->opt_int.v == 0);
	assert_true(s->score.set && s->score.v == -1000);
	assert_true(s->opt_uint.set && s->opt_uint.v == UINT64_MAX);
	assert_true(s->port.set && s->port.v == 65535);
	assert_string_equal(s->text, "");
	assert_int_equal(s->colour, COLOUR_GREEN);
	assert_int_equal(s->args.n, 3);
	assert_string_equal(s->args.items[1], "-c");
	assert_null(s->args.items[3]); /* fit for execve */
	assert_true(s->gids.n == 2 && s->gids.items[1] == UINT32_MAX);
	assert_true(s->colours.n == 2 && s->colours.items[0] == COLOUR_BLUE && s->colours.items[1] == COLOUR_RED);
	assert_string_equal(s->hook.path, "/a");
	assert_string_equal(s->hook.args.items[0], "x");
	assert_string_equal(s->hook_pointer->path, "/b");
	assert_true(s->limits.n == 2 && s->limits.items[1].hard == UINT64_MAX && s->limits.items[1].soft == -1);
	assert_int_equal(s->labels.n, 2);
	assert_string_equal(s->labels.items[0].key, "z"); /* order kept */
	assert_string_equal(str_map_get(&s->labels, "a"), "");
	assert_null(str_map_get(&s->labels, "b"));
	assert_int_equal(s->named.n, 2);
	assert_string_equal(s->named.items[0].key, "eth1");
	assert_true(s->named.items[0].weight == 7 && s->named.items[1].weight == 0);
	assert_int_equal(json_get(s->raw, "k")->n, 2);
}

static void encoding_gives_the_document_back(void **state)
{
	(void)state;
	const char *minimal = "{\"version\":\"1\",\"u32\":0,\"optInt\":null,\"hookPointer\":null,\"raw\":null}";
	const char *documents[] = { everything, minimal };
	for (size_t i = 0; i < ARRAY_LEN(documents); i++) {
		AUTO(decoded_done) Decoded d = decode(documents[i]);
		assert_int_equal(d.r, 0);
		AUTO_FREE char *again = encoded(&d.s);
		assert_string_equal(again, documents[i]);
	}
}

static void digests_and_keys_are_decoded(void **state)
{
	(void)state;
	AUTO(decoded_done) Decoded d = decode(everything);
	char text[DIGEST_TEXT_MAX];
	assert_string_equal(digest_format(&d.s.digest, text), SHA256);
	assert_int_equal(d.s.digests.n, 2);
	assert_string_equal(digest_format(&d.s.digests.items[1], text), SHA512);
	assert_int_equal(d.s.ports.n, 2);
	assert_string_equal(d.s.ports.items[1], "53/udp");
	AUTO(decoded_done) Decoded unknown = decode("{\"version\":\"1\",\"digest\":\"md5:00\"}");
	assert_int_equal(unknown.r, -ENOTSUP);
	assert_int_equal(unknown.e.code, ERR_UNSUPPORTED);
	assert_string_equal(unknown.e.msg,
			    "config.json: digest: algorithm of \"md5:00\" (byte 24) is not supported; sha256 and sha512 are");
	AUTO(decoded_done) Decoded null = decode("{\"version\":\"1\",\"digest\":null,\"ports\":{\"1/tcp\":null}}");
	assert_int_equal(null.r, 0);
	assert_int_equal(null.s.digest.algorithm, DIGEST_NONE);
	assert_int_equal(null.s.ports.n, 1);
}

static void null_and_absent_are_the_same(void **state)
{
	(void)state;
	AUTO(decoded_done)
	Decoded d = decode(
		"{\"version\":\"1\",\"terminal\":null,\"i32\":null,\"u32\":null,\"mode\":null,\"i64\":null,\"u64\":null,\"optBool\":null,"
		"\"optInt\":null,\"score\":null,\"optUint\":null,\"port\":null,\"text\":null,\"colour\":null,\"args\":null,\"gids\":null,"
		"\"colours\":null,\"hook\":null,\"hookPointer\":null,\"limits\":null,\"labels\":null,\"named\":null,\"raw\":null,\"cwd\":null}");
	assert_int_equal(d.r, 0);
	Sample zero = { .version = d.s.version };
	assert_memory_equal(&d.s, &zero, sizeof zero);
}

static void unknown_keys_are_ignored(void **state)
{
	(void)state;
	AUTO(decoded_done)
	Decoded d = decode("{\"x\":{\"version\":3},\"version\":\"1\",\"Version\":7,\"hook\":{\"y\":[],\"path\":\"/a\"},\"\":0}");
	assert_int_equal(d.r, 0);
	assert_string_equal(d.s.version, "1");
	assert_string_equal(d.s.hook.path, "/a");
}

static void order_of_keys_does_not_matter(void **state)
{
	(void)state;
	AUTO(decoded_done) Decoded d = decode("{\"cwd\":\"/c\",\"version\":\"1\",\"text\":\"t\",\"i32\":5,\"u64\":6,\"terminal\":true}");
	assert_int_equal(d.r, 0);
	assert_string_equal(d.s.cwd, "/c");
	assert_string_equal(d.s.text, "t");
	assert_true(d.s.i32 == 5 && d.s.u64 == 6 && d.s.terminal);
}

/* Refused: after {"version":"1", and before }. */
static const struct {
	const char *rest, *message;
} refused[] = {
	{ "\"terminal\":1", "terminal: expected true or false, got number (byte 26)" },
	{ "\"terminal\":\"true\"", "terminal: expected true or false, got string (byte 26)" },
	{ "\"i32\":2147483648", "i32: expected an integer from -2147483648 to 2147483647 (byte 21)" },
	{ "\"i32\":-2147483649", "i32: expected an integer from -2147483648 to 2147483647 (byte 21)" },
	{ "\"i32\":18446744073709551615", "i32: expected an integer from -2147483648 to 2147483647 (byte 21)" },
	{ "\"i32\":\"1\"", "i32: expected an integer, got string (byte 21)" },
	{ "\"i32\":1.0", "i32: expected an integer, got number with a fraction or exponent (byte 21)" },
	{ "\"i32\":1e3", "i32: expected an integer, got number with a fraction or exponent (byte 21)" },
	{ "\"u32\":4294967296", "u32: expected an integer from 0 to 4294967295 (byte 21)" },
	{ "\"u32\":-1", "u32: expected an integer from 0 to 4294967295 (byte 21)" },
	{ "\"mode\":4096", "mode: expected an integer from 0 to 4095 (byte 22)" },
	{ "\"i64\":9223372036854775808", "i64: expected an integer from -9223372036854775808 to 9223372036854775807 (byte 21)" },
	{ "\"u64\":-1", "u64: expected an integer from 0 to 18446744073709551615 (byte 21)" },
	{ "\"optBool\":0", "optBool: expected true or false, got number (byte 25)" },
	{ "\"score\":1001", "score: expected an integer from -1000 to 1000 (byte 23)" },
	{ "\"score\":-1001", "score: expected an integer from -1000 to 1000 (byte 23)" },
	{ "\"port\":0", "port: expected an integer from 1 to 65535 (byte 22)" },
	{ "\"port\":65536", "port: expected an integer from 1 to 65535 (byte 22)" },
	{ "\"port\":-5", "port: expected an integer from 1 to 65535 (byte 22)" },
	{ "\"text\":1", "text: expected a string, got number (byte 22)" },
	{ "\"text\":[]", "text: expected a string, got array (byte 22)" },
	{ "\"colour\":\"pink\"", "colour: unknown value \"pink\" (byte 24); allowed: \"red\", \"green\", \"blue\"" },
	{ "\"colour\":\"\"", "colour: unknown value \"\" (byte 24); allowed: \"red\", \"green\", \"blue\"" },
	{ "\"colour\":\"Red\"", "colour: unknown value \"Red\" (byte 24); allowed: \"red\", \"green\", \"blue\"" },
	{ "\"colour\":2", "colour: expected a string, got number (byte 24)" },
	{ "\"args\":\"sh\"", "args: expected an array, got string (byte 22)" },
	{ "\"args\":[\"sh\",1]", "args[1]: expected a string, got number (byte 28)" },
	{ "\"args\":[\"sh\",null]", "args[1]: expected a string, got null (byte 28)" },
	{ "\"gids\":[0,4294967296]", "gids[1]: expected an integer from 0 to 4294967295 (byte 25)" },
	{ "\"gids\":{}", "gids: expected an array, got object (byte 22)" },
	{ "\"colours\":[\"red\",\"x\"]", "colours[1]: unknown value \"x\" (byte 32); allowed: \"red\", \"green\", \"blue\"" },
	{ "\"hook\":[]", "hook: expected an object, got array (byte 22)" },
	{ "\"hook\":{}", "hook.path: required, but missing" },
	{ "\"hook\":{\"path\":null}", "hook.path: required, but missing" },
	{ "\"hook\":{\"path\":\"\"}", "hook.path: required, but empty" },
	{ "\"hook\":{\"path\":\"/\",\"args\":[true]}", "hook.args[0]: expected a string, got boolean (byte 42)" },
	{ "\"hookPointer\":{\"args\":[]}", "hookPointer.path: required, but missing" },
	{ "\"limits\":{}", "limits: expected an array, got object (byte 24)" },
	{ "\"limits\":[{\"type\":\"A\",\"soft\":1,\"hard\":2},{\"type\":\"B\",\"soft\":1}]", "limits[1].hard: required, but missing" },
	{ "\"limits\":[null]", "limits[0]: expected an object, got null (byte 25)" },
	{ "\"labels\":[]", "labels: expected an object of strings, got array (byte 24)" },
	{ "\"labels\":{\"a\":1}", "labels.a: expected a string, got number (byte 29)" },
	{ "\"named\":{\"eth0\":{\"weight\":-1}}", "named.eth0.weight: expected an integer from 0 to 4294967295 (byte 41)" },
	{ "\"digest\":7", "digest: expected a digest, got number (byte 24)" },
	{ "\"digest\":\"sha256:AB\"",
	  "digest: expected a digest such as \"sha256:\" and 64 lower-case hexadecimal digits, got string (byte 24)" },
	{ "\"digest\":\"\"", "digest: expected a digest such as \"sha256:\" and 64 lower-case hexadecimal digits, got string (byte 24)" },
	{ "\"digests\":[\"" SHA256 "\",null]", "digests[1]: expected a digest, got null (byte 100)" },
	{ "\"ports\":[\"80/tcp\"]", "ports: expected an object of empty objects, got array (byte 23)" },
	{ "\"ports\":{\"80/tcp\":1}", "ports.80/tcp: expected an empty object, got number (byte 33)" },
	{ "\"named\":{\"eth0\":1}", "named.eth0: expected an object, got number (byte 31)" },
};

static void refusals_name_the_path_and_what_is_allowed(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		char text[256], want[512];
		snprintf(text, sizeof text, "{\"version\":\"1\",%s}", refused[i].rest);
		snprintf(want, sizeof want, "config.json: %s", refused[i].message);
		AUTO(decoded_done) Decoded d = decode(text);
		assert_int_equal(d.r, -EINVAL);
		assert_int_equal(d.e.code, ERR_CONFIG);
		assert_string_equal(d.e.msg, want);
	}
}

static void the_document_itself_is_checked(void **state)
{
	(void)state;
	const struct {
		const char *text, *message;
	} cases[] = {
		{ "[]", "config.json: document: expected an object, got array (byte 0)" },
		{ "null", "config.json: document: expected an object, got null (byte 0)" },
		{ "{}", "config.json: version: required, but missing" },
		{ "{\"version\":\"\"}", "config.json: version: required, but empty" },
		{ "{", "config.json: invalid JSON at byte 1: expected a key in quotes" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(decoded_done) Decoded d = decode(cases[i].text);
		assert_int_equal(d.r, -EINVAL);
		assert_string_equal(d.e.msg, cases[i].message);
	}
}

static void long_paths_are_cut_not_overrun(void **state)
{
	(void)state;
	AUTO_BUF b = BUF_INIT(4096);
	buf_puts(&b, "{\"version\":\"1\",\"labels\":{\"");
	for (int i = 0; i < 2000; i++)
		buf_putc(&b, 'k');
	buf_puts(&b, "\":1}}");
	AUTO(decoded_done) Decoded d = decode(b.p);
	assert_int_equal(d.r, -EINVAL);
	assert_true(starts_with(d.e.msg, "config.json: labels.kkkkkkkk"));
	assert_true(ends_with(d.e.msg, "expected a string, got number (byte 2028)"));
}

/* A table of many names: the message lists what fits and says that there are more. */
static void long_lists_of_names_are_cut(void **state)
{
	(void)state;
	static char texts[60][16];
	BindName names[61] = { 0 };
	for (int i = 0; i < 60; i++) {
		snprintf(texts[i], sizeof texts[i], "CAP_NUMBER_%d", i);
		names[i] = (BindName){ texts[i], i };
	}
	const BindRow row = { .name = "cap", .kind = BIND_ENUM, .sub = names };
	const BindTable table = { .type = "one", .size = sizeof(int), .rows = &row, .n = 1 };
	AUTO_ARENA a = ARENA_INIT(4096);
	Err e = ERR_INIT;
	int value;
	char good[] = "{\"cap\":\"CAP_NUMBER_59\"}", bad[] = "{\"cap\":\"CAP\"}";
	assert_int_equal(bind_parse(&table, good, strlen(good), &value, "x.json", &a, &e), 0);
	assert_int_equal(value, 59);
	assert_int_equal(bind_parse(&table, bad, strlen(bad), &value, "x.json", &a, &e), -EINVAL);
	assert_true(starts_with(e.msg, "x.json: cap: unknown value \"CAP\" (byte 7); allowed: \"CAP_NUMBER_0\", \"CAP_NUMBER_1\", "));
	assert_true(ends_with(e.msg, "\", …"));
}

static void memory_has_a_ceiling(void **state)
{
	(void)state;
	char text[] = "{\"version\":\"1\",\"args\":[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\"]}";
	AUTO_ARENA a = ARENA_INIT(300); /* enough for the tree, not for the list */
	AUTO_ARENA tree = ARENA_INIT(4096);
	Err e = ERR_INIT;
	JsonValue v;
	Sample s;
	assert_int_equal(json_parse(text, strlen(text), &tree, &v, &e), 0);
	assert_int_equal(bind_decode(&sample_table, &v, &s, "config.json", &a, &e), 0);
	arena_done(&a);
	a.max = 40;
	assert_int_equal(bind_decode(&sample_table, &v, &s, "config.json", &a, &e), -ENOMEM);
	assert_int_equal(e.code, ERR_RESOURCE);
}

static void required_values_are_written_even_when_zero(void **state)
{
	(void)state;
	Limit limit = { .type = "RLIMIT_CORE" };
	AUTO_BUF b = BUF_INIT(256);
	JsonWriter w = JSON_WRITER(&b);
	bind_encode(&limit_table, &limit, &w);
	assert_string_equal(buf_str(&b), "{\"type\":\"RLIMIT_CORE\",\"soft\":0,\"hard\":0}");
}

static void an_empty_struct_can_be_written(void **state)
{
	(void)state;
	Sample s = { 0 };
	AUTO_FREE char *text = encoded(&s);
	assert_string_equal(text, "{\"u32\":0,\"optInt\":null,\"hookPointer\":null,\"raw\":null}");
}

static void names_and_values(void **state)
{
	(void)state;
	assert_string_equal(bind_name(colour_names, COLOUR_BLUE), "blue");
	assert_null(bind_name(colour_names, COLOUR_NONE));
	assert_int_equal(bind_value(colour_names, "red"), COLOUR_RED);
	assert_int_equal(bind_value(colour_names, "re"), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_and_maps_grow),
		cmocka_unit_test(every_kind_is_decoded),
		cmocka_unit_test(encoding_gives_the_document_back),
		cmocka_unit_test(digests_and_keys_are_decoded),
		cmocka_unit_test(null_and_absent_are_the_same),
		cmocka_unit_test(unknown_keys_are_ignored),
		cmocka_unit_test(order_of_keys_does_not_matter),
		cmocka_unit_test(refusals_name_the_path_and_what_is_allowed),
		cmocka_unit_test(the_document_itself_is_checked),
		cmocka_unit_test(long_paths_are_cut_not_overrun),
		cmocka_unit_test(long_lists_of_names_are_cut),
		cmocka_unit_test(memory_has_a_ceiling),
		cmocka_unit_test(required_values_are_written_even_when_zero),
		cmocka_unit_test(an_empty_struct_can_be_written),
		cmocka_unit_test(names_and_values),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
