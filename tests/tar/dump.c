/* dump.c: what our tar reader says of the archive on standard input, for test_tar.py.
 *
 *   dump list BYTES   one line per member: type path link mode uid gid uname gname mtime device size offset crc32 xattrs…; names are %-encoded
 *   dump write        the same archive as our writer writes it
 *   dump count        reads and counts: for measuring
 */
#include "base/buf.h"
#include "base/str.h"
#include "oci/tar_read.h"
#include "oci/tar_write.h"

#include <unistd.h>

typedef struct Dump {
	TarWriter *writer;
	bool list;
	uint64_t members, bytes;
	/* of the file under way */
	bool open;
	uint64_t at;
	size_t extent;
	uint32_t crc;
	Buf xattrs;
} Dump;

static uint32_t crc_table[256];

static void crc_init(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;
		for (int k = 0; k < 8; k++)
			c = c & 1 ? c >> 1 ^ 0xedb88320 : c >> 1;
		crc_table[i] = c;
	}
}

static void crc_byte(Dump *d, unsigned char c)
{
	d->crc = crc_table[(d->crc ^ c) & 0xff] ^ d->crc >> 8;
	d->at++;
}

static void crc_zeros(Dump *d, uint64_t to)
{
	while (d->at < to)
		crc_byte(d, 0);
}

static void put_encoded(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] > ' ' && (unsigned char)s[i] < 0x7f && s[i] != '%' && s[i] != '=')
			putchar(s[i]);
		else
			printf("%%%02x", (unsigned char)s[i]);
}

static void put_name(const char *s)
{
	if (s) put_encoded(s, strlen(s));
	putchar('\t');
}

/* The line of a member ends once its data has been seen: with its crc. */
static void end_member(Dump *d)
{
	if (d->open) printf("%08x%s\n", ~d->crc, buf_str(&d->xattrs));
	d->open = false;
}

static void list_entry(Dump *d, const TarEntry *t)
{
	end_member(d);
	printf("%s\t", tar_type_name(t->type));
	put_name(t->path);
	put_name(t->link);
	printf("%o\t%u\t%u\t", t->mode, t->uid, t->gid);
	put_name(t->uname);
	put_name(t->gname);
	printf("%lld.%09u\t%u:%u\t%llu\t%llu\t", (long long)t->mtime, t->mtime_ns, t->major, t->minor, (unsigned long long)t->size,
	       (unsigned long long)t->offset);
	d->open = true;
	d->at = d->extent = 0;
	d->crc = ~0u;
	buf_reset(&d->xattrs);
	for (size_t i = 0; i < t->n_xattrs; i++) {
		const unsigned char *v = t->xattrs[i].value;
		buf_printf(&d->xattrs, "\t%s=", t->xattrs[i].name);
		for (size_t k = 0; k < t->xattrs[i].n; k++)
			buf_printf(&d->xattrs, "%02x", v[k]);
	}
	if (!t->stored) crc_zeros(d, t->size);
}

static int on_entry(void *arg, const TarEntry *t, Err *e)
{
	Dump *d = arg;
	d->members++;
	d->bytes += t->stored;
	if (d->list) list_entry(d, t);
	return d->writer ? tar_writer_entry(d->writer, t, e) : 0;
}

static int on_data(void *arg, const TarEntry *t, const void *p, size_t n, Err *e)
{
	Dump *d = arg;
	const unsigned char *b = p;
	for (size_t i = 0; d->list && i < n; i++) {
		if (t->sparse) crc_zeros(d, t->extents[d->extent].offset);
		crc_byte(d, b[i]);
		if (t->sparse && d->at == t->extents[d->extent].offset + t->extents[d->extent].n && ++d->extent == t->n_extents)
			crc_zeros(d, t->size);
	}
	return d->writer ? tar_writer_data(d->writer, p, n, e) : 0;
}

static int to_stdout(void *arg, const void *p, size_t n, Err *e)
{
	return fwrite(p, 1, n, stdout) == n ? 0 : err_sys(e, errno, "standard output");
}

static int dump(Dump *d, size_t chunk, Err *e)
{
	TarVisitor v = { on_entry, on_data, d };
	AUTO_TAR_READER *r = tar_reader_new(&v, NULL);
	AUTO_FREE char *buffer = malloc(chunk);
	ssize_t n;
	int k = 0;
	if (!r || !buffer) return err_sys(e, ENOMEM, "dump");
	while (!k && (n = read(STDIN_FILENO, buffer, chunk)) > 0)
		k = tar_reader_feed(r, buffer, (size_t)n, e);
	if (!k) k = tar_reader_finish(r, e);
	return k || !d->writer ? k : tar_writer_finish(d->writer, e);
}

int main(int argc, char **argv)
{
	uint64_t chunk = 1 << 20;
	Dump d = { .list = argc > 1 && streq(argv[1], "list"), .xattrs = BUF_INIT(4 << 20) };
	Err e = ERR_INIT;
	if (argc < 2 || (argc > 2 && (str_to_u64(str_of(argv[2]), &chunk) < 0 || !chunk))) return 2;
	crc_init();
	if (streq(argv[1], "write")) d.writer = tar_writer_new(to_stdout, NULL);
	int r = dump(&d, chunk, &e);
	end_member(&d);
	if (r < 0) fprintf(stderr, "%s\n", e.msg);
	if (streq(argv[1], "count")) printf("%llu members, %llu bytes\n", (unsigned long long)d.members, (unsigned long long)d.bytes);
	tar_writer_free(d.writer);
	buf_done(&d.xattrs);
	return r < 0 || fflush(stdout) != 0;
}
