/* tree_untar.c: see tree_untar.h. */
#include "engine/tree_untar.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "engine/owner_ids.h"
#include "sys/path.h"

enum { DIRS_ARENA = 256 << 20, SET_IDS = S_ISUID | S_ISGID };

/* Dir: a directory whose time has to wait until it is full. */
typedef struct Dir {
	struct Dir *next;
	const char *path;
	struct timespec time;
} Dir;

struct Untar {
	UntarOptions o;
	TarReader *reader;
	Arena arena;
	Dir *dirs; /* the last first */
	uint64_t left;
	/* the file under way; -1: none */
	int file;
	uint64_t at; /* where its next byte goes */
	size_t extent;
	uint64_t filled;
};

static int fail(const Untar *u, const TarEntry *t, int r, Err *e)
{
	if (r == EOVERFLOW && u->o.maps.uids.n)
		return err_set(e, ERR_CONFIG, EINVAL,
			       "make %s: its owner, %u:%u, is none of the ids that the container's user namespace has", t->path,
			       u->o.owner == OWNER_GIVEN ? u->o.uid : t->uid, u->o.owner == OWNER_GIVEN ? u->o.gid : t->gid);
	return err_sys(e, r, "make %s%s%s", u->o.shown, ends_with(u->o.shown, "/") ? "" : "/", t->path);
}

/* ---- where ---- */

static int open_dir(const Untar *u, const char *path)
{
	if (u->o.in_root) return path_open(u->o.dir, path, O_RDONLY | O_DIRECTORY, 0);
	return path_open_plain(u->o.dir, path, O_RDONLY | O_DIRECTORY);
}

/* Directories that the archive does not have itself. */
static int make_parents(const Untar *u, const char *path)
{
	char part[4096];
	for (const char *at = path; at; at = *at ? strchr(at + 1, '/') : NULL) {
		const char *end = strchr(at + (at != path), '/');
		size_t n = end ? (size_t)(end - path) : strlen(path);
		if (n >= sizeof part) return -ENAMETOOLONG;
		memcpy(part, path, n);
		part[n] = 0;
		AUTO_FD int there = open_dir(u, part);
		if (there < 0 && there != -ENOENT) return there;
		if (there >= 0) continue;
		char *slash = strrchr(part, '/'), *name = slash ? slash + 1 : part;
		if (slash) *slash = 0;
		AUTO_FD int parent = open_dir(u, slash ? part : "");
		if (parent < 0) return parent;
		if (mkdirat(parent, name, 0755) < 0 && errno != EEXIST) return -errno;
	}
	return open_dir(u, path);
}

/* The directory that path stands in, and its name there. */
static int open_parent(const Untar *u, const char *path, const char **ret_name)
{
	char parent[4096];
	const char *slash = strrchr(path, '/');
	size_t n = slash ? (size_t)(slash - path) : 0;
	if (n >= sizeof parent) return -ENAMETOOLONG;
	memcpy(parent, path, n);
	parent[n] = 0;
	*ret_name = slash ? slash + 1 : path;
	int fd = open_dir(u, parent);
	return fd == -ENOENT ? make_parents(u, parent) : fd;
}

/* What is in the way goes, unless one of both is a directory. *ret_dir: a directory is there, and is one. */
static int clear_place(const Untar *u, const TarEntry *t, int parent, const char *name, bool *ret_dir, Err *e)
{
	struct stat st;
	const char *shown = streq(u->o.shown, "/") ? "" : u->o.shown;
	*ret_dir = false;
	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0) return errno == ENOENT ? 0 : fail(u, t, errno, e);
	*ret_dir = S_ISDIR(st.st_mode) && t->type == TAR_DIR;
	if (*ret_dir) return 0;
	if (t->type == TAR_DIR)
		return err_set(e, ERR_CONFIG, ENOTDIR, "cannot overwrite non-directory \"%s/%s\" with directory \"%s\"", shown, t->path,
			       u->o.shown);
	if (S_ISDIR(st.st_mode))
		return err_set(e, ERR_CONFIG, EISDIR, "cannot overwrite directory \"%s/%s\" with non-directory \"%s\"", shown, t->path,
			       u->o.shown);
	return unlinkat(parent, name, 0) < 0 && errno != ENOENT ? fail(u, t, errno, e) : 0;
}

