/* erofs_mount.c: see erofs_mount.h. The files are named through /proc/self/fd: the kernel opens them again, by descriptor. */
#include "sys/erofs_mount.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/erofs.h"
#include "sys/fd.h"
#include "sys/mount.h"

enum { KERNEL_MESSAGE = 256 };

/* fd_check_file: erofs_mount would find another file system's device or a directory, too. */
static int check_file(int fd, const char *what, Err *e)
{
	struct stat st;
	if (fstat(fd, &st) < 0) return err_sys(e, errno, "mount erofs: %s", what);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) return err_set(e, ERR_CONFIG, EINVAL, "mount erofs: %s is no regular file", what);
	return 0;
}

/* What the kernel has to say on a file system context, without its "e erofs: "; at most one line. */
static void kernel_message(int context, char to[KERNEL_MESSAGE])
{
	ssize_t n = read(context, to, KERNEL_MESSAGE - 1);
	to[n > 0 ? n : 0] = 0;
	char *end = strchr(to, '\n');
	if (end) *end = 0;
}

static int set_file(int context, const char *key, int fd)
{
	char path[32];
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	return fsconfig(context, FSCONFIG_SET_STRING, key, path, 0) < 0 ? -errno : 0;
}

static int fail(int context, int r, Err *e)
{
	char said[KERNEL_MESSAGE];
	kernel_message(context, said);
	if (r == -ENOTBLK)
		return err_set(
			e, ERR_UNSUPPORTED, EOPNOTSUPP,
			"mount erofs: this kernel, or the file system the index lies on, has no file-backed mounts (Linux 6.12, not tmpfs)");
	if (said[0]) return err_sys(e, -r, "mount erofs: %s", said);
	return err_sys(e, -r, "mount erofs");
}

int erofs_mount(int index, const int *devices, size_t n, Err *e)
{
	int r = check_file(index, "the index", e);
	for (size_t i = 0; i < n && r >= 0; i++)
		r = check_file(devices[i], "a device", e);
	if (r < 0) return r;
	AUTO_FD int context = fsopen("erofs", FSOPEN_CLOEXEC);
	if (context < 0) return err_sys(e, errno, "mount erofs");
	r = set_file(context, "source", index);
	for (size_t i = 0; i < n && r >= 0; i++)
		r = set_file(context, "device", devices[i]);
	if (r >= 0 && fsconfig(context, FSCONFIG_SET_FLAG, "ro", NULL, 0) < 0) r = -errno;
	if (r >= 0 && fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0) r = -errno;
	if (r < 0) return fail(context, r, e);
	int mount = fsmount(context, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY);
	return mount < 0 ? err_sys(e, errno, "mount erofs") : mount;
}

int erofs_mount_probe(int dir, Err *e)
{
	AUTO_EROFS_TREE *t = NULL;
	AUTO_FD int index = openat(dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	AUTO_FD int device = openat(dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (index < 0 || device < 0) return err_sys(e, errno, "probe erofs: make a nameless file");
	if (erofs_tree_new(NULL, &t) < 0) return err_sys(e, ENOMEM, "probe erofs");
	int r = erofs_write(t, index, NULL, NULL, e);
	if (r < 0) return err_wrap(e, "probe erofs");
	AUTO_FD int mount = erofs_mount(index, &device, 1, e);
	return mount < 0 ? mount : 0;
}
