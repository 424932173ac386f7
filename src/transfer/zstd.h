/* zstd.h: a zstd stream out. Reading is in inflate.h. */
#pragma once

#include "base/err.h"

typedef struct ZstdWriter ZstdWriter;

/* ZstdOut: takes n compressed bytes. */
typedef int ZstdOut(void *arg, const void *p, size_t n, Err *e);

/* zstd_writer_new: one frame with a checksum, compressed by as many threads as given. The bytes depend on level alone, not on
 * threads. level 0: the library's default, 3. -ENOMEM, -EINVAL. */
int zstd_writer_new(int level, unsigned threads, ZstdOut *out, void *arg, ZstdWriter **ret, Err *e) MUST_USE;
void zstd_writer_free(ZstdWriter *w);
int zstd_writer_put(ZstdWriter *w, const void *p, size_t n, Err *e) MUST_USE;
int zstd_writer_finish(ZstdWriter *w, Err *e) MUST_USE;
