/* tar.h: a member of a tar archive, as tar_read.h hands it out and tar_write.h takes it.
 *
 * Invariants of an entry that comes from the reader
 *  - path is clean: no "/" at its ends, no empty, "." or ".." part; "" is the root itself. At most limits.path bytes in at most
 *    limits.depth parts of at most 255 bytes each. The bytes are those of the archive, UTF-8 or not.
 *  - size, stored, extents: only a TAR_FILE has data. The extents rise, never overlap, none is empty, all lie inside size, and
 *    their lengths add up to stored. Without extents, stored is size, unless sparse: then the file is one hole.
 *  - offset and header are multiples of 512; offset + stored fits 63 bits.
 *  - Every pointer is valid during the callback only.
 */
#pragma once

#include "base/defs.h"

enum { TAR_BLOCK_BYTES = 512, TAR_PART_MAX = 255 };

typedef enum { TAR_FILE, TAR_HARDLINK, TAR_SYMLINK, TAR_CHAR, TAR_BLOCK, TAR_DIR, TAR_FIFO } TarType;

/* TarExtent: where a piece of a sparse file's data lies in the file. */
typedef struct TarExtent {
	uint64_t offset, n;
} TarExtent;

/* TarXattr: the name as in setxattr(2), "user.x"; the value is n bytes of anything, value[n] is 0. */
typedef struct TarXattr {
	const char *name;
	const void *value;
	size_t n;
} TarXattr;

typedef struct TarEntry {
	TarType type;
	const char *path; /* see above */
	/* TAR_SYMLINK: the target as written, not empty; TAR_HARDLINK: the path of its target, clean as path, not the root and not
	 * path itself; else NULL */
	const char *link;
	uint32_t mode;     /* 07777 bits only */
	uint32_t uid, gid; /* below 2^32 - 1: never "no id" */
	const char *uname; /* names of the owners, NULL when none were given */
	const char *gname;
	int64_t mtime;         /* seconds since 1970, may be negative */
	uint32_t mtime_ns;     /* 0 to 999,999,999; counts forward, also before 1970 */
	uint32_t major, minor; /* TAR_CHAR, TAR_BLOCK; else 0 */
	uint64_t size;         /* bytes a reader of the file sees, holes included */
	uint64_t offset;       /* of its stored data from the start of the archive (sparse 1.0: after the map) */
	uint64_t stored;       /* bytes of stored data */
	bool sparse;           /* has a map: the stored data is that of the extents, one after the other */
	const TarExtent *extents;
	size_t n_extents;
	const TarXattr *xattrs; /* SCHILY.xattr and LIBARCHIVE.xattr; sorted by name, no name twice; SCHILY wins */
	size_t n_xattrs;
	uint64_t header; /* offset of the member's first header block, its pax and long name headers included */
} TarEntry;

/* tar_type_name: "file", "hard link", … for messages. */
const char *tar_type_name(TarType t);
