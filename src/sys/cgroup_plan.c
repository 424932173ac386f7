/* cgroup_plan.c: which hierarchies the machine has, where they are mounted, and where in them the container goes.
 *
 * The fast path needs no mountinfo: one statfs tells v2 from v1, /proc/self/cgroup lists the hierarchies, and by
 * convention each is mounted at a directory named like its controllers. Only what is not there is looked up. */
#include "sys/cgroup_impl.h"
#include "sys/path.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { HIERARCHIES_MAX = CGROUP_JOIN_MAX, SELF_MAX = 16384, MOUNTINFO_MAX = 4 << 20, NAMES_MAX = 4096 };

static const char *const layout_root = "/sys/fs/cgroup";

/* What one plan works with. */
typedef struct Plan {
	const CgroupPlace *place;
	Arena *a;
	const char *mountinfo; /* read when first needed */
	const char *inner;     /* cleaned, with a leading '/' */
	bool relative;         /* below our own group */
	char names[NAMES_MAX]; /* entries of the root: NUL-separated, ended by an empty one */
} Plan;

/* One line of /proc/self/cgroup. */
typedef struct Line {
	Str controllers, path;
} Line;

static bool line_parse(Str text, Line *ret)
{
	Str id, rest;
	return str_cut(text, ':', &id, &rest) && str_cut(rest, ':', &ret->controllers, &ret->path) && ret->path.n && ret->path.p[0] == '/';
}

/* The kernel's own record; glibc has none by this name. */
struct dirent64_raw {
	uint64_t ino;
	int64_t off;
	uint16_t reclen;
	uint8_t type;
	char name[];
};

static int list_names(Plan *p)
{
	char buf[NAMES_MAX];
	size_t n = 0;
	AUTO_FD int fd = openat(AT_FDCWD, p->place->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) return -errno;
	for (;;) {
		long k = syscall(SYS_getdents64, fd, buf, sizeof buf);
		if (k < 0) return -errno;
		if (k == 0) break;
		for (long at = 0; at < k;) {
			const struct dirent64_raw *d = (const void *)(buf + at);
			size_t len = strlen(d->name) + 1;
			if (n + len + 1 <= sizeof p->names) {
				memcpy(p->names + n, d->name, len);
				n += len;
			}
			at += d->reclen;
		}
	}
	p->names[n] = 0;
	return 0;
}

static bool name_listed(const Plan *p, Str name)
{
	for (const char *at = p->names; *at; at += strlen(at) + 1)
		if (str_eq(name, at)) return true;
	return false;
}

/* ---- mountinfo: the slow path ---- */

static const char *mountinfo_text(Plan *p)
{
	if (p->mountinfo) return p->mountinfo;
	AUTO_BUF b = BUF_INIT(MOUNTINFO_MAX);
	AUTO_FD int fd = openat(AT_FDCWD, p->place->mountinfo, O_RDONLY | O_CLOEXEC);
	p->mountinfo = "";
	if (fd >= 0 && fd_read_all(fd, &b) >= 0) {
		const char *copy = arena_strdup(p->a, buf_str(&b));
		if (copy) p->mountinfo = copy;
	}
	return p->mountinfo;
}

/* Undoes the kernel's \ooo escapes of blanks, in place of the copy. */
static char *unescape(Arena *a, Str s)
{
	char *out = arena_str(a, s), *to = out;
	if (!out) return NULL;
	for (const char *from = out; *from; from++) {
		if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] && from[3]) {
			*to++ = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0'));
			from += 3;
		} else {
			*to++ = *from;
		}
	}
	*to = 0;
	return out;
}

static bool list_has(Str list, Str item)
{
	Str piece;
	while (str_next(&list, ',', &piece))
		if (piece.n == item.n && memcmp(piece.p, item.p, item.n) == 0) return true;
	return false;
}

