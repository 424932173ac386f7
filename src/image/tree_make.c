/* tree_make.c: see tree_make.h. First everything is made, with directories of mode 0700 and of our own; then, from the deepest up,
 * directories get their attributes: a mode that locks us out, and times that entries would change. */
#include "image/tree_make.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "sys/fd.h"

enum { OPEN_DEPTH = 64, COPY_PIECE = 1 << 20 };

/* LinkSlot: the first name of a file that has several. */
typedef struct LinkSlot {
	uint64_t inode;
	const ErofsNode *node; /* NULL: free */
} LinkSlot;

/* OpenDirs: the directories on the way to one, by depth; those beyond OPEN_DEPTH are opened each time. */
typedef struct OpenDirs {
	const ErofsNode *nodes[OPEN_DEPTH];
	int fds[OPEN_DEPTH];
} OpenDirs;

typedef struct Making {
	ErofsTree *tree;
	const int *tars;
	size_t n_tars;
	OpenDirs open, links; /* of what is made; of what is linked to */
	LinkSlot *slots;
	size_t n_slots; /* a power of two; 0: no file has several names */
	const ErofsNode **dirs;
	size_t n_dirs;
	TreeStats *stats;
	Err *e;
} Making;

/* The path of node for a message; long ones are cut at the front. */
static int fail(const Making *m, const ErofsNode *node, int r)
{
	char path[512];
	size_t at = sizeof path - 1;
	path[at] = 0;
	for (; erofs_node_parent(node); node = erofs_node_parent(node)) {
		Str name = erofs_node_name(node);
		if (name.n + 1 > at) break;
		at -= name.n;
		memcpy(path + at, name.p, name.n);
		path[--at] = '/';
	}
	return err_sys(m->e, r, "make \"%s\"", path[at] ? path + at : "/");
}

static void name_of(const ErofsNode *node, char name[static EROFS_NAME_MAX + 1])
{
	Str s = erofs_node_name(node);
	memcpy(name, s.p, s.n);
	name[s.n] = 0;
}

/* ---- directories that are open ---- */

static void close_dirs(OpenDirs *o)
{
	for (size_t i = 1; i < OPEN_DEPTH; i++) {
		if (o->nodes[i]) fd_close(o->fds[i]);
		o->nodes[i] = NULL;
	}
}

