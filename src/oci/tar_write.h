/* tar_write.h: a canonical writer of tar archives. One list of members gives one sequence of bytes, on every machine.
 *
 *  - The format is ustar, with a pax header in front of a member only for what ustar cannot say: names over 100 bytes, numbers
 *    that do not fit, fractions and negative times, extended attributes. Records are sorted by key, owners numeric unless
 *    uname and gname are given; directories end in "/", the root is "./".
 *  - A sparse file is written as a plain one: the caller hands in the stored data, the holes become zeros.
 *  - Members that the reader would refuse are refused. What is written goes to the sink at once; nothing is kept but the extents of
 *    the sparse file under way.
 */
#pragma once

#include "base/err.h"
#include "oci/tar.h"

/* TarSink: takes the next n bytes; negative errno, with e set, stops the writer for good. */
typedef int TarSink(void *arg, const void *p, size_t n, Err *e);

typedef struct TarWriter TarWriter;

TarWriter *tar_writer_new(TarSink *sink, void *arg) MUST_USE;
void tar_writer_free(TarWriter *w);
static inline void tar_writer_freep(TarWriter **w)
{
	tar_writer_free(*w);
}
#define AUTO_TAR_WRITER AUTO(tar_writer_freep) TarWriter

/* tar_writer_entry: begins a member. Of t, header, offset and, without a map, stored are not looked at. -EINVAL: the member before lacks data, or
 * t cannot be written; -ENOMEM; or what the sink returned. */
int tar_writer_entry(TarWriter *w, const TarEntry *t, Err *e) MUST_USE;

/* tar_writer_data: the next n bytes of the file (of a sparse one: of its extents). -EINVAL: more than the entry's size. */
int tar_writer_data(TarWriter *w, const void *p, size_t n, Err *e) MUST_USE;

/* tar_writer_skip: the same n bytes, which the caller has written to where the sink writes by himself (sendfile(2)); not for sparse files. */
int tar_writer_skip(TarWriter *w, uint64_t n, Err *e) MUST_USE;

/* tar_writer_finish: the end of the archive, two zero blocks. -EINVAL: the last member lacks data. */
int tar_writer_finish(TarWriter *w, Err *e) MUST_USE;