/* The first mount of the hierarchy with these controllers ("" for v2): its root and mount point. */
static bool mountinfo_find(Plan *p, Str controllers, char **ret_root, char **ret_mount)
{
	Str rest = str_of(mountinfo_text(p)), line, want = controllers;
	if (str_starts(controllers, "name=") == false) {
		Str tail;
		(void)str_cut(controllers, ',', &want, &tail);
	}
	while (str_next(&rest, '\n', &line)) {
		Str field[6], after, type, source, super = { 0 };
		size_t n = 0;
		Str at = line;
		while (n < 6 && str_next(&at, ' ', &field[n]))
			n++;
		if (n < 6) continue;
		Str piece;
		while (str_next(&at, ' ', &piece) && !str_eq(piece, "-"))
			;
		after = at;
		if (!str_next(&after, ' ', &type) || !str_next(&after, ' ', &source)) continue;
		super = after;
		bool found = controllers.n ? str_eq(type, "cgroup") && list_has(super, want) : str_eq(type, "cgroup2");
		if (!found) continue;
		*ret_root = unescape(p->a, field[3]);
		*ret_mount = unescape(p->a, field[4]);
		return *ret_root && *ret_mount;
	}
	return false;
}

/* ---- one hierarchy ---- */

/* "/sys/fs/cgroup/" + the usual name of the mount point; NULL when there is no such entry. */
static const char *usual_mount(const Plan *p, Str controllers)
{
	Str name = controllers, tail;
	if (!controllers.n)
		name = STR("unified");
	else if (str_starts(controllers, "name="))
		name = (Str){ controllers.p + 5, controllers.n - 5 };
	if (!name_listed(p, name)) {
		if (!str_cut(name, ',', &name, &tail) || !name_listed(p, name)) return NULL;
	}
	return arena_printf(p->a, "%s/%.*s", p->place->root, (int)name.n, name.p);
}

/* Our own group as a directory, when the container goes below it. The mount may show only a part of the hierarchy (a
 * container's view without a cgroup namespace): then the mount's root is cut off. */
static const char *own_directory(Plan *p, const Line *line, const char *mount)
{
	Str own = line->path;
	if (own.n == 1) return mount;
	char *dir = arena_printf(p->a, "%s%.*s", mount, (int)own.n, own.p);
	if (!dir || faccessat(AT_FDCWD, dir, F_OK, 0) == 0) return dir;
	char *root = NULL, *at = NULL;
	if (!mountinfo_find(p, line->controllers, &root, &at)) return mount;
	size_t n = strlen(root);
	if (n > 1 && own.n >= n && memcmp(own.p, root, n) == 0 && (own.n == n || own.p[n] == '/'))
		return arena_printf(p->a, "%s%.*s", mount, (int)(own.n - n), own.p + n);
	return mount;
}

static int add_hierarchy(Plan *p, const Line *line, const char *mount, Cgroup *cg, Err *e)
{
	if (cg->hierarchies.n == HIERARCHIES_MAX)
		return err_set(e, ERR_UNSUPPORTED, E2BIG, "more than %d cgroup hierarchies", HIERARCHIES_MAX);
	const char *base = p->relative ? own_directory(p, line, mount) : mount;
	CgroupHierarchy *h = &cg->hierarchies.items[cg->hierarchies.n];
	h->name = arena_str(p->a, line->controllers);
	h->mount = mount;
	h->path = base ? arena_printf(p->a, "%s%s", base, p->inner) : NULL;
	if (!h->name || !h->path) return err_sys(e, ENOMEM, "plan the cgroup");
	cg->hierarchies.n++;
	return 0;
}

