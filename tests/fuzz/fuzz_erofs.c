/* fuzz_erofs.c: any bytes as an index: refused with a reason, or read; what is read is written and read again as the same. */
#include "fuzz.h"
#include "sys/erofs_impl.h"

#include <ctype.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sys/fd.h"

static const ErofsLimits limits = {
	.entries = 20000, .memory = 64 << 20, .chunks = 1 << 20, .xattr_bytes = 4 << 20, .index_bytes = 64 << 20, .depth = 200
};

static void check_message(const Err *e)
{
	assert(e->code != ERR_NONE && e->errnum > 0 && starts_with(e->msg, "index: "));
	for (const char *p = e->msg; *p; p++)
		assert(!iscntrl((unsigned char)*p));
}

/* Writes t to a new file; -EDQUOT and the like are fine, silence is not. */
static int write_tree(ErofsTree *t, ErofsWriteStats *stats, Err *e)
{
	int fd = memfd_create("index", MFD_CLOEXEC);
	assert(fd >= 0);
	int r = erofs_write(t, fd, NULL, stats, e);
	if (r >= 0) return fd;
	close(fd);
	assert(e->code != ERR_NONE);
	return r;
}

static void assert_same_file(int a, int b, uint64_t n)
{
	AUTO_FREE char *p = malloc(n), *q = malloc(n);
	assert(p && q);
	assert(pread(a, p, n, 0) == (ssize_t)n && pread(b, q, n, 0) == (ssize_t)n);
	assert(memcmp(p, q, n) == 0);
}

static void check_rewritten(ErofsTree *t)
{
	Err e = ERR_INIT;
	ErofsWriteStats first, second;
	AUTO_EROFS_TREE *again = NULL, *merged = NULL;
	AUTO_FD int a = write_tree(t, &first, &e);
	if (a < 0) return;
	ErofsLimits wide = limits; /* chunks and marks may have come to more */
	wide.memory *= 4;
	wide.xattr_bytes *= 4;
	wide.index_bytes = UINT32_MAX;
	if (erofs_load(a, &wide, &again, &e) < 0) {
		fprintf(stderr, "%s\n", e.msg);
		abort();
	}
	assert(erofs_tree_entries(again) == erofs_tree_entries(t));
	AUTO_FD int b = write_tree(again, &second, &e);
	assert(b >= 0 && first.bytes == second.bytes);
	assert_same_file(a, b, first.bytes);
	assert(erofs_merge((ErofsTree *const[]){ t, again }, 2, &wide, &merged, &e) == 0 || e.errnum == EDQUOT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	Err e = ERR_INIT;
	AUTO_EROFS_TREE *t = NULL;
	AUTO_FREE uint8_t *p = malloc(n ? n : 1);
	assert(p);
	if (n) memcpy(p, data, n);
	if (n >= EROFS_SUPER_OFFSET + EROFS_BLOCK) { /* nothing would pass the checksum otherwise */
		uint8_t *sb = p + EROFS_SUPER_OFFSET;
		le_put32(sb + SB_COMPAT, le_get32(sb + SB_COMPAT) | COMPAT_CHECKSUM);
		le_put32(sb + SB_CHECKSUM, 0);
		le_put32(sb + SB_CHECKSUM, erofs_crc32c(UINT32_MAX, sb, EROFS_BLOCK));
	}
	if (erofs_load_bytes(p, n, &limits, &t, &e) < 0) {
		check_message(&e);
		return 0;
	}
	assert(e.code == ERR_NONE);
	check_rewritten(t);
	return 0;
}
