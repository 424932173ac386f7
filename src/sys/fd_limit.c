/* fd_limit.c: see fd_limit.h. */
#include "sys/fd_limit.h"

static struct rlimit before;
static bool raised;

rlim_t fd_limit_raise(rlim_t most)
{
	struct rlimit now;
	if (getrlimit(RLIMIT_NOFILE, &now) < 0) return FD_LIMIT_UNKNOWN;
	const struct rlimit old = now;
	now.rlim_cur = now.rlim_max < most ? now.rlim_max : most;
	if (now.rlim_cur <= old.rlim_cur || setrlimit(RLIMIT_NOFILE, &now) < 0) return old.rlim_cur;
	if (!raised) before = old;
	raised = true;
	return now.rlim_cur;
}

void fd_limit_restore(void)
{
	if (raised) (void)setrlimit(RLIMIT_NOFILE, &before);
}
