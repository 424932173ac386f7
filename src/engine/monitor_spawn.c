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

enum { ABOVE = MONITOR_CONTROL + 1 };

#define BLANKS "                                        " /* 40 */
#define TITLE_ROOM BLANKS BLANKS BLANKS BLANKS

typedef struct Spawn {
	int program, control; /* neither is one of those that the monitor has */
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
	if (dup2(s->control, MONITOR_CONTROL) < 0) _exit(126);
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

int monitor_spawn(Err *e)
{
	int pair[2];
	AUTO_FD int file = own_program_open("skep-runtime", SKEP_LIBEXEC_DIR, e);
	if (file < 0) return file;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) return err_sys(e, errno, "start a monitor");
	AUTO_FD int ours = pair[0], theirs = pair[1], view = read_only(file);
	AUTO_FD int control = fcntl(theirs, F_DUPFD_CLOEXEC, ABOVE), program = view < 0 ? -1 : fcntl(view, F_DUPFD_CLOEXEC, ABOVE);
	if (control < 0 || program < 0) return err_sys(e, errno, "start a monitor");
	pid_t pid = proc_spawn(become_monitor, &(Spawn){ program, control });
	return pid < 0 ? err_sys(e, -pid, "start a monitor: clone") : take_fd(ours);
}
