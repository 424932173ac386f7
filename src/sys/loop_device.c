/* loop_device.c: see loop_device.h. */
#include "sys/loop_device.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/loop.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/fd.h"

enum { TRIES = 64, BLOCK = 512 };

/* Whoever was faster has the device that the kernel told us is free: -EBUSY. */
static int attach_one(int control, int file, bool writable, Err *e)
{
	char path[32];
	int n = ioctl(control, LOOP_CTL_GET_FREE);
	if (n < 0) return err_sys(e, errno, "loop device: find a free one");
	snprintf(path, sizeof path, "/dev/loop%d", n);
	AUTO_FD int fd = open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	if (fd < 0) return err_sys(e, errno == ENOENT ? EOPNOTSUPP : errno, "loop device: open %s", path);
	const struct loop_config config = {
		.fd = (unsigned)file,
		.block_size = BLOCK,
		.info = { .lo_flags = (writable ? 0 : LO_FLAGS_READ_ONLY) | LO_FLAGS_AUTOCLEAR },
	};
	if (ioctl(fd, LOOP_CONFIGURE, &config) == 0) return take_fd(fd);
	return err_sys(e, errno, "loop device: configure %s", path);
}

static int attach(int file, bool writable, Err *e)
{
	AUTO_FD int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int why_not = control >= 0 ? 0 : errno == ENOENT || errno == ENODEV ? EOPNOTSUPP : errno == EACCES ? EPERM : errno;
	if (control < 0) return err_sys(e, why_not, "open /dev/loop-control");
	for (int i = 0;; i++) {
		Err why = ERR_INIT;
		int fd = attach_one(control, file, writable, &why);
		if (fd == -EBUSY && i < TRIES) continue;
		if (fd < 0) *e = why;
		return fd;
	}
}

int loop_device_attach(int file, Err *e)
{
	return attach(file, false, e);
}

int loop_device_attach_writable(int file, Err *e)
{
	return attach(file, true, e);
}

static void closedirp(DIR **d)
{
	if (*d) closedir(*d);
}

/* A descriptor of the device name, when it is over that file. */
static int open_if_over(const char *name, const struct stat *file)
{
	char path[NAME_MAX + 8];
	struct loop_info64 info;
	snprintf(path, sizeof path, "/dev/%s", name);
	AUTO_FD int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, LOOP_GET_STATUS64, &info) < 0) return -1; /* a free one, or gone */
	bool same = info.lo_device == file->st_dev && info.lo_inode == file->st_ino && !(info.lo_flags & LO_FLAGS_READ_ONLY);
	return same ? take_fd(fd) : -1;
}

int loop_device_find(int file, Err *e)
{
	struct stat st;
	struct dirent *entry;
	AUTO(closedirp) DIR *d = opendir("/sys/block");
	if (!d || fstat(file, &st) < 0) return err_sys(e, errno, "look for loop devices");
	while ((entry = readdir(d))) {
		int fd = starts_with(entry->d_name, "loop") ? open_if_over(entry->d_name, &st) : -1;
		if (fd >= 0) return fd;
	}
	return -ENOENT;
}
