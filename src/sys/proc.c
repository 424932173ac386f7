/* proc.c: see proc.h. */
#include "sys/proc.h"

#include <ctype.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdalign.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"
#include "base/time.h"
#include "sys/fd.h"

/* ---- /proc/PID/stat ---- */

/* Fields count from 1 as in proc(5); the name, field 2, may hold blanks and parentheses: parsing starts after the last ")". */
int proc_stat_parse(const char *text, ProcStat *ret)
{
	enum { STATE = 3, PPID, PGRP, SESSION, START_TIME = 22, IGNORED = 33 };
	const char *end = strrchr(text, ')');
	if (!end || end[1] != ' ') return -EINVAL;
	ProcStat s = { 0 };
	Str rest = str_of(end + 2), field;
	for (int i = STATE; i <= IGNORED; i++) {
		int n = 0, r = 0;
		if (!str_next(&rest, ' ', &field)) return -EINVAL;
		if (i == STATE) {
			if (field.n != 1) return -EINVAL;
			s.state = field.p[0];
		} else if (i <= SESSION) {
			r = str_to_int(field, &n);
			*(i == PPID ? &s.ppid : i == PGRP ? &s.pgrp : &s.session) = n;
		} else if (i == START_TIME) {
			r = str_to_u64(str_trim(field), &s.start_time);
		} else if (i == IGNORED) {
			r = str_to_u32(str_trim(field), &s.ignored);
		}
		if (r < 0) return -EINVAL;
	}
	*ret = s;
	return 0;
}

int proc_stat(pid_t pid, ProcStat *ret)
{
	char path[32], text[1024];
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	ssize_t n = fd_read_small(AT_FDCWD, path, text, sizeof text);
	if (n < 0) return n == -ENOENT ? -ESRCH : (int)n;
	return proc_stat_parse(text, ret);
}

int proc_start_time(pid_t pid, uint64_t *ret)
{
	ProcStat s;
	int r = proc_stat(pid, &s);
	if (r >= 0) *ret = s.start_time;
	return r;
}

int proc_state(pid_t pid)
{
	ProcStat s;
	int r = proc_stat(pid, &s);
	return r < 0 ? r : s.state;
}

/* ---- pidfds ---- */

int pid_open(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	return fd < 0 ? -errno : fd;
}

int pid_open_exact(pid_t pid, uint64_t start_time)
{
	uint64_t now = 0;
	AUTO_FD int fd = pid_open(pid);
	if (fd < 0) return fd;
	int r = proc_start_time(pid, &now);
	if (r < 0) return r;
	return now == start_time ? take_fd(fd) : -ESRCH;
}

int pid_send(int pidfd, int signal)
{
	return syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) < 0 ? -errno : 0;
}

int pid_has_exited(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	int r = poll(&p, 1, 0); /* does not wait, so no signal interrupts it */
	if (r < 0) return -errno;
	return p.revents & POLLNVAL ? -EBADF : r > 0;
}

int pid_wait_exit(int pidfd, int timeout_ms)
{
	int64_t deadline = time_monotonic() + INT64_C(1000000) * timeout_ms;
	for (;;) {
		int64_t left = timeout_ms < 0 ? -1 : (deadline - time_monotonic() + 999999) / 1000000;
		struct pollfd p = { .fd = pidfd, .events = POLLIN };
		int r = poll(&p, 1, timeout_ms < 0 ? -1 : left > 0 ? (int)left : 0);
		if (r > 0) return p.revents & POLLNVAL ? -EBADF : 0;
		if (r == 0) return -ETIMEDOUT;
		if (errno != EINTR) return -errno;
	}
}

int pid_wait(int pidfd, int *ret_status)
{
	siginfo_t info = { 0 };
	if (retry_eintr(waitid((idtype_t)P_PIDFD, (id_t)pidfd, &info, WEXITED)) < 0) return -errno;
	if (info.si_code == CLD_EXITED)
		*ret_status = (info.si_status & 0xff) << 8;
	else
		*ret_status = info.si_status | (info.si_code == CLD_DUMPED ? 0x80 : 0);
	return 0;
}

/* ---- processes of our own ---- */

pid_t proc_spawn(int (*fn)(void *), void *arg)
{
	static alignas(16) char stack[32 << 10];
	pid_t pid = clone(fn, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, arg);
	return pid < 0 ? -errno : pid;
}

/* ---- signals ---- */

enum { RT_MIN = 34, RT_MAX = 64 }; /* the C library keeps 32 and 33 */

