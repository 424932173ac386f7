/* project_quota.c: see project_quota.h. */
#include "sys/project_quota.h"

#include <errno.h>
#include <linux/fs.h>
#include <linux/quota.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_quotactl_fd
#define SYS_quotactl_fd 443
#endif
#ifndef PRJQUOTA
#define PRJQUOTA 2
#endif

enum { BLOCK = 1024 }; /* what limits are counted in */

static int set_limit(int dir, uint32_t project, uint64_t bytes)
{
	struct if_dqblk limit = { .dqb_bhardlimit = (bytes + BLOCK - 1) / BLOCK, .dqb_valid = QIF_BLIMITS };
	return syscall(SYS_quotactl_fd, dir, QCMD(Q_SETQUOTA, PRJQUOTA), project, &limit) < 0 ? -errno : 0;
}

/* ESRCH: quotas are not on; the others: no such ioctl or system call here. */
static int no_quota(int r)
{
	return r == -ESRCH || r == -ENOTTY || r == -ENOSYS || r == -EINVAL || r == -ENOTBLK ? -EOPNOTSUPP : r;
}

int project_quota_set(int dir, uint32_t project, uint64_t bytes, Err *e)
{
	struct fsxattr attr;
	int r = no_quota(set_limit(dir, project, bytes));
	if (r < 0) return err_sys(e, r, "limit a directory by a project quota");
	r = ioctl(dir, FS_IOC_FSGETXATTR, &attr) < 0 ? -errno : 0;
	attr.fsx_projid = project;
	attr.fsx_xflags |= FS_XFLAG_PROJINHERIT;
	if (r >= 0 && ioctl(dir, FS_IOC_FSSETXATTR, &attr) < 0) r = -errno;
	return r < 0 ? err_sys(e, no_quota(r), "give a directory to a project") : 0;
}

int project_quota_clear(int dir, uint32_t project)
{
	return set_limit(dir, project, 0);
}
