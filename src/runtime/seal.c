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
#include "sys/mount.h"

/* The kept copy took the lowest free descriptor: far below this, unless the caller left very many open. */
enum { KEPT_MAX = 1024 };
enum { SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE };

/* Executed from a read-only mount: then no way through /proc leads to a writable file. */
static bool is_read_only(void)
{
	struct statfs fs;
	return statfs("/proc/self/exe", &fs) == 0 && fs.f_flags & ST_RDONLY;
}

static bool is_sealed(void)
{
	AUTO_FD int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
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
	AUTO_FD int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
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

void seal_finish(void)
{
	struct statx self, st;
	/* the mount's root is the program's file: our copy, not some read-only file system of the machine */
	if (statx(AT_FDCWD, "/proc/self/exe", 0, STATX_MNT_ID, &self) < 0 || !(self.stx_attributes & STATX_ATTR_MOUNT_ROOT)) return;
	for (int fd = 3; fd < KEPT_MAX; fd++) {
		int flags = fcntl(fd, F_GETFL);
		if (flags < 0 || !(flags & O_PATH) || statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) < 0 ||
		    st.stx_mnt_id != self.stx_mnt_id)
			continue;
		(void)!mount_attr(fd, MOUNT_ATTR_NOEXEC, 0, 0, false);
		fd_close(fd);
		return;
	}
}

int seal_self(char *const *argv, char *const *env, Err *e)
{
	if (is_read_only()) {
		seal_finish();
		return 0;
	}
	AUTO_FD int fd = mount_clone(AT_FDCWD, "/proc/self/exe", false);
	if (fd >= 0 && mount_attr(fd, MOUNT_ATTR_RDONLY, 0, 0, false) < 0) fd = fd_close(fd);
	/* it survives the execution, for seal_finish: whoever could reach a copy that stays open might make it writable again */
	if (fd >= 0 && fcntl(fd, F_SETFD, 0) < 0) return err_sys(e, errno, "keep the protected copy of the runtime");
	if (fd < 0) {
		if (is_out_of_reach() || is_sealed()) return 0;
		fd = sealed_copy();
	}
	if (fd < 0) return err_sys(e, fd, "make a copy of the runtime that containers cannot write to");
	syscall(SYS_execveat, fd, "", argv, env, AT_EMPTY_PATH);
	return err_sys(e, errno, "execute the protected copy of the runtime");
}
