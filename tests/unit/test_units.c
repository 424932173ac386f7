/* test_units.c: durations and sizes, in Go's and docker's words. The tables were made by their own code. */
#include "base/duration.h"
#include "base/moment.h"
#include "base/size.h"
#include "check.h"

#include <inttypes.h>

static const struct {
	const char *text;
	int64_t ns;
} durations[] = {
	{ "0", 0 },
	{ "-0", 0 },
	{ "5s", 5000000000 },
	{ "1478s", 1478000000000 },
	{ "-5s", -5000000000 },
	{ "+5s", 5000000000 },
	{ "5.0s", 5000000000 },
	{ "5.6s", 5600000000 },
	{ "5.s", 5000000000 },
	{ ".5s", 500000000 },
	{ "1.0040s", 1004000000 },
	{ "100.00100s", 100001000000 },
	{ "12\xc2\xb5s", 12000 },
	{ "12\xce\xbcs", 12000 },
	{ "3h30m", 12600000000000 },
	{ "-2m3.4s", -123400000000 },
	{ "1h2m3s4ms5us6ns", 3723004005006 },
	{ "39h9m14.425s", 140954425000000 },
	{ "52763797000ns", 52763797000 },
	{ "0.3333333333333333333h", 1200000000000 },
	{ "9007199254740993ns", 9007199254740993 },
	{ "9223372036854775807ns", INT64_MAX },
	{ "-9223372036854775808ns", INT64_MIN },
	{ "0.9223372036854775807h", 3320413933267 },
};

static void durations_are_read_as_go_reads_them(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(durations); i++) {
		Err e = ERR_INIT;
		int64_t ns = 1;
		if (duration_parse(str_of(durations[i].text), &ns, &e) < 0) fail_msg("%s: %s", durations[i].text, e.msg);
		if (ns != durations[i].ns) fail_msg("%s: %" PRId64, durations[i].text, ns);
	}
}

static void wrong_durations_are_refused_in_its_words(void **state)
{
	(void)state;
	static const char *const wrong[][2] = {
		{ "", "time: invalid duration \"\"" },
		{ "3", "time: missing unit in duration \"3\"" },
		{ "-", "time: invalid duration \"-\"" },
		{ "s", "time: invalid duration \"s\"" },
		{ ".", "time: invalid duration \".\"" },
		{ "-.", "time: invalid duration \"-.\"" },
		{ ".s", "time: invalid duration \".s\"" },
		{ "+.s", "time: invalid duration \"+.s\"" },
		{ "1d", "time: unknown unit \"d\" in duration \"1d\"" },
		{ "1 s", "time: unknown unit \" s\" in duration \"1 s\"" },
		{ "9223372036854775808ns", "time: invalid duration \"9223372036854775808ns\"" },
		{ "9223372036854775.808us", "time: invalid duration \"9223372036854775.808us\"" },
		{ "-9223372036854775809ns", "time: invalid duration \"-9223372036854775809ns\"" },
		{ "3000000h", "time: invalid duration \"3000000h\"" },
		{ "2562047h47m16.854775808s", "time: invalid duration \"2562047h47m16.854775808s\"" },
	};
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		Err e = ERR_INIT;
		int64_t ns;
		assert_int_equal(duration_parse(str_of(wrong[i][0]), &ns, &e), -EINVAL);
		assert_string_equal(e.msg, wrong[i][1]);
	}
}

