/* test_loop.c: order, removal from inside callbacks, exits, signals, and that the loop allocates nothing. */
#include "alloc.h"
#include "base/time.h"
#include "check.h"
#include "sys/fd.h"
#include "sys/loop.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MS = 1000000 };

/* What the callbacks of a test share: a loop that ends in at most 20 s, and a record of what ran. */
typedef struct Scene {
	Loop l;
	LoopTimer guard;
	char log[256];
	int n, fd, stop_at;
	LoopFd *victims;
	size_t victims_n;
	LoopTimer *timer, *other_timer;
	LoopDefer *defer, *other_defer;
	LoopExit *exit;
	LoopSignals *signals;
	siginfo_t info;
	int64_t last;
	struct signalfd_siginfo signal;
} Scene;

static void too_late(void *arg)
{
	loop_stop(&((Scene *)arg)->l, 99);
}

static void scene_init(Scene *s)
{
	*s = (Scene){ 0 };
	assert_int_equal(loop_init(&s->l), 0);
	loop_timer_set(&s->l, &s->guard, time_monotonic() + INT64_C(20000) * MS, too_late, s);
}

static void note(Scene *s, const char *what)
{
	size_t n = strlen(s->log);
	snprintf(s->log + n, sizeof s->log - n, "%s", what);
	s->n++;
	if (s->stop_at && s->n >= s->stop_at) loop_stop(&s->l, 0);
}

static void run_a(void *arg)
{
	note(arg, "a");
}

static void run_b(void *arg)
{
	note(arg, "b");
}

static void run_c(void *arg)
{
	note(arg, "c");
}

static void stop(void *arg)
{
	note(arg, ".");
	loop_stop(&((Scene *)arg)->l, 7);
}

static void pair(int sv[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv), 0);
}

/* Running and stopping */

static void stop_gives_its_code(void **state)
{
	(void)state;
	Scene s;
	LoopDefer d = { 0 };
	scene_init(&s);
	loop_defer(&s.l, &d, stop, &s);
	assert_int_equal(loop_run(&s.l), 7);
	loop_stop(&s.l, 3); /* before the run: it does not begin */
	assert_int_equal(loop_run(&s.l), 3);
	loop_defer(&s.l, &d, stop, &s);
	assert_int_equal(loop_run(&s.l), 7); /* and can be run again */
	loop_done(&s.l);
	loop_done(&s.l);
}

static void nothing_to_wait_for_is_an_error(void **state)
{
	(void)state;
	AUTO_LOOP l;
	LoopFd w = { 0 };
	int sv[2];
	pair(sv);
	assert_int_equal(loop_init(&l), 0);
	assert_int_equal(loop_run(&l), -EDEADLK);
	assert_int_equal(loop_fd_add(&l, &w, sv[0], 0, NULL, NULL), 0);
	assert_int_equal(loop_run(&l), -EDEADLK); /* a paused watcher wakes nobody */
	loop_fd_remove(&w);
	fd_close(sv[0]);
	fd_close(sv[1]);
}

static void stop_leaves_the_rest_for_the_next_run(void **state)
{
	(void)state;
	Scene s;
	LoopDefer d[3] = { 0 };
	scene_init(&s);
	loop_defer(&s.l, &d[0], run_a, &s);
	loop_defer(&s.l, &d[1], stop, &s);
	loop_defer(&s.l, &d[2], run_b, &s);
	assert_int_equal(loop_run(&s.l), 7);
	assert_string_equal(s.log, "a.");
	s.stop_at = 3;
	assert_int_equal(loop_run(&s.l), 0);
	assert_string_equal(s.log, "a.b");
	loop_done(&s.l);
}

/* Descriptors */

static void read_byte(void *arg, uint32_t events)
{
	Scene *s = arg;
	char c[2] = { 0 };
	assert_true(events & EPOLLIN);
	assert_int_equal(read(s->fd, c, 1), 1);
	note(s, c);
}

