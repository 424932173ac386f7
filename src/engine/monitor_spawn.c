/* monitor_spawn.c: see monitor_spawn.h. */
#include "engine/monitor_spawn.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "monitor/begin.h"
#include "sys/mount.h"
#include "sys/own_program.h"
#include "sys/proc.h"

enum { ABOVE = MONITOR_BEGIN + 1 };

#define BLANKS "                                        " /* 40 */
#define TITLE_ROOM BLANKS BLANKS BLANKS BLANKS

typedef struct Spawn {
	int program, control, begin; /* none is one of those that the monitor has */
} Spawn;

static int become_monitor(void *arg)
{
	const Spawn *s = arg;
	static const char *const argv[] = { "skep-runtime", "monitor", TITLE_ROOM, NULL };
	static const char *const env[] = { "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL };
	sigset_t none;
	sigemptyset(&none);
	int null = open("/dev/null", O_RDWR);
	for (int i = 0; i < 3; i++)
		if (null < 0 || dup2(null, i) < 0) _exit(126);
	if (dup2(s->control, MONITOR_CONTROL) < 0 || dup2(s->begin, MONITOR_BEGIN) < 0) _exit(126);
	setsid();
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (syscall(SYS_close_range, ABOVE, ~0U, CLOSE_RANGE_CLOEXEC) < 0 && null >= ABOVE) close(null);
	syscall(SYS_execveat, s->program, "", (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)env, AT_EMPTY_PATH);
	return 127;
}

/* A read-only view of the file, which spares the monitor the making of one: what is in a container can then not write to it (runtime/seal.h). */
static int read_only(int program)
{
	int view = mount_clone_attr(program, "", false, MOUNT_ATTR_RDONLY, 0);
	return view >= 0 ? view : fcntl(program, F_DUPFD_CLOEXEC, ABOVE);
}

void monitor_seed_close(MonitorSeed *s)
{
	s->control = fd_close(s->control);
	s->begin = fd_close(s->begin);
}

/* Our end of a socket, and the monitor's. */
static int make_socket(int *ours, int *theirs, Err *e)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) return err_sys(e, errno, "start a monitor");
	*ours = pair[0];
	*theirs = fcntl(pair[1], F_DUPFD_CLOEXEC, ABOVE);
	int r = *theirs < 0 ? -errno : 0;
	fd_close(pair[1]);
	return r < 0 ? err_sys(e, -r, "start a monitor") : 0;
}

int monitor_spawn(MonitorSeed *ret, Err *e)
{
	AUTO_MONITOR_SEED ours = MONITOR_SEED_NONE, theirs = MONITOR_SEED_NONE;
	AUTO_FD int file = own_program_open("skep-runtime", SKEP_LIBEXEC_DIR, e);
	if (file < 0) return file;
	int r = make_socket(&ours.control, &theirs.control, e);
	if (r < 0 || (r = make_socket(&ours.begin, &theirs.begin, e)) < 0) return r;
	AUTO_FD int view = read_only(file);
	AUTO_FD int program = view < 0 ? -1 : fcntl(view, F_DUPFD_CLOEXEC, ABOVE);
	if (program < 0) return err_sys(e, errno, "start a monitor");
	pid_t pid = proc_spawn(become_monitor, &(Spawn){ program, theirs.control, theirs.begin });
	if (pid < 0) return err_sys(e, -pid, "start a monitor: clone");
	*ret = ours;
	ours = MONITOR_SEED_NONE;
	return 0;
}
