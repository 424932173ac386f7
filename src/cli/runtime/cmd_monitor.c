/* cmd_monitor.c: monitor: how the engine starts the process that stays with a container. Not for people. */
#include <fcntl.h>
#include <unistd.h>

#include "cli/runtime/commands.h"
#include "monitor/monitor.h"

int monitor_command_run(Invocation *in, Err *e)
{
	for (int fd = MONITOR_CONTROL; fd < MONITOR_SOURCES; fd++)
		if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
			return err_set(e, ERR_USAGE, EBADF, "monitor: descriptor %d is not open: this command is for skep alone", fd);
	const MonitorStart s = { .dir = in->args.items[0],
				 .control = MONITOR_CONTROL,
				 .root = MONITOR_ROOT,
				 .lock = MONITOR_LOCK,
				 .config = MONITOR_CONFIG,
				 .spec = MONITOR_SPEC };
	return monitor_run(&s, e);
}
