/* delete.c: the end of a container: processes, cgroup, mounts, state, hooks. */
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <unistd.h>

#include "runtime/launch.h"
#include "sys/proc.h"

enum { KILL_WAIT_MS = 10000 };

static int kill_init(Container *c, Err *e)
{
	AUTO_FD int pidfd = container_pidfd(c);
	if (pidfd < 0) return 0;
	int r = pid_send(pidfd, SIGKILL);
	if (r < 0 && r != -ESRCH) return err_sys(e, r, "kill container %s", c->state.id);
	if (cgroup_is_frozen(&c->state.cgroup) == 1 && (r = cgroup_freeze(&c->state.cgroup, false, e)) < 0) return r;
	r = pid_wait_exit(pidfd, KILL_WAIT_MS);
	return r < 0 ? err_sys(e, r, "wait for container %s to die", c->state.id) : 0;
}

/* Poststop hooks run for the container as it was; what they fail at is told, and the container is gone all the same. */
static void run_poststop(Container *c, const OciSpec *spec)
{
	Err e = ERR_INIT;
	for (size_t i = 0; i < spec->hooks.poststop.n; i++) {
		OciHookList one = { .items = &spec->hooks.poststop.items[i], .n = 1 };
		if (hooks_run("poststop", &one, c, STATUS_STOPPED, 0, NULL, &e) < 0) log_write(c->rt->log, LOG_WARN, "%s", e.msg);
	}
}

static int remove_traces(Container *c, Err *e)
{
	Err busy = ERR_INIT;
	int r = cgroup_remove(&c->state.cgroup, 0, &busy);
	if (r < 0) {
		/* processes that outlived their init (no pid namespace), or are on their way out */
		if ((r = cgroup_signal(&c->state.cgroup, SIGKILL, e)) < 0) return r;
		if ((r = cgroup_remove(&c->state.cgroup, KILL_WAIT_MS, e)) < 0) return r;
	}
	if (!c->state.rdt.clos) return 0;
	AUTO_FD int root = rdt_open(NULL, c->arena, NULL, e);
	return root < 0 ? root : rdt_remove(root, &c->state.rdt, e);
}

int container_finish(Container *c, const OciSpec *spec, Err *e)
{
	int r = remove_traces(c, e);
	if (r < 0) return err_wrap(e, "delete container %s", c->state.id);
	if (c->state.host_mounts && spec) (void)!rootfs_unmount(c, spec);
	if (spec) run_poststop(c, spec);
	return container_remove_dir(c, e);
}

int container_delete(Container *c, bool force, Err *e)
{
	OciSpec spec;
	Err unread = ERR_INIT;
	bool has_spec = container_spec(c, &spec, &unread) >= 0;
	ContainerStatus s = container_status(c);
	int r;
	if (s == STATUS_CREATING && !force)
		return err_set(e, ERR_STATE, EBUSY, "cannot delete container %s that is being created: try again, or use --force",
			       c->state.id);
	if (!force && (s == STATUS_RUNNING || s == STATUS_PAUSED))
		return err_set(e, ERR_STATE, EBUSY, "cannot delete container %s that is not stopped: %s", c->state.id,
			       container_status_name(s));
	if (s != STATUS_STOPPED && (r = kill_init(c, e)) < 0) return r;
	return container_finish(c, has_spec ? &spec : NULL, e);
}

int container_delete_remains(const Runtime *rt, const char *id, Err *e)
{
	int r = container_id_check(id, e);
	if (r < 0) return r;
	AUTO_ARENA a = ARENA_INIT(65536);
	Container c = { .rt = rt, .arena = &a, .dir = -1, .state.id = id };
	char *path = arena_printf(&a, "%s/%s", rt->root, id);
	if (!path) return err_sys(e, ENOMEM, "delete %s", id);
	AUTO_FD int dir = openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (dir < 0) return errno == ENOENT ? 0 : err_sys(e, errno, "open %s", path);
	if (flock(dir, LOCK_EX | LOCK_NB) < 0) return err_set(e, ERR_STATE, EBUSY, "container %s is being created: try again", id);
	c.dir = dir;
	return container_remove_dir(&c, e);
}
