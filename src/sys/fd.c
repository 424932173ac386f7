/* fd.c: see fd.h. */
#include "sys/fd.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

int fd_close(int fd)
{
	if (fd >= 0) {
		int keep = errno;
		close(fd);
		errno = keep;
	}
	return -1;
}

void auto_fd(int *fd)
{
	fd_close(*fd);
}

int fd_read_all(int fd, Buf *b)
{
	for (;;) {
		size_t room = b->max - b->n;
		if (room > 65536) room = 65536;
		if (!room) {
			char c;
			ssize_t k = retry_eintr(read(fd, &c, 1));
			return k < 0 ? -errno : k ? -EFBIG : 0;
		}
		char *to = buf_reserve(b, room);
		if (!to) return -ENOMEM;
		ssize_t k = retry_eintr(read(fd, to, room));
		if (k < 0) return -errno;
		if (k == 0) return 0;
		buf_advance(b, (size_t)k);
	}
}

/* Kernel files say that they are empty: what they hold is known at their end only. */
static int read_unsized(int fd, size_t max, Arena *a, char **ret, size_t *ret_n)
{
	AUTO_BUF b = BUF_INIT(max);
	int r = fd_read_all(fd, &b);
	if (r < 0) return r;
	char *p = arena_str(a, (Str){ b.p, b.n });
	if (!p) return -ENOMEM;
	*ret = p;
	*ret_n = b.n;
	return 0;
}

static int read_sized(int fd, size_t size, Arena *a, char **ret, size_t *ret_n)
{
	size_t n = 0;
	char *p = arena_alloc(a, size + 1);
	if (!p) return -ENOMEM;
	while (n < size) {
		ssize_t k = retry_eintr(read(fd, p + n, size - n));
		if (k < 0) return -errno;
		if (k == 0) break;
		n += (size_t)k;
	}
	p[n] = 0;
	*ret = p;
	*ret_n = n;
	return 0;
}

int fd_read_file(int dirfd, const char *path, size_t max, Arena *a, char **ret, size_t *ret_n, Err *e)
{
	struct stat st;
	AUTO_FD int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0) return err_sys(e, errno, "open %s", path);
	if (fstat(fd, &st) < 0) return err_sys(e, errno, "stat %s", path);
	if (!S_ISREG(st.st_mode)) return err_set(e, ERR_CONFIG, EINVAL, "%s: not a regular file", path);
	if ((uint64_t)st.st_size > max)
		return err_set(e, ERR_RESOURCE, EFBIG, "%s: %jd bytes, at most %zu are read", path, (intmax_t)st.st_size, max);
	int r = st.st_size ? read_sized(fd, (size_t)st.st_size, a, ret, ret_n) : read_unsized(fd, max, a, ret, ret_n);
	if (r == -EFBIG) return err_set(e, ERR_RESOURCE, EFBIG, "%s: more than the %zu bytes that are read", path, max);
	return r < 0 ? err_sys(e, r, "read %s", path) : 0;
}

ssize_t fd_read_small(int dirfd, const char *path, char *to, size_t size)
{
	AUTO_FD int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0) return -errno;
	ssize_t n = retry_eintr(read(fd, to, size - 1));
	if (n < 0) return -errno;
	if (n && to[n - 1] == '\n') n--;
	to[n] = 0;
	return n;
}

int fd_write_all(int fd, const void *p, size_t n)
{
	const char *from = p;
	while (n) {
		ssize_t k = retry_eintr(write(fd, from, n));
		if (k < 0) return -errno;
		from += k;
		n -= (size_t)k;
	}
	return 0;
}

int fd_write_file(int dirfd, const char *path, const char *text)
{
	AUTO_FD int fd = openat(dirfd, path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0) return -errno;
	size_t n = strlen(text);
	ssize_t k = retry_eintr(write(fd, text, n));
	return k < 0 ? -errno : (size_t)k == n ? 0 : -EIO;
}

/* Whether a write that was waited for is in the journal before what comes after it: where tests/crash/powercut has found it so. More than
 * sync_file_range(2) promises. tmpfs: nothing survives. */
static bool orders_writes(int fd)
{
	struct statfs fs;
	return fstatfs(fd, &fs) == 0 && (fs.f_type == EXT4_SUPER_MAGIC || fs.f_type == XFS_SUPER_MAGIC || fs.f_type == TMPFS_MAGIC);
}

static int before_rename(int fd, FdReplace how)
{
	if (how == REPLACE_LAZY) return 0;
	if (how == REPLACE_ORDERED && orders_writes(fd))
		return sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
	return fdatasync(fd);
}

enum { RENAME_NEW = 1 }; /* RENAME_NOREPLACE of linux/fs.h, which defines too much */