static void durations_are_written_as_go_writes_them(void **state)
{
	(void)state;
	static const struct {
		int64_t ns;
		const char *text;
	} rows[] = {
		{ 0, "0s" },
		{ 1, "1ns" },
		{ 1100, "1.1\xc2\xb5s" },
		{ 2200000, "2.2ms" },
		{ 3300000000, "3.3s" },
		{ 245000000000, "4m5s" },
		{ 245001000000, "4m5.001s" },
		{ 18367001000000, "5h6m7.001s" },
		{ 480000000001, "8m0.000000001s" },
		{ 3600000000000, "1h0m0s" },
		{ INT64_MAX, "2562047h47m16.854775807s" },
		{ INT64_MIN, "-2562047h47m16.854775808s" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char text[DURATION_TEXT_MAX];
		Err e = ERR_INIT;
		int64_t back = 0;
		duration_format(rows[i].ns, text);
		assert_string_equal(text, rows[i].text);
		assert_int_equal(duration_parse(str_of(text), &back, &e), 0);
		assert_true(back == rows[i].ns);
	}
}

static void ages_are_rounded_as_docker_rounds_them(void **state)
{
	(void)state;
	static const struct {
		int64_t s;
		const char *text;
	} rows[] = {
		{ 0, "Less than a second" },  { 1, "1 second" },          { 59, "59 seconds" },         { 60, "About a minute" },
		{ 119, "About a minute" },    { 120, "2 minutes" },       { 3599, "59 minutes" },       { 3600, "About an hour" },
		{ 5399, "About an hour" },    { 5400, "2 hours" },        { 47 * 3600, "47 hours" },    { 48 * 3600, "2 days" },
		{ 13 * 86400, "13 days" },    { 14 * 86400, "2 weeks" },  { 59 * 86400, "8 weeks" },    { 60 * 86400, "2 months" },
		{ 729 * 86400, "24 months" }, { 730 * 86400, "2 years" }, { -5, "Less than a second" },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char text[DURATION_TEXT_MAX];
		duration_human(rows[i].s * DURATION_SECOND, text);
		assert_string_equal(text, rows[i].text);
	}
}

static void sizes_have_four_digits(void **state)
{
	(void)state;
	static const struct {
		double bytes;
		const char *decimal, *binary;
	} rows[] = {
		{ 0, "0B", "0B" },
		{ 999, "999B", "999B" },
		{ 1000, "1kB", "1000B" },
		{ 1024, "1.024kB", "1KiB" },
		{ 1000000, "1MB", "976.6KiB" },
		{ 1092616192, "1.093GB", "1.018GiB" },
		{ 3.42 * 1e12, "3.42TB", "3.11TiB" },
		{ 9223372036854775807.0, "9.223EB", "8EiB" },
		{ -1, "-1B", "-1B" },
	};
	char text[SIZE_TEXT_MAX];
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_format(rows[i].bytes, SIZE_DECIMAL, text);
		assert_string_equal(text, rows[i].decimal);
		size_format(rows[i].bytes, SIZE_BINARY, text);
		assert_string_equal(text, rows[i].binary);
	}
	size_format_digits(1092616192, SIZE_DECIMAL, 3, text);
	assert_string_equal(text, "1.09GB");
}

static void sizes_are_read_in_either_base(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t binary, decimal;
	} rows[] = {
		{ "32", 32, 32 },
		{ "32b", 32, 32 },
		{ "32k", 32768, 32000 },
		{ "32KB", 32768, 32000 },
		{ "32kiB", 32768, 32000 },
		{ "1.5g", 1610612736, 1500000000 },
		{ "1.5 GiB", 1610612736, 1500000000 },
		{ "2P", INT64_C(2251799813685248), INT64_C(2000000000000000) },
		{ "0.1b", 0, 0 },
		{ "1e3k", 1024000, 1000000 },
		{ ".5k", 512, 500 },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		Err e = ERR_INIT;
		int64_t v = -1;
		if (size_parse(str_of(rows[i].text), SIZE_BINARY, &v, &e) < 0) fail_msg("%s: %s", rows[i].text, e.msg);
		assert_true(v == rows[i].binary);
		assert_int_equal(size_parse(str_of(rows[i].text), SIZE_DECIMAL, &v, &e), 0);
		assert_true(v == rows[i].decimal);
	}
}

