/* tree_own.c: see tree_own.h. */
#include "engine/tree_own.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "sys/path.h"

enum { DEPTH_MAX = 256 };

static void closedirp(DIR **d)
{
	if (*d) closedir(*d);
}

static int own_this(int fd, const struct stat *st, const TreeOwner *o)
{
	char path[40];
	if (o->chown && (st->st_uid != o->uid || st->st_gid != o->gid) &&
	    fchownat(fd, "", o->uid, o->gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (!o->label) return 0;
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	return setxattr(path, "security.selinux", o->label, strlen(o->label) + 1, 0) < 0 && errno != ENOTSUP ? -errno : 0;
}

static int own(int fd, const TreeOwner *o, unsigned depth);

static int own_child(int dir, const char *name, const TreeOwner *o, unsigned depth)
{
	AUTO_FD int fd = path_open_beneath(dir, name, O_PATH);
	if (fd == -EXDEV || fd == -ENOENT) return 0; /* another mount; or it went meanwhile */
	return fd < 0 ? fd : own(fd, o, depth);
}

static int own(int fd, const TreeOwner *o, unsigned depth)
{
	struct stat st;
	struct dirent *entry;
	if (fstat(fd, &st) < 0) return -errno;
	int r = own_this(fd, &st, o);
	if (r < 0 || !S_ISDIR(st.st_mode)) return r;
	if (depth == DEPTH_MAX) return -ENAMETOOLONG;
	int in = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO(closedirp) DIR *d = in < 0 ? NULL : fdopendir(in);
	if (!d) return -errno;
	while (r >= 0 && (entry = readdir(d)))
		if (!streq(entry->d_name, ".") && !streq(entry->d_name, "..")) r = own_child(in, entry->d_name, o, depth + 1);
	return r;
}

int tree_own(int fd, const TreeOwner *o, Err *e)
{
	int r = own(fd, o, 0);
	return r < 0 ? err_sys(e, -r, "change the owner of files") : 0;
}
