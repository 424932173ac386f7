/* gzip.c: see gzip.h. The only file that knows zlib. */
#include "base/gzip.h"

#include <unistd.h>
#include <zlib.h>

enum { PIECE = 64 << 10, WITH_GZIP_HEAD = 16 + MAX_WBITS, MEMORY_LEVEL = 8, LEVEL = 3, HEAD_BYTES = 10, FLAG_COMMENT = 16 };

/* ---- writing ---- */

static int write_all(int fd, const unsigned char *p, size_t n)
{
	while (n) {
		ssize_t k = retry_eintr(write(fd, p, n));
		if (k < 0) return -errno;
		p += k;
		n -= (size_t)k;
	}
	return 0;
}

typedef struct Packing {
	z_stream z;
	gz_header head;
	unsigned char in[PIECE], out[PIECE];
} Packing;

static void packing_free(Packing **p)
{
	if (!*p) return;
	deflateEnd(&(*p)->z);
	free(*p);
}

static int pack(Packing *p, int in, int out, Err *e)
{
	for (int flush = Z_NO_FLUSH; flush != Z_FINISH;) {
		ssize_t n = retry_eintr(read(in, p->in, sizeof p->in));
		if (n < 0) return err_sys(e, errno, "read what is to be compressed");
		if (!n) flush = Z_FINISH;
		p->z.next_in = p->in;
		p->z.avail_in = (uInt)n;
		do {
			p->z.next_out = p->out;
			p->z.avail_out = sizeof p->out;
			if (deflate(&p->z, flush) == Z_STREAM_ERROR)
				return err_set(e, ERR_INTERNAL, EIO, "compress: zlib's state is damaged");
			int r = write_all(out, p->out, sizeof p->out - p->z.avail_out);
			if (r < 0) return err_sys(e, -r, "write what is compressed");
		} while (!p->z.avail_out);
	}
	return 0;
}

int gzip_file(int in, int out, const char *comment, Err *e)
{
	AUTO(packing_free) Packing *p = calloc(1, sizeof *p);
	if (!p || deflateInit2(&p->z, LEVEL, Z_DEFLATED, WITH_GZIP_HEAD, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
		return err_sys(e, ENOMEM, "compress");
	if (comment && strlen(comment) > GZIP_COMMENT_MAX) return err_set(e, ERR_INTERNAL, EINVAL, "compress: the comment is too long");
	p->head = (gz_header){ .os = 255, .comment = (Bytef *)(uintptr_t)comment };
	if (deflateSetHeader(&p->z, &p->head) != Z_OK) return err_set(e, ERR_INTERNAL, EINVAL, "compress: zlib takes no header");
	return pack(p, in, out, e);
}

/* ---- reading ---- */

int gzip_comment(const char *p, size_t n, char text[static GZIP_COMMENT_MAX + 1])
{
	text[0] = 0;
	if (n < HEAD_BYTES || memcmp(p, "\x1f\x8b\x08", 3)) return -EINVAL;
	if (p[3] != FLAG_COMMENT) return 0;
	size_t have = n - HEAD_BYTES, end = strnlen(p + HEAD_BYTES, have);
	if (end == have || end > GZIP_COMMENT_MAX) return 0;
	memcpy(text, p + HEAD_BYTES, end + 1);
	return 0;
}

struct GzipReader {
	z_stream z;
	int fd;
	bool ended;
	unsigned char in[PIECE];
};

int gzip_reader_new(int fd, GzipReader **ret)
{
	GzipReader *r = calloc(1, sizeof *r);
	if (!r) return -ENOMEM;
	r->fd = fd;
	if (inflateInit2(&r->z, WITH_GZIP_HEAD) != Z_OK) {
		free(r);
		return -ENOMEM;
	}
	*ret = r;
	return 0;
}

void gzip_reader_free(GzipReader *r)
{
	if (!r) return;
	inflateEnd(&r->z);
	free(r);
}

static int more_input(GzipReader *r)
{
	ssize_t n = retry_eintr(read(r->fd, r->in, sizeof r->in));
	if (n <= 0) return n < 0 ? -errno : -EBADMSG;
	r->z.next_in = r->in;
	r->z.avail_in = (uInt)n;
	return 0;
}

static int step(GzipReader *r)
{
	int x = r->z.avail_in ? 0 : more_input(r);
	if (x < 0) return x;
	x = inflate(&r->z, Z_NO_FLUSH);
	r->ended = x == Z_STREAM_END;
	if (x == Z_MEM_ERROR) return -ENOMEM;
	return x == Z_OK || x == Z_BUF_ERROR || r->ended ? 0 : -EBADMSG;
}

ssize_t gzip_read(GzipReader *r, void *to, size_t n)
{
	if (n > UINT32_MAX / 2) n = UINT32_MAX / 2;
	r->z.next_out = to;
	r->z.avail_out = (uInt)n;
	while (!r->ended && r->z.avail_out) {
		int x = step(r);
		if (x < 0 && r->z.avail_out == n) return x; /* else what came before it is handed out first */
		if (x < 0) break;
	}
	return (ssize_t)(n - r->z.avail_out);
}
