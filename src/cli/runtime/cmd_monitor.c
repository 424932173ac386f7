/* cmd_monitor.c: monitor: how the engine starts the process that stays with a container. Not for people. */
#include <fcntl.h>

#include "cli/runtime/commands.h"
#include "monitor/begin.h"
#include "monitor/monitor.h"

int monitor_command_run(Invocation *in, Err *e)
{
	if (fcntl(MONITOR_CONTROL, F_SETFD, FD_CLOEXEC) < 0 || fcntl(MONITOR_BEGIN, F_SETFD, FD_CLOEXEC) < 0)
		return err_set(e, ERR_USAGE, EBADF, "monitor: descriptor %d or %d is not open: this command is for skep alone",
			       MONITOR_CONTROL, MONITOR_BEGIN);
	return monitor_run(MONITOR_CONTROL, MONITOR_BEGIN, (char *)(uintptr_t)in->args.items[0], e);
}
