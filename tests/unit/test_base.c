/* test_base.c: buffers, arena, errors, log, strict numbers, UTF-8, time. */
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "base/time.h"
#include "check.h"

#include <fcntl.h>
#include <unistd.h>

static void buffer_stops_at_its_ceiling(void **state)
{
	(void)state;
	AUTO_BUF b = BUF_INIT(8);
	buf_puts(&b, "12345678");
	assert_false(buf_failed(&b));
	buf_putc(&b, '9');
	assert_true(buf_failed(&b));
	assert_string_equal(buf_str(&b), "12345678");
	buf_reset(&b);
	buf_printf(&b, "%d-%s", 42, "x");
	assert_string_equal(buf_str(&b), "42-x");
}

static void numbers_are_strict(void **state)
{
	(void)state;
	uint64_t u = 0;
	int64_t i = 0;
	uint32_t w = 0;
	assert_int_equal(str_to_u64(STR("18446744073709551615"), &u), 0);
	assert_true(u == UINT64_MAX);
	assert_int_equal(str_to_u64(STR("18446744073709551616"), &u), -ERANGE);
	assert_int_equal(str_to_i64(STR("-9223372036854775808"), &i), 0);
	assert_true(i == INT64_MIN);
	assert_int_equal(str_to_i64(STR("9223372036854775808"), &i), -ERANGE);
	assert_int_equal(str_to_u32(STR("4294967296"), &w), -ERANGE);
	const char *bad[] = { "", "-", "+1", " 1", "1 ", "1x", "0x1", "--1" };
	for (size_t k = 0; k < ARRAY_LEN(bad); k++)
		assert_int_equal(str_to_i64(str_of(bad[k]), &i), -EINVAL);
}

static void pieces_keep_empty_ones(void **state)
{
	(void)state;
	Str rest = STR("a,,b,"), piece;
	const char *want[] = { "a", "", "b", "" };
	size_t n = 0;
	while (str_next(&rest, ',', &piece))
		assert_true(n < 4 && str_eq(piece, want[n++]));
	assert_int_equal(n, 4);
}

static void count_up(void *p)
{
	(*(int *)p)++;
}

static void arena_frees_and_defers(void **state)
{
	(void)state;
	int ran = 0;
	Arena a = ARENA_INIT(100000);
	assert_int_equal(arena_defer(&a, count_up, &ran), 0);
	assert_string_equal(arena_printf(&a, "%s/%d", "x", 7), "x/7");
	assert_non_null(arena_alloc(&a, 50000));
	assert_null(arena_alloc(&a, 60000));
	assert_null(arena_array(&a, SIZE_MAX / 2, 4));
	arena_done(&a);
	assert_int_equal(ran, 1);
}

static void arena_never_exceeds_its_ceiling(void **state)
{
	(void)state;
	AUTO_ARENA exact = ARENA_INIT(32), odd = ARENA_INIT(40), endless = ARENA_INIT(SIZE_MAX);
	assert_non_null(arena_alloc(&exact, 17));
	assert_null(arena_alloc(&exact, 1));
	assert_non_null(arena_alloc(&odd, 30));
	assert_null(arena_alloc(&odd, 1)); /* what is handed out is a multiple of the alignment: 16 more do not fit */
	assert_true(odd.used <= odd.max);
	assert_null(arena_alloc(&endless, SIZE_MAX)); /* the rounding must not wrap to nothing */
	assert_null(arena_alloc(&endless, SIZE_MAX - 20));
}

static void messages_are_one_harmless_line(void **state)
{
	(void)state;
	Err e = ERR_INIT;
	assert_int_equal(err_set(&e, ERR_CONFIG, EINVAL, "key \"%s\"", "a\nb\x1b[31m\r\x7f\xc3\xa9\xc2\x9b"), -EINVAL);
	assert_string_equal(e.msg, "key \"a b?[31m??\xc3\xa9??\"");
	assert_int_equal(err_wrap(&e, "mount %s", "/x\ty"), -EINVAL);
	assert_string_equal(e.msg, "mount /x y: key \"a b?[31m??\xc3\xa9??\"");
	assert_int_equal(err_sys(&e, -ENOENT, "open %s", "/x\x1b"), -ENOENT);
	assert_string_equal(e.msg, "open /x?: no such file or directory");
	assert_int_equal(e.code, ERR_NOT_FOUND);
}

static void time_is_rfc3339(void **state)
{
	(void)state;
	char t[TIME_TEXT_MAX];
	time_format(0, TIME_SECONDS, t);
	assert_string_equal(t, "1970-01-01T00:00:00Z");
	time_format(INT64_C(951782399) * 1000000000 + 120000000, TIME_NANOSECONDS, t);
	assert_string_equal(t, "2000-02-28T23:59:59.12Z");
	time_format(INT64_C(951782400) * 1000000000, TIME_NANOSECONDS, t);
	assert_string_equal(t, "2000-02-29T00:00:00Z");
	time_format(-1, TIME_NANOSECONDS, t);
	assert_string_equal(t, "1969-12-31T23:59:59.999999999Z");
}