static void descriptors_are_level_triggered(void **state)
{
	(void)state;
	Scene s;
	LoopFd w = { 0 };
	int sv[2];
	scene_init(&s);
	pair(sv);
	s.fd = sv[0];
	s.stop_at = 3;
	assert_int_equal(loop_fd_add(&s.l, &w, sv[0], EPOLLIN, read_byte, &s), 0);
	assert_int_equal(write(sv[1], "xyz", 3), 3);
	assert_int_equal(loop_run(&s.l), 0);
	assert_string_equal(s.log, "xyz");
	loop_done(&s.l); /* takes the watcher with it */
	loop_fd_remove(&w);
	fd_close(sv[0]);
	fd_close(sv[1]);
}

static void what_cannot_be_watched_is_refused(void **state)
{
	(void)state;
	AUTO_LOOP l;
	LoopFd w = { 0 }, again = { 0 };
	int sv[2];
	pair(sv);
	AUTO_FD int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	assert_int_equal(loop_init(&l), 0);
	assert_int_equal(loop_fd_add(&l, &w, file, EPOLLIN, NULL, NULL), -EPERM);
	assert_int_equal(loop_fd_add(&l, &w, file, 0, NULL, NULL), -EPERM);
	assert_int_equal(loop_fd_add(&l, &w, -1, EPOLLIN, NULL, NULL), -EBADF);
	loop_fd_remove(&w); /* was never added */
	assert_int_equal(loop_fd_add(&l, &w, sv[0], EPOLLIN, NULL, NULL), 0);
	assert_int_equal(loop_fd_add(&l, &again, sv[0], EPOLLIN, NULL, NULL), -EEXIST);
	loop_fd_remove(&w);
	loop_fd_remove(&w);
	assert_int_equal(loop_fd_add(&l, &again, sv[0], EPOLLIN, NULL, NULL), 0);
	loop_fd_remove(&again);
	fd_close(sv[0]);
	fd_close(sv[1]);
}

static void on_hangup(void *arg, uint32_t events)
{
	Scene *s = arg;
	note(s, events & EPOLLHUP ? "h" : "?");
	assert_int_equal(loop_fd_events(&s->victims[0], 0), 0);
}

/* A peer that is gone is reported without an end; a paused watcher must stay silent and cost no CPU. */
static void a_paused_descriptor_is_silent(void **state)
{
	(void)state;
	Scene s;
	LoopFd w = { 0 };
	LoopTimer t = { 0 };
	int sv[2];
	scene_init(&s);
	pair(sv);
	fd_close(sv[1]);
	s.victims = &w;
	assert_int_equal(loop_fd_add(&s.l, &w, sv[0], EPOLLIN, on_hangup, &s), 0);
	loop_timer_set(&s.l, &t, time_monotonic() + 150 * MS, stop, &s);
	assert_int_equal(loop_run(&s.l), 7);
	assert_string_equal(s.log, "h.");
	assert_int_equal(loop_fd_events(&w, EPOLLIN), 0); /* and comes back when asked */
	loop_timer_set(&s.l, &t, time_monotonic() + 150 * MS, stop, &s);
	assert_int_equal(loop_run(&s.l), 7);
	assert_string_equal(s.log, "h.h.");
	loop_done(&s.l);
	fd_close(sv[0]);
}

enum { CROWD = 8 };

static void remove_all(void *arg, uint32_t events)
{
	Scene *s = arg;
	note(s, "r");
	for (size_t i = 0; i < s->victims_n; i++)
		loop_fd_remove(&s->victims[i]);
	memset(s->victims, 0xee, s->victims_n * sizeof *s->victims);
	free(s->victims); /* the watcher that is being called, too */
	s->victims = NULL;
}

/* All are ready at once; the first one called removes and frees them all. */
static void any_callback_may_free_any_watcher(void **state)
{
	(void)state;
	Scene s;
	LoopTimer t = { 0 };
	int sv[CROWD][2];
	scene_init(&s);
	s.victims = calloc(CROWD, sizeof *s.victims);
	s.victims_n = CROWD;
	assert_non_null(s.victims);
	for (size_t i = 0; i < CROWD; i++) {
		pair(sv[i]);
		assert_int_equal(write(sv[i][1], "x", 1), 1);
		assert_int_equal(loop_fd_add(&s.l, &s.victims[i], sv[i][0], EPOLLIN, remove_all, &s), 0);
	}
	loop_timer_set(&s.l, &t, time_monotonic() + 150 * MS, stop, &s);
	assert_int_equal(loop_run(&s.l), 7);
	assert_string_equal(s.log, "r.");
	loop_done(&s.l);
	for (size_t i = 0; i < CROWD; i++) {
		fd_close(sv[i][0]);
		fd_close(sv[i][1]);
	}
}

