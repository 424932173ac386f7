/* nosync: runs a command whose syncs do nothing, and say that all went well: what a program that forgets them would be.
 *
 *   nosync all|files|directories COMMAND [ARGUMENT…]
 *
 * all: fsync, fdatasync, syncfs, sync and sync_file_range. files: those of regular files, databases (*.db and their logs) left out. directories: those
 * of directories. For the command and all that it starts. The filter asks this process (seccomp_unotify(2)), which looks what the descriptor is. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "nosync: %s: %s\n", what, strerror(errno));
	_exit(125);
}

/* ---- the filter ---- */

#define CALL(nr) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_##nr, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF)

/* Its listener. Foreign architectures are of no interest here: nothing is kept from anybody. */
static int filter(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		CALL(fsync),
		CALL(fdatasync),
		CALL(syncfs),
		CALL(sync),
		CALL(sync_file_range),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { sizeof code / sizeof *code, code };
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return -1;
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
}

/* ---- who answers ---- */

static bool is_database(const char *path)
{
	const char *name = strrchr(path, '/');
	return name && strstr(name, ".db");
}

/* Whether the call shall do nothing. */
static bool swallows(const char *mode, const struct seccomp_notif *n)
{
	char path[64], target[4096];
	struct stat st;
	if (strcmp(mode, "all") == 0) return true;
	snprintf(path, sizeof path, "/proc/%u/fd/%d", n->pid, (int)n->data.args[0]);
	ssize_t k = readlink(path, target, sizeof target - 1);
	if (n->data.nr == __NR_sync || k < 0 || stat(path, &st) < 0) return false;
	target[k] = 0;
	if (strcmp(mode, "directories") == 0) return S_ISDIR(st.st_mode);
	return S_ISREG(st.st_mode) && !is_database(target);
}

static _Noreturn void answer(int listener, const char *mode)
{
	for (;;) {
		struct pollfd wait = { .fd = listener, .events = POLLIN };
		struct seccomp_notif n;
		struct seccomp_notif_resp r;
		memset(&n, 0, sizeof n); /* the kernel insists */
		memset(&r, 0, sizeof r);
		if (poll(&wait, 1, -1) < 0 && errno != EINTR) die("poll");
		if (wait.revents & POLLHUP) _exit(0); /* all that it was for have ended */
		if (!(wait.revents & POLLIN)) continue;
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &n) < 0) {
			if (errno == EINTR || errno == ENOENT) continue;
			die("receive a call");
		}
		r.id = n.id;
		if (!swallows(mode, &n)) r.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &r) < 0 && errno != ENOENT) die("answer a call");
	}
}

/* ---- handing the listener over ---- */

typedef union Control {
	struct cmsghdr h;
	char space[CMSG_SPACE(sizeof(int))];
} Control;

static void send_fd(int sock, int fd)
{
	char byte = 0;
	Control control;
	struct iovec v = { &byte, 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
	memset(&control, 0, sizeof control);
	control.h.cmsg_level = SOL_SOCKET;
	control.h.cmsg_type = SCM_RIGHTS;
	control.h.cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(&control.h), &fd, sizeof fd);
	if (sendmsg(sock, &m, 0) < 0) die("hand the listener over");
}

static int receive_fd(int sock)
{
	char byte;
	int fd = -1;
	Control control;
	struct iovec v = { &byte, 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
	if (recvmsg(sock, &m, 0) > 0 && m.msg_controllen >= CMSG_LEN(sizeof fd)) memcpy(&fd, CMSG_DATA(&control.h), sizeof fd);
	return fd;
}

/* Nobody's child, and with no stream whose end somebody waits for. */
static void start_answering(const int pair[2], const char *mode)
{
	pid_t pid = fork();
	if (pid < 0) die("fork");
	if (pid > 0) {
		waitpid(pid, NULL, 0);
		return;
	}
	if (fork() != 0) _exit(0);
	close(pair[0]); /* the end of the other is heard then */
	int null = open("/dev/null", O_RDWR);
	for (int i = 0; i < 3; i++)
		dup2(null, i);
	int listener = receive_fd(pair[1]);
	close_range((unsigned)listener + 1, ~0U, 0);
	if (listener > 3) close_range(3, (unsigned)listener - 1, 0);
	if (listener < 0) _exit(0);
	answer(listener, mode);
}

int main(int argc, char **argv)
{
	int pair[2];
	if (argc < 3) {
		fprintf(stderr, "usage: nosync all|files|directories COMMAND [ARGUMENT…]\n");
		return 125;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) die("socketpair");
	start_answering(pair, argv[1]);
	int listener = filter();
	if (listener < 0) die("seccomp");
	send_fd(pair[0], listener);
	close(listener);
	execv(argv[2], argv + 2);
	die(argv[2]);
}
