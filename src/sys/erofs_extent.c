/* erofs_extent.c: what a file's bytes are made of: runs of blocks and holes, and the chunks they take on disk. */
#include "sys/erofs_impl.h"

enum { CHUNK_BITS_MAX = 31 }; /* five bits hold it: 1 TiB */

/* The largest chunks that no border of a run lies inside of: one, for a file without holes. */
static uint8_t chunk_bits(uint64_t size, const ErofsRun *runs, size_t n)
{
	uint64_t total = blocks_of(size), borders = 0;
	uint8_t bits = 0;
	for (size_t i = 0; i < n; i++) {
		borders |= runs[i].at;
		if (runs[i].at + runs[i].n != total) borders |= runs[i].at + runs[i].n;
		/* neighbours in the file that are none in the device were not merged: at is their border */
	}
	while (bits < CHUNK_BITS_MAX && (uint64_t)1 << bits < total && !(borders >> bits & 1))
		bits++;
	return bits;
}

int erofs_inode_set_runs(ErofsTree *t, ErofsInode *i, uint64_t size, const ErofsRun *runs, size_t n, Err *e)
{
	uint64_t old = inode_chunks(i);
	ErofsInode new = { .size = size, .n_runs = (uint32_t)n };
	new.u.file.chunk_bits = chunk_bits(size, runs, n);
	uint64_t chunks = inode_chunks(&new), others = t->chunks - (old > 1 ? old : 0);
	if (chunks > 1 && (chunks > t->limits.chunks || others > t->limits.chunks - chunks))
		return erofs_quota(e, t->limits.chunks, "pieces of sparse files");
	if (n == 1 && runs[0].at == 0 && runs[0].n == blocks_of(size)) {
		new.u.file.block = runs[0].block;
		new.u.file.device = runs[0].device;
	} else if (n) {
		new.u.file.runs = arena_array(&t->arena, n, sizeof *runs);
		if (!new.u.file.runs) return erofs_no_memory(t, e);
		memcpy(new.u.file.runs, runs, n * sizeof *runs);
	}
	t->chunks = others + (chunks > 1 ? chunks : 0);
	i->size = new.size;
	i->n_runs = new.n_runs;
	i->u.file = new.u.file;
	return 0;
}

ErofsRun erofs_inode_run(const ErofsInode *i, size_t n)
{
	if (i->u.file.runs) return i->u.file.runs[n];
	return (ErofsRun){ .n = blocks_of(i->size), .block = i->u.file.block, .device = i->u.file.device };
}

ErofsExtent erofs_node_extent(const ErofsNode *node, size_t i)
{
	ErofsRun run = erofs_inode_run(node->inode, i);
	ErofsExtent x = { .at = run.at * EROFS_BLOCK, .n = run.n * EROFS_BLOCK, .offset = run.block * EROFS_BLOCK, .device = run.device };
	if (x.n > node->inode->size - x.at) x.n = node->inode->size - x.at;
	return x;
}

static int check_extent(const ErofsExtent *x, uint64_t from, uint64_t size, Err *e)
{
	uint64_t end;
	if (!x->n || x->at < from || __builtin_add_overflow(x->at, x->n, &end) || end > size)
		return err_set(e, ERR_CONFIG, EINVAL, "a piece at byte %llu of the file is empty, out of order or behind the end",
			       (unsigned long long)x->at);
	if (x->at % EROFS_BLOCK || x->offset % EROFS_BLOCK || (x->n % EROFS_BLOCK && end != size))
		return err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP, "a piece at byte %llu of the file does not lie on %d-byte boundaries",
			       (unsigned long long)x->at, EROFS_BLOCK);
	if (!x->device || x->device > EROFS_DEVICES_MAX || x->offset > INT64_MAX - x->n)
		return err_set(e, ERR_CONFIG, EINVAL, "a piece of the file lies at byte %llu of device %u", (unsigned long long)x->offset,
			       x->device);
	return 0;
}

int erofs_node_set_extents(ErofsTree *t, ErofsNode *node, uint64_t size, const ErofsExtent *x, size_t n, Err *e)
{
	if (!inode_is_file(node->inode)) return err_set(e, ERR_CONFIG, EINVAL, "only a regular file has contents");
	if (size > INT64_MAX - EROFS_BLOCK) return err_set(e, ERR_CONFIG, EFBIG, "a file of %llu bytes", (unsigned long long)size);
	if (n > UINT32_MAX) return erofs_quota(e, UINT32_MAX, "pieces of a file");
	ErofsRun one = { 0 };
	AUTO_FREE ErofsRun *many = n > 1 ? calloc(n, sizeof *many) : NULL;
	ErofsRun *runs = n > 1 ? many : &one;
	if (!runs) return err_sys(e, ENOMEM, "index");
	size_t out = 0;
	uint64_t from = 0;
	for (size_t i = 0; i < n; i++) {
		int r = check_extent(&x[i], from, size, e);
		if (r < 0) return r;
		from = x[i].at + x[i].n;
		ErofsRun run = {
			.at = x[i].at / EROFS_BLOCK, .n = blocks_of(x[i].n), .block = x[i].offset / EROFS_BLOCK, .device = x[i].device
		};
		ErofsRun *last = out ? &runs[out - 1] : NULL;
		if (last && last->device == run.device && last->at + last->n == run.at && last->block + last->n == run.block)
			last->n += run.n;
		else
			runs[out++] = run;
	}
	return erofs_inode_set_runs(t, node->inode, size, runs, out, e);
}