static void never(void *arg, uint32_t events)
{
	note(arg, "!");
}

static void replace_the_others(void *arg, uint32_t events)
{
	Scene *s = arg;
	note(s, "r");
	for (size_t i = 0; i < s->victims_n; i++) {
		int fd = s->victims[i].fd;
		loop_fd_remove(&s->victims[i]);
		assert_int_equal(loop_fd_add(&s->l, &s->victims[i], fd, EPOLLPRI, never, s), 0);
	}
}

static void pause_the_others(void *arg, uint32_t events)
{
	Scene *s = arg;
	note(s, "r");
	for (size_t i = 0; i < s->victims_n; i++)
		assert_int_equal(loop_fd_events(&s->victims[i], 0), 0);
}

static void wait_for_else(void *arg, uint32_t events)
{
	Scene *s = arg;
	note(s, "r");
	for (size_t i = 0; i < s->victims_n; i++)
		assert_int_equal(loop_fd_events(&s->victims[i], EPOLLPRI), 0);
}

/* All are ready at once, and the first one called changes what all wait for: the events in hand are no longer theirs. */
static void check_old_events(LoopFdFn *fn, bool hang_up)
{
	Scene s;
	LoopTimer t = { 0 };
	LoopFd w[CROWD] = { 0 };
	int sv[CROWD][2];
	scene_init(&s);
	s.victims = w;
	s.victims_n = CROWD;
	for (size_t i = 0; i < CROWD; i++) {
		pair(sv[i]);
		assert_int_equal(write(sv[i][1], "x", 1), 1);
		if (hang_up) sv[i][1] = fd_close(sv[i][1]);
		assert_int_equal(loop_fd_add(&s.l, &w[i], sv[i][0], EPOLLIN, fn, &s), 0);
	}
	loop_timer_set(&s.l, &t, time_monotonic() + 150 * MS, stop, &s);
	assert_int_equal(loop_run(&s.l), 7);
	assert_string_equal(s.log, "r.");
	loop_done(&s.l);
	for (size_t i = 0; i < CROWD; i++) {
		fd_close(sv[i][0]);
		fd_close(sv[i][1]);
	}
}

static void a_changed_watcher_gets_no_old_event(void **state)
{
	(void)state;
	check_old_events(replace_the_others, false);
	check_old_events(wait_for_else, false);
	check_old_events(pause_the_others, true);
}

/* Timers */

static void timers_run_in_order_of_time(void **state)
{
	(void)state;
	for (int coarse = 0; coarse < 2; coarse++) { /* coarse: as before Linux 5.11, without epoll_pwait2 */
		Scene s;
		LoopTimer t[4] = { 0 };
		scene_init(&s);
		s.l.coarse = coarse;
		int64_t now = time_monotonic();
		loop_timer_set(&s.l, &t[0], now + 3 * MS, stop, &s);
		loop_timer_set(&s.l, &t[1], now + 2 * MS, run_b, &s);
		loop_timer_set(&s.l, &t[2], now + 2 * MS, run_c, &s); /* same time: as they were set */
		loop_timer_set(&s.l, &t[3], 0, run_a, &s);            /* long past: at once */
		assert_int_equal(loop_run(&s.l), 7);
		assert_string_equal(s.log, "abc.");
		assert_true(time_monotonic() >= now + 3 * MS);
		assert_true(loop_now(&s.l) >= now + 3 * MS);
		loop_done(&s.l);
	}
}

static void timers_move_and_are_cancelled(void **state)
{
	(void)state;
	Scene s;
	LoopTimer t[3] = { 0 };
	scene_init(&s);
	int64_t now = time_monotonic();
	loop_timer_set(&s.l, &t[0], now + 1 * MS, run_a, &s);
	loop_timer_set(&s.l, &t[1], now + 2 * MS, run_b, &s);
	loop_timer_set(&s.l, &t[2], now + 4 * MS, stop, &s);
	loop_timer_set(&s.l, &t[0], now + 3 * MS, run_c, &s);
	loop_timer_cancel(&t[1]);
	loop_timer_cancel(&t[1]);
	assert_int_equal(loop_run(&s.l), 7);
	assert_string_equal(s.log, "c.");
	loop_done(&s.l);
}

