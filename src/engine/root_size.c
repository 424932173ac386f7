/* root_size.c: see root_size.h. */
#include "engine/root_size.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/size.h"
#include "sys/loop_device.h"
#include "sys/mount.h"
#include "sys/project_quota.h"

#define DISK "disk"

/* Bytes; 0: no limit. It has been checked. */
static int64_t size_of(const Record *c)
{
	Err ignored = ERR_INIT;
	int64_t size = 0;
	for (size_t i = 0; i < c->host.storage_opt.n; i++)
		if (size_parse(str_of(c->host.storage_opt.items[i].value), SIZE_BINARY, &size, &ignored) < 0) size = 0;
	return size;
}

/* ---- a quota ---- */

/* From the id, which is random: no account of them has to be kept. */
static uint32_t project_of(const Record *c)
{
	uint64_t bits = 0;
	(void)!str_to_u64_base((Str){ c->id, 8 }, 16, &bits);
	return (uint32_t)bits | PROJECT_QUOTA_OURS;
}

static int set_quota(const Record *c, int dir, int64_t size, Err *e)
{
	static const char *const names[] = { "upper", "work" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		AUTO_FD int fd = openat(dir, names[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		int r = fd < 0 ? err_sys(e, errno, "open %s", names[i]) : project_quota_set(fd, project_of(c), (uint64_t)size, e);
		if (r < 0) return r;
	}
	return 0;
}

/* ---- a disk ---- */

static int run_mkfs(int file, Err *e)
{
	static const char *const programs[] = { "/usr/sbin/mkfs.ext4", "/sbin/mkfs.ext4" };
	static const char *const argv[] = { "mkfs.ext4", "-q", "-F", "-m", "0", "/proc/self/fd/0", NULL };
	static const char *const env[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", NULL };
	posix_spawn_file_actions_t actions;
	pid_t pid = -1;
	int status = 0, r = posix_spawn_file_actions_init(&actions);
	if (r) return err_sys(e, r, "run mkfs.ext4");
	r = posix_spawn_file_actions_adddup2(&actions, file, 0);
	for (int i = 1; !r && i < 3; i++)
		r = posix_spawn_file_actions_addopen(&actions, i, "/dev/null", O_WRONLY, 0);
	for (size_t i = 0; !r && i < ARRAY_LEN(programs); i++) {
		int x = posix_spawn(&pid, programs[i], &actions, NULL, (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)env);
		if (!x) break;
		if (x != ENOENT || i + 1 == ARRAY_LEN(programs)) r = x;
	}
	posix_spawn_file_actions_destroy(&actions);
	if (r) return err_sys(e, r == ENOENT ? EOPNOTSUPP : r, "run mkfs.ext4");
	if (waitpid(pid, &status, 0) != pid || status)
		return err_set(e, ERR_CONFIG, EINVAL, "mkfs.ext4 could not make a file system of that size");
	return 0;
}

/* The loop device of whoever has mounted it is found again: two of them over one file would be two file systems that destroy each other. The device keeps
 * `file` open, and would keep a lock of it. */
static int mount_disk(int dir, int file, Err *e)
{
	char path[40];
	AUTO_FD int lock = openat(dir, DISK, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (lock < 0 || flock(lock, LOCK_EX) < 0) return err_sys(e, errno, "lock the container's disk");
	AUTO_FD int device = loop_device_find(file, e);
	if (device == -ENOENT) device = loop_device_attach_writable(file, e);
	if (device < 0) return device;
	snprintf(path, sizeof path, "/proc/self/fd/%d", device);
	int mount = mount_made(path, "ext4", 0, "discard");
	return mount < 0 ? err_sys(e, -mount, "mount the container's disk") : mount;
}

static int make_disk(int dir, int64_t size, Err *e)
{
	AUTO_FD int file = openat(dir, DISK, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (file < 0 || ftruncate(file, size) < 0) return err_sys(e, errno, "make the container's disk");
	int r = run_mkfs(file, e);
	if (r < 0) return r;
	AUTO_FD int top = mount_disk(dir, file, e);
	if (top < 0) return top;
	if (mkdirat(top, "upper", 0755) < 0 || mkdirat(top, "work", 0700) < 0) return err_sys(e, errno, "make the container's disk");
	return 0;
}

/* ---- the limit ---- */

int root_size_limit(const Record *c, int dir, Err *e)
{
	int64_t size = size_of(c);
	Err why = ERR_INIT;
	if (!size) return 0;
	if (c->host.rootfs && *c->host.rootfs)
		return err_set(e, ERR_UNSUPPORTED, ENOTSUP, "--storage-opt size: a root directory of yours (--rootfs) has no limit");
	int r = set_quota(c, dir, size, &why);
	if (r != -EOPNOTSUPP) {
		if (r < 0) *e = why;
		return r;
	}
	r = make_disk(dir, size, e);
	if (r == -EOPNOTSUPP)
		return err_set(
			e, ERR_UNSUPPORTED, ENOTSUP,
			"--storage-opt is supported only for overlay over xfs with 'pquota' mount option, ext4 with 'prjquota', or with mkfs.ext4 and loop "
			"devices");
	return r < 0 ? err_wrap(e, "--storage-opt size") : 0;
}

void root_size_forget(const Record *c, int dir)
{
	if (size_of(c) && dir >= 0 && faccessat(dir, DISK, F_OK, AT_SYMLINK_NOFOLLOW) < 0) (void)!project_quota_clear(dir, project_of(c));
}

int root_writable(const Record *c, int dir, Err *e)
{
	int fd;
	AUTO_FD int file = size_of(c) ? openat(dir, DISK, O_RDWR | O_NOFOLLOW | O_CLOEXEC) : -1;
	if (file >= 0) return mount_disk(dir, file, e);
	if (size_of(c) && errno != ENOENT) return err_sys(e, errno, "open the container's disk");
	fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_sys(e, errno, "open the container's directory") : fd;
}
