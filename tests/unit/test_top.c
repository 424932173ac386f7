/* test_top.c: what ps has printed, and what a network namespace has counted. */
#include "check.h"

#include "engine/stats.h"
#include "engine/top.h"

static uint32_t two[] = { 12, 34 };
static const U32List pids = { two, 2 };

static int parse(const char *text, Arena *a, ProcessTable *ret, Err *e)
{
	*a = ARENA_INIT(1 << 20);
	return top_parse(str_of(text), &pids, a, ret, e);
}

static void rows_of_the_container_are_kept(void **state)
{
	AUTO_ARENA a = { 0 };
	ProcessTable t;
	Err e = ERR_INIT;
	assert_int_equal(
		parse("  PID TTY      COMMAND\n   12 ?        sh  -c  x\n  120 ?        other\n    - -        thread of another\n   34 pts/0    y\n"
		      "    - -        its thread\n\n",
		      &a, &t, &e),
		0);
	assert_int_equal(t.titles.n, 3);
	assert_int_equal(t.rows.n, 3);
	assert_string_equal(t.rows.items[0].cells.items[2], "sh  -c  x");
	assert_string_equal(t.rows.items[1].cells.items[1], "pts/0");
	assert_string_equal(t.rows.items[2].cells.items[2], "its thread");
}

static void what_has_no_pids_is_refused(void **state)
{
	AUTO_ARENA a = { 0 };
	ProcessTable t;
	Err e = ERR_INIT;
	assert_true(parse("COMMAND\nsh\n", &a, &t, &e) < 0);
	assert_string_equal(e.msg, "Couldn't find PID field in ps output");
	arena_done(&a);
	assert_true(parse("PID\nx\n", &a, &t, &e) < 0);
	assert_string_equal(e.msg, "Unexpected pid 'x': invalid syntax");
}

static void devices_are_added_up(void **state)
{
	StatsSample s = { 0 };
	stats_network_parse(str_of("Inter-|   Receive                                                |  Transmit\n"
				   " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets\n"
				   "    lo:  999     1 0 0 0 0 0 0   999 1 0 0 0 0 0 0\n"
				   "  eth0: 1296    16 0 0 0 0 0 0   500 6 0 0 0 0 0 0\n"
				   "eth1:4 1 0 0 0 0 0 0 7 1 0 0 0 0 0 0\n"),
			    &s);
	assert_int_equal(s.received, 1300);
	assert_int_equal(s.sent, 507);
}

static void percentages(void **state)
{
	const StatsSample before = { .at = 1000, .runs = true, .cpu = 100 };
	StatsSample now = { .at = 2000, .runs = true, .cpu = 1600, .memory = 1, .memory_limit = 4 };
	assert_true(stats_cpu_percent(&before, &now) == 150);
	assert_true(stats_memory_percent(&now) == 25);
	now.cpu = 50; /* another run */
	assert_true(stats_cpu_percent(&before, &now) == 0);
	assert_true(stats_memory_percent(&before) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_of_the_container_are_kept),
		cmocka_unit_test(what_has_no_pids_is_refused),
		cmocka_unit_test(devices_are_added_up),
		cmocka_unit_test(percentages),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