static void cancel_the_other(void *arg)
{
	Scene *s = arg;
	note(s, "x");
	loop_timer_cancel(s->other_timer);
	loop_defer_cancel(s->other_defer);
	loop_timer_set(&s->l, s->timer, time_monotonic() + 150 * MS, stop, s); /* itself, again */
}

static void a_timer_may_cancel_what_is_due(void **state)
{
	(void)state;
	Scene s;
	LoopTimer t[2] = { 0 };
	LoopDefer d = { 0 };
	scene_init(&s);
	s.timer = &t[0];
	s.other_timer = &t[1];
	s.other_defer = &d;
	loop_timer_set(&s.l, &t[0], 0, cancel_the_other, &s);
	loop_timer_set(&s.l, &t[1], 0, run_a, &s);
	loop_defer(&s.l, &d, run_b, &s);
	assert_int_equal(loop_run(&s.l), 7);
	assert_string_equal(s.log, "x.");
	loop_done(&s.l);
}

static void again_at_once(void *arg)
{
	Scene *s = arg;
	s->n++;
	loop_timer_set(&s->l, s->timer, 0, again_at_once, s);
	loop_defer(&s->l, s->defer, run_c, s);
}

/* A timer that is always due takes its turn only: the others, descriptors and deferred calls run all the same. */
static void a_busy_timer_starves_nobody(void **state)
{
	(void)state;
	Scene s;
	LoopTimer t[2] = { 0 };
	LoopDefer d = { 0 };
	LoopFd w = { 0 };
	int sv[2];
	scene_init(&s);
	pair(sv);
	s.timer = &t[0];
	s.defer = &d;
	s.fd = sv[0];
	loop_timer_set(&s.l, &t[0], 0, again_at_once, &s);
	loop_timer_set(&s.l, &t[1], time_monotonic() + 150 * MS, stop, &s);
	assert_int_equal(loop_fd_add(&s.l, &w, sv[0], EPOLLIN, read_byte, &s), 0);
	assert_int_equal(write(sv[1], "f", 1), 1);
	assert_int_equal(loop_run(&s.l), 7);
	assert_non_null(strchr(s.log, 'f'));
	assert_non_null(strchr(s.log, 'c'));
	loop_done(&s.l);
	fd_close(sv[0]);
	fd_close(sv[1]);
}

enum { MANY = 5000 };

typedef struct Tick {
	LoopTimer t;
	Scene *s;
	int64_t at;
	bool ran;
} Tick;

static void tick(void *arg)
{
	Tick *k = arg;
	assert_false(k->ran);
	assert_true(k->at >= k->s->last); /* never out of order */
	assert_true(loop_now(&k->s->l) >= k->at);
	k->s->last = k->at;
	k->ran = true;
	k->s->n++;
}

/* Set, moved and cancelled in a random order (a fixed seed), then all that remain run in the order of their times. */
static void thousands_of_timers_keep_their_order(void **state)
{
	(void)state;
	Scene s;
	LoopTimer end = { 0 };
	int live = 0;
	uint64_t x = 88172645463325252u;
	scene_init(&s);
	Tick *k = calloc(MANY, sizeof *k);
	assert_non_null(k);
	int64_t now = time_monotonic();
	for (int i = 0; i < 4 * MANY; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		Tick *one = &k[x % MANY];
		if (x >> 60 < 5) {
			live -= one->t.magic != 0;
			loop_timer_cancel(&one->t);
		} else {
			live += one->t.magic == 0;
			one->s = &s;
			one->at = now + (int64_t)(x >> 20) % (5 * MS);
			loop_timer_set(&s.l, &one->t, one->at, tick, one);
		}
	}
	for (size_t i = 0; i < MANY; i++)
		if (k[i].t.magic) k[i].at = k[i].t.at;
	loop_timer_set(&s.l, &end, now + 500 * MS, stop, &s);
	assert_int_equal(loop_run(&s.l), 7);
	assert_int_equal(s.n, live + 1);
	assert_true(live > MANY / 2);
	loop_done(&s.l);
	free(k);
}

