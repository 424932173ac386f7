/* inflate.h: any compression in, the plain bytes out, in bounded memory.
 *
 * Push style: bytes come in pieces of any size; the output goes to room that the sink gives, without a copy in between. One wrapper
 * module per library, each a CodecType: gzip.c (ISA-L), zstd.c, xz.c, bzip2.c.
 *
 * Strictness, for all formats: a truncated stream is an error, and so is anything behind its end but what the format itself allows:
 * gzip further members and zero padding (what tape and block devices leave), zstd further and skippable frames (window at most
 * 128 MiB, no dictionary), xz and bzip2 further streams.
 */
#pragma once

#include "base/err.h"
#include "image/transfer_wire.h"

/* CodecIo: input and output of one step, both advanced by it. */
typedef struct CodecIo {
	const uint8_t *in;
	size_t n_in;
	uint8_t *out;
	size_t n_out;
} CodecIo;

/* CodecType: one decompressor. */
typedef struct CodecType {
	const char *name;
	/* make: a decompressor, NULL without memory. */
	void *(*make)(void);
	/* step: goes on until the input is used up or the output is full. 0, or a negative errno with e set ("gzip: …"). */
	int (*step)(void *codec, CodecIo *io, Err *e);
	/* may_end: may the input end here? */
	bool (*may_end)(const void *codec);
	void (*free)(void *codec);
} CodecType;

extern const CodecType gzip_codec, zstd_codec, xz_codec, bzip2_codec;

/* InflateSink: where the output goes. room: at least 1 byte at *ret_p, or a negative errno that ends the whole. done: n bytes of
 * it were written. */
typedef struct InflateSink {
	int (*room)(void *arg, uint8_t **ret_p, size_t *ret_n, Err *e);
	int (*done)(void *arg, size_t n, Err *e);
	void *arg;
} InflateSink;

typedef struct Inflate Inflate;

/* inflate_new: compression COMPRESSION_AUTO looks at the first bytes (what is none of the known is COMPRESSION_NONE). A
 * declared compression that the bytes deny is an error, except that NONE and GZIP may turn out to be any: docker's old images
 * declare gzip for plain tars, and `docker save` none for compressed ones. -ENOMEM. */
int inflate_new(int compression, const TransferLimits *limits, const InflateSink *sink, Inflate **ret, Err *e) MUST_USE;
void inflate_free(Inflate *i);
static inline void auto_inflate(Inflate **i)
{
	inflate_free(*i);
}
#define AUTO_INFLATE AUTO(auto_inflate) Inflate

/* inflate_feed: the next n bytes. -EBADMSG: not a valid stream; -EFBIG: beyond the limits; what the sink returned. */
int inflate_feed(Inflate *i, const void *p, size_t n, Err *e) MUST_USE;
/* inflate_finish: the input ends here. -EBADMSG: too early. */
int inflate_finish(Inflate *i, Err *e) MUST_USE;
/* inflate_compression: the Compression found, COMPRESSION_AUTO as long as too few bytes were seen. */
int inflate_compression(const Inflate *i);

/* compression_sniff: the Compression of a stream by its first n bytes; COMPRESSION_AUTO: more are needed (never with 8). */
int compression_sniff(const uint8_t *p, size_t n);
