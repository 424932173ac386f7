/* attendant.c: the life of an attendant: lock, loop, end. See attendant.h. */
#include "attendant/attendant.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attendant/attendant_impl.h"
#include "base/duration.h"
#include "base/heap.h"
#include "base/time.h"
#include "sys/fd.h"
#include "sys/fd_limit.h"

#define IDLE (10 * DURATION_SECOND)
#define ENGINE_IDLE DURATION_SECOND
enum { BACKLOG = 4096, FDS_MAX = 4 * NAMES_MEMBERS_MAX }; /* a connection and two sockets each, and what else there is */

/* ---- the database ---- */

void attendant_engine_close(Attendant *t)
{
	loop_timer_cancel(&t->close_engine);
	if (t->engine_open) engine_close(&t->engine);
	t->engine_open = false;
}

/* After work that is seldom: pages of the heap, and of the program, which come back from its file when they are wanted. */
static void give_back_memory(void)
{
	extern char __executable_start[], etext[]; /* the linker's; nothing between them is ever written */
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), begin = ((uintptr_t)__executable_start + page - 1) & -page,
			end = (uintptr_t)etext & -page;
	heap_trim();
	if (end > begin) (void)!madvise((void *)begin, end - begin, MADV_DONTNEED);
}

static void close_engine(void *arg)
{
	attendant_engine_close(arg);
	give_back_memory();
}

int attendant_engine(Attendant *t, Engine **ret, Err *e)
{
	int r = t->engine_open ? 0 : engine_open(t->o->root, t->o->run_root, &t->engine, e);
	if (r < 0) return r;
	t->engine_open = true;
	*ret = &t->engine;
	loop_timer_set(&t->loop, &t->close_engine, time_monotonic() + ENGINE_IDLE, close_engine, t);
	return 0;
}

/* ---- the end ---- */

static int listen_here(Attendant *t)
{
	if (unlinkat(t->dir, ATTENDANCE_SOCKET, 0) < 0 && errno != ENOENT) return -errno;
	t->listen = fd_listen_unix(t->dir, ATTENDANCE_SOCKET, SOCK_SEQPACKET | SOCK_NONBLOCK, 0600);
	if (t->listen < 0) return t->listen;
	return listen(t->listen, BACKLOG) < 0 ? -errno : 0;
}

/* Who was connected while the socket went, and is not heard any more, reads the end and tries again. */
static void leave(void *arg)
{
	Attendant *t = arg;
	connection_accept_all(t);
	if (t->connections) return;
	(void)unlinkat(t->dir, ATTENDANCE_SOCKET, 0);
	loop_stop(&t->loop, 0);
}

void attendant_idle(Attendant *t)
{
	if (t->connections)
		loop_timer_cancel(&t->idle);
	else
		loop_timer_set(&t->loop, &t->idle, time_monotonic() + (t->o->idle ? t->o->idle : IDLE), leave, t);
}

/* Containers may still run: their monitors start another. */
static void take_signal(void *arg, const struct signalfd_siginfo *info)
{
	Attendant *t = arg;
	(void)info;
	loop_stop(&t->loop, 0);
}

/* ---- the beginning ---- */

static int watch_signals(Attendant *t)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	return loop_signals_add(&t->loop, &t->signals, &set, take_signal, t);
}

static void listening(void *arg, uint32_t events)
{
	(void)events;
	connection_accept_all(arg);
}

/* ready: told once somebody can connect. */
static int serve(Attendant *t, int ready)
{
	struct stat st;
	const bool lost = fstatat(t->dir, ATTENDANCE_SOCKET, &st, AT_SYMLINK_NOFOLLOW) == 0; /* the last one was killed */
	(void)fd_limit_raise(FDS_MAX);
	int r = loop_init(&t->loop);
	if (r < 0) return r;
	helper_init(t);
	if ((r = watch_signals(t)) < 0 || (r = listen_here(t)) < 0) return r;
	if ((r = loop_fd_add(&t->loop, &t->listening, t->listen, EPOLLIN, listening, t)) < 0) return r;
	healer_init(t);
	host_files_init(t);
	if (lost) {
		healer_now(t);
		helper_wait(t);
	}
	attendant_idle(t);
	fd_close(ready);
	give_back_memory();
	r = loop_run(&t->loop);
	connections_close(t);
	helper_done(t);
	healer_done(t);
	host_files_done(t);
	attendant_engine_close(t);
	return r;
}

/* The lock: handed on by who starts us, or ours if it can be. 0: somebody else has it. */
static int take_lock(Attendant *t, Err *e)
{
	struct stat here, given;
	AUTO_FD int own = openat(t->dir, ATTENDANCE_LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (own < 0 || fstat(own, &here) < 0) return err_sys(e, errno, "open %s/" ATTENDANCE_LOCK, t->o->run_root);
	const bool handed = fstat(ATTENDANCE_LOCK_FD, &given) == 0 && given.st_dev == here.st_dev && given.st_ino == here.st_ino &&
			    own != ATTENDANCE_LOCK_FD;
	const int lock = handed ? ATTENDANCE_LOCK_FD : own;
	if (flock(lock, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? 0 : err_sys(e, errno, "lock %s/" ATTENDANCE_LOCK, t->o->run_root);
	if (fcntl(lock, F_SETFD, FD_CLOEXEC) < 0) return err_sys(e, errno, "lock %s/" ATTENDANCE_LOCK, t->o->run_root);
	t->lock = handed ? lock : take_fd(own);
	return 1;
}

static void leave_caller(void)
{
	AUTO_FD int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int i = 0; i < 3 && null >= 0; i++)
		(void)!dup2(null, i);
	setsid();
	(void)!chdir("/");
}

/* Nobody waits for us any longer than until we listen, and nobody has us as a child. */
static int detach(Attendant *t, Err *e)
{
	int pair[2];
	char nothing;
	if (pipe2(pair, O_CLOEXEC) < 0) return err_sys(e, errno, "start the attendant of networks");
	const pid_t pid = fork();
	fd_close(pair[pid == 0 ? 0 : 1]);
	if (pid == 0) {
		leave_caller();
		_exit(serve(t, pair[1]) < 0);
	}
	if (pid > 0) (void)!retry_eintr(read(pair[0], &nothing, 1));
	fd_close(pair[0]);
	return pid < 0 ? err_sys(e, errno, "start the attendant of networks") : 0;
}

int attendant_run(const AttendantOptions *o, Err *e)
{
	static Attendant t = { .lock = -1, .listen = -1, .notify = -1, .healer = { .watch = -1 } };
	t.o = o;
	t.dir = open(o->run_root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t.dir < 0) return err_sys(e, errno, "open %s", o->run_root);
	int r = take_lock(&t, e);
	if (r > 0) r = detach(&t, e);
	t.dir = fd_close(t.dir);
	t.lock = fd_close(t.lock);
	return r < 0 ? r : 0;
}