/* Deferred calls */

static void defer_another(void *arg)
{
	Scene *s = arg;
	note(s, "1");
	loop_defer(&s->l, s->defer, stop, s);
	loop_defer_cancel(s->other_defer);
}

static void deferred_calls_keep_their_order(void **state)
{
	(void)state;
	Scene s;
	LoopDefer d[4] = { 0 };
	scene_init(&s);
	s.defer = &d[0];
	s.other_defer = &d[2];
	loop_defer(&s.l, &d[0], defer_another, &s);
	loop_defer(&s.l, &d[1], run_a, &s);
	loop_defer(&s.l, &d[2], run_b, &s);
	loop_defer(&s.l, &d[3], run_b, &s);
	loop_defer(&s.l, &d[3], run_c, &s); /* waits already: once, and the last word counts */
	assert_int_equal(loop_run(&s.l), 7);
	assert_string_equal(s.log, "1ac.");
	loop_defer_cancel(&d[1]);
	loop_done(&s.l);
}

static void defer_again(void *arg)
{
	Scene *s = arg;
	loop_defer(&s->l, s->defer, defer_again, s);
}

static void a_busy_deferred_call_starves_nobody(void **state)
{
	(void)state;
	Scene s;
	LoopDefer d = { 0 };
	LoopTimer t = { 0 };
	scene_init(&s);
	s.defer = &d;
	loop_defer(&s.l, &d, defer_again, &s);
	loop_timer_set(&s.l, &t, time_monotonic() + 150 * MS, stop, &s);
	assert_int_equal(loop_run(&s.l), 7);
	loop_done(&s.l);
}

/* Exits */

static void on_exit_of_child(void *arg, const siginfo_t *info)
{
	Scene *s = arg;
	s->info = *info;
	note(s, "e");
	memset(s->exit, 0xee, sizeof *s->exit); /* no longer the loop's */
	loop_stop(&s->l, 0);
}

static int open_pidfd(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

static void exits_say_how(void **state)
{
	(void)state;
	const int ends[] = { 0, 42, -SIGKILL, -SIGTERM };
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		Scene s;
		LoopExit w = { 0 };
		scene_init(&s);
		s.exit = &w;
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (!pid) {
			if (ends[i] < 0) kill(getpid(), -ends[i]);
			_exit(ends[i]);
		}
		AUTO_FD int pidfd = open_pidfd(pid);
		assert_true(pidfd >= 0);
		assert_int_equal(loop_exit_add(&s.l, &w, pidfd, on_exit_of_child, &s), 0);
		assert_int_equal(loop_run(&s.l), 0);
		assert_string_equal(s.log, "e");
		assert_int_equal(s.info.si_pid, pid);
		assert_int_equal(s.info.si_code, ends[i] < 0 ? CLD_KILLED : CLD_EXITED);
		assert_int_equal(s.info.si_status, ends[i] < 0 ? -ends[i] : ends[i]);
		assert_int_equal(waitpid(pid, NULL, WNOHANG), -1); /* reaped */
		loop_done(&s.l);
	}
}

/* A grandchild: we see it end, but its parent gets the status. */
static void exits_of_strangers_are_seen(void **state)
{
	(void)state;
	Scene s;
	LoopExit w = { 0 };
	int sv[2], status = -1;
	pid_t stranger = 0;
	scene_init(&s);
	s.exit = &w;
	pair(sv);
	pid_t parent = fork();
	assert_true(parent >= 0);
	if (!parent) {
		char c;
		pid_t child = fork();
		if (!child) {
			fcntl(sv[1], F_SETFL, 0);
			_exit(read(sv[1], &c, 1) == 1 ? 5 : 6);
		}
		ssize_t n = write(sv[1], &child, sizeof child);
		_exit(n == sizeof child && waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 5 ? 0 : 1);
	}
	fcntl(sv[0], F_SETFL, 0);
	assert_int_equal(read(sv[0], &stranger, sizeof stranger), sizeof stranger);
	AUTO_FD int pidfd = open_pidfd(stranger);
	assert_true(pidfd >= 0);
	assert_int_equal(loop_exit_add(&s.l, &w, pidfd, on_exit_of_child, &s), 0);
	assert_int_equal(write(sv[0], "x", 1), 1);
	assert_int_equal(loop_run(&s.l), 0);
	assert_int_equal(s.info.si_pid, 0);
	assert_int_equal(waitpid(parent, &status, 0), parent);
	assert_int_equal(status, 0);
	loop_done(&s.l);
	fd_close(sv[0]);
	fd_close(sv[1]);
}

