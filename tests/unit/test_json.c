/* test_json.c: what the reader accepts and refuses (RFC 8259), the exact numbers, the messages, and the writer. */
#include "base/json.h"
#include "check.h"
#include "sys/fd.h"

#include <fcntl.h>
#include <math.h>

enum { ARENA_MAX = 64 << 20 };

/* A document in a block of exactly its size, so that a sanitizer sees the first byte read past its end. */
static char *exact_copy(const char *text, size_t n)
{
	char *p = malloc(n + 1);
	assert_non_null(p);
	memcpy(p, text, n);
	p[n] = 0;
	return p;
}

static int parse_bytes(const char *text, size_t n, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(ARENA_MAX);
	AUTO_FREE char *copy = exact_copy(text, n);
	JsonValue v;
	return json_parse(copy, n, &a, &v, e);
}

/* What the document becomes when read and written again; NULL (and the message in e) when it is refused. */
static char *rewritten(const char *text, size_t n, int indent, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(ARENA_MAX);
	AUTO_FREE char *copy = exact_copy(text, n);
	AUTO_BUF out = BUF_INIT(1 << 20);
	JsonWriter w = JSON_WRITER(&out);
	JsonValue v;
	if (json_parse(copy, n, &a, &v, e) < 0) return NULL;
	w.indent = indent;
	json_value(&w, &v);
	return buf_take(&out);
}

/* Accepted, and what is written back; NULL: the same bytes. */
static const struct {
	const char *text, *again;
} accepted[] = {
	/* any value may be the document (section 2) */
	{ "null", NULL },
	{ "true", NULL },
	{ "false", NULL },
	{ "0", NULL },
	{ "\"\"", NULL },
	{ "[]", NULL },
	{ "{}", NULL },
	{ " \t\r\n[ \t\r\n1 \t\r\n, \t\r\n2 \t\r\n] \t\r\n", "[1,2]" },
	{ " { \"a\" : { } , \"b\" : [ ] } ", "{\"a\":{},\"b\":[]}" },
	{ "[[],{},null,[[]]]", NULL },
	{ "{\"\":1,\" \":2,\"a.b\":3}", NULL },
	{ "{\"a\":1,\"A\":2,\"aa\":3}", NULL },
	{ "{\"b\":1,\"a\":2}", NULL },
	/* numbers (section 6) */
	{ "-0", "0" },
	{ "9223372036854775807", NULL },
	{ "-9223372036854775808", NULL },
	{ "9223372036854775808", NULL },
	{ "18446744073709551615", NULL },
	{ "[0.5,-0.25,1.5]", NULL },
	{ "[1e2,1E+2,1e-2]", NULL },
	{ "1e-400", NULL },
	{ "123456789012345678901234567890.0", NULL },
	{ "1.7976931348623157e308", NULL },
	{ "4.9e-324", NULL },
	/* strings (section 7) */
	{ "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\\"\\\\/\\b\\f\\n\\r\\t\"" },
	{ "\"\\u0061\\u00e9\\u20AC\\ud83d\\uDC1D\"", "\"a\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\x9d\"" },
	{ "\"\\u0001\\u001f\\u007f\"", "\"\\u0001\\u001f\\u007f\"" },
	{ "\"\\ud800\\udc00\\udbff\\udfff\"", "\"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"" },
	{ "\"\\ud7ff\\ue000\\uffff\"", "\"\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\"" },
	{ "\"\\u2028\\u2029\"", "\"\xe2\x80\xa8\xe2\x80\xa9\"" },
	{ "\"\xc2\xa0\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"", NULL },
	{ "\"\x7f\"", "\"\\u007f\"" },
	{ "\"a\xc2\x80\xc2\x9f\xc2\xa0\"", "\"a\\u0080\\u009f\xc2\xa0\"" }, /* terminals obey these */
	{ "\"\xef\xbb\xbf\"", NULL },
	{ "{\"\\u0061\":1}", "{\"a\":1}" },
	{ "\"\\\\u0000\"", NULL },
};

static void accepts_what_the_rfc_allows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(accepted); i++) {
		Err e = ERR_INIT;
		const char *text = accepted[i].text;
		AUTO_FREE char *again = rewritten(text, strlen(text), 0, &e);
		if (!again) fail_msg("%s: %s", text, e.msg);
		assert_int_equal(e.code, ERR_NONE);
		const char *want = accepted[i].again ? accepted[i].again : text;
		/* doubles keep their value, not their spelling: compared in doubles_are_exact */
		if (strpbrk(text, ".eE") && strchr("0123456789-[", text[0]) && !accepted[i].again) continue;
		assert_string_equal(again, want);
	}
}

