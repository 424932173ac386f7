/* control.c: see control.h. */
#include "engine/control.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/time.h"
#include "engine/box.h"
#include "engine/mounts.h"
#include "engine/networking.h"
#include "engine/root_size.h"
#include "engine/start.h"
#include "monitor/attendance.h"
#include "sys/proc.h"
#include "sys/tree_remove.h"

enum {
	ATTENDANT_MS = 5000,
	STATE_ARENA = 1 << 20,
	CLEARED_MS = 20000,
	GONE_POLL_NS = 20000000,
	CONNECT_MS = 3000,
	CONNECT_POLL_NS = 2000000,
	LOCK_MS = 100,
	KILLED_S = 10
};

static int state_of(Engine *g, const Record *c, RunState *ret, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(STATE_ARENA);
	int r = engine_state(g, c, &a, ret, e);
	ret->error = NULL; /* lies in the arena */
	ret->boot = NULL;
	ret->health = NULL;
	return r;
}

static bool is_alive(const RunState *s)
{
	return s->status == RUN_RUNNING || s->status == RUN_RESTARTING;
}

/* Until nobody holds its lock: its monitor has cleared everything. */
static int await_cleared(Engine *g, const Record *c, Err *e)
{
	AUTO_FD int dir = record_dir(g, c->id, e);
	if (dir < 0) return dir == -ENOENT ? 0 : dir;
	AUTO_FD int lock = record_lock(g, c->id, dir, CLEARED_MS, e);
	return lock < 0 && lock != -ENOENT ? lock : 0;
}

/* ---- pause ---- */

/* A mark beside the truth, which only the cgroup tells: who lists a thousand containers looks into the cgroups of those that have it. */
#define PAUSE_MARK "paused"