/* ---- attributes ---- */

/* On the host. */
static int owner_of(const Untar *u, const TarEntry *t, uint32_t *uid, uint32_t *gid)
{
	bool given = u->o.owner == OWNER_GIVEN;
	int r = owner_outside(&u->o.maps.uids, given ? u->o.uid : t->uid, uid);
	return r < 0 ? r : owner_outside(&u->o.maps.gids, given ? u->o.gid : t->gid, gid);
}

static mode_t mode_of(const Untar *u, const TarEntry *t)
{
	return u->o.owner == OWNER_GIVEN && t->type != TAR_DIR ? t->mode & ~(uint32_t)SET_IDS : t->mode;
}

static bool is_wanted(const Untar *u, const char *name)
{
	return starts_with(name, "user.") || (u->o.owner == OWNER_OF_TAR && streq(name, "security.capability"));
}

/* Owner first: a change of it takes away set-id bits and capabilities. */
static int set_open(const Untar *u, const TarEntry *t, int fd)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_NOW }, { .tv_sec = t->mtime, .tv_nsec = t->mtime_ns } };
	uint32_t uid, gid;
	int r = owner_of(u, t, &uid, &gid);
	if (r < 0) return r;
	if (fchown(fd, uid, gid) < 0) return -errno;
	if (fchmod(fd, mode_of(u, t)) < 0) return -errno;
	for (size_t i = 0; i < t->n_xattrs; i++) {
		const TarXattr *x = &t->xattrs[i];
		if (is_wanted(u, x->name) && fsetxattr(fd, x->name, x->value, x->n, 0) < 0 && errno != ENOTSUP && errno != EPERM)
			return -errno;
	}
	return futimens(fd, times) < 0 ? -errno : 0;
}

