/* test_proc.c: processes by pidfd, their facts, signals by name, and pseudo terminals. */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "child.h"
#include "sys/fd.h"
#include "sys/proc.h"
#include "sys/pty.h"

/* ---- facts ---- */

static void names_in_stat_cannot_lie(void **state)
{
	(void)state;
	static const char tail[] = "S 7 8 9 34816 10 4194304 1 2 3 4 5 6 7 8 20 0 1 0 987654321 1 2 3 4 5 6 7 8 9 10 4097 12 13\n";
	const char *names[] = { "42 (sh) ", "42 (a) R 1 1 1 (b) ", "42 () ", "42 (x\n) Z 0) " };
	char text[256];
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		ProcStat s = { 0 };
		snprintf(text, sizeof text, "%s%s", names[i], tail);
		assert_int_equal(proc_stat_parse(text, &s), 0);
		assert_true(s.state == 'S' && s.ppid == 7 && s.pgrp == 8 && s.session == 9 && s.start_time == 987654321 &&
			    s.ignored == 4097);
	}
	const char *bad[] = { "",
			      "42 sh S 1",
			      "42 (sh)",
			      "42 (sh) S 7 8",
			      "42 (sh) SS 7 8 9 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 5",
			      "42 (sh) S x 8 9 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 5" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		ProcStat s;
		assert_int_equal(proc_stat_parse(bad[i], &s), -EINVAL);
	}
}

static pid_t start_child(int exit_code, int kill_by)
{
	pid_t pid = fork();
	if (pid == 0) {
		if (kill_by) {
			kill(getpid(), kill_by);
			for (;;)
				pause();
		}
		_exit(exit_code);
	}
	assert_true(pid > 0);
	return pid;
}

static void own_facts(void **state)
{
	(void)state;
	ProcStat s;
	uint64_t again = 0;
	assert_int_equal(proc_stat(getpid(), &s), 0);
	assert_true(s.state == 'R' && s.ppid == getppid() && s.pgrp == getpgrp() && s.session == getsid(0));
	assert_int_equal(proc_start_time(getpid(), &again), 0);
	assert_true(again == s.start_time && again > 0);
	assert_int_equal(proc_stat(-1, &s), -ESRCH);
	assert_int_equal(pid_open(-1) < 0, 1);
}

static void an_exit_is_seen_and_reaped(void **state)
{
	(void)state;
	static const struct {
		int code, signal;
	} cases[] = { { 0, 0 }, { 7, 0 }, { 255, 0 }, { 0, SIGTERM }, { 0, SIGKILL } };
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int status = -1;
		pid_t pid = start_child(cases[i].code, cases[i].signal);
		AUTO_FD int fd = pid_open(pid);
		assert_true(fd >= 0);
		assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
		assert_int_equal(pid_wait_exit(fd, 10000), 0);
		assert_int_equal(pid_has_exited(fd), 1);
		assert_int_equal(proc_state(pid), 'Z');
		assert_int_equal(pid_wait(fd, &status), 0);
		if (cases[i].signal)
			assert_true(WIFSIGNALED(status) && WTERMSIG(status) == cases[i].signal);
		else
			assert_true(WIFEXITED(status) && WEXITSTATUS(status) == cases[i].code);
		assert_int_equal(pid_wait(fd, &status), -ECHILD);
		assert_int_equal(pid_send(fd, 0), -ESRCH);
		assert_int_equal(proc_state(pid), -ESRCH);
	}
}

static void a_pid_with_another_start_is_nobody(void **state)
{
	(void)state;
	int status;
	uint64_t start = 0;
	pid_t pid = fork();
	if (pid == 0)
		for (;;)
			pause();
	assert_int_equal(proc_start_time(pid, &start), 0);
	assert_int_equal(pid_open_exact(pid, start + 1), -ESRCH);
	AUTO_FD int fd = pid_open_exact(pid, start);
	assert_true(fd >= 0);
	assert_int_equal(pid_has_exited(fd), 0);
	assert_int_equal(pid_wait_exit(fd, 0), -ETIMEDOUT);
	assert_int_equal(pid_wait_exit(fd, 10), -ETIMEDOUT);
	assert_int_equal(pid_send(fd, SIGKILL), 0);
	assert_int_equal(pid_wait_exit(fd, -1), 0);
	assert_int_equal(pid_wait(fd, &status), 0);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	AUTO_FD int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_true(pid_wait(null, &status) < 0);
	assert_int_equal(pid_has_exited(-1) <= 0, 1);
}

