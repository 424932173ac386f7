/* attendance.c: the monitor's side of attendance.h. */
#include "monitor/attendance.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/duration.h"
#include "base/time.h"
#include "sys/fd.h"
#include "sys/proc.h"

/* Waits before a try: 5 ms, then twice as long each time, up to a second; and of those that were refused, up to a minute. */
#define FIRST_WAIT (5 * DURATION_MILLISECOND)
#define MAX_WAIT DURATION_SECOND
#define MAX_WAIT_REFUSED DURATION_MINUTE
enum { DOUBLINGS_MAX = 16, ABOVE = ATTENDANCE_LOCK_FD + 1 };

extern char **environ;

static void try_now(void *arg);
static int connect_to(Attendance *a);

/* Hundreds may have lost the same attendant at the same moment: each waits between half of its time and all of it. */
static void try_later(Attendance *a, int64_t longest)
{
	uint32_t random = 0;
	int64_t wait = FIRST_WAIT << (a->tries < DOUBLINGS_MAX ? a->tries : DOUBLINGS_MAX);
	if (wait > longest) wait = longest;
	(void)!getrandom(&random, sizeof random, GRND_NONBLOCK);
	a->tries++;
	loop_timer_set(a->loop, &a->again, time_monotonic() + wait / 2 + random % (wait / 2), try_now, a);
}

static void disconnect(Attendance *a)
{
	if (a->fd < 0) return;
	loop_fd_remove(&a->watch);
	a->fd = fd_close(a->fd);
	a->registered = false;
}

/* ---- starting one ---- */

typedef struct Start {
	const StrList *command;
	int lock; /* above the number that it gets */
} Start;

static int become_attendant(void *arg)
{
	const Start *s = arg;
	sigset_t none;
	sigemptyset(&none);
	const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int i = 0; i < 3; i++)
		if (null < 0 || dup2(null, i) < 0) _exit(126);
	if (dup2(s->lock, ATTENDANCE_LOCK_FD) < 0 || chdir("/") < 0) _exit(126);
	setsid();
	sigprocmask(SIG_SETMASK, &none, NULL);
	(void)!syscall(SYS_close_range, ABOVE, ~0U, CLOSE_RANGE_CLOEXEC);
	execve(s->command->items[0], (char *const *)(uintptr_t)s->command->items, environ);
	_exit(127);
}

/* It has let go of us, and listens; or somebody else does; or it could not be started. */
static void started(void *arg, const siginfo_t *info)
{
	Attendance *a = arg;
	(void)info;
	a->starting = fd_close(a->starting);
	if (a->fd < 0 && connect_to(a) >= 0)
		loop_timer_cancel(&a->again); /* else at its time, or one that fails would be started without a pause */
}

/* Only who has the lock: with it goes the right to be the one. */
static void start_one(Attendance *a)
{
	if (a->starting >= 0 || !a->o.command->n) return;
	AUTO_FD int dir = open(a->o.run_root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	AUTO_FD int file = dir < 0 ? -1 : openat(dir, ATTENDANCE_LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	AUTO_FD int lock = file < 0 ? -1 : fcntl(file, F_DUPFD_CLOEXEC, ABOVE);
	if (lock < 0 || flock(lock, LOCK_EX | LOCK_NB) < 0) return;
	const pid_t pid = proc_spawn(become_attendant, &(Start){ a->o.command, lock });
	if (pid < 0) return;
	a->starting = pid_open(pid);
	if (a->starting >= 0 && loop_exit_add(a->loop, &a->started, a->starting, started, a) < 0) a->starting = fd_close(a->starting);
}

/* ---- the connection ---- */

static void hear(void *arg, uint32_t events)
{
	Attendance *a = arg;
	AttendanceMessage m;
	(void)events;
	const int r = attendance_receive(a->fd, &m);
	if (r == -EAGAIN || r == -EINTR) return;
	while (r > 0 && m.n_fds > 0)
		fd_close(m.fds[--m.n_fds]);
	if (r > 0 && m.head.kind == ATTENDANCE_OK) {
		a->registered = true;
		a->tries = 0;
		return;
	}
	disconnect(a);
	try_later(a, r > 0 ? MAX_WAIT_REFUSED : MAX_WAIT);
}

static int connect_to(Attendance *a)
{
	AUTO_FD int dir = open(a->o.run_root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0) return -errno;
	AUTO_FD int sock = fd_connect_unix(dir, ATTENDANCE_SOCKET, SOCK_SEQPACKET | SOCK_NONBLOCK);
	if (sock < 0) return sock;
	const bool asked = a->o.sockets[0] >= 0 && a->o.sockets[1] >= 0;
	int r = attendance_send(sock, ATTENDANCE_REGISTER, str_of(a->o.id), a->o.sockets, asked ? ATTENDANCE_SOCKETS : 0, NULL);
	if (r >= 0) r = loop_fd_add(a->loop, &a->watch, sock, EPOLLIN, hear, a);
	if (r >= 0) a->fd = take_fd(sock);
	return r;
}

static void try_now(void *arg)
{
	Attendance *a = arg;
	const int r = connect_to(a);
	if (r >= 0) return;
	if (r == -ENOENT || r == -ECONNREFUSED) start_one(a);
	try_later(a, MAX_WAIT);
}

void attendance_start(Attendance *a, Loop *l, const AttendanceOptions *o)
{
	*a = (Attendance){ .o = *o, .loop = l, .fd = -1, .starting = -1 };
	try_now(a);
}

void attendance_stop(Attendance *a)
{
	if (!a->loop) return;
	disconnect(a);
	loop_timer_cancel(&a->again);
	loop_exit_remove(&a->started);
	a->starting = fd_close(a->starting);
	a->loop = NULL;
}
