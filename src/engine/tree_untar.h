/* tree_untar.h: members of a tar as files below a descriptor.
 *
 *  - Nothing leaves the directory: parents are opened below it where no part is a symbolic link; with in_root, links on the way are followed as the
 *    container itself would follow them. The last part is never followed: what is there and no directory is replaced.
 *  - A directory does not take the place of anything else, nor anything else that of a directory.
 */
#pragma once

#include "base/arena.h"
#include "oci/tar_read.h"
#include "sys/idmap.h"

typedef enum { OWNER_OF_TAR, OWNER_GIVEN } OwnerRule;

typedef struct UntarOptions {
	int dir;           /* borrowed */
	const char *shown; /* the directory, for messages */
	bool in_root;      /* dir is a container's root */
	OwnerRule
		owner; /* OWNER_GIVEN: uid and gid, and then no set-id bits, capabilities and device nodes: they mean something else for another owner */
	uint32_t uid, gid;
	IdMaps maps; /* owners are those of a container, which these are on the host; empty: the same */
} UntarOptions;

typedef struct Untar Untar;

Untar *untar_new(const UntarOptions *o) MUST_USE;
void untar_free(Untar *u);
static inline void untar_freep(Untar **u)
{
	untar_free(*u);
}
#define AUTO_UNTAR AUTO(untar_freep) Untar

/* untar_feed: the next n bytes of the archive; arg is an Untar, so that it is a TarSink. */
int untar_feed(void *arg, const void *p, size_t n, Err *e) MUST_USE;
/* untar_finish: the end: times and modes of directories. *ret_left: device nodes that were left out; may be NULL. */
int untar_finish(Untar *u, uint64_t *ret_left, Err *e) MUST_USE;
