/* erofs_mount.h: mounting an EROFS index and the files its contents lie in, without loop devices (Linux 6.12), or with them. */
#pragma once

#include "base/err.h"

/* erofs_mount: a detached, read-only mount of index and its devices, in the order of its device table. Returns its descriptor. The
 * descriptors given are not needed afterwards. Their files must lie on a file system with a page cache of its own: not on tmpfs, not on
 * overlayfs before Linux 6.14: -EOPNOTSUPP. Block devices (sys/loop_device.h) do everywhere. Needs CAP_SYS_ADMIN in the initial user namespace, and proc at /proc. */
int erofs_mount(int index, const int *devices, size_t n, Err *e) MUST_USE;

/* erofs_mount_probe: can indexes that lie in the directory dir be mounted here? 0, or a negative errno with the reason. Mounts one
 * of an empty tree from a nameless file in dir. */
int erofs_mount_probe(int dir, Err *e) MUST_USE;
