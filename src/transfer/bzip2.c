/* bzip2.c: the only file that knows libbz2: bzip2 streams in. */
#include <bzlib.h>

#include "transfer/inflate.h"

typedef struct Bzip2 {
	bz_stream s;
	bool open;   /* s is initialised */
	bool inside; /* of a stream */
	bool any;    /* one was read to its end */
} Bzip2;

static void *bzip2_make(void)
{
	return calloc(1, sizeof(Bzip2));
}

static void bzip2_free(void *codec)
{
	Bzip2 *b = codec;
	if (!b) return;
	if (b->open) BZ2_bzDecompressEnd(&b->s);
	free(b);
}

static int begin_stream(Bzip2 *b, Err *e)
{
	if (b->open) BZ2_bzDecompressEnd(&b->s);
	b->s = (bz_stream){ 0 };
	b->open = BZ2_bzDecompressInit(&b->s, 0, 0) == BZ_OK;
	if (!b->open) return err_set(e, ERR_RESOURCE, ENOMEM, "bzip2: out of memory");
	b->inside = true;
	return 0;
}

static unsigned clamp(size_t n)
{
	return n > INT32_MAX ? INT32_MAX : (unsigned)n;
}

static int bzip2_step(void *codec, CodecIo *io, Err *e)
{
	Bzip2 *b = codec;
	while (io->n_out) {
		if (!b->inside && !io->n_in) return 0;
		int r = b->inside ? 0 : begin_stream(b, e);
		if (r < 0) return r;
		unsigned n_in = clamp(io->n_in), n_out = clamp(io->n_out);
		b->s.next_in = (char *)io->in;
		b->s.avail_in = n_in;
		b->s.next_out = (char *)io->out;
		b->s.avail_out = n_out;
		r = BZ2_bzDecompress(&b->s);
		bool still = b->s.avail_in == n_in && b->s.avail_out == n_out;
		io->in += n_in - b->s.avail_in;
		io->n_in -= n_in - b->s.avail_in;
		io->out += n_out - b->s.avail_out;
		io->n_out -= n_out - b->s.avail_out;
		if (r == BZ_STREAM_END) {
			b->inside = false;
			b->any = true;
		} else if (r == BZ_MEM_ERROR) {
			return err_set(e, ERR_RESOURCE, ENOMEM, "bzip2: out of memory");
		} else if (r != BZ_OK) {
			return err_set(e, ERR_IO, EBADMSG, "bzip2: %s", b->any ? "garbage after the end of the stream" : "invalid data");
		} else if (!io->n_in || still) {
			return 0;
		}
	}
	return 0;
}

static bool bzip2_may_end(const void *codec)
{
	const Bzip2 *b = codec;
	return b->any && !b->inside;
}

const CodecType bzip2_codec = { .name = "bzip2", .make = bzip2_make, .step = bzip2_step, .may_end = bzip2_may_end, .free = bzip2_free };
