/* path.c: see path.h. */
#include "sys/path.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

/* The kernel answers EAGAIN when a rename or mount happened anywhere during the walk: a bounded number of
 * repeats, so that a container that renames all day cannot hold us here. */
enum { RETRIES = 128 };

static int open_how(int dirfd, const char *path, const struct open_how *how)
{
	for (int i = 0; i < RETRIES; i++) {
		int fd = (int)syscall(SYS_openat2, dirfd, path, how, sizeof *how);
		if (fd >= 0) return fd;
		if (errno != EAGAIN && errno != EINTR) return -errno;
	}
	return -EAGAIN;
}

int path_open(int root, const char *path, int flags, mode_t mode)
{
	struct open_how how = {
		.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC | (flags & O_PATH ? 0 : O_NOCTTY)),
		.mode = flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY)) ? mode : 0,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	return open_how(root, *path ? path : ".", &how);
}

int path_open_plain(int dir, const char *path, int flags)
{
	struct open_how how = {
		.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC | O_NOFOLLOW),
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS,
	};
	return open_how(dir, *path ? path : ".", &how);
}

int path_open_beneath(int dirfd, const char *path, int flags)
{
	/* RESOLVE_BENEATH lets "net/../kernel" pass: it stays beneath, but not where its first part says */
	Str rest = str_of(path), part;
	while (str_next(&rest, '/', &part))
		if (str_eq(part, "..")) return -EXDEV;
	struct open_how how = {
		.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC | O_NOFOLLOW),
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
	};
	return open_how(dirfd, path, &how);
}

enum { LINKS_MAX = 40 };

/* What make() works on: the path, how far it has come, and what the last part is to be. */
typedef struct Making {
	int root;
	mode_t mode;
	bool file; /* the last part is a file */
	int links; /* symbolic links followed by hand */
} Making;

static int make_path(Making *m, const char *path);

/* The part `name` of `at` is a link to something that does not exist: goes on with what it points to, inside the root. */
static int make_through_link(Making *m, int at, const char *name, const char *parent, Str rest)
{
	char target[4096], *next;
	if (++m->links > LINKS_MAX) return -ELOOP;
	ssize_t n = readlinkat(at, name, target, sizeof target - 1);
	if (n < 0) return errno == EINVAL ? -EAGAIN : -errno; /* no link any more: somebody changes it under our hands */
	target[n] = 0;
	bool absolute = target[0] == '/';
	if (asprintf(&next, "%s/%s/%.*s", absolute ? "" : parent, target, (int)rest.n, rest.n ? rest.p : "") < 0) return -ENOMEM;
	int fd = make_path(m, next);
	free(next);
	return fd;
}

