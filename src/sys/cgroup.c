/* cgroup.c: the container's directories: making, entering, giving away, removing. */
#include "sys/cgroup_impl.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/time.h"

static const BindRow hierarchy_table_rows[] = {
	{ "name", BIND_STRING, offsetof(CgroupHierarchy, name), BIND_ALWAYS },
	{ "mount", BIND_STRING, offsetof(CgroupHierarchy, mount) },
	{ "path", BIND_STRING, offsetof(CgroupHierarchy, path) },
};
static const BindTable hierarchy_table = { "cgroup hierarchy", sizeof(CgroupHierarchy), hierarchy_table_rows,
					   ARRAY_LEN(hierarchy_table_rows) };

static const BindName layout_names[] = { { "v1", CGROUP_V1 }, { "hybrid", CGROUP_HYBRID }, { "v2", CGROUP_V2 }, { 0 } };
static const BindName driver_names[] = { { "cgroupfs", CGROUP_FS }, { "systemd", CGROUP_SYSTEMD }, { "disabled", CGROUP_DISABLED }, { 0 } };

BIND_TABLE(cgroup_table, "cgroup", Cgroup, { "layout", BIND_ENUM, offsetof(Cgroup, layout), 0, layout_names },
	   { "driver", BIND_ENUM, offsetof(Cgroup, driver), 0, driver_names }, { "rootless", BIND_BOOL, offsetof(Cgroup, rootless) },
	   { "explicitPath", BIND_BOOL, offsetof(Cgroup, explicit_path) }, { "unit", BIND_STRING, offsetof(Cgroup, unit) },
	   { "slice", BIND_STRING, offsetof(Cgroup, slice) },
	   { "hierarchies", BIND_LIST, offsetof(Cgroup, hierarchies), 0, &hierarchy_table });

/* ---- looking up ---- */

static bool names_have(const char *names, const char *controller)
{
	if (!*names || !*controller) return !*names && !*controller;
	Str rest = str_of(names), piece;
	while (str_next(&rest, ',', &piece))
		if (str_eq(piece, controller)) return true;
	return false;
}

const CgroupHierarchy *cgroup_find(const Cgroup *cg, const char *controller)
{
	for (size_t i = 0; i < cg->hierarchies.n; i++)
		if (names_have(cg->hierarchies.items[i].name, controller)) return &cg->hierarchies.items[i];
	return NULL;
}

const char *cgroup_path_v1(const Cgroup *cg, const char *controller)
{
	if (cg->layout == CGROUP_V2) return NULL;
	const CgroupHierarchy *h = cgroup_find(cg, controller);
	return h ? h->path : NULL;
}

const char *cgroup_path_v2(const Cgroup *cg)
{
	const CgroupHierarchy *h = cgroup_find(cg, "");
	return h ? h->path : NULL;
}

const char *cgroup_path_processes(const Cgroup *cg)
{
	static const char *const order[] = { "devices", "pids", "memory", "freezer", "cpu" };
	if (cg->layout == CGROUP_V2) return cgroup_path_v2(cg);
	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		const char *path = cgroup_path_v1(cg, order[i]);
		if (path) return path;
	}
	return cg->hierarchies.n ? cg->hierarchies.items[0].path : NULL;
}

/* ---- files ---- */

int cgroup_file(char to[static CGROUP_PATH_MAX], const char *dir, const char *name)
{
	int n = snprintf(to, CGROUP_PATH_MAX, "%s/%s", dir, name);
	return n < CGROUP_PATH_MAX ? 0 : -ENAMETOOLONG;
}

int cgroup_put(const char *dir, const char *name, const char *value)
{
	char path[CGROUP_PATH_MAX];
	int r = cgroup_file(path, dir, name);
	return r < 0 ? r : fd_write_file(AT_FDCWD, path, value);
}

int cgroup_write_error(const char *dir, const char *name, const char *value, int errnum, Err *e)
{
	return err_sys(e, errnum, "write \"%.128s\" to %s/%s", value, dir, name);
}