/* ---- signals ---- */

static void signals_have_names(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		int n;
	} cases[] = {
		{ "TERM", SIGTERM },
		{ "SIGTERM", SIGTERM },
		{ "sigterm", SIGTERM },
		{ "15", 15 },
		{ "0", 0 },
		{ "64", 64 },
		{ "SIGHUP", 1 },
		{ "KILL", 9 },
		{ "usr1", SIGUSR1 },
		{ "WINCH", SIGWINCH },
		{ "POLL", SIGIO },
		{ "IO", SIGIO },
		{ "IOT", SIGABRT },
		{ "CLD", SIGCHLD },
		{ "STKFLT", 16 },
		{ "RTMIN", 34 },
		{ "SIGRTMIN+3", 37 },
		{ "rtmin+30", 64 },
		{ "RTMAX", 64 },
		{ "SIGRTMAX-1", 63 },
		{ "RTMAX-30", 34 },
		{ "", -EINVAL },
		{ "SIG", -EINVAL },
		{ "SIGSIGTERM", -EINVAL },
		{ "65", -EINVAL },
		{ "-1", -EINVAL },
		{ "+9", -EINVAL },
		{ "9 ", -EINVAL },
		{ "0x9", -EINVAL },
		{ "4294967305", -EINVAL },
		{ "TERMX", -EINVAL },
		{ "RTMIN+31", -EINVAL },
		{ "RTMIN-1", -EINVAL },
		{ "RTMIN+", -EINVAL },
		{ "RTMAX+1", -EINVAL },
		{ "RTMIN+4294967296", -EINVAL },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (signal_by_name(cases[i].name) != cases[i].n) fail_msg("\"%s\" gives %d", cases[i].name, signal_by_name(cases[i].name));
	for (int n = 1; n <= 64; n++)
		if (n != 32 && n != 33) assert_int_equal(signal_by_name(signal_name(n)), n);
	assert_string_equal(signal_name(SIGTERM), "SIGTERM");
	assert_string_equal(signal_name(37), "SIGRTMIN+3");
	assert_string_equal(signal_name(64), "SIGRTMAX");
	assert_true(!signal_name(0) && !signal_name(65) && !signal_name(-1) && !signal_name(32));
}

/* ---- terminals ---- */

