/* zstd.c: the only file that knows libzstd: streams (RFC 8878) in and out. */
#include "transfer/zstd.h"

#include <zstd.h>

#include "transfer/inflate.h"

enum {
	WINDOW_LOG_MAX = 27, /* 128 MiB: what `zstd --long` makes, and its own reader accepts unasked */
	WRITER_BUFFER = 128 << 10,
	WRITER_JOB = 4 << 20, /* bytes a thread compresses at once: bounds memory */
};

/* ---- reading ---- */

typedef struct Zstd {
	ZSTD_DStream *d;
	bool inside; /* of a frame */
	bool any;    /* a frame was begun */
} Zstd;

static void zstd_free(void *codec)
{
	Zstd *z = codec;
	if (!z) return;
	ZSTD_freeDStream(z->d);
	free(z);
}

static void *zstd_make(void)
{
	Zstd *z = calloc(1, sizeof *z);
	if (!z) return NULL;
	z->d = ZSTD_createDStream();
	if (z->d && !ZSTD_isError(ZSTD_DCtx_setParameter(z->d, ZSTD_d_windowLogMax, WINDOW_LOG_MAX))) return z;
	zstd_free(z);
	return NULL;
}

static int zstd_step(void *codec, CodecIo *io, Err *e)
{
	Zstd *z = codec;
	ZSTD_inBuffer in = { .src = io->in, .size = io->n_in };
	ZSTD_outBuffer out = { .dst = io->out, .size = io->n_out };
	while (out.pos < out.size) {
		if (!z->inside && in.pos == in.size) break; /* a call would begin another frame */
		size_t before_in = in.pos, before_out = out.pos;
		size_t r = ZSTD_decompressStream(z->d, &out, &in);
		if (ZSTD_isError(r)) return err_set(e, ERR_IO, EBADMSG, "zstd: %s", ZSTD_getErrorName(r));
		z->any = true;
		z->inside = r != 0;
		if (in.pos == before_in && out.pos == before_out) break;
	}
	io->in += in.pos;
	io->n_in -= in.pos;
	io->out += out.pos;
	io->n_out -= out.pos;
	return 0;
}

static bool zstd_may_end(const void *codec)
{
	const Zstd *z = codec;
	return z->any && !z->inside;
}

const CodecType zstd_codec = { .name = "zstd", .make = zstd_make, .step = zstd_step, .may_end = zstd_may_end, .free = zstd_free };

/* ---- writing ---- */

struct ZstdWriter {
	ZSTD_CCtx *c;
	ZstdOut *out;
	void *arg;
	uint8_t buffer[WRITER_BUFFER];
};

void zstd_writer_free(ZstdWriter *w)
{
	if (!w) return;
	ZSTD_freeCCtx(w->c);
	free(w);
}

static bool set(ZstdWriter *w, ZSTD_cParameter parameter, int value)
{
	return !ZSTD_isError(ZSTD_CCtx_setParameter(w->c, parameter, value));
}

int zstd_writer_new(int level, unsigned threads, ZstdOut *out, void *arg, ZstdWriter **ret, Err *e)
{
	ZstdWriter *w = calloc(1, sizeof *w);
	if (w) w->c = ZSTD_createCCtx();
	if (!w || !w->c) {
		zstd_writer_free(w);
		return err_set(e, ERR_RESOURCE, ENOMEM, "zstd: out of memory");
	}
	w->out = out;
	w->arg = arg;
	/* without threads (not even one) it would cut the input elsewhere and so write other bytes */
	if (!set(w, ZSTD_c_compressionLevel, level) || !set(w, ZSTD_c_checksumFlag, 1) ||
	    !set(w, ZSTD_c_nbWorkers, threads ? (int)threads : 1) || !set(w, ZSTD_c_jobSize, WRITER_JOB)) {
		zstd_writer_free(w);
		return err_set(e, ERR_UNSUPPORTED, EINVAL, "zstd: level %d cannot be had from this library", level);
	}
	*ret = w;
	return 0;
}

static int drive(ZstdWriter *w, ZSTD_inBuffer *in, ZSTD_EndDirective directive, Err *e)
{
	for (;;) {
		ZSTD_outBuffer out = { .dst = w->buffer, .size = sizeof w->buffer };
		size_t left = ZSTD_compressStream2(w->c, &out, in, directive);
		if (ZSTD_isError(left)) return err_set(e, ERR_IO, EIO, "zstd: %s", ZSTD_getErrorName(left));
		int r = out.pos ? w->out(w->arg, w->buffer, out.pos, e) : 0;
		if (r < 0) return r;
		if (directive == ZSTD_e_end ? !left : in->pos == in->size) return 0;
	}
}

int zstd_writer_put(ZstdWriter *w, const void *p, size_t n, Err *e)
{
	ZSTD_inBuffer in = { .src = p, .size = n };
	return drive(w, &in, ZSTD_e_continue, e);
}

int zstd_writer_finish(ZstdWriter *w, Err *e)
{
	ZSTD_inBuffer none = { 0 };
	return drive(w, &none, ZSTD_e_end, e);
}