#define BYTES(literal) "" literal, sizeof(literal) - 1

/* Refused: where, and why. */
static const struct {
	const char *text;
	size_t n;
	unsigned at;
	const char *why;
} refused[] = {
	{ BYTES(""), 0, "unexpected end" },
	{ BYTES(" \n "), 3, "unexpected end" },
	{ BYTES("{"), 1, "expected a key in quotes" },
	{ BYTES("["), 1, "unexpected end" },
	{ BYTES("]"), 0, "expected a value" },
	{ BYTES("}"), 0, "expected a value" },
	{ BYTES(","), 0, "expected a value" },
	{ BYTES("[1,]"), 3, "expected a value" },
	{ BYTES("[,1]"), 1, "expected a value" },
	{ BYTES("[1,,2]"), 3, "expected a value" },
	{ BYTES("[1 2]"), 3, "expected ',' or ']'" },
	{ BYTES("[1}"), 2, "expected ',' or ']'" },
	{ BYTES("[1"), 2, "expected ',' or ']'" },
	{ BYTES("{\"a\":1]"), 6, "expected ',' or '}'" },
	{ BYTES("{\"a\":1,}"), 7, "expected a key in quotes" },
	{ BYTES("{,\"a\":1}"), 1, "expected a key in quotes" },
	{ BYTES("{\"a\"}"), 4, "expected ':' after a key" },
	{ BYTES("{\"a\",1}"), 4, "expected ':' after a key" },
	{ BYTES("{\"a\":}"), 5, "expected a value" },
	{ BYTES("{\"a\":1 \"b\":2}"), 7, "expected ',' or '}'" },
	{ BYTES("{a:1}"), 1, "expected a key in quotes" },
	{ BYTES("{'a':1}"), 1, "expected a key in quotes" },
	{ BYTES("{1:1}"), 1, "expected a key in quotes" },
	{ BYTES("'a'"), 0, "expected a value" },
	{ BYTES("// x\n1"), 0, "expected a value" },
	{ BYTES("1 // x"), 2, "trailing bytes" },
	{ BYTES("[1/* x */]"), 2, "expected ',' or ']'" },
	/* one document, nothing after it */
	{ BYTES("{} {}"), 3, "trailing bytes" },
	{ BYTES("1,"), 1, "trailing bytes" },
	{ BYTES("[]]"), 2, "trailing bytes" },
	{ BYTES("{}\0"), 2, "trailing bytes" },
	{ BYTES("\xef\xbb\xbf{}"), 0, "expected a value" },
	{ BYTES("\f1"), 0, "expected a value" },
	{ BYTES("\xc2\xa0"
		"1"),
	  0, "expected a value" },
	{ BYTES("\0"), 0, "expected a value" },
	{ BYTES("[\0]"), 1, "expected a value" },
	/* words */
	{ BYTES("tru"), 0, "unknown word" },
	{ BYTES("True"), 0, "expected a value" },
	{ BYTES("truex"), 4, "trailing bytes" },
	{ BYTES("nul"), 0, "unknown word" },
	{ BYTES("fals\0"), 0, "unknown word" },
	{ BYTES("[nullx]"), 5, "expected ',' or ']'" },
	{ BYTES("NaN"), 0, "expected a value" },
	{ BYTES("Infinity"), 0, "expected a value" },
	{ BYTES("-Infinity"), 0, "malformed number" },
	{ BYTES("undefined"), 0, "expected a value" },
	/* numbers */
	{ BYTES("01"), 1, "trailing bytes" },
	{ BYTES("-01"), 2, "trailing bytes" },
	{ BYTES("+1"), 0, "expected a value" },
	{ BYTES("-"), 0, "malformed number" },
	{ BYTES("--1"), 0, "malformed number" },
	{ BYTES(".5"), 0, "expected a value" },
	{ BYTES("-.5"), 0, "malformed number" },
	{ BYTES("5."), 0, "malformed number" },
	{ BYTES("[5.]"), 1, "malformed number" },
	{ BYTES("5.e1"), 0, "malformed number" },
	{ BYTES("1e"), 0, "malformed number" },
	{ BYTES("1e+"), 0, "malformed number" },
	{ BYTES("1E-x"), 0, "malformed number" },
	{ BYTES("0x10"), 1, "trailing bytes" },
	{ BYTES("1_000"), 1, "trailing bytes" },
	{ BYTES("1e400"), 0, "number too large" },
	{ BYTES("-1e400"), 0, "number too large" },
	{ BYTES("18446744073709551616"), 0, "does not fit in 64 bits" },
	{ BYTES("-9223372036854775809"), 0, "does not fit in 64 bits" },
	{ BYTES("[1,100000000000000000000000000000000000000]"), 3, "does not fit in 64 bits" },
	{ BYTES("\xd9\xa1"), 0, "expected a value" },
	/* strings */
	{ BYTES("\""), 0, "string without an end" },
	{ BYTES("[1,\"abc"), 3, "string without an end" },
	{ BYTES("\"a\\\""), 0, "string without an end" },
	{ BYTES("\"a\nb\""), 2, "control character" },
	{ BYTES("\"\t\""), 1, "control character" },
	{ BYTES("\"a\0b\""), 2, "control character" },
	{ BYTES("\"\x1f\""), 1, "control character" },
	{ BYTES("\"\\x41\""), 2, "unknown escape" },
	{ BYTES("\"\\'\""), 2, "unknown escape" },
	{ BYTES("\"\\\0\""), 2, "unknown escape" },
	{ BYTES("\"\\"), 2, "unknown escape" },
	{ BYTES("\"\\U0041\""), 2, "unknown escape" },
	{ BYTES("\"\\u004"), 1, "truncated" },
	{ BYTES("\"\\u00g0\""), 1, "four hexadecimal digits" },
	{ BYTES("\"\\u+041\""), 1, "four hexadecimal digits" },
	{ BYTES("\"\\u 041\""), 1, "four hexadecimal digits" },
	{ BYTES("\"ab\\u0000\""), 3, "NUL in a string" },
	{ BYTES("{\"\\u0000\":1}"), 2, "NUL in a string" },
	{ BYTES("\"\\ud800\""), 1, "lone high surrogate" },
	{ BYTES("\"\\udbff"), 1, "lone high surrogate" },
	{ BYTES("\"\\ud800x\""), 1, "lone high surrogate" },
	{ BYTES("\"\\ud800\\n\""), 1, "lone high surrogate" },
	{ BYTES("\"\\ud800\\u0041\""), 1, "lone high surrogate" },
	{ BYTES("\"\\ud800\\ud800\""), 1, "lone high surrogate" },
	{ BYTES("\"\\ud800\\u\""), 1, "lone high surrogate" },
	{ BYTES("\"\\ud800\\uzzzz\""), 1, "lone high surrogate" },
	{ BYTES("\"\\udc00\""), 1, "lone low surrogate" },
	{ BYTES("\"\\udfff\\ud800\""), 1, "lone low surrogate" },
	/* UTF-8 (RFC 3629) */
	{ BYTES("\"\x80\""), 1, "invalid UTF-8" },
	{ BYTES("\"a\xbf\""), 2, "invalid UTF-8" },
	{ BYTES("\"\xc0\x80\""), 1, "invalid UTF-8" },
	{ BYTES("\"\xc1\xbf\""), 1, "invalid UTF-8" },
	{ BYTES("\"\xe0\x80\xaf\""), 1, "invalid UTF-8" },
	{ BYTES("\"\xe0\x9f\xbf\""), 1, "invalid UTF-8" },
	{ BYTES("\"\xf0\x80\x80\xaf\""), 1, "invalid UTF-8" },
	{ BYTES("\"\xf0\x8f\xbf\xbf\""), 1, "invalid UTF-8" },
	{ BYTES("\"\xed\xa0\x80\""), 1, "invalid UTF-8" },
	{ BYTES("\"\xed\xbf\xbf\""), 1, "invalid UTF-8" },
	{ BYTES("\"\xf4\x90\x80\x80\""), 1, "invalid UTF-8" },
	{ BYTES("\"\xf5\x80\x80\x80\""), 1, "invalid UTF-8" },
	{ BYTES("\"\xff\""), 1, "invalid UTF-8" },
	{ BYTES("\"\xc3\""), 1, "invalid UTF-8" },
	{ BYTES("\"\xe2\x82\""), 1, "invalid UTF-8" },
	{ BYTES("\"\xf0\x9f\x90\""), 1, "invalid UTF-8" },
	{ BYTES("\"\xf0\x9f\x90"), 1, "invalid UTF-8" },
	{ BYTES("\"\xc3(\""), 1, "invalid UTF-8" },
	{ BYTES("{\"\xff\":1}"), 2, "invalid UTF-8" },
	/* duplicate keys (section 4 leaves them open; here they are refused) */
	{ BYTES("{\"a\":1,\"a\":1}"), 7, "duplicate key \"a\"" },
	{ BYTES("{\"\":1,\"\":2}"), 6, "duplicate key \"\"" },
	{ BYTES("{\"a\":1,\"b\":{\"c\":1,\"d\":2,\"c\":3}}"), 24, "duplicate key \"c\"" },
	{ BYTES("[{\"\\u0061\":1,\"a\":1}]"), 13, "duplicate key \"a\"" },
};

