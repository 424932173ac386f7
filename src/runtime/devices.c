/* devices.c: the device nodes and links that every container has, and linux.devices. */
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "runtime/launch.h"
#include "sys/path.h"

typedef struct Node {
	const char *path;
	mode_t mode; /* with S_IFCHR, … */
	dev_t rdev;
	uid_t uid;
	gid_t gid;
} Node;

/* config-linux.md, "Default Devices" */
static const struct {
	const char *path;
	unsigned major, minor;
} default_nodes[] = {
	{ "/dev/null", 1, 3 },   { "/dev/zero", 1, 5 },    { "/dev/full", 1, 7 },
	{ "/dev/random", 1, 8 }, { "/dev/urandom", 1, 9 }, { "/dev/tty", 5, 0 },
};

static int fail(Err *e, const char *path, int r)
{
	return err_sys(e, r, "create device %s", path);
}

static bool is_same(const struct stat *st, const Node *n)
{
	return (st->st_mode & S_IFMT) == (n->mode & S_IFMT) && (S_ISFIFO(n->mode) || st->st_rdev == n->rdev);
}

/* Where nodes cannot be made (a user namespace), the host's own is bound, if it is the right one. */
static int bind_host_node(int dir, const char *name, const Node *n, Err *e)
{
	struct stat st;
	AUTO_FD int host = openat(AT_FDCWD, n->path, O_PATH | O_CLOEXEC);
	if (host < 0) return fail(e, n->path, errno);
	if (fstat(host, &st) < 0 || !is_same(&st, n))
		return err_set(e, ERR_CONFIG, EPERM, "create device %s: not permitted here, and the host's is another device", n->path);
	/* a regular file to bind over; what is there already is covered, never opened: it may be another device */
	if (mknodat(dir, name, S_IFREG | 0666, 0) < 0 && errno != EEXIST) return fail(e, n->path, errno);
	AUTO_FD int target = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	AUTO_FD int tree = mount_clone(host, "", false);
	if (target < 0 || tree < 0) return fail(e, n->path, target < 0 ? errno : tree);
	int r = mount_attach(tree, target);
	return r < 0 ? fail(e, n->path, r) : 0;
}

static int make_node(int dir, const char *name, const Node *n, bool user_ns, Err *e)
{
	struct stat st;
	if (user_ns && !S_ISFIFO(n->mode)) return bind_host_node(dir, name, n, e);
	if (mknodat(dir, name, n->mode, n->rdev) == 0) {
		if ((n->uid || n->gid) && fchownat(dir, name, n->uid, n->gid, AT_SYMLINK_NOFOLLOW) < 0) return fail(e, n->path, errno);
		return 0;
	}
	if (errno == EPERM) return bind_host_node(dir, name, n, e);
	if (errno != EEXIST) return fail(e, n->path, errno);
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0) return fail(e, n->path, errno);
	if (is_same(&st, n)) return 0;
	/* the image brought something else of that name: never use it as the device */
	if (unlinkat(dir, name, 0) < 0 || mknodat(dir, name, n->mode, n->rdev) < 0) return fail(e, n->path, errno);
	return 0;
}

static int make_default_nodes(int dev, bool user_ns, Err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(default_nodes); i++) {
		Node n = { .path = default_nodes[i].path,
			   .mode = S_IFCHR | 0666,
			   .rdev = makedev(default_nodes[i].major, default_nodes[i].minor) };
		int r = make_node(dev, n.path + strlen("/dev/"), &n, user_ns, e);
		if (r < 0) return r;
	}
	return 0;
}

static bool is_default(const char *path)
{
	for (size_t i = 0; i < ARRAY_LEN(default_nodes); i++)
		if (streq(path, default_nodes[i].path)) return true;
	return streq(path, "/dev/ptmx") || streq(path, "/dev/console");
}

static int make_configured(const OciDevice *d, int root, bool user_ns, Arena *a, Err *e)
{
	char *path = path_clean(a, d->path);
	char *slash = path ? strrchr(path, '/') : NULL;
	if (!slash || !slash[1]) return fail(e, d->path, -EINVAL);
	if (is_default(path)) return 0; /* already there, as every container has it */
	mode_t type = d->type[0] == 'b' ? S_IFBLK : d->type[0] == 'p' ? S_IFIFO : S_IFCHR;
	Node n = {
		.path = path,
		.mode = type | (d->file_mode.set ? (mode_t)d->file_mode.v & 07777 : 0666),
		.rdev = type == S_IFIFO ? 0 : makedev((unsigned)d->major.v, (unsigned)d->minor.v),
		.uid = (uid_t)d->uid.v,
		.gid = (gid_t)d->gid.v,
	};
	*slash = 0;
	AUTO_FD int dir = path_make_dir(root, path, 0755);
	*slash = '/';
	if (dir < 0) return fail(e, d->path, dir);
	return make_node(dir, slash + 1, &n, user_ns, e);
}

