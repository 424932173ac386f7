/* test_attendance.c: a monitor's side of the attendant, with one that this test plays; and what a command says. */
#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/time.h"
#include "monitor/attendance.h"
#include "sys/fd.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define MS INT64_C(1000000)

typedef struct World {
	char root[64];
	int dir;
	Loop loop;
	Attendance a;
	int sockets[2];
	StrList command;
	const char *words[4];
	/* the attendant */
	int listen, peer;
	LoopFd listening, heard;
	LoopTimer deadline;
	unsigned registered, refuse;
	bool then_close, done_at_ok;
} World;

static void give_up(void *arg)
{
	(void)arg;
	fail_msg("did not happen in time");
}

static void run(World *w)
{
	loop_timer_set(&w->loop, &w->deadline, time_monotonic() + 20000 * MS, give_up, w);
	assert_int_equal(loop_run(&w->loop), 0);
	loop_timer_cancel(&w->deadline);
}

static void begin(World *w)
{
	*w = (World){ .listen = -1, .peer = -1 };
	snprintf(w->root, sizeof w->root, "/tmp/skep-attendance-XXXXXX");
	assert_non_null(mkdtemp(w->root));
	w->dir = open(w->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(loop_init(&w->loop), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, w->sockets), 0);
	w->command = (StrList){ w->words, 0 };
}

static void end(World *w)
{
	attendance_stop(&w->a);
	loop_done(&w->loop);
	fd_close(w->listen);
	fd_close(w->peer);
	fd_close(w->sockets[0]);
	fd_close(w->sockets[1]);
	static const char *const files[] = { ATTENDANCE_SOCKET, ATTENDANCE_LOCK, "started" };
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		(void)!unlinkat(w->dir, files[i], 0);
	fd_close(w->dir);
	assert_int_equal(rmdir(w->root), 0);
}

static void start(World *w)
{
	attendance_start(&w->a, &w->loop, &(AttendanceOptions){ w->root, &w->command, ID, { w->sockets[0], w->sockets[1] } });
}

/* ---- the attendant ---- */

static void hear(void *arg, uint32_t events)
{
	World *w = arg;
	AttendanceMessage m;
	Err e = ERR_INIT;
	(void)events;
	if (attendance_receive(w->peer, &m) <= 0) {
		loop_stop(&w->loop, 0);
		return;
	}
	assert_int_equal(m.head.kind, ATTENDANCE_REGISTER);
	assert_int_equal(m.n, ATTENDANCE_ID);
	assert_memory_equal(m.data, ID, ATTENDANCE_ID);
	assert_int_equal(m.n_fds, 2);
	for (size_t i = 0; i < m.n_fds; i++)
		fd_close(m.fds[i]);
	w->registered++;
	err_set(&e, ERR_STATE, EBUSY, "not now");
	const bool refuse = w->refuse > 0;
	if (refuse) w->refuse--;
	assert_int_equal(attendance_send(w->peer, refuse ? ATTENDANCE_ERROR : ATTENDANCE_OK, (Str){ 0 }, NULL, 0, refuse ? &e : NULL), 0);
	if (refuse || w->then_close) {
		w->then_close = false;
		loop_fd_remove(&w->heard);
		w->peer = fd_close(w->peer);
	} else {
		loop_stop(&w->loop, 0);
	}
}

static void accept_one(void *arg, uint32_t events)
{
	World *w = arg;
	(void)events;
	loop_fd_remove(&w->heard);
	fd_close(w->peer);
	w->peer = accept4(w->listen, NULL, NULL, SOCK_CLOEXEC);
	assert_true(w->peer >= 0);
	assert_int_equal(loop_fd_add(&w->loop, &w->heard, w->peer, EPOLLIN, hear, w), 0);
}

static void serve(World *w)
{
	(void)!unlinkat(w->dir, ATTENDANCE_SOCKET, 0);
	w->listen = fd_listen_unix(w->dir, ATTENDANCE_SOCKET, SOCK_SEQPACKET, 0600);
	assert_true(w->listen >= 0);
	assert_int_equal(loop_fd_add(&w->loop, &w->listening, w->listen, EPOLLIN, accept_one, w), 0);
}

/* ---- tests ---- */

static void test_registers(void **state)
{
	World w;
	begin(&w);
	serve(&w);
	start(&w);
	run(&w);
	assert_int_equal(w.registered, 1);
	attendance_stop(&w.a);
	attendance_stop(&w.a);
	run(&w); /* the attendant hears the end */
	end(&w);
}

static void test_registers_again(void **state)
{
	World w;
	begin(&w);
	serve(&w);
	w.then_close = true;
	start(&w);
	run(&w);
	assert_int_equal(w.registered, 2);
	w.refuse = 2; /* and by the old connection's end */
	loop_fd_remove(&w.heard);
	w.peer = fd_close(w.peer);
	run(&w);
	assert_int_equal(w.registered, 5);
	end(&w);
}

static void serve_late(void *arg)
{
	serve(arg);
}

static void test_waits_for_one(void **state)
{
	World w;
	LoopTimer late = { 0 };
	begin(&w);
	start(&w); /* nobody is there, and nobody can be started */
	loop_timer_set(&w.loop, &late, time_monotonic() + 40 * MS, serve_late, &w);
	run(&w);
	assert_int_equal(w.registered, 1);
	end(&w);
}