static bool is_cgroup2(const char *path)
{
	struct statfs fs;
	return statfs(path, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC;
}

static int plan_v1_line(Plan *p, const Line *line, Cgroup *cg, Err *e)
{
	const char *mount = usual_mount(p, line->controllers);
	bool v2 = !line->controllers.n;
	if (v2 && (!mount || !(p->place->magic || is_cgroup2(mount)))) return 0; /* no v2 tree in view: a plain v1 layout */
	if (!mount) {
		char *root = NULL, *at = NULL;
		if (!mountinfo_find(p, line->controllers, &root, &at)) return 0; /* not mounted: nothing to join */
		mount = at;
	}
	if (v2) cg->layout = CGROUP_HYBRID;
	return add_hierarchy(p, line, mount, cg, e);
}

/* The group above ours: ours has processes (us), so no controller can be enabled for groups below it. */
static Str parent_of(Str path)
{
	while (path.n > 1 && path.p[path.n - 1] != '/')
		path.n--;
	if (path.n > 1) path.n--;
	return path;
}

static int plan_v2_line(Plan *p, Line *line, Cgroup *cg, Err *e)
{
	if (line->controllers.n) return 0;
	line->path = parent_of(line->path);
	return add_hierarchy(p, line, p->place->root, cg, e);
}

/* ---- the whole ---- */

static int detect_layout(Plan *p, Cgroup *cg, Err *e)
{
	unsigned long magic = p->place->magic;
	if (!magic) {
		struct statfs fs;
		if (statfs(p->place->root, &fs) < 0) return err_sys(e, errno, "%s", p->place->root);
		magic = (unsigned long)fs.f_type;
	}
	cg->layout = magic == CGROUP2_SUPER_MAGIC ? CGROUP_V2 : CGROUP_V1;
	if (cg->layout == CGROUP_V2) return 0;
	int r = list_names(p);
	return r < 0 ? err_sys(e, r, "list %s", p->place->root) : 0;
}

static int plan_hierarchies(Plan *p, Cgroup *cg, Err *e)
{
	char text[SELF_MAX];
	int r = detect_layout(p, cg, e);
	if (r < 0) return r;
	ssize_t n = fd_read_small(AT_FDCWD, p->place->self, text, sizeof text);
	if (n < 0) return err_sys(e, (int)n, "read %s", p->place->self);
	cg->hierarchies.items = arena_array(p->a, HIERARCHIES_MAX, sizeof(CgroupHierarchy));
	if (!cg->hierarchies.items) return err_sys(e, ENOMEM, "plan the cgroup");
	Str rest = { text, (size_t)n }, piece;
	while (str_next(&rest, '\n', &piece)) {
		Line line;
		if (!line_parse(piece, &line)) continue;
		r = cg->layout == CGROUP_V2 ? plan_v2_line(p, &line, cg, e) : plan_v1_line(p, &line, cg, e);
		if (r < 0) return r;
	}
	if (!cg->hierarchies.n) return err_set(e, ERR_UNSUPPORTED, ENODEV, "no cgroup mount found below %s", p->place->root);
	return 0;
}

int cgroup_plan_in(const CgroupPlace *place, const CgroupRequest *req, Arena *a, Cgroup *ret, Err *e)
{
	Plan p = { .place = place, .a = a };
	*ret = (Cgroup){ .driver = req->driver, .rootless = req->rootless, .explicit_path = req->path && *req->path };
	if (req->driver == CGROUP_DISABLED) return 0;
	if (req->driver == CGROUP_SYSTEMD) {
		int r = cgroup_plan_unit(place, req, a, ret, &p.inner, e);
		if (r < 0) return r;
	} else {
		const char *path = ret->explicit_path ? req->path : req->id;
		if (!path) return err_set(e, ERR_CONFIG, EINVAL, "a cgroup needs a path or a container's id");
		p.relative = path[0] != '/';
		p.inner = path_clean(a, path);
		if (!p.inner) return err_sys(e, ENOMEM, "plan the cgroup");
		if (streq(p.inner, "/")) return err_set(e, ERR_CONFIG, EINVAL, "cgroupsPath \"%s\" names the root of the hierarchy", path);
	}
	return plan_hierarchies(&p, ret, e);
}

int cgroup_plan(const CgroupRequest *req, Arena *a, Cgroup *ret, Err *e)
{
	const CgroupPlace place = { .root = layout_root, .self = "/proc/self/cgroup", .mountinfo = "/proc/self/mountinfo" };
	return cgroup_plan_in(&place, req, a, ret, e);
}
