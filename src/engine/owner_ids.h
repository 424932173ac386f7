/* owner_ids.h: whose files are: as the host has it, and as a container in a user namespace of its own sees it. */
#pragma once

#include "sys/idmap.h"

enum { OWNER_NOBODY = 65534 }; /* what the kernel shows for an owner that is not mapped */

/* owner_inside: the id in the container of one of the host's. Without maps ids are the same everywhere. */
uint32_t owner_inside(const IdMappings *l, uint32_t id);
/* owner_outside: the reverse. -EOVERFLOW: the container has no such id. */
int owner_outside(const IdMappings *l, uint32_t id, uint32_t *ret) MUST_USE;

/* owner_of_root: the container's root on the host. */
int owner_of_root(const IdMaps *m, uint32_t *ret_uid, uint32_t *ret_gid) MUST_USE;

/* FsOwner: whose the files are that this process makes. */
typedef struct FsOwner {
	bool changed;
	uint32_t uid, gid;
} FsOwner;

/* fs_owner_take: from now on they are the container's root's, without a loss of rights: the kernel makes none in the container's file systems for an owner
 * that these cannot have. Nothing without maps. fs_owner_restore: as before. */
int fs_owner_take(const IdMaps *m, FsOwner *ret, Err *e) MUST_USE;
void fs_owner_restore(FsOwner *o);
#define AUTO_FS_OWNER AUTO(fs_owner_restore) FsOwner
