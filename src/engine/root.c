/* root.c: see root.h. */
#include "engine/root.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/mount_source.h"
#include "engine/owner_ids.h"
#include "engine/root_size.h"
#include "engine/skeleton.h"
#include "engine/start.h"
#include "image/snapshot.h"
#include "monitor/shared_layers.h"
#include "sys/mount.h"
#include "sys/overlay.h"
#include "sys/path.h"
#include "sys/proc.h"

enum { LOCK_MS = 10000, TRIES = 20 };

void container_root_close(ContainerRoot *r)
{
	r->fd = fd_close(r->fd);
	r->lock = fd_close(r->lock);
}

/* ---- of a running one ---- */

/* The pid was still that process after its root had been opened: so it is that process's root. */
static int open_running(const Record *c, const RunState *s, Err *e)
{
	char path[64];
	AUTO_FD int process = pid_open_exact((pid_t)s->pid, s->start_time);
	if (process < 0) return err_sys(e, -process, "container %s", c->name);
	snprintf(path, sizeof path, "/proc/%lld/root", (long long)s->pid);
	AUTO_FD int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int failed = fd < 0 ? errno : 0, r = pid_has_exited(process);
	if (failed == ENOENT) r = 1; /* it is about to */
	if (r != 0) return err_sys(e, r < 0 ? -r : ESRCH, "container %s", c->name);
	if (fd < 0) return err_sys(e, failed, "open the root of container %s", c->name);
	return take_fd(fd);
}

/* ---- of one that does not run ---- */

static int open_rootfs(const char *path, int userns, Err *e)
{
	AUTO_FD int fd = mount_clone(AT_FDCWD, path, true);
	if (fd < 0) return err_sys(e, -fd, "open the root directory %s", path);
	int r = userns < 0 ? 0 : mount_idmap(fd, userns, false);
	if (r < 0) return err_sys(e, -r, "root directory %s: its file system cannot map ids for the container's user namespace", path);
	return take_fd(fd);
}

const char *root_layers(const Engine *g, const Record *c, Arena *a)
{
	char hex[DIGEST_HEX_MAX];
	return c->manifest.algorithm ? arena_printf(a, "%s/layers/%s", g->run_root, digest_hex(&c->manifest, hex)) : NULL;
}

static int find_layers(const Engine *g, const Record *c)
{
	AUTO_ARENA a = ARENA_INIT(1 << 16);
	const char *dir = root_layers(g, c, &a);
	return dir ? shared_layers_open(dir) : -ENOENT;
}

int container_mount(Engine *g, const Record *c, const RootOptions *o, Err *e)
{
	const Image image = { .manifest = c->manifest, .id = c->image_id }; /* the record holds it: no need to look it up */
	SnapshotOptions s = { .writable = -1, .below = -1, .is_volatile = o->is_volatile, .userns = o->userns, .held = o->locked };
	if (c->host.rootfs && *c->host.rootfs) return open_rootfs(c->host.rootfs, o->userns, e);
	if (o->dir < 0) return snapshot_mount(g->store, &image, &s, NULL, e);
	AUTO_FD int writable = root_writable(c, o->dir, e);
	if (writable < 0) return writable;
	/* of a --rm container whose end nobody saw: under its lock it has ended */
	int r = overlay_settle(writable, e);
	if (r < 0) return r;
	AUTO_FD int below = o->userns < 0 ? skeleton_open(g) : -1; /* it would need another owner */
	s.writable = writable;
	s.below = below;
	s.layers = o->layers;
	if (s.layers) *s.layers = find_layers(g, c);
	return snapshot_mount(g->store, &image, &s, NULL, e);
}

/* A mount of its own is attached in our namespace, or nothing can be attached to it (before Linux 6.15). */
static int attach_root(Engine *g, const Record *c, int root, Err *e)
{
	char path[4096];
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return err_sys(e, errno, "make a mount namespace");
	snprintf(path, sizeof path, "%s/containers/%s/rootfs", g->root, c->id);
	AUTO_FD int target = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (target < 0) return err_sys(e, errno, "open %s", path);
	int r = mount_attach(root, target);
	return r < 0 ? err_sys(e, -r, "mount the root of container %s", c->name) : 0;
}

static int attach_mount(const MountPoint *m, int fd, int root, Err *e)
{
	struct stat st;
	if (fstat(fd, &st) < 0) return err_sys(e, errno, "mount %s", m->destination);
	int r = m->rw ? 0 : mount_attr(fd, MOUNT_ATTR_RDONLY, 0, 0, false);
	if (r < 0) return err_sys(e, -r, "mount %s", m->destination);
	AUTO_FD int target = S_ISDIR(st.st_mode) ? path_make_dir(root, m->destination, 0755) : path_make_file(root, m->destination, 0644);
	r = target < 0 ? target : mount_attach(fd, target);
	return r < 0 ? err_sys(e, -r, "mount %s in container", m->destination) : 0;
}

