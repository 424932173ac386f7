/* mount_source.c: see mount_source.h. */
#include "engine/mount_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/mounts.h"
#include "engine/owner_ids.h"
#include "engine/tree_own.h"
#include "image/snapshot.h"
#include "monitor/volume_hold.h"
#include "sys/lsm.h"
#include "sys/mount.h"
#include "sys/mount_part.h"
#include "sys/overlay.h"
#include "sys/path.h"
#include "sys/tree_remove.h"

static bool has(const MountPoint *m, const char *option)
{
	for (size_t i = 0; i < m->options.n; i++)
		if (streq(m->options.items[i], option)) return true;
	return false;
}

static bool has_part(const MountPoint *m)
{
	return m->subpath && *m->subpath;
}

static bool is_image(const MountPoint *m)
{
	return streq(m->type, "image");
}

/* ---- volumes that are mounted ---- */

static int hold_one(Engine *g, const Record *c, const MountPoint *m, Arena *a, Err *e)
{
	const Volumes all = engine_volumes(g);
	Volume v;
	int r = volume_find(&all, m->name, a, &v, e);
	if (r < 0) return r;
	const VolumeDevice d = { str_map_get(&v.options, "type"), str_map_get(&v.options, "device"), str_map_get(&v.options, "o") };
	return volume_hold(g->root_dir, v.name, c->id, &d, m->source, e);
}

int volumes_hold(Engine *g, const Record *c, Arena *a, Err *e)
{
	int r = 0;
	for (size_t i = 0; r >= 0 && i < c->mounts.n; i++)
		if (c->mounts.items[i].held) r = hold_one(g, c, &c->mounts.items[i], a, e);
	return r;
}

void volumes_release(const Engine *g, const Record *c)
{
	Err ignored = ERR_INIT;
	for (size_t i = 0; i < c->mounts.n; i++)
		if (c->mounts.items[i].held) (void)!volume_release(g->root_dir, c->mounts.items[i].name, c->id, &ignored);
}

/* ---- what takes the container's changes ---- */

static bool make_dir(int at, const char *name, mode_t mode)
{
	return mkdirat(at, name, mode) == 0 || errno == EEXIST;
}