static int is_locked(const World *w)
{
	AUTO_FD int fd = openat(w->dir, ATTENDANCE_LOCK, O_RDWR | O_CLOEXEC);
	return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

static off_t size_of(const World *w, const char *name)
{
	struct stat st;
	return fstatat(w->dir, name, &st, 0) < 0 ? -1 : st.st_size;
}

static void look(void *arg)
{
	World *w = arg;
	loop_stop(&w->loop, 0);
}

/* A script that is an attendant as far as its lock goes. It writes what it has in its descriptors, and stays while its standard input… there is none: it sleeps. */
static void test_starts_one(void **state)
{
	World w;
	LoopTimer later = { 0 };
	char script[256];
	begin(&w);
	snprintf(script, sizeof script,
		 "cd %s; readlink /proc/self/fd/3 >>started; ls /proc/self/fd | tr '\\n' ' ' >>started; exec sleep 1", w.root);
	w.words[0] = "/bin/sh";
	w.words[1] = "-c";
	w.words[2] = script;
	w.command.n = 3;
	AUTO_FD int noise = open("/dev/null", O_RDONLY); /* that it must not get */
	assert_true(noise >= 0);
	start(&w);
	assert_true(w.a.starting >= 0);
	assert_true(is_locked(&w));
	loop_timer_set(&w.loop, &later, time_monotonic() + 200 * MS, look, &w);
	run(&w);
	assert_true(is_locked(&w)); /* by the script alone: it stands for an attendant that is about to listen */
	AUTO_ARENA a = ARENA_INIT(1 << 16);
	char *text, want[128];
	size_t n;
	Err e = ERR_INIT;
	assert_int_equal(fd_read_file(w.dir, "started", 4096, &a, &text, &n, &e), 0);
	snprintf(want, sizeof want, "%s/" ATTENDANCE_LOCK "\n0 1 2 3 ", w.root);
	assert_memory_equal(text, want, strlen(want));
	serve(&w);
	run(&w);
	assert_int_equal(w.registered, 1);
	off_t once = size_of(&w, "started"); /* the tries while it was locked have started no other */
	assert_int_equal(once, n);
	end(&w);
	while (waitpid(-1, NULL, 0) > 0)
		;
}

/* One that ends at once is not started without a pause. */
static void test_starts_slowly(void **state)
{
	World w;
	LoopTimer later = { 0 };
	char script[256];
	begin(&w);
	snprintf(script, sizeof script, "echo >>%s/started; exit 1", w.root);
	w.words[0] = "/bin/sh";
	w.words[1] = "-c";
	w.words[2] = script;
	w.command.n = 3;
	start(&w);
	loop_timer_set(&w.loop, &later, time_monotonic() + 500 * MS, look, &w);
	run(&w);
	assert_in_range(size_of(&w, "started"), 3, 9); /* after 5, 10, 20, … 320 ms */
	end(&w);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

/* ---- commands ---- */

static pid_t answer_in_child(World *w, const AttendanceKind *kind)
{
	pid_t pid = fork();
	if (pid) return pid;
	AttendanceMessage m;
	Err e = ERR_INIT;
	err_set(&e, ERR_NOT_FOUND, ENOENT, "No such container: x");
	const int peer = accept(w->listen, NULL, NULL);
	if (peer < 0 || attendance_receive(peer, &m) <= 0 || m.head.kind != ATTENDANCE_CHANGED) _exit(1);
	const bool failed = kind && *kind == ATTENDANCE_ERROR;
	if (kind && attendance_send(peer, *kind, failed ? str_of(e.msg) : (Str){ 0 }, NULL, 0, failed ? &e : NULL) < 0) _exit(2);
	if (kind && *kind == ATTENDANCE_REGISTER) pause();
	_exit(m.n == ATTENDANCE_ID ? 0 : 3);
}

static void test_commands(void **state)
{
	static const AttendanceKind ok = ATTENDANCE_OK, error = ATTENDANCE_ERROR;
	World w;
	Err e = ERR_INIT;
	int status;
	begin(&w);
	assert_int_equal(attendance_changed("/nonexistent/skep", ID, 1000, &e), 0);
	assert_int_equal(attendance_changed(w.root, ID, 1000, &e), 0); /* nobody is interested */
	w.listen = fd_listen_unix(w.dir, ATTENDANCE_SOCKET, SOCK_SEQPACKET, 0600);
	answer_in_child(&w, &ok);
	assert_int_equal(attendance_changed(w.root, ID, 5000, &e), 0);
	assert_true(wait(&status) > 0 && status == 0);
	answer_in_child(&w, &error);
	assert_int_equal(attendance_changed(w.root, ID, 5000, &e), -ENOENT);
	assert_string_equal(e.msg, "No such container: x");
	assert_true(wait(&status) > 0 && status == 0);
	answer_in_child(&w, NULL); /* it dies */
	assert_int_equal(attendance_changed(w.root, ID, 5000, &e), 0);
	assert_true(wait(&status) > 0 && status == 0);
	assert_int_equal(attendance_changed(w.root, ID, 50, &e), -ETIMEDOUT);
	assert_non_null(strstr(e.msg, "the attendant of networks does not answer"));
	w.listen = fd_close(w.listen);
	assert_int_equal(attendance_changed(w.root, ID, 5000, &e), 0); /* refused */
	end(&w);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_registers),     cmocka_unit_test(test_registers_again),
					    cmocka_unit_test(test_waits_for_one), cmocka_unit_test(test_starts_one),
					    cmocka_unit_test(test_starts_slowly), cmocka_unit_test(test_commands) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
