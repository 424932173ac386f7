/* gzip.h: parts of a gzip stream, for compressing one with several threads (compress.c).
 *
 * A stream is: the ten bytes of gzip_header, deflated blocks in order, gzip_tail, then CRC and length, both 32 bits, little endian.
 * Each block is compressed by itself, so the bytes depend on the blocks' size and the level alone, not on the threads.
 */
#pragma once

#include "base/defs.h"

/* No time, no name, system unknown: the same input gives the same bytes. */
#define GZIP_HEADER "\x1f\x8b\x08\0\0\0\0\0\0\xff"
/* An empty last block. */
#define GZIP_TAIL "\x03\0"

typedef struct GzipBlock GzipBlock;

/* gzip_block_new: level 1 or 2: fast; 0 and 3 to 9: ISA-L's best. -ENOMEM. */
int gzip_block_new(int level, GzipBlock **ret) MUST_USE;
void gzip_block_free(GzipBlock *b);

/* gzip_block_deflate: n bytes (below 2 GiB) as deflate blocks that end on a byte. -EIO: room is too small: n + n / 512 + 4096 is
 * enough. */
int gzip_block_deflate(GzipBlock *b, const void *p, size_t n, void *out, size_t room, size_t *ret_n) MUST_USE;

/* gzip_crc: of n more bytes, from 0. */
uint32_t gzip_crc(uint32_t crc, const void *p, size_t n);
