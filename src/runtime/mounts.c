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

/* A relative source is the bundle's. */
static const char *source_path(const Launch *l, const char *source)
{
	return source[0] == '/' ? source : arena_printf(l->arena, "%s/%s", l->container->state.bundle, source);
}

/* What the caller has made for that destination, for ourselves; -1: nothing. */
static int given_source(const Launch *l, const char *destination, Err *e)
{
	for (size_t i = 0; i < l->n_sources; i++) {
		if (!streq(l->sources[i].destination, destination)) continue;
		int fd = fcntl(l->sources[i].fd, F_DUPFD_CLOEXEC, 3);
		return fd < 0 ? err_sys(e, errno, "mount %s: its source", destination) : fd;
	}
	return -1;
}

int launch_plan_mounts(Launch *l, Err *e)
{
	LaunchMount *items = arena_array(l->arena, l->spec->mounts.n + 1, sizeof *items);
	if (!items) return err_sys(e, ENOMEM, "mounts");
	l->mounts.items = items;
	for (size_t i = 0; i < l->spec->mounts.n; i++) {
		LaunchMount *m = &items[i];
		m->mount = &l->spec->mounts.items[i];
		m->source = -1;
		int r = mount_options_parse(&m->mount->options, l->arena, &m->options, e);
		if (r < 0) return err_wrap(e, "config.json: mounts[%zu].options", i);
		m->destination = destination_inside(l, m->mount->destination);
		if (!m->destination) return err_sys(e, ENOMEM, "mounts");
		m->mapped = m->mount->uid_mappings.n || m->options.idmap;
		l->asks_idmap |= m->mapped;
		if (m->mapped && !is_bind(m))
			return err_set(e, ERR_CONFIG, EINVAL, "config.json: mounts[%zu]: id mappings need a bind mount", i);
		if (is_bind(m) && (!m->mount->source || !*m->mount->source))
			return err_set(e, ERR_CONFIG, EINVAL, "config.json: mounts[%zu].source: a bind mount needs one", i);
		if (m->options.idmap && !m->mount->uid_mappings.n && !oci_namespace(l->spec, CLONE_NEWUSER))
			return err_set(e, ERR_CONFIG, EINVAL, "config.json: mounts[%zu]: idmap without mappings needs a user namespace", i);
		if (is_bind(m) && !(m->source_path = source_path(l, m->mount->source))) return err_sys(e, ENOMEM, "mounts");
		l->mounts.n = i + 1;
		if (is_bind(m) && (m->source = given_source(l, m->mount->destination, e)) < -1) return m->source;
	}
	return 0;
}

static int mount_fail(Err *e, const LaunchMount *m, int r, const char *what)
{
	const char *source = m->mount->source ? m->mount->source : "";
	if (what) return err_sys(e, r, "error mounting \"%s\" to rootfs at \"%s\": %s", source, m->mount->destination, what);
	return err_sys(e, r, "error mounting \"%s\" to rootfs at \"%s\"", source, m->mount->destination);
}

