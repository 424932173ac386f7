/* cgroup_mount.c: a mount of type cgroup: what the container sees of its control groups (config-linux.md, "Cgroup ownership"). */
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/launch.h"
#include "sys/path.h"

static int fail(Err *e, const LaunchMount *m, int r, const char *what)
{
	return err_sys(e, r, "error mounting \"cgroup\" to rootfs at \"%s\": %s", m->mount->destination, what);
}

/* With what is mounted below it: in a user namespace the kernel gives no part of a tree without the rest. */
static int bind_directory(const char *from, int target, const LaunchMount *m, Err *e)
{
	uint64_t set, clear;
	mount_flag_attrs(m->options.flags, &set, &clear);
	AUTO_FD int tree = mount_clone_attr(AT_FDCWD, from, true, set, 0);
	if (tree < 0) return fail(e, m, tree, from);
	int r = mount_attach(tree, target);
	return r < 0 ? fail(e, m, r, "attach") : 0;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

/* "cpu,cpuacct" mounted as one also answers to each of its names. */
static int link_names(int top, const CgroupHierarchy *h)
{
	Str rest = str_of(h->name), one;
	if (!strchr(h->name, ',')) return 0;
	while (str_next(&rest, ',', &one)) {
		char name[64];
		if (!one.n || one.n >= sizeof name || str_eq(one, base_name(h->mount))) continue;
		memcpy(name, one.p, one.n);
		name[one.n] = 0;
		if (symlinkat(base_name(h->mount), top, name) < 0 && errno != EEXIST) return -errno;
	}
	return 0;
}

/* top is a tmpfs that was mounted a moment ago: names in it are ours. */
static int mount_hierarchy(const LaunchMount *m, const CgroupHierarchy *h, int top, bool own_ns, FdBin *bin, Err *e)
{
	const char *name = base_name(h->mount);
	bool v2 = !*h->name, named = starts_with(h->name, "name=");
	uint64_t set, clear;
	if (mkdirat(top, name, 0755) < 0 && errno != EEXIST) return fail(e, m, errno, name);
	if (own_ns) {
		char data[128];
		snprintf(data, sizeof data, "%s%s", named ? "none," : "", h->name);
		int r = mount_at_name("cgroup", top, name, v2 ? "cgroup2" : "cgroup", m->options.flags, v2 ? NULL : data);
		if (r == 0) return 0;
		if (r != -EPERM && r != -EBUSY) return fail(e, m, r, name);
	}
	mount_flag_attrs(m->options.flags, &set, &clear);
	int tree = mount_clone_attr(AT_FDCWD, h->path, false, set, 0);
	if (tree == -ENOENT) return 0; /* a hierarchy that turned out unusable: shown empty */
	if (tree < 0) return fail(e, m, tree, h->path);
	fd_bin_add(bin, tree);
	if (move_mount(tree, "", top, name, MOVE_MOUNT_F_EMPTY_PATH) < 0) return fail(e, m, errno, name);
	return 0;
}

static int mount_v1(Launch *l, const LaunchMount *m, int target, Err *e)
{
	const Cgroup *cg = &l->container->state.cgroup;
	static const char *const options[] = { "source=tmpfs", "mode=755", NULL };
	bool own_ns = oci_is_new(l->spec, CLONE_NEWCGROUP);
	uint64_t set, clear;
	int r;
	mount_flag_attrs(m->options.flags & ~(unsigned long)MS_RDONLY, &set, &clear);
	/* by descriptor from its birth: looked up again after mounting, the name may lead elsewhere */
	AUTO_FD int top = mount_new("tmpfs", options, set);
	if (top < 0 || (r = mount_attach(top, target)) < 0) return fail(e, m, top < 0 ? top : r, "tmpfs");
	AUTO_FD_BIN bin = { .n = 0 };
	for (size_t i = 0; i < cg->hierarchies.n; i++) {
		const CgroupHierarchy *h = &cg->hierarchies.items[i];
		if ((r = mount_hierarchy(m, h, top, own_ns, &bin, e)) < 0) return r;
		if ((r = link_names(top, h)) < 0) return fail(e, m, r, h->name);
	}
	if (m->options.flags & MS_RDONLY && (r = mount_attr(top, MOUNT_ATTR_RDONLY, 0, 0, false)) < 0) return fail(e, m, r, "read-only");
	return 0;
}

static int mount_v2(Launch *l, const LaunchMount *m, int target, Err *e)
{
	const Cgroup *cg = &l->container->state.cgroup;
	if (oci_namespace(l->spec, CLONE_NEWCGROUP)) {
		int r = mount_at("cgroup", target, "cgroup2", m->options.flags, m->options.data);
		if (r == 0) return 0;
		if (r != -EPERM && r != -EBUSY) return fail(e, m, r, "cgroup2");
	}
	/* where the kernel does not mount it for us: the container's own part, not the machine's (CVE-2023-25809) */
	const char *from = "/sys/fs/cgroup";
	for (size_t i = 0; i < cg->hierarchies.n; i++)
		if (!*cg->hierarchies.items[i].name) from = cg->hierarchies.items[i].path;
	return bind_directory(from, target, m, e);
}

static bool mounts_cgroup_writable(const OciSpec *s)
{
	for (size_t i = 0; i < s->mounts.n; i++) {
		const OciMount *m = &s->mounts.items[i];
		bool cgroup = (m->source && streq(m->source, "cgroup")) || (m->type && starts_with(m->type, "cgroup"));
		if (!cgroup || !streq(m->destination, "/sys/fs/cgroup")) continue;
		for (size_t k = 0; k < m->options.n; k++)
			if (streq(m->options.items[k], "ro")) return false;
		return true;
	}
	return false;
}

int cgroup_give_away(const Launch *l, Err *e)
{
	const OciSpec *s = l->spec;
	uint32_t uid = s->process ? s->process->user.uid : 0;
	if (!oci_is_new(s, CLONE_NEWCGROUP) || !mounts_cgroup_writable(s)) return 0;
	if (oci_is_new(s, CLONE_NEWUSER) && idmap_to_host(&s->lnx->uid_mappings, uid, &uid) < 0) return 0;
	return uid == geteuid() ? 0 : cgroup_delegate(&l->container->state.cgroup, uid, (gid_t)-1, e);
}

int cgroup_mount(Launch *l, const LaunchMount *m, int target, Err *e)
{
	const Cgroup *cg = &l->container->state.cgroup;
	if (cg->layout == CGROUP_V2 || (m->mount->type && streq(m->mount->type, "cgroup2"))) return mount_v2(l, m, target, e);
	if (!cg->hierarchies.n) return bind_directory("/sys/fs/cgroup", target, m, e);
	return mount_v1(l, m, target, e);
}