int fd_rename_new(int from, const char *name, int to, const char *new_name)
{
	return syscall(SYS_renameat2, from, name, to, new_name, RENAME_NEW) < 0 ? -errno : 0;
}

int fd_replace_file(int dirfd, const char *name, const void *p, size_t n, mode_t mode, FdReplace how, Err *e)
{
	char tmp[256];
	if (snprintf(tmp, sizeof tmp, ".%s.%d.tmp", name, (int)getpid()) >= (int)sizeof tmp)
		return err_sys(e, ENAMETOOLONG, "write %s", name);
	AUTO_FD int fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0 && errno == EEXIST && unlinkat(dirfd, tmp, 0) == 0) /* of a killed process that had our number */
		fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0) return err_sys(e, errno, "create %s", tmp);
	int r = fd_write_all(fd, p, n);
	if (r >= 0 && before_rename(fd, how) < 0) r = -errno;
	if (r >= 0 && renameat(dirfd, tmp, dirfd, name) < 0) r = -errno;
	if (r >= 0) return 0;
	unlinkat(dirfd, tmp, 0);
	return err_sys(e, r, "write %s", name);
}

int fd_remake_file(int dirfd, const char *name, const void *p, size_t n, mode_t mode, Err *e)
{
	AUTO_FD int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0 && errno == EEXIST) return fd_replace_file(dirfd, name, p, n, mode, REPLACE_LAZY, e);
	if (fd < 0) return err_sys(e, errno, "create %s", name);
	int r = fd_write_all(fd, p, n);
	if (r >= 0) return 0;
	unlinkat(dirfd, name, 0);
	return err_sys(e, r, "write %s", name);
}

int fd_memory_file(const char *name, const void *p, size_t n)
{
	AUTO_FD int fd = memfd_create(name, MFD_CLOEXEC);
	int r = fd < 0 ? -errno : fd_write_all(fd, p, n);
	return r < 0 ? r : take_fd(fd);
}

const char *fd_path(int fd, char path[static FD_PATH_MAX])
{
	snprintf(path, FD_PATH_MAX, "/proc/self/fd/%d", fd);
	return path;
}

ssize_t fd_send_parts(int sock, const struct iovec *parts, int n, const int *fds, size_t nfds)
{
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE(sizeof(int) * FD_PASS_MAX)];
	} control;
	struct msghdr m = { .msg_iov = (struct iovec *)(uintptr_t)parts, .msg_iovlen = n };
	if (nfds > FD_PASS_MAX) return -E2BIG;
	if (nfds) {
		memset(&control, 0, sizeof control);
		m.msg_control = &control;
		m.msg_controllen = (socklen_t)CMSG_SPACE(sizeof(int) * nfds);
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		if (!c) return -EINVAL; /* never: room was given */
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = (socklen_t)CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * nfds);
	}
	ssize_t k = retry_eintr(sendmsg(sock, &m, MSG_NOSIGNAL));
	return k < 0 ? -errno : k;
}

int fd_send(int sock, const void *p, size_t n, const int *fds, size_t nfds)
{
	const struct iovec part = { .iov_base = (void *)(uintptr_t)p, .iov_len = n };
	ssize_t k = fd_send_parts(sock, &part, 1, fds, nfds);
	if (k < 0) return (int)k;
	for (size_t done = (size_t)k; done < n; done += (size_t)k) { /* a stream took a part */
		k = retry_eintr(send(sock, (const char *)p + done, n - done, MSG_NOSIGNAL));
		if (k < 0) return -errno;
	}
	return 0;
}

static struct cmsghdr *next_control(struct msghdr *m, struct cmsghdr *c)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-compare" /* in musl's macro; clang looks into it */
	return CMSG_NXTHDR(m, c);
#pragma GCC diagnostic pop
}

ssize_t fd_recv_parts(int sock, const struct iovec *parts, int n, int *fds, size_t max_fds, size_t *ret_nfds)
{
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE(sizeof(int) * FD_PASS_MAX)];
	} control;
	struct msghdr m = {
		.msg_iov = (struct iovec *)(uintptr_t)parts, .msg_iovlen = n, .msg_control = &control, .msg_controllen = sizeof control
	};
	size_t got = 0;
	ssize_t k = retry_eintr(recvmsg(sock, &m, MSG_CMSG_CLOEXEC));
	if (k < 0) return -errno;
	bool cut = m.msg_flags & MSG_TRUNC;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = next_control(&m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
			if (got < max_fds && !cut)
				fds[got++] = fd;
			else
				fd_close(fd); /* more than was asked for */
		}
	}
	if (ret_nfds) *ret_nfds = got;
	return cut ? -EMSGSIZE : k;
}

