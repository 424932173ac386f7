/* mounts.c: the configuration's mounts, in their order (config.md, "Mounts").
 *
 * Sources are opened by the command where it has rights the init will not have (a new user namespace), else by the init,
 * in order, so that a bind can have a mount made just before as its source. Targets are opened, and made where missing, below the
 * descriptor of the root, and what is mounted is attached to that descriptor.
 */
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "runtime/launch.h"
#include "runtime/tree_copy.h"
#include "sys/lsm.h"
#include "sys/path.h"

static bool is_bind(const LaunchMount *m)
{
	return m->options.flags & MS_BIND || (m->mount->type && streq(m->mount->type, "bind"));
}

static bool is_type(const LaunchMount *m, const char *type)
{
	return m->mount->type && streq(m->mount->type, type) && !is_bind(m);
}

/* A destination is a path inside the container; some callers give it with the rootfs in front. */
static const char *destination_inside(const Launch *l, const char *destination)
{
	const char *rootfs = l->container->state.rootfs;
	char *clean = path_clean(l->arena, destination);
	size_t n = strlen(rootfs);
	if (!clean || n <= 1) return clean;
	if (strncmp(clean, rootfs, n) == 0 && (clean[n] == '/' || clean[n] == 0)) return clean[n] ? clean + n : "/";
	return clean;
}

int launch_plan_mounts(Launch *l, Err *e)
{
	LaunchMount *items = arena_array(l->arena, l->spec->mounts.n + 1, sizeof *items);
	if (!items) return err_sys(e, ENOMEM, "mounts");
	for (size_t i = 0; i < l->spec->mounts.n; i++) {
		LaunchMount *m = &items[i];
		m->mount = &l->spec->mounts.items[i];
		m->source = -1;
		int r = mount_options_parse(&m->mount->options, l->arena, &m->options, e);
		if (r < 0) return err_wrap(e, "config.json: mounts[%zu].options", i);
		m->destination = destination_inside(l, m->mount->destination);
		if (!m->destination) return err_sys(e, ENOMEM, "mounts");
		bool mapped = m->mount->uid_mappings.n || m->options.idmap;
		if (mapped && !is_bind(m)) return err_set(e, ERR_CONFIG, EINVAL, "config.json: mounts[%zu]: id mappings need a bind mount", i);
		if (is_bind(m) && (!m->mount->source || !*m->mount->source))
			return err_set(e, ERR_CONFIG, EINVAL, "config.json: mounts[%zu].source: a bind mount needs one", i);
		if (m->options.idmap && !m->mount->uid_mappings.n) {
			if (!oci_namespace(l->spec, CLONE_NEWUSER))
				return err_set(e, ERR_CONFIG, EINVAL, "config.json: mounts[%zu]: idmap without mappings needs a user namespace", i);
			l->idmap_by_own_userns = true;
		}
	}
	l->mounts.items = items;
	l->mounts.n = l->spec->mounts.n;
	return 0;
}

static int mount_fail(Err *e, const LaunchMount *m, int r, const char *what)
{
	const char *source = m->mount->source ? m->mount->source : "";
	if (what) return err_sys(e, r, "error mounting \"%s\" to rootfs at \"%s\": %s", source, m->mount->destination, what);
	return err_sys(e, r, "error mounting \"%s\" to rootfs at \"%s\"", source, m->mount->destination);
}

static int map_source(const LaunchMount *m, int tree, int own_userns, Err *e)
{
	AUTO_FD int made = -1;
	int ns = own_userns;
	if (m->mount->uid_mappings.n) {
		made = idmap_userns_fd(&m->mount->uid_mappings, &m->mount->gid_mappings, e);
		if (made < 0) return err_wrap(e, "error mounting \"%s\": id mapping", m->mount->destination);
		ns = made;
	}
	int r = mount_idmap(tree, ns, m->options.idmap == MOUNT_RIDMAP);
	if (r < 0) return mount_fail(e, m, r, "failed to set MOUNT_ATTR_IDMAP (the file system may not support id mapped mounts)");
	return 0;
}