static int make_part(const Making *m, int at, const char *name, bool last)
{
	if (last && m->file) {
		int fd = openat(at, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_WRONLY, m->mode);
		if (fd < 0 && errno != EEXIST) return -errno;
		fd_close(fd);
		struct stat st;
		AUTO_FD int made = openat(at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		if (made < 0 || fstat(made, &st) < 0) return -errno;
		return S_ISLNK(st.st_mode) || S_ISDIR(st.st_mode) ? -EAGAIN : take_fd(made);
	}
	if (mkdirat(at, name, m->file ? 0755 : m->mode) < 0 && errno != EEXIST) return -errno;
	int fd = openat(at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static bool has_dots(Str rest)
{
	Str part;
	while (str_next(&rest, '/', &part))
		if (str_eq(part, "..")) return true;
	return false;
}

static bool is_link(int at, const char *name)
{
	struct stat st;
	return fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode);
}

/* One part at a time. What exists is resolved from the root, as one prefix, so that links with absolute targets mean "inside the root";
 * what is missing is made below the descriptor of its parent, exclusively, and opened without following. */
static int make_path(Making *m, const char *path)
{
	char prefix[4096];
	size_t n = 0;
	Str rest = str_of(path), part;
	AUTO_FD int at = path_open(m->root, "/", O_PATH | O_DIRECTORY, 0);
	while (at >= 0 && str_next(&rest, '/', &part)) {
		char name[256];
		if (!part.n || str_eq(part, ".")) continue;
		if (part.n >= sizeof name || n + part.n + 2 > sizeof prefix) return -ENAMETOOLONG;
		memcpy(name, part.p, part.n);
		name[part.n] = 0;
		bool last = !str_trim_slashes(rest).n;
		size_t parent_n = n;
		prefix[n++] = '/';
		memcpy(prefix + n, name, part.n + 1);
		n += part.n;
		int next = path_open(m->root, prefix, last && m->file ? O_PATH : O_PATH | O_DIRECTORY, 0);
		if (next == -ENOENT && is_link(at, name)) {
			prefix[parent_n] = 0;
			return make_through_link(m, at, name, prefix, rest);
		}
		/* ".." of what does not exist: nobody means that. And ".." is never taken from a descriptor: that of the root would lead out, once
		 * a part before it has become a link to nothing in the meantime. */
		if (next == -ENOENT && (streq(name, "..") || has_dots(rest))) return next;
		if (next == -ENOENT) next = make_part(m, at, name, last);
		if (next < 0) return next;
		fd_close(at);
		at = next;
	}
	return take_fd(at);
}

/* The usual case: only the last part is missing. -ENOENT sends the caller the long way. */
static int make_last(int root, const char *path, mode_t mode)
{
	const char *slash = strrchr(path, '/');
	char parent[4096];
	size_t n = slash ? (size_t)(slash - path) : 0;
	const char *name = slash ? slash + 1 : path;
	if (!*name || streq(name, ".") || streq(name, "..") || n >= sizeof parent) return -ENOENT;
	memcpy(parent, path, n);
	parent[n] = 0;
	AUTO_FD int at = n ? path_open(root, parent, O_PATH | O_DIRECTORY, 0) : -1;
	if (n && at < 0) return at;
	int dir = n ? at : root;
	if (mkdirat(dir, name, mode) < 0) return errno == EEXIST ? -ENOENT : -errno; /* a dangling link is there */
	int fd = openat(dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int path_make_dir_new(int root, const char *path, mode_t mode, bool *ret_made)
{
	int fd = path_open(root, path, O_PATH | O_DIRECTORY, 0);
	*ret_made = fd == -ENOENT;
	if (fd != -ENOENT) return fd;
	fd = make_last(root, path, mode);
	return fd == -ENOENT ? make_path(&(Making){ .root = root, .mode = mode }, path) : fd;
}

int path_make_dir(int root, const char *path, mode_t mode)
{
	bool made;
	return path_make_dir_new(root, path, mode, &made);
}

int path_make_file(int root, const char *path, mode_t mode)
{
	struct stat st;
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	AUTO_FD int fd = path_open(root, path, O_PATH, 0);
	if (fd >= 0 && fstat(fd, &st) < 0) return -errno;
	if (fd >= 0) return S_ISDIR(st.st_mode) ? -EISDIR : take_fd(fd);
	if (fd != -ENOENT) return fd;
	if (streq(name, ".") || streq(name, "..")) return -EINVAL;
	if (!*name) return -EISDIR;
	return make_path(&(Making){ .root = root, .mode = mode, .file = true }, path);
}

int path_is_fs(int fd, unsigned long magic)
{
	struct statfs fs;
	if (fstatfs(fd, &fs) < 0) return -errno;
	return (unsigned long)fs.f_type == magic ? 0 : -EXDEV;
}

char *path_clean(Arena *a, const char *path)
{
	size_t n = strlen(path);
	char *out = arena_alloc(a, n + 2);
	if (!out) return NULL;
	size_t k = 0;
	Str rest = str_of(path), part;
	while (str_next(&rest, '/', &part)) {
		if (!part.n || str_eq(part, ".")) continue;
		if (str_eq(part, "..")) {
			while (k && out[--k] != '/')
				;
			continue;
		}
		out[k++] = '/';
		memcpy(out + k, part.p, part.n);
		k += part.n;
	}
	if (!k) out[k++] = '/';
	out[k] = 0;
	return out;
}