static void refuses_with_the_byte_and_the_reason(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		Err e = ERR_INIT;
		char at[64];
		assert_int_equal(parse_bytes(refused[i].text, refused[i].n, &e), -EINVAL);
		assert_int_equal(e.code, ERR_CONFIG);
		snprintf(at, sizeof at, "invalid JSON at byte %u: ", refused[i].at);
		if (!starts_with(e.msg, at) || !strstr(e.msg, refused[i].why))
			fail_msg("%s gives \"%s\", not \"%s%s\"", refused[i].text, e.msg, at, refused[i].why);
	}
}

static void nested(Buf *b, char open, char close, int depth)
{
	for (int i = 0; i < depth; i++)
		buf_printf(b, "%c%s", open, open == '{' ? "\"k\":" : "");
	if (open == '{') buf_puts(b, "0");
	for (int i = 0; i < depth; i++)
		buf_putc(b, close);
}

static void depth_ends_at_its_limit(void **state)
{
	(void)state;
	AUTO_BUF b = BUF_INIT(4 << 20);
	Err e = ERR_INIT;
	nested(&b, '[', ']', JSON_DEPTH_MAX);
	assert_int_equal(parse_bytes(b.p, b.n, &e), 0);
	buf_reset(&b);
	nested(&b, '{', '}', JSON_DEPTH_MAX);
	assert_int_equal(parse_bytes(b.p, b.n, &e), 0);
	buf_reset(&b);
	nested(&b, '[', ']', JSON_DEPTH_MAX + 1);
	assert_int_equal(parse_bytes(b.p, b.n, &e), -EINVAL);
	assert_string_equal(e.msg, "invalid JSON at byte 64: nested too deeply");
	buf_reset(&b);
	nested(&b, '[', ']', 1000000); /* no stack is used up before the limit is seen */
	assert_int_equal(parse_bytes(b.p, b.n, &e), -EINVAL);
	buf_reset(&b);
	buf_puts(&b, "["); /* depth is that of the tree, not the number of brackets */
	for (int i = 0; i < 1000; i++)
		buf_puts(&b, "[],");
	buf_puts(&b, "{}]");
	assert_int_equal(parse_bytes(b.p, b.n, &e), 0);
}