static int open_source(const LaunchMount *m, int own_userns, Err *e)
{
	AUTO_FD int tree = mount_clone(AT_FDCWD, m->mount->source, m->options.flags & MS_REC);
	if (tree < 0) return mount_fail(e, m, tree, "open source");
	if (m->mount->uid_mappings.n || m->options.idmap) {
		int r = map_source(m, tree, own_userns, e);
		if (r < 0) return r;
	}
	return take_fd(tree);
}

/* A source inside the root may be made by a mount before it: the init opens that one, in its turn. */
static bool lies_in_root(const Launch *l, const char *source)
{
	const char *rootfs = l->container->state.rootfs;
	size_t n = strlen(rootfs);
	char *clean = path_clean(l->arena, source);
	return clean && strncmp(clean, rootfs, n) == 0 && (clean[n] == '/' || clean[n] == 0);
}

/* Sources that the init may not reach, with the rights of a new user namespace; and a peer of a host mount, which must be made outside.
 * All others the init opens, in order, so that mountinfo shows the configuration's order. */
static bool is_needed_early(const Launch *l, const LaunchMount *m)
{
	int p = l->spec->lnx->rootfs_propagation;
	bool peer = false;
	for (size_t i = 0; i < m->options.propagations; i++)
		peer |= (p == OCI_SHARED || p == OCI_RSHARED) && m->options.propagation[i] & MS_SHARED;
	if (!peer && !oci_namespace(l->spec, CLONE_NEWUSER)) return false;
	return !lies_in_root(l, m->mount->source);
}

int mounts_open_sources(Launch *l, int own_userns, Err *e)
{
	for (size_t i = 0; i < l->mounts.n; i++) {
		LaunchMount *m = &l->mounts.items[i];
		bool own = m->options.idmap && !m->mount->uid_mappings.n;
		if (!is_bind(m) || m->source >= 0 || own != (own_userns >= 0)) continue;
		bool mapped = m->mount->uid_mappings.n || own;
		if (!mapped && !is_needed_early(l, m)) continue;
		m->source = open_source(m, own_userns, e);
		if (m->source == -EPERM && l->rt->rootless && !mapped) m->source = -1; /* the init may, in its user namespace */
		if (m->source < -1) return m->source;
	}
	return 0;
}

/* Nothing may cover what the kernel shows below /proc, but for these files that callers fake. */
static int check_proc(const LaunchMount *m, int target, Err *e)
{
	static const char *const allowed[] = { "/proc/cpuinfo", "/proc/diskstats",  "/proc/meminfo", "/proc/stat",
					       "/proc/swaps",	"/proc/uptime",	    "/proc/loadavg", "/proc/slabinfo",
					       "/proc/net/dev", "/proc/sys/kernel/ns_last_pid", "/proc/sys/crypto/fips_enabled" };
	if (path_is_fs(target, PROC_SUPER_MAGIC) < 0) return 0;
	for (size_t i = 0; i < ARRAY_LEN(allowed); i++)
		if (streq(m->destination, allowed[i])) return 0;
	return err_set(e, ERR_SECURITY, EPERM, "error mounting \"%s\" to rootfs at \"%s\": \"%s\" cannot be mounted because it is inside /proc",
		       m->mount->source ? m->mount->source : "", m->mount->destination, m->destination);
}

static int set_propagation(const LaunchMount *m, int fd, Err *e)
{
	for (size_t i = 0; i < m->options.propagations; i++) {
		unsigned long p = m->options.propagation[i];
		int r = mount_attr(fd, 0, 0, p & ~(unsigned long)MS_REC, p & MS_REC);
		if (r < 0) return mount_fail(e, m, r, "set propagation");
	}
	return 0;
}

static int set_recursive(const LaunchMount *m, int fd, Err *e)
{
	if (!m->options.rec_set && !m->options.rec_clear) return 0;
	int r = mount_attr(fd, m->options.rec_set, m->options.rec_clear, 0, true);
	return r < 0 ? mount_fail(e, m, r, "set recursive attributes") : 0;
}

