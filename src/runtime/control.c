/* control.c: kill, pause, update. */
#include <sched.h>
#include <signal.h>

#include "runtime/launch.h"
#include "sys/proc.h"

static bool has_pid_namespace(const Container *c)
{
	OciSpec spec;
	Err ignored = ERR_INIT;
	return container_spec(c, &spec, &ignored) < 0 || oci_is_new(&spec, CLONE_NEWPID);
}

int container_kill(Container *c, int signal, bool all, Err *e)
{
	AUTO_FD int pidfd = container_pidfd(c);
	bool alive = pidfd >= 0 && container_status(c) != STATUS_STOPPED;
	if (all) return cgroup_signal(&c->state.cgroup, signal, e);
	/* without a pid namespace of its own, the end of init does not end the others */
	if (signal == SIGKILL && !has_pid_namespace(c)) return cgroup_signal(&c->state.cgroup, signal, e);
	if (!alive) return err_set(e, ERR_STATE, ESRCH, "container not running");
	int r = pid_send(pidfd, signal);
	if (r < 0) return err_sys(e, r, "send %s to container %s", signal_name(signal), c->state.id);
	/* a frozen process takes nothing, not even this */
	if (signal == SIGKILL && cgroup_is_frozen(&c->state.cgroup) == 1) return cgroup_freeze(&c->state.cgroup, false, e);
	return 0;
}

int container_pause(Container *c, bool pause, Err *e)
{
	ContainerStatus s = container_status(c);
	if (pause && s != STATUS_RUNNING && s != STATUS_CREATED) return err_set(e, ERR_STATE, EINVAL, "container not running");
	if (!pause && s != STATUS_PAUSED) return err_set(e, ERR_STATE, EINVAL, "container not paused");
	return cgroup_freeze(&c->state.cgroup, pause, e);
}

int container_update(Container *c, const CgroupResources *r, const IntelRdt *rdt, Err *e)
{
	if (container_status(c) == STATUS_STOPPED) return err_set(e, ERR_STATE, EINVAL, "container not running");
	int x = cgroup_apply(&c->state.cgroup, r, true, e);
	if (x < 0 || !rdt) return x;
	if (!c->state.rdt.clos) return err_set(e, ERR_STATE, EINVAL, "container %s has no Intel RDT group", c->state.id);
	AUTO_FD int root = rdt_open(NULL, c->arena, NULL, e);
	return root < 0 ? root : rdt_update(root, &c->state.rdt, rdt, e);
}