static void a_removed_exit_watcher_leaves_the_child_to_its_parent(void **state)
{
	(void)state;
	Scene s;
	LoopExit w = { 0 };
	LoopTimer t = { 0 };
	int status = -1;
	scene_init(&s);
	s.exit = &w;
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (!pid) _exit(9);
	AUTO_FD int pidfd = open_pidfd(pid);
	assert_int_equal(loop_exit_add(&s.l, &w, pidfd, on_exit_of_child, &s), 0);
	loop_exit_remove(&w);
	loop_exit_remove(&w);
	loop_timer_set(&s.l, &t, time_monotonic() + 150 * MS, stop, &s);
	assert_int_equal(loop_run(&s.l), 7);
	assert_string_equal(s.log, ".");
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 9);
	loop_done(&s.l);
}

/* Signals */

static void on_signal(void *arg, const struct signalfd_siginfo *info)
{
	Scene *s = arg;
	s->signal = *info;
	note(s, info->ssi_signo == SIGUSR1 ? "1" : info->ssi_signo == SIGUSR2 ? "2" : "?");
}

static void on_signal_leave(void *arg, const struct signalfd_siginfo *info)
{
	Scene *s = arg;
	note(s, "l");
	loop_signals_remove(s->signals);
	memset(s->signals, 0xee, sizeof *s->signals);
	loop_stop(&s->l, 0);
}

static bool is_blocked(int n)
{
	sigset_t now;
	sigprocmask(SIG_SETMASK, NULL, &now);
	return sigismember(&now, n) == 1;
}

static sigset_t set_of(int a, int b)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, a);
	sigaddset(&set, b);
	return set;
}

static void signals_come_as_calls_and_the_mask_returns(void **state)
{
	(void)state;
	Scene s;
	LoopSignals w = { 0 };
	sigset_t set = set_of(SIGUSR1, SIGUSR2), only2 = set_of(SIGUSR2, SIGUSR2);
	sigprocmask(SIG_BLOCK, &only2, NULL); /* blocked before: stays so afterwards */
	scene_init(&s);
	s.stop_at = 3;
	assert_int_equal(loop_signals_add(&s.l, &w, &set, on_signal, &s), 0);
	assert_true(is_blocked(SIGUSR1) && is_blocked(SIGUSR2));
	assert_true(sigismember(&w.before, SIGUSR1) == 0 && sigismember(&w.before, SIGUSR2) == 1);
	kill(getpid(), SIGUSR1);
	kill(getpid(), SIGUSR1); /* one bit per signal: told once */
	kill(getpid(), SIGUSR2);
	s.stop_at = 2;
	assert_int_equal(loop_run(&s.l), 0);
	assert_string_equal(s.log, "12");
	assert_int_equal(s.signal.ssi_pid, getpid());
	loop_signals_remove(&w);
	loop_signals_remove(&w);
	assert_true(!is_blocked(SIGUSR1) && is_blocked(SIGUSR2));
	sigprocmask(SIG_UNBLOCK, &only2, NULL);
	loop_done(&s.l);
}

static void a_signal_watcher_may_remove_itself(void **state)
{
	(void)state;
	Scene s;
	LoopSignals w = { 0 };
	sigset_t set = set_of(SIGUSR1, SIGUSR2);
	scene_init(&s);
	s.signals = &w;
	assert_int_equal(loop_signals_add(&s.l, &w, &set, on_signal_leave, &s), 0);
	kill(getpid(), SIGUSR1);
	assert_int_equal(loop_run(&s.l), 0);
	assert_string_equal(s.log, "l");
	assert_true(!is_blocked(SIGUSR1) && !is_blocked(SIGUSR2));
	loop_done(&s.l);
}

