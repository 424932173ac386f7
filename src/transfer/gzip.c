/* gzip.c: the only file that knows ISA-L: gzip streams (RFC 1952) in, and blocks of them out. */
#include "transfer/gzip.h"

#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>

#include "transfer/inflate.h"

/* ---- reading ---- */

typedef struct Gzip {
	struct inflate_state s;
	/* ISA-L reads headers by itself, too, but forgets what it has seen of one whose end is not there yet: a name or an extra field that goes over
	 * the end of a piece would be taken for data. */
	struct isal_gzip_header header;
	uint64_t members; /* that were read to their end */
	bool inside;      /* of one */
	bool in_header;   /* of it */
	bool padding;     /* zeros after the last: nothing else may follow */
} Gzip;

static void *gzip_make(void)
{
	Gzip *g = malloc(sizeof *g);
	if (!g) return NULL;
	isal_inflate_init(&g->s);
	g->members = 0;
	g->inside = g->in_header = g->padding = false;
	return g;
}

static const char *reason(int r)
{
	switch (r) {
	case ISAL_INVALID_BLOCK:
		return "invalid block";
	case ISAL_INVALID_SYMBOL:
		return "invalid symbol";
	case ISAL_INVALID_LOOKBACK:
		return "a distance before the beginning";
	case ISAL_INVALID_WRAPPER:
		return "not a gzip header";
	case ISAL_UNSUPPORTED_METHOD:
		return "unknown method";
	case ISAL_INCORRECT_CHECKSUM:
		return "wrong checksum or length";
	default:
		return "invalid data";
	}
}

/* begin_member: at the first byte of the stream, or behind a member. 1: there is one, 0: input used up. */
static int begin_member(Gzip *g, CodecIo *io, Err *e)
{
	while (g->members && io->n_in && !*io->in) {
		g->padding = true;
		io->in++;
		io->n_in--;
	}
	if (!io->n_in) return 0;
	if (g->padding || (g->members && *io->in != 0x1f)) return err_set(e, ERR_IO, EBADMSG, "gzip: garbage after the end of the stream");
	isal_inflate_reset(&g->s);
	isal_gzip_header_init(&g->header);
	g->s.crc_flag = ISAL_GZIP_NO_HDR_VER; /* the trailer is its to check */
	g->inside = g->in_header = true;
	return 1;
}

static uint32_t clamp(size_t n)
{
	return n > INT32_MAX ? INT32_MAX : (uint32_t)n;
}

static int gzip_step(void *codec, CodecIo *io, Err *e)
{
	Gzip *g = codec;
	while (io->n_out) {
		int r = g->inside ? 1 : begin_member(g, io, e);
		if (r <= 0) return r;
		uint32_t n_in = clamp(io->n_in), n_out = clamp(io->n_out);
		g->s.next_in = (uint8_t *)io->in; /* it is not written to */
		g->s.avail_in = n_in;
		g->s.next_out = io->out;
		g->s.avail_out = n_out;
		bool in_header = g->in_header;
		r = in_header ? isal_read_gzip_header(&g->s, &g->header) : isal_inflate(&g->s);
		g->in_header = in_header && r == ISAL_END_INPUT;
		if (r < 0) return err_set(e, ERR_IO, EBADMSG, "gzip: %s%s", reason(r), g->members ? " in a further member" : "");
		bool still = g->s.avail_in == n_in && g->s.avail_out == n_out;
		io->in += n_in - g->s.avail_in;
		io->n_in -= n_in - g->s.avail_in;
		io->out += n_out - g->s.avail_out;
		io->n_out -= n_out - g->s.avail_out;
		if (!in_header && g->s.block_state == ISAL_BLOCK_FINISH) {
			g->inside = false;
			g->members++;
		} else if (!io->n_in || (still && !in_header)) {
			return 0;
		}
	}
	return 0;
}

static bool gzip_may_end(const void *codec)
{
	const Gzip *g = codec;
	return !g->inside && g->members;
}

const CodecType gzip_codec = { .name = "gzip", .make = gzip_make, .step = gzip_step, .may_end = gzip_may_end, .free = free };

/* ---- writing ---- */

struct GzipBlock {
	struct isal_zstream s;
	uint32_t level_size;
	uint8_t *level;
};

/* ISA-L has the levels 0 to 3: the upper half of the usual nine all mean its best. */
static int isal_level(int level)
{
	return level <= 0 || level > 2 ? 3 : level;
}

int gzip_block_new(int level, GzipBlock **ret)
{
	static const uint32_t sizes[] = { 0, ISAL_DEF_LVL1_DEFAULT, ISAL_DEF_LVL2_DEFAULT, ISAL_DEF_LVL3_DEFAULT };
	GzipBlock *b = calloc(1, sizeof *b);
	if (!b) return -ENOMEM;
	isal_deflate_init(&b->s);
	b->s.level = (uint32_t)isal_level(level);
	b->level_size = sizes[b->s.level];
	b->level = malloc(b->level_size);
	if (!b->level) {
		free(b);
		return -ENOMEM;
	}
	*ret = b;
	return 0;
}

void gzip_block_free(GzipBlock *b)
{
	if (!b) return;
	free(b->level);
	free(b);
}

int gzip_block_deflate(GzipBlock *b, const void *p, size_t n, void *out, size_t room, size_t *ret_n)
{
	isal_deflate_reset(&b->s);
	b->s.gzip_flag = IGZIP_DEFLATE;
	b->s.flush = FULL_FLUSH; /* ends on a byte and forgets the window: blocks can be put one after the other */
	b->s.end_of_stream = 0;
	b->s.level_buf = b->level;
	b->s.level_buf_size = b->level_size;
	b->s.next_in = (uint8_t *)p;
	b->s.avail_in = (uint32_t)n;
	b->s.next_out = out;
	b->s.avail_out = (uint32_t)room;
	int r = isal_deflate(&b->s);
	if (r != COMP_OK || b->s.avail_in || !b->s.avail_out) return -EIO;
	*ret_n = room - b->s.avail_out;
	return 0;
}

uint32_t gzip_crc(uint32_t crc, const void *p, size_t n)
{
	return crc32_gzip_refl(crc, p, n);
}
