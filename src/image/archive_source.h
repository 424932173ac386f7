/* archive_source.h: the members of an image archive, which is a tar or a directory, by name.
 *
 * Invariants
 *  - Nothing is unpacked, and only names inside the archive count: a path is relative and has no ".." in it, links in a tar lead to
 *    members of the same tar, in a directory none is followed.
 *  - A tar is read once, its headers only; of two members with one name it is refused, as readers disagree which one counts.
 *  - What members hold is read by position from the one descriptor of the tar. It is as untrusted when it is read for the second time as it was
 *    for the first: whoever needs it unchanged takes a copy.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"

enum {
	ARCHIVE_MEMBERS_MAX = 1 << 17,
	ARCHIVE_NAMES_MAX = 64 << 20, /* bytes of all names */
};

typedef struct ArchiveSource ArchiveSource;

/* archive_open_tar: of an uncompressed tar, a file. archive_open_dir: of a directory. fd is borrowed and stays open longer than *ret; the
 * memory lies in a, whose ceiling applies, too. -EBADMSG, -E2BIG. */
int archive_open_tar(int fd, Arena *a, ArchiveSource **ret, Err *e) MUST_USE;
int archive_open_dir(int fd, Arena *a, ArchiveSource **ret, Err *e) MUST_USE;

/* ArchivePart: where the bytes of a member lie. */
typedef struct ArchivePart {
	int fd; /* of the tar, or the member's own */
	bool owned;
	uint64_t offset, size;
} ArchivePart;
#define ARCHIVE_PART_NONE ((ArchivePart){ .fd = -1 })
void archive_part_done(ArchivePart *p);
#define AUTO_ARCHIVE_PART AUTO(archive_part_done) ArchivePart

/* archive_has: is there a file of that name? */
bool archive_has(const ArchiveSource *s, const char *path);
/* archive_part: the file at path; links are followed in the archive. -ENOENT, -ELOOP, -EINVAL (no path that is allowed), -EBADMSG (no file). */
int archive_part(const ArchiveSource *s, const char *path, ArchivePart *ret, Err *e) MUST_USE;
/* archive_read: all of it, in the arena, NUL-terminated. -EFBIG beyond max. */
int archive_read(const ArchiveSource *s, const char *path, size_t max, Arena *a, char **ret, size_t *ret_n, Err *e) MUST_USE;
/* archive_part_compressed: do its first bytes say so (gzip, zstd, xz, bzip2)? 0, 1 or the negative errno of reading. */
int archive_part_compressed(const ArchivePart *p) MUST_USE;