static void the_end_of_the_loop_restores_the_mask(void **state)
{
	(void)state;
	Scene s;
	LoopSignals a = { 0 }, b = { 0 };
	sigset_t set1 = set_of(SIGUSR1, SIGUSR1), set2 = set_of(SIGUSR2, SIGWINCH);
	scene_init(&s);
	assert_int_equal(loop_signals_add(&s.l, &a, &set1, on_signal, &s), 0);
	assert_int_equal(loop_signals_add(&s.l, &b, &set2, on_signal, &s), 0);
	loop_done(&s.l);
	assert_true(!is_blocked(SIGUSR1) && !is_blocked(SIGUSR2) && !is_blocked(SIGWINCH));
	loop_signals_remove(&a); /* the loop is gone: nothing to do */
}

/* The whole */

static void the_loop_allocates_nothing(void **state)
{
	(void)state;
	Scene s;
	LoopFd w = { 0 };
	LoopTimer t[3] = { 0 };
	LoopDefer d = { 0 };
	LoopSignals g = { 0 };
	int sv[2];
	sigset_t set = set_of(SIGUSR1, SIGUSR1);
	pair(sv);
	unsigned long before = allocations;
	AUTO_FREE char *probe = malloc(1); /* the counter counts */
	assert_non_null(probe);
	assert_true(allocations > before);
	before = allocations;
	scene_init(&s);
	s.fd = sv[0];
	s.stop_at = 5;
	int r = loop_fd_add(&s.l, &w, sv[0], EPOLLIN, read_byte, &s);
	r |= loop_signals_add(&s.l, &g, &set, on_signal, &s);
	loop_timer_set(&s.l, &t[0], 0, run_a, &s);
	loop_timer_set(&s.l, &t[1], 1, run_b, &s);
	loop_timer_set(&s.l, &t[2], 2, run_c, &s);
	loop_defer(&s.l, &d, run_c, &s);
	r |= write(sv[1], "x", 1) != 1;
	kill(getpid(), SIGUSR1);
	r |= loop_run(&s.l);
	loop_done(&s.l);
	assert_int_equal(allocations, before);
	assert_int_equal(r, 0);
	fd_close(sv[0]);
	fd_close(sv[1]);
}

static void run_with_overwritten_watcher(void)
{
	Scene s;
	LoopFd w = { 0 };
	int sv[2];
	scene_init(&s);
	pair(sv);
	fd_close(STDERR_FILENO); /* the assertion's text is not for this test's log */
	if (loop_fd_add(&s.l, &w, sv[0], EPOLLOUT, never, &s) < 0) _exit(1);
	memset(&w, 0x41, sizeof w);
	_exit(loop_run(&s.l));
}

static void an_overwritten_watcher_ends_the_program(void **state)
{
	(void)state;
	int status = 0;
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		signal(SIGABRT, SIG_DFL);
		run_with_overwritten_watcher();
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stop_gives_its_code),
		cmocka_unit_test(nothing_to_wait_for_is_an_error),
		cmocka_unit_test(stop_leaves_the_rest_for_the_next_run),
		cmocka_unit_test(descriptors_are_level_triggered),
		cmocka_unit_test(what_cannot_be_watched_is_refused),
		cmocka_unit_test(a_paused_descriptor_is_silent),
		cmocka_unit_test(any_callback_may_free_any_watcher),
		cmocka_unit_test(a_changed_watcher_gets_no_old_event),
		cmocka_unit_test(timers_run_in_order_of_time),
		cmocka_unit_test(timers_move_and_are_cancelled),
		cmocka_unit_test(a_timer_may_cancel_what_is_due),
		cmocka_unit_test(a_busy_timer_starves_nobody),
		cmocka_unit_test(thousands_of_timers_keep_their_order),
		cmocka_unit_test(deferred_calls_keep_their_order),
		cmocka_unit_test(a_busy_deferred_call_starves_nobody),
		cmocka_unit_test(exits_say_how),
		cmocka_unit_test(exits_of_strangers_are_seen),
		cmocka_unit_test(a_removed_exit_watcher_leaves_the_child_to_its_parent),
		cmocka_unit_test(signals_come_as_calls_and_the_mask_returns),
		cmocka_unit_test(a_signal_watcher_may_remove_itself),
		cmocka_unit_test(the_end_of_the_loop_restores_the_mask),
		cmocka_unit_test(the_loop_allocates_nothing),
		cmocka_unit_test(an_overwritten_watcher_ends_the_program),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
