/* fd.h: file descriptors: closing, whole reads and writes, durable files, passing over sockets.
 *
 * Every descriptor made here is CLOEXEC from birth. Functions that return a descriptor return it >= 0 or a
 * negative errno.
 */
#pragma once

#include <sys/uio.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

/* fd_close: closes when >= 0; returns -1, for `fd = fd_close(fd)`. Keeps errno. */
int fd_close(int fd);
void auto_fd(int *fd);
/* AUTO_FD int fd = …: closed on every way out; take_fd moves it out. */
#define AUTO_FD AUTO(auto_fd)
#define take_fd(fd) \
	({ \
		int _taken_fd = (fd); \
		(fd) = -1; \
		_taken_fd; \
	})

/* fd_read_all: everything up to end of file, at most b->max bytes. -EFBIG when there is more. */
int fd_read_all(int fd, Buf *b) MUST_USE;
/* fd_read_file: the whole regular file at path below dirfd (AT_FDCWD for the current directory), at most max
 * bytes, as a NUL-terminated arena string: as much as it held when it was opened. Kernel files, which claim to be empty,
 * are read to their end. Anything else (a FIFO, a device) is refused without waiting. */
int fd_read_file(int dirfd, const char *path, size_t max, Arena *a, char **ret, size_t *ret_n, Err *e) MUST_USE;
/* fd_read_small: reads up to size - 1 bytes of a kernel file (proc, sysfs, cgroup) and ends them with a NUL, the
 * final newline cut. Returns the length or -errno. */
ssize_t fd_read_small(int dirfd, const char *path, char *to, size_t size) MUST_USE;

/* fd_write_all: all n bytes, EINTR and short writes handled. */
int fd_write_all(int fd, const void *p, size_t n) MUST_USE;
/* fd_write_file: one write(2) of text to an existing kernel file. */
int fd_write_file(int dirfd, const char *path, const char *text) MUST_USE;
/* What a power cut may leave of a file that was replaced. LAZY: anything, an empty file of that name too. ORDERED: the old file or the new one; on
 * ext4 and XFS that takes a write that is waited for, and no flush. DURABLE: the same, and the new one when the directory is synced besides. */
typedef enum { REPLACE_LAZY, REPLACE_ORDERED, REPLACE_DURABLE } FdReplace;
/* fd_remake_file: for a file that is made anew before each use, so nobody reads what a killed writer left: as REPLACE_LAZY, without the rename where there was
 * none. */
int fd_remake_file(int dirfd, const char *name, const void *p, size_t n, mode_t mode, Err *e) MUST_USE;
/* fd_memory_file: a file without a name that holds n bytes, to be handed to another process: its descriptor, or -errno. name: for people who debug.
 * fd_path: how to open the file of a descriptor anew. */
int fd_memory_file(const char *name, const void *p, size_t n) MUST_USE;
enum { FD_PATH_MAX = 32 };
const char *fd_path(int fd, char path[static FD_PATH_MAX]);
/* fd_rename_new: to a name that does not exist yet: -EEXIST. -errno of renameat2(2). */
int fd_rename_new(int from, const char *name, int to, const char *new_name) MUST_USE;

/* fd_replace_file: makes or replaces the file atomically (temporary name, rename) with mode less the umask. On failure the old file is as
 * it was and nothing new is left. */
int fd_replace_file(int dirfd, const char *name, const void *p, size_t n, mode_t mode, FdReplace how, Err *e) MUST_USE;

/* Sockets. fd_send: one message (SOCK_SEQPACKET or SOCK_STREAM) with up to FD_PASS_MAX descriptors.
 * fd_recv: one message; received descriptors are CLOEXEC, those beyond max_fds are closed. Returns bytes, 0 at end of
 * file, -EMSGSIZE when the message is longer than n (then no descriptor is handed out), or -errno. */
enum { FD_PASS_MAX = 64 };
int fd_send(int sock, const void *p, size_t n, const int *fds, size_t nfds) MUST_USE;
ssize_t fd_recv(int sock, void *p, size_t n, int *fds, size_t max_fds, size_t *ret_nfds) MUST_USE;
/* fd_send_parts, fd_recv_parts: the same for a message in n parts; sends once, returns bytes. */
ssize_t fd_send_parts(int sock, const struct iovec *parts, int n, const int *fds, size_t nfds) MUST_USE;
ssize_t fd_recv_parts(int sock, const struct iovec *parts, int n, int *fds, size_t max_fds, size_t *ret_nfds) MUST_USE;
/* fd_connect_unix, fd_listen_unix: SOCK_STREAM or SOCK_SEQPACKET at a path of any length (reached through the
 * directory's descriptor, so the limit of sun_path applies to the last part only). The socket file gets mode less the umask. */
int fd_connect_unix(int dirfd, const char *path, int type) MUST_USE;
int fd_listen_unix(int dirfd, const char *name, int type, mode_t mode) MUST_USE;

/* FdBin: descriptors to be closed together: neighbours go in one close_range(2). Holds FD_BIN_MAX, then empties itself. */
enum { FD_BIN_MAX = 64 };
typedef struct FdBin {
	int fds[FD_BIN_MAX];
	size_t n;
} FdBin;
void fd_bin_add(FdBin *b, int fd); /* takes fd; negative ones are ignored */
void fd_bin_empty(FdBin *b);
#define AUTO_FD_BIN AUTO(fd_bin_empty) FdBin

/* fd_close_all_but: closes every descriptor >= first that is not among the n of keep, which is sorted by it; negative ones are ignored. */
void fd_close_all_but(unsigned first, int *keep, size_t n);
/* fd_cloexec_from: close-on-exec for every descriptor >= first. Before Linux 5.11 it needs proc at /proc. */
int fd_cloexec_from(unsigned first) MUST_USE;