static const char *const signal_names[] = {
	[SIGHUP] = "SIGHUP",       [SIGINT] = "SIGINT",   [SIGQUIT] = "SIGQUIT",   [SIGILL] = "SIGILL",   [SIGTRAP] = "SIGTRAP",
	[SIGABRT] = "SIGABRT",     [SIGBUS] = "SIGBUS",   [SIGFPE] = "SIGFPE",     [SIGKILL] = "SIGKILL", [SIGUSR1] = "SIGUSR1",
	[SIGSEGV] = "SIGSEGV",     [SIGUSR2] = "SIGUSR2", [SIGPIPE] = "SIGPIPE",   [SIGALRM] = "SIGALRM", [SIGTERM] = "SIGTERM",
	[16] = "SIGSTKFLT",        [SIGCHLD] = "SIGCHLD", [SIGCONT] = "SIGCONT",   [SIGSTOP] = "SIGSTOP", [SIGTSTP] = "SIGTSTP",
	[SIGTTIN] = "SIGTTIN",     [SIGTTOU] = "SIGTTOU", [SIGURG] = "SIGURG",     [SIGXCPU] = "SIGXCPU", [SIGXFSZ] = "SIGXFSZ",
	[SIGVTALRM] = "SIGVTALRM", [SIGPROF] = "SIGPROF", [SIGWINCH] = "SIGWINCH", [SIGIO] = "SIGIO",     [SIGPWR] = "SIGPWR",
	[SIGSYS] = "SIGSYS",
};

/* "RTMIN+3", "RTMAX-1", with name past "SIG" in capitals. */
static int realtime_by_name(const char *name)
{
	bool from_min = starts_with(name, "RTMIN");
	if (!from_min && !starts_with(name, "RTMAX")) return -EINVAL;
	const char *rest = name + 5;
	uint32_t offset = 0;
	if (*rest) {
		if (*rest != (from_min ? '+' : '-') || str_to_u32(str_of(rest + 1), &offset) < 0) return -EINVAL;
		if (offset > RT_MAX - RT_MIN) return -EINVAL;
	}
	return from_min ? RT_MIN + (int)offset : RT_MAX - (int)offset;
}

int signal_by_name(const char *name)
{
	static const struct {
		const char *name;
		int n;
	} others[] = { { "IOT", SIGABRT }, { "CLD", SIGCHLD }, { "POLL", SIGIO }, { "UNUSED", SIGSYS } };
	uint32_t number;
	char upper[16];
	size_t n = strlen(name);
	if (n >= sizeof upper) return -EINVAL;
	if (str_to_u32(str_of(name), &number) == 0) return number <= RT_MAX ? (int)number : -EINVAL;
	for (size_t i = 0; i <= n; i++)
		upper[i] = (char)toupper((unsigned char)name[i]);
	const char *bare = starts_with(upper, "SIG") ? upper + 3 : upper;
	for (int i = 1; i < (int)ARRAY_LEN(signal_names); i++)
		if (signal_names[i] && streq(bare, signal_names[i] + 3)) return i;
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (streq(bare, others[i].name)) return others[i].n;
	return realtime_by_name(bare);
}

const char *signal_name(int signal)
{
	static const char *const realtime[] = {
		"SIGRTMIN",    "SIGRTMIN+1",  "SIGRTMIN+2",  "SIGRTMIN+3",  "SIGRTMIN+4",  "SIGRTMIN+5",  "SIGRTMIN+6",  "SIGRTMIN+7",
		"SIGRTMIN+8",  "SIGRTMIN+9",  "SIGRTMIN+10", "SIGRTMIN+11", "SIGRTMIN+12", "SIGRTMIN+13", "SIGRTMIN+14", "SIGRTMIN+15",
		"SIGRTMAX-14", "SIGRTMAX-13", "SIGRTMAX-12", "SIGRTMAX-11", "SIGRTMAX-10", "SIGRTMAX-9",  "SIGRTMAX-8",  "SIGRTMAX-7",
		"SIGRTMAX-6",  "SIGRTMAX-5",  "SIGRTMAX-4",  "SIGRTMAX-3",  "SIGRTMAX-2",  "SIGRTMAX-1",  "SIGRTMAX",
	};
	if (signal >= RT_MIN && signal <= RT_MAX) return realtime[signal - RT_MIN];
	return signal > 0 && signal < (int)ARRAY_LEN(signal_names) ? signal_names[signal] : NULL;
}