int cgroup_write(const char *dir, const char *name, const char *value, Err *e)
{
	int r = cgroup_put(dir, name, value);
	return r < 0 ? cgroup_write_error(dir, name, value, r, e) : 0;
}

ssize_t cgroup_get(const char *dir, const char *name, char *to, size_t size)
{
	char path[CGROUP_PATH_MAX];
	int r = cgroup_file(path, dir, name);
	return r < 0 ? r : fd_read_small(AT_FDCWD, path, to, size);
}

int cgroup_get_u64(const char *dir, const char *name, uint64_t *ret)
{
	char text[64];
	ssize_t n = cgroup_get(dir, name, text, sizeof text);
	if (n < 0) return (int)n;
	if (streq(text, "max") || text[0] == '-') {
		*ret = text[0] == '-' ? 0 : UINT64_MAX; /* no kernel counter is negative: a race inside it */
		return 0;
	}
	return str_to_u64((Str){ text, (size_t)n }, ret);
}

int cgroup_key_u64(const char *dir, const char *name, const char *key, uint64_t *ret)
{
	char text[4096];
	ssize_t n = cgroup_get(dir, name, text, sizeof text);
	if (n < 0) return (int)n;
	Str rest = { text, (size_t)n }, line, word, value;
	while (str_next(&rest, '\n', &line))
		if (str_cut(line, ' ', &word, &value) && str_eq(word, key)) return str_to_u64(value, ret);
	return -ENODATA;
}

const char *cgroup_number(char to[static CGROUP_NUMBER_MAX], int64_t v)
{
	snprintf(to, CGROUP_NUMBER_MAX, "%jd", (intmax_t)v);
	return to;
}

const char *cgroup_unsigned(char to[static CGROUP_NUMBER_MAX], uint64_t v)
{
	snprintf(to, CGROUP_NUMBER_MAX, "%ju", (uintmax_t)v);
	return to;
}

const char *cgroup_pids_limit(char to[static CGROUP_NUMBER_MAX], int64_t limit)
{
	return limit < 0 ? "max" : cgroup_number(to, limit ? limit : 1);
}

/* ---- making ---- */

static int make_parents(const CgroupHierarchy *h, size_t *ret_made, Err *e)
{
	char path[CGROUP_PATH_MAX];
	size_t n = strlen(h->path), at = strlen(h->mount);
	if (n >= sizeof path) return err_sys(e, ENAMETOOLONG, "create %s", h->path);
	memcpy(path, h->path, n + 1);
	*ret_made = 0;
	while (at < n) {
		at++;
		while (at < n && path[at] != '/')
			at++;
		path[at] = 0;
		if (mkdir(path, 0755) == 0) {
			if (!*ret_made) *ret_made = at;
		} else if (errno != EEXIST) {
			int keep = errno;
			cgroup_unmake(path, *ret_made);
			return err_sys(e, keep, "create %s", h->path);
		}
		if (at < n) path[at] = '/';
	}
	return *ret_made ? 0 : 1;
}

int cgroup_make(const CgroupHierarchy *h, size_t *ret_made, Err *e)
{
	*ret_made = 0;
	if (mkdir(h->path, 0755) == 0) {
		*ret_made = strlen(h->path);
		return 0;
	}
	if (errno == EEXIST) return 1;
	if (errno != ENOENT) return err_sys(e, errno, "create %s", h->path);
	return make_parents(h, ret_made, e);
}

void cgroup_unmake(const char *path, size_t made)
{
	char at[CGROUP_PATH_MAX];
	size_t n = strlen(path);
	if (!made || n >= sizeof at) return;
	memcpy(at, path, n + 1);
	while (n >= made) {
		at[n] = 0;
		(void)rmdir(at); /* somebody else may use a parent by now: then it stays */
		while (n && at[n] != '/')
			n--;
		if (!n) return;
	}
}

static bool is_permission(int r)
{
	return r == -EPERM || r == -EACCES || r == -EROFS;
}