static int open_child(int parent, const ErofsNode *dir)
{
	char name[EROFS_NAME_MAX + 1];
	name_of(dir, name);
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static size_t depth_of(const ErofsNode *dir)
{
	size_t n = 0;
	while ((dir = erofs_node_parent(dir)))
		n++;
	return n;
}

static const ErofsNode *ancestor(const ErofsNode *dir, size_t up)
{
	while (up--)
		dir = erofs_node_parent(dir);
	return dir;
}

/* What lies beyond the kept descriptors is walked down to, one at a time. */
static int open_deep(int from, const ErofsNode *dir, size_t levels)
{
	AUTO_FD int fd = open_child(from, ancestor(dir, levels - 1));
	for (size_t i = levels - 1; fd >= 0 && i > 0; i--) {
		int next = open_child(fd, ancestor(dir, i - 1));
		fd_close(fd);
		fd = next;
	}
	return take_fd(fd);
}

/* The descriptor of a directory that was made; *ret_close: the caller's to close, else -1. */
static int dir_fd(OpenDirs *o, const ErofsNode *dir, int *ret_close)
{
	size_t depth = depth_of(dir), last = depth < OPEN_DEPTH ? depth : OPEN_DEPTH - 1, known = last;
	*ret_close = -1;
	while (o->nodes[known] != ancestor(dir, depth - known))
		known--; /* the root is always there */
	for (size_t i = known + 1; i <= last; i++) {
		int fd = open_child(o->fds[i - 1], ancestor(dir, depth - i));
		if (fd < 0) return fd;
		if (o->nodes[i]) fd_close(o->fds[i]);
		for (size_t k = i + 1; k < OPEN_DEPTH; k++) { /* what was below the one before */
			if (o->nodes[k]) fd_close(o->fds[k]);
			o->nodes[k] = NULL;
		}
		o->nodes[i] = ancestor(dir, depth - i);
		o->fds[i] = fd;
	}
	return depth == last ? o->fds[last] : (*ret_close = open_deep(o->fds[last], dir, depth - last));
}

/* ---- attributes ---- */

static bool is_left_out(const Making *m, int r)
{
	return m->stats->squashed && (r == -EPERM || r == -EOPNOTSUPP || r == -ENOTSUP);
}

/* By descriptor, or (fd -1) by a name of the current directory that may be a symbolic link. */
static int set_xattrs(Making *m, const ErofsNode *node, const ErofsStat *st, int fd, const char *name)
{
	for (size_t i = 0; i < st->n_xattrs; i++) {
		char key[EROFS_XATTR_NAME_SIZE];
		Str value;
		erofs_node_xattr(node, i, key, &value);
		int r = fd >= 0 ? fsetxattr(fd, key, value.p, value.n, 0) : lsetxattr(name, key, value.p, value.n, 0);
		r = r < 0 ? -errno : 0;
		if (is_left_out(m, r))
			m->stats->left_xattrs++;
		else if (r < 0)
			return r;
	}
	return 0;
}

static void times_of(const ErofsStat *st, struct timespec t[static 2])
{
	t[0] = t[1] = (struct timespec){ .tv_sec = st->attr.mtime, .tv_nsec = st->attr.mtime_ns };
}

/* Owner before mode and attributes: a change of owner takes away set-id bits and capabilities. */
static int set_open(Making *m, const ErofsNode *node, const ErofsStat *st, int fd)
{
	struct timespec t[2];
	if (!m->stats->squashed && fchown(fd, st->attr.uid, st->attr.gid) < 0) return -errno;
	if (fchmod(fd, st->attr.mode & 07777) < 0) return -errno;
	int r = set_xattrs(m, node, st, fd, NULL);
	if (r < 0) return r;
	times_of(st, t);
	return futimens(fd, t) < 0 ? -errno : 0;
}

static int set_named(Making *m, const ErofsNode *node, const ErofsStat *st, int parent, const char *name)
{
	struct timespec t[2];
	if (!m->stats->squashed && fchownat(parent, name, st->attr.uid, st->attr.gid, AT_SYMLINK_NOFOLLOW) < 0) return -errno;
	if (!S_ISLNK(st->attr.mode) && fchmodat(parent, name, st->attr.mode & 07777, 0) < 0) return -errno;
	if (st->n_xattrs) {
		int r = fchdir(parent) < 0 ? -errno : set_xattrs(m, node, st, -1, name);
		if (r < 0) return r;
	}
	times_of(st, t);
	return utimensat(parent, name, t, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

/* ---- contents ---- */

/* n bytes of the tar at offset to the file at `at`. -ENODATA: the tar ends before. */
static int copy_bytes(int tar, uint64_t offset, int to, uint64_t at, uint64_t n)
{
	off_t from = (off_t)offset, into = (off_t)at;
	while (n) {
		ssize_t done = copy_file_range(tar, &from, to, &into, n < COPY_PIECE ? n : COPY_PIECE, 0);
		if (done < 0 && errno == EINTR) continue;
		if (done < 0) return -errno;
		if (!done) return -ENODATA;
		n -= (uint64_t)done;
	}
	return 0;
}

/* For file systems between which the kernel does not copy. */
static int copy_through(int tar, uint64_t offset, int to, uint64_t at, uint64_t n)
{
	char buffer[65536];
	while (n) {
		ssize_t got = pread(tar, buffer, n < sizeof buffer ? n : sizeof buffer, (off_t)offset);
		if (got < 0 && errno == EINTR) continue;
		if (got <= 0) return got < 0 ? -errno : -ENODATA;
		for (ssize_t done = 0; done < got;) {
			ssize_t put = pwrite(to, buffer + done, (size_t)(got - done), (off_t)at + done);
			if (put < 0 && errno != EINTR) return -errno;
			done += put < 0 ? 0 : put;
		}
		offset += (uint64_t)got;
		at += (uint64_t)got;
		n -= (uint64_t)got;
	}
	return 0;
}

static int fill_file(Making *m, const ErofsNode *node, const ErofsStat *st, int fd)
{
	if (st->size && ftruncate(fd, (off_t)st->size) < 0) return -errno;
	for (size_t i = 0; i < st->n_extents; i++) {
		ErofsExtent x = erofs_node_extent(node, i);
		if (x.device < 1 || x.device > m->n_tars) return -EUCLEAN;
		int tar = m->tars[x.device - 1], r = copy_bytes(tar, x.offset, fd, x.at, x.n);
		if (r == -EXDEV || r == -EINVAL || r == -ENOSYS || r == -EOPNOTSUPP) r = copy_through(tar, x.offset, fd, x.at, x.n);
		if (r < 0) return r;
		m->stats->size += x.n;
	}
	return 0;
}

/* ---- entries ---- */

static int make_file(Making *m, const ErofsNode *node, const ErofsStat *st, int parent, const char *name)
{
	AUTO_FD int fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0) return -errno;
	int r = fill_file(m, node, st, fd);
	return r < 0 ? r : set_open(m, node, st, fd);
}

static int make_special(Making *m, const ErofsNode *node, const ErofsStat *st, int parent, const char *name)
{
	bool device = S_ISCHR(st->attr.mode) || S_ISBLK(st->attr.mode);
	if (mknodat(parent, name, (st->attr.mode & S_IFMT) | 0600, makedev(st->attr.major, st->attr.minor)) < 0) {
		if (!device || !is_left_out(m, -errno)) return -errno;
		m->stats->left_devices++;
		return 0;
	}
	return set_named(m, node, st, parent, name);
}

static LinkSlot *link_slot(const Making *m, uint64_t inode)
{
	size_t at = (size_t)(inode * UINT64_C(0x9e3779b97f4a7c15) >> 20);
	while (at &= m->n_slots - 1, m->slots[at].node && m->slots[at].inode != inode)
		at++;
	return &m->slots[at];
}

/* A further name of a file that is there already: 1; 0 when this is the first. */
static int make_link(Making *m, const ErofsNode *node, const ErofsStat *st, int parent, const char *name)
{
	char target[EROFS_NAME_MAX + 1];
	LinkSlot *slot = link_slot(m, st->inode);
	if (!slot->node) {
		*slot = (LinkSlot){ st->inode, node };
		return 0;
	}
	AUTO_FD int mine = -1;
	int dir = dir_fd(&m->links, erofs_node_parent(slot->node), &mine);
	if (dir < 0) return dir;
	name_of(slot->node, target);
	if (linkat(dir, target, parent, name, 0) == 0) return 1;
	/* its first name was a device that could not be made: neither can this */
	return errno == ENOENT && m->stats->left_devices ? 1 : -errno;
}

static int make_entry(Making *m, const ErofsNode *node, const ErofsStat *st, int parent, const char *name)
{
	if (S_ISDIR(st->attr.mode)) {
		m->dirs[m->n_dirs++] = node;
		return mkdirat(parent, name, 0700) < 0 ? -errno : 0;
	}
	int r = st->nlink > 1 ? make_link(m, node, st, parent, name) : 0;
	if (r != 0) return r < 0 ? r : 0;
	if (S_ISREG(st->attr.mode)) return make_file(m, node, st, parent, name);
	if (!S_ISLNK(st->attr.mode)) return make_special(m, node, st, parent, name);
	if (symlinkat(st->target, parent, name) < 0) return -errno;
	return set_named(m, node, st, parent, name);
}

static int make_node(Making *m, const ErofsNode *node)
{
	char name[EROFS_NAME_MAX + 1];
	ErofsStat st;
	AUTO_FD int mine = -1;
	int parent = dir_fd(&m->open, erofs_node_parent(node), &mine);
	if (parent < 0) return fail(m, node, parent);
	erofs_node_stat(m->tree, node, &st);
	name_of(node, name);
	int r = st.whiteout ? 0 : make_entry(m, node, &st, parent, name);
	m->stats->entries++;
	return r < 0 ? fail(m, node, r) : 0;
}

static int finish_dir(Making *m, const ErofsNode *node)
{
	ErofsStat st;
	AUTO_FD int mine = -1;
	int fd = dir_fd(&m->open, node, &mine);
	if (fd < 0) return fail(m, node, fd);
	erofs_node_stat(m->tree, node, &st);
	int r = set_open(m, node, &st, fd);
	return r < 0 ? fail(m, node, r) : 0;
}

/* Room for the directories, and for the files of several names at twice their number. */
static int prepare(Making *m, ErofsNode *root)
{
	size_t dirs = 1, links = 0;
	for (const ErofsNode *node = root; (node = erofs_node_walk(root, node, true));) {
		ErofsStat st;
		erofs_node_stat(m->tree, node, &st);
		dirs += S_ISDIR(st.attr.mode) != 0;
		links += !S_ISDIR(st.attr.mode) && st.nlink > 1;
	}
	for (m->n_slots = links ? 2 : 0; m->n_slots && m->n_slots < 2 * links;)
		m->n_slots *= 2;
	m->dirs = calloc(dirs, sizeof(ErofsNode *));
	m->slots = calloc(m->n_slots + 1, sizeof *m->slots);
	return m->dirs && m->slots ? 0 : err_sys(m->e, ENOMEM, "make a tree");
}

static int make_all(Making *m, ErofsNode *root)
{
	int r = prepare(m, root);
	m->stats->entries = 1;
	for (const ErofsNode *node = root; r >= 0 && (node = erofs_node_walk(root, node, true));)
		r = make_node(m, node);
	while (r >= 0 && m->n_dirs)
		r = finish_dir(m, m->dirs[--m->n_dirs]);
	return r < 0 ? r : finish_dir(m, root);
}

static void making_done(Making *m)
{
	close_dirs(&m->open);
	close_dirs(&m->links);
	free(m->dirs);
	free(m->slots);
}

int tree_make(ErofsTree *t, const int *tars, size_t n, int dir, TreeStats *stats, Err *e)
{
	ErofsNode *root = erofs_tree_root(t);
	AUTO(making_done) Making m = { .tree = t, .tars = tars, .n_tars = n, .stats = stats, .e = e };
	m.open.nodes[0] = m.links.nodes[0] = root;
	m.open.fds[0] = m.links.fds[0] = dir;
	umask(0);
	return make_all(&m, root);
}
