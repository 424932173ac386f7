/* cmd_monitor.c: monitor: how the engine starts the process that stays with a container. Not for people. */
#include <fcntl.h>
#include <unistd.h>

#include "cli/runtime/commands.h"
#include "monitor/monitor.h"

enum { CONTROL = 3, ROOT, LOCK };

int monitor_command_run(Invocation *in, Err *e)
{
	for (int fd = CONTROL; fd <= LOCK; fd++)
		if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
			return err_set(e, ERR_USAGE, EBADF, "monitor: descriptor %d is not open: this command is for skep alone", fd);
	const MonitorStart s = { .dir = in->args.items[0], .control = CONTROL, .root = ROOT, .lock = LOCK };
	return monitor_run(&s, e);
}