/* The directory was there before us: it must be empty and able to run. */
static int check_existing(const Cgroup *cg, const CgroupHierarchy *h, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(1 << 20);
	U32List pids = { 0 };
	int r = cgroup_dir_pids(h->path, &a, &pids);
	if (r < 0 && r != -ENOENT) return err_sys(e, r, "read the processes of %s", h->path);
	if (pids.n) return err_set(e, ERR_STATE, EBUSY, "container's cgroup is not empty: %zu process(es) found in %s", pids.n, h->path);
	bool freezer = cg->layout == CGROUP_V2 ? !*h->name : names_have(h->name, "freezer");
	if (freezer && cgroup_is_frozen(cg) == 1)
		return err_set(e, ERR_STATE, EBUSY, "container's cgroup unexpectedly frozen: %s", h->path);
	return 0;
}

/* One hierarchy. 0: ready; 1: to be left out. */
static int create_one(const Cgroup *cg, const CgroupHierarchy *h, const CgroupResources *r, bool fresh, size_t *made, Err *e)
{
	Err why = ERR_INIT;
	bool v2 = !*h->name;
	int k = cgroup_make(h, made, &why);
	if (k < 0) {
		bool optional = v2 && cg->layout == CGROUP_HYBRID;
		if (optional || (is_permission(k) && cg->rootless && !cg->explicit_path)) return 1;
		*e = why;
		return err_wrap(e, "unable to apply cgroup configuration");
	}
	if (k == 1 && fresh) {
		int busy = check_existing(cg, h, e);
		if (busy < 0) return busy;
	}
	if (!v2) return cgroup_v1_create(cg, h, k == 1, r, e);
	if (cg->layout == CGROUP_HYBRID && !r->hugepages.n && !r->rdma.n && !r->unified.n) return 0;
	return cgroup_v2_enable(h, r, e);
}

int cgroup_create_all(Cgroup *cg, const CgroupResources *r, bool fresh, Err *e)
{
	size_t made[CGROUP_JOIN_MAX] = { 0 }, kept = 0;
	CgroupHierarchy *h = cg->hierarchies.items;
	if (cg->hierarchies.n > CGROUP_JOIN_MAX) return err_sys(e, E2BIG, "create the cgroup");
	for (size_t i = 0; i < cg->hierarchies.n; i++) {
		int k = create_one(cg, &h[i], r, fresh, &made[kept], e);
		if (k < 0) {
			cgroup_unmake(h[i].path, made[kept]);
			while (kept--)
				cgroup_unmake(h[kept].path, made[kept]);
			return k;
		}
		if (k == 0) h[kept++] = h[i];
	}
	cg->hierarchies.n = kept;
	return 0;
}

static const CgroupResources nothing;

int cgroup_create(Cgroup *cg, const CgroupResources *r, Err *e)
{
	if (!r) r = &nothing;
	if (cg->driver == CGROUP_FS) return cgroup_create_all(cg, r, true, e);
	bool scope = cg->driver == CGROUP_SYSTEMD && !ends_with(cg->unit, ".slice");
	for (size_t i = 0; scope && i < cg->hierarchies.n; i++) {
		int k = check_existing(cg, &cg->hierarchies.items[i], e);
		if (k < 0) return k;
	}
	return 0;
}

bool cgroup_is_busy(const Cgroup *cg)
{
	for (size_t i = 0; i < cg->hierarchies.n; i++) {
		AUTO_ARENA a = ARENA_INIT(1 << 20);
		U32List pids = { 0 };
		int r = cgroup_dir_pids(cg->hierarchies.items[i].path, &a, &pids);
		if (pids.n || r == -ENOMEM) return true;
	}
	return false;
}

int cgroup_apply(const Cgroup *cg, const CgroupResources *r, bool update, Err *e)
{
	if (cg->driver == CGROUP_DISABLED || !r) return 0;
	if (cg->driver == CGROUP_SYSTEMD && update) {
		int k = cgroup_update_unit(cg, r, e);
		if (k < 0) return k;
	}
	if (cg->layout == CGROUP_V2) return cgroup_v2_apply(cg, r, update, e);
	int k = cgroup_v1_apply(cg, r, update, e);
	return k < 0 ? k : cgroup_v2_apply_hybrid(cg, r, e);
}

