/* test_run_state.c: the state of a container beside its lock: who attends it, who has lost it. */
#include "check.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "monitor/run_state.h"

static char place[] = "/tmp/test_run_state.XXXXXX";
static int dir = -1, held = -1;

static int make(void **state)
{
	(void)state;
	if (!mkdtemp(place)) return -1;
	dir = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int lock = dir < 0 ? -1 : openat(dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (lock >= 0) close(lock);
	return lock < 0 ? -1 : 0;
}

static int clear(void **state)
{
	(void)state;
	(void)!unlinkat(dir, "lock", 0);
	(void)!unlinkat(dir, "state.json", 0);
	close(dir);
	return rmdir(place);
}

static void let_go(int signal)
{
	(void)signal;
	held = fd_close(held);
}

static void waiting_for_a_lock_is_no_error(void **state)
{
	(void)state;
	Err e = ERR_INIT;
	const struct itimerval soon = { .it_value = { .tv_usec = 30000 } };
	struct sigaction act = { .sa_handler = let_go };
	held = run_lock(dir, &e);
	assert_true(held >= 0);
	assert_int_equal(run_lock_wait(dir, 1, &e), -EBUSY);
	assert_string_equal(e.msg, "another command is at work on it");
	e = ERR_INIT;
	assert_int_equal(sigaction(SIGALRM, &act, NULL), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
	int fd = run_lock_wait(dir, 20000, &e);
	assert_true(fd >= 0);
	assert_int_equal(held, -1);
	assert_int_equal(e.code, ERR_NONE);
	assert_string_equal(e.msg, "");
	fd_close(fd);
}

/* Whether a container in that state counts as lost; what its status is then. */
static bool is_lost(RunState s, int *ret_status)
{
	AUTO_ARENA a = ARENA_INIT(1 << 16);
	Err e = ERR_INIT;
	RunState read;
	bool lost = false;
	assert_int_equal(run_state_write(dir, &s, false, &e), 0);
	assert_int_equal(run_state_load(dir, &a, &read, &lost, &e), 0);
	assert_int_equal(e.code, ERR_NONE);
	*ret_status = read.status;
	return lost;
}

static void the_lock_tells_whether_it_is_attended(void **state)
{
	(void)state;
	Err e = ERR_INIT;
	char boot[BOOT_ID_SIZE];
	int status;
	assert_int_equal(boot_id(boot), 0);
	const RunState running = { .status = RUN_RUNNING, .boot = boot }, restarting = { .status = RUN_RESTARTING, .boot = boot },
		       exited = { .status = RUN_EXITED, .boot = boot }, earlier = { .status = RUN_RUNNING, .boot = "another" },
		       ending = { .status = RUN_RUNNING, .boot = boot, .error = "its monitor was killed" };
	assert_true(is_lost(running, &status));
	assert_true(is_lost(restarting, &status));
	assert_false(is_lost(exited, &status));
	assert_true(is_lost(earlier, &status));
	held = run_lock(dir, &e);
	assert_true(held >= 0);
	assert_false(is_lost(running, &status));
	assert_int_equal(status, RUN_RUNNING);
	assert_true(is_lost(ending, &status)); /* somebody is at it */
	let_go(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(waiting_for_a_lock_is_no_error),
		cmocka_unit_test(the_lock_tells_whether_it_is_attended),
	};
	return cmocka_run_group_tests(tests, make, clear);
}
