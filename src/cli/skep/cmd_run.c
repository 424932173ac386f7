/* cmd_run.c: container create and run. */
#include "cli/skep/commands.h"
#include "cli/skep/container_options.h"

enum { STATUS_FAILED = 125 };

static int not_there(Err *e)
{
	return err_set(e, ERR_UNSUPPORTED, ENOTSUP, "containers are not there yet: the options are understood, and nothing was made");
}

int create_run(Invocation *in, Err *e)
{
	ContainerRequest request;
	int r = container_options_parse(in, &request, e);
	return r < 0 ? r : not_there(e);
}

int run_run(Invocation *in, Err *e)
{
	ContainerRequest request;
	int r = container_options_parse(in, &request, e);
	if (r < 0) return r;
	(void)!not_there(e);
	return usage_failure(in, STATUS_FAILED, e);
}
