/* test_fd_limit.c: the limit of descriptors, raised for us and as it was for others. */
#include "check.h"
#include "child.h"
#include "sys/fd_limit.h"

static rlim_t soft(void)
{
	struct rlimit now = { 0 };
	return getrlimit(RLIMIT_NOFILE, &now) < 0 ? 0 : now.rlim_cur;
}

static int up_to_what_is_wanted(void)
{
	NEED(setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 64, 200 }) == 0);
	NEED(fd_limit_raise(100) == 100 && soft() == 100);
	NEED(fd_limit_raise(50) == 100 && soft() == 100); /* never down */
	NEED(fd_limit_raise(RLIM_INFINITY) == 200 && soft() == 200);
	fd_limit_restore();
	NEED(soft() == 64);
	return 0;
}

static int what_is_not_ours_stays(void)
{
	NEED(setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 64, 64 }) == 0);
	NEED(fd_limit_raise(1000) == 64);
	NEED(setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 32, 64 }) == 0);
	fd_limit_restore();
	NEED(soft() == 32);
	return 0;
}

static void the_limit_of_descriptors(void **state)
{
	(void)state;
	in_child(up_to_what_is_wanted);
	in_child(what_is_not_ours_stays);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(the_limit_of_descriptors) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