/* overlays/<number of the mount>, with upper and work in it, which overlayfs wants. */
static int changes_dir(int dir, size_t i, Err *e)
{
	char path[40];
	snprintf(path, sizeof path, "overlays/%zu", i);
	if (!make_dir(dir, "overlays", 0700) || !make_dir(dir, path, 0700)) return err_sys(e, errno, "make the container's %s", path);
	AUTO_FD int own = openat(dir, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (own < 0 || !make_dir(own, "upper", 0755) || !make_dir(own, "work", 0700))
		return err_sys(e, errno, "open the container's %s", path);
	return take_fd(own);
}

static int forget_changes(int dir, size_t i, Err *e)
{
	char path[40];
	snprintf(path, sizeof path, "%zu", i);
	AUTO_FD int all = openat(dir, "overlays", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int r = all < 0 ? -errno : tree_remove(all, path);
	return r < 0 && r != -ENOENT ? err_sys(e, -r, "clear the container's overlays/%s", path) : 0;
}

static int open_overlay(const MountPoint *m, int lower, int dir, size_t i, Err *e)
{
	struct stat st;
	AUTO_FD int own = changes_dir(dir, i, e);
	if (own < 0) return own;
	AUTO_FD int upper = openat(own, "upper", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (upper < 0 || fstat(lower, &st) < 0) return err_sys(e, errno, "mount %s", m->destination);
	if (!S_ISDIR(st.st_mode)) return err_sys(e, ENOTDIR, "mount %s with an overlay: %s", m->destination, m->source);
	if (fchown(upper, st.st_uid, st.st_gid) < 0 || fchmod(upper, st.st_mode & 07777) < 0)
		return err_sys(e, errno, "mount %s", m->destination);
	const OverlayOptions o = { .lower = &lower, .n = 1, .writable = own };
	return overlay_mount(&o, e);
}

/* ---- images ---- */

static int open_image(Engine *g, const MountPoint *m, int dir, int userns, size_t i, Arena *a, Err *e)
{
	Image image;
	SnapshotOptions o = SNAPSHOT_OPTIONS;
	int r = image_find(g->store, m->source, a, &image, e);
	if (r < 0) return r;
	AUTO_FD int own = m->rw ? changes_dir(dir, i, e) : -1;
	if (m->rw && own < 0) return own;
	o.writable = own;
	o.userns = userns;
	AUTO_FD int whole = snapshot_mount(g->store, &image, &o, NULL, e);
	if (whole < 0 || !has_part(m)) return take_fd(whole);
	int part = mount_part(whole, m->subpath);
	return part < 0 ? err_sys(e, -part, "cannot access path %s of image %s", m->subpath, m->name) : part;
}

/* ---- directories ---- */

/* A link in the volume leads nowhere but into the volume, however it is changed meanwhile: what is mounted is what was opened. */
static int open_part(const MountPoint *m, bool recursive, Err *e)
{
	AUTO_FD int whole = open(m->source, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (whole < 0) return err_sys(e, errno, "open %s", m->source);
	AUTO_FD int part = path_open(whole, m->subpath, O_PATH, 0);
	if (part < 0) return err_sys(e, -part, "cannot access path %s/%s", m->source, m->subpath);
	int fd = mount_clone(part, "", recursive);
	return fd < 0 ? err_sys(e, -fd, "mount %s/%s", m->source, m->subpath) : fd;
}

static int open_whole(const MountPoint *m, bool recursive, Err *e)
{
	int fd = mount_clone(AT_FDCWD, m->source, recursive);
	return fd < 0 ? err_sys(e, -fd, "mount %s at %s", m->source, m->destination) : fd;
}

int mount_source_open(Engine *g, const Record *c, size_t i, int dir, int userns, Arena *a, Err *e)
{
	const MountPoint *m = &c->mounts.items[i];
	bool recursive = !m->overlay && !has(m, "bind");
	if (is_image(m)) return open_image(g, m, dir, userns, i, a, e);
	int fd = has_part(m) ? open_part(m, recursive, e) : open_whole(m, recursive, e);
	if (fd < 0 || !m->overlay) return fd;
	AUTO_FD int lower = fd;
	int r = m->idmap && !*m->idmap && userns >= 0 ? mount_idmap(lower, userns, false) : 0;
	if (r < 0) return err_sys(e, -r, "mount %s: map its ids", m->destination);
	return open_overlay(m, lower, dir, i, e);
}

/* ---- those of a start ---- */

/* Without SELinux z and Z say nothing, as with docker. */
static bool wants_label(const MountPoint *m)
{
	Str rest = str_of(m->mode ? m->mode : ""), word;
	while (rest.n && str_next(&rest, ',', &word))
		if (str_eq(word, "z") || str_eq(word, "Z")) return selinux_enabled();
	return false;
}

static bool is_shared_label(const MountPoint *m)
{
	return !strchr(m->mode, 'Z');
}

static int open_one(Engine *g, const Record *c, size_t i, int dir, int userns, Arena *a, MountSources *s, Err *e)
{
	const MountPoint *m = &c->mounts.items[i];
	if (streq(m->type, "tmpfs") || (!is_image(m) && !has_part(m) && !m->overlay && !m->chown && !wants_label(m))) return 0;
	int r = m->overlay ? forget_changes(dir, i, e) : 0;
	if (r < 0 || (r = mount_source_open(g, c, i, dir, userns, a, e)) < 0) return r;
	s->fds[i] = r;
	s->paths[i] = has_part(m) ? arena_printf(a, "%s/%s", m->source, m->subpath) : m->source;
	return s->paths[i] ? 0 : err_sys(e, ENOMEM, "mount %s", m->destination);
}

int mount_sources_open(Engine *g, const Record *c, int dir, int userns, Arena *a, MountSources *ret, Err *e)
{
	MountSources s = { .fds = arena_array(a, c->mounts.n + 1, sizeof *s.fds),
			   .paths = arena_array(a, c->mounts.n + 1, sizeof *s.paths) };
	if (!s.fds || !s.paths) return err_sys(e, ENOMEM, "open what is mounted");
	for (size_t i = 0; i < c->mounts.n; i++)
		s.fds[i] = -1;
	s.mounts = &c->mounts;
	for (size_t i = 0; i < c->mounts.n; i++) {
		int r = open_one(g, c, i, dir, userns, a, &s, e);
		if (r >= 0) continue;
		mount_sources_done(&s);
		return r;
	}
	*ret = s;
	return 0;
}

void mount_sources_done(MountSources *s)
{
	for (size_t i = 0; s->mounts && i < s->mounts->n; i++)
		s->fds[i] = fd_close(s->fds[i]);
}

/* ---- owner and label ---- */

/* Of "user:role:type:level" without the container's own categories: what all containers may use. */
static const char *shared_label(const char *label, Arena *a)
{
	Str rest = str_of(label), part;
	const char *end = label;
	for (int i = 0; i < 4 && str_next(&rest, ':', &part); i++)
		end = part.p + part.n;
	return arena_str(a, (Str){ label, (size_t)(end - label) });
}

/* The user as the tree will show it: as the host knows it, unless the ids are mapped later. */
static int find_owner(const MountPoint *m, const IdMaps *maps, const OciUser *user, TreeOwner *o)
{
	o->uid = user->uid;
	o->gid = user->gid;
	if (mount_point_is_mapped(m)) return 0;
	int r = owner_outside(&maps->uids, user->uid, &o->uid);
	return r < 0 ? r : owner_outside(&maps->gids, user->gid, &o->gid);
}

int mount_sources_own(const MountSources *s, const IdMaps *maps, const OciSpec *spec, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(1 << 16);
	const char *label = spec->lnx->mount_label;
	for (size_t i = 0; i < s->mounts->n; i++) {
		const MountPoint *m = &s->mounts->items[i];
		TreeOwner o = { .chown = m->chown };
		if (s->fds[i] < 0) continue;
		if (label && wants_label(m)) o.label = is_shared_label(m) ? shared_label(label, &a) : label;
		if (!o.chown && !o.label) continue;
		int r = find_owner(m, maps, &spec->process->user, &o);
		if (r < 0) return err_sys(e, -r, "mount %s: the container's user has no id on the host", m->destination);
		if ((r = tree_own(s->fds[i], &o, e)) < 0) return err_wrap(e, "mount %s", m->destination);
	}
	return 0;
}
