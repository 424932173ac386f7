/* sysctl.c: see sysctl.h. */
#include "sys/sysctl.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <unistd.h>

#include "sys/netns.h"
#include "sys/path.h"

int sysctl_open_proc(Err *e)
{
	AUTO_FD int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (proc < 0) return err_sys(e, errno, "open /proc");
	if (path_is_fs(proc, PROC_SUPER_MAGIC) < 0) return err_set(e, ERR_UNSUPPORTED, ENOSYS, "/proc is no procfs: mount it");
	return take_fd(proc);
}

static int open_key(int proc, const char *key, int flags, Err *e)
{
	char path[320];
	int n = snprintf(path, sizeof path, "sys/%s", key);
	if (n >= (int)sizeof path) return err_sys(e, ENAMETOOLONG, "sysctl %s", key);
	if (strcspn(key, ".") < strcspn(key, "/"))
		for (char *p = path + strlen("sys/"); *p; p++)
			*p = *p == '.' ? '/' : *p == '/' ? '.' : *p;
	int fd = path_open_beneath(proc, path, flags);
	return fd < 0 ? err_sys(e, fd, "sysctl %s", key) : fd;
}

int sysctl_write(int proc, const char *key, const char *value, Err *e)
{
	AUTO_FD int fd = open_key(proc, key, O_WRONLY, e);
	if (fd < 0) return fd;
	int r = fd_write_all(fd, value, strlen(value));
	return r < 0 ? err_sys(e, r, "sysctl %s=%s", key, value) : 0;
}

int sysctl_write_in(int netns, int proc, const StrMap *values, Err *e)
{
	int home = -1, r = netns_enter(netns, &home);
	if (r < 0) return err_sys(e, r, "enter a network namespace for its parameters");
	for (size_t i = 0; i < values->n && r >= 0; i++)
		r = sysctl_write(proc, values->items[i].key, values->items[i].value, e);
	int back = netns_return(home);
	return back < 0 ? err_sys(e, back, "return to the own network namespace") : r;
}

ssize_t sysctl_read(int proc, const char *key, char *to, size_t size, Err *e)
{
	AUTO_FD int fd = open_key(proc, key, O_RDONLY, e);
	if (fd < 0) return fd;
	ssize_t n = retry_eintr(read(fd, to, size - 1));
	if (n < 0) return err_sys(e, errno, "sysctl %s", key);
	if (n && to[n - 1] == '\n') n--;
	to[n] = 0;
	return n;
}
