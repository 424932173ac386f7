/* project_quota.h: how much may lie below a directory: project quotas of XFS and ext4 (mounted with pquota or prjquota). */
#pragma once

#include "base/err.h"

/* Projects that we number have this bit: they are above those that people number. */
#define PROJECT_QUOTA_OURS UINT32_C(0x80000000)

/* project_quota_set: the directory and what is made below it from now on belong to that project, which may have that many bytes. -EOPNOTSUPP: the file
 * system has no such quotas, or does not enforce them. Needs Linux 5.14 and CAP_SYS_ADMIN. */
int project_quota_set(int dir, uint32_t project, uint64_t bytes, Err *e) MUST_USE;

/* project_quota_clear: the file system forgets the limit. */
int project_quota_clear(int dir, uint32_t project) MUST_USE;