static void wrong_sizes_are_refused(void **state)
{
	(void)state;
	static const char *const wrong[][2] = {
		{ "", "invalid size: ''" },
		{ "hello", "invalid size: 'hello'" },
		{ "-32", "invalid size: '-32'" },
		{ "1zz", "invalid suffix: 'zz'" },
		{ "32bb", "invalid suffix: 'bb'" },
		{ "32kbb", "invalid suffix: 'kbb'" },
		{ "32kibx", "invalid suffix: 'kibx'" },
		{ "1 k m", "strconv.ParseFloat: parsing \"1 k\": invalid syntax" },
		{ ".k", "strconv.ParseFloat: parsing \".\": invalid syntax" },
		{ "1..5k", "strconv.ParseFloat: parsing \"1..5\": invalid syntax" },
		{ " 1k", "strconv.ParseFloat: parsing \" 1\": invalid syntax" },
		{ "9000p", "size out of range: '9000p'" },
		{ "9999999999p", "size out of range: '9999999999p'" },
	};
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		Err e = ERR_INIT;
		int64_t v;
		assert_true(size_parse(str_of(wrong[i][0]), SIZE_BINARY, &v, &e) < 0);
		assert_string_equal(e.msg, wrong[i][1]);
	}
}

/* What docker's client makes of --since and --until, at 2026-01-02T03:04:05.5Z on a machine one hour east of it. */
static void moments_are_read_as_docker_reads_them(void **state)
{
	static const struct {
		const char *text;
		int64_t ns;
	} good[] = {
		{ "0", 0 },
		{ "1.5", 1500000000 },
		{ "1700000000", 1700000000000000000 },
		{ "1700000000.000000001", 1700000000000000001 },
		{ "10s", 1767323035500000000 },
		{ "-1m", 1767323105500000000 },
		{ "1970-01-01T00:00:00Z", 0 },
		{ "1970-01-01T01:00:00.25+01:00", 250000000 },
		{ "1970-01-02", 82800000000000 },
		{ "1970-01-02T01", 86400000000000 },
		{ "1970-01-02T01:01", 86460000000000 },
		{ "1970-01-02T01:01:01", 86461000000000 },
		{ "1970-01-02T01:01Z", 90060000000000 },
		{ "1970-01-02Z", 86400000000000 },
	};
	static const char *const wrong[][2] = {
		{ "nosuch", "failed to parse value as time or duration: \"nosuch\"" },
		{ "", "failed to parse value as time or duration: \"\"" },
		{ "1.", "failed to parse value as time or duration: \"1.\"" },
		{ "1970-13-01", "parsing time \"1970-13-01\": it is no time as 2006-01-02T15:04:05Z" },
		{ "1970-01-01T00:", "parsing time \"1970-01-01T00:\": it is no time as 2006-01-02T15:04:05Z" },
		{ "-5", "parsing time \"-5\": it is no time as 2006-01-02T15:04:05Z" },
	};
	assert_int_equal(setenv("TZ", "XYZ-1", 1), 0);
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		Err e = ERR_INIT;
		int64_t ns = -1;
		if (moment_parse(str_of(good[i].text), 1767323045500000000, &ns, &e) < 0) fail_msg("%s", e.msg);
		if (ns != good[i].ns) fail_msg("%s: %" PRId64, good[i].text, ns);
	}
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		Err e = ERR_INIT;
		int64_t ns;
		assert_true(moment_parse(str_of(wrong[i][0]), 0, &ns, &e) < 0);
		assert_string_equal(e.msg, wrong[i][1]);
	}
	char text[TIME_TEXT_MAX];
	moment_local(250000000, text);
	assert_string_equal(text, "1970-01-01T01:00:00.250000000+01:00");
	assert_int_equal(setenv("TZ", "UTC0", 1), 0);
	tzset();
	moment_local(250000000, text);
	assert_string_equal(text, "1970-01-01T00:00:00.250000000Z");
	time_format(0, TIME_FIXED, text);
	assert_string_equal(text, "1970-01-01T00:00:00.000000000Z");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations_are_read_as_go_reads_them),     cmocka_unit_test(wrong_durations_are_refused_in_its_words),
		cmocka_unit_test(durations_are_written_as_go_writes_them), cmocka_unit_test(ages_are_rounded_as_docker_rounds_them),
		cmocka_unit_test(moments_are_read_as_docker_reads_them),   cmocka_unit_test(sizes_have_four_digits),
		cmocka_unit_test(sizes_are_read_in_either_base),           cmocka_unit_test(wrong_sizes_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