static int set_named(const Untar *u, const TarEntry *t, int parent, const char *name)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_NOW }, { .tv_sec = t->mtime, .tv_nsec = t->mtime_ns } };
	uint32_t uid, gid;
	int r = owner_of(u, t, &uid, &gid);
	if (r < 0) return r;
	if (fchownat(parent, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0) return -errno;
	return utimensat(parent, name, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

/* ---- members ---- */

static int make_dir(Untar *u, const TarEntry *t, int parent, const char *name, bool there)
{
	if (!there && mkdirat(parent, name, 0700) < 0) return -errno;
	AUTO_FD int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) return -errno;
	int r = set_open(u, t, fd);
	Dir *d = arena_alloc(&u->arena, sizeof *d);
	if (r < 0 || !d || !(d->path = arena_strdup(&u->arena, t->path))) return r < 0 ? r : -ENOMEM;
	d->time = (struct timespec){ .tv_sec = t->mtime, .tv_nsec = t->mtime_ns };
	d->next = u->dirs;
	u->dirs = d;
	return 0;
}

static int make_link(const Untar *u, const TarEntry *t, int parent, const char *name)
{
	const char *target;
	AUTO_FD int from = open_parent(u, t->link, &target);
	if (from < 0) return from;
	return linkat(from, target, parent, name, 0) < 0 ? -errno : 0;
}

/* The umask is none: the node has its mode at once, as a name that somebody may exchange cannot be given one later. */
static int make_special(Untar *u, const TarEntry *t, int parent, const char *name)
{
	static const mode_t types[] = { [TAR_CHAR] = S_IFCHR, [TAR_BLOCK] = S_IFBLK, [TAR_FIFO] = S_IFIFO };
	if (t->type != TAR_FIFO && u->o.owner == OWNER_GIVEN) {
		u->left++;
		return 0;
	}
	if (mknodat(parent, name, types[t->type] | mode_of(u, t), makedev(t->major, t->minor)) < 0) return -errno;
	return set_named(u, t, parent, name);
}

static int make_member(Untar *u, const TarEntry *t, int parent, const char *name, bool there)
{
	switch (t->type) {
	case TAR_DIR:
		return make_dir(u, t, parent, name, there);
	case TAR_FILE:
		u->file = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		return u->file < 0 ? -errno : 0;
	case TAR_HARDLINK:
		return make_link(u, t, parent, name);
	case TAR_SYMLINK:
		return symlinkat(t->link, parent, name) < 0 ? -errno : set_named(u, t, parent, name);
	default:
		return make_special(u, t, parent, name);
	}
}

/* The file is whole when nothing of it is left to come. */
static int end_file(Untar *u, const TarEntry *t, Err *e)
{
	AUTO_FD int fd = take_fd(u->file);
	if (ftruncate(fd, (off_t)t->size) < 0) return fail(u, t, errno, e);
	int r = set_open(u, t, fd);
	return r < 0 ? fail(u, t, -r, e) : 0;
}

static int on_entry(void *arg, const TarEntry *t, Err *e)
{
	Untar *u = arg;
	const char *name;
	bool there;
	if (!*t->path) return 0;
	u->file = fd_close(u->file);
	AUTO_FD int parent = open_parent(u, t->path, &name);
	if (parent < 0) return fail(u, t, -parent, e);
	int r = clear_place(u, t, parent, name, &there, e);
	if (r < 0) return r;
	mode_t mask = umask(0);
	r = make_member(u, t, parent, name, there);
	umask(mask);
	if (r < 0) return fail(u, t, -r, e);
	u->at = u->filled = 0;
	u->extent = 0;
	return t->type == TAR_FILE && !t->stored ? end_file(u, t, e) : 0;
}

static int write_at(int fd, const char *p, size_t n, uint64_t at)
{
	while (n) {
		ssize_t k = retry_eintr(pwrite(fd, p, n, (off_t)at));
		if (k < 0) return -errno;
		p += k;
		n -= (size_t)k;
		at += (uint64_t)k;
	}
	return 0;
}

static int on_data(void *arg, const TarEntry *t, const void *p, size_t n, Err *e)
{
	Untar *u = arg;
	const char *from = p;
	if (u->file < 0) return 0;
	while (n) {
		const TarExtent *x = t->sparse ? &t->extents[u->extent] : &(TarExtent){ 0, t->size };
		size_t k = n < x->n - u->filled ? n : (size_t)(x->n - u->filled);
		int r = write_at(u->file, from, k, x->offset + u->filled);
		if (r < 0) return fail(u, t, -r, e);
		from += k;
		n -= k;
		u->at += k;
		u->filled += k;
		if (t->sparse && u->filled == x->n) {
			u->extent++;
			u->filled = 0;
		}
	}
	return u->at == t->stored ? end_file(u, t, e) : 0;
}

/* ---- the interface ---- */

Untar *untar_new(const UntarOptions *o)
{
	Untar *u = calloc(1, sizeof *u);
	if (!u) return NULL;
	*u = (Untar){ .o = *o, .arena = ARENA_INIT(DIRS_ARENA), .file = -1 };
	u->reader = tar_reader_new(&(TarVisitor){ .entry = on_entry, .data = on_data, .arg = u }, NULL);
	if (u->reader) return u;
	free(u);
	return NULL;
}

void untar_free(Untar *u)
{
	if (!u) return;
	tar_reader_free(u->reader);
	fd_close(u->file);
	arena_done(&u->arena);
	free(u);
}

int untar_feed(void *arg, const void *p, size_t n, Err *e)
{
	Untar *u = arg;
	return tar_reader_feed(u->reader, p, n, e);
}

int untar_finish(Untar *u, uint64_t *ret_left, Err *e)
{
	int r = tar_reader_finish(u->reader, e);
	if (r < 0) return r;
	for (const Dir *d = u->dirs; d; d = d->next) {
		const struct timespec times[2] = { { .tv_nsec = UTIME_NOW }, d->time };
		AUTO_FD int fd = open_dir(u, d->path);
		if (fd >= 0) (void)!futimens(fd, times); /* somebody may have taken it away */
	}
	if (ret_left) *ret_left = u->left;
	return 0;
}
