/* mount_part.c: see mount_part.h. */
#include "sys/mount_part.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/path.h"

static int take_part(int whole, const char *path)
{
	AUTO_FD int part = path_open(whole, path, O_PATH, 0);
	return part < 0 ? part : mount_clone(part, "", false);
}

static int attach_and_take(int whole, const char *path)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) return -errno;
	AUTO_FD int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = root < 0 ? -errno : mount_attach(whole, root);
	return r < 0 ? r : take_part(whole, path);
}

static _Noreturn void child(int whole, const char *path, int sock)
{
	int part = attach_and_take(whole, path);
	int r = fd_send(sock, &part, sizeof part, &part, part < 0 ? 0 : 1);
	_exit(r < 0);
}

int mount_part_apart(int whole, const char *path)
{
	int sock[2], result = -EIO, part = -1;
	size_t n = 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock) < 0) return -errno;
	AUTO_FD int mine = sock[0], theirs = sock[1];
	pid_t pid = fork();
	if (pid < 0) return -errno;
	if (!pid) child(whole, path, theirs);
	theirs = fd_close(theirs);
	ssize_t got = fd_recv(mine, &result, sizeof result, &part, 1, &n);
	(void)!waitpid(pid, NULL, 0);
	if (got == sizeof result && result >= 0 && n == 1) return part;
	return got == sizeof result && result < 0 ? result : -EIO;
}

int mount_part(int whole, const char *path)
{
	int r = take_part(whole, path);
	return r == -EINVAL ? mount_part_apart(whole, path) : r;
}