static void buffer_gives_up_its_front(void **state)
{
	(void)state;
	AUTO_BUF b = BUF_INIT(64);
	buf_consume(&b, 0);
	buf_puts(&b, "head tail");
	buf_consume(&b, 5);
	assert_string_equal(buf_str(&b), "tail");
	buf_consume(&b, 4);
	assert_string_equal(buf_str(&b), "");
	buf_puts(&b, "more");
	AUTO_FREE char *taken = buf_take(&b);
	assert_string_equal(taken, "more");
	assert_string_equal(buf_str(&b), "");
}

static void slices_are_cut_and_trimmed(void **state)
{
	(void)state;
	Str head, tail;
	int i = 7;
	assert_true(str_cut(STR("a=b=c"), '=', &head, &tail) && str_eq(head, "a") && str_eq(tail, "b=c"));
	assert_true(!str_cut(STR("abc"), '=', &head, &tail) && str_eq(head, "abc") && str_eq(tail, ""));
	assert_true(str_eq(str_trim(STR(" \t\r\na b\n ")), "a b") && str_eq(str_trim(STR(" \n")), "") && str_eq(str_trim(STR("")), ""));
	assert_true(str_starts(STR("abc"), "ab") && str_starts(STR("abc"), "") && !str_starts(STR("ab"), "abc"));
	assert_true(ends_with("a.json", ".json") && !ends_with("json", ".json"));
	assert_int_equal(str_to_int(STR("-2147483648"), &i), 0);
	assert_int_equal(i, INT32_MIN);
	assert_int_equal(str_to_int(STR("2147483648"), &i), -ERANGE);
	assert_int_equal(i, INT32_MIN);
}

