/* inflate.c: see inflate.h. */
#include "transfer/inflate.h"

#include <inttypes.h>

enum { SNIFF_MAX = 8, RATIO_FROM = 64 << 20 };

struct Inflate {
	const CodecType *type; /* NULL: plain */
	void *codec;
	InflateSink sink;
	TransferLimits limits;
	int declared, found;
	uint64_t in, out;
	uint8_t head[SNIFF_MAX]; /* until the compression is known */
	size_t n_head;
};

static const CodecType *codec_of(int compression)
{
	switch (compression) {
	case COMPRESSION_GZIP:
		return &gzip_codec;
	case COMPRESSION_ZSTD:
		return &zstd_codec;
	case COMPRESSION_XZ:
		return &xz_codec;
	case COMPRESSION_BZIP2:
		return &bzip2_codec;
	default:
		return NULL;
	}
}

int compression_sniff(const uint8_t *p, size_t n)
{
	static const struct {
		uint8_t magic[6], mask0;
		uint8_t n;
		int compression;
	} known[] = {
		{ { 0x1f, 0x8b, 0x08 }, 0xff, 3, COMPRESSION_GZIP },          { { 0x28, 0xb5, 0x2f, 0xfd }, 0xff, 4, COMPRESSION_ZSTD },
		{ { 0x50, 0x2a, 0x4d, 0x18 }, 0xf0, 4, COMPRESSION_ZSTD }, /* begins with a skippable frame */
		{ { 0xfd, '7', 'z', 'X', 'Z', 0 }, 0xff, 6, COMPRESSION_XZ }, { { 'B', 'Z', 'h' }, 0xff, 3, COMPRESSION_BZIP2 },
	};
	bool open = false;
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		size_t k = 0;
		while (k < known[i].n && k < n && (k ? p[k] : p[k] & known[i].mask0) == known[i].magic[k])
			k++;
		if (k == known[i].n) return known[i].compression;
		open |= k == n;
	}
	return open ? COMPRESSION_AUTO : COMPRESSION_NONE;
}

int inflate_new(int compression, const TransferLimits *limits, const InflateSink *sink, Inflate **ret, Err *e)
{
	Inflate *i = calloc(1, sizeof *i);
	if (!i) return err_set(e, ERR_RESOURCE, ENOMEM, "inflate: out of memory");
	i->declared = compression;
	i->limits = *limits;
	i->sink = *sink;
	*ret = i;
	return 0;
}

void inflate_free(Inflate *i)
{
	if (!i) return;
	if (i->codec) i->type->free(i->codec);
	free(i);
}

int inflate_compression(const Inflate *i)
{
	return i->found;
}

/* check_limits: of what has come out. Asked before more room is given, so one buffer is the most by which it is late. */
static int check_limits(const Inflate *i, Err *e)
{
	const TransferLimits *l = &i->limits;
	if (l->tar_size && i->out > l->tar_size)
		return err_set(e, ERR_RESOURCE, EFBIG, "inflate: more than the allowed %" PRIu64 " bytes come out", l->tar_size);
	if (l->ratio && i->out > RATIO_FROM && i->out / l->ratio > i->in)
		return err_set(e, ERR_SECURITY, EFBIG,
			       "inflate: %" PRIu64 " bytes became %" PRIu64 ": more than the allowed %" PRIu32 " to 1", i->in, i->out,
			       l->ratio);
	return 0;
}

static int copy_step(CodecIo *io)
{
	size_t n = io->n_in < io->n_out ? io->n_in : io->n_out;
	memcpy(io->out, io->in, n);
	io->in += n;
	io->n_in -= n;
	io->n_out -= n;
	return 0;
}

/* pump: all of the input through the codec. A full buffer means that there may be more inside of it. */
static int pump(Inflate *i, const uint8_t *p, size_t n, Err *e)
{
	CodecIo io = { .in = p, .n_in = n };
	bool full = false;
	i->in += n;
	while (io.n_in || full) {
		size_t room = 0, before = io.n_in;
		int r = i->sink.room(i->sink.arg, &io.out, &room, e);
		if (r < 0) return r;
		io.n_out = room;
		r = i->type ? i->type->step(i->codec, &io, e) : copy_step(&io);
		if (r < 0) return r;
		size_t made = room - io.n_out;
		full = made == room;
		i->out += made;
		r = made ? i->sink.done(i->sink.arg, made, e) : 0;
		if (r >= 0) r = check_limits(i, e);
		if (r < 0) return r;
		if (!made && before == io.n_in) break; /* neither reads nor writes: can only happen when the input is used up */
	}
	if (io.n_in) return err_set(e, ERR_INTERNAL, EBADMSG, "%s: the decompressor stands still", i->type->name);
	return 0;
}

static int settle(Inflate *i, int found, Err *e)
{
	if (i->declared != COMPRESSION_AUTO && i->declared != COMPRESSION_NONE && i->declared != COMPRESSION_GZIP && i->declared != found)
		return err_set(e, ERR_CONFIG, EBADMSG, "inflate: declared as %s, but the bytes are %s",
			       bind_name(compression_names, i->declared),
			       found == COMPRESSION_NONE ? "none of the known formats" : bind_name(compression_names, found));
	i->found = found;
	i->type = codec_of(found);
	if (!i->type) return 0;
	i->codec = i->type->make();
	return i->codec ? 0 : err_set(e, ERR_RESOURCE, ENOMEM, "%s: out of memory", i->type->name);
}

int inflate_feed(Inflate *i, const void *p, size_t n, Err *e)
{
	const uint8_t *at = p;
	while (n && i->found == COMPRESSION_AUTO) {
		i->head[i->n_head++] = *at++;
		n--;
		int found = compression_sniff(i->head, i->n_head);
		if (found == COMPRESSION_AUTO) continue;
		int r = settle(i, found, e);
		if (r >= 0) r = pump(i, i->head, i->n_head, e);
		if (r < 0) return r;
	}
	return n ? pump(i, at, n, e) : 0;
}

int inflate_finish(Inflate *i, Err *e)
{
	if (i->found == COMPRESSION_AUTO) { /* shorter than any magic */
		int r = settle(i, COMPRESSION_NONE, e);
		if (r >= 0 && i->n_head) r = pump(i, i->head, i->n_head, e);
		return r;
	}
	if (i->type && !i->type->may_end(i->codec))
		return err_set(e, ERR_IO, EBADMSG, "%s: the stream is truncated after %" PRIu64 " bytes", i->type->name, i->in);
	return 0;
}
