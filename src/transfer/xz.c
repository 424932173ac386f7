/* xz.c: the only file that knows liblzma: .xz streams in. */
#include <lzma.h>

#include "transfer/inflate.h"

enum { MEMORY_MAX = 128 << 20 }; /* xz -9 wants 65 MiB to read */

typedef struct Xz {
	lzma_stream s;
	bool finished; /* the input may end here: only a finishing call can tell, see xz_may_end */
} Xz;

static void xz_free(void *codec)
{
	Xz *x = codec;
	if (!x) return;
	lzma_end(&x->s);
	free(x);
}

static void *xz_make(void)
{
	Xz *x = calloc(1, sizeof *x);
	if (!x) return NULL;
	if (lzma_stream_decoder(&x->s, MEMORY_MAX, LZMA_CONCATENATED) == LZMA_OK) return x;
	xz_free(x);
	return NULL;
}

static int xz_step(void *codec, CodecIo *io, Err *e)
{
	Xz *x = codec;
	x->s.next_in = io->in;
	x->s.avail_in = io->n_in;
	x->s.next_out = io->out;
	x->s.avail_out = io->n_out;
	lzma_ret r = lzma_code(&x->s, LZMA_RUN);
	io->in += io->n_in - x->s.avail_in;
	io->n_in = x->s.avail_in;
	io->out += io->n_out - x->s.avail_out;
	io->n_out = x->s.avail_out;
	switch (r) {
	case LZMA_OK:
	case LZMA_BUF_ERROR: /* wants more of either */
		return 0;
	case LZMA_MEM_ERROR:
		return err_set(e, ERR_RESOURCE, ENOMEM, "xz: out of memory");
	case LZMA_MEMLIMIT_ERROR:
		return err_set(e, ERR_RESOURCE, EFBIG, "xz: more than the allowed %d MiB of memory are needed", MEMORY_MAX >> 20);
	case LZMA_FORMAT_ERROR:
		return err_set(e, ERR_IO, EBADMSG, "xz: not an xz stream, or garbage after its end");
	case LZMA_OPTIONS_ERROR:
		return err_set(e, ERR_UNSUPPORTED, EBADMSG, "xz: a filter or check that is not known here");
	default:
		return err_set(e, ERR_IO, EBADMSG, "xz: invalid data");
	}
}

/* All output was taken before: a finishing call without input or room answers STREAM_END exactly at the end of a stream. */
static bool xz_may_end(const void *codec)
{
	Xz *x = (Xz *)codec;
	uint8_t none = 0;
	if (x->finished) return true;
	x->s.next_in = &none;
	x->s.avail_in = 0;
	x->s.next_out = &none;
	x->s.avail_out = 0;
	x->finished = lzma_code(&x->s, LZMA_FINISH) == LZMA_STREAM_END;
	return x->finished;
}

const CodecType xz_codec = { .name = "xz", .make = xz_make, .step = xz_step, .may_end = xz_may_end, .free = xz_free };
