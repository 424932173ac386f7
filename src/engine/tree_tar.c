/* tree_tar.c: see tree_tar.h. */
#include "engine/tree_tar.h"

#include <dirent.h>
#include <endian.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "engine/owner_ids.h"
#include "sys/fd.h"
#include "sys/mount_id.h"

enum { PIECE = 256 << 10, DEPTH_MAX = 900, LIST_MAX = 65536, NAMES_ARENA = 256 << 20, ENTRY_ARENA = 4 << 20, LINKS_FIRST = 256 };

struct TreeTarLink {
	dev_t dev;
	ino_t ino;
	const char *path; /* NULL: free */
};

void tree_tar_done(TreeTar *t)
{
	arena_done(&t->arena);
	buf_done(&t->path);
	free(t->links);
	free(t->buffer);
}

static int no_memory(Err *e)
{
	return err_sys(e, ENOMEM, "archive files");
}

static int fail(const TreeTar *t, int r, Err *e)
{
	return err_sys(e, r, "read %s", t->path.n ? buf_str(&t->path) : "/");
}

/* ---- names ---- */

static void closedirp(DIR **d)
{
	if (*d) closedir(*d);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int tree_names(int fd, Arena *a, const char ***ret, size_t *ret_n, Err *e)
{
	struct dirent *entry;
	size_t n = 0, room = 64;
	const char **items = arena_array(a, room, sizeof *items);
	int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO(closedirp) DIR *d = own < 0 ? NULL : fdopendir(own);
	if (!d) return err_sys(e, errno, "read a directory");
	if (!items) return no_memory(e);
	while (errno = 0, (entry = readdir(d))) {
		if (streq(entry->d_name, ".") || streq(entry->d_name, "..")) continue;
		if (n == room) {
			const char **more = arena_array(a, 2 * room, sizeof *more);
			if (!more) return no_memory(e);
			memcpy(more, items, n * sizeof *more);
			items = more;
			room *= 2;
		}
		if (!(items[n++] = arena_strdup(a, entry->d_name))) return no_memory(e);
	}
	if (errno) return err_sys(e, errno, "read a directory");
	qsort(items, n, sizeof *items, compare_names);
	*ret = items;
	*ret_n = n;
	return 0;
}

bool tree_is_opaque(int fd)
{
	static const char *const names[] = { "trusted.overlay.opaque", "user.overlay.opaque" };
	char path[48], value = 0;
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (getxattr(path, names[i], &value, 1) == 1 && value == 'y') return true;
	return false;
}

/* ---- hard links ---- */

static TreeTarLink *find_link(TreeTarLink *links, size_t cap, dev_t dev, ino_t ino)
{
	size_t at = (size_t)((uint64_t)(ino ^ dev << 32) * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (cap - 1);
	while (links[at].path && (links[at].ino != ino || links[at].dev != dev))
		at = (at + 1) & (cap - 1);
	return &links[at];
}

static int grow_links(TreeTar *t, Err *e)
{
	size_t cap = t->cap_links ? 2 * t->cap_links : LINKS_FIRST;
	TreeTarLink *bigger = calloc(cap, sizeof *bigger);
	if (!bigger) return no_memory(e);
	for (size_t i = 0; i < t->cap_links; i++)
		if (t->links[i].path) *find_link(bigger, cap, t->links[i].dev, t->links[i].ino) = t->links[i];
	free(t->links);
	t->links = bigger;
	t->cap_links = cap;
	return 0;
}

/* The first name of that file; NULL for this one, which is remembered. */
static int first_name(TreeTar *t, const struct stat *st, const char **ret, Err *e)
{
	int r = 2 * t->n_links >= t->cap_links ? grow_links(t, e) : 0;
	if (r < 0) return r;
	TreeTarLink *l = find_link(t->links, t->cap_links, st->st_dev, st->st_ino);
	*ret = l->path;
	if (l->path) return 0;
	*l = (TreeTarLink){ st->st_dev, st->st_ino, arena_strdup(&t->arena, buf_str(&t->path)) };
	if (!l->path) return no_memory(e);
	t->n_links++;
	return 0;
}

/* ---- attributes ---- */

static bool is_kept(const char *name)
{
	return streq(name, "security.capability") || (starts_with(name, "user.") && !starts_with(name, "user.overlay."));
}

/* Capabilities that hold below the container's root alone: in the tar they are those of the container, as of any image. */
static size_t plain_capability(const TreeTar *t, char *value, size_t n)
{
	struct vfs_ns_cap_data *c = (struct vfs_ns_cap_data *)(void *)value;
	if (!t->maps.uids.n || n != XATTR_CAPS_SZ_3 || (le32toh(c->magic_etc) & VFS_CAP_REVISION_MASK) != VFS_CAP_REVISION_3) return n;
	if (owner_inside(&t->maps.uids, le32toh(c->rootid)) != 0) return n;
	c->magic_etc = htole32((le32toh(c->magic_etc) & ~(uint32_t)VFS_CAP_REVISION_MASK) | VFS_CAP_REVISION_2);
	return XATTR_CAPS_SZ_2;
}

static int read_xattrs(const TreeTar *t, const char *path, Arena *a, TarEntry *m, Err *e)
{
	char *list = arena_alloc(a, LIST_MAX);
	if (!list) return no_memory(e);
	ssize_t n = listxattr(path, list, LIST_MAX);
	if (n <= 0) return n == 0 || errno == ENOTSUP ? 0 : fail(t, errno, e);
	TarXattr *items = arena_array(a, (size_t)n, sizeof *items);
	char *value = arena_alloc(a, LIST_MAX);
	if (!items || !value) return no_memory(e);
	for (const char *name = list; name < list + n; name += strlen(name) + 1) {
		if (!is_kept(name)) continue;
		ssize_t k = getxattr(path, name, value, LIST_MAX);
		if (k < 0 && errno == ENODATA) continue;
		if (k < 0) return fail(t, errno, e);
		if (streq(name, "security.capability")) k = (ssize_t)plain_capability(t, value, (size_t)k);
		items[m->n_xattrs] = (TarXattr){ name, arena_str(a, (Str){ value, (size_t)k }), (size_t)k };
		if (!items[m->n_xattrs++].value) return no_memory(e);
	}
	m->xattrs = items;
	return 0;
}

static TarEntry entry_of(const TreeTar *t, const struct stat *st)
{
	static const TarType types[16] = { [S_IFDIR >> 12] = TAR_DIR,   [S_IFLNK >> 12] = TAR_SYMLINK, [S_IFCHR >> 12] = TAR_CHAR,
					   [S_IFBLK >> 12] = TAR_BLOCK, [S_IFIFO >> 12] = TAR_FIFO,    [S_IFREG >> 12] = TAR_FILE };
	bool device = S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode);
	return (TarEntry){ .type = types[st->st_mode >> 12 & 15],
			   .path = buf_str(&t->path),
			   .mode = st->st_mode & 07777,
			   .uid = owner_inside(&t->maps.uids, st->st_uid),
			   .gid = owner_inside(&t->maps.gids, st->st_gid),
			   .mtime = st->st_mtim.tv_sec,
			   .mtime_ns = (uint32_t)st->st_mtim.tv_nsec,
			   .size = S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0,
			   .major = device ? major(st->st_rdev) : 0,
			   .minor = device ? minor(st->st_rdev) : 0 };
}

/* ---- members ---- */

static int put_data(TreeTar *t, int fd, uint64_t size, Err *e)
{
	if (!t->buffer && !(t->buffer = malloc(PIECE))) return no_memory(e);
	while (size) {
		ssize_t n = retry_eintr(read(fd, t->buffer, size < PIECE ? (size_t)size : PIECE));
		if (n < 0) return fail(t, errno, e);
		if (n == 0) return err_set(e, ERR_STATE, EBUSY, "%s became smaller while it was read", buf_str(&t->path));
		int r = tar_writer_data(t->writer, t->buffer, (size_t)n, e);
		if (r < 0) return r;
		size -= (uint64_t)n;
	}
	return 0;
}

/* The descriptor itself is opened again, not its name. */
static int put_file(TreeTar *t, const char *self, TarEntry *m, Err *e)
{
	struct stat st;
	AUTO_FD int fd = open(self, O_RDONLY | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0) return fail(t, errno, e);
	m->size = (uint64_t)st.st_size;
	int r = tar_writer_entry(t->writer, m, e);
	return r < 0 ? r : put_data(t, fd, m->size, e);
}

/* ".wh.x" in the place of "x". */
static int put_whiteout(TreeTar *t, Err *e)
{
	const char *path = buf_str(&t->path), *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	AUTO_FREE char *text = NULL;
	if (asprintf(&text, "%.*s.wh.%s", (int)(name - path), path, name) < 0) return no_memory(e);
	return tar_writer_entry(t->writer, &(TarEntry){ .type = TAR_FILE, .path = text }, e);
}

static int put_opaque(TreeTar *t, Err *e)
{
	AUTO_FREE char *text = NULL;
	if (asprintf(&text, "%s%s.wh..wh..opq", buf_str(&t->path), t->path.n ? "/" : "") < 0) return no_memory(e);
	return tar_writer_entry(t->writer, &(TarEntry){ .type = TAR_FILE, .path = text }, e);
}

static int put_node(TreeTar *t, int fd, unsigned depth, Err *e);

static int put_children(TreeTar *t, int fd, unsigned depth, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(NAMES_ARENA);
	const char **names = NULL;
	size_t n = 0, length = t->path.n;
	if (depth > DEPTH_MAX) return fail(t, ENAMETOOLONG, e);
	if (t->one_fs && mount_id_of(fd) != t->mount) return 0;
	int r = tree_names(fd, &a, &names, &n, e);
	if (r < 0) return err_wrap(e, "%s", buf_str(&t->path));
	for (size_t i = 0; r >= 0 && i < n; i++) {
		AUTO_FD int child = openat(fd, names[i], O_PATH | O_NOFOLLOW | O_CLOEXEC);
		if (child < 0 && errno == ENOENT) continue;
		buf_printf(&t->path, length ? "/%s" : "%s", names[i]);
		if (buf_failed(&t->path)) return err_sys(e, ENAMETOOLONG, "archive files");
		r = child < 0 ? fail(t, errno, e) : put_node(t, child, depth + 1, e);
		t->path.n = length;
		t->path.p[length] = 0;
	}
	return r;
}

static int put_link(TreeTar *t, int fd, TarEntry *m, Arena *a, Err *e)
{
	char *target = arena_alloc(a, 4096 + 1);
	if (!target) return no_memory(e);
	ssize_t n = readlinkat(fd, "", target, 4096);
	if (n < 0) return fail(t, errno, e);
	target[n] = 0;
	m->link = target;
	return tar_writer_entry(t->writer, m, e);
}

static int put_entry(TreeTar *t, int fd, TarEntry *m, Err *e)
{
	AUTO_ARENA a = ARENA_INIT(ENTRY_ARENA);
	char self[48];
	snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
	if (m->type == TAR_SYMLINK) return put_link(t, fd, m, &a, e);
	if (m->type != TAR_FILE && m->type != TAR_DIR) return tar_writer_entry(t->writer, m, e);
	int r = read_xattrs(t, self, &a, m, e);
	if (r < 0) return r;
	return m->type == TAR_FILE ? put_file(t, self, m, e) : tar_writer_entry(t->writer, m, e);
}

static int put_node(TreeTar *t, int fd, unsigned depth, Err *e)
{
	struct stat st;
	const char *first = NULL;
	if (fstat(fd, &st) < 0) return fail(t, errno, e);
	if (S_ISSOCK(st.st_mode)) return 0;
	if (t->layer && S_ISCHR(st.st_mode) && st.st_rdev == 0) return put_whiteout(t, e);
	TarEntry m = entry_of(t, &st);
	if (t->skip && t->skip(t->arg, &m)) return m.type == TAR_DIR ? put_children(t, fd, depth, e) : 0;
	int r = m.type != TAR_DIR && st.st_nlink > 1 ? first_name(t, &st, &first, e) : 0;
	if (r < 0) return r;
	if (first) {
		m = (TarEntry){ .type = TAR_HARDLINK,
				.path = m.path,
				.link = first,
				.mode = m.mode,
				.uid = m.uid,
				.gid = m.gid,
				.mtime = m.mtime,
				.mtime_ns = m.mtime_ns };
		return tar_writer_entry(t->writer, &m, e);
	}
	if ((r = put_entry(t, fd, &m, e)) < 0 || m.type != TAR_DIR) return r;
	if (t->layer && tree_is_opaque(fd) && (r = put_opaque(t, e)) < 0) return r;
	return put_children(t, fd, depth, e);
}

int tree_tar_add(TreeTar *t, int fd, const char *name, Err *e)
{
	buf_reset(&t->path);
	buf_puts(&t->path, name);
	if (buf_failed(&t->path)) return no_memory(e);
	t->mount = mount_id_of(fd);
	return put_node(t, fd, 0, e);
}
