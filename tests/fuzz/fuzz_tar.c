/* fuzz_tar.c: tar archives. Fed in pieces of any size they say the same as fed at once; what was accepted can be written, and then says the
 * same again; what was refused was refused with one line.
 *
 * The first two bytes choose the pieces. A random block hardly ever has the right checksum: those with "ustar" in the place of
 * the magic get it here, unless the first byte is odd. */
#include "base/buf.h"
#include "base/str.h"
#include "fuzz.h"
#include "oci/tar_read.h"
#include "oci/tar_write.h"

#include <ctype.h>

enum { SAYS_MAX = 8 << 20, ARCHIVE_MAX = 64 << 20 };

/* Listing: what a reader says, without where it lies; and the hash of each file's bytes, holes included. */
typedef struct Listing {
	Buf says;
	TarWriter *writer;
	uint64_t at, stored, hash; /* of the file under way: bytes seen of it, stored ones among them */
	size_t extent;
} Listing;

static void hash_byte(Listing *l, unsigned char c)
{
	l->hash = (l->hash ^ c) * 0x100000001b3;
	l->at++;
}

static void put_name(Buf *b, const char *key, const char *s)
{
	buf_printf(b, " %s=%zu:%s", key, s ? strlen(s) : 0, s ? s : "");
}

static int list_entry(void *arg, const TarEntry *t, Err *e)
{
	Listing *l = arg;
	uint64_t sum = 0, end = 0;
	assert(t->offset % TAR_BLOCK_BYTES == 0 && t->header % TAR_BLOCK_BYTES == 0 && t->header < t->offset);
	assert(t->mtime_ns < 1000000000 && !(t->mode & ~07777u) && t->uid != UINT32_MAX && t->gid != UINT32_MAX);
	assert(!t->size || t->type == TAR_FILE);
	for (size_t i = 0; i < t->n_extents; i++) {
		assert(t->extents[i].n && t->extents[i].offset >= end);
		end = t->extents[i].offset + t->extents[i].n;
		sum += t->extents[i].n;
	}
	assert(end <= t->size && (t->sparse ? sum == t->stored : t->stored == t->size && !t->n_extents));
	buf_printf(&l->says, " %llx\n%d %o %u:%u %lld.%u %u:%u %llu", (unsigned long long)l->hash, t->type, t->mode, t->uid, t->gid,
		   (long long)t->mtime, t->mtime_ns, t->major, t->minor, (unsigned long long)t->size);
	put_name(&l->says, "path", t->path);
	put_name(&l->says, "link", t->link);
	put_name(&l->says, "uname", t->uname);
	put_name(&l->says, "gname", t->gname);
	for (size_t i = 0; i < t->n_xattrs; i++) {
		assert(!i || strcmp(t->xattrs[i - 1].name, t->xattrs[i].name) < 0);
		put_name(&l->says, "xattr", t->xattrs[i].name);
		buf_put(&l->says, t->xattrs[i].value, t->xattrs[i].n + 1);
	}
	l->at = l->stored = l->extent = 0;
	l->hash = 0xcbf29ce484222325;
	if (!t->stored)
		while (l->at < t->size)
			hash_byte(l, 0);
	return l->writer ? tar_writer_entry(l->writer, t, e) : 0;
}

static int list_data(void *arg, const TarEntry *t, const void *p, size_t n, Err *e)
{
	Listing *l = arg;
	const unsigned char *b = p;
	for (size_t i = 0; i < n; i++) {
		while (t->sparse && l->at < t->extents[l->extent].offset)
			hash_byte(l, 0);
		hash_byte(l, b[i]);
		if (t->sparse && l->at == t->extents[l->extent].offset + t->extents[l->extent].n) l->extent++;
	}
	l->stored += n;
	assert(l->stored <= t->stored);
	while (l->stored == t->stored && l->at < t->size)
		hash_byte(l, 0);
	return l->writer ? tar_writer_data(l->writer, p, n, e) : 0;
}

/* pieces: 0 for all at once, otherwise where a sequence of sizes begins. */
static int list(Listing *l, const uint8_t *data, size_t n, unsigned pieces, Err *e)
{
	TarLimits limits = TAR_LIMITS_DEFAULT;
	TarVisitor v = { list_entry, list_data, l };
	limits.size = 1 << 20;
	TarReader *r = tar_reader_new(&v, &limits);
	assert(r);
	int k = 0;
	while (n && !k) {
		size_t part = n;
		if (pieces) {
			pieces = pieces * 1103515245 + 12345;
			part = (pieces >> 16) % (pieces >> 28 ? 40 : 1400) + 1;
			if (part > n) part = n;
		}
		/* a block of its own: reading past the piece, or keeping a pointer into it, is seen */
		uint8_t *piece = malloc(part);
		assert(piece);
		memcpy(piece, data, part);
		k = tar_reader_feed(r, piece, part, e);
		free(piece);
		data += part;
		n -= part;
	}
	if (!k) k = tar_reader_finish(r, e);
	tar_reader_free(r);
	buf_printf(&l->says, " %llx", (unsigned long long)l->hash);
	return k;
}

static int to_buf(void *arg, const void *p, size_t n, Err *e)
{
	buf_put(arg, p, n);
	return 0;
}

static void repair(uint8_t *p, size_t n)
{
	for (; n >= TAR_BLOCK_BYTES; p += TAR_BLOCK_BYTES, n -= TAR_BLOCK_BYTES) {
		unsigned sum = 0;
		if (memcmp(p + 257, "ustar", 5) != 0) continue;
		memset(p + 148, ' ', 8);
		for (size_t i = 0; i < TAR_BLOCK_BYTES; i++)
			sum += p[i];
		char text[8];
		snprintf(text, sizeof text, "%06o", sum);
		memcpy(p + 148, text, 7);
	}
}

static bool same(const Listing *a, const Listing *b)
{
	return a->says.n == b->says.n && memcmp(buf_str(&a->says), buf_str(&b->says), a->says.n) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (n < 2) return 0;
	AUTO_FREE uint8_t *copy = malloc(n - 1);
	AUTO_BUF archive = BUF_INIT(ARCHIVE_MAX);
	assert(copy);
	memcpy(copy, data + 2, n - 2);
	if (!(data[0] & 1)) repair(copy, n - 2);
	Err a = ERR_INIT, b = ERR_INIT, c = ERR_INIT;
	Listing once = { .says = BUF_INIT(SAYS_MAX), .writer = tar_writer_new(to_buf, &archive) };
	Listing pieces = { .says = BUF_INIT(SAYS_MAX) }, again = { .says = BUF_INIT(SAYS_MAX) };
	assert(once.writer);
	int r = list(&once, copy, n - 2, 0, &a);
	assert(list(&pieces, copy, n - 2, data[0] << 8 | data[1] | 1, &b) == r);
	assert(streq(a.msg, b.msg) && (r || same(&once, &pieces)));
	if (r) {
		assert(a.errnum == -r && a.code && starts_with(a.msg, "tar: "));
		for (const char *p = a.msg; *p; p++)
			assert(!iscntrl((unsigned char)*p));
	} else {
		assert(tar_writer_finish(once.writer, &c) == 0);
		assert(!buf_failed(&archive) && list(&again, (const uint8_t *)archive.p, archive.n, 0, &c) == 0);
		assert(same(&once, &again));
	}
	tar_writer_free(once.writer);
	buf_done(&once.says);
	buf_done(&pieces.says);
	buf_done(&again.says);
	return 0;
}
