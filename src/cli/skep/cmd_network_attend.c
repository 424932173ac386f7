/* cmd_network_attend.c: what a monitor starts when nobody attends the networks. */
#include "attendant/attendant.h"
#include "base/duration.h"
#include "cli/skep/commands.h"

int network_attend_run(Invocation *in, Err *e)
{
	return attendant_run(&(AttendantOptions){ .root = skep_of(in)->root,
						  .run_root = skep_of(in)->run_root,
						  .idle = option_number(in, "idle") * DURATION_MILLISECOND },
			     e);
}
