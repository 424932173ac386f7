/* netns.c: see netns.h. */
#include "sys/netns.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/fd.h"
#include "sys/netlink.h"

int netns_of(int sock)
{
	int fd = ioctl(sock, SIOCGSKNS);
	return fd < 0 ? -errno : fd;
}

int netns_own(void)
{
	AUTO_FD int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return sock < 0 ? -errno : netns_of(sock);
}

int netns_enter(int netns, int *ret_home)
{
	AUTO_FD int home = netns_own();
	if (home < 0) return home;
	if (setns(netns, CLONE_NEWNET) < 0) return -errno;
	*ret_home = take_fd(home);
	return 0;
}

int netns_return(int home)
{
	int r = setns(home, CLONE_NEWNET) < 0 ? -errno : 0;
	fd_close(home);
	return r;
}

/* In the new namespace: its descriptor, its loopback device up. */
static int furnish(int *ret_fd, Err *e)
{
	AUTO_FD int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock < 0) return err_sys(e, errno, "socket in a new network namespace");
	AUTO_FD int fd = netns_of(sock);
	if (fd < 0) return err_sys(e, fd, "descriptor of a new network namespace");
	int r = netdev_lo_up_by(sock, e);
	if (r >= 0) *ret_fd = take_fd(fd);
	return r;
}

int netns_new(int *ret_fd, Err *e)
{
	AUTO_FD int home = netns_own(), fd = -1;
	if (home < 0) return err_sys(e, home, "descriptor of this network namespace");
	if (unshare(CLONE_NEWNET) < 0) return err_sys(e, errno, "make a network namespace");
	int r = furnish(&fd, e), back = netns_return(take_fd(home));
	if (back < 0) return err_sys(e, back, "return to the own network namespace");
	if (r >= 0) *ret_fd = take_fd(fd);
	return r;
}

/* A child that shares our descriptors, and nothing else. Its answer is a descriptor, or -errno. */
static int make_in(int userns)
{
	Err ignored = ERR_INIT;
	int fd = -1;
	if (setns(userns, CLONE_NEWUSER) < 0 || unshare(CLONE_NEWNET) < 0) return -errno;
	int r = furnish(&fd, &ignored);
	return r < 0 ? r : fd;
}

int netns_new_in(int userns, int *ret_fd, Err *e)
{
	int pipe[2], answer = -EIO, status;
	if (pipe2(pipe, O_CLOEXEC) < 0) return err_sys(e, errno, "pipe");
	AUTO_FD int in = pipe[0], out = pipe[1];
	pid_t pid = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL);
	if (pid == 0) {
		answer = make_in(userns);
		_exit(write(out, &answer, sizeof answer) != sizeof answer);
	}
	if (pid < 0) return err_sys(e, errno, "make a network namespace");
	(void)!waitpid(pid, &status, 0);
	out = fd_close(out);
	if (read(in, &answer, sizeof answer) != sizeof answer) answer = -EIO;
	if (answer < 0) return err_sys(e, answer, "make a network namespace in the container's user namespace");
	*ret_fd = answer;
	return 0;
}
