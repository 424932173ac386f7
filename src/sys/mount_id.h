/* mount_id.h: which mount a file is on. */
#pragma once

#include "base/defs.h"

/* mount_id: the number of the mount on which path (below dir; "": dir itself) is; nothing is followed and nothing mounted. Of kernels that know
 * such (Linux 6.8) with `unique` a number that no other mount ever gets. -ENOTSUP before Linux 5.8. */
int mount_id(int dir, const char *path, bool unique, uint64_t *ret) MUST_USE;
/* mount_id_of: of a descriptor; 0 when it cannot be told. */
uint64_t mount_id_of(int fd);
