/* tree_remove.c: see tree_remove.h. */
#include "sys/tree_remove.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/fd.h"
#include "sys/path.h"

enum { MOVED_NAME = 40 };

static void closedirp(DIR **d)
{
	if (*d) closedir(*d);
}

/* A name in top that is not taken: numbers count up, over what an earlier call has left. */
static int move_up(int from, const char *name, int top, uint64_t *counter)
{
	char to[MOVED_NAME];
	for (;;) {
		snprintf(to, sizeof to, ".moved-%ju", (uintmax_t)(*counter)++);
		int r = fd_rename_new(from, name, top, to);
		if (r != -EEXIST) return r;
	}
}

static bool is_dir(int at, const struct dirent *entry)
{
	struct stat st;
	if (entry->d_type != DT_UNKNOWN) return entry->d_type == DT_DIR;
	return fstatat(at, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

/* What is mounted on it is not ours to empty: EXDEV. */
static DIR *open_dir(int at, const char *name)
{
	int fd = path_open_beneath(at, name, O_RDONLY | O_DIRECTORY);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (fd < 0) errno = -fd;
	if (!d) fd_close(fd);
	return d;
}

/* Empties the directory name of top: files go, directories move up into top. */
static int empty(int top, const char *name, uint64_t *counter)
{
	struct dirent *entry;
	AUTO(closedirp) DIR *d = open_dir(top, name);
	if (!d) return -errno;
	int fd = dirfd(d);
	while (errno = 0, (entry = readdir(d))) {
		const char *child = entry->d_name;
		int r = 0;
		if (streq(child, ".") || streq(child, "..")) continue;
		if (is_dir(fd, entry)) {
			/* without write permission its ".." cannot change, unless one is root */
			if (geteuid() != 0 && fchmodat(fd, child, 0700, 0) < 0) return -errno;
			r = unlinkat(fd, child, AT_REMOVEDIR) == 0 ? 0 : move_up(fd, child, top, counter);
		} else if (unlinkat(fd, child, 0) < 0 && errno != ENOENT) {
			r = -errno;
		}
		if (r < 0) return r;
	}
	return errno ? -errno : 0;
}

/* The next thing in top, which holds files and directories to be emptied; 0 when there is none. */
static int remove_next(int top, uint64_t *counter)
{
	struct dirent *entry;
	AUTO(closedirp) DIR *d = open_dir(top, ".");
	if (!d) return -errno;
	int fd = dirfd(d), done = 0;
	while (errno = 0, (entry = readdir(d))) {
		const char *name = entry->d_name;
		int r = 0;
		if (streq(name, ".") || streq(name, "..")) continue;
		done = 1;
		if (!is_dir(fd, entry)) {
			if (unlinkat(fd, name, 0) < 0 && errno != ENOENT) return -errno;
			continue;
		}
		if (geteuid() != 0 && fchmodat(fd, name, 0700, 0) < 0) return -errno;
		if (unlinkat(fd, name, AT_REMOVEDIR) == 0) continue;
		if ((r = empty(fd, name, counter)) < 0) return r;
		if (unlinkat(fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT && errno != ENOTEMPTY) return -errno;
	}
	return errno ? -errno : done;
}

int tree_remove(int dir, const char *name)
{
	uint64_t counter = 0;
	int r;
	if (geteuid() != 0 && fchmodat(dir, name, 0700, 0) < 0) return -errno;
	AUTO_FD int top = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (top < 0) return -errno;
	while ((r = remove_next(top, &counter)) > 0)
		;
	if (r < 0) return r;
	return unlinkat(dir, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}
