/* tree_copy.c: see tree_copy.h. */
#include "runtime/tree_copy.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/fd.h"

enum { DEPTH_MAX = 64 };

static void auto_dir(DIR **d)
{
	if (*d) closedir(*d);
}

static int copy_content(int in, int out)
{
	for (;;) {
		ssize_t n = sendfile(out, in, NULL, 1 << 20);
		if (n < 0) return -errno;
		if (n == 0) return 0;
	}
}

static int copy_file(int from, const char *name, int to, const struct stat *st)
{
	AUTO_FD int in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (in < 0) return -errno;
	AUTO_FD int out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (out < 0) return -errno;
	int r = copy_content(in, out);
	if (r < 0) return r;
	if (fchown(out, st->st_uid, st->st_gid) < 0 || fchmod(out, st->st_mode & 07777) < 0) return -errno;
	struct timespec times[2] = { st->st_atim, st->st_mtim };
	return futimens(out, times) < 0 ? -errno : 0;
}

static int copy_link(int from, const char *name, int to, const struct stat *st)
{
	char target[4096];
	ssize_t n = readlinkat(from, name, target, sizeof target - 1);
	if (n < 0) return -errno;
	target[n] = 0;
	if (symlinkat(target, to, name) < 0) return -errno;
	return fchownat(to, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static int copy_level(int from, int to, int depth);

static int copy_dir(int from, const char *name, int to, const struct stat *st, int depth)
{
	if (depth >= DEPTH_MAX) return -ELOOP;
	if (mkdirat(to, name, 0700) < 0) return -errno;
	int in = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (in < 0) return -errno;
	AUTO_FD int out = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (out < 0) {
		fd_close(in);
		return -errno;
	}
	int r = copy_level(in, out, depth + 1);
	if (r < 0) return r;
	if (fchown(out, st->st_uid, st->st_gid) < 0 || fchmod(out, st->st_mode & 07777) < 0) return -errno;
	return 0;
}

static int copy_entry(int from, const char *name, int to, dev_t dev, int depth)
{
	struct stat st;
	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0) return -errno;
	if (S_ISDIR(st.st_mode)) return st.st_dev == dev ? copy_dir(from, name, to, &st, depth) : 0;
	if (S_ISREG(st.st_mode)) return copy_file(from, name, to, &st);
	if (S_ISLNK(st.st_mode)) return copy_link(from, name, to, &st);
	if (S_ISSOCK(st.st_mode)) return 0;
	if (mknodat(to, name, st.st_mode, st.st_rdev) < 0) return errno == EPERM ? 0 : -errno;
	return fchownat(to, name, st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

/* Takes from over. */
static int copy_level(int from, int to, int depth)
{
	struct stat st;
	if (fstat(from, &st) < 0) {
		int r = -errno;
		fd_close(from);
		return r;
	}
	AUTO(auto_dir) DIR *d = fdopendir(from);
	if (!d) {
		fd_close(from);
		return -ENOMEM;
	}
	for (struct dirent *de; (de = readdir(d));) {
		if (streq(de->d_name, ".") || streq(de->d_name, "..")) continue;
		int r = copy_entry(dirfd(d), de->d_name, to, st.st_dev, depth);
		if (r < 0) return r;
	}
	return 0;
}

int tree_copy(int from, int to, Err *e)
{
	int in = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (in < 0) return err_sys(e, errno, "open");
	mode_t mask = umask(0);
	int r = copy_level(in, to, 0);
	umask(mask);
	return r < 0 ? err_sys(e, r, "copy") : 0;
}