static int make_bind(LaunchMount *m, int root, Err *e)
{
	struct stat st;
	int r;
	if (m->source < 0) m->source = open_source(m, -1, e);
	if (m->source < 0) return m->source;
	AUTO_FD int tree = take_fd(m->source);
	if (fstat(tree, &st) < 0) return mount_fail(e, m, errno, "stat source");
	AUTO_FD int target = S_ISDIR(st.st_mode) ? path_make_dir(root, m->destination, 0755) : path_make_file(root, m->destination, 0755);
	if (target < 0) return mount_fail(e, m, target, "create mount point");
	if (path_is_fs(tree, PROC_SUPER_MAGIC) < 0 && (r = check_proc(m, target, e)) < 0) return r;
	if ((r = mount_bind_flags(tree, &m->options)) < 0) return mount_fail(e, m, r, NULL);
	if ((r = set_recursive(m, tree, e)) < 0) return r;
	if ((r = mount_attach(tree, target)) < 0) return mount_fail(e, m, r, NULL);
	return set_propagation(m, tree, e);
}

/* The kernel's own file systems go on a real directory: a link there would put them, and all that is later written "to proc", elsewhere. */
static int open_plain_dir(Launch *l, const LaunchMount *m, int root, Err *e)
{
	AUTO_FD int parent = -1;
	struct stat st;
	const char *name = m->destination + 1;
	if (strchr(name, '/')) { /* an unusual place: the last part is what matters */
		const char *slash = strrchr(m->destination, '/');
		char *dir = arena_str(l->arena, (Str){ m->destination, (size_t)(slash - m->destination) });
		parent = dir ? path_make_dir(root, dir, 0755) : -ENOMEM;
		if (parent < 0) return mount_fail(e, m, parent, "create mount point");
		name = slash + 1;
	}
	int at = parent >= 0 ? parent : root;
	if (*name && mkdirat(at, name, 0755) < 0 && errno != EEXIST) return mount_fail(e, m, errno, "create mount point");
	AUTO_FD int fd = openat(at, *name ? name : ".", O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0) return mount_fail(e, m, errno, "open mount point");
	if (!S_ISDIR(st.st_mode))
		return err_set(e, ERR_SECURITY, EINVAL, "error mounting \"%s\" to rootfs at \"%s\": filesystem \"%s\" must be mounted on ordinary directory",
			       m->mount->source ? m->mount->source : "", m->mount->destination, m->mount->type);
	return take_fd(fd);
}

/* Keeps the permissions of the directory that a tmpfs covers, unless the options say otherwise. */
static const char *tmpfs_data(Launch *l, const LaunchMount *m, int target, bool existed)
{
	struct stat st;
	const char *data = m->options.data;
	if (!existed || starts_with(data, "mode=") || strstr(data, ",mode=") || fstat(target, &st) < 0) return data;
	return arena_printf(l->arena, "%s%smode=%o", data, *data ? "," : "", st.st_mode & 07777);
}

static int make_tmpfs(Launch *l, LaunchMount *m, int root, Err *e)
{
	AUTO_FD int existing = path_open(root, m->destination, O_PATH | O_DIRECTORY, 0);
	bool existed = existing >= 0;
	AUTO_FD int target = existed ? take_fd(existing) : path_make_dir(root, m->destination, 0755);
	if (target < 0) return mount_fail(e, m, target, "create mount point");
	int r = check_proc(m, target, e);
	if (r < 0) return r;
	AUTO_BUF options = BUF_INIT(65536);
	const char *data = tmpfs_data(l, m, target, existed);
	if (!data) return err_sys(e, ENOMEM, "mount");
	buf_puts(&options, data);
	if (selinux_enabled() && (r = lsm_mount_option(l->spec->lnx->mount_label, &options, e)) < 0) return r;
	unsigned long flags = m->options.flags;
	bool late_ro = flags & MS_RDONLY && (m->options.copy_up || streq(m->destination, "/dev"));
	AUTO_FD int lower = -1;
	if (m->options.copy_up) {
		lower = path_open(root, m->destination, O_RDONLY | O_DIRECTORY, 0);
		if (lower < 0) return mount_fail(e, m, lower, "open what lies below");
	}
	r = mount_at(m->mount->source ? m->mount->source : "tmpfs", target, "tmpfs", late_ro ? flags & ~(unsigned long)MS_RDONLY : flags, buf_str(&options));
	if (r < 0) return mount_fail(e, m, r, NULL);
	if (!m->options.copy_up && !m->options.propagations && !m->options.rec_set && !m->options.rec_clear) return 0;
	AUTO_FD int top = path_open(root, m->destination, O_PATH | O_DIRECTORY, 0);
	if (top < 0) return mount_fail(e, m, top, "open");
	if (m->options.copy_up && (r = tree_copy(lower, top, e)) < 0) return err_wrap(e, "error mounting tmpfs at \"%s\": tmpcopyup", m->destination);
	if (m->options.copy_up && late_ro && (r = mount_attr(top, MOUNT_ATTR_RDONLY, 0, 0, false)) < 0) return mount_fail(e, m, r, "read-only");
	if ((r = set_recursive(m, top, e)) < 0) return r;
	return set_propagation(m, top, e);
}

