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
		.mode = flags & (O_CREAT | __O_TMPFILE) ? mode : 0,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	return open_how(root, *path ? path : ".", &how);
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

/* Longest existing prefix: walks the path part by part. Each existing part is re-resolved from the root as one
 * prefix string, so links with absolute targets keep meaning "inside the root"; what is created is created below
 * the descriptor of its parent, exclusively, and reopened without following. */
static int make_parts(int root, const char *path, mode_t mode)
{
	char prefix[4096];
	size_t n = 0;
	AUTO_FD int at = path_open(root, "/", O_PATH | O_DIRECTORY, 0);
	if (at < 0) return at;
	Str rest = str_of(path), part;
	bool created = false;
	while (str_next(&rest, '/', &part)) {
		char name[256];
		if (!part.n || str_eq(part, ".")) continue;
		if (part.n >= sizeof name || n + part.n + 2 > sizeof prefix) return -ENAMETOOLONG;
		memcpy(name, part.p, part.n);
		name[part.n] = 0;
		prefix[n++] = '/';
		memcpy(prefix + n, name, part.n + 1);
		n += part.n;
		int next = created ? -ENOENT : path_open(root, prefix, O_PATH | O_DIRECTORY, 0);
		if (next == -ENOENT) {
			if (str_eq(part, "..")) return -ENOENT;
			if (mkdirat(at, name, mode) < 0 && errno != EEXIST) return -errno;
			next = openat(at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			if (next < 0) return errno == ENOTDIR || errno == ELOOP ? -ENOENT : -errno;
			created = true;
		}
		if (next < 0) return next;
		fd_close(at);
		at = next;
	}
	return take_fd(at);
}

int path_make_dir(int root, const char *path, mode_t mode)
{
	int fd = path_open(root, path, O_PATH | O_DIRECTORY, 0);
	return fd == -ENOENT ? make_parts(root, path, mode) : fd;
}

/* Takes fd and gives it back when a file may be bound over it. A link can only be one that dangles, or that was put
 * there just now: nothing is created through it. */
static int keep_file(int fd)
{
	struct stat st;
	int r = fstat(fd, &st) < 0 ? -errno : S_ISDIR(st.st_mode) ? -EISDIR : S_ISLNK(st.st_mode) ? -ENOENT : fd;
	if (r < 0) fd_close(fd);
	return r;
}

int path_make_file(int root, const char *path, mode_t mode)
{
	int fd = path_open(root, path, O_PATH, 0);
	if (fd >= 0) return keep_file(fd);
	if (fd != -ENOENT) return fd;
	size_t n = strlen(path);
	while (n && path[n - 1] == '/')
		n--;
	size_t base = n;
	while (base && path[base - 1] != '/')
		base--;
	char name[256];
	if (n == base || n - base >= sizeof name) return n == base ? -EISDIR : -ENAMETOOLONG;
	memcpy(name, path + base, n - base);
	name[n - base] = 0;
	if (streq(name, ".") || streq(name, "..")) return -EINVAL;
	AUTO_FREE char *dir = strndup(path, base);
	if (!dir) return -ENOMEM;
	AUTO_FD int parent = path_make_dir(root, dir, 0755);
	if (parent < 0) return parent;
	AUTO_FD int made = openat(parent, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_WRONLY, mode);
	if (made < 0 && errno != EEXIST) return -errno;
	fd = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : keep_file(fd);
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
