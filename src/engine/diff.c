/* diff.c: see diff.h. The overlay's upper directory beside the image, both walked by descriptor. */
#include "engine/diff.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/root.h"
#include "engine/root_size.h"
#include "engine/tree_tar.h"

enum { DIFF_ARENA = 64 << 20, DEPTH_MAX = 900, PATH_ROOM = 65536, CHANGES_FIRST = 256 };

typedef struct Diff {
	Arena *a;
	Buf path;
	Change *items;
	size_t n, room;
	Err *e;
} Diff;

bool is_runtime_file(const char *path, mode_t mode, uint64_t size)
{
	static const char *const dirs[] = { "dev", "dev/mqueue", "dev/pts", "dev/shm", "proc", "sys", "sys/fs", "sys/fs/cgroup", "etc" };
	static const char *const files[] = { "etc/hostname", "etc/hosts", "etc/resolv.conf", "dev/console",
					     ".dockerenv",   "dev/init",  "sbin/docker-init" };
	if (S_ISLNK(mode)) return streq(path, MTAB_PATH) && size == strlen(MTAB_TARGET);
	for (size_t i = 0; S_ISDIR(mode) && i < ARRAY_LEN(dirs); i++)
		if (streq(path, dirs[i])) return true;
	for (size_t i = 0; !S_ISDIR(mode) && !size && i < ARRAY_LEN(files); i++)
		if (streq(path, files[i])) return true;
	return false;
}

int container_upper(const Engine *g, const Record *c, Err *e)
{
	AUTO_FD int dir = record_dir(g, c->id, e);
	if (dir < 0) return dir;
	if (c->host.rootfs && *c->host.rootfs)
		return err_set(e, ERR_UNSUPPORTED, ENOTSUP,
			       "container %s has a root directory of yours and no image: its changes are not told apart", c->name);
	AUTO_FD int writable = root_writable(c, dir, e);
	if (writable < 0) return writable;
	int fd = openat(writable, "upper", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? err_sys(e, errno, "open the changes of container %s", c->name) : fd;
}

static int put(Diff *d, size_t at, ChangeKind kind)
{
	if (d->n == d->room) {
		size_t room = d->room ? 2 * d->room : CHANGES_FIRST;
		Change *more = arena_array(d->a, room, sizeof *more);
		if (!more) return err_sys(d->e, ENOMEM, "compare files");
		if (d->n) memcpy(more, d->items, d->n * sizeof *more);
		d->items = more;
		d->room = room;
	}
	const char *path = arena_strdup(d->a, buf_str(&d->path));
	if (!path) return err_sys(d->e, ENOMEM, "compare files");
	memmove(d->items + at + 1, d->items + at, (d->n - at) * sizeof *d->items);
	d->items[at] = (Change){ kind, path };
	d->n++;
	return 0;
}

static int child_of(int dir, const char *name)
{
	if (dir < 0) return -1;
	return openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
}

/* What a directory's time and size say, only what is in it says better. */
static bool is_same(const struct stat *x, const struct stat *y)
{
	if (x->st_mode != y->st_mode || x->st_uid != y->st_uid || x->st_gid != y->st_gid) return false;
	if (S_ISDIR(x->st_mode)) return true;
	if (S_ISCHR(x->st_mode) || S_ISBLK(x->st_mode)) return x->st_rdev == y->st_rdev;
	return x->st_size == y->st_size && x->st_mtim.tv_sec == y->st_mtim.tv_sec &&
	       (x->st_mtim.tv_nsec == y->st_mtim.tv_nsec || !x->st_mtim.tv_nsec || !y->st_mtim.tv_nsec);
}

static int compare_dirs(Diff *d, int upper, int lower, unsigned depth);

static bool is_dir(const struct stat *st)
{
	return S_ISDIR(st->st_mode);
}

/* A name of the upper directory. */
static int compare_child(Diff *d, int upper, int lower, unsigned depth)
{
	struct stat now, before;
	size_t at = d->n;
	if (fstat(upper, &now) < 0 || (lower >= 0 && fstat(lower, &before) < 0))
		return err_sys(d->e, errno, "look at %s", buf_str(&d->path));
	if (S_ISCHR(now.st_mode) && now.st_rdev == 0) return lower < 0 ? 0 : put(d, at, CHANGE_DELETED);
	if (lower < 0 && is_runtime_file(buf_str(&d->path) + 1, now.st_mode, (uint64_t)now.st_size))
		return is_dir(&now) ? compare_dirs(d, upper, -1, depth + 1) : 0;
	int r = is_dir(&now) ? compare_dirs(d, upper, lower >= 0 && is_dir(&before) ? lower : -1, depth + 1) : 0;
	if (r < 0) return r;
	if (lower < 0) return put(d, at, CHANGE_ADDED);
	return !is_same(&now, &before) || d->n > at ? put(d, at, CHANGE_MODIFIED) : 0;
}

static int compare_name(Diff *d, int upper, int lower, const char *name, unsigned depth)
{
	size_t length = d->path.n;
	AUTO_FD int now = child_of(upper, name), before = child_of(lower, name);
	buf_printf(&d->path, "/%s", name);
	if (buf_failed(&d->path)) return err_sys(d->e, ENAMETOOLONG, "compare files");
	int r = now >= 0 ? compare_child(d, now, before, depth) : before >= 0 ? put(d, d->n, CHANGE_DELETED) : 0;
	d->path.n = length;
	d->path.p[length] = 0;
	return r;
}

/* lower: -1: none. What the directory hides is gone as if each name had been removed. */
static int compare_dirs(Diff *d, int upper, int lower, unsigned depth)
{
	AUTO_ARENA a = ARENA_INIT(DIFF_ARENA);
	const char **mine = NULL, **theirs = NULL;
	size_t n = 0, m = 0, i = 0, k = 0;
	if (depth > DEPTH_MAX) return err_sys(d->e, ENAMETOOLONG, "compare files: %s", buf_str(&d->path));
	int r = tree_names(upper, &a, &mine, &n, d->e);
	if (r >= 0 && lower >= 0 && tree_is_opaque(upper)) r = tree_names(lower, &a, &theirs, &m, d->e);
	while (r >= 0 && (i < n || k < m)) {
		int order = i == n ? 1 : k == m ? -1 : strcmp(mine[i], theirs[k]);
		const char *name = order <= 0 ? mine[i] : theirs[k];
		i += order <= 0;
		k += order >= 0;
		r = compare_name(d, upper, lower, name, depth);
	}
	return r;
}

int container_diff(Engine *g, const Record *c, Arena *a, ChangeList *ret, Err *e)
{
	IdMaps maps;
	AUTO_BUF path = BUF_INIT(PATH_ROOM);
	AUTO_FD int upper = container_upper(g, c, e);
	if (upper < 0) return upper;
	int r = userns_maps(&c->host, a, &maps, e);
	if (r < 0) return r;
	AUTO_FD int userns = -1;
	if ((r = userns_open(&maps, &userns, e)) < 0) return r;
	const RootOptions o = { .userns = userns, .dir = -1 };
	AUTO_FD int lower = container_mount(g, c, &o, e);
	if (lower < 0) return lower;
	Diff d = { .a = a, .path = path, .e = e };
	r = compare_dirs(&d, upper, lower, 0);
	path = d.path;
	*ret = (ChangeList){ d.items, d.n };
	return r;
}
