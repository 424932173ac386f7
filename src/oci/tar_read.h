/* tar_read.h: a strict push parser of tar archives. Bytes come in pieces of any size, members go out through callbacks.
 *
 * Understood: v7, ustar, pax (POSIX.1-2017 pax, "pax Interchange Format"), GNU (long names, base-256 numbers, sparse files of the
 * old kind and of 0.0, 0.1 and 1.0). Memory is bounded by the limits, whatever the archive holds; file data is never copied.
 *
 * Strict: what tools read in different ways is refused, with a line that names the member (or the byte offset), and the rule.
 *  - A leading "/" or "./" and trailing slashes are stripped from names; "..", an empty name of anything but the root directory, a NUL
 *    inside a pax value, parts over 255 bytes and paths over limits.path are refused.
 *  - A pax record wins over the header, the member's own over a global one, the last of one key over the ones before. A record whose
 *    value does not parse is refused; an unknown key is ignored. A path or link given both by pax and by a GNU long name is refused.
 *  - Global headers: times, owners and owner names apply to all members after them; what makes no sense for more than one member (path, linkpath,
 *    size, sparse maps, devices, xattrs) is refused; unknown keys, as git's "comment", are ignored. An empty value takes a record back.
 *  - Only files have data: a size on anything else, hard links too, is refused, since readers disagree on whether blocks follow.
 *  - The archive ends with one or two zero blocks, or at a header's boundary (as docker accepts it); after that only zeros may follow.
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
	uint64_t path;         /* bytes of a path or link target */
	uint64_t xattrs_bytes; /* names and values of one member */
	uint64_t pax_bytes;    /* extended headers of one member, long names and sparse maps each counted alone */
	uint64_t size;         /* of one file, holes included */
	uint64_t extents;      /* of one sparse file */
	unsigned depth;        /* parts of a path */
} TarLimits;

#define TAR_LIMITS_DEFAULT \
	((TarLimits){ .entries = 16u << 20, \
		      .path = 4095, \
		      .xattrs_bytes = 1u << 20, \
		      .pax_bytes = 4u << 20, \
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

/* tar_reader_feed: the next n bytes. -EBADMSG: not an archive we accept; -E2BIG: over a limit; -ENOMEM; or what a callback returned.
 * A reader that has failed stays failed. */
int tar_reader_feed(TarReader *r, const void *p, size_t n, Err *e) MUST_USE;

/* tar_reader_finish: there is no more; -EBADMSG when the archive is truncated. */
int tar_reader_finish(TarReader *r, Err *e) MUST_USE;