/* n members k0, k1, …; the one at index twice repeats k0. */
static void members(Buf *b, int n, int twice)
{
	buf_putc(b, '{');
	for (int i = 0; i < n; i++)
		buf_printf(b, "%s\"k%d\":%d", i ? "," : "", i == twice ? 0 : i, i);
	buf_putc(b, '}');
}

static void duplicate_keys_are_found_in_small_and_large_objects(void **state)
{
	(void)state;
	const int sizes[] = { 2, 15, 16, 17, 18, 100, 20000 };
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		AUTO_BUF b = BUF_INIT(1 << 20);
		Err e = ERR_INIT;
		char want[80];
		members(&b, sizes[i], -1);
		assert_int_equal(parse_bytes(b.p, b.n, &e), 0);
		buf_reset(&b);
		members(&b, sizes[i], sizes[i] - 1);
		assert_int_equal(parse_bytes(b.p, b.n, &e), -EINVAL);
		const char *second = strstr(strstr(b.p, "\"k0\"") + 1, "\"k0\""); /* the message points at the repetition */
		snprintf(want, sizeof want, "invalid JSON at byte %td: duplicate key \"k0\"", second - b.p);
		assert_string_equal(e.msg, want);
	}
}

static void integers_are_exact(void **state)
{
	(void)state;
	char text[] = "[-9223372036854775808,9223372036854775807,9223372036854775808,18446744073709551615,-0,0,-1]";
	AUTO_ARENA a = ARENA_INIT(ARENA_MAX);
	Err e = ERR_INIT;
	JsonValue v;
	assert_int_equal(json_parse(text, strlen(text), &a, &v, &e), 0);
	assert_int_equal(v.n, 7);
	const JsonType types[] = { JSON_INT, JSON_INT, JSON_UINT, JSON_UINT, JSON_INT, JSON_INT, JSON_INT };
	for (uint32_t i = 0; i < v.n; i++)
		assert_int_equal(v.items[i].type, types[i]);
	assert_true(v.items[0].i == INT64_MIN && v.items[1].i == INT64_MAX);
	assert_true(v.items[2].u == UINT64_C(9223372036854775808) && v.items[3].u == UINT64_MAX);
	assert_true(v.items[4].i == 0 && v.items[5].i == 0 && v.items[6].i == -1);
	assert_int_equal(v.items[1].offset, 22);
}