int mounts_map(const Launch *l, size_t i, int tree, int own_userns, Err *e)
{
	const LaunchMount *m = &l->mounts.items[i];
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

/* "/proc/PID/root/…": what that process has there; mostly in a mount namespace of its own. */
static const char *inside_process(const char *source, pid_t *ret)
{
	Str rest = str_of(source), number;
	int pid;
	if (!starts_with(source, "/proc/")) return NULL;
	rest = (Str){ rest.p + strlen("/proc/"), rest.n - strlen("/proc/") };
	if (!str_next(&rest, '/', &number) || str_to_int(number, &pid) < 0 || pid <= 0 || !str_starts(rest, "root/")) return NULL;
	*ret = pid;
	return rest.p + strlen("root");
}

static int open_source(const LaunchMount *m, Err *e)
{
	pid_t pid;
	int tree = mount_clone(AT_FDCWD, m->source_path, m->options.flags & MS_REC);
	const char *inside = tree == -EINVAL ? inside_process(m->source_path, &pid) : NULL;
	if (inside) tree = mount_clone_of(pid, inside);
	return tree < 0 ? mount_fail(e, m, tree, "open source") : tree;
}

/* A source inside the root may be made by a mount before it: the init opens that one, in its turn. */
static bool lies_in_root(const Launch *l, const char *source)
{
	const char *rootfs = l->container->state.rootfs;
	size_t n = strlen(rootfs);
	char *clean = path_clean(l->arena, source);
	return clean && strncmp(clean, rootfs, n) == 0 && (clean[n] == '/' || clean[n] == 0);
}

/* Sources that the init may not reach, with the rights of a new user namespace or in another process's mount namespace; and a peer of a host mount, which must be made outside.
 * All others the init opens, in order, so that mountinfo shows the configuration's order. */
static bool is_needed_early(const Launch *l, const LaunchMount *m)
{
	int p = l->spec->lnx->rootfs_propagation;
	bool peer = false;
	pid_t pid;
	if (inside_process(m->source_path, &pid)) return true;
	for (size_t i = 0; i < m->options.propagations; i++)
		peer |= (p == OCI_SHARED || p == OCI_RSHARED) && m->options.propagation[i] & MS_SHARED;
	if (!peer && !oci_namespace(l->spec, CLONE_NEWUSER)) return false;
	return !lies_in_root(l, m->source_path);
}

int mounts_open_sources(Launch *l, Err *e)
{
	for (size_t i = 0; i < l->mounts.n; i++) {
		LaunchMount *m = &l->mounts.items[i];
		if (!is_bind(m) || m->source >= 0 || !is_needed_early(l, m)) continue;
		m->source = open_source(m, e);
		if (m->source == -EPERM && l->rt->rootless) m->source = -1; /* the init may, in its user namespace */
		if (m->source < -1) return m->source;
	}
	return 0;
}

/* Nothing may cover what the kernel shows below /proc, but for these files that callers fake; not even another file of a procfs, which
 * would take what is meant for this one (CVE-2019-19921). The whole of it may be covered by another whole procfs. */
static int check_proc(const LaunchMount *m, int target, int source, Err *e)
{
	enum { PROC_ROOT_INODE = 1 };
	struct stat st, from;
	static const char *const allowed[] = { "/proc/cpuinfo",
					       "/proc/diskstats",
					       "/proc/meminfo",
					       "/proc/stat",
					       "/proc/swaps",
					       "/proc/uptime",
					       "/proc/loadavg",
					       "/proc/slabinfo",
					       "/proc/net/dev",
					       "/proc/sys/kernel/ns_last_pid",
					       "/proc/sys/crypto/fips_enabled" };
	if (path_is_fs(target, PROC_SUPER_MAGIC) < 0) return 0;
	for (size_t i = 0; i < ARRAY_LEN(allowed); i++)
		if (streq(m->destination, allowed[i])) return 0;
	if (source >= 0 && path_is_fs(source, PROC_SUPER_MAGIC) == 0 && fstat(source, &from) == 0 && fstat(target, &st) == 0 &&
	    from.st_ino == PROC_ROOT_INODE && st.st_ino == PROC_ROOT_INODE)
		return 0;
	return err_set(e, ERR_SECURITY, EPERM,
		       "error mounting \"%s\" to rootfs at \"%s\": \"%s\" cannot be mounted because it is inside /proc",
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

/* Mapping ids takes rights over the file system, and a /proc that counts as the process does: the command has both. */
static void map_source(Launch *l, const LaunchMount *m, int tree)
{
	size_t i = (size_t)(m - l->mounts.items);
	if (!m->mapped) return;
	if (sync_ask(l->sync[1], SYNC_ASK_IDMAP, (int)i, NULL, tree) < 0) _exit(1); /* the command has told why */
}

static int make_bind(Launch *l, LaunchMount *m, int root, Err *e)
{
	struct stat st;
	int r;
	bool user_ns = oci_namespace(l->spec, CLONE_NEWUSER) != NULL, made_outside = m->source >= 0;
	if (m->source < 0) m->source = open_source(m, e);
	if (m->source < 0) return m->source;
	AUTO_FD int tree = take_fd(m->source);
	map_source(l, m, tree);
	if (fstat(tree, &st) < 0) return mount_fail(e, m, errno, "stat source");
	AUTO_FD int target = S_ISDIR(st.st_mode) ? path_make_dir(root, m->destination, 0755) : path_make_file(root, m->destination, 0755);
	if (target < 0) return mount_fail(e, m, target, "create mount point");
	if ((r = check_proc(m, target, tree, e)) < 0) return r;
	if ((r = mount_bind_flags(tree, &m->options, user_ns && made_outside)) < 0) return mount_fail(e, m, r, NULL);
	if ((r = set_recursive(m, tree, e)) < 0) return r;
	if ((r = mount_attach(tree, target)) < 0) return mount_fail(e, m, r, NULL);
	return set_propagation(m, tree, e);
}

/* The kernel's own file systems go on a real directory: a link there would put them, and all that is later written "to proc", elsewhere. */
static int open_plain_dir(Launch *l, const LaunchMount *m, int root, Err *e)
{
	AUTO_FD int parent = -1;
	const char *slash = strrchr(m->destination, '/'), *name = slash + 1;
	int flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	if (slash != m->destination) { /* an unusual place: the last part is what matters */
		char *dir = arena_str(l->arena, (Str){ m->destination, (size_t)(slash - m->destination) });
		parent = dir ? path_make_dir(root, dir, 0755) : -ENOMEM;
		if (parent < 0) return mount_fail(e, m, parent, "create mount point");
	}
	int at = parent >= 0 ? parent : root;
	int fd = openat(at, *name ? name : ".", flags);
	if (fd < 0 && errno == ENOENT) fd = mkdirat(at, name, 0755) == 0 ? openat(at, name, flags) : -1;
	if (fd >= 0) return fd;
	if (errno != ENOTDIR && errno != ELOOP) return mount_fail(e, m, errno, "open mount point");
	return err_set(e, ERR_SECURITY, EINVAL,
		       "error mounting \"%s\" to rootfs at \"%s\": filesystem \"%s\" must be mounted on ordinary directory",
		       m->mount->source ? m->mount->source : "", m->mount->destination, m->mount->type);
}

/* Where a file system goes. */
typedef struct Target {
	int fd;
	bool fresh; /* made here: it covers nothing */
} Target;

static int open_target(Launch *l, const LaunchMount *m, int root, Target *ret, Err *e)
{
	const char *name = m->destination + strlen("/dev/");
	*ret = (Target){ .fd = -1 };
	if (l->dev >= 0 && starts_with(m->destination, "/dev/") && *name && !strchr(name, '/') && mkdirat(l->dev, name, 0755) == 0) {
		/* never mounted on by name: the /dev that was found may be one that others can change */
		ret->fd = openat(l->dev, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		ret->fresh = true;
		return ret->fd < 0 ? mount_fail(e, m, errno, "open mount point") : 0;
	}
	ret->fd = path_make_dir_new(root, m->destination, 0755, &ret->fresh);
	if (ret->fd < 0) return mount_fail(e, m, ret->fd, "create mount point");
	return ret->fresh ? 0 : check_proc(m, ret->fd, -1, e);
}

static void target_done(Target *t)
{
	fd_close(t->fd);
}

/* Keeps the permissions of the directory that a tmpfs covers, unless the options say otherwise. */
static const char *tmpfs_data(Launch *l, const LaunchMount *m, const Target *t)
{
	struct stat st;
	const char *data = m->options.data;
	if (t->fresh || starts_with(data, "mode=") || strstr(data, ",mode=") || fstat(t->fd, &st) < 0) return data;
	return arena_printf(l->arena, "%s%smode=%o", data, *data ? "," : "", st.st_mode & 07777);
}

/* The options of the file system with the mount label in front, where there is one to apply. */
static const char *labelled(Launch *l, const char *data, Err *e)
{
	const char *label = l->spec->lnx->mount_label;
	if (!data) {
		err_sys(e, ENOMEM, "mount");
		return NULL;
	}
	if (!label || !*label || !selinux_enabled()) return data;
	AUTO_BUF options = BUF_INIT(65536);
	buf_puts(&options, data);
	if (lsm_mount_option(label, &options, e) < 0) return NULL;
	const char *all = arena_strdup(l->arena, buf_str(&options));
	if (!all) err_sys(e, ENOMEM, "mount");
	return all;
}

static bool needs_more(const LaunchMount *m)
{
	return m->options.propagations || m->options.rec_set || m->options.rec_clear;
}

/* A file system that is more than mounted is made apart, without a place, so that nothing is looked up twice; then it is attached. */
static int attach_made(const LaunchMount *m, int made, int target, Err *e)
{
	int r = set_recursive(m, made, e);
	if (r < 0) return r;
	if ((r = mount_attach(made, target)) < 0) return mount_fail(e, m, r, NULL);
	return set_propagation(m, made, e);
}

static int copy_up(const LaunchMount *m, int target, int made, Err *e)
{
	AUTO_FD int lower = openat(target, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (lower < 0) return mount_fail(e, m, errno, "open what lies below");
	int r = tree_copy(lower, made, e);
	if (r < 0) return err_wrap(e, "error mounting tmpfs at \"%s\": tmpcopyup", m->destination);
	if (m->options.flags & MS_RDONLY && (r = mount_attr(made, MOUNT_ATTR_RDONLY, 0, 0, false)) < 0)
		return mount_fail(e, m, r, "read-only");
	return 0;
}

static int make_tmpfs(Launch *l, LaunchMount *m, int root, Err *e)
{
	AUTO(target_done) Target t = { .fd = -1 };
	bool dev = streq(m->destination, "/dev");
	unsigned long flags = m->options.flags;
	const char *source = m->mount->source ? m->mount->source : "tmpfs";
	int r = open_target(l, m, root, &t, e);
	const char *data = r < 0 ? NULL : labelled(l, tmpfs_data(l, m, &t), e);
	if (!data) return r < 0 ? r : -e->errnum;
	if (!dev && !m->options.copy_up && !needs_more(m)) {
		r = mount_at(source, t.fd, "tmpfs", flags, data);
		return r < 0 ? mount_fail(e, m, r, NULL) : 0;
	}
	if (m->options.copy_up || dev) flags &= ~(unsigned long)MS_RDONLY; /* when it is filled */
	AUTO_FD int made = mount_made(source, "tmpfs", flags, data);
	if (made < 0) return mount_fail(e, m, made, NULL);
	if (m->options.copy_up && (r = copy_up(m, t.fd, made, e)) < 0) return r;
	if ((r = attach_made(m, made, t.fd, e)) < 0) return r;
	if (dev && !m->options.copy_up) l->dev = take_fd(made);
	return 0;
}

/* Not ours to mount: the host's sysfs is shown instead, as far as its flags allow. */
static int bind_sysfs(const LaunchMount *m, int target, Err *e)
{
	uint64_t set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
	AUTO_FD int tree = mount_clone_attr(AT_FDCWD, "/sys", true, set, 0);
	return tree < 0 ? tree : attach_made(m, tree, target, e);
}

/* proc, sysfs, mqueue, devpts and any other type. */
static int make_typed(Launch *l, LaunchMount *m, int root, Err *e)
{
	AUTO(target_done) Target t = { .fd = -1 };
	bool plain = is_type(m, "proc") || is_type(m, "sysfs");
	const char *type = m->mount->type, *source = m->mount->source ? m->mount->source : type;
	int r = plain ? t.fd = open_plain_dir(l, m, root, e) : open_target(l, m, root, &t, e);
	if (r < 0) return r;
	const char *data = plain ? m->options.data : labelled(l, m->options.data, e);
	if (!data) return -e->errnum;
	if (needs_more(m)) {
		AUTO_FD int made = mount_made(source, type, m->options.flags, data);
		if (made >= 0) return attach_made(m, made, t.fd, e);
		r = made;
	} else {
		r = mount_at(source, t.fd, type, m->options.flags, data);
	}
	if (r == -EPERM && is_type(m, "sysfs") && oci_namespace(l->spec, CLONE_NEWUSER)) r = bind_sysfs(m, t.fd, e);
	return r < 0 ? mount_fail(e, m, r, NULL) : 0;
}

static int make_cgroup(Launch *l, LaunchMount *m, int root, Err *e)
{
	AUTO_FD int target = path_make_dir(root, m->destination, 0755);
	if (target < 0) return mount_fail(e, m, target, "create mount point");
	int r = check_proc(m, target, -1, e);
	return r < 0 ? r : cgroup_mount(l, m, target, e);
}

int mounts_make(Launch *l, int root, Err *e)
{
	for (size_t i = 0; i < l->mounts.n; i++) {
		LaunchMount *m = &l->mounts.items[i];
		int r;
		if (streq(m->destination, "/dev") || streq(m->destination, "/")) l->dev = fd_close(l->dev); /* is covered now */
		if (is_bind(m))
			r = make_bind(l, m, root, e);
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
