/* state.c: engine_state: what containers are doing, and putting right those that lost their monitor. */
#include <unistd.h>

#include "base/duration.h"
#include "base/time.h"
#include "engine/mount_source.h"
#include "engine/networking.h"
#include "engine/root.h"
#include "engine/start.h"
#include "monitor/shared_layers.h"
#include "runtime/container.h"

enum { RECOVER_ARENA = 8 << 20, LOCK_WAIT_MS = 5000, PATH_ROOM = 4096 };

static void socket_path(const Engine *g, const char *id, char path[static PATH_ROOM])
{
	snprintf(path, PATH_ROOM, "%s/monitors/%s", g->run_root, id);
}

/* The socket is the first thing that a monitor makes, and the last that goes. */
static bool has_remains(const Engine *g, const Record *c)
{
	char socket[PATH_ROOM];
	socket_path(g, c->id, socket);
	return access(socket, F_OK) == 0;
}

int engine_end_remains(const Engine *g, const char *id, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(RECOVER_ARENA);
	const Log none = { .fd = -1, .level = LOG_ERROR };
	const char *root = arena_printf(&a, "%s/runtime", g->run_root);
	if (!root) return err_sys(e, ENOMEM, "clear container %s", id);
	const Runtime rt = { .root = root, .name = "skep", .cgroup_driver = CGROUP_FS, .rootless = runtime_is_rootless(), .log = &none };
	AUTO_CONTAINER box = { .dir = -1 };
	Err unread = ERR_INIT;
	char socket[PATH_ROOM];
	int r = container_load(&rt, id, &a, &box, &unread);
	r = r < 0 ? container_delete_remains(&rt, id, e) : container_delete(&box, true, e);
	if (r < 0) return r;
	socket_path(g, id, socket);
	/* we hold the lock: no other monitor has made it; and it goes last, for it says that there may be more */
	return unlink(socket) < 0 && errno != ENOENT ? err_sys(e, errno, "remove %s", socket) : 0;
}

static const char *why_lost(const RunState *s)
{
	char boot[BOOT_ID_SIZE];
	bool other = s->boot && boot_id(boot) == 0 && !streq(boot, s->boot);
	return other ? "the machine was restarted" : "its monitor was killed; what was left of the container has been ended";
}

static void tell(const Engine *g, const Record *c, const char *why)
{
	char text[512];
	if (!g->lost) return;
	snprintf(text, sizeof text, "container %s (%.12s) was lost: %s", c->name, c->id, why);
	g->lost(g->arg, text);
}

int engine_recover(Engine *g, const Record *c, int dir, Arena *a, RunState *ret, Err *e)
{
	int r = run_state_read(dir, a, ret, e);
	if (r < 0) return r;
	bool lost = ret->status == RUN_RUNNING || ret->status == RUN_RESTARTING;
	if (!lost && !has_remains(g, c)) return 0;
	if (lost) ret->error = why_lost(ret); /* others who see the lock taken shall not think that a monitor has it */
	if (lost && (r = run_state_write(dir, ret, false, e)) < 0) return r;
	volumes_release(g, c);
	networking_release(g, c->id);
	if ((r = engine_end_remains(g, c->id, e)) < 0) return err_wrap(e, "container %s lost its monitor", c->name);
	const char *layers = root_layers(g, c, a);
	if (layers) shared_layers_sweep(layers);
	if (!lost) return 0; /* killed before it had started the container, or after its end: both have been told */
	ret->status = RUN_EXITED;
	ret->pid = 0;
	ret->start_time = 0;
	ret->exit_code = 255;
	ret->finished_at = time_now();
	if ((r = run_state_write(dir, ret, false, e)) < 0) return r;
	char ran[24];
	snprintf(ran, sizeof ran, "%lld", (long long)((ret->finished_at - ret->started_at) / DURATION_SECOND));
	record_event_more(g, c, "die", (const StrPair[]){ { "execDuration", ran }, { "exitCode", "255" } }, 2);
	tell(g, c, ret->error);
	return 0;
}

int engine_state(Engine *g, const Record *c, Arena *a, RunState *ret, Err *e)
{
	bool lost;
	AUTO_FD int dir = record_dir(g, c->id, e);
	if (dir < 0) return dir;
	int r = run_state_load(dir, a, ret, &lost, e);
	if (r < 0) return r;
	if (!lost && ret->status != RUN_RUNNING && ret->status != RUN_RESTARTING) lost = has_remains(g, c) && run_is_locked(dir) == 0;
	if (!lost) return 0;
	/* nobody else does the same, and no monitor came to life meanwhile */
	AUTO_FD int lock = record_lock(g, c->id, dir, LOCK_WAIT_MS, e);
	Record whole = *c;
	if (lock < 0 || (c->brief && (r = record_find(g, c->id, a, &whole, e)) < 0)) return lock < 0 ? lock : r;
	return engine_recover(g, &whole, dir, a, ret, e);
}