/* As the container has it. A volume that is mounted for this stays mounted for as long as we have its copy. */
static int open_source(Engine *g, const Record *c, size_t i, int dir, int userns, Arena *a, Err *e)
{
	const MountPoint *m = &c->mounts.items[i];
	AUTO_FD int fd = mount_source_open(g, c, i, dir, userns, a, e);
	if (fd < 0) return fd;
	int r = userns >= 0 && mount_point_is_mapped(m) ? mount_idmap(fd, userns, true) : 0;
	return r < 0 ? err_sys(e, -r, "mount %s: map its ids", m->destination) : take_fd(fd);
}

static int open_sources(Engine *g, const Record *c, int dir, int userns, int *fds, Arena *a, Err *e)
{
	int r = volumes_hold(g, c, a, e);
	for (size_t i = 0; r >= 0 && i < c->mounts.n; i++) {
		if (streq(c->mounts.items[i].type, "tmpfs")) continue;
		r = open_source(g, c, i, dir, userns, a, e);
		if (r >= 0) fds[i] = r;
	}
	volumes_release(g, c);
	return r < 0 ? r : 0;
}

static int attach_mounts(Engine *g, const Record *c, const RootOptions *o, const IdMaps *maps, int root, Arena *a, Err *e)
{
	AUTO_FS_OWNER owner = { 0 };
	int *fds = arena_array(a, c->mounts.n, sizeof *fds);
	if (!fds) return err_sys(e, ENOMEM, "mount what the container has mounted");
	for (size_t i = 0; i < c->mounts.n; i++)
		fds[i] = -1;
	int r = open_sources(g, c, o->dir, o->userns, fds, a, e);
	if (r >= 0) r = attach_root(g, c, root, e);
	if (r >= 0) r = fs_owner_take(maps, &owner, e);
	for (size_t i = 0; r >= 0 && i < c->mounts.n; i++)
		if (fds[i] >= 0) r = attach_mount(&c->mounts.items[i], fds[i], root, e);
	for (size_t i = 0; i < c->mounts.n; i++)
		fd_close(fds[i]);
	return r;
}

static int open_stopped(Engine *g, const Record *c, int dir, const IdMaps *maps, bool mounts, Arena *a, Err *e)
{
	AUTO_FD int userns = -1;
	int r = userns_open(maps, &userns, e);
	if (r < 0) return r;
	const RootOptions o = { .userns = userns, .dir = dir, .locked = true };
	AUTO_FD int root = container_mount(g, c, &o, e);
	if (root < 0) return root;
	r = mounts && c->mounts.n ? attach_mounts(g, c, &o, maps, root, a, e) : 0;
	if (r >= 0 && c->host.readonly_rootfs) {
		r = mount_attr(root, MOUNT_ATTR_RDONLY, 0, 0, false);
		if (r < 0) err_sys(e, -r, "mount the root of container %s", c->name);
	}
	return r < 0 ? r : take_fd(root);
}

/* Of a container that has ended, or is ending and will not be started again. */
static int open_unattended(Engine *g, const Record *c, bool mounts, int lock_ms, Arena *a, ContainerRoot *x, Err *e)
{
	AUTO_FD int dir = record_dir(g, c->id, e);
	if (dir < 0) return dir;
	if ((x->lock = record_lock(g, c->id, dir, lock_ms, e)) < 0)
		return x->lock == -ENOENT ? x->lock : err_wrap(e, "container %s", c->name);
	x->running = false;
	return x->fd = open_stopped(g, c, dir, &x->maps, mounts, a, e);
}

/* Whether it runs is asked again under the lock; a monitor that holds the lock has started it, or soon will, or is about to end. */
int container_root_open(Engine *g, const Record *c, bool mounts, Arena *a, ContainerRoot *ret, Err *e)
{
	AUTO_CONTAINER_ROOT x = CONTAINER_ROOT_NONE;
	RunState s;
	int r = userns_maps(&c->host, a, &x.maps, e);
	if (r < 0) return r;
	r = -EBUSY;
	for (int tries = 0; r == -EBUSY && x.lock < 0 && tries < TRIES; tries++) {
		*e = ERR_INIT;
		if ((r = engine_state(g, c, a, &s, e)) < 0) return r;
		x.running = s.status == RUN_RUNNING;
		if (x.running && (r = x.fd = open_running(c, &s, e)) != -ESRCH) break;
		r = open_unattended(g, c, mounts, LOCK_MS / TRIES, a, &x, e);
	}
	if (r < 0) return r;
	*ret = x;
	x = CONTAINER_ROOT_NONE;
	return 0;
}