static void a_pty_carries_bytes(void **state)
{
	(void)state;
	Err e = ERR_INIT;
	char got[8] = { 0 };
	struct winsize w;
	AUTO_PTY p = PTY_INIT, other = PTY_INIT;
	if (pty_open(-1, &p, &e) == -ENOENT) skip();
	assert_int_equal(pty_open(-1, &other, &e), 0);
	assert_true(other.number != p.number);
	assert_true(isatty(p.slave) && fcntl(p.slave, F_GETFD) & FD_CLOEXEC && fcntl(p.master, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(fcntl(p.slave, F_GETFL) & O_ACCMODE, O_RDWR);
	assert_int_equal(pty_set_size(p.slave, 24, 80), 0);
	assert_int_equal(pty_set_size(p.slave, 0, 0), 0);
	assert_int_equal(pty_set_size(p.slave, 70000, 80), -ERANGE);
	assert_int_equal(pty_copy_size(p.master, other.slave), 0);
	assert_int_equal(ioctl(other.master, TIOCGWINSZ, &w), 0);
	assert_true(w.ws_row == 24 && w.ws_col == 80);
	TtyMode mode = TTY_MODE_INIT;
	struct termios before, after;
	assert_int_equal(tcgetattr(p.slave, &before), 0);
	assert_int_equal(tty_raw(p.slave, false, &mode), 0);
	assert_int_equal(write(p.master, "\003x", 2), 2); /* raw: neither a signal nor a line */
	assert_int_equal(read(p.slave, got, sizeof got), 2);
	assert_memory_equal(got, "\003x", 2);
	tty_restore(&mode);
	tty_restore(&mode);
	assert_int_equal(tcgetattr(p.slave, &after), 0);
	assert_true(after.c_lflag == before.c_lflag && after.c_iflag == before.c_iflag && after.c_oflag == before.c_oflag);
	AUTO_FD int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	assert_int_equal(tty_raw(null, false, &mode), -ENOTTY);
	assert_int_equal(mode.fd, -1);
	assert_int_equal(pty_set_size(null, 1, 1), -ENOTTY);
	assert_int_equal(pty_from_ptmx(null, &other, &e), -ENOTTY);
	assert_int_equal(pty_from_ptmx(p.slave, &other, &e), -ENOTTY);
}

/* A devpts instance of its own: numbers start at 0 there, and a directory that is none is refused. */
static int own_devpts(void)
{
	Err e = ERR_INIT;
	struct stat st;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) return CHILD_SKIP;
	if (mount("tmpfs", "/tmp", "tmpfs", 0, NULL) < 0 || mkdir("/tmp/pts", 0755) < 0) return CHILD_SKIP;
	AUTO_PTY p = PTY_INIT;
	AUTO_FD int below = open("/tmp/pts", O_PATH | O_DIRECTORY | O_CLOEXEC);
	NEED(pty_open(below, &p, &e) == -EXDEV && p.master == -1);
	if (mount("devpts", "/tmp/pts", "devpts", 0, "newinstance,ptmxmode=0666,mode=0620") < 0) return CHILD_SKIP;
	AUTO_FD int dir = open("/tmp/pts", O_PATH | O_DIRECTORY | O_CLOEXEC);
	NEED_OK(pty_open(dir, &p, &e));
	NEED(p.number == 0);
	NEED(fstat(p.slave, &st) == 0 && st.st_rdev == makedev(136, 0));
	NEED(umount2("/tmp/pts", MNT_DETACH) == 0);
	NEED(write(p.slave, "ok", 2) == 2);
	char got[4];
	NEED(read(p.master, got, sizeof got) == 2);
	return 0;
}

static void ptys_come_from_the_devpts_given(void **state)
{
	(void)state;
	need_root();
	in_child(own_devpts);
}

static int controlling(void)
{
	Err e = ERR_INIT;
	struct stat a, b;
	AUTO_PTY p = PTY_INIT;
	if (pty_open(-1, &p, &e) < 0) return CHILD_SKIP;
	signal(SIGHUP, SIG_IGN); /* comes when the master is closed below */
	NEED(setsid() > 0);
	NEED(pty_make_controlling(p.slave) == 0);
	for (int fd = 0; fd <= 2; fd++) {
		NEED(fstat(fd, &a) == 0 && fstat(p.slave, &b) == 0 && a.st_rdev == b.st_rdev);
		NEED(fcntl(fd, F_GETFD) == 0);
	}
	AUTO_FD int tty = open("/dev/tty", O_RDWR | O_CLOEXEC);
	NEED(tty >= 0 && tcgetsid(tty) == getpid());
	return 0;
}

static void a_session_gets_its_terminal(void **state)
{
	(void)state;
	in_child(controlling);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_in_stat_cannot_lie),
		cmocka_unit_test(own_facts),
		cmocka_unit_test(an_exit_is_seen_and_reaped),
		cmocka_unit_test(a_pid_with_another_start_is_nobody),
		cmocka_unit_test(signals_have_names),
		cmocka_unit_test(a_pty_carries_bytes),
		cmocka_unit_test(ptys_come_from_the_devpts_given),
		cmocka_unit_test(a_session_gets_its_terminal),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