static void doubles_are_exact(void **state)
{
	(void)state;
	const struct {
		const char *text;
		double want;
		const char *again;
	} cases[] = {
		{ "0.1", 0.1, "0.1" },
		{ "1.5", 1.5, "1.5" },
		{ "-2.25e-3", -0.00225, "-0.00225" },
		{ "1.0", 1.0, "1.0" }, /* a double stays one when read again */
		{ "-0.0", -0.0, "-0.0" },
		{ "1e2", 100.0, "100.0" },
		{ "1e300", 1e300, "1e+300" },
		{ "1e-400", 0.0, "0.0" },
		{ "12345678901234567.0", 12345678901234568.0, "12345678901234568.0" },
		{ "18446744073709551616.0", 18446744073709551616.0, "1.8446744073709552e+19" },
		{ "0.30000000000000004", 0.1 + 0.2, "0.30000000000000004" },
		{ "1.7976931348623157e308", 1.7976931348623157e308, "1.7976931348623157e+308" },
		{ "5e-324", 4.9406564584124654e-324, "4.94065645841247e-324" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_ARENA a = ARENA_INIT(ARENA_MAX);
		AUTO_FREE char *copy = exact_copy(cases[i].text, strlen(cases[i].text));
		Err e = ERR_INIT;
		JsonValue v;
		assert_int_equal(json_parse(copy, strlen(copy), &a, &v, &e), 0);
		assert_int_equal(v.type, JSON_DOUBLE);
		assert_memory_equal(&v.d, &cases[i].want, sizeof v.d);
		AUTO_FREE char *again = rewritten(cases[i].text, strlen(cases[i].text), 0, &e);
		assert_string_equal(again, cases[i].again);
	}
}

static void doubles_without_a_spelling_become_null(void **state)
{
	(void)state;
	AUTO_BUF b = BUF_INIT(64);
	JsonWriter w = JSON_WRITER(&b);
	json_begin_array(&w);
	json_double(&w, HUGE_VAL);
	json_double(&w, -HUGE_VAL);
	json_double(&w, __builtin_nan(""));
	json_end_array(&w);
	assert_string_equal(buf_str(&b), "[null,null,null]");
}

static char *read_config(Arena *a, size_t *n)
{
	Err e = ERR_INIT;
	char *text;
	if (fd_read_file(AT_FDCWD, TEST_CORPUS "/json/config.json", 1 << 20, a, &text, n, &e) < 0) fail_msg("%s", e.msg);
	return text;
}

static void truncation_is_refused_at_every_byte(void **state)
{
	(void)state;
	AUTO_ARENA a = ARENA_INIT(ARENA_MAX);
	size_t n;
	const char *text = read_config(&a, &n);
	size_t end = (size_t)(strrchr(text, '}') - text) + 1;
	for (size_t i = 0; i < end; i++) {
		Err e = ERR_INIT;
		unsigned at = UINT32_MAX;
		assert_int_equal(parse_bytes(text, i, &e), -EINVAL);
		assert_int_equal(sscanf(e.msg, "invalid JSON at byte %u: ", &at), 1);
		assert_true(at <= i);
	}
	Err e = ERR_INIT;
	assert_int_equal(parse_bytes(text, end, &e), 0);
}

static void a_real_document_survives_the_round_trip(void **state)
{
	(void)state;
	AUTO_ARENA a = ARENA_INIT(ARENA_MAX);
	Err e = ERR_INIT;
	size_t n;
	const char *text = read_config(&a, &n);
	AUTO_FREE char *compact = rewritten(text, n, 0, &e);
	assert_non_null(compact);
	AUTO_FREE char *again = rewritten(compact, strlen(compact), 0, &e);
	assert_string_equal(again, compact);
	const int indents[] = { -1, 1, 2, 8 };
	for (size_t i = 0; i < ARRAY_LEN(indents); i++) {
		AUTO_FREE char *pretty = rewritten(text, n, indents[i], &e);
		AUTO_FREE char *back = rewritten(pretty, strlen(pretty), 0, &e);
		assert_string_equal(back, compact);
	}
}

static void values_know_where_they_stand(void **state)
{
	(void)state;
	char text[] = " {\"a\": [1, \"x\\u0041y\"], \"b\" :null}";
	AUTO_ARENA a = ARENA_INIT(ARENA_MAX);
	Err e = ERR_INIT;
	JsonValue v;
	assert_int_equal(json_parse(text, strlen(text), &a, &v, &e), 0);
	assert_int_equal(v.offset, 1);
	const JsonValue *list = json_get(&v, "a");
	assert_non_null(list);
	assert_int_equal(list->offset, 7);
	assert_int_equal(list->items[1].offset, 11);
	assert_int_equal(list->items[1].n, 3);
	assert_string_equal(list->items[1].s, "xAy");
	assert_int_equal(v.members[1].key_offset, 24);
	assert_int_equal(json_get(&v, "b")->type, JSON_NULL);
	assert_null(json_get(&v, "c"));
	assert_null(json_get(list, "a"));
	assert_null(json_get(NULL, "a"));
}

static void memory_has_a_ceiling(void **state)
{
	(void)state;
	AUTO_BUF b = BUF_INIT(1 << 20);
	buf_puts(&b, "[0");
	for (int i = 0; i < 100000; i++)
		buf_puts(&b, ",0");
	buf_putc(&b, ']');
	AUTO_ARENA small = ARENA_INIT(100000), enough = ARENA_INIT(100001 * sizeof(JsonValue) + 64);
	Err e = ERR_INIT;
	JsonValue v = { .type = JSON_STRING };
	assert_int_equal(json_parse(b.p, b.n, &small, &v, &e), -ENOMEM);
	assert_int_equal(e.code, ERR_RESOURCE);
	assert_int_equal(v.type, JSON_STRING); /* untouched by a failure */
	e = ERR_INIT;
	assert_int_equal(json_parse(b.p, b.n, &enough, &v, &e), 0);
	assert_int_equal(v.n, 100001);
}

static void writer_escapes(void **state)
{
	(void)state;
	AUTO_BUF b = BUF_INIT(4096);
	JsonWriter w = JSON_WRITER(&b);
	json_string(&w, "\"\\/\b\f\n\r\t\x01\x1f\x7f<>&' \xc3\xa9");
	assert_string_equal(buf_str(&b), "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\\u007f<>&' \xc3\xa9\"");
	buf_reset(&b);
	w = JSON_WRITER(&b);
	json_str(&w, (Str){ "a\0b", 3 });
	assert_string_equal(buf_str(&b), "\"a\\u0000b\"");
	buf_reset(&b);
	w = JSON_WRITER(&b);
	json_begin_object(&w);
	json_put_string(&w, "\n", NULL);
	json_end_object(&w);
	assert_string_equal(buf_str(&b), "{\"\\n\":null}");
}

static void writer_replaces_what_is_not_utf8(void **state)
{
	(void)state;
	const char *given = "/srv/\xff\xc3\xe2\x82/\xed\xa0\x80\xc3\xa9\xf0\x9f\x90";
	AUTO_BUF b = BUF_INIT(4096);
	JsonWriter w = JSON_WRITER(&b);
	Err e = ERR_INIT;
	json_string(&w, given);
#define R "\xef\xbf\xbd"
	assert_string_equal(buf_str(&b), "\"/srv/" R R R R "/" R R R "\xc3\xa9" R R R "\"");
	assert_int_equal(parse_bytes(b.p, b.n, &e), 0);
}

static void writer_lays_out(void **state)
{
	(void)state;
	const char *text = "{\"a\":[1,{\"b\":[]}],\"c\":{},\"d\":\"x\"}";
	Err e = ERR_INIT;
	AUTO_FREE char *tabs = rewritten(text, strlen(text), -1, &e);
	assert_string_equal(tabs, "{\n\t\"a\": [\n\t\t1,\n\t\t{\n\t\t\t\"b\": []\n\t\t}\n\t],\n\t\"c\": {},\n\t\"d\": \"x\"\n}");
	AUTO_FREE char *blanks = rewritten(text, strlen(text), 2, &e);
	assert_string_equal(blanks, "{\n  \"a\": [\n    1,\n    {\n      \"b\": []\n    }\n  ],\n  \"c\": {},\n  \"d\": \"x\"\n}");
}

static void writer_puts_every_kind(void **state)
{
	(void)state;
	AUTO_BUF b = BUF_INIT(4096);
	JsonWriter w = JSON_WRITER(&b);
	json_begin_object(&w);
	json_put_string(&w, "s", "x");
	json_put_int(&w, "i", INT64_MIN);
	json_put_uint(&w, "u", UINT64_MAX);
	json_put_bool(&w, "b", false);
	json_key(&w, "l");
	json_begin_array(&w);
	json_double(&w, 0.5);
	json_bool(&w, true);
	json_null(&w);
	json_begin_array(&w);
	json_end_array(&w);
	json_int(&w, 7);
	json_end_array(&w);
	json_end_object(&w);
	assert_string_equal(buf_str(&b), "{\"s\":\"x\",\"i\":-9223372036854775808,\"u\":18446744073709551615,\"b\":false,"
					 "\"l\":[0.5,true,null,[],7]}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts_what_the_rfc_allows),
		cmocka_unit_test(refuses_with_the_byte_and_the_reason),
		cmocka_unit_test(depth_ends_at_its_limit),
		cmocka_unit_test(duplicate_keys_are_found_in_small_and_large_objects),
		cmocka_unit_test(integers_are_exact),
		cmocka_unit_test(doubles_are_exact),
		cmocka_unit_test(doubles_without_a_spelling_become_null),
		cmocka_unit_test(truncation_is_refused_at_every_byte),
		cmocka_unit_test(a_real_document_survives_the_round_trip),
		cmocka_unit_test(values_know_where_they_stand),
		cmocka_unit_test(memory_has_a_ceiling),
		cmocka_unit_test(writer_escapes),
		cmocka_unit_test(writer_replaces_what_is_not_utf8),
		cmocka_unit_test(writer_lays_out),
		cmocka_unit_test(writer_puts_every_kind),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
