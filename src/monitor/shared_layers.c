/* shared_layers.c: see shared_layers.h. */
#include "monitor/shared_layers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/str.h"
#include "sys/fd.h"
#include "sys/mount.h"
#include "sys/proc.h"

enum { LOOKS_MAX = 16 }; /* at files that do not count, for one start */

static void closedirp(DIR **d)
{
	if (*d) closedir(*d);
}

static int open_dir(const char *dir)
{
	return open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* That directory and the one above it. */
static int make_dir(const char *dir)
{
	char above[4096];
	const char *slash = strrchr(dir, '/');
	if (!slash || (size_t)(slash - dir) >= sizeof above) return -ENAMETOOLONG;
	memcpy(above, dir, (size_t)(slash - dir));
	above[slash - dir] = 0;
	if (mkdir(dir, 0700) == 0 || errno == EEXIST) return 0;
	if (errno != ENOENT || (mkdir(above, 0700) < 0 && errno != EEXIST)) return -errno;
	return mkdir(dir, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

static uint64_t pid_namespace(void)
{
	struct stat st;
	return stat("/proc/self/ns/pid", &st) == 0 ? st.st_ino : 0;
}

void shared_layers_offer(const char *dir, int fd, char name[static SHARED_LAYERS_NAME])
{
	uint64_t start;
	name[0] = 0;
	if (proc_start_time(getpid(), &start) < 0) return;
	snprintf(name, SHARED_LAYERS_NAME, "%d.%" PRIu64 ".%d.%" PRIu64, getpid(), start, fd, pid_namespace());
	for (int i = 0; i < 2; i++) { /* who withdraws removes the directory */
		AUTO_FD int at = make_dir(dir) < 0 ? -1 : open_dir(dir);
		AUTO_FD int file = at < 0 ? -1 : openat(at, name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (file >= 0) return;
	}
	name[0] = 0;
}

void shared_layers_withdraw(const char *dir, const char *name)
{
	AUTO_FD int at = *name ? open_dir(dir) : -1;
	if (at < 0) return;
	(void)unlinkat(at, name, 0);
	(void)rmdir(dir); /* unless others are there */
}

typedef struct Offer {
	int pid, fd;
	uint64_t start, ns;
} Offer;

static bool parse(const char *name, Offer *ret)
{
	Str rest = str_of(name), pid, start, fd;
	return str_cut(rest, '.', &pid, &rest) && str_cut(rest, '.', &start, &rest) && str_cut(rest, '.', &fd, &rest) &&
	       str_to_int(pid, &ret->pid) == 0 && ret->pid > 0 && str_to_u64(start, &ret->start) == 0 && str_to_int(fd, &ret->fd) == 0 &&
	       ret->fd >= 0 && str_to_u64(rest, &ret->ns) == 0;
}

/* -ESRCH: it is no offer, or whose it was is gone. */
static int copy_of(const char *name, uint64_t ns)
{
	char path[64];
	struct statfs fs;
	Offer o;
	if (!parse(name, &o)) return -ESRCH;
	if (o.ns != ns) return -ENOENT;
	AUTO_FD int process = pid_open_exact(o.pid, o.start);
	if (process < 0) return process;
	snprintf(path, sizeof path, "/proc/%d/fd/%d", o.pid, o.fd);
	AUTO_FD int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	AUTO_FD int copy = fd < 0 ? -errno : mount_clone(fd, "", false);
	if (pid_has_exited(process) == 1) return -ESRCH;
	if (copy < 0) return copy == -EINVAL ? -ENOTSUP : copy == -ESRCH ? -ENOENT : copy;
	return fstatfs(copy, &fs) == 0 && fs.f_type == EROFS_SUPER_MAGIC_V1 ? take_fd(copy) : -ENOENT;
}

/* The first copy to be had, when it is wanted; others' files that do not count are taken away on the way. */
static int look(const char *dir, bool want, int looks)
{
	struct dirent *entry;
	const uint64_t ns = pid_namespace();
	int at = open_dir(dir);
	AUTO(closedirp) DIR *d = at < 0 ? NULL : fdopendir(at);
	if (!d) {
		fd_close(at);
		return -ENOENT;
	}
	while (looks-- > 0 && (entry = readdir(d))) {
		if (entry->d_name[0] == '.') continue;
		int fd = copy_of(entry->d_name, ns);
		if (fd == -ESRCH) (void)unlinkat(at, entry->d_name, 0);
		if (fd >= 0 && want && faccessat(at, entry->d_name, F_OK, AT_SYMLINK_NOFOLLOW) == 0) return fd;
		fd_close(fd);
		if (fd == -ENOTSUP && want) break; /* this kernel copies none */
	}
	return -ENOENT;
}

int shared_layers_open(const char *dir)
{
	return look(dir, true, LOOKS_MAX);
}

void shared_layers_sweep(const char *dir)
{
	(void)!look(dir, false, INT_MAX);
	(void)rmdir(dir);
}
