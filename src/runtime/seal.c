/* seal.c: see seal.h. */
#include "runtime/seal.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sys/fd.h"

enum { SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE };

/* Executed from a read-only mount: then no way through /proc leads to a writable file. */
static bool is_read_only(void)
{
	struct statfs fs;
	return statfs("/proc/self/exe", &fs) == 0 && fs.f_flags & ST_RDONLY;
}

static bool is_sealed(void)
{
	AUTO_FD int fd = openat(AT_FDCWD, "/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int seals = fd < 0 ? -1 : fcntl(fd, F_GET_SEALS);
	return seals >= 0 && (seals & SEALS) == SEALS;
}

static bool is_out_of_reach(void)
{
	struct stat st;
	if (geteuid() == 0) return false;
	return stat("/proc/self/exe", &st) == 0 && st.st_uid != geteuid() && faccessat(AT_FDCWD, "/proc/self/exe", W_OK, AT_EACCESS) < 0;
}

static int sealed_copy(void)
{
	struct stat st;
	AUTO_FD int from = openat(AT_FDCWD, "/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (from < 0 || fstat(from, &st) < 0) return -errno;
	AUTO_FD int to = memfd_create("runc_cloned:/proc/self/exe", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (to < 0) return -errno;
	for (off_t left = st.st_size; left > 0;) {
		ssize_t n = sendfile(to, from, NULL, (size_t)left);
		if (n <= 0) return n < 0 ? -errno : -EIO;
		left -= n;
	}
	if (fcntl(to, F_ADD_SEALS, SEALS) < 0) return -errno;
	return take_fd(to);
}

int seal_self(char *const *argv, char *const *env, Err *e)
{
	if (is_read_only() || is_out_of_reach() || is_sealed()) return 0;
	AUTO_FD int fd = sealed_copy();
	if (fd < 0) return err_sys(e, fd, "make a copy of the runtime that containers cannot write to");
	syscall(SYS_execveat, fd, "", argv, env, AT_EMPTY_PATH);
	return err_sys(e, errno, "execute the protected copy of the runtime");
}
