/* state.c: engine_state: what containers are doing, and putting right those that lost their monitor. */
#include <unistd.h>

#include "base/time.h"
#include "engine/mount_source.h"
#include "engine/start.h"
#include "runtime/container.h"

enum { RECOVER_ARENA = 8 << 20, LOCK_WAIT_MS = 5000 };

/* What is left of the run: processes, cgroup, the runtime's state. */
static int end_remains(const Engine *g, const Record *c, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(RECOVER_ARENA);
	const Log none = { .fd = -1, .level = LOG_ERROR };
	const char *root = arena_printf(&a, "%s/runtime", g->run_root);
	if (!root) return err_sys(e, ENOMEM, "clear container %s", c->name);
	const Runtime rt = { .root = root, .name = "skep", .cgroup_driver = CGROUP_FS, .rootless = runtime_is_rootless(), .log = &none };
	AUTO_CONTAINER box = { .dir = -1 };
	Err unread = ERR_INIT;
	const char *socket = arena_printf(&a, "%s/monitors/%s", g->run_root, c->id);
	if (socket) (void)!unlink(socket); /* we hold the lock: no other monitor has made it */
	int r = container_load(&rt, c->id, &a, &box, &unread);
	return r < 0 ? container_delete_remains(&rt, c->id, e) : container_delete(&box, true, e);
}

/* The lock says that nobody else does the same, and that no monitor came to life meanwhile. */
static int recover(Engine *g, const Record *c, int dir, Arena *a, RunState *ret, Err *e)
{
	bool lost = false;
	AUTO_FD int lock = run_lock_wait(dir, LOCK_WAIT_MS, e);
	if (lock < 0) return lock;
	int r = run_state_read(dir, a, ret, e);
	if (r < 0) return r;
	lost = ret->status == RUN_RUNNING || ret->status == RUN_RESTARTING;
	if (!lost) return 0;
	if ((r = end_remains(g, c, e)) < 0) return err_wrap(e, "container %s lost its monitor", c->name);
	volumes_release(g, c);
	ret->status = RUN_EXITED;
	ret->pid = 0;
	ret->start_time = 0;
	ret->exit_code = 255;
	ret->finished_at = time_now();
	ret->error = "its monitor was killed; what was left of the container has been ended";
	if ((r = run_state_write(dir, ret, false, e)) < 0) return r;
	record_event(g, c, "die", "exitCode", "255");
	return 0;
}

int engine_state(Engine *g, const Record *c, Arena *a, RunState *ret, Err *e)
{
	bool lost;
	AUTO_FD int dir = record_dir(g, c->id, e);
	if (dir < 0) return dir;
	int r = run_state_load(dir, a, ret, &lost, e);
	if (r < 0 || !lost) return r;
	return recover(g, c, dir, a, ret, e);
}
