/* fuzz_layer.c: any bytes as a layer: refused with a reason, or made an index of that reads back; in pieces as at once. */
#include "fuzz.h"
#include "image/layer_index.h"

#include <ctype.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sys/fd.h"

static const ErofsLimits limits = {
	.entries = 20000, .memory = 64 << 20, .chunks = 1 << 18, .xattr_bytes = 4 << 20, .index_bytes = 64 << 20, .depth = 200
};

/* The index of the tar in pieces of piece bytes: its descriptor, or the error. */
static int make_index(const uint8_t *p, size_t n, size_t piece, LayerIndexStats *stats, Err *e)
{
	AUTO_LAYER_INDEX *l = NULL;
	AUTO_FD int fd = memfd_create("index", MFD_CLOEXEC);
	assert(fd >= 0 && layer_index_new(&(LayerIndexOptions){ .limits = &limits }, &l) == 0);
	for (size_t at = 0; at < n; at += piece) {
		AUTO_FREE char *exact = fuzz_copy(p + at, n - at < piece ? n - at : piece);
		int r = layer_index_feed(l, exact, n - at < piece ? n - at : piece, e);
		if (r < 0) return r;
	}
	int r = layer_index_finish(l, fd, stats, e);
	return r < 0 ? r : take_fd(fd);
}

/* Headers get the right checksum: hardly any other would pass. */
static void mend(uint8_t *p, size_t n)
{
	for (; n >= 512; p += 512, n -= 512) {
		unsigned sum = 0;
		char text[8];
		if (memcmp(p + 257, "ustar", 5) != 0) continue;
		memset(p + 148, ' ', 8);
		for (int i = 0; i < 512; i++)
			sum += p[i];
		snprintf(text, sizeof text, "%06o", sum);
		memcpy(p + 148, text, 7);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n)
{
	AUTO_FREE uint8_t *data = (uint8_t *)fuzz_copy(input, n);
	mend(data, n);
	Err e = ERR_INIT, e2 = ERR_INIT;
	LayerIndexStats a, b;
	AUTO_EROFS_TREE *t = NULL;
	AUTO_FD int whole = make_index(data, n, n + 1, &a, &e);
	AUTO_FD int pieces = make_index(data, n, n % 700 + 1, &b, &e2);
	if (whole < 0) {
		assert(e.code != ERR_NONE && whole == pieces && streq(e.msg, e2.msg));
		for (const char *p = e.msg; *p; p++)
			assert(!iscntrl((unsigned char)*p));
		return 0;
	}
	assert(pieces >= 0 && a.tar_bytes == n && memcmp(a.index.uuid, b.index.uuid, 16) == 0 && a.index.bytes == b.index.bytes);
	if (erofs_load(whole, NULL, &t, &e) < 0) {
		fprintf(stderr, "%s\n", e.msg);
		abort();
	}
	assert(erofs_tree_entries(t) == a.entries);
	return 0;
}
