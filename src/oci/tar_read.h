/* tar_read.h: a strict push parser of tar archives. Bytes come in pieces of any size, members go out through callbacks.
 *
 * Understood: v7, ustar, pax (POSIX.1-2017 pax, "pax Interchange Format"), GNU (long names, base-256 numbers, sparse files of the
 * old kind and of 0.0, 0.1 and 1.0). Memory is bounded by the limits, whatever the archive holds; file data is never copied.
 *
 * Strict: what readers of archives disagree about is refused, with one line that names the member (or the byte offset) and the rule.
 *  - A leading "/" or "./", doubled and trailing slashes are dropped from names; "..", an empty name, a NUL inside a pax value, parts over
 *    255 bytes, paths over limits.path, and the root as anything but a directory are refused.
 *  - A member's pax record wins over its header, the last of one key over those before. A value that does not parse is refused, an unknown
 *    key ignored; an empty value means "not given", but an empty xattr. Two extended headers for one member, and a path
 *    or link given both by pax and by a GNU long name, are refused.
 *  - Global pax headers are ignored as docker and containerd ignore them. Those that would make other readers see other files (path, linkpath,
 *    size, owners, devices, sparse maps, xattrs) are refused.
 *  - Only files have data: a size on anything else, hard links too, is refused, since readers disagree on whether blocks follow.
 *  - Extended attributes are held to the kernel's limits: names of 1 to 255 bytes, values of at most 64 KiB. In SCHILY's names "%3D" and
 *    "%25" stand for "=" and "%", as GNU tar writes them.
 *  - The archive ends with two zero blocks, with one (docker accepts it), or at a header's boundary. Only zeros may follow two of them.
 */
#pragma once

#include "base/err.h"
#include "oci/tar.h"

typedef struct TarVisitor {
	/* entry: once per member, before its data. data: pieces of the stored data in order, pointing into what was fed; may be NULL.
	 * A negative result stops: tar_reader_feed() returns it, and every later call too. */
	int (*entry)(void *arg, const TarEntry *t, Err *e);
	int (*data)(void *arg, const TarEntry *t, const void *p, size_t n, Err *e);
	void *arg;
} TarVisitor;

typedef struct TarLimits {
	uint64_t entries;      /* members of the archive */
	uint64_t path;         /* bytes of a path or link target; at most 65535 */
	uint64_t xattrs_bytes; /* names and values of one member */
	uint64_t pax_bytes;    /* the extended header of one member; a GNU long name */
	uint64_t size;         /* of one file, holes included */
	uint64_t extents;      /* of one sparse file */
	unsigned depth;        /* parts of a path */
} TarLimits;

#define TAR_LIMITS_DEFAULT \
	((TarLimits){ .entries = 16u << 20, \
		      .path = 4095, \
		      .xattrs_bytes = 1u << 20, \
		      .pax_bytes = 1u << 20, \
		      .size = 1ull << 44, \
		      .extents = 1u << 16, \
		      .depth = 1024 })

typedef struct TarReader TarReader;

/* tar_reader_new: a reader at the start of an archive; both arguments are copied, limits may be NULL for the default.
 * NULL: no memory. */
TarReader *tar_reader_new(const TarVisitor *v, const TarLimits *limits) MUST_USE;
void tar_reader_free(TarReader *r);
static inline void tar_reader_freep(TarReader **r)
{
	tar_reader_free(*r);
}
#define AUTO_TAR_READER AUTO(tar_reader_freep) TarReader

/* tar_reader_feed: the next n bytes. -EBADMSG: not an archive we accept; -E2BIG, -ENAMETOOLONG: over a limit; -ENOMEM; or what a callback returned.
 * A reader that has failed stays failed. */
int tar_reader_feed(TarReader *r, const void *p, size_t n, Err *e) MUST_USE;

/* tar_reader_skip: passes over at most n bytes of the file under way, which are not shown to the data callback: returns how many, 0 when there is
 * none. They count as read; whoever skips has to know that the archive is that long. */
uint64_t tar_reader_skip(TarReader *r, uint64_t n);

/* tar_reader_finish: there is no more; -EBADMSG when the archive is truncated. */
int tar_reader_finish(TarReader *r, Err *e) MUST_USE;
