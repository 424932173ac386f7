/* pty.c: see pty.h. */
#include "sys/pty.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "sys/path.h"

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif

enum { PTMX_MAJOR = 5, PTMX_MINOR = 2 };

void pty_done(Pty *p)
{
	p->master = fd_close(p->master);
	p->slave = fd_close(p->slave);
}

int pty_from_ptmx(int master, Pty *ret, Err *e)
{
	int unlock = 0;
	unsigned number = 0;
	struct stat st;
	if (fstat(master, &st) < 0) return err_sys(e, errno, "stat ptmx");
	if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(PTMX_MAJOR, PTMX_MINOR))
		return err_set(e, ERR_SECURITY, ENOTTY, "ptmx is not the device 5:2");
	if (ioctl(master, TIOCSPTLCK, &unlock) < 0) return err_sys(e, errno, "unlock the pty");
	if (ioctl(master, TIOCGPTN, &number) < 0) return err_sys(e, errno, "number of the pty");
	int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0) return err_sys(e, errno, "open the peer of pty %u", number);
	*ret = (Pty){ .master = master, .slave = slave, .number = number };
	return 0;
}

static int open_ptmx(int devpts, Err *e)
{
	if (devpts < 0) {
		int fd = openat(AT_FDCWD, "/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
		return fd < 0 ? err_sys(e, errno, "open /dev/ptmx") : fd;
	}
	int r = path_is_fs(devpts, DEVPTS_SUPER_MAGIC);
	if (r < 0) return err_sys(e, r, "the directory for the pty is not a devpts");
	int fd = path_open_beneath(devpts, "ptmx", O_RDWR | O_NOCTTY);
	return fd < 0 ? err_sys(e, fd, "open ptmx") : fd;
}

int pty_open(int devpts, Pty *ret, Err *e)
{
	int master = open_ptmx(devpts, e);
	if (master < 0) return master;
	int r = pty_from_ptmx(master, ret, e);
	if (r < 0) fd_close(master);
	return r;
}

int pty_set_size(int fd, unsigned rows, unsigned cols)
{
	if (!rows && !cols) return 0;
	if (rows > UINT16_MAX || cols > UINT16_MAX) return -ERANGE;
	struct winsize w = { .ws_row = (unsigned short)rows, .ws_col = (unsigned short)cols };
	return ioctl(fd, TIOCSWINSZ, &w) < 0 ? -errno : 0;
}

int pty_copy_size(int from, int to)
{
	struct winsize w;
	if (ioctl(from, TIOCGWINSZ, &w) < 0) return -errno;
	return ioctl(to, TIOCSWINSZ, &w) < 0 ? -errno : 0;
}

int pty_make_controlling(int slave)
{
	if (ioctl(slave, TIOCSCTTY, 0) < 0) return -errno;
	for (int fd = 0; fd <= 2; fd++)
		if (slave != fd && dup2(slave, fd) < 0) return -errno;
	return slave <= 2 && fcntl(slave, F_SETFD, 0) < 0 ? -errno : 0;
}

int tty_raw(int fd, bool output, TtyMode *ret)
{
	struct termios saved, raw;
	if (tcgetattr(fd, &saved) < 0) return -errno;
	raw = saved;
	cfmakeraw(&raw);
	if (!output) raw.c_oflag = saved.c_oflag;
	if (tcsetattr(fd, TCSANOW, &raw) < 0) return -errno;
	*ret = (TtyMode){ .fd = fd, .saved = saved };
	return 0;
}

void tty_restore(TtyMode *m)
{
	if (m->fd < 0) return;
	int saved_errno = errno;
	(void)tcsetattr(m->fd, TCSANOW, &m->saved);
	m->fd = -1;
	errno = saved_errno;
}
