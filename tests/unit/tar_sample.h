/* tar_sample.h: archives made by hand, field by field, and what a reader says of them as text. For test_tar.c and test_memory.c. */
#pragma once

#include "base/buf.h"
#include "check.h"
#include "oci/tar_read.h"
#include "oci/tar_write.h"

/* Piece: a header block with what follows it. Fields that are NULL get what a plain file has. */
typedef struct Piece {
	char type; /* 0: '0'; 'V' with magic v7 is the typeflag NUL, as in the oldest archives */
	const char *name, *link, *prefix, *magic, *mode, *uid, *gid, *size, *mtime, *major, *minor, *uname;
	const char *data;    /* stored; its length gives the size unless size says something else */
	const char *pax[12]; /* records without their length: a pax header in front */
	const char *raw;     /* these bytes instead of records */
	char global;         /* the pax header alone, as this type: 'g', 'x' */
	const char *at386;   /* what stands in the place of GNU's sparse map */
	size_t n386;
	const char *blocks; /* after the header: block after block of this text, no header at all if name is NULL */
	int zeros;          /* zero blocks instead of all that */
	int cut;            /* bytes cut off at the end */
	bool bad_sum, signed_sum, star;
} Piece;

static inline void sample_field(char *block, size_t at, size_t n, const char *text)
{
	size_t k = text ? strlen(text) : 0;
	if (text) memcpy(block + at, text, k < n ? k : n);
}

static inline void sample_sum(char *block, bool with_sign)
{
	char text[16];
	int sum = 0;
	memset(block + 148, ' ', 8);
	for (int i = 0; i < TAR_BLOCK_BYTES; i++)
		sum += with_sign ? (signed char)block[i] : (unsigned char)block[i];
	snprintf(text, sizeof text, "%06o", (unsigned)sum & 0777777);
	memcpy(block + 148, text, 7);
}

static inline void sample_data(Buf *b, const char *p, size_t n)
{
	static const char zeros[TAR_BLOCK_BYTES];
	buf_put(b, p, n);
	buf_put(b, zeros, -n & (TAR_BLOCK_BYTES - 1));
}

static inline void sample_header(Buf *b, const Piece *p, size_t size)
{
	char block[TAR_BLOCK_BYTES] = "", text[16];
	bool v7 = p->magic && !*p->magic;
	snprintf(text, sizeof text, "%011zo", size);
	sample_field(block, 0, 100, p->name);
	sample_field(block, 100, 8, p->mode ? p->mode : "0000644");
	sample_field(block, 108, 8, p->uid ? p->uid : "0000000");
	sample_field(block, 116, 8, p->gid ? p->gid : "0000000");
	sample_field(block, 124, 12, p->size ? p->size : text);
	sample_field(block, 136, 12, p->mtime ? p->mtime : "00000000000");
	block[156] = p->type == 'V' && v7 ? 0 : p->type ? p->type : '0';
	sample_field(block, 157, 100, p->link);
	if (!v7) memcpy(block + 257, p->magic ? p->magic : "ustar\00000", 8);
	sample_field(block, 265, 32, p->uname);
	sample_field(block, 329, 8, p->major);
	sample_field(block, 337, 8, p->minor);
	sample_field(block, 345, 155, p->prefix);
	if (p->at386) memcpy(block + 386, p->at386, p->n386);
	if (p->star) memcpy(block + 476, "00000000000\00000000000000\0\0\0\0\0\0\0\0\0tar", 36);
	sample_sum(block, p->signed_sum);
	if (p->bad_sum) block[0]++;
	buf_put(b, block, sizeof block);
}

static inline void sample_record(Buf *b, const char *record)
{
	size_t n = strlen(record) + 2, all = n + 1;
	char text[24];
	while ((size_t)snprintf(text, sizeof text, "%zu", all) + n != all)
		all++;
	buf_printf(b, "%zu %s\n", all, record);
}

