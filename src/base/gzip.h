/* gzip.h: files of gzip, written and read back a piece at a time: the wrapper of zlib. A library of its own (gzip_dep): skep-runtime links none of it.
 *
 * What is kept in memory does not depend on the file: a stream that inflates to much more than it is costs time alone.
 */
#pragma once

#include "base/err.h"

/* gzip_file: all that is left of in to out, with a comment in the header (RFC 1952, 2.3.1; NULL: none) of at most GZIP_COMMENT_MAX bytes. */
enum { GZIP_COMMENT_MAX = 100 };
int gzip_file(int in, int out, const char *comment, Err *e) MUST_USE;

/* gzip_comment: of the file whose beginning is p[0..n), as gzip_file wrote it; "" when there is none. -EINVAL: not of gzip. */
enum { GZIP_HEAD_MAX = GZIP_COMMENT_MAX + 11 };
int gzip_comment(const char *p, size_t n, char text[static GZIP_COMMENT_MAX + 1]) MUST_USE;

typedef struct GzipReader GzipReader;
/* gzip_reader_new: from where fd stands; borrowed. -ENOMEM. */
int gzip_reader_new(int fd, GzipReader **ret) MUST_USE;
void gzip_reader_free(GzipReader *r);
/* gzip_read: up to n bytes; 0 at the end. -EBADMSG: damaged, or cut off. */
ssize_t gzip_read(GzipReader *r, void *to, size_t n) MUST_USE;