/* ---- entering ---- */

int cgroup_open_join(const Cgroup *cg, bool with_v2, int fds[static CGROUP_JOIN_MAX], size_t *ret_n, Err *e)
{
	size_t n = 0;
	*ret_n = 0;
	for (size_t i = 0; i < cg->hierarchies.n && n < CGROUP_JOIN_MAX; i++) {
		const CgroupHierarchy *h = &cg->hierarchies.items[i];
		char path[CGROUP_PATH_MAX];
		if (!*h->name && !with_v2) continue;
		int r = cgroup_file(path, h->path, *h->name ? "tasks" : "cgroup.procs");
		fds[n] = r < 0 ? r : openat(AT_FDCWD, path, O_WRONLY | O_CLOEXEC);
		if (fds[n] >= 0) {
			n++;
			continue;
		}
		r = r < 0 ? r : -errno;
		if (!*h->name && cg->layout == CGROUP_HYBRID) continue; /* only a view for cgroup2 tools */
		while (n)
			fd_close(fds[--n]);
		return err_sys(e, r, "open %s", path);
	}
	*ret_n = n;
	return 0;
}

int cgroup_join_self(const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (retry_eintr(write(fds[i], "0", 1)) < 0) return -errno;
	return 0;
}

int cgroup_open_v2(const Cgroup *cg)
{
	const char *path = cgroup_path_v2(cg);
	if (!path) return -ENOENT;
	int fd = openat(AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int cgroup_open_v2_of(const Cgroup *cg, pid_t pid)
{
	char file[64], text[CGROUP_PATH_MAX * 2], path[CGROUP_PATH_MAX];
	const CgroupHierarchy *h = cgroup_find(cg, "");
	if (!h || pid <= 0) return -ENOENT;
	snprintf(file, sizeof file, "/proc/%d/cgroup", pid);
	ssize_t n = fd_read_small(AT_FDCWD, file, text, sizeof text);
	if (n < 0) return (int)n;
	Str rest = { text, (size_t)n }, line = { 0 };
	while (str_next(&rest, '\n', &line))
		if (str_starts(line, "0::/")) break;
	if (!str_starts(line, "0::/")) return -ENOENT;
	int len = snprintf(path, sizeof path, "%s%.*s", h->mount, (int)(line.n - 3), line.p + 3);
	size_t ours = strlen(h->path);
	if (len < 0 || len >= (int)sizeof path) return -ENAMETOOLONG;
	if (strncmp(path, h->path, ours) != 0 || (path[ours] && path[ours] != '/')) return -ENOENT;
	int fd = openat(AT_FDCWD, path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* EINVAL may mean that the process is so new that the kernel has not finished it: tried again for a short while. */
static int add_to(const char *dir, const char *pid)
{
	int64_t deadline = time_monotonic() + 150 * INT64_C(1000000), step = 0;
	int r = cgroup_put(dir, "cgroup.procs", pid);
	while (r == -EINVAL && cgroup_nap(deadline, &step))
		r = cgroup_put(dir, "cgroup.procs", pid);
	return r;
}

int cgroup_add(const Cgroup *cg, pid_t pid, Err *e)
{
	char text[CGROUP_NUMBER_MAX];
	cgroup_number(text, pid);
	for (size_t i = 0; i < cg->hierarchies.n; i++) {
		const CgroupHierarchy *h = &cg->hierarchies.items[i];
		int r = add_to(h->path, text);
		if (r >= 0 || (!*h->name && cg->layout == CGROUP_HYBRID)) continue;
		if (is_permission(r) && cg->driver == CGROUP_SYSTEMD) return cgroup_attach_unit(cg, pid, e);
		if (is_permission(r) && cg->rootless && !cg->explicit_path) continue;
		return cgroup_write_error(h->path, "cgroup.procs", text, r, e);
	}
	return 0;
}

/* ---- giving away ---- */

static int chown_in(const char *dir, Str name, uid_t uid, gid_t gid, Err *e)
{
	char file[256], path[CGROUP_PATH_MAX];
	if (!name.n || name.n >= sizeof file || memchr(name.p, '/', name.n)) return 0;
	memcpy(file, name.p, name.n);
	file[name.n] = 0;
	int r = cgroup_file(path, dir, file);
	if (r >= 0 && fchownat(AT_FDCWD, path, uid, gid, AT_SYMLINK_NOFOLLOW) < 0) r = -errno;
	return r < 0 && r != -ENOENT ? err_sys(e, r, "change the owner of %s", path) : 0;
}

int cgroup_delegate(const Cgroup *cg, uid_t uid, gid_t gid, Err *e)
{
	char list[4096];
	const char *dir = cgroup_path_v2(cg);
	/* v1 is not delegated: the specification says it is not safe. */
	if (!dir || cg->layout != CGROUP_V2) return 0;
	if (fd_read_small(AT_FDCWD, "/sys/kernel/cgroup/delegate", list, sizeof list) < 0)
		snprintf(list, sizeof list, "cgroup.procs\ncgroup.subtree_control\ncgroup.threads");
	if (fchownat(AT_FDCWD, dir, uid, gid, AT_SYMLINK_NOFOLLOW) < 0) return err_sys(e, errno, "change the owner of %s", dir);
	Str rest = str_of(list), name;
	while (str_next(&rest, '\n', &name)) {
		int r = chown_in(dir, name, uid, gid, e);
		if (r < 0) return r;
	}
	return 0;
}

/* ---- removing ---- */

bool cgroup_nap(int64_t deadline, int64_t *step)
{
	enum { FIRST = 200000, LONGEST = 10000000 };
	int64_t now = time_monotonic();
	if (now >= deadline) return false;
	*step = *step ? *step * 2 : FIRST;
	if (*step > LONGEST) *step = LONGEST;
	int64_t ns = *step < deadline - now ? *step : deadline - now;
	struct timespec t = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };
	nanosleep(&t, NULL);
	return true;
}

static int remove_dir(const char *dir, void *p)
{
	const int64_t *deadline = p;
	int64_t step = 0;
	while (rmdir(dir) < 0) {
		if (errno == ENOENT) return 0;
		if (errno == EINTR) continue;
		if (errno != EBUSY) return -errno;
		if (!cgroup_nap(*deadline, &step)) return -EBUSY;
	}
	return 0;
}

static int remove_tree(const char *path, int64_t deadline)
{
	if (rmdir(path) == 0 || errno == ENOENT) return 0;
	if (errno == EROFS && faccessat(AT_FDCWD, path, F_OK, 0) < 0 && errno == ENOENT) return 0;
	int r = cgroup_walk(path, remove_dir, &deadline);
	return r == -ENOENT ? 0 : r;
}

int cgroup_remove(const Cgroup *cg, int timeout_ms, Err *e)
{
	int64_t deadline = time_monotonic() + (int64_t)timeout_ms * 1000000;
	int failed = 0;
	const char *where = NULL;
	Err ignored = ERR_INIT;
	/* A systemd that does not answer is no reason to leave directories; once they are gone the unit goes too. */
	if (cg->driver == CGROUP_SYSTEMD) (void)!cgroup_stop_unit(cg, &ignored);
	for (size_t i = 0; i < cg->hierarchies.n; i++) {
		const CgroupHierarchy *h = &cg->hierarchies.items[i];
		int r = remove_tree(h->path, deadline);
		/* one that is busy counts always: the caller ends what is in it and comes again */
		bool optional = (!*h->name && cg->layout == CGROUP_HYBRID && r != -EBUSY) || (cg->rootless && is_permission(r));
		if (r >= 0 || optional || failed) continue;
		failed = r;
		where = h->path;
	}
	return failed ? err_sys(e, failed, "remove %s", where) : 0;
}
