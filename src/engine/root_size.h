/* root_size.h: how much a container may write into its root (--storage-opt size).
 *
 * Where the state directory's file system has project quotas (XFS with pquota, ext4 with prjquota) upper and work of the overlay get one. Elsewhere they lie in a
 * file system of that size: ext4 in the sparse file "disk" of the container's directory, which grows and shrinks with what is in it.
 */
#pragma once

#include "engine/record.h"

/* root_size_limit: for a container that is being made, whose directory has upper and work. Without a size nothing is done. -ENOTSUP with docker's words where
 * neither way is there. */
int root_size_limit(const Record *c, int dir, Err *e) MUST_USE;
/* root_size_forget: before the directory is removed. */
void root_size_forget(const Record *c, int dir);

/* root_writable: O_PATH or more of the directory that has upper and work; of a disk a detached mount, which is gone with the descriptor and all that was made
 * of it. */
int root_writable(const Record *c, int dir, Err *e) MUST_USE;