static void errors_have_a_class(void **state)
{
	(void)state;
	const struct {
		int errnum;
		ErrCode code;
		const char *text;
	} cases[] = {
		{ ENOENT, ERR_NOT_FOUND, "no such file or directory" },
		{ EEXIST, ERR_EXISTS, "file exists" },
		{ EACCES, ERR_PERMISSION, "permission denied" },
		{ ENOSPC, ERR_RESOURCE, "no space left on device" },
		{ ENOSYS, ERR_UNSUPPORTED, "function not implemented" },
		{ ETIMEDOUT, ERR_TIMEOUT, "connection timed out" },
		{ EINVAL, ERR_CONFIG, "invalid argument" },
		{ EIO, ERR_IO, "input/output error" },
		{ 0, ERR_IO, "input/output error" },
		{ 4095, ERR_IO, "unknown error" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		Err e = ERR_INIT;
		assert_true(err_sys(&e, cases[i].errnum, "x") < 0);
		assert_int_equal(e.code, cases[i].code);
		assert_true(starts_with(e.msg, "x: ") && streq(e.msg + 3, cases[i].text));
	}
	assert_int_equal(err_exit_status(ERR_NO_COMMAND), 127);
	assert_int_equal(err_exit_status(ERR_CONFIG), 1);
	assert_int_equal(err_http_status(ERR_NOT_FOUND), 404);
	assert_string_equal(err_name(ERR_SECURITY), "SECURITY");
}

static void long_messages_are_cut(void **state)
{
	(void)state;
	char text[3 * ERR_MESSAGE_MAX];
	Err e = ERR_INIT;
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = 0;
	err_set(&e, ERR_CONFIG, EINVAL, "%s", text);
	assert_int_equal(strlen(e.msg), ERR_MESSAGE_MAX - 1);
	err_wrap(&e, "mount");
	assert_int_equal(strlen(e.msg), ERR_MESSAGE_MAX - 1);
	assert_true(starts_with(e.msg, "mount: xxx"));
	err_sys(&e, ENOENT, "%s", text);
	assert_int_equal(strlen(e.msg), ERR_MESSAGE_MAX - 1);
}

/* What one call writes, the time cut out. */
static void assert_logged(const Log *given, LogLevel level, const char *before, const char *after)
{
	char line[512] = { 0 };
	int p[2];
	Log l = *given;
	assert_int_equal(pipe2(p, O_CLOEXEC | O_NONBLOCK), 0);
	l.fd = p[1];
	log_write(&l, level, "cannot open \"%s\"", "/x\ny\xff");
	ssize_t n = read(p[0], line, sizeof line - 1);
	close(p[0]);
	close(p[1]);
	if (!before) {
		assert_int_equal(n, -1);
		return;
	}
	assert_true(starts_with(line, before));
	assert_true(ends_with(line, after));
	assert_int_equal(strchr(line, '\n') - line, n - 1); /* one line */
}

static void logs_are_lines_of_text_or_json(void **state)
{
	(void)state;
	const Log text = { .level = LOG_INFO }, json = { .level = LOG_INFO, .json = true }, none = { .fd = -1 };
	assert_logged(&text, LOG_ERROR, "time=\"20", "Z\" level=error msg=\"cannot open \\\"/x\\ny\xef\xbf\xbd\\\"\"\n");
	assert_logged(&json, LOG_WARN, "{\"level\":\"warning\",\"msg\":\"cannot open \\\"/x\\ny\xef\xbf\xbd\\\"\",\"time\":\"20", "Z\"}\n");
	assert_logged(&text, LOG_DEBUG, NULL, NULL);
	log_write(&none, LOG_ERROR, "nowhere");
}

static void utf8_sequences_are_measured(void **state)
{
	(void)state;
	const char *good[] = {
		"a", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"
	};
	const char *bad[] = {
		"\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
		"\xc2", "\xe2\x82", "\xc2z"
	};
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_int_equal(str_utf8(str_of(good[i])), strlen(good[i]));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(str_utf8(str_of(bad[i])), 0);
	assert_int_equal(str_utf8(STR("")), 0);
}

static void numbers_in_texts_are_compared_by_value(void **state)
{
	static const char *const given[] = { "",   " blanks", "10",  "2a1", "NAME", "a",    "a 1",      "a/b",
					     "a1", "a01",     "a1b", "a2",  "a10",  "a10b", "b\xc3\xa9" };
	static const char *const expected[] = { "",    "2a1", "10",  " blanks", "NAME", "a",   "a1",       "a1b",
						"a01", "a2",  "a10", "a10b",    "a 1",  "a/b", "b\xc3\xa9" };
	const char *list[ARRAY_LEN(given)];
	(void)state;
	memcpy(list, given, sizeof list);
	for (size_t i = 1; i < ARRAY_LEN(list); i++)
		for (size_t k = i; k && str_compare_natural(list[k - 1], list[k]) > 0; k--) {
			const char *x = list[k];
			list[k] = list[k - 1];
			list[k - 1] = x;
		}
	for (size_t i = 0; i < ARRAY_LEN(list); i++) {
		assert_string_equal(list[i], expected[i]);
		assert_int_equal(str_compare_natural(list[i], list[i]), 0);
	}
}

static void times_are_read(void **state)
{
	static const struct {
		const char *text, *back;
	} good[] = {
		{ "1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z" },
		{ "2026-11-26T17:03:04.5Z", "2026-11-26T17:03:04.5Z" },
		{ "2026-11-26T17:03:04.123456789123Z", "2026-11-26T17:03:04.123456789Z" },
		{ "2026-11-26t17:03:04+01:30", "2026-11-26T15:33:04Z" },
		{ "2026-12-31T23:30:00-01:00", "2027-01-01T00:30:00Z" },
		{ "2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z" },
		{ "1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59.5Z" },
		{ "1700-03-01T00:00:00Z", "1700-03-01T00:00:00Z" },
	};
	static const char *const bad[] = { "",
					   "2026",
					   "2026-11-26",
					   "2026-13-01T00:00:00Z",
					   "2023-02-29T00:00:00Z",
					   "1900-02-29T00:00:00Z",
					   "2026-11-26T24:00:00Z",
					   "2026-11-26T17:03:04",
					   "2026-11-26T17:03:04.Z",
					   "2026-11-26T17:03:04+0130",
					   "2026-11-26T17:03:04Zx",
					   "2026-11-26 17:03:04Z",
					   "+026-11-26T17:03:04Z" };
	char text[TIME_TEXT_MAX];
	int64_t t;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_int_equal(time_parse(str_of(good[i].text), &t), 0);
		time_format(t, TIME_NANOSECONDS, text);
		assert_string_equal(text, good[i].back);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(time_parse(str_of(bad[i]), &t), -EINVAL);
	assert_int_equal(time_parse(STR("0001-01-01T00:00:00Z"), &t), -ERANGE);
	assert_int_equal(time_parse(STR("9999-12-31T23:59:59Z"), &t), -ERANGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_are_read),
		cmocka_unit_test(numbers_in_texts_are_compared_by_value),
		cmocka_unit_test(buffer_stops_at_its_ceiling),
		cmocka_unit_test(buffer_gives_up_its_front),
		cmocka_unit_test(slices_are_cut_and_trimmed),
		cmocka_unit_test(errors_have_a_class),
		cmocka_unit_test(long_messages_are_cut),
		cmocka_unit_test(numbers_are_strict),
		cmocka_unit_test(pieces_keep_empty_ones),
		cmocka_unit_test(arena_frees_and_defers),
		cmocka_unit_test(arena_never_exceeds_its_ceiling),
		cmocka_unit_test(messages_are_one_harmless_line),
		cmocka_unit_test(time_is_rfc3339),
		cmocka_unit_test(logs_are_lines_of_text_or_json),
		cmocka_unit_test(utf8_sequences_are_measured),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
