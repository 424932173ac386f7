/* test_toml.c: TOML as a JSON tree. */
#include "base/toml.h"
#include "check.h"

static const struct {
	const char *text, *want; /* JSON, or the message */
} cases[] = {
	{ "", "{}" },
	{ "# only a comment", "{}" },
	{ "a = 1\nb = \"x\" # c\r\nc = true\n", "{\"a\":1,\"b\":\"x\",\"c\":true}" },
	{ "a = [ 1, 2, # c\n 3,\n]\nb = []", "{\"a\":[1,2,3],\"b\":[]}" },
	{ "a.b.c = 1\na.b.d = 2\n'x.y' = 3\n\"\\u00e9\" = 4", "{\"a\":{\"b\":{\"c\":1,\"d\":2}},\"x.y\":3,\"\xc3\xa9\":4}" },
	{ "[a]\nx = 1\n[a.b]\ny = 2\n[c.d]\n[c]\nz = 3", "{\"a\":{\"x\":1,\"b\":{\"y\":2}},\"c\":{\"d\":{},\"z\":3}}" },
	{ "[[r]]\nl = 1\n[[r.m]]\nx = 1\n[[r.m]]\nx = 2\n[[r]]\nl = 2\n[r.s]\nq = 1",
	  "{\"r\":[{\"l\":1,\"m\":[{\"x\":1},{\"x\":2}]},{\"l\":2,\"s\":{\"q\":1}}]}" },
	{ "a = {x = 1, y.z = 'w'}\nb = {}", "{\"a\":{\"x\":1,\"y\":{\"z\":\"w\"}},\"b\":{}}" },
	{ "a = \"\"\"\nx\n  y \\\n   z\"\"\"\nb = '''\nr\\n'''\nc = \"\\t\\\\\\U0001F600\"\nk = \"\"\"q\"\"\"\"",
	  "{\"a\":\"x\\n  y z\",\"b\":\"r\\\\n\",\"c\":\"\\t\\\\\xf0\x9f\x98\x80\",\"k\":\"q\\\"\"}" },
	{ "a = -17\nb = +1_000\nc = 0xff\nk = 0o17\ne = 0b11\nf = 1.5\ng = -2e3\nh = 9223372036854775807",
	  "{\"a\":-17,\"b\":1000,\"c\":255,\"k\":15,\"e\":3,\"f\":1.5,\"g\":-2000.0,\"h\":9223372036854775807}" },
	{ "a = 1\na = 2", "line 2: \"a\" is defined twice" },
	{ "[a]\n[a]", "line 2: \"a\" is defined twice" },
	{ "a = 1\n[a]", "line 2: \"a\" is defined twice" },
	{ "a = []\n[[a]]", "line 2: \"a\" is defined twice" },
	{ "a.b = 1\n[a]\nc = 2", "line 2: \"a\" is defined twice" },
	{ "a = {b = 1}\na.c = 2", "line 2: \"a\" is no table that can be added to" },
	{ "a = 1\na.b = 2", "line 2: \"a\" is no table that can be added to" },
	{ "[[a]]\n[a]\n", "line 2: \"a\" is defined twice" },
	{ "a", "line 1: '=' is missing after \"a\"" },
	{ "a =", "line 1: a value is missing" },
	{ "= 1", "line 1: a key is missing" },
	{ "a = 1 b = 2", "line 1: unexpected 'b' after a value" },
	{ "a = \"x", "line 1: string without an end" },
	{ "a = \"x\ny\"", "line 1: string without an end" },
	{ "a = \"\"\"x\ny", "line 2: string without an end" },
	{ "a = \"\\q\"", "line 1: unknown escape in a string" },
	{ "a = \"\\u0000\"", "line 1: unknown escape in a string" },
	{ "a = \"\\ud800\"", "line 1: unknown escape in a string" },
	{ "a = \"\x01\"", "line 1: control character in a string" },
	{ "a = \"\xff\"", "line 1: invalid UTF-8 in a string" },
	{ "a = 1979-05-27", "line 1: unknown value \"1979-05-27\" (strings need quotes; dates are not supported)" },
	{ "a = yes", "line 1: unknown value \"yes\" (strings need quotes; dates are not supported)" },
	{ "a = 01", "line 1: unknown value \"01\" (strings need quotes; dates are not supported)" },
	{ "a = 1__0", "line 1: unknown value \"1__0\"" },
	{ "a = inf", "line 1: unknown value \"inf\" (strings need quotes; dates are not supported)" },
	{ "a = 9223372036854775808", "line 1: \"9223372036854775808\" does not fit in 64 bits" },
	{ "a = 1e999", "line 1: \"1e999\" is too large" },
	{ "a = [1 2]", "line 1: ',' or ']' is missing in an array" },
	{ "a = {x = 1,}", "line 1: ',' before '}'" },
	{ "a = {x = 1\n}", "line 1: ',' or '}' is missing in a table" },
	{ "[a", "line 1: ']' is missing after the name of a table" },
	{ "[[a]", "line 1: ']' is missing after the name of a table" },
	{ "\"\"\"k\"\"\" = 1", "line 1: a key cannot span lines" },
};

static void assert_toml(Str text, const char *want)
{
	AUTO_ARENA a = ARENA_INIT(16 << 20);
	AUTO_BUF b = BUF_INIT(1 << 20);
	JsonWriter w = JSON_WRITER(&b);
	JsonValue v;
	Err e = ERR_INIT;
	int r = toml_parse(text, &a, &v, &e);
	if (r >= 0) json_value(&w, &v);
	assert_string_equal(r < 0 ? e.msg : buf_str(&b), want);
}

static void documents_are_read_or_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_toml(str_of(cases[i].text), cases[i].want);
}

static void nesting_has_a_limit(void **state)
{
	(void)state;
	AUTO_BUF b = BUF_INIT(1 << 20);
	buf_puts(&b, "a = ");
	for (int i = 0; i < 100000; i++)
		buf_putc(&b, '[');
	assert_toml((Str){ buf_str(&b), b.n }, "line 1: more than 32 levels");
	buf_reset(&b);
	for (int i = 0; i < 5000; i++)
		buf_printf(&b, "k%d = 1\n", i);
	assert_toml((Str){ buf_str(&b), b.n }, "the document is too large");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(documents_are_read_or_refused), cmocka_unit_test(nesting_has_a_limit) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
