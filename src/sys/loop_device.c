/* loop_device.c: see loop_device.h. */
#include "sys/loop_device.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "sys/fd.h"

enum { TRIES = 64, BLOCK = 512 };

/* Whoever was faster has the device that the kernel told us is free: -EBUSY. */
static int attach_one(int control, int file, Err *e)
{
	char path[32];
	int n = ioctl(control, LOOP_CTL_GET_FREE);
	if (n < 0) return err_sys(e, errno, "loop device: find a free one");
	snprintf(path, sizeof path, "/dev/loop%d", n);
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) return err_sys(e, errno == ENOENT ? EOPNOTSUPP : errno, "loop device: open %s", path);
	const struct loop_config config = {
		.fd = (unsigned)file,
		.block_size = BLOCK,
		.info = { .lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR },
	};
	if (ioctl(fd, LOOP_CONFIGURE, &config) == 0) return take_fd(fd);
	return err_sys(e, errno, "loop device: configure %s", path);
}

int loop_device_attach(int file, Err *e)
{
	AUTO_FD int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int why_not = control >= 0 ? 0 : errno == ENOENT || errno == ENODEV ? EOPNOTSUPP : errno == EACCES ? EPERM : errno;
	if (control < 0) return err_sys(e, why_not, "open /dev/loop-control");
	for (int i = 0;; i++) {
		Err why = ERR_INIT;
		int fd = attach_one(control, file, &why);
		if (fd == -EBUSY && i < TRIES) continue;
		if (fd < 0) *e = why;
		return fd;
	}
}