static inline void sample_pax(Buf *b, const Piece *p)
{
	AUTO_BUF records = BUF_INIT(1 << 20);
	if (p->raw) buf_puts(&records, p->raw);
	for (size_t i = 0; i < ARRAY_LEN(p->pax) && p->pax[i]; i++)
		sample_record(&records, p->pax[i]);
	if (!records.n && !p->global) return;
	Piece header = { .type = p->global ? p->global : 'x', .name = "pax" };
	sample_header(b, &header, records.n);
	sample_data(b, buf_str(&records), records.n);
}

static inline void sample_piece(Buf *b, const Piece *p)
{
	static const char zeros[TAR_BLOCK_BYTES];
	for (int i = 0; i < p->zeros; i++)
		buf_put(b, zeros, sizeof zeros);
	if (p->zeros) return;
	sample_pax(b, p);
	if (p->global) return;
	size_t n = p->data ? strlen(p->data) : 0;
	if (p->type == 'L' || p->type == 'K') n++; /* with its NUL */
	if (p->name) sample_header(b, p, n);
	if (p->blocks) sample_data(b, p->blocks, strlen(p->blocks));
	if (p->data) sample_data(b, p->data, n);
	if (p->cut) b->n -= (size_t)p->cut;
}

/* ---- what a reader says ---- */

static inline void sample_xattrs(Buf *b, const TarEntry *t)
{
	for (size_t i = 0; i < t->n_xattrs; i++) {
		const TarXattr *x = &t->xattrs[i];
		assert_int_equal(((const char *)x->value)[x->n], 0);
		assert_true(!i || strcmp(t->xattrs[i - 1].name, x->name) < 0);
		buf_printf(b, " %s=%s", x->name, (const char *)x->value);
	}
}

/* Only what a plain empty file of mode 644 does not have. */
static inline int sample_entry(void *arg, const TarEntry *t, Err *e)
{
	Buf *b = arg;
	buf_printf(b, "%s%s %s", b->n ? "; " : "", tar_type_name(t->type), t->path);
	if (t->link) buf_printf(b, " -> %s", t->link);
	if (t->mode != 0644) buf_printf(b, " %o", t->mode);
	if (t->uid || t->gid) buf_printf(b, " %u:%u", t->uid, t->gid);
	if (t->uname) buf_printf(b, " u=%s", t->uname);
	if (t->gname) buf_printf(b, " g=%s", t->gname);
	if (t->mtime || t->mtime_ns) buf_printf(b, " @%lld.%09u", (long long)t->mtime, t->mtime_ns);
	if (t->major || t->minor) buf_printf(b, " dev=%u:%u", t->major, t->minor);
	if (t->size) buf_printf(b, " size=%llu", (unsigned long long)t->size);
	if (t->sparse) buf_printf(b, " stored=%llu", (unsigned long long)t->stored);
	for (size_t i = 0; i < t->n_extents; i++)
		buf_printf(b, " %llu+%llu", (unsigned long long)t->extents[i].offset, (unsigned long long)t->extents[i].n);
	sample_xattrs(b, t);
	if (t->stored) buf_printf(b, " at %llu:", (unsigned long long)t->offset);
	assert_true(t->header % TAR_BLOCK_BYTES == 0 && t->offset % TAR_BLOCK_BYTES == 0 && t->header < t->offset);
	return 0;
}

static inline int sample_bytes(void *arg, const TarEntry *t, const void *p, size_t n, Err *e)
{
	buf_put(arg, p, n);
	return 0;
}

/* Reads an archive in pieces of chunk bytes. The text of its members, or the message of the refusal. */
static inline int sample_read(const char *p, size_t n, size_t chunk, const TarLimits *limits, Buf *ret, Err *e)
{
	TarVisitor v = { sample_entry, sample_bytes, ret };
	AUTO_TAR_READER *r = tar_reader_new(&v, limits);
	int k = r ? 0 : err_sys(e, ENOMEM, "tar");
	for (size_t at = 0; !k && at < n; at += chunk)
		k = tar_reader_feed(r, p + at, n - at < chunk ? n - at : chunk, e);
	return k < 0 ? k : tar_reader_finish(r, e);
}
