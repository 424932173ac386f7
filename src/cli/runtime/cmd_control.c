/* cmd_control.c: kill, delete, pause, resume. */
#include <signal.h>

#include "cli/runtime/commands.h"
#include "sys/proc.h"

int kill_run(Invocation *in, Err *e)
{
	AUTO_CONTAINER c = { .dir = -1 };
	int signal = SIGTERM, r = container_load(runtime_of(in), in->args.items[0], in->arena, &c, e);
	if (r < 0) return r;
	if (in->args.n > 1) signal = signal_by_name(in->args.items[1]);
	if (signal < 0) return err_set(e, ERR_USAGE, EINVAL, "unknown signal \"%.32s\"", in->args.items[1]);
	return container_kill(&c, signal, option_switch(in, "all"), e);
}

int delete_run(Invocation *in, Err *e)
{
	AUTO_CONTAINER c = { .dir = -1 };
	bool force = option_switch(in, "force");
	const char *id = in->args.items[0];
	int r = container_load(runtime_of(in), id, in->arena, &c, e);
	if (r < 0 && force) return container_delete_remains(runtime_of(in), id, e);
	return r < 0 ? r : container_delete(&c, force, e);
}

static int set_paused(Invocation *in, bool pause, Err *e)
{
	AUTO_CONTAINER c = { .dir = -1 };
	int r = container_load(runtime_of(in), in->args.items[0], in->arena, &c, e);
	return r < 0 ? r : container_pause(&c, pause, e);
}

int pause_run(Invocation *in, Err *e)
{
	return set_paused(in, true, e);
}

int resume_run(Invocation *in, Err *e)
{
	return set_paused(in, false, e);
}