static bool may_be_paused(Engine *g, const Record *c)
{
	char path[RECORD_ID_LENGTH + 32];
	snprintf(path, sizeof path, "containers/%s/" PAUSE_MARK, c->id);
	return faccessat(g->root_dir, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int mark_paused(Engine *g, const Record *c, bool paused, Err *e)
{
	AUTO_FD int dir = record_dir(g, c->id, e);
	if (dir < 0) return dir;
	if (paused) return fd_remake_file(dir, PAUSE_MARK, "", 0, 0600, e);
	(void)!unlinkat(dir, PAUSE_MARK, 0);
	return 0;
}

int engine_is_paused(Engine *g, const Record *c)
{
	Err ignored = ERR_INIT;
	AUTO_BOX b = BOX_INIT;
	if (!may_be_paused(g, c) || box_load(g, c, &b, &ignored) < 0) return 0;
	return cgroup_is_frozen(&b.container.state.cgroup) == 1;
}

int engine_pause(Engine *g, const Record *c, bool pause, Err *e)
{
	RunState s;
	AUTO_BOX b = BOX_INIT;
	int r = state_of(g, c, &s, e);
	if (r < 0) return r;
	if (s.status == RUN_RESTARTING)
		return err_set(e, ERR_STATE, EBUSY, "Container %s is restarting, wait until the container is running", c->id);
	if (s.status != RUN_RUNNING)
		return pause ? err_set(e, ERR_STATE, EINVAL, "container %s is not running", c->id)
			     : err_set(e, ERR_STATE, EINVAL, "Container %s is not paused", c->id);
	if ((r = box_load(g, c, &b, e)) < 0) return r;
	bool paused = cgroup_is_frozen(&b.container.state.cgroup) == 1;
	if (paused && pause) return err_set(e, ERR_STATE, EINVAL, "Container %s is already paused", c->id);
	if (!paused && !pause) return err_set(e, ERR_STATE, EINVAL, "Container %s is not paused", c->id);
	if (pause && (r = mark_paused(g, c, true, e)) < 0) return r;
	if ((r = container_pause(&b.container, pause, e)) < 0) {
		bool ended = state_of(g, c, &s, e) >= 0 && !is_alive(&s);
		return ended ? err_set(e, ERR_STATE, ESRCH, "container %s is not running", c->id) : r;
	}
	if (!pause && (r = mark_paused(g, c, false, e)) < 0) return r;
	record_event(g, c, pause ? "pause" : "unpause", NULL, NULL);
	return 0;
}

/* ---- the end of a run ---- */

/* A monitor that is about to start its container again, or has just been started, does not listen for a moment. */
static int connect_to(Engine *g, const Record *c, Err *e)
{
	RunState s;
	int sock;
	for (int64_t until = time_monotonic() + CONNECT_MS * INT64_C(1000000); (sock = monitor_connect(g, c->id)) < 0;) {
		if (time_monotonic() > until || state_of(g, c, &s, e) < 0 || !is_alive(&s)) break;
		const struct timespec t = { .tv_nsec = CONNECT_POLL_NS };
		nanosleep(&t, NULL);
	}
	return sock < 0 ? err_sys(e, -sock, "reach the monitor of container %s", c->name) : sock;
}

/* A frozen container takes no signal but SIGKILL, and not that one on v1. */
static void thaw(Engine *g, const Record *c)
{
	Err ignored = ERR_INIT;
	if (engine_is_paused(g, c) > 0) (void)!engine_pause(g, c, false, &ignored);
}

/* A monitor whose socket is gone (another --run-root, a directory that somebody cleared) still attends its container: end that. */
static void kill_directly(const RunState *s)
{
	AUTO_FD int pidfd = s->pid > 0 ? pid_open_exact((pid_t)s->pid, s->start_time) : -1;
	if (pidfd >= 0) (void)!pid_send(pidfd, SIGKILL);
	if (pidfd >= 0) (void)!pid_wait_exit(pidfd, CONNECT_MS);
}

/* 1: it ran. */
static int stop(Engine *g, const Record *c, int timeout, int signal, Err *e)
{
	RunState s;
	int r = state_of(g, c, &s, e);
	if (r < 0 || !is_alive(&s)) return r;
	thaw(g, c);
	Err why = ERR_INIT;
	AUTO_FD int sock = connect_to(g, c, &why);
	r = sock < 0 ? sock : monitor_ask(sock, WIRE_STOP, timeout, signal, NULL, &why);
	if (sock < 0) {
		kill_directly(&s);
		if ((r = await_cleared(g, c, e)) < 0) return r;
	}
	/* it ended by itself meanwhile, or its monitor was killed: the state tells */
	int now = state_of(g, c, &s, e);
	if (now < 0) return now == -ENOENT ? 0 : now; /* and has been removed */
	if (is_alive(&s)) {
		*e = why;
		return r < 0 ? r : err_set(e, ERR_INTERNAL, EIO, "container %s did not stop", c->name);
	}
	r = await_cleared(g, c, e);
	return r < 0 ? r : 1;
}

int engine_keep(Engine *g, const Record *c, int *ret_socket, Err *e)
{
	AUTO_FD int sock = monitor_connect(g, c->id);
	*ret_socket = -1;
	if (sock < 0) return sock == -ENOENT || sock == -ECONNREFUSED ? 0 : err_sys(e, -sock, "reach the monitor of container %s", c->name);
	int r = monitor_ask(sock, WIRE_KEEP, 0, 0, NULL, e);
	if (r >= 0) *ret_socket = take_fd(sock);
	return r;
}

int engine_stop(Engine *g, const Record *c, int timeout, int signal, Err *e)
{
	int r = stop(g, c, timeout, signal, e);
	if (r > 0) record_event(g, c, "stop", NULL, NULL);
	return r < 0 ? r : 0;
}

/* One connection's worth: 1 when the container has ended, 0 when the connection ended first. */
static int hear_end(int sock, int *ret_status, Err *e)
{
	static char data[WIRE_DATA_MAX];
	for (;;) {
		WireHead h;
		size_t n = 0, n_fds = 0;
		int fds[WIRE_FDS_MAX];
		int r = wire_receive(sock, &h, data, &n, fds, &n_fds);
		if (r <= 0) return r < 0 ? err_sys(e, -r, "hear from the container's monitor") : 0;
		if (h.kind != WIRE_EXITED) continue;
		*ret_status = h.value;
		return 1;
	}
}

/* It cannot but end, unless a device does not answer it. */
static int await_killed(int sock, Err *e)
{
	const struct timeval patience = { .tv_sec = KILLED_S };
	Err why = ERR_INIT;
	int status;
	if (setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0) return err_sys(e, errno, "wait for the end");
	if (wire_send(sock, WIRE_WAIT, 0, 0, NULL, 0, NULL, 0) < 0) return 0; /* it has ended */
	return hear_end(sock, &status, &why) < 0
		       ? err_set(e, ERR_INTERNAL, ETIMEDOUT, "tried to kill container, but did not receive an exit event")
		       : 0;
}

static int check_running(Engine *g, const Record *c, Err *e)
{
	RunState s;
	int r = state_of(g, c, &s, e);
	if (r < 0 || s.status == RUN_RUNNING) return r;
	return err_set(e, ERR_STATE, ESRCH, "container %s is not running", c->id);
}

int engine_kill(Engine *g, const Record *c, int signal, Err *e)
{
	char text[16];
	Err why = ERR_INIT;
	int r = check_running(g, c, e);
	if (r < 0) return r;
	if (signal == SIGKILL) thaw(g, c);
	AUTO_FD int sock = connect_to(g, c, &why);
	if ((r = sock) >= 0) r = monitor_ask(sock, WIRE_SIGNAL, signal, 0, NULL, &why);
	if (r < 0) {
		int now = check_running(g, c, e); /* it has ended meanwhile */
		if (now >= 0) *e = why;
		return now < 0 ? now : r;
	}
	snprintf(text, sizeof text, "%d", signal);
	record_event(g, c, "kill", "signal", text);
	return signal == SIGKILL ? await_killed(sock, e) : 0;
}

/* ---- wait ---- */

static int await_end(Engine *g, const Record *c, bool next, int *ret_status, Err *e)
{
	for (;;) {
		RunState s;
		int r = state_of(g, c, &s, e);
		if (r < 0) return r;
		*ret_status = s.exit_code;
		if (!is_alive(&s) && !next) return 0;
		AUTO_FD int sock = monitor_connect(g, c->id);
		if (sock >= 0 && (r = wire_send(sock, WIRE_WAIT, !next, 0, NULL, 0, NULL, 0)) >= 0) {
			r = hear_end(sock, ret_status, e);
			if (r != 0) return r < 0 ? r : 0;
		}
		const struct timespec t = { .tv_nsec = GONE_POLL_NS };
		nanosleep(&t, NULL); /* being started again, or not started yet */
	}
}

static int await_removed(Engine *g, const Record *c, Err *e)
{
	for (;;) {
		AUTO_FD int dir = record_dir(g, c->id, e);
		if (dir < 0) return 0;
		const struct timespec t = { .tv_nsec = GONE_POLL_NS };
		nanosleep(&t, NULL);
	}
}

int engine_wait(Engine *g, const Record *c, WaitCondition condition, int *ret_status, Err *e)
{
	int r = await_end(g, c, condition == WAIT_NEXT_EXIT, ret_status, e);
	return r < 0 || condition != WAIT_REMOVED ? r : await_removed(g, c, e);
}

/* ---- remove ---- */

static int refuse_running(Engine *g, const Record *c, const RunState *s, Err *e)
{
	const char *what = s->status == RUN_RESTARTING ? "restarting" : "running";
	if (engine_is_paused(g, c) > 0)
		return err_set(e, ERR_STATE, EBUSY, "cannot remove container \"%s\": container is paused and must be unpaused first",
			       c->name);
	return err_set(e, ERR_STATE, EBUSY,
		       "cannot remove container \"%s\": container is %s: stop the container before removing or force remove", c->name,
		       what);
}

/* What was set aside. Two at one tree would trip over each other: who has its lock, as a sweep may, removes it. */
static int remove_aside(Engine *g, const Record *c, const char *name, Err *e)
{
	AUTO_FD int aside = openat(g->root_dir, STORE_ASIDE, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO_FD int dir = aside < 0 ? -1 : openat(aside, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	int r = dir < 0 ? -errno : flock(dir, LOCK_EX | LOCK_NB) < 0 ? 0 : tree_remove(aside, name);
	return r < 0 && r != -ENOENT ? err_sys(e, -r, "remove the files of container %s", c->name) : 0;
}

static int remove_files(Engine *g, const Record *c, Err *e)
{
	char path[RECORD_ID_LENGTH + 16], name[SET_ASIDE_MAX];
	snprintf(path, sizeof path, "containers/%s", c->id);
	int r = store_set_aside(g->store, path, name);
	if (r < 0 && r != -ENOENT) return err_sys(e, -r, "remove %s/%s", g->root, path);
	bool swept = r == -ENOENT; /* by somebody who found it doomed */
	if ((r = db_run(g->db, "DELETE FROM doomed WHERE path = ?", DB_ARGS(db_text(path)), e)) < 0) return r;
	return swept ? 0 : remove_aside(g, c, name, e);
}

/* Those nobody else has. */
static int remove_volumes(Engine *g, const Record *c, Err *e)
{
	const Volumes v = engine_volumes(g);
	for (size_t i = 0; i < c->mounts.n; i++) {
		const MountPoint *m = &c->mounts.items[i];
		Err why = ERR_INIT;
		if (!streq(m->type, "volume") || !m->anonymous) continue;
		int r = volume_remove(&v, m->name, &why);
		if (r < 0 && r != -EBUSY && r != -ENOENT) {
			*e = why;
			return r;
		}
		if (r >= 0) volume_event(g, "destroy", m->name);
	}
	return store_sweep(g->store, e);
}

static bool has_anonymous(const Record *c)
{
	for (size_t i = 0; i < c->mounts.n; i++)
		if (c->mounts.items[i].anonymous) return true;
	return false;
}

/* One attempt: its lock, when it does not run. -EAGAIN: somebody has it, who may be starting it. -ENOENT: there is no directory. */
static int lock_ended(Engine *g, const Record *c, bool force, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(STATE_ARENA);
	RunState s;
	int r = state_of(g, c, &s, e);
	if (r < 0) return r;
	if (is_alive(&s)) {
		if (!force) return refuse_running(g, c, &s, e);
		if ((r = stop(g, c, 0, SIGKILL, e)) < 0) return r;
	}
	AUTO_FD int dir = record_dir(g, c->id, e);
	if (dir < 0) return dir;
	AUTO_FD int lock = record_lock(g, c->id, dir, LOCK_MS, e);
	if (lock < 0) return lock == -EBUSY ? -EAGAIN : lock;
	r = engine_recover(g, c, dir, &a, &s, e);
	return r < 0 ? r : take_fd(lock);
}

static int lock_for_removal(Engine *g, const Record *c, bool force, Err *e)
{
	for (int64_t until = time_monotonic() + CLEARED_MS * INT64_C(1000000);;) {
		int lock = lock_ended(g, c, force, e);
		if (lock != -EAGAIN) return lock;
		if (time_monotonic() > until) return err_wrap(e, "remove container %s", c->name);
	}
}

static void forget_size(Engine *g, const Record *c)
{
	Err ignored = ERR_INIT;
	if (!c->host.storage_opt.n) return;
	AUTO_FD int dir = record_dir(g, c->id, &ignored);
	root_size_forget(c, dir);
}

int engine_remove(Engine *g, const Record *c, const RemoveOptions *o, Err *e)
{
	AUTO_FD int lock = lock_for_removal(g, c, o->force, e);
	if (lock < 0 && lock != -ENOENT) return lock;
	forget_size(g, c);
	networking_forget(g, c->id);
	int r = record_delete(g, c->id, true, e);
	if (r < 0) return r;
	record_event(g, c, "destroy", NULL, NULL);
	if ((r = remove_files(g, c, e)) < 0 || !o->volumes || !has_anonymous(c)) return r;
	return remove_volumes(g, c, e);
}

/* Of a monitor that is not there any more, the files are ours to remove. */
static int hand_over(Engine *g, const Record *c, int sock, const char *name, Err *e)
{
	return wire_send(sock, WIRE_REMOVED, 0, 0, name, strlen(name), NULL, 0) >= 0 ? 0 : remove_aside(g, c, name, e);
}

int engine_discard(Engine *g, const Record *c, int sock, Err *e)
{
	char path[RECORD_ID_LENGTH + 16], name[SET_ASIDE_MAX];
	snprintf(path, sizeof path, "containers/%s", c->id);
	forget_size(g, c);
	int r = store_set_aside(g->store, path, name);
	if (r < 0) return engine_remove(g, c, &(RemoveOptions){ .volumes = true }, e);
	r = record_delete(g, c->id, false, e);
	if (r >= 0) record_event(g, c, "destroy", NULL, NULL);
	if (r >= 0 || r == -ENOENT) r = hand_over(g, c, sock, name, e);
	return r < 0 || !has_anonymous(c) ? r : remove_volumes(g, c, e);
}

int engine_rename(Engine *g, const Record *c, const char *name, Err *e)
{
	const char *bare = name[0] == '/' ? name + 1 : name;
	RunState s;
	if (!*bare) return err_set(e, ERR_CONFIG, EINVAL, "Neither old nor new names may be empty");
	char with_slash[130]; /* as docker shows it */
	snprintf(with_slash, sizeof with_slash, "/%.128s", bare);
	int r = record_name_check(strlen(bare) > 128 ? bare : with_slash, e);
	if (r < 0) return err_wrap(e, "Error when allocating new name");
	if (streq(bare, c->name)) return err_set(e, ERR_CONFIG, EINVAL, "Renaming a container with the same name as its current name");
	if ((r = record_rename(g, c->id, bare, e)) < 0) return err_wrap(e, "Error when allocating new name");
	Record renamed = *c;
	renamed.name = bare;
	record_event(g, &renamed, "rename", "oldName", c->name);
	if ((r = state_of(g, c, &s, e)) < 0 || !is_alive(&s)) return r;
	AUTO_FD int sock = monitor_connect(g, c->id);
	if (sock >= 0) (void)!monitor_ask(sock, WIRE_RENAME, 0, 0, bare, e);
	return attendance_changed(g->run_root, c->id, ATTENDANT_MS, e);
}
