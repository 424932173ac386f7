/* mount_part.h: a part of a mount that is attached nowhere. */
#pragma once

#include "sys/mount.h"

/* mount_part: a detached mount of what path is inside the detached mount `whole`: links lead nowhere else. Before Linux 6.15 a child attaches `whole` in a mount
 * namespace of its own to take the part of it: `whole` is only to be closed then. Needs CAP_SYS_ADMIN; one thread. */
int mount_part(int whole, const char *path) MUST_USE;
/* mount_part_apart: the way of older kernels, for tests. */
int mount_part_apart(int whole, const char *path) MUST_USE;