ssize_t fd_recv(int sock, void *p, size_t n, int *fds, size_t max_fds, size_t *ret_nfds)
{
	const struct iovec part = { .iov_base = p, .iov_len = n };
	return fd_recv_parts(sock, &part, 1, fds, max_fds, ret_nfds);
}

/* The address of a socket: the path itself, or "/proc/self/fd/N/name" below a descriptor: dirfd, or, where that is too
 * long for sun_path, one of the path's directory, which *hold then keeps open. */
static int unix_address(int dirfd, const char *path, struct sockaddr_un *sa, int *hold)
{
	*sa = (struct sockaddr_un){ .sun_family = AF_UNIX };
	int n;
	if (!*path) return -ENOENT; /* an empty sun_path would be an abstract name */
	if (dirfd != AT_FDCWD && path[0] != '/')
		n = snprintf(sa->sun_path, sizeof sa->sun_path, "/proc/self/fd/%d/%s", dirfd, path);
	else
		n = snprintf(sa->sun_path, sizeof sa->sun_path, "%s", path);
	if (n < (int)sizeof sa->sun_path) return 0;
	const char *slash = strrchr(path, '/');
	if (!slash) return -ENAMETOOLONG;
	AUTO_FREE char *dir = strndup(path, (size_t)(slash - path) + 1);
	if (!dir) return -ENOMEM;
	*hold = openat(dirfd, dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*hold < 0) return -errno;
	n = snprintf(sa->sun_path, sizeof sa->sun_path, "/proc/self/fd/%d/%s", *hold, slash + 1);
	return n < (int)sizeof sa->sun_path ? 0 : -ENAMETOOLONG;
}

int fd_connect_unix(int dirfd, const char *path, int type)
{
	struct sockaddr_un sa;
	AUTO_FD int hold = -1;
	int r = unix_address(dirfd, path, &sa, &hold);
	if (r < 0) return r;
	AUTO_FD int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	if (fd < 0) return -errno;
	if (retry_eintr(connect(fd, (struct sockaddr *)&sa, sizeof sa)) < 0) return -errno;
	return take_fd(fd);
}

int fd_listen_unix(int dirfd, const char *name, int type, mode_t mode)
{
	struct sockaddr_un sa;
	AUTO_FD int hold = -1;
	int r = unix_address(dirfd, name, &sa, &hold);
	if (r < 0) return r;
	AUTO_FD int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	if (fd < 0) return -errno;
	if (fchmod(fd, mode) < 0) return -errno; /* the socket file takes the mode of the unbound socket */
	if (bind(fd, (struct sockaddr *)&sa, sizeof sa) < 0) return -errno;
	if (listen(fd, 16) < 0) return -errno;
	return take_fd(fd);
}

/* Linux before 5.11 has close_range without CLOEXEC. */
static int cloexec_one_by_one(unsigned first)
{
	DIR *d = opendir("/proc/self/fd");
	if (!d) return -errno;
	int r = 0;
	for (struct dirent *ent; (ent = readdir(d));) {
		uint32_t n;
		if (str_to_u32(str_of(ent->d_name), &n) < 0 || n < first) continue;
		if (fcntl((int)n, F_SETFD, FD_CLOEXEC) < 0) r = -errno;
	}
	closedir(d);
	return r;
}

int fd_cloexec_from(unsigned first)
{
	if (syscall(SYS_close_range, first, ~0U, CLOSE_RANGE_CLOEXEC) == 0) return 0;
	return errno == EINVAL || errno == ENOSYS ? cloexec_one_by_one(first) : -errno;
}

static int compare_ints(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

void fd_close_all_but(unsigned first, int *keep, size_t n)
{
	if (n) qsort(keep, n, sizeof *keep, compare_ints);
	for (size_t i = 0; i < n; i++) {
		if (keep[i] < 0 || (unsigned)keep[i] < first) continue;
		if ((unsigned)keep[i] > first) syscall(SYS_close_range, first, (unsigned)keep[i] - 1, 0);
		first = (unsigned)keep[i] + 1;
	}
	syscall(SYS_close_range, first, ~0U, 0);
}

void fd_bin_empty(FdBin *b)
{
	qsort(b->fds, b->n, sizeof *b->fds, compare_ints);
	for (size_t i = 0, k; i < b->n; i = k) {
		for (k = i + 1; k < b->n && b->fds[k] == b->fds[k - 1] + 1; k++)
			;
		if (k - i == 1 || syscall(SYS_close_range, (unsigned)b->fds[i], (unsigned)b->fds[k - 1], 0) < 0)
			for (size_t j = i; j < k; j++)
				fd_close(b->fds[j]);
	}
	b->n = 0;
}

void fd_bin_add(FdBin *b, int fd)
{
	if (fd < 0) return;
	if (b->n == FD_BIN_MAX) fd_bin_empty(b);
	b->fds[b->n++] = fd;
}