/* proc, sysfs, mqueue, devpts and any other type: mount(2) on the descriptor. */
static int make_typed(Launch *l, LaunchMount *m, int root, Err *e)
{
	bool plain = is_type(m, "proc") || is_type(m, "sysfs");
	AUTO_FD int target = plain ? open_plain_dir(l, m, root, e) : path_make_dir(root, m->destination, 0755);
	if (target < 0) return plain ? target : mount_fail(e, m, target, "create mount point");
	int r;
	if (!plain && (r = check_proc(m, target, e)) < 0) return r;
	AUTO_BUF options = BUF_INIT(65536);
	buf_puts(&options, m->options.data);
	if (!plain && selinux_enabled() && (r = lsm_mount_option(l->spec->lnx->mount_label, &options, e)) < 0) return r;
	const char *source = m->mount->source ? m->mount->source : m->mount->type;
	r = mount_at(source, target, m->mount->type, m->options.flags, buf_str(&options));
	if (r == -EPERM && is_type(m, "sysfs") && oci_namespace(l->spec, CLONE_NEWUSER)) {
		/* not ours to mount: show the host's, as far as its flags allow */
		AUTO_FD int tree = mount_clone(AT_FDCWD, "/sys", true);
		if (tree >= 0 && mount_attr(tree, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, 0, 0, false) == 0)
			r = mount_attach(tree, target);
	}
	if (r < 0) return mount_fail(e, m, r, NULL);
	if (!m->options.propagations && !m->options.rec_set && !m->options.rec_clear) return 0;
	AUTO_FD int top = path_open(root, m->destination, O_PATH, 0);
	if (top < 0) return mount_fail(e, m, top, "open");
	if ((r = set_recursive(m, top, e)) < 0) return r;
	return set_propagation(m, top, e);
}

static int make_cgroup(Launch *l, LaunchMount *m, int root, Err *e)
{
	AUTO_FD int target = path_make_dir(root, m->destination, 0755);
	if (target < 0) return mount_fail(e, m, target, "create mount point");
	int r = check_proc(m, target, e);
	return r < 0 ? r : cgroup_mount(l, m, root, target, e);
}

int mounts_make(Launch *l, int root, Err *e)
{
	for (size_t i = 0; i < l->mounts.n; i++) {
		LaunchMount *m = &l->mounts.items[i];
		int r;
		if (is_bind(m))
			r = make_bind(m, root, e);
		else if (is_type(m, "tmpfs"))
			r = make_tmpfs(l, m, root, e);
		else if (is_type(m, "cgroup") || is_type(m, "cgroup2"))
			r = make_cgroup(l, m, root, e);
		else if (m->mount->type && *m->mount->type)
			r = make_typed(l, m, root, e);
		else
			r = err_set(e, ERR_CONFIG, EINVAL, "config.json: mounts[%zu].type: required unless the mount is a bind", i);
		if (r < 0) return r;
	}
	return 0;
}