/* A link, replacing whatever else has the name. */
static int make_link(int dev, const char *name, const char *target, Err *e)
{
	char now[64];
	if (symlinkat(target, dev, name) == 0) return 0;
	if (errno != EEXIST) return err_sys(e, errno, "create link /dev/%s", name);
	ssize_t n = readlinkat(dev, name, now, sizeof now);
	if (n == (ssize_t)strlen(target) && memcmp(now, target, (size_t)n) == 0) return 0;
	if (unlinkat(dev, name, 0) < 0 || symlinkat(target, dev, name) < 0) return err_sys(e, errno, "replace /dev/%s by a link", name);
	return 0;
}

static int make_links(int dev, Err *e)
{
	static const char *const links[][2] = {
		{ "fd", "/proc/self/fd" },       { "stdin", "/proc/self/fd/0" }, { "stdout", "/proc/self/fd/1" },
		{ "stderr", "/proc/self/fd/2" }, { "ptmx", "pts/ptmx" },
	};
	for (size_t i = 0; i < ARRAY_LEN(links); i++) {
		int r = make_link(dev, links[i][0], links[i][1], e);
		if (r < 0) return r;
	}
	return 0;
}

/* A bind over /dev brings its own devices: nothing is made in somebody else's directory. */
static bool dev_is_bound(const Launch *l)
{
	bool bound = false;
	for (size_t i = 0; i < l->mounts.n; i++)
		if (streq(l->mounts.items[i].destination, "/dev")) bound = l->mounts.items[i].options.flags & MS_BIND;
	return bound;
}

int devices_make(Launch *l, int root, Err *e)
{
	bool user_ns = oci_namespace(l->spec, CLONE_NEWUSER) != NULL;
	if (dev_is_bound(l)) return 0;
	AUTO_FD int dev = l->dev >= 0 ? take_fd(l->dev) : path_make_dir(root, "/dev", 0755);
	if (dev < 0) return err_sys(e, dev, "create /dev");
	mode_t mask = umask(0);
	int r = make_default_nodes(dev, user_ns, e);
	for (size_t i = 0; r >= 0 && i < l->spec->lnx->devices.n; i++)
		r = make_configured(&l->spec->lnx->devices.items[i], root, user_ns, l->arena, e);
	umask(mask);
	return r < 0 ? r : make_links(dev, e);
}

/* The rules for the default devices go behind the configuration's: they hold whatever that denies. */
int devices_default_rules(CgroupResources *r, const OciSpec *s, Arena *a)
{
	static const struct {
		const char *type;
		int64_t major, minor;
		const char *access;
	} rules[] = {
		{ "c", -1, -1, "m" }, { "b", -1, -1, "m" }, { "c", 1, 3, "rwm" }, { "c", 1, 8, "rwm" },    { "c", 1, 7, "rwm" },
		{ "c", 5, 0, "rwm" }, { "c", 1, 5, "rwm" }, { "c", 1, 9, "rwm" }, { "c", 136, -1, "rwm" }, { "c", 5, 2, "rwm" },
	};
	size_t n = r->devices.n;
	if (!n) return 0; /* nothing restricted: the parent's rules stand */
	CgroupDeviceRule *items = arena_array(a, n + ARRAY_LEN(rules) + s->lnx->devices.n, sizeof *items);
	if (!items) return -ENOMEM;
	memcpy(items, r->devices.items, n * sizeof *items);
	for (size_t i = 0; i < ARRAY_LEN(rules); i++)
		items[n++] = (CgroupDeviceRule){ .allow = true,
						 .type = rules[i].type,
						 .major = { rules[i].major >= 0, rules[i].major },
						 .minor = { rules[i].minor >= 0, rules[i].minor },
						 .access = rules[i].access };
	r->devices.items = items;
	r->devices.n = n;
	return 0;
}
